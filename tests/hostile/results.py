"""What a run left below --out, without what differs between two healthy runs: times, where and on what it ran."""
import json
import os
import re

# Where the machine is told of, memory that is lacking makes "unknown": that is no result.
PLACE = {"cpu", "card", "driver"}
TIMES = {"seconds", "spent", "time", "witnesses", "command"}


def timeless(value):
    """Without times, and how often a finding was judged again: a judging that finds no memory is not counted. A healthy
    finding must never seem to come and go."""
    if isinstance(value, dict):
        if "flaky" in value:
            return value["flaky"]
        return {k: timeless(v) for k, v in value.items() if k not in PLACE | TIMES}
    return [timeless(v) for v in value] if isinstance(value, list) else value


def unknown(now, good):
    """As good, but for figures that are null and texts that are "?": not known. No zero stands for them."""
    if isinstance(now, dict) and isinstance(good, dict):
        return now.keys() == good.keys() and all(unknown(now[k], good[k]) for k in now)
    if isinstance(now, list) and isinstance(good, list):
        return len(now) == len(good) and all(unknown(a, b) for a, b in zip(now, good))
    return now in (good, "?") or (now is None and isinstance(good, float))


def parts(now, good, at):
    """Where they differ."""
    if isinstance(now, dict) and isinstance(good, dict):
        return [p for k in now.keys() | good.keys() for p in parts(now.get(k), good.get(k), f"{at}.{k}")]
    if isinstance(now, list) and isinstance(good, list) and len(now) == len(good):
        return [p for i, (a, b) in enumerate(zip(now, good)) for p in parts(a, b, f"{at}[{i}]")]
    return [] if now == good else [(at, str(now)[:80], str(good)[:80])]


def told(text):
    """A text without what differs between two runs: numbers, how wide they make a table."""
    text = re.sub(r"(?m)^  again  +[^f].*\n", "", re.sub(r" of \d+, fresh \d+", "", text))
    return re.sub(r" +", " ", re.sub(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", "#", text))


def shape(value):
    """Of measurements: which there are, and of what."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    return [shape(v) for v in value] if isinstance(value, list) else "#" if isinstance(value, (int, float)) else value


def results(place, without=(), figures=True):
    """What stands below out/, without times and places. figures: no, where they are measurements."""
    found = {}
    for folder, _, names in os.walk(place.out):
        for name in names:
            if name in without:
                continue
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                data = f.read()
            key = os.path.relpath(path, place.out)
            if name.endswith((".json", ".jsonl")):
                found[key] = [timeless(json.loads(line)) for line in data.decode().splitlines()] if name.endswith("l") else (
                    told(re.sub(r'"(environment|cpu|card|driver)": "[^"]*"', "", data.decode())))
            else:
                found[key] = told(data.decode(errors="replace")) if not name.endswith(".safetensors") else data
    return found if figures else shape(found)

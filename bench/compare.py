#!/usr/bin/env python3
"""Ours beside a peer's, as Markdown: compare.py FILE.jsonl…

Reads timings of `oracle-diff bench --json` and of bench/peer_toto.py --json and sets side by side what was measured on
the same model, batch, variates and context; a ratio above 1 is how many times as fast ours is. Timings of another day
or machine are not for comparing: bench/run measures both in one run.
"""
import json
import sys

# What is aimed at, in milliseconds or as a ratio of medians:
# (model, batch, variates, context, work, cpu?, kind, value).
# kind "ms": ours at most so long ("last head": where only the last patch's is asked for); else the peer's mode: at
# least so many times as fast as it.
MARKS = [
    ("toto-open-base", 1, 7, 4096, "decode", False, "ms", 0.45),
    ("toto-open-base", 1, 7, 4096, "decode", False, "eager, KV cache", 50),
    ("toto-open-base", 1, 7, 4096, "decode", False, "compiled, recomputed", 15),
    ("toto-open-base", 1, 7, 4096, "prefill", False, "ms", 3.4),
    ("toto-open-base", 1, 7, 4096, "prefill", False, "ms, last head", 2.6),
    ("toto-open-base", 1, 7, 4096, "prefill", False, "compiled", 1),
    ("seed-tiny", 2, 4, 32, "prefill", False, "ms", 0.10),
    ("seed-tiny", 64, 4, 64, "rollout", False, "eager, mean, KV cache", 5),
    ("seed-tiny", 64, 4, 64, "rollout", False, "eager, mean, recomputed", 5),
    ("seed-tiny", 2, 4, 32, "prefill", True, "eager", 5),
    ("toto-open-base", 1, 7, 1024, "prefill", True, "eager", 0.9),
]
LAST = "head=last"
COMPILED = ("reduce-overhead", "max-autotune")


def read(paths):
    """Files' lines as records: every timing or failure with its header's model and shape, its side's device."""
    records = []
    for path in paths:
        header, device = None, {}
        with open(path, encoding="utf-8") as f:
            for number, text in enumerate(f, 1):
                line = json.loads(text)
                if line["type"] == "bench":
                    header, device = line, {}
                elif header is None:
                    raise ValueError(f"{path}:{number}: a line before the first header")
                elif line["type"] == "side":
                    device[line["side"]] = line["device"]
                elif line["type"] in ("timing", "failure"):
                    shape = header["shape"]
                    line["key"] = (header["model"], shape["batch"], shape["variates"], shape["context"])
                    line["cpu"] = device.get(line["side"], "").startswith(("cpu", "twin"))
                    line["rollout"] = shape["rollout"] if line["work"] == "rollout" else 0
                    records.append(line)
    return records


def mark_of(record, peer_mode, ms, ratio):
    """The mark's text and whether it is met; peer_mode None: of our time alone."""
    for *key, work, cpu, kind, value in MARKS:
        if tuple(key) != tuple(record["key"]) or work != record["work"] or cpu != record["cpu"]:
            continue
        if peer_mode is None and kind == ("ms, last head" if LAST in record["mode"] and work == "prefill" else "ms"):
            return f"at most {value:g} ms", ms <= value
        plain = peer_mode or ""
        for compiled in COMPILED:
            plain = plain.replace(compiled, "compiled")
        if peer_mode is not None and plain == kind:
            return f"at least {value:g} times", ratio >= value
    return "", None


def what(work, mode):
    return f"{work}, last head" if LAST in mode else work


def table(ours, peers, ratios=None):
    """Markdown rows. ratios: {(ours' mode, work, peer's mode): (ratio, low, high)} of turns, where there were any."""
    yield "| work | ours | p50 ms | p95 | p99 | peer | p50 ms | ours is so many times as fast | mark | met |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for o in ours:
        name = f"{o['key'][0]} B{o['key'][1]} V{o['key'][2]} T{o['key'][3]} {what(o['work'], o['mode'])}"
        name += f" of {o['rollout']} steps" if o["rollout"] else ""
        mine = f"{o['engine']} | {o['p50_ms']:.4g} | {o['p95_ms']:.4g} | {o['p99_ms']:.4g}"
        mark, met = mark_of(o, None, o["p50_ms"], 0)
        if mark:
            yield f"| {name} | {mine} | | | | {mark} | {'yes' if met else 'NO'} |"
        for p in peers:
            if (p["key"], p["work"], p["rollout"], p["cpu"]) != (o["key"], o["work"], o["rollout"], o["cpu"]):
                continue
            if p["type"] == "failure":
                yield f"| {name} | {mine} | {p['mode']} | does not run: {p['error'].replace('|', '/')} | | | |"
                continue
            plain = (p["p50_ms"] / o["p50_ms"], None, None)
            ratio, low, high = (ratios or {}).get((o["mode"], o["work"], p["mode"]), plain)
            mark, met = mark_of(o, p["mode"], o["p50_ms"], ratio)
            spread = f" ({low:.3g} to {high:.3g})" if low is not None else ""
            verdict = "" if met is None else "yes" if met else "NO"
            yield f"| {name} | {mine} | {p['mode']} | {p['p50_ms']:.4g} | {ratio:.3g}{spread} | {mark} | {verdict} |"


def main(paths):
    if not paths or paths[0].startswith("-"):
        sys.exit(__doc__)
    records = read(paths)
    ours = [r for r in records if r["side"] == "fast" and r["type"] == "timing"]
    peers = [r for r in records if r["side"] == "peer"]
    if not ours or not peers:
        sys.exit(f"compare.py: {len(ours)} timings of ours and {len(peers)} of a peer: nothing to compare")
    print("\n".join(table(ours, peers)))


if __name__ == "__main__":
    main(sys.argv[1:])

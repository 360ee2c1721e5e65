#!/usr/bin/env python3
"""`oracle-diff bench` as scripts see it: bench_test.py ORACLE_DIFF SOURCE_DIR FAKE_NVML_DIR

Bad arguments, one line a thing measured, the lines' schema, a planted slowdown that shows, and the counts of what ran.
"""
import json
import os
import subprocess
import sys
import tempfile

try:
    import jsonschema
except ImportError:
    jsonschema = None

PROGRAM, SOURCE, FAKE_NVML = (os.path.abspath(path) for path in sys.argv[1:4])
PAIR = ("--ref", "ref", "--fast", "twin")


def run(*args):
    return subprocess.run([PROGRAM, "bench", *args], capture_output=True, text=True, timeout=240)


def refuses(code, word, *args):
    done = run(*args)
    assert done.returncode == code and done.stdout == "", (args, done.returncode, done.stdout)
    assert len(done.stderr.splitlines()) == 1 and word in done.stderr, (args, done.stderr)


def lines_of(*args):
    with tempfile.TemporaryDirectory(prefix="od-bench-") as place:
        path = os.path.join(place, "b.jsonl")
        done = run(*args, "--json", path)
        assert done.returncode == 0 and done.stderr == "", (args, done.returncode, done.stderr)
        with open(path, encoding="utf-8") as f:
            lines = [json.loads(line) for line in f]
    if jsonschema:
        with open(os.path.join(SOURCE, "bench/bench.schema.json"), encoding="utf-8") as f:
            validator = jsonschema.Draft202012Validator(json.load(f))
        for line in lines:
            for error in validator.iter_errors(line):
                raise AssertionError(f"{line}: {error.message}")
        for spoil in ({"type": "timings"}, {"surprise": 1}):
            assert not validator.is_valid({**lines[0], **spoil})
    return done.stdout, lines


def bad_arguments_are_one_line_and_exit_2():
    refuses(2, "one word too many", "x.json")
    refuses(2, "at least 1", "--pairs", "0")
    refuses(2, "at least 1", "--batch", "0")
    refuses(2, "at least 1", "--variates", "0")
    refuses(2, "at least 1", "--context", "0")
    refuses(2, "whole number", "--pairs", "-1")
    refuses(2, "whole number", "--steps", "many")
    refuses(2, "not both", "--preset", "seed-tiny", "--model", ".")
    refuses(2, "toto-open-base", "--preset", "toto")
    refuses(2, "--only-fast", "--only-fast", "--ref", "ref")
    refuses(2, "twin", "--fast", "fastest")
    refuses(2, "--set", "--set", "grph=on", *PAIR)
    refuses(2, "--ref-set", "--ref-set", "cache=big", *PAIR)
    refuses(2, "all or last", "--head", "first", *PAIR)
    refuses(2, "config.json", "--model", "/nonexistent", *PAIR)
    refuses(2, "cannot be written", "--json", "/nonexistent/b.jsonl", *PAIR)
    done = run("--set", "tf32=on", "--fast", "ref", "--only-fast", "--quiet")
    assert done.returncode == 3 and done.stdout == "" and "tf32" in done.stderr, done


def every_call_is_counted_once():
    out, lines = lines_of(*PAIR, "--batch", "2", "--variates", "3", "--context", "30", "--steps", "3", "--rollout", "9",
                          "--pairs", "5")
    header, end = lines[0], lines[-1]
    assert header["type"] == "bench" and end["type"] == "end"
    assert header["shape"] == {"batch": 2, "variates": 3, "context": 30, "steps": 3, "rollout": 9}
    sides = [l for l in lines if l["type"] == "side"]
    assert [(s["side"], s["engine"]) for s in sides] == [("fast", "twin"), ("ref", "ref")]
    assert all(s["warmup"]["turns"] >= 3 for s in sides)
    timings = [l for l in lines if l["type"] == "timing"]
    assert [(t["work"], t["side"], t["n"]) for t in timings] == [
        ("prefill", "fast", 5), ("prefill", "ref", 5), ("decode", "fast", 15), ("decode", "ref", 15),
        ("rollout", "fast", 5), ("rollout", "ref", 5)]
    for t in timings:
        assert 0 < t["min_ms"] <= t["p50_ms"] <= t["p95_ms"] <= t["p99_ms"] <= t["max_ms"], t
    assert [l["work"] for l in lines if l["type"] == "ratio"] == ["prefill", "decode", "rollout"]
    for ratio in (l for l in lines if l["type"] == "ratio"):
        assert ratio["low"] <= ratio["ratio"] <= ratio["high"], ratio
    # Calls: the first prefill and decode, a turn a pair and a warm-up turn (prefill, 3 decodes, a prefill and the 2
    # decodes that 9 steps in patches of 4 take), and two prefills of a context that another graph was captured for.
    turns = 5 + sides[0]["warmup"]["turns"]
    assert sides[0]["stats"]["cache_hits"] == 1 + 5 * turns, sides[0]
    assert sides[0]["stats"]["replays"] == 2 + 2 + 7 * turns, sides[0]
    assert sides[0]["first"]["further_bucket"]["context"] == 15 and sides[1]["first"]["further_bucket"] is None
    assert "fast/ref" in out and "captures 3" in out


def one_engine_alone_has_no_ratio():
    out, lines = lines_of("--fast", "ref", "--only-fast", "--steps", "0", "--pairs", "3", "--quiet")
    assert [l["type"] for l in lines] == ["bench", "side", "timing", "end"]
    assert "head" not in lines[1]["mode"]
    assert lines_of("--fast", "ref", "--only-fast", "--head", "last")[1][1]["mode"].endswith(" head=last")
    assert "fast/ref" not in out and "oracle-diff" not in out and "prefill" in out


def a_planted_slowdown_shows():
    """Without a cache each decode step computes 65 patches and more, with it one."""
    _, lines = lines_of("--ref", "twin", "--fast", "twin", "--set", "cache=off", "--ref-set", "cache=fixed", "--context",
                        "256", "--steps", "2", "--pairs", "10")
    sides = [l for l in lines if l["type"] == "side"]
    assert "cache=off" in sides[0]["mode"] and "cache=fixed" in sides[1]["mode"]
    assert sides[0]["stats"]["cache_hits"] == 0 < sides[1]["stats"]["cache_hits"]
    ratio = {l["work"]: l for l in lines if l["type"] == "ratio"}
    assert ratio["decode"]["low"] > 2, ratio["decode"]


def golden_weights_can_be_timed():
    out, lines = lines_of(*PAIR, "--model", os.path.join(SOURCE, "tests/vectors/mini-base"), "--pairs", "2")
    assert lines[0]["shape"]["context"] == 16 * 8 and "mini-base" in out


def results_and_baselines_name_the_card_and_its_driver():
    case = os.path.join(SOURCE, "corpus/forward/one-patch.json")
    environment = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="od-card-") as place:
        results, folder = os.path.join(place, "r.jsonl"), os.path.join(place, "b")
        try:
            os.environ["LD_LIBRARY_PATH"] = FAKE_NVML
            subprocess.run([PROGRAM, "run", case, *PAIR, "--json", results], check=True, capture_output=True, timeout=240)
            subprocess.run([PROGRAM, "baseline", "save", folder, case, "--fast", "twin"], check=True,
                           capture_output=True, timeout=240)
            os.environ["OD_FAKE_NVML"] = "none"
            checked = subprocess.run([PROGRAM, "baseline", "check", folder, "--fast", "twin"], check=True,
                                     capture_output=True, text=True, timeout=240).stdout.splitlines()
        finally:
            os.environ.clear()
            os.environ.update(environment)
        with open(results, encoding="utf-8") as f:
            where = json.loads(f.readline())["environment"]
    assert (where["card"], where["driver"]) == ("A Card", "580.1"), where
    assert {"card      A Card -> none", "driver    580.1 -> none"} <= set(checked), checked


def the_card_is_read_where_there_is_one():
    """Through a libnvidia-ml.so.1 whose figures are known; its load is 20 and 60 % in turn."""
    environment = dict(os.environ)
    try:
        os.environ["LD_LIBRARY_PATH"] = FAKE_NVML
        out, lines = lines_of(*PAIR, "--pairs", "400")
        card = {"read": True, "name": "A Card", "driver": "580.1", "cuda": "13.1", "sm_mhz": 1755, "sm_max_mhz": 1980,
                "memory_mhz": 2619, "temperature_c": 41, "power_w": 70.5}
        assert lines[0]["card"] == lines[-1]["card"] == card, lines[0]["card"]
        load = lines[-1]["gpu_load"]
        assert load["read"] and load["samples"] >= 2 and load["max"] == 60 and 20 < load["mean"] < 60, load
        assert "SM 1755 MHz before" in out
        os.environ["OD_FAKE_NVML"] = "none"
        assert lines_of(*PAIR, "--pairs", "2")[1][0]["card"] == {"read": False, "why": "NVML knows no card 0"}
    finally:
        os.environ.clear()
        os.environ.update(environment)


CHECKS = (bad_arguments_are_one_line_and_exit_2, every_call_is_counted_once, one_engine_alone_has_no_ratio,
          a_planted_slowdown_shows, golden_weights_can_be_timed,
          results_and_baselines_name_the_card_and_its_driver, the_card_is_read_where_there_is_one)
for check in CHECKS:
    check()
    print("ok", check.__name__)

#!/usr/bin/env python3
"""bench/: what needs no PyTorch. peer_test.py SOURCE_DIR

Quantiles with closed forms, shapes, the table with its marks, a peer's failure, nothing to compare.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

SOURCE = os.path.abspath(sys.argv[1])
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(SOURCE, "bench"))
import compare  # noqa: E402
import peer_toto  # noqa: E402


def quantiles_are_those_of_oracle_diff_bench():
    s = peer_toto.summary([(1 + i * 37 % 101) / 1e3 for i in range(101)])
    assert [round(s[k], 9) for k in ("min_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms", "mean_ms")] == [
        1, 51, 96, 100, 101, 51]
    assert s["n"] == 101 and abs(peer_toto.summary([0.003, 0.001])["p95_ms"] - 2.9) < 1e-12
    assert peer_toto.summary([0.007])["p99_ms"] == 7


def shapes_are_checked():
    assert peer_toto.parse_shape("seed-tiny,batch=2,rollout=9") == (
        "seed-tiny", dict(batch=2, variates=1, context=64, steps=8, rollout=9))
    for bad in ("toto", "seed-tiny,batch=0", "seed-tiny,batch", "seed-tiny,length=3", "seed-tiny,batch=-1"):
        try:
            peer_toto.parse_shape(bad)
        except argparse.ArgumentTypeError:
            continue
        raise AssertionError(bad)


def lines(side, device, timings, context=4096):
    shape = dict(batch=1, variates=7, context=context, steps=8, rollout=0)
    yield dict(type="bench", model="toto-open-base", shape=shape)
    yield dict(type="side", side=side, device=device)
    for work, mode, ms in timings:
        line = dict(side=side, engine="x", mode=mode, work=work)
        if ms is None:
            yield dict(type="failure", **line, error="NameError: a | b")
        else:
            yield dict(type="timing", **line, p50_ms=ms, p95_ms=ms, p99_ms=ms)


def write(place, name, *parts):
    path = os.path.join(place, name)
    with open(path, "w", encoding="utf-8") as f:
        for part in parts:
            f.writelines(json.dumps(line) + "\n" for line in part)
    return path


def marks_are_met_or_not():
    with tempfile.TemporaryDirectory() as place:
        ours = write(place, "ours", lines("fast", "NVIDIA", [("decode", "graph=on", 0.4), ("prefill", "graph=on", 5.0)]),
                     lines("fast", "NVIDIA", [("decode", "graph=on", 0.1)], context=64))
        peer = write(place, "peer", lines("peer", "NVIDIA", [
            ("decode", "eager, KV cache", 24.0), ("decode", "max-autotune, recomputed", 4.0),
            ("decode", "reduce-overhead, KV cache", None), ("prefill", "reduce-overhead", 4.0)]))
        table = subprocess.run([sys.executable, os.path.join(SOURCE, "bench/compare.py"), ours, peer],
                               capture_output=True, text=True, check=True).stdout
        rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()[2:]]
        assert all(len(row) == 10 for row in rows), table
        found = {(row[0].split()[-1], row[5]): row[7:] for row in rows if "T4096" in row[0]}
        assert found == {
            ("decode", ""): ["", "at most 0.45 ms", "yes"],
            ("decode", "eager, KV cache"): ["60", "at least 50 times", "yes"],
            ("decode", "max-autotune, recomputed"): ["10", "at least 15 times", "NO"],
            ("decode", "reduce-overhead, KV cache"): ["", "", ""],
            ("prefill", ""): ["", "at most 3.4 ms", "NO"],
            ("prefill", "reduce-overhead"): ["0.8", "at least 1 times", "NO"]}, found
        assert "does not run: NameError: a / b" in table
        assert not any("T64 " in row[0] for row in rows), "a peer of another shape"


def a_processor_is_no_gpu():
    with tempfile.TemporaryDirectory() as place:
        ours = write(place, "ours", lines("fast", "cpu (OpenBLAS)", [("prefill", "", 400.0)], context=1024))
        peers = write(place, "peer", lines("peer", "NVIDIA", [("prefill", "eager", 20.0)], context=1024),
                      lines("peer", "cpu, 1 thread(s)", [("prefill", "eager", 380.0)], context=1024))
        records = compare.read([ours, peers])
        rows = list(compare.table(records[:1], records[1:]))
        assert len(rows) == 3 and rows[2].endswith("| 0.95 | at least 0.9 times | yes |"), rows


def nothing_to_compare_is_an_error():
    with tempfile.TemporaryDirectory() as place:
        ours = write(place, "ours", lines("fast", "NVIDIA", [("decode", "graph=on", 0.4)]))
        for paths in ([ours], []):
            done = subprocess.run([sys.executable, os.path.join(SOURCE, "bench/compare.py"), *paths],
                                  capture_output=True, text=True, check=False)
            assert done.returncode == 1 and done.stdout == "", done


for check in (quantiles_are_those_of_oracle_diff_bench, shapes_are_checked, marks_are_met_or_not, a_processor_is_no_gpu,
              nothing_to_compare_is_an_error):
    check()
    print("ok", check.__name__)

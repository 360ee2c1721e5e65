#!/usr/bin/env python3
"""Stands for oracle-diff in bench_test.py: what becomes of a fault is said by its name, and each fuzz by a line in $CALLS."""
import json
import os
import signal
import struct
import sys
import time

FAULTS = {"found": "time", "unnamed": "heads", "never": "time", "unreached": "none", "silent": "none", "alarm": "none",
          "crash": "none", "slow": "none", "large": "none", "ref-ill": "time",
          "early": "none", "bare": "none"}
fault = os.environ.get("OD_FAULT", "")
words = sys.argv[1:]


def after(word, default=None):
    return words[words.index(word) + 1] if word in words else default


def record(path, begun, text):
    """oracles/recorder.h: head, counts of which none matters here, the input."""
    with open(path, "wb") as f:
        f.write(struct.pack("5Qd", 0x4352444F, 1, os.getpid(), begun, begun, time.monotonic()) + bytes(160) +
                struct.pack("Q", len(text)) + text.ljust(1 << 16, b"\0"))


def fault_record(path, reached, triggered):
    now = int(time.monotonic() * 1e9)
    with open(path, "wb") as f:
        f.write(struct.pack("8Q", 1, reached, now if reached else 0, triggered, now if triggered else 0, 9, 2, 5))


def fuzz():
    with open(os.environ["CALLS"], "a", encoding="ascii") as f:
        f.write(f"{fault or 'none'} {after('--seed')}\n")
    if not fault:
        return int("FAKE_ALARM" in os.environ)
    if fault == "slow":
        time.sleep(2)
    seed = int(after("--seed"))
    if fault != "bare":
        fault_record(os.environ["OD_FAULT_RECORD"], fault != "unreached", fault not in ("unreached", "never", "early"))
    record(after("--record"), 10 * seed, b"seed 1 index 3 profile mixed")
    if fault == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if fault in ("never", "unreached", "silent"):
        return 0
    os.makedirs(after("--out") + "/findings")
    with open(after("--out") + "/findings/a.json", "w", encoding="ascii") as f:
        json.dump({"finding": {"signature": "accuracy/df/prefill/b1.v1.s1/ref:twin"}}, f)
    return 1


def explain():
    if fault == "ref-ill":
        print("layer 1 (time-wise), first in the prefill: the reference is wrong (1 from float64), the fast path is not")
    else:
        print("layer 2 (time-wise), first at decode step 1: the fast path is wrong (1 from float64), the reference is not")
    return 1


if fault == "list":
    for name, stage in FAULTS.items():
        print(f"{name}\tmask\t{stage}\tcore\twhat is wrong")
    print("twins\tmask\tnone\tbench\tthe twin's product is wrong\nraces\torder\tnone\tgpu\twhat is wrong")
    print("csv-missing\tscaler\tnone\tshared\twhat is wrong")
elif os.path.basename(sys.argv[0]) == "suites_model":
    sys.exit(int(os.environ["CK_RUN_SUITE"] != "csv" or bool(fault) or "FAKE_BROKEN" in os.environ))
elif words[0] == "fuzz":
    sys.exit(fuzz())
elif words[0] == "new":
    print(json.dumps({"new": words[1:]}))
elif words[0] == "run":
    sys.exit(int(bool(fault) or "alarm" in os.environ.get("FAKE_ILL", "")))
elif words[0] == "explain":
    sys.exit(explain())
elif words[0] == "shrink":
    print(f"       ENTRIES SESSIONS\ngiven        8        1\nshrunk       {4 if fault == 'large' else 3}        1")
    sys.exit(1)

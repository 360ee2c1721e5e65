"""How a target's process ends, and what it leaves: targets_test.py FOLDER-OF-PROGRAMS SOURCE

The targets without a fuzz engine stand for those with one: they share all but libFuzzer's loop.
"""
import json
import os
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.abspath(sys.argv[2]), "tests/oracles"))
from cli_harness import PROGRAM as BIN, SOURCE, check, main

TARGETS = ("forward", "session", "modes")


def case(seed, **more):
    schedule = [{"op": "prefill", "session": 0, "steps": 16},
                {"op": "decode", "session": 0, "patches": 2, "feed": "teacher"}]
    return {"format": 1, "model": {"preset": "seed-tiny", "seed": seed},
            "series": {"batch": 1, "variates": 2, "generator": "normal", "seed": 6}, "schedule": schedule,
            "forecast": "mean", **more}


def save(path, what):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(what, f)
    return path


def exits(code, target, *files, **environment):
    done = subprocess.run([f"{BIN}/replay_{target}", *files], capture_output=True, text=True, timeout=240,
                          env={**os.environ, "OD_REF": "ref", "OD_FAST": "twin", "OD_OUT": "out", **environment})
    assert done.returncode == code, f"{target} {files} {environment}: exit {done.returncode}, not {code}\n{done.stderr}"
    return done.stderr


def findings():
    return sorted(os.listdir("out/findings")) if os.path.isdir("out/findings") else []


# No engine of ours is wrong: a finding that a case expects and that does not come is one as well.
ABSENT = {"expect": "accuracy/loc/prefill/b1.v1.s1/ref:twin"}
# Compares the scaler alone, and so shows vacuity.
BLIND = {"compare": "scaler"}


@check
def a_finding_aborts_and_leaves_its_case():
    save("in/a.json", case(1, **ABSENT))
    for target in TARGETS[1:]:
        shutil.rmtree("out", ignore_errors=True)
        said = exits(-6, target, "in")
        assert "FINDING expect/absent/" in said, said
        assert len(findings()) == 1, findings()
        found = json.load(open("out/findings/" + findings()[0], encoding="utf-8"))
        assert found["finding"]["signature"].startswith("expect/absent/"), found


@check
def kept_going_three_cases_of_a_signature_are_written_and_the_end_is_77():
    for seed in range(6):
        save(f"in/{seed}.json", case(seed, **ABSENT))
    save("in/6.json", case(7))
    said = exits(77, "session", "in", OD_KEEP_GOING="1")
    assert "7 cases" in said and " 6 findings" in said, said
    assert len(findings()) == 3 and said.count("FINDING ") == 3, (findings(), said)
    said = exits(77, "session", "in", OD_KEEP_GOING="1")  # of another process too
    assert len(findings()) == 3 and "FINDING " not in said, (findings(), said)
    exits(-6, "session", "in", OD_KEEP_GOING="0")


@check
def known_issues_are_counted_and_stop_nothing():
    save("in/a.json", case(1, **BLIND))
    assert "FINDING vacuity/scaler/" in exits(-6, "session", "in")
    issue = {"signature": "vacuity/scaler/*/*/*", "reason": "for a test", "link": "here", "expires": "9999-12-31"}
    known = save("known.json", {"format": 1, "issues": [issue]})
    said = exits(0, "session", "in", OD_KNOWN=known)
    assert " 1 known, 0 findings" in said, said
    exits(0, "session", "in", OD_KNOWN=known, OD_KEEP_GOING="1")
    exits(2, "session", "in", OD_KNOWN="absent.json")


@check
def the_record_has_the_case_that_ran_last():
    save("in/a.json", case(3))
    save("in/b.json", case(4, **ABSENT))
    exits(77, "session", "in", OD_KEEP_GOING="1", OD_RECORD="record")
    with open("record", "rb") as f:
        data = f.read()
    magic, _, _, started, finished = struct.unpack_from("5Q", data)
    assert magic == 0x4352444F and (started, finished) == (2, 2), (hex(magic), started, finished)
    size = len(data) - (1 << 16)
    text = data[size:].split(b"\0", 1)[0].decode()
    assert json.loads(text)["model"]["seed"] == 4, text


@check
def each_target_narrows_to_its_business_and_writes_what_it_played():
    save("in/a.json", case(5))
    exits(0, "forward", "in", OD_RECORD="record")
    record = open("record", "rb").read()
    assert b'"prefill"' in record and b'"decode"' not in record
    alone = case(5)
    del alone["schedule"][1]
    save("in/a.json", alone)
    texts = []
    for _ in range(2):
        exits(0, "session", "in", OD_RECORD="record")
        texts.append(open("record", "rb").read().split(b"{", 1)[1])
        assert b'"decode"' in texts[-1]
    assert texts[0] == texts[1], "one input, two cases"
    uncached = case(5, options={"cache": "off"})
    save("in/a.json", uncached)
    exits(0, "modes", "in", OD_RECORD="record")
    assert b'"cache":"off"' not in open("record", "rb").read().replace(b" ", b"")


@check
def what_cannot_run_is_no_finding():
    save("in/a.json", case(1))
    exits(2, "forward", "in", OD_FAST="nonsense")
    for feedback in ("nonsense", "error,drif", "errors", "patches,", ",", "off,error"):
        assert "OD_FEEDBACK=" in exits(2, "forward", "in", OD_FEEDBACK=feedback), feedback
    for feedback in ("", "on", "off", "shape", "error,drift", "patches,patch,head-dim"):
        exits(0, "forward", "in", OD_FEEDBACK=feedback)
    with open(f"{SOURCE}/corpus/forward/real-nile-odd-length.json", encoding="utf-8") as f:
        lost = json.load(f)
    save("in/a.json", lost)
    exits(0, "forward", "in")
    lost["series"]["csv"]["path"] = "absent.csv"
    save("in/a.json", lost)
    said = exits(4, "forward", "in")
    assert "unusable input" in said and "nothing was compared" in said, said


main()

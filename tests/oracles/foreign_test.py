#!/usr/bin/env python3
"""Engines from outside: foreign_test.py ORACLE_DIFF SOURCE_DIR FOREIGN_ENGINE_SO OTHER_SO

A shared object that wraps the twin answers bit by bit as the twin does; what it does wrong is found, with the right exit
code, and the run goes on. The same for a command that speaks the protocol.
"""
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import sys

from cli_harness import GOOD, PROGRAM, SOURCE, check, exits, main, refuses, write

OBJECT, OTHER = os.path.abspath(sys.argv[3]), os.path.abspath(sys.argv[4])
CASE = os.path.join(SOURCE, "corpus/forward/autoregressive-8-cached-own.json")
SCRIPT = f"exec:{sys.executable} {os.path.join(SOURCE, 'tests/oracles/exec_engine.py')}"
# All but speed and memory, which play so often as time and what the process takes of memory would have it.
UNTIMED = [word for o in ("accuracy", "finite", "determinism", "vacuity", "captures", "consistency")
           for word in ("--only", o)]


def cases(*args):
    """Exit code and case lines of a run."""
    done = subprocess.run([PROGRAM, *args, "--json", "r.jsonl"], capture_output=True, text=True, timeout=240)
    with open("r.jsonl", encoding="utf-8") as f:
        return done.returncode, [l for l in map(json.loads, f) if l["type"] == "case"], done


def with_mode(mode, *args):
    os.environ["FOREIGN"] = mode
    try:
        return cases(*args)
    finally:
        del os.environ["FOREIGN"]


@check
def a_shared_object_answers_bit_by_bit_as_what_it_wraps():
    tensors = []
    for fast in ("twin", OBJECT):
        code, lines, done = cases("run", CASE, "--fast", fast, "--arbiter", *UNTIMED)
        assert code == 0, done.stdout + done.stderr
        tensors.append((lines[0]["tensors"], lines[0]["arbiter"], lines[0]["engines"]))
    assert tensors[0] == tensors[1] and tensors[0][0]
    assert lines[0]["pair"] == "ref:wrapped"
    exits(0, *lines[0]["command"].split()[1:])
    code, lines, done = cases("run", CASE, "--ref", OBJECT, "--fast", "twin", "--only", "accuracy")
    assert code == 0 and lines[0]["pair"] == "wrapped:twin", done.stdout + done.stderr


@check
def forward_and_baseline_take_it_too():
    vector = os.path.join(SOURCE, "tests/vectors/one-patch")
    args = ("--model", vector, "--case", os.path.join(vector, "case.safetensors"), "--context", "4")
    for engine, out in (("twin", "a"), (OBJECT, "b")):
        exits(0, "forward", "--engine", engine, *args, "--out", out)
    with open("a", "rb") as a, open("b", "rb") as b:
        assert a.read() == b.read()
    write("good.json", GOOD)
    exits(0, "baseline", "save", "kept", "good.json", "--fast", "twin")
    exits(0, "baseline", "check", "kept", "--fast", OBJECT)


@check
def a_shared_object_that_goes_wrong_is_found_and_the_run_goes_on():
    os.mkdir("cases")
    write("cases/a.json", GOOD.replace('"batch": 1', '"batch": 3'))
    write("cases/b.json", GOOD)
    found = {"crash": "engine/crash/decode/", "hang": "engine/hang/decode/", "lie": "accuracy/df/"}
    for mode, signature in found.items():
        code, lines, done = with_mode(mode, "replay", "cases", "--fast", OBJECT, "--timeout", "0.5", "--only",
                                      "accuracy", "--out", "o")
        assert code == 1, (mode, done.stdout, done.stderr)
        assert [l["verdict"] for l in lines] == ["FINDING", "PASS"], (mode, done.stdout)
        assert lines[0]["signature"].startswith(signature), (mode, lines[0]["signature"])
        here = 1 if mode == "hang" else 2
        assert lines[0]["recheck"] == {"judged": here, "shown": here, "process_judged": 1, "process_shown": 1,
                                       "flaky": False}, (mode, lines[0])
        assert ("SIGSEGV (Segmentation fault)" in done.stdout) == (mode == "crash"), done.stdout
        assert ("within 0.5 s" in done.stdout) == (mode == "hang"), done.stdout


@check
def fuzzing_may_stop_behind_the_first_finding():
    words = ("fuzz", "--seed", "3", "--cases", "12", "--fast", OBJECT, "--only", "accuracy", "--out", "o", "--quiet",
             "--record", "record")
    code, lines, done = with_mode("lie", *words)
    verdicts = [l["verdict"] for l in lines]
    assert code == 1 and len(verdicts) == 12 and verdicts.count("FINDING") > 1, (verdicts, done.stdout)
    first = verdicts.index("FINDING") + 1
    assert first > 1, verdicts
    code, lines, done = with_mode("lie", *words, "--first")
    assert code == 1 and [l["verdict"] for l in lines] == verdicts[:first], done.stdout
    with open("record", "rb") as f:
        assert struct.unpack_from("5Q", f.read())[3:] == (first, first)
    assert cases(*words, "--first")[0] == 0


@check
def fuzzing_may_ask_a_relation_a_case_in_turn():
    code, lines, done = cases("fuzz", "--seed", "3", "--cases", "13", "--fast", "twin", "--relate", "--quiet", "--out", "o")
    asked = [[r["relation"] for r in l["relations"]] for l in lines]
    assert code == 0 and all(len(a) == 1 for a in asked), (asked, done.stdout)
    assert len({a[0] for a in asked[:11]}) == 11 and asked[11:] == asked[:2], asked
    assert "recompute-call" not in {a[0] for a in asked}
    code, lines, done = cases("fuzz", "--seed", "3", "--index", "5", "--cases", "1", "--fast", "twin", "--relate", "--out", "o")
    assert code == 0 and [r["relation"] for r in lines[0]["relations"]] == asked[5], done.stdout
    assert "not checked: of the relations all but one in each case (--relate)\n" in done.stdout, done.stdout
    assert not cases("fuzz", "--seed", "3", "--cases", "1", "--fast", "twin", "--out", "o")[1][0]["relations"]
    # of those that are asked at all
    two = cases("fuzz", "--seed", "3", "--cases", "4", "--fast", "twin", "--relate", "--only", "consistency/batch", "--only",
                "consistency/groups", "--out", "o")[1]
    assert [[r["relation"] for r in l["relations"]] for l in two] == [["batch"], ["groups"]] * 2, two
    refuses(2, "--only accuracy leaves out", "fuzz", "--cases", "1", "--fast", "twin", "--relate", "--only", "accuracy")


@check
def what_is_no_engine_is_refused_in_one_line():
    write("good.json", GOOD)
    write("text.so", "no object")
    refuses(2, "no such file", "run", "good.json", "--fast", "./absent.so")
    refuses(2, "text.so", "run", "good.json", "--fast", "text.so")
    refuses(2, "exec: names no command", "run", "good.json", "--fast", "exec: ")
    refuses(3, "the worker of exec:exit 7 exited with status 7 in hello", "run", "good.json", "--fast", "exec:exit 7")
    refuses(3, "died of SIGABRT", "run", "good.json", "--fast", "exec:kill -ABRT $$")
    refuses(3, "broke the protocol in hello", "run", "good.json", "--fast", "exec:cat")
    refuses(3, "gave no answer to hello within 0.2 s", "run", "good.json", "--fast", "exec:sleep 5", "--timeout", "0.2")
    shutil.copy(OTHER, "other.so")
    refuses(2, "exports no od_engine_entry", "run", "good.json", "--fast", "other.so")
    os.environ["FOREIGN"] = "abi"
    refuses(2, "is built for engine ABI 5; this program has 4", "run", "good.json", "--fast", OBJECT)
    os.environ["FOREIGN"] = "entry"
    shutil.copy(OBJECT, "w.so")
    refuses(3, "the worker of w.so died of SIGSEGV", "run", "good.json", "--fast", "w.so")
    os.environ["FOREIGN"] = "name"
    refuses(2, "calls itself 'twin'", "run", "good.json", "--fast", OBJECT)
    del os.environ["FOREIGN"]


@check
def a_file_may_have_any_name():
    name = b"caf\xe9.json"
    with open(name, "w", encoding="utf-8") as f:
        f.write(GOOD)
    for options in ((), ("--isolate",)):
        done = subprocess.run([PROGRAM, "run", name, "--fast", "twin", "--only", "accuracy", *options],
                              capture_output=True, timeout=240)
        assert done.returncode == 0, (options, done.stdout, done.stderr)


@check
def a_command_is_an_engine():
    write("good.json", GOOD)
    only = ("--only", "accuracy", "--only", "determinism")
    code, lines, done = cases("run", "good.json", "--fast", SCRIPT, *only)
    assert code == 1 and lines[0]["signature"].startswith("accuracy/") and lines[0]["pair"] == "ref:ones", done.stdout
    verdicts = {o["oracle"]: o["verdict"] for o in lines[0]["oracles"]}
    assert verdicts == {"engine": "PASS", "accuracy": "FINDING", "determinism": "PASS"}, verdicts
    assert {t["step"] for t in lines[0]["tensors"]} == {"prefill", "decode"}
    code, lines, done = cases("run", "good.json", "--ref", SCRIPT, "--fast", SCRIPT + " again", *only)
    assert code == 0 and lines[0]["verdict"] == "PASS", done.stdout + done.stderr
    twin = f"exec:{PROGRAM} worker --engine {OBJECT}"
    assert cases("run", CASE, "--fast", twin, "--only", "accuracy")[0] == 0


@check
def a_command_that_ends_badly_after_the_last_case_is_told():
    write("good.json", GOOD)
    bad = SCRIPT + "; exit 5"
    done = exits(3, "run", "good.json", "--ref", bad, "--fast", SCRIPT + " again", "--only", "accuracy")
    assert done.stderr == "oracle-diff: the worker of ones exited with status 5 in its end\n", done.stderr
    done = exits(1, "run", "good.json", "--fast", bad, "--only", "determinism")
    assert "again       2 of 2\n" in done.stdout and "status 5 in its end" in done.stderr, done.stdout + done.stderr


@check
def no_fresh_process_is_told_once():
    write("good.json", GOOD)
    once = f"exec:[ -e started ] && exit 1; : >started; {SCRIPT[5:]}"
    for command in (("fuzz", "--seconds", "60", "--cases", "2", "--seed", "1"),
                    ("run", "good.json", "good.json", "--only", "accuracy")):
        done = exits(1, *command, "--fast", once)
        told = [l for l in done.stderr.splitlines() if "not judged again in a fresh process: " in l]
        assert len(told) == 1 and "exited with status 1 in hello" in told[0], done.stdout + done.stderr
        os.remove("started")


@check
def a_command_ends_with_its_judge():
    write("good.json", GOOD)
    os.mkfifo("alive")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        judge = subprocess.Popen([PROGRAM, "run", "good.json", "--fast", "exec:exec 9>alive; sleep 60 & sleep 60; exit 1"])
        with open("alive", "rb", buffering=0) as alive:  # its end comes when the last of them is gone
            judge.send_signal(number)
            assert judge.wait() == -number
            assert select.select([alive], [], [], 10)[0] and alive.read(1) == b"", number


@check
def a_command_that_goes_wrong_is_found():
    write("good.json", GOOD)
    found = {"crash": ("engine/crash/decode/", "SIGABRT"), "garbage": ("engine/fault/prefill/", "is no JSON"),
             "outside": ("engine/fault/prefill/", "outside of the shared memory")}
    for mode, (signature, word) in found.items():
        code, lines, done = cases("run", "good.json", "--fast", f"{SCRIPT} {mode}", "--only", "accuracy")
        assert code == 1 and lines[0]["signature"].startswith(signature), (mode, done.stdout, done.stderr)
        assert word in lines[0]["reason"], lines[0]["reason"]
    refuses(3, "broke the protocol in hello", "run", "good.json", "--fast", f"{SCRIPT} print")


main()

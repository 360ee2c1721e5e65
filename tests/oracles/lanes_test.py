#!/usr/bin/env python3
"""Cases judged at once: lanes_test.py ORACLE_DIFF SOURCE_DIR FOREIGN_ENGINE_SO

However many lanes there are, a replay says the same, in the same order; a crash or a hang is one case's; and a signal ends
all lanes.
"""
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time

from cli_harness import GOOD, PROGRAM, SOURCE, check, exits, main, refuses, write

OBJECT = os.path.abspath(sys.argv[3])
SCRIPT = f"{sys.executable} {os.path.join(SOURCE, 'tests/oracles/exec_engine.py')}"
LANES = (1, 2, 3, 8)
# All but speed, which lanes leave out, and memory, which looks longer where the judge's own process grows: what that
# process takes of memory is nobody's in particular where lanes share it, and is not read.
UNTIMED = [word for o in ("accuracy", "finite", "determinism", "vacuity", "captures", "consistency")
           for word in ("--only", o)]


def make_cases(n, broken=()):
    """n cases that differ; those of the numbers in `broken` are of batch 3, in which OBJECT goes wrong."""
    os.makedirs("cases", exist_ok=True)
    for i in range(n):
        text = GOOD.replace('"seed": 6', f'"seed": {i}')
        write(f"cases/{i:03}.json", text.replace('"batch": 1', '"batch": 3') if i in broken else text)


def timeless(value):
    """Without what times and the command line put there."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items()
                if k not in ("seconds", "spent", "time", "witnesses") and (k, value.get("type")) != ("command", "run")}
    return [timeless(v) for v in value] if isinstance(value, list) else value


def table(text):
    """What is printed: without the lines that hold times."""
    return [l for l in text.splitlines() if " in " not in l.split(",")[0] and not l.startswith("judging ")]


def replay(folder, lanes, *args):
    """Exit code, result lines, printed lines, names and texts of the findings; all but times."""
    out = f"out{lanes}"
    shutil.rmtree(out, ignore_errors=True)
    done = subprocess.run([PROGRAM, "replay", folder, "--isolate", "-j", str(lanes), "--json", "r.jsonl", "--out", out, *args],
                          capture_output=True, text=True, timeout=240)
    with open("r.jsonl", encoding="utf-8") as f:
        lines = [timeless(json.loads(l.replace(f"{out}/", "out/"))) for l in f]
    names = sorted(os.listdir(os.path.join(out, "findings"))) if os.path.isdir(os.path.join(out, "findings")) else []
    return done.returncode, lines, table(done.stdout.replace(f"{out}/", "out/")), names, done.stderr


def all_alike(folder, *args, lanes=LANES):
    """What the first says, after each was seen to say the same."""
    first = replay(folder, lanes[0], *args)
    for n in lanes[1:]:
        other = replay(folder, n, *args)
        for a, b in zip(first, other):
            assert a == b, (n, [(x, y) for x, y in zip(a, b) if x != y][:1] if isinstance(a, list) else (a, b))
    return first


@check
def results_do_not_depend_on_the_lanes():
    for n in (1, 5):
        make_cases(n)
        code, lines, _, names, _ = all_alike("cases", "--fast", "twin", *UNTIMED)
        assert code == 0 and names == [] and len(lines) == n + 2, lines
        assert [l["name"] for l in lines[1:-1]] == [f"{i:03}" for i in range(n)]
        assert lines[-1]["pass"] == n


@check
def nor_over_the_whole_corpus():
    corpus = os.path.join(SOURCE, "corpus/forward")
    code, lines, _, _, _ = all_alike(corpus, "--fast", "twin", "--only", "accuracy", lanes=(1, 3))
    assert code == 0 and len(lines) > 150, lines[-1]


@check
def every_nth_case_is_played_in_a_fresh_process():
    make_cases(12)
    for every, least, most in ((1, 12, 24), (6, 2, 11)):
        if os.path.exists("started"):
            os.remove("started")
        exits(0, "replay", "cases", "-j2", "--process", every, "--only", "determinism", "--fast",
              f"exec:echo >>started; exec {SCRIPT}")
        with open("started", encoding="utf-8") as f:
            assert least <= len(f.readlines()) <= most, every


@check
def a_crash_or_a_hang_is_one_case_s():
    make_cases(9, broken=(3, 4))
    for mode, signature in (("crash", "engine/crash/decode/"), ("hang", "engine/hang/decode/")):
        os.environ["FOREIGN"] = mode
        code, lines, _, names, _ = all_alike("cases", "--fast", OBJECT, "--timeout", "0.5", "--only", "accuracy",
                                             lanes=LANES if mode == "crash" else (1, 3))
        del os.environ["FOREIGN"]
        assert code == 1 and len(names) == 2, (mode, lines)
        for i, line in enumerate(lines[1:-1]):
            assert line["verdict"] == ("FINDING" if i in (3, 4) else "PASS"), (mode, line)
            assert i not in (3, 4) or line["signature"].startswith(signature), (mode, line)
            assert i not in (3, 4) or line["recheck"]["shown"] == line["recheck"]["judged"] > 0, (mode, line)


@check
def the_first_three_of_a_kind_are_judged_again():
    make_cases(12, broken=range(1, 12, 2))
    os.environ["FOREIGN"] = "lie"
    code, lines, _, _, _ = all_alike("cases", "--fast", OBJECT, "--only", "accuracy")
    del os.environ["FOREIGN"]
    assert code == 1 and [i for i, l in enumerate(lines[1:-1]) if "recheck" in l] == [1, 3, 5], lines


@check
def a_signal_ends_all_lanes():
    make_cases(60, broken=(8,))  # where one lane hangs while it comes, so that the others cannot be done before
    os.mkfifo("alive")
    for number in (signal.SIGINT, signal.SIGKILL):
        judge = subprocess.Popen([PROGRAM, "replay", "cases", "-j", "3", "--json", "r.jsonl", "--only", "finite", "--timeout", "1",
                                  "--ref", f"exec:exec 9>alive; exec {SCRIPT}", "--fast", OBJECT],
                                 stdout=subprocess.PIPE, text=True, env=dict(os.environ, FOREIGN="hang"))
        with open("alive", "rb", buffering=0) as alive:  # its end comes when the last worker is gone
            time.sleep(0.8)
            judge.send_signal(number)
            text, _ = judge.communicate(timeout=60)
            assert select.select([alive], [], [], 10)[0] and alive.read(1) == b"", number
        if number == signal.SIGKILL:
            assert judge.returncode == -number
            continue
        with open("r.jsonl", encoding="utf-8") as f:
            lines = list(map(json.loads, f))
        assert lines[-1]["interrupted"] and lines[-1]["cases"] == len(lines) - 2 < 60, text
        assert [l["name"] for l in lines[1:-1]] == [f"{i:03}" for i in range(len(lines) - 2)]


@check
def an_interrupted_replay_is_not_green():
    make_cases(600)
    for lanes in ("1", "2"):
        judge = subprocess.Popen([PROGRAM, "replay", "cases", "-j", lanes, "--json", "r.jsonl", "--fast", "twin"],
                                 stdout=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and (not os.path.exists("r.jsonl") or os.path.getsize("r.jsonl") < 20000):
            time.sleep(0.02)
        judge.send_signal(signal.SIGTERM)
        text, _ = judge.communicate(timeout=60)
        with open("r.jsonl", encoding="utf-8") as f:
            last = json.loads(f.readlines()[-1])
        os.remove("r.jsonl")
        assert last["interrupted"] and last["pass"] == last["cases"] < 600, last
        assert (judge.returncode, last["exit"]) == (4, 4) and text.endswith("exit 4: interrupted)\n"), text


@check
def what_a_lane_started_ends_with_the_judge():
    make_cases(12)
    os.mkfifo("alive")
    judge = subprocess.Popen([PROGRAM, "replay", "cases", "-j", "2", "--json", "r.jsonl", "--only", "determinism", "--timeout", "0.5",
                              "--fast", f"exec:exec 9>alive; {SCRIPT}; sleep 60"], stdout=subprocess.DEVNULL)
    with open("alive", "rb", buffering=0) as alive:
        time.sleep(2)  # each fresh process takes half a second to end, and all but each lane's first were started by it
        assert judge.poll() is None
        judge.kill()
        judge.wait()
        assert select.select([alive], [], [], 10)[0] and alive.read(1) == b""


@check
def what_lanes_cannot_do_is_refused_or_told():
    make_cases(2)
    for bad in ("0", "-1", "x", "33", "100000", "2x", "18446744073709551617", ""):
        refuses(2, "from 1 to 32 would be right", "replay", "cases", f"--jobs={bad}", "--fast", "twin")
    refuses(2, "from 1 to 32 would be right", "replay", "cases", "-j", "-1", "--fast", "twin")
    refuses(2, "not with -j 2", "replay", "cases", "-j2", "--fast", "twin", "--only", "speed")
    refuses(2, "not with -j 2", "replay", "cases", "-j2", "--fast", "twin", "--require", "speed")
    refuses(2, "not with -j 2", "replay", "cases", "-j2", "--fast", "twin", "--weights")
    os.mkdir("none")
    refuses(2, "holds no case", "replay", "none", "-j2", "--fast", "twin")
    assert "not checked: speed: under -j 2 " in exits(0, "replay", "cases", "-j2", "--fast", "twin", "--json", "r.jsonl").stdout
    with open("r.jsonl", encoding="utf-8") as f:  # what the judge's process takes is no lane's own
        read = {w["witness"] for l in f for w in json.loads(l).get("memory", {}).get("witnesses", [])}
    assert read == {"the device's driver"}, read
    assert "-j" not in exits(0, "replay", "cases", "-j1", "--fast", "twin").stdout
    write("cases/bad.json", "{")
    refuses(2, "bad.json", "replay", "cases", "-j2", "--fast", "twin")


main()

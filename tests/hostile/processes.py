"""Signals at any moment, two nights in one folder, a clock that goes backwards."""
import os
import random
import re
import signal
import subprocess
import sys
import time

from harness import ABSENT, SOURCE, Skip, case, condition, lines

ONES = f"exec:{sys.executable} {SOURCE}/tests/oracles/exec_engine.py"
STOPPED = (-signal.SIGINT, -signal.SIGTERM)


def commands(place):
    """name -> (words, exits of one that was stopped or came to its end, how long it takes at most to be worth a signal)."""
    o = place.out
    for i in range(12 if place.args.long else 6):
        place.write(f"corpus/{i:02}.json", case(seed=i, expect=ABSENT if i == 3 else "pass"))
    place.write("work/good.json", case())
    place.write("work/good2.json", case(seed=9))
    twin, json_ = ("--fast", "twin"), ("--json", o + "/r.jsonl")
    listed = {
        "run": (("run", "good.json", "good2.json", *twin, *json_, "--junit", o + "/j.xml", "--out", o), (0, 4), 0.6),
        "replay": (("replay", place.corpus, *twin, *json_, "--junit", o + "/j.xml", "--out", o), (0, 1, 4), 2),
        "replay -j2": (("replay", place.corpus, *twin, "-j2", *json_, "--junit", o + "/j.xml", "--out", o), (0, 1, 4), 2),
        "fuzz": (("fuzz", "--seconds", "2", "--seed", "1", "--profile", "rate", "--fast", ONES, *json_, "--out", o), (0, 1, 4), 2),
        "shrink": (("shrink", "good.json", "--fast", ONES, "--only", "accuracy", "--runs", "40", "--out", o), (0, 1, 4), 1.5),
        "explain": (("explain", "good.json", *twin, "--out", o), (0, 1, 2, 4), 0.5),
        "bisect": (("bisect", "good.json", "--fast", ONES, "--only", "accuracy", *json_), (0, 1, 4), 1.5),
        "corpus": (("corpus", "stats", place.corpus, *twin, "--json", o + "/c.json"), (0, 1, 4), 0.3),
        "baseline": (("baseline", "save", o + "/kept", place.corpus, *twin), (0, 1, 4), 0.3),
        "calibrate": (("calibrate", "--ref", "ref", *twin, "--cases", "400", "--seed", "1", "--out", o + "/e.json"), (0, 2, 3, 4), 1.5),
        "bench": (("bench", "--pairs", "5", "--steps", "2", *twin, *json_), (0, 1, 3, 4), 0.6),
        "forward": (("forward", "--engine", "ref64", "--model", SOURCE + "/tests/vectors/long-context", "--case",
                     SOURCE + "/tests/vectors/long-context/case.safetensors", "--context", "4", "--out", o + "/f.safetensors"), (0, 2), 0.1),
        "report": (("report", "r.jsonl", "--out", o), (0, 1), 0.05),
    }
    return listed if place.args.long else {name: (words, ends, span / 2) for name, (words, ends, span) in listed.items()}


@condition("SIGINT and SIGTERM at any time",
           "exit by the contract (run, replay: 4; fuzz, shrink: what they came to) or the signal's own end; no file torn, no process left")
def signals(place):
    seed = int(os.environ.get("OD_SEED", time.time_ns() % 1000003))
    draw = random.Random(seed)
    programs = commands(place)
    place.look()
    made = place.run("run", "good.json", "--fast", "twin", "--only", "finite", "--json", place.out + "/r.jsonl")
    assert made.code == 0, made.said
    os.rename(place.out + "/r.jsonl", place.path("work/r.jsonl"))
    place.look()
    moments = 40 if place.args.long else 2  # one of each signal
    for name, (words, ends, span) in programs.items():
        met = {}
        for i in range(moments):
            place.empty()
            number = (signal.SIGINT, signal.SIGTERM)[i % 2]
            moment = draw.uniform(0, span)
            done = place.run(*words, kill=(moment, number), timeout=30)
            what = f"OD_SEED={seed}: {name}, {signal.Signals(number).name} after {moment:.3f} s"
            assert done.code in ends or done.code in STOPPED, f"{what}: exit {done.how}\n{done.said}"
            # killed by the signal itself: the line of a result that was being written may lack its end
            place.clean(what, torn=done.code in STOPPED)
            if done.code == 4 and name.startswith(("run", "replay")):
                last = lines(place.out + "/r.jsonl")[-1]
                assert last["type"] == "summary" and last["interrupted"] and last["exit"] == 4, what
            met[done.how] = met.get(done.how, 0) + 1
        place.row("/".join(sorted(met)), f"{name}: {moments} moments (seed {seed}): {met}")
    place.empty()


def night_words(place, out, seconds, *more):
    """A night of random cases alone: no fuzz targets, no canary, which need builds of their own."""
    return ["--out", out, "--seconds", str(seconds), "--bin", place.args.bin, "--corpus", place.corpus, "--fast", "twin", "--lanes", "random",
            "--workers", "1", "--slice", "1", "--canary", "off", *more]


def nightly(place):
    program = os.path.join(place.args.bin, "nightly")
    if not os.path.exists(program):
        raise Skip("this build has no nightly")
    os.makedirs(place.path("corpus/forward"))
    place.write("corpus/forward/a.json", case())
    place.look()
    return program


@condition("a night and SIGINT or SIGTERM at any time", "exit 4 (3: before anything was run), the same command goes on, the journal is whole, no process left")
def night_signals(place):
    program = nightly(place)
    seed = int(os.environ.get("OD_SEED", time.time_ns() % 1000003))
    draw = random.Random(seed)
    met = {}
    for i in range(20 if place.args.long else 3):
        out = f"{place.out}/n{i}"
        moment, number = draw.uniform(0, 2.5), (signal.SIGINT, signal.SIGTERM)[i % 2]
        done = place.run(*night_words(place, out, 3), program=program, kill=(moment, number), timeout=40)
        what = f"OD_SEED={seed}: {signal.Signals(number).name} after {moment:.3f} s"
        early = done.code == 3 and "stopped before anything was run" in done.said
        assert early or done.code in (4, *STOPPED), f"{what}: exit {done.how}\n{done.said}"  # a night without a canary is never green
        place.clean(what, torn=False)
        met[done.how] = met.get(done.how, 0) + 1
    # goes on and comes to its end; one that was there already says so
    place.exits((4, 2), "", *night_words(place, place.out + "/n0", 3), program=program, timeout=40)
    place.row("/".join(sorted(met)), f"{sum(met.values())} moments (seed {seed}): {met}")


@condition("two nights in the same folder", "the second is refused, exit 2; the first is not disturbed")
def two_nights(place):
    program = nightly(place)
    first = place.start([program, *night_words(place, place.out + "/n", 4)])
    until = time.monotonic() + 10
    while not os.path.exists(place.out + "/n/night.jsonl") and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.3)
    second = place.run(*night_words(place, place.out + "/n", 4), program=program)
    assert second.code == 2 and "another supervisor works in this folder" in second.said, (second.how, second.said)
    out, err = first.communicate(timeout=40)
    assert first.returncode == 4 and "canary" in out + err, (first.returncode, out, err)
    place.clean("two nights")
    rows = lines(place.out + "/n/night.jsonl")
    assert rows[-1]["event"] == "end" and len([r for r in rows if r["event"] == "start"]) == 1, rows[-1]
    place.row("2", second.message)


@condition("a clock that goes backwards", "budgets and times hold (they are of the monotonic clock); names and reports stay sane")
def clock(place):
    if not place.args.interpose:
        raise Skip("a sanitized build has no interposer")
    back = {"LD_PRELOAD": place.args.interpose, "HOSTILE_CLOCK": "1"}
    place.cases(3)
    place.look()
    shown = subprocess.run(["date", "+%s"], env=place.environment(back), capture_output=True, text=True, check=True).stdout
    again = subprocess.run([sys.executable, "-c", "import time; print(time.time() - time.time())"], env=place.environment(back),
                           capture_output=True, text=True, check=True).stdout
    assert float(again) > 3000 and shown, f"the clock does not go back: {again}"
    done = place.exits((0, 1), "cases in", "fuzz", "--seconds", "1.5", "--seed", "1", "--profile", "rate", "--fast", "twin", "--only", "accuracy",
                       "--json", place.out + "/r.jsonl", environment=back)
    assert 1.4 < done.seconds < 10, done.seconds
    rows = lines(place.out + "/r.jsonl")
    assert 1.4 < rows[-1]["seconds"] < 10 and all(0 <= r["seconds"] < 10 for r in rows if r["type"] == "case"), rows[-1]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", rows[0]["time"]), rows[0]
    place.exits(0, "", "replay", place.corpus, "--fast", "twin", "--isolate", "--timeout", "5", "--only", "accuracy", environment=back)
    place.exits((0, 1, 3), "", "bench", "--pairs", "3", "--steps", "1", "--fast", "twin", "--json", place.out + "/b.jsonl", environment=back)
    program = os.path.join(place.args.bin, "nightly")
    if not os.path.exists(program):
        return
    nightly(place)
    since = time.monotonic()
    place.exits(4, "", *night_words(place, place.out + "/n", 3), program=program, environment=back, timeout=40)
    assert 1.5 < time.monotonic() - since < 20, time.monotonic() - since
    end = lines(place.out + "/n/night.jsonl")[-1]
    assert end["event"] == "end" and 1.5 < end["spent"] < 20, end

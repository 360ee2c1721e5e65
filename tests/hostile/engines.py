"""The fast path itself: a kernel that hangs, a device that is lost, and a plug-in, which is foreign code (--fast ./x.so)."""
import os
import sys

from harness import SOURCE, Skip, case, condition, lines

SCRIPT = f"exec:{sys.executable} {SOURCE}/tests/oracles/exec_engine.py"


def four(place):
    """Four cases; the plug-in goes wrong in those of batch 3, the second and the third."""
    if not place.args.foreign:
        raise Skip("this build has no tests/oracles/foreign_engine.so")
    for i in range(4):
        place.write(f"corpus/{i}.json", case(seed=i).replace('"batch": 1', f'"batch": {3 if i in (1, 2) else 1}'))
    place.look()


def replay(place, mode, signature, word, *more, lanes=("-j1", "-j2"), code=1):
    """The second and the third case are findings, the others are judged, whatever the plug-in did."""
    for lane in lanes:
        place.empty()
        done = place.exits(code, word, "replay", place.corpus, "--fast", place.args.foreign, "--timeout", "0.5", "--only", "accuracy", lane,
                           "--json", place.out + "/r.jsonl", "--out", place.out, *more, environment={"FOREIGN": mode}, timeout=60)
        rows = [l for l in lines(place.out + "/r.jsonl") if l["type"] == "case"]
        assert [l["verdict"] for l in rows] == ["PASS", "FINDING", "FINDING", "PASS"], (mode, lane, done.said)
        place.looked.add("results")
        assert all(l["signature"].startswith(signature) for l in rows[1:3]), (mode, [l["signature"] for l in rows])
        assert len(os.listdir(place.out + "/findings")) >= 1
        place.rows[-1] = (done.how, f"{mode}: {rows[1]['reason']}")


@condition("a kernel that hangs", "the watchdog (--timeout) ends its process; finding engine/hang; the run goes on")
def hang(place):
    four(place)
    replay(place, "hang", "engine/hang/decode/", "within 0.5 s")


@condition("a device lost in the middle", "finding engine/fault; the next case has a new process and a new device; the run goes on")
def lost_device(place):
    four(place)
    replay(place, "lost", "engine/fault/decode/", "device")


@condition("a plug-in engine that crashes", "it runs in a process of its own by default: finding engine/crash; the run goes on")
def crash(place):
    four(place)
    replay(place, "crash", "engine/crash/decode/", "SIGSEGV")


@condition("a plug-in engine that exits", "exit() and abort() in it end its process alone: finding engine/crash; the run goes on")
def leave(place):
    four(place)
    replay(place, "exit", "engine/crash/decode/", "exited with status 0")
    replay(place, "abort", "engine/crash/decode/", "SIGABRT")


@condition("a plug-in engine that prints", "its noise on stdout neither breaks the protocol nor mixes with what the run tells")
def noise(place):
    four(place)
    done = place.exits(0, "PASS 4", "replay", place.corpus, "--fast", place.args.foreign, "--only", "accuracy", "--json", place.out + "/r.jsonl",
                       environment={"FOREIGN": "print"})
    assert "noise of a plug-in" not in done.out, done.out
    assert [l["verdict"] for l in lines(place.out + "/r.jsonl") if l["type"] == "case"] == ["PASS"] * 4
    place.looked.add("results")


@condition("a plug-in engine that writes where it should not", "over descriptors that are not its own: finding or ERROR; no crash of the judge")
def scribble(place):
    four(place)
    done = place.run("replay", place.corpus, "--fast", place.args.foreign, "--timeout", "2", "--only", "accuracy", "--json", place.out + "/r.jsonl",
                     environment={"FOREIGN": "scribble"}, timeout=60)
    assert done.code in (1, 3), (done.how, done.said)
    rows = [l for l in lines(place.out + "/r.jsonl") if l["type"] == "case"]
    assert len(rows) == 4 and rows[0]["verdict"] == "PASS" and rows[3]["verdict"] == "PASS", [l["verdict"] for l in rows]
    place.clean("scribble")
    place.row(done.how, rows[1]["reason"])


@condition("a plug-in engine of another version", "refused before the first case, exit 2, both numbers named; what is no engine: the same")
def version(place):
    four(place)
    words = ("replay", place.corpus, "--only", "accuracy", "--json", place.out + "/r.jsonl")
    place.exits(2, "is built for engine ABI", *words, "--fast", place.args.foreign, environment={"FOREIGN": "abi"})
    place.exits(2, "calls itself 'twin'", *words, "--fast", place.args.foreign, environment={"FOREIGN": "name"})
    place.exits(3, "died of SIGSEGV", *words, "--fast", place.args.foreign, environment={"FOREIGN": "entry"})
    place.write("work/text.so", "no object")
    place.look()
    place.exits(2, "text.so", *words, "--fast", "./text.so")
    place.exits(2, "no such file", *words, "--fast", "./none.so")
    assert not os.path.exists(place.out + "/r.jsonl")

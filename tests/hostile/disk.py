"""The disk: full, read-only; what stands where results are to go."""
import contextlib
import os
import resource
import subprocess
import sys

from harness import ABSENT, SOURCE, Skip, case, condition
from results import parts, results

ONES = f"exec:{sys.executable} {SOURCE}/tests/oracles/exec_engine.py"  # another engine's answers: findings that shrink
VECTOR = os.path.join(SOURCE, "tests/vectors/one-patch")


@contextlib.contextmanager
def mounted(place, kib, options=""):
    """out/ on a file system of its own (run has made a mount namespace)."""
    if os.environ.get("HOSTILE_MOUNTS") != "yes":
        raise Skip("no mount namespace (unshare -m) here")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k{options}", "none", place.out], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place.out], check=True)


def writers(place):
    """Every command that writes results, where they go to out/: name -> (words, exit where all is well)."""
    place.cases(6)
    place.write("work/finding.json", case(expect=ABSENT))
    place.write("work/good.json", case())
    made = place.run("run", "finding.json", "--fast", "twin", "--json", place.path("work/r.jsonl"), "--only", "finite")
    assert made.code == 1, made.said
    o, common = place.out, ("--fast", "twin", "--only", "accuracy")
    place.look()
    all_of_them = {
        "replay --json": (("replay", place.corpus, *common, "--json", o + "/r.jsonl"), 0),
        "replay -j --json": (("replay", place.corpus, *common, "-j2", "--json", o + "/r.jsonl"), 0),
        "run --junit": (("run", place.path("corpus/00.json"), *common, "--junit", o + "/j.xml"), 0),
        "run, a finding": (("run", "finding.json", "--fast", "twin", "--only", "finite", "--out", o), 1),
        "fuzz --json": (("fuzz", "--cases", "6", "--seed", "1", "--profile", "rate", *common, "--json", o + "/r.jsonl"), 0),
        "report": (("report", "r.jsonl", "--out", o), 0),
        "shrink": (("shrink", "good.json", "--fast", ONES, "--only", "accuracy", "--runs", "6", "--out", o), 1),
        "baseline save": (("baseline", "save", o + "/kept", place.path("corpus/00.json"), "--fast", "twin"), 0),
        "forward": (("forward", "--engine", "ref", "--model", VECTOR, "--case", VECTOR + "/case.safetensors", "--context", "4", "--out",
                     o + "/x.safetensors"), 0),
        "corpus stats": (("corpus", "stats", place.corpus, "--fast", "twin", "--json", o + "/c.json"), 0),
        "bisect": (("bisect", "finding.json", "--fast", "twin", "--only", "finite", "--json", o + "/b.jsonl"), 0),
        "calibrate": (("calibrate", "--ref", "ref", "--fast", "twin", "--cases", "400", "--seed", "1", "--out", o + "/e.json"), 0),
        "bench": (("bench", "--pairs", "3", "--steps", "1", "--fast", "twin", "--json", o + "/b.jsonl"), 0),
    }
    if not place.args.long:
        del all_of_them["calibrate"]  # five seconds each
    return all_of_them


def refused(place, name, done, clean):
    """Where something could not be written: exit 3 (1 where there was a finding), and one line says what and why."""
    said = [l for l in done.err.splitlines() if "written" in l or "made" in l or "space" in l or "large" in l]
    assert done.code == 3 or clean == done.code == 1, f"{name}: exit {done.how}\n{done.said}"
    assert said, f"{name}: nothing was said\n{done.said}"
    assert [l for l in said if place.out in l or "shared memory" in l], f"{name}: which file?\n{done.said}"
    place.row(done.how, f"{name}: {said[0]}")


BESIDE = ("before.json", "filler")  # what full_disk lays there itself


def undisturbed(place, name, words, clean):
    """What each command leaves where all is well; of a bench, whose figures are times: which figures there are."""
    place.empty()
    done = place.run(*words)
    assert done.code == clean, f"{name}, undisturbed: exit {done.how}, not {clean}\n{done.said}"
    good = results(place, figures=name != "bench")
    assert good, f"{name} wrote nothing"
    place.empty()
    return good


def failed(place, name, done, clean, good):
    """True: it was refused. Else all that the undisturbed run wrote is there: exit 0 and 1 promise no less, whatever was said."""
    place.looked.add("results")
    if done.code == clean and "written" not in done.err:
        now = results(place, BESIDE, figures=name != "bench")
        lost = [parts(now.get(k), good.get(k), k) for k in now.keys() | good.keys() if now.get(k) != good.get(k)]
        assert not lost, f"{name}: exit {done.how}, and not the whole result: {lost}\n{done.said}"
        return False
    refused(place, name, done, clean)
    return True


@condition("a full disk", "exit 3 (1: a finding) and the file's name, or the whole result; what stood there before is whole, no temporary file stays")
def full_disk(place):
    for name, (words, clean) in writers(place).items():
        good, refusals = undisturbed(place, name, words, clean), 0
        for kib in ((4, 8, 12, 16, 24, 32, 48) if place.args.long else (4, 8, 16)):
            with mounted(place, kib):
                place.write("out/before.json", case())
                kept = os.stat(place.path("out/before.json"))
                with open(place.path("out/filler"), "wb") as f, contextlib.suppress(OSError):
                    while kib == 4:
                        os.write(f.fileno(), bytes(512))
                refusals += (bad := failed(place, name, place.run(*words), clean, good))
                os.remove(place.path("out/filler"))
                assert os.stat(place.path("out/before.json")).st_mtime_ns == kept.st_mtime_ns
                place.clean((name, kib), torn=bad)
        assert refusals, f"{name}: a disk without a free block was no hindrance"


@condition("a file that may not grow", "the same, at every size: every write fails in its turn (RLIMIT_FSIZE)")
def no_growth(place):
    # what has workers is refused its shared memory first; full_disk alone sees those fail to write
    for name, (words, clean) in writers(place).items():
        good, refusals = undisturbed(place, name, words, clean), 0
        for size in ((0, 1, 100, 512, 1000, 2000, 3000, 5000, 8000, 12000, 20000) if place.args.long else (0, 700, 5000)):
            place.empty()
            done = place.run(*words, limits=((resource.RLIMIT_FSIZE, size),))
            refusals += (bad := failed(place, name, done, clean, good))
            place.clean((name, size), torn=bad)
        assert refusals, f"{name}: no size was a hindrance"
    place.empty()


@condition("standard output that is full", "exit 3 and a line on stderr")
def full_output(place):
    place.cases(2)
    place.look()
    with open("/dev/full", "w", encoding="ascii") as full:
        for words in (("run", place.path("corpus/00.json"), "--fast", "twin"), ("list",), ("new", "--seed", "1", "--index", "1"),
                      ("show", place.path("corpus/00.json"))):
            done = subprocess.run([place.program, *words], cwd=place.work, env=place.environment(), stdout=full, stderr=subprocess.PIPE,
                                  text=True, timeout=60, check=False)
            assert done.returncode == 3 and "written" in done.stderr, (words, done)
            place.row("3", done.stderr.splitlines()[-1])
    place.clean("full output")


@condition("a read-only output folder", "refused before anything is computed: exit 3 and the folder's name; a night: the same")
def read_only(place):
    programs = writers(place)
    with mounted(place, 64, ",ro"):
        for name, (words, clean) in programs.items():
            done = place.run(*words)
            refused(place, name, done, clean)
            if name.startswith(("replay", "run --", "fuzz")):
                assert " cases in " not in done.out, f"{name}: learned at the end\n{done.said}"
            place.clean(name)
        night = os.path.join(place.args.bin, "nightly")
        if os.path.exists(night):
            place.exits(3, "cannot be", "--out", place.out + "/night", "--seconds", "5", "--bin", place.args.bin, "--corpus",
                        os.path.join(SOURCE, "corpus"), "--fast", "twin", "--lanes", "random", "--canary", "off", program=night)


@condition("findings behind a link out of --out", "exit 1, for the finding stands, and a line that names the link: nothing is written where it leads")
def linked_findings(place):
    place.write("work/finding.json", case(expect=ABSENT))
    os.symlink(place.path("home"), place.path("out/findings"))
    done = place.exits(1, "/out/findings: is a symbolic link", "run", "finding.json", "--fast", "twin", "--only", "finite", "--out", place.out)
    assert os.listdir(place.path("home")) == [], done.said
    os.remove(place.path("out/findings"))
    # a link at the finding's own name is replaced, never followed
    done = place.exits(1, "FINDING", "run", "finding.json", "--fast", "twin", "--only", "finite", "--out", place.out)
    name, = os.listdir(place.path("out/findings"))
    path = place.path("out/findings/" + name)
    victim = place.write("home/victim", "mine")
    place.look()
    os.remove(path)
    os.symlink(victim, path)
    place.exits(1, "FINDING", "run", "finding.json", "--fast", "twin", "--only", "finite", "--out", place.out)
    assert not os.path.islink(path)  # and home/ is untouched: exits() looked

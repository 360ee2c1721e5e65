"""Memory runs out: the n-th allocation of the host and of the twin's device, address space."""
import os
import re
import resource
import signal

from harness import ABSENT, SOURCE, Server, Skip, case, condition
from results import parts, results, told, unknown

MOST_WRONG = 8  # then a sweep gives up
VECTOR = os.path.join(SOURCE, "tests/vectors/one-patch")
# All that a want of memory is called: by the program, by its device, by errno.
LACKS = re.compile(r"no memory|[Cc]annot allocate|no \d+ (bytes|MiB) (to|of|for) ")
DEVICE = re.compile(r"twin: [^:]+: cannot allocate \d+ bytes \(\d+ live\)")


class Sweep:
    """Runs of one command line in which the n-th allocation fails: for every n that `step` leaves, until one is not reached."""

    def __init__(self, place, words, environment=None, lacks=LACKS):
        self.place, self.words, self.environment, self.lacks = place, words, environment, lacks
        self.runs = self.passed = 0
        self.ends, self.wrong, self.libc = {}, [], 0

    def judge(self, n, end, good, clean):
        place = self.place
        out, err = place_said = self.server.said()
        what = f"allocation {n} of {' '.join(map(str, self.words))}: exit {end}\n{place_said[0][-1500:]}{err}"
        if end == -signal.SIGSEGV and not out + err and self.words[0] in ("replay", "corpus"):
            self.libc += 1  # glibc's fts_open (2.36) crashes where its last allocation fails: before anything was read or written
            assert self.libc == 1 and not results(place), what
            return
        assert end in (clean, 3) or (clean == 1 and end in (1, 3)), what
        place.whole(what)
        now = results(place)
        if end == 1:
            assert "FINDING" in out, f"no verdict: {what}"
        if end == 3:
            assert re.search(r"(?m)^oracle-diff: .{8,}", err) or re.search(r"ERROR .{8,}", out), f"no message: {what}"
            assert self.lacks.search(err + out), f"not of memory: {what}"
        # 0 promises the whole result, whatever is said beside it; a finding outranks what was lost, and then that is said
        if end == clean and not (clean == 1 and self.lacks.search(err)):
            place.looked.add("results")
            lost = [k for k in set(now) | set(good[0]) if not unknown(now.get(k), good[0].get(k))]
            assert not lost, f"{[parts(now.get(k), good[0].get(k), k) for k in lost]} differ, and the exit says that all is there: {what}"
            # libsmartcols prints nothing where it has no memory for a cell, and says nothing: the last line, which is the verdict
            assert told(out).splitlines()[-1:] == good[1].splitlines()[-1:], f"another verdict was told: {what}"
        # what does not stand in the undisturbed run is nothing that a want of memory may make
        more = [k for k in now if k not in good[0] and not k.endswith((".jsonl", ".xml"))]
        assert not more, f"{more}: {what}"
        self.ends.setdefault(end, (err or out).strip().splitlines()[:1])

    def go(self, step=1, how=0, first=1):
        place = self.place
        program = place.args.wrapped or place.program
        self.server = Server(place, [program, *self.words], bool(place.args.wrapped), self.environment)
        try:
            place.empty()
            clean, failed, calls = self.server.go(0, how)
            good = results(place), told(self.server.said()[0])
            assert failed == 0 and clean in (0, 1), (self.words, clean, good[1])
            n = first
            while True:
                place.empty()
                end = self.server.go(n, how)
                assert end, f"allocation {n} of {self.words}: no end within a minute"
                if end[1] == 0:
                    assert n > calls // 2 and end[0] == clean, (n, calls, end)
                    self.server.said()
                    break
                try:
                    self.judge(n, end[0], good, clean)
                except AssertionError as wrong:
                    self.wrong.append(str(wrong))
                    assert len(self.wrong) < MOST_WRONG, "\n\n".join(self.wrong)
                self.runs += 1
                n += step
        finally:
            self.server.end()
        assert not self.wrong, "\n\n".join(self.wrong)
        place.empty()
        place.clean(self.words)
        return self


def command_lines(place, wide):
    """name -> words: what a forward, a run, a replay, and their readers are made of."""
    place.write("corpus/a.json", case())
    place.write("work/finding.json", case(expect=ABSENT))
    to = place.out
    common = ("--fast", "twin", "--quiet")
    lines = {
        "run ref:twin": ("run", place.path("corpus/a.json"), *common, "--only", "accuracy", "--json", to + "/r.jsonl", "--junit",
                         to + "/j.xml"),
        "run with a finding": ("run", "finding.json", *common, "--only", "finite", "--out", to, "--json", to + "/r.jsonl"),
        "run ref64:twin": ("run", place.path("corpus/a.json"), "--ref", "ref64", *common, "--only", "accuracy"),
        "replay": ("replay", place.corpus, *common, "--only", "accuracy", "--json", to + "/r.jsonl"),
        "forward": ("forward", "--engine", "twin", "--model", VECTOR, "--case", VECTOR + "/case.safetensors", "--context", "4",
                    "--out", to + "/o.safetensors"),
        "compare": ("compare", VECTOR + "/case.safetensors", VECTOR + "/case.safetensors"),
    }
    if wide:
        corpus = os.path.join(SOURCE, "corpus/forward")
        csv = next(n for n in sorted(os.listdir(corpus)) if "csv" in open(os.path.join(corpus, n), encoding="utf-8").read())
        lines |= {
            "run, every oracle in this process": ("run", place.path("corpus/a.json"), *common, "--process", "0", "--json", to + "/r.jsonl",
                                                  *(w for o in ("accuracy", "finite", "determinism", "vacuity", "captures",
                                                                "consistency", "memory") for w in ("--only", o))),
            "run, arbiter and envelope": ("run", place.path("corpus/a.json"), "--fast", "twin", "--arbiter", "--policy", "envelope",
                                          "--only", "accuracy", "--json", to + "/r.jsonl"),
            "run of a CSV": ("run", os.path.join(corpus, csv), *common, "--only", "accuracy"),
            "run of a model's folder": ("run", place.path("corpus/a.json"), *common, "--model", os.path.join(SOURCE, "tests/vectors/seed-tiny"),
                                        "--only", "accuracy"),
            "run in workers": ("run", place.path("corpus/a.json"), *common, "--isolate", "--only", "accuracy", "--json", to + "/r.jsonl"),
            "show": ("show", place.path("corpus/a.json")),
            "new": ("new", "--seed", "1", "--index", "1"),
            "shrink": ("shrink", "finding.json", "--fast", "twin", "--out", to, "--only", "finite", "--runs", "4"),
            "baseline save": ("baseline", "save", to + "/kept", place.path("corpus/a.json"), "--fast", "twin"),
            "corpus stats": ("corpus", "stats", place.corpus, "--fast", "twin", "--json", to + "/c.json"),
        }
    return lines


@condition("the n-th host allocation fails",
           "exit 3 (1: a finding) and what lacks memory, or the same results and verdict as undisturbed; no crash, no torn or temporary file")
def host_allocation(place):
    if not (place.args.interpose or place.args.wrapped):
        raise Skip("a sanitized build has no interposer but oracle-diff-hostile")
    wide = place.args.long
    sweeps, names = [], command_lines(place, wide)
    place.look()
    for name, words in names.items():
        if place.args.line and place.args.line not in name:
            continue
        # every allocation of the shortest run, in which engines are made; of others a prime step, so that over several
        # command lines no place is passed by each time
        every = wide or name == "run ref:twin"
        for how, step in ((0, 1 if every else 127), (1, 3 if wide else 331)):
            # every oracle plays hundreds of times: each of its allocations would take hours; so do workers
            many = {"run, every oracle in this process": 97, "shrink": 53, "run with a finding": 11, "run in workers": 3,
                    "run, arbiter and envelope": 3}.get(name, 1) if wide else 1
            sweep = Sweep(place, words).go(step=step * many, how=how)
            if wide:
                print(f"  {name}, {'this one and all behind it' if how else 'this one alone'}: {sweep.runs} runs, exits {sorted(sweep.ends)}",
                      flush=True)
            sweeps.append(sweep)
    ends = {}
    for sweep in sweeps:
        for end, said in sweep.ends.items():
            ends.setdefault(end, said)
    assert 3 in ends, ends
    place.row("/".join(map(str, sorted(ends))), f"{sum(s.runs for s in sweeps)} runs; {''.join(ends[3])}")


@condition("the n-th device allocation fails", "exit 3, and whose buffer found how many bytes lacking beside those that live; the run ends cleanly")
def device_allocation(place):
    if not (place.args.interpose or place.args.wrapped):
        raise Skip("no interposer")
    place.write("corpus/a.json", case())
    place.look()
    words = ("run", place.path("corpus/a.json"), "--fast", "twin", "--quiet", "--only", "accuracy", "--json", place.out + "/r.jsonl")
    runs, ends = 0, {}
    for how in (2, 3):
        sweep = Sweep(place, words, lacks=DEVICE).go(how=how)
        runs += sweep.runs
        ends |= sweep.ends
    assert runs > 8 and set(ends) == {3}, (runs, ends)
    place.row("3", f"{runs} runs; {''.join(ends[3])}")


@condition("no address space for OpenBLAS", "exit 3 at once: OpenBLAS itself would ask for it forever")
def openblas(place):
    if place.args.wrapped:
        raise Skip("a sanitized program has terabytes of address space")
    words = ("run", place.write("corpus/a.json", case()), "--fast", "twin", "--only", "accuracy")
    seen = {}
    mib = 6000  # a program with CUDA maps gigabytes of libraries
    while mib > 200:
        limits = ((resource.RLIMIT_AS, mib << 20), (resource.RLIMIT_CPU, 2))
        two = {"OPENBLAS_NUM_THREADS": "2"}
        if place.run("new", "--seed", "1", "--index", "1", limits=limits, environment=two).code != 0:
            break  # not even its libraries find room: OpenBLAS asks for its buffer before main as well
        done = place.run(*words, limits=limits, environment=two)
        assert done.code in (0, 3), f"{mib} MiB: exit {done.how}\n{done.said}"
        seen.setdefault(done.code, done)
        mib = mib * 93 // 100  # less than what two threads of OpenBLAS ask for, where that matters
    assert 0 in seen and (3 not in seen or "MiB of address space" in seen[3].said), seen
    place.clean(words)
    for code, done in seen.items():
        place.row(str(code), done.message)

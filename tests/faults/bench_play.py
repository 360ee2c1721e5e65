"""One run of the bench: a generator with a fault planted, until the first finding or the limit; then what becomes of the
finding without the fault, in explain and in shrink.

Seconds of the limit are of processor time (all that the run's processes took, their start included), so that a busy machine
finds what an idle one finds; engines and generators have one thread. A row has the wall clock's seconds as well.
"""
import collections
import functools
import hashlib
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time

GENERATORS = ("random", "libfuzzer")
TARGETS = ("forward", "session", "modes")
SLICE = 10  # seconds of a target's turn
WALL = 20  # a run may take so many times its limit by the wall clock: two cores, and neighbours
COLUMNS = ["fault", "generator", "seed", "limit", "fast", "how", "oracle", "signature", "inputs", "cpu", "seconds", "reached",
           "reached_input", "reached_s", "triggered", "triggered_input", "triggered_s", "healthy", "explain", "said",
           "explain_s", "entries", "shrink_s", "end", "build"]
KEY = COLUMNS[:5]
# What judges a finding without its fault: all but speed, which is a matter of time.
ORACLES = ("accuracy", "finite", "determinism", "memory", "vacuity", "captures", "consistency")
INPUT_BYTES = 1 << 16  # the end of a flight record
BETWEEN = " ¦ "  # lines of what explain said
SEES = {"scaler": r"^the scaler|\(scaler\)", "embedding": r"patch embedding", "time": r"\(time-wise\)|\(layer \d+ time\)",
        "space": r"\(space-wise\)|\(layer \d+ space\)", "layer": r"^layer \d+ \(|\(layer \d+ ",
        "input": r"^the scaler|\(scaler\)|patch embedding",
        "heads": r"^the heads behind|\(heads\)|^the mean forecast|\(mean\)"}

Done = collections.namedtuple("Done", "code text cpu seconds")


def environment(**more):
    """This process's, without what would change a run; None takes a name away."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OD_")}
    kept.update(OPENBLAS_NUM_THREADS="1")
    kept.update({k: v for k, v in more.items() if v is not None})
    return kept


def call(argv, env, cwd, cpu=None, wall=600):
    """A process to its end, or to so many seconds of processor or wall; what it started goes with it."""
    if cpu is not None:
        argv = ["sh", "-c", 'ulimit -c 0; ulimit -S -t "$0" && exec "$@"', str(max(1, round(cpu))), *argv]
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(argv, env=env, cwd=cwd, stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
        timer = threading.Timer(wall, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        said.seek(0)
        text = said.read().decode(errors="replace")
    return Done(process.returncode, text, usage.ru_utime + usage.ru_stime, time.monotonic() - began)


def read_record(path):
    """(inputs begun, inputs finished, seconds since, the input) of a flight record (oracles/recorder.h)."""
    try:
        with open(path, "rb") as f:
            data = f.read()
    except FileNotFoundError:
        return 0, 0, 0, ""
    if len(data) < INPUT_BYTES + 48:
        return 0, 0, 0, ""
    began, finished, since = struct.unpack_from("2Qd", data, 24)
    size, = struct.unpack_from("Q", data, len(data) - INPUT_BYTES - 8)
    text = data[len(data) - INPUT_BYTES:][:min(size, INPUT_BYTES)]
    return began, finished, time.monotonic() - since, text.decode(errors="replace")


def read_fault_record(path):
    """Fields of struct od_fault_record (tests/faults/fault.h), empty where there is none."""
    names = "fault reached reached_at triggered triggered_at inputs reached_input triggered_input".split()
    try:
        with open(path, "rb") as f:
            return dict(zip(names, struct.unpack("8Q", f.read(64))))
    except (FileNotFoundError, struct.error):
        return dict.fromkeys(names, "")


@functools.lru_cache(maxsize=None)
def digest(paths):
    """Of programs: the first 12 hexadecimal digits of SHA-256 over their files, - where one is not there."""
    whole = hashlib.sha256()
    try:
        for path in paths:
            with open(path, "rb") as f:
                whole.update(hashlib.sha256(f.read()).digest())
    except OSError:
        return "-"
    return whole.hexdigest()[:12]


def build_of(generator, options):
    """The build that a row is of: all programs that may have a part in it."""
    if generator == "check":
        return digest(tuple(f"{options.bin}/suites_{room}" for room in ("model", "oracles", "ref")))
    targets = [f"{options.targets}/fuzz_{t}" for t in TARGETS] if generator == "libfuzzer" else []
    return digest((options.program, *targets))


class Run:
    """A job while it plays: job has fault, generator, seed, limit; options has the programs."""

    def __init__(self, job, options, place):
        self.job, self.options, self.place = job, options, place
        self.record, self.faults = f"{place}/record", f"{place}/faults"
        self.cpu = self.inputs = 0
        self.how = self.signature = self.end = ""
        self.case = None
        self.began = time.monotonic()

    def budget(self):
        """Seconds that are left, None where the limit is one of cases."""
        return max(0, self.options.seconds - self.cpu) if not self.options.cases else None

    def environment(self, fault=True, **more):
        shared = "1" if self.options.fast == "gpu" and self.options.jobs > 1 else None
        return environment(OD_FAULT=self.job["fault"] if fault and self.job["fault"] != "none" else None,
                           OD_SHARED_DEVICE=shared, **more)

    def random(self):
        limit = self.budget()
        many = ["--cases", str(self.options.cases)] if limit is None else ["--seconds", str(limit * WALL)]
        argv = [self.options.program, "fuzz", "--quiet", "--first", "--relate", "--profile", self.options.profile, "--seed",
                str(self.job["seed"]), "--record", self.record, "--out", self.place, "--ref", "ref", "--fast",
                self.options.fast, *many]
        done = call(argv, self.environment(OD_FAULT_RECORD=self.faults), self.place, limit,
                    self.options.wall if limit is None else limit * WALL)
        text = self.account(done)
        if done.code == 1:
            self.found_file()
        elif done.code in (-signal.SIGXCPU, -signal.SIGKILL):
            self.is_hanging(text)
        elif done.code < 0:
            self.crashed(f"crash/{signal.Signals(-done.code).name}", text)
        elif done.code != 0:
            self.end = f"exit {done.code}: {last_line(done.text)}"

    def libfuzzer(self):
        """The targets in turn, as in a night's worker; which is first follows from the seed."""
        turn = 0
        while not self.how and not self.end and (self.options.cases and turn < len(TARGETS) or (self.budget() or 0) >= 1):
            self.slice(TARGETS[(self.job["seed"] + turn) % len(TARGETS)], turn)
            turn += 1

    def slice(self, target, turn):
        limit, corpus = self.budget(), f"{self.place}/corpus-{target}"
        os.makedirs(corpus, exist_ok=True)
        runs = [f"-runs={self.options.cases // len(TARGETS)}"] if limit is None else []
        limit = None if limit is None else min(limit, SLICE)
        argv = [f"{self.options.targets}/fuzz_{target}", f"-seed={1000 * self.job['seed'] + turn + 1}", "-error_exitcode=79",
                "-timeout=120", f"-artifact_prefix={self.place}/", *runs, corpus, self.options.seeds_folder]
        env = self.environment(OD_FAULT_RECORD=self.faults, OD_RECORD=self.record, OD_REF="ref", OD_FAST=self.options.fast,
                               OD_OUT=self.place, OD_CORPUS=self.options.seeds_folder)
        done = call(argv, env, self.place, limit, self.options.wall if limit is None else limit * WALL)
        text = self.account(done)
        if re.search(r"^FINDING ", done.text, re.M):
            self.found_file()
        elif done.code in (-signal.SIGXCPU, -signal.SIGKILL):
            self.is_hanging(text)
        elif done.code < 0 or done.code == 79:
            what = re.search(r"ERROR: libFuzzer: ([\w-]+(?: \w+)?)", done.text)
            self.crashed("crash/" + (what.group(1).replace(" ", "-") if what else str(done.code)), text)
        elif done.code != 0:
            self.end = f"exit {done.code}: {last_line(done.text)}"

    def account(self, done):
        """Adds a process's inputs and time; returns the input that it played last."""
        began, self.finished, self.since, text = read_record(self.record)
        self.begun = began
        self.inputs += began
        self.cpu += done.cpu
        return text

    def found_file(self):
        folder = f"{self.place}/findings"
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        if not names:
            self.end = "a finding without a file"
            return
        self.case = f"{folder}/{names[0]}"
        with open(self.case, encoding="utf-8") as f:
            self.how, self.signature = "finding", json.load(f)["finding"]["signature"]

    def is_hanging(self, text):
        if self.begun > self.finished and self.since > 10:
            self.crashed("hang", text)

    def crashed(self, signature, text):
        """What was played last is the finding; an input of fuzz is told by seed, index and profile."""
        self.how, self.signature, self.case = "crash", signature, f"{self.place}/crash.json"
        drawn = re.match(r"seed (\d+) index (\d+) profile (\w+)$", text)
        if drawn:
            argv = [self.options.program, "new", "--seed", drawn[1], "--index", drawn[2], "--profile", drawn[3]]
            text = call(argv, environment(), self.place).text
        with open(self.case, "w", encoding="utf-8") as f:
            f.write(text)

    # ---- behind the finding ----------------------------------------------------------------------------------------

    def tool(self, command, fault, *more):
        isolate = ["--isolate"] if self.how == "crash" else []
        return call([self.options.program, command, self.case, "--ref", "ref", "--fast", self.options.fast, *isolate, *more], self.environment(fault), self.place, wall=self.options.wall)

    def only(self):
        kind = self.signature.split("/")[0]
        return ["--only", "/".join(self.signature.split("/")[:2]) if kind == "consistency" else kind] \
            if kind in ORACLES + ("speed",) else []

    def healthy(self):
        judges = self.only() if self.signature.startswith("speed") else [w for o in ORACLES for w in ("--only", o)]
        done = self.tool("run", False, "--process", "0", *judges)
        return "pass" if done.code == 0 else f"exit {done.code}"

    def explain(self, row, fault):
        done = self.tool("explain", True, *self.only())
        row["explain_s"] = f"{done.seconds:.2f}"
        row["explain"], row["said"] = judge_words(fault, done.text)

    def shrink(self, row):
        done = self.tool("shrink", True, "--out", self.place)
        row["shrink_s"] = f"{done.seconds:.2f}"
        small = re.search(r"^shrunk +(\d+)", done.text, re.M)
        row["entries"] = small[1] if small else "flaky" if "flaky" in done.text else f"exit {done.code}"


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1][:160] if lines else ""


def judge_words(fault, text):
    """(yes, no or none, the lines of explain that name a place): do they name the stage, and blame the room, of the fault?"""
    lines = [re.sub(r"^without hidden states: ", "", l) for l in text.splitlines()
             if re.search(r", first (in|at) .*: |^determinism: |^\w+: (no matter of values|the fast path against itself)", l)]
    said = BETWEEN.join(l[:200] for l in lines or [last_line(text)])
    if fault.stage == "none":
        return "none", said
    wrong = "the fast path " if fault.room == "ref" else "the reference "
    for line in lines:
        blames = re.search(wrong + r"(is wrong|is farther)", line)
        if re.search(SEES[fault.stage], line) and not blames:
            return "yes", said
    return "no", said


def seconds_of(at, began):
    return f"{at / 1e9 - began:.2f}" if at else ""


def play(job, fault, options):
    """The row of one run; fault has stage and room."""
    with tempfile.TemporaryDirectory(prefix="od-bench-") as place:
        run = Run(job, options, place)
        getattr(run, job["generator"])()
        seconds = time.monotonic() - run.began
        marks = read_fault_record(run.faults)
        row = dict.fromkeys(COLUMNS, "")
        row.update({k: job[k] for k in KEY}, build=build_of(job["generator"], options), how=run.how, signature=run.signature, inputs=run.inputs,
                   oracle=run.signature.split("/")[0], cpu=f"{run.cpu:.2f}", seconds=f"{seconds:.2f}", end=run.end)
        for mark in ("reached", "triggered"):
            row.update({mark: str(marks[mark]), f"{mark}_input": marks[f"{mark}_input"] or "",
                        f"{mark}_s": seconds_of(marks[f"{mark}_at"], run.began)})
        if not run.how:
            return row
        row["healthy"] = run.healthy()
        if options.keep:
            os.makedirs(options.keep, exist_ok=True)
            shutil.copy(run.case, f"{options.keep}/{job['fault']}-{job['generator']}-{job['seed']}.json")
        if int(job["seed"]) <= options.tools and job["fault"] != "none":
            run.explain(row, fault)
            run.shrink(row)
    return row

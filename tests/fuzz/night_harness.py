"""What the tests of nightly share: a folder of programs (true ones and fakes), nights, their journals, Prometheus text."""
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback

NIGHTLY, ORACLE_DIFF, SOURCE = (os.path.abspath(p) for p in sys.argv[1:4])
FAKE = os.path.join(SOURCE, "tests/fuzz/night_fake.py")
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


class Place:
    """A folder of its own, with the programs of a night in bin/ and a seed in seeds/forward."""

    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="od-night-")
        self.out = self.path("night")
        os.mkdir(self.path("bin"))
        os.symlink(ORACLE_DIFF, self.path("bin/oracle-diff"))
        for name in ("faults-oracle-diff", "fuzz_forward", "fuzz_session", "fuzz_modes"):
            os.symlink(FAKE, self.path("bin/" + name))
        os.makedirs(self.path("seeds/forward"))
        shutil.copy(os.path.join(SOURCE, "corpus/forward/all-space-every-1.json"), self.path("seeds/forward"))

    def path(self, name):
        return os.path.join(self.top, name)

    def command(self, seconds, *words, out=None, lanes="forward"):
        return [NIGHTLY, "--out", out or self.out, "--seconds", str(seconds), "--bin", self.path("bin"), "--corpus",
                self.path("seeds"), "--fast", "twin", "--lanes", lanes, "--workers", "1", "--slice", "1", *words]

    def night(self, seconds, *words, out=None, lanes="forward", prefix=(), **environment):
        return run([*prefix, *self.command(seconds, *words, out=out, lanes=lanes)], self.top, environment)

    def start(self, seconds, *words, lanes="forward", **environment):
        # pylint: disable=consider-using-with
        return subprocess.Popen(self.command(seconds, *words, lanes=lanes), cwd=self.top, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **environment})


def run(words, cwd, environment=None):
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=200, check=False,
                          env={**os.environ, **(environment or {})})


def exits(done, code, *words):
    """That status, and each word in what was said."""
    said = done.stdout + done.stderr
    assert done.returncode == code, f"exit {done.returncode}, not {code}\n{said}"
    for word in words:
        assert word in said, f"{word!r} is not in\n{said}"
    return said


def journal(folder, event=None):
    with open(os.path.join(folder, "night.jsonl"), encoding="utf-8") as f:
        lines = [json.loads(line) for line in f.read().split("\n")[:-1]]
    return [line for line in lines if event in (None, line["event"])]


def ends(folder, lane=None):
    return [line["end"] for line in journal(folder, "slice") if lane in (None, line["lane"])]


def findings(folder):
    return {line["signature"]: line for line in journal(folder, "finding") if line["status"] != "duplicate"}


def files(folder):
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABELS = re.compile(r'(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})?')


def metrics(path):
    """Text format 0.0.4, strictly: HELP and TYPE once and before the samples, no sample twice, numbers alone."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert text.endswith("\n")
    helped, typed, values = set(), {}, {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = re.fullmatch(rf"# HELP ({NAME}) .+", line).group(1)
            assert name not in helped, line
            helped.add(name)
        elif line.startswith("# TYPE "):
            name, kind = re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge)", line).groups()
            assert name not in typed and name in helped, line
            assert (kind == "counter") == name.endswith("_total"), line
            typed[name] = kind
        else:
            name = re.match(NAME, line).group()
            labels = LABELS.match(line, len(name))
            value = line[labels.end():]
            assert name in typed and re.fullmatch(r" [0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?", value), line
            assert (name, labels.group(1)) not in values, f"twice: {line}"
            values[name, labels.group(1)] = float(value)
    return values


def total(values, name):
    return sum(value for (key, _), value in values.items() if key == name)


def alive(place):
    """Processes that have to do with the place."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if place.top.encode() in f.read() and int(pid) != os.getpid():
                    found.append(pid)
        except OSError:
            continue
    return found


def once(function):
    place = Place()
    try:
        function(place)
        assert not alive(place), f"processes are left: {alive(place)}"
    finally:
        shutil.rmtree(place.top, ignore_errors=True)
    return function.__name__


def main(at_once=8):
    chosen = [c for c in CHECKS if not sys.argv[4:] or c.__name__ in sys.argv[4:]]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        jobs = {pool.submit(once, function): function for function in chosen}
        for job in concurrent.futures.as_completed(jobs):
            try:
                print("ok", job.result(), flush=True)
            except Exception as error:  # pylint: disable=broad-except
                failed += 1
                print("FAILED", jobs[job].__name__, type(error).__name__, error, flush=True)
                traceback.print_exc(limit=-2)
    if failed or not chosen:
        sys.exit(f"{failed} of {len(chosen)} checks failed")

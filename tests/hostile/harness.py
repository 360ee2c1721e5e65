"""What the tests of hostile conditions share: a place that nothing but --out may change, a server of runs in which the n-th
allocation fails, and what must hold after every run."""
import hashlib
import json
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import tempfile
import time
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
CONDITIONS = []

CASE = """{
  "format": 1,
  "model": {"preset": "seed-tiny", "seed": 5},
  "series": {"batch": 1, "variates": 2, "generator": "normal", "seed": %d},
  "schedule": [
    {"op": "prefill", "session": 0, "steps": 16},
    {"op": "decode", "session": 0, "patches": 2, "feed": "teacher"}
  ],
  "forecast": "mean",
  "expect": "%s"
}
"""
ABSENT = "accuracy/loc/own/b1.v1.s1/ref:twin"  # expected and not there: a finding (expect/absent) in a healthy build
SIGNALS = {-n.value: n.name for n in signal.Signals}


class Skip(Exception):
    """The machine lacks what the condition needs."""


def case(seed=6, expect="pass"):
    return CASE % (seed, expect)


def condition(name, must, needs=()):
    """A test of one condition: what must hold, and which options of the command line it needs."""
    def keep(function):
        CONDITIONS.append((name, must, function, needs))
        return function
    return keep


def entry(path):
    """What a file is: kind, time of its last change, content."""
    st = os.lstat(path)
    if os.path.islink(path):
        return "link", os.readlink(path)
    if os.path.isdir(path):
        return "folder", st.st_mode
    with open(path, "rb") as f:
        return "file", st.st_mtime_ns, hashlib.sha256(f.read()).hexdigest()


def tree(top, without=()):
    found = {}
    for folder, folders, names in os.walk(top):
        folders[:] = [d for d in folders if os.path.join(folder, d) not in without]
        for name in folders + names:
            path = os.path.join(folder, name)
            if path not in without:
                found[os.path.relpath(path, top)] = entry(path)
    return found


def shared():
    """Names in /dev/shm: memory that outlives its processes."""
    return set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()


class Done:
    """How a run ended; `said` is all that it told."""

    def __init__(self, code, out, err, seconds, rss):
        self.code, self.out, self.err, self.seconds, self.rss = code, out, err, seconds, rss
        self.said = out + err

    @property
    def how(self):
        return SIGNALS.get(self.code, str(self.code))

    @property
    def message(self):
        lines = [l for l in self.err.splitlines() if l] or [
            l for l in self.out.splitlines() if re.search("ERROR|FINDING|exit", l)]
        return lines[0] if lines else ""


class Place:
    """A folder of its own for each condition. Below it work/ (the current folder), home/, tmp/ (TMPDIR), corpus/ and out/: nothing
    but out/ may change, unless a test says so."""

    def __init__(self, args):
        self.args = args
        self.top = tempfile.mkdtemp(prefix="od-hostile-")
        for name in ("work", "home", "tmp", "corpus", "out"):
            os.mkdir(self.path(name))
        self.out, self.work, self.corpus = self.path("out"), self.path("work"), self.path("corpus")
        self.shared = shared()
        self.rows = []
        self.looked = set()  # at what (run: LOOKED)
        self.before = None
        self.program = os.path.join(args.bin, "oracle-diff")

    def path(self, name):
        return os.path.join(self.top, name)

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w" if isinstance(text, str) else "wb", **({"encoding": "utf-8"} if isinstance(text, str) else {})) as f:
            f.write(text)
        return path

    def cases(self, n, folder="corpus"):
        return [self.write(f"{folder}/{i:02}.json", case(seed=i)) for i in range(n)]

    def environment(self, more=None):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HOSTILE_", "OD_", "LC_", "LD_"))}
        return {**kept, "HOME": self.path("home"), "TMPDIR": self.path("tmp"), "OPENBLAS_NUM_THREADS": "1", **(more or {})}

    def look(self):
        """From here on nothing outside of out/ may change."""
        self.before = tree(self.top, (self.out,))

    def start(self, words, environment=None, limits=(), **more):
        def prepare():
            for kind, most in limits:
                resource.setrlimit(kind, (most, most))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell in the background ignores it, and hands that on
        return subprocess.Popen([str(w) for w in words], cwd=self.work, env=self.environment(environment), text=True, errors="replace",
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=prepare, **more)

    def run(self, *words, program=None, environment=None, limits=(), timeout=120, kill=None):
        """kill: (seconds, signal)."""
        if self.before is None:
            self.look()
        since = time.monotonic()
        process = self.start([program or self.program, *words], environment, limits)
        try:
            if kill:
                time.sleep(kill[0])
                process.send_signal(kill[1])
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError(f"{words}: no end within {timeout} s") from None
        # the largest of all children so far: an upper bound
        rss = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        return Done(process.returncode, out, err, time.monotonic() - since, rss)

    def exits(self, code, word, *words, **more):
        """That status and word in what was told, and nothing is left or touched."""
        done = self.run(*words, **more)
        codes = code if isinstance(code, tuple) else (code,)
        assert done.code in codes, f"{words}: exit {done.how}, not {code}\n{done.said[-3000:]}"
        assert word in done.said, f"{words}: {word!r} is not in\n{done.said[-3000:]}"
        self.clean(words)
        self.row(done.how, done.message)
        return done

    def row(self, how, message):
        self.rows.append((how, message))

    def alive(self):
        """Processes that have to do with the place: by their words, or by where they are."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read()
                if int(pid) != os.getpid() and (self.top.encode() in words or os.readlink(f"/proc/{pid}/cwd").startswith(self.top)):
                    found.append((pid, words[:80]))
            except OSError:
                continue
        return found

    def clean(self, what, torn=False):
        """No process, no shared memory, no file but below out/, and every file there whole."""
        until = time.monotonic() + 5
        while self.alive():
            assert time.monotonic() < until, f"{what}: processes are left: {self.alive()}"
            time.sleep(0.02)
        new = {n for n in shared() - self.shared if n.startswith(("od", "oracle"))}
        assert not new, f"{what}: left in /dev/shm: {new}"
        now = tree(self.top, (self.out,))
        changed = {k for k in set(now) | set(self.before) if now.get(k) != self.before.get(k)}
        assert not changed, f"{what}: touched outside of --out: {sorted(changed)}"
        self.looked |= {"left", "outside"} | ({"heap"} if self.args.leaks else set())
        self.whole(what, torn)

    def whole(self, what, torn=False):
        """Files below out/ are whole. torn: the last line of lines may be cut (the program was killed while it wrote them, or told of it)."""
        self.looked.add("whole")
        for folder, _, names in os.walk(self.out):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.islink(path):
                    continue
                assert ".tmp" not in name, f"{what}: a temporary file is left: {path}"
                if name.endswith(".json"):
                    with open(path, encoding="utf-8") as f:
                        json.load(f)
                elif name.endswith(".jsonl"):
                    lines(path, torn)
                elif name.endswith(".xml"):
                    xml.etree.ElementTree.parse(path)

    def empty(self):
        """An out/ as new."""
        for name in os.listdir(self.out):
            path = os.path.join(self.out, name)
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.remove(path)

    def remove(self):
        shutil.rmtree(self.top, ignore_errors=True)


def lines(path, torn=False):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    rows = text.split("\n")
    if torn:
        rows = rows[:-1] + [""]
    else:
        assert not text or text.endswith("\n"), f"{path}: its last line is torn"
    return [json.loads(row) for row in rows[:-1]]


class Server:
    """A program in which the n-th allocation fails, again and again (interpose.c)."""

    def __init__(self, place, words, wrapped, environment=None):
        asked, self.ask = os.pipe()
        told, tell = os.pipe()
        preload = {} if wrapped else {"LD_PRELOAD": place.args.interpose}
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen([str(w) for w in words], cwd=place.work, pass_fds=(asked, tell), close_fds=True,
                                        env=place.environment({**preload, "HOSTILE_SERVE": f"{asked} {tell}", **(environment or {})}))
        os.close(asked)
        os.close(tell)
        self.told = os.fdopen(told)
        self.place = place

    def go(self, n, how=0):
        """(exit status or -signal, allocations that failed, allocations), None: no end within a minute."""
        os.write(self.ask, f"{n} {how}\n".encode())
        if not select.select([self.told], [], [], 60)[0]:
            self.process.kill()
            return None
        text = self.told.readline().split()
        assert len(text) == 3, f"the server is gone: {self.process.wait()}"
        status, failed, calls = map(int, text)
        return os.waitstatus_to_exitcode(status), failed, calls

    def said(self):
        texts = []
        for name in ("stdout", "stderr"):
            with open(os.path.join(self.place.work, name), encoding="utf-8", errors="replace") as f:
                texts.append(f.read())
            os.remove(os.path.join(self.place.work, name))
        return texts

    def end(self):
        os.close(self.ask)
        self.told.close()
        self.process.wait()

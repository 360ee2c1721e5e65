#!/usr/bin/env python3
"""Stands for a program of a night, by the name that it is called by: a libFuzzer target on cases, or oracle-diff with a
planted fault. What it does is told by the environment: FAKE="crash,ok" is what the first process of a worker does, and
the second and all behind it; FAKE_CANARY=dead is a canary that nothing finds, gone one that is not found again,
relation and other ones that are found by a relation and by something that has nothing to do with numbers."""
import glob
import mmap
import os
import shutil
import signal
import struct
import sys
import time

CASE = """{
  "format": 1,
  "model": {"preset": "seed-tiny", "seed": %d},
  "series": {"batch": 1, "variates": 1, "generator": "normal", "seed": 6},
  "schedule": [
    {"op": "prefill", "session": 0, "steps": 16}
  ],
  "forecast": "mean"%s
}
"""
FOUND = """,
  "finding": {"verdict": "FINDING", "signature": "%s", "pair": "ref:twin", "environment": "fake", "value": 1,
              "bound": 0.5}"""
SIGNATURE = "accuracy/df/prefill/b1.v1.s1/ref:twin"
OUTCOMES, ORACLES, INPUT = 6, 10, 1 << 16  # oracles/recorder.h


class Record:
    """oracles/recorder.h's layout."""

    def __init__(self, path):
        size = 8 * (6 + 1 + OUTCOMES + 2 + ORACLES + 4 + 2 + 1) + INPUT
        with open(path, "wb") as f:
            f.truncate(size)
        self.file = open(path, "r+b")
        self.map = mmap.mmap(self.file.fileno(), size)
        self.n = [0, 0]
        self.put()
        self.at(0, struct.pack("<Q", 0x4352444F))

    def at(self, offset, data):
        self.map[offset:offset + len(data)] = data

    def put(self, text=b""):
        done = self.n[1]
        fields = struct.pack("<QQQQd", 1, os.getpid(), *self.n, time.clock_gettime(time.CLOCK_MONOTONIC))
        outcome = [0, done, 0, 0, 0, 0]
        fields += struct.pack("<Q%dQQQ%dQQQQQdd" % (OUTCOMES, ORACLES), done, *outcome, 0, 8 * done,
                              *[done] * ORACLES, done, 4 * done, done, 0, 1e-8, 0.01)
        fields += struct.pack("<Q", len(text)) + text
        self.at(8, fields)

    def start(self, text):
        self.n[0] += 1
        self.put(text)

    def finish(self, text):
        self.n[1] += 1
        self.put(text)


def option(words, name, otherwise=None):
    for word in words:
        if word.startswith(name + "="):
            return word[len(name) + 1:]
    return otherwise


def merge(words):
    folders = [w for w in words if not w.startswith("-")]
    for folder in folders[1:]:
        for path in glob.glob(folder + "/*"):
            shutil.copy(path, folders[0])
            if os.environ.get("FAKE_MERGE") == "slow":
                time.sleep(0.02)


def behaviour(home):
    """The next word of FAKE, by a count that the worker's folder keeps."""
    words = os.environ.get("FAKE", "ok").split(",")
    path = os.path.join(home, "fake-count")
    n = len(open(path, encoding="ascii").read()) if os.path.exists(path) else 0
    with open(path, "a", encoding="ascii") as f:
        f.write(".")
    return words[min(n, len(words) - 1)]


def finding(home, seed):
    os.makedirs(home + "/findings", exist_ok=True)
    path = f"{home}/findings/0000000000000001-{seed:016x}.json"
    with open(path + ".tmp", "w", encoding="ascii") as f:
        f.write(CASE % (seed, FOUND % SIGNATURE))
    os.rename(path + ".tmp", path)


def misbehave(what, record, home, prefix, text):
    if what == "crash":
        record.start(text)
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "libfuzzer":  # caught by libFuzzer, which keeps the input
        record.start(text)
        with open(prefix + "crash-0123456789", "wb") as f:
            f.write(text)
        os._exit(79)
    if what == "leak":  # between inputs
        with open(prefix + "leak-0123456789", "wb") as f:
            f.write(b"not a case at all")
        os._exit(79)
    if what == "hang":
        record.start(text)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    if what == "stall":
        time.sleep(600)
    if what == "grow":
        record.start(text)
        keep = bytearray(200 << 20)
        keep[::4096] = b"x" * len(keep[::4096])
        time.sleep(600)
    if what == "asan":
        record.start(text)
        os._exit(1)
    if what == "device":
        finding(home, 7)
        os._exit(78)
    if what == "finding":
        finding(home, 5)
    if what == "flood" and not os.path.exists(home + "/flooded"):
        open(home + "/flooded", "w", encoding="ascii").close()
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # all 400, however busy the machine is
        for i in range(400):
            finding(home, 100 + i)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


def target(words):
    if option(words, "-help"):
        print("set_cover_merge\t0\tfake")
        return 0
    if option(words, "-merge") or option(words, "-set_cover_merge"):
        merge(words)
        return 0
    files = [w for w in words if os.path.isfile(w)]
    if files:  # one input, again
        return 79 if os.environ.get("FAKE_AGAIN") == "yes" else 0
    home = os.environ["OD_OUT"]
    if os.environ.get("OD_SHARED_DEVICE") == "1":
        open(os.environ["TOLD"] + ".shared", "wb").close()
    what = behaviour(home)
    if what == "never":
        print("fake: no device", file=sys.stderr)
        return 3
    if what == "silent":
        time.sleep(600)
    if what == "garbage":
        with open(os.environ["OD_RECORD"], "wb") as f:
            f.write(os.urandom(100000))
        return 3
    record = Record(os.environ["OD_RECORD"])
    until = time.monotonic() + float(option(words, "-max_total_time"))
    folder = next(w for w in words if not w.startswith("-"))
    seed = int(option(words, "-seed"))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    while time.monotonic() < until:
        text = (CASE % (seed % 1000003 + record.n[0], "")).encode()
        if record.n[0] == 3:
            misbehave(what, record, home, option(words, "-artifact_prefix"), text)
        record.start(text)
        time.sleep(0.02)
        record.finish(text)
        if record.n[0] < 40:
            with open(f"{folder}/{seed}-{record.n[0]}", "wb") as f:
                f.write(text)
    return 77 if what in ("finding",) else 0


def after(words, name):
    return words[words.index(name) + 1]


def canary(words):
    """oracle-diff of a build with planted faults: fuzz meets one at once, run sees it again."""
    dead = os.environ.get("FAKE_CANARY")
    if words[0] == "fuzz":
        assert os.environ["OD_FAULT"]
        record = Record(after(words, "--record"))
        record.start(b"seed 1 index 0 profile default")
        record.finish(b"seed 1 index 0 profile default")
        if dead != "dead":
            finding(after(words, "--out"), 9)
        signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
        time.sleep(0.3 if dead == "dead" else 600)
        return 0 if dead == "dead" else 1
    said = {"relation": "consistency/switches/decode/b1.v1.s1/ref:twin",
            "other": "memory/host/-/b1.v1.s1/ref:twin"}.get(dead, SIGNATURE)
    verdict = '"PASS","signature":""' if dead == "gone" else '"FINDING","signature":"%s"' % said
    with open(after(words, "--json"), "w", encoding="ascii") as f:
        f.write('{"type":"run"}\n{"type":"case","verdict":%s,"oracles":[],"recheck":{"flaky":false}}\n' % verdict)
    return 1


if __name__ == "__main__":
    NAME = os.path.basename(sys.argv[0])
    sys.exit(canary(sys.argv[1:]) if "oracle-diff" in NAME else target(sys.argv[1:]))

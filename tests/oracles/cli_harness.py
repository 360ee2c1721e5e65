"""What the tests of the command line share: PROGRAM and SOURCE from the command line, checks that run in an empty folder."""
import os
import shutil
import subprocess
import sys
import tempfile

PROGRAM, SOURCE = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
CHECKS = []

GOOD = """{
  "format": 1,
  "note": "a < b & \\"c\\"",
  "model": {"preset": "seed-tiny", "seed": 5},
  "series": {"batch": 1, "variates": 2, "generator": "normal", "seed": 6},
  "schedule": [
    {"op": "prefill", "session": 0, "steps": 16},
    {"op": "decode", "session": 0, "patches": 2, "feed": "teacher"}
  ],
  "forecast": "mean",
  "expect": "pass"
}
"""
ABSENT = "accuracy/loc/own/b1.v1.s1/ref:twin"


def check(function):
    CHECKS.append(function)
    return function


def run(*args):
    return subprocess.run([PROGRAM, *map(str, args)], capture_output=True, text=True, timeout=240)


def exits(code, *args):
    done = run(*args)
    assert done.returncode == code, f"{args}: exit {done.returncode}, not {code}\n{done.stdout}{done.stderr}"
    return done


def refuses(code, word, *args):
    """One line on stderr that holds word, nothing on stdout."""
    done = exits(code, *args)
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("oracle-diff: "), f"{args}: {done.stderr!r}"
    assert word in lines[0], f"{args}: {word!r} is not in {lines[0]!r}"
    assert done.stdout == "", f"{args}: {done.stdout!r}"


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def main():
    home = os.getcwd()
    for function in CHECKS:
        place = tempfile.mkdtemp(prefix="od-cli-")
        os.chdir(place)
        try:
            function()
        finally:
            os.chdir(home)
            shutil.rmtree(place)
        print("ok", function.__name__)
    if not CHECKS:
        sys.exit("no check ran")

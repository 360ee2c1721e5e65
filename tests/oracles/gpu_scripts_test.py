#!/usr/bin/env python3
"""scripts/gpu-sanitize and scripts/gpu-pair with made-up programs in the place of those that need a GPU:
gpu_scripts_test.py SOURCE_DIR

Each script must hold where everything did, and fail where one report, one case or the time did not.
"""
import os
import stat
import subprocess
import sys
import tempfile

SOURCE = os.path.abspath(sys.argv[1])

SANITIZER = """#!/bin/sh
tool=$2 log=$6
shift 6
"$@"
code=$?
case $BREAK in
error-$tool) echo "========= ERROR SUMMARY: 1 error" >"$log"; exit 9 ;;
silent-$tool) exit 0 ;;
esac
if [ "$tool" = racecheck ]; then
    echo "========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)" >"$log"
else
    echo "========= ERROR SUMMARY: 0 errors" >"$log"
fi
exit $code
"""

# run CASE…: passes all but one-step.json with BREAK=case. replay … --shard I/N: takes 1.5 s, or 0.3 of several shares but for BREAK=slow.
PROGRAM = """#!/bin/sh
command=$1
shift
passed=0 finding=0 shard=1/1
while [ $# -gt 0 ]; do
    case $1 in
    --shard) shard=$2; shift ;;
    --set | --fast | --only | --json | --out) shift ;;
    *one-step.json) [ "$BREAK" = case ] && finding=1 || passed=$((passed + 1)) ;;
    *.json) [ -f "$1" ] || exit 2; passed=$((passed + 1)) ;;
    esac
    shift
done
if [ $command = replay ]; then
    n=${shard#*/} passed=$((12 / ${shard#*/}))
    [ "$BREAK" = lost ] && [ $shard = 2/2 ] && passed=5
    [ "$BREAK" = slow ] && n=1
    [ $n = 1 ] && sleep 1.5 || sleep 0.3
fi
echo "PASS $passed, FINDING $finding, KNOWN 0"
exit $finding
"""


def program(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)


def run(script, place, what):
    env = dict(os.environ, BREAK=what, PATH=place + "/bin:" + os.environ["PATH"])
    done = subprocess.run(["sh", os.path.join(SOURCE, "scripts", script), place, place + "/out"], env=env, check=False,
                          capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def expect(script, place, what, code, *words):
    got, text = run(script, place, what)
    assert got == code, f"{script}, {what}: exit {got}, not {code}\n{text}"
    for word in words:
        assert word in text, f"{script}, {what}: {word!r} is not in\n{text}"
    print("ok", script, what)


def main():
    with tempfile.TemporaryDirectory(prefix="od-gpu-") as place:
        os.mkdir(place + "/bin")
        program(place + "/bin/nvidia-smi", "#!/bin/sh\necho a GPU\n")
        expect("gpu-pair", place, "no program", 3, "is missing")
        program(place + "/release-oracle-diff", PROGRAM)
        if subprocess.run(["sh", "-c", "command -v compute-sanitizer"], check=False, capture_output=True).returncode:
            expect("gpu-sanitize", place, "no tool", 3, "compute-sanitizer is missing")
        program(place + "/bin/compute-sanitizer", SANITIZER)
        expect("gpu-sanitize", place, "nothing", 0, "ok     racecheck  30 of 30 cases passed, 0 errors", "all held")
        for tool in ("memcheck", "initcheck", "racecheck", "synccheck"):
            expect("gpu-sanitize", place, "error-" + tool, 1, f"FAILED {tool}")
        expect("gpu-sanitize", place, "silent-racecheck", 1, "FAILED racecheck  30 of 30 cases passed, 7 errors")
        expect("gpu-sanitize", place, "case", 1, "29 of 30 cases passed", "fused2:1")
        expect("gpu-pair", place, "nothing", 0, "one GPU 12 passed, two GPUs 12 passed", "held")
        expect("gpu-pair", place, "slow", 1, "FAILED")
        expect("gpu-pair", place, "lost", 1, "two GPUs 11 passed", "FAILED")


main()

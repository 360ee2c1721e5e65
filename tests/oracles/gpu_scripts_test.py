#!/usr/bin/env python3
"""scripts/gpu-sanitize, scripts/gpu-pair and what scripts/gpu-check does with planted faults, with made-up programs in the
place of those that need a GPU: gpu_scripts_test.py SOURCE_DIR

Each script must hold where everything did, and fail where one report, one case or the time did not.
"""
import os
import re
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
hazards=3
case $BREAK in unseen-$OD_FAULT | mute-$OD_FAULT) hazards=0 ;; esac
[ "$BREAK" = mute-$OD_FAULT ] && exit 0
if [ "$tool" = racecheck ] && [ -n "$OD_FAULT" ]; then
    echo "========= RACECHECK SUMMARY: $hazards hazards displayed (0 errors, $hazards warnings)" >"$log"
elif [ "$tool" = racecheck ] && [ "$BREAK" = healthy ]; then
    echo "========= RACECHECK SUMMARY: 2 hazards displayed (0 errors, 2 warnings)" >"$log"
elif [ "$tool" = racecheck ]; then
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
    none) exit 2 ;;
    *played.json) [ -n "$OD_FAULT" ] && finding=1 || passed=1 ;;
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


def run(script, place, what, *more):
    env = dict(os.environ, BREAK=what, PATH=place + "/bin:" + os.environ["PATH"])
    env.pop("OD_FAULT", None)
    done = subprocess.run(["sh", os.path.join(SOURCE, "scripts", script), place, place + "/out", *more], env=env, check=False,
                          capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def expect(script, place, what, code, *words, more=()):
    got, text = run(script, place, what, *more)
    assert got == code, f"{script}, {what}: exit {got}, not {code}\n{text}"
    for word in words:
        assert word in text, f"{script}, {what}: {word!r} is not in\n{text}"
    print("ok", script, what)


# The target plays another case than it reads: what it found is the finding's file, and not libFuzzer's.
TARGET = """#!/bin/sh
for word in "$@"; do case $word in -artifact_prefix=*) echo >"${word#*=}crash-1" ;; esac; done
[ -n "$OD_FAULT" ] || exit 0
[ "$BREAK" = bench ] || { mkdir -p "$OD_OUT/findings" && echo >"$OD_OUT/findings/played.json"; }
exit 77
"""

RACES = ("gpu-barrier", "gpu-copy", "order-softmax-barrier")


def planted_races(place):
    """With fault names gpu-sanitize asks whether racecheck sees each, and that it sees none without."""
    expect("gpu-sanitize", place, "no faults", 3, "faults-oracle-diff is missing", more=RACES)
    program(place + "/faults-oracle-diff", PROGRAM)
    expect("gpu-sanitize", place, "nothing", 0, "ok     racecheck none                     0 hazards",
           "ok     racecheck gpu-copy                 3 hazards", "all held", more=RACES)
    for fault in RACES:
        expect("gpu-sanitize", place, "unseen-" + fault, 1, f"FAILED racecheck {fault}", more=RACES)
    expect("gpu-sanitize", place, "mute-gpu-copy", 1, "FAILED racecheck gpu-copy                 no summary, hazards", more=RACES)
    expect("gpu-sanitize", place, "healthy", 1, "FAILED racecheck none                     2 hazards", more=RACES)
    expect("gpu-sanitize", place, "silent-racecheck", 1, "FAILED racecheck none                     no summary", more=RACES)


def checks_of_faults(place):
    """gpu-check plays the bench over all that a GPU can have, and racecheck over the races; other lines need a GPU."""
    with open(place + "/release-oracle-diff", "w", encoding="utf-8") as f:
        f.write(PROGRAM.replace("sleep 1.5", ":").replace("sleep 0.3", ":"))
    program(place + "/bin/python3", '#!/bin/sh\necho "$*" >>"$0.calls"\n[ "$BREAK" = bench ] && exit 1\nexit 0\n')
    program(place + "/fuzz-faults-fuzz_session", TARGET)
    for what, bench, races in (("nothing", "ok    ", "ok    "), ("bench", "FAILED", "ok    "), ("unseen-gpu-copy", "ok    ", "FAILED")):
        _, text = run("gpu-check", place, what)
        for label, verdict in (("faults", bench), ("races", races), ("libfuzzer-fault", "ok    "), ("finding-with-fault", bench),
                               ("finding-without-fault", bench)):
            assert re.search(f"^{verdict} {label} ", text, re.M), f"gpu-check, {what}: no '{verdict} {label}' in\n{text}"
        print("ok gpu-check", what)
    with open(place + "/bin/python3.calls", encoding="utf-8") as f:
        call = f.readline()
    assert "tests/faults/bench --bin " in call and "--fast gpu --seeds 1 --cases 1000 " in call and " -j 8" in call, call
    assert "--faults " not in call, call
    assert os.path.samefile(place + "/out/faults/oracle-diff", place + "/faults-oracle-diff")
    with open(os.path.join(SOURCE, "tests/faults/list.h"), encoding="utf-8") as f:
        names = re.findall(r'^ +[A-Z]\(\w+, "([^"]+)"', f.read(), re.M)
    spared = re.search(r"--unseen (\S+)", call)[1].split(",")
    assert not {*spared, *RACES} - set(names), spared


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
        planted_races(place)
        expect("gpu-pair", place, "nothing", 0, "one GPU 12 passed, two GPUs 12 passed", "held")
        expect("gpu-pair", place, "slow", 1, "FAILED")
        expect("gpu-pair", place, "lost", 1, "two GPUs 11 passed", "FAILED")
        checks_of_faults(place)


main()

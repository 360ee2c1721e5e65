"""The extra counters are in the linked targets and guide them: feedback_test.py FOLDER-OF-PROGRAMS SEEDS

An optimiser may drop a variable that nothing reads, and a linker a section that nothing names: a fuzzer without its
counters runs on and says nothing.
"""
import os
import re
import subprocess
import sys
import tempfile

BIN, SEEDS = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
SECTION = "__libfuzzer_extra_counters"


def section_of(program):
    """(size, alignment) of the section, from readelf's table."""
    table = subprocess.run(["readelf", "-SW", program], check=True, capture_output=True, text=True).stdout
    rows = [line.split("]", 1)[1].split() for line in table.splitlines() if SECTION in line]
    assert len(rows) == 1, f"{program}: {len(rows)} sections {SECTION}"
    return int(rows[0][4], 16), int(rows[0][-1]), rows[0][6]


def features(program, feedback):
    """libFuzzer's count of features after the same inputs from the same seed."""
    with tempfile.TemporaryDirectory() as place:
        os.mkdir(f"{place}/corpus")  # the first folder is written to
        done = subprocess.run([program, "-runs=150", "-seed=1", f"{place}/corpus", SEEDS], cwd=place, text=True,
                              capture_output=True, timeout=200,
                              env={**os.environ, "OD_FAST": "twin", "OD_OUT": place, "OD_FEEDBACK": feedback})
    assert done.returncode == 0, done.stderr
    return int(re.findall(r"ft: (\d+)", done.stderr)[-1])


for target in ("fuzz_forward", "fuzz_session", "fuzz_modes"):
    size, alignment, flags = section_of(f"{BIN}/{target}")
    assert size >= 4096 and size % 8 == 0 and alignment % 8 == 0 and "W" in flags, (target, size, alignment, flags)
    on, off = features(f"{BIN}/{target}", "on"), features(f"{BIN}/{target}", "off")
    print(f"{target}: {size} counters; features reached {on} with them, {off} without")
    assert on > off + 100, f"{target}: the counters guide nothing"

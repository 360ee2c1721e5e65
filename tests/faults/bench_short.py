"""The bench's short form: every fault once, a fixed seed and a limit in cases, and the healthy program on the same cases. And
the faults that no differential test can see, with the check that sees each.
"""
import concurrent.futures
import sys
import tempfile
import time

import bench_play
import bench_table

CASES = 1000
SEED = 1
# Seeds that show a rare fault within some hundred cases; the long bench takes every seed.
SEEDS = {"missing-last": 3, "fifth-capture": 3, "tail-product-row": 2}
# What both engines share, and the judge, no differential test can see: (program, its suite), which fails with the fault and
# passes without.
OTHERWISE = {
    "csv-missing": ("suites_model", "csv"),
    "xpos-inverse": ("suites_ref", "golden vectors"),
    "config-default": ("suites_model", "config"),
    "weights-transposed": ("suites_ref", "golden vectors"),
    "rng-pair": ("suites_model", "rng"),
    "compare-last": ("suites_oracles", "compare"),
    "nan-equal": ("suites_oracles", "compare"),
    "rerun-itself": ("suites_oracles", "oracles"),
    "live-once": ("suites_oracles", "oracles"),
}


def check(fault, options):
    """(was it seen, what was said) of a fault that a suite sees."""
    if fault.name not in OTHERWISE:
        return False, "no suite is named for it (OTHERWISE in bench_short.py)"
    program, suite = OTHERWISE[fault.name]
    codes = []
    for name in (fault.name, None):
        try:
            done = bench_play.call([f"{options.bin}/{program}"], bench_play.environment(
                OD_FAULT=name, CK_RUN_SUITE=suite, CK_FORK="no"), options.source, wall=options.wall)
        except OSError as e:
            return False, f"{program}: {e.strerror}"
        codes.append(done.code)
    said = f"{program}, suite {suite}: exit {codes[0]} with it, {codes[1]} without"
    return codes[0] == 1 and codes[1] == 0, said


def check_row(job, fault, options):
    began = time.monotonic()
    seen, said = check(fault, options)
    row = dict.fromkeys(bench_play.COLUMNS, "")
    row.update({k: job[k] for k in bench_play.KEY}, build=bench_play.build_of("check", options), how="check" if seen else "", healthy="pass" if seen else "", said=said,
               seconds=f"{time.monotonic() - began:.2f}")
    return row


def play(fault, options):
    """(fault, seed, was it seen, in how many inputs, what was said)"""
    seed = SEEDS.get(fault.name, SEED)
    if fault.list == "shared":
        return (fault, seed, *check(fault, options), 0)
    job = {"fault": fault.name, "generator": "random", "seed": seed, "limit": options.limit, "fast": options.fast}
    row = bench_play.play(job, fault, options)
    seen = bench_table.detected(row)
    return fault, seed, seen, row["signature"] if seen else bench_table.status(row), row["inputs"]


def healthy(seed, cases, options):
    """What the healthy program says of the same cases: nothing, or what is wrong."""
    with tempfile.TemporaryDirectory(prefix="od-bench-") as place:
        argv = [options.program, "fuzz", "--quiet", "--relate", "--profile", options.profile, "--seed", str(seed), "--cases", str(cases),
                "--out", place, "--ref", "ref", "--fast", options.fast]
        done = bench_play.call(argv, bench_play.environment(), place, wall=options.wall)
    return "" if done.code == 0 else f"exit {done.code}: {bench_play.last_line(done.text)}"


def run(options, faults):
    """The exit status."""
    options.cases = options.cases or CASES
    options.limit, options.tools, options.keep = f"{options.cases} cases", 0, None
    began, wrong, played = time.monotonic(), [], {}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for fault, seed, seen, said, inputs in pool.map(lambda f: play(f, options), faults):
            print(f"{'seen' if seen else 'UNSEEN':7}{fault.name:26} {inputs:5} inputs  {said}", flush=True)
            played[seed] = max(played.get(seed, 0), inputs)
            if not seen:
                wrong.append(f"{fault.name} goes unseen: {said}")
        asked = sorted((s, n) for s, n in played.items() if n)
        for (seed, cases), said in zip(asked, pool.map(lambda a: healthy(*a, options), asked)):
            print(f"healthy, seed {seed}: {cases} cases: {said or 'nothing found'}", flush=True)
            if said:
                wrong.append(f"the healthy program, seed {seed}: {said}")
    for line in wrong:
        print(f"bench: {line}", file=sys.stderr)
    print(f"{len(faults)} faults, {len(faults) - sum('unseen' in w for w in wrong)} seen, "
          f"{time.monotonic() - began:.0f} s")
    if options.left_out:
        print(options.left_out)
    return 1 if wrong or not faults else 0

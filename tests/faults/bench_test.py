"""The bench itself, with a fake oracle-diff: bench_test.py FOLDER-OF-THE-BENCH

What is never found is named and red, what was torn or killed is run again and nothing else is, a finding that the healthy
program has as well is none; and the statistics are what a hand computes.
"""
import csv
import importlib.machinery
import importlib.util
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.abspath(sys.argv[1])
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)
import bench_play  # noqa: E402
import bench_table  # noqa: E402
import survival  # noqa: E402


def command(*words):
    return [sys.executable, f"{HERE}/bench", "--bin", "bin", "--quiet", *words]


def bench(code, *words, **environment):
    done = subprocess.run(command(*words), capture_output=True, text=True, timeout=100,
                          env={**os.environ, "CALLS": os.path.abspath("calls"), **environment})
    assert done.returncode == code, f"{words}: exit {done.returncode}, not {code}\n{done.stdout}{done.stderr}"
    return done


def calls():
    try:
        with open("calls", encoding="ascii") as f:
            return f.read().splitlines()
    except FileNotFoundError:
        return []


def rows(path="t.csv"):
    with open(path, newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def what_is_found_is_green_and_in_the_row():
    out = bench(0, "--csv", "t.csv", "--faults", "found", "--seeds", "7", "-j", "3").stdout
    table = rows()
    assert sorted(int(r["seed"]) for r in table) == list(range(1, 8)), table
    row = next(r for r in table if r["seed"] == "4")
    assert (row["oracle"], row["inputs"], row["healthy"], row["explain"], row["entries"]) == \
        ("accuracy", "40", "pass", "yes", "3"), row
    assert (row["reached_input"], row["triggered_input"]) == ("2", "5"), row
    assert 0 <= float(row["reached_s"]) <= float(row["seconds"]) and float(row["cpu"]) > 0, row
    # 7 runs of 10 … 70 inputs: 2 · (1 + 7) / 2^7 is above 0.05, 2 / 2^7 is not, so that the extremes hold the median
    assert "40 [10, 70]" in out and "7 of 7 pairs" in out and "MISSED" not in out, out
    assert "Undetected: 0 runs" in out, out


def what_is_never_found_is_red_and_named():
    out = bench(1, "--csv", "t.csv", "--faults", "found,never,unreached,silent", "--seeds", "1").stdout
    for name, what in (("never", "reached, not triggered"), ("unreached", "not reached"),
                       ("silent", "triggered, not detected")):
        assert f"| `{name}` | 1 | random | {what} |" in out, out
    assert "1 of 4 pairs of fault and seed — MISSED" in out and "| `found` | 1 | random |" not in out, out


def marks_are_held():
    assert "0 of 1 (0.0 %) — MISSED" in bench(1, "--csv", "a.csv", "--faults", "unnamed", "--seeds", "1").stdout
    assert "4 |" in bench(1, "--csv", "b.csv", "--faults", "large", "--seeds", "1").stdout
    out = bench(1, "--csv", "c.csv", "--faults", "ref-ill", "--seeds", "1").stdout
    assert "no: layer 1 (time-wise)" in out, out  # the right layer of the wrong engine


def a_finding_of_the_healthy_program_is_none():
    out = bench(1, "--csv", "t.csv", "--faults", "alarm", "--seeds", "1", FAKE_ILL="alarm").stdout
    assert rows()[0]["healthy"] == "exit 1" and "false alarm" in out and "0 of 1 pairs" in out, out
    shutil.copy("t.csv", "u.csv")
    assert "Healthy: " in bench(0, "--csv", "v.csv", "--faults", "none", "--seeds", "1").stdout


def a_finding_of_a_fault_that_was_not_triggered_is_none():
    out = bench(1, "--csv", "t.csv", "--faults", "early", "--seeds", "3").stdout
    assert [(r["how"], r["healthy"], r["triggered"]) for r in rows()] == [("finding", "pass", "0")] * 3, rows()
    assert "0 of 3 pairs" in out and "### False alarms: 3 runs" in out and "the fault was not triggered |" in out, out
    done = bench(1, "--short", "--faults", "found,early")
    assert "early goes unseen" in done.stderr and "UNSEEN early" in done.stdout and "2 faults, 1 seen" in done.stdout, done
    bench(0, "--csv", "u.csv", "--faults", "bare", "--seeds", "1")  # no record, nobody knows
    bench(0, "--csv", "v.csv", "--faults", "early", "--seeds", "1", "--fast", "gpu")  # a GPU's kernels do not say
    shutil.copy("t.csv", "w.csv")  # beside a run that found it: it is an alarm all the same
    with open("w.csv", encoding="ascii") as f:
        text = f.read()
    with open("w.csv", "a", encoding="ascii") as f:
        for line in text.splitlines()[1:]:
            f.write(line.replace(",random,", ",libfuzzer,").replace(",2,,0,", ",2,,1,").replace(",0,5,,", ",1,5,,") + "\n")
    out = bench(1, "--table", "--csv", "w.csv", "--faults", "early", "--seeds", "3").stdout
    assert "3 of 3 pairs of fault and seed\n" in out and "### False alarms: 3 runs" in out, out


def a_pair_that_was_never_run_is_red_and_named():
    bench(0, "--csv", "t.csv", "--faults", "found", "--seeds", "2")
    out = bench(1, "--table", "--csv", "t.csv", "--faults", "found,crash", "--seeds", "3").stdout
    assert "### Never run: 4 pairs of fault and seed — MISSED" in out, out
    assert "| `found` | 3 |" in out and "| `crash` | 1, 2, 3 |" in out, out
    out = bench(1, "--csv", "t.csv", "--faults", "found,csv-missing", "--seeds", "9", "--minutes", "0.000001").stdout
    assert "| `found` | 3, 4, 5, 6, 7, 8, 9 |" in out and "| `csv-missing` | 1 |" in out, out
    assert "Never run" not in bench(0, "--csv", "t.csv", "--faults", "found", "--seeds", "3").stdout


def few_runs_have_no_interval_and_chance_no_side():
    out = bench(0, "--csv", "t.csv", "--faults", "found", "--seeds", "2").stdout
    assert "| 15 [-] | 15 [-] |" in out and "by random: 2 of 2 (100.0 % [-])" in out, out
    assert "10, 20" not in out and "∞" not in out, out
    table = rows()
    with open("t.csv", "a", newline="", encoding="ascii") as f:
        for row in table:
            csv.DictWriter(f, bench_play.COLUMNS).writerow({**row, "generator": "libfuzzer", "cpu": "4"})
    out = bench(0, "--table", "--csv", "t.csv", "--faults", "found", "--seeds", "2").stdout
    assert re.search(r"\| `found` \| 2 \| [\d.]+ \[-\] \| 2 : 0 \| - \| - \|", out), out
    assert "too few pairs to say" in out and "more findings" not in out, out
    assert survival.direction(9, 3.0, 0.821, "by random") == "no difference that chance would not give"
    assert survival.direction(9, 3.0, 0.049, "by random") == "more findings by random than chance would give"
    assert survival.direction(9, -3.0, 0.049, "by random").startswith("fewer")
    out = bench(0, "--csv", "u.csv", "--faults", "found", "--seeds", "3").stdout
    assert re.search(r"\| 20 \[\d+, \d+\] \| 20 \[-\] \|", out), out  # three make no interval of a median


def feedback_says_no_more_than_its_pairs():
    names = "fault target fast seed feedback limit found inputs seconds signature".split()
    with open("f.csv", "w", newline="", encoding="ascii") as f:
        writer = csv.DictWriter(f, names)
        writer.writeheader()
        for seed, on, off in ((1, 10, 30), (2, 20, 15)):
            for how, n in (("on", on), ("off", off)):
                writer.writerow(dict(zip(names, ("narrow", "forward", "twin", seed, how, 99, 1, n, "1.0", "a"))))
    done = subprocess.run([sys.executable, f"{HERE}/feedback", "--csv", "f.csv"], capture_output=True, text=True, check=True)
    assert "| 15 [-] | 0 | 15 | 22 [-] | 0 | 22 | 1.50 [-] | 1 : 1 | - | - |" in done.stdout, done.stdout
    assert "p = -: too few pairs to say" in done.stdout, done.stdout


def rows_of_another_build_are_refused():
    def rebuild(text):
        with open(f"{HERE}/bench_fake.py", encoding="ascii") as f:
            code = f.read()
        os.remove("bin/oracle-diff")
        with open("bin/oracle-diff", "w", encoding="ascii") as f:
            f.write(code + text)
        os.chmod("bin/oracle-diff", 0o755)
    bench(0, "--csv", "t.csv", "--faults", "found", "--seeds", "2")
    first = {r["build"] for r in rows()}
    assert re.fullmatch(r"[0-9a-f]{12}", *first), first
    os.remove("calls")
    rebuild("# another\n")
    done = bench(2, "--csv", "t.csv", "--faults", "found", "--seeds", "4")
    assert "rows of another build (random: " in done.stderr and "another file, or --mixed" in done.stderr, done
    assert not calls() and len(rows()) == 2
    bench(0, "--table", "--csv", "t.csv", "--faults", "found", "--seeds", "2")  # of one build, whatever stands there now
    out = bench(0, "--csv", "t.csv", "--faults", "found", "--seeds", "4", "--mixed").stdout
    assert "— MIXED" in out and len({r["build"] for r in rows()}) == 2, out
    assert "another build" in bench(2, "--table", "--csv", "t.csv", "--faults", "found", "--seeds", "4").stderr
    out = bench(0, "--csv", "u.csv", "--faults", "found", "--seeds", "1").stdout
    assert "- build of random: " in out and "MIXED" not in out, out


def what_the_engine_cannot_have_is_left_out_and_told():
    os.symlink(f"{HERE}/bench_fake.py", "bin/suites_model")
    told = "1 faults that only a GPU shows are left out (--fast gpu --faults races)."
    out = bench(1, "--short").stdout
    assert told in out and " races " not in out and " twins " in out and " csv-missing " in out, out
    assert told in bench(1, "--csv", "t.csv", "--seeds", "1").stdout
    assert "left out" not in bench(0, "--short", "--faults", "found").stdout
    out = bench(1, "--csv", "u.csv", "--seeds", "1", "--fast", "gpu").stdout
    assert {r["fault"] for r in rows("u.csv")} >= {"races", "found"} and "1 faults of the twin's own product" in out, out
    assert not {r["fault"] for r in rows("u.csv")} & {"twins", "csv-missing"}, out
    with open(f"{HERE}/list.h", encoding="utf-8") as f:
        twins = re.findall(r'^ +[A-Z]\(\w+, "([^"]+)"[^\\]*\\\n +"the twin\'s ', f.read(), re.M)
    assert twins == ["tail-product-row", "tail-product-residual", "precision-tf32-operand"], twins


def what_may_go_unseen_is_no_miss_but_told():
    out = bench(0, "--csv", "t.csv", "--faults", "found,never", "--seeds", "1", "--unseen", "never").stdout
    assert "may go unseen: never, detected in 0 of 1 runs" in out and "1 of 1 pairs" in out, out
    bench(1, "--csv", "u.csv", "--faults", "found,never,silent", "--seeds", "1", "--unseen", "never")
    assert "typo" in bench(2, "--csv", "v.csv", "--unseen", "typo").stderr


def a_crash_is_a_finding_and_its_case_is_kept():
    bench(0, "--csv", "t.csv", "--faults", "crash", "--seeds", "1", "--keep", "kept")
    assert (rows()[0]["how"], rows()[0]["signature"]) == ("crash", "crash/SIGSEGV"), rows()
    with open("kept/crash-random-1.json", encoding="ascii") as f:
        assert '"--index", "3"' in f.read()


def a_torn_line_is_run_again_and_nothing_else():
    bench(0, "--csv", "t.csv", "--faults", "found", "--seeds", "4")
    with open("t.csv", "rb") as f:
        data = f.read()
    with open("t.csv", "wb") as f:
        f.write(data[:-20])
    os.remove("calls")
    bench(0, "--csv", "t.csv", "--faults", "found", "--seeds", "5")
    assert calls() == ["found 4", "found 5"], calls()
    assert [r["seed"] for r in rows()] == list("12345") and all(r["oracle"] == "accuracy" for r in rows())
    os.remove("calls")
    bench(0, "--table", "--csv", "t.csv", "--faults", "found", "--seeds", "5")
    assert not calls()
    bench(0, "--csv", "t.csv", "--faults", "found", "--seeds", "1", "--seconds", "30")  # another limit, another row
    assert calls() == ["found 1"]


def killed_it_goes_on():
    bench(0, "--csv", "t.csv", "--faults", "found", "--seeds", "2")
    os.remove("calls")
    process = subprocess.Popen(command("--csv", "t.csv", "--faults", "found,slow", "--seeds", "3"),
                               env={**os.environ, "CALLS": os.path.abspath("calls")})
    while "slow 1" not in calls():
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(rows()) == 2
    bench(0, "--csv", "t.csv", "--faults", "found,slow", "--seeds", "3", "-j", "3")
    assert sorted((r["fault"], r["seed"]) for r in rows()) == [(f, s) for f in ("found", "slow") for s in "123"]
    assert calls().count("found 1") == 0 and calls().count("slow 1") == 2, calls()


def bad_usage_is_told():
    bench(2)
    assert "no planted fault" in bench(2, "--csv", "t.csv", "--faults", "typo").stderr
    bench(2, "--csv", "t.csv", "--seeds", "0")
    bench(2, "--csv", "t.csv", "--generators", "afl")
    bench(3, "--csv", "t.csv", "--generators", "libfuzzer", "--targets", "bin")
    with open("t.csv", "w", encoding="ascii") as f:
        f.write("a,b\n1,2\n")
    assert "columns" in bench(2, "--csv", "t.csv", "--faults", "found").stderr
    done = subprocess.run([sys.executable, f"{HERE}/bench", "--bin", ".", "--csv", "u.csv"], capture_output=True, text=True)
    assert done.returncode == 3, done


def the_short_form_fails_where_a_fault_goes_unseen():
    out = bench(0, "--short", "--faults", "found,crash", "--cases", "50").stdout
    assert "2 faults, 2 seen" in out and "healthy, seed 1: 10 cases: nothing found" in out, out
    done = bench(1, "--short", "--faults", "found,never", "--cases", "50")
    assert "bench: never goes unseen: reached, not triggered" in done.stderr and "UNSEEN never" in done.stdout, done
    done = bench(1, "--short", "--faults", "found", "--cases", "50", FAKE_ALARM="1")
    assert "the healthy program, seed 1: exit 1" in done.stderr, done
    assert "exit 1 without the fault" in bench(1, "--short", "--faults", "found", FAKE_ILL="alarm").stdout


def a_suite_sees_what_engines_share():
    os.symlink(f"{HERE}/bench_fake.py", "bin/suites_model")
    assert "2 faults, 2 seen" in bench(0, "--short", "--faults", "found,csv-missing").stdout
    assert "csv-missing goes unseen" in bench(1, "--short", "--faults", "csv-missing", FAKE_BROKEN="1").stderr
    out = bench(0, "--csv", "t.csv", "--faults", "found,csv-missing", "--seeds", "3").stdout
    assert len(rows()) == 4 and "| `csv-missing` | scaler | model | yes | suites_model, suite csv: exit 1 with it, 0" in out, out
    assert "suites: 1 faults unseen" in bench(1, "--csv", "u.csv", "--faults", "found,csv-missing", "--seeds", "1",
                                              FAKE_BROKEN="1").stdout


def close(a, b):
    return math.isclose(a, b, rel_tol=1e-3)


def statistics_are_what_a_hand_computes():
    # Kaplan and Meier: 1 until 1, 2/3 until 3 (2 is censored), then 0: 1 + 2/3 · 2
    assert close(survival.restricted_mean([(1, True), (2, False), (3, True)], 10), 7 / 3)
    # all censored at 60: 60; one of four found at 20: 20 + 3/4 · 40
    assert close(survival.restricted_mean([(60, False)] * 4, 60), 60)
    assert close(survival.restricted_mean([(20, True)] + [(60, False)] * 3, 60), 50)
    mean, low, high = survival.restricted_mean_interval([(20, True)] + [(60, False)] * 3, 60)
    assert close(mean, 50) and 20 <= low < 50 < high <= 60
    # ten runs: 2 · (1 + 10) / 2^10 is below 0.05, with 45 more it is not: the second and the ninth
    assert survival.median([(i, True) for i in range(1, 11)]) == (5.5, 2, 9)
    assert survival.median([(1, True), (60, False), (60, False)])[0] == math.inf
    # 1, 1 against 2, 2: of four at 1 two are found where 1 is expected, variance 2 · 1/2 · 1/2 · 2/3; then nobody is compared
    difference, variance = survival.log_rank([(1, True), (1, True)], [(2, True), (2, True)])
    assert close(difference, 1) and close(variance, 1 / 3)
    assert close(survival.p_of(1.959964, 1), 0.05)
    assert close(survival.binomial_two_sided(1, 6), 2 * 7 / 64)
    low, high = survival.share_interval(10, 10)  # Wilson: n / (n + z²)
    assert close(low, 10 / (10 + 1.959964 ** 2)) and close(high, 1)
    assert bench_table.sooner((3, True), (2, False)) == 1 and bench_table.sooner((3, True), (2, True)) == -1
    assert bench_table.sooner((3, False), (2, False)) == 0 == bench_table.sooner((2, True), (2, True))


def every_fault_is_found_in_its_room():
    loader = importlib.machinery.SourceFileLoader("bench_main", f"{HERE}/bench")
    bench_main = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_main", loader))
    loader.exec_module(bench_main)
    rooms = bench_main.rooms(os.path.dirname(os.path.dirname(HERE)))
    with open(f"{HERE}/list.h", encoding="utf-8") as f:
        names = re.findall(r'^ +[A-Z]\(\w+, "([^"]+)"', f.read(), re.M)
    assert len(names) > 48 and not set(names) - set(rooms), set(names) - set(rooms)
    for name, room in (("ref-mask", "ref"), ("rng-pair", "model"), ("compare-last", "oracles"), ("causal-mask", "gpu")):
        assert rooms[name] == room, (name, rooms[name])


def what_explain_says_is_judged():
    class Space:
        stage, room = "space", "gpu"
    text = "determinism: the fast path differs from itself after a reset, first in hidden.2 (layer 1 space), prefill: [3] was 1"
    assert bench_play.judge_words(Space, text)[0] == "yes"
    assert bench_play.judge_words(Space, text.replace("space", "time"))[0] == "no"
    Space.stage = "embedding"
    text = "layer 0 (time-wise) or the patch embedding before it, first in the prefill: the fast path is wrong (x)"
    assert bench_play.judge_words(Space, text)[0] == "yes"
    assert bench_play.judge_words(Space, "PASS 1")[0] == "no"


def main():
    home = os.getcwd()
    checks = [f for f in globals().values() if callable(f) and getattr(f, "__module__", "") == "__main__"
              and f.__code__.co_argcount == 0 and f.__name__ not in ("main", "calls", "command")]
    assert len(checks) > 8
    for check in checks:
        place = tempfile.mkdtemp(prefix="od-bench-test-")
        os.chdir(place)
        try:
            os.mkdir("bin")
            os.symlink(f"{HERE}/bench_fake.py", "bin/oracle-diff")
            check()
        finally:
            os.chdir(home)
            shutil.rmtree(place)
        print("ok", check.__name__)


main()

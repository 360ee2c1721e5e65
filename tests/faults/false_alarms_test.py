"""tests/faults/false_alarms against a program that is none: what it asks, that it resumes, and that it can be red."""
import collections
import csv
import os
import stat
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
FAKE = """#!/bin/sh
echo "$OPENBLAS_CORETYPE $*" >>"$0.log"
[ -f "$0.dies" ] && { echo broken >&2; exit 3; }
echo "PASS 499, FINDING $(cat "$0.findings"), KNOWN 0, SKIPPED 1, INCONCLUSIVE 0, ERROR 0 (ref against twin, exit 0)"
exit $(cat "$0.findings")
"""


class FalseAlarms(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.csv, self.fake = f"{place.name}/rows.csv", f"{place.name}/fake"
        self.write(self.fake, FAKE)
        self.write(f"{self.fake}.findings", "0")
        os.chmod(self.fake, os.stat(self.fake).st_mode | stat.S_IXUSR)

    def write(self, path, text):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def calls(self):
        with open(f"{self.fake}.log", encoding="utf-8") as f:
            return f.read().splitlines()

    def run_it(self, cases, *more):
        return subprocess.run([sys.executable, "-B", f"{HERE}/false_alarms", "--csv", self.csv, "--cases", str(cases), "-j2",
                               "--program", f"a={self.fake}", "--program", f"b={self.fake}", *more],
                              capture_output=True, text=True, check=False)

    def test_every_configuration_meets_every_profile_and_no_case_comes_twice(self):
        done = self.run_it(120000)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.csv, newline="", encoding="utf-8") as f:
            rows = list(csv.DictReader(f))
        self.assertEqual(len(rows), 240)
        self.assertEqual(len({r["seed"] for r in rows}), 240)
        met = collections.Counter((r["program"], r["threads"], r["coretype"], r["profile"], r["asked"]) for r in rows)
        self.assertEqual(len(met), 2 * 2 * 2 * 5)
        of = collections.Counter((r["profile"], r["asked"]) for r in rows)
        self.assertEqual(of, {("rate", "night"): 96, ("default", "night"): 72, ("boundary", "night"): 36,
                              ("session", "night"): 12, ("default", "consistency"): 24})
        for call in self.calls():
            self.assertRegex(call, r"^(Haswell|SkylakeX) fuzz --fast twin --profile \w+ --seed \d+ --cases 500 "
                                   r"--set threads=[12] --out ")
        self.assertIn("| **all** | 120000 | 119760 | 240 | 0 | 0 | 0 |", done.stdout)
        self.assertIn("0 false alarms in 119760 cases that came to a verdict: the true rate is below 2.5e-05", done.stdout)

    def test_pieces_that_are_there_are_not_run_again_and_a_torn_one_is(self):
        self.assertEqual(self.run_it(2000).returncode, 0)
        with open(self.csv, "r+", encoding="utf-8") as f:
            text = f.read()
            f.truncate(len(text) - 30)
        self.assertEqual(self.run_it(3000).returncode, 0)
        self.assertEqual(len(self.calls()), 4 + 1 + 2)

    def test_rows_of_another_build_are_refused(self):
        self.assertEqual(self.run_it(1000).returncode, 0)
        self.write(self.fake, FAKE + "# another\n")
        done = self.run_it(2000)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"rows of another build of a \([0-9a-f]{12}, now [0-9a-f]{12}\): another file, or --mixed")
        self.assertEqual(len(self.calls()), 2)
        done = self.run_it(2000, "--mixed")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"- build of a: [0-9a-f]{12} \(\d pieces\), [0-9a-f]{12} \(\d pieces\) — MIXED")
        self.write(self.csv, "a,b\n1,2\n")
        self.assertIn("other columns", self.run_it(1000).stderr)

    def test_a_finding_is_red(self):
        self.write(f"{self.fake}.findings", "1")
        done = self.run_it(1000)
        self.assertEqual(done.returncode, 1)
        self.assertIn("2 false alarms", done.stdout)

    def test_a_program_that_fails_is_red_and_named(self):
        self.write(f"{self.fake}.dies", "")
        done = self.run_it(1000)
        self.assertEqual(done.returncode, 1)
        self.assertIn("exit 3", done.stderr)
        self.assertIn("broken", done.stderr)
        self.assertIn("0 of 1000 cases", done.stderr)

    def test_a_limit_of_time_does_not_pass_for_the_whole(self):
        done = self.run_it(1000, "--seconds", "0.000001")
        self.assertEqual(done.returncode, 1)


if __name__ == "__main__":
    unittest.main()

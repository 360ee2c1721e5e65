#!/usr/bin/env python3
"""mutate and mutants.py on toys: what is mutated and what is left alone, and a little project with a mutant that its test
kills, one that hangs, and one that nothing can kill."""
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import mutants

PROJECT = """cmake_minimum_required(VERSION 3.20)
project(toy C)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_C_FLAGS "-O0")
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
add_library(toy STATIC toy.c)
add_executable(test_toy test.c)
target_link_libraries(test_toy toy)
"""
# max's > may as well be >=: no test can tell. Without count's i++ the loop has no end.
TOY = """unsigned max(unsigned a, unsigned b) {
    return a > b ? a : b;
}
unsigned count(unsigned n) {
    unsigned i = 0;
    while (i < n) i++;
    return i;
}
"""
TEST = """unsigned max(unsigned, unsigned), count(unsigned);
int main(void) {
    return !(max(2, 3) == 3 && max(3, 2) == 3 && max(3, 3) == 3 && count(3) == 3 && count(0) == 0 && count(1) == 1);
}
"""
IMMORTAL = "toy.c: return a «> → >=» b ? a : b;"
PLAN = {"least": 0.9, "groups": {"toy": {"files": ["toy.c"], "tests": {"test_toy": ["any"]}}}}


def changes(text):
    """Each mutant as operator and «old → new»."""
    return [(m.operator, f"{text[m.start:m.end]} → {m.put}") for m in mutants.mutants_of(text)]


class Operators(unittest.TestCase):
    def test_a_comparison_is_shifted_and_negated_and_its_constant_moved(self):
        text = "bool f(int a) {\n    return a < 3;\n}\n"
        self.assertEqual(sorted(changes(text)), sorted([
            ("operator", "< → <="), ("operator", "< → >="), ("constant", "3 → 4"), ("constant", "3 → 2"),
            ("return", " a < 3 →  !(a < 3)")]))

    def test_floats_are_doubled_and_halved_and_zero_is_one(self):
        self.assertEqual(changes("double x = 1e-6, y = 0.0, z = 0x1p-3;\n"),
                         [("constant", "1e-6 → (1e-6 * 2)"), ("constant", "1e-6 → (1e-6 / 2)"), ("constant", "0.0 → 1.0"),
                          ("constant", "0x1p-3 → (0x1p-3 * 2)"), ("constant", "0x1p-3 → (0x1p-3 / 2)")])

    def test_text_comments_preprocessor_and_asserts_are_left_alone(self):
        self.assertEqual(changes('#define N (1 + \\\n 2)\n/* 1 < 2 */ // 3 > 4\nconst char *s = "1 == 2";\n'
                                 "static_assert(1 < 2, \"\");\nvoid f(int a) {\n    assert(a > 0 && a < 9);\n}\n"), [])

    def test_pointers_declarations_and_lists_are_no_arithmetic_and_no_statements(self):
        text = "void f(char *s, int n) {\n    char *t = s;\n    od_x y = {n};\n    const int k = n;\n}\n"
        self.assertEqual(changes(text), [])

    def test_statements_are_removed_and_jumps_too(self):
        text = "void f(int *s) {\n    g(s);\n    if (*s)\n        *s = h();\n    for (;;) break;\n    return;\n}\n"
        self.assertEqual(changes(text), [
            ("remove", "g(s); → ;"), ("negate", "*s → !(*s)"), ("remove", "*s = h(); → ;"), ("remove", "break; → ;"),
            ("remove", "return; → ;")])

    def test_what_is_returned_depends_on_the_type(self):
        for head, wanted in (("bool ", [" !(x)"]), ("char *", [" NULL"]), ("static size_t ", [" (x) + 1", " 0"])):
            text = f"{head}f(void) {{\n    return x;\n}}\n"
            self.assertEqual([put for _, put in (c.split(" → ", 1) for _, c in changes(text))], wanted, head)

    def test_a_condition_before_a_question_mark_ends_where_it_binds(self):
        text = "int x = f(a, b == c ? d : e);\n"
        self.assertIn(("negate", "b == c → !(b == c)"), changes(text))

    def test_a_mutated_text_has_as_many_lines(self):
        text = "void f(void) {\n    g(1,\n      2);\n}\n"
        for m in mutants.mutants_of(text):
            self.assertEqual(mutants.apply(text, m).count("\n"), text.count("\n"))


class Runs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = tempfile.mkdtemp(prefix="od-mutate-test-")
        cls.build = os.path.join(cls.place, "build")
        for name, text in (("CMakeLists.txt", PROJECT), ("toy.c", TOY), ("test.c", TEST), ("plan.json", json.dumps(PLAN))):
            cls.write(name, text)
        for command in (["cmake", "-S", cls.place, "-B", cls.build, "-G", "Ninja"], ["cmake", "--build", cls.build]):
            subprocess.run(command, check=True, capture_output=True)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.place)

    @classmethod
    def write(cls, name, text):
        with open(os.path.join(cls.place, name), "w", encoding="utf-8") as f:
            f.write(text)

    def mutate(self, survivors, *more, plan=None, code=0):
        """Exit code as expected; the output."""
        self.write("survivors", survivors)
        self.write("plan.json", json.dumps(plan or PLAN))
        done = subprocess.run([sys.executable, "-B", os.path.join(HERE, "mutate"), "--build", self.build, "--plan",
                               os.path.join(self.place, "plan.json"), "--survivors", os.path.join(self.place, "survivors"),
                               "--grace", "0.5", "-j", "2", *more], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def rows(self, path):
        with open(path, newline="", encoding="utf-8") as f:
            return {r["key"]: r for r in csv.DictReader(f)}

    def test_a_survivor_needs_a_reason_and_a_kill_has_none(self):
        path = os.path.join(self.place, "rows.csv")
        said = self.mutate("", "--csv", path, code=1)
        self.assertIn(IMMORTAL, said)
        rows = self.rows(path)
        self.assertEqual([k for k, r in rows.items() if r["outcome"] == "survived"], [IMMORTAL])
        self.assertEqual(rows["toy.c: return «a > b → !(a > b)» ? a : b;"]["by"], "test_toy/any")
        self.assertEqual(rows["toy.c: while (i < n) «i++; → ;»"]["by"], "test_toy/any (time)")
        before = os.stat(path).st_mtime_ns, os.stat(path).st_size
        self.mutate(f"# why\n{IMMORTAL}\n  Equal values are one value.\n", "--csv", path)
        self.assertIn(IMMORTAL, self.mutate(f"{IMMORTAL}\n", "--csv", path, code=1))  # no reason
        killed = "toy.c: return «a > b → !(a > b)» ? a : b;"
        said = self.mutate(f"{IMMORTAL}\n{killed}\n  Both.\n", "--csv", path, code=1)
        self.assertIn(f"listed as a survivor, but killed:\n{killed}", said)
        said = self.mutate(f"{IMMORTAL}\n  So.\ntoy.c: gone «+ → -»\n  So.\n", "--csv", path, code=1)
        self.assertIn("no mutant any more", said)
        said = self.mutate(f"{IMMORTAL}\n  So.\n", "--csv", path, plan={**PLAN, "least": 1.0}, code=1)
        self.assertIn("fewer than 100 %", said)
        self.assertEqual((os.stat(path).st_mtime_ns, os.stat(path).st_size), before, "nothing was run again")

    def test_rows_of_another_build_are_refused(self):
        path = os.path.join(self.place, "other.csv")
        told = f"{IMMORTAL}\n  So.\n"
        self.mutate(told, "--csv", path)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        self.assertRegex(text.splitlines()[1], r",[0-9a-f]{12}$")
        program = os.path.join(self.place, "build", "bin", "test_toy")
        shutil.copy2(program, program + ".kept")
        with open(program, "ab") as f:
            f.write(b"another")
        try:
            said = self.mutate(told, "--csv", path, code=2)
            self.assertRegex(said, r"rows of another build \([0-9a-f]{12}\): another file, or --mixed")
            self.assertIn("MIXED: rows of other builds", self.mutate(told, "--csv", path, "--mixed"))
        finally:
            shutil.move(program + ".kept", program)
        self.assertNotIn("MIXED", self.mutate(told, "--csv", path))

    def test_a_torn_row_is_run_again(self):
        path = os.path.join(self.place, "torn.csv")
        self.mutate(f"{IMMORTAL}\n  So.\n", "--csv", path)
        whole = self.rows(path)
        with open(path, "rb+") as f:
            f.truncate(os.path.getsize(path) - 8)
        self.mutate(f"{IMMORTAL}\n  So.\n", "--csv", path)
        self.assertEqual({k: r["build"] for k, r in self.rows(path).items()}, {k: r["build"] for k, r in whole.items()})

    def test_a_sample_is_the_same_each_time_and_of_the_asked_size(self):
        a, b = (self.mutate("", "--list", "--sample", "5", "--seed", seed).splitlines() for seed in "33")
        self.assertEqual((a, len(a)), (b, 5))
        self.assertNotEqual(a, self.mutate("", "--list", "--sample", "5", "--seed", "4").splitlines())

    def test_what_cannot_serve_is_refused(self):
        plan = {"least": 0.9, "groups": {"toy": {"files": ["toy.c"], "tests": {"test_none": ["any"]}}}}
        self.assertIn("test_none", self.mutate("", plan=plan, code=2))
        self.assertIn("no mutants", self.mutate("", "--only", "other.c", code=2))
        test = os.path.join(self.place, "test.c")
        kept = os.stat(test)
        os.utime(test)
        try:
            self.assertIn("build first", self.mutate("", code=2))
        finally:
            os.utime(test, ns=(kept.st_atime_ns, kept.st_mtime_ns))

    def test_a_suite_that_fails_by_itself_kills_nobody(self):
        broken = os.path.join(self.place, "build", "bin", "test_toy")
        shutil.copy2(broken, broken + ".kept")
        with open(broken, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\nexit 1\n")
        try:
            self.assertIn("fails without any mutant", self.mutate("", code=2))
        finally:
            shutil.move(broken + ".kept", broken)


if __name__ == "__main__":
    unittest.main()

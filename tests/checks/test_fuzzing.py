#!/usr/bin/env python3
"""Each rule of fuzzing.py passes a clean little house and names the breach planted in it."""
import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fuzzing
from planted import Planted

REPLAY = """name: replay
on: [push]
permissions:
  contents: read
jobs:
  replay:
    runs-on: ubuntu-latest
    timeout-minutes: 10
    steps:
      - uses: actions/checkout@v4
      - run: sh scripts/check && cmake --preset release
      - run: cp -rn corpus/. kept/ && sh fuzz/nightly --out night --seconds ${{ inputs.seconds || 60 }}
"""
CLEAN = {
    "CMakePresets.json": '{"configurePresets": [{"name": "release"}]}',
    "scripts/check": "",
    "fuzz/nightly": "",
    "model/case.schema.json": '{"properties": {"a": {"enum": ["x", 1]}, "b": {"items": [{"const": "y"}]}}}',
    "model/config_parse.c": 'static const char *const known_keys[] = {"k"};\n',
    "fuzz/case.dict": '# keys\n"\\"a\\": "\nname="\\"b\\": "\n"\\"x\\""\n"\\"y\\""\n"\\xff\\\\"\n',
    "fuzz/model.dict": '"\\"k\\": "\n',
    "fuzz/series.dict": '","\n',
    "docs/fuzzing.md": "`fuzz_case` `fuzz_model` `fuzz_series`\n",
    ".github/workflows/replay.yml": REPLAY,
}
CLEAN.update({f"fuzz/fuzz_{n}.c": "" for n in fuzzing.RAW})
CLEAN.update({f"fuzz/{n}.options": "" for n in fuzzing.RAW})
CLEAN.update({f"corpus/{n}/seed": "" for n in fuzzing.RAW})


class Fuzzing(Planted):
    CHECKER, CLEAN = fuzzing, CLEAN

    def remove(self, name):
        os.remove(os.path.join(self.root, name))

    def test_clean_house_passes(self):
        for rule in fuzzing.RULES:
            code, out = self.run_rule(rule)
            self.assertEqual(code, 0, out)

    def test_dictionary_lacks_a_key(self):
        self.write("fuzz/case.dict", CLEAN["fuzz/case.dict"].replace('name="\\"b\\": "\n', ""))
        self.breached("dictionaries", 'fuzz/case.dict: lacks "b": ')

    def test_dictionary_lacks_a_word(self):
        self.write("fuzz/case.dict", CLEAN["fuzz/case.dict"].replace('"\\"y\\""\n', ""))
        self.breached("dictionaries", 'fuzz/case.dict: lacks "y"')

    def test_dictionary_lacks_a_key_of_config(self):
        self.write("model/config_parse.c", 'known_keys[] = {"k", "new_one"};\n')
        self.breached("dictionaries", 'fuzz/model.dict: lacks "new_one": ')

    def test_line_that_is_no_entry(self):
        for line in ("plain", '"open', '"a"b"', '""', '"\\n"', '"\\xg0"'):
            self.write("fuzz/series.dict", '","\n' + line + "\n")
            self.breached("dictionaries", "fuzz/series.dict:2: no entry")

    def test_entry_that_is_too_long(self):
        self.write("fuzz/series.dict", '","\n"' + "\\x41" * 64 + '"\n')
        self.assertEqual(self.run_rule("dictionaries")[0], 0)
        self.write("fuzz/series.dict", '","\n"' + "\\x41" * 65 + '"\n')
        self.breached("dictionaries", "fuzz/series.dict:2: more than 64 bytes")

    def test_entry_twice(self):
        self.write("fuzz/series.dict", '","\nb=","\n')
        self.breached("dictionaries", "fuzz/series.dict:2: twice")

    def test_target_without_a_word_in_the_guide(self):
        self.write("fuzz/fuzz_new.c", "")
        self.breached("targets", "says nothing of fuzz_new")

    def test_target_without_its_files(self):
        for name in ("fuzz/model.dict", "fuzz/case.options", "fuzz/fuzz_series.c"):
            self.remove(name)
            self.breached("targets", f"{name}: is missing")

    def test_target_without_seeds(self):
        self.remove("corpus/model/seed")
        self.breached("targets", "corpus/model: no seeds")

    def test_what_a_fuzzer_wrote_among_the_seeds(self):
        self.write("corpus/forward/" + "0123456789" * 4, "{}")
        self.breached("targets", "a fuzzer's name")

    def flow(self, old, new, where):
        self.assertIn(old, REPLAY)
        self.write(".github/workflows/replay.yml", REPLAY.replace(old, new))
        self.breached("workflows", where)

    def test_rows_that_no_cache_keeps(self):
        run, path = "      - run: sh fuzz/nightly --csv out/a.csv\n", "        with:\n          path: out/a.csv\n"
        restore, save = (f"      - uses: actions/cache/{how}@v4\n{path}" for how in ("restore", "save"))
        for lacking in (run, restore + run, run + save, restore + run + save.replace("a.csv", "b.csv")):
            self.flow("      - uses: actions/checkout@v4\n", "      - uses: actions/checkout@v4\n" + lacking,
                      "out/a.csv begins anew each time")
        for kept in (restore + run + save, f"      - uses: actions/cache@v4\n{path}{run}"):
            self.write(".github/workflows/replay.yml", REPLAY + kept)
            self.assertEqual(self.run_rule("workflows")[0], 0)

    def test_workflow_that_is_no_yaml(self):
        self.flow("jobs:", "jobs: [", "replay.yml")

    def test_workflow_that_nothing_starts(self):
        self.flow("on: [push]\n", "", "no event")

    def test_workflow_with_all_permissions(self):
        self.flow("permissions:\n  contents: read\n", "", "no permissions")

    def test_replay_of_more_than_ten_minutes(self):
        self.flow("timeout-minutes: 10", "timeout-minutes: 11", "timeout-minutes is 11")

    def test_job_without_an_end(self):
        self.flow("    timeout-minutes: 10\n", "", "timeout-minutes is None")

    def test_job_without_a_runner(self):
        self.flow("    runs-on: ubuntu-latest\n", "", "no runs-on")

    def test_script_that_is_not_there(self):
        self.flow("sh scripts/check", "sh scripts/gone", "scripts/gone is not there")
        self.flow("sh fuzz/nightly", "time sh fuzz/daily", "fuzz/daily is not there")

    def test_folder_that_is_not_there(self):
        self.flow("corpus/.", "corpora/. corpus/gone/.", "corpus/gone/. is not there")

    def test_preset_that_is_not_there(self):
        self.flow("--preset release", "--preset fast", "no preset fast")

    def test_action_without_a_version(self):
        self.flow("checkout@v4", "checkout", "no version")

    def test_nothing_to_look_at_is_no_pass(self):
        shutil.rmtree(os.path.join(self.root, "fuzz"))
        for rule in ("dictionaries", "targets"):
            self.assertEqual(self.run_rule(rule)[0], 2)
        self.remove(".github/workflows/replay.yml")
        self.assertEqual(self.run_rule("workflows")[0], 2)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Each rule of house.py passes a clean little house and names the breach planted in it."""
import contextlib
import io
import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import house
from planted import Planted

CLEAN = {
    "README.md": "read me\n",
    "CMakeLists.txt": "target_compile_options(x -fno-fast-math)\n",
    "model/model.h": "int m;\n",
    "oracles/judge.h": "int j;\n",
    "oracles/cli/cli.h": '#include "oracles/judge.h"\n#include "ref/ref.h"\n#include "gpu/gpu.h"\n',
    "oracles/tolerance.c": '#include "model/model.h"\nint ok(double e) { return e <= 1e-6; }\n',
    "ref/ref.h": '#include "model/model.h"\n',
    "ref/ref.c": '#include "ref/ref.h"\n#include "tests/faults/fault.h"\n/* err <= 1e-6 */\n',
    "gpu/gpu.h": '#include "model/model.h"\n',
    "gpu/kernels/a.cu": '#include "../gpu.h"\n',
    "fuzz/f.c": '#include "oracles/judge.h"\n#include "ref/ref.h"\n',
    "tests/ref/t.c": '#include "ref/ref.c"\n',
    "tests/faults/fault.h": "int f;\n",
    "tests/faults/list.h": '    X(TAIL, "kernel-tail", "tail", "layer", "text")\n',
}


class House(Planted):
    CHECKER, CLEAN = house, CLEAN

    def test_clean_house_passes(self):
        for rule in ("arrows", "flags", "top-level", "size", "bounds"):
            code, out = self.run_rule(rule)
            self.assertEqual(code, 0, out)

    def test_every_forbidden_arrow_is_named(self):
        for source, target in (
            ("ref/x.c", "gpu/gpu.h"), ("gpu/x.cu", "ref/ref.h"), ("ref/x.c", "oracles/judge.h"),
            ("model/x.c", "ref/ref.h"), ("model/x.c", "oracles/judge.h"), ("oracles/x.c", "ref/ref.h"),
            ("oracles/x.c", "gpu/gpu.h"), ("oracles/x.c", "oracles/cli/cli.h"), ("oracles/cli/x.c", "ref/ref.c"),
            ("fuzz/x.c", "oracles/cli/cli.h"), ("fuzz/x.c", "gpu/kernels/a.cu"), ("gpu/x.c", "tests/ref/t.c"),
        ):
            with self.subTest(source=source, target=target):
                self.write(source, f'int a;\n#include "{target}"\n')
                self.breached("arrows", f"{source}:2: ")
                os.remove(os.path.join(self.root, source))

    def test_a_relative_path_hides_no_arrow(self):
        self.write("ref/x.c", '#include "../gpu/gpu.h"\n')
        self.breached("arrows", "ref/x.c:1: ref must not include gpu/gpu.h")

    def test_banned_flags_are_named(self):
        for flag in ("-ffast-math", "-Ofast", "--use_fast_math", "-ffinite-math-only"):
            with self.subTest(flag=flag):
                self.write("ref/CMakeLists.txt", f"\nset(F {flag})\n")
                self.breached("flags", "ref/CMakeLists.txt:2: ")

    def test_banned_flag_in_a_compiled_command_is_named(self):
        self.write("build/compile_commands.json", '[{"file": "a.c", "command": "cc -O2 -ffast-math a.c"}]')
        self.breached("flags", "a.c: compiled with -ffast-math", "--build", os.path.join(self.root, "build"))

    def test_fault_name_in_a_binary_is_named(self):
        clean = self.write("bin/clean", "kernel-tailor\0")
        self.assertEqual(self.run_rule("faults", "--bin", clean)[0], 0)
        self.breached("faults", "kernel-tail", "--bin", self.write("bin/planted", "x kernel-tail\0"))

    def test_stranger_at_top_level_is_named(self):
        self.write("notes.md", "")
        self.breached("top-level", "notes.md")

    def test_long_file_is_named_and_the_longest_allowed_is_not(self):
        self.write("ref/long.c", "\n" * house.MAX_LINES)
        self.assertEqual(self.run_rule("size")[0], 0)
        self.write("ref/long.c", "\n" * (house.MAX_LINES + 1))
        self.breached("size", "ref/long.c: 701 lines")

    def test_bound_outside_tolerance_is_named(self):
        for line in ("if (err <= 1e-6) {", "if (e>2.5e-7f)", "ok = 1e-5 >= err;", "a < .5e-3"):
            with self.subTest(line=line):
                self.write("gpu/x.c", f"\n{line}\n")
                self.breached("bounds", "gpu/x.c:2: ")

    @unittest.skipUnless(shutil.which("clang-format"), "no clang-format")
    def test_layout_is_clang_formats(self):
        for name in CLEAN:
            if name.endswith(house.SOURCES):
                self.write(name, "int a;\n")
        self.assertEqual(self.run_rule("layout")[0], 0)
        self.write("ref/x.c", "int  a ;\n")
        self.breached("layout", "ref/x.c:1: ")

    @unittest.skipUnless(shutil.which("clang-tidy"), "no clang-tidy")
    def test_what_clang_tidy_finds_is_named(self):
        shutil.copy(os.path.join(os.path.dirname(house.__file__), "../../.clang-tidy"), self.root)
        file = self.write("ref/x.c", "#include <string.h>\nint f(const char *a);\n"
                          "int f(const char *a) { return strcmp(a, \"b\") == 2; }\n")
        build = os.path.join(self.root, "build")
        self.write("build/compile_commands.json",
                   f'[{{"directory": "{self.root}", "file": "{file}", "command": "cc -c {file}"}}]')
        self.breached("tidy", "bugprone-suspicious-string-compare", "--build", build)
        self.write("ref/x.c", "int f(void);\nint f(void) { return 1; }\n")
        self.assertEqual(self.run_rule("tidy", "--build", build)[0], 0)

    def test_seeing_nothing_is_no_pass(self):
        empty = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, empty)
        for rule in ("arrows", "flags", "top-level", "size", "bounds"):
            with contextlib.redirect_stdout(io.StringIO()):
                self.assertEqual(house.main([rule, "--root", empty]), 2)


if __name__ == "__main__":
    unittest.main()

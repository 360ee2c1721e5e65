"""What the tests of the checks share: a clean little house in a folder of its own, in which a test plants a breach."""
import contextlib
import io
import os
import shutil
import tempfile
import unittest


class Planted(unittest.TestCase):
    CHECKER = None  # the module whose rules are tried
    CLEAN = {}  # file name → text

    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        for name, text in self.CLEAN.items():
            self.write(name, text)

    def write(self, name, text):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def run_rule(self, *arguments):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = self.CHECKER.main([*arguments, "--root", self.root])
        if code == 77:
            self.skipTest(out.getvalue())
        return code, out.getvalue()

    def breached(self, rule, where, *more):
        code, out = self.run_rule(rule, *more)
        self.assertEqual(code, 1, out)
        self.assertIn(where, out)

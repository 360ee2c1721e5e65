#!/usr/bin/env python3
"""The house's rules that no compiler knows: house.py RULE… [--root DIR] [--build DIR] [--bin FILE…]

Each rule prints what it looked at and every breach as file:line; exit 1 on a breach, 2 where there was nothing to
look at (a check that saw nothing has not passed). test_house.py plants a breach of each rule.
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys

ROOMS = ("model", "ref", "gpu", "oracles", "fuzz", "tests")
SOURCES = (".c", ".h", ".inc", ".cpp", ".cu", ".cuh")
LINES = SOURCES + (".py", ".sh", ".txt", ".cmake", ".md", ".yml")
TOP_LEVEL = set(
    "CMakeLists.txt CMakePresets.json README.md CONTRIBUTING.md LICENSE .ci .github .clusterfuzzlite .clang-format "
    ".clang-tidy .editorconfig .gitignore model ref gpu oracles fuzz corpus tests reports bench scripts docs examples "
    "adapters".split()
)
MAX_LINES = 700
BANNED_FLAG = re.compile(
    r"-ffast-math|-Ofast|use_fast_math|-funsafe-math-optimizations|-ffinite-math-only|-fassociative-math"
    r"|-freciprocal-math|-fno-honor-nans|--?ftz[= ]true|-prec-div[= ]false"
)
# A bound is a number that an error is held against: `err <= 1e-6`, `1e-6 >= err`.
BOUND = re.compile(r"[<>]=?\s*\d*\.?\d*e-[0-9]|\d\.?\d*e-[0-9]+f?\s*[<>]=?")
FAULT = re.compile(r'^\s*[XNBSG]\(\w+,\s*"([^"]+)"', re.M)
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


class Nothing(Exception):
    """Nothing to look at."""


def tracked(root):
    """Files of the project relative to root: git's view (ignored ones left out), or a walk where there is no git."""
    command = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        if not os.path.exists(os.path.join(root, ".git")):
            raise OSError("no git here")
        text = subprocess.run(command, check=True, capture_output=True).stdout.decode()
        files = [f for f in text.split("\0") if f]
    except (OSError, subprocess.CalledProcessError):
        files = []
        for folder, below, names in os.walk(root):
            if folder == root:
                below[:] = [b for b in below if b not in (".git", "build", "out")]
            below[:] = [b for b in below if b != "__pycache__"]
            files += [os.path.relpath(os.path.join(folder, n), root) for n in names]
    return sorted(f for f in files if os.path.isfile(os.path.join(root, f)))


def text_of(root, file):
    with open(os.path.join(root, file), encoding="utf-8", errors="replace") as f:
        return f.read()


def sources(root, rooms=ROOMS):
    found = [f for f in tracked(root) if f.endswith(SOURCES) and f.split("/")[0] in rooms]
    if not found:
        raise Nothing("no source file in " + ", ".join(rooms))
    return found


def allowed(source, target):
    """May the file `source` include the file `target`? Both relative to the root."""
    room, of = source.split("/")[0], target.split("/")[0]
    if target == "tests/faults/fault.h" or room == of:
        return not (room == "oracles" and target.startswith("oracles/cli/") and not source.startswith("oracles/cli/"))
    if room == "tests":
        return True
    if source.startswith("oracles/cli/"):
        return of == "model" or target in ("ref/ref.h", "gpu/gpu.h")
    if room == "fuzz":
        return of == "model" or (of == "oracles" and not target.startswith("oracles/cli/")) or target in (
            "ref/ref.h", "gpu/gpu.h")
    return room in ("ref", "gpu", "oracles") and of == "model"


def arrows(options):
    """ref, gpu, oracles -> model; fuzz -> model, oracles; only oracles/cli, fuzz and tests name ref.h and gpu.h."""
    files = sources(options.root)
    for file in files:
        for number, line in enumerate(text_of(options.root, file).splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            for base in ("", os.path.dirname(file)):
                target = os.path.normpath(os.path.join(base, match.group(1)))
                if target.split("/")[0] in ROOMS and os.path.exists(os.path.join(options.root, target)):
                    if not allowed(file, target):
                        yield f"{file}:{number}: {file.split('/')[0]} must not include {target}"
                    break
    print(f"arrows: {len(files)} files")


def flags(options):
    """No flag that lets a compiler reorder or assume finite floats, in what we write and in what was compiled."""
    files = [f for f in tracked(options.root) if f.endswith(("CMakeLists.txt", ".cmake", "CMakePresets.json", ".yml"))
             or f.startswith(("scripts/", ".ci/"))]
    if not files:
        raise Nothing("no build file")
    for file in files:
        for number, line in enumerate(text_of(options.root, file).splitlines(), 1):
            match = BANNED_FLAG.search(line)
            if match:
                yield f"{file}:{number}: {match.group()} is banned"
    commands = 0
    if options.build:
        path = os.path.join(options.build, "compile_commands.json")
        if not os.path.exists(path):
            raise Nothing(f"no {path}")
        with open(path, encoding="utf-8") as f:
            for entry in json.load(f):
                commands += 1
                match = BANNED_FLAG.search(entry["command"])
                if match:
                    yield f"{entry['file']}: compiled with {match.group()}"
        if not commands:
            raise Nothing(f"{path} is empty")
    print(f"flags: {len(files)} build files, {commands} compiler commands")


def faults(options):
    """A release holds no planted fault: none of their names stands in its binaries."""
    names = FAULT.findall(text_of(options.root, "tests/faults/list.h"))
    if not names or not options.bin:
        raise Nothing("no fault in tests/faults/list.h" if not names else "no binary given")
    for file in options.bin:
        with open(file, "rb") as f:
            data = f.read()
        for name in names + ["OD_FAULT"]:
            if name.encode() + b"\0" in data:
                yield f"{file}: holds the planted fault's name {name}"
    print(f"faults: {len(names)} names in {len(options.bin)} binaries")


def top_level(options):
    """Nothing at top level but what the design lists."""
    names = {f.split("/")[0] for f in tracked(options.root)}
    if not names:
        raise Nothing("no file")
    for name in sorted(names - TOP_LEVEL):
        yield f"{name}: does not belong at top level"
    print(f"top-level: {len(names)} names")


def size(options):
    """No file over 700 lines."""
    files = [f for f in tracked(options.root) if f.endswith(LINES)]
    if not files:
        raise Nothing("no file")
    for file in files:
        lines = text_of(options.root, file).count("\n")
        if lines > MAX_LINES:
            yield f"{file}: {lines} lines, {MAX_LINES} at most"
    print(f"size: {len(files)} files")


def without_comments(text):
    """The text with comments and strings blanked, lines kept."""
    pattern = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"'
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def bounds(options):
    """No tolerance outside oracles/tolerance.c."""
    files = [f for f in sources(options.root, ("ref", "gpu", "oracles", "fuzz")) if f != "oracles/tolerance.c"]
    for file in files:
        for number, line in enumerate(without_comments(text_of(options.root, file)).splitlines(), 1):
            if BOUND.search(line):
                yield f"{file}:{number}: a bound outside oracles/tolerance.c: {line.strip()}"
    print(f"bounds: {len(files)} files")


def layout(options):
    """clang-format has nothing to change."""
    files = sources(options.root)
    paths = [os.path.join(options.root, f) for f in files]
    done = subprocess.run([options.clang_format, "--dry-run", "-Werror", "--style=file", *paths], check=False,
                          capture_output=True, text=True)
    breaches = sorted(set(re.findall(r"^(\S+?):(\d+):\d+: error", done.stderr, re.M)))
    for path, line in breaches:
        yield f"{os.path.relpath(path, options.root)}:{line}: clang-format would change it"
    if done.returncode and not breaches:
        yield done.stderr.strip()
    print(f"layout: {len(files)} files")


def tidy(options):
    """clang-tidy's short list (.clang-tidy) finds nothing in what this build compiles."""
    path = os.path.join(options.build or ".", "compile_commands.json")
    if not os.path.exists(path):
        raise Nothing(f"no {path}")
    with open(path, encoding="utf-8") as f:
        files = sorted({e["file"] for e in json.load(f) if e["file"].endswith((".c", ".cpp"))})
    if not files:
        raise Nothing(f"no C or C++ in {path}")

    def look(file):
        return subprocess.run([options.clang_tidy, "-p", options.build, "--quiet", file], check=False,
                              capture_output=True, text=True)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, done in zip(files, pool.map(look, files)):
            errors = [line for line in done.stdout.splitlines() if re.search(r":\d+: (error|warning): ", line)]
            yield from errors
            if done.returncode and not errors:
                yield f"{file}: clang-tidy failed: {done.stderr.strip()}"
    print(f"tidy: {len(files)} files")


RULES = {"arrows": arrows, "flags": flags, "faults": faults, "top-level": top_level, "size": size, "bounds": bounds,
         "layout": layout, "tidy": tidy}


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rules", nargs="+", choices=RULES)
    parser.add_argument("--root", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    parser.add_argument("--build", help="flags, tidy: a build folder, whose compile_commands.json is read")
    parser.add_argument("--bin", nargs="+", help="faults: binaries of a build without faults")
    parser.add_argument("--clang-format", default="clang-format")
    parser.add_argument("--clang-tidy", default="clang-tidy")
    options = parser.parse_args(arguments)
    options.root = os.path.abspath(options.root)
    breached = 0
    for rule in options.rules:
        try:
            for breach in RULES[rule](options):
                print(breach)
                breached += 1
        except Nothing as nothing:
            print(f"{rule}: {nothing}: nothing was checked")
            return 2
    return 1 if breached else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

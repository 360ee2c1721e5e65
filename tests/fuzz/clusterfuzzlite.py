#!/usr/bin/env python3
"""Builds .clusterfuzzlite/ as ClusterFuzzLite's base image does, without Docker, and looks at what comes out as its
check_build does: clusterfuzzlite.py REPOSITORY [FOLDER]

The environment is the base image's: CC, CXX, CFLAGS, CXXFLAGS, LIB_FUZZING_ENGINE, SRC, OUT, WORK. Then $OUT is moved, as it
is to the image that runs the targets, and each target of fuzz/ must be there and executable, carry ASan and coverage,
find its libraries in $OUT/lib, take its dictionary and options, and run its seeds without a finding. At the end things are
taken away one by one, and each loss must be seen. Exit 0: all holds; 1: not; 77: a tool is missing.
"""
import configparser
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

ASAN = "-fsanitize=address -fsanitize-address-use-after-scope"
COMMON = "-O1 -fno-omit-frame-pointer -gline-tables-only -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION"
BASE = re.compile(r"^(linux-vdso|ld-linux.*|lib(c|m|dl|rt|pthread|resolv))\.so")  # what every image has
SECONDS = 300  # a machine may be busy
SEEDS = 24  # of a target that are run here; the corpus as a whole is replayed elsewhere


def build(root, folder):
    """Runs build.sh; the folder with what it made, which is no longer where it was made."""
    source, out, work = folder / "src", folder / "out", folder / "work"
    for path in (source, out, work):
        path.mkdir(parents=True, exist_ok=True)
    link = source / "oracle-diff"
    if not link.is_symlink():
        link.symlink_to(root)
    flags = f"{COMMON} {ASAN} -fsanitize=fuzzer-no-link"
    environment = dict(os.environ, CC="clang", CXX="clang++", CFLAGS=flags, CXXFLAGS=flags, SANITIZER="address",
                       FUZZING_ENGINE="libfuzzer", ARCHITECTURE="x86_64", LIB_FUZZING_ENGINE="-fsanitize=fuzzer",
                       SRC=str(source), OUT=str(out), WORK=str(work))
    if shutil.which("ccache"):
        environment.update(CMAKE_C_COMPILER_LAUNCHER="ccache", CMAKE_CXX_COMPILER_LAUNCHER="ccache")
    done = subprocess.run(["bash", "-eu", str(root / ".clusterfuzzlite/build.sh")], env=environment, cwd=link,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.exit(f"build.sh failed:\n{done.stdout[-4000:]}")
    moved = folder / "moved"
    shutil.rmtree(moved, ignore_errors=True)
    out.rename(moved)
    return moved


def run(out, name, *arguments):
    """The target as the running image starts it: elsewhere, with an environment of little."""
    with tempfile.TemporaryDirectory() as empty:
        environment = {"PATH": "/usr/bin:/bin", "OD_OUT": empty, "ASAN_OPTIONS": "symbolize=0"}
        command = ["timeout", str(SECONDS), str(out / name), *arguments]
        return subprocess.run(command, env=environment, cwd=out, capture_output=True, text=True, errors="replace",
                              check=False)


def check_seeds(out, name, limits):
    archive = out / f"{name}_seed_corpus.zip"
    if not archive.is_file():
        return ["no seed corpus"]
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(archive) as seeds:
        names = sorted(seeds.namelist())
        if not names:
            return ["an empty seed corpus"]
        names = names[:: -(-len(names) // SEEDS)]
        seeds.extractall(folder, names)
        done = run(out, name, "-runs=0", "-seed=1", *limits, folder)
        count = re.search(r"seed corpus: files: (\d+)", done.stderr)
        if done.returncode:
            return [f"its seeds end in {done.returncode}: {done.stderr[-2000:]}"]
        if not count or int(count.group(1)) != len(names):
            return [f"read {count.group(1) if count else 0} of {len(names)} seeds"]
    return []


def check_options(out, name):
    """(problems, libFuzzer's arguments)"""
    path, parser = out / f"{name}.options", configparser.ConfigParser()
    if not parser.read(path):
        return ["no options"], []
    if parser.sections() != ["libfuzzer"] or not all(v.isdigit() for v in parser["libfuzzer"].values()):
        return [f"options of {parser.sections()}, numbers under [libfuzzer] are wanted"], []
    return [], [f"-{key}={value}" for key, value in parser["libfuzzer"].items()]


def check_libraries(out, name):
    done = subprocess.run(["ldd", str(out / name)], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        words = line.split()
        if not BASE.match(os.path.basename(words[0])) and not (len(words) > 2 and words[2].startswith(f"{out}/lib/")):
            yield f"does not bring along {words[0]}"


def check_target(root, out, name):
    """What is wrong with the target, in words."""
    if not os.access(out / name, os.X_OK):
        return ["no executable"]
    symbols = subprocess.run(["nm", str(out / name)], capture_output=True, text=True, check=False).stdout
    wrong = [f"no symbol {s}: built without its flags" for s in ("__asan_init", "LLVMFuzzerTestOneInput", "__asan_report_load8")
             if not re.search(rf" T {s}$", symbols, re.M)]
    if "__start___sancov_cntrs" not in symbols:
        wrong.append("no coverage counters")
    wrong += check_libraries(out, name)
    problems, limits = check_options(out, name)
    wrong += problems
    dictionary = root / "fuzz" / f"{name.removeprefix('fuzz_')}.dict"
    if dictionary.exists():
        if not (out / f"{name}.dict").is_file():
            wrong.append("no dictionary")
        else:
            limits.append(f"-dict={out / name}.dict")
    if not wrong:
        done = run(out, name, "-runs=4", "-seed=1337", *limits)  # bad_build_check's first try: no corpus at all
        if done.returncode:
            wrong.append(f"ends in {done.returncode}: {done.stderr[-2000:]}")
        elif dictionary.exists() and not re.search(r"Dictionary: [1-9]\d* entries", done.stderr):
            wrong.append("the dictionary is not read")
    return wrong + check_seeds(out, name, limits)


def check_files(root):
    """What the image's builder reads before build.sh."""
    docker = (root / ".clusterfuzzlite/Dockerfile").read_text(encoding="utf-8")
    for pattern in (r"^FROM gcr\.io/oss-fuzz-base/base-builder", r"^COPY \. \$SRC/oracle-diff$",
                    r"^COPY \.clusterfuzzlite/build\.sh \$SRC/", r"^RUN sh scripts/install-packages build$"):
        if not re.search(pattern, docker, re.M):
            yield f"Dockerfile: nothing like {pattern}"
    if not re.search(r"^language: c\+\+$", (root / ".clusterfuzzlite/project.yaml").read_text(encoding="utf-8"), re.M):
        yield "project.yaml: no language: c++"


def check_losses(root, out, name):
    """Each thing taken away must be seen."""
    for lost in (name, f"{name}_seed_corpus.zip", f"{name}.dict", f"{name}.options", "lib"):
        away = out.parent / "away"
        (out / lost).rename(away)
        if not check_target(root, out, name):
            yield f"{name}: {lost} is gone, and nobody sees it"
        away.rename(out / lost)
    zipfile.ZipFile(out / f"{name}_seed_corpus.zip", "w").close()
    if not check_target(root, out, name):
        yield f"{name}: no seed is left, and nobody sees it"


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    missing = [t for t in ("clang", "clang++", "cmake", "ninja", "zip", "ldd", "nm") if not shutil.which(t)]
    if missing:
        print(f"skipped: no {', '.join(missing)}")
        return 77
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else temporary).resolve()
        out = build(root, folder)
        names = sorted(p.stem for p in (root / "fuzz").glob("fuzz_*.c"))
        problems = list(check_files(root))
        for name in names:
            wrong = check_target(root, out, name)
            problems += [f"{name}: {w}" for w in wrong]
            print(f"{name}: {'; '.join(wrong) or 'runs, with its seeds'}", flush=True)
        problems += check_losses(root, out, "fuzz_case")
        print("\n".join(problems) if problems else f"clusterfuzzlite: {len(names)} targets")
        return 1 if problems or not names else 0


if __name__ == "__main__":
    sys.exit(main())

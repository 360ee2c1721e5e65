#!/usr/bin/env python3
"""What surrounds the fuzz targets and rots unseen: fuzzing.py RULE… [--root DIR]

dictionaries: case.dict has every key and word of the case's schema, model.dict every key of config.json, and every line of a
dictionary is one that libFuzzer takes. targets: each fuzz/fuzz_*.c has its options and its place in docs/fuzzing.md, and the
raw-byte targets their seeds; no folder of seeds holds what libFuzzer wrote. workflows: .github/workflows parse, their jobs end by
themselves, replay within ten minutes, and the scripts, folders and presets that they name are there.
Exit 1 on a breach, 2 where there was nothing to look at, 77 where PyYAML is missing. test_fuzzing.py plants breaches.
"""
import argparse
import glob
import json
import os
import re
import sys

ENTRY = re.compile(r'^(?:\w+=)?"((?:[^"\\]|\\\\|\\"|\\x[0-9a-fA-F]{2})+)"$')
MOST = 64  # bytes of a word that libFuzzer keeps
RAW = ("model", "case", "series")
ROOM = re.compile(r"(?<![\w./$-])((?:scripts|fuzz|tests|corpus|model|docs|bench|\.ci|\.clusterfuzzlite)/[\w.-][\w./-]*)")


class Nothing(Exception):
    """Nothing to look at."""


def text_of(root, file):
    with open(os.path.join(root, file), encoding="utf-8") as f:
        return f.read()


def found(root, pattern):
    files = sorted(os.path.relpath(f, root) for f in glob.glob(os.path.join(root, pattern)))
    if not files:
        raise Nothing(f"no {pattern}")
    return files


def unescape(text):
    return re.sub(r'\\(\\|"|x[0-9a-fA-F]{2})', lambda m: m[1] if m[1] in '\\"' else chr(int(m[1][1:], 16)), text)


def schema_words(schema):
    """(keys, words) that a case may hold, everywhere in the schema."""
    keys, words = set(), set()
    if isinstance(schema, dict):
        keys |= set(schema.get("properties", {}))
        words |= {w for w in [*schema.get("enum", []), schema.get("const")] if isinstance(w, str)}
        below = schema.values()
    else:
        below = schema if isinstance(schema, list) else []
    for part in below:
        k, w = schema_words(part)
        keys, words = keys | k, words | w
    return keys, words


def dictionaries(root):
    entries = {}
    for file in found(root, "fuzz/*.dict"):
        mine = entries[os.path.basename(file)[:-5]] = set()
        for number, line in enumerate(text_of(root, file).splitlines(), 1):
            if not line or line.startswith("#"):
                continue
            match = ENTRY.match(line)
            if not match:
                yield f"{file}:{number}: no entry of a dictionary: {line}"
            elif len(unescape(match[1])) > MOST:
                yield f"{file}:{number}: more than {MOST} bytes, libFuzzer drops it: {line}"
            elif unescape(match[1]) in mine:
                yield f"{file}:{number}: twice: {line}"
            else:
                mine.add(unescape(match[1]))
    keys, words = schema_words(json.loads(text_of(root, "model/case.schema.json")))
    config = re.search(r"known_keys\[\] = \{(.*?)\}", text_of(root, "model/config_parse.c"), re.S)
    config_keys = re.findall(r'"(\w+)"', config[1]) if config else []
    if not keys or not words or not config_keys:
        raise Nothing("no keys in the schema or in model/config_parse.c")
    wanted = [("case", f'"{k}": ') for k in keys] + [("case", f'"{w}"') for w in words]
    wanted += [("model", f'"{k}": ') for k in config_keys]
    for name, token in sorted(wanted):
        if token not in entries.get(name, ()):
            yield f"fuzz/{name}.dict: lacks {token}"
    print(f"dictionaries: {', '.join(f'{n} {len(e)}' for n, e in entries.items())} entries")


def targets(root):
    names = [os.path.basename(f)[5:-2] for f in found(root, "fuzz/fuzz_*.c")]
    guide = text_of(root, "docs/fuzzing.md")
    for name in names:
        if f"`fuzz_{name}`" not in guide:
            yield f"docs/fuzzing.md: says nothing of fuzz_{name}"
    for name in RAW:
        for file in (f"fuzz/fuzz_{name}.c", f"fuzz/{name}.dict", f"fuzz/{name}.options"):
            if not os.path.isfile(os.path.join(root, file)):
                yield f"{file}: is missing"
        folder = os.path.join(root, "corpus", name)
        if not os.path.isdir(folder) or not os.listdir(folder):
            yield f"corpus/{name}: no seeds"
    for file in sorted(glob.glob(os.path.join(root, "corpus/*/*"))):
        if re.fullmatch(r"[0-9a-f]{40}", os.path.basename(file)):
            yield f"{os.path.relpath(file, root)}: a fuzzer's name; its corpus is no seed (corpus/README.md)"
    print(f"targets: {len(names)}")


def kept_paths(job):
    """What is both restored from the cache and saved to it."""
    by = {"restore": set(), "save": set()}
    for step in job["steps"]:
        action = re.match(r"actions/cache(?:/(\w+))?@", step.get("uses", ""))
        for end in [action[1]] if action and action[1] else by if action else []:
            by[end] |= set(str(step.get("with", {}).get("path", "")).split())
    return by["restore"] & by["save"]


def check_job(root, presets, name, job):
    """What is wrong with one job, in words."""
    if not isinstance(job, dict) or not job.get("runs-on") or not job.get("steps"):
        yield "no runs-on or no steps"
        return
    limit = job.get("timeout-minutes")
    if not isinstance(limit, int) or limit > 360 or (name == "replay" and limit > 10):
        yield f"timeout-minutes is {limit}"
    for step in job["steps"]:
        if ("run" in step) == ("uses" in step):
            yield f"a step needs either run or uses: {step}"
        if not re.fullmatch(r"[\w./-]+@v\d+", step.get("uses", "a/b@v1")):
            yield f"uses {step['uses']}: no version"
        command = re.sub(r"\$\{\{.*?\}\}", "X", step.get("run", ""))
        scripts = re.findall(r"(?:^|[;&|\s])(?:sh|bash|python3) ([\w./-]+)", command)
        for path in sorted({*scripts, *ROOM.findall(command)}):
            if not os.path.exists(os.path.join(root, path.rstrip("."))):
                yield f"{path} is not there"
        # a row's file that is thrown away with the machine never goes on
        for file in re.findall(r"--csv[ =](\S+)", command):
            if file not in kept_paths(job):
                yield f"{file} begins anew each time: no actions/cache/restore and actions/cache/save of it"
        for preset in re.findall(r"--preset[ =](\S+)", command):
            if preset not in presets:
                yield f"there is no preset {preset}"


def workflows(root):
    import yaml  # python3-yaml; only this rule needs it
    presets = {p["name"] for p in json.loads(text_of(root, "CMakePresets.json"))["configurePresets"]}
    files = found(root, ".github/workflows/*.yml")
    for file in files:
        try:
            flow = yaml.safe_load(text_of(root, file))
        except yaml.YAMLError as error:
            yield f"{file}: {error}"
            continue
        # YAML 1.1 reads `on` as true
        if not isinstance(flow, dict) or not flow.get("name") or not (flow.get("on") or flow.get(True)):
            yield f"{file}: no name, or no event that starts it"
            continue
        if not flow.get("permissions"):
            yield f"{file}: no permissions: it would get all"
        for name, job in (flow.get("jobs") or {"none": None}).items():
            for wrong in check_job(root, presets, name, job):
                yield f"{file}: {name}: {wrong}"
    print(f"workflows: {len(files)}")


RULES = {"dictionaries": dictionaries, "targets": targets, "workflows": workflows}


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rules", nargs="+", choices=RULES)
    parser.add_argument("--root", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    options = parser.parse_args(arguments)
    breached = 0
    for rule in options.rules:
        try:
            for breach in RULES[rule](os.path.abspath(options.root)):
                print(breach)
                breached += 1
        except Nothing as nothing:
            print(f"{rule}: {nothing}: nothing was checked")
            return 2
        except ModuleNotFoundError as missing:
            print(f"skipped: {missing}")
            return 77
    return 1 if breached else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

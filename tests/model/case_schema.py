#!/usr/bin/env python3
"""Validates the worked example and every case under corpus/ against model/case.schema.json.

Usage: case_schema.py REPOSITORY_ROOT. Exit 0: all valid; 1: not; 77: python3-jsonschema is missing (a skip in CTest).
The schema itself is tried, too: each of the broken variants of the example below must be refused.
"""
import copy
import json
import pathlib
import sys

try:
    import jsonschema
except ImportError:
    print("skipped: python3-jsonschema is not installed")
    sys.exit(77)


def no_duplicates(pairs):
    keys = [k for k, _ in pairs]
    if len(keys) != len(set(keys)):
        raise ValueError(f"duplicate key among {keys}")
    return dict(pairs)


def load(path):
    return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=no_duplicates)


BROKEN = {
    "unknown key": lambda d: d.update(x=1),
    "other format": lambda d: d.update(format=2),
    "no model": lambda d: d.pop("model"),
    "two models": lambda d: d["model"].update(preset="seed-tiny"),
    "unknown preset": lambda d: d.update(model={"preset": "large"}),
    "gain 0": lambda d: d["model"].update(gain=0),
    "gain with a folder": lambda d: d.update(model={"folder": {
        "path": "x", "config": {"bytes": 1, "xxh64": "0" * 16}, "weights": {"bytes": 1, "xxh64": "0" * 16}}, "gain": 1}),
    "mixture without components": lambda d: d["model"]["dims"].pop("output_distribution_kwargs"),
    "components without mixture": lambda d: d["model"]["dims"].update(output_distribution_classes=["StudentTOutput"]),
    "every 0": lambda d: d["model"]["dims"].update(spacewise_every_n_layers=0),
    "stabilised StdMeanScaler": lambda d: d["model"]["dims"].update(
        scaler_cls="StdMeanScaler", stabilize_with_global=True),
    "seed 2^63": lambda d: d["series"].update(seed=2**63),
    "negative seed": lambda d: d["series"].update(seed=-1),
    "seed of a half": lambda d: d["series"].update(seed=0.5),
    "batch 65": lambda d: d["series"].update(batch=65),
    "missing 1.5": lambda d: d["series"].update(missing=1.5),
    "csv without a file": lambda d: d["series"].update(generator="csv"),
    "a file without csv": lambda d: d["series"].update(
        csv={"path": "x", "bytes": 1, "xxh64": "0" * 16, "columns": ["a"]}),
    "empty schedule": lambda d: d.update(schedule=[]),
    "65 operations": lambda d: d.update(schedule=[{"op": "recapture"}] * 65),
    "reset without a session": lambda d: d["schedule"].append({"op": "reset"}),
    "decode without a feed": lambda d: d["schedule"].append({"op": "decode", "session": 0, "patches": 1}),
    "prefill with a feed": lambda d: d["schedule"][0].update(feed="own"),
    "steps 0": lambda d: d["schedule"][0].update(steps=0),
    "session 4": lambda d: d["schedule"][0].update(session=4),
    "samples": lambda d: d.update(forecast="samples"),
    "cache on": lambda d: d["options"].update(cache="on"),
    "graph 1": lambda d: d["options"].update(graph=1),
    "compare loc": lambda d: d.update(compare="loc"),
    "empty expect": lambda d: d.update(expect=""),
    "half a finding": lambda d: d.update(finding={"verdict": "FINDING"}),
}


def main(root):
    root = pathlib.Path(root)
    schema = load(root / "model" / "case.schema.json")
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    failures = 0
    example = root / "model" / "case.example.json"
    files = [example, *sorted(f for f in (root / "corpus").rglob("*.json") if f.name != "known-issues.json")]
    for path in files:
        try:
            errors = [f"{e.json_path}: {e.message}" for e in validator.iter_errors(load(path))]
        except (ValueError, UnicodeDecodeError) as e:
            errors = [str(e)]
        failures += bool(errors)
        for e in errors:
            print(f"{path}: {e}")
    good = load(example)
    for what, breaks in BROKEN.items():
        bad = copy.deepcopy(good)
        breaks(bad)
        if validator.is_valid(bad):
            failures += 1
            print(f"{example}: the schema lets this through: {what}")
    print(f"{len(files)} files, {len(BROKEN)} broken variants, {failures} failures")
    return 0 if failures == 0 and len(files) > 60 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) if len(sys.argv) == 2 else __doc__)

#!/usr/bin/env python3
"""Result files keep to oracles/result.schema.json: schema_test.py SCHEMA FILE.jsonl…

Exit 77 (CTest: skipped) where python3 has no jsonschema. A file with no line is an error; so is a schema that
accepts what it must not (a few spoilt copies of the first case line).
"""
import copy
import json
import sys

try:
    import jsonschema
except ImportError:
    print("python3 has no module jsonschema: skipped")
    sys.exit(77)


def lines(path):
    with open(path, encoding="utf-8") as f:
        found = [json.loads(line, parse_constant=lambda c: sys.exit(f"{path}: {c} is no JSON")) for line in f]
    if not found:
        sys.exit(f"{path}: no line to check")
    return found


def spoilt(case):
    """Copies of a case line, each with one thing that the schema must refuse."""
    for change in (
        lambda c: c.update(verdict="OK"),
        lambda c: c.update(surprise=1),
        lambda c: c.pop("hash"),
        lambda c: c.update(hash="A7"),
        lambda c: c["oracles"].append({"oracle": "accuracy"}),
    ):
        c = copy.deepcopy(case)
        change(c)
        yield c


def main(schema_path, *paths):
    with open(schema_path, encoding="utf-8") as f:
        schema = json.load(f)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    if not paths:
        sys.exit("no file to check")
    for path in paths:
        found = lines(path)
        for number, line in enumerate(found, 1):
            errors = [e.message for e in validator.iter_errors(line)]
            if errors:
                sys.exit(f"{path}:{number}: {errors[0]}")
        for case in [l for l in found if l["type"] == "case"][:1]:
            for bad in spoilt(case):
                if validator.is_valid(bad):
                    sys.exit(f"{schema_path}: accepts a spoilt case line")
        print(f"{path}: {len(found)} lines keep to the schema")


if __name__ == "__main__":
    main(*sys.argv[1:])

#!/usr/bin/env python3
"""calibrate and --policy envelope as scripts see them: envelope_test.py ORACLE_DIFF SOURCE_DIR

What is refused, what is written, what a run with an envelope says at its end and exits with. That faults are found is
the affair of tests/oracles/planted.c.
"""
import json
import os
import subprocess
import sys
import xml.etree.ElementTree

from cli_harness import GOOD, SOURCE, check, exits, main, refuses, write

try:
    import jsonschema
except ImportError:
    jsonschema = None

TWIN = ("--fast", "twin")
FUZZ = ("fuzz", *TWIN, "--only", "accuracy", "--profile", "rate", "--seed", "11")
BUILT_IN = os.path.join(SOURCE, "oracles/envelope.ref-twin.json")


def read(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def changed(path, change):
    """The envelope that is built in, with a change."""
    envelope = read(BUILT_IN)
    change(envelope)
    return write(path, json.dumps(envelope))


def keeps_to_schema(envelope):
    if jsonschema:
        schema = read(os.path.join(SOURCE, "oracles/envelope.schema.json"))
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(envelope, schema)
        for spoil in (lambda e: e.update(format=2), lambda e: e.pop("pair"), lambda e: e["keys"][0].update(n=0),
                      lambda e: e["keys"][0].update(mae_p999=-1), lambda e: e["shifts"][0].pop("sd")):
            bad = json.loads(json.dumps(envelope))
            spoil(bad)
            assert not jsonschema.Draft202012Validator(schema).is_valid(bad)


@check
def the_envelope_that_is_built_in_keeps_to_its_schema():
    envelope = read(BUILT_IN)
    keeps_to_schema(envelope)
    write("good.json", GOOD)
    far = changed("far.json", lambda e: e["ref"].update(device="an abacus"))
    done = exits(0, "run", "good.json", *TWIN, "--only", "accuracy", "--policy", "envelope", "--envelope", far,
                 "--require", "envelope")
    assert "measured on another device: an abacus against twin" in done.stdout
    assert envelope["pair"] == "ref:twin" and os.path.getsize(BUILT_IN) < 100 * 1024


@check
def bad_usage_is_refused():
    write("good.json", GOOD)
    refuses(2, "contract or envelope", "run", "good.json", "--policy", "enveloppe")
    refuses(2, "needs --policy envelope", "run", "good.json", "--envelope", BUILT_IN)
    refuses(2, "needs --policy envelope", "run", "good.json", *TWIN, "--only", "envelope")
    refuses(2, "leaves out accuracy", "run", "good.json", *TWIN, "--policy", "envelope", "--only", "memory")
    refuses(2, "either cases", "calibrate", *TWIN, "good.json", "--cases", "10")
    refuses(2, "1 to 1000000", "calibrate", *TWIN, "--cases", "0")
    refuses(2, "fastest", "calibrate", *TWIN, "--profile", "fastest")
    refuses(2, "no option", "calibrate", *TWIN, "--policy", "envelope")


@check
def an_envelope_that_does_not_fit_is_refused():
    write("good.json", GOOD)
    policy = ("run", "good.json", *TWIN, "--policy", "envelope")
    refuses(2, "calibrate --ref ref64 --fast twin --out FILE", *policy, "--ref", "ref64")
    refuses(2, "measured on ref:gpu, and this run is ref:twin", *policy, "--envelope",
            changed("pair.json", lambda e: e.update(pair="ref:gpu")))
    refuses(2, "tf32", *policy, "--envelope", changed("math.json", lambda e: e["fast"].update(math_mode="tf32")))
    refuses(2, "format", *policy, "--envelope", changed("format.json", lambda e: e.update(format=2)))
    refuses(2, "surprise", *policy, "--envelope", changed("key.json", lambda e: e.update(surprise=1)))
    refuses(2, "keys[3].mae_p999", *policy, "--envelope",
            changed("low.json", lambda e: e["keys"][3].update(mae_p999=-1e-9)))
    with open(BUILT_IN, encoding="utf-8") as f:
        refuses(2, "line", *policy, "--envelope", write("cut.json", f.read()[:1000]))
    refuses(2, "none.json", *policy, "--envelope", "none.json")


@check
def too_few_or_unhealthy_cases_make_no_envelope():
    done = exits(2, "calibrate", *TWIN, "--cases", "3", "--profile", "rate", "--out", "e.json")
    assert "more cases would be right" in done.stderr and not os.path.exists("e.json")
    write("wide.json", GOOD.replace('"seed": 5}', '"seed": 5, "gain": 4}'))
    done = exits(1, "calibrate", *TWIN, "wide.json", "--out", "e.json")
    assert "FINDING" in done.stderr and "nothing was written" in done.stderr and not os.path.exists("e.json")
    refuses(2, "no/such", "calibrate", *TWIN, "--cases", "3", "--out", "no/such/e.json")


@check
def what_calibrate_writes_can_be_used_and_made_again():
    words = ("calibrate", *TWIN, "--cases", "600", "--profile", "rate", "--seed", "4", "--out")
    done = exits(0, *words, "e.json")
    assert "BOUND" in done.stdout and "600 cases, 0 left out" in done.stdout and "written: e.json" in done.stdout
    envelope = read("e.json")
    keeps_to_schema(envelope)
    assert envelope["cases"] == 600 and envelope["domain"]["layers"] == 6 and envelope["domain"]["own"] == 8
    key = {(k["tensor"], k["step"], k["values"]): k for k in envelope["keys"]}
    assert all(k["mae_p50"] <= k["mae_p999"] <= k["max_p999"] for k in envelope["keys"])
    assert sum(k["n"] for (t, s, _), k in key.items() if (t, s) == ("loc", "prefill")) == 600
    exits(0, *words, "again.json", "--quiet")
    again = read("again.json")
    for e in (envelope, again):
        e.pop("time"), e.pop("command")
    assert envelope == again
    done = exits(0, *FUZZ, "--cases", "5", "--policy", "envelope", "--envelope", "e.json")
    assert "envelope: e.json: 600 cases" in done.stdout and "fewer than 200 cases" in done.stdout


@check
def a_run_says_what_the_envelope_was_and_what_it_found():
    out = ("--json", "r.jsonl", "--junit", "j.xml")
    done = exits(0, *FUZZ, "--cases", "250", "--policy", "envelope", *out)
    assert "envelope: built in" in done.stdout and "MEAN SHIFT" in done.stdout and "SHIFTED" not in done.stdout
    assert "mean shift of " in done.stdout, "some class has fewer than 200 cases, and no line says so"
    lines = [json.loads(line) for line in open("r.jsonl", encoding="utf-8")]
    assert lines[0]["policy"] == "envelope" and lines[0]["envelope"] == "built in"
    assert any(o["oracle"] == "envelope" and o["verdict"] == "PASS" for o in lines[1]["oracles"])
    shifts = {(s["tensor"], s["step"]): s for s in lines[-1]["shifts"]}
    assert shifts["loc", "prefill"]["verdict"] == "PASS" and shifts["loc", "prefill"]["cases"] == 250
    assert shifts["loc", "own"]["verdict"] == "NOT ASKED" and lines[-1]["outside"] == 0
    test = os.path.join(SOURCE, "tests/oracles/schema_test.py")
    done = subprocess.run([sys.executable, test, os.path.join(SOURCE, "oracles/result.schema.json"), "r.jsonl"],
                          capture_output=True, text=True)
    assert done.returncode in (0, 77), done.stdout + done.stderr
    done = exits(0, *FUZZ, "--cases", "2", *out)
    assert "faults below the contract (--policy envelope)" in done.stdout and "MEAN SHIFT" not in done.stdout
    lines = [json.loads(line) for line in open("r.jsonl", encoding="utf-8")]
    assert lines[0]["policy"] == "contract" and "shifts" not in lines[-1]


@check
def a_mean_shift_is_exit_1_although_every_case_passes():
    def lean(envelope):
        for s in envelope["shifts"]:
            if (s["tensor"], s["step"]) == ("scale", "prefill"):
                s["mean"] = 2e-8  # as if healthy engines leant so: the twin does not

    changed("lean.json", lean)
    done = exits(1, *FUZZ, "--cases", "250", "--policy", "envelope", "--envelope", "lean.json", "--quiet", "--json",
                 "r.jsonl", "--junit", "j.xml")
    shifted = [line for line in done.stdout.splitlines() if "SHIFTED" in line]
    assert len(shifted) == 1 and shifted[0].split()[:2] == ["scale", "prefill"], done.stdout
    assert "PASS 250, FINDING 0" in done.stdout and "exit 1: a mean shift" in done.stdout
    summary = json.loads(open("r.jsonl", encoding="utf-8").readlines()[-1])
    assert summary["exit"] == 1 and [s["tensor"] for s in summary["shifts"] if s["verdict"] == "FINDING"] == ["scale"]
    suite = xml.etree.ElementTree.parse("j.xml").getroot()
    exits(0, "report", "r.jsonl", "--out", "o")
    with open("o/report.md", encoding="utf-8") as f:
        report = f.read()
    assert "PASS 250 of 250 cases; a mean shift\n" in report and "| scale | prefill | 250 |" in report, report[:300]
    assert "SHIFTED" in next(l for l in report.splitlines() if l.startswith("| scale | prefill"))
    assert "SHIFTED" not in next(l for l in report.splitlines() if l.startswith("| loc | prefill"))
    assert "too few cases" in next(l for l in report.splitlines() if l.startswith("| loc | own"))
    assert suite.get("failures") == "1" and suite.get("tests") == "251" and len(suite) == 251


@check
def outside_of_the_envelope_the_contract_alone_holds():
    write("good.json", GOOD)
    small = changed("small.json", lambda e: e["domain"].update(layers=5))
    done = exits(0, "run", "good.json", *TWIN, "--policy", "envelope", "--envelope", small, "--json", "r.jsonl",
                 "--only", "accuracy")
    assert "outside of the envelope, held to the contract alone: 1 of 1 cases" in done.stdout
    case = json.loads(open("r.jsonl", encoding="utf-8").readlines()[1])
    ruling = next(o for o in case["oracles"] if o["oracle"] == "envelope")
    assert ruling["verdict"] == "SKIPPED" and "6 layers, measured up to 5" in ruling["reason"]
    done = exits(4, "run", "good.json", *TWIN, "--policy", "envelope", "--envelope", small, "--require", "envelope")


if __name__ == "__main__":
    main()

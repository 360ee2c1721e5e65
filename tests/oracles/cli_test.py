#!/usr/bin/env python3
"""The command line as scripts see it: cli_test.py ORACLE_DIFF SOURCE_DIR

Exit codes, one line on stderr for bad input, nothing left behind by it, results by the schema, a golden vector through
`forward` and `compare`. Each check names a property; the script fails where none ran.
"""
import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

from cli_harness import ABSENT, GOOD, PROGRAM, SOURCE, check, exits, main, refuses, run, write


@check
def bad_usage_is_one_line_and_exit_2():
    refuses(2, "run, replay, fuzz")
    refuses(2, "expound", "expound", "x.json")
    refuses(2, "which case", "explain")
    refuses(2, "which case", "explain", "good.json", "good.json")
    refuses(2, "--json", "explain", "good.json", "--json", "r.jsonl")
    refuses(2, "--junit", "explain", "good.json", "--junit", "r.xml")
    refuses(2, "which case", "run")
    refuses(2, "which folder", "replay")
    refuses(2, "--nonsense", "run", "--nonsense", "x.json")
    refuses(2, "--json", "run", "--json")
    refuses(2, "contract", "run", "--policy", "strict", write("good.json", GOOD))
    refuses(2, "vacuity", "run", "--only", "everything", "good.json")
    refuses(2, "vacuity", "run", "--require", "everything", "good.json")
    refuses(2, "graph", "run", "--set", "grph=on", "good.json")
    refuses(2, "twin", "run", "--fast", "fastest", "good.json")
    refuses(2, "--seed", "new", "--index", "1")
    refuses(2, "whole number", "new", "--seed", "-1", "--index", "1")
    refuses(2, "whole number", "new", "--seed", "9223372036854775808", "--index", "1")
    for seconds in ("nan", "0", "-1", "inf", "1s", ""):
        refuses(2, "above 0", "fuzz", "--seconds", seconds)
    refuses(2, "nothing to do", "fuzz", "--cases", "0")
    for option in ("--json", "--junit", "--out", "--model", "--ref", "--fast", "--policy"):
        refuses(2, option, "run", "good.json", option, "")
    refuses(2, "rate", "fuzz", "--profile", "fastest")
    refuses(2, "two files", "compare", "good.json")
    refuses(2, "--engine", "forward")
    refuses(2, "--out", "report", "x.jsonl")
    refuses(2, "one case", "bisect")
    refuses(2, "one case", "bisect", "good.json", "good.json")
    for runs in ("0", "10001", "many"):
        refuses(2, "--runs", "bisect", "good.json", "--runs", runs)


@check
def bad_input_is_one_line_and_leaves_nothing_behind():
    out = ("--json", "r.jsonl", "--junit", "j.xml", "--out", "o")
    write("good.json", GOOD)
    write("cut.json", GOOD[: len(GOOD) // 2])
    write("key.json", GOOD.replace('"expect"', '"expected"'))
    write("long.json", GOOD + " " * 20000)
    with open(os.path.join(SOURCE, "corpus/forward/real-nile-std-mean.json"), encoding="utf-8") as f:
        csv = write("csv.json", f.read())  # its series does not lie beside it here
    os.mkdir("empty")
    refuses(2, "nowhere.json", "run", "nowhere.json", *out)
    refuses(2, "cut.json", "run", "good.json", "cut.json", *out)
    refuses(2, "expected", "run", "key.json", *out)
    refuses(2, "long.json", "run", "long.json", *out)
    refuses(2, "empty", "run", "empty", *out)
    refuses(2, "empty", "replay", "empty", *out)
    refuses(2, "good.json", "replay", "good.json", *out)
    refuses(2, "nowhere", "replay", "nowhere", *out)
    refuses(2, "nowhere", "run", "good.json", "--model", "nowhere", *out)
    refuses(2, "cut.json", "show", "cut.json")
    refuses(2, "cut.json", "explain", "cut.json", "--out", "o")
    refuses(2, "nile.csv", "explain", csv, "--out", "o")
    refuses(2, "no folder", "explain", "good.json", "--out", "good.json")
    refuses(2, "cannot be walked", "replay", "", *out)
    refuses(2, "absent/r.jsonl", "run", "good.json", "--json", "absent/r.jsonl")
    refuses(2, "absent/j.xml", "run", "good.json", "--junit", "absent/j.xml", "--json", "r.jsonl")
    refuses(2, "empty", "run", "good.json", "--json", "empty")
    refuses(2, "good.json", "run", "good.json", "--out", "good.json", "--json", "r.jsonl")
    refuses(2, "good.json", "fuzz", "--cases", "1", "--out", "good.json/deeper", "--json", "r.jsonl")
    refuses(2, "nile.csv", "run", "good.json", csv, *out)
    refuses(2, "csv.json", "run", csv)
    refuses(2, "no JSON", "report", write("bad.jsonl", "nothing\n"), "--out", "o")
    refuses(2, "cut.json", "compare", "cut.json", "cut.json")
    assert sorted(os.listdir(".")) == ["bad.jsonl", "csv.json", "cut.json", "empty", "good.json", "key.json",
                                       "long.json"]


@check
def calls_that_leave_the_fast_path_are_told_once():
    write("good.json", GOOD)
    path = "good.json"
    told = [line for line in exits(0, "run", path, "--set", "captures=1").stdout.splitlines()
            if line.startswith("left the fast path: ")]
    assert told == ["left the fast path: 2 calls of 1 cases ran as plain launches, beyond their limit of captures"], told
    assert "left the fast path" not in exits(0, "run", path).stdout


@check
def a_missing_gpu_is_exit_3():
    listed = exits(0, "list", "--engines").stdout
    line = [l for l in listed.splitlines() if l.startswith("gpu ")]
    assert len(line) == 1, listed
    if " missing " in line[0]:
        refuses(3, "gpu", "run", write("good.json", GOOD), "--fast", "gpu")
        assert run("run", "good.json", "--fast", "gpu").stderr.count("engine gpu") == 1


@check
def help_and_lists_are_exit_0():
    assert "Exit: 0 pass" in exits(0, "--help").stdout
    for command in ("run", "replay", "fuzz", "new", "show", "forward", "compare", "report", "list", "bench", "baseline", "bisect",
                    "shrink", "explain", "corpus", "worker"):
        assert f"oracle-diff {command}" in exits(0, command, "--help").stdout
    assert "--json" not in exits(0, "explain", "--help").stdout  # it would be refused
    listed = exits(0, "list").stdout
    for word in ("ref64", "twin", "exec:COMMAND", "accuracy", "determinism", "toto-open-base", "captures"):
        assert word in listed, word
    oracles = exits(0, "list", "--oracles").stdout
    assert [l.split()[0] for l in oracles.splitlines() if l.startswith("consistency")] == ["consistency"] + [
        "consistency/" + r for r in ("graph", "cache", "aba", "batch", "groups", "sessions", "switches", "recompute", "chunks",
                                     "variates", "later", "recompute-call")]


@check
def new_depends_on_its_arguments_alone():
    first = exits(0, "new", "--seed", "7", "--index", "3", "--profile", "rate").stdout
    assert first == exits(0, "new", "--profile", "rate", "--index", "3", "--seed", "7").stdout
    assert first != exits(0, "new", "--seed", "7", "--index", "4", "--profile", "rate").stdout
    write("new.json", first)
    assert "seed-tiny" in exits(0, "show", "new.json").stdout


@check
def a_run_passes_and_its_results_keep_to_the_schema():
    write("good.json", GOOD)
    done = exits(0, "run", "good.json", "--fast", "twin", "--json", "r.jsonl", "--junit", "j.xml")
    assert done.stdout.startswith("ref against twin: "), done.stdout
    assert "PASS 1, FINDING 0" in done.stdout
    lines = [json.loads(l) for l in open("r.jsonl", encoding="utf-8")]
    assert [l["type"] for l in lines] == ["run", "case", "summary"]
    assert lines[1]["verdict"] == "PASS" and lines[1]["tensors"] and lines[2]["exit"] == 0
    assert {o["oracle"] for o in lines[1]["oracles"]} >= {"accuracy", "determinism", "memory", "speed", "vacuity"}
    suite = xml.etree.ElementTree.parse("j.xml").getroot()
    assert suite.get("tests") == "1" and suite.get("failures") == "0"
    test = os.path.join(SOURCE, "tests/oracles/schema_test.py")
    schema = os.path.join(SOURCE, "oracles/result.schema.json")
    done = subprocess.run([sys.executable, test, schema, "r.jsonl"], capture_output=True, text=True)
    assert done.returncode in (0, 77), done.stdout + done.stderr
    assert "PASS 1 of 1 cases" in exits(0, "report", "r.jsonl", "--out", "deep/er").stdout
    assert open("deep/er/report.md", encoding="utf-8").readline().startswith("# Differential test report: PASS 1 of 1")


@check
def only_and_require_choose_oracles():
    write("good.json", GOOD)
    exits(0, "run", "good.json", "--fast", "twin", "--only", "finite", "--json", "r.jsonl")
    line = [json.loads(l) for l in open("r.jsonl", encoding="utf-8")][1]
    assert [o["oracle"] for o in line["oracles"]] == ["engine", "finite"]
    # The plain path has no speed to compare with: required by name, that is exit 4.
    exits(4, "run", "good.json", "--fast", "twin", "--set", "graph=off", "--require", "speed")
    exits(0, "run", "good.json", "--fast", "twin", "--set", "graph=off")
    # What is required is asked, whatever --only says; what was not asked holds nothing to the contract.
    done = exits(0, "run", "good.json", "--fast", "twin", "--only", "finite", "--require", "memory", "--json", "r.jsonl")
    lines = [json.loads(l) for l in open("r.jsonl", encoding="utf-8")]
    assert [o["oracle"] for o in lines[1]["oracles"]] == ["engine", "finite", "memory"]
    assert lines[0]["required"] == ["memory"] and "plain" in lines[1]["engines"]
    assert "compared, but not held to the contract" in done.stdout and "accuracy" in done.stdout
    assert " held to the contract" not in done.stdout.replace("but not held to the contract", "")


@check
def each_relation_can_be_asked_alone():
    write("two.json", GOOD.replace('"batch": 1', '"batch": 2'))
    done = exits(0, "run", "two.json", "--fast", "twin", "--only", "consistency/batch", "--json", "r.jsonl")
    oracles = [json.loads(l) for l in open("r.jsonl", encoding="utf-8")][1]["oracles"]
    assert oracles[-1]["oracle"] == "consistency" and oracles[-1]["reason"] == "1 of 1 relations hold", oracles
    assert "relations that were not asked: graph cache aba groups" in done.stdout, done.stdout
    done = exits(0, "run", "two.json", "--fast", "twin", "--only", "consistency", "--only", "accuracy",
                 "--require", "consistency")
    assert "relations that were not asked" not in done.stdout
    for name in ("relations-all-ten", "fused-relations-all-ten"):
        exits(0, "run", os.path.join(SOURCE, f"corpus/forward/{name}.json"), "--fast", "twin", "--json", "r.jsonl")
        relations = [json.loads(l) for l in open("r.jsonl", encoding="utf-8")][1]["relations"]
        assert [r["verdict"] for r in relations] == ["PASS"] * 11 and min(r["compared"] for r in relations) > 0
    refuses(2, "graph, cache", "run", "two.json", "--only", "consistency/batches")
    refuses(2, "has no relations", "run", "two.json", "--only", "accuracy/loc")
    refuses(2, "name the oracle alone", "run", "two.json", "--require", "consistency/batch")


@check
def isolated_engines_answer_bit_by_bit_as_those_in_process():
    case = os.path.join(SOURCE, "corpus/forward/autoregressive-8-cached-own.json")
    lines = []
    for options in ((), ("--isolate",)):
        exits(0, "run", case, "--fast", "twin", *options, "--json", "r.jsonl", "--arbiter", "--only", "accuracy")
        line = [json.loads(l) for l in open("r.jsonl", encoding="utf-8")][1]
        lines.append((line["tensors"], line["signature"], line["arbiter"], line["engines"]))
        with open("r.jsonl", encoding="utf-8") as f:
            told = [t for t in json.loads(f.readline())["not_checked"] if "in its worker" in t]
        assert len(told) == len(options), told
    assert lines[0] == lines[1] and lines[0][0]
    refuses(3, "no answer to hello within 1e-06 s", "run", case, "--isolate", "--fast", "twin", "--timeout", "0.000001")
    refuses(2, "descriptor 3", "worker", "--engine", "twin")
    refuses(2, "--engine", "worker")
    refuses(2, "there are ref", "worker", "--engine", "twins")


@check
def that_others_share_the_device_is_told():
    write("good.json", GOOD)
    shared = "not checked: what the device's driver says is in use: others share the device\n"
    for value, said in (("1", True), ("0", False), ("", False)):
        os.environ["OD_SHARED_DEVICE"] = value
        assert (shared in exits(0, "run", "good.json", "--fast", "twin").stdout) == said, value
    del os.environ["OD_SHARED_DEVICE"]
    assert shared not in exits(0, "run", "good.json", "--fast", "twin").stdout


@check
def what_a_fresh_process_did_not_play_is_told():
    write("good.json", GOOD)
    assert "a fresh process" not in exits(0, "run", "good.json", "--fast", "twin").stdout
    not_checked = "not checked: reruns in a fresh process (--process 1)"
    assert not_checked in exits(0, "run", "good.json", "--fast", "twin", "--process", "0").stdout
    not_asked = exits(0, "run", "good.json", "--fast", "twin", "--only", "accuracy").stdout
    assert "not checked: reruns in a fresh process\n" in not_asked
    fuzz = ("fuzz", "--cases", "1", "--profile", "rate", "--fast", "twin")
    assert not_checked in exits(0, *fuzz).stdout
    assert "a fresh process" not in exits(0, *fuzz, "--process", "1").stdout
    assert "a fresh process, but for one case of 2" in exits(0, *fuzz, "--process", "2").stdout
    refuses(2, "whole number", "run", "good.json", "--process", "some")
    refuses(2, "above 0", "run", "good.json", "--timeout", "0")


@check
def shards_are_the_whole_without_overlap():
    os.mkdir("cases")
    names = [f"case-{i}" for i in range(5)]
    for i, name in enumerate(names):
        write(f"cases/{name}.json", GOOD.replace('"seed": 6', f'"seed": {60 + i}'))
    seen = {}
    for n in (1, 2, 5):
        for i in range(1, n + 1):
            exits(0, "replay", "cases", "--shard", f"{i}/{n}", "--fast", "twin", "--only", "finite", "--json", "r.jsonl")
            lines = [json.loads(l) for l in open("r.jsonl", encoding="utf-8")]
            seen[i, n] = [l["name"] for l in lines if l["type"] == "case"]
    assert seen[1, 1] == names
    assert seen[1, 2] == names[::2] and seen[2, 2] == names[1::2]
    assert [seen[i, 5] for i in range(1, 6)] == [[name] for name in names]
    refuses(2, "none is left", "replay", "cases", "--shard", "6/6")
    for shard in ("0/2", "3/2", "1/", "/2", "1", "1/2x", "x/2", "-1/2", "1/0", "1/99999", "1//2", "18446744073709551617/2"):
        refuses(2, "would be right", "replay", "cases", "--shard", shard)


@check
def the_arbiter_on_request_says_how_far_every_class_is():
    write("good.json", GOOD)
    done = exits(0, "run", "good.json", "--fast", "twin", "--only", "accuracy", "--arbiter", "--json", "r.jsonl")
    assert "distance from float64" in done.stdout and "holds" in done.stdout
    line = [json.loads(l) for l in open("r.jsonl", encoding="utf-8")][1]
    classes = {c["tensor"]: c for c in line["arbiter"]["classes"]}
    # 1 x 2 series: a prefill of 16 steps and two patches of 4; the mean is a patch; StdMeanScaler has one value a
    # series; 6 layers of 32
    assert {t: (c["n"], c["values"]) for t, c in classes.items()} == {
        "df": (3, 48), "loc": (3, 48), "scale": (3, 48), "mean": (3, 24), "scaler": (6, 12),
        "hidden": (18, 2304)}
    assert all(c["far"] == 0 and 0 < c["fast_mae"] < 1e-5 for c in classes.values())
    test, schema = os.path.join(SOURCE, "tests/oracles/schema_test.py"), os.path.join(SOURCE, "oracles/result.schema.json")
    done = subprocess.run([sys.executable, test, schema, "r.jsonl"], capture_output=True, text=True)
    assert done.returncode in (0, 77), done.stdout + done.stderr
    exits(0, "report", "r.jsonl", "--out", "rep")
    report = open("rep/report.md", encoding="utf-8").read()
    assert "## Distance from float64" in report and "| loc | 3 |" in report and "too far" not in report
    assert "distance from float64" not in exits(0, "run", "good.json", "--fast", "twin", "--only", "accuracy").stdout
    # A class that is too far, over files that are each fine: the report says so in its first line.
    with open("r.jsonl", encoding="utf-8") as f:
        lines = f.read().replace('"values":48', '"values":6000')
    far = [json.loads(l) for l in lines.splitlines()]
    next(c for c in far[1]["arbiter"]["classes"] if c["tensor"] == "loc")["log_ratio"] = 3.0
    write("far.jsonl", "\n".join(map(json.dumps, far)) + "\n")
    exits(0, "report", "far.jsonl", "--out", "rep")
    assert "too far" not in open("rep/report.md", encoding="utf-8").readline()
    exits(0, "report", "far.jsonl", "far.jsonl", "--out", "rep")
    assert "; too far from float64" in open("rep/report.md", encoding="utf-8").readline()


@check
def the_table_fits_a_terminal():
    write("good.json", GOOD)
    for switches in ((), ("--set", "graph=off"), ("--set", "cache=off")):
        table = exits(0, "run", "good.json", "--fast", "twin", *switches).stdout.splitlines()[1:]
        assert table[0].startswith("CASE") and "OF CONTRACT" in table[0]
        assert all(len(l) <= 100 for l in table), table


@check
def junit_is_xml_whatever_a_case_is_called():
    name = b"a & b <c> \"d\" 'e' \xff\x01 \xef\xbf\xbf.json"
    write(name, GOOD)
    write("absent.json", GOOD.replace('"expect": "pass"', f'"expect": "{ABSENT}"'))
    command = [PROGRAM.encode(), b"run", name, b"absent.json", b"--fast", b"twin", b"--junit", b"j.xml", b"--json",
               b"r.jsonl", b"--set", b"graph=off", b"--require", b"speed"]
    done = subprocess.run(command, capture_output=True, timeout=240)
    assert done.returncode == 1, done.stderr
    tests = xml.etree.ElementTree.parse("j.xml").getroot().findall("testcase")
    assert [t.get("name") for t in tests] == ["a & b <c> \"d\" 'e' ?  ???", "absent"]
    assert [json.loads(l)["type"] for l in open("r.jsonl", encoding="utf-8")] == ["run", "case", "case", "summary"]
    exits(0, "report", "r.jsonl", "--out", "rep")


@check
def an_interrupted_fuzz_says_so_and_keeps_its_results():
    args = [PROGRAM, "fuzz", "--seconds", "100", "--profile", "rate", "--fast", "twin", "--json", "r.jsonl"]
    process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not os.path.exists("r.jsonl") or os.path.getsize("r.jsonl") < 20000):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0 and "interrupted: " in stdout and stderr == "", (process.returncode, stdout, stderr)
    last = json.loads(open("r.jsonl", encoding="utf-8").readlines()[-1])
    assert last["type"] == "summary" and last["interrupted"] is True
    exits(0, "report", "r.jsonl", "--out", "rep")
    assert "INCOMPLETE" in open("rep/report.md", encoding="utf-8").readline()


@check
def a_full_disk_is_exit_3():
    write("good.json", GOOD)
    with open("/dev/full", "w", encoding="utf-8") as full:
        for args in (("run", "good.json", "--fast", "twin"), ("list",), ("new", "--seed", "1", "--index", "1")):
            done = subprocess.run([PROGRAM, *args], stdout=full, stderr=subprocess.PIPE, text=True, timeout=240)
            assert done.returncode == 3 and "written" in done.stderr, (args, done.returncode, done.stderr)


@check
def a_finding_is_written_and_replays_alone():
    write("absent.json", GOOD.replace('"expect": "pass"', f'"expect": "{ABSENT}"'))
    done = exits(1, "run", "absent.json", "--fast", "twin", "--out", "o", "--json", "r.jsonl", "--junit", "j.xml")
    line = [json.loads(l) for l in open("r.jsonl", encoding="utf-8")][1]
    assert line["verdict"] == "FINDING" and line["signature"].startswith("expect/absent/-/")
    assert os.listdir("o/findings") == [os.path.basename(line["finding"])]
    assert line["finding"] in done.stdout and line["command"] in done.stdout
    exits(1, *line["command"].split()[1:])
    suite = xml.etree.ElementTree.parse("j.xml").getroot()
    assert suite.get("failures") == "1" and suite.find("testcase/failure") is not None
    assert "FINDING in 1 of 1" in exits(0, "report", "r.jsonl", "--out", "rep").stdout


@check
def fuzz_counts_cases_and_is_repeatable():
    done = run("fuzz", "--cases", "5", "--seed", "1", "--profile", "rate", "--fast", "twin", "--json", "a.jsonl")
    again = run("fuzz", "--cases", "5", "--seed", "1", "--profile", "rate", "--fast", "twin", "--json", "b.jsonl")
    assert done.returncode == again.returncode and done.returncode in (0, 1), done.stderr
    a, b = ([json.loads(l) for l in open(p, encoding="utf-8")] for p in ("a.jsonl", "b.jsonl"))
    assert len(a) == 7 and a[-1]["cases"] == 5
    assert [l.get("hash") for l in a] == [l.get("hash") for l in b]
    assert [l.get("tensors") for l in a] == [l.get("tensors") for l in b]
    assert "\r" not in done.stderr, "a progress line where no terminal is"
    spent, line = a[-1]["spent"], [l for l in done.stdout.splitlines() if l.startswith("judging ")]
    assert all(spent[k] > 0 for k in ("engines", "judging", "generation")) and spent["arbiter"] >= 0, spent
    assert abs(sum(sum(l["spent"].values()) - l["seconds"] for l in a[1:-1])) < 1e-6
    assert len(line) == 1 and f"({100 * spent['judging'] / spent['engines']:.1f} % of the engines' " in line[0], line
    reproduce = a[1]["command"]
    assert "new --seed 1 --index 0 --profile rate" in reproduce or "findings" in reproduce


@check
def a_model_folder_replaces_the_weights():
    folder = os.path.join(SOURCE, "tests/vectors/seed-tiny")
    write("good.json", GOOD)
    exits(0, "run", "good.json", "--fast", "twin", "--only", "accuracy", "--model", folder, "--json", "r.jsonl")
    lines = [json.loads(l) for l in open("r.jsonl", encoding="utf-8")]
    assert lines[0]["weights"] == folder and lines[1]["weights"] == folder
    write("wide.json", GOOD.replace('"seed": 5}', '"seed": 5, "gain": 2}'))
    exits(0, "run", "wide.json", "--fast", "twin", "--only", "accuracy", "--model", folder, "--json", "r.jsonl")
    assert [json.loads(l) for l in open("r.jsonl", encoding="utf-8")][1]["gain"] == 1  # of random weights alone


@check
def a_golden_vector_goes_through_forward_and_compare():
    vector = os.path.join(SOURCE, "tests/vectors/one-patch")
    golden = os.path.join(vector, "case.safetensors")
    args = ("--model", vector, "--case", golden, "--context", "4")
    exits(0, "forward", "--engine", "ref64", *args, "--out", "ref64.safetensors")
    exits(0, "compare", golden, "ref64.safetensors", "--relative", "1e-11")
    exits(1, "compare", golden, "ref64.safetensors", "--relative", "1e-300")
    exits(0, "forward", "--engine", "ref", *args, "--out", "ref.safetensors")
    exits(0, "compare", golden, "ref.safetensors")
    assert "missing" not in exits(0, "compare", golden, golden).stdout
    other = os.path.join(SOURCE, "tests/vectors/seed-tiny/case.safetensors")
    assert "misshapen" in exits(1, "compare", golden, other).stdout
    refuses(2, "safetensors", "compare", golden, write("cut.safetensors", "12345678"))
    refuses(2, "context", "forward", "--engine", "ref", *args[:-1], "0", "--out", "none.safetensors")
    refuses(2, "in.series", "forward", "--engine", "ref", "--model", vector, "--case", "ref.safetensors", "--context",
            "4", "--out", "none.safetensors")
    with open(golden, "rb") as f:
        bad = bytearray(f.read())
    header = json.loads(bad[8 : 8 + int.from_bytes(bad[:8], "little")])
    data = 8 + int.from_bytes(bad[:8], "little")
    for name, word in (("in.padding_mask", "0 or 1"), ("in.id_mask", "all ids of a patch")):
        spoilt = bytearray(bad)
        spoilt[data + header[name]["data_offsets"][0]] = 2
        with open("spoilt.safetensors", "wb") as f:
            f.write(spoilt)
        refuses(2, word, "forward", "--engine", "twin", "--model", vector, "--case", "spoilt.safetensors", "--context",
                "4", "--out", "none.safetensors")
    refuses(2, "absent", "forward", "--engine", "ref", *args, "--out", "absent/none.safetensors")
    assert not os.path.exists("none.safetensors")


main()

#!/usr/bin/env python3
"""The commands that come after a finding, and those that keep something: tools_test.py ORACLE_DIFF SOURCE_DIR

shrink, bisect, explain, baseline; known issues and weights of a run.
"""
import json
import os
import subprocess
import sys
import xml.etree.ElementTree

from cli_harness import ABSENT, GOOD, SOURCE, check, exits, main, refuses, run, write

# A constant far from zero: rounding alone breaks the contract, in the prefill, whatever the compiler.
FAR = GOOD.replace('"batch": 1', '"batch": 2').replace('"normal"', '"constant"').replace(
    '"seed": 6', '"seed": 2, "scale": 1000, "missing": 0.1')
ONLY = ("--fast", "twin", "--only", "accuracy")


@check
def shrink_writes_a_smaller_case_with_the_finding_and_a_neighbour_without():
    write("far.json", FAR)
    done = exits(1, "shrink", "far.json", *ONLY, "--out", "o", "--json", "r.jsonl")
    names = sorted(os.listdir("o/shrunk"))
    assert len(names) == 2 and names[0] == names[1].replace(".json", "-passes.json"), names
    passes, shrunk = (os.path.join("o/shrunk", name) for name in names)
    lines = done.stdout.splitlines()
    assert f"shrunk: {shrunk}" in lines and any(l.startswith(f"passes: {passes} (") for l in lines), done.stdout
    with open(shrunk, encoding="utf-8") as f:
        case = json.load(f)
    assert len(case["schedule"]) == 1 and case["model"]["dims"]["num_layers"] < 6 and case["expect"] == "pass"
    kind = [l for l in lines if l.startswith("finding: ")][0].split()[1].split("/")
    now = case["finding"]["signature"].split("/")
    assert kind[1:3] == now[1:3] and kind[2] == "prefill" and kind[4] == now[4] == "ref:twin", (kind, now)
    line = [json.loads(l) for l in open("r.jsonl", encoding="utf-8")][1]
    assert line["case"] == shrunk and line["verdict"] == "FINDING", line
    exits(1, *line["command"].split()[1:])
    exits(1, "run", shrunk, *ONLY)
    exits(0, "run", passes, *ONLY)
    assert sorted(os.listdir("o")) == ["shrunk"] and sorted(os.listdir("o/shrunk")) == names


@check
def a_finding_is_judged_again_before_it_is_told():
    write("far.json", FAR)
    done = exits(1, "run", "far.json", *ONLY, "--out", "o", "--json", "r.jsonl", "--junit", "j.xml")
    assert "again: 3 of 3, 1 of them in a fresh process" in open("j.xml", encoding="utf-8").read()
    assert "  again       3 of 3, 1 of them in a fresh process\n" in done.stdout, done.stdout
    line = [json.loads(l) for l in open("r.jsonl", encoding="utf-8")][1]
    assert line["recheck"] == {"judged": 2, "shown": 2, "process_judged": 1, "process_shown": 1, "flaky": False}
    with open(line["finding"], encoding="utf-8") as f:
        assert json.load(f)["finding"]["verdict"] == "FINDING 3 of 3"
    test, schema = os.path.join(SOURCE, "tests/oracles/schema_test.py"), os.path.join(SOURCE, "oracles/result.schema.json")
    done = subprocess.run([sys.executable, test, schema, "r.jsonl"], capture_output=True, text=True)
    assert done.returncode in (0, 77), done.stdout + done.stderr
    exits(1, "run", line["finding"], *ONLY)
    assert "FINDING 3 of 3" in exits(0, "show", line["finding"]).stdout
    many = exits(1, "run", *["far.json"] * 5, *ONLY, "--json", "many.jsonl").stdout
    lines = [json.loads(l) for l in open("many.jsonl", encoding="utf-8")]
    assert ["recheck" in l for l in lines[1:-1]] == [True] * 3 + [False] * 2, "the first three of a kind"
    assert many.count("  again  ") == 3 and lines[-1]["kinds"][0]["findings"] == 5
    with open("r.jsonl", encoding="utf-8") as f:
        lines = [json.loads(l) for l in f]
    exits(0, "report", "r.jsonl", "--out", "rep")
    assert "flaky" not in open("rep/report.md", encoding="utf-8").read()
    lines[1]["recheck"] = {"judged": 7, "shown": 3, "process_judged": 3, "process_shown": 1, "flaky": True}
    write("flaky.jsonl", "".join(json.dumps(l) + "\n" for l in lines))
    exits(0, "report", "flaky.jsonl", "--out", "rep")
    assert " (flaky: 4 of 10)" in open("rep/report.md", encoding="utf-8").read()


@check
def shrink_goes_on_where_it_stopped():
    write("far.json", FAR)
    for i in range(20):
        done = exits(1, "shrink", "far.json", *ONLY, "--out", "o", "--runs", str(8 * (i + 1))).stdout
        assert ("goes on from o/shrunk/" in done) == (i > 0), done
        (path,) = [l.split()[1] for l in done.splitlines() if l.startswith("shrunk: ")]
        if "no single move is left" in done:
            break
        assert "the limit is reached" in done, done
    assert 0 < i < 19
    with open(path, encoding="utf-8") as f:
        end = f.read()
    assert "0 steps kept: no single move is left" in exits(1, "shrink", "far.json", *ONLY, "--out", "o").stdout
    with open(path, encoding="utf-8") as f:
        assert f.read() == end
    write(path, "no case")  # then it begins anew
    assert "goes on" not in exits(1, "shrink", "far.json", *ONLY, "--out", "o").stdout
    again = exits(1, "shrink", "far.json", *ONLY, "--out", "else").stdout
    with open(path, encoding="utf-8") as f, open(path.replace("o/", "else/", 1), encoding="utf-8") as g:
        assert f.read() == g.read(), again


@check
def shrink_keeps_what_set_and_model_ask_for():
    write("far.json", FAR)
    folder = os.path.join(SOURCE, "tests/vectors/seed-tiny")
    exits(1, "shrink", "far.json", *ONLY, "--out", "o", "--set", "order=5", "--set", "graph=on", "--model", folder)
    (name,) = [n for n in os.listdir("o/shrunk") if not n.endswith("-passes.json")]
    with open(os.path.join("o/shrunk", name), encoding="utf-8") as f:
        case = json.load(f)
    assert case["options"]["order"] == 5 and "graph" not in case["options"], case["options"]
    assert "folder" in case["model"] and len(case["schedule"]) == 1
    exits(1, "run", os.path.join("o/shrunk", name), *ONLY)


@check
def shrink_has_nothing_to_do_without_a_finding_and_refuses_bad_input():
    write("good.json", GOOD)
    assert "PASS 1, " in exits(0, "shrink", "good.json", *ONLY, "--out", "o").stdout
    write("absent.json", GOOD.replace('"expect": "pass"', f'"expect": "{ABSENT}"'))
    assert "not shrunk: " in exits(1, "shrink", "absent.json", *ONLY, "--out", "o").stdout
    refuses(2, "one case", "shrink")
    refuses(2, "one case", "shrink", "good.json", "good.json")
    refuses(2, "nowhere.json", "shrink", "nowhere.json")
    refuses(2, "from 4 to", "shrink", "good.json", "--runs", "3")
    refuses(2, "whole number", "shrink", "good.json", "--runs", "10001")
    refuses(2, "good.json", "shrink", "good.json", "--out", "good.json")
    assert sorted(os.listdir(".")) == ["absent.json", "good.json"]


@check
def weights_on_request_are_all_read():
    write("good.json", GOOD)
    assert "weight tensor is read" in exits(0, "run", "good.json", "--fast", "twin").stdout
    done = exits(0, "run", "good.json", "good.json", "--fast", "twin", "--weights").stdout
    assert "tensors of 1 model classes changed in turn, 0 without" in done and "tensor is read" not in done


@check
def the_printed_command_asks_for_what_the_run_asked():
    write("absent.json", GOOD.replace('"expect": "pass"', f'"expect": "{ABSENT}"'))
    write("known.json", json.dumps({"format": 1, "issues": []}))
    asked = ("--weights", "--arbiter", "--known", "known.json", "--set", "graph=off", "--only", "vacuity")
    exits(1, "run", "absent.json", "--fast", "twin", *asked, "--json", "r.jsonl")
    words = [json.loads(l) for l in open("r.jsonl", encoding="utf-8")][1]["command"].split()
    assert all(word in words for word in asked), words


@check
def an_expired_known_issue_fails_whatever_was_found():
    issue = {"signature": "speed/*/*/*/*", "reason": "slow", "link": "https://example.org/1", "expires": "2001-02-03"}
    write("good.json", GOOD)
    write("known.json", json.dumps({"format": 1, "issues": [issue]}))
    refuses(2, "nowhere.json", "run", "good.json", "--known", "nowhere.json")
    done = exits(1, "run", "good.json", "--fast", "twin", "--known", "known.json")
    assert "expired on 2001-02-03" in done.stdout and "PASS 1, FINDING 0" in done.stdout
    exits(1, "explain", "good.json", "--fast", "twin", "--known", "known.json")
    exits(1, "run", "good.json", "--fast", "twin", "--known", "known.json", "--json", "r.jsonl", "--junit", "j.xml")
    assert [json.loads(l) for l in open("r.jsonl", encoding="utf-8")][-1]["expired"] == 1
    assert xml.etree.ElementTree.parse("j.xml").getroot().get("failures") == "1"
    test, schema = (os.path.join(SOURCE, p) for p in ("tests/oracles/schema_test.py", "oracles/result.schema.json"))
    checked = subprocess.run([sys.executable, test, schema, "r.jsonl"], capture_output=True, text=True)
    assert checked.returncode in (0, 77), checked.stdout + checked.stderr
    issue["expires"] = "9999-12-31"
    write("known.json", json.dumps({"format": 1, "issues": [issue]}))
    assert "expired" not in exits(0, "run", "good.json", "--fast", "twin", "--known", "known.json").stdout
    issue["expires"] = "2001-02-30"
    write("known.json", json.dumps({"format": 1, "issues": [issue]}))
    refuses(2, "issues[0].expires", "run", "good.json", "--known", "known.json")


@check
def a_baseline_holds_another_build_to_its_answers():
    write("good.json", GOOD)
    refuses(2, "save or check", "baseline", "keep", "b")
    refuses(2, "which folder", "baseline", "save")
    refuses(2, "which cases", "baseline", "save", "b", "--fast", "twin")
    refuses(2, "nowhere", "baseline", "save", "b", "good.json", "nowhere", "--fast", "twin")
    refuses(2, "baseline.json", "baseline", "check", "b", "--fast", "twin")
    assert not os.path.exists("b")
    assert "1 cases by twin" in exits(0, "baseline", "save", "b", "good.json", "--fast", "twin").stdout
    refuses(2, "holds a baseline already", "baseline", "save", "b", "good.json", "--fast", "twin")
    refuses(2, "one word too many", "baseline", "check", "b", "good.json", "--fast", "twin")
    same = exits(0, "baseline", "check", "b", "--fast", "twin").stdout
    assert all(any(l.split()[0] == fact for l in same.splitlines()) for fact in ("card", "driver", "toolkit")), same
    with open("b/baseline.json", encoding="utf-8") as f:
        saved = json.load(f)
    saved["place"].update(driver="580.1", card="A Card", toolkit="12.0")
    write("b/baseline.json", json.dumps(saved))
    other = exits(0, "baseline", "check", "b", "--fast", "twin").stdout.splitlines()
    changed = {l.split()[0]: l.split(None, 1)[1] for l in other if " -> " in l}
    assert sorted(set(changed) - {"time"}) == ["card", "driver", "toolkit"], other
    assert changed["card"].startswith("A Card -> ") and changed["driver"].startswith("580.1 -> "), changed
    assert changed["toolkit"].startswith("12.0 -> "), changed
    assert "PASS: 0 of " in same and "changed" not in same
    assert "set       nothing -> fused=on" in exits(0, "baseline", "check", "b", "--fast", "twin", "--set",
                                                     "fused=on").stdout
    refuses(2, "are the same case", "baseline", "save", "c", "good.json", "good.json", "--fast", "twin")
    other = exits(0, "baseline", "check", "b", "--fast", "ref").stdout
    assert "engine    twin -> ref" in other and "changed  good-" in other
    case = [f for f in os.listdir("b") if f.startswith("good-") and f.endswith(".json")][0]
    with open(os.path.join("b", case), encoding="utf-8") as f:
        text = f.read()
    write(os.path.join("b", case), text.replace('"seed": 6', '"seed": 7'))
    refuses(2, "not the case", "baseline", "check", "b", "--fast", "twin")


@check
def a_report_of_two_results_says_which_bits_differ():
    """By the digests alone; `order` turns the order in which the twin's threads run, `cache=off` that of the sums."""
    write("good.json", GOOD)
    for name, *args in (("a",), ("b",), ("c", "--fast", "ref")):
        fast = [] if "--fast" in args else ["--fast", "twin"]
        exits(0, "run", "good.json", *fast, *args, "--only", "accuracy", "--json", f"{name}.jsonl")
    test, schema = (os.path.join(SOURCE, p) for p in ("tests/oracles/schema_test.py", "oracles/result.schema.json"))
    done = subprocess.run([sys.executable, test, schema, "a.jsonl"], capture_output=True, text=True)
    assert done.returncode in (0, 77), done.stdout + done.stderr
    head, case = [json.loads(l) for l in open("a.jsonl", encoding="utf-8")][:2]
    assert {"card", "driver", "toolkit"} <= head["environment"].keys()
    # a prefill and decode steps of df, loc, scale, mean and scaler
    assert len(case["digests"]) == 10 and all(len(d["ref"]) == len(d["fast"]) == 16 for d in case["digests"])

    def report(*names):
        exits(0, "report", *names, "--out", "rep")
        with open("rep/report.md", encoding="utf-8") as f:
            return f.read()

    assert "Same bits?" not in report("a.jsonl")
    same = report("a.jsonl", "b.jsonl")
    assert "1 times a case stands in a result and in one above. Its answers have other bits 0 times" in same, same
    assert "| Other bits" not in same
    other = report("a.jsonl", "b.jsonl", "c.jsonl")
    row = [l for l in other.splitlines() if l.startswith("| good | 1 and 3 |")]
    assert "2 times a case" in other and len(row) == 1, other
    assert "loc/prefill" in row[0] and row[0].endswith("| same bits |") and "1 and 2" not in other, row
    case["digests"].pop(0)
    with open("a.jsonl", encoding="utf-8") as f:
        lines = f.read().splitlines()
    write("cut.jsonl", "\n".join([lines[0], json.dumps(case), lines[2]]) + "\n")
    for names in (("a.jsonl", "cut.jsonl"), ("cut.jsonl", "a.jsonl")):
        assert "| good | 1 and 2 | df/prefill | df/prefill |" in report(*names)
    exits(0, "run", "good.json", "good.json", "--fast", "twin", "--only", "accuracy", "--json", "twice.jsonl")
    assert "Same bits?" not in report("twice.jsonl")


@check
def bisect_says_what_it_looked_for_and_what_came_of_it():
    """A gain of 4 amplifies rounding past the contract: a finding that a healthy pair makes, whatever the switches."""
    def bisected(code, answer, *args):
        done = exits(code, "bisect", *args, "--fast", "twin", "--json", "b.jsonl")
        with open("b.jsonl", encoding="utf-8") as f:
            lines = [json.loads(l) for l in f]
        assert [lines[0]["type"], lines[-1]["type"]] == ["bisect", "answer"], lines
        assert lines[-1]["answer"] == answer and lines[-1]["exit"] == code, lines[-1]
        assert sum(l[k] for l in lines[1:-1] for k in ("shown", "clean", "open")) <= lines[-1]["runs"]
        return done.stdout, lines

    write("good.json", GOOD)
    write("wide.json", GOOD.replace('"seed": 5}', '"seed": 5, "gain": 4}'))
    text, lines = bisected(1, "always", "wide.json")
    test, schema = (os.path.join(SOURCE, p) for p in ("tests/oracles/schema_test.py", "oracles/bisect.schema.json"))
    done = subprocess.run([sys.executable, test, schema, "b.jsonl"], capture_output=True, text=True)
    assert done.returncode in (0, 77), done.stdout + done.stderr
    signature = lines[-1]["signature"]
    assert signature.startswith("accuracy/") and "no switch matters" in text and signature in text
    assert {"fused": "on"} in [l["turned"] for l in lines[2:-1]] and "fused=on" in text and lines[-1]["hidden_by"] == []
    assert lines[1]["turned"] == {} and lines[1]["shown"] == 10 and lines[-1]["rate"]["high"] == 1
    assert {"graph": "off"} in [l["turned"] for l in lines[2:-1]] and "SWITCHES" in text
    command = next(l.split(None, 1)[1] for l in text.splitlines() if l.startswith("  shows "))
    exits(1, *command.split()[1:])
    assert "SWITCHES" not in bisected(1, "always", "wide.json", "--quiet")[0]
    assert "the limit of 12 runs" in bisected(1, "unsettled", "wide.json", "--runs", "12")[0]
    assert "no finding in 20 runs" in bisected(0, "nothing", "good.json", "--only", "accuracy")[0]
    # A finding that the file carries: of another pair, of an oracle that is not asked, gone, or another one than now.
    carried = GOOD.replace('"expect": "pass"', f'"expect": "{signature.replace(":twin", ":gpu")}"')
    write("gone.json", carried)
    text, lines = bisected(0, "nothing", "gone.json")
    assert f"does not show now: {signature}" in text and "found by ref:gpu" in text and "0 of 20 runs" in text
    assert lines[-1]["rate"] == {"shown": 0, "runs": 20, "low": 0, "high": lines[-1]["rate"]["high"]}
    assert "no finding in 20" in bisected(0, "nothing", "gone.json", "--only", "finite")[0]
    parts = signature.split("/")
    other = "/".join([parts[0], "df" if parts[1] != "df" else "loc", *parts[2:]])
    write("other.json", GOOD.replace('"seed": 5}', '"seed": 5, "gain": 4}').replace(
        '"expect": "pass"', f'"expect": "{other}"'))
    assert f"another finding: {signature}" in bisected(1, "unable", "other.json")[0]
    assert "tf32" in bisected(4, "unable", "good.json", "--set", "tf32=on")[0]
    refuses(2, "absent", "bisect", "good.json", "--fast", "twin", "--json", "absent/b.jsonl")
    refuses(2, "graph", "bisect", "good.json", "--fast", "twin", "--set", "grph=on")
    refuses(2, "nowhere", "bisect", "nowhere.json")


@check
def explain_says_that_healthy_engines_do_not_part():
    write("good.json", GOOD)
    done = exits(0, "explain", "good.json", "--fast", "twin", "--only", "accuracy", "--out", "deep/er")
    # a prefill and two decode steps of df, loc, scale, mean, two of the scaler and six layers: 3 x 12 tensors
    assert "the engines do not part: 36 tensors, hidden states among them, of 3 calls" in done.stdout, done.stdout
    assert all(f"layer {i} {'space' if i == 0 or i == 3 else 'time'}" in done.stdout for i in range(6))
    (name,) = os.listdir("deep/er")
    assert f"deep/er/{name}" in done.stdout
    svg = xml.etree.ElementTree.parse(f"deep/er/{name}").getroot()
    assert len(svg.findall("{*}rect/{*}title")) == 3 * 9  # scaler, six layers, heads, mean
    quiet = exits(0, "explain", "good.json", "--fast", "twin", "--only", "accuracy", "--quiet").stdout
    assert len(quiet.splitlines()) == 1 and quiet.startswith("ref against twin"), quiet


@check
def explain_blames_nobody_where_both_engines_round_alike():
    # At gain 4 any order of summation leaves the contract: a finding of `run`, but no engine's fault.
    write("wide.json", GOOD.replace('"seed": 5}', '"seed": 5, "gain": 4}').replace('"steps": 16', '"steps": 64'))
    done = exits(1, "explain", "wide.json", "--fast", "twin", "--only", "accuracy")
    assert "\ntolerance  MAE " in done.stdout and " would have passed" in done.stdout, done.stdout
    assert "finding    accuracy: " in done.stdout and "neither is to blame" in done.stdout, done.stdout
    exits(1, "explain", "wide.json", "--fast", "twin", "--only", "finite")  # no finding, but the engines part
    assert "parts      " in done.stdout and "\nworst      batch 0, variate " in done.stdout, done.stdout


@check
def explain_tells_findings_that_are_no_matter_of_values():
    write("absent.json", GOOD.replace('"expect": "pass"', f'"expect": "{ABSENT}"'))
    done = exits(1, "explain", "absent.json", "--fast", "twin", "--only", "accuracy")
    assert "the engines do not part" in done.stdout and "the case expects did not come" in done.stdout, done.stdout
    done = exits(4, "explain", write("good.json", GOOD), "--fast", "twin", "--set", "tf32=on")
    assert "verdict    SKIPPED: twin cannot: tf32=on" in done.stdout and "part" not in done.stdout, done.stdout


@check
def corpus_stats_tells_the_worst_of_each_shape_and_what_no_case_covers():
    os.mkdir("cases")
    write("cases/a.json", GOOD)
    write("cases/b.json", GOOD.replace('"steps": 16', '"steps": 15').replace('"batch": 1', '"batch": 64'))
    done = exits(0, "corpus", "stats", "cases", "--fast", "twin", "--json", "s.json")
    assert "2 cases of 2 shape classes" in done.stdout and "no case has:" in done.stdout, done.stdout
    stats = json.load(open("s.json", encoding="utf-8"))
    assert [s["shape"] for s in stats["shapes"]] == ["b1.v2-4.s2-4", "b33-64.v2-4.s2-4"], stats["shapes"]
    for row, name in zip(stats["shapes"], "ab"):
        assert row["cases"] == 1 and row["mae_case"] == row["share_case"] == name and 0 < row["mae"] < 1e-6, row
        assert abs(row["share"] - row["mae"] / 1e-6) < 1e-9 or row["share"] > row["mae"] / 1e-6, row
    holes = stats["holes"]
    # both have two variates and contexts of four patches, one of them a step short; nothing here is reset or captured anew
    assert "2" not in holes["variates"] and {"1", "3", "127", "128"} <= set(holes["variates"])
    assert not {"1", "64"} & set(holes["batch"]) and "65" not in holes["batch"] and {"63", "2"} <= set(holes["batch"])
    assert set(holes["context"]) == {"one step over", "part of a patch"}, holes["context"]
    assert set(holes["sessions"]) == {"2", "3", "4"}
    assert "first context, steps, same session" not in holes["ops"]
    assert "steps, reset, same session" in holes["ops"] and "steps, first context, same session" not in holes["ops"]
    assert not any(f in holes for f in ("error", "drift", "counter")), list(holes)
    # another case, and its holes are gone
    write("cases/c.json", GOOD.replace('"batch": 1', '"batch": 2').replace('"steps": 16', '"steps": 17'))
    exits(0, "corpus", "stats", "cases", "--fast", "twin", "--json", "s.json", "--quiet")
    holes = json.load(open("s.json", encoding="utf-8"))["holes"]
    assert "2" not in holes["batch"] and holes["context"] == ["part of a patch"], holes["context"]


@check
def corpus_stats_has_a_row_whatever_files_are_called():
    os.mkdir("cases")
    for name, steps in ((b"a\xff", 16), ("é".encode() * 60 + b"e", 80), (b"e" + "é".encode() * 60, 400)):  # names are cut
        with open(b"cases/" + name + b".json", "w", encoding="utf-8") as f:
            f.write(GOOD.replace('"steps": 16', f'"steps": {steps}'))
    exits(0, "corpus", "stats", "cases", "--fast", "twin", "--json", "s.json", "--quiet")
    rows = json.load(open("s.json", encoding="utf-8"))["shapes"]
    assert sum(row["cases"] for row in rows) == len(rows) == 3 and "a?" in [row["mae_case"] for row in rows], rows


@check
def corpus_stats_ends_as_other_runs_do():
    refuses(2, "corpus stats", "corpus")
    refuses(2, "corpus stats", "corpus", "prune")
    refuses(2, "no folder", "corpus", "stats", write("x.json", GOOD))
    refuses(2, "no engine", "corpus", "stats", SOURCE + "/corpus/regress", "--fast", "nonsense")
    os.mkdir("wide")
    wide = GOOD.replace('"seed": 5', '"seed": 5, "gain": 4').replace('"batch": 1', '"batch": 2')
    write("wide/a.json", wide.replace('"normal"', '"large"'))
    done = exits(1, "corpus", "stats", "wide", "--fast", "twin")
    assert "FINDING wide/a.json: accuracy/" in done.stdout, done.stdout


@check
def the_index_of_fixed_findings_and_its_folder_agree():
    folder = SOURCE + "/corpus/regress"
    with open(folder + "/INDEX.md", encoding="utf-8") as f:
        rows = [line.split("|")[1:-1] for line in f if line.startswith("| `")]
    files = sorted(n for n in os.listdir(folder) if n.endswith(".json"))
    assert [r[0].strip().strip("`") for r in rows] == files, (rows, files)
    for row in rows:
        assert len(row) == 3 and all(len(cell.strip()) > 10 for cell in row), row



main()

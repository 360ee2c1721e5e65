"""nightly: what a night is green for, and what makes it red; that nothing that a worker does brings it down.
Arguments: nightly, oracle-diff, the source folder, then checks by name (all by default)."""
import os
import shutil
import signal
import subprocess
import time

from night_harness import (NIGHTLY, ORACLE_DIFF, SOURCE, check, ends, exits, files, findings, journal, main, metrics, run,
                           total)


@check
def a_green_night(place):
    exits(place.night(7, lanes="random,forward"), 0, "green (exit 0)", "canary graph-frozen-argument found")
    lines = journal(place.out)
    assert lines[0]["event"] == "start" and lines[-1]["event"] == "end" and lines[-1]["exit"] == 0
    assert {line["lane"] for line in journal(place.out, "slice")} == {"random", "forward", "canary"}
    assert open(place.path("night/exit"), encoding="ascii").read() == "0\n"
    for name in ("report.md", "log.txt", "metrics.prom"):
        assert os.path.getsize(place.path("night/" + name)) > 0
    values = metrics(place.path("night/metrics.prom"))
    counted = sum(line["count"]["inputs"] for line in journal(place.out, "slice"))
    assert total(values, "od_night_inputs_total") == counted > 0, counted
    for name in ("od_night_green", "od_night_canary_found", "od_night_ended"):
        assert values[name, None] == 1, name
    assert values["od_night_findings", 'status="new"'] == 0
    exits(place.night(7, lanes="random,forward"), 2, "this night has ended")


@check
def the_corpus_is_canonical_and_named_by_content(place):
    exits(place.night(3), 0)
    kept = files(place.path("night/corpus/forward"))
    assert len(kept) > 1 and all(len(name) == 21 and name.endswith(".json") for name in kept), kept
    one = place.path("night/corpus/forward/" + kept[0])
    shown = run([place.path("bin/oracle-diff"), "run", one, "--ref", "ref", "--fast", "twin", "--only", "accuracy"],
                place.top)
    exits(shown, 0)
    assert not os.path.exists(place.path("night/corpus.next")) and not os.path.exists(place.path("night/merge"))


@check
def a_slice_begins_behind_the_seeds(place):
    """60 seeds take the fake more than its slice of a second; then it has a second for inputs of its own."""
    for i in range(59):
        shutil.copy(place.path("seeds/forward/all-space-every-1.json"), place.path(f"seeds/forward/{i}.json"))
    exits(place.night(9), 0)
    played = [line["count"]["inputs"] for line in journal(place.out, "slice") if line["lane"] == "forward"]
    assert len(played) > 1 and played[0] >= 60 + 15, played


@check
def without_a_canary_it_is_red(place):
    exits(place.night(2, "--canary", "off"), 4, "there was no canary", "(exit 4)")


@check
def a_canary_that_nobody_finds(place):
    exits(place.night(3, FAKE_CANARY="dead"), 4, "NOT FOUND", "found 0 of 1 times")
    assert metrics(place.path("night/metrics.prom"))["od_night_canary_found", None] == 0


@check
def a_canary_that_is_not_found_again(place):
    exits(place.night(3, FAKE_CANARY="gone"), 4, "found 0 of 1 times")


@check
def a_canary_that_a_relation_finds(place):
    exits(place.night(3, FAKE_CANARY="relation"), 0, "found: consistency/switches/", "green (exit 0)")


@check
def a_canary_that_shows_something_else(place):
    exits(place.night(3, FAKE_CANARY="other"), 4, "NOT FOUND: memory/host/", "found 0 of 1 times")


@check
def no_program_for_the_canary(place):
    os.unlink(place.path("bin/faults-oracle-diff"))
    exits(place.night(2), 3, "faults-oracle-diff")


@check
def counts_below_their_minimum(place):
    exits(place.night(2, "--at-least", "replays=1000000"), 4, "replays: ", "of at least 1000000")


@check
def a_crash_is_kept_once_and_the_night_goes_on(place):
    exits(place.night(7, FAKE="crash,crash,ok"), 1, "lane forward ended: crash", "1 finding")
    assert ends(place.out, "forward").count("crash") == 2 and "ok" in ends(place.out, "forward")
    assert len(files(place.path("night/workers/0/saved"))) == 2  # two inputs, one signature
    (signature, line), = findings(place.out).items()
    assert signature.startswith("engine/crash/-/b1.v1.") and line["status"] == "unreproduced", line
    assert files(place.path("night/findings")) == [line["file"]]
    exits(run([place.path("bin/oracle-diff"), "show", place.path("night/findings/" + line["file"])], place.top), 0)


@check
def a_crash_that_the_target_shows_again(place):
    exits(place.night(6, FAKE="libfuzzer,ok", FAKE_AGAIN="yes"), 1)
    (signature, line), = findings(place.out).items()
    assert signature.startswith("target/crash-in-forward/") and line["status"] == "new", line
    assert len(files(place.path("night/workers/0/inputs"))) == 1  # the same input, as libFuzzer had it


@check
def an_artifact_between_inputs(place):
    exits(place.night(6, FAKE="leak,ok"), 1)
    (signature, line), = findings(place.out).items()
    assert line["kind"] == "leak" and "leak" in signature, line


@check
def a_hang_is_killed_and_kept(place):
    exits(place.night(7, "--hang", "1", FAKE="hang,ok"), 1, "an input runs for too long: killed")
    assert "hang" in ends(place.out, "forward") and "ok" in ends(place.out, "forward")
    assert findings(place.out).popitem()[1]["kind"] == "hang"


@check
def a_process_that_does_nothing(place):
    exits(place.night(8, "--hang", "0.2", "--slice", "5", FAKE="stall,ok"), 0, "nothing runs for too long: killed")
    assert "stall" in ends(place.out, "forward")


@check
def too_much_memory(place):
    exits(place.night(6, "--rss-mb", "100", FAKE="grow,ok"), 1, "too much memory: killed")
    assert findings(place.out).popitem()[1]["kind"] == "oom"


@check
def a_sanitizer_and_a_lost_device(place):
    exits(place.night(8, FAKE="asan,device,ok"), 1)
    assert {"sanitizer", "device fault", "ok"} <= set(ends(place.out, "forward"))
    assert len(findings(place.out)) == 2


@check
def a_lane_that_never_starts(place):
    exits(place.night(9, lanes="random,forward", FAKE="never"), 3, "lane forward cannot start (3 times)",
          "lane forward could not run")
    assert ends(place.out, "forward") == ["cannot start"] * 3 and "ok" in ends(place.out, "random")


@check
def a_lane_that_says_nothing_and_one_of_garbage(place):
    exits(place.night(6, "--start", "1", FAKE="silent,garbage,silent"), 3, "no input within the limit of a start",
          "lane forward could not run")


@check
def a_lane_without_a_program(place):
    os.unlink(place.path("bin/fuzz_modes"))
    exits(place.night(3, lanes="random,modes"), 3, "lane modes has no program")


@check
def an_engine_that_is_not_there(place):
    exits(place.night(3, "--fast", "gpu"), 3, "does not run") if not os.path.exists("/dev/nvidia0") else None


@check
def a_finding_once_for_each_signature(place):
    exits(place.night(5, FAKE="finding"), 1)
    kept = findings(place.out)
    assert len(kept) == 1 and len(files(place.path("night/findings"))) == 1


def judge_says(place, line):
    """oracle-diff, but for `run`, which writes that line as its result (and dies where there is none)."""
    os.unlink(place.path("bin/oracle-diff"))
    with open(place.path("bin/oracle-diff"), "w", encoding="ascii") as f:
        f.write(f"""#!/bin/sh
[ "$1" = run ] || exec {ORACLE_DIFF} "$@"
line='{line}'
echo "$*" >>"$0.runs"
[ -n "$line" ] || kill -SEGV $$
while [ "$1" != --json ]; do shift; done
echo "$line" >"$2"
""")
    os.chmod(place.path("bin/oracle-diff"), 0o755)


FOUND = "accuracy/df/prefill/b1.v1.s1/ref:twin"


@check
def what_judging_again_says_is_what_counts(place):
    head = '{"type":"case","oracles":[],"signature":"%s","verdict":' % FOUND
    for name, line, code, status, signature, kept in (
            ("new", head + '"FINDING","recheck":{"flaky":false}}', 1, "new", FOUND, "findings"),
            ("flaky", head + '"FINDING","recheck":{"flaky":true}}', 1, "flaky", FOUND, "findings"),
            ("known", head + '"KNOWN"}', 0, "known", FOUND, None),
            ("error", head + '"ERROR"}', 3, "error", "error/error/-/b1.v1.s2-4/ref:twin", "errors"),
            ("judge", "", 1, "new", "judge/crash/-/b1.v1.s2-4/ref:twin", "findings")):
        judge_says(place, line)
        out = place.path(name)
        exits(place.night(3, "--shrink-runs", "0", out=out, FAKE="finding"), code)
        (told, event), = findings(out).items()
        assert (told, event["status"]) == (signature, status), (name, event)
        for folder in ("findings", "errors"):
            assert files(os.path.join(out, folder)) == ([event["file"]] if folder == kept else []), (name, folder)


@check
def a_crash_of_any_lane_is_judged_with_the_relations(place):
    """It may have come in a relation's play: all targets ask some."""
    judge_says(place, '{"type":"case","oracles":[],"signature":"%s","verdict":"FINDING","recheck":{"flaky":false}}' % FOUND)
    exits(place.night(6, "--shrink-runs", "0", FAKE="crash,ok"), 1, "lane forward ended: crash")
    with open(place.path("bin/oracle-diff.runs"), encoding="utf-8") as f:
        judged = [line for line in f if "--isolate" in line]
    assert judged and all("--only consistency" in line for line in judged), judged


@check
def several_workers_on_one_gpu_share_it_by_mps(place):
    """By a daemon of the night's own, which ends with it. The devices are made up: the fast path is the twin."""
    with open(place.path("bin/nvidia-cuda-mps-control"), "w", encoding="ascii") as f:
        f.write("""#!/bin/sh
if [ "${1:-}" = -f ]; then
    echo "${CUDA_VISIBLE_DEVICES-all}" >"$TOLD"
    touch "$CUDA_MPS_PIPE_DIRECTORY/control"
    while [ ! -e "$CUDA_MPS_PIPE_DIRECTORY/quit" ]; do sleep 0.05; done
else
    read -r word && [ "$word" = quit ] && touch "$CUDA_MPS_PIPE_DIRECTORY/quit" "$TOLD.quit"
fi
""")
    os.chmod(place.path("bin/nvidia-cuda-mps-control"), 0o755)
    words = place.command(5, "--devices", "4,7", "--per-device", "2")
    at = words.index("--workers")
    del words[at:at + 2]
    done = run(words, place.top, {"PATH": place.path("bin") + ":" + os.environ["PATH"], "TOLD": place.path("told"),
                                  "TMPDIR": place.top, "CUDA_VISIBLE_DEVICES": "0"})
    exits(done, 0, "4 workers")
    assert open(place.path("told"), encoding="ascii").read() == "all\n"
    assert os.path.exists(place.path("told.quit")), "the daemon was not told to quit"
    assert not [name for name in files(place.top) if name.startswith("od-mps-")]
    devices = {(line["worker"], line["device"]) for line in journal(place.out, "slice")}
    assert devices == {("0", "4"), ("1", "7"), ("2", "4"), ("3", "7")}, devices
    assert os.path.exists(place.path("told.shared")), "workers of one GPU do not know of each other"
    exits(run([*words[:2], place.path("other"), *words[3:]], place.top), 3, "nvidia-cuda-mps-control does not run")


@check
def bad_usage(place):
    for words in (["--out", "x"], ["--out", "x", "--seconds", "0"], ["--out", "x", "--seconds", "5", "--lanes", "none"],
                  ["--out", "x", "--seconds", "5", "--at-least", "what=3"], ["merge", "--out", "x"], ["--seconds", "5"],
                  ["--out", "x", "--seconds", "5", "more"], ["--out", b"\xe4x", "--seconds", "5"],
                  ["--out", "x", "--seconds", "5", "--corpus", "none"],
                  ["--out", "x", "--seconds", "5", "--corpus", "seeds", "--known", "none"]):
        done = run([NIGHTLY, *words], place.top)
        assert done.returncode == 2 and done.stderr and not done.stdout, (words, done)
    assert not os.path.exists(place.path("x"))


@check
def two_supervisors_in_one_folder(place):
    first = place.start(4)
    time.sleep(1.5)
    exits(place.night(4), 2, "another supervisor works in this folder")
    assert first.wait(60) == 0, first.stdout.read()


@check
def a_signal_stops_it_and_the_same_command_goes_on(place):
    first = place.start(6)
    time.sleep(2.5)
    first.send_signal(signal.SIGTERM)
    said, _ = first.communicate(timeout=30)
    assert first.returncode == 4 and "unfinished" in said and "the same command goes on" in said, said
    assert journal(place.out)[-1]["event"] == "stopped"
    before = sum(line["count"]["inputs"] for line in journal(place.out, "slice"))
    exits(place.night(7), 2, "begun with another")
    with open(place.path("night/workers/0/slice.json"), "w", encoding="ascii") as f:
        f.write('{"lane":"forward","number":1}\n')  # killed between its line and the end of its note
    exits(place.night(6), 0, "goes on", "green")
    lines = journal(place.out, "slice")
    assert sum(line["count"]["inputs"] for line in lines) > before > 0
    numbers = [(line["worker"], line["number"]) for line in lines]
    assert len(numbers) == len(set(numbers)), numbers
    assert len(journal(place.out, "canary")) == 1


@check
def a_signal_does_not_wait_for_what_hangs(place):
    night = place.start(60, "--slice", "50", FAKE="hang")
    time.sleep(2)
    night.send_signal(signal.SIGTERM)
    said, _ = night.communicate(timeout=15)
    assert night.returncode == 4 and ends(place.out, "forward") == ["stopped"], said


@check
def the_script_finds_programs_and_seeds(place):
    os.symlink(NIGHTLY, place.path("bin/release-nightly"))
    script = os.path.join(SOURCE, "fuzz/nightly")
    exits(run(["sh", script, "--out", "n", "--seconds", "3", "--bin=" + place.path("bin"), "--lanes", "forward", "--slice",
               "1", "--workers", "1", "--fast", "twin"], place.top), 0)
    told = journal(place.path("n"))[0]["environment"]["command"]
    assert f"--corpus {SOURCE}/corpus" in told, told
    exits(run(["sh", script, "report", "--out", "told", "n", "--bin", place.path("bin")], place.top), 0)
    exits(run(["sh", script, "--out", "x", "--seconds", "3", "--bin", place.path("seeds")], place.top), 3, "no program")


@check
def the_script_works_from_any_folder(place):
    """Relative paths are those of the caller, programs those below build/, without --bin."""
    for folder, name, program in (("fuzz", "nightly", f"{SOURCE}/fuzz/nightly"), ("build/release/bin", "nightly", NIGHTLY),
                                  ("build/release/bin", "oracle-diff", ORACLE_DIFF)):
        os.makedirs(place.path(f"tree/{folder}"), exist_ok=True)
        shutil.copy(program, place.path(f"tree/{folder}/{name}"))
    for folder, name in (("faults", "faults-oracle-diff"), ("fuzz-release", "fuzz_forward"), ("fuzz-release", "fuzz_session"),
                         ("fuzz-release", "fuzz_modes")):
        os.makedirs(place.path(f"tree/build/{folder}/bin"), exist_ok=True)
        shutil.copy(place.path("bin/" + name), place.path(f"tree/build/{folder}/bin/{name.replace('faults-', '')}"))
    night = ["sh", "tree/fuzz/nightly", "--out", "n", "--seconds", "3", "--lanes", "forward", "--slice", "1", "--workers", "1",
             "--fast", "twin", "--corpus", "seeds"]
    exits(run(night, place.top), 0)
    exits(run(["sh", "tree/fuzz/nightly", "merge", "--out", place.path("all"), "--corpus", "seeds", "n"], place.top), 0)
    exits(run(["sh", "tree/fuzz/nightly", "report", "--out", place.path("told"), "n"], place.top), 0, "n: green")


@check
def a_night_on_gpus_is_merged_on_one(place):
    """What submit sends, as a stand-in for sbatch sees it."""
    os.symlink(NIGHTLY, place.path("bin/nightly"))
    with open(place.path("bin/sbatch"), "w", encoding="ascii") as f:
        f.write(f"#!/bin/sh\necho \"$*\" >>{place.path('sent')}\nwc -l <{place.path('sent')}\n")
    os.chmod(place.path("bin/sbatch"), 0o755)
    words = ["sh", f"{SOURCE}/fuzz/slurm/submit", "--out", place.out, "--tasks", "3", "--seconds", "60", "--gpus", "1", "--",
             "--bin", place.path("bin")]
    exits(run(words, place.top, {"PATH": place.path("bin") + ":" + os.environ["PATH"]}), 0, "array 1, merge 2, report 3")
    array, merge, report = open(place.path("sent"), encoding="utf-8").read().splitlines()
    assert "--gpus-per-task=1" in array and "--gpus-per-task=1" in merge and "--gpus" not in report, (array, merge, report)
    assert "--array=0-2" in array and "--dependency=afterany:1" in merge and "--dependency=afterany:2" in report
    assert all("--time=" in line for line in (array, merge, report))
    assert "--workers" not in array
    exits(run([*words[:-5], "--cpus", "2", *words[-3:]], place.top,
              {"PATH": place.path("bin") + ":" + os.environ["PATH"]}), 0)
    assert "--workers 2" in open(place.path("sent"), encoding="utf-8").read().splitlines()[3]
    exits(run([*words[:6], "--seconds", "08"], place.top), 2, "not '08'")
    with open(place.path("bin/sbatch"), "w", encoding="ascii") as f:
        f.write(f"#!/bin/sh\n[ ! -e {place.path('one')} ] || exit 1\n: >{place.path('one')}\necho 7\n")
    with open(place.path("bin/scancel"), "w", encoding="ascii") as f:
        f.write(f"#!/bin/sh\necho \"$*\" >{place.path('cancelled')}\n")
    os.chmod(place.path("bin/scancel"), 0o755)
    exits(run(words, place.top, {"PATH": place.path("bin") + ":" + os.environ["PATH"]}), 3, "no job for the merge")
    assert open(place.path("cancelled"), encoding="ascii").read() == "7\n"


@check
def thousands_of_one_signature_are_counted(place):
    exits(place.night(10, FAKE="flood"), 1)
    met = [line for line in journal(place.out, "finding")]
    counted = sum(line.get("n", 1) for line in met)
    left = journal(place.out, "end")[-1]["untriaged"]  # a busy machine may not get to all of them; then it says so
    assert len(met) < 60 and 300 < counted <= 400 and counted + left == 400, (len(met), counted, left)
    assert len(files(place.path("night/workers/0/findings"))) < 20
    assert metrics(place.path("night/metrics.prom"))["od_night_duplicates_total", None] == counted - 1


@check
def a_torn_last_line_is_cut_off(place):
    first = place.start(5)
    time.sleep(2.5)
    first.kill()
    first.wait()
    with open(place.path("night/night.jsonl"), "a", encoding="utf-8") as f:
        f.write('{"event":"slice","worker":"0","num')
    exits(place.night(5), 0)
    assert journal(place.out)[-1]["event"] == "end"


@check
def a_full_disk_is_said_and_loses_nothing(place):
    limit = ["sh", "-c", 'ulimit -f 160; exec "$@"', "sh"]  # blocks of 512 bytes: a record fits, a long journal not
    os.makedirs(place.out)
    tick = '{"event":"tick"}\n'
    with open(place.path("night/night.jsonl"), "w", encoding="ascii") as f:
        f.write(tick * (79800 // len(tick)))
    exits(place.night(5, prefix=limit), 3, "night.jsonl: cannot be written")
    assert open(place.path("night/night.jsonl"), encoding="utf-8").read().endswith("\n")
    before = [line for line in journal(place.out) if line["event"] != "tick"]
    assert [line["event"] for line in before][:1] == ["start"] and before[-1]["event"] != "end"
    exits(place.night(5), 0, "goes on", "green")  # also where no time was left: what was not written is counted
    after = [line for line in journal(place.out) if line["event"] != "tick"]
    assert after[:len(before)] == before and len([line for line in after if line["event"] == "canary"]) == 1
    numbers = [line["number"] for line in after if line["event"] == "slice"]
    assert sorted(numbers) == list(range(len(numbers))), numbers  # what was not written was counted by its record


@check
def merging_names_the_night_that_was_killed(place):
    for name in ("a", "b"):
        exits(place.night(2, "--seed", str(ord(name)), out=place.path(name)), 0)
    killed = subprocess.Popen(place.command(9, out=place.path("c")), stdout=subprocess.DEVNULL)
    time.sleep(2)
    killed.kill()
    killed.wait()
    options = ["--bin", place.path("bin"), "--corpus", place.path("seeds"), "--out"]
    exits(run([NIGHTLY, "merge", *options, place.path("all"), *map(place.path, "ab")], place.top), 0, "green (exit 0)")
    both = sum(line["count"]["inputs"] for name in "ab" for line in journal(place.path(name), "slice"))
    assert sum(line["count"]["inputs"] for line in journal(place.path("all"), "slice")) == both > 0
    kept = set(files(place.path("all/corpus/forward")))
    assert kept == set(files(place.path("a/corpus/forward"))) | set(files(place.path("b/corpus/forward"))), kept
    metrics(place.path("all/metrics.prom"))
    assert journal(place.path("all"))[0]["plan"]["seconds"] == 4
    exits(run([NIGHTLY, "merge", *options, place.path("red"), *map(place.path, "abc")], place.top), 4,
          "night c: unfinished")
    exits(run([NIGHTLY, "merge", *options, place.path("gone"), *map(place.path, "abd")], place.top), 4,
          "night d: broken")
    exits(run([NIGHTLY, "report", "--out", place.path("told"), place.path("c")], place.top), 4)
    assert "unfinished, red: blind (exit 4)" in open(place.path("told/report.md"), encoding="utf-8").read()
    exits(run([NIGHTLY, "report", "--out", place.path("told"), place.path("red")], place.top), 4)
    assert "unfinished" in open(place.path("told/report.md"), encoding="utf-8").read()


@check
def no_night_is_merged_twice_or_into_itself(place):
    exits(place.night(2), 0)
    options = ["--bin", place.path("bin"), "--corpus", place.path("seeds"), "--out"]
    exits(run([NIGHTLY, "merge", *options, place.path("all"), place.out], place.top), 0)
    before = journal(place.path("all"))
    exits(run([NIGHTLY, "merge", *options, place.path("all"), place.out, "all/"], place.top), 2, "into itself")
    exits(run([NIGHTLY, "merge", *options, place.path("all"), place.out, "./night"], place.top), 2, "given twice")
    assert journal(place.path("all")) == before
    exits(run([NIGHTLY, "merge", *options, place.path("more"), place.path("all")], place.top), 0)


@check
def merging_findings_keeps_one_of_a_signature(place):
    for name in ("a", "b"):
        exits(place.night(4, "--seed", str(ord(name)), out=place.path(name), FAKE="finding"), 1)
    done = run([NIGHTLY, "merge", "--bin", place.path("bin"), "--corpus", place.path("seeds"), "--out", place.path("all"),
                place.path("a"), place.path("b")], place.top)
    exits(done, 1, "1 finding")
    assert len(files(place.path("all/findings"))) == 1
    with open(place.path("b/night.jsonl"), encoding="utf-8") as f:
        text = f.read()
    hashed = journal(place.path("b"))[0]["plan"]["programs"]["fuzz_forward"]
    with open(place.path("b/night.jsonl"), "w", encoding="utf-8") as f:
        f.write(text.replace(hashed, "0" * 16))
    exits(run(done.args, place.top), 1)  # again: in the place of the first
    assert "another build of fuzz_forward than a had" in open(place.path("all/report.md"), encoding="utf-8").read()


if __name__ == "__main__":
    main()

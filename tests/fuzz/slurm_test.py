#!/usr/bin/env python3
"""fuzz/slurm on a real Slurm of one machine: slurm_test.py SOURCE BIN [LANES [SECONDS]]

BIN: folder of a build with planted faults (nightly, oracle-diff; the canary's fault is asked for by name, everything else
runs without one), or one that fuzz/nightly --bin takes as it is. LANES: random by default; of other lanes a merged corpus is
asked as well.

Starts munged, slurmctld and slurmd of this user in a folder of its own (Debian: slurm-wlm, munge), sends a night of four
tasks, kills one of them midway, and asks that the merged night is red and names it; sends the same again, and asks for
one corpus and one green report. Exit 77 where Slurm is not installed.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SOURCE, BIN = (os.path.abspath(p) for p in sys.argv[1:3])
LANES = sys.argv[3] if len(sys.argv) > 3 else "random"
TASKS, SECONDS = 4, int(sys.argv[4]) if len(sys.argv) > 4 else 12


def free_ports(n):
    taken = [socket.socket() for _ in range(n)]
    for s in taken:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in taken]
    for s in taken:
        s.close()
    return ports


def call(*command, check=True, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=200, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}")
    return done


class Cluster:
    """One node that pretends to have a core a task."""

    def __init__(self, folder):
        self.folder = folder
        self.user = subprocess.check_output(["id", "-un"], text=True).strip()
        host = socket.gethostname().split(".")[0]
        controller, node = free_ports(2)
        for name in ("state", "spool"):
            os.mkdir(f"{folder}/{name}")
        with open(f"{folder}/munge.key", "wb") as f:
            f.write(os.urandom(1024))
        os.chmod(f"{folder}/munge.key", 0o600)
        with open(f"{folder}/slurm.conf", "w") as f:
            f.write(f"""ClusterName=night
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={self.user}
SlurmdUser={self.user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={TASKS} State=UNKNOWN
PartitionName=night Nodes=ALL Default=YES MaxTime=INFINITE State=UP
""")
        os.environ["SLURM_CONF"] = f"{folder}/slurm.conf"
        self.munged = [f"--key-file={folder}/munge.key", f"--socket={folder}/munge.sock",
                       f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log",
                       f"--seed-file={folder}/munged.seed", "--force"]

    def __enter__(self):
        call("munged", *self.munged)
        call("slurmctld")
        call("slurmd")
        end = time.monotonic() + 60
        while "idle" not in call("sinfo", "-h", "-o", "%T", check=False).stdout:
            assert time.monotonic() < end, "slurmd did not come up:\n" + open(f"{self.folder}/slurmd.log").read()
            time.sleep(0.2)
        return self

    def __exit__(self, *_):
        call("scancel", "-u", self.user, check=False)
        call("scontrol", "shutdown", check=False)
        for name in ("slurmd", "slurmctld", "munged"):
            end = time.monotonic() + 10
            while os.path.exists(f"{self.folder}/{name}.pid"):
                try:
                    os.kill(int(open(f"{self.folder}/{name}.pid").read()),
                            signal.SIGTERM if time.monotonic() < end else signal.SIGKILL)
                except (OSError, ValueError):
                    break
                time.sleep(0.2)


def programs(folder):
    """What fuzz/nightly takes from --bin."""
    if not os.path.exists(f"{BIN}/nightly") or os.path.exists(f"{BIN}/faults-oracle-diff"):
        return BIN
    os.mkdir(f"{folder}/bin")
    for name, program in (("nightly", "nightly"), ("oracle-diff", "oracle-diff"), ("faults-oracle-diff", "oracle-diff")):
        os.symlink(f"{BIN}/{program}", f"{folder}/bin/{name}")
    return f"{folder}/bin"


def submit(out, *more):
    return subprocess.Popen(
        ["sh", f"{SOURCE}/fuzz/slurm/submit", "--out", out, "--tasks", str(TASKS), "--seconds", str(SECONDS), "--seed",
         "40", "--wait", *more, "--", "--bin", programs.at, "--fast", "twin", "--lanes", LANES, "--workers", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def inputs_of(out, task):
    """The task's inputs so far, by its metrics."""
    try:
        with open(f"{out}/task-{task}/metrics.prom") as f:
            return sum(float(line.split()[-1]) for line in f if line.startswith("od_night_inputs_total"))
    except (OSError, ValueError):
        return 0


def refused_options():
    for words, said in (((), "--out"), (("--out", "x"), "--tasks"), (("--out", "x", "--tasks", "0"), "at least 1"),
                        (("--out", "x", "--tasks", "2", "--seconds", "soon"), "whole number"),
                        (("--night", "x"), "no option"), (("--out",), "lacks its value")):
        done = call("sh", f"{SOURCE}/fuzz/slurm/submit", *words, check=False)
        assert done.returncode == 2 and said in done.stdout, (words, done.returncode, done.stdout)


def killed_task_makes_the_night_red(out):
    night = submit(out)
    end = time.monotonic() + 60
    while inputs_of(out, 2) == 0:
        assert time.monotonic() < end and night.poll() is None, "task 2 did not run:\n" + (night.stdout.read() or "")
        time.sleep(0.1)
    # without a word to Slurm or the task: what a machine does that dies
    with open(f"{out}/task-2/night.jsonl") as f:
        os.kill(json.loads(f.readline())["environment"]["pid"], signal.SIGKILL)
    text, _ = night.communicate(timeout=180 + 8 * SECONDS)
    assert night.returncode not in (0, None), text
    report = open(f"{out}/report/report.md").read()
    assert "task-2" in report and "unfinished" in report, report
    assert os.path.exists(f"{out}/task-2/night.jsonl")
    return text


def sent_again_it_is_whole(out):
    before = {t: inputs_of(out, t) for t in range(TASKS)}
    night = submit(out)
    text, _ = night.communicate(timeout=180 + 8 * SECONDS)
    logs = "".join(open(os.path.join(out, "slurm", n)).read() for n in sorted(os.listdir(f"{out}/slurm")))
    assert night.returncode == 0, text + logs
    assert open(f"{out}/report/status").read() == "0\n"
    assert all(inputs_of(out, t) >= before[t] for t in range(TASKS)), before
    merged = sum(inputs_of(out, t) for t in range(TASKS))
    got = 0
    with open(f"{out}/merged/metrics.prom") as f:
        got = sum(float(line.split()[-1]) for line in f if line.startswith("od_night_inputs_total"))
    assert got == merged > 0, (got, merged)
    report = open(f"{out}/report/report.md").read()
    assert all(f"task-{t}" in report for t in range(TASKS)), report
    for lane in LANES.replace("random", "").strip(",").split(",") if LANES != "random" else ():
        kept = os.listdir(f"{out}/merged/corpus/{lane}")
        assert kept and all(n.endswith(".json") and len(n) == 21 for n in kept), (lane, kept)
        print(f"merged corpus of {lane}: {len(kept)} cases")
    return merged


def seeds_differ(out):
    seeds = []
    for t in range(TASKS):
        with open(f"{out}/task-{t}/night.jsonl") as f:
            start = next(json.loads(line) for line in f if '"start"' in line)
        seeds.append(start["plan"]["seed"])
    assert seeds == [40 + t for t in range(TASKS)], seeds


def main():
    for program in ("munged", "slurmctld", "slurmd", "sbatch"):
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin"):
            print(f"skipped: {program} is not installed (slurm-wlm, munge)")
            sys.exit(77)
    os.environ["PATH"] += ":/usr/sbin"
    folder = tempfile.mkdtemp(prefix="night")
    try:
        programs.at = programs(folder)
        refused_options()
        with Cluster(folder):
            out = f"{folder}/night"
            killed_task_makes_the_night_red(out)
            inputs = sent_again_it_is_whole(out)
            seeds_differ(out)
        print(f"ok: {TASKS} tasks, {inputs:.0f} inputs in the merged night; a killed task was told and resumed")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

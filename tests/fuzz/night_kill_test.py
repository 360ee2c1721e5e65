"""nightly under kill -9: at ten random moments, thrice while the corpus is made, then to its end. Nothing that was written is lost, no process stays, what
was played is counted, and whoever reads the corpus sees the old one or the new one."""
import json
import os
import random
import re
import signal
import threading
import time

from night_harness import alive, check, exits, files, journal, main

KILLS, MERGES = 10, 3  # at random moments of the whole; while the corpus is made


class Reader(threading.Thread):
    """Reads the corpus all the time: never empty, never half of one, every file a whole case."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.folder, self.stop, self.wrong, self.looks, self.kinds = folder, False, [], 0, set()

    def look(self):
        fd = os.open(self.folder, os.O_RDONLY)  # one folder, whatever its name means a moment later
        try:
            names = sorted(os.listdir(fd))
            kind = "old" if names == ["old.json"] else "new"
            for name in names:
                with open(os.open(name, os.O_RDONLY, dir_fd=fd), encoding="utf-8") as f:
                    json.load(f)
                if kind == "new" and not re.fullmatch("[0-9a-f]{16}.json", name):
                    self.wrong.append(names)
            if not names:
                self.wrong.append("empty")
            self.kinds.add(kind)
        except FileNotFoundError:
            pass  # the old one, which is taken away behind its reader
        finally:
            os.close(fd)
        self.looks += 1

    def run(self):
        while not self.stop:
            try:
                self.look()
            except FileNotFoundError:
                self.wrong.append("no folder")
            except ValueError as error:
                self.wrong.append(str(error))
            time.sleep(0.0005)


def written(place):
    """What is there: findings, and raw ones; and the files that the journal tells of."""
    found = {f"{folder}/{name}" for folder in ("findings", "workers/0/findings", "workers/0/saved")
             for name in files(place.path("night/" + folder)) if ".tmp" not in name}
    for name in found:
        with open(place.path("night/" + name), encoding="utf-8") as f:
            json.load(f)
    lines = journal(place.out) if os.path.exists(place.path("night/night.jsonl")) else []
    return found, {"findings/" + line["file"] for line in lines
                   if line["event"] == "finding" and line["status"] != "duplicate"}


def nothing_left(place):
    """At once: long slices (below) would go on for seconds."""
    until = time.monotonic() + 1
    while alive(place):
        assert time.monotonic() < until, f"processes are left: {alive(place)}"
        time.sleep(0.02)


@check
def killed_at_ten_random_moments(place):
    seed = int(os.environ.get("OD_SEED", time.time_ns() % 1000003))
    print("OD_SEED", seed, flush=True)
    draw = random.Random(seed)
    os.makedirs(place.path("night/corpus/forward"))
    with open(place.path("seeds/forward/all-space-every-1.json"), encoding="utf-8") as f:
        text = f.read()
    with open(place.path("night/corpus/forward/old.json"), "w", encoding="utf-8") as f:
        f.write(text)
    reader = Reader(place.path("night/corpus/forward"))
    reader.start()
    before, merging = set(), 0
    for number in range(KILLS + MERGES):
        night = place.start(6, "--slice", "20", lanes="random,forward", FAKE="finding,finding,crash,crash,ok",
                            FAKE_MERGE="slow")
        until = time.monotonic() + 20
        while number >= KILLS and not os.path.isdir(place.path("night/merge/forward")) and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(draw.uniform(0.15, 1.6) if number < KILLS else draw.uniform(0, 0.4))
        night.send_signal(signal.SIGKILL)
        night.wait()
        night.stdout.close()
        nothing_left(place)
        found, told = written(place)
        assert before <= found, before - found
        assert told <= found, told - found
        before |= found
        merging += os.path.isdir(place.path("night/merge"))
    done = place.night(6, "--slice", "20", lanes="random,forward", FAKE="ok", FAKE_MERGE="slow")
    reader.stop = True
    reader.join()
    exits(done, 1, "(exit 1)")
    found, told = written(place)
    assert before <= found, before - found
    assert told == {name for name in found if name.startswith("findings/")} and told, (told, found)
    assert merging >= MERGES, merging
    assert not reader.wrong and reader.looks > 100 and reader.kinds == {"old", "new"}, (reader.wrong[:3], reader.kinds)
    lines = journal(place.out, "slice")
    numbers = [(line["worker"], line["number"]) for line in lines]
    assert len(numbers) == len(set(numbers)), "a slice is counted twice"
    cut = [line for line in lines if line["end"] == "cut off"]
    assert cut and sum(line["count"]["inputs"] for line in cut) > 0, "what was cut off is not counted"
    end = journal(place.out)[-1]
    assert end["event"] == "end" and end["spent"] < 6 + 20, end
    print(f"{len(cut)} slices cut off, {len(found)} findings, {reader.looks} looks at the corpus, "
          f"{merging} kills while it was made")


if __name__ == "__main__":
    main()

"""Other people's files: a corpus that changes, headers that lie, thousands of tensors, names, links, locales."""
import json
import os
import re
import shutil
import struct
import subprocess
import xml.etree.ElementTree

from harness import ABSENT, SOURCE, Skip, case, condition, lines

VECTOR = os.path.join(SOURCE, "tests/vectors/one-patch")
COMMON = ("--fast", "twin", "--only", "accuracy")


def changing(place, at, what):
    """The environment in which `what` happens before the first file whose path ends so is opened."""
    if not place.args.interpose:
        raise Skip("a sanitized build has no interposer")
    return {"LD_PRELOAD": place.args.interpose, "HOSTILE_AT": at, "HOSTILE_DO": what}


CHANGES = {"removed": "rm 03.json", "cut": "truncate -s 20 03.json", "emptied": "truncate -s 0 03.json",
           "a folder now": "rm 03.json; mkdir 03.json", "a FIFO now": "rm 03.json; mkfifo 03.json",
           "a link now": "rm 03.json; ln -s /dev/zero 03.json", "larger now": "truncate -s 1G 03.json"}


@condition("a corpus folder changed while it is read",
           "between listing and reading: exit 2, the file and what it is now, and nothing is judged by halves")
def changed_corpus(place):
    for lanes in ((), ("-j2",)):
        for what, how in CHANGES.items():
            place.cases(5)
            kept = shutil.copy2(place.corpus + "/03.json", place.path("home/kept"))
            place.look()
            environment = changing(place, "/01.json", f"cd {place.corpus}; {how}")
            done = place.run("replay", place.corpus, *COMMON, *lanes, "--json", place.out + "/r.jsonl", environment=environment, timeout=20)
            assert done.code == 2 and "03.json" in done.err and len(done.err.splitlines()) == 1, (what, done.how, done.said)
            assert not os.path.exists(place.out + "/r.jsonl"), "results of a run that was refused"
            place.row("2", f"{what}: {done.message}")
            subprocess.run(["rm", "-rf", place.corpus + "/03.json"], check=True)
            shutil.copy2(kept, place.corpus + "/03.json")  # with its time: nothing else may have changed
            place.clean(what)


@condition("a case's own file changed behind its back",
           "between reading and judging: that case is an ERROR or refused by its digest, the others are judged")
def changed_csv(place):
    vector = place.path("work/model")
    shutil.copytree(os.path.join(SOURCE, "tests/vectors/seed-tiny"), vector)
    place.cases(3)
    place.write("work/finding.json", case(expect=ABSENT))
    # a finding's case names its model's folder with sizes and digests
    assert place.run("run", "finding.json", "--fast", "twin", "--only", "finite", "--model", vector, "--out", place.out).code == 1
    found, = os.listdir(place.out + "/findings")
    with open(f"{place.out}/findings/{found}", encoding="utf-8") as f:
        model = json.load(f)["model"]
    model["folder"]["path"] = "../work/model"
    place.write("corpus/01.json", json.dumps({**json.loads(case()), "model": model}))
    place.empty()
    kept = shutil.copy2(vector + "/model.safetensors", place.path("work/kept"))
    place.look()
    for lanes in ((), ("-j2",)):
        words = ("replay", place.corpus, *COMMON, *lanes, "--json", place.out + "/r.jsonl")
        place.exits(0, "PASS 3", *words)
        done = place.run(*words, environment=changing(place, "model.safetensors", f"truncate -s 100 {vector}/model.safetensors"))
        assert done.code in (2, 3) and "model.safetensors" in done.said, (done.how, done.said)
        if os.path.exists(place.out + "/r.jsonl"):
            verdicts = [l["verdict"] for l in lines(place.out + "/r.jsonl") if l["type"] == "case"]
            assert verdicts == ["PASS", "ERROR", "PASS"], verdicts
            place.looked.add("results")
        place.row(done.how, next(l for l in done.said.splitlines() if "model.safetensors" in l))
        shutil.copy2(kept, vector + "/model.safetensors")  # with its time: nothing else may have changed
        place.clean(lanes)
        place.empty()


def safetensors(path, header, size=0):
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", header if isinstance(header, int) else len(header)))
        if not isinstance(header, int):
            f.write(header)
        if size:
            f.truncate(size)
    return path


@condition("a 4 GiB safetensors header length", "exit 2 at once, without reading it: within 2 s and 100 MiB beside the libraries, holes or not")
def long_header(place):
    os.mkdir(place.path("work/m"))
    place.write("work/m/config.json", open(VECTOR + "/config.json", encoding="utf-8").read())
    place.look()
    least = place.run("compare", "none.safetensors", VECTOR + "/case.safetensors").rss  # a program with CUDA has large ones
    for n, size in ((4 << 30, 0), (4 << 30, 5 << 30), ((1 << 64) - 1, 5 << 30), ((1 << 63), 0), (1 << 32, (1 << 32) + 8)):
        for path, words in ((place.path("work/x.safetensors"), ("compare", "x.safetensors", VECTOR + "/case.safetensors")),
                            (place.path("work/m/model.safetensors"), ("forward", "--engine", "ref", "--model", "m", "--case",
                                                                      VECTOR + "/case.safetensors", "--context", "4", "--out",
                                                                      place.out + "/o.safetensors"))):
            place.look()  # without the file: it would be hashed
            safetensors(path, n, size)
            before = os.stat(path)
            done = place.run(*words, timeout=30)
            assert done.code == 2 and "announces a header" in done.err, (n, size, done.how, done.said)
            assert done.seconds < 2 and done.rss < least + 100, (n, size, done.seconds, done.rss, least)
            after = os.stat(path)
            assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)
            os.remove(path)
            place.clean((n, size))
            assert not os.listdir(place.out), os.listdir(place.out)
            place.row("2", f"{done.message} ({done.seconds:.1f} s, at most {done.rss} MiB)")


@condition("10,000 tensors", "read, compared or refused by name within 10 s and 400 MiB")
def many_tensors(place):
    entries, at = {}, 0
    for i in range(10000):
        entries[f"t{i:05}"] = {"dtype": "F32", "shape": [1], "data_offsets": [at, at + 4]}
        at += 4
    header = json.dumps(entries).encode()
    for name in ("a", "b"):
        safetensors(place.path(f"work/{name}.safetensors"), header, 8 + len(header) + at)
    done = place.exits(0, "", "compare", "a.safetensors", "b.safetensors")
    assert done.seconds < 10 and done.rss < 400, (done.seconds, done.rss)
    os.mkdir(place.path("work/m"))
    place.write("work/m/config.json", open(VECTOR + "/config.json", encoding="utf-8").read())
    os.rename(place.path("work/a.safetensors"), place.path("work/m/model.safetensors"))
    place.look()
    done = place.exits(2, "tensor", "forward", "--engine", "ref", "--model", "m", "--case", VECTOR + "/case.safetensors", "--context", "4",
                       "--out", place.out + "/o")
    assert done.seconds < 10 and done.rss < 400, (done.seconds, done.rss)
    place.row("2", f"{done.seconds:.1f} s, at most {done.rss} MiB")


NASTY = ["a\nb", "tab\there", "bell\x07", "\x1b[31mred", "quote\"'`$(x)", "back\\slash", "caf\udce9", "x" * 200, "-rf", "%s%n", "<&>]]>", "\x85\u2028"]


@condition("names with newlines", "messages are one line each and print no control character; JSON and JUnit stay valid; the case is judged")
def nasty_names(place):
    for name in NASTY:
        with open(os.fsencode(place.corpus) + b"/" + name.encode("utf-8", "surrogateescape") + b".json", "w", encoding="ascii") as f:
            f.write(case())
    os.mkdir(place.path("corpus/fol\nder"))
    place.write("corpus/fol\nder/x.json", case(expect=ABSENT))
    words = ("replay", place.corpus, *COMMON, "--json", place.out + "/r.jsonl", "--junit", place.out + "/j.xml", "--out", place.out)
    done = place.exits(1, "FINDING", *words)
    rows = [l for l in lines(place.out + "/r.jsonl") if l["type"] == "case"]
    assert sorted(l["verdict"] for l in rows) == ["FINDING"] + ["PASS"] * len(NASTY), rows
    place.looked.add("results")
    suite = xml.etree.ElementTree.parse(place.out + "/j.xml").getroot()
    assert len(suite.findall("testcase")) == len(NASTY) + 1
    for text in (done.out, done.err):
        bad = re.findall(r"[\x00-\x09\x0b-\x1f\x7f]", text)
        assert not bad, f"control characters are printed: {bad}\n{text!r}"
    table = [l for l in done.out.splitlines() if " PASS " in l]
    assert len(table) == len(NASTY), table
    place.exits(0, "", "report", place.out + "/r.jsonl", "--out", place.out + "/rep")
    # and those that a message quotes
    place.write("work/bad\nname.json", "no json")
    place.write("work/key.json", case().replace('"format"', '"for\\nmat\\u001b"'))
    header = json.dumps({"a\nb\x1b[31m": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    os.mkdir(place.path("work/m"))
    place.write("work/m/config.json", open(VECTOR + "/config.json", encoding="utf-8").read())
    safetensors(place.path("work/m/model.safetensors"), header, 8 + len(header) + 4)
    place.look()
    for words in (("run", "bad\nname.json"), ("run", "none\n\x1b.json"), ("run", "key.json"), ("replay", "none\nthere"),
                  ("forward", "--engine", "ref", "--model", "m", "--case", VECTOR + "/case.safetensors", "--context", "4", "--out", place.out + "/o"),
                  ("compare", "m/model.safetensors", "m/model.safetensors"), ("shrink", "bad\nname.json"), ("explain", "bad\nname.json")):
        done = place.run(*words)
        assert done.code in (0, 1, 2), (words, done.how, done.said)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", done.said), (words, done.said)
        assert len(done.err.splitlines()) == (done.code == 2), (words, done.err)
        place.row(done.how, done.message)
    place.clean("names")


@condition("symbolic links out of the corpus", "exit 2 and the link's name: neither followed nor passed by in silence")
def links(place):
    place.cases(2)
    outside = place.write("home/outside.json", case())
    os.mkdir(place.path("home/folder"))
    place.write("home/folder/x.json", case())
    for target, name in ((outside, "05.json"), (place.path("home/folder"), "down"), ("..", "up"), ("/dev/zero", "z.json"), ("nowhere", "n.json")):
        os.symlink(target, place.path("corpus/" + name))
        place.look()
        place.exits(2, "symbolic link", "replay", place.corpus, *COMMON, "--json", place.out + "/r.jsonl", timeout=20)
        assert not os.path.exists(place.out + "/r.jsonl")
        os.remove(place.path("corpus/" + name))
    os.symlink("README", place.path("corpus/README.md"))  # what is no case is nobody's business
    place.look()
    place.exits(0, "PASS 2", "replay", place.corpus, *COMMON)
    os.symlink(place.corpus, place.path("work/corpus"))  # the folder that one names oneself may be a link; with a slash it is followed
    place.look()
    place.exits(0, "PASS 2", "replay", place.path("work/corpus/"), *COMMON)
    os.symlink("/dev/zero", place.path("work/zero.json"))
    place.look()
    place.exits(2, "no regular file", "run", "zero.json", timeout=20)


@condition("a locale with decimal commas", "the same cases, results and verdicts, byte for byte")
def locale(place):
    made = place.path("locale")
    os.mkdir(made)
    place.write("locale/source", 'LC_NUMERIC\ndecimal_point ","\nthousands_sep "."\ngrouping 3;3\nEND LC_NUMERIC\n')
    subprocess.run(["localedef", "-c", "-i", "source", "-f", "ANSI_X3.4-1968", "./comma"], cwd=made, capture_output=True, check=False)
    if not os.path.isdir(made + "/comma"):
        raise Skip("localedef makes no locale here")
    comma = {"LOCPATH": made, "LC_ALL": "comma", "LC_NUMERIC": "comma", "LANG": "comma"}
    shown = subprocess.run(["env", "printf", "%.1f", "1,5"], env=place.environment(comma), capture_output=True, text=True, check=False).stdout
    if shown != "1,5":
        raise Skip(f"the locale is not taken: {shown!r}")
    place.cases(3)
    place.write("work/r.json", case().replace('"seed": 5}', '"seed": 5, "gain": 0.75}'))
    place.look()
    told = []
    for environment in ({}, comma):
        place.empty()
        texts = [place.run("new", "--seed", "3", "--index", str(i), environment=environment).out for i in range(20)]
        done = place.run("replay", place.corpus, *COMMON, "--timeout", "1.5", "--json", place.out + "/r.jsonl", environment=environment)
        assert done.code == 0, done.said
        rows = [(l["verdict"], l["hash"], l["digests"], l["share"], l["tensors"]) for l in lines(place.out + "/r.jsonl") if l["type"] == "case"]
        shown = place.run("show", "r.json", environment=environment).out
        night = place.run("run", "r.json", *COMMON, environment=environment)
        assert night.code == 0, night.said
        told.append((texts, rows, shown))
    assert told[0] == told[1], "a comma changes something"
    assert len(told[0][1]) == 3
    place.looked.add("results")
    place.clean("comma")
    place.row("0", "20 cases drawn, 3 judged, one shown: the same bytes")

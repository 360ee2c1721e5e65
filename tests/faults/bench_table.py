"""The bench's tables in Markdown, of its rows alone, and whether the totals reach their marks."""
import collections
import math
import statistics

import bench_play
import survival

MARKS = {"detected": 1.0, "seconds": 5.0, "explain": 0.9, "shrink": 0.9}
ENTRIES = 3  # of a shrunk schedule, at most


def number(x):
    if math.isinf(x):
        return "∞"
    return f"{x:.0f}" if x >= 100 else f"{x:.3g}"


def interval(n, three):
    return f"{number(three[0])} {survival.bounds(n, number(three[1]), number(three[2]))}"


def untriggered(row):
    """Did the fault never come into effect? A GPU's kernels do not say, nor does a suite: then nobody knows."""
    return row["generator"] != "check" and row["fast"] == "twin" and row["triggered"] == "0"


def detected(row):
    """A finding that the healthy program has as well, or that came before the fault did anything, is none of the fault's."""
    return bool(row["how"]) and row["healthy"] == "pass" and not untriggered(row)


def false_alarm(row):
    return bool(row["how"]) and not detected(row)


def status(row):
    if detected(row):
        return "detected"
    if row["how"]:
        why = "the fault was not triggered" if row["healthy"] == "pass" else f"{row['healthy']} without the fault"
        return f"false alarm: {row['signature']}, {why}"
    if row["end"]:
        return f"the run failed: {row['end']}"
    return "not reached" if row["reached"] in ("", "0") else \
        "reached, not triggered" if row["triggered"] in ("", "0") else "triggered, not detected"


def of(rows, **wanted):
    return [r for r in rows if all(r[k] == v for k, v in wanted.items())]


def runs(rows, column):
    return [(float(r[column]), detected(r)) for r in rows]


def counted(rows, column):
    return sum(r[column] not in ("", "0") for r in rows)


def share(yes, n):
    return f"{yes}/{n}" if n else "-"


def small(row):
    return row["entries"].isdigit() and int(row["entries"]) <= ENTRIES


def judge_again(rows, faults):
    """The list may have another stage by now."""
    known = {f.name: f for f in faults}
    for row in rows:
        if row["explain"] and row["fault"] in known:
            row["explain"], _ = bench_play.judge_words(known[row["fault"]], row["said"].replace(bench_play.BETWEEN, "\n"))


def explained(rows):
    """(named, asked): rows whose stage explain may name."""
    asked = [r for r in rows if r["explain"] in ("yes", "no")]
    return sum(r["explain"] == "yes" for r in asked), len(asked)


def shrunk(rows):
    asked = [r for r in rows if r["entries"]]
    return sum(small(r) for r in asked), len(asked)


def means(rows, column, horizon=None):
    """Restricted mean and median, as two cells."""
    some = runs(rows, column)
    horizon = horizon or max(t for t, _ in some)
    return (f"{interval(len(some), survival.restricted_mean_interval(some, horizon))} | "
            f"{interval(len(some), survival.median(some))}")


def by_fault(rows, faults, generator, seconds):
    print(f"\n### Generator `{generator}`\n")
    print("| fault | family | room | seeds | reached | triggered | detected | by | inputs: restricted mean [95 %] | median [95 %] | "
          "seconds: restricted mean [95 %] | median [95 %] | `explain` | `shrink` |")
    print("|" + " --- |" * 14)
    for fault in faults:
        some = of(rows, fault=fault.name, generator=generator)
        if not some:
            continue
        found = [r for r in some if detected(r)]
        oracles = collections.Counter(r["oracle"] for r in found)
        by = ", ".join(f"{name} {n}" for name, n in oracles.most_common()) or "-"
        print(f"| `{fault.name}` | {fault.family} | {fault.room} | {len(some)} | {counted(some, 'reached')} | "
              f"{counted(some, 'triggered')} | {len(found)} | {by} | {means(some, 'inputs')} | "
              f"{means(some, 'cpu', seconds)} | {share(*explained(found))} | {share(*shrunk(found))} |")


def by_family(rows, faults, generators):
    print("\n### By family\n")
    print("| family | faults | " + " | ".join(f"{g}: detected | median seconds" for g in generators) + " |")
    print("|" + " --- |" * (2 + 2 * len(generators)))
    for family in dict.fromkeys(f.family for f in faults):
        names = {f.name for f in faults if f.family == family}
        cells = []
        for generator in generators:
            some = [r for r in of(rows, generator=generator) if r["fault"] in names]
            cells += [share(sum(map(detected, some)), len(some)),
                      number(survival.median(runs(some, "cpu"))[0]) if some else "-"]
        mine = {r["fault"] for r in rows} & names
        if mine:
            print(f"| {family} | {len(mine)} | {' | '.join(cells)} |")


def sooner(a, b):
    """1 where run a found it first, -1 where b did, 0 where neither did or both took as long."""
    if a[1] != b[1]:
        return 1 if a[1] else -1
    return (a[0] < b[0]) - (a[0] > b[0]) if a[1] else 0


def ratio_text(pairs):
    mean, low, high = survival.ratio_interval(pairs, 1e-9)
    return f"{mean:.2f} {survival.bounds(len(pairs), f'{low:.2f}', f'{high:.2f}')}"


def against(rows, faults):
    """Pairs of a fault and a seed, each by both generators; in seconds of the processor."""
    print("\n### `random` against `libfuzzer`\n")
    print("| fault | pairs | seconds libfuzzer / random [95 %] | random sooner : later | sign p | log-rank p |")
    print("|" + " --- |" * 6)
    wins = losses = 0
    difference = variance = 0.0
    every = []
    for fault in faults:
        first, second = ({r["seed"]: (float(r["cpu"]), detected(r)) for r in of(rows, fault=fault.name, generator=g)}
                         for g in ("random", "libfuzzer"))
        seeds = sorted(first.keys() & second.keys(), key=int)
        if not seeds:
            continue
        ahead = [sooner(first[s], second[s]) for s in seeds]
        win, loss = ahead.count(1), ahead.count(-1)
        d, v = survival.log_rank([first[s] for s in seeds], [second[s] for s in seeds])
        costs = [(first[s][0], second[s][0]) for s in seeds]
        every += costs
        wins, losses = wins + win, losses + loss
        difference, variance = difference + d, variance + v
        n = len(seeds)
        print(f"| `{fault.name}` | {n} | {ratio_text(costs)} | {win} : {loss} | "
              f"{survival.p_text(n, survival.binomial_two_sided(win, win + loss))} | {survival.p_text(n, survival.p_of(d, v))} |")
    if every:
        p = survival.p_of(difference, variance)
        print(f"\nAll: libFuzzer takes {ratio_text(every)} times random's seconds; random is sooner in {wins} pairs, later in "
              f"{losses} (two-sided sign test p = {survival.p_text(len(every), survival.binomial_two_sided(wins, wins + losses))})"
              f"; log-rank stratified by fault p = {survival.p_text(len(every), p)}: "
              f"{survival.direction(len(every), difference, p, 'by random')}.")


def checks(rows, faults):
    some = [r for r in rows if r["generator"] == "check"]
    if some:
        print("\n### Shared by both engines, or the judge's: seen by a suite\n\n| fault | family | room | seen | by |\n| --- | --- | --- | --- | --- |")
    for row in some:
        fault = next(f for f in faults if f.name == row["fault"])
        print(f"| `{fault.name}` | {fault.family} | {fault.room} | {'yes' if row['how'] else 'NO'} | {row['said']} |")
    return [r for r in some if r["how"] == ""]


def mark(text, value, limit, below=False):
    reached = value < limit if below else value >= limit
    print(f"- {text}{'' if reached else ' — MISSED'}")
    return reached


def never_run(rows, chosen, seeds):
    """{fault: seeds} of pairs that were to be run and have no row; what a suite sees is asked once."""
    there = {(r["fault"], r["seed"]) for r in rows}
    lacking = {}
    for fault in chosen:
        asked = [1] if fault.list == "shared" else range(1, seeds + 1)
        lacks = [str(s) for s in asked if (fault.name, str(s)) not in there]
        if lacks:
            lacking[fault.name] = lacks
    return lacking


def tell_never_run(lacking):
    if lacking:
        print(f"\n### Never run: {sum(map(len, lacking.values()))} pairs of fault and seed — MISSED\n\n| fault | seeds without a row |\n"
              "| --- | --- |")
    for name, seeds in lacking.items():
        print(f"| `{name}` | {', '.join(seeds)} |")


def totals(rows, missing):
    """True where all marks are reached. A pair is a fault and a seed; a night has all generators."""
    pairs = collections.defaultdict(list)
    for row in rows:
        if row["generator"] != "check":
            pairs[row["fault"], row["seed"]].append(row)
    found = {k: [r for r in v if detected(r)] for k, v in pairs.items()}
    n, k = len(pairs), sum(map(bool, found.values()))
    print("\n### Totals\n")
    good = mark(f"detected by any generator: {k} of {n} pairs of fault and seed", k / n if n else 1, MARKS["detected"])
    for generator in bench_play.GENERATORS:
        some = of(rows, generator=generator)
        hits = [r for r in some if detected(r)]
        if some:
            low, high = (f"{100 * x:.1f}" for x in survival.share_interval(len(hits), len(some)))
            print(f"- by {generator}: {len(hits)} of {len(some)} ({100 * len(hits) / len(some):.1f} % "
                  f"{survival.bounds(len(some), low, high)}), faults {len({r['fault'] for r in hits})} of "
                  f"{len({r['fault'] for r in some})}")
    took = [float(r["cpu"]) for v in found.values() for r in v]
    if took:
        middle = statistics.median(took)
        wall = statistics.median(float(r["seconds"]) for v in found.values() for r in v)
        good &= mark(f"median seconds to detection: {middle:.2f} of processor, {wall:.2f} by the wall clock", middle,
                     MARKS["seconds"], below=True)
    for name, tell in (("explain", explained), ("shrink", shrunk)):
        yes, asked = tell([r for v in found.values() for r in v])
        says = f"at most {ENTRIES} schedule entries" if name == "shrink" else "the fault's stage named"
        if asked:
            good &= mark(f"{name}: {says} for {yes} of {asked} ({100 * yes / asked:.1f} %)", yes / asked, MARKS[name])
    if missing:
        mark(f"suites: {len(missing)} faults unseen", 0, 1)
    return good and not missing


def undetected(rows):
    some = [r for r in rows if r["generator"] != "check" and not detected(r)]
    pairs = {(r["fault"], r["seed"]) for r in rows if detected(r)}
    print(f"\n### Undetected: {len(some)} runs\n")
    if some:
        print("| fault | seed | generator | what became of it | inputs | seconds | seen by another generator |\n"
              "| --- | --- | --- | --- | --- | --- | --- |")
    for row in sorted(some, key=lambda r: (r["fault"], int(r["seed"]), r["generator"])):
        print(f"| `{row['fault']}` | {row['seed']} | {row['generator']} | {status(row)} | {row['inputs']} | {row['cpu']} | "
              f"{'yes' if (row['fault'], row['seed']) in pairs else 'no'} |")
    return some


def unnamed(rows):
    some = [r for r in rows if detected(r) and (r["explain"] == "no" or r["entries"] and not small(r))]
    if not some:
        return
    print("\n### Detected, but not named or not small\n\n| fault | generator | seed | signature | `explain` said | entries |\n"
          "| --- | --- | --- | --- | --- | --- |")
    for r in sorted(some, key=lambda r: (r["fault"], r["generator"], int(r["seed"]))):
        said = f"no: {r['said']}" if r["explain"] == "no" else r["explain"]
        print(f"| `{r['fault']}` | {r['generator']} | {r['seed']} | {r['signature']} | {said.replace('|', '/')} | {r['entries']} |")


def false_alarms(rows):
    """Findings that are none of the fault's, those of the healthy program (fault none) among them."""
    healthy = of(rows, fault="none")
    ill = [r for r in healthy if r["how"]]
    if healthy:
        print(f"\nHealthy: {sum(int(r['inputs']) for r in healthy)} inputs in {len(healthy)} runs, {len(ill)} findings.")
    alarms = [r for r in rows if r["fault"] != "none" and false_alarm(r)]
    if alarms:
        print(f"\n### False alarms: {len(alarms)} runs\n\n| fault | seed | generator | what became of it |\n| --- | --- | --- | --- |")
    for row in alarms:
        print(f"| `{row['fault']}` | {row['seed']} | {row['generator']} | {status(row)} |")
    return ill + alarms


def builds(rows):
    """What was run, so that nobody takes rows of several builds for one's."""
    for generator in dict.fromkeys(r["generator"] for r in rows):
        count = collections.Counter(r["build"] for r in rows if r["generator"] == generator)
        mixed = " — MIXED" if len(count) > 1 else ""
        print(f"- build of {generator}: {', '.join(f'{b} ({n} rows)' for b, n in count.most_common())}{mixed}")


def show(rows, faults, chosen, options):
    """Prints everything; the exit status."""
    judge_again(rows, faults)
    planted = [r for r in rows if r["fault"] != "none"]
    generators = [g for g in bench_play.GENERATORS if of(planted, generator=g)]
    for generator in generators:
        by_fault(planted, faults, generator, options.seconds if not options.cases else None)
    by_family(planted, faults, generators)
    if len(generators) == 2:
        against(planted, faults)
    missing = checks(planted, faults)
    good = totals([r for r in planted if r["fault"] not in options.unseen], missing) if planted else True
    for name in options.unseen:
        some = of(planted, fault=name)
        if some:
            print(f"- may go unseen: {name}, detected in {sum(map(detected, some))} of {len(some)} runs")
    builds(rows)
    lacking = never_run(rows, chosen, options.seeds)
    tell_never_run(lacking)
    undetected(planted)
    unnamed(planted)
    alarms = false_alarms(rows)
    if options.left_out:
        print(f"\n{options.left_out}")
    print(f"\nSeconds are of the processor, start included; a run that found nothing within {options.limit} is censored there. "
          "Restricted mean: what a run takes if none is waited for beyond the limit (inputs: beyond the longest run).")
    return 0 if good and not alarms and not lacking else 1

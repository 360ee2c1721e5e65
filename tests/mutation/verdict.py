"""What a mutation run comes to, of its rows alone: the table, the survivors that are listed with a reason, what makes it red."""
COUNTED = ("killed", "survived")


class Unfit(Exception):
    """The build, the plan or a list cannot serve."""


def read_survivors(path):
    """Key → reason. A reason stands, indented, below the keys that it is given for; # begins a comment."""
    known, waiting = {}, []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if not line.strip() or line.startswith("#"):
                continue
            if not line[0].isspace():
                if waiting and known.get(waiting[-1]):
                    waiting = []
                waiting.append(line.strip())
                known[line.strip()] = ""
            elif not waiting:
                raise Unfit(f"{path}:{number}: a reason without a survivor above it")
            else:
                for key in waiting:
                    known[key] = (known[key] + " " + line.strip()).strip()
    return known


def table(rows, name):
    lines = [f"| {name} | mutants | killed | survived | score | equivalent | duplicate | no mutant |", "|" + " --- |" * 8]
    for what in list(dict.fromkeys(r[name] for r in rows)):
        n = {}
        for r in rows:
            if r[name] == what:
                n[r["outcome"]] = n.get(r["outcome"], 0) + 1
        counted = sum(n.get(o, 0) for o in COUNTED)
        score = f"{100 * n.get('killed', 0) / counted:.1f} %" if counted else "-"
        lines.append(f"| {what} | {counted} | " + " | ".join([str(n.get("killed", 0)), str(n.get("survived", 0)), score] + [
            str(n.get(o, 0)) for o in ("equivalent", "duplicate", "no mutant")]) + " |")
    return "\n".join(lines)


def complaints(rows, known, least, whole):
    """What makes the run red. `whole`: files of which every mutant was run."""
    said = []
    outcome = {r["key"]: r["outcome"] for r in rows}
    for r in rows:
        if r["outcome"] == "survived" and not known.get(r["key"]):
            said.append(f"survived, and stands nowhere with a reason (line {r['line']}):\n{r['key']}")
    for key in known:
        if key in outcome and outcome[key] != "survived":
            said.append(f"listed as a survivor, but {outcome[key]}:\n{key}")
        elif key not in outcome and key.split(": ", 1)[0] in whole:
            said.append(f"listed as a survivor, but no mutant any more:\n{key}")
    for group in dict.fromkeys(r["group"] for r in rows):
        of = [r["outcome"] for r in rows if r["group"] == group and r["outcome"] in COUNTED]
        if of and whole and of.count("killed") < least * len(of):
            said.append(f"{group}: {of.count('killed')} of {len(of)} killed, fewer than {100 * least:g} %")
    return said

"""What each ingredient of traffic.mba buys: the same file with ingredients left out, on all six scenarios.

    python rows.py hangzhou_metro.npy FOLDER MBA [ROW ...]

Each row is traffic.mba with lines taken away and one of its models fitted; nothing is set anew. Prints the rows of the table in
docs/methods.md, MAPE and RMSE on the hidden cells that are not zero, with the number of hidden cells that were not determined.
What was found is kept in FOLDER/found.jsonl and not computed again. All rows take up to half an hour of one core.
"""
import json, os, re, resource, subprocess, sys
import numpy as np
from masks import BEST, kinds, seen

HERE = os.path.dirname(os.path.abspath(__file__))


def without_kinds(text):
    """Days of one kind: `plain` is then what `profiles` is, and goes."""
    text = re.sub(r"# every station has a profile, and.*?\n}\n", "", text, flags=re.S)
    text = "".join(line for line in text.splitlines(True)
                   if not line.startswith("mode kind") and "forbid" not in line and "toward plain" not in line)
    return text.replace(", kind]", "]").replace(" kind]", "]")


def without(what):
    return lambda text: "".join(line for line in text.splitlines(True) if not line.strip().startswith(what))


def fitted(name):
    """Another model of the file in the place of `traffic`."""
    return lambda text: text.replace("fit traffic to", f"fit {name} to").replace("show traffic.", f"show {name}.").replace(
        ", traffic.", f", {name}.")


WHOLE = """# what is left at a station on a day changes little from slot to slot
model whole {
    [station slot day]
    smooth [station slot day] along slot strength 50
    prior 250% toward traffic
    forbid (kind == rest) != (day in {0, 4, 5, 11, 12, 18, 19})
}

"""


def with_whole(text):
    """A table of everything that leans to `traffic`."""
    return fitted("whole")(text.replace("fit traffic", WHOLE + "fit traffic"))


def strengths(profiles, others):
    """Smoothness of the profiles of stations, and of the two tables over days."""
    def edit(text):
        text = re.sub(r"(smooth \[station slot.*strength) \d+", rf"\1 {profiles}", text)
        return re.sub(r"(smooth \[(?:slot|station) day\].*strength) \d+", rf"\1 {others}", text)
    return edit


PAIRS = [without_kinds, without("prior")]

# name in the table, and what is done to the file
ROWS = {
    "all pairs, nothing else": [*PAIRS, without("smooth")],
    "all pairs, `smooth` along slots and days": PAIRS,
    "+ `prior 5% toward profiles`": [without_kinds],
    "+ kinds of days: `traffic.mba`": [],
    "+ a table of all three, `prior 250% toward traffic`": [with_whole],
    "`traffic.mba` without `smooth`": [without("smooth")],
    "`traffic.mba` without `prior 5% toward profiles`": [without("prior 5%")],
    "`traffic.mba` without `prior 0.1% toward plain`": [without("prior 0.1%")],
    "`profiles` alone": [fitted("profiles")],
    "`plain` alone": [fitted("plain")],
    "all pairs, strengths 3 and 300": [*PAIRS, strengths(3, 300)],
    "all pairs, strengths 3 and 3000": [*PAIRS, strengths(3, 3000)],
    "all pairs, strengths 30 and 300": [*PAIRS, strengths(30, 300)],
    "all pairs, strengths 30 and 3000": [*PAIRS, strengths(30, 3000)],
    "all pairs, strengths 100 and 300": [*PAIRS, strengths(100, 300)],
}


def run(command, place, text):
    """Errors of one fit in a folder, and the processor seconds it took."""
    path = os.path.join(place, "row.mba")
    with open(path, "w") as f:
        f.write(text)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = subprocess.run(command + ["run", path, "--format", "jsonl"], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = [json.loads(line) for line in out.stdout.splitlines()]
    values = {o["show"].split(".", 1)[1]: o["value"] for o in lines if "show" in o}
    fit = next((o for o in lines if "fit" in o), {})
    return {
        "mape": values.get("held_out.mape"), "rmse": values.get("held_out.rmse"),
        "open": values.get("held_out.unidentified"), "status": fit.get("status"), "sweeps": fit.get("iterations"),
        "cpu": after.ru_utime - before.ru_utime, "exit": out.returncode,
        "said": [o["diagnostic"]["code"] for o in lines if "diagnostic" in o] + ([out.stderr[-300:]] if out.stderr else []),
    }


def main():
    data, folder, command, *only = sys.argv[1:]
    command = command.split()
    x = np.load(data).transpose(0, 2, 1).astype("float64")
    with open(os.path.join(HERE, "traffic.mba")) as f:
        text = f.read()
    os.makedirs(folder, exist_ok=True)
    print("| | " + " | ".join(BEST) + " |\n|" + "---|" * (len(BEST) + 1))
    print("| best specialist | " + " | ".join(f"{m:.4f} / {r:.2f}".lstrip("0") for m, r in BEST.values()) + " |")
    kept = os.path.join(folder, "found.jsonl")
    found = {}
    if os.path.exists(kept):
        with open(kept) as f:
            found = {(o["row"], o["scenario"]): o for o in map(json.loads, f)}
    for row, edits in ROWS.items():
        if only and row not in only:
            continue
        own = text
        for edit in edits:
            own = edit(own)
        cells = []
        for name in BEST:
            kind, rate = name.split()
            if (row, name) not in found:
                place = os.path.join(folder, name.replace(" ", "_"))
                os.makedirs(place, exist_ok=True)
                hidden = (x > 0) & (seen(kind, float(rate)) == 0)
                as_file = (lambda a: a) if without_kinds in edits else kinds
                np.save(os.path.join(place, "flow.npy"), as_file(x))
                np.save(os.path.join(place, "hidden.npy"), as_file(hidden))
                found[row, name] = {"row": row, "scenario": name, "hidden": int(hidden.sum()), **run(command, place, own)}
                with open(kept, "a") as f:
                    f.write(json.dumps(found[row, name]) + "\n")
            o = found[row, name]
            cell = "–" if o["mape"] is None else f"{o['mape']:.4f} / {o['rmse']:.2f}".lstrip("0")
            cells.append(cell + (f" ({o['open']} of {o['hidden']} open)" if o["open"] else ""))
        print("| " + " | ".join([row] + cells) + " |", flush=True)


if __name__ == "__main__":
    main()

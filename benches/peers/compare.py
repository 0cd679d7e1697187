"""Fits the inputs with `mba` and with a careful numpy program, side by side, and prints a table.

    python inputs.py FOLDER
    python compare.py FOLDER MBA [--write DOCUMENT] [CASE ...]

`mba` is timed as a whole command: start, read, check, fit to a marginal gap of 1e-9, certify, print.
numpy is timed for the fit alone. Both in CPU seconds of all threads, the least of a few runs in turn.
"By the clock" is how long that takes with a thread for every core, and "threads" how many times as long
with one. Resident memory counts the pages of mapped files that were read. "C reads" is a program that does nothing
but read every cell and add it up (floor.c), and the limit of a case is that and the counted operations of its
sweeps at the rate at which numpy multiplies matrices. With `--write` the table goes between two marks of a document
instead of to the screen alone.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np  # noqa: E402, after the number of threads

GAP = 1e-9
RING = [(0, 1), (1, 2), (2, 3), (0, 3)]
CHAIN = [(0, 1), (1, 2), (2, 3)]
PAIRS = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
LEVELS = [20, 29, 38, 47, 56, 64, 73, 82, 91, 100]
# what the ratio, or the time where numpy cannot, was asked to be
ASKED = {
    "ring of pairs, 60⁴": "80×",
    "ring of pairs, 30⁴": "30×",
    "chain, 60⁴": "12×",
    "all pairs, 40⁴": "40×",
    "all pairs, 20⁴": "50×",
    "rank one, 200³": "6×",
    "10⁶ cells of ten modes": "60 ms",
    "ring of pairs, 30 % missing": "3×",
    "the same against imputation": "50×",
    "rank one, 20 % missing": "3×",
}
# operations that are counted for a cell of dense data that is summed once: they are the C program's
READING = 19
LOOPS = [(i, i + 1) for i in range(9)] + [(0, 2), (4, 7), (7, 9)]


def proportional_fitting(data, generators):
    """On the full tensor: for each generator one sum and one multiplication in place."""
    data = data / data.sum()
    wanted = []
    for generator in generators:
        others = tuple(axis for axis in range(data.ndim) if axis not in generator)
        wanted.append((others, data.sum(axis=others, keepdims=True)))
    model = np.full(data.shape, 1 / data.size)
    for sweep in range(1, 5000):
        gap = 0.0
        for others, target in wanted:
            have = model.sum(axis=others, keepdims=True)
            gap = max(gap, np.abs(have - target).max() / target.max())
            model *= np.divide(target, have, out=np.zeros_like(have), where=have > 0)
        if gap <= GAP:
            break
    some = data > 0
    return sweep, lambda: float((data[some] * np.log(data[some] / model[some])).sum())


def masked_fitting(data, seen, generators):
    """The same on the observed cells alone; the factors extend to the others."""
    data = np.where(seen, data, 0.0) / data[seen].sum()
    wanted = []
    for generator in generators:
        others = tuple(axis for axis in range(data.ndim) if axis not in generator)
        wanted.append((others, data.sum(axis=others, keepdims=True)))
    model = np.where(seen, data[seen].mean(), 0.0)
    factors = [np.ones(target.shape) for _, target in wanted]
    for sweep in range(1, 5000):
        gap = 0.0
        for k, (others, target) in enumerate(wanted):
            have = model.sum(axis=others, keepdims=True)
            gap = max(gap, np.abs(have - target).max() / target.max())
            model *= target / have
            factors[k] *= target / have
        if gap <= GAP:
            break
    some = seen & (data > 0)
    return sweep, lambda: float((data[some] * np.log(data[some] / model[some])).sum())


def imputation(data, seen, generators):
    """What is missing is filled in by the model, which is fitted to all cells, again and again, until the model
    of the observed cells has the marginals of the data."""
    scale = data[seen].sum()
    known = np.where(seen, data, 0.0) / scale
    full = np.where(seen, known, known[seen].mean())
    axes = [tuple(axis for axis in range(data.ndim) if axis not in generator) for generator in generators]
    wanted = [known.sum(axis=others, keepdims=True) for others in axes]
    model = np.full(full.shape, full.mean())
    for turn in range(1, 5000):
        targets = [full.sum(axis=others, keepdims=True) for others in axes]
        for _ in range(5000):
            gap = 0.0
            for others, target in zip(axes, targets):
                have = model.sum(axis=others, keepdims=True)
                gap = max(gap, np.abs(have - target).max() / target.max())
                model *= target / have
            if gap <= 0.1 * GAP:
                break
        full = np.where(seen, known, model)
        there = np.where(seen, model, 0.0)
        gaps = [np.abs(there.sum(axis=o, keepdims=True) - w).max() / w.max() for o, w in zip(axes, wanted)]
        if max(gaps) <= GAP:
            break
    some = seen & (known > 0)
    return turn, lambda: float((known[some] * np.log(known[some] / model[some])).sum())


def two_products(data, seen, _):
    """Rank one: two products of the mask with a vector an iteration."""
    weights = seen.astype(float)
    held = weights * data
    rows, columns = held.sum(1), held.sum(0)
    right = np.ones(data.shape[1])
    for sweep in range(1, 500):
        left = rows / (weights @ right)
        right = columns / (left @ weights)
        if np.abs(left * (weights @ right) - rows).max() / rows.max() <= GAP:
            break

    def divergence():
        some = held > 0
        return float((held[some] * np.log(held[some] / np.outer(left, right)[some])).sum() / held.sum())

    return sweep, divergence


def program(name, axes, source, generators, sizes=None):
    """The same in the language of `mba`."""
    modes = [f"m{i}" for i in range(axes)]
    lines = [f"mode {m}" + (f": {n}" if n else "") for m, n in zip(modes, sizes or [None] * axes)]
    lines.append(f"data x[{', '.join(modes)}] from {source}")
    lines.append("model m { " + " ".join(f"[{' '.join(f'm{i}' for i in g)}]" for g in generators) + " }")
    lines.append("fit m to x")
    return "\n".join(lines) + "\n"


def cases(folder):
    dense = lambda n: folder / f"dense4_{n}_h.npy"
    for name, path, generators in [
        ("ring of pairs, 60⁴", dense(60), RING),
        ("ring of pairs, 30⁴", dense(30), RING),
        ("chain, 60⁴", dense(60), CHAIN),
        ("all pairs, 40⁴", dense(40), PAIRS),
        ("all pairs, 20⁴", dense(20), PAIRS),
        ("rank one, 200³", folder / "cube_200.npy", [(0,), (1,), (2,)]),
    ]:
        axes = 3 if "³" in name else 4
        fit = lambda data, generators=generators: proportional_fitting(data, generators)
        yield name, program(name, axes, f'"{path}"', generators), ([path], fit)
    # numpy would take minutes, and there is enough to do for every core
    yield "all pairs, 60⁴", program("", 4, f'"{dense(60)}"', PAIRS), None
    for name, case, generators, fit in [
        ("ring of pairs, 30 % missing", "ring", RING, masked_fitting),
        ("the same against imputation", "ring", RING, imputation),
        ("rank one, 20 % missing", "rank", [(0,), (1,)], two_products),
    ]:
        paths = [folder / f"holes_{case}.npy", folder / f"holes_{case}_seen.npy"]
        source = f'"{paths[0]}" observed from "{paths[1]}"'
        axes = 4 if case == "ring" else 2
        peer = lambda data, seen, fit=fit, generators=generators: fit(data, seen, generators)
        yield name, program(name, axes, source, generators), (paths, peer)
    pair = f'coords "{folder / "coords.npy"}" values "{folder / "values.npy"}"'
    yield "10⁶ cells of ten modes", program("", 10, pair, LOOPS, LEVELS), None
    questions = [f"q{i}" for i in range(30)]
    text = program("", 30, f'"{folder / "records.csv"}"', [(i, i + 1) for i in range(29)])
    for i in reversed(range(30)):
        text = text.replace(f"m{i} ", f"q{i} ").replace(f"m{i},", f"q{i},")
        text = text.replace(f"m{i}]", f"q{i}]").replace(f"m{i}\n", f"q{i}\n")
    assert all(q in text for q in questions)
    yield "10⁵ records of 30 bits", text, None


# a process that starts another is counted into the resident memory of that one, so this one is small
LAUNCHER = """
import os, sys, time
said = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
actions = [(os.POSIX_SPAWN_DUP2, said, 1)]
start = time.monotonic()
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ, file_actions=actions)
_, status, used = os.wait4(child, 0)
took = time.monotonic() - start
print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, took)
"""


def launched(command, said):
    """CPU seconds and mebibytes resident of a command that writes to a file, and its seconds by the clock."""
    words = [sys.executable, "-I", "-S", "-c", LAUNCHER, said, *command]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True)
    code, *found = done.stdout.split()
    if code != "0":
        raise SystemExit(f"{command} ended with {code}\n{done.stderr}")
    return tuple(map(float, found))


class Command:
    """A program that is run some times: its seconds of CPU and by the clock, mebibytes resident, and what it said."""

    def __init__(self, mba, text, *options):
        self.mba, self.text, self.options = mba, text, options
        self.seconds, self.clock, self.most = float("inf"), float("inf"), 0.0
        self.said = []

    def run(self):
        with tempfile.TemporaryDirectory() as place:
            path, said = pathlib.Path(place) / "case.mba", pathlib.Path(place) / "said"
            path.write_text(self.text)
            seconds, most, clock = launched([self.mba, "run", path, "--format", "jsonl", *self.options], said)
            self.seconds, self.clock = min(self.seconds, seconds), min(self.clock, clock)
            self.most = max(self.most, most)
            self.said = [json.loads(line) for line in said.read_text().splitlines()]

    @property
    def fit(self):
        return next(line for line in self.said if "fit" in line)

    @property
    def operations(self):
        """Operations counted, in a run of its own: asking for them is not part of what is timed."""
        asking = Command(self.mba, self.text + "show m.cost\n")
        asking.run()
        shown = next(line["value"] for line in asking.said if "show" in line)
        return next(part["counted"] for part in shown if part["quantity"] == "operations")


def timed(work):
    start = time.process_time()
    work()
    return time.process_time() - start


class Floor:
    """`floor.c`: a process that reads every cell once and adds it up, which no fit can do without."""

    def __init__(self, folder):
        source = pathlib.Path(__file__).with_name("floor.c")
        self.program = folder / "floor"
        words = ["cc", "-O3", "-march=native", "-ffast-math", source, "-o", self.program, "-lm"]
        subprocess.run([str(word) for word in words], check=True)

    def command(self, name, paths, generators):
        """How it is called for a case; none for a table of text."""
        if "records" in name:
            return None
        if "modes" in name:
            return [self.program, "cells", *paths, ",".join(f"{a}-{b}" for a, b in generators)]
        return [self.program, "masked" if len(paths) > 1 else "dense", *paths]


def limits():
    """Operations per second of a product of matrices."""
    matrix = np.random.default_rng(0).random((1000, 1000))
    product = min(timed(lambda: matrix @ matrix) for _ in range(5))
    return 2e9 / product


def machine():
    """What it was measured on, in one line."""
    model = "an unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {model}, numpy {np.__version__} on one thread."


def written(document, name, lines):
    """Puts lines between the marks of that name in a document."""
    text = document.read_text()
    begin, end = f"<!-- {name} begins -->\n", f"<!-- {name} ends -->"
    head, rest = text.split(begin)
    _, tail = rest.split(end)
    document.write_text(head + begin + "\n" + "\n".join(lines) + "\n\n" + end + tail)


HEAD = "| case | numpy | sweeps | mba | sweeps | ratio | asked | KL differs by | optimum within | C reads | limit | of the limit | by the clock | threads | input | resident |"


def row(mba, name, text, peer, floor, products):
    """One case, mba, numpy and C in turn so that all meet the same minutes."""
    command, alone = Command(mba, text), Command(mba, text, "--threads", "1")
    spent, numpy_sweeps, kl = float("inf"), None, None
    runs, total = 0, 0.0
    once, pass_over = floor.command(name, inputs_of(text), LOOPS), float("inf")
    for turn in range(7):
        command.run()
        alone.run()
        if once:
            pass_over = min(pass_over, launched(once, os.devnull)[0])
        if peer and (runs < 1 or total < 3.0) and runs < 3:
            paths, fitting = peer
            data = [np.load(path) for path in paths]
            start = time.process_time()
            numpy_sweeps, kl = fitting(*data)
            spent = min(spent, time.process_time() - start)
            runs, total = runs + 1, total + spent
            kl = kl()
    fit, seconds = command.fit, command.seconds
    within = fit["certificate"]["optimality_gap"]
    read = sum(path.stat().st_size for path in inputs_of(text))
    sums = f"{pass_over * 1e3:.1f} ms" if once else "–"
    sweeps = command.operations - (READING * read / 8 if once and "dense" in once else 0)
    limit = pass_over + sweeps / products if once else None
    asked = ASKED.get(name, "–")
    cells = ["–", "–", f"{seconds * 1e3:.0f} ms", str(fit["iterations"]), "–", asked, "–"]
    cells.append("–" if within is None else f"{within:.1e}")
    cells += [sums, f"{limit * 1e3:.1f} ms", f"{seconds / limit:.1f}×"] if limit else ["–"] * 3
    cells += [f"{command.clock * 1e3:.0f} ms", f"{alone.clock / command.clock:.1f}×"]
    cells += [f"{read / 1e6:.0f} MB", f"{command.most:.0f} MiB"]
    if peer:
        cells[:2] = [f"{spent:.2f} s", str(numpy_sweeps)]
        cells[4], cells[6] = f"{spent / seconds:.0f}×", f"{abs(kl - fit['kl']):.0e}"
    return f"| {name} | " + " | ".join(cells) + " |"


def inputs_of(text):
    """The files a program reads."""
    return [pathlib.Path(word) for word in text.split('"')[1::2]]


def main():
    words = sys.argv[1:]
    document = None
    if "--write" in words:
        at = words.index("--write")
        document = pathlib.Path(words[at + 1])
        del words[at : at + 2]
    folder, mba, chosen = pathlib.Path(words[0]).resolve(), words[1], words[2:]
    products, floor = limits(), Floor(folder)
    rates = f"numpy multiplied matrices at {products / 1e9:.1f} Gflop/s on one thread."
    lines = [machine(), rates, "", HEAD, "|---" * (HEAD.count("|") - 1) + "|"]
    print("\n".join(lines), flush=True)
    for name, text, peer in cases(folder):
        if chosen and not any(word in name for word in chosen):
            continue
        lines.append(row(mba, name, text, peer, floor, products))
        print(lines[-1], flush=True)
    if document:
        written(document, "table", lines)


if __name__ == "__main__":
    main()

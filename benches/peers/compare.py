"""Fits the inputs with `mba` and with a careful numpy program, side by side, and prints a table.

    python inputs.py FOLDER
    python compare.py FOLDER MBA [CASE ...]

`mba` is timed as a whole command: start, read, check, fit to a marginal gap of 1e-9, certify, print.
numpy is timed for the fit alone. Both in CPU seconds of all threads, the least of a few runs. Resident
memory counts the pages of mapped files that were read. The last lines are what the machine can do:
bytes read and operations of matrix products per second, by numpy.
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
    return sweep, float((data[some] * np.log(data[some] / model[some])).sum())


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
        yield name, program(name, axes, f'"{path}"', generators), (path, generators)
    pair = f'coords "{folder / "coords.npy"}" values "{folder / "values.npy"}"'
    yield "10⁶ cells of ten modes", program("", 10, pair, LOOPS, LEVELS), None
    questions = [f"q{i}" for i in range(30)]
    text = program("", 30, f'"{folder / "records.csv"}"', [(i, i + 1) for i in range(29)])
    for i in reversed(range(30)):
        text = text.replace(f"m{i} ", f"q{i} ").replace(f"m{i},", f"q{i},")
        text = text.replace(f"m{i}]", f"q{i}]").replace(f"m{i}\n", f"q{i}\n")
    assert all(q in text for q in questions)
    yield "10⁵ records of 30 bits", text, None


def run(mba, text, repeats=5):
    """The least CPU seconds, the most megabytes resident, and what the fit said."""
    with tempfile.TemporaryDirectory() as place:
        path, said = pathlib.Path(place) / "case.mba", pathlib.Path(place) / "said"
        path.write_text(text)
        best, most = float("inf"), 0.0
        for _ in range(repeats):
            with said.open("wb") as out:
                child = subprocess.Popen([mba, "run", path, "--format", "jsonl"], stdout=out, stderr=subprocess.DEVNULL)
                _, _, used = os.wait4(child.pid, 0)
                child.returncode = 0
            best = min(best, used.ru_utime + used.ru_stime)
            most = max(most, used.ru_maxrss / 1024)
        lines = [json.loads(line) for line in said.read_text().splitlines()]
    return best, most, next(line for line in lines if "fit" in line)


def limits():
    """Bytes read per second by a sum, and operations per second of a product of matrices."""
    values = np.ones(1 << 24)
    reading = min(timed(values.sum) for _ in range(5))
    matrix = np.random.default_rng(0).random((1000, 1000))
    product = min(timed(lambda: matrix @ matrix) for _ in range(5))
    return values.nbytes / reading, 2e9 / product


def timed(work):
    start = time.process_time()
    work()
    return time.process_time() - start


def main():
    folder, mba, chosen = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3:]
    print("| case | numpy | sweeps | mba | sweeps | ratio | KL differs by | optimum within | input | resident |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, text, peer in cases(folder):
        if chosen and not any(word in name for word in chosen):
            continue
        seconds, most, fit = run(mba, text)
        within = fit["certificate"]["optimality_gap"]
        within = "–" if within is None else f"{within:.1e}"
        row = ["–", "–", f"{seconds * 1e3:.0f} ms", str(fit["iterations"]), "–", "–", within]
        read = sum(path.stat().st_size for path in folder.iterdir() if path.name in text)
        row += [f"{read / 1e6:.0f} MB", f"{most:.0f} MiB"]
        if peer:
            path, generators = peer
            data = np.load(path)
            start = time.process_time()
            sweeps, kl = proportional_fitting(data, generators)
            spent = time.process_time() - start
            row[:2] = [f"{spent:.2f} s", str(sweeps)]
            row[4:6] = [f"{spent / seconds:.0f}×", f"{abs(kl - fit['kl']):.0e}"]
        print(f"| {name} | " + " | ".join(row) + " |", flush=True)
    reading, products = limits()
    print(f"\nreading {reading / 1e9:.1f} GB/s, matrix products {products / 1e9:.1f} Gflop/s, one thread")


if __name__ == "__main__":
    main()

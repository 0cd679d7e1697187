"""How the time of a whole command grows, as a table and as a plot.

    python growth.py FOLDER MBA [MOST]

Times against the levels of four modes, for data of 200 000 cells, so that what grows is the fit: a chain (its
tables are n² cells), a ring of pairs (products of n × n matrices, n³) and all pairs (n⁴ multiply-adds). Times
against the number of cells of ten modes, up to MOST (10⁷ unless said otherwise), written block by block. CPU
seconds of all threads, the least of three; FOLDER is where inputs go, and `growth.svg` and `growth.json`.
"""

import json
import os
import pathlib
import resource
import subprocess
import sys

import numpy as np

from compare import CHAIN, LEVELS, LOOPS, PAIRS, RING, program

CELLS = 200_000
LEVELS_TRIED = {
    "chain": (CHAIN, [25, 50, 100, 200, 400, 800, 1600], 2),
    "ring of pairs": (RING, [25, 50, 100, 200, 400, 800], 3),
    "all pairs": (PAIRS, [12, 25, 50, 100, 150], 4),
}
BLOCK = 1_000_000


def array(path, shape, dtype):
    """An empty array in a file, to be filled block by block."""
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)


def leaning(folder, n):
    """Cells of four modes of n levels, each leaning on the one before, the last on the first."""
    random = np.random.default_rng(n)
    cells = random.integers(0, n, (CELLS, 4))
    for mode in range(1, 4):
        near = (cells[:, mode - 1] + random.integers(0, max(n // 4, 1), CELLS)) % n
        cells[:, mode] = np.where(random.random(CELLS) < 0.6, near, cells[:, mode])
    coords, values = folder / f"grow_{n}.npy", folder / f"grow_{n}_values.npy"
    np.save(coords, cells.astype(np.int32))
    np.save(values, random.gamma(1.0, 1.0, CELLS))
    return coords, values


def scattered(folder, count):
    """Cells of ten modes, one byte a coordinate, neighbours dependent."""
    coords, values = folder / f"cells_{count}.npy", folder / f"cells_{count}_values.npy"
    places = array(coords, (count, len(LEVELS)), np.uint8)
    weights = array(values, (count,), np.float64)
    random = np.random.default_rng(count)
    for start in range(0, count, BLOCK):
        rows = min(BLOCK, count - start)
        where = random.random(rows)
        for mode, size in enumerate(LEVELS):
            where = np.where(random.random(rows) < 0.5, random.random(rows), 0.6 * where + 0.4 * random.random(rows))
            places[start : start + rows, mode] = (where * size).astype(np.uint8)
        weights[start : start + rows] = random.gamma(1.0, 1.0, rows)
    places.flush()
    weights.flush()
    return coords, values


def measured(mba, folder, text, repeats=3):
    """CPU seconds, megabytes of the largest run, sweeps."""
    path = folder / "growth.mba"
    path.write_text(text)
    best = float("inf")
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [mba, "run", path, "--format", "jsonl", "--memory", "20GiB"]
        done = subprocess.run(command, capture_output=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    fit = next(line for line in lines if "fit" in line)
    return best, after.ru_maxrss / 1024, fit["iterations"]


def source(pair):
    return f'coords "{pair[0]}" values "{pair[1]}"'


def main():
    folder, mba = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    most = int(float(sys.argv[3])) if len(sys.argv) > 3 else 10_000_000
    found = {}
    for name, (generators, sizes, power) in LEVELS_TRIED.items():
        points = []
        for n in sizes:
            pair = leaning(folder, n)
            seconds, _, sweeps = measured(mba, folder, program("", 4, source(pair), generators, [n] * 4))
            points.append((n, seconds, sweeps))
            print(f"{name}, {n} levels: {seconds:.3f} s, {sweeps} sweeps", flush=True)
            for path in pair:
                os.remove(path)
        found[name] = {"power": power, "points": points}
    points, count = [], 10_000
    while count <= most:
        pair = scattered(folder, count)
        text = program("", 10, source(pair), LOOPS, LEVELS)
        seconds, megabytes, sweeps = measured(mba, folder, text, 3 if count <= 10_000_000 else 1)
        points.append((count, seconds, sweeps, megabytes))
        print(f"{count} cells: {seconds:.3f} s, {sweeps} sweeps, {megabytes:.0f} MB at most", flush=True)
        for path in pair:
            os.remove(path)
        count *= 10
    found["cells"] = {"power": 1, "points": points}
    (folder / "growth.json").write_text(json.dumps(found))
    plot(found, folder / "growth.svg")


def plot(found, path):
    """Two panels on logarithmic axes; dashed lines are the predicted powers through the last point."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "growth", "font.size": 9, "svg.fonttype": "none"})
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), constrained_layout=True)
    for name, curve in found.items():
        axes = right if name == "cells" else left
        x = np.array([p[0] for p in curve["points"]], float)
        y = np.array([p[1] for p in curve["points"]])
        label = "ten modes, chain and three edges" if name == "cells" else name
        (line,) = axes.loglog(x, y, "o-", label=label, markersize=4)
        guide = y[-1] * (x / x[-1]) ** curve["power"]
        shown = guide > y.min() / 3
        axes.loglog(x[shown], guide[shown], "--", color=line.get_color(), linewidth=0.8)
    left.set_xlabel("levels of each of four modes")
    right.set_xlabel("cells that are not zero")
    for axes in (left, right):
        axes.set_ylabel("CPU seconds of the command")
        axes.legend(frameon=False)
        axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()

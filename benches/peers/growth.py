"""How the time of a whole command grows, as a table and as a picture.

    python growth.py FOLDER MBA [MOST] [--write DOCUMENT]

Against the levels of four modes, for data of 200 000 cells and n² more, so that what grows is the fit: a chain (its
tables have n² cells), a ring of pairs (products of n × n matrices, n³) and all pairs (n⁴ multiply-adds).
Against the number of cells of ten modes, up to MOST (10⁷ unless said otherwise), written block by block.
CPU seconds of all threads, the least of three; FOLDER is where inputs go for as long as they are needed.
The table goes to the screen, or with `--write` into a document, beside which the picture is put.
"""

import json
import math
import os
import pathlib
import sys

import numpy as np

from compare import CHAIN, LEVELS, LOOPS, PAIRS, RING, launched, machine, program, written

CELLS = 200_000
GROWING = {
    "chain": (CHAIN, [25, 50, 100, 200, 400, 800, 1600], 2),
    "ring of pairs": (RING, [25, 50, 100, 200, 400, 800], 3),
    "all pairs": (PAIRS, [12, 25, 50, 100, 150], 4),
}
BLOCK = 1_000_000


def array(path, shape, dtype):
    """An empty array in a file, to be filled block by block."""
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)


def leaning(folder, n):
    """Cells of four modes of n levels, each leaning on the one before, and n² that meet every pair around."""
    random = np.random.default_rng(n)
    cells = random.integers(0, n, (CELLS, 4))
    for mode in range(1, 4):
        near = (cells[:, mode - 1] + random.integers(0, max(n // 4, 1), CELLS)) % n
        cells[:, mode] = np.where(random.random(CELLS) < 0.6, near, cells[:, mode])
    a, b = (axis.ravel() for axis in np.indices((n, n)))
    around = np.stack([a, b, (a + b) % n, (2 * a + b) % n], axis=1)
    cells = np.unique(np.concatenate([cells, around]), axis=0)
    coords, values = folder / f"grow_{n}.npy", folder / f"grow_{n}_values.npy"
    np.save(coords, cells.astype(np.int32))
    np.save(values, random.gamma(1.0, 1.0, len(cells)))
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
            fresh = random.random(rows)
            where = np.where(random.random(rows) < 0.5, fresh, 0.6 * where + 0.4 * fresh)
            places[start : start + rows, mode] = (where * size).astype(np.uint8)
        weights[start : start + rows] = random.gamma(1.0, 1.0, rows)
    places.flush()
    weights.flush()
    return coords, values


def measured(mba, folder, text, repeats=3):
    """CPU seconds, mebibytes resident, and what the fit said."""
    path = folder / "growth.mba"
    path.write_text(text)
    best, most = float("inf"), 0.0
    said = folder / "growth.jsonl"
    for _ in range(repeats):
        seconds, resident, _ = launched([mba, "run", path, "--format", "jsonl", "--memory", "20GiB"], said)
        best, most = min(best, seconds), max(most, resident)
    lines = [json.loads(line) for line in said.read_text().splitlines()]
    return best, most, next(line for line in lines if "fit" in line)


def source(pair):
    return f'coords "{pair[0]}" values "{pair[1]}"'


def point(mba, folder, pair, generators, sizes, repeats=3):
    text = program("", len(sizes), source(pair), generators, sizes)
    seconds, most, fit = measured(mba, folder, text, repeats)
    for path in pair:
        os.remove(path)
    return seconds, most, fit["iterations"]


def main():
    words = sys.argv[1:]
    document = None
    if "--write" in words:
        at = words.index("--write")
        document = pathlib.Path(words[at + 1])
        del words[at : at + 2]
    folder, mba = pathlib.Path(words[0]).resolve(), words[1]
    folder.mkdir(parents=True, exist_ok=True)
    most = int(float(words[2])) if len(words) > 2 else 10_000_000
    curves = {}
    lines = [machine(), "", "| grows | from | seconds | sweeps | resident |", "|---|---|---|---|---|"]
    tell = lambda *row: (lines.append("| " + " | ".join(row) + " |"), print(lines[-1], flush=True))
    for name, (generators, sizes, predicted) in GROWING.items():
        points = []
        for n in sizes:
            seconds, memory, sweeps = point(mba, folder, leaning(folder, n), generators, [n] * 4)
            points.append((n, seconds, memory, max(sweeps, 1)))
            tell(name, f"{n} levels", f"{seconds:.3f}", str(sweeps), f"{memory:.0f} MiB")
        curves[name] = (points, predicted)
    points, count = [], 10_000
    while count <= most:
        repeats = 3 if count <= 10_000_000 else 1
        seconds, memory, sweeps = point(mba, folder, scattered(folder, count), LOOPS, LEVELS, repeats)
        points.append((count, seconds, memory, max(sweeps, 1)))
        tell("ten modes", f"{count:.0e} cells".replace("e+0", "e"), f"{seconds:.3f}", str(sweeps), f"{memory:.0f} MiB")
        count *= 10
    curves["ten modes"] = (points, 1)
    drawn = picture(curves)
    if document:
        written(document, "growth", lines)
        (document.parent / "growth.svg").write_text(drawn)
    else:
        (folder / "growth.svg").write_text(drawn)


COLOURS = ["#1f4e79", "#b5521b", "#3d7a3a"]


def picture(curves):
    """Two panels on logarithmic axes; dashed lines are the predicted powers through the last point."""
    left = {name: curve for name, curve in curves.items() if name != "ten modes"}
    right = {name: curve for name, curve in curves.items() if name == "ten modes"}
    panels = panel(left, 60, "levels of each of four modes") + panel(right, 480, "cells that are not zero")
    body = "\n".join(panels)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 360" font-family="sans-serif" font-size="12">
<rect width="860" height="360" fill="white"/>
{body}
</svg>
"""


def panel(curves, left, across):
    width, top, height = 340, 30, 260
    xs = [p[0] for points, _ in curves.values() for p in points]
    ys = [p[1] for points, _ in curves.values() for p in points]
    low = [math.log10(min(v)) - 0.15 for v in (xs, ys)]
    high = [math.log10(max(v)) + 0.15 for v in (xs, ys)]
    x = lambda v: left + width * (math.log10(v) - low[0]) / (high[0] - low[0])
    y = lambda v: top + height * (1 - (math.log10(v) - low[1]) / (high[1] - low[1]))
    out = [f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#888"/>']
    for k in range(math.ceil(low[1]), math.floor(high[1]) + 1):
        out.append(f'<path d="M{left},{y(10**k):.1f}h{width}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 6}" y="{y(10**k) + 4:.1f}" text-anchor="end">{10.0**k:g}</text>')
    for v in sorted(set(xs)) if len(curves) == 1 else [25, 100, 400, 1600]:
        label = f"{v:g}" if v < 10_000 else f"1e{round(math.log10(v))}"
        out.append(f'<path d="M{x(v):.1f},{top}v{height}" stroke="#ddd"/>')
        out.append(f'<text x="{x(v):.1f}" y="{top + height + 16}" text-anchor="middle">{label}</text>')
    out.append(f'<text x="{left + width / 2}" y="{top + height + 36}" text-anchor="middle">{across}</text>')
    out.append(f'<text x="{left}" y="{top - 10}">CPU seconds of the command</text>')
    for (name, (points, predicted)), colour in zip(curves.items(), COLOURS):
        path = " ".join(f"{x(p[0]):.1f},{y(p[1]):.1f}" for p in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x(p[0]):.1f}" cy="{y(p[1]):.1f}" r="3" fill="{colour}"/>' for p in points]
        # the predicted power, from the last point down to the bottom or the first point
        n, seconds = points[-1][:2]
        begin = max(points[0][0], n * (10 ** low[1] / seconds) ** (1 / predicted))
        value = seconds * (begin / n) ** predicted
        ends = f"M{x(begin):.1f},{y(value):.1f}L{x(n):.1f},{y(seconds):.1f}"
        out.append(f'<path d="{ends}" stroke="{colour}" stroke-dasharray="4 3"/>')
        label = name if predicted == 1 else f"{name}, n{'²³⁴'[predicted - 2]}"
        at = list(curves).index(name)
        out.append(f'<text x="{left + 10}" y="{top + 18 + 16 * at}" fill="{colour}">{label}</text>')
    return out


if __name__ == "__main__":
    main()

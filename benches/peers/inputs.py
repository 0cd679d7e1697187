"""Writes the tensors that `compare.py` fits. Seeded: the same numbers on every machine.

    python inputs.py FOLDER

dense4_N_h          N⁴ doubles, N in 20 30 40 60: exp of strong random couplings between all pairs
                    of modes, times lognormal noise. Couplings this strong make fitting slow.
cube_200            200³ gamma variates, for the best tensor of rank one.
coords, values      10⁶ cells of ten modes with 2·10¹⁷ cells in all. Neighbouring modes, and three
                    pairs beyond them, are dependent.
holes_ring, …_seen  20 × 20 × 20 × 30 doubles, a ring of pairs times gamma noise, and which cells are observed:
                    seven in ten, at random.
holes_rank, …_seen  2000 × 1000 doubles, rank one times gamma noise, eight in ten observed.
records.csv         100 000 records of 30 yes-or-no questions, each answer leaning on the one before.
"""

import itertools
import pathlib
import sys

import numpy as np

LEVELS = [20, 29, 38, 47, 56, 64, 73, 82, 91, 100]


def coupled(n, seed):
    """A normalised tensor of four modes of n levels."""
    random = np.random.default_rng(seed)
    energy = np.zeros((n,) * 4)
    for a, b in itertools.combinations(range(4), 2):
        shape = [n if mode in (a, b) else 1 for mode in range(4)]
        energy += random.normal(0, 1.5, (n, n)).reshape(shape)
    energy += random.normal(0, 1.0, energy.shape)
    weights = np.exp(energy - energy.max())
    return weights / weights.sum()


def scattered(count=1_000_000, seed=5):
    """Distinct cells in no order, with gamma weights of total one."""
    random = np.random.default_rng(seed)
    levels = np.array(LEVELS)
    cells = np.zeros((count, len(levels)), np.int64)
    fresh = random.random((count, len(levels)))
    place = lambda mode: cells[:, mode] / levels[mode]
    for mode, size in enumerate(levels):
        where = fresh[:, 0].copy()
        if mode > 0:
            where = np.clip(0.7 * place(mode - 1) + 0.3 * fresh[:, mode], 0, 1 - 1e-12)
        if mode == 2:
            where = np.clip(0.5 * where + 0.5 * place(0), 0, 1 - 1e-12)
        if mode == 7:
            where = np.clip(0.5 * where + 0.5 * (1 - place(4)), 0, 1 - 1e-12)
        if mode == 9:
            where = np.clip(0.6 * where + 0.4 * place(7), 0, 1 - 1e-12)
        strays = random.random(count) < 0.2
        where = np.where(strays, random.random(count), where)
        cells[:, mode] = (where * size).astype(np.int64)
    cells = np.unique(cells, axis=0)
    cells = cells[random.permutation(len(cells))]
    weights = random.gamma(1.0, 1.0, len(cells))
    return cells.astype(np.int32), weights / weights.sum()


def answers(count=100_000, questions=30, seed=6):
    """A Markov chain of zeros and ones in every record."""
    random = np.random.default_rng(seed)
    found = np.empty((count, questions), np.uint8)
    found[:, 0] = random.random(count) < 0.5
    for question in range(1, questions):
        flips = random.random(count) < 0.25 + 0.02 * (question % 7)
        found[:, question] = found[:, question - 1] ^ flips
    return found


def holes(folder):
    """Tensors some of whose cells are not observed."""
    random = np.random.default_rng(6)
    matrix = np.outer(random.gamma(2, 1, 2000), random.gamma(2, 1, 1000)) * random.gamma(5, 0.2, (2000, 1000))
    np.save(folder / "holes_rank.npy", matrix)
    np.save(folder / "holes_rank_seen.npy", random.random(matrix.shape) >= 0.2)
    random = np.random.default_rng(7)
    sizes = (20, 20, 20, 30)
    energy = np.zeros(sizes)
    for a, b in [(0, 1), (1, 2), (2, 3), (0, 3)]:
        shape = [n if mode in (a, b) else 1 for mode, n in enumerate(sizes)]
        energy += random.normal(0, 1.0, (sizes[a], sizes[b])).reshape(shape)
    np.save(folder / "holes_ring.npy", np.exp(energy) * random.gamma(10, 0.1, sizes))
    np.save(folder / "holes_ring_seen.npy", random.random(sizes) >= 0.3)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for n in (20, 30, 40, 60):
        np.save(folder / f"dense4_{n}_h.npy", coupled(n, 1000 + n))
    np.save(folder / "cube_200.npy", np.random.default_rng(4).gamma(0.5, 1.0, (200, 200, 200)))
    coords, values = scattered()
    np.save(folder / "coords.npy", coords)
    np.save(folder / "values.npy", values)
    holes(folder)
    header = ",".join(f"q{i}" for i in range(30))
    np.savetxt(folder / "records.csv", answers(), fmt="%d", delimiter=",", header=header, comments="")


if __name__ == "__main__":
    main()

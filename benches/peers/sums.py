"""Exact sums beside mba: log Z of open Ising lattices with couplings, by a transfer matrix of one site at a
time (numpy tensordot, a tensor network contracted exactly) and by the determinant of Kac and Ward.

    python3 sums.py write 20 20 edges.csv lattice.mba   # random couplings in [-1, 1], and the program
    python3 sums.py time 20 20 edges.csv                # CPU seconds and values of both
"""

import csv
import sys
import time

import numpy as np


def bonds(rows, columns):
    for i in range(rows):
        for j in range(columns):
            v = i * columns + j
            if j + 1 < columns:
                yield v, v + 1
            if i + 1 < rows:
                yield v, v + columns


def write(rows, columns, edges, program):
    rng = np.random.default_rng(7)
    with open(edges, "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["a", "b", "J"])
        for a, b in bonds(rows, columns):
            out.writerow([a, b, repr(float(rng.uniform(-1, 1)))])
    with open(program, "w") as f:
        f.write(f'mode s[{rows}, {columns}]: {{-1, +1}}\n')
        f.write(f'model glass {{ for (a, b, J) in edges(s, table("{edges}")) {{ [a b] = -J * a * b }} }}\n')
        f.write("show glass.log_z\n")


def read(edges):
    with open(edges) as f:
        return {(int(r["a"]), int(r["b"])): float(r["J"]) for r in csv.DictReader(f)}


def contract(rows, columns, coupling):
    """One site at a time; the vector runs over the spins of the last `columns` sites."""
    def weight(j):
        return np.exp(j * np.array([[1.0, -1.0], [-1.0, 1.0]]))

    vector, log = np.ones(2), 0.0
    for j in range(1, columns):
        w = weight(coupling[(j - 1, j)])
        vector = (vector[..., None] * w).reshape(*vector.shape, 2)
    for i in range(1, rows):
        for j in range(columns):
            v = i * columns + j
            # the spin above is axis 0 and is summed out; the new one comes last
            vector = np.tensordot(vector, weight(coupling[(v - columns, v)]), axes=(0, 0))
            if j:
                w = weight(coupling[(v - 1, v)])
                vector *= w
            most = vector.max()
            vector /= most
            log += np.log(most)
    return log + np.log(vector.sum())


def kac_ward(rows, columns, coupling):
    angle = {1: 0.0, columns: np.pi / 2, -1: np.pi, -columns: -np.pi / 2}
    directed = [e for a, b in bonds(rows, columns) for e in ((a, b), (b, a))]
    place = {e: k for k, e in enumerate(directed)}
    leaving = {}
    for a, b in directed:
        leaving.setdefault(a, []).append(b)
    matrix = np.eye(len(directed), dtype=complex)
    for (a, b), row in place.items():
        t = np.tanh(coupling[(min(a, b), max(a, b))])
        for c in leaving[b]:
            if c != a:
                turn = (angle[c - b] - angle[b - a] + np.pi) % (2 * np.pi) - np.pi
                matrix[row, place[(b, c)]] -= t * np.exp(0.5j * turn)
    _, log = np.linalg.slogdet(matrix)
    return rows * columns * np.log(2) + sum(np.log(np.cosh(j)) for j in coupling.values()) + log / 2


if __name__ == "__main__":
    task, rows, columns, edges = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    if task == "write":
        write(rows, columns, edges, sys.argv[5])
    else:
        for method in (kac_ward, contract):
            start = time.process_time()
            value = method(rows, columns, read(edges))
            print(f"{method.__name__}: {value:.13f} in {time.process_time() - start:.2f} CPU seconds")

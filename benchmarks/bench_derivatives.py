"""Derivatives of g2 and χ² beside a user's own `jax.jit` of the same functions, as one table.

    python benchmarks/bench_derivatives.py [--frames 100 300] [--repeats 20]

Both take NumPy arrays and compute at the same parameters; the calls alternate, and the fastest of each counts. The user's
program holds the data and the geometry as constants; ours checks them at each call and keeps one program for all data of a
shape. First calls compile.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOUSE))

import jax  # noqa: E402
import numpy as np  # noqa: E402

import homodyne_lib as hd  # noqa: E402

PARAMS = np.array([5000.0, -0.5, 500.0, 1e-3, -0.3, 1e-4, 3.0])
DT, PHI, Q, GAP = 0.1, np.array([0.0, 30.0, 90.0]), 0.0054, 2e6
LARGEST_HESSIAN_OF_G2 = 100  # frames: its result alone is 49 times g2


def seconds(function) -> float:
    """Time of one call and of what it started [s]."""
    started = time.perf_counter()
    jax.block_until_ready(function(PARAMS))
    return time.perf_counter() - started


def compare(name: str, ours, own, repeats: int) -> str:
    """Row of the table: first calls [s], fastest calls [ms], their ratio."""
    first, own_first = seconds(ours), seconds(own)
    pairs = [(seconds(ours), seconds(own)) for _ in range(repeats)]
    fast, own_fast = (1e3 * min(times) for times in zip(*pairs, strict=True))
    return f"| {name} | {first:.2f} | {own_first:.2f} | {fast:.2f} | {own_fast:.2f} | {fast / own_fast:.2f} |"


def rows(n_frames: int, repeats: int):
    """Rows for all derivatives at one size."""
    t = DT * np.arange(n_frames)
    scaled = t, t, PHI, Q, GAP, 0.3, 1.0, DT
    g2 = np.asarray(hd.compute_g2_scaled(PARAMS, *scaled))
    observed = g2 + 0.01 * np.random.default_rng(0).standard_normal(g2.shape), 0.01, *scaled

    def of_g2(params):
        return hd.compute_g2_scaled(params, *scaled)

    def of_chi2(params):
        return hd.compute_chi_squared(params, *observed)

    kinds = {
        "gradient_g2": (lambda p: hd.gradient_g2(p, *scaled), jax.jacfwd(of_g2)),
        "gradient_chi2": (lambda p: hd.gradient_chi2(p, *observed), jax.grad(of_chi2)),
        "hessian_g2": (lambda p: hd.hessian_g2(p, *scaled), jax.jacfwd(jax.jacfwd(of_g2))),
        "hessian_chi2": (lambda p: hd.hessian_chi2(p, *observed), jax.hessian(of_chi2)),
    }
    for name, (ours, own) in kinds.items():
        if name != "hessian_g2" or n_frames <= LARGEST_HESSIAN_OF_G2:
            yield compare(f"{name}, {n_frames} frames", ours, jax.jit(own), repeats)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[100, 300])
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    print("| derivative | first call [s] | own | later calls [ms] | own | ratio |\n|---|---|---|---|---|---|")
    for n_frames in options.frames:
        for row in rows(n_frames, options.repeats):
            print(row, flush=True)


if __name__ == "__main__":
    main()

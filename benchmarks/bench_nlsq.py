"""Fits of every benchmark size, each in a process of its own, as one table of times, memory and ratios.

    python benchmarks/bench_nlsq.py [--sizes S M L L2] [--folder build/bench]

The dense reference is SciPy on every pixel with the kernels' own Jacobian. It runs where its memory allows it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from synthetic import SIZES, TRUTH, file_of

HERE = Path(__file__).resolve().parent
# One thread each, as in a rule, or CPU seconds are not comparable.
ENVIRONMENT = os.environ | {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "NPROC": "1",
}
START = {
    "D0": 8000.0,
    "alpha": -0.9,
    "D_offset": 300.0,
    "gamma_dot_t0": 0.0015,
    "beta": -0.3,
    "gamma_dot_t_offset": 1e-4,
    "phi0": 0.0,
}
_DENSE_PAIRS = 1_000_000  # a dense Jacobian of more pixels does not fit into the memory of a laptop


def measure(method: str, path: Path, mode: str, start: dict, n_starts: int) -> dict:
    """Run one fit in a fresh interpreter."""
    start = {name: value for name, value in start.items() if mode != "static" or list(START).index(name) < 3}
    command = [sys.executable, HERE / "one_fit.py", method, path, mode, json.dumps(start), str(n_starts)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{method} on {path.name} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def row(label: str, result: dict, mode: str, reference: dict | None) -> str:
    """One line of the table."""
    pull = np.abs((np.array(result["values"]) - TRUTH[mode]) / result.get("errors", np.nan)).max()
    cells = [
        label,
        f"{result['cpu']:.2f}",
        f"{result['warm_cpu']:.3f}",
        f"{result['wall']:.2f}",
        f"{result['memory_mb']:.0f}",
        f"{result['evaluations']}",
        f"{result['evaluation_ms']:.1f}" if "evaluation_ms" in result else "",
        f"{result['nodes_over_copy']:.1f}" if "nodes_over_copy" in result else "",
        f"{result['shift']:.4f}" if "shift" in result else "",
        f"{result['log_density']:.4f}" if "log_density" in result else "",
        f"{pull:.1f}" if "errors" in result else "",
        f"{reference['warm_cpu'] / result['warm_cpu']:.0f}" if reference else "",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["S", "M", "L", "L2"], choices=list(SIZES))
    parser.add_argument("--folder", type=Path, default=Path("build/bench"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    print(
        "| data | CPU cold [s] | CPU warm [s] | wall [s] | memory [MB] | evaluations | evaluation [ms] | nodes/copy | "
        "shift [errors] | log density | worst pull | dense/this, warm |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name in options.sizes:
        for mode in TRUTH:
            path = file_of(options.folder, name, mode, "float32" if SIZES[name].pairs > 2e7 else "float64")
            dense = measure("dense", path, mode, START, 0) if SIZES[name].pairs < _DENSE_PAIRS else None
            label = f"{name} {mode}"
            print(row(f"{label}, from a start", measure("engine", path, mode, START, 0), mode, dense), flush=True)
            print(row(f"{label}, from data alone", measure("engine", path, mode, {}, 64), mode, dense), flush=True)
            if dense:
                print(row(f"{label}, dense", dense, mode, dense), flush=True)


if __name__ == "__main__":
    main()

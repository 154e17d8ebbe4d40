"""What the workflow costs beside its work: a plan of many datasets, and each job of a few, as one table.

    python benchmarks/bench_overhead.py [--rows 200] [--datasets 4] [--folder build/bench/overhead]

Work is what happens inside a script's function, as the last line of each job's log tells; the rest is overhead: Snakemake,
interpreters, imports, the benchmark. CPU time counts every process of a command; ratios are of CPU times, to that of
`import numpy, jax` in the same run.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from synthetic import DT, Q, Size, synthetic

from homodyne_lib.io.canonical_file import write_correlations

HOUSE = Path(__file__).resolve().parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake"]
TINY = Size(32, (0.0, 45.0, 90.0))
CONFIG = "nlsq: {starts: 4}\n"
_WORK = re.compile(r"Work: ([\d.]+) s, of processors ([\d.]+) s")


class Cost(NamedTuple):
    """Wall and CPU time [s]."""

    wall: float
    cpu: float


def make_project(folder: Path, n_datasets: int) -> None:
    """A table of tiny datasets, each a file of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "config").mkdir(parents=True)
    names = [f"d{k:03}" for k in range(n_datasets)]
    for seed, name in enumerate(names):
        write_correlations(folder / f"config/{name}.h5", synthetic(TINY, "static", seed))
    header = ["dataset", "file", "format", "analysis_mode", "wavevector_q", "dt"]
    rows = [[name, f"{name}.h5", "canonical", "static", str(Q), str(DT)] for name in names]
    table = "".join("\t".join(row) + "\n" for row in [header, *rows])
    (folder / "config/datasets.tsv").write_text(table, encoding="utf-8")
    (folder / "config/config.yaml").write_text(CONFIG, encoding="utf-8")


def measure(command: list, folder: Path) -> Cost:
    """Run a command to its end; one that fails ends the benchmark with what it said."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": programs}
    # Without bytecode every job would compile its imports, which no user has.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    used, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stdout}{done.stderr}")
    return Cost(wall, after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime)


def workflow(folder: Path, *arguments: str) -> Cost:
    """Run Snakemake on a project, with the default profile."""
    return measure([*SNAKEMAKE, "--snakefile", HOUSE / "Snakefile", "--cores", "1", *arguments], folder)


def work_of(log: Path) -> Cost:
    """What a job's log says of its work."""
    return Cost(*map(float, _WORK.findall(log.read_text(encoding="utf-8"))[-1]))


def wall_time(path: Path) -> float:
    """Wall time of a job from its benchmark [s]."""
    return pd.read_csv(path, sep="\t")["s"].iloc[-1]


def overhead(folder: Path, total: Cost) -> tuple[int, Cost, dict[str, float]]:
    """Number of jobs, overhead of each, and by rule the mean wall time of its process beside the work [s]."""
    logs = sorted(folder.glob("results/**/logs/*.log"))
    work = {log: work_of(log) for log in logs}
    by_rule = defaultdict(list)
    for log, cost in work.items():
        process = wall_time(log.parents[1] / "benchmarks" / f"{log.stem}.tsv")
        by_rule[log.stem.partition(".")[0]].append(process - cost.wall)
    each = Cost(
        *(
            (whole - sum(parts)) / len(logs)
            for whole, parts in zip(total, zip(*work.values(), strict=True), strict=True)
        )
    )
    return len(logs), each, {rule: sum(rest) / len(rest) for rule, rest in by_rule.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200, help="datasets of the plan")
    parser.add_argument("--datasets", type=int, default=4, help="datasets of the run")
    parser.add_argument("--folder", type=Path, default=Path("build/bench/overhead"))
    options = parser.parse_args()
    make_project(options.folder / "plan", options.rows)
    make_project(options.folder / "run", options.datasets)
    here = options.folder
    unit = min(
        (measure([sys.executable, "-c", "import numpy, jax"], here) for _ in range(3)), key=lambda cost: cost.cpu
    )
    print("| what | wall [s] | CPU [s] | CPU/import of jax |\n|---|---|---|---|")

    def row(label: str, cost: Cost) -> None:
        print(f"| {label} | {cost.wall:.2f} | {cost.cpu:.2f} | {cost.cpu / unit.cpu:.2f} |", flush=True)

    row("`import numpy, jax`", unit)
    row("`import homodyne_lib`", measure([sys.executable, "-c", "import homodyne_lib"], HOUSE))
    row("`snakemake --version`", measure([*SNAKEMAKE, "--version"], here))
    row(f"plan of {options.rows} datasets", workflow(here / "plan", "--dry-run", "--quiet", "rules"))
    total = workflow(here / "run")
    jobs, each, by_rule = overhead(here / "run", total)
    row(f"{options.datasets} datasets, {jobs} jobs on one core", total)
    row("overhead of a job", each)
    print("\n| rule | process beside the work, wall [s] |\n|---|---|")
    for rule, rest in by_rule.items():
        print(f"| {rule} | {rest:.2f} |")


if __name__ == "__main__":
    main()

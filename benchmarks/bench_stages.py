"""What datasets of the demo cost from file to report, stage by stage, as one table: without compiled programs, and with them.

    python benchmarks/bench_stages.py [--datasets colloid couette_sim] [--folder build/bench/stages]

One job at a time on one core. Stages are wall times of their processes, as Snakemake measures them; the sums are of the whole
command with Snakemake itself, wall and CPU. Compiled programs are thrown away first, as by `make clean-cache`.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import pandas as pd
from bench_overhead import HOUSE, measure, wall_time, workflow


def stages_of(folder: Path) -> dict[str, float]:
    """Wall time of each job of a dataset, in the order in which they end [s]."""
    files = sorted(folder.glob("benchmarks/*.tsv"), key=lambda file: file.stat().st_mtime)
    return {file.stem: wall_time(file) for file in files}


def run(folder: Path, dataset: str) -> dict[str, float]:
    """Stages of a dataset in a project without results, and the sums."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HOUSE / "config", folder / "config")
    cost = workflow(folder, f"results/{dataset}/report.html")
    return stages_of(folder / "results" / dataset) | {"whole, wall": cost.wall, "whole, CPU": cost.cpu}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", nargs="+", default=["colloid", "couette_sim"])
    parser.add_argument("--folder", type=Path, default=Path("build/bench/stages"))
    options = parser.parse_args()
    columns = {}
    for dataset in options.datasets:
        measure(["make", "clean-cache"], HOUSE)
        for programs in ("compiled", "kept"):
            columns[f"{dataset}, programs {programs} [s]"] = run(options.folder.resolve(), dataset)
    table = pd.DataFrame(columns)
    print(f"| | {' | '.join(table.columns)} |\n|---{'|---' * len(table.columns)}|")
    for stage, row in table.iterrows():
        print(f"| {stage} | {' | '.join('–' if pd.isna(cell) else f'{cell:.1f}' for cell in row)} |")


if __name__ == "__main__":
    main()

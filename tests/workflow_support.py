"""A miniature project folder, and Snakemake called on it as a user would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import psutil

from homodyne_lib.io.correlations import Correlations
from homodyne_lib.io.formats.aps_legacy import write_aps_legacy
from homodyne_lib.simulation import simulate_speckle_c2

ROOT = Path(__file__).parents[1]
RUN = [sys.executable, str(ROOT / "workflow" / "run.py")]
SNAKEMAKE = [sys.executable, "-m", "snakemake"]
WORKFLOW = ["--snakefile", str(ROOT / "Snakefile"), "--workflow-profile", str(ROOT / "workflow/profiles/default")]

N_PHI, N_FRAMES, N_CHAINS, N_DRAWS = 3, 32, 2, 100

UP_TO_FIT = ("simulate", "ingest", "correct_diagonal", "estimate_scaling", "compress", "fit_nlsq")
STAGES = (*UP_TO_FIT, "sample_posterior", "write_report", "record_provenance")
"""Rules of a dataset of one shard, in their order."""


def stages_from(first: str) -> set[str]:
    """A rule and those that follow from it."""
    beside = {"compress"} if first == "estimate_scaling" else set()
    return {*STAGES[STAGES.index(first) :]} - beside


TABLE = """\
dataset	file	format	analysis_mode	wavevector_q	stator_rotor_gap	dt
rest	rest.h5	auto	static	0.01		0.1
flow	flow.yaml	speckle-sim	laminar_flow	0.0054	2e6	0.1
"""
CONFIG = f"""\
nlsq: {{starts: 16}}
cmc: {{chains: {N_CHAINS}, warmup: 100, draws: {N_DRAWS}}}
"""
N_SHARDS = 2
SHARDED = CONFIG.replace("{chains", f"{{shards: {N_SHARDS}, chains") + "estimator: least_squares\n"
"""Several shards, which least squares alone allows."""
FLOW = f"""\
parameters:
  {{D0: 5000, alpha: -0.5, D_offset: 500, gamma_dot_t0: 1.0e-3, beta: -0.3, gamma_dot_t_offset: 1.0e-4, phi0: 3}}
phi: [0, 45, 90]
n_frames: {N_FRAMES}
pixels: 40000
modes: 3
counts: 3
seed: 7
"""


def write_rest(path: Path) -> None:
    """A resting sample whose correlations decay within the record, in the legacy layout."""
    phi = np.linspace(-60, 60, N_PHI)
    geometry = {"q": 0.01, "dt": 0.1}
    c2 = simulate_speckle_c2(
        [20000.0, -0.3, 2000.0], phi, n_frames=N_FRAMES, pixels=4000, modes=3, counts=None, seed=3, **geometry
    )
    record = Correlations(
        c2=c2,
        raw_diagonal=np.diagonal(c2, axis1=1, axis2=2).copy(),
        phi=phi,
        frames=np.arange(1, N_FRAMES + 1),
        stator_rotor_gap=None,
        sigma=None,
        source="",
        source_sha256="",
        **geometry,
    )
    write_aps_legacy(path, record)


def make_project(folder: Path, settings: str = CONFIG) -> Path:
    """A folder with a table, an overlay of the configuration, a measured file and the description of a simulated one."""
    config = folder / "config"
    config.mkdir(parents=True)
    write_rest(config / "rest.h5")
    for name, text in {"datasets.tsv": TABLE, "config.yaml": settings, "flow.yaml": FLOW}.items():
        (config / name).write_text(text, encoding="utf-8")
    return folder


def environment(home: Path) -> dict[str, str]:
    """The caller's environment, with the programs of this Python first and every cache below ``home``."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": programs, "XDG_CACHE_HOME": str(home / "cache"), "PYTHONDONTWRITEBYTECODE": ""}


def call(command: Sequence[object], cwd: Path, home: Path, **variables: str) -> subprocess.CompletedProcess:
    """Run a command in a folder, in the environment of a home; standard error, where most report, joins standard output."""
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment(home) | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )


def edited(change: Callable[[h5py.File], None]) -> Callable[[Path, bytes], None]:
    """A change made to a copy of a good file."""

    def make(path: Path, good: bytes) -> None:
        path.write_bytes(good)
        with h5py.File(path, "a") as file:
            change(file)

    return make


def snakemake(folder: Path, *arguments: str, workflow: list[str] = WORKFLOW) -> subprocess.CompletedProcess:
    """Run Snakemake from beside ``folder``."""
    return call([*SNAKEMAKE, *workflow, "--directory", folder.name, *arguments], folder.parent, folder.parent)


def planned(output: str) -> dict[str, int]:
    """Jobs by rule, from the table of a dry run."""
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE) if rule != "total"}


def files_below(folder: Path) -> set[str]:
    """Every file below a folder, hidden ones too, as relative POSIX paths."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def jobs_in(folder: Path) -> list[psutil.Process]:
    """Living scripts of the folder; their command lines are in ``info``."""
    scripts = str(folder / ".snakemake" / "scripts")
    return [p for p in psutil.process_iter(["cmdline"]) if any(scripts in word for word in p.info["cmdline"] or [])]

"""Runs killed at random moments, again and again: the same command ends in the results of a quiet run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from workflow_support import RUN, environment, files_below, jobs_in, make_project

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("KILLS", "20"))
"""How often the run to a calibrated fit is killed.

``KILLS=200 python -m pytest tests/workflow/test_kills.py`` is the thorough form.
"""


def start(folder: Path, target: str) -> subprocess.Popen:
    """Start a run as the leader of a process group; what it says is in ``terminal`` beside the folder."""
    with (folder.parent / "terminal").open("w", encoding="utf-8") as terminal:
        return subprocess.Popen(
            [*RUN, "--directory", str(folder), "--cores", "1", target],
            env=environment(folder.parent),
            stdout=terminal,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def finish(run: subprocess.Popen, folder: Path) -> None:
    """Let a run go to its end, which must be a good one."""
    assert run.wait() == 0, (folder.parent / "terminal").read_text(encoding="utf-8")


def durations(folder: Path, target: str) -> tuple[float, float]:
    """Make a target without a kill; how long until the first job began, and until the end [s]."""
    began, run = time.monotonic(), start(folder, target)
    while not any((folder / "results").glob("*/logs/*.log")) and run.poll() is None:
        time.sleep(0.01)
    planning = time.monotonic() - began
    finish(run, folder)
    return planning, time.monotonic() - began


def half_written(folder: Path) -> set[str]:
    """Hidden files among the results, or in hidden folders there."""
    return {name for name in files_below(folder / "results") if name.startswith(".") or "/." in name}


def kept(folder: Path) -> dict[str, bytes]:
    """Result files; of logs and measured durations only that they are there."""
    return {
        name: b"" if {"logs", "benchmarks"} & set(Path(name).parts) else (folder / "results" / name).read_bytes()
        for name in files_below(folder / "results")
    }


def kill(run: subprocess.Popen, folder: Path, moment: float, aim: str) -> str | None:
    """Kill a run ``moment`` [s] from now; say what was going on, None where the run ended before.

    ``main`` kills Snakemake alone, ``all`` its jobs too, as a machine that goes down does; ``writing`` does so at the first
    moment after that at which a file is half-written.
    """
    due = time.monotonic() + moment
    while time.monotonic() < due or (aim == "writing" and not half_written(folder)):
        if run.poll() is not None:
            return None
        time.sleep(0.0005)
    working = aim == "writing" or jobs_in(folder)
    if aim == "main":
        run.kill()
    else:
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    if half_written(folder):
        return "writing"
    return "between jobs" if not working else "orphan" if jobs_in(folder) else "job"


def test_killed_runs_end_in_the_results_of_a_quiet_one(tmp_path):
    target, kills = "results/rest/calibration.json", KILLS
    quiet, folder = (make_project(tmp_path / name) for name in ("quiet", "killed"))
    planning, whole = durations(quiet, target)
    # The second line of a benchmark begins with the seconds that the job took.
    seconds = {
        path.name: float(path.read_text(encoding="utf-8").splitlines()[1].split()[0])
        for path in (quiet / "results/rest/benchmarks").iterdir()
    }
    expected, dice, hits = kept(quiet), np.random.default_rng(kills), Counter()
    while hits.total() < kills:
        # Moments are spread evenly over the work that is left, so that the last jobs are hit as often as the first. Every
        # run plans anew, and most moments would hit the planning; half of them are drawn from those after it.
        made = (folder / "results/rest/benchmarks").glob("*.tsv")
        # The first job begins before its log is there, so that planning and jobs can add up to more than the whole.
        left = max(whole - sum(seconds[path.name] for path in made), planning + 1.0)
        moment = dice.uniform(dice.choice([0.0, planning]), left)
        run = start(folder, target)
        hit = kill(run, folder, moment, dice.choice(["main", "all", "writing"]))
        if hit is not None:
            hits[hit] += 1
            continue
        finish(run, folder)
        assert kept(folder) == expected
        shutil.rmtree(folder / "results")
    finish(start(folder, target), folder)
    assert not jobs_in(folder)
    assert not half_written(folder)
    assert kept(folder) == expected
    # A few kills need not hit everything.
    wanted = {"between jobs", "orphan", "writing"} if kills >= 20 else set()
    assert wanted <= set(hits), f"the kills show less than they should: {dict(hits)}"

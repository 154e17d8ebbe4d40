"""The front door: a second run, a killed run with its orphan and its lock, locks and SLURM jobs of other places."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from workflow_support import ROOT, environment, make_project, snakemake

RUN = [sys.executable, str(ROOT / "workflow" / "run.py")]
FIT = "results/flow/nlsq.json"
PLAIN = ["--snakefile", str(ROOT / "Snakefile")]


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """Call the front door from beside the folder; standard error, where it reports, is joined to standard output."""
    return subprocess.run(
        [*RUN, "--directory", folder.name, *arguments],
        cwd=folder.parent,
        env=environment(folder.parent) | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )


def jobs_in(folder: Path) -> list[psutil.Process]:
    """Living scripts of the folder."""
    scripts = str(folder / ".snakemake" / "scripts")
    return [p for p in psutil.process_iter(["cmdline"]) if any(scripts in word for word in p.info["cmdline"] or [])]


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run killed without mercy in the fit, and what a second one was told while it lived."""
    folder = make_project(tmp_path_factory.mktemp("killed") / "project")
    first = subprocess.Popen(
        [*RUN, "--directory", str(folder), "--cores", "1", FIT],
        env=environment(folder.parent),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (folder / "results/flow/logs/fit_nlsq.log").exists():
        assert first.poll() is None, "the run ended before its fit began"
        time.sleep(0.02)
    second = run(folder, "--cores", "1", FIT)
    first.kill()
    first.wait()
    return folder, second


def test_a_second_run_is_refused(killed):
    folder, second = killed
    assert second.returncode == 1
    assert second.stdout.startswith(f"run: a run is going on in {folder} (process ")
    assert second.stdout.count("\n") == 1


def test_after_a_kill_the_same_command_finishes_the_work(killed, tmp_path):
    """The orphan is stopped, its neighbours are not, the lock is opened; the result is that of a quiet run."""
    folder = killed[0]
    assert jobs_in(folder), "the killed run left no orphan, so this test shows nothing"
    assert list((folder / ".snakemake/locks").iterdir())
    neighbour = subprocess.Popen(["sleep", "600"], cwd=folder)
    again = run(folder, "--cores", "1", FIT)
    assert again.returncode == 0, again.stdout
    assert not jobs_in(folder)
    assert neighbour.poll() is None
    neighbour.kill()
    neighbour.wait()
    quiet = make_project(tmp_path / "quiet")
    plain = snakemake(quiet, "--cores", "1", FIT, workflow=PLAIN)
    assert plain.returncode == 0, plain.stdout
    assert (folder / FIT).read_bytes() == (quiet / FIT).read_bytes()
    assert "Nothing to be done" in run(folder, "--cores", "1", FIT).stdout


def test_the_lock_of_another_host_stays(tmp_path):
    folder = tmp_path / "project"
    lock = folder / ".snakemake/locks/0.output.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("results/a", encoding="utf-8")
    log = folder / ".snakemake/log/2026-01-01T000000.000000.snakemake.log"
    log.parent.mkdir()
    log.write_text("SNAKEMAKE\n=========\n  Host: elsewhere\n", encoding="utf-8")
    refused = run(folder, "--version")
    assert refused.returncode == 1
    assert refused.stdout.startswith(f"run: a run on elsewhere has locked {folder}; start again there or, ")
    assert lock.exists()


def test_the_host_is_where_snakemake_writes_it(killed):
    """The head of Snakemake's log is not a documented interface."""
    (log, *_) = sorted((killed[0] / ".snakemake/log").iterdir())
    assert f"\n  Host: {os.uname().nodename}\n" in log.read_text(encoding="utf-8")


@pytest.fixture
def submitted(tmp_path):
    """A folder whose killed run has submitted 36 and an array 37, and a queue that also holds a 38 and a foreign 36."""
    folder = tmp_path / "project"
    records = folder / ".snakemake/incomplete"
    for name, number in {"a": "36", "@deep/b": "37_2", "local": None, "gone": "12"}.items():
        (records / name).parent.mkdir(parents=True, exist_ok=True)
        (records / name).write_text(json.dumps({"external_jobid": number}), encoding="utf-8")
    (tmp_path / "queue").write_text(f"36|{folder}\n37|{folder}\n38|{folder}\n", encoding="utf-8")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, body in {
        "squeue": f"cat {tmp_path}/queue",
        "scancel": f'for n; do echo $n >>{tmp_path}/cancelled; sed -i "/^$n|/d" {tmp_path}/queue; done',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    return folder, programs


def start(folder: Path, programs: Path) -> subprocess.CompletedProcess:
    return run(folder, "--version", PATH=f"{programs}{os.pathsep}{os.environ['PATH']}")


def test_recorded_slurm_jobs_are_cancelled_and_no_others(submitted):
    folder, programs = submitted
    done = start(folder, programs)
    assert done.returncode == 0, done.stdout
    assert "run: cancelling SLURM jobs 36, 37 of a killed run\n" in done.stdout
    assert (folder.parent / "cancelled").read_text(encoding="utf-8").split() == ["36", "37"]


def test_a_number_that_belongs_to_another_folder_by_now_is_not_cancelled(submitted):
    folder, programs = submitted
    (folder.parent / "queue").write_text("36|/elsewhere\n", encoding="utf-8")
    assert start(folder, programs).returncode == 0
    assert not (folder.parent / "cancelled").exists()


def test_without_an_answer_from_slurm_no_second_job_is_submitted(submitted):
    folder, programs = submitted
    (programs / "squeue").write_text("#!/bin/sh\necho 'no controller' >&2\nexit 1\n", encoding="utf-8")
    refused = start(folder, programs)
    assert refused.returncode == 1
    assert refused.stdout == "run: jobs of a killed run may live in SLURM's queue, but squeue says: no controller\n"


@pytest.mark.parametrize("profile", ["default", "slurm"])
def test_profiles_are_found_by_name_and_the_default_without(tmp_path, profile):
    """A plain ``snakemake`` takes the default profile; the other needs no SLURM to be planned."""
    folder = make_project(tmp_path / "project")
    options = [] if profile == "default" else ["--workflow-profile", profile]
    plan = snakemake(folder, "--dry-run", *options, workflow=PLAIN)
    assert plan.returncode == 0, plan.stdout
    assert f"profiles/{profile} for setting default command line arguments" in plan.stdout


def test_a_folder_that_is_not_there_is_told(tmp_path):
    told = run(tmp_path / "nowhere")
    assert (told.returncode, told.stdout.count("\n")) == (1, 1)
    assert f"{tmp_path / 'nowhere'} is not a folder" in told.stdout

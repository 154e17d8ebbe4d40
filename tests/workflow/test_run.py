"""The front door: a second run, a killed run with its orphan and its lock, locks and SLURM jobs of other places."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from workflow_support import ROOT, RUN, call, environment, jobs_in, make_project, snakemake

FIT = "results/flow/nlsq.json"
PLAIN = ["--snakefile", str(ROOT / "Snakefile")]


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """Call the front door from beside the folder; standard error, where it reports, is joined to standard output."""
    return call([*RUN, "--directory", folder.name, *arguments], folder.parent, folder.parent, **variables)


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
    # A user's own programs in the folder, one of which reads a job's script, are no jobs.
    (script, *_) = sorted((folder / ".snakemake/scripts").glob("*.py"))
    neighbours = [subprocess.Popen([*words], cwd=folder) for words in (["sleep", "600"], ["tail", "-f", str(script)])]
    again = run(folder, "--cores", "1", FIT)
    assert again.returncode == 0, again.stdout
    assert [neighbour.poll() for neighbour in neighbours] == [None, None]
    for neighbour in neighbours:
        neighbour.kill()
        neighbour.wait()
    assert not jobs_in(folder)
    quiet = make_project(tmp_path / "quiet")
    plain = snakemake(quiet, "--cores", "1", FIT, workflow=PLAIN)
    assert plain.returncode == 0, plain.stdout
    assert (folder / FIT).read_bytes() == (quiet / FIT).read_bytes()
    assert "Nothing to be done" in run(folder, "--cores", "1", FIT).stdout


# A full disk may cut a letter.
@pytest.mark.parametrize("rest", [b"", b"Error: \xcf"])
def test_the_lock_of_another_host_stays(tmp_path, rest):
    folder = tmp_path / "project"
    lock = folder / ".snakemake/locks/0.output.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("results/a", encoding="utf-8")
    log = folder / ".snakemake/log/2026-01-01T000000.000000.snakemake.log"
    log.parent.mkdir()
    log.write_bytes(b"SNAKEMAKE\n=========\n  Host: elsewhere\n" + rest)
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


def test_after_a_kill_a_mistake_in_the_table_is_what_is_shown(tmp_path):
    folder = make_project(tmp_path / "project")
    lock = folder / ".snakemake/locks/0.output.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("results/a", encoding="utf-8")
    table = folder / "config/datasets.tsv"
    table.write_text(table.read_text(encoding="utf-8").replace("dt\n", "d_t\n"), encoding="utf-8")
    refused = run(folder, "--cores", "1", "--dry-run")
    assert refused.returncode == 1
    assert "'d_t' is not known" in refused.stdout and "unlock" not in refused.stdout.lower()
    assert "Traceback" not in refused.stdout


def test_what_killed_jobs_left_half_written_is_removed_and_nothing_else(tmp_path):
    folder = tmp_path / "project"
    results = folder / "results"
    temporary = f"nlsq.json.{'0f' * 16}.tmp.json"
    for name in (
        f".{temporary}",
        "rest/.report.a_1b2c3d/figures/maps.png",
        ".summary.a_1b2c3d/rest.png",
        ".hidden",
        temporary,
        ".report.txt/kept",
        "nlsq.json",
    ):
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).touch()
    assert run(folder, "--version").returncode == 0
    left = {path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()}
    assert left == {".hidden", temporary, ".report.txt/kept", "nlsq.json"}


def test_a_record_of_a_job_that_a_kill_cut_short_is_passed_over(submitted):
    folder, programs = submitted
    (folder / ".snakemake/incomplete/half").write_bytes(b'{"external_jobid": "3')
    (folder / ".snakemake/incomplete/latin").write_bytes(b"\xe9")
    (folder / ".snakemake/incomplete/list").write_bytes(b"[36]")
    done = start(folder, programs)
    assert done.returncode == 0, done.stdout
    assert "run: cancelling SLURM jobs 36, 37 of a killed run\n" in done.stdout


def test_a_folder_that_is_not_there_is_told(tmp_path):
    told = run(tmp_path / "nowhere")
    assert (told.returncode, told.stdout.count("\n")) == (1, 1)
    assert f"{tmp_path / 'nowhere'} is not a folder" in told.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("seed: 1\nseed: 2\n", "mine.yaml: the key seed stands twice, in lines 1 and 2; "),
        ("__use_yte__: true\n? open('ran', 'w')\n: 1\n", "mine.yaml: __use_yte__ would run code"),
        ("seed: !!python/name:os.system\n", "mine.yaml: line 1: the tag !!python/name:os.system is not allowed"),
        ("# nothing\n", "mine.yaml holds no settings; leave it out."),
    ],
)
def test_an_overlay_is_read_as_data_before_snakemake_reads_it(tmp_path, content, words):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "mine.yaml").write_text(content, encoding="utf-8")
    refused = run(folder, "--cores", "1", "--configfile", "mine.yaml", "--dry-run")
    assert refused.returncode == 1 and refused.stdout.startswith(f"run: {words}") and refused.stdout.count("\n") == 1
    assert not (folder / "ran").exists()

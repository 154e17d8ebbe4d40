"""The terminal of a run: a line a job, faults once and in the end, a bar where one can be drawn, reports last."""

from __future__ import annotations

import io
import logging
import os
import pty
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from job_log import lines_of
from snakemake.logging import LogEvent
from terminal import Terminal
from workflow_support import RUN, environment, make_project, snakemake

LINE = re.compile(r"^(\S+|all datasets) +(\w+) +([\d.]+) s(?:  (.*))?$")


def record(event, level=logging.INFO, msg=None, **fields):
    entry = logging.LogRecord("snakemake", level, "", 0, msg, None, None)
    vars(entry).update(fields, **({} if event is None else {"event": event}))
    return entry


def started(number, rule, log, **wildcards):
    return record(LogEvent.JOB_INFO, jobid=number, rule_name=rule, wildcards=wildcards, log=[str(log)])


@pytest.fixture
def terminal():
    shown = Terminal(io.StringIO(), ["a", "b"], 2)
    shown.handle(record(LogEvent.WORKFLOW_STARTED))
    shown.handle(record(LogEvent.RUN_INFO, stats={"ingest": 2, "all": 1, "total": 3}))
    yield shown
    shown.close()


def lines(terminal):
    return terminal.stream.getvalue().splitlines()


def test_a_job_has_one_line_with_what_came_out(terminal, tmp_path):
    log = tmp_path / "job.log"
    log.write_text("Note: of no weight\nResult: 3 angles\nWarning: mind\nWork: 1 s\n", encoding="utf-8")
    for number, dataset in enumerate("ab"):
        terminal.handle(started(number, "ingest", f"{log} (check log file(s))", dataset=dataset))
        terminal.handle(record(LogEvent.JOB_FINISHED, job_id=number))
    assert lines(terminal)[0] == "2 datasets, 2 jobs on 2 cores"
    told = [LINE.match(line) for line in lines(terminal)[1::2]]
    assert [(match[1], match[2], match[4]) for match in told] == [(name, "ingest", "3 angles") for name in "ab"]
    assert lines(terminal)[2::2] == ["  Warning, a: mind", "  Warning, b: mind"]


def test_what_snakemake_says_besides_is_heard_only_if_it_matters(terminal):
    terminal.handle(record(None, msg="Select jobs to execute..."))
    terminal.handle(record(LogEvent.ERROR, logging.ERROR, "RuleException: again", exception="RuleException"))
    assert len(lines(terminal)) == 1
    terminal.handle(record(None, msg="Terminating processes on user request, this might take some time."))
    terminal.handle(record(None, logging.WARNING, "the disk\x1b[2J is slow"))
    assert lines(terminal)[1:] == [
        "Terminating processes on user request, this might take some time.",
        r"the disk\x1b[2J is slow",
    ]


def test_a_fault_is_told_once_and_in_the_end(terminal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told, killed = tmp_path / "told.log", tmp_path / "killed.log"
    told.write_text("Error: the file is torn\n", encoding="utf-8")
    for number, (dataset, log) in enumerate({"a": told, "b": killed}.items()):
        terminal.handle(started(number, "ingest", log, dataset=dataset))
        for _ in range(2):  # Snakemake tells it once more in the end
            failed = record(
                LogEvent.JOB_ERROR, logging.ERROR, jobid=number, rule_name="ingest", rule_msg="OUT_OF_MEMORY"
            )
            terminal.handle(failed)
    terminal.end(["a: the file is torn"])
    assert [LINE.match(line)[4] for line in lines(terminal)[1:3]] == ["failed"] * 2
    assert lines(terminal)[3:] == [
        "",
        "a: the file is torn",
        f"b: ingest ended without a sentence (OUT_OF_MEMORY); see {killed}",
    ]


def test_a_log_that_ends_within_a_letter_is_read(tmp_path):
    """A full disk may have cut it."""
    (tmp_path / "job.log").write_bytes(b"Result: 3 angles\nError: \xcf")
    assert lines_of(tmp_path / "job.log", "Result: ") == ["3 angles"]
    assert lines_of(tmp_path / "job.log", "Error: ") == ["\ufffd"]


def test_a_job_that_is_tried_again_and_succeeds_has_no_fault(terminal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for end in (record(LogEvent.JOB_ERROR, jobid=1, rule_msg=None), record(LogEvent.JOB_FINISHED, job_id=1)):
        terminal.handle(started(1, "ingest", tmp_path / "job.log", dataset="a"))
        terminal.handle(end)
    terminal.end([])
    assert lines(terminal)[-1] == ""


def test_the_report_of_an_earlier_run_of_what_failed_now_is_not_named(terminal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    terminal.datasets = ["a", "b"]
    for name in terminal.datasets:
        (tmp_path / "results" / name).mkdir(parents=True)
        (tmp_path / "results" / name / "report.html").touch()
    terminal.handle(started(1, "fit_nlsq", tmp_path / "job.log", dataset="a"))
    terminal.handle(record(LogEvent.JOB_ERROR, jobid=1, rule_msg=None))
    terminal.end(["a: D0 is outside"])
    assert [line for line in lines(terminal) if "report.html" in line] == [str(tmp_path / "results/b/report.html")]


def test_many_reports_are_named_together(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [f"d{k}" for k in range(11)]
    for name in names:
        (tmp_path / "results" / name).mkdir(parents=True)
        (tmp_path / "results" / name / "report.html").touch()
    few, many = Terminal(io.StringIO(), names[:10], None), Terminal(io.StringIO(), names, None)
    for shown in (few, many):
        shown.end()
    assert lines(few) == [str(tmp_path / "results" / name / "report.html") for name in names[:10]]
    assert lines(many) == [str(tmp_path / "results" / "*" / "report.html")]


def test_time_left_follows_from_jobs_that_ended(terminal, tmp_path, monkeypatch):
    # A clock that stands: a busy machine may take long from one line to the next.
    monkeypatch.setattr("terminal.time", SimpleNamespace(monotonic=lambda: 1000.0))
    for number in range(2):
        terminal.handle(started(number, "ingest", tmp_path / "job.log", dataset="a"))
    terminal.running[0].begin = terminal.begin = 940.0
    terminal.running[1].begin = 980.0
    terminal.handle(record(LogEvent.JOB_FINISHED, job_id=0))
    # One more of 60 s, of which 20 s are over, with 80 s of work done in 60 s.
    assert terminal._left() == "about 00:30 left"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = make_project(tmp_path_factory.mktemp("terminal") / "project")
    table = folder / "config/datasets.tsv"
    head, rest, _ = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join([head, rest, rest.replace("rest\trest.h5", "lost\tlost.h5")]) + "\n", encoding="utf-8")
    return folder


def test_a_run_with_a_bad_dataset_is_a_dozen_lines(project):
    done = snakemake(project, "--cores", "2", "--until", "ingest", "refuse")
    said = done.stdout.splitlines()
    assert done.returncode == 1
    assert len(said) < 12
    assert sum("lost.h5" in line for line in said) == 1
    jobs = {match[2]: match[4] for line in said if (match := LINE.match(line))}
    assert jobs == {"refuse": "failed", "ingest": "3 angles × 32 frames at q = 0.01 1/Å from rest.h5"}
    plain = snakemake(project, "--cores", "1", "--verbose", "--forcerun", "ingest", "--", "results/rest/ingested.h5")
    assert "rule ingest:" in plain.stdout and "[rest ingest] Result: 3 angles" in plain.stdout


def test_a_bar_moves_on_a_terminal(project):
    ours, theirs = pty.openpty()
    subprocess.run(["stty", "cols", "100", "rows", "30"], stdin=theirs, check=True)
    command = [*RUN, "--directory", str(project), "--cores", "1", "--", "results/rest/c2.h5"]
    with subprocess.Popen(command, stderr=theirs, stdout=theirs, env=environment(project.parent)) as run:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:  # the other end is closed
            pass
        assert run.wait() == 0
    assert re.search(r"1 of \d jobs, 00:0", shown.decode())
    assert sys.executable not in shown.decode()

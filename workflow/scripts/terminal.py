"""The terminal of a run: one line for each job that ends, a bar of all of them, and where the reports are.

Snakemake's own terminal has twenty lines a job; `--verbose`, `--quiet` and `--logger` keep it, and so does its log file.
A plugin of Snakemake would have to be installed wherever the workflow runs; this one comes with the Snakefile.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from job_log import ASIDE, ERROR, RESULT, WARNING, lines_of, said_by_terminal
from report_text.wording import one_line
from snakemake.logging import LogEvent, logger
from tqdm import tqdm

from homodyne_lib.model.plurals import plural

__all__ = ["Terminal", "take_over"]

_TARGET = "all"  # the rule that only names what is wanted
_NOT_SAID = (
    "Building DAG of jobs",
    "Exiting because a job execution failed",
    "WorkflowError:\nAt least one job did not complete successfully",
)
"""What goes without saying, or is said in another way."""
_OF_A_JOB = ("RuleException", "CalledProcessError")
"""Exceptions that only repeat that a job has failed."""
_ALWAYS_SAID = ("Terminating processes", "Shutting down", "Will exit after")
_NOTHING_TO_DO = "Nothing to be done"
_RED, _YELLOW, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[0m"
_REPORTS = 10  # that are named one by one


@dataclass
class _Job:
    """A job that runs."""

    rule: str
    about: str
    log: str | None
    begin: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begin

    def said(self, kind: str) -> list[str]:
        """What its log says after a certain beginning."""
        return lines_of(self.log, kind) if self.log else []


class Terminal(logging.Handler):
    """What a run tells of itself.

    Parameters
    ----------
    stream : text stream
        With a bar and colours if it is a terminal; else lines alone.
    datasets : sequence of str
        Names of the rows that are analysed.
    cores : int or None
        None on a cluster.
    colours : bool
        Whether faults are red, if the stream is a terminal.
    """

    def __init__(self, stream, datasets: Sequence[str], cores: int | None, colours: bool = True):
        super().__init__(logging.INFO)
        self.colours = colours and stream.isatty()
        self.stream, self.datasets, self.cores = stream, list(datasets), cores
        self.width = max([len("all datasets"), *map(len, self.datasets)])
        self.running: dict[int, _Job] = {}
        self.failed: dict[int, tuple[_Job, str]] = {}
        self.waiting: Counter[str] = Counter()
        self.times: dict[str, list[float]] = defaultdict(list)
        self.warned: set[str] = set()
        self.is_run = False
        self.bar: tqdm | None = None
        self.begin, self.over = time.monotonic(), threading.Event()

    # --- what Snakemake tells

    def emit(self, record: logging.LogRecord) -> None:
        """Hear an event."""
        hear = {
            LogEvent.WORKFLOW_STARTED: self._begun,
            LogEvent.RUN_INFO: self._planned,
            LogEvent.JOB_INFO: self._started,
            LogEvent.JOB_FINISHED: self._finished,
            LogEvent.JOB_ERROR: self._broken,
            LogEvent.GROUP_ERROR: self._group_broken,
            LogEvent.ERROR: self._spoken,
            None: self._spoken,
        }.get(getattr(record, "event", None))
        if hear is not None:
            hear(record)

    def _begun(self, record) -> None:
        self.is_run = True

    def _planned(self, record) -> None:
        jobs = {rule: n for rule, n in record.stats.items() if rule not in ("total", _TARGET)}
        if self.bar is not None or not jobs:
            return
        self.waiting.update(jobs)
        total, n = sum(jobs.values()), len(self.datasets)
        where = "" if self.cores is None else f" on {plural(self.cores, 'core')}"
        self.say(f"{plural(n, 'dataset')}, {plural(total, 'job')}{where}")
        shown = "{bar:24} {n_fmt} of {total_fmt} jobs, {elapsed}{postfix}"
        off = not self.stream.isatty()
        self.bar = tqdm(total=total, file=self.stream, bar_format=shown, leave=False, dynamic_ncols=True, disable=off)
        if not off:
            threading.Thread(target=self._keep_moving, daemon=True).start()

    def _started(self, record) -> None:
        if record.rule_name == _TARGET:
            return
        wildcards = dict(record.wildcards)
        about = wildcards.pop("dataset", "all datasets")
        if "shard" in wildcards:
            about = f"{about} {wildcards['shard']}"
        # Snakemake adds words to some paths.
        log = str(record.log[0]).partition(" (")[0] if record.log else None
        self.running[record.jobid] = _Job(record.rule_name, about, log)
        self.failed.pop(record.jobid, None)

    def _finished(self, record) -> None:
        job = self.running.pop(record.job_id, None)
        if job is None:
            return
        self.waiting[job.rule] -= 1
        self.times[job.rule].append(job.seconds)
        self.say(self._line(job, "".join(job.said(RESULT)[-1:])))
        for warning in job.said(WARNING):
            # Several jobs may find the same; it is said once.
            if (told := f"{job.about}: {warning}") not in self.warned:
                self.warned.add(told)
                self.say(f"  Warning, {told}", _YELLOW)
        if self.bar is not None:
            self.bar.update()

    def _broken(self, record) -> None:
        self._fail(record.jobid, record.rule_msg)

    def _group_broken(self, record) -> None:
        for info in record.job_error_info:
            self._fail(info["jobid"], record.msg)

    def _fail(self, number: int, words: str | None) -> None:
        # Snakemake tells every failure once more in the end.
        if job := self.running.pop(number, None):
            self.failed[number] = (job, words or "")
            self.say(self._line(job, "failed"), _RED)

    def _spoken(self, record) -> None:
        text, bad = str(record.msg or ""), record.levelno >= logging.WARNING
        if text.startswith(_NOTHING_TO_DO):
            self.say("Nothing to be done: all results are newer than what they are made of.")
            self.tell_reports()
        elif text.startswith(_NOT_SAID) or getattr(record, "exception", None) in _OF_A_JOB:
            return
        # Where Snakemake does something else than a run, as opening a lock, its own words are wanted.
        elif bad or not self.is_run or text.startswith(_ALWAYS_SAID):
            self.say(text, _RED if record.levelno >= logging.ERROR else _YELLOW if bad else "")

    # --- what the user sees

    def say(self, text: str, colour: str = "") -> None:
        """A line, above the bar."""
        shown = "\n".join(map(one_line, text.splitlines()))
        if colour and self.colours:
            shown = f"{colour}{shown}{_PLAIN}"
        tqdm.write(shown, file=self.stream)
        self.stream.flush()

    def _line(self, job: _Job, result: str) -> str:
        return f"{job.about:<{self.width}}  {job.rule:<17} {job.seconds:8.1f} s  {result}".rstrip()

    def _left(self) -> str:
        """Time left, from what jobs of each rule took so far and how many ran side by side."""
        if not self.times:
            return ""
        now = [(job.rule, job.seconds) for job in self.running.values()]
        done = [seconds for times in self.times.values() for seconds in times]
        typical = defaultdict(lambda: sum(done) / len(done))
        typical |= {rule: sum(times) / len(times) for rule, times in self.times.items()}
        work = sum(n * typical[rule] for rule, n in self.waiting.items())
        work -= sum(min(seconds, typical[rule]) for rule, seconds in now)
        busy = (sum(done) + sum(seconds for _, seconds in now)) / (time.monotonic() - self.begin)
        return f"about {tqdm.format_interval(work / max(busy, 1.0))} left"

    def _keep_moving(self) -> None:
        """Once a second: the time, and the last line of the log of the job that has run longest."""
        while not self.over.wait(1.0):
            with self.lock:
                longest = max(self.running.values(), key=lambda job: job.seconds, default=None)
                lines = longest.said("") if longest else []
                last = [line for line in lines if not line.startswith(ASIDE)][-1:]
                said = [self._left(), *([f"{longest.about} {longest.rule}"] if longest else [])]
                self.bar.set_postfix_str(", ".join(filter(None, [*said, *last])))

    def close(self) -> None:
        """Take the bar away."""
        self.over.set()
        if self.bar is not None:
            self.bar.close()
        super().close()

    def end(self, faults: Sequence[str] | None = None) -> None:
        """The last lines of a run: each fault once, the sentences of the workflow first, and where the reports are."""
        self.close()
        if faults is not None:
            self.say("")
            for sentence in faults:
                self.say(sentence, _RED)
            for job, words in self.failed.values():
                if not job.said(ERROR):
                    words = f" ({words})" if words else ""
                    self.say(f"{job.about}: {job.rule} ended without a sentence{words}; see {job.log}", _RED)
        self.tell_reports()

    def tell_reports(self) -> None:
        """Where the reports are, but for those of an earlier run of what has failed now."""
        failed = {job.about.partition(" ")[0] for job, _ in self.failed.values()}
        places = [Path("results") / name / "report.html" for name in self.datasets if name not in failed]
        there = [path.absolute() for path in places if path.is_file()]
        if len(there) > _REPORTS:
            there = [Path("results").absolute() / "*" / "report.html"]
        summary = Path("results/summary.html").absolute()
        for path in [*there, *([summary] if summary.is_file() else [])]:
            self.say(str(path))


def take_over(settings, datasets: Sequence[str], cores: int | None) -> Terminal | None:
    """Put our terminal in the place of Snakemake's own, unless something else than that is wanted.

    Parameters
    ----------
    settings : snakemake.settings.types.OutputSettings
    datasets, cores
        As of :class:`Terminal`.

    Returns
    -------
    Terminal or None
    """
    own = [handler for handler in logger.handlers if handler.name == "DefaultStreamHandler"]
    if not own or settings.verbose or settings.quiet or settings.dryrun or settings.debug_dag:
        return None
    for handler in own:
        logger.removeHandler(handler)
    stream = sys.stdout if settings.stdout else sys.stderr
    terminal = Terminal(stream, datasets, cores, not settings.nocolor)
    logger.addHandler(terminal)
    said_by_terminal()
    return terminal

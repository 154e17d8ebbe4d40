"""What every script needs before and around its work: imports, threads, the log, and errors as sentences.

Imported first: it puts the repository on the import path and fixes how many threads the numerical libraries start.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(HOUSE))
OURS = (HOUSE / "homodyne_lib", HOUSE / "workflow" / "scripts")

# A job has the cores that its rule asks for; one thread also keeps the order of floating-point sums, and so the bits.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")


class Log:
    """Lines that go to the job's log and, with the job's name, to the terminal."""

    def __init__(self, path: str, name: str):
        self.path, self.name = Path(path), name
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("", encoding="utf-8")

    def write(self, text: str) -> None:
        """A line for the log alone."""
        with self.path.open("a", encoding="utf-8") as stream:
            print(text, file=stream)

    def __call__(self, text: str) -> None:
        self.write(text)
        print(f"[{self.name}] {text}", file=sys.stderr, flush=True)


def is_told(error: Exception) -> bool:
    """Whether it is a ValueError that this repository raises: bad input, told in one sentence."""
    origin = traceback.extract_tb(error.__traceback__)[-1]
    ours = Path(origin.filename).resolve().parent in OURS and str(origin.line).startswith("raise")
    return isinstance(error, ValueError) and ours


def run(job: Any, work: Callable[[Any, Log], None]) -> None:
    """Do the work of a Snakemake job; without one (the script was imported) do nothing.

    An error that :func:`is_told` ends the job without a traceback. Anything else, also a ValueError from a library's
    depths, is a defect of ours and keeps its traceback.
    """
    if job is None:
        return
    # Ctrl-C ends a job at once, also inside compiled code, which would hold it back for the minutes of a chain. Files
    # appear by renaming, so nothing is left half-written.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    name = " ".join([*(str(value) for value in job.wildcards), job.rule])
    log = Log(job.log[0], name)
    begin = os.times()
    try:
        work(job, log)
        end = os.times()
        # For those who ask what a job costs beside its work, and no line for the terminal.
        log.write(f"Work: {end.elapsed - begin.elapsed:.2f} s, of processors {sum(end[:4]) - sum(begin[:4]):.2f} s")
    except Exception as error:
        if is_told(error):
            log(f"Error: {error}")
            sys.exit(1)
        log(traceback.format_exc())
        raise

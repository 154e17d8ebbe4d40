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

    def __call__(self, text: str) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            print(text, file=stream)
        print(f"[{self.name}] {text}", file=sys.stderr, flush=True)


def run(job: Any, work: Callable[[Any, Log], None]) -> None:
    """Do the work of a Snakemake job; without one (the script was imported) do nothing.

    A ValueError that this repository raises is bad input, told in one sentence; it ends the job without a traceback.
    Anything else, also a ValueError from a library's depths, is a defect of ours and keeps its traceback.
    """
    if job is None:
        return
    # Ctrl-C ends a job at once, also inside compiled code, which would hold it back for the minutes of a chain. Files
    # appear by renaming, so nothing is left half-written.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    name = " ".join([*(str(value) for value in job.wildcards), job.rule])
    log = Log(job.log[0], name)
    try:
        work(job, log)
    except Exception as error:
        origin = traceback.extract_tb(error.__traceback__)[-1]
        ours = Path(origin.filename).resolve().parent in OURS and str(origin.line).startswith("raise")
        if isinstance(error, ValueError) and ours:
            log(f"Error: {error}")
            sys.exit(1)
        log(traceback.format_exc())
        raise

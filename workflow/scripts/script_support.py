"""What every script needs before and around its work: imports, threads, the log, and errors as sentences.

Imported first: it keeps the user's own modules and settings out, puts the repository on the import path and fixes how many
threads the numerical libraries start.
"""

from __future__ import annotations

import logging
import os
import signal
import site
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).resolve().parents[2]

# Where a user's shell leads Python, Jupyter and pandoc to other code and settings than those of this environment.
FOREIGN = (
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "JUPYTER_PATH",
    "JUPYTER_CONFIG_PATH",
    "JUPYTER_CONFIG_DIR",
    "PYPANDOC_PANDOC",
)
_modules = [*os.environ.get("PYTHONPATH", "").split(os.pathsep), site.getusersitepackages()]
sys.path[:] = [folder for folder in sys.path if folder not in _modules]
for _variable in FOREIGN:
    os.environ.pop(_variable, None)
# For what a job starts, and for Matplotlib: no packages in the user's home, no settings file, no window.
os.environ |= {"PYTHONNOUSERSITE": "1", "MATPLOTLIBRC": os.devnull, "MPLBACKEND": "agg"}
# Where no home can be written to, it keeps its list of fonts among the temporary files, and warns of that.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

sys.path.insert(0, str(HOUSE))
LIBRARY, SCRIPTS = HOUSE / "homodyne_lib", HOUSE / "workflow" / "scripts"

# Settings of JAX that a shell or a module system carries are meant for other programs: they end jobs, or change numbers.
for name in [name for name in os.environ if name.startswith(("JAX_", "XLA_"))]:
    if (name, os.environ[name]) != ("JAX_PLATFORMS", "cpu"):  # the one platform that every machine has
        del os.environ[name]
# A job has the cores that its rule asks for; one thread also keeps the order of floating-point sums, and so the bits. XLA
# reads the size of its pool of threads from NPROC alone. Processes of a posterior share a GPU, whose memory the first of them
# would else take.
os.environ |= {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "NPROC": "1",
}
# Snakemake gives the libraries of linear algebra the threads of the job, which takes them itself.
os.environ |= dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)

from compiled_programs import cache_settings, count_programs  # noqa: E402 - these stand in the repository
from job_log import ERROR, Log  # noqa: E402

os.environ |= cache_settings(HOUSE)


def refuse(sentence: str) -> None:
    """Raise a sentence as one of ours; a job runs a copy of its script, which stands elsewhere."""
    raise ValueError(sentence)


def is_told(error: Exception) -> bool:
    """Whether it is a ValueError that this repository raises: bad input, told in one sentence."""
    origin = traceback.extract_tb(error.__traceback__)[-1]
    folders = Path(origin.filename).resolve().parents
    ours = (LIBRARY in folders or SCRIPTS in folders) and str(origin.line).startswith("raise")
    return isinstance(error, ValueError) and ours


def run(job: Any, work: Callable[[Any, Log], None]) -> None:
    """Do the work of a Snakemake job; without one (the script was imported) do nothing.

    An error that :func:`is_told` ends the job without a traceback, and so does a disk that refuses to be written to. Anything
    else, also a ValueError from a library's depths, is a defect of ours and keeps its traceback.
    """
    if job is None:
        return
    # Ctrl-C ends a job at once, also inside compiled code, which would hold it back for the minutes of a chain. Files
    # appear by renaming, so nothing is left half-written.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    name = " ".join([*(str(value) for value in job.wildcards), job.rule])
    log = Log(job.log[0], name)
    # A script that computes with JAX throughout has imported it by now.
    programs = count_programs() if "jax" in sys.modules else None
    begin = os.times()
    try:
        work(job, log)
        end = os.times()
        if programs is not None:
            log.write(f"JAX: {programs()}")
        log.write(f"Work: {end.elapsed - begin.elapsed:.2f} s, of processors {sum(end[:4]) - sum(begin[:4]):.2f} s")
    except Exception as error:
        from homodyne_lib.io.files import refusal

        reason = refusal(error, Path(job.output[0]).parent)
        if is_told(error) or reason is not None:
            log(ERROR + (str(error) if is_told(error) else f"results cannot be written: {reason}"))
            sys.exit(1)
        for line in traceback.format_exc().splitlines():
            log(f"  {line}")
        raise

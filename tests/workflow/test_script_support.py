"""The log of a job: foreign text is text there, a status is ours alone, and an environment of JAX stays outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from compiled_programs import cache_settings
from workflow_support import ROOT

SCRIPTS = ROOT / "workflow" / "scripts"
HOSTILE = "x\x1b[2J\nError: the data are lost"
JOB = """
import os, sys
sys.path.insert(0, {scripts!r})
import script_support
from types import SimpleNamespace

def work(job, log):
    log("Note: " + {hostile!r})
    if sys.argv[2] == "told":
        script_support.refuse({hostile!r})
    if sys.argv[2] == "defect":
        raise RuntimeError({hostile!r})

script_support.run(SimpleNamespace(wildcards=["a"], rule="ingest", log=[sys.argv[1]], output=["results.h5"]), work)
"""


def job(log: Path, end: str) -> subprocess.CompletedProcess:
    """A job that notes what a file says, and ends."""
    code = JOB.format(scripts=str(SCRIPTS), hostile=HOSTILE)
    return subprocess.run(
        [sys.executable, "-c", code, str(log), end], capture_output=True, encoding="utf-8", check=False
    )


@pytest.mark.parametrize("end", ["well", "told", "defect"])
def test_what_a_file_says_is_text_and_no_status(tmp_path, end):
    done = job(tmp_path / "job.log", end)
    assert done.returncode == (end != "well")
    lines = (tmp_path / "job.log").read_text(encoding="utf-8").splitlines()
    shown = r"x\x1b[2J Error: the data are lost"
    assert lines[0] == f"Note: {shown}"
    assert [line for line in lines if line.startswith("Error: ")] == ([f"Error: {shown}"] if end == "told" else [])
    assert f"[a ingest] Note: {shown}" in done.stderr.splitlines()
    if end != "defect":  # Python itself shows the defect once more
        assert "\x1b" not in done.stderr


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"JAX_PLATFORMS": "cuda", "JAX_NUMPY_DTYPE_PROMOTION": "strict", "XLA_PYTHON_CLIENT_MEM_FRACTION": "x"}, {}),
        ({"JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "0"}, {"JAX_PLATFORMS": "cpu"}),
        ({"XLA_FLAGS": "--no_such_flag"}, {}),
    ],
)
def test_variables_of_jax_stay_outside(given, left):
    imports = f"import json, os, sys; sys.path.insert(0, {str(SCRIPTS)!r}); import script_support, homodyne_lib"
    code = f"{imports}; print(json.dumps(dict(os.environ)))"
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=bare | given, capture_output=True, encoding="utf-8", check=True
    )
    variables = json.loads(done.stdout)
    assert variables["NPROC"] == "1"
    found = {name: value for name, value in variables.items() if name.startswith(("JAX_", "XLA_"))}
    flags = found.pop("XLA_FLAGS")
    assert "multi_thread_eigen=false" in flags and "no_such_flag" not in flags
    kept = {name: value for name, value in cache_settings(ROOT).items() if name.startswith("JAX_")}
    ours = {"JAX_ENABLE_X64": "1", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    assert found == left | kept | ours

"""What keeps plans and jobs quick: light jobs import nothing heavy, and a plan reads each file and schema once."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import qmc
from workflow_support import ROOT, TABLE, UP_TO_FIT, environment, make_project, write_rest

from homodyne_lib.fitting.starts import latin_hypercube

HEAVY = {"jax", "numpyro", "arviz_stats", "arviz_base", "xarray", "scipy.stats", "matplotlib", "pandas"}
# What each script may import of the packages that take longer than its work on a small record.
ALLOWED = {
    **dict.fromkeys(UP_TO_FIT, frozenset()),
    # papermill imports pandas; what the notebook imports, its kernel does.
    "write_report": frozenset({"matplotlib", "pandas"}),
}

IMPORTED = """
import json, runpy, sys
runpy.run_path(sys.argv[1])
print(json.dumps(sorted(sys.modules)))
"""


def python(code: str, *arguments: str, **options) -> str:
    """Run code in a fresh interpreter that can import the library and the scripts."""
    paths = [str(ROOT), str(ROOT / "workflow" / "scripts")]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths}\n{code}", *arguments],
        capture_output=True,
        encoding="utf-8",
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("script", ALLOWED)
def test_light_jobs_import_nothing_heavy(script):
    modules = json.loads(python(IMPORTED, str(ROOT / "workflow" / "scripts" / f"{script}.py")))
    assert "homodyne_lib.io.files" in modules  # the script did run
    assert HEAVY & set(modules) <= ALLOWED[script]


def test_importing_the_library_imports_numpy_alone():
    modules = set(json.loads(python("import homodyne_lib, json; print(json.dumps(sorted(sys.modules)))")))
    assert not {name for name in modules if name.partition(".")[0] in {*HEAVY, "scipy", "h5py"}}


@pytest.mark.parametrize(
    "order", ["import jax.numpy as jnp, homodyne_lib", "import homodyne_lib, jax.numpy as jnp"], ids=["before", "after"]
)
def test_jax_is_double_whether_it_comes_before_or_after_the_library(order):
    assert python(f"{order}\nprint(jnp.zeros(1).dtype)").strip() == "float64"


@pytest.mark.parametrize(("n", "dimensions", "seed"), [(1, 3, 0), (16, 7, 1), (64, 7, 42)])
def test_latin_hypercube_is_that_of_scipy(n, dimensions, seed):
    expected = qmc.LatinHypercube(d=dimensions, rng=np.random.default_rng(seed)).random(n)
    np.testing.assert_array_equal(latin_hypercube(n, dimensions, seed), expected)


PLAN = """
import json
import plan, tables
from snakemake.cli import main

asked, ask = [], plan.ask

def counted(rows):
    asked.append(sorted(row["path"] for row in rows))
    return ask(rows)

plan.ask = counted
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert end.code in (0, None)
print(json.dumps([asked, tables.schema.cache_info().misses, sorted(sys.modules)]))
"""


def test_a_plan_reads_each_file_and_each_schema_once(tmp_path):
    """And leaves HDF5 to the process that reads the files; a second plan of the same reads none."""
    folder, n = make_project(tmp_path / "project"), 12
    write_rest(folder / "config" / "rest.h5")
    header, row, *_ = TABLE.splitlines()
    rows = [row.replace("rest", f"d{k}") for k in range(n)]
    for k in range(n):
        (folder / "config" / f"d{k}.h5").symlink_to("rest.h5")
    (folder / "config" / "datasets.tsv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    command = ("--snakefile", str(ROOT / "Snakefile"), "--cores", "1", "--dry-run", "--quiet", "all")
    answers = [python(PLAN, *command, cwd=folder, env=environment(tmp_path)) for _ in range(2)]
    (first, schemas, modules), (second, *_) = (json.loads(answer.splitlines()[-1]) for answer in answers)
    assert first == [sorted(f"config/d{k}.h5" for k in range(n))] and second == []
    assert schemas == 2  # of the configuration and of the table
    assert not {"h5py", "jax"} & set(modules)

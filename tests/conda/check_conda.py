"""The miniature table with `--sdm conda`, from the shipped envs/*.yaml: solved, used by every rule, the same results.

`make test-conda` calls this file; pytest does not collect it by itself. conda's place is taken by bin/conda, that of
conda-forge and bioconda by channels made of the locked wheels (docs/environments.md says what that does not show).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml
from make_channel import find_python, make_channels
from workflow_support import ROOT, SHARDED, environment, files_below, make_project, planned, snakemake

DATASETS = ("rest", "flow")
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
SCRIPTS = ROOT / "workflow" / "scripts"
MINOR = re.search(r"- python =(3\.\d+)$", (ROOT / "envs/homodyne.yaml").read_text(encoding="utf-8"), re.MULTILINE)[1]
PYTHON = find_python(MINOR)


@pytest.fixture(scope="module", autouse=True)
def local(tmp_path_factory):
    """Start the miniature project in the environment that runs this test; it goes on while the channels are made."""
    folder = make_project(tmp_path_factory.mktemp("local") / "project", SHARDED)
    with ThreadPoolExecutor() as pool:
        yield folder, pool.submit(snakemake, folder, "--cores", "2")


@pytest.fixture(scope="module")
def conda(tmp_path_factory, local):
    """Put the stand-in on PATH and tell it of channels made for this run, which leave again: they are large."""
    folder = tmp_path_factory.mktemp("conda")
    make_channels(folder / "channels", PYTHON)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(ROOT / "tests/conda/bin"), prepend=os.pathsep)
        patch.setenv("CONDA_CHANNEL_ALIAS", (folder / "channels").as_uri())
        patch.setenv("CONDA_PKGS_DIRS", str(folder / "packages"))
        yield folder
    for name in ("channels", "packages", "project/.snakemake/conda"):
        shutil.rmtree(folder / name, ignore_errors=True)


@pytest.fixture(scope="module")
def project(conda):
    """The same project, with an environment that Snakemake has conda make."""
    folder = make_project(conda / "project", SHARDED)
    done = snakemake(folder, "--cores", "2", "--sdm", "conda")
    assert done.returncode == 0, done.stdout
    return folder


def prefixes(project: Path) -> list[Path]:
    return [meta.parent for meta in (project / ".snakemake/conda").glob("*/conda-meta")]


def statements(prefix: Path) -> list[dict]:
    """What each process of an environment's Python said at its end (witness.py)."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted((prefix / "witness").iterdir())]


def foreign(record: dict) -> set[str]:
    """Files that a process loaded neither from its environment, nor from this repository, nor from the system."""
    ours = (record["prefix"], str(ROOT / "homodyne_lib"), str(SCRIPTS))
    pythons = (sys.prefix, sys.base_prefix, str(Path(PYTHON["stdlib"]).parents[1]))
    modules = {file for file in record["modules"] if not file.startswith(ours)}
    libraries = {file for file in record["mapped"] if file.startswith(pythons) and not file.startswith(ours)}
    return modules | libraries


def conda_create(file: Path, prefix: Path) -> subprocess.CompletedProcess:
    command = ["conda", "env", "create", "--file", str(file), "--prefix", str(prefix)]
    return subprocess.run(command, env=environment(prefix.parent), capture_output=True, encoding="utf-8", check=False)


def test_environments_are_those_of_the_shipped_files(project):
    used = {path.read_bytes() for path in (project / ".snakemake/conda").glob("*.yaml")}
    assert used == {path.read_bytes() for path in ENVIRONMENTS}
    assert len(prefixes(project)) == len(ENVIRONMENTS)


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda path: path.stem)
def test_every_pin_is_installed(project, file):
    """conda's own record of a package, in the prefix whose file this is."""
    (copy,) = (path for path in (project / ".snakemake/conda").glob("*.yaml") if path.read_bytes() == file.read_bytes())
    records = [json.loads(path.read_text("utf-8")) for path in copy.with_suffix("").glob("conda-meta/*.json")]
    installed = {record["name"]: record["version"] for record in records}
    pins = dict(re.split(" =+", spec) for spec in yaml.safe_load(file.read_text("utf-8"))["dependencies"])
    assert installed.pop("python").startswith(pins.pop("python") + ".")
    assert pins.items() <= installed.items()


def test_every_job_ran_in_the_environment(project):
    """A job leaves a benchmark, whatever Python ran it; a statement it leaves only in the environment."""
    benchmarks = [Path(path) for path in files_below(project / "results") if path.endswith(".tsv")]
    jobs = Counter(path.name.split(".")[0] for path in benchmarks)
    programs = [Path(record["program"]).name for prefix in prefixes(project) for record in statements(prefix)]
    # Snakemake runs a copy of a script, whose name it begins with a random word.
    scripts = [found[1] for program in programs if (found := re.fullmatch(r"tmp\w+\.(\w+)\.py", program))]
    assert Counter(scripts) == jobs
    rules = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow/rules").glob("*.smk"))
    # All but the one that speaks for rows with a fault, of which there is none, and the one for a single shard, which imports
    # what the jobs of several do.
    assert set(re.findall(r'script:\s+"\.\./scripts/(\w+)\.py"', rules)) - {"refuse", "sample_posterior"} == jobs.keys()
    assert programs.count("ipykernel_launcher.py") == len(DATASETS)


def test_jobs_loaded_nothing_from_elsewhere(project):
    records = [record for prefix in prefixes(project) for record in statements(prefix)]
    assert [foreign(record) for record in records if foreign(record)] == []


@pytest.mark.parametrize("dataset", DATASETS)
def test_provenance_lists_the_packages_of_the_environment(project, dataset):
    """Those, and none that Snakemake lends."""
    (prefix,) = prefixes(project)
    packages = json.loads((project / "results" / dataset / "provenance.json").read_text(encoding="utf-8"))["packages"]
    assert packages.pop("python") == PYTHON["version"]
    installed = distributions(path=[str(prefix / f"lib/python{MINOR}/site-packages")])
    assert packages.keys() == {item.name for item in installed}


def test_what_the_environment_does_not_name_is_not_found(project):
    """Snakemake appends its own import path to that of a script. There is pytest, which no rule needs."""
    (prefix,) = prefixes(project)
    append = f"import sys; sys.path.append({str(Path(pytest.__file__).parents[1])!r}); "
    command = [prefix / "bin/python", "-c", append + "import numpy, pytest"]
    done = subprocess.run(command, env=environment(prefix), capture_output=True, encoding="utf-8", check=False)
    assert "No module named 'pytest'" in done.stderr


def test_the_environment_is_enough(project, tmp_path):
    """Its own Snakemake plans all jobs, called through the front door as without `--sdm conda`."""
    (prefix,) = prefixes(project)
    folder = make_project(tmp_path / "project", SHARDED)
    command = [prefix / "bin/python", ROOT / "workflow/run.py", "--directory", folder, "--cores", "1", "--dry-run"]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert {"fit_nlsq": 2, "write_report": 2, "summarise": 1}.items() <= planned(done.stdout).items()


def test_every_result_is_the_one_without_conda(project, local):
    """Fits, draws, reports and all else, bit for bit; what is left out tells of the run, not of the data."""
    other, running = local
    assert running.result().returncode == 0, running.result().stdout
    here, there = (files_below(folder / "results") for folder in (project, other))
    assert here == there
    assert {f"{dataset}/{name}" for dataset in DATASETS for name in ("nlsq.json", "posterior.nc")} < here
    compared = [path for path in sorted(here) if not {"logs", "benchmarks", "provenance.json"} & {*Path(path).parts}]
    results = (project / "results", other / "results")
    assert [path for path in compared if len({(folder / path).read_bytes() for folder in results}) > 1] == []


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("jax ==0.10.1", "jax ==0.10.99", "No candidates were found for jax ==0.10.99"),
        ("  - bioconda\n", "", "No candidates were found for snakemake-minimal"),
        ("jax ==0.10.1", "jax =>0.10.1", "0.10.1"),
    ],
)
def test_what_cannot_be_solved_is_refused(conda, tmp_path, old, new, sentence):
    """The stand-in solves for real: no such version, no such channel, no condition at all."""
    text = (ROOT / "envs/homodyne.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "changed.yaml").write_text(text.replace(old, new), encoding="utf-8")
    done = conda_create(tmp_path / "changed.yaml", tmp_path / "prefix")
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr

"""What a stranger meets: standard places, citation, workflows of a public forge, a release, a container, a small project."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml
from workflow_support import ROOT, call, planned, snakemake

GITHUB = ROOT / ".github"
SCHEMAS = {
    "vendor.github-workflows": sorted(GITHUB.glob("workflows/*.yml")),
    "vendor.github-issue-forms": [GITHUB / "ISSUE_TEMPLATE/fault.yml", GITHUB / "ISSUE_TEMPLATE/layout.yml"],
    "vendor.github-issue-config": [GITHUB / "ISSUE_TEMPLATE/config.yml"],
    "vendor.citation-file-format": [ROOT / "CITATION.cff"],
}


def exactly(**properties: dict) -> dict:
    """Schema of an object with these keys and no other; as in a catalogue's file, a _ in a name is written -."""
    named = {name.replace("_", "-"): schema for name, schema in properties.items()}
    return {"type": "object", "properties": named, "required": [*named], "additionalProperties": False}


TEXT, BOOLEAN = {"type": "string"}, {"type": "boolean"}
CATALOGUE = exactly(
    mandatory_flags=exactly(desc=TEXT, flags=TEXT),
    software_stack_deployment=exactly(**dict.fromkeys(("conda", "apptainer", "apptainer+conda"), BOOLEAN)),
    report=BOOLEAN,
)


def read_yaml(path: Path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def version() -> str:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_public_services_can_read_their_files(schema):
    assert SCHEMAS[schema]
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *SCHEMAS[schema]]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout


def test_the_catalogue_finds_what_it_looks_for():
    """A main Snakefile, a page on the configuration, and a description of the use, with the keys that the catalogue knows."""
    assert (ROOT / "workflow/Snakefile").is_file() and (ROOT / "config/README.md").is_file()
    jsonschema.validate(read_yaml(ROOT / ".snakemake-workflow-catalog.yml"), exactly(usage=CATALOGUE))


def test_the_version_is_the_same_everywhere():
    assert read_yaml(ROOT / "CITATION.cff")["version"] == version()
    zenodo = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    assert "version" not in zenodo  # Zenodo takes it from the tag
    assert zenodo["title"] == read_yaml(ROOT / "CITATION.cff")["title"]
    assert f"--branch v{version()} " in (ROOT / "docs/deployment.md").read_text(encoding="utf-8")


def test_the_public_checks_are_those_of_the_local_one():
    """Every target of .ci/run is a job, on the Pythons that the environment is made for; and no job calls another."""
    jobs = read_yaml(GITHUB / "workflows/tests.yml")["jobs"]
    runs = "\n".join(step.get("run", "") for job in jobs.values() for step in job["steps"])
    local = re.findall(r"^make ([a-z-]+)$", (ROOT / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE)
    assert {*re.findall(r"^make ([a-z-]+)$", runs, re.MULTILINE)} == {*local}
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {*local} <= {*targets}
    matrix = jobs["quick"]["strategy"]["matrix"]
    assert matrix == {"os": ["ubuntu-latest", "macos-latest"], "python": ["3.11", "3.12", "3.13"]}


def test_shell_parts_of_the_public_checks_are_well_formed():
    for path in GITHUB.glob("workflows/*.yml"):
        for job in read_yaml(path)["jobs"].values():
            for step in job["steps"]:
                if "run" in step:
                    plain = re.sub(r"\$\{\{.*?\}\}", "x", step["run"])
                    subprocess.run(["bash", "-n"], input=plain, encoding="utf-8", check=True)


def test_a_release_has_the_changes_of_its_version():
    found = importlib.util.spec_from_file_location("release_notes", ROOT / "docs/release_notes.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    notes = module.notes(f"v{version()}")
    assert notes.startswith("**Numbers**") and "## " not in notes
    with pytest.raises(SystemExit, match=r"the tag is v9, and pyproject.toml has version"):
        module.notes("v9")


def test_an_image_is_made_by_the_steps_of_the_environment():
    lines = (ROOT / "Containerfile").read_text(encoding="utf-8").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    assert [word for word, _ in steps] == ["FROM", "COPY", "WORKDIR", "RUN", "ENV", "WORKDIR", "ENTRYPOINT"]
    python = re.search(r"python:(3\.\d+)", steps[0][1])[1]
    assert python in ("3.11", "3.12", "3.13")
    assert steps[3][1].startswith("sh envs/bootstrap.sh && ")
    program, front_door = json.loads(steps[-1][1])
    house = steps[2][1]
    assert program == f"{house}/.venv/bin/python" and (ROOT / Path(front_door).relative_to(house)).is_file()
    assert {".git", ".venv", "results"} <= {*(ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()}


def test_the_small_project_is_planned_from_the_standard_snakefile():
    plan = snakemake(ROOT / ".test", "--dry-run", workflow=["--snakefile", str(ROOT / "workflow/Snakefile")])
    assert plan.returncode == 0, plan.stdout
    assert {"simulate": 2, "write_report": 2, "summarise": 1}.items() <= planned(plan.stdout).items()


@pytest.mark.slow
def test_a_tag_is_deployed_as_the_page_says(tmp_path):
    """From a local clone with the tag, up to the plan."""
    block = re.search(
        r"```sh\n(git clone.*?)```", (ROOT / "docs/deployment.md").read_text(encoding="utf-8"), re.DOTALL
    )[1]
    commands = block.replace("<address of this repository>", (tmp_path / "origin").as_uri())
    make = f"git clone --quiet --bare {ROOT} origin && git -C origin tag --force v{version()}\n"
    done = call(["bash", "-euc", f"{make}{commands.rstrip()} ARGS=-n"], tmp_path, tmp_path)
    assert done.returncode == 0, done.stdout
    assert planned(done.stdout)["write_report"] == 2


@pytest.mark.slow
def test_the_small_project_runs_to_a_report(tmp_path):
    """As the documents call it, on a copy: the project of the clone may have results. The demo runs a flow to its report."""
    shutil.copytree(ROOT / ".test/config", tmp_path / ".test/config")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    done = call([*command, "--directory", ".test", "--cores", "2", "results/rest/report.html"], tmp_path, tmp_path)
    assert done.returncode == 0, done.stdout
    assert [line.rpartition("/results/")[2] for line in done.stdout.splitlines()[-1:]] == ["rest/report.html"]

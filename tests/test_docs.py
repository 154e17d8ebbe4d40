"""What the pages say is so: commands run, tables and maps are current."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib

import pytest
from records import make_record
from test_house import PACKAGES
from workflow_support import ROOT, call, environment

import homodyne_lib
from homodyne_lib.io.formats.aps_u import write_aps_u


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def map_of_the_house() -> list[str]:
    """Paths in the map of CONTRIBUTING.md, in its order; one that ends in / stands for all below it."""
    block = re.search(r"```\n(Snakefile.*?)```", page("CONTRIBUTING.md"), re.DOTALL)[1]
    paths, folder = [], ""
    for line in block.splitlines():
        indent, name = re.match(r"( *)(\S+)", line).groups()
        if not indent and name.endswith("/"):
            folder = name
        else:
            paths.append(folder * bool(indent) + name)
    return paths


def test_the_map_draws_the_direction_of_imports():
    drawn = [path.removeprefix("homodyne_lib/") for path in map_of_the_house() if path.startswith("homodyne_lib/")]
    drawn.remove("py.typed")
    assert [path.removesuffix("/").removesuffix(".py") for path in drawn] == [*PACKAGES]


def test_the_map_lists_every_file():
    drawn = map_of_the_house()
    assert not {path for path in drawn if not list(ROOT.glob(path))}, "the map draws what is not there"
    folders = ("docs", "envs", "homodyne_lib", "tests", "workflow")
    found = {path for folder in folders for path in (ROOT / folder).rglob("*.*") if path.is_file()}
    mapped = {path for pattern in drawn for path in ROOT.glob(pattern + "**/*" * pattern.endswith("/"))}
    bare = {str(path.relative_to(ROOT)) for path in found - mapped if not {"__pycache__", "data"} & {*path.parts}}
    assert not bare, "give these files a line in the map of CONTRIBUTING.md"


def test_the_site_has_every_page_and_every_package():
    listed = re.findall(r": (\S+\.md)$", page("mkdocs.yml"), re.MULTILINE)
    pages = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} | {
        "README.md",
        "config/README.md",
        "CONTRIBUTING.md",
    }
    assert pages <= {*listed}, "give these pages a line in mkdocs.yml"
    packages = {path.removeprefix("library/").removesuffix(".md") for path in listed if path.startswith("library/")}
    assert packages == {*PACKAGES} - {"__init__"}


@pytest.fixture(scope="module")
def make_config():
    spec = importlib.util.spec_from_file_location("make_config", ROOT / "docs" / "make_config.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_of_the_configuration_are_current(make_config):
    assert page("config/config.yaml") == make_config.settings(), "run python docs/make_config.py"
    text = page("config/README.md")
    assert text == make_config.render(text), "run python docs/make_config.py"
    for key in ("cmc.shards", "nlsq.bounds", "wavevector_q", "stator_rotor_gap", "n_frames"):
        assert text.count(f"\n| `{key}` | ") == 1


def test_the_commands_for_own_data_run(tmp_path):
    """The block of the README, in the repository, on a folder elsewhere and up to the plan."""
    block = re.search(r"## Your own data\n\n```sh\n(.*?)```", page("README.md"), re.DOTALL)[1]
    write_aps_u(tmp_path / "my_data.h5", make_record(n_t=40, q=0.0054))
    commands = (
        block.replace("my-project", str(tmp_path / "my-project"))
        .replace("cp my_data.h5", f"cp {tmp_path / 'my_data.h5'}")
        .replace(".venv/bin/snakemake", f"{sys.executable} -m snakemake")
        .replace("--cores 4", "--cores 4 --dry-run")
    )
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "results/shear_1/report.html" in done.stdout + done.stderr


@pytest.mark.slow
def test_the_tutorial_runs_and_shows_what_it_says(tmp_path):
    """In an interpreter of its own, as Jupyter runs it."""
    notebook = ROOT / "docs/tutorial.ipynb"
    command = [sys.executable, "-m", "papermill", notebook, tmp_path / "done.ipynb", "--cwd", ROOT / "docs"]
    done = call([*command, "--kernel", "python3", "--no-progress-bar"], ROOT, tmp_path, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stdout
    outputs = {cell["id"]: cell["outputs"] for cell in cells(tmp_path / "done.ipynb") if cell["cell_type"] == "code"}
    drawn = {name: [output["data"] for output in shown if "data" in output] for name, shown in outputs.items()}
    figures = {name for name, shown in drawn.items() if any("image/png" in data for data in shown)}
    assert figures == {"correlations", "decays", "rates", "angles", "corner", "residuals"}
    for name in ("fit", "calibration", "sample"):
        assert "<table>" in "".join(drawn[name][0]["text/html"])
    assert not [output for shown in outputs.values() for output in shown if output.get("name") == "stderr"]
    # One exponential a ring: 13 to 29 1/s (config/data/README.md); two errors besides.
    (said,) = outputs["quote"]
    numbers = re.fullmatch(
        r"D\(0\.04 s\) = \((\S+) ± (\S+)\) Å²/s; rate of the decay q²D = (\S+) 1/s\n", "".join(said["text"])
    )
    value, error, rate = map(float, numbers.groups())
    assert error < 0.2 * value
    assert 13 <= rate * (1 + 2 * error / value) and rate * (1 - 2 * error / value) <= 29


def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def test_the_tutorial_is_kept_without_outputs():
    kept = [cell for cell in cells(ROOT / "docs/tutorial.ipynb") if cell["cell_type"] == "code"]
    assert kept and not [cell["id"] for cell in kept if cell["outputs"] or cell["execution_count"]]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "config/README.md"])
def test_links_lead_somewhere(name):
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page(name))
    folder = (ROOT / name).parent
    assert not [target for target in targets if "://" not in target and not (folder / target).exists()]


def test_one_version():
    version = tomllib.loads(page("pyproject.toml"))["project"]["version"]
    assert homodyne_lib.__version__ == version
    assert re.search(r"^## (.*)$", page("CHANGELOG.md"), re.MULTILINE)[1] == version

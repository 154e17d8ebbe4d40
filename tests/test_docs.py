"""What the pages say is so: commands run, tables and maps are current."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib

import pytest
from test_house import LEVEL
from workflow_support import ROOT, environment

import homodyne_lib


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def map_of_the_house() -> tuple[set[str], dict[str, int]]:
    """Paths in the map of CONTRIBUTING.md, and the level that stands before each module of the library."""
    block = re.search(r"```\n(Snakefile.*?)```", page("CONTRIBUTING.md"), re.DOTALL)[1]
    paths, levels, folder = set(), {}, ""
    for line in block.splitlines():
        indent, level, name = re.match(r"( *)(\d+ +)?(\S+)", line).groups()
        if name.endswith("/"):
            folder = name
        elif name:
            paths.add(folder * bool(indent) + name)
            if level:
                levels[name.removesuffix(".py")] = int(level)
    return paths, levels


def test_the_map_draws_the_direction_of_imports():
    assert map_of_the_house()[1] == LEVEL


def test_the_map_lists_every_file():
    drawn = map_of_the_house()[0]
    assert not {path for path in drawn if not list(ROOT.glob(path))}, "the map draws what is not there"
    folders = ("docs", "envs", "homodyne_lib", "tests", "workflow")
    found = {path for folder in folders for path in (ROOT / folder).rglob("*.*") if path.is_file()}
    mapped = {path for pattern in drawn for path in ROOT.glob(pattern)}
    bare = {str(path.relative_to(ROOT)) for path in found - mapped if not {"__pycache__", "data"} & {*path.parts}}
    assert not bare, "give these files a line in the map of CONTRIBUTING.md"


@pytest.fixture(scope="module")
def make_config():
    spec = importlib.util.spec_from_file_location("make_config", ROOT / "docs" / "make_config.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_of_the_configuration_are_current(make_config):
    text = page("config/README.md")
    assert text == make_config.render(text), "run python docs/make_config.py"
    for key in ("cmc.shards", "nlsq.bounds", "wavevector_q", "stator_rotor_gap", "n_frames"):
        assert text.count(f"\n| `{key}` | ") == 1


def test_the_commands_for_own_data_run(tmp_path):
    """The block of the README, in the repository, on a folder elsewhere and up to the plan."""
    block = re.search(r"## Your own data\n\n```sh\n(.*?)```", page("README.md"), re.DOTALL)[1]
    (tmp_path / "my_data.h5").touch()
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


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "config/README.md"])
def test_links_lead_somewhere(name):
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page(name))
    folder = (ROOT / name).parent
    assert not [target for target in targets if "://" not in target and not (folder / target).exists()]


def test_one_version():
    version = tomllib.loads(page("pyproject.toml"))["project"]["version"]
    assert homodyne_lib.__version__ == version
    assert re.search(r"^## (.*)$", page("CHANGELOG.md"), re.MULTILINE)[1] == version

"""The pinned environments agree with each other, and envs/bootstrap.sh sets them up, once and for good."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pypandoc
import pytest
import yaml
from conda_names import DEVELOPMENT, conda_name, normalized
from packaging.requirements import Requirement

ENVS = Path(__file__).parents[1] / "envs"
LOCKS = {name: (ENVS / f"{name}.lock").read_text() for name in ("requirements", "docs")}

# On conda only: the interpreter, the program inside pypandoc_binary, the extra of arviz-stats[xarray].
CONDA_ONLY = {"python", "pandoc", "xarray-einstats"}


def locked(name: str = "requirements") -> dict[str, Requirement]:
    """Read a lock: normalized name to requirement (one version and its marker)."""
    lines = re.findall(r"^([a-z].*?)(?: \\)?$", LOCKS[name], flags=re.MULTILINE)
    requirements = [Requirement(line) for line in lines]
    by_name = {normalized(requirement.name): requirement for requirement in requirements}
    assert len(by_name) == len(requirements), "the lock has two versions of one package"
    return by_name


def version_of(requirement: Requirement) -> str:
    (specifier,) = requirement.specifier
    assert specifier.operator == "==", f"{requirement} is not an exact pin"
    return specifier.version


def direct(name: str = "requirements") -> dict[str, str]:
    """Read what a lock is compiled from: normalized name to version."""
    lines = (ENVS / f"{name}.in").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {normalized(pin.name): version_of(pin) for pin in pins}


def imported() -> set[str]:
    """Packages of others that the library, the scripts and the report's notebook import, wherever the statement is."""
    house = ENVS.parent
    sources = [path.read_text() for place in ("homodyne_lib", "workflow") for path in (house / place).rglob("*.py")]
    notebook = json.loads((house / "workflow/notebooks/report.ipynb").read_text())
    sources += ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    names = set()
    for node in (node for source in sources for node in ast.walk(ast.parse(source))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module)
    scripts = list((house / "workflow").rglob("*.py"))
    ours = {path.stem for path in scripts} | {path.parent.name for path in scripts} | {"homodyne_lib"}
    return {name.partition(".")[0] for name in names} - ours - sys.stdlib_module_names


def conda_file() -> dict:
    return yaml.safe_load((ENVS / "homodyne.yaml").read_text())


def conda_pins() -> dict[str, str]:
    return dict(re.split(r" =+", spec) for spec in conda_file()["dependencies"])


@pytest.mark.parametrize("name", LOCKS)
def test_lock_holds_the_direct_pins(name):
    versions = {package: version_of(requirement) for package, requirement in locked(name).items()}
    assert direct(name).items() <= versions.items()


@pytest.mark.parametrize("name", LOCKS)
def test_lock_hashes_every_pin(name):
    blocks = re.split(r"^(?=[a-z])", LOCKS[name], flags=re.MULTILINE)[1:]
    assert len(blocks) == len(locked(name))
    unhashed = [block for block in blocks if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", block)]
    assert unhashed == []


@pytest.mark.parametrize("text", LOCKS.values(), ids=LOCKS)
def test_lock_names_no_host_and_no_place(text):
    # Whatever is neither a pin, nor a hash, nor a comment would be an option such as --index-url.
    allowed = re.compile(r"[a-z0-9.-]+==\S+( ; [^@]+?)?( \\)?|    --hash=sha256:[0-9a-f]{64}( \\)?|\s*#.*")
    assert [line for line in text.splitlines() if not allowed.fullmatch(line)] == []
    assert not re.search(r"://|file:|\.\./|(?<![\w.])/\w", text)


def test_environment_is_the_locked_one():
    """What is installed here is what the lock says for this interpreter and platform."""
    expected = {
        name: version_of(requirement)
        for name, requirement in locked().items()
        if requirement.marker is None or requirement.marker.evaluate()
    }
    installed = {
        normalized(distribution.name): distribution.version for distribution in importlib.metadata.distributions()
    }
    assert installed == expected


def test_every_import_is_a_direct_pin():
    """What we import ourselves is named, not left to what another package happens to need."""
    owners = importlib.metadata.packages_distributions()
    needed = {normalized(owner) for name in imported() for owner in owners[name]}
    assert {"jax", "numpy", "pillow"} < needed
    # The notebook runs in IPython, as which ipykernel presents itself.
    assert needed - (direct().keys() - DEVELOPMENT) == {"ipython"}


def test_conda_pins_are_the_locked_versions():
    versions = {name: version_of(requirement) for name, requirement in locked().items()}
    pins = conda_pins()
    for name in direct().keys() - DEVELOPMENT:
        assert pins.pop(conda_name(name)) == versions[name], name
    assert pins.keys() == CONDA_ONLY
    assert pins["xarray-einstats"] == versions["xarray-einstats"]
    assert pins["pandoc"] == pypandoc.get_pandoc_version()


def test_conda_file_is_well_formed():
    content = conda_file()
    assert content.keys() == {"name", "channels", "dependencies"}
    assert content["channels"] == ["conda-forge", "bioconda", "nodefaults"]
    python, *packages = content["dependencies"]
    # Any patch release of the one minor version.
    assert re.fullmatch(r"python =3\.1[1-3]", python)
    exact = re.compile(r"[a-z0-9][a-z0-9_.-]* ==\d+(\.\d+)*")
    assert [spec for spec in packages if not exact.fullmatch(spec)] == []


# ---- envs/bootstrap.sh, with stand-ins for Python and uv that record how they are called ----

FAKE_PYTHON = """#!/bin/sh
case "$*" in
    *_base_executable*) echo "$0" ;;
    *version_info*) echo {version} ;;
    *) exit 1 ;;
esac
"""
FAKE_UV = """#!/bin/sh
case "$1" in
    --version) exit 0 ;;
    venv)
        for folder; do :; done
        echo venv >>calls; mkdir -p "$folder/bin"; cp bin/python3.12 "$folder/bin/python" ;;
    pip) echo sync >>calls; [ ! -d .venv ] || cp "$0" .venv/bin/uv; [ ! -e interrupt ] ;;
esac
"""


def write_program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def clone(tmp_path):
    """Lay out a folder with bootstrap.sh, a lock, an old python3, a good python3.12 and a recording uv."""
    write_program(tmp_path / "envs" / "bootstrap.sh", (ENVS / "bootstrap.sh").read_text())
    (tmp_path / "envs" / "requirements.lock").write_text("first==1.0\n")
    write_program(tmp_path / "bin" / "python3", FAKE_PYTHON.format(version="3.9.18"))
    write_program(tmp_path / "bin" / "python3.12", FAKE_PYTHON.format(version="3.12.1"))
    write_program(tmp_path / "bin" / "uv", FAKE_UV)
    return tmp_path


def bootstrap(clone: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    environment = {"PATH": f"{clone / 'bin'}:{os.defpath}", **variables}
    command = [str(clone / "envs" / "bootstrap.sh"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def calls(clone: Path) -> list[str]:
    """Return what uv was asked for since the last question."""
    record = clone / "calls"
    lines = record.read_text().split() if record.exists() else []
    record.write_text("")
    return lines


def test_bootstrap_passes_over_an_old_python(clone):
    result = bootstrap(clone)
    assert result.returncode == 0, result.stderr
    assert "with Python 3.12.1" in result.stdout
    assert calls(clone) == ["venv", "sync"]


def test_bootstrap_does_nothing_twice(clone):
    bootstrap(clone)
    calls(clone)
    result = bootstrap(clone)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert calls(clone) == []


def test_bootstrap_keeps_the_tools_of_the_site_apart(clone):
    (clone / "envs" / "docs.lock").write_text("tool==1.0\n")
    assert bootstrap(clone, "docs").returncode == 0
    assert calls(clone) == ["venv", "sync"] and not (clone / ".venv").exists()
    assert (clone / ".venv-docs" / ".docs.lock").read_text() == "tool==1.0\n"
    assert bootstrap(clone, "docs").stdout == "" and bootstrap(clone).returncode == 0
    assert calls(clone) == ["venv", "sync"]


def test_bootstrap_starts_afresh_after_an_interruption(clone):
    (clone / "interrupt").touch()
    assert bootstrap(clone).returncode != 0
    (clone / "interrupt").unlink()
    calls(clone)
    assert bootstrap(clone).returncode == 0
    assert calls(clone) == ["venv", "sync"]


def test_bootstrap_follows_a_changed_lock(clone):
    bootstrap(clone)
    calls(clone)
    (clone / "envs" / "requirements.lock").write_text("first==2.0\n")
    (clone / "interrupt").touch()
    assert bootstrap(clone).returncode != 0
    assert calls(clone) == ["sync"]
    (clone / "interrupt").unlink()
    assert bootstrap(clone).returncode == 0
    assert calls(clone) == ["venv", "sync"]


def test_bootstrap_replaces_a_broken_interpreter(clone):
    bootstrap(clone)
    calls(clone)
    (clone / ".venv" / "bin" / "python").unlink()
    (clone / ".venv" / "bin" / "python").symlink_to(clone / "uninstalled")
    assert bootstrap(clone).returncode == 0
    assert calls(clone) == ["venv", "sync"]


def test_bootstrap_replaces_an_activated_environment(clone):
    bootstrap(clone)
    calls(clone)
    (clone / ".venv" / ".requirements.lock").unlink()
    (clone / ".uv" / "bin").mkdir(parents=True)
    (clone / "bin" / "uv").rename(clone / ".uv" / "bin" / "uv")
    activated = f"{clone / '.venv' / 'bin'}:{clone / 'bin'}:{os.defpath}"
    assert bootstrap(clone, PATH=activated).returncode == 0
    assert calls(clone) == ["venv", "sync"]


@pytest.mark.parametrize("given", ["python3", "python3 of a user"])
def test_bootstrap_refuses_an_old_python(clone, given):
    old = write_program(clone / "bin" / given, FAKE_PYTHON.format(version="3.9.18"))
    result = bootstrap(clone, PYTHON=str(old))
    assert result.returncode == 1
    assert result.stderr == (
        f"make env: Python 3.11 or newer is needed, but {old} is 3.9.18."
        " Install Python 3.12, or name one with 'make env PYTHON=/path/to/python3.12'.\n"
    )
    assert calls(clone) == []


def test_bootstrap_says_that_a_python_does_not_run(clone):
    result = bootstrap(clone, PYTHON="python3.99")
    assert result.returncode == 1
    assert "but none of 'python3.99' runs" in result.stderr

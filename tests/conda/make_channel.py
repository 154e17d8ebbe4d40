"""Channels with the names that envs/*.yaml give, made from a CPython of this machine and the wheels of the lock."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from importlib.metadata import Distribution, distributions
from pathlib import Path

from conda_names import DEVELOPMENT, conda_name, normalized
from conda_packages import Package, write_package
from packaging.markers import default_environment
from packaging.requirements import Requirement
from rattler.index import index_fs
from workflow_support import ROOT, environment

# A program that pypandoc_binary holds; on conda-forge it is a package of its own.
PANDOC = "pypandoc/files/"
# What runs is the interpreter with its library; tests, manuals and foreign packages stay behind.
LEFT_BEHIND = {"__pycache__", "site-packages", "test", "idlelib", "ensurepip"}
DESCRIBE = """
import json, sys, sysconfig
places = {name: sysconfig.get_path(name) for name in ("stdlib", "purelib")}
variables = {name: sysconfig.get_config_var(name) for name in ("LIBDIR", "INSTSONAME", "Py_ENABLE_SHARED")}
print(json.dumps(places | variables | {"version": sys.version.split()[0], "executable": sys.executable}))
"""


def describe(python: Path | str) -> dict | None:
    """Version and places of an interpreter; None when it does not run."""
    found = subprocess.run([python, "-I", "-c", DESCRIBE], capture_output=True, encoding="utf-8", check=False)
    return json.loads(found.stdout) if found.returncode == 0 else None


def find_python(minor: str) -> dict:
    """Find a CPython of a minor version: the named one (CHANNEL_PYTHON), on PATH, or among those of pyenv."""
    program = f"python{minor}"
    if named := os.environ.get("CHANNEL_PYTHON"):
        candidates = [named]
    else:
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
        found = shutil.which(program)
        candidates = [found] if found else []
        candidates += sorted(pyenv.glob(f"versions/{minor}.*/bin/{program}"))
    for candidate in candidates:
        python = describe(candidate)
        if python and python["version"].startswith(f"{minor}."):
            return python
    raise FileNotFoundError(
        f"make test-conda: envs/homodyne.yaml asks for Python {minor}, and none of {candidates or [program]} is one"
        f" that runs. Install it, or name one with CHANNEL_PYTHON=/path/to/{program}."
    )


def relocated(binary: bytes, libdir: str) -> bytes:
    """A program that looks for its library beside itself; the longer path of its origin is overwritten in place."""
    old, new = libdir.encode() + b"\0", b"$ORIGIN/../lib"
    assert binary.count(old) == 1, f"{libdir} is to stand once in the program, as its run path"
    assert len(new) < len(old), f"{libdir} is too short to be overwritten"
    return binary.replace(old, new.ljust(len(old), b"\0"))


def python_package(python: dict, folder: Path) -> Package:
    """The interpreter, movable, with the `sitecustomize` of witness.py."""
    minor = python["version"].rpartition(".")[0]
    stdlib, program = Path(python["stdlib"]), folder / f"python{minor}"
    package = Package("python", python["version"])
    for directory, subfolders, names in os.walk(stdlib):
        subfolders[:] = [name for name in subfolders if name not in LEFT_BEHIND and not name.startswith("config-")]
        for name in names:
            source = Path(directory, name)
            package.files[f"lib/python{minor}/{source.relative_to(stdlib)}"] = source
    binary = Path(python["executable"]).resolve().read_bytes()
    if python["Py_ENABLE_SHARED"]:
        package.files[f"lib/{python['INSTSONAME']}"] = Path(python["LIBDIR"], python["INSTSONAME"])
        binary = relocated(binary, python["LIBDIR"])
    program.write_bytes(binary)
    program.chmod(0o755)
    package.files[f"bin/{program.name}"] = program
    for alias in ("python", "python3"):
        (folder / alias).symlink_to(program.name)
        package.files[f"bin/{alias}"] = folder / alias
    package.files[f"lib/python{minor}/site-packages/sitecustomize.py"] = Path(__file__).with_name("witness.py")
    return package


def locked_environment(python: dict, folder: Path) -> Path:
    """The lock, installed for that Python by the script that `make env` calls."""
    (folder / "envs").mkdir(parents=True)
    for name in ("bootstrap.sh", "requirements.lock"):
        shutil.copy(ROOT / "envs" / name, folder / "envs")
    command = ["sh", str(folder / "envs" / "bootstrap.sh")]
    subprocess.run(command, env=environment(folder) | {"PYTHON": python["executable"]}, check=True)
    return folder / ".venv"


def conditions(distribution: Distribution, minor: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """What a wheel requires, in conda's words; extras that are asked for become requirements of who asks."""
    environment = default_environment() | {"python_version": minor, "python_full_version": f"{minor}.0"}
    wanted = set()
    for text in distribution.requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker and not any(marker.evaluate(environment | {"extra": extra}) for extra in extras | {""}):
            continue
        name = conda_name(requirement.name)
        wanted.add(f"{name} {requirement.specifier}".strip())
        if requirement.extras:
            (other,) = distributions(name=requirement.name, path=[str(distribution.locate_file(""))])
            wanted |= conditions(other, minor, frozenset(requirement.extras))
    return wanted


def wheel_packages(venv: Path, minor: str) -> list[Package]:
    """Each wheel of the lock that is not for development, as a package; pandoc becomes one of its own."""
    packages = []
    for distribution in distributions(path=[str(venv / f"lib/python{minor}/site-packages")]):
        if normalized(distribution.name) in DEVELOPMENT:
            continue
        package = Package(conda_name(distribution.name), distribution.version)
        package.depends = sorted({f"python {minor}.*"} | conditions(distribution, minor))
        for file in distribution.files:
            source = Path(os.path.normpath(distribution.locate_file(file)))
            if not str(file).startswith(PANDOC):
                package.files[str(source.relative_to(venv))] = source
        if package.name == "pypandoc":
            program = Path(distribution.locate_file(PANDOC)) / "pandoc"
            version = subprocess.run([program, "--version"], capture_output=True, check=True, encoding="utf-8").stdout
            packages.append(Package("pandoc", version.split()[1], files={"bin/pandoc": program}))
            package.depends.append("pandoc")
        packages.append(package)
    return packages


def make_channels(folder: Path, python: dict) -> None:
    """Write `conda-forge` and `bioconda` into a folder: the interpreter, and what the lock holds for it."""
    minor = python["version"].rpartition(".")[0]
    venv = locked_environment(python, folder / "wheels")
    (folder / "python").mkdir()
    packages = [python_package(python, folder / "python"), *wheel_packages(venv, minor)]
    for package in packages:
        channel = "bioconda" if package.name.startswith("snakemake-") else "conda-forge"
        write_package(package, folder / channel)
    for channel in ("bioconda", "conda-forge"):
        (folder / channel / "noarch").mkdir()
        asyncio.run(index_fs(folder / channel, write_zst=False, write_shards=False))
    shutil.rmtree(venv)

"""Digests of what results are made with: params of the rules, by which an edit reruns what depends on it, and no more.

Snakemake by itself sees only that a script, an input or a template is younger than the results.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from stat import S_ISREG

import yaml

HOUSE = Path(__file__).resolve().parents[2]
SCRIPTS = HOUSE / "workflow" / "scripts"
NOTEBOOK = HOUSE / "workflow" / "notebooks" / "report.ipynb"
PACKAGE = "homodyne_lib"
PARTS = (
    *(
        "CHANGELOG.md",
        "CITATION.cff",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "Snakefile",
        "pyproject.toml",
    ),
    *("config/README.md", "docs", "envs", "homodyne_lib", "profiles", "workflow"),
)
"""What a copy of this repository needs to run and to be understood."""
_SMALL = 1_000_000  # bytes; also Snakemake's limit for checksums


def _code(path: Path) -> str:
    """The Python of a module, or of a notebook's cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def _names(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, wherever the statement stands; what is imported from a module may be a module."""
    for node in ast.walk(ast.parse(_code(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield node.module


@cache
def imported(path: Path) -> frozenset[Path]:
    """Modules of the library and neighbours of the scripts that a file imports itself."""
    found = set()
    for name in _names(path):
        package, *modules = name.split(".")
        top = (HOUSE if package == PACKAGE else SCRIPTS) / package
        folders = [top.joinpath(*modules[:depth]) for depth in range(len(modules) + 1)]
        found |= {folder / "__init__.py" for folder in folders} | {folder.with_suffix(".py") for folder in folders}
    return frozenset(file for file in found if file.is_file())


def sources(*paths: Path) -> set[Path]:
    """Files and all that they import. ``__init__.py`` imports only to export, and no result hangs on those modules."""
    found, new = set(), set(paths)
    while new:
        found |= new
        new = {file for path in new if path.name != "__init__.py" for file in imported(path)} - found
    return found


def digest(paths: Iterable[Path]) -> str:
    """SHA-256 of files with their names, in their order."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(f"{path.relative_to(HOUSE).as_posix()}\n".encode())
        content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()[:16]


def parts() -> list[Path]:
    """Every file of ``PARTS``, as it is now: no caches, nothing hidden; links stay links."""
    found = []
    for path in (HOUSE / part for part in PARTS):
        below = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
        found += [file for file in below if file.is_symlink() or file.is_file()]
    hidden = (".", "__pycache__")
    return sorted(f for f in found if not any(name.startswith(hidden) for name in f.relative_to(HOUSE).parts))


@cache
def sources_of(script: str) -> str:
    """Digest of a script by its name, and of all of ours that it runs; ``write_report.py`` runs the notebook too."""
    notebook = [NOTEBOOK] if script == "write_report.py" else []
    return digest(sources(SCRIPTS / script, *notebook))


def environment() -> str:
    """Digest of what ``envs/homodyne.yaml`` installs, which is what the lock has; comments are no part of it."""
    content = yaml.safe_load((HOUSE / "envs" / "homodyne.yaml").read_text(encoding="utf-8"))
    return hashlib.sha256(json.dumps(content["dependencies"]).encode()).hexdigest()[:16]


def stamp(path: str | Path) -> str | None:
    """What differs when another file takes the place of an input, also an older one; None without a file that can be read.

    The digest of a small file; size [B] and age [s] of one whose reading would hold up every plan.
    """
    path = Path(path)
    try:
        status = path.stat()
        if not S_ISREG(status.st_mode):
            return None
        if status.st_size < _SMALL:
            return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except (OSError, ValueError):
        return None
    return f"{status.st_size} {int(status.st_mtime)}"

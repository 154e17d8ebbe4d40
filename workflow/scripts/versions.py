"""Which code, packages and machine make a result."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from sources import HOUSE, PARTS, digest, parts

from homodyne_lib.io.files import read_json

RECORD = "COMMIT.json"
"""In an unpacked archive, where there is no git: ``code`` of the archived tree, and the digest of its files."""


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(HOUSE), *arguments], capture_output=True, encoding="utf-8", check=True
    ).stdout.strip()


def code() -> dict[str, Any]:
    """``commit`` and ``changed``: whether what runs differs from it; both None where nothing tells."""
    try:
        if Path(_git("rev-parse", "--show-toplevel")).resolve() == HOUSE:
            changes = _git("status", "--porcelain", "--", *(part for part in PARTS if (HOUSE / part).exists()))
            return {"commit": _git("rev-parse", "HEAD"), "changed": bool(changes)}
    except (OSError, subprocess.CalledProcessError):
        pass  # no git here, or no checkout
    if not (HOUSE / RECORD).is_file():
        return {"commit": None, "changed": None}
    record = read_json(HOUSE / RECORD)
    return {"commit": record["commit"], "changed": record["changed"] or record["digest"] != digest(parts())}


def in_words(found: dict[str, Any]) -> str:
    """What :func:`code` found, for a reader."""
    if found["commit"] is None:
        return "not a git checkout"
    return f"commit {found['commit']}{' with uncommitted changes' if found['changed'] else ''}"


def packages() -> dict[str, str]:
    """Python and every package of its environment -> version."""
    inside = [place for place in sys.path if Path(place).is_relative_to(sys.prefix)]
    found = {item.name: item.version for item in distributions(path=inside)}
    return {"python": platform.python_version(), **dict(sorted(found.items(), key=lambda pair: pair[0].lower()))}


def host() -> dict[str, Any]:
    """This machine: ``name``, ``system``, ``processor`` and how many of its ``cores``."""
    described = Path("/proc/cpuinfo")
    models = described.read_text(encoding="utf-8").splitlines() if described.is_file() else []
    named = [line.partition(": ")[2] for line in models if line.startswith("model name")]
    return {
        "name": platform.node(),
        "system": platform.platform(),
        "processor": named[0] if named else platform.processor(),
        "cores": os.cpu_count(),
    }

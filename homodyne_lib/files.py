"""Writing files so that a reader never meets half of one."""

from __future__ import annotations

import json
import math
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["read_json", "replacing", "write_json", "write_text"]


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Give a unique temporary name beside ``path``; the file takes its own name when the block has succeeded.

    A process that was killed, or an orphan that still writes, cannot touch a finished file; what it left half-written is
    removed by the next that writes here, and the orphan then fails.

    Parameters
    ----------
    path : path-like
        File to write or replace; its folder must exist.

    Yields
    ------
    pathlib.Path
    """
    path = Path(path)
    for abandoned in path.parent.glob(f".{path.name}.*.tmp{path.suffix}"):
        abandoned.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a UTF-8 text file, complete or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _plain(value: Any) -> Any:
    """Python objects for JSON; what is not finite becomes null, as JSON has no other word for it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: str | os.PathLike, data: Mapping[str, Any]) -> None:
    """Write a JSON file: keys in the order given, NumPy values as numbers, NaN as null.

    Parameters
    ----------
    path : path-like
    data : mapping
    """
    write_text(path, json.dumps(_plain(data), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))

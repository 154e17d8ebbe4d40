"""Writing files so that a reader never finds an incomplete one."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["check_writable", "read_json", "refusal", "replacing", "write_json", "write_text"]

_ROOM = "make room there"
_RIGHTS = "give yourself the right to write there, or work in another folder"
_REFUSALS = {
    errno.ENOSPC: ("no space is left on the disk", _ROOM),
    errno.EDQUOT: ("the quota of the disk is used up", _ROOM),
    errno.EFBIG: ("the file is larger than the system allows", "raise the limit (ulimit -f), or work on another disk"),
    errno.EACCES: ("writing is not permitted", _RIGHTS),
    errno.EPERM: ("writing is not permitted", _RIGHTS),
    errno.EROFS: ("the disk is mounted read-only", "work in a folder on another disk"),
    errno.EIO: ("the disk reports an input/output error", "work on another disk, and have this one checked"),
}
"""Reasons for which the system refuses to write, and what to do, by error number."""


def refusal(error: BaseException | None, folder: str | os.PathLike) -> str | None:
    """Say why the system refuses to write into a folder; None where an error has another reason.

    Parameters
    ----------
    error : BaseException
        An OSError, or what HDF5 or a notebook raises after one, with its number in the text.
    folder : path-like

    Returns
    -------
    str or None
        What follows "... cannot be written: ".
    """
    while error is not None:
        # Of h5py's errors only the first has a number as its attribute.
        number = getattr(error, "errno", None) or int((re.search(r"[Ee]rrno (?:= )?(\d+)", str(error)) or [0, 0])[1])
        if number in _REFUSALS:
            reason, cure = _REFUSALS[number]
            if cure == _RIGHTS and os.access(folder, os.W_OK):
                return None  # the error is about reading another file
            return f"{reason} (folder {os.path.abspath(folder)}); {cure}, then start again."
        error = error.__cause__ or error.__context__
    return None


def check_writable(folder: str | os.PathLike) -> None:
    """Raise where no file can be made in a folder, or in the nearest one above it that exists.

    Raises
    ------
    ValueError
        If the system refuses: no right, a disk that is mounted read-only.
    """
    folder = Path(folder).absolute()
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=parent):
            return
    except OSError as error:
        raise ValueError(f"{folder} cannot be written: {refusal(error, parent) or error}") from None


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Give a unique temporary name beside ``path``; the file takes its own name when the block has succeeded.

    A process that was killed, or one that still writes after its parent ended, cannot damage a finished file. The next
    process that writes this file removes the incomplete one, and the process that still writes it then fails.

    Parameters
    ----------
    path : path-like
        File to write or replace; its folder must exist.

    Yields
    ------
    pathlib.Path

    Raises
    ------
    ValueError
        If there is no such folder, or the system refuses to write: no space, no right, a broken disk.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ValueError(f"{path.name} cannot be written: there is no folder {path.parent.absolute()}; make it.")
    for abandoned in path.parent.glob(f".{path.name}.*.tmp{path.suffix}"):
        with suppress(OSError):
            abandoned.unlink()
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        # An error that names another file is about reading it.
        of_other_file = getattr(error, "filename", None) not in (None, os.fspath(temporary))
        reason = None if of_other_file else refusal(error, path.parent)
        if reason is None:
            raise
        raise ValueError(f"{path.name} cannot be written: {reason}") from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a UTF-8 text file, complete or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _plain(value: Any) -> Any:
    """Python objects for JSON; numbers that are not finite become null, as JSON has no such numbers."""
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

"""Files of users, and errors about them in one sentence."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["InputError", "file_sha256", "name_faults", "read_start"]


class InputError(ValueError):
    """Bad input. The message is one sentence: what was asked, what was found, what to do."""


def file_sha256(path: str | os.PathLike) -> str:
    """SHA-256 of a file as a hexadecimal string, read in chunks."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def name_faults(path: str | os.PathLike) -> Iterator[None]:
    """Put the file's name before the sentence of an InputError that the block raises."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def read_start(path: str | os.PathLike, size: int) -> bytes:
    """First bytes of a file, from which its kind is recognised.

    Raises
    ------
    InputError
        When the file cannot be read, or is no regular file; reading a pipe could wait for ever.
    """
    start = b""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode):
            with open(path, "rb") as stream:
                start = stream.read(size)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"the file cannot be read ({reason}); check its path and rights.") from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
        raise InputError(f"this is {kind}; give the file of the two-time analysis.")
    return start

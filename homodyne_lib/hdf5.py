"""HDF5 files, opened and created safely; the only importer of h5py."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from h5py import Dataset, File, Group, is_hdf5

from homodyne_lib.files import replacing

__all__ = [
    "GZIP",
    "File",
    "InputError",
    "create_hdf5",
    "file_sha256",
    "get_dataset",
    "list_names",
    "open_hdf5",
    "read_numbers",
    "write_dataset",
]

GZIP = {"compression": "gzip", "compression_opts": 1, "shuffle": True}  # level 1: noise packs no better above


class InputError(ValueError):
    """Bad input, told in one sentence: what was asked, what was found, what to do."""


def file_sha256(path: str | os.PathLike) -> str:
    """SHA-256 of a file as a hexadecimal string, read in chunks."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def open_hdf5(path: str | os.PathLike) -> Iterator[File]:
    """Open a file for reading; what is wrong with it, or with its content, is told with its name.

    Parameters
    ----------
    path : path-like
        File to read.

    Yields
    ------
    h5py.File
        The open file.

    Raises
    ------
    InputError
        When the file cannot be read, is not HDF5, is damaged, or the block raises an InputError.
    """
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror}); check its path and rights.") from None
    if not is_hdf5(path):
        raise InputError(f"{path}: this is not an HDF5 file; give the HDF5 file of the two-time analysis.")
    try:
        with File(path, "r") as file:
            yield file
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (OSError, RuntimeError, KeyError) as error:  # the three that h5py raises on damaged bytes
        raise InputError(
            f"{path}: the HDF5 file is truncated, damaged or being written ({error.args[-1]}); copy it again."
        ) from None


@contextmanager
def create_hdf5(path: str | os.PathLike) -> Iterator[File]:
    """Write a file under a temporary name; it gets the name `path` when the block has succeeded.

    Parameters
    ----------
    path : path-like
        File to write or replace; its folder must exist.

    Yields
    ------
    h5py.File
        The open, empty file.
    """
    with replacing(path) as temporary, File(temporary, "x") as file:
        yield file


def write_dataset(file: File, path: str, data: object, unit: str | None = None, **options: object) -> None:
    """Write one data set with its `unit`, and without a time stamp: equal data give equal bytes."""
    dataset = file.create_dataset(path, data=data, track_times=False, **options)
    if unit is not None:
        dataset.attrs["unit"] = unit


def get_dataset(file: File, path: str) -> Dataset:
    """Find the data set of real numbers at `path`, without reading it.

    Raises
    ------
    InputError
        When `path` is something else.
    """
    dataset = file[path]
    if not isinstance(dataset, Dataset) or dataset.dtype.kind not in "iuf" or dataset.size == 0:
        raise InputError(f"{path} is not a data set with real numbers; the layout of the file is not as expected.")
    return dataset


def list_names(file: File, path: str) -> list[str]:
    """Sorted names in the group at `path`.

    Raises
    ------
    InputError
        When `path` is something else.
    """
    if not isinstance(file[path], Group):
        raise InputError(f"{path} is not a group of data sets; the layout of the file is not as expected.")
    return sorted(file[path])


def read_numbers(file: File, path: str) -> np.ndarray:
    """Read a list or a scalar, stored as (N,), (1, N), () or (1, 1), as a flat float64 array."""
    return np.ravel(get_dataset(file, path)[()]).astype(np.float64)

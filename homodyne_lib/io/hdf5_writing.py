"""HDF5 files written complete or not at all, with checksums, and with equal bytes for equal data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO

import numpy as np
from h5py import Dataset, File, Group, h5d, h5p, h5s, h5t, string_dtype

from homodyne_lib.io.files import replacing

__all__ = ["GZIP", "create_hdf5", "write_attribute", "write_dataset"]

GZIP = {"compression": "gzip", "compression_opts": 1, "shuffle": True}  # higher levels do not pack noise better


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

    Raises
    ------
    ValueError
        If the system refuses to write.
    """
    with replacing(path) as temporary, _Patient(temporary, "x+") as disk:
        try:
            # From this version of HDF5 (2016) on, all but raw data carry checksums.
            with File(disk, "w", libver="v110") as file:
                yield file
        finally:
            if disk.refusal is not None:
                raise disk.refusal


class _Patient(FileIO):
    """A file that stores the first write error instead of raising it, because HDF5 crashes on write errors."""

    refusal: OSError | None = None

    def write(self, data) -> int:
        rest = memoryview(data)
        while rest and self.refusal is None:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self.refusal = error
        return len(data)


def write_dataset(file: File, path: str, data: object, unit: str | None = None, **options: object) -> None:
    """Write one data set with its `unit`, and without a time stamp: equal data give equal bytes.

    A byte that changes later is detected on reading: arrays have Fletcher32 checksums, and a single number is stored in the
    header of its object, which has a checksum too.
    """
    if np.ndim(data):
        dataset = file.create_dataset(path, data=data, track_times=False, **{"fletcher32": True} | options)
    else:
        dataset = _write_scalar(file, path, np.asarray(data))
    if unit is not None:
        write_attribute(dataset, "unit", unit)


def _write_scalar(file: File, path: str, value: np.ndarray) -> Dataset:
    """Write a number into the header of its object, for which h5py itself has no option."""
    properties, links = h5p.create(h5p.DATASET_CREATE), h5p.create(h5p.LINK_CREATE)
    properties.set_layout(h5d.COMPACT)
    properties.set_obj_track_times(False)
    links.set_create_intermediate_group(True)
    space, kind = h5s.create(h5s.SCALAR), h5t.py_create(value.dtype, logical=True)
    dataset = Dataset(h5d.create(file.id, path.encode(), kind, space, properties, links))
    dataset[()] = value
    return dataset


def write_attribute(node: Group | Dataset, name: str, value: object) -> None:
    """Write an attribute. Texts get a fixed length: for others, one damaged byte can make HDF5 wait for ever."""
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, (list, tuple)) and all(isinstance(text, str) for text in texts):
        packed = [text.encode() for text in texts]
        dtype = string_dtype("utf-8", max(map(len, packed), default=0) or 1)
        node.attrs.create(name, np.array(packed[0] if isinstance(value, str) else packed, dtype=dtype), dtype=dtype)
    else:
        node.attrs[name] = value

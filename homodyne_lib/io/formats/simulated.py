"""The parts of a file that both APS layouts write in the same way, and the truth of a simulation."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from homodyne_lib.io.correlations import Correlations
from homodyne_lib.io.hdf5 import File, InputError, holds, open_hdf5, read_attributes
from homodyne_lib.io.hdf5_writing import write_attribute, write_dataset
from homodyne_lib.model.frames import frame_ranges, missing_frames

__all__ = ["TRUTH", "read_truth", "write_matrices"]

TRUTH = "simulation"  # group whose attributes hold the truth of a simulated file


def write_matrices(
    file: File,
    layout: Mapping[str, str],
    prefix: str,
    scalar_shape: tuple[int, ...],
    correlations: Correlations,
    attributes: Mapping[str, object] | None,
    options: Mapping[str, object],
) -> None:
    """Write half matrices, frame time and truth, which are the same in both APS layouts.

    Raises
    ------
    InputError
        When frames are missing from the record.
    """
    lost = missing_frames(correlations.frames)
    if lost.size:
        raise InputError(
            f"the record lacks the frames {frame_ranges(lost)}, and the APS layouts have no place for frame numbers, so that "
            "its times would be lost; write it with write_correlations."
        )
    for k, (c2, raw_diagonal) in enumerate(zip(correlations.c2, correlations.raw_diagonal, strict=True), start=1):
        half = np.triu(c2)
        np.fill_diagonal(half, raw_diagonal)
        write_dataset(file, f"{layout['matrices']}/{prefix}_{k:05d}", half, **options)
    write_dataset(file, layout["frame_time"], np.full(scalar_shape, correlations.dt), "s")
    for key in ("stride", "average"):
        write_dataset(file, layout[key], np.ones(scalar_shape, dtype=np.int64))
    if attributes is not None:
        group = file.create_group(TRUTH)
        for name, value in attributes.items():
            write_attribute(group, name, value)


def read_truth(path: str | os.PathLike) -> dict[str, object] | None:
    """Truth of a simulated file, as given to its writer (arrays as lists).

    Parameters
    ----------
    path : path-like
        HDF5 file.

    Returns
    -------
    dict or None
        None where the file is not simulated.

    Raises
    ------
    InputError
        When the file cannot be read.
    """
    with open_hdf5(path) as file:
        if not holds(file, TRUTH):
            return None
        attributes = read_attributes(file, TRUTH)
    return {name: value.tolist() if hasattr(value, "tolist") else value for name, value in attributes.items()}

"""ESRF ID02, result files of version 1, written by dynamix: directions of q rings, over age and lag, q in 1/nm."""

from __future__ import annotations

import numpy as np

from homodyne_lib.io.formats.age_lag import AgeLagMatrix, read_axes
from homodyne_lib.io.formats.catalogue import Catalogue, Layout
from homodyne_lib.io.formats.units import factor_of
from homodyne_lib.io.hdf5 import File, InputError, get_dataset, holds, list_names, read_numbers

__all__ = ["LAYOUT"]

_RINGS = "entry_0000/dynamix/correlations/q_index_min_max"  # (n, 3): index, smallest and largest q [1/nm]
_DIRECTIONS = "entry_0000/dynamix/correlations/directions"


def _catalogue(file: File) -> Catalogue:
    rings = get_dataset(file, _RINGS)
    if rings.ndim != 2 or rings.shape[1] != 3:
        raise InputError(
            f"{_RINGS} has the shape {rings.shape}; it must have a row of index, q_min and q_max for each ring."
        )
    middle = {int(index): (low + high) / 2.0 for index, low, high in rings[()].astype(np.float64) if np.isfinite(index)}
    matrices, q, steps = [], [], []
    for key in list_names(file, _DIRECTIONS):
        group = f"{_DIRECTIONS}/{key}/2times_correlation"
        values, listed = f"{group}/ttcf", read_numbers(file, f"{_DIRECTIONS}/{key}/q_index")
        if not holds(file, values):
            continue  # g2 only
        lag = next(
            (f"{group}/{name}" for name in ("timeshift", "lag") if holds(file, f"{group}/{name}")), f"{group}/lag"
        )
        axes = read_axes(file, values, f"{group}/age", lag)
        if listed.size != len(get_dataset(file, values)) or not set(listed) <= set(middle):
            raise InputError(
                f"{_DIRECTIONS}/{key}/q_index does not name a ring of {_RINGS} for each matrix of {values}."
            )
        matrices += [AgeLagMatrix(file, values, (k,), axes=axes) for k in range(listed.size)]
        q, steps = [*q, *(middle[int(index)] for index in listed)], [*steps, axes.step]
    frame_time = steps[0] if steps and np.allclose(steps, steps[0]) else None
    # Without a beam centre, which the file does not have, the masks of its directions give no angles.
    undirected = np.ones(len(q), dtype=bool)
    return Catalogue(
        matrices, factor_of("q", "1/nm") * np.array(q), np.zeros(len(q)), frame_time, undirected=undirected
    )


LAYOUT = Layout("esrf-dynamix", (_RINGS, _DIRECTIONS), _catalogue)

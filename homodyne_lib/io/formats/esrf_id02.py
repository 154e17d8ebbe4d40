"""ESRF ID02, result files of version 2: analyses of their own rings or directions, over age and lag, q in 1/nm."""

from __future__ import annotations

import numpy as np

from homodyne_lib.io.formats.age_lag import AgeLagMatrix, read_axes
from homodyne_lib.io.formats.catalogue import Catalogue, Layout
from homodyne_lib.io.formats.pixel_map import BinPixels, Geometry, measure_pixels
from homodyne_lib.io.formats.units import factor_of
from homodyne_lib.io.hdf5 import File, InputError, get_dataset, holds, list_names, read_numbers

__all__ = ["LAYOUT"]

_ANALYSES = "entry_0000/correlations"
_CENTRE = ("entry_0000/parameters/beam_center_1", "entry_0000/parameters/beam_center_2")  # column, row [px]
_RADIUS_ROOM = 0.05  # relative; radii of bins divided by their q differ by less about the right centre
_FEW = 50  # pixels that a bin needs for a mean radius


def _catalogue(file: File) -> Catalogue:
    matrices, q, bins, steps = [], [], [], []
    for key in list_names(file, _ANALYSES):
        group = f"{_ANALYSES}/{key}"
        values = f"{group}/twotime/ttcf"
        if not holds(file, values):
            continue  # an analysis with g2 only
        axes = read_axes(file, values, f"{group}/twotime/age", f"{group}/twotime/lag")
        listed = factor_of("q", "1/nm") * read_numbers(file, f"{group}/parameters/q")
        n_bins = len(get_dataset(file, values))
        if listed.size != n_bins:
            raise InputError(
                f"{group} lists {listed.size} q, but {values} has {n_bins} matrices; write the file again."
            )
        matrices += [AgeLagMatrix(file, values, (k,), axes=axes) for k in range(n_bins)]
        bins += _pixels(file, f"{group}/roi_masks", n_bins)
        q, steps = [*q, *listed], [*steps, axes.step]
    phi, notes = _angles(bins, np.array(q))
    counts = np.array([one.counts[0] for one in bins]) if all(bins) else None
    frame_time = steps[0] if steps and np.allclose(steps, steps[0]) else None
    unknown = np.isnan(phi)
    return Catalogue(matrices, np.array(q), np.nan_to_num(phi), frame_time, None, notes, counts, unknown)


def _pixels(file: File, masks: str, n_bins: int) -> list[BinPixels | None]:
    """Pixels of each bin from the masks of an analysis; None where the file lacks them or the beam centre."""
    if not all(holds(file, path) for path in (masks, *_CENTRE)):
        return [None] * n_bins
    stack = get_dataset(file, masks)
    if stack.ndim != 3 or len(stack) != n_bins:
        raise InputError(f"{masks} has the shape {stack.shape}, which is no pixel map for each of {n_bins} bins.")
    column, row = (float(read_numbers(file, path)[0]) for path in _CENTRE)
    # Angles need only the centre. At a distance this large, q is proportional to the radius.
    geometry = Geometry(column, row, pixel_size=1.0, distance=1e6, energy=1.0)
    return [measure_pixels(stack[k] > 0, geometry, 1) for k in range(n_bins)]


def _angles(bins: list[BinPixels | None], q: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Angle of each bin [deg], and a note; NaN for whole rings, and where the angle is unknown."""
    directed = [one is not None and one.directed[0] and one.fold <= 2 for one in bins]
    scale = np.array(
        [one.q_centre[0] / value for one, value in zip(bins, q, strict=True) if one and one.counts[0] >= _FEW]
    )
    if scale.size and not np.ptp(scale) <= _RADIUS_ROOM * np.median(scale):
        note = (
            "The beam centre in the file does not fit its masks: the mean radius of their pixels is not in proportion to q "
            f"({scale.min() / np.median(scale):.2g} to {scale.max() / np.median(scale):.2g} times the usual). No angles were "
            "taken from them."
        )
        return np.full(q.size, np.nan), (note,)
    return np.array(
        [one.phi[0] if known else np.nan for one, known in zip(bins, directed, strict=True)], dtype=float
    ), ()


LAYOUT = Layout("esrf-id02", (_ANALYSES,), _catalogue)

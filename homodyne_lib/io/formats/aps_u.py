"""APS beamline 8-ID after its upgrade: a grid of bins in q and phi, and one half matrix a processed bin."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from homodyne_lib.io.correlations import Correlations
from homodyne_lib.io.formats.catalogue import (
    Catalogue,
    Layout,
    StoredMatrix,
    numbered_names,
    stated_frame_time,
)
from homodyne_lib.io.formats.pixel_map import (
    Geometry,
    count_pixels,
    measure_pixels,
    read_pixel_labels,
    settle_bins,
)
from homodyne_lib.io.formats.simulated import write_matrices
from homodyne_lib.io.formats.units import factor_of
from homodyne_lib.io.hdf5 import File, InputError, holds, read_numbers, read_texts
from homodyne_lib.io.hdf5_writing import create_hdf5, write_dataset

__all__ = ["APS_U", "LAYOUT", "write_aps_u"]

APS_U = {
    "q": "xpcs/qmap/dynamic_v_list_dim0",  # rows of the grid of bins: q [1/Å], unless axes and units say otherwise
    "phi": "xpcs/qmap/dynamic_v_list_dim1",  # columns of the grid of bins: phi [deg], unless they say otherwise
    "axes": "xpcs/qmap/map_names",  # of rows and columns
    "units": "xpcs/qmap/map_units",
    "places": "xpcs/qmap/dynamic_index_mapping",  # 0-based places in the grid of bins 1 ..., row by row
    "labels": "xpcs/qmap/dynamic_roi_map",  # bin of each pixel
    "mask": "xpcs/qmap/mask",  # false where a pixel is not used
    "bins": "xpcs/twotime/processed_bins",  # 1-based
    "matrices": "xpcs/twotime/correlation_map",  # c2_00001 ...: the n-th is of the n-th processed bin
    "frame_time": "entry/instrument/detector_1/frame_time",  # [s]
    "stride": "xpcs/twotime/config/stride_frame",
    "average": "xpcs/twotime/config/avg_frame",
}
# Path, and the values that instruments have; others are in another unit, or placeholders.
_GEOMETRY = {
    "column": ("xpcs/qmap/beam_center_x", -1e6, 1e6, "pixel"),
    "row": ("xpcs/qmap/beam_center_y", -1e6, 1e6, "pixel"),
    "pixel_size": ("xpcs/qmap/pixel_size", 1e-6, 1e-2, "m"),
    "distance": ("xpcs/qmap/detector_distance", 1e-3, 1e3, "m"),
    "energy": ("xpcs/qmap/energy", 0.1, 1e3, "keV"),
}
_SWING = ("entry/instrument/detector_1/flightpath_swing", "entry/instrument/detector_1/flightpath_swing_vertical")


def _catalogue(file: File) -> Catalogue:
    bins = read_numbers(file, APS_U["bins"])
    names = [*numbered_names(file, APS_U["matrices"], "c2_", "c2_00001").values()]
    if bins.size != len(names):
        raise InputError(
            f"{APS_U['bins']} lists {bins.size} bins but {APS_U['matrices']} holds {len(names)} matrices, "
            "so it is unknown which belongs to which; process the data again."
        )
    first, second = read_numbers(file, APS_U["q"]), read_numbers(file, APS_U["phi"])
    places = _places(file, first.size * second.size)
    n_bins = first.size * second.size if places is None else places.size
    outside = bins[~((bins >= 1) & (bins <= n_bins) & (bins == np.floor(bins)))]
    if outside.size:
        grid = f"{first.size} q times {second.size} phi" if places is None else f"the places in {APS_U['places']}"
        raise InputError(
            f"{APS_U['bins']} lists bin {outside[0]:g}, but {grid} make bins 1 to {n_bins}; process the data again."
        )
    chosen = bins.astype(np.int64) - 1
    row, column = np.divmod(np.arange(np.max(chosen, initial=0) + 1) if places is None else places, second.size)
    axes, factors = _axes(file)
    known = {axes[0]: factors[0] * first[row], axes[1]: factors[1] * second[column]}
    stated = (known["q"], known["phi"]) if {"q", "phi"} == set(known) else None
    q, phi, pixels, notes = _compared(file, stated, " and ".join(axes), chosen, row.size)
    matrices = [StoredMatrix(file, f"{APS_U['matrices']}/{name}") for name in names]
    return Catalogue(matrices, q[chosen], phi[chosen], stated_frame_time(file, APS_U), notes=notes, pixels=pixels)


def _places(file: File, size: int) -> np.ndarray | None:
    """Place of each bin in a grid of `size` places; None where the file does not list them, and bins are places."""
    if not holds(file, APS_U["places"]):
        return None
    places = read_numbers(file, APS_U["places"])
    wrong = places[~((places >= 0) & (places < size) & (places == np.floor(places)))]
    if wrong.size or np.unique(places).size < places.size:
        fault = f"place {wrong[0]:g}" if wrong.size else "a place twice"
        raise InputError(
            f"{APS_U['places']} holds {fault} in a grid of places 0 to {size - 1}; process the data again."
        )
    return places.astype(np.int64)


def _axes(file: File) -> tuple[list[str], list[float]]:
    """Names of the axes of the grid, and factors from their units to those of the record."""
    axes = (
        [name.strip().lower() for name in read_texts(file, APS_U["axes"])]
        if holds(file, APS_U["axes"])
        else ["q", "phi"]
    )
    units = read_texts(file, APS_U["units"]) if holds(file, APS_U["units"]) else ["", ""]
    if len(axes) != 2 or len(units) != 2 or axes[0] == axes[1]:
        raise InputError(
            f"{APS_U['axes']} and {APS_U['units']} must name two axes and their units, but hold {', '.join(axes)} and "
            f"{', '.join(filter(None, units)) or 'nothing'}; process the data again."
        )
    # Axes of another name are not used.
    return axes, [
        factor_of(name, unit) if name in ("q", "phi") else 1.0 for name, unit in zip(axes, units, strict=True)
    ]


def _compared(
    file: File, stated: tuple[np.ndarray, np.ndarray] | None, axes: str, chosen: np.ndarray, n_bins: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Compare lists with pixels: q and phi of all bins, number of pixels of the chosen ones, and notes."""
    labels = read_pixel_labels(file, APS_U["labels"], APS_U["mask"])
    if labels is None and stated is None:
        _refuse(axes, APS_U["labels"])
    if labels is None:
        return *stated, None, ()
    counts = count_pixels(labels, n_bins)
    empty = chosen[counts[chosen] == 0]
    if empty.size:
        raise InputError(
            f"{APS_U['labels']} has no pixel of bin {empty[0] + 1}, which {APS_U['bins']} lists; process the data again."
        )
    values = {name: float(read_numbers(file, path)[0]) for name, (path, *_) in _GEOMETRY.items() if holds(file, path)}
    missing = [path for name, (path, *_) in _GEOMETRY.items() if name not in values]
    if missing and stated is None:
        _refuse(axes, ", ".join(missing))
    if missing:
        return *stated, counts[chosen], ()
    odd = _odd(values)
    if odd and stated is None:
        raise InputError(f"{APS_U['axes']} gives a grid in {axes}, which states no q and phi, and {odd}; correct it.")
    if odd:
        return (
            *stated,
            counts[chosen],
            (f"The lists of q and phi in the file were not compared with its pixels: {odd}.",),
        )
    swing = max((float(read_numbers(file, path)[0]) for path in _SWING if holds(file, path)), key=abs, default=0.0)
    pixels = measure_pixels(labels, Geometry(**values, swing=swing), n_bins)
    q, phi, notes = settle_bins(stated, axes, pixels)
    return q, phi, counts[chosen], notes


def _odd(values: Mapping[str, float]) -> str:
    """Name a value of the geometry that is impossible; empty where all are possible."""
    for name, (path, low, high, unit) in _GEOMETRY.items():
        if not low <= values[name] <= high:
            return f"{path} is {values[name]:g} {unit}, outside {low:g} to {high:g} {unit}"
    return ""


def _refuse(axes: str, missing: str) -> None:
    raise InputError(
        f"{APS_U['axes']} gives a grid in {axes}, which states no q and phi, and those of the pixels are unknown without "
        f"{missing}; process the data with a map in q and phi."
    )


LAYOUT = Layout("aps-u", tuple(APS_U[key] for key in ("q", "phi", "bins", "matrices")), _catalogue)


def write_aps_u(
    path: str | os.PathLike, correlations: Correlations, *, attributes: Mapping[str, object] | None = None
) -> None:
    """Write a file of the layout "aps-u"; parameters as in ``io.formats.aps_legacy.write_aps_legacy``.

    Raises
    ------
    InputError
        When frames are missing, or the bins are no grid of q and phi.
    """
    n_bins, n_t = correlations.raw_diagonal.shape
    groups = correlations.bins.groups
    phi = [correlations.phi[group] for group in groups]
    if correlations.bins.n_repeats > 1 or not all(np.array_equal(one, phi[0]) for one in phi):
        raise InputError(
            "the layout aps-u has a grid of q and phi of one file; write other bins with write_correlations."
        )
    with create_hdf5(path) as file:
        write_dataset(file, APS_U["q"], np.array([correlations.q[group[0]] for group in groups]), "Å⁻¹")
        write_dataset(file, APS_U["phi"], phi[0], "deg")
        write_dataset(file, APS_U["bins"], np.arange(1, n_bins + 1))
        write_matrices(file, APS_U, "c2", (), correlations, attributes, {"compression": "lzf", "chunks": (n_t, n_t)})

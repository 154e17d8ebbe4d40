"""Layouts of two-time files: APS beamline 8-ID before ("aps-legacy") and after ("aps-u") its upgrade.

Both store one half matrix a (q, phi) bin, the upper triangle with its full diagonal; they list the bins in
different ways.  A :class:`Catalogue` is what they, and the canonical file, have in common.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from homodyne_lib.data import CANONICAL, CANONICAL_OPTIONAL, Correlations, read_header
from homodyne_lib.hdf5 import (
    GZIP,
    File,
    InputError,
    create_hdf5,
    list_names,
    open_hdf5,
    read_numbers,
    write_dataset,
)

__all__ = [
    "APS_LEGACY",
    "APS_U",
    "FORMATS",
    "TRUTH",
    "Catalogue",
    "open_catalogue",
    "read_truth",
    "write_aps_legacy",
    "write_aps_u",
]

FORMATS = ("auto", "aps-legacy", "aps-u", "canonical", "speckle-sim")

APS_LEGACY = {
    "q": "xpcs/dqlist",  # one a bin [1/Å]
    "phi": "xpcs/dphilist",  # one a bin [deg]
    "matrices": "exchange/C2T_all",  # g2_00001 ...: the number is the bin
    "frame_time": "measurement/instrument/detector/exposure_period",  # [s]
    "stride": "xpcs/stride_frames",
    "average": "xpcs/avg_frames",
}
APS_U = {
    "q": "xpcs/qmap/dynamic_v_list_dim0",  # rows of the grid of bins [1/Å]
    "phi": "xpcs/qmap/dynamic_v_list_dim1",  # columns of the grid of bins [deg]
    "bins": "xpcs/twotime/processed_bins",  # 1-based places in the grid, row by row
    "matrices": "xpcs/twotime/correlation_map",  # c2_00001 ...: the n-th is of the n-th processed bin
    "frame_time": "entry/instrument/detector_1/frame_time",  # [s]
    "stride": "xpcs/twotime/config/stride_frame",
    "average": "xpcs/twotime/config/avg_frame",
}
TRUTH = "simulation"  # group whose attributes hold the truth of a simulated file


@dataclass(frozen=True)
class Catalogue:
    """What a file offers, one entry a bin; no matrix is read yet.

    Parameters
    ----------
    places : tuple of (str, tuple of int)
        Data set and leading index of each matrix, length n_bins.
    q, phi : numpy.ndarray
        Wavevector [1/Å] and angle [deg] of each bin, shape (n_bins,).
    frame_time : float or None
        Time between rows of a matrix [s], where the file states it.
    header : mapping, optional
        All fields but c2, where the file is canonical.
    notes : tuple of str
        Notes that the file carries.
    """

    places: tuple[tuple[str, tuple[int, ...]], ...]
    q: np.ndarray
    phi: np.ndarray
    frame_time: float | None
    header: Mapping[str, object] | None = None
    notes: tuple[str, ...] = ()


def _stated_frame_time(file: File, layout: Mapping[str, str]) -> float | None:
    """Frame time x stride x average [s]; None where the file has no sensible one."""
    if layout["frame_time"] not in file:
        return None
    steps = [read_numbers(file, layout[key])[0] for key in ("stride", "average") if layout[key] in file]
    stated = read_numbers(file, layout["frame_time"])[0] * np.prod(steps)
    return float(stated) if 0 < stated < np.inf else None


def _catalogue_legacy(file: File) -> Catalogue:
    q, phi = read_numbers(file, APS_LEGACY["q"]), read_numbers(file, APS_LEGACY["phi"])
    if q.size != phi.size:
        raise InputError(f"{APS_LEGACY['q']} lists {q.size} bins, {APS_LEGACY['phi']} lists {phi.size}; repair them.")
    places, bins = [], []
    for name in list_names(file, APS_LEGACY["matrices"]):
        number = re.fullmatch(r"g2_(\d+)", name)
        path = f"{APS_LEGACY['matrices']}/{name}"
        if number is None or not 1 <= int(number[1]) <= q.size:
            raise InputError(f"{path} is not named after one of the {q.size} bins listed, as g2_00001 is; rename it.")
        places.append((path, ()))
        bins.append(int(number[1]) - 1)
    return Catalogue(tuple(places), q[bins], phi[bins], _stated_frame_time(file, APS_LEGACY))


def _catalogue_aps_u(file: File) -> Catalogue:
    q, phi = read_numbers(file, APS_U["q"]), read_numbers(file, APS_U["phi"])
    bins = read_numbers(file, APS_U["bins"])
    names = list_names(file, APS_U["matrices"])
    if bins.size != len(names):
        raise InputError(
            f"{APS_U['bins']} lists {bins.size} bins but {APS_U['matrices']} holds {len(names)} matrices, "
            "so it is unknown which belongs to which; process the data again."
        )
    outside = bins[~np.isin(bins, np.arange(1, q.size * phi.size + 1))]
    if outside.size:
        raise InputError(
            f"{APS_U['bins']} lists bin {outside[0]:g}, but {q.size} q times {phi.size} phi make bins 1 to "
            f"{q.size * phi.size}; process the data again."
        )
    row, column = np.divmod(bins.astype(np.int64) - 1, phi.size)
    places = tuple((f"{APS_U['matrices']}/{name}", ()) for name in names)
    return Catalogue(places, q[row], phi[column], _stated_frame_time(file, APS_U))


def _catalogue_canonical(file: File) -> Catalogue:
    header = read_header(file)
    phi = header["phi"]
    places = tuple(("c2", (k,)) for k in range(phi.size))
    return Catalogue(places, np.full(phi.size, header["q"]), phi, header["dt"], header, header["notes"])


# Layout -> how to list its bins, and the keys by which it is known.
_LAYOUTS: dict[str, tuple[Callable[[File], Catalogue], list[str]]] = {
    "canonical": (_catalogue_canonical, [name for name in CANONICAL if name not in CANONICAL_OPTIONAL]),
    "aps-u": (_catalogue_aps_u, [APS_U[key] for key in ("q", "phi", "bins", "matrices")]),
    "aps-legacy": (_catalogue_legacy, [APS_LEGACY[key] for key in ("q", "phi", "matrices")]),
}


def open_catalogue(file: File, format: str) -> Catalogue:
    """List the bins of an open file.

    Parameters
    ----------
    file : h5py.File
        Open file.
    format : str
        One of `FORMATS`; ``auto`` is the layout whose keys are all there, ``speckle-sim`` is ``aps-legacy``.

    Returns
    -------
    Catalogue
        At least one bin.

    Raises
    ------
    InputError
        When the format is unknown, its keys are missing, or its lists contradict each other.
    """
    if format not in FORMATS:
        raise InputError(f"the format {format!r} is unknown; choose one of {', '.join(FORMATS)}.")
    fitting = [layout for layout, (_, keys) in _LAYOUTS.items() if all(key in file for key in keys)]
    asked = "aps-legacy" if format == "speckle-sim" else format
    if format == "auto" and fitting:
        asked = fitting[0]
    if asked not in fitting:
        wanted = _LAYOUTS if format == "auto" else [asked]
        keys = "; ".join(f"{layout}: {', '.join(_LAYOUTS[layout][1])}" for layout in wanted)
        found = f"has the layout {fitting[0]}" if fitting else f"holds {', '.join(sorted(file)) or 'nothing'}"
        raise InputError(f"no two-time data of the format {format} (looked for {keys}); the file {found}.")
    catalogue = _LAYOUTS[asked][0](file)
    if not catalogue.places:
        raise InputError(f"the file has the layout {asked} but no two-time matrix; process it in two-time mode.")
    return catalogue


def write_aps_legacy(
    path: str | os.PathLike, correlations: Correlations, *, attributes: Mapping[str, object] | None = None
) -> None:
    """Write a file of the layout "aps-legacy".

    Parameters
    ----------
    path : path-like
        File to write or replace.
    correlations : Correlations
        Record to write; the diagonal in the file is the raw one.
    attributes : mapping, optional
        Truth of a simulation, kept as attributes (numbers, strings, lists of one kind) of the group `TRUTH`.
    """
    n_phi = correlations.phi.size
    with create_hdf5(path) as file:
        write_dataset(file, APS_LEGACY["q"], np.full((1, n_phi), correlations.q), "1/Å")
        write_dataset(file, APS_LEGACY["phi"], correlations.phi[None, :], "deg")
        _write_rest(file, APS_LEGACY, "g2", (1, 1), correlations, attributes, GZIP)


def write_aps_u(
    path: str | os.PathLike, correlations: Correlations, *, attributes: Mapping[str, object] | None = None
) -> None:
    """Write a file of the layout "aps-u"; parameters as in :func:`write_aps_legacy`."""
    n_phi, n_t = correlations.raw_diagonal.shape
    with create_hdf5(path) as file:
        write_dataset(file, APS_U["q"], np.array([correlations.q]), "Å⁻¹")
        write_dataset(file, APS_U["phi"], correlations.phi, "deg")
        write_dataset(file, APS_U["bins"], np.arange(1, n_phi + 1))
        _write_rest(file, APS_U, "c2", (), correlations, attributes, {"compression": "lzf", "chunks": (n_t, n_t)})


def _write_rest(
    file: File,
    layout: Mapping[str, str],
    prefix: str,
    scalar_shape: tuple[int, ...],
    correlations: Correlations,
    attributes: Mapping[str, object] | None,
    options: Mapping[str, object],
) -> None:
    """Half matrices, frame time and truth, which the two layouts write alike."""
    for k, (c2, raw_diagonal) in enumerate(zip(correlations.c2, correlations.raw_diagonal, strict=True), start=1):
        half = np.triu(c2)
        np.fill_diagonal(half, raw_diagonal)
        write_dataset(file, f"{layout['matrices']}/{prefix}_{k:05d}", half, **options)
    write_dataset(file, layout["frame_time"], np.full(scalar_shape, correlations.dt), "s")
    for key in ("stride", "average"):
        write_dataset(file, layout[key], np.ones(scalar_shape, dtype=np.int64))
    if attributes is not None:
        file.create_group(TRUTH).attrs.update(attributes)


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
        if TRUTH not in file:
            return None
        attributes = dict(file[TRUTH].attrs)
    return {name: value.tolist() if hasattr(value, "tolist") else value for name, value in attributes.items()}

"""From a measured two-time file to the record: choose bins and frames, read them, complete and check them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from homodyne_lib.aps_formats import Catalogue, open_catalogue
from homodyne_lib.data import Correlations
from homodyne_lib.hdf5 import File, InputError, file_sha256, get_dataset, open_hdf5
from homodyne_lib.selection import normalise_phi, select_bins, select_frames

__all__ = ["read_two_time", "two_time_shape"]

_DT_TOLERANCE = 0.01  # relative difference from the file's own frame time above which the reader is told
_SYMMETRY = 1e-5  # relative; float32 sums of thousands of products differ by 1e-6 between the two triangles


def read_two_time(
    path: str | os.PathLike,
    *,
    format: str = "auto",
    wavevector_q: float,
    q_tolerance: float = 0.02,
    phi_ranges: Sequence[Sequence[float]] = (),
    dt: float,
    start_frame: int = 1,
    end_frame: int = -1,
    stator_rotor_gap: float | None = None,
) -> Correlations:
    """Read the two-time matrices at one wavevector, in some angles and a window of frames.

    Parameters
    ----------
    path : path-like
        HDF5 file.
    format : str
        One of :data:`homodyne_lib.aps_formats.FORMATS`.
    wavevector_q : float
        Wanted wavevector [1/Å]; the record carries the mean over the bins that were chosen.
    q_tolerance : float
        Largest relative distance of a bin's q from it.
    phi_ranges : sequence of (min, max)
        Wanted angles, see :func:`homodyne_lib.selection.in_phi_ranges` [deg].
    dt : float
        Time between neighbouring rows of a matrix; what the file states is only compared with it [s].
    start_frame, end_frame : int
        First and last row of the matrices, 1-based and inclusive; an end of -1 is the last.
    stator_rotor_gap : float, optional
        Gap of the shear cell [Å].

    Returns
    -------
    Correlations
        The chosen bins and window.  From a canonical file, frame numbers, raw diagonal and noise are carried
        over; else frames count the rows, the raw diagonal is that of c2, and there is no noise yet.

    Raises
    ------
    InputError
        When the file, the selection or the values cannot be used.
    """
    with open_hdf5(path) as file:
        catalogue = open_catalogue(file, format)
        chosen, window, notes = _select(file, catalogue, wavevector_q, q_tolerance, phi_ranges, start_frame, end_frame)
        c2 = _read_matrices(file, [catalogue.places[k] for k in chosen], window)
        record = Correlations(
            c2=c2,
            phi=normalise_phi(catalogue.phi[chosen]),
            q=_mean(catalogue.q[chosen]),
            dt=dt,
            stator_rotor_gap=stator_rotor_gap,
            source=Path(path).name,
            source_sha256=file_sha256(path),
            **_carried_over(catalogue.header, c2, chosen, window),
            notes=(*catalogue.notes, *notes, *_compare_dt(dt, catalogue.frame_time)),
        )
        _check_values(record)
    return record


def two_time_shape(
    path: str | os.PathLike,
    *,
    format: str = "auto",
    wavevector_q: float,
    q_tolerance: float = 0.02,
    phi_ranges: Sequence[Sequence[float]] = (),
    start_frame: int = 1,
    end_frame: int = -1,
) -> tuple[int, int]:
    """Numbers of angles and frames that :func:`read_two_time` would return, without reading a matrix.

    Parameters and errors are those of :func:`read_two_time`.

    Returns
    -------
    tuple of int
        (n_phi, n_t).
    """
    with open_hdf5(path) as file:
        catalogue = open_catalogue(file, format)
        chosen, window, _ = _select(file, catalogue, wavevector_q, q_tolerance, phi_ranges, start_frame, end_frame)
    return len(chosen), window.stop - window.start


def _select(
    file: File,
    catalogue: Catalogue,
    wavevector_q: float,
    q_tolerance: float,
    phi_ranges: Sequence[Sequence[float]],
    start_frame: int,
    end_frame: int,
) -> tuple[np.ndarray, slice, tuple[str, ...]]:
    """Choose the bins, the window of their rows, and what to note."""
    chosen, notes = select_bins(
        catalogue.q, catalogue.phi, wavevector_q=wavevector_q, q_tolerance=q_tolerance, phi_ranges=phi_ranges
    )
    places = [catalogue.places[k] for k in chosen]
    side = get_dataset(file, places[0][0]).shape[-1:]
    for path, index in places:
        shape = get_dataset(file, path).shape[len(index) :]
        if len(shape) != 2 or shape != 2 * side:
            raise InputError(f"{path} has the shape {shape}; the matrices must be square and of one size.")
    return chosen, select_frames(*side, start_frame, end_frame), notes


def _read_matrices(file: File, places: Sequence[tuple[str, tuple[int, ...]]], window: slice) -> np.ndarray:
    """Read and complete the window of each matrix, one at a time, shape (n_phi, n_t, n_t)."""
    n_t = window.stop - window.start
    precision = np.result_type(np.float32, *(get_dataset(file, path).dtype for path, _ in places))
    c2 = np.empty((len(places), n_t, n_t), dtype=precision)
    for full, (path, index) in zip(c2, places, strict=True):
        full[:] = _complete(get_dataset(file, path)[(*index, window, window)], path)
    return c2


def _complete(block: np.ndarray, path: str) -> np.ndarray:
    """Full symmetric matrix from either half, or from one that is full already."""
    upper, lower = np.triu(block, 1), np.tril(block, -1).T
    if not lower.any() or np.allclose(upper, lower, rtol=_SYMMETRY, atol=0, equal_nan=True):
        half = upper
    elif not upper.any():
        half = lower
    else:
        raise InputError(f"{path} is neither a half matrix nor symmetric; this is no two-time correlation function.")
    full = half + half.T
    np.fill_diagonal(full, np.diagonal(block))
    return full


def _mean(q: np.ndarray) -> float:
    """Mean that returns equal values bit for bit."""
    return float(q[0] + np.mean(q - q[0]))


def _carried_over(
    header: Mapping[str, object] | None, c2: np.ndarray, chosen: np.ndarray, window: slice
) -> dict[str, np.ndarray | None]:
    """Frame numbers, raw diagonal and noise: those of a canonical file, or what a measured file implies."""
    if header is None:
        return {
            "frames": np.arange(window.start + 1, window.stop + 1, dtype=np.int64),
            "raw_diagonal": np.diagonal(c2, axis1=1, axis2=2).copy(),
            "sigma": None,
        }
    sigma = header["sigma"]
    return {
        "frames": header["frames"][window],
        "raw_diagonal": header["raw_diagonal"][chosen, window],
        "sigma": None if sigma is None else sigma[chosen],
    }


def _check_values(record: Correlations) -> None:
    """Refuse values that are not finite, and values off the diagonal that are not positive."""
    count, first = 0, ""
    for phi, matrix, raw_diagonal in zip(record.phi, record.c2, record.raw_diagonal, strict=True):
        bad = np.triu(~np.isfinite(matrix)) | np.triu(matrix <= 0, 1) | np.diag(~np.isfinite(raw_diagonal))
        if bad.any() and not count:
            i, j = np.argwhere(bad)[0]
            value = raw_diagonal[i] if i == j else matrix[i, j]
            first = f"{value:g} at phi = {phi:.4g} deg, frames {record.frames[i]} and {record.frames[j]}"
        count += np.count_nonzero(bad)
    if count:
        n_phi, n_t = record.raw_diagonal.shape
        raise InputError(
            f"{count} of {n_phi * n_t * (n_t + 1) // 2} values of c2 in the selection are not finite or not "
            f"positive, the first is {first}; choose frames or angles without them."
        )


def _compare_dt(dt: float, stated: float | None) -> tuple[str, ...]:
    """Note when the file states another frame time than `dt` [s]."""
    if stated is None or abs(dt - stated) <= _DT_TOLERANCE * stated:
        return ()
    return (f"dt = {dt:g} s was used as configured, but the file states a frame time of {stated:g} s.",)

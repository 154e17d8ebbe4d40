"""From a measured two-time file to the record: choose bins and frames, read them, complete and check them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from homodyne_lib.io.bin_selection import normalise_phi, select_bins
from homodyne_lib.io.completion import (
    check_values,
    complete_matrix,
    filled_diagonals,
    frames_with_values,
    value_notes,
)
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.io.formats.catalogue import Catalogue, Matrix
from homodyne_lib.io.formats.registry import open_catalogue
from homodyne_lib.io.frame_selection import select_frames
from homodyne_lib.io.input_files import InputError, file_sha256
from homodyne_lib.model.frames import frame_offsets

__all__ = ["read_two_time", "two_time_headers"]

_DT_TOLERANCE = 0.01  # relative difference from the frame time of the file above which a note is written


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
    bad_frames: Sequence[tuple[int, int]] = (),
    stator_rotor_gap: float | None = None,
) -> Correlations:
    """Read the two-time matrices at one wavevector, in some angles and a window of frames.

    Frames whose rows are 0 or not finite throughout are left out automatically, and a note names them.

    Parameters
    ----------
    path : path-like
        File of one of the layouts.
    format : str
        One of :data:`homodyne_lib.io.formats.registry.FORMATS`.
    wavevector_q : float
        Wanted wavevector [1/Å]; the record carries the mean over the bins that were chosen.
    q_tolerance : float
        Largest relative distance of a bin's q from it.
    phi_ranges : sequence of (min, max)
        Wanted angles, see :func:`homodyne_lib.io.bin_selection.in_phi_ranges` [deg].
    dt : float
        Time between consecutive frames; what the file states is only compared with it [s].
    start_frame, end_frame : int
        First and last frame, inclusive; an end of -1 is the last. Frames are counted from 1 at the first one of the file,
        in a canonical file with those that are missing there.
    bad_frames : sequence of (int, int)
        First and last frame of each range to leave out, counted alike.
    stator_rotor_gap : float, optional
        Gap of the shear cell; with one, bins without a direction are refused [Å].

    Returns
    -------
    Correlations
        The chosen bins and frames.  From a canonical file, frame numbers, raw diagonal and noise are carried over; else
        frames count the rows, and there is no noise yet.  Where a diagonal is not finite throughout, `raw_diagonal` is NaN
        and that of `c2` is the mean of its neighbours.

    Raises
    ------
    InputError
        When the file, the selection or the values cannot be used.
    """
    with open_catalogue(path, format) as offered:
        catalogue = offered.at(wavevector_q)
        flow = stator_rotor_gap is not None
        chosen, notes = _select_bins(catalogue, wavevector_q, q_tolerance, phi_ranges, flow)
        matrices = [catalogue.matrices[k] for k in chosen]
        rows, numbers = _select_rows(catalogue, matrices[0], start_frame, end_frame, bad_frames)
        c2 = _read_matrices(matrices, rows)
        phi = normalise_phi(catalogue.phi[chosen])
        kept, lost = frames_with_values(c2, phi, numbers)
        if lost:
            c2, rows = np.stack([matrix[np.ix_(kept, kept)] for matrix in c2]), rows[kept]
        record = Correlations(
            c2=c2,
            phi=phi,
            q=_mean(catalogue.q[chosen]),
            dt=dt,
            stator_rotor_gap=stator_rotor_gap,
            source=Path(path).name,
            source_sha256=file_sha256(path),
            **_carried_over(catalogue.header, c2, chosen, rows),
            notes=(*catalogue.notes, *notes, *lost, *_compare_dt(dt, catalogue.frame_time)),
            pixels=None if catalogue.pixels is None else catalogue.pixels[chosen],
        )
        check_values(record)
    return replace(record, notes=tuple(dict.fromkeys([*record.notes, *value_notes(record)])))


def two_time_headers(
    path: str | os.PathLike,
    *,
    format: str = "auto",
    wavevector_q: float,
    q_tolerance: float = 0.02,
    phi_ranges: Sequence[Sequence[float]] = (),
    start_frame: int = 1,
    end_frame: int = -1,
    bad_frames: Sequence[tuple[int, int]] = (),
    dt: float | None = None,
) -> tuple[tuple[int, int], tuple[str, ...]]:
    """The shape and notes that :func:`read_two_time` would return, from the headers alone.

    Frames without values can only be found in the matrices, and are counted here.  Parameters and errors are those of
    :func:`read_two_time`.

    Returns
    -------
    shape : tuple of int
        Numbers of angles and frames, (n_phi, n_t).
    notes : tuple of str
        At most one sentence, where the file states another time between frames than `dt`.
    """
    with open_catalogue(path, format) as offered:
        catalogue = offered.at(wavevector_q)
        chosen, _ = _select_bins(catalogue, wavevector_q, q_tolerance, phi_ranges)
        rows, _ = _select_rows(catalogue, catalogue.matrices[chosen[0]], start_frame, end_frame, bad_frames)
    return (len(chosen), len(rows)), () if dt is None else _compare_dt(dt, catalogue.frame_time)


def _select_bins(
    catalogue: Catalogue,
    wavevector_q: float,
    q_tolerance: float,
    phi_ranges: Sequence[Sequence[float]],
    flow: bool = False,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Choose the bins, and notes about them; their matrices are square and of one size."""
    wanted = {"wavevector_q": wavevector_q, "q_tolerance": q_tolerance, "phi_ranges": phi_ranges}
    try:
        chosen, notes = select_bins(catalogue.q, catalogue.phi, **wanted, undirected=catalogue.undirected, flow=flow)
    except InputError as error:
        if catalogue.header is not None or not catalogue.notes:
            raise
        # Why q and phi are not those that the lists of the file state.
        raise InputError(" ".join([str(error), *catalogue.notes])) from None
    matrices = [catalogue.matrices[k] for k in chosen]
    side = matrices[0].shape[-1:]
    names: dict[tuple[object, ...], str] = {}
    for matrix in matrices:
        if matrix.place in names:
            raise InputError(
                f"{names[matrix.place]} and {matrix.name} are two names of one matrix, so that it is unknown to which angle "
                "it belongs; process the data again."
            )
        names[matrix.place] = matrix.name
        if len(matrix.shape) != 2 or matrix.shape != 2 * side:
            raise InputError(
                f"{matrix.name} has the shape {matrix.shape}; the matrices must be square and of one size."
            )
    return chosen, notes


def _select_rows(
    catalogue: Catalogue, matrix: Matrix, start_frame: int, end_frame: int, bad_frames: Sequence[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the frames: their rows of the matrices, from 0, and their numbers as the table counts them, shape (n_t,)."""
    if catalogue.header is None:
        rows = select_frames(range(1, matrix.shape[-1] + 1), start_frame, end_frame, bad_frames)
        return rows, rows + 1
    numbers = frame_offsets(catalogue.header["frames"]) + 1
    rows = select_frames(numbers, start_frame, end_frame, bad_frames)
    return rows, numbers[rows]


def _read_matrices(matrices: Sequence[Matrix], rows: np.ndarray) -> np.ndarray:
    """Read and complete the chosen rows and columns of each matrix, one at a time, shape (n_phi, n_t, n_t)."""
    window, within = slice(rows[0], rows[-1] + 1), rows - rows[0]
    precision = np.result_type(np.float32, *(matrix.dtype for matrix in matrices))
    c2 = np.empty((len(matrices), rows.size, rows.size), dtype=precision)
    for full, matrix in zip(c2, matrices, strict=True):
        block = matrix.read(window)
        full[:] = complete_matrix(block[np.ix_(within, within)] if rows.size < len(block) else block, matrix.name)
    return c2


def _mean(q: np.ndarray) -> float:
    """Mean; that of equal values is exactly this value."""
    return float(q[0] + np.mean(q - q[0]))


def _carried_over(
    header: Mapping[str, object] | None, c2: np.ndarray, chosen: np.ndarray, rows: np.ndarray
) -> dict[str, np.ndarray | None]:
    """Frame numbers, raw diagonal and noise: from a canonical file, or as they follow from a measured one."""
    frames = rows + 1 if header is None else header["frames"][rows]
    raw_diagonal = filled_diagonals(c2, frames)
    if header is None:
        return {"frames": frames, "raw_diagonal": raw_diagonal, "sigma": None}
    sigma = header["sigma"]
    return {
        "frames": frames,
        "raw_diagonal": header["raw_diagonal"][np.ix_(chosen, rows)],
        "sigma": None if sigma is None else sigma[chosen],
    }


def _compare_dt(dt: float, stated: float | None) -> tuple[str, ...]:
    """Note when the file states another frame time than `dt` [s]."""
    if stated is None or abs(dt - stated) <= _DT_TOLERANCE * stated:
        return ()
    return (f"dt = {dt:g} s was used as configured, but the file states a frame time of {stated:g} s.",)

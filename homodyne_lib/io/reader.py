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
from homodyne_lib.io.repeats import Header, compare_dt, compare_gap, joined, paths_of, require_alike
from homodyne_lib.io.wavevectors import Wavevectors, rings_wanted
from homodyne_lib.model.bins import Bins

__all__ = ["read_two_time", "two_time_headers"]


def read_two_time(
    path: str | os.PathLike | Sequence[str | os.PathLike],
    *,
    format: str = "auto",
    wavevector_q: Wavevectors,
    q_tolerance: float = 0.02,
    phi_ranges: Sequence[Sequence[float]] = (),
    dt: float,
    start_frame: int = 1,
    end_frame: int = -1,
    bad_frames: Sequence[tuple[int, int]] = (),
    stator_rotor_gap: float | None = None,
) -> Correlations:
    """Read the two-time matrices at one wavevector or several, in some angles and a window of frames.

    Frames whose rows are 0 or not finite throughout are left out automatically, and a note names them.

    Parameters
    ----------
    path : path-like or sequence of path-like
        File of one of the layouts, or files of repeats.
    format : str
        One of :data:`homodyne_lib.io.formats.registry.FORMATS`.
    wavevector_q : float or sequence of float or (float, float)
        Wanted wavevectors, and ranges of them; bins of the record carry the mean over those of their ring [1/Å].
    q_tolerance : float
        Largest relative distance of a bin's q from it.
    phi_ranges : sequence of (min, max)
        Wanted angles, see :func:`homodyne_lib.io.bin_selection.in_phi_ranges` [deg].
    dt : float
        Time between consecutive frames; what the file states is only compared with it [s].
    start_frame, end_frame : int
        First and last frame, inclusive; an end of -1 is the last. Frames are counted from 1 at the first one of the file; in
        a canonical file they are its frame numbers.
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
        When a file, the selection or the values cannot be used, or repeats do not fit together.
    """
    wanted = {"wavevector_q": wavevector_q, "q_tolerance": q_tolerance, "phi_ranges": phi_ranges}
    frames = start_frame, end_frame, bad_frames
    paths = paths_of(path)
    if len(paths) > 1:
        require_alike(paths, [_header(each, format, wanted, frames) for each in paths])
    records = [_read_file(each, format, wanted, frames, dt, stator_rotor_gap) for each in paths]
    record = records[0] if len(records) == 1 else joined(records)
    return replace(record, notes=tuple(dict.fromkeys([*record.notes, *value_notes(record)])))


def _read_file(path, format, wanted, frames, dt, stator_rotor_gap) -> Correlations:
    """Record of one file, without notes on its values."""
    with open_catalogue(path, format) as offered:
        groups, catalogue, notes = _select_groups(offered, wanted, stator_rotor_gap is not None)
        gap = None if catalogue.header is None else catalogue.header["stator_rotor_gap"]
        stated = compare_dt(dt, catalogue.frame_time) + compare_gap(stator_rotor_gap, gap)
        chosen = np.concatenate(groups)
        matrices = [catalogue.matrices[k] for k in chosen]
        rows, numbers = _select_rows(catalogue, matrices[0], *frames)
        c2 = _read_matrices(matrices, rows)
        phi = normalise_phi(catalogue.phi[chosen])
        bins = Bins.of(phi, np.repeat([_mean(catalogue.q[group]) for group in groups], [*map(len, groups)]))
        kept, lost = frames_with_values(c2, bins, numbers)
        if lost:
            c2, rows = np.stack([matrix[np.ix_(kept, kept)] for matrix in c2]), rows[kept]
        record = Correlations(
            c2=c2,
            phi=phi,
            q=bins.q,
            dt=dt,
            stator_rotor_gap=stator_rotor_gap,
            source=Path(path).name,
            source_sha256=file_sha256(path),
            **_carried_over(catalogue.header, c2, chosen, rows),
            notes=(*catalogue.notes, *notes, *lost, *stated),
            pixels=None if catalogue.pixels is None else catalogue.pixels[chosen],
            sample=catalogue.sample,
        )
        check_values(record)
    return record


def two_time_headers(
    path: str | os.PathLike | Sequence[str | os.PathLike],
    *,
    format: str = "auto",
    wavevector_q: Wavevectors,
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
        Numbers of bins and frames, (n_bins, n_t).
    notes : tuple of str
        At most one sentence a file, where it states another time between frames than `dt`.
    """
    wanted = {"wavevector_q": wavevector_q, "q_tolerance": q_tolerance, "phi_ranges": phi_ranges}
    paths = paths_of(path)
    headers = [_header(each, format, wanted, (start_frame, end_frame, bad_frames)) for each in paths]
    require_alike(paths, headers)
    notes = () if dt is None else tuple(note for header in headers for note in compare_dt(dt, header.frame_time))
    return (sum(header.n_bins for header in headers), len(headers[0].frames)), tuple(dict.fromkeys(notes))


def _header(path, format, wanted, frames) -> Header:
    """What of a file a plan can know."""
    with open_catalogue(path, format) as offered:
        groups, catalogue, _ = _select_groups(offered, wanted)
        _, numbers = _select_rows(catalogue, catalogue.matrices[groups[0][0]], *frames)
        rings = tuple(_mean(catalogue.q[group]) for group in groups)
    return Header(rings, sum(map(len, groups)), numbers, catalogue.frame_time)


def _select_groups(
    offered: Catalogue, wanted: Mapping[str, object], flow: bool = False
) -> tuple[list[np.ndarray], Catalogue, tuple[str, ...]]:
    """Choose the bins of each wavevector that is wanted, by ascending q, with the catalogue that has these and notes."""
    if offered.header is not None and np.any(offered.header["repeat"] > 0):
        raise InputError("this record holds several repeats; give the files that it was made from.")
    rings = rings_wanted(wanted["wavevector_q"], offered.q, wanted["q_tolerance"])
    catalogue = offered.at(rings[0])
    groups, notes = [], []
    for ring in rings:
        chosen, about = _select_bins(catalogue, ring, wanted["q_tolerance"], wanted["phi_ranges"], flow)
        groups.append(chosen)
        notes += about
    every = np.concatenate(groups)
    if np.unique(every).size < every.size:
        raise InputError(
            f"the wavevectors {', '.join(f'{ring:.4g}' for ring in rings)} 1/Å have bins in common; narrow q_tolerance, or "
            "leave one of them out."
        )
    sizes = {catalogue.matrices[group[0]].shape[-1] for group in groups}
    if len(sizes) > 1:
        raise InputError(
            f"the matrices of different q have {' and '.join(map(str, sorted(sizes)))} frames; choose one q."
        )
    return groups, catalogue, tuple(notes)


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
    """Choose the frames: their rows of the matrices, from 0, and their numbers, shape (n_t,)."""
    if catalogue.header is None:
        rows = select_frames(range(1, matrix.shape[-1] + 1), start_frame, end_frame, bad_frames)
        return rows, rows + 1
    numbers = catalogue.header["frames"]
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

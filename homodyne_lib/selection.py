"""Which (q, phi) bins and which frames of a file are wanted.  Plain arrays; angles in degrees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from homodyne_lib.hdf5 import InputError

__all__ = ["in_phi_ranges", "normalise_phi", "parse_phi_ranges", "select_bins", "select_frames"]

_SAME_ANGLE = 0.1  # [deg] mean angles of one sector differ by less between q rings; sectors are degrees wide
_ROUNDING = 1e-9  # [deg] the ends of a range are inclusive in spite of rounding
_Q_SPREAD = 0.005  # relative spread of q above which the reader is told
_MIN_FRAMES = 3  # the fewest frames with a lag beside the neighbouring one


def normalise_phi(phi: np.ndarray) -> np.ndarray:
    """Angles folded into (-180, 180] [deg]; those already there keep their bits."""
    phi = np.asarray(phi, dtype=np.float64)
    folded = 180.0 - np.mod(180.0 - phi, 360.0)
    folded = np.where(folded == -180.0, 180.0, folded)  # mod rounds up to 360 just below a whole turn
    return np.where((phi > -180.0) & (phi <= 180.0), phi, folded)


def parse_phi_ranges(text: str) -> tuple[tuple[float, float], ...]:
    """Ranges of angles from the table's notation.

    Parameters
    ----------
    text : str
        Comma-separated ``min:max`` pairs [deg], such as ``-10:10,85:95``; blank for all angles.

    Returns
    -------
    tuple of (float, float)
        The pairs in the order given; ``min > max`` wraps through 180.

    Raises
    ------
    InputError
        When a pair is not two finite numbers.
    """
    ranges = []
    for piece in text.split(",") if text.strip() else ():
        try:
            low, high = (float(part) for part in piece.split(":"))
        except ValueError:
            low = high = np.nan
        if not np.isfinite([low, high]).all():
            raise InputError(f"phi_ranges has {piece.strip()!r}; write min:max in degrees, such as -10:10,85:95.")
        ranges.append((low, high))
    return tuple(ranges)


def in_phi_ranges(phi: np.ndarray, phi_ranges: Sequence[Sequence[float]]) -> np.ndarray:
    """Whether each angle lies in one of the ranges, on the circle and ends included.

    Parameters
    ----------
    phi : numpy.ndarray
        Angles, shape (n,) [deg].
    phi_ranges : sequence of (min, max)
        Ranges [deg]; ``min > max`` wraps, a span of 360 or more is the whole circle, no range means all.

    Returns
    -------
    numpy.ndarray
        Boolean, shape (n,).
    """
    ranges = np.reshape([*phi_ranges], (-1, 2)).astype(np.float64)
    if not np.isfinite(ranges).all():
        raise InputError(f"phi_ranges has an end that is not a finite number: {ranges.tolist()}; give degrees.")
    if ranges.size == 0:
        return np.ones(np.shape(phi), dtype=bool)
    low, high = ranges.T
    width = np.where(high - low >= 360.0, 360.0, np.mod(high - low, 360.0))
    past_low = np.mod(np.asarray(phi)[:, None] - low + _ROUNDING, 360.0)
    return np.any(past_low <= width + 2 * _ROUNDING, axis=1)


def _listed(values: np.ndarray) -> str:
    """Distinct values in ascending order, with four significant digits."""
    return ", ".join(sorted({f"{value:.4g}" for value in values}, key=float))


def select_bins(
    q: np.ndarray,
    phi: np.ndarray,
    *,
    wavevector_q: float,
    q_tolerance: float,
    phi_ranges: Sequence[Sequence[float]],
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Choose one bin an angle: q within the tolerance, phi within the ranges.

    Parameters
    ----------
    q, phi : numpy.ndarray
        Wavevector [1/Å] and angle [deg] of each bin, shape (n_bins,).
    wavevector_q : float
        Wanted wavevector [1/Å].
    q_tolerance : float
        Largest ``|q - wavevector_q| / wavevector_q``.
    phi_ranges : sequence of (min, max)
        See :func:`in_phi_ranges` [deg].

    Returns
    -------
    chosen : numpy.ndarray
        Indices of the bins, by ascending normalised angle, shape (n_phi,).
    notes : tuple of str
        Sentences on bins left out and on the spread of q.

    Raises
    ------
    InputError
        When no bin is left, or a bin at this q has no finite angle.
    """
    near = np.flatnonzero(np.abs(q - wavevector_q) <= q_tolerance * wavevector_q)
    if near.size == 0:
        raise InputError(
            f"no bin has q within {100 * q_tolerance:g} % of {wavevector_q:g} 1/Å; choose from the q of the "
            f"file, {_listed(q)} 1/Å, or widen q_tolerance."
        )
    lost = np.count_nonzero(~np.isfinite(phi[near]))
    if lost:
        raise InputError(
            f"{lost} of the {near.size} bins with q = {_listed(q[near])} 1/Å have an angle that is not "
            "finite; repair the list of angles in the file."
        )
    angle = normalise_phi(phi[near])
    inside = in_phi_ranges(angle, phi_ranges)
    if not inside.any():
        raise InputError(
            f"no bin at q = {wavevector_q:g} 1/Å has an angle in the phi_ranges "
            f"{', '.join(f'{low:g}:{high:g}' for low, high in phi_ranges)} deg; choose ranges that hold "
            f"some of the angles of the file, {_listed(angle)} deg."
        )
    near, angle = near[inside], angle[inside]
    sector = _sectors(angle)
    by_distance = np.lexsort((np.abs(q[near] - wavevector_q), sector))
    nearest = by_distance[np.unique(sector[by_distance], return_index=True)[1]]
    chosen = near[nearest[np.argsort(angle[nearest])]]
    return chosen, _notes(q[near], q[chosen], wavevector_q)


def _sectors(angle: np.ndarray) -> np.ndarray:
    """Give each angle the number of its sector, shape (n,); within one, angles differ little by ring."""
    order = np.argsort(angle)
    number = np.concatenate([[0], np.cumsum(np.diff(angle[order]) > _SAME_ANGLE)])
    if angle[order[0]] + 360.0 - angle[order[-1]] <= _SAME_ANGLE:
        number[number == number[-1]] = 0
    return number[np.argsort(order)]


def _notes(within: np.ndarray, kept: np.ndarray, wavevector_q: float) -> tuple[str, ...]:
    """Say which bins within the tolerance were left out, and how far the kept ones spread in q."""
    notes = []
    if within.size > kept.size:
        notes.append(
            f"Bins of more than one q ring lie within the tolerance (q = {_listed(within)} 1/Å): at each "
            f"angle the one nearest {wavevector_q:g} 1/Å was kept, {within.size - kept.size} were left out."
        )
    spread = np.ptp(kept) / kept.mean()
    if spread > _Q_SPREAD:
        notes.append(
            f"The bins used have q from {kept.min():.4g} to {kept.max():.4g} 1/Å ({100 * spread:.2g} %); "
            f"their mean, {kept.mean():.4g} 1/Å, stands for all."
        )
    return tuple(notes)


def select_frames(n_frames: int, start_frame: int, end_frame: int) -> slice:
    """Slice of a window of frames.

    Parameters
    ----------
    n_frames : int
        Frames there are.
    start_frame, end_frame : int
        First and last frame of the window, 1-based and inclusive; an end of -1 is the last frame.

    Returns
    -------
    slice
        The same window as a 0-based slice.

    Raises
    ------
    InputError
        When the window leaves the data or holds fewer than three frames.
    """
    last = n_frames if end_frame == -1 else end_frame
    window = f"the frame window {start_frame} to {end_frame}"
    if start_frame < 1 or last > n_frames or start_frame >= last:
        raise InputError(
            f"{window} does not lie in the data, which have {n_frames} frames; choose "
            f"1 <= start_frame < end_frame <= {n_frames}, or -1 for the last frame."
        )
    if last - start_frame + 1 < _MIN_FRAMES:
        raise InputError(f"{window} holds fewer than {_MIN_FRAMES} frames; choose a longer one.")
    return slice(start_frame - 1, last)

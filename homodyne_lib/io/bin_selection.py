"""Which (q, phi) bins of a file are wanted.  Plain arrays; angles in degrees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from homodyne_lib.io.input_files import InputError
from homodyne_lib.model.bins import Bins

__all__ = [
    "SAME_Q",
    "crossed_bins",
    "in_phi_ranges",
    "normalise_phi",
    "parse_phi_ranges",
    "q_rings",
    "sectors",
    "select_bins",
]

_SAME_ANGLE = 0.1  # [deg], by which mean angles of one sector differ between q rings; sectors are degrees wide
_ROUNDING = 1e-9  # [deg], by which ranges are widened, so that rounding does not exclude their ends
SAME_Q = 1e-6
"""Relative difference of one q in two lists; those in single precision differ by less."""
_Q_SPREAD = 0.005  # relative spread of q above which a note is written
_LARGEST = 3600.0  # [deg], ten turns; lists count one or two turns, and a larger number is no angle


def normalise_phi(phi: np.ndarray) -> np.ndarray:
    """Angles folded into (-180, 180] [deg]; those already there keep their bits, and more than ten turns become NaN."""
    phi = np.asarray(phi, dtype=np.float64)
    phi = np.where(np.abs(phi) <= _LARGEST, phi, np.nan)
    folded = 180.0 - np.mod(180.0 - phi, 360.0)
    folded = np.where(folded == -180.0, 180.0, folded)  # mod rounds up to 360 just below a whole turn
    return np.where((phi > -180.0) & (phi <= 180.0), phi, folded)


def crossed_bins(phi, q) -> Bins:
    """Bins of all angles at all q, in the order of a record.

    Parameters
    ----------
    phi : array_like, shape (n_phi,)
        [deg]
    q : array_like, shape (n_q,)
        [1/Å]

    Returns
    -------
    Bins

    Raises
    ------
    InputError
        When an angle is there twice or beyond ten turns, or a q is not positive.
    """
    angles = np.sort(normalise_phi(np.atleast_1d(phi)))
    rings = np.sort(np.atleast_1d(np.asarray(q, dtype=float)))
    bins = Bins.of(np.tile(angles, rings.size), np.repeat(rings, angles.size))
    if fault := bins.refusal():
        raise InputError(fault)
    return bins


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
        When a pair is not two numbers of at most ten turns.
    """
    ranges = []
    for piece in text.split(",") if text.strip() else ():
        try:
            low, high = (float(part) for part in piece.split(":"))
        except ValueError:
            low = high = np.nan
        if not np.all(np.abs([low, high]) <= _LARGEST):
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
    if not np.all(np.abs(ranges) <= _LARGEST):
        raise InputError(
            f"phi_ranges has an end that is not a finite number within ±{_LARGEST:g}: {ranges.tolist()}; give degrees."
        )
    if ranges.size == 0:
        return np.ones(np.shape(phi), dtype=bool)
    low, high = ranges.T
    width = np.where(high - low >= 360.0, 360.0, np.mod(high - low, 360.0))
    past_low = np.mod(np.asarray(phi)[:, None] - low + _ROUNDING, 360.0)
    return np.any(past_low <= width + 2 * _ROUNDING, axis=1)


def _listed(values: np.ndarray) -> str:
    """Distinct values in ascending order, NaN last, with four significant digits."""
    return ", ".join(dict.fromkeys(f"{value:.4g}" for value in np.sort(values)))


def select_bins(
    q: np.ndarray,
    phi: np.ndarray,
    *,
    wavevector_q: float,
    q_tolerance: float,
    phi_ranges: Sequence[Sequence[float]],
    undirected: np.ndarray | None = None,
    flow: bool = False,
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
    undirected : numpy.ndarray, optional
        Which bins have no direction, shape (n_bins,). One of them serves where no other is at this q.
    flow : bool
        Whether the analysis needs directions.

    Returns
    -------
    chosen : numpy.ndarray
        Indices of the bins, by ascending normalised angle, shape (n_phi,).
    notes : tuple of str
        Sentences on bins left out and on the spread of q.

    Raises
    ------
    InputError
        When no bin has a q or is left, the angle of a bin at this q is no direction, or its direction is needed and unknown.
    """
    if not np.isfinite(q).any():
        raise InputError(f"the file states no finite q for any of its {q.size} bins; repair the list of q in the file.")
    near = np.flatnonzero(np.abs(q - wavevector_q) <= q_tolerance * wavevector_q)
    if near.size == 0:
        rings = np.array([np.median(q[ring]) for ring in q_rings(q, q_tolerance)])
        raise InputError(
            f"no bin has q within {100 * q_tolerance:g} % of {wavevector_q:g} 1/Å; choose from the q of the "
            f"file, {_listed(rings if rings.size else q)} 1/Å, or widen q_tolerance."
        )
    notes = _without_q(q, phi)
    if undirected is not None and undirected[near].any():
        near, more = _with_directions(near, undirected[near], q, bool(phi_ranges), flow)
        notes += more
    angle = normalise_phi(phi[near])
    if np.isnan(angle).any():
        raise InputError(
            f"{np.count_nonzero(np.isnan(angle))} of the {near.size} bins with q = {_listed(q[near])} 1/Å have an angle that "
            f"is not finite or beyond ten turns ({_listed(phi[near][np.isnan(angle)])} deg); repair the list of angles in "
            "the file."
        )
    inside = in_phi_ranges(angle, phi_ranges)
    if not inside.any():
        raise InputError(
            f"no bin at q = {wavevector_q:g} 1/Å has an angle in the phi_ranges "
            f"{', '.join(f'{low:g}:{high:g}' for low, high in phi_ranges)} deg; choose ranges that hold "
            f"some of the angles of the file, {_listed(angle)} deg."
        )
    near, angle = near[inside], angle[inside]
    sector = sectors(angle)
    by_distance = np.lexsort((np.abs(q[near] - wavevector_q), sector))
    nearest = by_distance[np.unique(sector[by_distance], return_index=True)[1]]
    chosen = near[nearest[np.argsort(angle[nearest])]]
    twins = _same_bins(q[near], angle, nearest, sector)
    return chosen, notes + _notes(q[near[~twins]], q[chosen], wavevector_q, np.count_nonzero(twins))


def _without_q(q: np.ndarray, phi: np.ndarray) -> tuple[str, ...]:
    """Note the bins without a finite q, which belong to no ring."""
    lost = ~np.isfinite(q)
    if not lost.any():
        return ()
    return (
        f"The file states no finite q for {np.count_nonzero(lost)} of its {q.size} bins (at phi = {_listed(phi[lost])} deg); "
        "they were left out.",
    )


def _with_directions(
    near: np.ndarray, undirected: np.ndarray, q: np.ndarray, ranges: bool, flow: bool
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Bins near the wanted q that can be used together: those with a direction, or else the one without."""
    without, left = near[undirected], near[~undirected]
    if left.size:
        return left, (
            f"{without.size} of the bins at q = {_listed(q[near])} 1/Å have no direction, such as a whole ring; they "
            "were left out, since sectors, which may hold the same pixels, were used.",
        )
    if flow or ranges:
        wanted = "a flow (stator_rotor_gap is given)" if flow else "a choice by phi_ranges"
        raise InputError(
            f"the bins at q = {_listed(q[without])} 1/Å are whole rings, or the file does not state their direction, and "
            f"{wanted} needs angles; take sectors, or write c2 with its angles by homodyne_lib.write_c2."
        )
    if without.size > 1:
        raise InputError(
            f"{without.size} bins at q = {_listed(q[without])} 1/Å have no direction that distinguishes them; narrow "
            "q_tolerance to one of them, or write c2 with its angles by homodyne_lib.write_c2."
        )
    return without, (
        "The bin has no direction (a whole ring, or not stated by the file); its angle of 0 means nothing.",
    )


def q_rings(q: np.ndarray, tolerance: float) -> list[np.ndarray]:
    """Divide bins into rings of nearly one q.

    Parameters
    ----------
    q : numpy.ndarray
        Wavevector of each bin, shape (n_bins,) [1/Å].
    tolerance : float
        Largest relative step between neighbouring q of a ring.

    Returns
    -------
    list of numpy.ndarray
        Indices of the bins of each ring, by ascending q; bins whose q is no positive number are in none.
    """
    order = np.argsort(q)
    order = order[np.isfinite(q[order]) & (q[order] > 0)]
    return np.split(order, 1 + np.flatnonzero(np.diff(q[order]) > tolerance * q[order[:-1]])) if order.size else []


def sectors(angle: np.ndarray) -> np.ndarray:
    """Give each angle the number of its sector, shape (n,); within one, angles differ little by ring."""
    order = np.argsort(angle)
    number = np.concatenate([[0], np.cumsum(np.diff(angle[order]) > _SAME_ANGLE)])
    if angle[order[0]] + 360.0 - angle[order[-1]] <= _SAME_ANGLE:
        number[number == number[-1]] = 0
    return number[np.argsort(order)]


def _same_bins(q: np.ndarray, angle: np.ndarray, kept: np.ndarray, sector: np.ndarray) -> np.ndarray:
    """Bins that were left out and have the q and angle of one that was kept; boolean, shape (n,)."""
    of_sector = kept[sector]  # `kept` holds a bin of each sector, in the order of their numbers
    same = np.isclose(q, q[of_sector], rtol=SAME_Q, atol=0.0) & (angle == angle[of_sector])
    same[kept] = False
    return same


def _notes(within: np.ndarray, kept: np.ndarray, wavevector_q: float, n_twins: int) -> tuple[str, ...]:
    """Say which bins within the tolerance were left out, and how far the kept ones spread in q."""
    notes = []
    if n_twins:
        notes.append(
            f"Bins with the same q and angle stand in the file more than once: of each, the first was taken, "
            f"{n_twins} were left out."
        )
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

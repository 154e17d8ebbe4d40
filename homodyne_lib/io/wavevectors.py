"""Which wavevectors of a file are wanted: numbers and ranges, and the rings of the file that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import numpy as np

from homodyne_lib.io.bin_selection import SAME_Q, q_rings
from homodyne_lib.io.input_files import InputError

__all__ = ["Wavevectors", "numbers_of", "parse_wavevectors", "rings_wanted"]

Wavevectors = float | Sequence[float | tuple[float, float]]
"""A wavevector, or wavevectors and ranges of them [1/Å]."""


def parse_wavevectors(text: str | float) -> tuple[float | tuple[float, float], ...]:
    """Wavevectors from the table's notation.

    Parameters
    ----------
    text : str or float
        Comma-separated numbers and ranges ``low:high`` [1/Å], such as ``0.0054,0.0076`` or ``0.004:0.012``.

    Returns
    -------
    tuple of float or (float, float)
        In the order given.

    Raises
    ------
    InputError
        When a piece is no positive number and no rising range of two, or stands there twice.
    """
    found: list[float | tuple[float, float]] = []
    for piece in str(text).split(","):
        try:
            ends = [float(part) for part in piece.split(":")]
        except ValueError:
            ends = []
        if len(ends) not in (1, 2) or not (0 < ends[0] <= ends[-1] < np.inf) or (len(ends) == 2 and ends[0] == ends[1]):
            raise InputError(
                f"wavevector_q has {piece.strip()!r}; write numbers above 0 and ranges low:high in 1/Å, such as "
                "0.0054,0.0076 or 0.004:0.012."
            )
        one = ends[0] if len(ends) == 1 else (ends[0], ends[1])
        if one in found:
            raise InputError(f"wavevector_q has {piece.strip()} twice; leave one out.")
        found.append(one)
    return tuple(found)


def numbers_of(wavevectors: Wavevectors) -> list[float]:
    """All numbers of wavevectors, the ends of ranges too [1/Å]."""
    return [float(number) for one in _each(wavevectors) for number in np.atleast_1d(one)]


def _each(wavevectors: Wavevectors) -> list[float | tuple[float, float]]:
    return [wavevectors] if isinstance(wavevectors, Real) else [*wavevectors]


def rings_wanted(wavevectors: Wavevectors, q: np.ndarray | None, tolerance: float) -> list[float]:
    """Wavevectors of the rings of a file that are wanted, ascending; ranges stand for all rings that they hold.

    Parameters
    ----------
    wavevectors : float or sequence
    q : numpy.ndarray or None
        Wavevector of each bin of the file; None where it states none [1/Å].
    tolerance : float
        Relative step of q within a ring.

    Returns
    -------
    list of float

    Raises
    ------
    InputError
        When a range holds no ring, two of them or a range and a number mean the same ring, or the file states no q that
        several could be told apart by.
    """
    each = _each(wavevectors)
    if q is None:
        if len(each) > 1 or not isinstance(each[0], Real):
            raise InputError("the file does not state the q of its matrix; give the one that it has in wavevector_q.")
        return [float(each[0])]
    rings = [q[ring] for ring in q_rings(q, tolerance)]
    of_file = [float(np.median(ring)) for ring in rings]
    found: dict[float, str] = {}
    for one in each:
        number = isinstance(one, Real)
        low, high = np.atleast_1d(one)[[0, -1]] * (1.0 - SAME_Q, 1.0 + SAME_Q)
        if not number:
            _refuse_chained([ring for ring in rings if np.any((low <= ring) & (ring <= high))], tolerance)
        words = f"{one:g}" if number else f"{one[0]:g}:{one[1]:g}"
        inside = [one] if number else [ring for ring in of_file if low <= ring <= high]
        if not inside:
            raise InputError(
                f"the file has no q from {one[0]:g} to {one[1]:g} 1/Å; choose from {_listed(of_file)} 1/Å, or widen the "
                "range."
            )
        for ring in map(float, inside):
            near = [other for other in found if abs(ring - other) <= tolerance * min(ring, other)]
            if near:
                raise InputError(
                    f"wavevector_q: {found[near[0]]} and {words} 1/Å both hold q = {near[0]:.4g} 1/Å (q_tolerance is "
                    f"{100 * tolerance:g} %); give each q once."
                )
            found[ring] = words
    return sorted(found)


def _refuse_chained(rings: list[np.ndarray], tolerance: float) -> None:
    """Refuse rings that run into each other, as bins of a ring are told from others by the steps between their q."""
    for ring in rings:
        middle, low, high = np.median(ring), ring.min(), ring.max()
        farthest = max(middle - low, high - middle) / middle
        if farthest > tolerance * (1.0 + SAME_Q):
            raise InputError(
                f"wavevector_q: the q of the file from {low:.4g} to {high:.4g} 1/Å follow each other within q_tolerance "
                f"({100 * tolerance:g} %), so it is unknown which are one ring; if they are several, set q_tolerance below "
                f"their distance, if one, to {100 * farthest:.2g} % or more."
            )


def _listed(values) -> str:
    return ", ".join(dict.fromkeys(f"{value:.4g}" for value in np.sort(values)))

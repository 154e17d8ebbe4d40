"""What a pass over the data needs: rows of c2, cut into blocks, and the fixed numbers of the experiment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

__all__ = ["Band", "Experiment", "make_band"]

# Pixels of a block over all its angles: enough to outweigh the cost of a call, few enough for the processor's cache.
_BLOCK_PIXELS = 64000
# Rows of a block, at least: the fewer, the fewer pixels are computed below the diagonal, the more calls are made.
_BLOCK_ROWS = 32
# Small data fill blocks at least this far: there, calls cost more than pixels below the diagonal.
_FEW_PIXELS = 60000
# Rows from which the mean is guessed, at most.
_ROWS_OF_MEAN = 16


class Experiment(NamedTuple):
    """What a fit holds fixed besides the data.

    Attributes
    ----------
    time : ndarray, shape (G,)
        Floored time axis, from the first frame to the last, missing ones too [s].
    frames : ndarray of int, shape (n_t,)
        Place on the time axis of each frame that there is.
    phi : ndarray, shape (n_phi,)
        [deg]
    wq_dt, sinc_prefactor : float
        ½ q² dt [s/Å²] and q L dt / 2π [s]; the latter is 0 where there is no gap.
    """

    time: np.ndarray
    frames: np.ndarray
    phi: np.ndarray
    wq_dt: float
    sinc_prefactor: float

    @property
    def model_phi(self) -> np.ndarray:
        """Angles whose models differ [deg]: without flow all angles have one model, that of the first."""
        return self.phi if self.sinc_prefactor else self.phi[:1]


class _Block(NamedTuple):
    """A rectangle of a band.

    Attributes
    ----------
    angles, rows, columns : slice
        Of ``Band.c2``.
    mask : ndarray of bool, shape (n_rows, n_columns), or None
        Which entries lie above the diagonal; None where all do.
    """

    angles: slice
    rows: slice
    columns: slice
    mask: np.ndarray | None


class Band(NamedTuple):
    """Rows of the strict upper triangle.

    Attributes
    ----------
    c2 : array_like, shape (n_phi, ≥ n_rows, n_t)
        Read in rectangles, so a data set on disk serves as well as an array.
    centre : float
        Mean of c2, subtracted before anything is summed, which keeps the digits of small residuals.
    rows : ndarray of int, shape (n_rows,)
        Column that holds the frame of each row, rising, for the rows that have a later partner.
    y_moments : ndarray, shape (n_phi, 3)
        n, Σy, Σy² over the pairs, y = c2 - centre.
    """

    c2: np.ndarray
    centre: float
    rows: np.ndarray
    y_moments: np.ndarray


def _blocks(n_phi, n_t, all_rows) -> Iterator[_Block]:
    n_rows = all_rows.size
    tall = max(_BLOCK_ROWS, min(n_rows, _FEW_PIXELS // (n_phi * n_t)))
    tall = -(-n_rows // -(-n_rows // tall))
    for top in range(0, n_rows, tall):
        rows = slice(top, min(top + tall, n_rows))
        here = all_rows[rows]
        height, width = here.size, n_t - 1 - here[0]
        # Columns of equal number leave no narrow remainder.
        step = -(-width // -(-width * height // _BLOCK_PIXELS))
        for left in range(here[0] + 1, n_t, step):
            columns = slice(left, min(left + step, n_t))
            across = np.arange(columns.start, columns.stop)
            mask = across > here[:, None] if left <= here[-1] else None
            n_angles = max(1, _BLOCK_PIXELS // (height * across.size))
            for first in range(0, n_phi, n_angles):
                yield _Block(slice(first, min(first + n_angles, n_phi)), rows, columns, mask)


def make_band(c2, rows=None) -> Band:
    """Prepare rows of c2 for summation.

    Parameters
    ----------
    c2 : array_like, shape (n_phi, n_rows, n_t)
        Rows of the correlation matrices; entries on and below the diagonal are not used.
    rows : array_like of int, shape (n_rows,), optional
        Column that holds the frame of each row, rising; all columns without it.

    Returns
    -------
    Band

    Raises
    ------
    ValueError
        If shapes disagree, the band holds no pair of distinct frames, or an entry above the diagonal is not a finite
        number.
    """
    n_phi, n_rows, n_t = c2.shape
    rows = np.arange(n_t) if rows is None else np.asarray(rows)
    if rows.shape != (n_rows,) or np.any(np.diff(rows) <= 0) or rows.size == 0 or rows[0] >= n_t - 1:
        raise ValueError(
            f"a band of {n_rows} rows of {n_t} frames got rows {rows.tolist()[:5]}...; they must rise from < n-1."
        )
    rows = rows[rows < n_t - 1]
    about, y_moments = _about(c2, rows), np.zeros((n_phi, 3))
    for block in _blocks(n_phi, n_t, rows):
        y = np.subtract(c2[block.angles, block.rows, block.columns], about, dtype=float)
        y = y.reshape(len(y), -1) if block.mask is None else y[:, block.mask]
        y_moments[block.angles] += np.stack([np.full(len(y), y.shape[1]), y.sum(1), np.einsum("ka,ka->k", y, y)], 1)
    bad = np.flatnonzero(~np.isfinite(y_moments).all(axis=1))
    if bad.size:
        raise ValueError(f"c2 at angle number {bad[0]} holds entries above the diagonal that are no finite numbers.")
    n, y1, yy = y_moments.T
    shift = y1.sum() / n.sum()
    return Band(
        c2, float(about + shift), rows, np.stack([n, y1 - n * shift, yy - 2 * shift * y1 + n * shift**2], axis=1)
    )


def _about(c2, rows) -> float:
    """Mean of a few rows: sums about it lose no digits, and one pass over the data suffices."""
    some = range(0, rows.size, -(-rows.size // _ROWS_OF_MEAN))
    means = [np.mean(c2[:, place, rows[place] + 1 :], dtype=float) for place in some]
    # What is no number is found, and named, by the pass.
    finite = [mean for mean in means if np.isfinite(mean)]
    return float(np.mean(finite)) if finite else 0.0

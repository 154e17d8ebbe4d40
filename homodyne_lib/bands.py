"""What a pass over the data needs: rows of c2, cut into blocks, and the fixed numbers of the experiment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

__all__ = ["Band", "Block", "Experiment", "make_band"]

# Pixels of a block over all its angles: enough to outweigh the cost of a call, few enough for the processor's cache.
_BLOCK_PIXELS = 64000
# Rows of a block, at least: the fewer, the fewer pixels are computed below the diagonal, the more calls are made.
_BLOCK_ROWS = 32
# Small data fill blocks at least this far: there, calls cost more than pixels below the diagonal.
_FEW_PIXELS = 60000


class Experiment(NamedTuple):
    """What a fit holds fixed besides the data.

    Attributes
    ----------
    time : ndarray, shape (n_t,)
        Floored time axis [s].
    phi : ndarray, shape (n_phi,)
        [deg]
    wq_dt, sinc_prefactor : float
        ½ q² dt [s/Å²] and q L dt / 2π [s]; the latter is 0 where there is no gap.
    """

    time: np.ndarray
    phi: np.ndarray
    wq_dt: float
    sinc_prefactor: float


class Block(NamedTuple):
    """A rectangle of a band.

    Attributes
    ----------
    angles, rows, columns : slice
        Of ``Band.c2``.
    counts : ndarray of bool, shape (n_rows, n_columns), or None
        Which pixels lie above the diagonal; None where all do.
    """

    angles: slice
    rows: slice
    columns: slice
    counts: np.ndarray | None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Angles, rows and columns."""
        return tuple(cut.stop - cut.start for cut in (self.angles, self.rows, self.columns))


class Band(NamedTuple):
    """Rows of the strict upper triangle.

    Attributes
    ----------
    c2 : array_like, shape (n_phi, ≥ n_rows, n_t)
        Read in rectangles, so a data set on disk serves as well as an array.
    centre : float
        Mean of c2, subtracted before anything is summed, which keeps the digits of small residuals.
    frames : ndarray of int, shape (n_rows,)
        Frame of each row that has a later partner, rising.
    y_moments : ndarray, shape (n_phi, 3)
        n, Σy, Σy² over the pairs, y = c2 - centre.
    """

    c2: np.ndarray
    centre: float
    frames: np.ndarray
    y_moments: np.ndarray

    def blocks(self) -> Iterator[Block]:
        """Cut the triangle into blocks that cover each of its pixels once."""
        n_phi, _, n_t = self.c2.shape
        yield from _blocks(n_phi, n_t, self.frames)


def _blocks(n_phi, n_t, frames) -> Iterator[Block]:
    n_rows = frames.size
    tall = max(_BLOCK_ROWS, min(n_rows, _FEW_PIXELS // (n_phi * n_t)))
    tall = -(-n_rows // -(-n_rows // tall))
    for top in range(0, n_rows, tall):
        rows = slice(top, min(top + tall, n_rows))
        here = frames[rows]
        height, width = here.size, n_t - 1 - here[0]
        # Columns of equal number leave no narrow remainder.
        step = -(-width // -(-width * height // _BLOCK_PIXELS))
        for left in range(here[0] + 1, n_t, step):
            columns = slice(left, min(left + step, n_t))
            across = np.arange(columns.start, columns.stop)
            counts = across > here[:, None] if left <= here[-1] else None
            n_angles = max(1, _BLOCK_PIXELS // (height * across.size))
            for first in range(0, n_phi, n_angles):
                yield Block(slice(first, min(first + n_angles, n_phi)), rows, columns, counts)


def make_band(c2, frames=None) -> Band:
    """Prepare rows of c2 for summation.

    Parameters
    ----------
    c2 : array_like, shape (n_phi, n_rows, n_t)
        Rows of the correlation matrices; entries on and below the diagonal are not used.
    frames : array_like of int, shape (n_rows,), optional
        Frame of each row, rising; all frames without it.

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
    frames = np.arange(n_t) if frames is None else np.asarray(frames)
    if frames.shape != (n_rows,) or np.any(np.diff(frames) <= 0) or frames.size == 0 or frames[0] >= n_t - 1:
        raise ValueError(
            f"a band of {n_rows} rows of {n_t} frames got rows {frames.tolist()[:5]}...; they must rise from < n-1."
        )
    frames = frames[frames < n_t - 1]
    centre = 0.0
    # The second turn sums about the mean of the first.
    for _ in range(2):
        y_moments = np.zeros((n_phi, 3))
        for block in _blocks(n_phi, n_t, frames):
            y = np.subtract(c2[block.angles, block.rows, block.columns], centre, dtype=float)
            y = y.reshape(len(y), -1) if block.counts is None else y[:, block.counts]
            y_moments[block.angles] += np.stack([np.full(len(y), y.shape[1]), y.sum(1), np.einsum("ka,ka->k", y, y)], 1)
        bad = np.flatnonzero(~np.isfinite(y_moments).all(axis=1))
        if bad.size:
            raise ValueError(
                f"c2 at angle number {bad[0]} holds entries above the diagonal that are no finite numbers."
            )
        about, centre = centre, y_moments[:, 1].sum() / y_moments[:, 0].sum()
    return Band(c2, float(about), frames, y_moments)

"""What a pass over the data needs: rows of c2 cut into tiles, and the fixed numbers of the experiment."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["Band", "Experiment", "make_band"]

# Pixels of a tile over all its angles: few enough for the processor's cache, many enough to outweigh a step of the loop.
_TILE_PIXELS = 12000


class Experiment(NamedTuple):
    """What a fit holds fixed besides the data.

    Attributes
    ----------
    time : array, shape (n_t,)
        Floored time axis [s].
    phi : array, shape (n_phi,)
        [deg]
    wq_dt, sinc_prefactor : float
        ½ q² dt [s/Å²] and q L dt / 2π [s]; the latter is 0 where there is no gap.
    """

    time: jax.Array
    phi: jax.Array
    wq_dt: float
    sinc_prefactor: float


class Band(NamedTuple):
    """Rows of the strict upper triangle, cut into tiles.

    Attributes
    ----------
    c2 : array, shape (n_phi, n_rows, n_t)
    centre : array, shape (n_phi,)
        Subtracted from c2 before anything is summed, which keeps the digits of small residuals.
    rows : integer array, shape (n_rows,)
        Frame of each row, rising.
    tiles : integer array, shape (n_tiles, 4)
        First row and column read, first row and column that count.
    y_moments : array, shape (n_phi, 3)
        n, Σy, Σy² over the pairs that count, y = c2 - centre.
    """

    c2: jax.Array
    centre: jax.Array
    rows: jax.Array
    tiles: jax.Array
    y_moments: jax.Array

    @property
    def tile_shape(self) -> tuple[int, int, int]:
        """Angles, rows and columns of a tile: as many pixels as stay in the processor's cache."""
        n_phi, n_rows, n_t = self.c2.shape
        largest = int(np.clip(np.sqrt(_TILE_PIXELS / n_phi), 16, 128))
        # Strips of equal width leave no narrow remainder that would be summed beside its neighbour's pairs.
        height, width = (-(-n // -(-n // largest)) for n in (n_rows, n_t))
        return n_phi, height, width


def make_band(c2, rows=None) -> Band:
    """Prepare rows of c2 for summation.

    Parameters
    ----------
    c2 : array_like, shape (n_phi, n_rows, n_t)
        Rows of the correlation matrices; entries on and below the diagonal are not used.
    rows : array_like of int, shape (n_rows,), optional
        Frame of each row, rising; all frames without it.

    Returns
    -------
    Band

    Raises
    ------
    ValueError
        If shapes disagree or the band holds no pair of distinct frames.
    """
    c2 = np.asarray(c2)
    n_phi, n_rows, n_t = c2.shape
    rows = np.arange(n_t) if rows is None else np.asarray(rows)
    if rows.shape != (n_rows,) or np.any(np.diff(rows) <= 0) or rows.size == 0 or rows[0] >= n_t - 1:
        raise ValueError(
            f"a band of {n_rows} rows of {n_t} frames got rows {rows.tolist()[:5]}...; they must rise from < n-1."
        )
    _, height, width = Band(c2, None, None, None, None).tile_shape
    tiles = [
        (min(r, n_rows - height), min(c, n_t - width), r, c)
        for r in range(0, n_rows, height)
        for c in range(0, n_t, width)
        if c + width > rows[r] + 1
    ]
    y_moments, centre = np.empty((n_phi, 3)), np.empty(n_phi)
    above = np.arange(n_t) > rows[:, None]
    for k in range(n_phi):
        y = c2[k][above].astype(float)
        centre[k] = y.mean()
        y -= centre[k]
        y_moments[k] = y.size, y.sum(), y @ y
    return Band(*(jnp.asarray(v) for v in (c2, centre, rows, np.array(tiles, dtype=np.int32), y_moments)))

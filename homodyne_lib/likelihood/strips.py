"""The model and its derivatives at every pair of frames, strip by strip: for whatever looks at single residuals."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from homodyne_lib.likelihood.experiment import Experiment
from homodyne_lib.model import kernels
from homodyne_lib.model.backend import jitted, load_jax
from homodyne_lib.model.layouts import PairLayout

__all__ = ["STRIP_ROWS", "Strip", "model_matrices", "strips"]

STRIP_ROWS = 64
"""Rows of a strip, at most."""

# A strip is computed in tiles of one shape, so that one compiled program serves a record. A tile is a fraction of the record
# wide, so that few of its pixels lie below the diagonal, and not narrower, as the rates are integrated for each tile anew.
_TILES, _LEAST_WIDTH = 8, 128


class Strip(NamedTuple):
    """The model at the pairs of some frames with later ones.

    Attributes
    ----------
    rows, columns : slice
        Earlier frames of the pairs, and all frames that are later than the first of these.
    later : ndarray of bool, shape (n_rows, n_columns)
        Which pairs count: those whose second frame is later than the first.
    g1 : ndarray, shape (n_rows, n_columns)
        Zero where a pair does not count, as are the slopes.
    slopes : ndarray, shape (p, n_rows, n_columns)
        Derivatives of u = g1² with respect to the physical parameters.
    """

    rows: slice
    columns: slice
    later: np.ndarray
    g1: np.ndarray
    slopes: np.ndarray

    @property
    def u(self) -> np.ndarray:
        """g1², (n_rows, n_columns)."""
        return self.g1**2


def strips(params, experiment: Experiment, angle: int, convention: str) -> Iterator[Strip]:
    """Compute the model at all pairs of an angle, strip by strip.

    Parameters
    ----------
    params : array_like, shape (p,)
        Physical parameters [units of the parameter table].
    experiment : Experiment
    angle : int
        Number of the angle.
    convention : {"spec", "published"}

    Yields
    ------
    Strip
    """
    params, n_t = np.asarray(params, dtype=float), experiment.frames.size
    factors = experiment.factors_of(angle)
    for top in range(0, n_t - 1, STRIP_ROWS):
        rows, columns = np.arange(top, min(top + STRIP_ROWS, n_t - 1)), slice(top + 1, n_t)
        # JAX computes the tiles while they are dispatched, and is waited for once.
        tiles = [_with_slopes(params, layout, *factors, convention) for layout in _tiles(experiment, angle, rows)]
        g1, slopes = (
            np.concatenate(parts, axis=-1)[..., : rows.size, : n_t - 1 - top] for parts in zip(*tiles, strict=True)
        )
        later = np.arange(top + 1, n_t) > rows[:, None]
        yield Strip(slice(top, top + rows.size), columns, later, g1, slopes)


def model_matrices(params, experiment: Experiment, angle: int, convention: str) -> tuple[np.ndarray, np.ndarray]:
    """Compute g1 and the derivatives of the model at all pairs of an angle, as symmetric matrices.

    Parameters
    ----------
    params : array_like, shape (p,)
        Physical parameters [units of the parameter table].
    experiment : Experiment
    angle : int
    convention : {"spec", "published"}

    Returns
    -------
    g1 : ndarray, shape (n_t, n_t)
        One on the diagonal.
    slopes : ndarray, shape (m, n_t, n_t)
        Derivatives of u = g1² with respect to the physical parameters, then u and 1; zero on the diagonal.
    """
    p, n_t = len(params), experiment.frames.size
    g1, slopes = np.eye(n_t), np.zeros((p + 2, n_t, n_t))
    for strip in strips(params, experiment, angle, convention):
        parts = np.concatenate([strip.slopes, strip.u[None], strip.later[None]])
        for matrix, part in ((g1, strip.g1), (slopes, parts)):
            matrix[..., strip.rows, strip.columns] += part
            matrix[..., strip.columns, strip.rows] += part.swapaxes(-1, -2)
    return g1, slopes


def _tiles(experiment, angle, rows) -> Iterator[PairLayout]:
    """Layout of each tile of a strip; what fills its shape are pairs whose second frame is not later."""
    frames = experiment.frames
    width = min(frames.size, max(_LEAST_WIDTH, -(-frames.size // _TILES)))
    earlier = np.pad(frames[rows], (0, STRIP_ROWS - rows.size), constant_values=frames[-1])
    for left in range(rows[0] + 1, frames.size, width):
        columns = frames[left : left + width]
        later = np.pad(columns, (0, width - columns.size), constant_values=frames[0])
        yield experiment.layout_of(angle, earlier[:, None], later)


@partial(jitted, static_argnums=4)
def _with_slopes(params, layout, *args):
    jax = load_jax()

    def of(params):
        g1 = jax.numpy.where(layout.idx2 > layout.idx1, kernels.g1_total(params, layout, *args), 0.0)
        return g1 * g1, g1

    _, push, g1 = jax.linearize(of, params, has_aux=True)
    # A loop over the parameters: together, XLA would compute the exponential and the sine for each of them again.
    return g1, jax.lax.map(push, jax.numpy.eye(params.size))

"""The model at every pair of frames, strip by strip: for checks of the nodes, and for whatever looks at single residuals."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from homodyne_lib.likelihood.experiment import Experiment
from homodyne_lib.likelihood.problem import Problem
from homodyne_lib.model import kernels
from homodyne_lib.model.backend import jitted, load_jax
from homodyne_lib.model.layouts import PairLayout

__all__ = ["STRIP_ROWS", "Strip", "exact_sums", "strips"]

STRIP_ROWS = 64
"""Rows of a strip, at most."""

# A strip is computed in tiles of one shape, so that one compiled program serves a record. A tile is a fraction of the record
# wide, so that few of its pixels lie below the diagonal, and not narrower, as the rates are integrated for each tile anew.
_TILES, _LEAST_WIDTH = 8, 128
# Entries of u that are computed at a time, so that they stay in the processor's cache; and pairs of a group of rows.
_CHUNK, _GROUP = 32_768, 65_536


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
    factors = experiment.wq_dt, experiment.sinc_prefactor
    for top in range(0, n_t - 1, STRIP_ROWS):
        rows, columns = np.arange(top, min(top + STRIP_ROWS, n_t - 1)), slice(top + 1, n_t)
        # JAX computes the tiles while they are dispatched, and is waited for once.
        tiles = [_with_slopes(params, layout, *factors, convention) for layout in _tiles(experiment, angle, rows)]
        g1, slopes = (
            np.concatenate(parts, axis=-1)[..., : rows.size, : n_t - 1 - top] for parts in zip(*tiles, strict=True)
        )
        later = np.arange(top + 1, n_t) > rows[:, None]
        yield Strip(slice(top, top + rows.size), columns, later, g1, slopes)


def exact_sums(problem: Problem, params) -> np.ndarray:
    """Σu², Σu, Σuy of each angle over all pairs of a problem's record, at many parameter vectors.

    Parameters
    ----------
    problem : Problem
        With its record.
    params : array_like, shape (n, p)
        Physical parameters [units of the parameter table].

    Returns
    -------
    ndarray, shape (n, n_phi, 3)
    """
    params, experiment = np.asarray(params, dtype=float), problem.experiment
    phi, factors = experiment.model_phi[:, None], (experiment.wq_dt, experiment.sinc_prefactor)
    chunk = max(1, _CHUNK // phi.size)
    result = np.zeros((len(params), experiment.phi.size, 3))
    for earlier, later, y in _groups(problem):
        layout = PairLayout(experiment.time, earlier, later, phi)
        for row, sums in zip(params, result, strict=True):
            fields = kernels.pair_fields(row, layout)
            for cut in (slice(first, first + chunk) for first in range(0, earlier.size, chunk)):
                part = [field[cut] if np.ndim(field) else field for field in fields]
                u = np.atleast_2d(kernels.g1_of_fields(part, phi, *factors, problem.convention) ** 2)
                sums[:, 0] += np.einsum("ka,ka->k", u, u)
                sums[:, 1] += u.sum(axis=1)
                sums[:, 2] += np.einsum("ka,ka->k", np.broadcast_to(u, (len(y), u.shape[1])), y[:, cut])
    return result


def _groups(problem) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Earlier and later frames of pairs, (n,), and their data less the centre, (n_phi, n); every pair is in one group."""
    record, frames = problem.record, problem.experiment.frames
    # So many pairs that the integrals over time take no time beside them.
    n_rows = 1 + _GROUP // frames.size
    for place in range(0, record.rows.size, n_rows):
        columns = record.rows[place : place + n_rows]
        row, later = np.nonzero(np.arange(frames.size) > columns[:, None])
        c2 = record.c2[:, place : place + n_rows]
        yield frames[columns[row]], frames[later], c2[:, row, later] - problem.data.centre


def _tiles(experiment, angle, rows) -> Iterator[PairLayout]:
    """Layout of each tile of a strip; what fills its shape are pairs whose second frame is not later."""
    frames = experiment.frames
    width = min(frames.size, max(_LEAST_WIDTH, -(-frames.size // _TILES)))
    earlier = np.pad(frames[rows], (0, STRIP_ROWS - rows.size), constant_values=frames[-1])
    for left in range(rows[0] + 1, frames.size, width):
        columns = frames[left : left + width]
        later = np.pad(columns, (0, width - columns.size), constant_values=frames[0])
        yield PairLayout(experiment.time, earlier[:, None], later, experiment.phi[angle])


@partial(jitted, static_argnums=4)
def _with_slopes(params, layout, *args):
    jax = load_jax()

    def of(params):
        g1 = jax.numpy.where(layout.idx2 > layout.idx1, kernels.g1_total(params, layout, *args), 0.0)
        return g1 * g1, g1

    _, push, g1 = jax.linearize(of, params, has_aux=True)
    # A loop over the parameters: together, XLA would compute the exponential and the sine for each of them again.
    return g1, jax.lax.map(push, jax.numpy.eye(params.size))

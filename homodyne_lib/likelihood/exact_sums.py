"""Sums over the pairs of frames themselves, with which a fit's nodes are compared."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from homodyne_lib.likelihood.problem import Problem
from homodyne_lib.model import kernels

__all__ = ["exact_sums"]

# Entries of u that are computed at a time, so that they stay in the processor's cache; and pairs of a group of rows.
_CHUNK, _GROUP = 32_768, 65_536


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
    model_of, factors = experiment.model_of, experiment.model_factors
    chunk = max(1, _CHUNK // experiment.model_bins.size)
    result = np.zeros((len(params), len(experiment.bins), 3))
    for earlier, later, y in _groups(problem):
        layout = experiment.model_layout(experiment.time, earlier, later)
        for row, sums in zip(params, result, strict=True):
            fields = kernels.pair_fields(row, layout)
            for cut in (slice(first, first + chunk) for first in range(0, earlier.size, chunk)):
                part = [field[cut] if np.ndim(field) else field for field in fields]
                g1 = kernels.g1_of_fields(part, layout.phi, *factors, problem.model.convention, layout.q_ratio)
                u = np.atleast_2d(g1**2)
                if model_of is not None:
                    u = u[model_of]
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

"""Long records with frames merged, on which the noise and its metric are worked out.

Matrices of all frames take memory with the second power of their number, and time with the third. Consecutive frames that are
merged are one frame of a longer exposure: its c2 with another is the mean over their pairs, and it has the photons of all its
frames. The mean of u = g1² over these pairs is not u of the middle frames. The difference, at a fit, is taken from the data,
so that the model of the middle frames describes them: (M6) in docs/uncertainty.md.
"""

from __future__ import annotations

import numpy as np

from homodyne_lib.likelihood.problem import Problem
from homodyne_lib.likelihood.speckle_metric import side_by_side
from homodyne_lib.model import kernels
from homodyne_lib.model.frames import merge_size, usual_interval

__all__ = ["are_alike", "merged_frames"]

_MOST_OF_ALL = 0.8  # share of the frames that are merged; the others are left out
_MOST_FALL = 0.03  # of u, from the first to the last of the frames that become one


def are_alike(problem: Problem, values) -> bool:
    """Whether frames can become one: few stand alone beside gaps, and by a fit they differ little at every bin.

    Parameters
    ----------
    problem : Problem
    values : array_like, shape (p + n_scaling,)
        As of :func:`merged_frames`.

    Returns
    -------
    bool
    """
    experiment, params = problem.experiment, np.asarray(values, dtype=float)[: len(problem.names)]
    members = _members(experiment.frames, merge_size(experiment.frames.size))
    if members.size < _MOST_OF_ALL * experiment.frames.size:
        return False
    ends = members[:, [0, -1]]

    def fall(k):
        layout = experiment.layout_of(k, *experiment.frames[ends.T])
        return 1.0 - np.mean(kernels.g1_total(params, layout, *experiment.factors_of(k), problem.model.convention) ** 2)

    return bool(max(map(fall, range(len(experiment.bins)))) < _MOST_FALL)


def merged_frames(problem: Problem, values, raw_diagonal=np.nan, threads: int = 1) -> tuple[Problem, np.ndarray]:
    """Merge frames of a long record; a short one stays as it is.

    Parameters
    ----------
    problem : Problem
        Of least squares, with all rows of its record.
    values : array_like, shape (p + n_scaling,)
        Physical parameters [units of the parameter table] and scaling coefficients of a fit, at which the mean of the model
        over pairs is compared with the model of the middle frames.
    raw_diagonal : array_like, shape (n_bins, n_t)
        Diagonal of c2 as measured; NaN where it was not, or is not needed.
    threads : int

    Returns
    -------
    problem : Problem
        Of the merged frames. Frames beside a gap that are too few to be merged are left out.
    raw_diagonal : ndarray, shape (n_bins, n_merged)
    """
    record, experiment, p = problem.record, problem.experiment, len(problem.names)
    size = merge_size(experiment.frames.size)
    raw = np.broadcast_to(np.asarray(raw_diagonal, dtype=float), (len(experiment.bins), experiment.frames.size))
    if size == 1:
        return problem, raw
    values, members = np.asarray(values, dtype=float), _members(experiment.frames, size)
    contrast, _ = problem.scaling.expand(values[p:])

    def of_bin(k):
        c2 = np.array([record.c2[k, rows].mean(axis=0, dtype=float)[members].mean(axis=1) for rows in members])
        # The diagonal of the record may be a corrected one.
        of_diagonal = raw[k][members] - np.diagonal(record.c2[k])[members]
        diagonal = np.diag(c2) + of_diagonal.mean(axis=1) / size
        apart = contrast[k] * _mean_less_middle(values[:p], experiment, k, problem.model.convention, members)
        return c2 - apart, diagonal - np.diag(apart)

    c2, diagonals = map(np.array, zip(*side_by_side(of_bin, range(len(experiment.bins)), threads), strict=True))
    return problem.with_frames(c2, record.frames[members[:, size // 2]], record.sigma / size), diagonals


def _members(frames, size) -> np.ndarray:
    """Rows of the frames that become one, (n_merged, size): frames without a gap between them."""
    width, found, first = (size - 1) * usual_interval(frames), [], 0
    while first + size <= frames.size:
        if frames[first + size - 1] - frames[first] == width:
            found.append(np.arange(first, first + size))
            first += size
        else:
            first += 1
    return np.array(found)


def _mean_less_middle(params, experiment, k, convention, members) -> np.ndarray:
    """Mean of u over the pairs of two merged frames, less u of their middle frames, (n_merged, n_merged)."""
    frames, factors = experiment.frames[members], experiment.factors_of(k)
    result = np.zeros(2 * (len(members),))
    for number, own in enumerate(frames):
        others = frames[number:]
        layout = experiment.layout_of(k, own[:, None], others.ravel())
        u = kernels.g1_total(params, layout, *factors, convention).reshape(own.size, *others.shape) ** 2
        result[number, number:] = u.mean(axis=(0, 2)) - u[own.size // 2, :, own.size // 2]
    return result + np.triu(result, 1).T

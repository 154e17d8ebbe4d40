"""Sums over the residuals of a fit at each angle: in cells of two groups of frames, of single frames, of neighbours."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from homodyne_lib.likelihood.problem import Problem
from homodyne_lib.likelihood.speckle_metric import in_order
from homodyne_lib.likelihood.strips import Strip, strips
from homodyne_lib.model.frames import usual_interval

__all__ = [
    "ResidualSums",
    "frame_groups",
    "neighbour_differences",
    "noise_of_neighbours",
    "residual_sums",
]

_MOST_GROUPS = 96
# Entries of shorter lags are left out of the estimate of noise: they hold more than the product of two fluctuations.
_LEAST_LAG = 4
_LEAST_ENTRIES = 8


class ResidualSums(NamedTuple):
    """Sums over the pairs of an angle.

    Attributes
    ----------
    cells : ndarray, shape (p + 3, n_groups, n_groups)
        Of ∂u/∂θ, u, 1 and the residual, for each pair of groups of frames; upper triangle with the diagonal.
    frames : ndarray, shape (2, n_t)
        Of u times the residual, and of u², over the pairs of each frame.
    steps : ndarray, shape (2,)
        Mean squares of the differences of neighbouring residuals, one way and both ways; empty where the record is too short.
    neighbour : float
        Mean u of neighbouring frames.
    """

    cells: np.ndarray
    frames: np.ndarray
    steps: np.ndarray
    neighbour: float


def frame_groups(n_t: int) -> np.ndarray:
    """Group of each of n_t frames, shape (n_t,); groups stand for frames in long records."""
    return np.arange(n_t) // -(-n_t // _MOST_GROUPS)


def residual_sums(problem: Problem, params, contrast, offset) -> list[ResidualSums]:
    """Sum over all pairs of each angle.

    Parameters
    ----------
    problem : Problem
        All rows of c2.
    params : array_like, shape (p,)
        Fitted physical parameters [units of the parameter table].
    contrast, offset : array_like, shape (n_phi,)

    Returns
    -------
    list of ResidualSums, length n_phi
    """
    alike = problem.experiment.alike
    return in_order(alike, (_sums(problem, params, angles, contrast, offset) for angles in alike))


def _sums(problem, params, angles, contrast, offset) -> list[ResidualSums]:
    """Sums of some angles that have one model."""
    at = problem.experiment.frames
    n_t, group = at.size, frame_groups(at.size)
    interval = usual_interval(at)
    cells = np.zeros((len(angles), len(params) + 3, group[-1] + 1, group[-1] + 1))
    frames, steps, neighbour = np.zeros((len(angles), 2, n_t)), [[] for _ in angles], []
    for strip in strips(params, problem.experiment, angles[0], problem.model.convention):
        u, into = strip.u, (strip.rows, strip.columns)
        place, of_slopes = _in_cells(strip, group, strip.slopes)
        cells[..., :-3, *place] += of_slopes
        cells[..., -3:-1, *place] += _in_cells(strip, group, np.stack([u, strip.later]))[1]
        frames[:, 1, strip.rows] += np.sum(u * u, axis=1)
        frames[:, 1, strip.columns] += np.sum(u * u, axis=0)
        neighbour.append(np.diagonal(u)[np.diff(at)[strip.rows] == interval])
        for n, k in enumerate(angles):
            residual = (problem.record.c2[k, *into] - offset[k] - contrast[k] * u) * strip.later
            cells[n, -1, *place] += _in_cells(strip, group, residual)[1]
            frames[n, 0, strip.rows] += np.sum(u * residual, axis=1)
            frames[n, 0, strip.columns] += np.sum(u * residual, axis=0)
            steps[n] += neighbour_differences(residual, at[strip.rows], at[strip.columns], interval)
    mean = float(np.concatenate(neighbour).mean())
    steps = [np.median(each, axis=0) if each else np.zeros(0) for each in steps]
    return [ResidualSums(*parts, mean) for parts in zip(cells, frames, steps, strict=True)]


def _in_cells(strip: Strip, group, values):
    """Cells of a strip, as an index, and the sums of values, (..., n_rows, n_columns), in each."""
    groups = group[strip.rows], group[strip.columns]
    tops, lefts = (np.flatnonzero(np.diff(each, prepend=-1)) for each in groups)
    sums = np.add.reduceat(np.add.reduceat(values, tops, axis=-2), lefts, axis=-1)
    return (groups[0][tops][:, None], groups[1][lefts]), sums


def neighbour_differences(residual, rows, columns, interval) -> list[tuple[float, float]]:
    """Mean squares of differences of neighbouring residuals for each row: along a column, and along row and column.

    ``rows`` and ``columns`` are the places of their frames on the time axis.
    """
    far = (columns - rows[:, None] >= _LEAST_LAG * interval)[1:, :-1]  # the shortest of the four lags
    far &= (np.diff(rows) == interval)[:, None] & (np.diff(columns) == interval)
    one_way = np.diff(residual, axis=0)
    both_ways = np.diff(one_way, axis=1)
    count = far.sum(axis=1)
    squares = np.array([np.sum(part**2 * far, axis=1) for part in (one_way[:, :-1], both_ways)])
    return [tuple(pair / n) for pair, n in zip(squares.T, count, strict=True) if n >= _LEAST_ENTRIES]


def noise_of_neighbours(one_way: float, both_ways: float, variance: float, step: float) -> tuple[float, float]:
    """1/counts and independent pixels of an angle by (U10).

    Parameters
    ----------
    one_way, both_ways : float
        Mean squares of :func:`neighbour_differences`.
    variance : float
        Of the relative intensity of a pixel without photon noise.
    step : float
        By how much the covariance of neighbouring frames is less.

    Returns
    -------
    shot, pixels : float
    """
    ratio = both_ways / (2.0 * one_way)  # (step + shot) / (variance + shot)
    shot = max((ratio * variance - step) / max(1.0 - ratio, 1e-3), 0.0)
    return shot, 2.0 * (variance + shot) * max(step + shot, 1e-9 * variance) / one_way

"""The fit in the metric of speckle noise, from minima that least squares found and from plain power laws beside the best.

Every minimum descends in one metric, that of the best, so that their χ² can be compared. The metric is then taken at the best
result, and the descent repeated, until it does not matter. It is then frozen: errors, posterior and tests use it. In long
records a fit to some of the frames comes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from homodyne_lib.fitting.basins import distinct_basins
from homodyne_lib.fitting.descent import solve
from homodyne_lib.fitting.nlsq import NlsqFit, summarise
from homodyne_lib.fitting.starts import as_power_laws
from homodyne_lib.likelihood.problem import Problem
from homodyne_lib.likelihood.speckle_metric import SpeckleMetric
from homodyne_lib.model.scales import nearest_image, to_search_scale

__all__ = ["MetricState", "SpeckleFit", "fit_speckle", "in_frozen_metric"]

# Change of χ² [residual variances] at which the descents of each round end; the first ones need not be exact.
_TOLERANCES = (0.1, 1e-2, 1e-2, 1e-3)
_FRAMES = 350  # of which a longer record is thinned for a first fit, as the cost grows with the third power
_NEAR = 30.0  # rise of χ² [residual variances] below which another minimum of that fit may be the best of all frames
_STEP = 0.1  # [errors] that a fit may move by when the metric is taken anew


@dataclass(frozen=True, eq=False)
class MetricState:
    """Numbers from which the metric of a fit can be made again.

    Attributes
    ----------
    values : ndarray, shape (p + n_scaling,)
        Physical parameters [units of the parameter table] and scaling coefficients at which the covariance was taken.
    shot : ndarray, shape (n_phi,)
        1/counts.
    weight : ndarray, shape (n_phi,)
        Weight of each angle.
    """

    values: np.ndarray
    shot: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True, eq=False)
class SpeckleFit:
    """A fit in the metric of speckle noise.

    Attributes
    ----------
    fit : NlsqFit
    problem : Problem
        In the frozen metric.
    state : MetricState
    rounds : int
        How often the metric was taken.
    """

    fit: NlsqFit
    problem: Problem
    state: MetricState
    rounds: int


def in_frozen_metric(problem: Problem, state: MetricState, threads: int = 1) -> Problem:
    """Put a problem into the metric in which it was fitted."""
    metric = SpeckleMetric.at(problem, state.values, state.shot, threads)
    return replace(problem, metric=metric, weight=state.weight)


def fit_speckle(
    problem: Problem,
    values,
    minima: Sequence[np.ndarray],
    shot,
    *,
    bounds: Mapping[str, Sequence[float]] | None = None,
    fixed: Mapping[str, float] | None = None,
    max_evaluations: int = 200,
    threads: int = 1,
) -> SpeckleFit:
    """Fit physical parameters and scaling in the metric of speckle noise.

    Parameters
    ----------
    problem : Problem
        Of least squares, with its record.
    values : array_like, shape (p + n_scaling,)
        Least-squares fit.
    minima : sequence of ndarray, shape (p,)
        Physical parameters of the minima that least squares found, the best first [units of the parameter table].
    shot : array_like, shape (n_phi,)
        1/counts of each angle; only the weights depend on them.
    bounds, fixed : mapping, optional
        As of :func:`~homodyne_lib.fitting.nlsq.fit_nlsq`.
    max_evaluations : int
        Evaluations allowed to each descent.
    threads : int

    Returns
    -------
    SpeckleFit
    """
    values, p = np.asarray(values, dtype=float), len(problem.names)
    # Least squares may have none of the metric's minima: its own may hang on an exponent that only few pairs determine.
    starts, n_evaluations, tolerances = [*minima, as_power_laws(problem, minima[0])], 0, _TOLERANCES
    stride = -(-problem.experiment.frames.size // _FRAMES)
    if stride > 2:
        options = {"bounds": bounds, "fixed": fixed, "max_evaluations": max_evaluations, "threads": threads}
        coarse = fit_speckle(every_nth(problem, stride), values, minima, shot, **options)
        values, tolerances = coarse.fit.values, _TOLERANCES[1:]
        near = [basin for basin in coarse.fit.basins if basin["delta_chi2"] < _NEAR]
        starts = [problem.model.vector(basin) for basin in near]
    for number, tolerance in enumerate(tolerances, 1):
        # A metric takes several times the memory of c2: the last one goes before the next one comes.
        weighted = None
        weighted = problem.in_metric(SpeckleMetric.at(problem, values, shot, threads), values[:p])
        rounds, state = number, MetricState(values, np.asarray(shot, dtype=float), weighted.weight)
        limits = bounds, fixed, max_evaluations, tolerance / problem.n_points
        trials = [solve(weighted, start, *limits) for start in starts]
        n_evaluations += sum(outcome.n_evaluations for _, outcome in trials)
        basins = distinct_basins(weighted, trials)
        if tolerance < _TOLERANCES[0] and _length(problem.names, values, basins[0].outcome) < _STEP:
            break
        values = np.concatenate([basins[0].params, weighted.coefficients(basins[0].params)])
        starts = [basin.params for basin in basins]
    fit = summarise(weighted, basins, dict(fixed or {}), bounds, n_evaluations, max_evaluations)
    return SpeckleFit(fit, weighted, state, rounds)


def every_nth(problem: Problem, stride: int) -> Problem:
    """The problem of every ``stride``-th frame alone, at the same times.

    Parameters
    ----------
    problem : Problem
        Of least squares, with its record.
    stride : int

    Returns
    -------
    Problem
    """
    record, some = problem.record, slice(None, None, stride)
    return problem.with_frames(np.ascontiguousarray(record.c2[:, some, some]), record.frames[some], record.sigma)


def _length(names, values, outcome) -> float:
    """Length of the way from a fit to where a descent ended [errors], by the curvature there."""
    free = outcome.free
    before = to_search_scale(free, np.array([values[names.index(name)] for name in free]))
    return float(np.linalg.norm(outcome.jac @ nearest_image(free, outcome.x - before, 0.0)))

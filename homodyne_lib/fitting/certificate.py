"""Certificate of a fit: what the nodes change of its result, from sums over the pairs of frames themselves.

At the result, and at three errors from it to both sides along each principal axis of the free parameters, χ² with the best
contrast and offset is computed from all pairs and from the nodes. A difference that is the same everywhere has no effect. One
that varies changes the shape of the likelihood, and moves its minimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homodyne_lib.likelihood.exact_sums import exact_sums
from homodyne_lib.likelihood.problem import Problem
from homodyne_lib.model.matrices import unit_diagonal
from homodyne_lib.model.scales import from_search_scale, search_bounds, search_slopes, to_search_scale, without_ends

__all__ = ["Certificate", "certify"]

_REACH = 3.0  # [errors]
_HALVINGS = 12  # of the reach, where the likelihood is far from normal
_FAR = 20.0  # fall of the log density from which a point has no part in any result
_DENSITY, _SHIFT = 0.05, 0.02  # largest difference of log density, and largest shift [errors], that nodes may cause
_MOST_PAIRS, _SAMPLE = 10_000_000, 3_000_000  # of which exact sums are made, or of so many where there are more
_SINGULAR = 1e-10  # eigenvalue ratio of the correlation matrix below which an axis has no width


@dataclass(frozen=True)
class Certificate:
    """How far a fit to nodes can be from one to all pairs of frames.

    Attributes
    ----------
    pairs : int
        Pairs of frames, over all angles, whose exact sums were compared.
    fineness : int
        Of the nodes.
    log_density : float
        Largest difference of the log density between nodes and pairs within three errors of the result, in units of a
        density whose noise is as large as the residuals.
    shift : float
        Largest shift of a parameter's minimum that follows [errors].
    sentence : str
    """

    pairs: int
    fineness: int
    log_density: float
    shift: float
    sentence: str

    @property
    def holds(self) -> bool:
        """Whether the nodes are fine enough."""
        return self.log_density <= _DENSITY and self.shift <= _SHIFT


def certify(problem: Problem, params, covariance, reduced_chi2: float, bounds=None) -> tuple[Certificate, float]:
    """Compare nodes with pairs about the result of a fit.

    Parameters
    ----------
    problem : Problem
        With the nodes of the fit.
    params : ndarray, shape (p,)
        Physical parameters at the result [units of the parameter table].
    covariance : ndarray, shape (p, p)
        Of the combinations that the data determine; zero where a parameter is not moved.
    reduced_chi2 : float
    bounds : mapping of str to (float, float), optional
        Those of the fit.

    Returns
    -------
    certificate : Certificate
    chi2 : float
        At the result, of all pairs of frames; where a sample was compared, the nodes' with the sample's correction.
    """
    part = problem if problem.n_points <= _MOST_PAIRS else problem.thinned(_SAMPLE)
    at, axes, free = _principal_axes(problem, params, covariance)
    points, offsets = _points(problem, params, at, axes, free, reduced_chi2, bounds)
    exact = part.costs_from(exact_sums(part, points))
    difference = (exact - part.costs(points)) * (problem.n_points / part.n_points)
    excess = 0.5 * (difference - difference[0]) / reduced_chi2
    slope = np.zeros(axes.shape[1])
    for axis in range(slope.size):
        own = np.flatnonzero(offsets[:, axis])
        z = offsets[own, axis]
        slope[axis] = np.linalg.lstsq(np.column_stack([z, z**2]), excess[own], rcond=None)[0][0]
    sd = np.sqrt(np.sum(axes**2, axis=1))
    # In units of the axes the log density falls as ½z², so that a slope moves the minimum by itself.
    shift = float(np.abs(axes @ slope / np.where(sd > 0, sd, 1.0)).max(initial=0.0))
    return _in_words(part, problem, float(np.abs(excess).max()), shift), problem.cost(params) + float(difference[0])


def _principal_axes(problem, params, covariance):
    """Free parameters at the result on their search scale, axes of one error each, (n_free, m), and names."""
    known = np.diag(covariance) > 0
    free = [name for name, is_known in zip(problem.names, known, strict=True) if is_known]
    size, correlation = unit_diagonal(covariance[np.ix_(known, known)])
    width, vector = np.linalg.eigh(correlation)
    wide = width > _SINGULAR * width.max(initial=0.0)
    axes = (size / search_slopes(free, params[known]))[:, None] * vector[:, wide] * np.sqrt(width[wide])
    return to_search_scale(free, params[known]), axes, free


def _points(problem, params, at, axes, free, reduced_chi2, bounds):
    """Physical parameters at the result and about it, (n, p), and their places along the axes, (n, m)."""
    if not free:
        return params[None], np.zeros((1, 0))
    lower, upper = search_bounds(free, bounds)
    endless = without_ends(free, lower, upper)
    index = [problem.names.index(name) for name in free]
    highest = problem.cost(params) + 2.0 * _FAR * reduced_chi2
    points, offsets = [params], [np.zeros(axes.shape[1])]
    for axis, side in np.ndindex(axes.shape[1], 2):
        # The likelihood may fall, or the interval end, before three errors.
        for z in (2 * side - 1) * _REACH * 0.5 ** np.arange(_HALVINGS):
            v = at + z * axes[:, axis]
            if not np.all(endless | ((v >= lower) & (v <= upper))):
                continue
            point = params.copy()
            point[index] = from_search_scale(free, v)
            if problem.cost(point) <= highest:
                points.append(point)
                offsets.append(np.where(np.arange(axes.shape[1]) == axis, z, 0.0))
                break
    return np.array(points), np.array(offsets)


def _in_words(part, problem, log_density, shift) -> Certificate:
    every = part.n_points == problem.n_points
    pairs = "all pairs of frames" if every else f"a sample of {part.n_points} pairs of frames in evenly spaced rows"
    certificate = Certificate(part.n_points, problem.fineness, log_density, shift, "")
    verdict = "" if certificate.holds else f"; more than the {_DENSITY:g} and {_SHIFT:g} that are allowed"
    sentence = (
        f"Against {pairs}, nodes of fineness {problem.fineness} change the log density within three errors of the result by "
        f"at most {log_density:.2g}, and move parameters by at most {shift:.2g} of their errors{verdict}."
    )
    return Certificate(part.n_points, problem.fineness, log_density, shift, sentence)

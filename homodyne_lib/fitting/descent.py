"""One bounded descent: SciPy's trust region on a compressed problem.

SciPy gets p + 1 residuals. They have the same gradient, Gauss-Newton matrix and sum of squares as the residuals of all pairs
of frames, with contrast and offset projected out.
"""

from __future__ import annotations

import numpy as np

from homodyne_lib.likelihood.normal_equations import NormalEquations
from homodyne_lib.likelihood.problem import Problem
from homodyne_lib.model.scales import (
    from_search_scale,
    nearest_image,
    search_bounds,
    search_slopes,
    to_search_scale,
    without_ends,
)

__all__ = ["SINGULAR", "solve"]

SINGULAR = 1e-12
"""Eigenvalue ratio of the scaled Gauss-Newton matrix below which a direction is not determined."""

# A parameter is at its bound where the distance is below this share of the width, on the search scale, and of its error while
# all others are held. An interval may be wide against what the data tell, as of an offset that is not to be negative.
_AT_BOUND, _OF_ERROR = 1e-4, 0.1
_INWARD = 1e-6  # share of the width by which a start on a bound or beyond is moved inside
_TOLERANCE = 1e-12
# Curvature of χ² along a parameter on its search scale below which χ² does not depend on the parameter.
_NO_CURVATURE = 1e-30


class _Compressed:
    """The residuals and Jacobian that SciPy gets, as functions of the free parameters on their search scale."""

    def __init__(self, problem: Problem, fixed: dict[str, float]):
        self.problem = problem
        self.fixed = fixed
        self.free = [name for name in problem.names if name not in fixed]
        self.index = [problem.names.index(name) for name in self.free]
        self.n_evaluations = 0
        self._memo: tuple[bytes, NormalEquations] | None = None

    def params(self, v) -> np.ndarray:
        free = dict(zip(self.free, from_search_scale(self.free, np.asarray(v)), strict=True))
        return np.array([(self.fixed | free)[name] for name in self.problem.names])

    def equations(self, v) -> NormalEquations:
        key = np.asarray(v).tobytes()
        if self._memo is None or self._memo[0] != key:
            self._memo = key, self.problem.normal_equations(self.params(v))
            self.n_evaluations += 1
        return self._memo[1]

    def _factor(self, v):
        """R and R⁻ᵀg with RᵀR the Gauss-Newton matrix of the free parameters, scaling projected out."""
        eq = self.equations(v)
        slopes = search_slopes(self.free, self.params(v)[self.index])
        hessian = eq.projected(self.index) * np.outer(slopes, slopes)
        # Where a decay is outside of the record, χ² is constant. Such columns are set to zero, and the descent ends.
        used = np.diag(hessian) > _NO_CURVATURE
        size = np.sqrt(np.where(used, np.diag(hessian), 1.0))
        eigenvalue, vector = np.linalg.eigh(hessian * np.outer(used, used) / np.outer(size, size))
        root = np.sqrt(np.maximum(eigenvalue, SINGULAR * max(eigenvalue.max(), np.finfo(float).tiny)))
        reduced = (vector.T @ (used * eq.gradient[self.index] * slopes / size)) / root
        return root[:, None] * vector.T * (used * size), -reduced, eq.chi2

    def residuals(self, v) -> np.ndarray:
        _, head, chi2 = self._factor(v)
        return np.append(head, np.sqrt(max(chi2 - head @ head, 0.0)))

    def jacobian(self, v) -> np.ndarray:
        matrix = self._factor(v)[0]
        return np.vstack([matrix, np.zeros(matrix.shape[1])])


def solve(problem: Problem, start, bounds=None, fixed=None, max_evaluations=200, tolerance=_TOLERANCE):
    """Descend from one start.

    Parameters
    ----------
    problem : Problem
    start : array_like, shape (p,)
        Physical parameters [units of the parameter table]; pulled inside the bounds.
    bounds : mapping of str to (float, float), optional
    fixed : mapping of str to float, optional
        Parameters held at a value.
    max_evaluations : int
    tolerance : float
        Relative, of SciPy's three tests of convergence.

    Returns
    -------
    params : ndarray, shape (p,)
    outcome : scipy.optimize.OptimizeResult
    """
    # What reads results imports this module, and does without the 0.15 s of this import.
    from scipy.optimize import least_squares

    compressed = _Compressed(problem, dict(fixed or {}))
    lower, upper = search_bounds(compressed.free, bounds)
    middle, width = 0.5 * (lower + upper), upper - lower
    v = to_search_scale(compressed.free, np.asarray(start, dtype=float)[compressed.index])
    v = nearest_image(compressed.free, v, middle)
    margin = _INWARD * width
    endless = without_ends(compressed.free, lower, upper)
    v = np.where(endless | ((lower < v) & (v < upper)), v, np.clip(v, lower + margin, upper - margin))
    lower, upper = np.where(endless, -np.inf, lower), np.where(endless, np.inf, upper)
    # Where χ² is constant, SciPy divides by a predicted reduction of almost zero.
    with np.errstate(over="ignore"):
        outcome = least_squares(
            compressed.residuals,
            v,
            jac=compressed.jacobian,
            bounds=(lower, upper),
            x_scale="jac",
            ftol=tolerance,
            xtol=tolerance,
            gtol=tolerance,
            max_nfev=max_evaluations,
        )
    outcome.n_evaluations = compressed.n_evaluations
    outcome.free, outcome.x = compressed.free, nearest_image(compressed.free, outcome.x, middle)
    curvature = np.linalg.norm(outcome.jac, axis=0)
    with np.errstate(divide="ignore"):
        error = np.sqrt(2.0 * outcome.cost / problem.n_points) / curvature
    near = np.minimum(outcome.x - lower, upper - outcome.x) < np.minimum(_AT_BOUND * width, _OF_ERROR * error)
    outcome.at_bound = dict(zip(compressed.free, near.tolist(), strict=True))
    return compressed.params(outcome.x), outcome

"""Nonlinear least squares: search, descent, covariance, and warnings in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from homodyne_lib.fitting.basins import RIVAL, Basin, distinct_basins, is_too_high, rise_of
from homodyne_lib.fitting.certificate import Certificate, certify
from homodyne_lib.fitting.descent import SINGULAR, solve
from homodyne_lib.fitting.identifiability import degeneracies, scaling_test
from homodyne_lib.fitting.limits import check_search
from homodyne_lib.fitting.starts import mirror_images, propose_starts
from homodyne_lib.likelihood.normal_equations import NormalEquations
from homodyne_lib.likelihood.problem import Problem
from homodyne_lib.model.matrices import unit_diagonal
from homodyne_lib.model.parameters import PARAMETERS

__all__ = ["NlsqFit", "fit_nlsq", "summarise"]

_SEARCH_TOLERANCE = 1e-6
_SEARCH_EVALUATIONS = 60  # of a descent of the search; what comes near the best descends further
_SEARCH_FINENESS = 6  # of the nodes on which the space is searched
# Errors of independent noise, the smallest there are, from which a contrast is seen. A search finds the decay that noise
# resembles most, at the angle where it does.
_SEEN = 4.0
_NEAR_BEST = 0.01  # minima of the search whose cost is higher by less than this share descend on the fine nodes too
_FINENESS = (32, 48)  # of nodes, one after the other, where the fit's own are too coarse
_LEAST_CHI2 = 1e-12  # for a pair of frames [σ²]


@dataclass(eq=False)
class NlsqFit:
    """Result of a fit; physical parameters first, then scaling coefficients.

    Attributes
    ----------
    names : list of str
    values, errors : ndarray
        Errors are NaN where a parameter sits on a bound, is held fixed or is not determined.
    covariance : ndarray
        Of ``values``, residual scatter included; zero rows where there is no error.
    chi2, reduced_chi2 : float
    n_points, n_free, n_evaluations : int
    at_bound : dict of str to bool
    converged : bool
    message : str
    basins : list of dict
        Distinct minima that descents on the fine nodes ended in, best first: parameters, ``delta_chi2`` above the best
        [residual variances], ``descents`` that ended there.
    warnings : list of str
    certificate : Certificate or None
        How far the fit can be from one to all pairs of frames; None where it is one to all pairs.
    """

    names: list[str]
    values: np.ndarray
    errors: np.ndarray
    covariance: np.ndarray
    chi2: float
    reduced_chi2: float
    n_points: int
    n_free: int
    n_evaluations: int
    at_bound: dict[str, bool]
    converged: bool
    message: str
    basins: list[dict]
    warnings: list[str]
    certificate: Certificate | None

    def value(self, name: str) -> float:
        """Fitted value of a parameter by name."""
        return float(self.values[self.names.index(name)])


def _covariance(equations: NormalEquations, free) -> tuple[np.ndarray, list[int]]:
    """Inverse Gauss-Newton matrix of the free entries (zero elsewhere), and the entries it does not determine."""
    hessian = equations.hessian[np.ix_(free, free)]
    size, scaled = unit_diagonal(hessian)
    eigenvalue, vector = np.linalg.eigh(scaled)
    good = eigenvalue > SINGULAR * eigenvalue.max(initial=0.0)
    inverse = (vector[:, good] / eigenvalue[good]) @ vector[:, good].T / np.outer(size, size)
    undetermined = [int(free[k]) for k in np.flatnonzero(np.abs(vector[:, ~good]).max(axis=1, initial=0.0) > 1e-3)]
    covariance = np.zeros_like(equations.hessian)
    covariance[np.ix_(free, free)] = inverse
    return covariance, undetermined


def fit_nlsq(
    problem: Problem, *, start=None, bounds=None, fixed=None, n_starts=64, seed=0, max_evaluations=200
) -> NlsqFit:
    """Fit physical parameters and scaling.

    The parameter space is searched on coarse nodes: starts read from the decays and spread over what the record can show are
    screened by their cost, the best descend, and what they find is told apart. The best, and whatever comes near it, then
    descends on fine nodes; so does ``start``. The best of all is kept. Where exact sums over the pairs of frames show that
    the nodes are too coarse, the last descents are repeated on finer ones.

    Parameters
    ----------
    problem : Problem
    start : mapping of str to float, optional
        Starting values; parameters that are missing start at the table's default.
    bounds : mapping of str to (float, float), optional
    fixed : mapping of str to float, optional
    n_starts : int
        Size of the search; 0 leaves it out, where there is a start.
    seed : int
    max_evaluations : int
        Evaluations allowed to each descent.

    Returns
    -------
    NlsqFit

    Raises
    ------
    ValueError
        As :func:`~homodyne_lib.fitting.limits.check_search`.
    """
    names, fixed = problem.names, dict(fixed or {})
    check_search(names, n_starts, start or {}, fixed, bounds or {})
    starts = [np.array([start.get(name, PARAMETERS[name].default) for name in names])] if start else []
    basins = _search(problem, n_starts, seed, bounds, fixed) if n_starts > 0 else []
    starts += [basin.params for basin in basins if basin.cost - basins[0].cost < _NEAR_BEST * basins[0].cost]
    n_evaluations = 0
    while True:
        trials = [solve(problem, s, bounds, fixed, max_evaluations) for s in starts]
        n_evaluations += sum(outcome.n_evaluations for _, outcome in trials)
        found = distinct_basins(problem, trials)
        fit = summarise(problem, found, fixed, bounds, n_evaluations, max_evaluations)
        if fit.certificate.holds:
            return fit
        finer = next((f for f in _FINENESS if f > problem.fineness), None)
        if finer is None:
            fit.warnings.append(fit.certificate.sentence)
            return fit
        problem = problem.on_nodes_of(finer)
        starts = [basin.params for basin in found if rise_of(basin, found[0], fit.reduced_chi2) < RIVAL]


def _search(problem: Problem, n_starts, seed, bounds, fixed) -> list[Basin]:
    """Distinct minima on coarse nodes, best first."""
    coarse = problem.on_nodes_of(_SEARCH_FINENESS)
    starts = propose_starts(coarse, n_starts, seed, bounds, fixed)
    descend = partial(
        solve, coarse, bounds=bounds, fixed=fixed, max_evaluations=_SEARCH_EVALUATIONS, tolerance=_SEARCH_TOLERANCE
    )
    trials = [descend(start) for start in starts]
    if "phi0" in problem.names and "phi0" not in fixed:
        # With few angles a flow and its mirror image fit almost alike, and a descent does not cross between them.
        # What is found across may be better, and then has a mirror image of its own.
        best = None
        while best is None or distinct_basins(coarse, trials)[0].cost < (1.0 - _SEARCH_TOLERANCE) * best.cost:
            best = distinct_basins(coarse, trials)[0]
            for image in mirror_images(problem, best.params):
                trials.append(descend(image))
    return distinct_basins(coarse, trials)


def summarise(
    problem: Problem, basins: list[Basin], fixed, bounds, n_evaluations: int, max_evaluations: int
) -> NlsqFit:
    """Collect the result of descents, best minimum first; the arguments are those of :func:`fit_nlsq`."""
    params, outcome = basins[0].params, basins[0].outcome
    equations = problem.normal_equations(params)
    names = problem.names + problem.scaling.names
    n_free = len(names) - len(fixed)
    freedom = problem.n_points - n_free
    at_bound = {name: outcome.at_bound.get(name, False) for name in problem.names}
    free = [k for k, name in enumerate(names) if name not in fixed and not at_bound.get(name, False)]
    covariance, undetermined = _covariance(equations, free)
    errors = np.sqrt(np.diag(covariance))
    errors[[k for k in range(len(names)) if k not in free or k in undetermined]] = np.nan
    own = slice(len(problem.names))
    # Of data without noise, χ² in a metric is rounding of either sign.
    certificate, chi2 = None, max(equations.chi2, _LEAST_CHI2 * problem.n_points)
    if problem.metric is None:
        assumed = chi2 / freedom
        certificate, chi2 = certify(problem, params, covariance[own, own] * assumed, assumed, bounds)
    reduced = chi2 / freedom
    message = (
        f"The fit converged after {outcome.n_evaluations} evaluations."
        if outcome.success
        else f"The fit stopped after {max_evaluations} evaluations without converging; raise max_evaluations."
    )
    return NlsqFit(
        names=names,
        values=np.concatenate([params, equations.coefficients]),
        errors=errors * reduced**0.5,
        covariance=covariance * reduced,
        chi2=chi2,
        reduced_chi2=reduced,
        n_points=problem.n_points,
        n_free=n_free,
        n_evaluations=n_evaluations,
        at_bound=at_bound,
        converged=bool(outcome.success),
        message=message,
        basins=[
            {"delta_chi2": rise_of(basin, basins[0], reduced), "descents": basin.n_descents}
            | dict(zip(problem.names, basin.params.tolist(), strict=True))
            for basin in basins
        ],
        warnings=_warnings(
            problem,
            params,
            equations,
            names,
            covariance * reduced,
            fixed,
            bounds,
            at_bound,
            undetermined,
            basins,
            reduced,
        ),
        certificate=certificate,
    )


def _warnings(
    problem, params, equations, names, covariance, fixed, bounds, at_bound, undetermined, basins, reduced
) -> list[str]:
    sentences = [
        f"{f'{name} = {params[k]:.4g} {PARAMETERS[name].unit}'.strip()} sits on a bound of its interval; its error is not "
        "defined."
        for k, name in enumerate(problem.names)
        if at_bound[name]
    ]
    if undetermined:
        sentences.append(f"The data do not determine {', '.join(names[k] for k in undetermined)} separately.")
    contrast, _ = problem.scaling.expand(equations.coefficients)
    if np.any(np.asarray(contrast) <= 0):
        sentences.append(
            "The contrast of an angle is not positive: the data show no decay there that the model describes."
        )
    spread = problem.scaling.expand_covariance(covariance[len(problem.names) :, len(problem.names) :])
    error = np.sqrt(np.maximum(np.diag(spread)[: len(contrast)], 0.0))
    if np.all((error > 0.0) & (np.abs(contrast) < _SEEN * error)):
        k = int(np.argmax(np.abs(contrast) / error))
        sentences.append(
            f"No speckle contrast is seen at any angle: the clearest is {contrast[k]:.2g} ± {error[k]:.1g}. Rates are then "
            "those of the noise; look at the counts, at q and at the time between frames."
        )
    if is_too_high(problem, equations.coefficients):
        sentences.append(
            f"The contrast of an angle is {np.max(contrast):.3g}, and that of speckles is at most 1: the model puts most of "
            "the decay before the first lag. Hold what is known of the rates, or bound them."
        )
    rises = [max(rise_of(basin, basins[0], reduced), 0.0) for basin in basins[1:]]
    n_rivals = sum(rise < RIVAL for rise in rises)
    if n_rivals:
        rival = ", ".join(f"{name} = {value:.4g}" for name, value in zip(problem.names, basins[1].params, strict=True))
        sentences.append(
            f"The search found {n_rivals} more {'minimum' if n_rivals == 1 else 'minima'} with almost the same χ² (higher by "
            f"{rises[0]:.2g} residual variances at {rival})."
        )
    rejected = scaling_test(problem, params, equations)
    return [
        *sentences,
        *degeneracies(problem, params, names, covariance, fixed, bounds),
        *([rejected] if rejected else []),
    ]

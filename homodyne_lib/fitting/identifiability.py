"""Sentences on what the data do not determine: known degeneracies of the model, and correlations of a covariance."""

from __future__ import annotations

from collections.abc import Container, Mapping

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.special import fdtrc

from homodyne_lib.likelihood.normal_equations import NormalEquations, solve_scaling
from homodyne_lib.likelihood.problem import Problem
from homodyne_lib.model.curves import CURVES
from homodyne_lib.model.kernels import g1_total
from homodyne_lib.model.parameters import RATE_NAMES
from homodyne_lib.model.plurals import plural
from homodyne_lib.model.scales import interval_of, nearest_image
from homodyne_lib.model.scaling import per_angle_scaling

__all__ = [
    "REJECTED_SCALING",
    "THREE_SIGMA",
    "degeneracies",
    "direction_is_open",
    "known_together",
    "parts_of_rate",
    "scaling_test",
]

REJECTED_SCALING = "The data reject contrast and offset"
"""How the sentence of :func:`scaling_test` begins."""
THREE_SIGMA = 0.0027
"""Chance that a normal number is more than three standard deviations from its mean; the level of the F tests."""

_CORRELATED = 0.99  # correlation from which two parameters are only known together
_FEW_ANGLES = 3
_APART = 3.0  # errors of phi0, beyond which another direction is not the same
_ALIKE = 1.0  # [deg], between angles at which a flow has the same effect
_COMPLETE = 0.1  # a decay is complete where g1² falls below this within the record
_TOO_FAST = 0.1  # a decay is too fast where g1² falls below this within one frame
_RATES = {
    exponent: (amplitude, offset, RATE_NAMES[curve]) for curve, (_, (amplitude, exponent, offset)) in CURVES.items()
}


def degeneracies(problem: Problem, params, names, covariance, fixed=(), bounds=None) -> list[str]:
    """Name the parameters that the data do not determine at a solution.

    Parameters
    ----------
    problem : Problem
    params : ndarray, shape (p,)
    names : list of str
        Of all rows of ``covariance``.
    covariance : ndarray
        Zero rows where a parameter has no error.
    fixed : sequence of str
        Parameters that are held.
    bounds : mapping of str to (float, float), optional
        As of :func:`~homodyne_lib.fitting.nlsq.fit_nlsq`.

    Returns
    -------
    list of str
        Sentences; empty where nothing is wrong.
    """
    return [*_flat_power_laws(params, names, covariance), *_short_of_data(problem, params, covariance, fixed, bounds)]


def known_together(params, names, covariance) -> tuple[list[int], list[list[str]]]:
    """Find parameters of which only combinations are known.

    Parameters
    ----------
    params : ndarray, shape (p,)
    names : list of str
        Of all rows of ``covariance``, the physical parameters first.
    covariance : ndarray
        Zero rows where a parameter has no error.

    Returns
    -------
    flat : list of int
        Numbers of the exponents that are compatible with zero: of such a rate amplitude and offset, if both have an error,
        act alike.
    correlated : list of list of str
        Groups with correlations beyond ±0.99.
    """
    sd = np.sqrt(np.diag(covariance))
    known = np.flatnonzero(sd[: len(params)] > 0)
    found = {names[k] for k in known}
    exponents = [names.index(name) for name in _RATES if name in names[: len(params)] and found >= {*_RATES[name][:2]}]
    flat = [k for k in exponents if abs(params[k]) <= max(2.0 * sd[k], 0.01)]
    correlation = covariance[np.ix_(known, known)] / np.outer(sd[known], sd[known])
    n_groups, group = connected_components(np.abs(correlation) > _CORRELATED)
    groups = [[names[known[k]] for k in np.flatnonzero(group == number)] for number in range(n_groups)]
    return flat, [together for together in groups if len(together) > 1]


def parts_of_rate(exponent: str) -> tuple[str, str, str]:
    """Amplitude and offset of the rate that has an exponent, and what it is called."""
    return _RATES[exponent]


def _flat_power_laws(params, names, covariance) -> list[str]:
    flat, correlated = known_together(params, names, covariance)
    sentences = []
    for k in flat:
        amplitude, offset, rate = parts_of_rate(names[k])
        near = "is compatible with 0" if covariance[k, k] > 0 else "is near 0"
        sentences.append(
            f"{names[k]} = {params[k]:.3g} {near}, where {amplitude} and {offset} act alike: only {rate} itself, not its two "
            "parts, is determined."
        )
    for *others, last in correlated:
        sentences.append(
            f"{', '.join(others)} and {last} are known only in combination (correlations beyond "
            f"±{_CORRELATED}); quote the rates within the record rather than any of them."
        )
    return sentences


def _same_direction(phi) -> np.ndarray:
    """Pairs of angles at which a flow has the same effect, as they differ by half turns; bool, shape (n_phi, n_phi)."""
    return np.abs(nearest_image(["phi0"], phi[:, None] - phi, 0.0)) < _ALIKE


def direction_is_open(
    problem: Problem, params, covariance, fixed: Container[str], bounds: Mapping | None = None
) -> bool:
    """Whether a flow of another direction phi0, and of another size, fits as well.

    At two angles there is one. Bounds may exclude it, or it is the same within the errors, as where a flow goes along one of
    two angles at 90 deg. At one angle any direction does, within bounds too.

    Parameters
    ----------
    problem : Problem
    params : ndarray, shape (p,)
        The fit [units of the parameter table].
    covariance : ndarray
        Of the physical parameters first; zero where one has no error.
    fixed : container of str
        Parameters that are held.
    bounds : mapping of str to (float, float), optional
    """
    if not problem.model.has_flow or "phi0" in fixed:
        return False
    directions = _directions(problem)[0]
    if len(directions) != 2:
        return len(directions) < _FEW_ANGLES
    k, (low, high) = problem.names.index("phi0"), interval_of("phi0", bounds)
    other = _other_flow(directions, params[k])[0]
    is_another = abs(nearest_image(["phi0"], other, params[k])[0] - params[k]) > _APART * np.sqrt(covariance[k, k])
    return bool(is_another and low <= nearest_image(["phi0"], other, 0.5 * (low + high))[0] <= high)


def _directions(problem) -> tuple[np.ndarray, int]:
    """Angles at which a flow has different effects [deg], and the number of all."""
    # Angles of several q, or of repeats, are the same.
    angles = np.unique(problem.experiment.phi)
    return angles[~np.tril(_same_direction(angles), -1).any(axis=1)], angles.size


def _other_flow(directions, phi0) -> tuple[float, float]:
    """Of the flow whose phases at two angles have the same ratio but for its sign: phi0 [deg], and its rate over this one."""
    angles = np.deg2rad(directions)
    own = np.cos(angles - np.deg2rad(phi0))
    other = np.arctan2(-own[::-1] @ np.cos(angles), own[::-1] @ np.sin(angles))
    return float(np.rad2deg(other)), float(np.linalg.norm(own) / np.linalg.norm(np.cos(angles - other)))


def _short_of_data(problem, params, covariance, fixed, bounds) -> list[str]:
    experiment = problem.experiment
    n_phi, last = experiment.phi.size, experiment.time.size - 1
    sentences = []
    if direction_is_open(problem, params, covariance, fixed, bounds):
        directions, n_angles = _directions(problem)
        alike = " (those 180 deg apart are one)" if len(directions) < n_angles else ""
        sentence = "cannot tell the size of the shear rate from its direction phi0: hold phi0 (fixed)."
        if len(directions) == 2:
            other, ratio = _other_flow(directions, params[problem.names.index("phi0")])
            sentence = (
                f"leave another flow that fits as well, with phi0 = {nearest_image(['phi0'], other, 0.0)[0]:.3g} deg and "
                f"{ratio:.3g} times this shear rate: hold phi0 (fixed), or bound it (bounds) to one of the two."
            )
        sentences.append(f"{plural(len(directions), 'angle')}{alike} {sentence} {_FEW_ANGLES} or more angles decide.")
    # First frame with last, and the last two with each other.
    ends = experiment.model_layout(experiment.time, np.array([0, last - 1]), np.array([last, last]))
    u = g1_total(np.asarray(params), ends, *experiment.model_factors, problem.model.convention) ** 2
    whole, fast = np.broadcast_to(u if experiment.model_of is None else u[experiment.model_of], (n_phi, 2)).T
    for bad, u, text in (
        (whole > _COMPLETE, whole, "has not decayed at the end of the record"),
        (fast < _TOO_FAST, fast, "decays within one frame late in the record"),
    ):
        if bad.any():
            one, many = ("In every bin", "bins") if len(experiment.bins.groups) > 1 else ("At every angle", "angles")
            where = one if bad.all() else f"{one[:2]} {bad.sum()} of {n_phi} {many}"
            sentences.append(
                f"{where} the correlation {text} (g1² = {u[bad].mean():.2g}), so that contrast, offset and rates are known "
                "only together."
            )
    return sentences


def scaling_test(problem: Problem, params, equations: NormalEquations, inflation: float = 1.0) -> str | None:
    """F test of a contrast and offset that several angles share, at fixed physical parameters.

    Its level is `THREE_SIGMA`.

    Parameters
    ----------
    problem : Problem
    params : ndarray, shape (p,)
    equations : NormalEquations
        At ``params``.
    inflation : float
        How much larger variances of a fit are than where the noise of the entries is independent.

    Returns
    -------
    str or None
        A sentence where the data reject the scaling; None otherwise.
    """
    individual = per_angle_scaling("individual", problem.experiment.phi)
    more = individual.n_parameters - problem.scaling.n_parameters
    if more <= 0:
        return None
    sums = problem.products.sums(params)
    chi2 = solve_scaling(sums, problem.y_moments, problem.weight, problem.data.centre, individual)[2]
    freedom = problem.n_points - individual.n_parameters - len(params)
    ratio = (equations.chi2 - chi2) / more / (chi2 / freedom) / inflation
    if fdtrc(more, freedom, ratio) > THREE_SIGMA:
        return None
    # Modes of this kind hold what quantiles say; others share one contrast.
    held, shared = problem.scaling.mode.startswith("constant"), problem.scaling.mode != "constant_per_angle"
    shared &= problem.experiment.phi.size > 1
    reasons = ["contrasts differ from angle to angle"] * shared + ["the estimates from quantiles are biased"] * held
    biased = "rates and phi0" if problem.model.has_flow else "rates"
    return (
        f"{REJECTED_SCALING} in per-angle mode {problem.scaling.mode} (F = {ratio:.3g} for {more} more "
        f"numbers): {' or '.join(reasons)}, and {biased} are biased. Choose the per-angle mode individual."
    )

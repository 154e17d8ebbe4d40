"""What a set of data cannot tell apart, in sentences: known degeneracies of the model, and those of a covariance."""

from __future__ import annotations

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.special import fdtrc

from homodyne_lib.kernels import N_DIFFUSION, g1_total
from homodyne_lib.layouts import PairLayout
from homodyne_lib.normal_equations import NormalEquations, solve_scaling
from homodyne_lib.per_angle import per_angle_scaling
from homodyne_lib.problem import Problem

__all__ = ["degeneracies", "scaling_test"]

_ENTANGLED = 0.99  # correlation from which two parameters are only known together
_FEW_ANGLES = 3
_COMPLETE = 0.1  # g1² that a complete decay falls below within the record
_TOO_FAST = 0.1  # g1² that must be left after one frame
_RATES = (("alpha", "D0", "D_offset", "D"), ("beta", "gamma_dot_t0", "gamma_dot_t_offset", "shear rate"))
_REJECTED = 0.0027  # chance of a wrong alarm where the noise is as independent as the test assumes: three sigma


def degeneracies(problem: Problem, params, names, covariance) -> list[str]:
    """Name what the data do not determine at a solution.

    Parameters
    ----------
    problem : Problem
    params : ndarray, shape (p,)
    names : list of str
        Of all rows of ``covariance``.
    covariance : ndarray
        Zero rows where a parameter has no error.

    Returns
    -------
    list of str
        Sentences; empty where nothing is wrong.
    """
    return [*_flat_power_laws(problem, params, names, covariance), *_short_of_data(problem, params)]


def _flat_power_laws(problem, params, names, covariance) -> list[str]:
    sd = np.sqrt(np.diag(covariance))
    known = np.flatnonzero(sd[: len(params)] > 0)
    correlation = covariance[np.ix_(known, known)] / np.outer(sd[known], sd[known])
    sentences = []
    for exponent, amplitude, offset, rate in _RATES:
        if exponent not in names[: len(params)]:
            continue
        k = names.index(exponent)
        if abs(params[k]) <= max(2.0 * sd[k], 0.01):
            sentences.append(
                f"{exponent} = {params[k]:.3g} is compatible with 0, where {amplitude} and {offset} act alike: only the "
                f"{rate} itself, not its two parts, is determined."
            )
    n_groups, group = connected_components(np.abs(correlation) > _ENTANGLED)
    for number in range(n_groups):
        together = [names[known[k]] for k in np.flatnonzero(group == number)]
        if len(together) > 1:
            sentences.append(
                f"{', '.join(together[:-1])} and {together[-1]} are known only in combination (correlations beyond "
                f"±{_ENTANGLED}); quote the rates within the record rather than any of them."
            )
    return sentences


def _short_of_data(problem, params) -> list[str]:
    experiment = problem.experiment
    n_phi, last = experiment.phi.size, experiment.time.size - 1
    sentences = []
    if len(params) > N_DIFFUSION and n_phi < _FEW_ANGLES:
        sentences.append(
            f"{n_phi} angles cannot tell the size of the shear rate from its direction phi0; {_FEW_ANGLES} or more can."
        )
    # First frame with last, and the last two with each other.
    ends = PairLayout(experiment.time, np.array([0, last - 1]), np.array([last, last]), experiment.phi[:, None])
    g1 = g1_total(np.asarray(params), ends, experiment.wq_dt, experiment.sinc_prefactor, problem.convention)
    whole, fast = np.broadcast_to(g1**2, (n_phi, 2)).T
    for bad, u, text in (
        (whole > _COMPLETE, whole, "does not decay to its end within the record"),
        (fast < _TOO_FAST, fast, "decays within one frame late in the record"),
    ):
        if bad.any():
            where = "at every angle" if bad.all() else f"at {bad.sum()} of {n_phi} angles"
            sentences.append(
                f"The correlation {text} {where} (g1² = {u[bad].mean():.2g} there), so that contrast, offset and rates lean "
                "on each other."
            )
    return sentences


def scaling_test(problem: Problem, params, equations: NormalEquations) -> str | None:
    """Ask the data whether one contrast and offset for several angles is enough (F test), at fixed physical parameters.

    Parameters
    ----------
    problem : Problem
    params : ndarray, shape (p,)
    equations : NormalEquations
        At ``params``.

    Returns
    -------
    str or None
        A sentence where the data reject the scaling; None otherwise.
    """
    freer = per_angle_scaling("individual", problem.experiment.phi)
    more = freer.n_parameters - problem.scaling.n_parameters
    if more <= 0:
        return None
    sums = problem.projections(params)[:, len(params)]
    chi2 = solve_scaling(sums, problem.band.y_moments, problem.weight, problem.band.centre, freer)[2]
    freedom = problem.n_points - freer.n_parameters - len(params)
    ratio = (equations.chi2 - chi2) / more / (chi2 / freedom)
    if fdtrc(more, freedom, ratio) > _REJECTED:
        return None
    return (
        f"The data reject contrast and offset in per-angle mode {problem.scaling.mode} (F = {ratio:.3g} for {more} more "
        "numbers): contrasts differ from angle to angle, and rates and phi0 are biased. Choose scaling.per_angle_mode: "
        "individual."
    )

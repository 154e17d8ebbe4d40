"""Where a fit begins: starts spread over what a record can show, screened by their cost."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import qmc

from homodyne_lib.normal_equations import solve_scaling
from homodyne_lib.pair_sums import moments
from homodyne_lib.parameter_scales import from_search_scale, search_bounds, to_search_scale
from homodyne_lib.physics_utils import power_law
from homodyne_lib.problem import Problem

__all__ = ["propose_starts"]

_N_POLISHED = 4
# Decay exponents q²DT and sinc phases of the whole record between which a movement can be seen at all.
_VISIBLE_DECAY = (0.05, 500.0)
_VISIBLE_PHASE = (0.1, 500.0)


def propose_starts(problem: Problem, n_starts: int, seed: int, bounds=None, fixed=None) -> list[np.ndarray]:
    """Best of a Latin hypercube, by cost.

    A start is drawn as the rate at mid-record, its exponent, the share of the offset and the flow direction; rates span
    what the record can show. The cost is the sum of squares with contrast and offset projected out.

    Parameters
    ----------
    problem : Problem
    n_starts : int
    seed : int
    bounds : mapping of str to (float, float), optional
    fixed : mapping of str to float, optional

    Returns
    -------
    list of ndarray, shape (p,)
        At most four, pulled inside the bounds; both signs of phi0 where there are candidates.
    """
    names = problem.names
    unit = qmc.LatinHypercube(d=len(names), rng=np.random.default_rng(seed)).random(max(n_starts, 1))
    candidates = np.array([_candidate(problem, row) for row in unit])
    lower, upper = search_bounds(names, bounds)
    candidates = from_search_scale(names, np.clip(to_search_scale(names, candidates), lower, upper))
    for name, value in (fixed or {}).items():
        candidates[:, names.index(name)] = value
    cost = _costs(problem, candidates)
    order = np.argsort(cost, kind="stable")
    if "phi0" in names:
        # Two flow directions can mirror each other about the angles of a measurement: keep the best of both signs.
        positive = candidates[order, names.index("phi0")] > 0
        order = np.concatenate([order[positive][: _N_POLISHED // 2], order[~positive][: _N_POLISHED // 2]])
    return list(candidates[order[:_N_POLISHED]])


def _candidate(problem: Problem, unit) -> np.ndarray:
    time = np.asarray(problem.experiment.time)
    duration, middle = time[-1], 0.5 * time[-1]

    def draw(u, visible, per_second):
        rate = np.exp(np.log(visible[0]) + u[0] * np.log(visible[1] / visible[0])) / (per_second * duration)
        exponent, share = 3.0 * u[1] - 1.5, 0.5 * u[2]
        return [power_law(middle, (1 - share) * rate, -exponent), exponent, share * rate]

    dt = time[1] if time.size < 3 else time[2] - time[1]
    start = draw(unit[:3], _VISIBLE_DECAY, 2.0 * problem.experiment.wq_dt / dt)
    if len(problem.names) > 3:
        start += [
            *draw(unit[3:6], _VISIBLE_PHASE, problem.experiment.sinc_prefactor / dt),
            60.0 * unit[6] - 30.0,
        ]
    return np.array(start)


def _costs(problem: Problem, candidates) -> np.ndarray:
    def sums_of(params):
        return moments(params, problem.experiment, problem.band, problem.convention)

    every = np.asarray(jax.jit(lambda batch: jax.lax.map(sums_of, batch))(jnp.asarray(candidates)))
    y, weight, centre = (np.asarray(v) for v in (problem.band.y_moments, problem.weight, problem.band.centre))
    costs = []
    for sums in every:
        u, uu, uy = sums.T
        n, y1, yy = y.T
        gram = np.moveaxis(np.array([[uu, u, uy], [u, n, y1], [uy, y1, yy]]), -1, 0)
        _, contrast, offset = solve_scaling(gram, weight, centre, problem.scaling)
        mix = np.stack([-contrast, centre - offset, np.ones_like(contrast)], axis=1)
        cost = float(np.sum(weight * np.einsum("ka,kab,kb->k", mix, gram, mix)))
        costs.append(cost if np.isfinite(cost) else np.inf)
    return np.array(costs)

"""Starting points of a fit: one read from the decays, and others spread over the rates that a record can show."""

from __future__ import annotations

import numpy as np

from homodyne_lib.likelihood.nodes import Nodes
from homodyne_lib.likelihood.problem import Problem
from homodyne_lib.model.curves import CURVES, rate_curves
from homodyne_lib.model.kernels import BROWNIAN, get_shear_convention, shear_phase_factor
from homodyne_lib.model.parameters import PARAMETERS, POWER_OF_Q
from homodyne_lib.model.rates import power_law
from homodyne_lib.model.scales import (
    from_search_scale,
    interval_of,
    nearest_image,
    search_bounds,
    to_search_scale,
)

__all__ = ["as_power_laws", "latin_hypercube", "mirror_images", "propose_starts", "start_from_decays"]

_N_POLISHED = 6
# Intervals of the decay exponent q²DT and of the sinc phase over the whole record in which a movement can be seen.
_VISIBLE_DECAY = (0.05, 500.0)
_VISIBLE_PHASE = (0.1, 500.0)
_OFFSET_SHARE = 0.1  # of the rate, in starts read from the decays, which do not determine it
_EARLY = 0.1  # of the record, and as much before its end: where a start has the rates of a fit
_HALF = float(np.log(2.0))
_N_DIRECTIONS = 180  # at which mirror images are searched for
_SAME_DIRECTION = 2.0  # [deg], within which a mirror image is the flow itself
_SAME_SIDE = 45.0  # [deg], within which two directions are near each other


def propose_starts(problem: Problem, n_starts: int, seed: int, bounds=None, fixed=None) -> list[np.ndarray]:
    """Best, by cost, of a start read from the decays and of a Latin hypercube.

    A start of the hypercube is drawn as the rate in the middle of the record, its exponent, the share of the offset and the
    flow direction; rates span the interval that the record can show. The cost is χ² with the best contrast and offset.

    Parameters
    ----------
    problem : Problem
        Coarse nodes suffice.
    n_starts : int
        Size of the hypercube.
    seed : int
    bounds : mapping of str to (float, float), optional
    fixed : mapping of str to float, optional

    Returns
    -------
    list of ndarray, shape (p,)
        At most six, moved inside the bounds; with a flow, at most three of them near the direction of the best, and at most
        three of other directions.
    """
    names = problem.names
    unit = latin_hypercube(max(n_starts, 1), len(names), seed)
    lower, upper = search_bounds(names, bounds)
    drawn = [_drawn(problem, row, bounds) for row in unit]
    candidates = to_search_scale(names, np.array([*start_from_decays(problem), *drawn]))
    candidates = np.clip(nearest_image(names, candidates, 0.5 * (lower + upper)), lower, upper)
    candidates = from_search_scale(names, candidates)
    for name, value in (fixed or {}).items():
        candidates[:, names.index(name)] = value
    order = np.argsort(problem.costs(candidates), kind="stable")
    if "phi0" in names:
        # Two flow directions can be mirror images about the angles of a measurement; the best starts of both are kept.
        direction = candidates[order, names.index("phi0")]
        near = np.abs(nearest_image(["phi0"], direction - direction[0], 0.0)) < _SAME_SIDE
        order = np.concatenate([order[near][: _N_POLISHED // 2], order[~near][: _N_POLISHED // 2]])
    return list(candidates[order[:_N_POLISHED]])


def latin_hypercube(n: int, dimensions: int, seed: int) -> np.ndarray:
    """Random points of the unit cube, one in each of n slices along every axis.

    They equal those of ``scipy.stats.qmc.LatinHypercube``, whose import takes longer than a small fit.

    Parameters
    ----------
    n, dimensions, seed : int

    Returns
    -------
    ndarray, shape (n, dimensions)
    """
    (rng,) = np.random.default_rng(seed).spawn(1)
    within = rng.random((n, dimensions))
    slices = rng.permuted(np.tile(np.arange(1, n + 1), (dimensions, 1)), axis=1).T
    return (slices - within) / n


def _step(problem: Problem) -> float:
    time = problem.experiment.time
    return time[-1] / (time.size - 1)


def _rate(middle: float, rate: float, exponent: float, share: float) -> list[float]:
    """Amplitude, exponent and offset of a rate that is ``rate`` at time ``middle``."""
    return [power_law(middle, (1 - share) * rate, -exponent), exponent, share * rate]


def _drawn(problem: Problem, unit, bounds) -> np.ndarray:
    duration, dt = problem.experiment.time[-1], _step(problem)

    def draw(u, visible, per_second):
        rate = np.exp(np.log(visible[0]) + u[0] * np.log(visible[1] / visible[0])) / (per_second * duration)
        return _rate(0.5 * duration, rate, 3.0 * u[1] - 1.5, 0.5 * u[2])

    rates = {"D": draw(unit[:3], _VISIBLE_DECAY, 2.0 * np.median(problem.experiment.wq_dt) / dt)}
    others = {POWER_OF_Q: BROWNIAN * (0.5 + unit[-1])}
    if problem.model.has_flow:
        low, high = interval_of("phi0", bounds)
        others["phi0"] = low + (high - low) * unit[6]
        rates["gamma_dot"] = draw(unit[3:6], _VISIBLE_PHASE, np.median(problem.experiment.sinc_prefactor) / dt)
    return _start(problem, rates, others)


def _start(problem: Problem, rates, others) -> np.ndarray:
    """Vector of the parameters of rates and of others by name; those that are not given have their defaults."""
    values = {name: p.default for name, p in PARAMETERS.items()} | others
    for curve, parameters in rates.items():
        values |= zip(CURVES[curve][1], parameters, strict=True)
    return problem.model.vector(values)


def start_from_decays(problem: Problem) -> list[np.ndarray]:
    """Starts from the lags at which the correlations of each angle fall to one half, early and late in the record.

    Without flow g1² = exp(-q² D τ) gives D, and its change with age gives the exponent. With a flow the angle of the slowest
    decay gives D. The faster decay at other angles comes from the sinc, whose phase varies with the angle as cos(φ0 - φ).

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    list of ndarray, shape (p,)
        One, or with a flow one more for each of its mirror images; not yet inside the bounds.
    """
    time, dt = problem.experiment.time, _step(problem)
    halves = np.array_split(problem.experiment.frames, 2)
    age, earlier = problem.nodes.layout.idx1, halves[0][-1]
    lags = [dt * _half_decay(problem.nodes, part) for part in (age <= earlier, age > earlier)]
    ages = [time[half].mean() for half in halves]
    decay_per_rate, groups = 2.0 * problem.experiment.wq_dt / dt, problem.experiment.bins.groups
    # Where a q decays within a frame, or hardly at all, its rate is wrong: that in the middle of all q counts.
    diffusion = [float(np.median([_HALF / (decay_per_rate * lag)[g].max() for g in groups])) for lag in lags]
    rates = {"D": _rate(*_through(ages, diffusion), _OFFSET_SHARE)}
    if not problem.model.has_flow:
        return [_start(problem, rates, {})]
    convention = get_shear_convention(problem.model.convention)
    angle = np.deg2rad(2.0 * problem.experiment.phi)
    waves = np.column_stack([np.ones_like(angle), np.cos(angle), np.sin(angle)])
    shear, direction, relative = [], 0.0, _relative_phases(problem)
    for lag, rate in zip(lags, diffusion, strict=True):
        # For small x, sinc^2p(x) ≈ exp(-p x²/3).
        phase2 = 3.0 / convention.power * np.maximum(_HALF - decay_per_rate * rate * lag, 0.0) / (relative * lag) ** 2
        mean, even, odd = np.linalg.lstsq(waves, phase2, rcond=None)[0]
        direction = np.rad2deg(0.5 * np.arctan2(odd, even))
        largest = np.sqrt(max(mean + np.hypot(even, odd), 0.1 / time[-1] ** 2))
        shear.append(largest * dt / (problem.experiment.sinc_prefactor[0] * convention.phase_scale))
    rates["gamma_dot"] = _rate(*_through(ages, shear), _OFFSET_SHARE)
    start = _start(problem, rates, {"phi0": direction})
    return [start, *mirror_images(problem, start)]


def _relative_phases(problem: Problem) -> np.ndarray:
    """Phases of the bins at one rate and direction, over that of the first, (n_bins,): q over its q."""
    return problem.experiment.sinc_prefactor / problem.experiment.sinc_prefactor[0]


def mirror_images(problem: Problem, params) -> list[np.ndarray]:
    """Flows of other directions whose effect at the angles of a measurement is most like that of a given one.

    A flow acts by the squares of its phases, γ² cos²(φ0 - φ). At few angles another direction, with another rate, gives
    almost the same squares.

    Parameters
    ----------
    problem : Problem
    params : ndarray, shape (p,)

    Returns
    -------
    list of ndarray, shape (p,)
        One for each direction, except that of ``params``, at which the difference of the squares has a minimum; then the
        reflection about the measured angle nearest to the flow or its normal, where the squares change least.
    """
    names, phi = problem.names, problem.experiment.phi
    turns = np.arange(-90.0, 90.0, 180.0 / _N_DIRECTIONS)
    directions = params[names.index("phi0")] + turns[:, None]
    squares = shear_phase_factor(directions, phi, _relative_phases(problem), problem.model.convention) ** 2
    own = squares[_N_DIRECTIONS // 2]
    growth = squares @ own / np.maximum(np.sum(squares**2, axis=1), np.finfo(float).tiny)
    difference = np.sum((own - growth[:, None] * squares) ** 2, axis=1)
    is_minimum = (difference < np.roll(difference, 1)) & (difference <= np.roll(difference, -1))
    images = []
    for k in np.flatnonzero(is_minimum & (np.abs(turns) > _SAME_DIRECTION)):
        image = np.array(params, dtype=float)
        image[names.index("phi0")] += turns[k]
        for rate in ("gamma_dot_t0", "gamma_dot_t_offset"):
            image[names.index(rate)] *= np.sqrt(growth[k])
        images.append(image)
    to_angles = phi - params[names.index("phi0")]
    to_angles -= 90.0 * np.round(to_angles / 90.0)
    reflection = np.array(params, dtype=float)
    reflection[names.index("phi0")] += 2.0 * to_angles[np.argmin(np.abs(to_angles))]
    return [*images, reflection]


def _through(ages, rates) -> tuple[float, float, float]:
    """Time in the middle, the rate there, and the exponent of the power law through two rates."""
    exponent = np.log(rates[1] / rates[0]) / np.log(ages[1] / ages[0])
    return float(np.sqrt(ages[0] * ages[1])), float(np.sqrt(rates[0] * rates[1])), float(np.clip(exponent, -1.5, 1.5))


def _half_decay(nodes: Nodes, part) -> np.ndarray:
    """Lag [frames] at which the mean correlation of a part of the nodes has fallen half way, or the longest; (n_phi,)."""
    counted = nodes.weight > 0
    # In a record with long gaps no node may lie among the few frames of a half.
    used = counted & part if np.any(counted & part) else counted
    lags, place = np.unique((nodes.layout.idx2 - nodes.layout.idx1)[used], return_inverse=True)
    count = np.bincount(place, nodes.weight[used])
    mean = np.array([np.bincount(place, y[used]) for y in nodes.y]) / count
    # A node stands for the lags since the one before, and there are the fewer pairs of a lag the longer it is.
    pairs_of_a_lag = count / np.diff(lags, prepend=lags[0] - 1)
    known = pairs_of_a_lag >= 0.5 * pairs_of_a_lag.max()
    mean, lags = mean[:, known], lags[known]
    floor = mean[:, lags >= 0.8 * lags[-1]].mean(axis=1)
    fallen = mean < (0.5 * (mean[:, 0] + floor))[:, None]
    return np.where(fallen.any(axis=1), lags[fallen.argmax(axis=1)], lags[-1]).astype(float)


def as_power_laws(problem: Problem, params) -> np.ndarray:
    """A start whose rates are those of a fit early and late in the record, as power laws with a small offset.

    Parameters
    ----------
    problem : Problem
    params : array_like, shape (p,)
        Physical parameters of the fit [units of the parameter table].

    Returns
    -------
    ndarray, shape (p,)
        Direction and power of q are those of the fit.
    """
    values = dict(zip(problem.names, map(float, params), strict=True))
    times = np.array([_EARLY, 1.0 - _EARLY]) * problem.experiment.time[-1]
    curves = [curve for curve, (_, names) in CURVES.items() if values.keys() >= {*names}]
    ends = {curve: rate_curves(values, times, _step(problem), curve)[0] for curve in curves}
    rates = {curve: _rate(*_through(times, both), _OFFSET_SHARE) for curve, both in ends.items()}
    return _start(problem, rates, {name: values[name] for name in ("phi0", POWER_OF_Q) if name in values})

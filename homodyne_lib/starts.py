"""Where a fit begins: what the decays show at a glance, and starts spread over all that a record can show."""

from __future__ import annotations

import numpy as np

from homodyne_lib.kernels import N_DIFFUSION, get_shear_convention
from homodyne_lib.parameter_scales import from_search_scale, search_bounds, to_search_scale
from homodyne_lib.physics_utils import power_law
from homodyne_lib.problem import Problem

__all__ = ["latin_hypercube", "propose_starts", "start_from_decays"]

_N_POLISHED = 6
# Decay exponents q²DT and sinc phases of the whole record between which a movement can be seen at all.
_VISIBLE_DECAY = (0.05, 500.0)
_VISIBLE_PHASE = (0.1, 500.0)
_OFFSET_SHARE = 0.1  # of the rate, where a start needs one and the data do not tell
_HALF = float(np.log(2.0))


def propose_starts(problem: Problem, n_starts: int, seed: int, bounds=None, fixed=None) -> list[np.ndarray]:
    """Best, by cost, of a start read from the decays and of a Latin hypercube.

    A start of the hypercube is drawn as the rate at mid-record, its exponent, the share of the offset and the flow
    direction; rates span what the record can show. The cost is χ² with the best contrast and offset.

    Parameters
    ----------
    problem : Problem
        All data, or a sample of them.
    n_starts : int
        Size of the hypercube.
    seed : int
    bounds : mapping of str to (float, float), optional
    fixed : mapping of str to float, optional

    Returns
    -------
    list of ndarray, shape (p,)
        At most six, pulled inside the bounds; both signs of phi0 where there are candidates.
    """
    names = problem.names
    unit = latin_hypercube(max(n_starts, 1), len(names), seed)
    candidates = np.array([*start_from_decays(problem), *(_drawn(problem, row) for row in unit)])
    lower, upper = search_bounds(names, bounds)
    candidates = from_search_scale(names, np.clip(to_search_scale(names, candidates), lower, upper))
    for name, value in (fixed or {}).items():
        candidates[:, names.index(name)] = value
    order = np.argsort([problem.cost(candidate) for candidate in candidates], kind="stable")
    if "phi0" in names:
        # Two flow directions can mirror each other about the angles of a measurement: keep the best of both signs.
        positive = candidates[order, names.index("phi0")] > 0
        order = np.concatenate([order[positive][: _N_POLISHED // 2], order[~positive][: _N_POLISHED // 2]])
    return list(candidates[order[:_N_POLISHED]])


def latin_hypercube(n: int, dimensions: int, seed: int) -> np.ndarray:
    """Random points of the unit cube, one in each of n slices along every axis.

    They are those of ``scipy.stats.qmc.LatinHypercube``, without its imports, which take longer than a small fit.

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


def _rate(problem: Problem, middle: float, rate: float, exponent: float, share: float) -> list[float]:
    """Amplitude, exponent and offset of a rate that is ``rate`` at time ``middle``."""
    return [power_law(middle, (1 - share) * rate, -exponent), exponent, share * rate]


def _drawn(problem: Problem, unit) -> np.ndarray:
    duration, dt = problem.experiment.time[-1], _step(problem)

    def draw(u, visible, per_second):
        rate = np.exp(np.log(visible[0]) + u[0] * np.log(visible[1] / visible[0])) / (per_second * duration)
        return _rate(problem, 0.5 * duration, rate, 3.0 * u[1] - 1.5, 0.5 * u[2])

    start = draw(unit[:3], _VISIBLE_DECAY, 2.0 * problem.experiment.wq_dt / dt)
    if len(problem.names) > N_DIFFUSION:
        start += [*draw(unit[3:6], _VISIBLE_PHASE, problem.experiment.sinc_prefactor / dt), 60.0 * unit[6] - 30.0]
    return np.array(start)


def start_from_decays(problem: Problem) -> list[np.ndarray]:
    """Starts from the lags at which the correlations of each angle fall to one half, early and late in the record.

    Without flow g1² = exp(-q² D τ) gives D; its change with age gives the exponent. With a flow the slowest angle gives D,
    what the others lose beyond it is the sinc, whose phase per second varies with the angle as cos(φ0 - φ).

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    list of ndarray, shape (p,)
        One, or with a flow one for each sign of phi0; not yet inside the bounds.
    """
    time, dt, frames = problem.experiment.time, _step(problem), problem.band.frames
    halves = np.array_split(np.arange(frames.size), 2)
    lags = [dt * _half_decay(problem, rows) for rows in halves]
    ages = [time[frames[rows]].mean() for rows in halves]
    decay_per_rate = 2.0 * problem.experiment.wq_dt / dt
    diffusion = [_HALF / (decay_per_rate * lag.max()) for lag in lags]
    start = _rate(problem, *_through(ages, diffusion), _OFFSET_SHARE)
    if len(problem.names) <= N_DIFFUSION:
        return [np.array(start)]
    convention = get_shear_convention(problem.convention)
    angle = np.deg2rad(2.0 * problem.experiment.phi)
    waves = np.column_stack([np.ones_like(angle), np.cos(angle), np.sin(angle)])
    shear, direction = [], 0.0
    for lag, rate in zip(lags, diffusion, strict=True):
        # sinc^2p(x) is about exp(-p x²/3).
        phase2 = 3.0 / convention.power * np.maximum(_HALF - decay_per_rate * rate * lag, 0.0) / lag**2
        mean, even, odd = np.linalg.lstsq(waves, phase2, rcond=None)[0]
        direction = np.rad2deg(0.5 * np.arctan2(odd, even))
        largest = np.sqrt(max(mean + np.hypot(even, odd), 0.1 / time[-1] ** 2))
        shear.append(largest * dt / (problem.experiment.sinc_prefactor * convention.phase_scale))
    start += _rate(problem, *_through(ages, shear), _OFFSET_SHARE)
    return [np.array([*start, sign * direction]) for sign in (1, -1)]


def _through(ages, rates) -> tuple[float, float, float]:
    """Time in the middle, the rate there, and the exponent of the power law through two rates."""
    exponent = np.log(rates[1] / rates[0]) / np.log(ages[1] / ages[0])
    return float(np.sqrt(ages[0] * ages[1])), float(np.sqrt(rates[0] * rates[1])), float(np.clip(exponent, -1.5, 1.5))


def _half_decay(problem: Problem, rows) -> np.ndarray:
    """Lag, in frames, at which the mean correlation of some rows has fallen half way: (n_phi,); the longest if it has not."""
    c2, frames = problem.band.c2, problem.band.frames
    n_phi, n_t = problem.experiment.phi.size, problem.experiment.time.size
    total, count = np.zeros((n_phi, n_t)), np.zeros(n_t)
    for row in rows:
        total[:, : n_t - 1 - frames[row]] += c2[:, row, frames[row] + 1 :]
        count[: n_t - 1 - frames[row]] += 1
    lags = np.flatnonzero(count >= 0.5 * count.max())
    mean = total[:, lags] / count[lags]
    floor = mean[:, -max(1, lags.size // 5) :].mean(axis=1)
    fallen = mean < (0.5 * (mean[:, 0] + floor))[:, None]
    return 1.0 + np.where(fallen.any(axis=1), lags[fallen.argmax(axis=1)], lags[-1])

"""The posterior of all data from its shards, beside the fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from homodyne_lib.model.scales import prior_normal
from homodyne_lib.results.calibrations import Calibration
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.posterior_records import parameter_rows
from homodyne_lib.results.posteriors import Posterior, landmark_times
from homodyne_lib.results.prior_words import led_by_prior
from homodyne_lib.results.sampler_reports import (
    CONVERGED,
    MIN_NODE_SHARE,
    Agreement,
    FailedShard,
    SamplerReport,
    ShardReport,
)
from homodyne_lib.sampling.consensus import cholesky_factor, combine_shards
from homodyne_lib.sampling.coordinates import Coordinates
from homodyne_lib.sampling.importance import MAX_PARETO_K, reweighted
from homodyne_lib.sampling.sandwich import adjust_draws
from homodyne_lib.sampling.scaling_groups import ScalingGroups
from homodyne_lib.sampling.shard_files import Proposals, ShardDraws

__all__ = ["Outcome", "combined", "usable_shards"]

_OWN_DRAWS = 400

Outcome = tuple[ShardDraws, Mapping[str, Any]] | str
"""Draws of a shard with the report of its chains, or the sentence that says why there are none."""


def usable_shards(
    outcomes: Sequence[Outcome], least: float
) -> tuple[dict[int, tuple[ShardDraws, Mapping[str, Any]]], list[FailedShard]]:
    """Choose the shards whose chains can be used.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of all shards, in order.
    least : float
        Share of the shards that must be usable.

    Returns
    -------
    used : dict of int to (ShardDraws, mapping)
    failed : list of FailedShard

    Raises
    ------
    ValueError
        If their share is below ``least``.
    """
    used, failed = {}, []
    for number, outcome in enumerate(outcomes):
        if isinstance(outcome, str):
            failed.append(FailedShard(number, outcome))
        elif outcome[1]["usable"]:
            used[number] = outcome
        else:
            failed.append(FailedShard(number, "; ".join(outcome[1]["reasons"]) + "."))
    if len(used) < max(1, least * len(outcomes)):
        told = " ".join(f"Shard {shard.shard}: {shard.reason}" for shard in failed)
        raise ValueError(
            f"only {len(used)} of {len(outcomes)} shards can be used, and min_good_shards asks for a share of "
            f"{least:g}. {told}"
        )
    return used, failed


def _joined(shards, weights, fit, seed):
    """Draws of all data, the log density of weighted ones, what each shard says of its own, and how well that goes together.

    One shard is all data, and its draws have statistics of their own.
    """
    if weights is None:
        return shards[0].x, None, [shards[0].x], None, None
    consensus = combine_shards(shards)
    origin, groups = np.array(list(fit.coefficients.values())), ScalingGroups.of(fit.per_angle)
    x, lp, pareto_k = reweighted(*weights, origin, shards[0].x.shape[:2], seed, groups)
    normal = np.random.default_rng(seed).standard_normal((1, _OWN_DRAWS, len(consensus.mean)))
    beside = normal @ cholesky_factor(consensus.own_covariance).T
    own = [mean + beside for mean in consensus.own_means]
    return x, lp, own, Agreement(**consensus.agreement), pareto_k


def _prior_sd(coordinates, scaling):
    """Standard deviation of the prior of everything that is drawn."""
    draws = coordinates.natural_draws(coordinates.prior_draws(), [])
    of_scaling = dict(zip(("contrast", "offset"), prior_normal(["contrast", "offset"])[1], strict=True))
    return {name: sample.std() for name, sample in draws.items()} | {
        name: of_scaling[name.split("_")[0]] for name in scaling
    }


def _report(reports, failed, shards, agreement, pareto_k, led) -> SamplerReport:
    n_shards = len(reports) + len(failed)
    warnings = [*led]
    warnings += [f"Shard {shard.shard} is left out: {shard.reason}" for shard in failed]
    warnings += [f"Shard {report.shard}: {reason}." for report in reports for reason in report.reasons]
    warnings += [
        f"Shard {report.shard}: the nodes are too coarse: weighed by the density of the finest nodes, only "
        f"{report.node_share:.0%} of the draws count ({MIN_NODE_SHARE:.0%} is wanted)."
        for report in reports
        if report.node_share < MIN_NODE_SHARE
    ]
    exact = pareto_k is None or pareto_k < MAX_PARETO_K
    if not exact:
        warnings.append(
            f"The shards agree on a law that is far from the posterior of all data (Pareto k is {pareto_k:.2f}; below "
            f"{MAX_PARETO_K} is wanted); use fewer shards."
        )
    good = sum(report.converged for report in reports)
    return SamplerReport(
        method="nuts",
        status=CONVERGED if good == n_shards and exact else "not converged",
        n_shards=n_shards,
        n_converged=good,
        n_chains=shards[0].x.shape[0],
        n_draws=shards[0].x.shape[1],
        agreement=agreement,
        pareto_k=pareto_k,
        led_by_prior=led,
        warnings=warnings,
        failed=failed,
        shards=reports,
    )


def combined(
    outcomes: Sequence[Outcome],
    weights: Callable[[Mapping[int, ShardDraws]], tuple[Proposals, tuple[np.ndarray, ...]]] | None,
    fit: Fit,
    calibration: Calibration | None,
    *,
    seed: int,
    min_good_shards: float,
    bounds: Mapping[str, Sequence[float]],
    fixed: Mapping[str, float],
    progress: Callable[[str], None] = lambda text: None,
) -> Posterior:
    """Make the posterior of all data from its shards.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of all shards, in order.
    weights : callable or None
        Takes the usable shards' draws by number; gives proposals and the sum of those shards' terms. None for a single shard.
    fit : Fit
    calibration : Calibration or None
        Without it, errors are those of independent noise.
    seed : int
    min_good_shards : float
        Share of the shards that must be usable.
    bounds : mapping of str to (float, float)
    fixed : mapping of str to float
    progress : callable
        Told what was found.

    Returns
    -------
    Posterior

    Raises
    ------
    ValueError
        If too few shards are usable, or leave a direction without precision.
    """
    scaling = list(fit.coefficients)
    used, failed = usable_shards(outcomes, min_good_shards)
    by_number = {number: draws for number, (draws, _) in used.items()}
    shards = list(by_number.values())
    coordinates = Coordinates(list(fit.parameters), shards[0].time, bounds, fixed, list(fit.values.values()))
    x, lp, own, agreement, pareto_k = _joined(shards, weights and weights(by_number), fit, seed)
    reports = []
    for (number, (_, chains)), sample in zip(used.items(), own, strict=True):
        by_name = coordinates.natural_draws(sample, scaling)
        mean = {name: float(values.mean()) for name, values in by_name.items()}
        sd = {name: float(values.std()) for name, values in by_name.items()}
        reports.append(ShardReport(shard=number, **chains, mean=mean, sd=sd))

    def draws_of(x):
        free = coordinates.natural_draws(x, scaling)
        held = {name: np.full(x.shape[:2], float(fixed[name])) for name in fit.parameters if name in fixed}
        return {name: (held | free)[name] for name in [*fit.parameters, *(n for n in free if n not in fit.parameters)]}

    independent = draws_of(x)
    if calibration is not None and calibration.kind.correlated:
        x = adjust_draws(x, coordinates, calibration.information, calibration.assumed)
    draws = draws_of(x)
    worst = {
        "r_hat": {name: max(r.r_hat[name] for r in reports) for name in reports[0].r_hat},
        "ess_bulk": {name: min(r.ess_bulk[name] for r in reports) for name in reports[0].ess_bulk},
    }
    time = shards[0].time
    led = led_by_prior(
        fit.with_calibration(calibration),
        {name: sample.ravel() for name, sample in draws.items()},
        landmark_times(time[-1])[1],
        time[-1] / (time.size - 1),
    )
    report = _report(reports, failed, shards, agreement, pareto_k, led)
    for text in report.warnings:
        progress(f"Warning: {text}")
    largest = max(worst["r_hat"].values())
    progress(f"{report.n_converged} of {report.n_shards} shards converged; largest R̂ {largest:.4f}")
    table = parameter_rows(fit, draws, worst, _prior_sd(coordinates, scaling), independent)
    return Posterior(draws, independent, [shard.stats for shard in shards], lp, report, table)

"""The draws of a shard, once more and more carefully where its chains do not agree; and its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from homodyne_lib.fitting.speckle_fit import in_frozen_metric
from homodyne_lib.io.correlations import Correlations, RowBand
from homodyne_lib.likelihood.compression import Compressed
from homodyne_lib.likelihood.merged_frames import merged_frames
from homodyne_lib.likelihood.problem import make_problem
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.posterior_records import chain_diagnostics
from homodyne_lib.results.sampler_reports import MIN_ESS, MIN_NODE_SHARE
from homodyne_lib.results.scalings import QuantileScaling
from homodyne_lib.sampling.consensus import combine_shards
from homodyne_lib.sampling.importance import propose, shard_terms
from homodyne_lib.sampling.nuts import sample_shard
from homodyne_lib.sampling.posterior import ShardPosterior
from homodyne_lib.sampling.shard_files import Proposals, ShardDraws

__all__ = ["sampled", "seed_of", "shard_posterior", "weighed"]

# Times the adaptation, and shares of the rejected steps: plainly; where the law may have corners and a mass matrix is
# learnt, or in a second attempt; for both.
WARMUP, REJECTED = (1, 3, 5), (1.0, 0.3, 0.15)


def seed_of(*about: object) -> int:
    """Give a seed of its own to every such thing, the same in every run."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, about)).encode()).digest()[:4], "little")


def shard_posterior(
    part: Compressed | RowBand,
    fit: Fit,
    quantiles: QuantileScaling,
    n_shards: int,
    *,
    record: Correlations | None = None,
    fourier_order: int,
    bounds: Mapping[str, Sequence[float]],
    fixed: Mapping[str, float],
    threads: int = 1,
) -> ShardPosterior:
    """Posterior of a shard, anchored at the fit of all data.

    Parameters
    ----------
    part : Compressed or RowBand
        Data of the shard: all of them, compressed, or its rows.
    fit : Fit
    quantiles : QuantileScaling
    n_shards, fourier_order : int
    record : Correlations, optional
        What was compressed; the metric of speckle noise needs it.
    bounds : mapping of str to (float, float)
    fixed : mapping of str to float
    threads : int
        For the products of that metric.

    Returns
    -------
    ShardPosterior
    """
    per_angle = quantiles.per_angle(fit.per_angle_mode, fourier_order)
    problem = make_problem(part, per_angle, fit.model, record)
    if fit.metric is not None:
        if fit.merged_at is not None:
            problem, _ = merged_frames(problem, fit.merged_at, threads=threads)
        problem = in_frozen_metric(problem, fit.metric, threads)
    return ShardPosterior(problem, fit.vector, n_shards, bounds, fixed, fit.noise_scale)


def sampled(
    posterior: ShardPosterior,
    *,
    seed: int,
    chains: int,
    warmup: int,
    draws: int,
    target_acceptance: float,
    processes: int = 1,
    progress: Callable[[str], None] = lambda text: None,
) -> tuple[ShardDraws, dict[str, Any]]:
    """Sample the posterior of a shard.

    Parameters
    ----------
    posterior : ShardPosterior
    seed, chains, warmup, draws : int
    target_acceptance : float
    processes : int
        Chains run side by side in so many.
    progress : callable

    Returns
    -------
    draws : ShardDraws
    report : dict
        Fields of :class:`~homodyne_lib.results.sampler_reports.ShardReport` that the chains alone give.

    Raises
    ------
    ValueError
        If the density is not finite where a chain starts.
    """
    how = {"n_draws": draws, "n_chains": chains, "n_processes": processes}
    how |= {"seed": seed, "warmup": warmup, "rejected": 1 - target_acceptance, "progress": progress}
    best, report = _best(posterior, **how)
    if report["node_share"] < MIN_NODE_SHARE:
        progress("once more, on nodes that are close to the finest where the draws are")
        best, report = _best(posterior.moved_to(best.x), **how)
    return best, report


def _best(posterior, *, progress, **how):
    """Draws whose chains agree, or those of two attempts whose chains agree better; and their report."""
    learn = not posterior.determined
    attempts = [_attempt(posterior, 1, learn, progress=progress, **how)]
    # Fewer draws than are wanted of effective ones cannot pass, however they are made.
    if not attempts[0][1]["converged"] and how["n_chains"] * how["n_draws"] > MIN_ESS:
        progress(f"{'; '.join(attempts[0][1]['reasons'])}; once more with smaller steps and a longer adaptation")
        learn = learn or attempts[0][1]["divergences"] > 0
        attempts.append(_attempt(posterior, 2, learn, progress=progress, **how))
    best, report = min(attempts, key=lambda attempt: (not attempt[1]["converged"], attempt[1]["max_r_hat"]))
    report["node_share"] = posterior.node_share(best.x)
    progress(f"weighed by the density of the finest nodes, {report['node_share']:.1%} of the draws count")
    return best, report


def _attempt(posterior, number, learn, *, seed, warmup, rejected, progress, **how):
    """Draws, and the report of their chains."""
    care = number - 1 + learn
    n_warmup = warmup * WARMUP[care]
    draws = sample_shard(
        posterior,
        seed=seed_of(seed, number),
        n_warmup=n_warmup,
        target_acceptance=1 - rejected * REJECTED[care],
        adapt_mass=learn,
        progress=progress,
        **how,
    )
    by_name = posterior.coordinates.natural_draws(draws.x, posterior.problem.scaling.names)
    return draws, {"attempts": number, "n_warmup": n_warmup, "jumps": learn, **chain_diagnostics(by_name, draws.stats)}


def weighed(
    posterior: ShardPosterior,
    shards: Sequence[ShardDraws],
    n_draws: int,
    *,
    seed: int,
    progress: Callable[[str], None] = lambda text: None,
) -> tuple[Proposals, tuple[np.ndarray, ...]]:
    """Say what a shard adds to the log density of all data at the draws that the shards' consensus proposes.

    Parameters
    ----------
    posterior : ShardPosterior
        Of the shard.
    shards : sequence of ShardDraws
        Of all shards that can be used.
    n_draws, seed : int
        The same for every shard.
    progress : callable

    Returns
    -------
    proposals : Proposals
        The same for every shard.
    terms : tuple of ndarray
        Of :func:`~homodyne_lib.sampling.importance.shard_terms`.
    """
    proposals = propose(combine_shards(shards), len(posterior.density.factor), n_draws, seed)
    progress(f"{len(proposals.x)} proposals at {posterior.problem.n_points} pairs")
    return proposals, shard_terms(posterior.density.shard, proposals.x, progress)

"""Exact draws of the posterior of all data, from a normal law near it.

Draws are proposed from a t distribution about the consensus. The log density of all data at a proposal is a sum over shards,
each of which computes its summand, ``sampling.density.ShardDensity.quadratic``, on its own nodes. Contrast and
offset are integrated out of the sum. Pareto-smoothed weights (Vehtari et al. 2024) turn proposals into draws. The shape k of
the tail of the weights says whether these draws can be trusted.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from arviz_stats.base import array_stats

from homodyne_lib.sampling.compilation import RUN_OFTEN, over_draws
from homodyne_lib.sampling.consensus import Consensus, cholesky_factor
from homodyne_lib.sampling.density import ShardDensity, conditional_draws, marginal
from homodyne_lib.sampling.scaling_groups import ScalingGroups
from homodyne_lib.sampling.shard_files import Proposals

__all__ = ["MAX_PARETO_K", "propose", "reweighted", "shard_terms"]

MAX_PARETO_K = 0.7
"""Above it importance weights are not to be trusted (Vehtari et al. 2024)."""

# The tails are heavier than those of a well-determined posterior, so that no region is missed.
_DEGREES_OF_FREEDOM = 7
# Progress is reported after each of so many parts of the proposals.
_PARTS = 4

_terms = over_draws(lambda density, x: density.quadratic(x), RUN_OFTEN)
_marginals = over_draws(lambda _, *terms: marginal(*terms))


def propose(consensus: Consensus, inner: int, n_draws: int, seed: int) -> Proposals:
    """Draw proposals about a consensus.

    Parameters
    ----------
    consensus : Consensus
    inner : int
        Number of coordinates, which come first; scaling coefficients follow.
    n_draws : int
    seed : int

    Returns
    -------
    Proposals
    """
    rng = np.random.default_rng(seed)
    factor = cholesky_factor(consensus.covariance[:inner, :inner])
    normal = rng.standard_normal((n_draws, inner))
    z = normal * np.sqrt(_DEGREES_OF_FREEDOM / rng.chisquare(_DEGREES_OF_FREEDOM, n_draws))[:, None]
    density = -0.5 * (_DEGREES_OF_FREEDOM + inner) * np.log1p(np.sum(z * z, axis=1) / _DEGREES_OF_FREEDOM)
    return Proposals(consensus.mean[:inner] + z @ factor.T, density)


def shard_terms(
    density: ShardDensity, x, progress: Callable[[str], None] = lambda text: None
) -> tuple[np.ndarray, ...]:
    """Summand of a shard in -2 log density at each proposal: arrays as of its quadratic forms, with n first."""
    parts = []
    for part in np.array_split(x, _PARTS):
        parts.append(_terms(density, part))
        progress(f"{sum(len(rest) for *_, rest in parts)} of {len(x)} proposals weighed")
    return tuple(np.concatenate(terms) for terms in zip(*parts, strict=True))


def reweighted(
    proposals: Proposals, terms, origin, shape, seed: int, groups: ScalingGroups | None = None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Turn proposals into draws of the posterior of all data.

    Parameters
    ----------
    proposals : Proposals
    terms : tuple of ndarray
        Sum of :func:`shard_terms` over all shards.
    origin : ndarray, shape (m,)
        Fitted scaling coefficients; those of ``terms`` are differences from them.
    shape : (int, int)
        Chains and draws wanted.
    seed : int
    groups : ScalingGroups, optional
        Those of ``terms``.

    Returns
    -------
    x : ndarray, shape (*shape, n_free + 1 + m)
        Independent, except for proposals that were drawn more than once.
    lp : ndarray, shape shape
        Log density of all data at the draws, scaling integrated out, up to a constant.
    pareto_k : float
        Shape of the tail of the weights.
    """
    lp = _marginals((), *terms)
    log_weights = lp - proposals.log_density
    # ArviZ smooths the reciprocals of likelihoods.
    smoothed, pareto_k = array_stats.psislw(-log_weights)
    rng, n = np.random.default_rng(seed), shape[0] * shape[1]
    # Systematic resampling draws no proposal more often than its weight asks, rounded; the order is random.
    steps = (rng.random() + np.arange(n)) / n
    chosen = rng.permutation(np.searchsorted(np.cumsum(np.exp(smoothed)), steps).clip(max=len(smoothed) - 1))
    matrix, right, _ = (part[chosen] for part in terms)
    normal = rng.standard_normal((len(right), len(origin)))
    scaling = origin + conditional_draws(matrix, right, normal, groups)
    x = np.concatenate([proposals.x[chosen], scaling], axis=1).reshape(*shape, -1)
    return x, lp[chosen].reshape(shape), float(pareto_k)

"""Exact draws of the posterior of all data, where shards have agreed on a normal law near it.

Draws are proposed from a t distribution about the consensus. The log density of all data at a proposal is a sum over shards,
each of which needs one pass over its own band: :meth:`~homodyne_lib.posterior.ShardPosterior.quadratic` is the summand, and
contrast and offset are integrated out of the sum. Pareto-smoothed weights (Vehtari et al. 2024) then turn proposals into
draws, and the shape k of their tail says whether they can.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
from arviz_stats.base import array_stats

from homodyne_lib.consensus import Consensus, cholesky_factor
from homodyne_lib.posterior import conditional_draw, exact, marginal, one_by_one
from homodyne_lib.shard_files import Proposals

__all__ = ["MAX_PARETO_K", "propose", "reweighted", "shard_terms"]

MAX_PARETO_K = 0.7
"""Above it importance weights are not to be trusted (Vehtari et al. 2024)."""

# Heavier tails than any well-determined posterior has, at little cost in the middle.
_DEGREES_OF_FREEDOM = 7
# After each of so many parts of the proposals the log hears how far it is.
_PARTS = 4


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


def shard_terms(posterior, x, progress: Callable[[str], None] = lambda text: None) -> tuple[np.ndarray, ...]:
    """What a shard adds to -2 log density at each proposal: arrays of shapes (n, m, m), (n, m) and (n,)."""
    products = []
    for part in np.array_split(x, _PARTS):
        products.extend(posterior.products(part))
        progress(f"{len(products)} of {len(x)} proposals weighed")
    terms = jax.vmap(lambda row, products: posterior.quadratic(row, exact(products)))
    return tuple(np.asarray(part) for part in jax.jit(terms)(x, np.array(products)))


def reweighted(proposals: Proposals, terms, origin, shape, seed: int) -> tuple[np.ndarray, float]:
    """Turn proposals into draws of the posterior of all data.

    Parameters
    ----------
    proposals : Proposals
    terms : tuple of ndarray
        Sum of :func:`shard_terms` over all shards.
    origin : ndarray, shape (m,)
        Fitted scaling coefficients, from which those of ``terms`` count.
    shape : (int, int)
        Chains and draws wanted.
    seed : int

    Returns
    -------
    x : ndarray, shape (*shape, n_free + 1 + m)
        Independent but for proposals that were drawn twice.
    pareto_k : float
        Shape of the tail of the weights.
    """
    log_weights = one_by_one(marginal)(*terms) - proposals.log_density
    # ArviZ smooths the reciprocals of likelihoods.
    smoothed, pareto_k = array_stats.psislw(-log_weights)
    rng, n = np.random.default_rng(seed), shape[0] * shape[1]
    # Systematic resampling draws no proposal more often than its weight asks, rounded; the order is random.
    steps = (rng.random() + np.arange(n)) / n
    chosen = rng.permutation(np.searchsorted(np.cumsum(np.exp(smoothed)), steps).clip(max=len(smoothed) - 1))
    matrix, right, _ = (part[chosen] for part in terms)
    scaling = origin + one_by_one(conditional_draw)(matrix, right, rng.standard_normal(right.shape))
    return np.concatenate([proposals.x[chosen], scaling], axis=1).reshape(*shape, -1), float(pareto_k)

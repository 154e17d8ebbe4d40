"""Consensus Monte Carlo: the posterior of a shard by NUTS, and the posterior of all from those of the shards.

A shard is a strided row band of the upper triangle (rows i ≡ k mod K), so that every shard sees every angle, lag and age,
and is read as one hyperslab. Shards are combined in unconstrained space with their full covariances.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import numpy as np
from numpyro.infer import MCMC, NUTS

from homodyne_lib.posterior import ShardPosterior

__all__ = ["ShardDraws", "combine_shards", "sample_shard"]


# Whitened posteriors turn within 7 to 15 steps; where a flow is not seen and prior and data meet at an edge, longer
# trajectories only cost: 31 steps are taken at most.
_MAX_TREE_DEPTH = 5


@dataclass(frozen=True, eq=False)
class ShardDraws:
    """Draws of one shard.

    Attributes
    ----------
    x : ndarray, shape (n_chains, n_draws, n_free + 1 + n_scaling)
        Unconstrained coordinates, log noise scale, scaling coefficients.
    stats : dict of str to ndarray, shape (n_chains, n_draws)
        ``diverging``, ``energy``, ``n_steps``, ``acceptance_rate`` of the sampler.
    time : ndarray, shape (n_t,)
        Time axis of the coordinates [s].
    """

    x: np.ndarray
    stats: dict[str, np.ndarray]
    time: np.ndarray


def sample_shard(
    posterior: ShardPosterior,
    start,
    *,
    seed: int,
    n_warmup: int,
    n_draws: int,
    n_chains: int = 4,
    target_acceptance: float = 0.9,
    progress: Callable[[str], None] = lambda text: None,
) -> ShardDraws:
    """Sample a shard with NUTS (NumPyro), whitened by the Gauss-Newton matrix at the fit.

    Parameters
    ----------
    posterior : ShardPosterior
    start : array_like, shape (p,)
        Fitted physical parameters [units of the parameter table].
    seed : int
    n_warmup, n_draws, n_chains : int
        Of each chain.
    target_acceptance : float
    progress : callable
        Told of each chain.

    Returns
    -------
    ShardDraws
    """
    centre, factor = posterior.laplace(start)

    @jax.jit
    def potential(z):
        return -posterior.log_density(centre + factor @ z)

    kernel = NUTS(
        potential_fn=potential, dense_mass=True, target_accept_prob=target_acceptance, max_tree_depth=_MAX_TREE_DEPTH
    )
    sampler = MCMC(kernel, num_warmup=n_warmup, num_samples=n_draws, num_chains=1, progress_bar=False)
    scaling = jax.jit(jax.vmap(posterior.draw_scaling))
    chains, stats = [], []
    for chain, key in enumerate(jax.random.split(jax.random.PRNGKey(seed), n_chains)):
        key_start, key_run, key_scaling = jax.random.split(key, 3)
        fields = ("diverging", "energy", "num_steps", "accept_prob")
        sampler.run(key_run, init_params=jax.random.normal(key_start, centre.shape), extra_fields=fields)
        x = centre + sampler.get_samples() @ factor.T
        normal = jax.random.normal(key_scaling, (n_draws, posterior.problem.scaling.n_parameters))
        chains.append(np.concatenate([x, scaling(x, normal)], axis=1))
        taken = {name: np.asarray(value) for name, value in sampler.get_extra_fields().items()}
        stats.append([taken[name] for name in fields])
        progress(
            f"chain {chain + 1} of {n_chains}: {n_warmup} + {n_draws} draws, {taken['num_steps'].mean():.1f} gradients a "
            f"draw, {int(taken['diverging'].sum())} divergences"
        )
    labels = ("diverging", "energy", "n_steps", "acceptance_rate")
    by_label = dict(zip(labels, np.moveaxis(np.array(stats, dtype=float), 1, 0), strict=True))
    return ShardDraws(np.stack(chains), by_label, posterior.coordinates.time)


def combine_shards(shards: Sequence[np.ndarray]) -> np.ndarray:
    """Consensus draws from the draws of all shards: precision-weighted, with full covariances (Scott et al. 2016, sec. 3.1).

    Parameters
    ----------
    shards : sequence of ndarray, shape (n_chains, n_draws, d)
        Unconstrained draws; all of one shape.

    Returns
    -------
    ndarray, shape (n_chains, n_draws, d)
        Exact where the shards' posteriors are normal; the draws themselves where there is one shard.

    Raises
    ------
    ValueError
        If shapes differ, or a shard has too few draws for its covariance.
    """
    shapes = {np.shape(x) for x in shards}
    if len(shapes) != 1:
        raise ValueError(
            f"shards have draws of different shapes, {sorted(shapes)}; sample them with one configuration."
        )
    n_chains, n_draws, d = shapes.pop()
    if len(shards) == 1:
        return np.asarray(shards[0])
    if n_chains * n_draws <= 2 * d:
        raise ValueError(f"{n_chains * n_draws} draws cannot give the covariance of {d} numbers; raise cmc.draws.")
    weights = [np.linalg.inv(np.cov(np.reshape(x, (-1, d)), rowvar=False)) for x in shards]
    weighted = sum(np.asarray(x) @ w for x, w in zip(shards, weights, strict=True))
    return weighted @ np.linalg.inv(sum(weights))

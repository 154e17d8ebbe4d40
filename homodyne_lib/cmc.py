"""Sample a shard with NUTS (NumPyro).

A shard is a strided row band of the upper triangle (rows i ≡ k mod K), so that every shard sees every angle, lag and age,
and is read as one hyperslab.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
from numpyro.infer import NUTS

from homodyne_lib.posterior import ShardPosterior, one_by_one
from homodyne_lib.shard_files import ShardDraws

__all__ = ["sample_shard"]


# Of a whitened normal law 3 steps cross the width, and 7 come back to where they began, unless rejecting few makes steps half
# as long. Where the mass is learnt, a flow may not be seen, and prior and data meet at an edge: up to 31 steps pay there.
_DEPTH, _DEPTH_OF_SHORT_STEPS, _DEPTH_LEARNT = 2, 3, 5
_SHORT_STEPS = 0.85
# All heavy work is done in NumPy; what XLA compiles here is small, and compiling it well takes longer than running it.
_COMPILER = {"xla_backend_optimization_level": 0}


def sample_shard(
    posterior: ShardPosterior,
    *,
    seed: int,
    n_warmup: int,
    n_draws: int,
    n_chains: int = 4,
    target_acceptance: float = 0.7,
    adapt_mass: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> ShardDraws:
    """Sample a shard with NUTS, whitened by the Gauss-Newton matrix at the fit.

    Parameters
    ----------
    posterior : ShardPosterior
    seed : int
    n_warmup, n_draws, n_chains : int
        Of each chain.
    target_acceptance : float
        0.65 is best for normal laws of many numbers (Beskos et al. 2013); of few, steps near the stability limit mix badly.
    adapt_mass : bool
        Learn the mass matrix too. What the data determine is whitened so well that a matrix learnt from a hundred draws is
        worse, and takes twice the gradients; what they leave open is not.
    progress : callable
        Told of each chain.

    Returns
    -------
    ShardDraws

    Raises
    ------
    ValueError
        If the density is not finite where a chain starts.
    """
    inner = len(posterior.factor)
    centre, factor = posterior.centre[:inner], posterior.factor
    depth = _DEPTH_OF_SHORT_STEPS if target_acceptance > _SHORT_STEPS else _DEPTH
    kernel = NUTS(
        potential_fn=lambda z: -posterior.log_density(centre + factor @ z),
        dense_mass=True,
        adapt_mass_matrix=adapt_mass,
        target_accept_prob=target_acceptance,
        max_tree_depth=_DEPTH_LEARNT if adapt_mass else depth,
    )
    # One step is compiled once for all chains; a loop here can be interrupted, and can tell how far it is.
    begin = jax.jit(lambda key, z: kernel.init(key, n_warmup, z, (), {}), compiler_options=_COMPILER)
    advance = jax.jit(lambda state: kernel.sample(state, (), {}), compiler_options=_COMPILER)
    complete = one_by_one(posterior.draw)
    fields = {"diverging": "diverging", "energy": "energy", "num_steps": "n_steps", "accept_prob": "acceptance_rate"}
    chains, stats = [], []
    for chain, key in enumerate(jax.random.split(jax.random.PRNGKey(seed), n_chains)):
        key_start, key_run, key_scaling = jax.random.split(key, 3)
        state = begin(key_run, jax.random.normal(key_start, centre.shape))
        if not np.isfinite(state.potential_energy):
            raise ValueError(
                f"the posterior density is {-float(state.potential_energy)} where chain {chain + 1} starts."
            )
        states = []
        for number in range(n_warmup + n_draws):
            state = advance(state)
            if number >= n_warmup:
                states.append(jax.tree.map(np.asarray, (state.z, [getattr(state, field) for field in fields])))
        x = centre + np.array([z for z, _ in states]) @ factor.T
        normal = jax.random.normal(key_scaling, (n_draws, posterior.problem.scaling.n_parameters))
        chains.append(complete(x, normal, posterior.products(x)))
        stats.append(np.array([taken for _, taken in states], dtype=float).T)
        steps, diverged = stats[-1][2].mean(), int(stats[-1][0].sum())
        progress(
            f"chain {chain + 1} of {n_chains}: {n_warmup} + {n_draws} draws, {steps:.1f} gradients a draw, "
            f"{diverged} divergences"
        )
    x, slope = (np.stack(parts) for parts in zip(*chains, strict=True))
    by_name = dict(zip(fields.values(), np.moveaxis(np.array(stats), 1, 0), strict=True))
    return ShardDraws(x, slope, posterior.centre, posterior.anchor, by_name, posterior.coordinates.time)

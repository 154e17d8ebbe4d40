"""Sample a shard with NUTS (NumPyro).

A shard is a strided row band of the upper triangle (rows i ≡ k mod K), so that every shard sees every angle, lag and age,
and is read as one hyperslab.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import numpy as np
from numpyro.infer import NUTS

from homodyne_lib.posterior import COMPILER, ShardPosterior, one_by_one
from homodyne_lib.processes import shared_out
from homodyne_lib.shard_files import ShardDraws

__all__ = ["sample_shard"]


# Of a whitened normal law 3 steps cross the width, and 7 come back to where they began, unless rejecting few makes steps half
# as long. Where the mass is learnt, a flow may not be seen, and prior and data meet at an edge: up to 31 steps pay there.
_DEPTH, _DEPTH_OF_SHORT_STEPS, _DEPTH_LEARNT = 2, 3, 5
_SHORT_STEPS = 0.85
# What is kept of each step, as ArviZ and as NumPyro call it.
_FIELDS = {"diverging": "diverging", "energy": "energy", "n_steps": "num_steps", "acceptance_rate": "accept_prob"}


def sample_shard(
    posterior: ShardPosterior,
    *,
    seed: int,
    n_warmup: int,
    n_draws: int,
    n_chains: int = 4,
    target_acceptance: float = 0.7,
    adapt_mass: bool = False,
    n_processes: int = 1,
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
    n_processes : int
        Chains run side by side in so many; draws do not depend on it.
    progress : callable
        Told of each chain, by the process that ran it.

    Returns
    -------
    ShardDraws

    Raises
    ------
    ValueError
        If the density is not finite where a chain starts.
    """
    depth = _DEPTH_OF_SHORT_STEPS if target_acceptance > _SHORT_STEPS else _DEPTH
    settings = {
        "dense_mass": True,
        "adapt_mass_matrix": adapt_mass,
        "target_accept_prob": target_acceptance,
        "max_tree_depth": _DEPTH_LEARNT if adapt_mass else depth,
    }
    work = partial(_chains, posterior, settings, seed, n_chains, n_warmup, n_draws, progress)
    x, slope, stats = (np.stack(parts) for parts in zip(*shared_out(work, n_chains, n_processes), strict=True))
    by_name = dict(zip(_FIELDS, np.moveaxis(stats, 1, 0), strict=True))
    return ShardDraws(x, slope, posterior.centre, posterior.anchor, by_name, posterior.coordinates.time)


def _chains(posterior, settings, seed, n_chains, n_warmup, n_draws, progress, numbers):
    """Draws, slopes and statistics of each of the chains asked for."""
    factor = posterior.factor
    centre = posterior.centre[: len(factor)]
    kernel = NUTS(potential_fn=lambda z: -posterior.log_density(centre + factor @ z), **settings)
    # One step is compiled once for all chains; a loop here can be interrupted, and can tell how far it is.
    begin = jax.jit(lambda key, z: kernel.init(key, n_warmup, z, (), {}), compiler_options=COMPILER)
    advance = jax.jit(lambda state: kernel.sample(state, (), {}), compiler_options=COMPILER)
    complete = one_by_one(posterior.draw)
    keys = [jax.random.split(key, 3) for key in jax.random.split(jax.random.PRNGKey(seed), n_chains)]
    # Every process looks at the starts of all chains, so that all of them say the same of a density that has none.
    states = [begin(run, jax.random.normal(start, centre.shape)) for start, run, _ in keys]
    for chain, state in enumerate(states):
        if not np.isfinite(state.potential_energy):
            raise ValueError(
                f"the posterior density is {-float(state.potential_energy)} where chain {chain + 1} starts."
            )
    results = []
    for chain in numbers:
        state, taken = states[chain], []
        for number in range(n_warmup + n_draws):
            state = advance(state)
            if number >= n_warmup:
                taken.append(jax.tree.map(np.asarray, (state.z, [getattr(state, field) for field in _FIELDS.values()])))
        x = centre + np.array([z for z, _ in taken]) @ factor.T
        normal = jax.random.normal(keys[chain][2], (n_draws, posterior.problem.scaling.n_parameters))
        stats = np.array([values for _, values in taken], dtype=float).T
        results.append((*complete(x, normal, posterior.products(x)), stats))
        of = dict(zip(_FIELDS, stats, strict=True))
        progress(
            f"chain {chain + 1} of {n_chains}: {n_warmup} + {n_draws} draws, {of['n_steps'].mean():.1f} gradients a draw, "
            f"{of['diverging'].sum():.0f} divergences"
        )
    return results

"""Sample a shard with NUTS (NumPyro).

A shard is a strided row band of the upper triangle (rows i ≡ k mod K), so that every shard sees every angle, lag and age,
and is read as one hyperslab.

Chains move on the density that follows from few nodes (:mod:`~homodyne_lib.node_sums`), which costs little however many pairs
there are. One pass over the data then accepts or rejects each draw, so that the draws have the exact density, whatever the
nodes (delayed acceptance; Christen and Fox 2005).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import numpy as np
from numpyro.infer import NUTS

from homodyne_lib.jumps import Jumps, Law
from homodyne_lib.node_sums import NodeSums
from homodyne_lib.pair_sums import scaling_sums
from homodyne_lib.posterior import COMPILER, ShardPosterior, one_by_one
from homodyne_lib.processes import shared_out
from homodyne_lib.shard_files import ShardDraws

__all__ = ["sample_shard"]


# Of a whitened normal law 3 steps cross the width, and 7 come back to where they began, unless rejecting few makes steps half
# as long.
_DEPTH, _DEPTH_OF_SHORT_STEPS = 2, 3
_SHORT_STEPS = 0.85
# Steps of equal length turn in phase space: means forget at once, widths slowly. A further move costs less than a pass.
_REPEATS = 3
# Nodes are tried at so many draws of the expected law, finer and finer, until log densities differ by constants to _CLOSE
# where they are not lower than the highest by more than _FAR. What is left costs draws: one in twenty at 0.1.
_N_TRIALS, _FAR, _CLOSE = 16, 20.0, 0.1
_FINENESS = (6, 8, 12, 16, 24, 32, 48, 64)
# What is kept of each step, as ArviZ and as NumPyro call it.
_FIELDS = {"diverging": "diverging", "energy": "energy", "n_steps": "num_steps", "acceptance_rate": "accept_prob"}
_STATS = (*_FIELDS, "confirmed")


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
        Learn the mass matrix too, and jump (:mod:`~homodyne_lib.jumps`). What the data determine is whitened so well that a
        matrix learnt from a hundred draws is worse, and takes twice the gradients; what they leave open is not.
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
    settings = {
        "dense_mass": True,
        "adapt_mass_matrix": adapt_mass,
        "target_accept_prob": target_acceptance,
        "max_tree_depth": _DEPTH_OF_SHORT_STEPS if target_acceptance > _SHORT_STEPS else _DEPTH,
    }
    nodes = _close_nodes(posterior)
    progress(f"{nodes.weight.size} nodes for each angle")
    work = partial(_chains, posterior, nodes, settings, seed, n_chains, n_warmup, n_draws, progress)
    x, slope, stats = (np.stack(parts) for parts in zip(*shared_out(work, n_chains, n_processes), strict=True))
    by_name = dict(zip(_STATS, np.moveaxis(stats, 1, 0), strict=True))
    return ShardDraws(x, slope, posterior.centre, posterior.anchor, by_name, posterior.coordinates.time)


def _close_nodes(posterior: ShardPosterior) -> NodeSums:
    """As few nodes as follow the exact density where the posterior is expected, or the most there are."""
    z = np.random.default_rng(0).standard_normal((_N_TRIALS, len(posterior.factor)))
    x = np.array([posterior.place(row) for row in z])
    params = np.asarray(posterior.coordinates.params(x))
    density = jax.jit(_density_of(posterior), compiler_options=COMPILER)
    exact = np.array([density(*pair) for pair in zip(x, scaling_sums(posterior.products(x)), strict=True)])
    near = ~(exact < exact.max() - _FAR)
    for fineness in _FINENESS:
        nodes = posterior.problem.nodes(fineness)
        found = np.array([density(row, nodes.sums(values)) for row, values in zip(x[near], params[near], strict=True)])
        if np.ptp(found - exact[near]) < _CLOSE:
            break
    return nodes


def _density_of(posterior):
    """Log density from coordinates and the sums there."""
    return lambda x, sums: posterior.log_density(x, lambda params: sums)


class _Moves:
    """Moves of a chain, compiled once for all: made on the density of the nodes, and weighed by the exact one."""

    def __init__(self, posterior, nodes, settings, n_warmup):
        self._projections, place = posterior.problem.projections, posterior.place

        def potential(z):
            return -posterior.log_density(place(z), nodes.sums)

        compiled = partial(jax.jit, compiler_options=COMPILER)
        kernel = NUTS(potential_fn=potential, **settings)
        self.begin = compiled(lambda key, z: kernel.init(key, n_warmup, z, (), {}))
        self._step = compiled(lambda state: kernel.sample(state, (), {}))
        self._place = compiled(lambda z: (place(z), posterior.coordinates.params(place(z))))
        self._density = compiled(_density_of(posterior))
        self._jump = Jumps(posterior, potential) if settings["adapt_mass_matrix"] else None

    def __call__(self, state, law, rng):
        """Take a state one draw further."""
        # What is repeated stays reversible, and so does what is the same before as after.
        if self._jump is None:
            for _ in range(_REPEATS):
                state = self._step(state)
            return state
        return self._jump(self._step(self._jump(state, law, rng)), law, rng)

    def weigh(self, state):
        """Coordinates, products of a pass there, and by how much the exact log density exceeds that of the nodes."""
        x, params = (np.asarray(part) for part in self._place(state.z))
        products = self._projections(params)
        return x, products, float(self._density(x, scaling_sums(products)) + state.potential_energy)


def _chains(posterior, nodes, settings, seed, n_chains, n_warmup, n_draws, progress, numbers):
    """Draws, slopes and statistics of each of the chains asked for."""
    moves = _Moves(posterior, nodes, settings, n_warmup)
    complete = one_by_one(posterior.draw)
    keys = [jax.random.split(key, 3) for key in jax.random.split(jax.random.PRNGKey(seed), n_chains)]
    # Every process looks at the starts of all chains, so that all of them say the same of a density that has none.
    states = [moves.begin(run, jax.random.normal(start, (len(posterior.factor),))) for start, run, _ in keys]
    for chain, state in enumerate(states):
        if not np.isfinite(state.potential_energy):
            raise ValueError(
                f"the posterior density is {-float(state.potential_energy)} where chain {chain + 1} starts."
            )
    results = []
    for chain in numbers:
        rng = np.random.default_rng((seed, chain))
        x, products, stats = _run(moves, states[chain], rng, n_warmup, n_draws)
        normal = jax.random.normal(keys[chain][2], (n_draws, posterior.problem.scaling.n_parameters))
        results.append((*complete(x, normal, products), stats))
        of = dict(zip(_STATS, stats, strict=True))
        progress(
            f"chain {chain + 1} of {n_chains}: {n_warmup} + {n_draws} draws, {of['n_steps'].mean():.1f} gradients a move, "
            f"{of['diverging'].sum():.0f} divergences, {100 * of['confirmed'].mean():.1f} % confirmed"
        )
    return results


def _run(moves, state, rng, n_warmup, n_draws):
    """Coordinates, products and statistics of the draws of a chain."""
    # A loop here can be interrupted.
    law, past = Law.of(np.zeros((0, state.z.size))), []
    for number in range(1, n_warmup + 1):
        state = moves(state, law, rng)
        past.append(np.asarray(state.z))
        if number in (n_warmup // 2, n_warmup):
            law = Law.of(np.array(past[number // 2 :]))
    here, taken = moves.weigh(state), []
    for _ in range(n_draws):
        moved = moves(state, law, rng)
        there = moves.weigh(moved)
        # Moves are reversible for the density of the nodes; so accepted, they are for the exact one.
        confirmed = np.log(rng.random()) < there[-1] - here[-1]
        if confirmed:
            state, here = moved, there
        else:
            state = state._replace(rng_key=moved.rng_key)
        taken.append((*here[:2], [*(np.asarray(getattr(moved, field)) for field in _FIELDS.values()), confirmed]))
    x, products, stats = (np.array(parts, dtype=float) for parts in zip(*taken, strict=True))
    return x, products, stats.T

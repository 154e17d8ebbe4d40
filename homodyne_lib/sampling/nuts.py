"""Sample a shard with NUTS (NumPyro).

Chains move on the density of few nodes, at a cost that does not depend on the number of pairs. A block of draws is one call
of a compiled program; between blocks a chain can be interrupted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import jax
import numpy as np
from numpyro.infer.hmc import hmc

from homodyne_lib.sampling.compilation import RUN_OFTEN, RUN_SELDOM, over_draws
from homodyne_lib.sampling.density import Density, conditional_draws
from homodyne_lib.sampling.independence_moves import Law, jump, proposed
from homodyne_lib.sampling.posterior import ShardPosterior
from homodyne_lib.sampling.processes import shared_out
from homodyne_lib.sampling.shard_files import ShardDraws

__all__ = ["sample_shard"]


# Tree depths. In a whitened normal law 3 steps cross the width, and 7 come back to the start. A high target acceptance halves
# the steps, and then one depth more is needed.
_DEPTH, _DEPTH_OF_SHORT_STEPS = 2, 3
_SHORT_STEPS = 0.85
# Moves of NUTS for each draw. After one move the sign of a coordinate is forgotten, its size is not.
_REPEATS = 2
# Draws of one call.
_BLOCK = 50
# Time between two words about a chain [s].
_TOLD_EVERY = 1.0
# Statistics of each draw, under ArviZ's names: of its last move, and of its position.
_STATS = {"diverging": bool, "n_steps": int, "acceptance_rate": float, "energy": float, "lp": float, "step_size": float}


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
        0.65 is best for normal laws of many dimensions (Beskos et al. 2013). In few dimensions, steps near the stability
        limit mix badly.
    adapt_mass : bool
        Learn the mass matrix too, and jump. Directions that the data determine are whitened so well that a matrix learnt from
        a hundred draws is worse and takes twice the gradients. Directions that the data do not determine need it.
    n_processes : int
        Number of processes among which the chains are shared; draws do not depend on it.
    progress : callable
        Called with a sentence about each chain, in the process that ran it.

    Returns
    -------
    ShardDraws

    Raises
    ------
    ValueError
        If the density is not finite where a chain starts.
    """
    depth = _DEPTH_OF_SHORT_STEPS if target_acceptance > _SHORT_STEPS else _DEPTH
    settings = _Settings(n_warmup, target_acceptance, depth, adapt_mass)
    progress(posterior.density.shard.nodes.in_words)
    work = partial(_chains, posterior.density, settings, seed, n_chains, n_draws, progress)
    x, slope, stats = (np.stack(parts) for parts in zip(*shared_out(work, n_chains, n_processes), strict=True))
    by_name = {
        name: values.astype(kind) for (name, kind), values in zip(_STATS.items(), np.moveaxis(stats, 2, 0), strict=True)
    }
    # NumPyro gives the number of steps; ArviZ counts the doublings.
    by_name["tree_depth"] = np.log2(by_name["n_steps"]).astype(int) + 1
    return ShardDraws(x, slope, posterior.centre, posterior.anchor, by_name, posterior.coordinates.time)


class _Settings(NamedTuple):
    """Settings on which the compiled programs of a chain depend."""

    n_warmup: int
    target_acceptance: float
    depth: int
    jumps: bool


class _Programs(NamedTuple):
    """Compiled programs: the first state of a chain, and a block of draws."""

    begin: Callable
    block: Callable


@cache
def _programs(settings: _Settings) -> _Programs:
    begin, move = hmc(potential_fn_gen=lambda density: density.potential)

    def first(density, key, z):
        return begin(
            z,
            settings.n_warmup,
            adapt_mass_matrix=settings.jumps,
            dense_mass=True,
            target_accept_prob=settings.target_acceptance,
            max_tree_depth=settings.depth,
            model_args=(density,),
            rng_key=key,
        )

    def draw(density, state, law, series):
        """Take a state one draw further."""
        # The order of the moves is the same read backwards, which keeps the whole reversible.
        if series is None:
            return jax.lax.fori_loop(0, _REPEATS, lambda _, state: move(state, (density,)), state)

        def jump_and_move(state, last_and_proposals):
            last, proposals = last_and_proposals
            state = jump(density, density.potential, state, law, proposals)
            return jax.lax.cond(last, lambda state: state, lambda state: move(state, (density,)), state), None

        return jax.lax.scan(jump_and_move, state, (np.array([False, True]), series))[0]

    def block(density, state, law, series, n):
        """The next n draws: the state, and whitened points and statistics, of which the first n are meant."""

        def next_draw(number, kept):
            state, points, stats = kept
            state = draw(density, state, law, jax.tree.map(lambda numbers: numbers[number], series))
            lp, step = -state.potential_energy, state.adapt_state.step_size
            new = [state.diverging, state.num_steps, state.accept_prob, state.energy, lp, step]
            return state, points.at[number].set(state.z), stats.at[number].set(jax.numpy.array(new, dtype=float))

        empty = np.zeros((_BLOCK, state.z.size)), np.zeros((_BLOCK, len(_STATS)))
        return jax.lax.fori_loop(0, n, next_draw, (state, *empty))

    return _Programs(jax.jit(first, compiler_options=RUN_SELDOM), jax.jit(block, compiler_options=RUN_OFTEN))


_quadratics = over_draws(lambda density, z: density.quadratic(density.place(z)))
_slopes = over_draws(lambda density, z, scaling: density.slope(density.place(z), scaling), RUN_OFTEN)


def _complete(density: Density, z, normal):
    """Whole draws, (n, d), from whitened points and normal numbers; and slopes, where shards need them."""
    matrix, right, _ = _quadratics(density, z)
    scaling = conditional_draws(matrix, right, normal, density.shard.groups)
    x = np.concatenate([density.centre[: z.shape[1]] + z @ density.factor.T, scaling + density.shard.origin], axis=1)
    return x, _slopes(density, z, scaling) if density.anchor.any() else np.zeros((len(z), 0))


def _chains(density: Density, settings, seed, n_chains, n_draws, progress, numbers):
    """Draws, slopes and statistics of each of the chains asked for."""
    programs = _programs(settings)
    # Every process checks the starts of all chains, so that all raise the same error where the density is not finite.
    starts = []
    for chain in range(n_chains):
        rng = np.random.default_rng((seed, chain))
        key = rng.integers(2**32, size=2, dtype=np.uint32)
        starts.append(programs.begin(density, key, rng.standard_normal(len(density.factor))))
    for chain, state in enumerate(starts):
        if not np.isfinite(state.potential_energy):
            raise ValueError(
                f"the posterior density is {-float(state.potential_energy)} where chain {chain + 1} starts."
            )
    results = []
    for chain in numbers:
        rng = np.random.default_rng((seed, chain, 1))
        z, stats = _run(programs, density, settings, starts[chain], rng, n_draws, _Teller(progress, chain, n_chains))
        normal = rng.standard_normal((n_draws, density.shard.origin.size))
        results.append((*_complete(density, z, normal), stats))
        by_name = dict(zip(_STATS, stats.T, strict=True))
        progress(
            f"chain {chain + 1} of {n_chains}: {settings.n_warmup} + {n_draws} draws, {by_name['n_steps'].mean():.1f} "
            f"gradients a move, {by_name['diverging'].sum():.0f} divergences"
        )
    return results


class _Teller:
    """Says how far a chain is, once a second at most."""

    def __init__(self, progress, chain, n_chains):
        self.progress, self.name = progress, f"chain {chain + 1} of {n_chains}"
        self.last, self.done = time.monotonic(), 0

    def __call__(self, n_draws, n_all):
        self.done += n_draws
        if time.monotonic() - self.last > _TOLD_EVERY and self.done < n_all:
            self.last = time.monotonic()
            self.progress(f"{self.name}: draw {self.done} of {n_all}")


def _run(programs, density, settings, state, rng, n_draws, tell):
    """Whitened points, (n_draws, n), and statistics, (n_draws, n_stats), of a chain."""
    coordinates, points, stats = density.shard.coordinates, np.zeros((0, state.z.size)), np.zeros((0, len(_STATS)))
    half = settings.n_warmup // 2
    for n in (half, settings.n_warmup - half, n_draws):
        law, parts = Law.of(points), []
        for first in range(0, n, _BLOCK):
            series = proposed(coordinates, (_BLOCK, 2), rng) if settings.jumps else None
            size = min(_BLOCK, n - first)
            state, *new = programs.block(density, state, law, series, size)
            parts.append([np.asarray(part)[:size] for part in new])
            tell(size, settings.n_warmup + n_draws)
        points, stats = (np.concatenate(part) for part in zip(*parts, strict=True)) if parts else (points, stats)
    return points, stats

"""How chains move: jumps, statistics of draws, and what weights by all pairs of frames say of the nodes."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arviz_stats.base import array_stats
from numpyro.infer.hmc import HMCState
from white_noise import TRUTH, problem_of

from homodyne_lib.fitting.nlsq import fit_nlsq
from homodyne_lib.sampling import nuts
from homodyne_lib.sampling.independence_moves import Law, jump, proposed
from homodyne_lib.sampling.nuts import sample_shard
from homodyne_lib.sampling.posterior import ShardPosterior


def flowing(n=30, seed=0):
    problem, _ = problem_of("laminar_flow", n=n, seed=seed, params=[*TRUTH["laminar_flow"][:3], 1e-6, 0, 0, 0])
    return ShardPosterior(problem, fit_nlsq(problem, n_starts=16).values)


def test_jumps_leave_a_density_as_it_is():
    """4,000 series that should leave the prior: first and second moments within 5 errors of those of 40,000 draws of it."""
    posterior = flowing()
    density = posterior.density
    back, centre = density.whitening, posterior.centre[: len(density.factor)]

    def potential(z):
        return -posterior.coordinates.log_prior(density.place(z))

    prior = (posterior.coordinates.prior_draws(40_000, 1) - centre) @ back.T
    # Moments that are not quite right make proposals that have to be refused.
    law = Law.of(0.8 * prior[::100])
    series, taken = proposed(posterior.coordinates, (4000,), np.random.default_rng(0)), []
    once = jax.jit(lambda state, series: jump(density, potential, state, law, series))
    fields = dict.fromkeys(HMCState._fields)
    start = potential(prior[0])
    state = HMCState(**fields | {"z": jnp.asarray(prior[0]), "potential_energy": start, "energy": start + 1.5})
    for number in range(4000):
        state = once(state, jax.tree.map(lambda numbers, number=number: numbers[number], series))
        taken.append(np.asarray(state.z))
    # The momentum stays; what is left after 4,000 sums is rounding.
    assert state.energy - potential(state.z) == pytest.approx(1.5, abs=1e-6)
    # Counted in coordinates, where the shapes are those of the prior.
    actual, wanted = (np.asarray(z) @ density.factor.T + centre for z in (taken, prior))
    size = wanted.std(axis=0)
    for power in (1, 2):
        x, y = (((z - wanted.mean(axis=0)) / size) ** power for z in (actual, wanted))
        effective = np.array([array_stats.ess(column[None], chain_axis=0, draw_axis=1) for column in x.T])
        assert effective.min() > 100
        error = y.std(axis=0) * np.sqrt(1 / effective + 1 / len(y))
        assert np.all(np.abs(x.mean(axis=0) - y.mean(axis=0)) < 5 * error)


def test_statistics_are_those_of_the_draws():
    """lp is the log density at every draw, and energy -lp and a kinetic energy of a normal momentum."""
    problem, _ = problem_of("static", n=60, phi=(0.0, 60.0))
    posterior = ShardPosterior(problem, fit_nlsq(problem, n_starts=16).values)
    freedom = len(posterior.density.factor)
    shard = sample_shard(posterior, seed=1, n_warmup=100, n_draws=130)
    x = shard.x[..., :freedom].reshape(-1, freedom)
    stats = {name: value.ravel() for name, value in shard.stats.items()}
    followed = jax.jit(posterior.density.log_density)
    # Sums of another program are in another order.
    np.testing.assert_allclose(stats["lp"], [followed(row) for row in x], rtol=1e-9, atol=1e-6)
    kinetic = stats["energy"] + stats["lp"]
    assert kinetic.min() > 0
    # Half a χ² of d degrees: mean d/2, variance d/2, 520 draws; five errors.
    assert kinetic.mean() == pytest.approx(freedom / 2, abs=5 * np.sqrt(freedom / 2 / 520))
    assert (stats["diverging"].dtype, stats["n_steps"].dtype.kind) == (bool, "i")
    assert np.all(2.0 ** (stats["tree_depth"] - 1) <= stats["n_steps"])
    assert np.all(stats["n_steps"] < 2.0 ** stats["tree_depth"])


def test_the_number_of_draws_in_a_block_changes_no_draw(monkeypatch):
    problem, _ = problem_of("static", n=30, phi=(0.0, 60.0))
    posterior = ShardPosterior(problem, fit_nlsq(problem, n_starts=16).values)
    settings = {"seed": 1, "n_warmup": 30, "n_draws": 25, "n_chains": 1}
    plain = sample_shard(posterior, **settings)
    monkeypatch.setattr(nuts, "_BLOCK", 7)
    nuts._programs.cache_clear()
    np.testing.assert_array_equal(sample_shard(posterior, **settings).x, plain.x)
    nuts._programs.cache_clear()


def test_weights_by_all_pairs_tell_whether_the_nodes_are_good():
    """Nodes that put D off by its error: a normal law of one sd and its like one sd away share exp(-1) of their weight."""
    problem, _ = problem_of("static", n=60, phi=(0.0, 60.0))
    fit = fit_nlsq(problem, n_starts=16)
    posterior = ShardPosterior(problem, fit.values)
    density = posterior.density
    x = np.array([density.place(z) for z in np.random.default_rng(0).standard_normal((64, len(density.factor)))])[None]
    assert posterior.node_share(x) > 0.99
    nodes = density.shard.nodes
    moved = replace(nodes, wq_dt=nodes.wq_dt * (1 + fit.errors[0] / fit.values[0]))
    posterior.density = replace(density, shard=replace(density.shard, nodes=moved))
    assert posterior.node_share(x) < 0.6


@pytest.mark.parametrize("seed", [2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2))])
def test_a_flow_that_is_not_there_is_crossed(seed):
    """Exponent, share and direction are free at a small rate and bound at a large one."""
    posterior = flowing(n=40, seed=seed)
    assert not posterior.determined
    draws = sample_shard(posterior, seed=seed, n_warmup=300, n_draws=500, target_acceptance=0.91, adapt_mass=True)
    for column in np.moveaxis(draws.x[..., : len(posterior.density.factor)], -1, 0):
        assert array_stats.rhat(column, chain_axis=0, draw_axis=1) < 1.01
        assert array_stats.ess(column, chain_axis=0, draw_axis=1) > 400

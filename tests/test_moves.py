"""What chains move on and how: sums over nodes, jumps, and draws that are exact whatever the nodes."""

import jax.numpy as jnp
import numpy as np
import pytest
from arviz_stats.base import array_stats
from numpyro.infer.hmc import HMCState
from test_pair_sums import PARAMS, case
from white_noise import TRUTH, problem_of

from homodyne_lib import cmc
from homodyne_lib.bands import make_band
from homodyne_lib.cmc import sample_shard
from homodyne_lib.jumps import Jumps, Law
from homodyne_lib.nlsq import fit_nlsq
from homodyne_lib.node_sums import make_nodes
from homodyne_lib.pair_sums import projections
from homodyne_lib.posterior import ShardPosterior

# ---------------------------------------------------------------- sums over nodes


def off(mode, convention, n, fineness, rows=slice(None)):
    """Largest error of sums over nodes, against a pass over all pairs, in units of √Σu² and √Σy²."""
    params, _, _, experiment, c2 = case(mode, n, 3)
    band = make_band(c2[:, rows][:, :-1], np.arange(n)[rows][:-1])
    wanted = projections(params, experiment, band, convention)[:, len(params)]
    found = np.asarray(make_nodes(band, experiment, convention, fineness).sums(params))
    size = np.sqrt(wanted[:, :1] * np.stack([wanted[:, 0], *band.y_moments[:, [0, 2]].T], axis=1))
    return np.max(np.abs(found - wanted) / size)


@pytest.mark.parametrize("rows", [slice(None), slice(1, None, 3)])
@pytest.mark.parametrize("convention", ["spec", "published"])
@pytest.mark.parametrize("mode", PARAMS)
def test_nodes_on_every_pair_give_the_sums_of_a_pass(mode, convention, rows):
    """To what the pass itself leaves out of slow flows, and its floor of u."""
    assert off(mode, convention, 40, 80, rows) < {"slow flow": 1e-7, "floored": 1e-6}.get(mode, 1e-10)


@pytest.mark.parametrize("convention", ["spec", "published"])
@pytest.mark.parametrize("mode", ["static", "laminar", "slow flow"])
def test_few_nodes_give_nearly_the_sums_of_a_pass(mode, convention):
    """Far below the noise; a second grid shows that the error is one of distances, which may fall as their sixth power."""
    coarse, fine = off(mode, convention, 300, 8), off(mode, convention, 300, 32)
    assert coarse < 3e-3
    assert fine < min(2e-6, coarse / 10)


def test_nodes_are_few():
    _, _, _, experiment, c2 = case("laminar", 300, 3)
    nodes = make_nodes(make_band(c2), experiment, "spec", 8)
    assert nodes.weight.size < 300 * 299 / 2 / 30
    assert nodes.weight.sum() == pytest.approx(300 * 299 / 2)


# ---------------------------------------------------------------- moves


def flowing(n=30, seed=0):
    problem, _ = problem_of("laminar_flow", n=n, seed=seed, params=[*TRUTH["laminar_flow"][:3], 1e-6, 0, 0, 0])
    return ShardPosterior(problem, fit_nlsq(problem, n_starts=16).values)


def test_jumps_leave_a_density_as_it_is():
    """4,000 series that should leave the prior: first and second moments within 5 errors of those of 40,000 draws of it."""
    posterior = flowing()
    inner = len(posterior.factor)
    back, centre = np.linalg.inv(posterior.factor), posterior.centre[:inner]

    def potential(z):
        return -posterior.coordinates.log_prior(centre + jnp.asarray(posterior.factor) @ z)

    prior = (posterior.coordinates.prior_draws(40_000, 1) - centre) @ back.T
    # Moments that are not quite right make proposals that have to be refused.
    law = Law.of(0.8 * prior[::100])
    jump, rng, taken = Jumps(posterior, potential), np.random.default_rng(0), []
    fields = dict.fromkeys(HMCState._fields)
    state = HMCState(**fields | {"z": jnp.asarray(prior[0]), "potential_energy": potential(prior[0])})
    for _ in range(4000):
        state = jump(state, law, rng)
        taken.append(np.asarray(state.z))
    # Counted in coordinates, where the shapes are those of the prior.
    found, wanted = (np.asarray(z) @ posterior.factor.T + centre for z in (taken, prior))
    size = wanted.std(axis=0)
    for power in (1, 2):
        x, y = (((z - wanted.mean(axis=0)) / size) ** power for z in (found, wanted))
        effective = np.array([array_stats.ess(column[None], chain_axis=0, draw_axis=1) for column in x.T])
        assert effective.min() > 100
        error = y.std(axis=0) * np.sqrt(1 / effective + 1 / len(y))
        assert np.all(np.abs(x.mean(axis=0) - y.mean(axis=0)) < 5 * error)


def test_draws_are_exact_whatever_the_nodes(monkeypatch):
    """Nodes that put D off by a tenth of the error of D0: means within 0.25 sd, 4 errors of 500 draws, sds within 12 %, 3."""
    problem, _ = problem_of("static", n=60, phi=(0.0, 60.0))
    fit = fit_nlsq(problem, n_starts=16)
    posterior, settings = ShardPosterior(problem, fit.values), {"n_warmup": 100, "n_draws": 500}
    good = sample_shard(posterior, seed=1, **settings)
    assert good.stats["confirmed"].mean() > 0.95
    close = cmc._close_nodes(posterior)
    faster = close.experiment.wq_dt * (1 + 0.1 * fit.errors[0] / fit.values[0])
    monkeypatch.setattr(
        cmc, "_close_nodes", lambda _: close._replace(experiment=close.experiment._replace(wq_dt=faster))
    )
    poor = sample_shard(posterior, seed=2, **settings)
    assert 0.3 < poor.stats["confirmed"].mean() < 0.8
    mean, sd = good.x.mean(axis=(0, 1)), good.x.std(axis=(0, 1))
    assert np.max(np.abs(poor.x.mean(axis=(0, 1)) - mean) / sd) < 0.25
    np.testing.assert_allclose(poor.x.std(axis=(0, 1)), sd, rtol=0.12)


@pytest.mark.parametrize("seed", range(3))
def test_a_flow_that_is_not_there_is_crossed(seed):
    """Exponent, share and direction are free at a small rate and bound at a large one."""
    posterior = flowing(n=40, seed=seed)
    assert not posterior.determined
    draws = sample_shard(posterior, seed=seed, n_warmup=300, n_draws=500, target_acceptance=0.91, adapt_mass=True)
    for column in np.moveaxis(draws.x[..., : len(posterior.factor)], -1, 0):
        assert array_stats.rhat(column, chain_axis=0, draw_axis=1) < 1.01
        assert array_stats.ess(column, chain_axis=0, draw_axis=1) > 400

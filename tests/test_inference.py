"""Fit and sampler: against dense algebra, SciPy, closed forms, and data with known truth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from white_noise import SIGMA, TRUTH, dense_residuals, problem_of, record_of, white_noise_data

from homodyne_lib.cmc import combine_shards, sample_shard
from homodyne_lib.coordinates import Coordinates
from homodyne_lib.curves import band, rate_curves
from homodyne_lib.descent import solve
from homodyne_lib.jax_backend import compute_g2_scaled
from homodyne_lib.nlsq import fit_nlsq
from homodyne_lib.per_angle import PER_ANGLE_MODES, per_angle_scaling
from homodyne_lib.physics import PARAMETERS, parameter_names
from homodyne_lib.posterior import ShardPosterior
from homodyne_lib.problem import make_problem
from homodyne_lib.results import chain_diagnostics, flow_test
from homodyne_lib.shards import shard_count, shard_rows


@pytest.mark.parametrize("convention", ["spec", "published"])
@pytest.mark.parametrize("per_angle", PER_ANGLE_MODES)
@pytest.mark.parametrize("mode", ["static", "laminar_flow"])
def test_normal_equations_are_those_of_the_dense_residual(mode, per_angle, convention):
    problem, c2 = problem_of(mode, per_angle, convention, n=24)
    params = np.array(TRUTH[mode]) * 1.05
    found = problem.normal_equations(params)
    values = jnp.asarray(np.concatenate([params, found.coefficients]))
    residual = np.asarray(dense_residuals(problem, c2, values))
    jacobian = -np.asarray(jax.jacfwd(lambda v: dense_residuals(problem, c2, v))(values))
    size = np.linalg.norm(jacobian, axis=0)
    assert found.chi2 == pytest.approx(residual @ residual, rel=1e-10)
    np.testing.assert_allclose(
        found.hessian / np.outer(size, size), jacobian.T @ jacobian / np.outer(size, size), atol=1e-9
    )
    np.testing.assert_allclose(found.gradient / size, jacobian.T @ residual / size, atol=1e-6)
    # The scaling is the best one: the residual has no component along its columns.
    np.testing.assert_allclose((jacobian.T @ residual / size)[len(params) :], 0.0, atol=1e-6)


@pytest.mark.parametrize("convention", ["spec", "published"])
@pytest.mark.parametrize("mode", ["static", "laminar_flow"])
def test_the_truth_is_found_within_its_errors(mode, convention):
    problem, c2 = problem_of(mode, convention=convention)
    fit = fit_nlsq(problem, n_starts=32)
    p = len(problem.names)
    assert fit.converged
    # χ² per degree of freedom scatters by √(2/8850) = 0.015.
    assert fit.reduced_chi2 == pytest.approx(1.0, abs=0.075)
    z = (fit.values[:p] - TRUTH[mode]) / fit.errors[:p]
    assert np.abs(z).max() < 4
    residual = np.asarray(dense_residuals(problem, c2, jnp.asarray(fit.values)))
    assert fit.chi2 == pytest.approx(residual @ residual, rel=1e-9)
    assert fit.n_free == p + 2 * 5
    assert fit.n_points == 5 * 60 * 59 // 2


def test_wrong_parameters_have_a_large_chi2():
    problem, _ = problem_of("laminar_flow")
    wrong = problem.normal_equations(np.array(TRUTH["laminar_flow"]) * 1.2)
    assert wrong.chi2 / problem.n_points > 2


def test_errors_are_the_scatter_of_repetitions():
    """40 replicas: the sd of z is 1 ± 3/√(2·40) = 1 ± 0.34 for each parameter."""
    z = []
    for seed in range(40):
        problem, _ = problem_of("static", n=30, phi=(0.0, 45.0), seed=seed)
        params, _ = solve(problem, TRUTH["static"])
        fit = fit_nlsq(problem, start=dict(zip(problem.names, params, strict=True)))
        z.append((fit.values - np.concatenate([TRUTH["static"], [0.30, 0.31, 1.0, 1.002]]))[3:] / fit.errors[3:])
    z = np.array(z)
    assert np.all(np.abs(z.mean(axis=0)) < 3 / np.sqrt(40))
    assert np.all((z.std(axis=0) > 0.66) & (z.std(axis=0) < 1.34))


def test_fixed_parameters_and_bounds_are_honoured():
    problem, _ = problem_of("static", n=30)
    fit = fit_nlsq(problem, fixed={"D_offset": 500.0}, bounds={"D0": [1.0, 3000.0]}, n_starts=8)
    assert fit.value("D_offset") == 500.0
    assert fit.at_bound["D0"]
    assert np.isnan(fit.errors[problem.names.index("D0")])
    assert any("sits on a bound" in warning for warning in fit.warnings)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start": {"D0": 1e9}}, "start D0 = 1e.09"),
        ({"start": {"phi0": 1.0}}, "'phi0', which is no parameter"),
        ({"fixed": {"alpha": 3.0}}, "fixed alpha = 3"),
        ({"bounds": {"D0": [5.0, 1.0]}}, "bounds .5, 1. of D0"),
    ],
)
def test_contradictory_settings_are_refused(options, words):
    problem, _ = problem_of("static", n=20)
    with pytest.raises(ValueError, match=words):
        fit_nlsq(problem, n_starts=2, **options)


def test_impossible_problems_are_refused():
    c2, phi = white_noise_data("static", n=20)
    scaling = per_angle_scaling("individual", phi)
    with pytest.raises(ValueError, match="needs stator_rotor_gap"):
        make_problem(record_of(c2, phi, gap=None), scaling, "laminar_flow")
    with pytest.raises(ValueError, match="sigma"):
        make_problem(record_of(c2, phi, sigma=0.0), scaling, "static")
    with pytest.raises(ValueError, match="cannot fix 13 parameters"):
        make_problem(record_of(c2[:, :2, :2], phi), scaling, "static")


def test_flow_is_seen_where_there_is_one_and_not_where_there_is_none():
    with_flow, _ = problem_of("laminar_flow")
    static_view, _ = problem_of("static")
    c2, phi = white_noise_data("laminar_flow")
    blind = make_problem(record_of(c2, phi), with_flow.scaling, "static")
    assert flow_test(fit_nlsq(blind, n_starts=16), fit_nlsq(with_flow, n_starts=32), 60)["detected"]
    c2, phi = white_noise_data("static")
    hopeful = make_problem(record_of(c2, phi), static_view.scaling, "laminar_flow")
    null = flow_test(fit_nlsq(static_view, n_starts=16), fit_nlsq(hopeful, n_starts=32), 60)
    assert not null["detected"]
    assert "compatible with zero" in null["sentence"]


# ---------------------------------------------------------------- coordinates, posterior, consensus


@pytest.mark.parametrize("fixed", [{}, {"D_offset": 0.0}, {"alpha": -0.4}, {"D0": 3000.0}, {"phi0": 1.0, "beta": 0.2}])
def test_coordinates_come_back(fixed):
    names = parameter_names("laminar_flow")
    coordinates = Coordinates(names, 0.1 * np.arange(1, 60), fixed=fixed)
    params = np.array([fixed.get(n, v) for n, v in zip(names, TRUTH["laminar_flow"], strict=True)])
    x = coordinates.from_params(params)
    assert x.shape == (len(names) - len(fixed) + 1,)
    np.testing.assert_allclose(np.asarray(coordinates.params(jnp.asarray(x))), params, rtol=1e-9, atol=1e-12)


def test_every_coordinate_is_a_possible_experiment():
    names = parameter_names("laminar_flow")
    coordinates = Coordinates(names, 0.1 * np.arange(1, 60))
    x = jnp.asarray(3 * np.random.default_rng(0).standard_normal((500, 8)))
    params = np.asarray(coordinates.params(x))
    assert np.all(np.isfinite(params))
    assert np.all(params[:, [0, 3]] > 0)
    for name in ("alpha", "beta", "phi0"):
        column = params[:, names.index(name)]
        assert np.all((column >= PARAMETERS[name].lower) & (column <= PARAMETERS[name].upper))


def test_marginal_likelihood_is_the_integral_over_the_scaling():
    """Against numerical quadrature of the full posterior over one contrast and one offset."""
    problem, c2 = problem_of("static", "auto", n=20)
    posterior = ShardPosterior(problem)
    x1 = posterior.coordinates.from_params(TRUTH["static"])
    x2 = x1 + np.array([0.02, -0.01, 0.03, 0.1])

    def integrated(x):
        params = np.asarray(posterior.coordinates.params(jnp.asarray(x)))
        scale = np.exp(x[-1])
        centre = problem.normal_equations(params).coefficients
        grid = [np.linspace(c - 0.02, c + 0.02, 161) for c in centre]
        i, j = np.triu_indices(20, 1)
        t = 0.1 * np.arange(20)
        u = (np.asarray(compute_g2_scaled(params, t, t, [0.0], 0.0054, 1.0, 1.0, 0.0, 0.1))[0])[i, j]
        y = c2[:, i, j]
        n, u1, uu = y.size, 5 * u.sum(), 5 * (u @ u)
        uy, y1, yy = (y @ u).sum(), y.sum(), (y * y).sum()
        a, b = np.meshgrid(*grid, indexing="ij")
        square = (yy + a**2 * uu + b**2 * n + 2 * a * b * u1 - 2 * a * uy - 2 * b * y1) / (SIGMA * scale) ** 2
        prior = ((a - 0.5) / 0.25) ** 2 + ((b - 1.0) / 0.25) ** 2
        log = -0.5 * (square + prior)
        return (
            log.max()
            + np.log(np.exp(log - log.max()).sum())
            - n * x[-1]
            + float(posterior.coordinates.log_prior(jnp.asarray(x)))
        )

    wanted = integrated(x2) - integrated(x1)
    found = float(posterior.log_density(jnp.asarray(x2)) - posterior.log_density(jnp.asarray(x1)))
    assert found == pytest.approx(wanted, rel=1e-6, abs=1e-3)


def test_consensus_of_gaussian_shards_is_their_product():
    rng, d = np.random.default_rng(2), 3
    shards, precision, weighted = [], 0.0, 0.0
    for _ in range(4):
        root = rng.standard_normal((d, d)) + 2 * np.eye(d)
        mean, covariance = rng.standard_normal(d), root @ root.T
        shards.append(rng.multivariate_normal(mean, covariance, size=(4, 5000)))
        precision, weighted = precision + np.linalg.inv(covariance), weighted + np.linalg.solve(covariance, mean)
    draws = combine_shards(shards).reshape(-1, d)
    wanted = np.linalg.inv(precision)
    spread = np.sqrt(np.diag(wanted))
    # 20,000 draws: means within 4/√20000 = 0.03 sd, covariances within a few per cent.
    assert np.all(np.abs(draws.mean(axis=0) - wanted @ weighted) < 0.04 * spread)
    np.testing.assert_allclose(np.cov(draws, rowvar=False), wanted, atol=0.06 * spread.max() ** 2)


def test_combining_refuses_what_does_not_fit_together():
    with pytest.raises(ValueError, match="different shapes"):
        combine_shards([np.zeros((2, 10, 3)), np.zeros((2, 9, 3))])
    with pytest.raises(ValueError, match="covariance of 30"):
        combine_shards([np.zeros((2, 10, 30))] * 2)


def test_posterior_agrees_with_the_fit_and_its_chains_with_each_other():
    problem, _ = problem_of("static", n=40)
    fit = fit_nlsq(problem, n_starts=16)
    posterior = ShardPosterior(problem)
    shard = sample_shard(posterior, fit.values[:3], seed=3, n_warmup=200, n_draws=250)
    draws = posterior.coordinates.natural_draws(shard.x, problem.scaling.names)
    report = chain_diagnostics(draws, shard.stats)
    assert report["max_r_hat"] < 1.03
    assert report["divergences"] <= 10
    for name, sample in draws.items():
        if name.startswith(("contrast", "offset")):
            k = fit.names.index(name)
            # 1000 draws: mean within 0.25 sd, sd within a quarter.
            assert abs(sample.mean() - fit.values[k]) < 0.3 * fit.errors[k]
            assert sample.std() == pytest.approx(fit.errors[k], rel=0.25)
    again = sample_shard(posterior, fit.values[:3], seed=3, n_warmup=200, n_draws=250)
    np.testing.assert_array_equal(shard.x, again.x)


def test_shards_share_out_every_row_once():
    rows = np.concatenate([shard_rows(50, s, 4) for s in range(4)])
    assert sorted(rows) == list(range(49))
    assert shard_count(23, 1000) == 2
    assert shard_count(8, 400) == 1
    assert shard_count(1, 20, 5) == 5
    with pytest.raises(ValueError, match="choose 1 to 10"):
        shard_count(1, 20, 11)


def test_curves_of_draws():
    draws = {"D0": np.array([1.0, 2.0]), "alpha": np.array([0.0, 1.0]), "D_offset": np.array([0.5, 0.0])}
    curves = rate_curves(draws, [0.0, 1.0, 4.0], 2.0, "D")
    np.testing.assert_allclose(curves, [[1.5, 1.5, 1.5], [2.0, 2.0, 8.0]])  # t = 0 is floored to dt/2 = 1 s
    lower, upper = band(np.arange(101.0)[:, None], 0.9)
    assert (lower[0], upper[0]) == pytest.approx((5.0, 95.0))

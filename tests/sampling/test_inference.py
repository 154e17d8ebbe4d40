"""Fit and sampler: against dense algebra, SciPy, closed forms, and data with known truth."""

import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from white_noise import SIGMA, TRUTH, dense_residuals, on_every_pair, problem_of, record_of, white_noise_data
from workflow_support import ROOT

from homodyne_lib.fitting.descent import solve
from homodyne_lib.fitting.nlsq import fit_nlsq
from homodyne_lib.likelihood.exact_sums import exact_sums
from homodyne_lib.likelihood.problem import make_problem
from homodyne_lib.model.curves import band, rate_curves
from homodyne_lib.model.model import Model
from homodyne_lib.model.parameters import parameter_names
from homodyne_lib.model.scales import interval_of
from homodyne_lib.model.scaling import PER_ANGLE_MODES, per_angle_scaling
from homodyne_lib.results.fit_records import flow_test
from homodyne_lib.results.posterior_records import chain_diagnostics
from homodyne_lib.sampling.consensus import combine_shards
from homodyne_lib.sampling.coordinates import Coordinates
from homodyne_lib.sampling.density import conditional_draws, marginal
from homodyne_lib.sampling.importance import MAX_PARETO_K, propose, reweighted, shard_terms
from homodyne_lib.sampling.nuts import sample_shard
from homodyne_lib.sampling.posterior import ShardPosterior
from homodyne_lib.sampling.shard_files import ShardDraws
from homodyne_lib.sampling.shards import chain_processes, shard_count, shard_rows
from homodyne_lib.spec.jax_backend import compute_g2_scaled


@pytest.mark.parametrize("convention", ["spec", "published"])
@pytest.mark.parametrize("per_angle", PER_ANGLE_MODES)
@pytest.mark.parametrize("mode", ["static", "laminar_flow"])
def test_normal_equations_are_those_of_the_dense_residual(mode, per_angle, convention):
    problem, c2 = problem_of(mode, per_angle, convention, n=24)
    params = np.array(TRUTH[mode]) * 1.05
    actual = problem.normal_equations(params)
    values = jnp.asarray(np.concatenate([params, actual.coefficients]))
    residual = np.asarray(dense_residuals(problem, c2, values))
    jacobian = -np.asarray(jax.jacfwd(lambda v: dense_residuals(problem, c2, v))(values))
    size = np.linalg.norm(jacobian, axis=0)
    assert actual.chi2 == pytest.approx(residual @ residual, rel=1e-10)
    np.testing.assert_allclose(
        actual.hessian / np.outer(size, size), jacobian.T @ jacobian / np.outer(size, size), atol=1e-9
    )
    np.testing.assert_allclose(actual.gradient / size, jacobian.T @ residual / size, atol=1e-6)
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
    # Sums over nodes; 1e-6 is a hundredth of the change by an error of a parameter.
    assert fit.chi2 == pytest.approx(residual @ residual, rel=1e-6)
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
        ({"fixed": {"D0": 1e4, "alpha": 0.0, "D_offset": 0.0}}, "fixed holds all of D0, alpha, D_offset; leave out"),
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
        make_problem(record_of(c2, phi, gap=None), scaling, Model("laminar_flow"))
    with pytest.raises(ValueError, match="sigma"):
        make_problem(record_of(c2, phi, sigma=0.0), scaling, Model("static"))
    with pytest.raises(ValueError, match="cannot fix 13 parameters"):
        make_problem(record_of(c2[:, :2, :2], phi), scaling, Model("static"))


def test_flow_is_seen_where_there_is_one_and_not_where_there_is_none():
    with_flow, _ = problem_of("laminar_flow")
    static_view, _ = problem_of("static")
    c2, phi = white_noise_data("laminar_flow")
    blind = make_problem(record_of(c2, phi), with_flow.scaling, Model("static"))
    assert flow_test(fit_nlsq(blind, n_starts=16).chi2, fit_nlsq(with_flow, n_starts=32), 4, 60).detected
    c2, phi = white_noise_data("static")
    hopeful = make_problem(record_of(c2, phi), static_view.scaling, Model("laminar_flow"))
    null = flow_test(fit_nlsq(static_view, n_starts=16).chi2, fit_nlsq(hopeful, n_starts=32), 4, 60)
    assert not null.detected
    assert "compatible with zero" in null.sentence


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
        low, high = interval_of(name)
        assert np.all((column >= low) & (column <= high))


def exact_density(posterior, x) -> float:
    """Log density of all pairs of frames at coordinates x."""
    problem = posterior.problem
    params = np.asarray(posterior.coordinates.params(jnp.asarray(x)))[None]
    sums = exact_sums(problem, params)
    return float(posterior.density.log_density(jnp.asarray(x), sums[0]))


def test_marginal_likelihood_is_the_integral_over_the_scaling():
    """Against numerical quadrature of the full posterior over one contrast and one offset."""
    problem, c2 = problem_of("static", "auto", n=20)
    posterior = ShardPosterior(problem, [*TRUTH["static"], 0.32, 1.004])
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
    actual = exact_density(posterior, x2) - exact_density(posterior, x1)
    assert actual == pytest.approx(wanted, rel=1e-6, abs=1e-3)


def gaussian_shard(mean, precision, centre, anchor, rng, n=(4, 100)):
    """Draws of a normal law with its anchor, and their slopes."""
    total = precision + anchor
    middle = np.linalg.solve(total, precision @ mean + anchor @ centre)
    x = rng.multivariate_normal(middle, np.linalg.inv(total), size=n)
    return ShardDraws(x, (middle - x) @ total, centre, anchor, {}, np.zeros(0))


@pytest.mark.parametrize("anchored", [0.0, 3.0])
def test_consensus_of_gaussian_shards_is_their_product(anchored):
    """In closed form, and without sampling noise: slopes of a normal law tell its moments."""
    rng, d, n_shards = np.random.default_rng(2), 3, 4
    shards, precision, weighted = [], 0.0, 0.0
    for _ in range(n_shards):
        root = rng.standard_normal((d, d)) + 2 * np.eye(d)
        mean, own = rng.standard_normal(d), root @ root.T
        anchor = anchored * np.diag(rng.random(d))
        shards.append(gaussian_shard(mean, own, rng.standard_normal(d), anchor, rng))
        precision, weighted = precision + own, weighted + own @ mean
    consensus = combine_shards(shards)
    np.testing.assert_allclose(consensus.covariance, np.linalg.inv(precision), rtol=1e-8)
    np.testing.assert_allclose(consensus.mean, np.linalg.solve(precision, weighted), rtol=1e-8)
    assert consensus.own_means.shape == (n_shards, d)


def test_agreement_of_shards_is_a_chi2():
    """200 sets of 5 shards of one truth: the mean of χ² is its degrees of freedom, 12, within 4 √(2·12/200) = 1.4."""
    rng, d, own, chi2 = np.random.default_rng(3), 3, np.diag([1.0, 4.0, 100.0]), []
    for _ in range(200):
        means = rng.multivariate_normal(np.zeros(d), np.linalg.inv(own), size=5)
        shards = [gaussian_shard(mean, own, np.zeros(d), 4 * own, rng, n=(2, 20)) for mean in means]
        chi2.append(combine_shards(shards).agreement["chi2"])
    assert combine_shards(shards).agreement["dof"] == 12
    assert np.mean(chi2) == pytest.approx(12, abs=1.4)


def test_combining_refuses_what_does_not_fit_together():
    rng = np.random.default_rng(0)
    one, two = (gaussian_shard(np.zeros(d), np.eye(d), np.zeros(d), np.eye(d), rng) for d in (2, 3))
    with pytest.raises(ValueError, match="draws of 2, 3 numbers"):
        combine_shards([one, two])
    short = gaussian_shard(np.zeros(3), np.eye(3), np.zeros(3), np.eye(3), rng, n=(2, 3))
    with pytest.raises(ValueError, match="covariance of 3"):
        combine_shards([short, short])
    # An anchor larger than what the draws show leaves less than nothing.
    with pytest.raises(ValueError, match="without precision"):
        combine_shards([replace(two, anchor=9 * np.eye(3))] * 2)


def shards_of(mode, n_shards, fit, seed=0, draws=(100, 250), **data):
    """Posteriors of all shards of a data set, and their draws."""
    noise_scale = (fit.chi2 / fit.n_points) ** 0.5
    actual = []
    for shard in range(n_shards):
        problem, _ = problem_of(mode, rows=shard_rows(data["n"], shard, n_shards), **data)
        actual.append(ShardPosterior(problem, fit.values, n_shards, noise_scale=noise_scale))
    return actual, [
        sample_shard(posterior, seed=10 * seed + k, n_warmup=draws[0], n_draws=draws[1])
        for k, posterior in enumerate(actual)
    ]


def combined(posteriors, shards, fit):
    """Draws of all data, and the Pareto k of their weights."""
    proposals = propose(combine_shards(shards), len(posteriors[0].density.factor), shards[0].x[..., 0].size, seed=1)
    terms = [shard_terms(posterior.density.shard, proposals.x) for posterior in posteriors]
    total = tuple(sum(parts) for parts in zip(*terms, strict=True))
    origin = fit.values[len(posteriors[0].problem.names) :]
    x, lp, pareto_k = reweighted(proposals, total, origin, shards[0].x.shape[:2], seed=2)
    assert lp.shape == x.shape[:2]
    return x, pareto_k


@pytest.mark.parametrize("per_angle", ["individual", "constant"])
def test_terms_of_shards_add_to_the_density_of_all_data(per_angle):
    """Against the log density of one shard that holds everything; without shards' anchors."""
    problem, _ = problem_of("laminar_flow", per_angle, n=24)
    fit = fit_nlsq(problem, start=dict(zip(problem.names, TRUTH["laminar_flow"], strict=True)), n_starts=0)
    whole = ShardPosterior(problem, fit.values)
    parts = [
        ShardPosterior(problem_of("laminar_flow", per_angle, n=24, rows=shard_rows(24, s, 3))[0], fit.values, 3)
        for s in range(3)
    ]
    factor = whole.density.factor
    x = whole.centre[: len(factor)] + 0.5 * np.random.default_rng(0).standard_normal((6, len(factor))) @ factor.T

    def exact(part):
        return replace(part.density.shard, nodes=on_every_pair(part.problem).nodes)

    total = tuple(sum(terms) for terms in zip(*(shard_terms(exact(part), x) for part in parts), strict=True))
    actual = np.array([marginal(*(part[k] for part in total)) for k in range(6)])
    wanted = np.array([exact_density(whole, v) for v in x])
    np.testing.assert_allclose(actual - actual[0], wanted - wanted[0], atol=1e-5)


def test_slopes_of_draws_are_those_of_the_density():
    """Against finite differences, in the scaling too, with an anchor."""
    problem, _ = problem_of("static", n=24, rows=shard_rows(24, 1, 3))
    origin = np.repeat([0.32, 1.004], 5)
    posterior = ShardPosterior(problem, [*TRUTH["static"], *origin], 3)
    density, inner = posterior.density, len(posterior.density.factor)
    x = posterior.centre[:inner] + 0.1 * density.factor.sum(axis=1)
    matrix, right, _ = density.quadratic(x)
    scaling = conditional_draws(np.asarray(matrix)[None], np.asarray(right)[None], np.ones((1, 10)))[0]
    slope = density.slope(x, scaling)
    quadratic, step = jax.jit(density.shard.quadratic), 1e-6

    def joint(v):
        x, c = v[:inner], v[inner:]
        matrix, right, rest = quadratic(x)
        distance = np.concatenate([x, origin + c]) - posterior.centre
        return float(-0.5 * (rest + c @ matrix @ c - 2 * right @ c + distance @ posterior.anchor @ distance))

    draw = np.concatenate([x, scaling])
    for k in range(len(draw)):
        move = np.eye(len(draw))[k] * step
        assert (joint(draw + move) - joint(draw - move)) / (2 * step) == pytest.approx(
            float(slope[k]), rel=1e-4, abs=1e-2
        )


def test_draws_of_the_scaling_have_the_law_of_its_quadratic_form():
    """40,000 draws: mean M⁻¹ r and covariance M⁻¹, within five errors."""
    rng = np.random.default_rng(0)
    root = rng.standard_normal((3, 3))
    matrix, right, n = root @ root.T + np.eye(3), rng.standard_normal(3), 40_000
    draws = conditional_draws(np.tile(matrix, (n, 1, 1)), np.tile(right, (n, 1)), rng.standard_normal((n, 3)))
    covariance = np.linalg.inv(matrix)
    sd = np.sqrt(np.diag(covariance))
    assert np.all(np.abs(draws.mean(axis=0) - covariance @ right) < 5 * sd / np.sqrt(n))
    # An entry of a covariance of n draws has an error of at most √2 sd sd'/√n.
    assert np.all(np.abs(np.cov(draws.T) - covariance) < 5 * np.sqrt(2 / n) * np.outer(sd, sd))


@pytest.mark.parametrize("params", [[8000.0, -0.7, 20000.0], [30000.0, -1.98, 300.0]])
def test_shards_are_anchored_where_the_posterior_is(params):
    """Where the offset is most of the rate, and 0.5 % off a bound: means of draws within half of their sd of the centre."""
    problem, _ = problem_of("static", n=60, params=params)
    fit = fit_nlsq(problem, start=dict(zip(problem.names, params, strict=True)), n_starts=0)
    posterior = ShardPosterior(problem, fit.values)
    assert posterior.determined
    x = sample_shard(posterior, seed=1, n_warmup=100, n_draws=200).x.reshape(800, -1)
    inner = len(posterior.density.factor)
    # 800 draws have means to 0.05 sd; what is left is the skewness of the law.
    assert np.all(np.abs(x.mean(axis=0) - posterior.centre)[:inner] < 0.5 * x.std(axis=0)[:inner])


def test_many_draws_of_many_scalings_do_not_wait_for_each_other():
    """A batch of them made XLA wait for its own threads in every third call, and in 96 of 100 runs of eight."""
    code = """
import numpy as np
from homodyne_lib.sampling.importance import reweighted
from homodyne_lib.sampling.shard_files import Proposals
rng = np.random.default_rng(0)
n, m = 2000, 46
root = rng.standard_normal((n, m, m))
terms = root @ np.swapaxes(root, 1, 2) + m * np.eye(m), rng.standard_normal((n, m)), rng.standard_normal(n)
for seed in range(8):
    reweighted(Proposals(rng.standard_normal((n, 8)), np.zeros(n)), terms, np.zeros(m), (4, 500), seed)
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


def test_prior_draws_have_the_prior():
    """First and second moments of 20,000 draws against importance sampling of the density: within 4 errors."""
    coordinates = Coordinates(parameter_names("laminar_flow"), 0.1 * np.arange(1, 60))
    x = coordinates.prior_draws(20000)
    rng, df = np.random.default_rng(1), 4
    z = rng.standard_normal((40000, 8)) * np.sqrt(df / rng.chisquare(df, 40000))[:, None]
    covariance = np.cov(x, rowvar=False)
    y = x.mean(axis=0) + z @ np.linalg.cholesky(covariance).T
    log = np.asarray(jax.vmap(coordinates.log_prior)(jnp.asarray(y))) + 0.5 * (df + 8) * np.log1p((z * z).sum(1) / df)
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    size = x.std(axis=0) * np.sqrt(1 / 20000 + (weights**2).sum())
    assert np.all(np.abs(weights @ y - x.mean(axis=0)) < 4 * size)
    square, wanted = (y - x.mean(axis=0)) ** 2, (x - x.mean(axis=0)) ** 2
    error = np.sqrt(weights**2 @ (square - weights @ square) ** 2 + wanted.var(axis=0) / 20000)
    assert np.all(np.abs(weights @ square - wanted.mean(axis=0)) < 4 * error)


def test_posterior_agrees_with_the_fit_and_its_chains_with_each_other():
    problem, _ = problem_of("static", n=40)
    fit = fit_nlsq(problem, n_starts=16)
    posterior = ShardPosterior(problem, fit.values)
    shard = sample_shard(posterior, seed=3, n_warmup=100, n_draws=250)
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
    again = sample_shard(posterior, seed=3, n_warmup=100, n_draws=250, n_processes=3)
    np.testing.assert_array_equal(shard.x, again.x)
    np.testing.assert_array_equal(shard.slope, again.slope)
    np.testing.assert_array_equal(shard.stats["energy"], again.stats["energy"])


def test_processes_are_started_where_they_pay():
    """Four chains have no use for a fifth, and few frames none for a second."""
    counts = {"n_chains": 4, "flow": False}
    assert chain_processes(11, 100, **counts) == 1
    assert chain_processes(8, 400, n_chains=4, flow=True) == 2
    assert chain_processes(23, 1000, **counts) == 3
    assert chain_processes(23, 1000, n_chains=4, flow=True) == 4
    assert chain_processes(0, 0, **counts) == 1


@pytest.mark.slow
def test_four_shards_give_the_posterior_of_one():
    """Means within 0.15 posterior sd, sds within 10 %: 4 and 2 errors of 1000 draws each.

    ``tests/workflow/test_shards.py`` compares three shards with one, in jobs.
    """
    data = {"n": 60, "phi": (-40.0, 0.0, 30.0)}
    problem, _ = problem_of("static", **data)
    fit = fit_nlsq(problem, start=dict(zip(problem.names, TRUTH["static"], strict=True)), n_starts=0)
    _, whole = shards_of("static", 1, fit, **data)
    posteriors, shards = shards_of("static", 4, fit, seed=1, **data)
    x, pareto_k = combined(posteriors, shards, fit)
    assert pareto_k < MAX_PARETO_K
    mean, sd = whole[0].x.mean(axis=(0, 1)), whole[0].x.std(axis=(0, 1))
    assert np.abs((x.mean(axis=(0, 1)) - mean) / sd).max() < 0.15
    np.testing.assert_allclose(x.std(axis=(0, 1)), sd, rtol=0.1)


def test_shards_share_out_every_row_once():
    rows = np.concatenate([shard_rows(50, s, 4) for s in range(4)])
    assert sorted(rows) == list(range(49))
    assert shard_count(23, 30_000) == shard_count(8, 400) == 1
    assert shard_count(1, 20, 5) == 5
    with pytest.raises(ValueError, match="choose 1 to 10"):
        shard_count(1, 20, 11)


def test_curves_of_draws():
    draws = {"D0": np.array([1.0, 2.0]), "alpha": np.array([0.0, 1.0]), "D_offset": np.array([0.5, 0.0])}
    curves = rate_curves(draws, [0.0, 1.0, 4.0], 2.0, "D")
    np.testing.assert_allclose(curves, [[1.5, 1.5, 1.5], [2.0, 2.0, 8.0]])  # t = 0 is floored to dt/2 = 1 s
    lower, upper = band(np.arange(101.0)[:, None], 0.9)
    assert (lower[0], upper[0]) == pytest.approx((5.0, 95.0))

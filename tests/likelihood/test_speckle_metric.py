"""The metric of speckle noise, against generalised least squares over the pairs with their whole covariance matrix."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from white_noise import TRUTH, problem_of

from homodyne_lib.likelihood.problem import make_problem
from homodyne_lib.likelihood.span import make_span
from homodyne_lib.likelihood.speckle_metric import AngleMetric, SpeckleMetric, intensity_covariance
from homodyne_lib.likelihood.strips import model_matrices
from homodyne_lib.model.model import Model

SHOT = 0.4


def pair_covariance(sigma):
    """Covariance Σ_ik Σ_jl + Σ_il Σ_jk of all pairs i < j, one entry after the other."""
    i, j = np.triu_indices(len(sigma), 1)
    result = np.empty((i.size, i.size))
    for row in range(i.size):
        for column in range(i.size):
            k, m = i[column], j[column]
            result[row, column] = sigma[i[row], k] * sigma[j[row], m] + sigma[i[row], m] * sigma[j[row], k]
    return result


def above(matrices):
    i, j = np.triu_indices(matrices.shape[-1], 1)
    return matrices[..., i, j]


@pytest.fixture(scope="module")
def cases():
    rng, n = np.random.default_rng(3), 9
    root = rng.standard_normal((n, n))
    matrices = rng.standard_normal((3, n, n))
    matrices = np.triu(matrices, 1)
    return root @ root.T + np.eye(n), matrices + matrices.mT


def test_inner_products_are_those_of_generalised_least_squares_over_the_pairs(cases):
    sigma, matrices = cases
    metric = AngleMetric.of(sigma)
    whitened = metric.whitened(matrices)
    wanted = above(matrices) @ np.linalg.solve(pair_covariance(sigma), above(matrices).T)
    np.testing.assert_allclose(metric.inner(whitened, whitened), wanted, rtol=1e-9)
    weights = metric.weights(matrices)
    np.testing.assert_allclose(above(weights), np.linalg.solve(pair_covariance(sigma), above(matrices).T).T, rtol=1e-8)
    np.testing.assert_allclose(weights, weights.mT, atol=1e-12)
    np.testing.assert_allclose(np.einsum("aii->ai", weights), 0.0, atol=1e-12)


def test_noise_that_is_alike_in_every_entry_makes_it_least_squares(cases):
    _, matrices = cases
    metric = AngleMetric.of(0.3 * np.eye(9))
    whitened = metric.whitened(matrices)
    np.testing.assert_allclose(metric.inner(whitened, whitened), above(matrices) @ above(matrices).T / 0.09, rtol=1e-12)


def values_of(mode, n_phi=5):
    return np.concatenate([TRUTH[mode], 0.3 + 0.01 * np.arange(n_phi), 1.0 + 0.002 * np.arange(n_phi)])


def metric_of(mode, threads=1, n=14):
    problem, values = problem_of(mode, n=n)[0], values_of(mode)
    shot = np.full(problem.experiment.phi.size, SHOT)
    return problem, values, SpeckleMetric.at(problem, values, shot, threads)


@pytest.mark.parametrize("mode", ["static", "laminar_flow"])
def test_sums_of_model_and_data_are_inner_products(mode):
    problem, values, metric = metric_of(mode)
    p = len(problem.names)
    contrast, offset = problem.scaling.expand(values[p:])
    gram, sums = metric.gram(values[:p]), metric.sums(values[:p])
    for k in range(problem.experiment.phi.size):
        g1, slopes = model_matrices(values[:p], problem.experiment, k, problem.model.convention)
        y = np.asarray(problem.record.c2[k]) - problem.data.centre
        covariance = pair_covariance(intensity_covariance(g1**2, contrast[k], offset[k], SHOT))
        columns = np.concatenate([above(slopes), above(y)[None]])
        wanted = columns @ np.linalg.solve(covariance, columns.T)
        scale = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
        np.testing.assert_allclose(gram[k] / scale[:-1], wanted[:-1] / scale[:-1], atol=1e-9)
        np.testing.assert_allclose(sums[k], gram[k, p, p:], rtol=1e-9)
        np.testing.assert_allclose(metric.y_moments[k], wanted[[-2, -2, -1], [-2, -1, -1]], rtol=1e-8)


def test_threads_do_not_change_a_bit():
    _, values, one = metric_of("laminar_flow")
    _, _, two = metric_of("laminar_flow", threads=2)
    np.testing.assert_array_equal(one.gram(values[:7]), two.gram(values[:7]))


def test_a_covariance_is_one_also_where_a_fit_ends_outside_of_what_speckles_can_be():
    u = np.exp(-np.abs(np.subtract.outer(np.arange(30), np.arange(30))) / 5.0)
    for contrast, offset, shot in ((-0.2, 0.9, 0.0), (3.0, 1.2, 0.0), (0.3, 1.0, 1e3)):
        assert np.linalg.eigvalsh(intensity_covariance(u, contrast, offset, shot)).min() > 0


@pytest.mark.parametrize("mode", ["static", "laminar_flow"])
def test_snapshots_give_the_inner_products_between_them(mode):
    problem, values, metric = metric_of(mode, n=40)
    p = len(problem.names)
    weighted = problem.in_metric(metric, values[:p])
    rng = np.random.default_rng(5)
    wide, near = (values[:p] * (1 + size * rng.standard_normal((n, p))) for n, size in ((64, 0.03), (5, 0.02)))
    span = make_span(weighted, wide)
    # χ² is what a density is made of; in units of its noise the difference must be far below one.
    np.testing.assert_allclose(weighted.costs_from(span.sums_of_many(near)), weighted.costs(near), atol=0.02, rtol=0)
    compiled = jax.jit(lambda span, params: span.sums(params))(span, near[0])
    np.testing.assert_allclose(compiled, span.sums(near[0]), rtol=1e-9)


def test_a_problem_weighs_each_angle_by_its_residuals():
    problem, values, metric = metric_of("laminar_flow", n=40)
    weighted = problem.in_metric(metric, values[:7])
    assert weighted.cost(values[:7]) == pytest.approx(problem.n_points, rel=1e-6)
    # The residuals of one angle become twice as large, and the weight a quarter.
    model = values[7] * model_matrices(values[:7], problem.experiment, 0, "spec")[0] ** 2 + values[12]
    c2 = np.array(problem.record.c2)
    c2[0] += c2[0] - model
    noisy = make_problem(replace(problem.record, c2=c2), problem.scaling, Model("laminar_flow"))
    other = noisy.in_metric(SpeckleMetric.at(noisy, values, np.full(5, SHOT)), values[:7])
    np.testing.assert_allclose(other.weight / weighted.weight, [0.25, 1.0, 1.0, 1.0, 1.0], rtol=1e-6)

"""Scalings that fall apart into groups of bins: the same density, and the same law of draws, as in one matrix."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from several_q import TRUTH, record

from homodyne_lib.likelihood.problem import make_problem
from homodyne_lib.model.model import Model
from homodyne_lib.model.scaling import per_angle_scaling
from homodyne_lib.sampling.compilation import RUN_SELDOM
from homodyne_lib.sampling.density import conditional_draws
from homodyne_lib.sampling.posterior import ShardPosterior
from homodyne_lib.sampling.scaling_groups import ScalingGroups

_value_and_slope = jax.jit(lambda density, z: jax.value_and_grad(density.potential)(z), compiler_options=RUN_SELDOM)
_quadratic = jax.jit(lambda density, x: density.quadratic(x), compiler_options=RUN_SELDOM)
_slope = jax.jit(lambda density, x, scaling: density.slope(x, scaling), compiler_options=RUN_SELDOM)


@pytest.fixture(scope="module")
def densities():
    """Of two shards, so that there is an anchor: by groups, and in one matrix."""
    data = record("static")
    problem = make_problem(data, per_angle_scaling("individual", data.phi, groups=data.bins.groups), Model("static"))
    posterior = ShardPosterior(problem, [*TRUTH["static"], *np.full(8, 0.3), *np.full(8, 1.0)], n_shards=2)
    grouped = posterior.density
    assert grouped.shard.groups is not None
    return grouped, replace(grouped, shard=replace(grouped.shard, groups=None))


def test_the_density_and_its_slope_do_not_depend_on_the_groups(densities):
    grouped, dense = densities
    rng = np.random.default_rng(0)
    values = []
    for z in rng.standard_normal((4, len(grouped.factor))):
        one, other = (_value_and_slope(density, z) for density in (grouped, dense))
        np.testing.assert_allclose(one[1], other[1], rtol=1e-7, atol=1e-7)
        values.append((one[0], other[0]))
    # The scaling of a quadratic form has a constant that both leave out alike.
    np.testing.assert_allclose(*np.array(values).T, rtol=1e-9, atol=1e-7)


def test_slopes_of_whole_draws_do_not_depend_on_the_groups(densities):
    grouped, dense = densities
    x, scaling = grouped.place(np.full(len(grouped.factor), 0.3)), 0.01 * np.arange(16.0)
    np.testing.assert_allclose(_slope(grouped, x, scaling), _slope(dense, x, scaling), rtol=1e-8, atol=1e-6)


def test_draws_of_groups_are_those_of_the_whole_matrix(densities):
    grouped, dense = densities
    x = np.asarray(grouped.place(np.zeros(len(grouped.factor))))
    matrix, right, _ = (np.asarray(part)[None] for part in _quadratic(dense, x))
    blocks, pulls, _ = (np.asarray(part)[None] for part in _quadratic(grouped, x))
    assert blocks.shape == (1, 4, 4, 4)
    mean = conditional_draws(matrix, right, np.zeros((1, 16)))
    np.testing.assert_allclose(
        conditional_draws(blocks, pulls, np.zeros((1, 16)), grouped.shard.groups), mean, rtol=1e-7
    )
    # Deviations have the covariance M⁻¹: each normal number gives a column of a root of it.
    unit = np.eye(16)
    roots = conditional_draws(np.repeat(blocks, 16, 0), np.repeat(pulls, 16, 0), unit, grouped.shard.groups) - mean
    np.testing.assert_allclose(roots.T @ roots, np.linalg.inv(matrix[0]), rtol=1e-6, atol=1e-12)


def test_groups_of_unequal_size_are_filled_up():
    scaling = per_angle_scaling("individual", np.arange(5.0), groups=[np.arange(3), np.arange(3, 5)])
    groups = ScalingGroups.of(scaling)
    values = np.arange(10.0)
    gathered = groups.gathered(values, spare=-1.0)
    np.testing.assert_array_equal(gathered, [[0, 1, 2, 5, 6, 7], [3, 4, -1, 8, 9, -1]])
    np.testing.assert_array_equal(groups.in_order(gathered), values)
    assert ScalingGroups.of(per_angle_scaling("individual", np.arange(5.0))) is None

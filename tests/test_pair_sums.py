"""The pass over the data: equal to the kernels, values and derivatives, at every layout, mode and convention."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from homodyne_lib import kernels
from homodyne_lib.bands import Experiment, make_band
from homodyne_lib.layouts import mesh_layout
from homodyne_lib.pair_sums import gram, moments
from homodyne_lib.physics_factors import PhysicsFactors

PARAMS = {
    "static": [1.2e4, -1.2, 400.0],
    "laminar": [1.2e4, -1.2, 400.0, 2e-3, -0.4, 1e-4, -5.8],
    "slow flow": [5e3, -0.5, 500.0, 1e-5, 0.6, 0.0, 12.0],  # phases below 0.1, where series replace quotients
    "floored": [3e3, 0.4, -4e3, 1e-3, -0.3, -4e-4, 3.0],  # D(t) and the shear rate touch their floors
}
# One tile and less, several tiles with a remainder, several angles.
SIZES = [(3, 1), (17, 3), (75, 4), (130, 1)]


def case(mode, n, n_phi):
    phi = np.linspace(-75, 90, n_phi)
    factors = PhysicsFactors.from_config(0.0054, 2e6, 0.1).to_tuple()
    layout = mesh_layout(n, phi, 0.1)
    experiment = Experiment(layout.time, jnp.asarray(phi), *factors)
    c2 = 1 + 0.1 * np.random.default_rng(0).standard_normal((n_phi, n, n))
    return jnp.array(PARAMS[mode]), layout, factors, experiment, c2


def direct_columns(params, layout, factors, convention, c2, centre, rows):
    """∂u/∂params, u, 1, y of the pairs above the diagonal, pixel by pixel from the kernels."""
    shape = c2.shape

    def u_of(p):
        return jnp.broadcast_to(kernels.g1_total(p, layout, *factors, convention) ** 2, shape)

    above = (np.arange(shape[2]) > np.arange(shape[1])[:, None]) & np.isin(np.arange(shape[1]), rows)[:, None]
    slopes, u = np.asarray(jax.jit(jax.jacfwd(u_of))(params)), np.asarray(u_of(params))
    for k in range(shape[0]):
        y = c2[k][above] - centre[k]
        yield np.vstack([slopes[k][above].T, u[k][above], np.ones(y.size), y])


@pytest.mark.parametrize(("n", "n_phi"), SIZES)
@pytest.mark.parametrize("convention", ["spec", "published"])
@pytest.mark.parametrize("mode", PARAMS)
def test_gram_is_that_of_the_kernels(mode, convention, n, n_phi):
    params, layout, factors, experiment, c2 = case(mode, n, n_phi)
    band = make_band(c2)
    found = np.asarray(gram(params, experiment, band, convention))
    columns = direct_columns(params, layout, factors, convention, c2, np.asarray(band.centre), np.arange(n))
    for k, direct in enumerate(columns):
        size = np.linalg.norm(direct, axis=1) + 1e-100
        # Relative to the norms of the two columns, which is what a fit sees. Second order in the smoothing (1e-12 steps²)
        # is left out; it shows where the shear rate itself is of the size of the smoothing, 1e-6 a step and less.
        tolerance = {"slow flow": 1e-7, "floored": 1e-6}.get(mode, 1e-10)
        assert np.max(np.abs(found[k] - direct @ direct.T) / np.outer(size, size)) < tolerance


@pytest.mark.parametrize("mode", ["static", "laminar", "slow flow"])
@pytest.mark.parametrize("convention", ["spec", "published"])
def test_moments_and_their_gradient_are_those_of_the_kernels(mode, convention):
    params, layout, factors, experiment, c2 = case(mode, 75, 4)
    band = make_band(c2)
    weight = jnp.asarray(np.random.default_rng(1).standard_normal((4, 3)))
    above, y = jnp.triu(jnp.ones((75, 75)), 1), c2 - np.asarray(band.centre)[:, None, None]

    def fast(p):
        return jnp.sum(weight * moments(p, experiment, band, convention))

    def direct(p):
        u = jnp.broadcast_to(kernels.g1_total(p, layout, *factors, convention) ** 2, y.shape)
        sums = [jnp.sum(above * v, axis=(1, 2)) for v in (u, u * u, u * y)]
        return jnp.sum(weight * jnp.stack(sums, axis=1))

    assert fast(params) == pytest.approx(float(direct(params)), rel=1e-12)
    found, wanted = np.asarray(jax.grad(fast)(params)), np.asarray(jax.grad(direct)(params))
    np.testing.assert_allclose(found, wanted, rtol=1e-9 if mode == "slow flow" else 1e-10)


@pytest.mark.parametrize("n_shards", [2, 3, 7])
def test_bands_of_rows_add_up_to_the_whole(n_shards):
    params, _, _, experiment, c2 = case("laminar", 75, 4)
    whole = make_band(c2)
    total = 0.0
    for shard in range(n_shards):
        rows = np.arange(shard, 74, n_shards)
        # Centred alike, or the sums of y differ.
        band = make_band(c2[:, rows], rows)._replace(centre=whole.centre)
        total = total + np.asarray(gram(params, experiment, band))
    np.testing.assert_allclose(total, np.asarray(gram(params, experiment, whole)), rtol=1e-9, atol=1e-9)


def test_y_moments_count_each_pair_once():
    _, _, _, _, c2 = case("static", 17, 3)
    band = make_band(c2)
    i, j = np.triu_indices(17, 1)
    y = c2[:, i, j]
    wanted = np.stack([np.full(3, 136.0), np.zeros(3), ((y - y.mean(1, keepdims=True)) ** 2).sum(1)], axis=1)
    np.testing.assert_allclose(np.asarray(band.y_moments), wanted, atol=1e-10)


def test_data_below_the_diagonal_are_not_seen():
    params, _, _, experiment, c2 = case("laminar", 75, 4)
    spoiled = c2.copy()
    below = np.tril_indices(75)
    spoiled[:, below[0], below[1]] = 1e6
    np.testing.assert_array_equal(gram(params, experiment, make_band(c2)), gram(params, experiment, make_band(spoiled)))


@pytest.mark.parametrize("rows", [[], [3, 2], [74], [0, 0]])
def test_a_band_without_pairs_is_refused(rows):
    with pytest.raises(ValueError, match="must rise"):
        make_band(np.ones((1, len(rows), 75)), rows)

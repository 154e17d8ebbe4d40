"""The pass over the data: equal to the kernels, values and derivatives, at every layout, mode and convention."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from homodyne_lib import kernels
from homodyne_lib.bands import Experiment, make_band
from homodyne_lib.layouts import mesh_layout
from homodyne_lib.pair_sums import gram, projections
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
    experiment = Experiment(np.asarray(layout.time), phi, *factors)
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
        y = c2[k][above] - centre
        yield np.vstack([slopes[k][above].T, u[k][above], np.ones(y.size), y])


@pytest.mark.parametrize(("n", "n_phi"), SIZES)
@pytest.mark.parametrize("convention", ["spec", "published"])
@pytest.mark.parametrize("mode", PARAMS)
def test_gram_is_that_of_the_kernels(mode, convention, n, n_phi):
    params, layout, factors, experiment, c2 = case(mode, n, n_phi)
    band = make_band(c2)
    found = gram(params, experiment, band, convention)
    columns = direct_columns(params, layout, factors, convention, c2, band.centre, np.arange(n))
    for k, direct in enumerate(columns):
        size = np.linalg.norm(direct, axis=1) + 1e-100
        # Relative to the norms of the two columns, which is what a fit sees. Second order in the smoothing (1e-12 steps²)
        # is left out; it shows where the shear rate itself is of the size of the smoothing, 1e-6 a step and less.
        tolerance = {"slow flow": 1e-7, "floored": 1e-6}.get(mode, 1e-10)
        assert np.max(np.abs(found[k] - direct @ direct.T) / np.outer(size, size)) < tolerance


@pytest.mark.parametrize("mode", PARAMS)
@pytest.mark.parametrize("convention", ["spec", "published"])
def test_projections_are_columns_of_the_gram_matrix(mode, convention):
    params, _, _, experiment, c2 = case(mode, 75, 4)
    band = make_band(c2)
    whole = gram(params, experiment, band, convention)
    np.testing.assert_array_equal(projections(params, experiment, band, convention), whole[:, :, -3:])


@pytest.mark.parametrize("mode", ["static", "laminar"])
def test_blocks_of_any_size_add_up_to_the_same(mode, monkeypatch):
    params, _, _, experiment, c2 = case(mode, 130, 3)
    band = make_band(c2)
    whole = gram(params, experiment, band)
    monkeypatch.setattr("homodyne_lib.bands._BLOCK_PIXELS", 700)
    monkeypatch.setattr("homodyne_lib.bands._BLOCK_ROWS", 7)
    np.testing.assert_allclose(gram(params, experiment, band), whole, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_shards", [2, 3, 7])
def test_bands_of_rows_add_up_to_the_whole(n_shards):
    params, _, _, experiment, c2 = case("laminar", 75, 4)
    whole = make_band(c2)
    total = 0.0
    for shard in range(n_shards):
        rows = np.arange(shard, 74, n_shards)
        # Centred alike, or the sums of y differ.
        band = make_band(c2[:, rows], rows)._replace(centre=whole.centre)
        total = total + gram(params, experiment, band)
    # Σy² belongs to each band's own centre; all else adds up.
    np.testing.assert_allclose(total[:, :-1], gram(params, experiment, whole)[:, :-1], rtol=1e-9, atol=1e-9)


def test_y_moments_count_each_pair_once():
    _, _, _, _, c2 = case("static", 17, 3)
    band = make_band(c2)
    i, j = np.triu_indices(17, 1)
    y = c2[:, i, j]
    y = y - y.mean()
    wanted = np.stack([np.full(3, 136.0), y.sum(axis=1), (y**2).sum(axis=1)], axis=1)
    np.testing.assert_allclose(band.y_moments, wanted, atol=1e-10)


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

"""Bounds in the coordinates of a posterior: those of the table, which are of D at 1 s, and those of a user."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import homodyne_lib as hd
from homodyne_lib.model.curves import rate_slopes
from homodyne_lib.model.parameters import parameter_names
from homodyne_lib.sampling.coordinates import Coordinates

NAMES = parameter_names("laminar_flow")
TIME = 0.1 * np.arange(1, 60)
FIT = np.array([5000.0, -0.5, 500.0, 1e-3, -0.3, 1e-4, 10.0])
BOUNDED = [
    {"D0": [3000.0, 9000.0]},
    {"D_offset": [0.0, 1000.0]},
    {"gamma_dot_t0": [1e-4, 1e-2], "gamma_dot_t_offset": [0.0, 1e-3]},
    {"D0": [3000.0, 9000.0], "D_offset": [0.0, 1000.0], "beta": [-1.0, 0.0], "phi0": [0.0, 30.0]},
]


@pytest.mark.parametrize("fixed", [{}, {"D_offset": 500.0}, {"gamma_dot_t0": 1e-3}])
@pytest.mark.parametrize("bounds", BOUNDED)
def test_every_draw_is_within_the_bounds_of_a_user(bounds, fixed):
    bounds = {name: limits for name, limits in bounds.items() if name not in fixed}
    coordinates = Coordinates(NAMES, TIME, bounds, fixed, FIT)
    x = coordinates.from_params(FIT)
    np.testing.assert_allclose(coordinates.params(jnp.asarray(x)), FIT, rtol=1e-9, atol=1e-12)
    at_random = jnp.asarray(3 * np.random.default_rng(0).standard_normal((500, x.size)))
    for draws in (coordinates.params(at_random), coordinates.params(jnp.asarray(coordinates.prior_draws(500)))):
        assert np.all(np.isfinite(draws))
        for name, (low, high) in bounds.items():
            column = np.asarray(draws)[:, NAMES.index(name)]
            assert np.all((column >= low) & (column <= high)), name
            assert np.ptp(column) > 0.1 * (high - low)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_a_fit_is_within_reach_at_any_rate(scale):
    """D within the record may be smaller or larger than D at 1 s is allowed to be."""
    fit = FIT * np.where(np.isin(NAMES, ("D0", "D_offset")), scale, 1.0)
    coordinates = Coordinates(NAMES, TIME, about=fit)
    x = coordinates.from_params(fit)
    np.testing.assert_allclose(coordinates.params(jnp.asarray(x)), fit, rtol=1e-9)
    for step in (-0.5, 0.5):
        x_beside = jnp.asarray(x).at[0].add(step)
        ratio = np.asarray(coordinates.params(x_beside))[0] / fit[0]
        assert 1.5 < ratio ** np.sign(step) < 10.0


@pytest.mark.parametrize("rate", [0.4, 0.9, 8.0])
def test_a_mean_shear_rate_may_be_above_the_bound_of_its_value_at_one_second(rate):
    fit = FIT.copy()
    fit[3:6] = 0.5 * rate / np.mean(TIME ** FIT[4]), FIT[4], 0.5 * rate
    coordinates = Coordinates(NAMES, TIME, about=fit)
    np.testing.assert_allclose(coordinates.params(jnp.asarray(coordinates.from_params(fit))), fit, rtol=1e-9)
    draws = np.asarray(coordinates.params(jnp.asarray(coordinates.prior_draws(2000))))
    mean = np.array([np.mean(row[3] * TIME ** row[4] + row[5]) for row in draws])
    # Uniform up to 1 per second, or to twice the fit.
    assert mean.max() == pytest.approx(max(1.0, 2.0 * rate), rel=0.02)


def test_a_mean_shear_rate_begins_at_zero():
    """Of 2,000 draws of the prior, uniform up to the table's 1 per second, the least is near 1/2000."""
    coordinates = Coordinates(NAMES, TIME)
    draws = np.asarray(coordinates.params(jnp.asarray(coordinates.prior_draws(2000))))
    mean = np.array([np.mean(row[3] * TIME ** row[4] + row[5]) for row in draws])
    assert 1e-6 < mean.min() < 1e-2 and 0.98 < mean.max() < 1.0
    still = np.zeros(coordinates.from_params(FIT).size)
    assert abs(np.asarray(coordinates.params(jnp.asarray(still)))[3]) < 1e-20


def test_a_slow_sample_has_the_posterior_of_its_fit():
    """D falls below 1 Å²/s, the least D0 of the table, within a record of an hour."""
    truth = {"D0": 20.0, "alpha": -0.5, "D_offset": 0.0}
    how = {"q": 0.1, "dt": 100.0, "n_frames": 40, "pixels": 2000, "modes": 3, "counts": 5.0, "seed": 1}
    fit = hd.fit(hd.simulate(truth, [0.0], **how), starts=8)
    rate, slopes = rate_slopes(fit.values, [980.0], how["dt"], "D")
    error = np.sqrt(slopes @ fit.calibration.covariance.of([*truth]) @ slopes.T).item()
    draws = hd.sample(fit, chains=2, warmup=100, draws=300).rates("D", [980.0], how["dt"])
    assert rate[0] < 0.7
    assert abs(draws.mean() - rate[0]) < 0.5 * error
    assert 0.6 < draws.std() / error < 1.4

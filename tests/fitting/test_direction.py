"""The flow direction repeats every 180°, and is found wherever it is: by the fit, and by the sampler."""

import numpy as np
import pytest
from white_noise import record_of, white_noise_data

from homodyne_lib.fitting.identifiability import degeneracies, direction_is_open
from homodyne_lib.fitting.nlsq import fit_nlsq
from homodyne_lib.fitting.starts import mirror_images
from homodyne_lib.likelihood.problem import make_problem
from homodyne_lib.model.model import Model
from homodyne_lib.model.parameters import parameter_names
from homodyne_lib.model.scales import interval_of, nearest_image
from homodyne_lib.model.scaling import per_angle_scaling
from homodyne_lib.sampling.coordinates import Coordinates
from homodyne_lib.sampling.nuts import sample_shard
from homodyne_lib.sampling.posterior import ShardPosterior

NAMES = parameter_names("laminar_flow")
PHI0 = NAMES.index("phi0")
DURATION = 0.1 * np.arange(1, 41)


def turned(turn, convention="spec", n=40, **data):
    """The same numbers at angles that are counted from elsewhere."""
    c2, phi = white_noise_data("laminar_flow", n=n, convention=convention, **data)
    scaling = per_angle_scaling("individual", phi)
    return make_problem(record_of(c2, phi + turn), scaling, Model("laminar_flow", convention))


@pytest.fixture(scope="module")
def unturned():
    return {convention: fit_nlsq(turned(0.0, convention), n_starts=16) for convention in ("spec", "published")}


@pytest.mark.parametrize("convention", ["spec", "published"])
@pytest.mark.parametrize("turn", [30.0, 85.0, 90.0, 120.0, -95.0, 400.0])
def test_turning_all_angles_turns_the_direction_and_nothing_else(turn, convention, unturned):
    before, after = unturned[convention], fit_nlsq(turned(turn, convention), n_starts=16)
    moved = before.values + np.where(np.arange(before.values.size) == PHI0, turn, 0.0)
    actual = np.append(nearest_image(["phi0"], after.values[PHI0 : PHI0 + 1], moved[PHI0]), 0.0)[0]
    values = np.where(np.arange(moved.size) == PHI0, actual, after.values)
    # A descent ends where χ² is flat to 1e-12 of itself: within about a ten-thousandth of an error of the minimum.
    assert np.abs((values - moved) / before.errors).max() < 1e-3
    np.testing.assert_allclose(after.errors, before.errors, rtol=1e-4)
    assert after.chi2 == pytest.approx(before.chi2, rel=1e-9)
    assert -90.0 < after.value("phi0") <= 90.0
    assert not after.at_bound["phi0"]
    assert after.warnings == before.warnings


@pytest.mark.parametrize(
    ("turn", "bounds", "actual"),
    [
        (85.0, (60.0, 120.0), 88.0),
        (85.0, (80.0, 260.0), 88.0),
        (-85.0, (80.0, 200.0), 98.0),
        (85.0, (-95.0, -85.0), -92.0),
    ],
)
def test_bounds_lie_in_any_direction(turn, bounds, actual):
    fit = fit_nlsq(turned(turn), bounds={"phi0": bounds}, n_starts=16)
    assert fit.value("phi0") == pytest.approx(actual, abs=5 * fit.errors[PHI0])
    assert fit.reduced_chi2 == pytest.approx(1.0, abs=0.1)
    assert not fit.at_bound["phi0"]


def test_bounds_without_the_direction_hold_the_fit():
    fit = fit_nlsq(turned(85.0), bounds={"phi0": (-20.0, 40.0)}, n_starts=16)
    assert fit.at_bound["phi0"]
    assert -20.0 <= fit.value("phi0") <= 40.0


@pytest.mark.parametrize("bounds", [(0.0, 181.0), (20.0, 10.0), (5.0, 5.0), (-np.inf, 0.0), (0.0, np.nan)])
def test_bounds_that_are_no_interval_of_directions_are_refused(bounds):
    with pytest.raises(ValueError, match=r"of phi0 must rise and be at most 180 deg apart, where the model repeats"):
        fit_nlsq(turned(0.0), bounds={"phi0": bounds}, n_starts=2)


def test_a_direction_is_given_by_any_of_its_angles():
    """3° + 85° is also -92°: as a start, as a value to be held, and within bounds."""
    problem, start = turned(85.0), {"D0": 5000.0, "alpha": -0.5, "D_offset": 500.0}
    for value in (88.0, -92.0, 268.0):
        for bounds in (None, {"phi0": (60.0, 120.0)}):
            fit = fit_nlsq(problem, start=start | {"phi0": value}, bounds=bounds, n_starts=0)
            assert fit.value("phi0") == pytest.approx(88.0, abs=0.5)
        held = fit_nlsq(problem, start=start, fixed={"phi0": value}, n_starts=0)
        assert held.value("phi0") == value
        assert held.reduced_chi2 == pytest.approx(1.0, abs=0.1)
    with pytest.raises(ValueError, match=r"start phi0 = 10 deg is outside \[60, 120\]"):
        fit_nlsq(problem, start=start | {"phi0": 10.0}, bounds={"phi0": (60.0, 120.0)}, n_starts=0)


@pytest.mark.parametrize("turn", [0.0, 40.0, 87.0])
def test_both_directions_that_two_angles_allow_are_told(turn):
    """Two angles give two phases for two numbers, the size of a flow and its direction; the squares allow a second one."""
    problem = turned(turn, phi=(0.0, 50.0), contrast_step=0.0)
    fit = fit_nlsq(problem, n_starts=16)
    assert any("1 more minimum with almost the same χ²" in warning for warning in fit.warnings)
    # By hand: cos(φ0 - 50°) / cos φ0 changes its sign with tan φ0 -> -2 cot 50° - tan φ0.
    directions = np.array([basin["phi0"] - turn for basin in fit.basins])
    tangents = np.tan(np.deg2rad(directions))
    assert tangents.sum() == pytest.approx(-2.0 / np.tan(np.deg2rad(50.0)), rel=0.05)


# By hand: tan φ0 of both add up to -2 cot 60°; rates go as 1/cos φ0, as the phase at 0 deg is the same.
OTHER = "2 angles leave another flow that fits as well, with phi0 = -56.6 deg and 1.71 times this shear rate"


@pytest.mark.parametrize(
    ("phi", "fixed", "bounds", "told"),
    [
        ((0.0, 60.0), {}, {}, OTHER),
        ((0.0, 60.0), {}, {"phi0": [-90.0, 90.0]}, OTHER),
        ((0.0, 60.0), {}, {"phi0": [-60.0, 60.0]}, OTHER),
        ((0.0, 60.0), {}, {"phi0": [170.0, 210.0]}, None),  # in another turn
        ((0.0, 60.0), {"phi0": 20.0}, {}, None),
        ((0.0, 180.0), {}, {"phi0": [10.0, 30.0]}, "1 angle (those 180 deg apart are one) cannot tell the size"),
        ((0.0, 180.0), {"phi0": 20.0}, {}, None),
        ((0.0, 60.0, 120.0), {}, {}, None),
    ],
)
def test_a_direction_is_open_unless_what_is_known_leaves_one_flow(phi, fixed, bounds, told):
    params = np.array([2000.0, 0.0, 100.0, 1e-3, 0.0, 1e-5, 20.0])
    problem = turned(0.0, phi=phi)
    sentences = degeneracies(problem, params, problem.names, np.zeros((7, 7)), fixed, bounds)
    assert any("angles decide" in sentence for sentence in sentences) == (told is not None)
    assert told is None or any(told in sentence for sentence in sentences)
    assert direction_is_open(problem, params, np.zeros((7, 7)), fixed, bounds) == (told is not None)


@pytest.mark.parametrize(("phi0", "error", "is_open"), [(2.0, 1.0, True), (2.0, 2.0, False), (88.5, 1.5, False)])
def test_a_flow_along_an_angle_is_its_own_mirror_image(phi0, error, is_open):
    """Angles at 0 and 90 deg see phi0 and -phi0 alike, which are 4 deg apart, and 3 deg beside the other angle."""
    params, covariance = np.array([2000.0, 0.0, 100.0, 1e-3, 0.0, 1e-5, phi0]), np.zeros((7, 7))
    covariance[6, 6] = error**2
    assert direction_is_open(turned(0.0, phi=(0.0, 90.0)), params, covariance, {}, {}) == is_open


def test_mirror_images_have_the_phases_of_the_flow():
    problem = turned(0.0, phi=(0.0, 50.0))
    params = np.array([5000.0, -0.5, 500.0, 1e-3, -0.3, 1e-4, 3.0])
    image, reflection = mirror_images(problem, params)
    size = [p[3] * np.abs(np.cos(np.deg2rad(p[PHI0] - problem.experiment.phi))) for p in (params, image)]
    np.testing.assert_allclose(size[1], size[0], rtol=0.05)  # on a grid of 1°
    assert image[5] / image[3] == pytest.approx(0.1)
    assert reflection[PHI0] == pytest.approx(-3.0)
    assert len(mirror_images(turned(0.0, phi=(0.0, 60.0, 120.0)), params)) == 1


# ---------------------------------------------------------------- sampler


def test_the_prior_of_a_direction_is_uniform():
    """Kolmogorov's statistic of 20,000 draws stays below 1.95/√20000 with a chance of 0.999."""
    for bounds, about, low, high in ((None, 88.0, -2.0, 178.0), ({"phi0": (60.0, 120.0)}, 88.0, 60.0, 120.0)):
        fit = np.array([5000.0, -0.5, 500.0, 1e-3, -0.3, 1e-4, about])
        coordinates = Coordinates(NAMES, DURATION, bounds, about=fit)
        draws = coordinates.natural_draws(coordinates.prior_draws(20000), [])["phi0"]
        ranks = np.sort((draws - low) / (high - low))
        assert np.abs(ranks - np.arange(20000) / 20000).max() < 1.95 / np.sqrt(20000)
        assert np.asarray(coordinates.params(coordinates.from_params(fit)))[PHI0] == pytest.approx(about, rel=1e-9)


@pytest.mark.parametrize(("bounds", "about"), [(None, 88.0), ({"phi0": (60.0, 120.0)}, 88.0)])
def test_the_density_of_the_prior_is_that_of_its_draws(bounds, about):
    """Along the coordinate of φ0, the log density is the log slope of the angle, up to a constant."""
    fit = np.array([5000.0, -0.5, 500.0, 1e-3, -0.3, 1e-4, about])
    coordinates = Coordinates(NAMES, DURATION, bounds, about=fit)
    x = np.tile(coordinates.from_params(fit), (41, 1))
    place, step = coordinates.free.index("phi0"), 1e-5
    x[:, place] += np.linspace(-3.0, 3.0, 41)
    increment = np.where(np.arange(x.shape[1]) == place, step, 0.0)
    slope = np.asarray(coordinates.params(x + increment) - coordinates.params(x - increment))[:, PHI0] / (2 * step)
    density = np.array([coordinates.log_prior(row) for row in x])
    # Differences of angles of 100° over steps of 1e-5 keep nine digits.
    np.testing.assert_allclose(density - np.log(slope), density[0] - np.log(slope[0]), atol=1e-6)


def test_the_density_at_the_seam_is_that_anywhere():
    """At the same coordinates, when the fit is turned with the angles."""
    fit, actual = np.array([5000.0, -0.5, 500.0, 1e-3, -0.3, 1e-4, 3.0, *5 * [0.3], *5 * [1.0]]), []
    for turn in (0.0, 87.0, 90.0):
        posterior = ShardPosterior(turned(turn), fit + np.where(np.arange(fit.size) == PHI0, turn, 0.0), n_shards=2)
        x = posterior.centre[:8] + np.linspace(-1.0, 1.0, 5)[:, None] * posterior.density.factor.sum(axis=1)
        density = [posterior.density.log_density(row) for row in x]
        actual.append([*x.ravel(), *np.ravel(posterior.anchor), *density])
    # Densities are sums of 4,000 squares; what they differ by counts.
    np.testing.assert_allclose(actual[1:], [actual[0], actual[0]], rtol=1e-6, atol=1e-6 * np.abs(actual[0]).max())


@pytest.mark.slow
def test_draws_at_the_seam_are_those_anywhere():
    """3° + 87° is the seam of the reported interval; the draws lie on both sides of it, and close together."""
    draws = {}
    for turn in (0.0, 87.0):
        problem = turned(turn)
        posterior = ShardPosterior(problem, fit_nlsq(problem, n_starts=16).values)
        sampled = sample_shard(posterior, seed=0, n_warmup=100, n_draws=300, n_chains=2)
        draws[turn] = posterior.coordinates.natural_draws(sampled.x, problem.scaling.names)["phi0"]
    plain, seam = draws.values()
    # 600 draws give a mean to 0.04 and a width to 0.03 of the width: four of those, and a little.
    assert seam.std() == pytest.approx(plain.std(), rel=0.15)
    moved = nearest_image(["phi0"], seam.mean()[None] - 87.0, plain.mean())[0]
    assert moved == pytest.approx(plain.mean(), abs=0.3 * plain.std())


def test_intervals_of_directions():
    assert interval_of("phi0") == (-90.0, 90.0)
    assert interval_of("phi0", {"phi0": (80, 200)}) == (80.0, 200.0)
    values = np.array([[7.0, -90.0], [7.0, 90.0], [7.0, 91.0], [7.0, 275.0]])
    expected = [[7.0, 90.0], [7.0, 90.0], [7.0, -89.0], [7.0, -85.0]]
    np.testing.assert_allclose(nearest_image(["D0", "phi0"], values, np.zeros(2)), expected, atol=1e-12)


def test_a_minimum_found_across_the_angles_has_its_own_mirror_image_looked_at():
    """At 0, 45 and 90 deg a flow at 6 deg and one at -6 deg are two minima, and only one is the best."""
    for turn in (0.0, 85.0):
        fit = fit_nlsq(turned(turn, phi=(0.0, 45.0, 90.0), params=[5000, -0.5, 500, 2e-3, -0.4, 1e-4, -6.0]))
        assert fit.reduced_chi2 == pytest.approx(1.0, abs=0.15)  # 2,340 points: five standard deviations
        assert fit.value("phi0") == pytest.approx(turn - 6.0, abs=1.0)

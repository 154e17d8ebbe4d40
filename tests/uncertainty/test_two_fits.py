"""The fit in the metric of speckle noise: nearer to the truth, with true errors, and a test that shows a wrong model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from white_noise import record_of

from homodyne_lib.fitting import speckle_fit
from homodyne_lib.fitting.nlsq import fit_nlsq
from homodyne_lib.fitting.speckle_fit import every_nth, fit_speckle, in_frozen_metric
from homodyne_lib.likelihood.problem import make_problem
from homodyne_lib.model.curves import rate_curves, rate_slopes
from homodyne_lib.model.model import Model
from homodyne_lib.model.scaling import per_angle_scaling
from homodyne_lib.prepare.entry_noise import estimate_sigma
from homodyne_lib.simulation import simulate_speckle_c2
from homodyne_lib.uncertainty.calibration import calibrate
from homodyne_lib.uncertainty.two_fits import compare_fits

PHI = np.array([0.0, 60.0])
TRUTH = {"D0": 30000.0, "alpha": -0.5, "D_offset": 3000.0}
FRAMES, TIMES = 60, np.array([0.6, 1.8, 5.4])
# Replicas of which most quantities below are means. A mean square of so many pulls has the standard deviation √(2/30) = 0.26.
REPLICAS = 30


def measured(seed, counts=10.0):
    return simulate_speckle_c2(
        list(TRUTH.values()), PHI, q=0.0054, dt=0.1, n_frames=FRAMES, pixels=2000, modes=3, counts=counts, seed=seed
    )


def fits_of(c2, phi=PHI):
    """Problem, least squares, its calibration, and the fit in the metric."""
    record = record_of(c2, phi, sigma=estimate_sigma(c2))
    problem = make_problem(record, per_angle_scaling("individual", phi), Model("static"))
    fit = fit_nlsq(problem, start=TRUTH, n_starts=0)
    noise = calibrate(problem, fit.values, np.diagonal(c2, axis1=1, axis2=2))
    found = fit_speckle(problem, fit.values, [fit.values[:3]], 1.0 / noise.effective_counts)
    return problem, fit, noise, found


def rates_of(values):
    return rate_curves(dict(zip(TRUTH, values[:3], strict=True)), TIMES, 0.1, "D")[0]


@pytest.fixture(scope="module")
def replicas():
    """Of each replica: rates by least squares and in the metric, errors of the latter, and the agreement."""
    found = []
    for seed in range(REPLICAS):
        problem, fit, noise, speckle = fits_of(measured(seed))
        calibration, agreement = compare_fits(problem, speckle, noise)
        values = dict(zip(TRUTH, speckle.fit.values[:3], strict=True))
        slopes = rate_slopes(values, TIMES, 0.1, "D")[1]
        errors = np.sqrt(np.diag(slopes @ calibration.covariance[:3, :3] @ slopes.T))
        found.append((rates_of(fit.values), rates_of(speckle.fit.values), errors, agreement))
    return found


def test_errors_against_the_truth_are_smaller_than_those_of_least_squares(replicas):
    true = rates_of(np.array(list(TRUTH.values())))
    squares, speckle = (np.sqrt(np.mean((np.array([r[k] for r in replicas]) - true) ** 2, axis=0)) for k in (0, 1))
    # The ratio is near 1.6 in so short a record; both errors scatter by √(1/60) = 13 %.
    assert np.exp(np.mean(np.log(squares / speckle))) > 1.3


def test_errors_are_true_and_the_gain_is_known_beforehand(replicas):
    true = rates_of(np.array(list(TRUTH.values())))
    pulls = np.array([(speckle - true) / errors for _, speckle, errors, _ in replicas])
    # Three rates that go together: three standard deviations of the mean square of a single one.
    assert np.mean(pulls**2) == pytest.approx(1.0, abs=0.8)
    gains = np.array([agreement.gains for *_, agreement in replicas])
    squares, speckle = (np.std([r[k] for r in replicas], axis=0) for k in (0, 1))
    assert np.exp(np.mean(np.log(gains))) == pytest.approx(np.exp(np.mean(np.log(squares / speckle))), rel=0.4)


def test_right_models_are_not_rejected(replicas):
    chances = np.array([agreement.p_value for *_, agreement in replicas])
    # Of 30 uniform numbers the least is above 2e-4 with a chance of 99.4 %, and the mean is 0.5 ± 0.05.
    assert chances.min() > 2e-4
    assert 0.3 < chances.mean() < 0.75


def test_a_contrast_that_drifts_is_seen():
    fades = np.sqrt(1.0 - 0.5 * np.arange(FRAMES) / FRAMES)
    c2 = 1.0 + (measured(1) - 1.0) * np.outer(fades, fades)
    problem, _, noise, found = fits_of(c2)
    assert compare_fits(problem, found, noise)[1].rejected


def test_the_result_does_not_lean_on_the_weights():
    """Half and twice the counts, as a contrast halved and doubled does, move rates by little of their errors."""
    moved = []
    for seed in range(8):
        problem, fit, noise, found = fits_of(measured(seed))
        calibration, _ = compare_fits(problem, found, noise)
        slopes = rate_slopes(dict(zip(TRUTH, found.fit.values[:3], strict=True)), TIMES, 0.1, "D")[1]
        errors = np.sqrt(np.diag(slopes @ calibration.covariance[:3, :3] @ slopes.T))
        for factor in (0.5, 2.0):
            other = fit_speckle(problem, fit.values, [fit.values[:3]], factor / noise.effective_counts)
            moved.append((rates_of(other.fit.values) - rates_of(found.fit.values)) / errors)
    assert np.mean(np.abs(moved)) < 0.3


def test_the_better_of_two_minima_is_found_and_the_metric_can_be_made_again():
    c2 = measured(2)
    problem, fit, noise, found = fits_of(c2)
    far = np.array([3000.0, 0.8, 20000.0])
    both = fit_speckle(problem, fit.values, [far, fit.values[:3]], 1.0 / noise.effective_counts)
    np.testing.assert_allclose(rates_of(both.fit.values), rates_of(found.fit.values), rtol=1e-3)
    again = in_frozen_metric(problem, found.state)
    assert again.cost(found.fit.values[:3]) == pytest.approx(found.fit.chi2, rel=1e-12)
    assert found.fit.reduced_chi2 == pytest.approx(1.0, abs=0.05)


def test_a_long_record_is_fitted_at_some_frames_first(monkeypatch):
    problem, fit, noise, found = fits_of(measured(4))
    monkeypatch.setattr(speckle_fit, "_FRAMES", 20)
    some = every_nth(problem, 3)
    np.testing.assert_array_equal(some.experiment.frames, np.arange(0, FRAMES, 3))
    np.testing.assert_array_equal(some.record.c2, problem.record.c2[:, ::3, ::3])
    staged = fit_speckle(problem, fit.values, [fit.values[:3]], 1.0 / noise.effective_counts)
    known = np.isfinite(found.fit.errors)
    assert np.max(np.abs(staged.fit.values - found.fit.values)[known] / found.fit.errors[known]) < 0.1


def test_what_is_held_stays_held():
    c2 = measured(3)
    record = record_of(c2, PHI, sigma=estimate_sigma(c2))
    problem = make_problem(record, per_angle_scaling("individual", PHI), Model("static"))
    fit = fit_nlsq(problem, start=TRUTH, n_starts=0, fixed={"alpha": -0.5})
    noise = calibrate(problem, fit.values, np.diagonal(c2, axis1=1, axis2=2), held=["alpha"])
    found = fit_speckle(problem, fit.values, [fit.values[:3]], 1.0 / noise.effective_counts, fixed={"alpha": -0.5})
    calibration, agreement = compare_fits(problem, found, noise, held=["alpha"])
    assert found.fit.value("alpha") == -0.5
    assert np.isnan(calibration.errors[1])
    assert agreement.degrees_of_freedom <= 2
    assert replace(agreement, p_value=1e-4).rejected

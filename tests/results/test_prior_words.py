"""Which rates are said to be decided by the prior."""

from dataclasses import replace

import numpy as np
import pytest
from report_support import DT, N_T, write_results

from homodyne_lib.results.calibrations import Calibration
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.posteriors import Posterior
from homodyne_lib.results.prior_words import led_by_prior

TIME = 0.25 * DT * (N_T - 1)


@pytest.fixture
def results(tmp_path):
    """Reads a fit and draws that go together."""

    def made(mode, detected=None):
        write_results(tmp_path, mode, detected=detected)
        fit = Fit.read(tmp_path / "nlsq.json").with_calibration(Calibration.read(tmp_path / "calibration.json"))
        return fit, Posterior.read(tmp_path).draws

    return made


def test_data_that_decide_are_passed_over(results):
    assert led_by_prior(*results("laminar_flow", detected=True), TIME, DT) == []


@pytest.mark.parametrize(
    ("names", "rate"), [(("D0", "D_offset"), "D(t)"), (("gamma_dot_t0", "gamma_dot_t_offset"), "the shear rate")]
)
def test_a_posterior_away_from_its_fit_is_told(results, names, rate):
    fit, draws = results("laminar_flow", detected=True)
    (sentence,) = led_by_prior(fit, draws | {name: 1.5 * draws[name] for name in names}, TIME, DT)
    assert sentence.startswith(f"Fit and posterior do not agree on {rate}: at {TIME:g} s it is ")


def test_a_flow_that_is_not_detected_has_a_limit_only(results):
    fit, draws = results("laminar_flow", detected=False)
    assert led_by_prior(fit, draws | {"gamma_dot_t0": 3.0 * draws["gamma_dot_t0"]}, TIME, DT) == []


@pytest.mark.parametrize(("times", "told"), [(1.0, False), (1.5, True)])
def test_errors_much_larger_than_those_of_the_posterior_are_told(results, times, told):
    """Those of the fit are twice those of the draws here, which is passed over; three times is not."""
    fit, draws = results("static")
    covariance = fit.calibration.covariance
    wider = replace(fit.calibration, covariance=replace(covariance, matrix=covariance.matrix * times**2))
    said = led_by_prior(fit.with_calibration(wider), draws, TIME, DT)
    assert [text.split(":")[0] for text in said] == told * ["The data alone do not determine D(t)"]
    assert all("contrasts near 0.5" in text for text in said)


def test_the_error_that_is_told_is_that_of_the_fitted_rate(results):
    """D(t) = D0 t^alpha + D_offset, whose slopes are known; draws of hardly any width are narrower than any error."""
    fit, draws = results("static")
    d0, alpha, offset = fit.values.values()
    slopes = np.array([TIME**alpha, d0 * TIME**alpha * np.log(TIME), 1.0])
    error = np.sqrt(slopes @ fit.calibration.covariance.of(list(fit.values)) @ slopes)
    still = {name: np.full_like(draws[name], value) for name, value in fit.values.items()}
    still["D_offset"][::2] = offset + 1e-6
    (sentence,) = led_by_prior(fit, still, TIME, DT)
    assert f" errors are {error:.2g} Å²/s by the fit, and 5e−07 Å²/s in the posterior. " in sentence


def test_a_rate_that_was_held_is_passed_over(results):
    fit, draws = results("static")
    assert (
        led_by_prior(fit, {name: np.full_like(draws[name], value) for name, value in fit.values.items()}, TIME, DT)
        == []
    )


def degenerate(fit, along):
    """The fit with a combination of its parameters that the data do not determine, without errors of its parts.

    ``along`` is in units of the errors.
    """
    calibration, names = fit.calibration, list(fit.values)
    errors = np.sqrt(np.diag(calibration.covariance.of(names)))
    lost = np.array([along.get(name, 0.0) for name in names])
    lost /= np.linalg.norm(lost)
    information = (np.eye(len(names)) - np.outer(lost, lost)) / np.outer(errors, errors)
    kept = [name for name in names if name not in along]
    known = replace(calibration.covariance, names=kept, matrix=calibration.covariance.of(kept))
    of_kept = {name: value for name, value in calibration.errors.items() if name not in along}
    return fit.with_calibration(
        replace(calibration, names=names, information=information, covariance=known, errors=of_kept)
    )


def test_parts_that_act_alike_leave_the_error_of_their_sum(results):
    """At alpha = 0 D is D0 + D_offset; their difference is not known, their sum has the error that the information says."""
    fit, draws = results("static")
    values = fit.parameters | {"alpha": replace(fit.parameters["alpha"], value=0.0)}
    fit = replace(fit, parameters=values)
    errors = np.sqrt(np.diag(fit.calibration.covariance.of(list(fit.values))))
    unit = dict(zip(fit.values, errors, strict=True))
    noise = np.random.default_rng(1).standard_normal((2, *draws["D0"].shape))
    level = {"D0": np.full_like(draws["D0"], fit.values["D0"]), "alpha": unit["alpha"] * noise[0]}
    sum_error = np.hypot(unit["D0"], unit["D_offset"])
    level["D_offset"] = fit.values["D_offset"] + sum_error * noise[1]
    apart = {"D0": 1.0 / unit["D0"], "D_offset": -1.0 / unit["D_offset"]}
    assert led_by_prior(degenerate(fit, apart), draws | level, TIME, DT) == []


def test_a_rate_without_an_error_is_told(results):
    fit, draws = results("static")
    (sentence,) = led_by_prior(degenerate(fit, {"D0": 1.0, "D_offset": 1.0}), draws, TIME, DT)
    assert "The data alone do not determine D(t)" in sentence and "errors are undefined by the fit" in sentence


def test_without_a_calibration_nothing_is_said_of_a_rate_that_has_no_error_of_its_own(results):
    """Only the information of a calibration tells whether parts that have no error leave one to their sum."""
    fit, draws = results("static")
    kept = replace(fit.covariance, names=["alpha"], matrix=fit.covariance.of(["alpha"]))
    fit = replace(fit, covariance=kept).with_calibration(None)
    assert led_by_prior(fit, draws, TIME, DT) == []

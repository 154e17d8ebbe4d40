"""The fit: against dense algebra, from anywhere in the bounds, in repetition, and what it says of its own limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from white_noise import TRUTH, dense_residuals, problem_of, record_of, white_noise_data

import homodyne_lib as hd
from homodyne_lib.fitting.descent import solve
from homodyne_lib.fitting.nlsq import fit_nlsq
from homodyne_lib.fitting.starts import start_from_decays
from homodyne_lib.likelihood.problem import make_problem
from homodyne_lib.model.model import Model
from homodyne_lib.model.rates import calculate_diffusion_coefficient
from homodyne_lib.model.scales import from_search_scale, search_bounds
from homodyne_lib.model.scaling import PER_ANGLE_MODES, per_angle_scaling


def start_of(mode):
    names = ("D0", "alpha", "D_offset", "gamma_dot_t0", "beta", "gamma_dot_t_offset", "phi0")
    return dict(zip(names, np.array(TRUTH[mode]) * 1.1, strict=False))


@pytest.mark.parametrize("convention", ["spec", "published"])
@pytest.mark.parametrize("per_angle", PER_ANGLE_MODES)
@pytest.mark.parametrize("mode", ["static", "laminar_flow"])
def test_the_minimum_and_its_covariance_are_those_of_the_dense_problem(mode, per_angle, convention):
    """At the minimum, a Gauss-Newton step on all pixels one by one leads nowhere, and its matrix is the same."""
    problem, c2 = problem_of(mode, per_angle, convention, n=40)
    fit = fit_nlsq(problem, start=start_of(mode), n_starts=0)
    values = jnp.asarray(fit.values)
    residual = np.asarray(dense_residuals(problem, c2, values))
    jacobian = -np.asarray(jax.jacfwd(lambda v: dense_residuals(problem, c2, v))(values))
    step, *_ = np.linalg.lstsq(jacobian / fit.errors**-1, residual, rcond=None)
    assert fit.chi2 == pytest.approx(residual @ residual, rel=1e-9)
    assert np.abs(step).max() < 1e-5  # of an error; parameters agree to 1e-8 where errors are 0.1 %
    scaled = jacobian * fit.errors
    covariance = np.linalg.inv(scaled.T @ scaled) * fit.reduced_chi2
    np.testing.assert_allclose(fit.covariance / np.outer(fit.errors, fit.errors), covariance, atol=1e-6)


def test_single_precision_input_changes_nothing_that_matters():
    c2, phi = white_noise_data("laminar_flow", n=100)
    scaling = per_angle_scaling("individual", phi)
    fits = [
        fit_nlsq(
            make_problem(record_of(c2.astype(dtype), phi), scaling, Model("laminar_flow")),
            start=start_of("laminar_flow"),
            n_starts=0,
        )
        for dtype in (np.float64, np.float32)
    ]
    assert np.all(np.abs(fits[1].values - fits[0].values) < 0.01 * fits[0].errors)


def test_chi2_is_one_at_the_truth_and_large_away_from_it():
    problem, _ = problem_of("laminar_flow", n=100)
    truth = np.array(TRUTH["laminar_flow"])
    n = problem.n_points
    assert abs(problem.cost(truth) / n - 1) < 5 / np.sqrt(n)
    assert problem.cost(0.8 * truth) / n > 2


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["static", "laminar_flow"])
def test_errors_are_the_scatter_of_many_repetitions(mode):
    """Each parameter, and D(t) and the shear rate at three times, over 200 replicas.

    A mean of z has the sd 0.07, an sd of z the sd 0.05; 0.21 and 0.15 are three of them.
    """
    n_phi = 4
    k = np.arange(n_phi)
    truth = np.concatenate([TRUTH[mode], 0.3 + 0.01 * k, 1.0 + 0.002 * k])
    z = []
    for seed in range(200):
        problem, _ = problem_of(mode, n=100, phi=(-40.0, 0.0, 30.0, 60.0), seed=seed)
        fit = fit_nlsq(problem, start=start_of(mode), n_starts=0)
        deviations = [(fit.values - truth) / fit.errors]
        for first in range(0, len(problem.names) - 1, 3):
            rate = slice(first, first + 3)
            slopes = jax.jacfwd(lambda p: calculate_diffusion_coefficient(np.array([1.0, 3.0, 9.0]), *p))(
                fit.values[rate]
            ).T
            error = np.sqrt(np.einsum("at,ab,bt->t", slopes, fit.covariance[rate, rate], slopes))
            curves = [
                amplitude * np.array([1.0, 3.0, 9.0]) ** exponent + offset
                for amplitude, exponent, offset in (fit.values[rate], truth[rate])
            ]
            deviations.append((curves[0] - curves[1]) / error)
        z.append(np.concatenate(deviations))
    z = np.array(z)
    # An offset whose error is as large as itself is not identified, and its estimate is skewed.
    identified = np.ones(z.shape[1], dtype=bool)
    identified[: truth.size] = fit.errors < np.abs(truth)
    assert identified.sum() >= z.shape[1] - 1
    assert np.abs(z.mean(axis=0)[identified]).max() < 0.21
    assert np.abs(z.std(axis=0)[identified] - 1).max() < 0.15


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["static", "laminar_flow"])
def test_a_start_anywhere_in_the_bounds_ends_in_the_global_minimum(mode):
    problem, _ = problem_of(mode, n=100, phi=(0.0, 45.0, 90.0))
    names, rng = problem.names, np.random.default_rng(0)
    lower, upper = search_bounds(names)
    best = fit_nlsq(problem).chi2
    ended = 0
    for seed in range(40):
        start = from_search_scale(names, lower + rng.random(len(names)) * (upper - lower))
        fit = fit_nlsq(problem, start=dict(zip(names, start, strict=True)), n_starts=16, seed=seed)
        ended += abs(fit.chi2 - best) < 1e-3
    assert ended >= 39


@pytest.mark.parametrize("mode", ["static", "laminar_flow"])
def test_the_start_read_from_the_decays_leads_to_the_minimum(mode):
    problem, _ = problem_of(mode, n=100)
    ends = [solve(problem, start)[1] for start in start_from_decays(problem)]
    assert min(2.0 * end.cost for end in ends) / problem.n_points == pytest.approx(1.0, abs=0.05)


def test_a_fit_that_cannot_begin_is_refused():
    problem, _ = problem_of("static", n=20)
    with pytest.raises(ValueError, match=r"starts is 0 and start gives no values"):
        fit_nlsq(problem, n_starts=0)


def test_entries_that_are_no_numbers_are_refused():
    c2, phi = white_noise_data("static", n=20)
    c2[2, 3, 7] = np.nan
    with pytest.raises(
        ValueError, match=r"c2 at phi = .* deg holds entries above the diagonal that are no finite numbers"
    ):
        make_problem(record_of(c2, phi), per_angle_scaling("individual", phi), Model("static"))


def test_a_start_without_any_decay_ends_without_a_warning_from_the_depths():
    problem, _ = problem_of("static", n=30)
    far = {"D0": 1e6, "alpha": 2.0, "D_offset": 1e5}
    fit = fit_nlsq(problem, start=far, n_starts=16)
    assert fit.reduced_chi2 == pytest.approx(1.0, abs=0.2)


def test_starts_whose_decays_fall_between_nodes_end_nothing():
    """Their sums of squares, from polynomials between the nodes, are negative."""
    truth = dict(zip(start_of("laminar_flow"), (5000.0, -0.5, 500.0, 1e-3, -0.3, 1e-4, 3.0), strict=True))
    how = {"dt": 0.1, "stator_rotor_gap": 2e6, "n_frames": 60, "pixels": 20000, "modes": 3, "counts": None, "seed": 2}
    fit = hd.fit(hd.simulate(truth, [-40.0, 0.0, 45.0, 80.0], q=0.008, **how), "laminar_flow", starts=16)
    assert fit.values["phi0"] == pytest.approx(3.0, abs=5.0 * fit.error("phi0"))


def test_one_scaling_for_angles_that_differ_is_rejected_in_words():
    problem, _ = problem_of("laminar_flow", "auto", n=100)
    fit = fit_nlsq(problem, start=start_of("laminar_flow"), n_starts=0)
    assert any("reject contrast and offset in per-angle mode auto (F = " in warning for warning in fit.warnings)
    problem, _ = problem_of("laminar_flow", "individual", n=100)
    fit = fit_nlsq(problem, start=start_of("laminar_flow"), n_starts=0)
    assert not any("reject" in warning for warning in fit.warnings)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"params": [3e4, 0.0, 3e3]}, "compatible with 0, where D0 and D_offset act alike"),
        ({"params": [30.0, -0.5, 3.0]}, "has not decayed at the end of the record"),
        ({"params": [9e5, 0.5, 3e3]}, "decays within one frame late in the record"),
        ({"mode": "laminar_flow", "phi": (0.0, 45.0)}, "2 angles leave another flow that fits as well"),
    ],
)
def test_known_degeneracies_are_named(changes, words):
    mode = changes.get("mode", "static")
    truth = changes.get("params", TRUTH[mode])
    problem, _ = problem_of(mode, params=truth, n=60, phi=changes.get("phi", (-40.0, 0.0, 30.0, 60.0)))
    start = dict(zip(problem.names, np.array(truth) * 1.01 + 1e-3, strict=True))
    fit = fit_nlsq(problem, start=start, n_starts=0)
    assert any(words in warning for warning in fit.warnings), fit.warnings


def test_a_record_without_contrast_is_told():
    """Photons alone: any decay fits."""
    c2, phi = white_noise_data("static", n=60)
    flat = c2 - c2 + np.random.default_rng(1).normal(1.0, 0.01, c2.shape)
    for matrices, told in ((flat, True), (c2, False)):
        problem = make_problem(record_of(matrices, phi), per_angle_scaling("individual", phi), Model("static"))
        fit = fit_nlsq(problem, start=start_of("static"), n_starts=0)
        assert any(warning.startswith("No speckle contrast is seen at any angle") for warning in fit.warnings) == told


@pytest.mark.parametrize(
    ("mode", "fixed", "words"),
    [
        ("static", {"alpha": 0.0, "D_offset": 0.0}, "act alike"),
        ("static", {"D_offset": 0.0}, "act alike"),
        ("laminar_flow", {"phi0": 20.0}, "cannot tell the size of the shear rate"),
    ],
)
def test_what_is_held_is_not_called_unknown(mode, fixed, words):
    truth = dict(zip(start_of(mode), TRUTH[mode], strict=True)) | {"alpha": 0.0, "D_offset": 0.0} | fixed
    problem, _ = problem_of(mode, params=list(truth.values()), n=60, phi=(0.0,))
    free, held = (fit_nlsq(problem, start=truth, n_starts=0, fixed=known) for known in ({}, fixed))
    assert any(words in warning for warning in free.warnings)
    assert not any(words in warning for warning in held.warnings)


@pytest.mark.parametrize("mode", ["constant", "constant_per_angle"])
@pytest.mark.parametrize("phi", [[0.0], [0.0, 90.0]])
def test_a_fit_in_which_nothing_has_an_error_says_so(mode, phi):
    truth = {"D0": 2000.0, "alpha": 0.0, "D_offset": 0.0}
    record = hd.simulate(truth, phi, q=0.01, dt=0.2, n_frames=40, pixels=20000, modes=3, counts=5.0, seed=3)
    held = {"alpha": 0.0, "D_offset": 0.0}
    fit = hd.fit(record, per_angle_mode=mode, fixed=held, bounds={"D0": [4000.0, 5000.0]}, starts=8)
    assert fit.parameters["D0"].at_bound
    assert fit.by_squares.calibration.sentence == "No parameter has an error, as all are held or on a bound."
    (rejected,) = [warning for warning in fit.by_squares.warnings if "reject contrast and offset" in warning]
    differ = "contrasts differ from angle to angle" in rejected
    assert differ == (mode == "constant" and len(phi) > 1)
    assert "estimates from quantiles are biased" in rejected and "phi0" not in rejected


def test_a_steady_flow_is_not_taken_for_one_that_turns_by_half_in_a_frame():
    """Where both fit alike, the contrast of the other is a thousand to a million times that of speckles."""
    truth = {
        "D0": 2000.0,
        "alpha": 0.0,
        "D_offset": 0.0,
        "gamma_dot_t0": 0.0012,
        "beta": 0.0,
        "gamma_dot_t_offset": 0.0,
    }
    how = {"dt": 0.2, "n_frames": 40, "pixels": 3000, "modes": 3, "counts": 5.0, "seed": 3, "stator_rotor_gap": 1e6}
    record = hd.simulate(truth | {"phi0": 20.0}, [0.0, 60.0, 120.0], q=0.012, **how)
    still = {name: 0.0 for name, value in truth.items() if value == 0.0}
    fit = hd.fit(record, "laminar_flow", fixed=still)
    for each in (fit, fit.by_squares):
        assert np.all(each.scaling.contrast < 1.0)
        assert each.values["gamma_dot_t0"] == pytest.approx(0.0012, rel=0.03)
    wrong = fit_nlsq(
        _problem_at(record), start=still | {"gamma_dot_t0": 0.00915, "phi0": -83.0}, n_starts=0, fixed=still
    )
    assert any(warning.startswith("The contrast of an angle is ") for warning in wrong.warnings)


def _problem_at(record):
    return make_problem(record, per_angle_scaling("individual", record.phi), Model("laminar_flow"))


def test_a_bound_of_no_parameter_is_refused():
    problem, _ = problem_of("static", n=30)
    with pytest.raises(ValueError, match="bounds names 'D_0', which is no physical parameter; known are D0, "):
        fit_nlsq(problem, start=start_of("static"), n_starts=0, bounds={"D_0": [1.0, 2.0]})


def test_the_mirror_image_of_a_flow_is_told_as_another_minimum():
    # Angles that are symmetric about 0 see phi0 and -phi0 alike.
    problem, _ = problem_of("laminar_flow", n=60, phi=(0.0, 90.0), contrast_step=0.0)
    fit = fit_nlsq(problem)
    assert len(fit.basins) >= 2
    assert fit.basins[0]["phi0"] == pytest.approx(-fit.basins[1]["phi0"], abs=1e-3)
    assert any("1 more minimum with almost the same χ²" in warning for warning in fit.warnings)


@pytest.mark.parametrize("starts", [0, 16])
def test_bounds_much_wider_than_a_value_do_not_move_it(starts):
    """An offset that is not to be negative: its interval, up to the table's 1 per second, is 1e5 errors wide."""
    truth = dict(zip(start_of("laminar_flow"), TRUTH["laminar_flow"], strict=True))
    truth |= {"gamma_dot_t0": 2e-3, "gamma_dot_t_offset": 3e-5, "beta": -0.3}
    problem, _ = problem_of("laminar_flow", params=list(truth.values()), n=60)
    known = {name: truth[name] for name in ("gamma_dot_t0", "beta")}
    free, bounded = (
        fit_nlsq(problem, start=truth, n_starts=starts, bounds=bounds, fixed=known)
        for bounds in ({}, {"gamma_dot_t_offset": (0.0, 1.0)})
    )
    assert 0.0 < free.value("gamma_dot_t_offset") < 1e-4  # a ten-thousandth of the interval
    assert not any(bounded.at_bound.values())
    np.testing.assert_allclose(bounded.values, free.values, rtol=1e-3)
    np.testing.assert_allclose(bounded.errors, free.errors, rtol=1e-2)

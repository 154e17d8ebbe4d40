"""Quantile estimates of contrast and offset, their warnings, and the per-angle modes."""

from __future__ import annotations

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from homodyne_lib.model.scaling import PER_ANGLE_MODES, per_angle_scaling
from homodyne_lib.prepare.quantiles import _linear_fit, estimate_scaling_from_matrices
from homodyne_lib.spec.scaling_utils import (
    compute_averaged_scaling,
    estimate_contrast_offset_from_quantiles,
    estimate_per_angle_scaling,
)

GOLDEN_RTOL = 1e-10
BOUNDS = ((0.0, 1.0), (0.5, 1.5))


def pooled(case):
    """All entries of the golden data, both triangles and the diagonal, as the golden file counts them."""
    n = len(case.t)
    t1, t2 = np.meshgrid(case.t, case.t, indexing="ij")
    angles = len(case.phi)
    index = np.repeat(np.arange(angles), n * n)
    return (
        case.golden["data"].ravel(),
        np.tile(t1.ravel(), angles),
        np.tile(t2.ravel(), angles),
        index,
        angles,
    )


def decaying(time_of_decay, rng, n_t=120, noise=0.02, contrast=0.3, offset=1.0):
    """offset + contrast exp(-lag / time_of_decay), symmetric, with normal noise and a bright diagonal."""
    frames = np.arange(n_t)
    upper = np.triu(noise * rng.standard_normal((n_t, n_t)), 1)
    lag = np.abs(frames[:, None] - frames)
    return offset + contrast * np.exp(-lag / time_of_decay) + upper + upper.T + 2.0 * np.eye(n_t)


# --- quantile estimates ---


def test_golden_per_angle_and_average(golden_case):
    points = pooled(golden_case)
    estimates = estimate_per_angle_scaling(*points, *BOUNDS)
    actual = [[estimates[f"contrast_{k}"], estimates[f"offset_{k}"]] for k in range(points[-1])]
    assert_allclose(actual, golden_case.golden["scaling_est"], rtol=GOLDEN_RTOL)
    assert list(estimates)[:2] == ["contrast_0", "offset_0"]
    *means, contrasts, offsets = compute_averaged_scaling(*points, *BOUNDS)
    assert_allclose(means, golden_case.golden["scaling_avg"], rtol=GOLDEN_RTOL)
    assert_array_equal(np.transpose([contrasts, offsets]), actual)


def test_golden_special_inputs(golden, caplog):
    short = golden["u_scal_short_in"]
    with caplog.at_level(logging.WARNING):
        actual = estimate_contrast_offset_from_quantiles(short, np.arange(short.size))
    assert_allclose(actual, golden["u_scal_short_out"], rtol=GOLDEN_RTOL)
    assert "50 finite points are below 100" in caplog.text
    with_nan, lag = golden["u_scal_nan_in"], golden["u_scal_nan_lag"]
    assert np.isnan(with_nan).any()
    actual = estimate_contrast_offset_from_quantiles(with_nan, lag)
    assert_allclose(actual, golden["u_scal_nan_out"], rtol=GOLDEN_RTOL)
    actual = estimate_contrast_offset_from_quantiles(with_nan, lag, *BOUNDS, 0.7, 0.3, 0.05, 0.95)
    assert_allclose(actual, golden["u_scal_q_out"], rtol=GOLDEN_RTOL)


def test_quantiles_pick_what_they_say():
    """With 101 values at lags 0 ... 100 every quantile is an element, so the estimate can be read off."""
    lag = np.arange(101.0)
    c2 = 1.2 - 0.002 * lag
    # Large lags 80 ... 100: the quantile 0.1 of 21 values is the third smallest, lag 98; likewise lag 2.
    assert_allclose(estimate_contrast_offset_from_quantiles(c2, lag), (c2[2] - c2[98], c2[98]), rtol=1e-14)
    # Large lags 90 ... 100: the quantile 0.2 of 11 values is lag 98; 0.7 of the lags 0 ... 10 is lag 3.
    actual = estimate_contrast_offset_from_quantiles(c2, lag, *BOUNDS, 0.9, 0.1, 0.2, 0.7)
    assert_allclose(actual, (c2[3] - c2[98], c2[98]), rtol=1e-14)


def test_values_that_are_not_finite_are_left_out():
    lag = np.arange(300.0)
    c2 = 1.0 + 0.3 * np.exp(-lag / 30.0)
    spoilt, spoilt_lag = np.insert(c2, 50, [np.nan, np.inf, 1.0]), np.insert(lag, 50, [50.0, 50.0, np.nan])
    assert estimate_contrast_offset_from_quantiles(spoilt, spoilt_lag) == estimate_contrast_offset_from_quantiles(
        c2, lag
    )


def test_an_angle_with_few_points_is_named(caplog):
    rng = np.random.default_rng(1)
    index = np.repeat([0, 1], [400, 99])
    log = logging.getLogger("of the caller")
    with caplog.at_level(logging.WARNING):
        actual = estimate_per_angle_scaling(rng.random(499), rng.random(499), np.zeros(499), index, 2, *BOUNDS, log)
    assert (actual["contrast_1"], actual["offset_1"]) == (0.5, 1.0)
    assert actual["contrast_0"] != 0.5
    few = [record for record in caplog.records if record.name == "of the caller" and "angle 1" in record.message]
    assert len(few) == 1


def test_a_clipped_estimate_is_said(caplog):
    lag = np.arange(200.0)
    with caplog.at_level(logging.WARNING):
        contrast, offset = estimate_contrast_offset_from_quantiles(0.3 * np.exp(-lag / 20.0), lag)
    assert offset == 0.5  # a record of c2 - 1 has its floor at 0
    assert contrast == 0.0
    assert "offset estimate" in caplog.text
    assert "[0.5, 1.5]" in caplog.text


@pytest.mark.parametrize("index", [np.zeros(200), np.full(200, 2), np.full(200, -1)], ids=["float", "high", "negative"])
def test_bad_angle_indices(index):
    with pytest.raises(ValueError, match="integers from 0 to 1; found"):
        estimate_per_angle_scaling(np.ones(200), np.ones(200), np.ones(200), index, 2)


def test_bad_shapes():
    with pytest.raises(ValueError, match=r"one length; found shapes \(3,\) and \(4,\)"):
        estimate_contrast_offset_from_quantiles(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="one shape"):
        estimate_per_angle_scaling(np.ones(3), np.ones(3), np.ones(3), np.zeros(4, int), 1)
    with pytest.raises(ValueError, match=r"\(n_phi, n_t, n_t\); found \(3, 4\)"):
        estimate_scaling_from_matrices(np.ones((3, 4)))
    with pytest.raises(ValueError, match="2 angles"):
        estimate_scaling_from_matrices(np.ones((2, 20, 20)), phi=[0.0])


# --- matrices, and the verdict on the decay ---


def test_matrices_count_the_upper_triangle_once(golden_case):
    data = golden_case.golden["data"].copy()
    rows, columns = np.triu_indices(len(golden_case.t), 1)
    expected = [estimate_contrast_offset_from_quantiles(c2[rows, columns], columns - rows) for c2 in data]
    data[:, columns, rows] = data[:, range(len(golden_case.t)), range(len(golden_case.t))] = np.nan
    contrast, offset, _ = estimate_scaling_from_matrices(data)
    assert_array_equal(np.transpose([contrast, offset]), expected)


def test_complete_decay_is_estimated_without_warning():
    rng = np.random.default_rng(2)
    contrast, offset, warnings = estimate_scaling_from_matrices([decaying(12.0, rng) for _ in range(5)])
    # The quantiles 0.1 and 0.9 of the noise lie 0.026 from its mean; the decay at small lags takes some back.
    assert_allclose(offset, 1.0 - 0.026, atol=0.005)
    assert_allclose(contrast, 0.3, atol=0.03)
    assert warnings == []


@pytest.mark.parametrize("time_of_decay", [60.0, 120.0, 500.0])
def test_incomplete_decay_is_warned_of(time_of_decay):
    rng = np.random.default_rng(3)
    matrices = [decaying(12.0, rng), decaying(time_of_decay, rng)]
    contrast, offset, warnings = estimate_scaling_from_matrices(matrices, phi=[0.0, 45.0])
    assert len(warnings) == 1
    assert warnings[0].startswith("phi = 45 deg: the decay seems incomplete")
    # True: the level at the middle of the largest lags is far above the offset, the contrast far below 0.3.
    assert offset[1] > 1.03
    assert contrast[1] < 0.28


def test_ageing_that_stops_the_decay_is_seen_along_the_age():
    """c2 depends on age only at the largest lags: it has decayed for early pairs and not for late ones."""
    n_t = 150
    age = np.add.outer(np.arange(n_t), np.arange(n_t))
    lag = np.abs(np.subtract.outer(np.arange(n_t), np.arange(n_t)))
    rng = np.random.default_rng(4)
    noise = np.triu(0.01 * rng.standard_normal((n_t, n_t)), 1)
    c2 = 1.0 + 0.3 * np.exp(-lag / 10.0) + 0.002 * (age - n_t) * (lag > n_t / 2) + noise + noise.T
    (warning,) = estimate_scaling_from_matrices(c2[None])[2]
    assert "changes with age" in warning


@pytest.mark.parametrize("time_of_decay", [0.05, 1e9], ids=["before the first lag", "never"])
def test_no_decay_is_warned_of(time_of_decay):
    rng = np.random.default_rng(5)
    (warning,) = estimate_scaling_from_matrices(decaying(time_of_decay, rng)[None])[2]
    assert warning.startswith("angle 0: no decay is visible")


def test_constant_and_tiny_matrices():
    contrast, offset, warnings = estimate_scaling_from_matrices(np.ones((1, 30, 30)))
    assert (contrast[0], offset[0]) == (0.0, 1.0)
    assert "no decay is visible" in warnings[0]
    contrast, offset, warnings = estimate_scaling_from_matrices(np.ones((1, 14, 14)))  # 91 pairs
    assert (contrast[0], offset[0]) == (0.5, 1.0)
    assert warnings == ["angle 0: 91 finite points are below 100; contrast and offset are set to mid-bounds."]


def test_correlated_noise_raises_few_alarms():
    """Intensities of 1000 speckles in four modes, whose c2 decays in 5 frames: entries share their frames.

    Independent noise passes four standard errors once in 1e4 cases; two of 20 would be a rate of a tenth.
    """
    rng = np.random.default_rng(6)
    n_t, speckles, modes = 80, 1000, 4
    field = np.linalg.cholesky(np.exp(-np.abs(np.subtract.outer(np.arange(n_t), np.arange(n_t))) / 10.0))
    matrices = []
    for _ in range(20):
        amplitudes = field @ rng.standard_normal((2 * modes, n_t, speckles))
        intensity = np.sum(amplitudes**2, axis=0)
        mean = intensity.mean(axis=1)
        matrices.append(intensity @ intensity.T / speckles / np.outer(mean, mean))
    assert len(estimate_scaling_from_matrices(matrices)[2]) < 2


def test_standard_errors_allow_for_noise_shared_within_blocks_of_frames():
    """Noise e_b(i) + e_b(j) of 20 blocks of frames: repeated fits scatter by the error that each reports."""
    rng = np.random.default_rng(8)
    i, j = np.triu_indices(100, 1)
    columns = np.column_stack([np.ones(i.size), (j - i) / 100.0])
    fits = []
    for _ in range(200):
        blocks = np.repeat(rng.standard_normal(20), 5)
        fits.append(_linear_fit(columns @ [1.0, 0.5] + blocks[i] + blocks[j], columns, i, j))
    coefficients, errors = np.swapaxes(fits, 0, 1)
    # 200 repeats give the scatter to 5 %, and with 20 blocks the estimate is low by some 5 to 10 %.
    assert_allclose(np.sqrt(np.mean(errors**2, axis=0)), coefficients.std(axis=0), rtol=0.2)
    # Three errors of a mean of 200.
    assert_allclose(coefficients.mean(axis=0), [1.0, 0.5], atol=3 * coefficients.std(axis=0).max() / np.sqrt(200))


# --- modes ---

PHI = np.array([-80.0, -30.0, 0.0, 20.0, 45.0, 90.0])
CONTRASTS, OFFSETS = np.linspace(0.2, 0.4, 6), np.linspace(0.9, 1.1, 6)


def make(mode, phi=PHI):
    return per_angle_scaling(mode, phi, CONTRASTS[: len(phi)], OFFSETS[: len(phi)])


@pytest.mark.parametrize(
    ("mode", "n_parameters", "names"),
    [
        ("auto", 2, ["contrast", "offset"]),
        ("constant", 0, []),
        ("constant_per_angle", 0, []),
        ("individual", 12, [f"contrast_{k}" for k in range(6)] + [f"offset_{k}" for k in range(6)]),
        (
            "fourier",
            10,
            [f"{q}_{w}" for q in ("contrast", "offset") for w in ("c0", "cos1", "sin1", "cos2", "sin2")],
        ),
    ],
)
def test_modes_count_and_name_their_numbers(mode, n_parameters, names):
    scaling = make(mode)
    assert (scaling.mode, scaling.n_parameters, scaling.names) == (mode, n_parameters, names)
    assert scaling.basis.shape == (6, n_parameters // 2)
    contrast, offset = scaling.expand(np.ones(n_parameters))
    assert contrast.shape == offset.shape == (6,)


def test_the_modes_of_the_specification_at_23_angles():
    phi = np.linspace(-90.0, 80.0, 23)
    numbers = {mode: per_angle_scaling(mode, phi, phi, phi).n_parameters for mode in PER_ANGLE_MODES}
    assert numbers == {"auto": 2, "constant": 0, "constant_per_angle": 0, "individual": 46, "fourier": 10}


def test_expansion_of_each_mode():
    for values, expanded in (
        (make("constant_per_angle"), (CONTRASTS, OFFSETS)),
        (make("constant"), (0.3, 1.0)),
    ):
        for actual, expected in zip(values.expand(np.empty(0)), expanded, strict=True):
            assert_allclose(actual, np.broadcast_to(expected, 6), rtol=1e-15)
    assert_array_equal(make("auto").expand(np.array([0.3, 1.1])), [[0.3] * 6, [1.1] * 6])
    assert_array_equal(make("individual").expand(np.arange(12.0)), np.arange(12.0).reshape(2, 6))
    contrast, offset = make("fourier").expand(np.arange(1.0, 11.0))
    for k, angle in enumerate(np.deg2rad(PHI)):
        series = [1.0, np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)]
        assert_allclose(contrast[k], np.dot(series, [1, 2, 3, 4, 5]), rtol=1e-13)
        assert_allclose(offset[k], np.dot(series, [6, 7, 8, 9, 10]), rtol=1e-13)


@pytest.mark.parametrize("n_phi", [1, 2, 3])
def test_auto_averages_from_three_angles(n_phi):
    assert make("auto", PHI[:n_phi]).n_parameters == (2 if n_phi == 3 else 2 * n_phi)


@pytest.mark.parametrize("mode", PER_ANGLE_MODES)
def test_covariance_expands_as_the_draws_do(mode):
    scaling = make(mode)
    rng = np.random.default_rng(7)
    root = rng.standard_normal((scaling.n_parameters, scaling.n_parameters))
    draws = rng.standard_normal((50, scaling.n_parameters)) @ root.T
    expanded = np.concatenate(scaling.expand(draws), axis=-1) * np.ones((50, 1))
    covariance = np.cov(draws.T).reshape(scaling.n_parameters, scaling.n_parameters) if scaling.n_parameters else root
    # Expansion is linear, so the sample covariance expands exactly, but for rounding.
    assert_allclose(scaling.expand_covariance(covariance), np.cov(expanded.T), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mode", PER_ANGLE_MODES)
def test_expansion_under_jit(mode):
    scaling = make(mode)
    coefficients = np.linspace(0.1, 1.0, scaling.n_parameters)
    actual = jax.jit(scaling.expand)(jnp.asarray(coefficients))
    assert_allclose(actual, scaling.expand(coefficients), rtol=1e-14)


def test_fourier_at_as_many_angles_as_numbers_meets_any_value():
    scaling = per_angle_scaling("fourier", PHI[:5])
    assert np.linalg.matrix_rank(scaling.basis) == 5
    coefficients = np.concatenate([np.linalg.solve(scaling.basis, values[:5]) for values in (CONTRASTS, OFFSETS)])
    assert_allclose(scaling.expand(coefficients), [CONTRASTS[:5], OFFSETS[:5]], rtol=1e-10)


def test_mode_errors():
    with pytest.raises(ValueError, match="'averaged' does not exist; choose one of auto, constant"):
        per_angle_scaling("averaged", PHI)
    with pytest.raises(ValueError, match=r"5 distinct angles; found 4\. Lower fourier_order"):
        per_angle_scaling("fourier", [0.0, 10.0, 370.0, 20.0, 30.0])
    with pytest.raises(ValueError, match="an order from 1"):
        per_angle_scaling("fourier", PHI, fourier_order=0)
    with pytest.raises(ValueError, match=r"constant needs quantile_contrast .* found \(\) and \(\)"):
        per_angle_scaling("constant", PHI)
    with pytest.raises(ValueError, match=r"shape \(6,\); found \(6,\) and \(2,\)"):
        per_angle_scaling("constant_per_angle", PHI, CONTRASTS, OFFSETS[:2])
    with pytest.raises(ValueError, match=r"auto at 6 angles takes 2 coefficients; found an array of shape \(3,\)"):
        make("auto").expand(np.ones(3))

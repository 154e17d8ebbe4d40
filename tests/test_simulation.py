"""Speckle simulation and noise estimate against closed forms."""

import numpy as np
import pytest
import scipy.linalg

from homodyne_lib.prepare.entry_noise import estimate_sigma
from homodyne_lib.simulation import field_factor, simulate_speckle_c2

STATIC = {"q": 0.0237, "dt": 0.1, "n_frames": 30, "seed": 5}


def closed_form(params, q, dt, n):
    """1 + g1²/modes without the 1/modes: constant D only, |t1 - t2| from frame numbers."""
    lag = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return np.exp(-(q**2) * params[0] * dt * lag)


def test_mean_of_simulated_c2_is_the_siegert_relation():
    # alpha = 0 and offset 0: D = 5000 Å²/s, g1² = exp(-q² D |t1 - t2|), a lifetime of 3.6 frames.
    c2 = simulate_speckle_c2([5000.0, 0.0, 0.0], [0.0], pixels=40_000, modes=2, counts=4.0, **STATIC)[0]
    wanted = 1 + 0.5 * closed_form([5000.0], STATIC["q"], STATIC["dt"], 30)
    off = ~np.eye(30, dtype=bool)
    # One entry scatters by about (1 + contrast + 1/counts)/√pixels = 0.009; the mean over 435 pairs that
    # share frames and lifetimes by a third of it at most.
    assert np.abs((c2 - wanted)[off]).max() < 5 * 0.009
    assert abs((c2 - wanted)[off].mean()) < 3 * 0.003
    # On the diagonal shot noise adds 1/counts.
    assert np.diag(c2).mean() == pytest.approx(1.5 + 0.25, abs=0.02)
    np.testing.assert_allclose(c2, c2.T)


def test_without_counts_there_is_no_shot_noise():
    c2 = simulate_speckle_c2([500.0, 0.0, 0.0], [0.0], pixels=40_000, modes=1, counts=None, **STATIC)[0]
    assert np.diag(c2).mean() == pytest.approx(2.0, abs=0.03)


def test_angles_are_independent_and_a_seed_repeats():
    arguments = {"pixels": 500, "modes": 1, "counts": 1.0, **STATIC}
    first = simulate_speckle_c2([500.0, -0.3, 10.0], [0.0, 0.0], **arguments)
    np.testing.assert_array_equal(first, simulate_speckle_c2([500.0, -0.3, 10.0], [0.0, 0.0], **arguments))
    assert np.abs(first[0] - first[1]).max() > 0.01


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"counts": 0.0}, "counts = 0.0"),
        ({"pixels": 0}, "pixels = 0"),
        ({"modes": 1.5}, "modes = 1.5"),
        ({"pixels": 1, "counts": 1e-9}, "recorded nothing"),
    ],
)
def test_impossible_simulations_are_refused(change, words):
    arguments = {"pixels": 10, "modes": 1, "counts": 1.0, **STATIC} | change
    with pytest.raises(ValueError, match=words):
        simulate_speckle_c2([500.0, -0.3, 10.0], [0.0], **arguments)


def test_a_flow_needs_its_gap():
    with pytest.raises(ValueError, match="stator_rotor_gap"):
        simulate_speckle_c2([500.0, -0.3, 10.0, 1e-3, -0.2, 0.0, 0.0], [0.0], pixels=10, modes=1, counts=1.0, **STATIC)


def test_field_factor_is_a_square_root():
    lag = np.abs(np.subtract.outer(np.arange(20), np.arange(20)))
    g1 = np.exp(-0.2 * lag)
    factor = field_factor(g1)
    np.testing.assert_allclose(factor @ factor.T, g1, atol=1e-12)
    # There is one symmetric root without negative eigenvalues: every machine draws the same speckles of a seed.
    np.testing.assert_allclose(factor, scipy.linalg.sqrtm(g1), atol=1e-12)
    with pytest.raises(ValueError, match="eigenvalue"):
        field_factor(np.array([[1.0, 2.0], [2.0, 1.0]]))


@pytest.mark.parametrize("n", [60, 150])
def test_sigma_of_white_noise_on_an_ageing_decay(n):
    """Bias and scatter of the estimate over 20 replicas of 3 angles."""
    t = np.arange(1, n + 1)
    total = np.cumsum(3.0 * t**-0.7)
    signal = 1 + 0.3 * np.exp(-np.abs(np.subtract.outer(total, total)))
    rng, found = np.random.default_rng(3), []
    for _ in range(20):
        noise = np.triu(rng.standard_normal((3, n, n)), 1)
        found.append(estimate_sigma(signal + 0.02 * (noise + np.swapaxes(noise, 1, 2))) / 0.02)
    # A median over 1,200 (9,000) residuals has a standard error of 1.17/√N = 3.4 % (1.2 %); 60 values average that down.
    assert np.mean(found) == pytest.approx(1.0, abs=0.03)
    assert np.std(found) < 0.06


def test_data_without_noise_cannot_be_weighted():
    with pytest.raises(ValueError, match="c2 at the bin of 0 shows no noise"):
        estimate_sigma(np.ones((2, 30, 30)), named="the bin of {}".format)
    with pytest.raises(ValueError, match="at least 17"):
        estimate_sigma(np.ones((2, 12, 12)))

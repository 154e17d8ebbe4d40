"""Counts of bins of several q, where the diagonal does not show them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import homodyne_lib as hd
from homodyne_lib.prepare.entry_noise import estimate_sigma

TRUTH = {"D0": 20000.0, "alpha": -0.3, "D_offset": 3000.0}
BRIGHT, DIM = 10.0, 0.1  # photons a pixel and frame


def test_a_dim_ring_has_counts_of_its_own():
    """Intensity falls a hundredfold from one q to the next, and the diagonals were replaced.

    One number of counts for both would be near 1, and pixels 10,000 and 30 where there are 4,000. Stripes of 80 frames have
    some four independent numbers at ten photons: such counts are known to a factor of about two.
    """
    parts = [
        hd.simulate(TRUTH, [0.0, 90.0], q=q, dt=0.1, n_frames=80, pixels=4000, modes=3, counts=counts, seed=seed)
        for seed, (q, counts) in enumerate(((0.004, BRIGHT), (0.0058, DIM)), 1)
    ]
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("c2", "phi", "q", "sigma")}
    unknown = np.full((4, 80), np.nan)
    record = replace(parts[0], raw_diagonal=unknown, repeat=np.zeros(4, dtype=int), **joined)
    fit = hd.fit(record, starts=16)
    calibration = fit.by_squares.calibration
    bright, _, dim, _ = calibration.effective_counts
    assert bright > 10.0 * dim and 0.5 * DIM < dim < 2.0 * DIM
    assert np.all(np.abs(np.log(calibration.pixels / 4000)) < np.log(4.0))
    assert fit.sound and fit.estimator == "speckle"
    assert f"speckles of {dim:.2g} to {bright:.2g} photons a pixel and frame" in calibration.note


def test_a_ring_whose_frames_jump_leaves_the_counts_of_the_other():
    """Frames of the second q have gains that scatter by 20 %, which no counts explain."""
    parts = [
        hd.simulate(TRUTH, [0.0, 60.0, 120.0], q=q, dt=0.1, n_frames=80, pixels=4000, modes=3, counts=1.0, seed=seed)
        for seed, q in enumerate((0.006, 0.009), 1)
    ]
    gain = 1.0 + 0.2 * np.random.default_rng(1).standard_normal((3, 80))
    c2 = parts[1].c2 * gain[:, :, None] * gain[:, None, :]
    parts[1] = replace(parts[1], c2=c2, sigma=estimate_sigma(c2), raw_diagonal=parts[1].raw_diagonal * gain**2)
    names = ("c2", "phi", "q", "sigma", "raw_diagonal")
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    record = replace(parts[0], repeat=np.zeros(6, dtype=int), **joined)
    calibration = hd.fit(record, starts=16, estimator="least_squares").calibration
    np.testing.assert_allclose(calibration.effective_counts[:3], 1.0, rtol=0.1)
    np.testing.assert_allclose(calibration.pixels[:3], 4000, rtol=0.3)
    assert np.all(calibration.pixels[3:] < 400)
    assert calibration.note.startswith("Of some q or files the residuals of a frame scatter")

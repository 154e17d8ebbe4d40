"""Counts of bins of several q, where the diagonal does not show them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import homodyne_lib as hd

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

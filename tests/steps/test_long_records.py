"""A long record, whose frames are merged for the noise and its metric, from the fit to the draws."""

import numpy as np
import pytest

import homodyne_lib as hd
from homodyne_lib.model.curves import rate_slopes
from homodyne_lib.results.fits import Fit

TRUTH = {"D0": 2000.0, "alpha": -0.2, "D_offset": 200.0}
TIMES, DT = np.array([1.0, 4.0, 10.0]), 0.1


def rates(fit):
    """D and its error at three times."""
    values, slopes = rate_slopes(fit.values, TIMES, DT, "D")
    return values, np.sqrt(np.diag(slopes @ fit.calibration.covariance.of(list(TRUTH)) @ slopes.T))


@pytest.fixture(scope="module")
def record():
    how = {"n_frames": 180, "pixels": 5000, "modes": 3, "counts": 1.0, "seed": 5}
    return hd.simulate(TRUTH, [0.0, 60.0], q=0.0054, dt=DT, **how)


@pytest.fixture(scope="module")
def fits(record):
    """With all frames, and with three merged."""
    whole = hd.fit(record)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("homodyne_lib.model.frames.MOST_FRAMES", 60)
        return whole, hd.fit(record)


def test_least_squares_stays_the_same(fits):
    whole, merged = fits
    assert merged.by_squares.values == whole.by_squares.values
    assert merged.by_squares.n_points == whole.by_squares.n_points == 180 * 179


def test_the_fit_with_merged_frames_is_that_of_all(fits):
    """What is lost are differences within three frames: errors grow by less than a quarter, and the shift is below one."""
    whole, merged = fits
    assert whole.estimator == merged.estimator == "speckle"
    assert merged.merged_at is not None and whole.merged_at is None
    (all_of_it, error), (found, larger) = rates(whole), rates(merged)
    assert np.all(np.abs(found - all_of_it) < error)
    assert np.all((0.95 < larger / error) & (larger / error < 1.25))


def test_photons_and_pixels_are_told_of_single_frames(fits):
    for fit in fits:
        for calibration in (fit.calibration, fit.calibration.least_squares):
            np.testing.assert_allclose(calibration.counts, 1.0, rtol=0.1)
            np.testing.assert_allclose(calibration.effective_counts, 1.0, rtol=0.1)
            np.testing.assert_allclose(calibration.pixels, 5000, rtol=0.35)


def test_the_posterior_is_sampled_with_the_frames_merged_as_for_the_fit(fits, tmp_path, monkeypatch):
    merged = fits[1]
    monkeypatch.setattr("homodyne_lib.model.frames.MOST_FRAMES", 60)
    posterior = hd.sample(merged, chains=2, warmup=100, draws=300)
    assert posterior.report.shards[0].node_share > 0.95
    for name in TRUTH:
        assert abs(posterior.draws[name].mean() - merged.values[name]) < 1.0 * merged.error(name)
    merged.write(tmp_path / "nlsq.json")
    np.testing.assert_array_equal(Fit.read(tmp_path / "nlsq.json").merged_at, merged.merged_at)

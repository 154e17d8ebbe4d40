"""Whether parts agree: the test against closed forms and by repetition, and parts of simulated records."""

from __future__ import annotations

import numpy as np
import pytest

import homodyne_lib as hd
from homodyne_lib.io.repeats import joined
from homodyne_lib.model.curves import rate_slopes
from homodyne_lib.results.fit_checks import PartFit
from homodyne_lib.results.parts_words import parts_agreement
from homodyne_lib.uncertainty.parts import common_rates, power_of_q

TRUTH = {"D0": 5000.0, "alpha": -0.5, "D_offset": 500.0}


def test_one_rate_is_compared_with_its_weighted_mean():
    values, errors = np.array([1.0, 1.4, 0.9]), np.array([0.1, 0.2, 0.1])
    common = common_rates(values[:, None], errors[:, None, None] ** 2)
    mean = np.average(values, weights=errors**-2.0)
    assert common.rates[0] == pytest.approx(mean)
    assert common.chi2 == pytest.approx(np.sum(((values - mean) / errors) ** 2))
    assert common.degrees_of_freedom == 2
    np.testing.assert_allclose(common.distances[:, 0], (values - mean) / errors)


def test_rates_that_a_part_does_not_know_do_not_count():
    values = np.array([[1.0, 2.0], [1.1, np.nan], [np.nan, np.nan]])
    common = common_rates(values, np.tile(np.eye(2), (3, 1, 1)))
    assert common.degrees_of_freedom == 1 and common.chi2 == pytest.approx(0.1**2 / 2)
    nothing = common_rates(values[2:], np.eye(2)[None])
    assert (nothing.degrees_of_freedom, nothing.p_value) == (0, 1.0)


def test_the_chance_of_a_larger_chi2_is_uniform_where_parts_agree():
    """10,000 draws of four parts and two correlated rates, one of which goes with a power of q."""
    rng, n = np.random.default_rng(1), 10_000
    covariance = np.array([[0.04, 0.01], [0.01, 0.02]]) * np.arange(1.0, 5.0)[:, None, None]
    log_q = np.log([1.0, 1.3, 1.7, 2.0])
    noise = np.stack([rng.multivariate_normal([0, 0], part, n) for part in covariance], axis=1)
    noise[..., 0] += 0.7 * log_q
    p = np.array([common_rates(values, covariance, log_q).p_value for values in noise])
    # Eight numbers less two means and a slope. Standard error of a share of 0.05 is 0.0022; four of them.
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.009)
    assert np.mean(p) == pytest.approx(0.5, abs=4 * np.sqrt(1 / 12 / n))


def test_the_power_is_the_slope_and_its_error_follows_the_scatter():
    log_q = np.log([1.0, 2.0, 4.0])
    power, error = power_of_q(3.0 + 1.5 * log_q, np.full(3, 0.01), log_q)
    assert power == pytest.approx(1.5)
    assert error == pytest.approx(0.1 / np.sqrt(np.sum((log_q - log_q.mean()) ** 2)))
    scattered = power_of_q(3.0 + 1.5 * log_q + np.array([0.5, -1.0, 0.5]), np.full(3, 0.01), log_q)
    # χ² = 150 for one degree of freedom.
    assert scattered == pytest.approx((1.5, error * np.sqrt(150.0)))


def part(rate, error, *, q=None, repeat=None, known=True):
    ratio = 1.0 if q is None else q / 0.01
    return PartFit(q, repeat, {"D": rate}, {"D": error}, ["D"] * known, ratio, 0.0, 1.0, True)


def test_the_sentence_names_the_part_that_differs():
    rings = [part(1000.0, 20.0, q=0.008), part(1010.0, 20.0, q=0.01), part(1500.0, 20.0, q=0.0125)]
    found = parts_agreement(rings, 5.0, 2.0)
    assert found.rejected and found.over_repeats is None
    assert "D(t) of q = 0.0125 1/Å is 1.2" in found.sentence and "q_exponent" in found.sentence
    files = parts_agreement([part(1000.0, 20.0, repeat=0), part(1100.0, 20.0, repeat=1)], 5.0, 2.0)
    # 100 over √2 · 20 is 3.5 standard deviations: p = 4e-4; half of it is none.
    assert (files.rejected and "file 2" in files.sentence) or "file 1" in files.sentence
    assert files.over_q is None and files.power is None
    assert not parts_agreement([part(1000.0, 20.0, repeat=0), part(1050.0, 20.0, repeat=1)], 5.0, 2.0).rejected
    unknown = parts_agreement([part(1000.0, 20.0, repeat=0), part(1.0, 20.0, repeat=1, known=False)], 5.0, 2.0)
    assert not unknown.rejected and "do not know their rates" in unknown.sentence


def test_a_power_of_q_explains_what_a_common_rate_does_not():
    q = np.array([0.006, 0.01, 0.016])
    rings = [part(1000.0 * (x / 0.01) ** -0.8, 20.0, q=x) for x in q]
    assert parts_agreement(rings, 5.0, 2.0).rejected
    for power in (None, 1.2):
        found = parts_agreement(rings, 5.0, power)
        assert not found.rejected and found.over_q.chi2 == pytest.approx(0.0, abs=1e-6)
        assert "have the same rates up to a power of q within their errors" in found.sentence
    assert parts_agreement(rings, 5.0, None).over_q.degrees_of_freedom == 1
    assert found.power == pytest.approx(1.2)
    other = parts_agreement([*rings, part(5000.0, 20.0, q=0.012)], 5.0, None)
    assert other.rejected and "q_exponent" not in other.sentence


def simulated(seed, factor=1.0, **changes):
    about = {"q": [0.0054, 0.0076], "dt": 0.1, "n_frames": 60, "pixels": 2000, "modes": 3, "counts": 2.0, "seed": seed}
    truth = TRUTH | {name: factor * TRUTH[name] for name in ("D0", "D_offset")}
    return hd.simulate(truth, [0, 90], **about | changes)


@pytest.fixture(scope="module")
def two_files():
    """Repeats of one sample, and the same with a second one whose D is half as large again."""
    first = simulated(1)
    return [hd.fit(joined([first, simulated(2, factor)]), starts=16) for factor in (1.0, 1.5)]


def test_repeats_of_one_sample_agree_and_a_changed_one_is_flagged(two_files):
    same, changed = two_files
    assert [fit.q for fit in same.parts.rings] == [0.0054, 0.0076]
    assert [fit.repeat for fit in same.parts.repeats] == [0, 1]
    assert not same.parts.rejected and not any("alone" in text for text in same.warnings)
    assert changed.parts.over_repeats.rejected
    # D goes with time and not with q.
    assert changed.parts.over_q.p_value > 1e-3
    assert changed.warnings[0] == changed.parts.over_repeats.sentence


def test_errors_of_all_together_are_those_of_the_parts_added_up(two_files):
    """Parts are independent, so that inverse variances add; 15 % for what parts of 60 frames know of their own noise."""
    fit = two_files[0]
    by_name = {name: fit.values[name] for name in TRUTH}
    slopes = rate_slopes(by_name, [fit.parts.time], 0.1, "D")[1]
    shared = float(np.sqrt(slopes[0] @ fit.calibration.covariance.of(list(TRUTH)) @ slopes[0]))
    for parts in (fit.parts.rings, fit.parts.repeats):
        assert shared == pytest.approx(np.sum([part.errors["D"] ** -2.0 for part in parts]) ** -0.5, rel=0.15)


def test_a_part_is_what_a_record_of_it_alone_gives(two_files):
    alone = hd.fit(simulated(1), starts=16)
    ring = hd.fit(simulated(1, q=0.0054), starts=16)
    assert ring.parts is None
    assert alone.parts.rings[0].reduced_chi2 == pytest.approx(ring.by_squares.reduced_chi2, rel=1e-6)
    # The same speckles make the first file of both records.
    assert two_files[0].parts.repeats[0].rates["D"] == pytest.approx(hd_rate(alone, two_files[0].parts.time), rel=1e-3)


def hd_rate(fit, time):
    return float(rate_slopes({name: fit.values[name] for name in TRUTH}, [time], 0.1, "D")[0][0])


def test_what_was_found_survives_its_file(two_files, tmp_path):
    two_files[1].write(tmp_path / "nlsq.json")
    again = type(two_files[1]).read(tmp_path / "nlsq.json")
    assert again.parts.sentence == two_files[1].parts.sentence and again.parts.rejected
    assert again.parts.fits[0].rates == two_files[1].parts.fits[0].rates

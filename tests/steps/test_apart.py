"""Each q alone: what is held or bounded for all is held for it, at its own D; and what cannot be compared is not."""

from __future__ import annotations

import pytest

import homodyne_lib as hd

Q = [0.006, 0.012]
AT_REST = {"D0": 3000.0, "alpha": -0.7, "D_offset": 2000.0}
FLOW = {"D0": 2000.0, "alpha": 0.0, "D_offset": 0.0, "gamma_dot_t0": 6e-4, "beta": 0.0, "gamma_dot_t_offset": 0.0}
FLOW |= {"phi0": 20.0}
SHORT = {"q": Q, "dt": 0.2, "n_frames": 40, "modes": 3, "counts": 5.0}


@pytest.fixture(scope="module")
def with_power():
    """Two q between which the decay goes with the first power."""
    return hd.simulate(AT_REST | {"q_exponent": 1.0}, [0.0], pixels=40000, seed=3, **SHORT)


@pytest.mark.parametrize(
    "said",
    [
        {"fixed": {"alpha": -0.7}},
        {"fixed": {"alpha": -0.7, "D_offset": 2000.0}},
        {"fixed": {"alpha": -0.7, "D_offset": 2000.0}, "bounds": {"D0": [2500.0, 3500.0]}},
    ],
)
@pytest.mark.parametrize("starts", [8, 0])
def test_what_is_said_of_d_holds_at_the_reference_q(with_power, said, starts):
    """Held at the truth, D_offset of a q alone is √2 times larger or smaller, and parts agree as often as they should."""
    start = None if starts else AT_REST
    parts = hd.fit(with_power, q_exponent=1, starts=starts, start=start, **said).parts
    assert parts.over_q.degrees_of_freedom == 1
    assert parts.over_q.p_value > 0.01
    for part, ratio in zip(parts.fits, (2**0.5, 2**-0.5), strict=True):
        expected = ratio * (AT_REST["D0"] * parts.time ** AT_REST["alpha"] + AT_REST["D_offset"])
        assert abs(part.rates["D"] - expected) < 4.0 * part.errors["D"]


def test_two_q_and_a_free_power_leave_nothing_to_compare(with_power):
    fit = hd.fit(with_power, q_exponent="free", fixed={"alpha": -0.7, "D_offset": 0.0}, starts=8)
    assert fit.parts.made == [] and not fit.parts.rejected
    assert "leave nothing to compare" in fit.parts.sentence
    assert f"to the power {fit.parts.power:.3g} ± " in fit.parts.sentence
    assert fit.parts.power == pytest.approx(1.0, abs=0.3)


def test_a_q_alone_is_not_fitted_where_the_power_of_q_alone_is_free(with_power):
    fit = hd.fit(with_power, q_exponent="free", fixed=AT_REST, starts=8)
    assert fit.parts is None
    assert fit.values["q_exponent"] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_parts_have_calibrated_errors_whatever_those_of_the_whole_are(seed):
    """With errors of independent noise three right records have p = 0.03, 0.006 and 2e-8."""
    record = hd.simulate({"D0": 4000.0, "alpha": -0.3, "D_offset": 0.0}, [0.0], pixels=2000, seed=seed, **SHORT)
    plain, calibrated = (
        hd.fit(record, starts=8, estimator="least_squares", uncertainty=how).parts for how in ("independent", "speckle")
    )
    for one, other in zip(plain.fits, calibrated.fits, strict=True):
        assert (one.rates, one.errors) == (other.rates, other.errors)
    assert plain.over_q.p_value > 0.01


@pytest.mark.parametrize(("phi", "held", "known"), [([0.0, 60.0], {}, False), ([0.0, 60.0], {"phi0": 20.0}, True)])
def test_a_shear_rate_is_not_compared_where_angles_leave_its_direction_open(phi, held, known):
    record = hd.simulate(FLOW, phi, pixels=3000, seed=1, stator_rotor_gap=1e6, **SHORT)
    still = {name: 0.0 for name in ("alpha", "D_offset", "beta", "gamma_dot_t_offset")}
    fit = hd.fit(record, "laminar_flow", fixed=still | held, starts=16)
    assert all(("gamma_dot" in part.known) is known for part in fit.parts.fits)
    assert not fit.parts.rejected
    again = hd.calibrate(fit, "least_squares")
    assert again.parts == fit.parts and again.warnings[: len(fit.parts.against)] == fit.parts.against

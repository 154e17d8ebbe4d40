"""The fit step: a flow that is partly known is compared with a rest of which as much is known."""

from __future__ import annotations

import pytest

import homodyne_lib as hd

TRUTH = {"D0": 3000.0, "alpha": -0.2, "D_offset": 100.0, "gamma_dot_t0": 0.01, "beta": 0.0, "gamma_dot_t_offset": 0.0}
TRUTH |= {"phi0": 0.0}
AT_REST = ("D0", "alpha", "D_offset")
FLOW = [name for name in TRUTH if name not in AT_REST]


@pytest.fixture(scope="module")
def record():
    how = {"n_frames": 60, "pixels": 3000, "modes": 3, "counts": 1.0, "seed": 3}
    return hd.simulate(TRUTH, [0.0, 45.0, 90.0], q=0.0054, dt=0.1, stator_rotor_gap=2e6, **how)


def by_squares(record, mode, fixed, bounds):
    return hd.fit(record, mode=mode, fixed=fixed, bounds=bounds, starts=8, uncertainty="independent")


@pytest.mark.parametrize(
    ("held", "bounds", "n_more"),
    [
        (["D_offset"], {}, 4),
        (["beta", "phi0"], {}, 2),
        (AT_REST, {}, 4),
        (FLOW, {}, 1),
        ([*AT_REST, "beta"], {}, 3),
        ([], {"D0": [2000.0, 3200.0], "D_offset": [0.0, 200.0], "beta": [-0.1, 0.1]}, 4),
    ],
)
def test_what_is_said_of_the_diffusion_holds_without_flow_too(record, held, bounds, n_more):
    fit = by_squares(record, "laminar_flow", {name: TRUTH[name] for name in held}, bounds)
    known = {name: TRUTH[name] for name in AT_REST if name in held}
    bounds = {name: limits for name, limits in bounds.items() if name in AT_REST}
    if len(known) == 3:  # a fit must have something to find
        bounds["D_offset"] = [known["D_offset"] - 0.01, known.pop("D_offset") + 0.01]
    at_rest = by_squares(record, "static", known, bounds)
    chi2 = [each.reduced_chi2 * (each.n_points - each.n_free) for each in (at_rest, fit)]
    assert fit.flow_test.degrees_of_freedom == n_more
    assert fit.flow_test.delta_chi2 == pytest.approx((chi2[0] - chi2[1]) / fit.reduced_chi2, rel=1e-3)
    assert fit.flow_test.detected


def test_a_flow_at_two_angles_may_be_quoted_only_where_its_direction_is_known():
    """Two flows fit equally well, and no chain goes from one to the other."""
    how = {"n_frames": 60, "pixels": 2000, "modes": 3, "counts": 1.0, "seed": 2}
    truth = dict(zip(TRUTH, (5000.0, -0.5, 500.0, 1e-3, -0.3, 1e-4, 3.0), strict=True))
    record = hd.simulate(truth, [0.0, 60.0], q=0.0054, dt=0.1, stator_rotor_gap=2e6, **how)
    for told, sound in (({}, False), ({"fixed": {"phi0": 3.0}}, True), ({"bounds": {"phi0": [-20.0, 20.0]}}, True)):
        fit = hd.fit(record, "laminar_flow", starts=16, **told)
        assert fit.flow_test.detected and fit.sound == sound, told
        assert any("another flow that fits as well" in warning for warning in fit.warnings) != sound

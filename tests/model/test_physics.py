"""Constants, parameter table, checks, functions of one number or one time axis, factors, backend."""

from __future__ import annotations

import logging
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from scipy.integrate import cumulative_trapezoid, quad

from homodyne_lib.model import backend, geometry, parameters, rates
from homodyne_lib.model.geometry import PhysicsFactors
from homodyne_lib.spec import backend_api, physics, physics_utils
from homodyne_lib.spec.physics_factors import create_physics_factors_from_config_dict

pytestmark = pytest.mark.usefixtures("strict_jax")
ROOT = Path(__file__).parents[2]
DT = 0.1


# ---------------------------------------------------------------- constants and the parameter table


def test_bounds_are_those_of_the_specification():
    diffusion = [(1.0, 1e6), (-2.0, 2.0), (-1e5, 1e5)]
    shear = [(1e-5, 1.0), (-2.0, 2.0), (-1.0, 1.0), (-30.0, 30.0)]
    expected = {"diffusion": diffusion, "shear": shear, "combined": diffusion + shear}
    assert physics.parameter_bounds() == expected
    scaling = [(p.lower, p.upper) for p in parameters.PARAMETERS.values() if p.group == "scaling"]
    assert scaling == [(0.0, 1.0), (0.5, 1.5)]


def test_constants_are_those_of_the_specification():
    c = parameters.PhysicsConstants
    assert (c.WAVELENGTH_CU_KA, c.WAVELENGTH_8KEV, c.WAVELENGTH_12KEV, c.WAVELENGTH_15KEV) == (
        1.54,
        1.55,
        1.03,
        0.83,
    )
    assert (c.Q_MIN_TYPICAL, c.Q_MAX_TYPICAL, c.TIME_MIN_XPCS, c.TIME_MAX_XPCS) == (1e-4, 1.0, 1e-6, 1e3)
    assert (c.EPS, c.MAX_EXP_ARG, c.MIN_POSITIVE) == (1e-12, 700.0, 1e-100)


@pytest.mark.parametrize("parameter", parameters.PARAMETERS.values(), ids=lambda p: p.name)
def test_default_lies_strictly_inside_its_bounds(parameter):
    assert parameter.lower < parameter.default < parameter.upper
    assert parameter.lower > 0 or not parameter.logarithmic


def test_defaults_lie_off_the_degenerate_lines():
    # At alpha = 0 only D0 + D_offset is defined, at beta = 0 only the sum of the shear rates.
    assert parameters.PARAMETERS["alpha"].default != 0.0
    assert parameters.PARAMETERS["beta"].default != 0.0


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("diffusion", 3),
        ("shear", 4),
        ("combined", 7),
        ("static", 3),
        ("static_isotropic", 3),
        ("laminar_flow", 7),
    ],
)
def test_names_defaults_and_bounds_have_one_order(kind, count):
    names = parameters.parameter_names(kind)
    assert len(names) == count
    np.testing.assert_array_equal(
        physics.get_default_parameters(kind), [parameters.PARAMETERS[name].default for name in names]
    )


def test_combined_order_is_that_of_the_golden_vector():
    assert parameters.parameter_names("laminar_flow") == [
        "D0", "alpha", "D_offset", "gamma_dot_t0", "beta", "gamma_dot_t_offset", "phi0",
    ]  # fmt: skip


@pytest.mark.parametrize("function", [parameters.is_static, parameters.parameter_names, physics.get_default_parameters])
def test_unknown_mode_is_refused_with_the_known_ones(function):
    with pytest.raises(ValueError, match=r"'turbulent' does not exist; choose one of .*laminar_flow"):
        function("turbulent")


def test_only_laminar_flow_is_not_static():
    assert [mode for mode in parameters.ANALYSIS_MODES if not parameters.is_static(mode)] == ["laminar_flow"]


# ---------------------------------------------------------------- validation

BOUNDS = [(1.0, 10.0), (-2.0, 2.0)]


def test_valid_parameters_pass_bounds_included():
    result = physics.validate_parameters_detailed([10.0, -2.0], BOUNDS, ["D0", "alpha"])
    assert result and result.valid and result.violations == [] and result.parameters_checked == 2
    assert result.message.startswith("OK")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.5, "D0 = 0.5 is outside [1, 10]"),
        (np.nan, "D0 = nan is not finite"),
        (np.inf, "D0 = inf is not finite"),
    ],
)
def test_violation_names_parameter_value_and_interval(value, words):
    result = physics.validate_parameters_detailed([value, 0.0], BOUNDS, ["D0", "alpha"])
    assert not result and len(result.violations) == 1 and words in result.violations[0]
    assert result.message.startswith("FAIL: 1 of 2")


def test_infinite_parameter_violates_infinite_bounds():
    assert not physics.validate_parameters([np.inf], [(-np.inf, np.inf)])


@pytest.mark.parametrize("params", [[1.0], [1.0, 2.0, 3.0]])
def test_wrong_number_of_parameters_is_a_violation(params):
    result = physics.validate_parameters_detailed(params, BOUNDS)
    assert not result and "lengths must agree" in result.message


def test_wrong_number_of_names_is_a_violation():
    assert not physics.validate_parameters_detailed([2.0, 0.0], BOUNDS, ["D0"])


def test_traced_parameters_pass_unchecked_and_say_so():
    seen = []
    jax.jit(lambda p: seen.append(physics.validate_parameters_detailed(p, BOUNDS)) or p)(jnp.array([99.0, 9.0]))
    assert seen[0].valid and seen[0].parameters_checked == 0 and "tracing" in seen[0].message


def test_clip_moves_to_the_bounds_and_logs_what_moved(caplog):
    with caplog.at_level(logging.WARNING, logger="homodyne_lib"):
        clipped = physics.clip_parameters([0.0, 1.5], BOUNDS)
    np.testing.assert_array_equal(clipped, [1.0, 1.5])
    assert len(caplog.records) == 1 and "from 0 to 1" in caplog.text


@pytest.mark.parametrize(("params", "words"), [([np.nan, 0.0], "not finite"), ([1.0], "1 bounds; found 2")])
def test_clip_refuses_what_has_no_nearest_value(params, words):
    with pytest.raises(ValueError, match=words):
        physics.clip_parameters(params, BOUNDS)


def test_usual_geometry_passes():
    assert physics.validate_experimental_setup(0.0054, 2e6, 1.55)


@pytest.mark.parametrize(
    ("setup", "words"),
    [
        ((-1.0, 2e6), "q = -1 1/Å is outside the usual range"),
        ((np.nan, 2e6), "q = nan"),
        ((0.01, 10.0), "L = 10 Å is outside"),
        ((0.01, 2e6, 30.0), "wavelength = 30 Å"),
        ((9.0, 2e6, 1.55), "q must be ≤ 4π/λ"),
    ],
)
def test_impossible_or_unusual_geometry_is_named(setup, words):
    result = physics.validate_experimental_setup(*setup)
    assert not result and words in result.message


@pytest.mark.parametrize("alpha", [-0.7, 0.0, 0.5, 2.0])
def test_correlation_time_is_where_g1_is_exp_minus_half(alpha):
    D0, q = 300.0, 0.01
    tau = physics.estimate_correlation_time(D0, alpha, q)
    # Substituting t = s^(1/(1+alpha)) removes the singularity, so that quad needs no help at t = 0.
    integral, _ = quad(lambda s: D0 / (1.0 + alpha), 0.0, tau ** (1.0 + alpha))
    assert 0.5 * q * q * integral == pytest.approx(0.5, rel=1e-12)
    if alpha == 0.0:
        assert tau == pytest.approx(1.0 / (q * q * D0), rel=1e-12)


def test_a_correlation_time_beyond_the_numbers_is_infinite():
    assert physics.estimate_correlation_time(1.0, -0.99, 1e-3) == np.inf


@pytest.mark.parametrize(("D0", "alpha", "q"), [(0.0, 0.0, 0.01), (100.0, 0.0, -0.01), (100.0, -1.0, 0.01)])
def test_correlation_time_that_does_not_exist_is_refused(D0, alpha, q):
    with pytest.raises(ValueError, match=re.escape(f"{min(D0, q) if alpha == 0.0 else alpha:g}")):
        physics.estimate_correlation_time(D0, alpha, q)


# ---------------------------------------------------------------- functions of one number


def test_golden_exponential(golden):
    np.testing.assert_allclose(rates.safe_exp(golden["u_exp_x"]), golden["u_exp"], rtol=1e-14)


def test_exponential_is_held_and_its_slope_ends_there():
    x = jnp.array([-1e4, -700.0, 0.5, 700.0, 1e4])
    value = rates.safe_exp(x)
    np.testing.assert_allclose(value, np.exp([-700.0, -700.0, 0.5, 700.0, 700.0]), rtol=1e-14)
    slope = jax.vmap(jax.grad(rates.safe_exp))(x)
    np.testing.assert_allclose(slope[jnp.array([0, 2, 4])], [0.0, math.exp(0.5), 0.0], rtol=1e-14)


def test_golden_sinc_value_and_slope(golden):
    x = golden["u_sinc_x"]
    np.testing.assert_allclose(rates.safe_sinc(x), golden["u_sinc"], rtol=1e-12, atol=1e-15)
    slope = jax.vmap(jax.grad(rates.safe_sinc))(jnp.asarray(x))
    # (x cos x - sin x)/x² cancels to eps/x: 2e-12 just above the switch at 1e-4.
    np.testing.assert_allclose(slope, golden["u_sinc_grad"], rtol=1e-10, atol=4e-12)


def _sinc_series(x, derivative):
    """Exact derivative of Σ (-1)^k x^2k / (2k+1)! by its own series, in extended precision."""
    x = np.longdouble(x)
    total = np.longdouble(0.0)
    for k in range(12):
        power = 2 * k - derivative
        if power >= 0:
            total += (-1) ** k * math.perm(2 * k, derivative) * x**power / math.factorial(2 * k + 1)
    return float(total)


@pytest.mark.parametrize("x", [0.0, 1e-12, 1e-6, 9.999999e-5, 1e-4, 1.000001e-4, 1e-3, 0.1, 1.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_sinc_has_no_step_at_the_switch_in_value_and_two_derivatives(x, sign):
    function = rates.safe_sinc
    for order in range(3):
        # Beyond the switch each derivative of sin(x)/x loses a factor x ≥ 1e-4 of 2.2e-16 by cancellation.
        lost = 1.0 if x < 1e-4 else 1e4**order
        assert function(sign * x) == pytest.approx(_sinc_series(sign * x, order), abs=1e-15 * lost)
        function = jax.grad(function)


def test_sinc_is_the_unnormalised_one():
    x = np.array([0.3, math.pi, 2.0 * math.pi, 20.0])
    np.testing.assert_allclose(rates.safe_sinc(x), np.sinc(x / np.pi), atol=1e-16, rtol=1e-14)


def test_smooth_absolute_value_and_slope():
    x = jnp.array([-3.0, 0.0, 1e-6, 3.0])
    np.testing.assert_allclose(rates.smooth_abs(x), [3.0, 1e-6, math.sqrt(2.0) * 1e-6, 3.0], rtol=1e-12)
    slope = jax.vmap(jax.grad(rates.smooth_abs))(x)
    np.testing.assert_allclose(slope, [-1.0, 0.0, math.sqrt(0.5), 1.0], rtol=1e-12)


# ---------------------------------------------------------------- functions of the time axis


def test_golden_time_axis(golden_case):
    t, golden = golden_case.t, golden_case.golden
    diffusion = rates.calculate_diffusion_coefficient(t, *golden_case.params[:3])
    np.testing.assert_allclose(diffusion, golden["D"], rtol=1e-12)
    np.testing.assert_allclose(rates.trapezoid_cumsum(diffusion), golden["D_cumtrapz"], rtol=1e-12)
    if golden_case.laminar:
        shear = rates.calculate_shear_rate(t, *golden_case.params[3:6])
        np.testing.assert_allclose(shear, golden["gamma_dot"], rtol=1e-12)
        np.testing.assert_allclose(rates.trapezoid_cumsum(shear), golden["gamma_cumtrapz"], rtol=1e-12)
    if "D_integral_matrix" in golden:
        matrix = physics_utils.create_time_integral_matrix(diffusion)
        np.testing.assert_allclose(matrix, golden["D_integral_matrix"], rtol=1e-12)
        np.testing.assert_array_equal(np.diag(matrix), 1e-6)


@pytest.mark.parametrize("exponent", [-2.0, -0.5, 0.0, 0.7, 2.0])
@pytest.mark.parametrize("offset", [0.0, 50.0, -150.0])
@pytest.mark.parametrize("start", [0, 3])
def test_rates_are_those_of_the_reference(exponent, offset, start):
    t = DT * (start + np.arange(8))
    expected = reference.rate(t, DT, 100.0, exponent, offset)
    for function in (
        rates.calculate_diffusion_coefficient,
        rates.calculate_shear_rate,
        physics_utils.calculate_shear_rate_cmc,
    ):
        np.testing.assert_allclose(function(t, 100.0, exponent, offset), expected, rtol=1e-13)
        np.testing.assert_allclose(function(jnp.asarray(t), 100.0, exponent, offset, DT), expected, rtol=1e-13)


def test_frame_zero_takes_the_rate_of_half_a_frame():
    rate = rates.calculate_diffusion_coefficient(DT * np.arange(3), 100.0, -0.5, 7.0)
    np.testing.assert_allclose(rate, 100.0 * np.array([0.5 * DT, DT, 2 * DT]) ** -0.5 + 7.0, rtol=1e-14)


@pytest.mark.parametrize("t", [[1.0, 10.0, 100.0], [100.0, 10.0, 1.0], [0.5, 0.1]])
def test_times_that_are_no_axis_stay(t):
    found = rates.calculate_diffusion_coefficient(t, 100.0, -0.5, 0.0)
    np.testing.assert_allclose(found, 100.0 * np.array(t) ** -0.5, rtol=1e-14)


@pytest.mark.parametrize("dt", [1e-9, 1e-8, 1e-3])
def test_time_floor_never_falls_below_ten_nanoseconds(dt):
    np.testing.assert_array_equal(rates.floor_time(np.array([0.0, dt]), dt)[0], max(0.5 * dt, 1e-8))


@pytest.mark.parametrize("n", [1, 2])
def test_shortest_axes(n):
    t = DT * np.arange(n)
    rate = rates.calculate_diffusion_coefficient(t, 100.0, -0.5, 0.0, DT)
    np.testing.assert_allclose(rate, 100.0 * np.array([0.5 * DT, DT])[:n] ** -0.5, rtol=1e-14)
    total = rates.trapezoid_cumsum(rate)
    np.testing.assert_allclose(total, [0.0, 0.5 * rate.sum()][:n], rtol=1e-14)
    assert physics_utils.create_time_integral_matrix(rate).shape == (n, n)


@pytest.mark.parametrize("alpha", [-1.5, 0.0, 0.8])
def test_derivatives_at_time_zero_are_those_of_half_a_frame(alpha):
    t, D0, held = jnp.asarray(DT * np.arange(3)), 100.0, 0.5 * DT
    slope = jax.jacfwd(lambda p: rates.calculate_diffusion_coefficient(t, *p, DT))(jnp.array([D0, alpha, 5.0]))
    np.testing.assert_allclose(slope[0], [held**alpha, D0 * held**alpha * math.log(held), 1.0], rtol=1e-13)


def test_below_the_floor_the_rate_is_held_and_its_slope_is_zero():
    t = jnp.asarray(DT * np.arange(4))
    params = jnp.array([100.0, 1.0, -15.0])  # D = 100 t - 15 is negative at t = 0.05 and 0.1, positive from 0.2 s on

    def rate(p):
        return rates.calculate_diffusion_coefficient(t, *p, DT)

    np.testing.assert_allclose(rate(params), [1e-10, 1e-10, 5.0, 15.0], rtol=1e-12)
    slope = jax.jacfwd(rate)(params)
    np.testing.assert_array_equal(slope[:2], 0.0)
    np.testing.assert_allclose(slope[2], [0.2, 100.0 * 0.2 * math.log(0.2), 1.0], rtol=1e-12)


def test_trapezoid_counts_steps_not_seconds():
    values = np.array([3.0, 1.0, 4.0, 1.0, 5.0])
    total = rates.trapezoid_cumsum(values)
    np.testing.assert_allclose(total, cumulative_trapezoid(values, dx=1.0, initial=0.0), rtol=1e-15)
    np.testing.assert_allclose(
        physics_utils.create_time_integral_matrix(values),
        [[reference.integral_in_steps(values, i, j) for j in range(5)] for i in range(5)],
        rtol=1e-14,
    )


def test_what_is_not_a_number_is_not_floored_away():
    # A NaN parameter must not come out as the floor, which looks like a sample at rest.
    rate = rates.calculate_diffusion_coefficient(DT * np.arange(3), 100.0, np.nan, 0.0, DT)
    assert np.all(np.isnan(rate))


# ---------------------------------------------------------------- factors


def test_golden_factors(golden_case):
    factors = PhysicsFactors.from_config(golden_case.q, golden_case.L, golden_case.dt)
    np.testing.assert_allclose(factors.to_tuple(), golden_case.golden["factors"], rtol=1e-15)


def test_factors_are_those_of_the_specification():
    # Spec section 13: q = 0.01 1/Å, L = 2e6 Å, dt = 0.1 s.
    wq_dt, sinc_prefactor = PhysicsFactors.from_config(0.01, 2e6, 0.1).to_tuple()
    assert wq_dt == pytest.approx(5e-6, rel=1e-14)
    assert sinc_prefactor == pytest.approx(318.3, abs=0.05)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, "0.1", [0.1, 0.2]])
@pytest.mark.parametrize("name", ["q", "L", "dt"])
def test_impossible_factor_is_named(name, value):
    geometry = {"q": 0.01, "L": 2e6, "dt": 0.1, name: value}
    with pytest.raises(
        ValueError, match=rf"^{name} = {re.escape(str(value))} .* must be one finite and positive number"
    ):
        PhysicsFactors.from_config(**geometry)


@pytest.mark.parametrize(("name", "unit"), [("q", "1/Å"), ("L", "Å"), ("dt", "s")])
def test_missing_factor_is_named(name, unit):
    with pytest.raises(ValueError, match=f"{name} is missing: give it in {unit}; it is never guessed"):
        PhysicsFactors.from_config(**{"q": 0.01, "L": 2e6, "dt": 0.1, name: None})


@pytest.mark.parametrize(
    ("name", "value"), [("q", 2.0), ("q", 1e-5), ("L", 10.0), ("L", 1e9), ("dt", 1e-7), ("dt", 1e4)]
)
def test_unusual_factor_warns_with_its_range(name, value):
    geometry = {"q": 0.01, "L": 2e6, "dt": 0.1, name: value}
    with pytest.warns(UserWarning, match=rf"{name} = {re.escape(f'{value:g}')} .*usual range .*check its unit"):
        PhysicsFactors.from_config(**geometry)


def test_factors_from_the_configuration():
    config = {
        "analyzer_parameters": {
            "temporal": {"dt": 0.1},
            "scattering": {"wavevector_q": 0.01},
            "geometry": {"stator_rotor_gap": 2e6},
        }
    }
    assert create_physics_factors_from_config_dict(config) == PhysicsFactors.from_config(0.01, 2e6, 0.1)
    for section, key in (
        ("temporal", "dt"),
        ("scattering", "wavevector_q"),
        ("geometry", "stator_rotor_gap"),
    ):
        broken = {"analyzer_parameters": {**config["analyzer_parameters"], section: {}}}
        with pytest.raises(ValueError, match=rf"no analyzer_parameters\.{section}\.{key}; add it"):
            create_physics_factors_from_config_dict(broken)
    with pytest.raises(ValueError, match=r"no analyzer_parameters\.scattering\.wavevector_q"):
        create_physics_factors_from_config_dict({})


def test_factors_are_frozen():
    with pytest.raises(AttributeError):
        PhysicsFactors.from_config(0.01, 2e6, 0.1).dt = 1.0


def test_factors_are_a_pytree():
    factors = PhysicsFactors.from_config(0.01, 2e6, 0.1)
    doubled = jax.jit(lambda f: jax.tree.map(lambda x: 2.0 * x, f))(factors)
    assert isinstance(doubled, PhysicsFactors)
    np.testing.assert_allclose(doubled.to_tuple(), 2.0 * np.array(factors.to_tuple()), rtol=1e-15)
    slope = jax.grad(lambda q: PhysicsFactors.from_config(q, 2e6, 0.1).to_tuple()[0])(0.01)
    assert slope == pytest.approx(0.01 * 0.1, rel=1e-14)


def test_factors_are_a_pytree_whenever_jax_comes():
    """Made before JAX was imported, or after; and none of it imports JAX."""
    code = """
import sys
from homodyne_lib.spec.physics_factors import PhysicsFactors
assert "jax" not in sys.modules
import jax
factors = PhysicsFactors.from_config(0.01, 2e6, 0.1)
print(len(jax.tree.leaves(factors)))
"""
    assert _run_python(code, dict(os.environ)).strip() == "5"


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_numbers_of_any_type_become_doubles(dtype):
    x = np.array([1, 2, 3], dtype=dtype)
    for values in (x, jnp.asarray(x)):
        for result in (
            rates.safe_exp(values),
            rates.safe_sinc(values),
            rates.trapezoid_cumsum(values),
            rates.calculate_diffusion_coefficient(values, 1.0, 0.5, 0.0),
            rates.calculate_shear_rate(values, 1.0, 0.5, 0.0),
            physics_utils.create_time_integral_matrix(values),
        ):
            assert result.dtype == np.float64


def test_rate_of_one_time_is_a_number():
    for t in (0.5, np.float64(0.5), jnp.asarray(0.5)):
        rate = rates.calculate_diffusion_coefficient(t, 100.0, -0.5, 7.0)
        assert np.shape(rate) == ()
        assert rate == pytest.approx(reference.rate([0.5], 0.0, 100.0, -0.5, 7.0)[0], rel=1e-14)
    assert rates.calculate_diffusion_coefficient(0.0, 1.0, -0.5, 0.0) == pytest.approx(1e-8**-0.5)


# ---------------------------------------------------------------- backend


def test_backend_follows_the_environment(monkeypatch):
    monkeypatch.delenv("HOMODYNE_BACKEND", raising=False)
    assert backend.select_physics_backend() == "jax"
    assert backend_api.get_device_info()["gradients"] == "automatic"
    assert isinstance(backend.as_arrays(1.0)[0], jax.Array)
    monkeypatch.setenv("HOMODYNE_BACKEND", "numpy")
    assert backend.select_physics_backend() == "numpy"
    assert backend_api.get_device_info()["gradients"] == "numerical"
    assert isinstance(backend.as_arrays(jnp.ones(2))[0], np.ndarray)


def test_unknown_backend_is_refused(monkeypatch):
    monkeypatch.setenv("HOMODYNE_BACKEND", "torch")
    with pytest.raises(ValueError, match="HOMODYNE_BACKEND is 'torch'; set it to jax or numpy"):
        backend.select_physics_backend()


def test_jax_where_it_is_missing_is_refused(monkeypatch):
    monkeypatch.setattr(backend, "HAS_JAX", False)
    monkeypatch.setenv("HOMODYNE_BACKEND", "jax")
    with pytest.raises(ValueError, match="not installed here; install jax or set it to numpy"):
        backend.select_physics_backend()


def test_device_info_describes_jax():
    info = backend_api.get_device_info()
    assert info["version"] == jax.__version__ and info["float64"] is True
    assert info["device_count"] == len(info["devices"]) >= 1


@pytest.mark.parametrize(
    "call",
    [backend.require_float64, lambda: backend.as_arrays(1.0), lambda: rates.safe_exp(jnp.ones(2))],
)
def test_single_precision_is_refused_with_the_remedy(call):
    with (
        jax.enable_x64(False),
        pytest.raises(RuntimeError, match=r"jax_enable_x64 was switched off.*call jax\.config"),
    ):
        call()


def test_arrays_decide_the_namespace():
    assert backend.array_namespace(np.ones(2), 1.0) is np
    assert backend.array_namespace(np.ones(2), jnp.ones(2)) is jnp
    assert backend.as_arrays(None, 1.0)[0] is None
    assert backend.as_arrays(np.array([1j]))[0].dtype == complex


def _run_python(code: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


DTYPE = "import homodyne_lib, jax.numpy as jnp; print(jnp.zeros(1).dtype)"


@pytest.mark.parametrize("before", ["", "import jax; "])
def test_double_precision_from_the_first_import(before):
    environment = {k: v for k, v in os.environ.items() if k != "JAX_ENABLE_X64"}
    assert _run_python(before + DTYPE, environment).strip() == "float64"


SINGLE = """
import subprocess, sys
{before}
import homodyne_lib as h
import jax.numpy as jnp
assert jnp.zeros(1).dtype == "float32", "the choice of the user was overwritten"
assert h.get_device_info()["float64"] is False
from homodyne_lib.sampling.posterior import ShardPosterior
for use in (lambda: ShardPosterior(None, []),
            lambda: h.compute_g1_diffusion([1000.0, -0.5, 100.0], [0.0, 0.1], [0.0, 0.1], 0.01, 0.1),
            lambda: h.safe_sinc(jnp.ones(2))):
    try:
        use()
    except RuntimeError as error:
        print(error)
child = "import homodyne_lib, jax.numpy as jnp; print(jnp.zeros(1).dtype)"
print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True).stdout)
"""


@pytest.mark.parametrize("before", ["", "import jax"])
def test_single_precision_that_the_user_chose_stays_and_is_answered(before):
    lines = _run_python(SINGLE.format(before=before), os.environ | {"JAX_ENABLE_X64": "0"}).split("\n")
    sentence = (
        r"single precision.*\(JAX_ENABLE_X64 is '0'\).*Remove JAX_ENABLE_X64=0, call jax.config.*set HOMODYNE_BACKEND"
    )
    assert re.search(sentence, lines[0]) and lines[1] == lines[2] == lines[0]
    assert lines[3] == "float32"  # a child process has the same setting


def test_single_precision_of_jax_does_not_concern_numpy():
    code = (
        "import homodyne_lib as h; print(h.compute_g1_diffusion([1e3, -0.5, 1e2], [0, 0.1], [0, 0.1], 0.01, 0.1).dtype)"
    )
    assert _run_python(code, os.environ | {"JAX_ENABLE_X64": "0", "HOMODYNE_BACKEND": "numpy"}).strip() == "float64"


WITHOUT_JAX = """
import sys
sys.modules.update(jax=None, jaxlib=None)
import numpy as np
import homodyne_lib as h
t, phi = 0.1 * np.arange(5), np.array([0.0, 60.0])
p = np.array([5000.0, -0.5, 500.0, 1e-3, -0.3, 1e-4, 3.0])
rest = (t, t, phi, 0.0054, 2e6, 0.3, 1.0, 0.1)
g2 = h.compute_g2_scaled(p, *rest)
assert h.select_physics_backend() == "numpy" and type(g2) is np.ndarray
chi2, slope = h.compute_chi_squared(p, g2 + 0.01, 0.1, *rest), h.gradient_chi2(p, g2 + 0.01, 0.1, *rest)
jacobian = h.gradient_g2(p, *rest)
np.savez(sys.argv[1], g2=g2, chi2=chi2, slope=slope, jacobian=jacobian)
"""


def test_library_works_where_jax_is_missing(tmp_path):
    import homodyne_lib as h

    file = tmp_path / "values.npz"
    subprocess.run([sys.executable, "-c", WITHOUT_JAX, str(file)], cwd=ROOT, check=True, timeout=120)
    t, phi = 0.1 * np.arange(5), np.array([0.0, 60.0])
    p = np.array([5000.0, -0.5, 500.0, 1e-3, -0.3, 1e-4, 3.0])
    rest = (t, t, phi, 0.0054, 2e6, 0.3, 1.0, 0.1)
    with np.load(file) as values:
        g2 = h.compute_g2_scaled(p, *rest)
        np.testing.assert_allclose(values["g2"], g2, rtol=1e-13)
        np.testing.assert_allclose(values["chi2"], h.compute_chi_squared(p, g2 + 0.01, 0.1, *rest), rtol=1e-12)
        slope = h.gradient_chi2(p, g2 + 0.01, 0.1, *rest)
        jacobian = np.asarray(h.gradient_g2(p, *rest))
        # Numerical derivatives: 1e-6 of the largest entry of each column.
        np.testing.assert_allclose(values["slope"], slope, rtol=1e-6)
        scale = np.abs(jacobian).max(axis=(0, 1, 2))
        np.testing.assert_allclose(values["jacobian"] / scale, jacobian / scale, atol=1e-6)


def test_physics_factors_need_no_array_library():
    assert geometry.PhysicsFactors.from_config(0.01, 2e6, 0.1).to_tuple() == pytest.approx(
        (0.5 * 0.01**2 * 0.1, 0.01 * 2e6 * 0.1 / (2.0 * math.pi)), rel=1e-15
    )

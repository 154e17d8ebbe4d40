"""Layouts, kernels, public functions: golden values, closed forms, slow loops, derivatives, refusals."""

from __future__ import annotations

import math
import os
from types import SimpleNamespace
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from homodyne_lib.model import layouts
from homodyne_lib.model.geometry import PhysicsFactors
from homodyne_lib.spec import jax_backend, physics_cmc
from homodyne_lib.spec.numpy_gradients import numpy_gradient, numpy_hessian

pytestmark = pytest.mark.usefixtures("strict_jax")
CONVENTIONS = ("spec", "published")
NUMPY_BACKEND = {"HOMODYNE_BACKEND": "numpy"}


def factors_of(case):
    return PhysicsFactors.from_config(case.q, case.L, case.dt, validate=False).to_tuple()


def golden_chi2_arguments(case):
    return case.golden["data"], float(case.golden["sigma"]), *case.g2_arguments


# ---------------------------------------------------------------- golden values


def test_golden_g1(golden_case):
    golden, (t1, t2, phi, q, L, dt) = golden_case.golden, golden_case.g1_arguments
    diffusion = jax_backend.compute_g1_diffusion(golden_case.params, t1, t2, q, dt)
    np.testing.assert_allclose(diffusion, golden["g1_diff"], rtol=1e-10)
    if golden_case.laminar:
        shear = jax_backend.compute_g1_shear(golden_case.params, t1, t2, phi, q, L, dt)
        np.testing.assert_allclose(shear, golden["g1_shear"], rtol=1e-10)


def test_golden_g2(golden_case):
    g2 = jax_backend.compute_g2_scaled(golden_case.params, *golden_case.g2_arguments)
    np.testing.assert_allclose(g2, golden_case.golden["g2"], rtol=1e-10)


def test_golden_shard(golden_case):
    t, golden = golden_case.t, golden_case.golden
    i, j = golden["cmc_ij"]
    grid = physics_cmc.precompute_shard_grid(t, t[i], t[j], golden_case.dt)
    np.testing.assert_array_equal(grid.idx1, i)
    np.testing.assert_array_equal(grid.idx2, j)

    def g1(params):
        return physics_cmc.compute_g1_total_with_precomputed(
            params, golden_case.phi, grid.time_safe, grid.idx1, grid.idx2, *golden["factors"]
        )

    np.testing.assert_allclose(g1(golden_case.params), golden["cmc_g1_total"], rtol=1e-10)
    if "jac_cmc_g1" in golden:
        expected = golden["jac_cmc_g1"]
        jacobian = np.asarray(jax.jacfwd(g1)(jnp.asarray(golden_case.params)))
        # Entries where g1 hardly depends on a parameter are rounding noise: relative to the column's largest.
        scale = np.abs(expected).max(axis=(0, 1))
        np.testing.assert_allclose(jacobian / scale, expected / scale, rtol=1e-6, atol=1e-12)


def test_golden_chi_squared(golden_case):
    chi2 = jax_backend.compute_chi_squared(1.02 * golden_case.params, *golden_chi2_arguments(golden_case))
    np.testing.assert_allclose(chi2, golden_case.golden["chi2_at_1p02"], rtol=1e-8)


def check_golden_derivatives(case):
    params, arguments = 1.02 * case.params, golden_chi2_arguments(case)
    gradient = jax_backend.gradient_chi2(params, *arguments)
    np.testing.assert_allclose(gradient, case.golden["grad_chi2_at_1p02"], rtol=1e-6)
    hessian, expected = jax_backend.hessian_chi2(params, *arguments), case.golden["hess_chi2_at_1p02"]
    # Relative to the curvatures of the two parameters: mixed entries may cancel to rounding noise.
    scale = np.sqrt(np.abs(np.outer(np.diag(expected), np.diag(expected)))) + np.abs(expected)
    np.testing.assert_array_less(np.abs(hessian - expected), 1e-6 * scale + np.finfo(float).tiny)


@pytest.mark.parametrize("golden_case", [0, 3, 4, 6, 13], indirect=True, ids=lambda k: f"c{k:02d}")
def test_golden_derivatives(golden_case):
    """From t = 0, one angle, static, D(t) on its floor (twice)."""
    check_golden_derivatives(golden_case)


@pytest.mark.slow
def test_all_golden_derivatives(golden_case):
    check_golden_derivatives(golden_case)


def test_golden_batch(golden_case):
    batch = np.stack([golden_case.params, 1.02 * golden_case.params])
    chi2 = jax_backend.batch_chi_squared(batch, *golden_chi2_arguments(golden_case))
    np.testing.assert_allclose(chi2, golden_case.golden["batch_chi2_true_dt"], rtol=1e-8)


# ---------------------------------------------------------------- slow loops


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_public_functions_are_those_of_the_reference(case, convention):
    params, (t, _, phi, q, L, dt) = case.params, case.g1_arguments
    np.testing.assert_allclose(
        jax_backend.compute_g1_diffusion(params, t, t, q, dt),
        reference.g1_diffusion(params, t, q, dt),
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        jax_backend.compute_g1_shear(params, t, t, phi, q, L, dt, convention),
        reference.g1_shear(params, t, phi, q, L, dt, convention),
        atol=1e-13,
    )
    np.testing.assert_allclose(
        jax_backend.compute_g1_total(params, t, t, phi, q, L, dt, convention),
        reference.g1_total(params, t, phi, q, L, dt, convention),
        atol=1e-13,
    )
    contrast, offset = np.linspace(0.2, 0.4, len(phi)), np.linspace(0.98, 1.02, len(phi))
    np.testing.assert_allclose(
        jax_backend.compute_g2_scaled(params, t, t, phi, q, L, contrast, offset, dt, convention),
        reference.g2(params, t, phi, q, L, contrast, offset, dt, convention),
        rtol=1e-13,
    )


def test_chi_squared_counts_what_it_is_given(case):
    rng = np.random.default_rng(7)
    t, _, phi, q, L, contrast, offset, dt = case.g2_arguments
    model = reference.g2(case.params, t, phi, q, L, contrast, offset, dt)
    data = model + 0.1 * rng.standard_normal(model.shape)
    sigma = rng.uniform(0.05, 0.2, model.shape)
    every = jax_backend.compute_chi_squared(case.params, data, sigma, *case.g2_arguments)
    np.testing.assert_allclose(every, reference.chi_squared(data, model, sigma), rtol=1e-12)
    upper = np.triu(np.ones(model.shape[1:], dtype=bool), 1)
    once = jax_backend.compute_chi_squared(case.params, data, np.where(upper, sigma, np.inf), *case.g2_arguments)
    np.testing.assert_allclose(once, reference.chi_squared(data, model, sigma, strict_upper=True), rtol=1e-12)


# ---------------------------------------------------------------- one physics, five paths

# Few shapes, because JAX compiles each operation anew for each shape.
SWEEP = settings(max_examples=40, deadline=None, derandomize=True)


@st.composite
def experiments(draw, sizes=(1, 2, 9), angles=(1, 3)):
    """Any mode, exponents, angles, grid and convention; amplitudes such that the record sees decay and phase.

    D0 and the shear rate follow from the total exponent (up to 30) and phase (up to 50) of the record; the
    offsets are shares of the amplitudes, negative ones down to where the rates meet their floor.
    """
    n, dt = draw(st.sampled_from(sizes)), 10.0 ** draw(st.floats(-3.0, 0.0))
    q, L = 10.0 ** draw(st.floats(-3.0, -1.5)), 10.0 ** draw(st.floats(5.0, 7.0))
    t = dt * (draw(st.sampled_from([0, 1, 7])) + np.arange(n))
    phi = np.array([draw(st.floats(-180.0, 180.0)) for _ in range(draw(st.sampled_from(angles)))])
    params = []
    for per_step, total in ((0.5 * q * q * dt, 30.0), (q * L * dt / (2.0 * math.pi), 50.0)):
        exponent, share = draw(st.floats(-2.0, 2.0)), draw(st.floats(-0.5, 2.0))
        shape = reference.rate(t, dt, 1.0, exponent, share * (t[-1] + dt) ** exponent)
        steps = reference.integral_in_steps(shape, 0, n - 1) if n > 1 else shape[0]
        amplitude = draw(st.floats(0.01, total)) / (per_step * steps)
        params += [amplitude, exponent, amplitude * share * (t[-1] + dt) ** exponent]
    params = np.array([*params, draw(st.floats(-30.0, 30.0))])
    params = params[:3] if draw(st.booleans()) else params
    convention = draw(st.sampled_from(CONVENTIONS))
    return SimpleNamespace(params=params, t=t, phi=phi, q=q, L=L, dt=dt, convention=convention)


def all_paths(e):
    """g1², shape (n_phi, n, n), by mesh, paired points, shard, NLSQ entry point and matrices of times."""
    n, factors = len(e.t), PhysicsFactors.from_config(e.q, e.L, e.dt, validate=False).to_tuple()
    shape = (len(e.phi), n, n)
    i, j = (index.ravel() for index in np.indices((n, n)))
    geometry = (e.q, e.L, e.dt, e.convention)
    yield "mesh", jax_backend.compute_g1_total(e.params, e.t, e.t, e.phi, *geometry) ** 2
    t1, t2, phi = np.tile(e.t[i], shape[0]), np.tile(e.t[j], shape[0]), np.repeat(e.phi, n * n)
    points = physics_cmc.compute_g1_total_points(e.params, t1, t2, phi, *geometry)
    yield "points", points.reshape(shape) ** 2
    grid = physics_cmc.precompute_shard_grid(e.t, e.t[i], e.t[j], e.dt)
    shard = physics_cmc.compute_g1_total_with_precomputed(
        e.params, e.phi, grid.time_safe, grid.idx1, grid.idx2, *factors, e.convention
    )
    yield "shard", shard.reshape(shape) ** 2
    matrices = np.meshgrid(e.t, e.t, indexing="ij")
    yield (
        "nlsq",
        jax_backend.compute_g2_scaled_with_factors(e.params, *matrices, e.phi, *factors, 1.0, 0.0, e.dt, e.convention),
    )


@SWEEP
@given(e=experiments())
def test_all_paths_and_both_backends_agree(e):
    results = dict(all_paths(e))
    with mock.patch.dict(os.environ, NUMPY_BACKEND):
        results |= {f"{name} with NumPy": value for name, value in all_paths(e)}
    assert all(isinstance(value, np.ndarray) for name, value in results.items() if name.endswith("NumPy"))
    mesh = results.pop("mesh")
    for name, value in results.items():
        # g1² is at most one; sums differ by the order of addition, 1e-15 of exponents and phases up to 50.
        np.testing.assert_allclose(value, mesh, rtol=0.0, atol=1e-13, err_msg=name)


@SWEEP
@given(e=experiments(sizes=(1, 2, 6), angles=(1, 2)))
def test_any_experiment_is_that_of_the_reference(e):
    g1 = jax_backend.compute_g1_total(e.params, e.t, e.t, e.phi, e.q, e.L, e.dt, e.convention)
    expected = reference.g1_total(e.params, e.t, e.phi, e.q, e.L, e.dt, e.convention)
    np.testing.assert_allclose(g1, expected, rtol=0.0, atol=1e-12)


@SWEEP
@given(e=experiments(sizes=(9,), angles=(3,)))
def test_model_has_the_symmetries_of_the_geometry(e):
    def g1(params, phi):
        with mock.patch.dict(os.environ, NUMPY_BACKEND):
            return jax_backend.compute_g1_total(params, e.t, e.t, phi, e.q, e.L, e.dt, e.convention)

    here = g1(e.params, e.phi)
    np.testing.assert_array_equal(here, here.swapaxes(1, 2))
    # 180 degrees, and a mirror of all angles at phi = 0, change nothing (but the rounding of cos near zero).
    np.testing.assert_allclose(g1(e.params, e.phi + 180.0), here, atol=1e-12)
    mirrored = np.concatenate([e.params[:6], -e.params[6:]])
    np.testing.assert_allclose(g1(mirrored, -e.phi), here, atol=1e-15)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_degeneracies_of_the_model_are_exact(laminar_case, convention):
    """What docs/model.md says no data can lift."""
    _, _, _, q, L, dt = laminar_case.g1_arguments
    t, phi = laminar_case.t, np.array([0.0, 90.0])

    def g1(phi=phi, **changes):
        return jax_backend.compute_g1_total(laminar_case.with_params(**changes).params, t, t, phi, q, L, dt, convention)

    for total in (g1(alpha=0.0, D0=400.0, D_offset=200.0), g1(alpha=0.0, D0=100.0, D_offset=500.0)):
        np.testing.assert_allclose(total, g1(alpha=0.0, D0=600.0, D_offset=0.0), rtol=1e-12)
    one, other = (g1(beta=0.0, gamma_dot_t0=a, gamma_dot_t_offset=b) for a, b in ((3e-4, 7e-4), (9e-4, 1e-4)))
    np.testing.assert_allclose(one, other, atol=1e-12)
    np.testing.assert_allclose(g1(phi0=20.0), g1(phi0=-20.0), atol=1e-12)  # two angles: two solutions
    three = np.array([0.0, 40.0, 90.0])
    assert np.abs(g1(three, phi0=20.0) - g1(three, phi0=-20.0)).max() > 0.1
    # No flow: rate on its floor.
    still = {"gamma_dot_t_offset": -1.0}
    np.testing.assert_array_equal(g1(phi0=20.0, beta=0.1, **still), g1(phi0=20.0, beta=-0.1, **still))


def test_compiled_kernels_are_the_same(laminar_case):
    jitted = jax.jit(lambda p: jax_backend.compute_g2_scaled(p, *laminar_case.g2_arguments))
    here = jax_backend.compute_g2_scaled(laminar_case.params, *laminar_case.g2_arguments)
    np.testing.assert_allclose(jitted(jnp.asarray(laminar_case.params)), here, rtol=1e-13)


# ---------------------------------------------------------------- closed forms


def constant_flow(shear_rate, lags=40):
    """Constant D = 400 Å²/s and shear rate; a gap so small that smooth-abs plays no part."""
    params = np.array([400.0, 0.0, 0.0, shear_rate, 0.0, 0.0, 10.0])
    return SimpleNamespace(
        params=params, t=0.1 * np.arange(lags), phi=np.array([10.0, 55.0]), q=0.005, L=3000.0, dt=0.1
    )


@pytest.mark.parametrize("shear_rate", [0.05, 0.9])
def test_published_convention_is_the_closed_form_of_uniform_shear(shear_rate):
    e = constant_flow(shear_rate)
    g2 = jax_backend.compute_g2_scaled(e.params, e.t, e.t, e.phi, e.q, e.L, 0.3, 1.0, e.dt, "published")
    lag = np.abs(e.t[:, None] - e.t[None, :])
    phase = 0.5 * e.q * e.L * np.cos(np.deg2rad(10.0 - e.phi))[:, None, None] * shear_rate * lag
    assert shear_rate == 0.05 or phase[0].max() > 2.0 * math.pi  # beyond two sign changes of the sinc
    expected = 1.0 + 0.3 * np.exp(-(e.q**2) * 400.0 * lag) * np.sinc(phase / np.pi) ** 2
    # Smooth-abs adds (qL dt/2)² 1e-12 = 6e-13 to the squared phase.
    np.testing.assert_allclose(g2, expected, atol=1e-12)


def test_published_sinc_keeps_its_sign_beyond_the_null():
    e = constant_flow(0.9)
    g1 = jax_backend.compute_g1_total(e.params, e.t, e.t, e.phi, e.q, e.L, e.dt, "published")
    lag = np.abs(e.t[:, None] - e.t[None, :])
    sign = np.sign(np.sinc(0.5 * e.q * e.L * 0.9 * lag / np.pi))
    np.testing.assert_array_equal(np.sign(g1[0]), sign)
    assert np.any(sign < 0)


def test_spec_convention_is_its_closed_form_for_constant_flow():
    e = constant_flow(0.9)
    g2 = jax_backend.compute_g2_scaled(e.params, e.t, e.t, e.phi, e.q, e.L, 0.3, 1.0, e.dt)
    lag = np.abs(e.t[:, None] - e.t[None, :])
    phase = e.q * e.L * np.cos(np.deg2rad(10.0 - e.phi))[:, None, None] * 0.9 * lag / (2.0 * math.pi)
    expected = 1.0 + 0.3 * np.exp(-(e.q**2) * 400.0 * lag) * np.sinc(phase / np.pi) ** 4
    np.testing.assert_allclose(g2, expected, atol=1e-12)


def test_nulls_of_the_two_conventions_lie_a_factor_pi_apart():
    lag = 2.0
    e = constant_flow(1.0, lags=21)
    published = 2.0 * math.pi / (e.q * e.L * lag)  # qL γ̇ τ / 2 = π
    for convention, null in (("published", published), ("spec", math.pi * published)):

        def g1(rate, convention=convention):
            params = np.where(np.arange(7) == 3, rate, e.params)
            return jax_backend.compute_g1_total(params, [0.0], [lag], e.phi, e.q, e.L, e.dt, convention)[0, 0, 0]

        before, at = g1(0.97 * null), g1(null)
        assert before > 1e-5 and abs(at) <= 1e-6 * before, (convention, before, at)


def test_small_phases_of_the_two_conventions_differ_by_pi_over_root_two():
    e = constant_flow(1.0, lags=11)

    def difference(rate):
        pair = []
        for convention, scale in (("published", 1.0), ("spec", math.sqrt(2.0) * math.pi / 2.0)):
            params = np.where(np.arange(7) == 3, scale * rate, e.params)
            g1 = jax_backend.compute_g1_shear(params, [0.0], [1.0], e.phi, e.q, e.L, e.dt, convention)
            pair.append(float(g1[0, 0, 0]))
        return abs(pair[0] - pair[1]), 1.0 - pair[0]

    (coarse, loss), (fine, _) = difference(0.02), difference(0.01)
    # Equal to second order; they part at the fourth, so that half the rate has a sixteenth of the difference.
    assert coarse < 0.01 * loss
    assert coarse / fine == pytest.approx(16.0, rel=0.01)


def test_static_model_is_the_same_at_every_angle(static_case):
    g1 = jax_backend.compute_g1_total(static_case.params, *static_case.g1_arguments)
    np.testing.assert_array_equal(g1[0], g1[1])
    np.testing.assert_array_equal(jax_backend.compute_g1_shear(static_case.params, *static_case.g1_arguments), 1.0)


def test_across_the_flow_shear_is_not_seen(laminar_case):
    case = laminar_case.with_params(phi0=0.0)
    shear = jax_backend.compute_g1_shear(case.params, *case.g1_arguments)
    np.testing.assert_allclose(shear[2], 1.0, atol=1e-15)
    assert shear[0].min() < 0.5


def test_dt_stands_in_the_factors_only(laminar_case):
    """Cumulative sums count steps: with constant D, half of dt and of all times is half of the exponent."""
    case = laminar_case.with_params(alpha=0.0, beta=0.0)
    t, _, _, q, _, dt = case.g1_arguments
    fine = jax_backend.compute_g1_diffusion(case.params, 0.5 * t, 0.5 * t, q, 0.5 * dt)
    coarse = jax_backend.compute_g1_diffusion(case.params, t, t, q, dt)
    np.testing.assert_allclose(fine**2, coarse, rtol=1e-12)


# ---------------------------------------------------------------- singular points


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_diagonal_has_the_value_of_smooth_abs_and_no_slope(laminar_case, convention):
    case = laminar_case
    wq_dt, sinc_prefactor = factors_of(case)
    g2 = jax_backend.compute_g2_scaled(case.params, *case.g2_arguments, convention)
    diagonal = np.diagonal(g2, axis1=1, axis2=2)
    scale, power = reference.SHEAR[convention]
    phase = scale * sinc_prefactor * np.cos(np.deg2rad(3.0 - case.phi)) * 1e-6
    expected = 1.0 + 0.3 * math.exp(-2.0 * wq_dt * 1e-6) * np.sinc(phase / np.pi) ** (2 * power)
    np.testing.assert_allclose(diagonal, np.tile(expected[:, None], len(case.t)), rtol=1e-14)
    jacobian = np.asarray(jax_backend.gradient_g2(case.params, *case.g2_arguments, convention))
    slope = np.diagonal(jacobian, axis1=1, axis2=2)  # (n_phi, n_params, n)
    # D and shear rate enter through a difference that is zero, the angle through a phase of 1e-6 steps.
    np.testing.assert_array_equal(slope[:, :6], 0.0)
    np.testing.assert_allclose(slope[:, 6], 0.0, atol=1e-5)


@pytest.mark.parametrize("alpha", [-1.5, -0.5, 0.0, 0.8])
def test_two_frames_from_time_zero_have_the_closed_form_and_its_slopes(static_case, alpha):
    case = static_case.with_frames(2).with_params(alpha=alpha)
    D0, _, D_offset = case.params
    wq_dt, _ = factors_of(case)
    held, step = 0.5 * case.dt, case.dt
    total = 0.5 * (D0 * held**alpha + D0 * step**alpha) + D_offset
    g1 = math.exp(-wq_dt * total)
    value = jax_backend.compute_g1_total(case.params, *case.g1_arguments)
    np.testing.assert_allclose(value[:, 0, 1], g1, rtol=1e-13)
    slopes = np.array([
        0.5 * (held**alpha + step**alpha),
        0.5 * D0 * (held**alpha * math.log(held) + step**alpha * math.log(step)),
        1.0,
    ])  # fmt: skip
    expected = 0.3 * 2.0 * g1 * g1 * -wq_dt * slopes
    jacobian = np.asarray(jax_backend.gradient_g2(case.params, *case.g2_arguments))
    np.testing.assert_allclose(jacobian[:, 0, 1], np.tile(expected, (2, 1)), rtol=1e-11)


def test_single_frame_is_flat(case):
    case = case.with_frames(1)
    g2 = jax_backend.compute_g2_scaled(case.params, *case.g2_arguments)
    assert g2.shape == (len(case.phi), 1, 1)
    np.testing.assert_allclose(g2, 1.3, atol=1e-7)
    np.testing.assert_allclose(jax_backend.gradient_g2(case.params, *case.g2_arguments), 0.0, atol=1e-5)


def test_negative_diffusion_is_held_and_has_no_slope(static_case):
    case = static_case.with_params(D_offset=-1e5)
    g1 = jax_backend.compute_g1_diffusion(case.params, case.t, case.t, case.q, case.dt)
    wq_dt, _ = factors_of(case)
    steps = np.abs(np.arange(6)[:, None] - np.arange(6)[None, :])
    np.testing.assert_allclose(g1, np.exp(-wq_dt * np.sqrt((1e-10 * steps) ** 2 + 1e-12)), rtol=1e-14)
    np.testing.assert_array_equal(jax_backend.gradient_g2(case.params, *case.g2_arguments), 0.0)


def test_partly_negative_rates_have_the_slope_of_what_is_left(laminar_case):
    # D = 1000 t - 250 and shear rate 5e-3 t - 1.25e-3 are negative in the first three frames, positive after.
    case = laminar_case.with_params(
        D0=1000.0, alpha=1.0, D_offset=-250.0, gamma_dot_t0=5e-3, beta=1.0, gamma_dot_t_offset=-1.25e-3
    )
    t, _, phi, q, L, contrast, offset, dt = case.g2_arguments
    jacobian = np.asarray(jax_backend.gradient_g2(case.params, *case.g2_arguments))
    expected = reference.central_difference(
        lambda p: reference.g2(p, t, phi, q, L, contrast, offset, dt), case.params, relative_step=1e-6
    )
    scale = np.abs(expected).max(axis=(0, 1, 2))
    np.testing.assert_allclose(jacobian / scale, expected / scale, atol=1e-6)
    np.testing.assert_array_equal(jacobian[:, 0, 1, :3], 0.0)  # both frames on the floor


def test_g1_floor_holds_the_value_and_ends_the_slope(static_case):
    case = static_case.with_params(D0=1e6)
    g1 = np.asarray(jax_backend.compute_g1_total(case.params, *case.g1_arguments))
    assert g1[0, 0, 5] == 1e-10
    slope = jax_backend.gradient_g2(case.params, *case.g2_arguments)[0, 0, 5]
    np.testing.assert_array_equal(slope, 0.0)
    # Beyond exp(-700) too the exponential is held, and nothing overflows.
    assert jax_backend.compute_g1_diffusion(case.params * [1e6, 1, 1], case.t, case.t, case.q, case.dt)[0, 5] > 0.0


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_phase_on_the_sinc_switch_has_a_smooth_derivative(laminar_case, convention):
    """Rates that put pair (0, 1) on |x| = 1e-4 and on either side of it have one smooth slope."""
    case = laminar_case.with_frames(2).with_params(beta=0.0, gamma_dot_t_offset=0.0, phi0=0.0)
    _, sinc_prefactor = factors_of(case)
    scale, power = reference.SHEAR[convention]
    for factor in (0.999, 1.0, 1.001):
        rate = factor * 1e-4 / (scale * sinc_prefactor)
        here = case.with_params(gamma_dot_t0=rate)
        slope = jax_backend.gradient_g2(here.params, *here.g2_arguments, convention)[0, 0, 1, 3]
        g1_diffusion = reference.g1_diffusion(here.params, here.t, here.q, here.dt)[0, 1]
        # d/dγ̇ of C g1d² S(x)^2p with x ∝ sqrt(γ̇² + 1e-12): S'(x) = -x/3 up to x³/30.
        smooth_rate = math.sqrt(rate * rate + 1e-12)
        x = scale * sinc_prefactor * smooth_rate
        expected = 0.3 * g1_diffusion**2 * 2.0 * power * (-x / 3.0) * x * rate / smooth_rate**2
        # Beyond the switch the quotient's slope cancels to 2.2e-16/1e-4 beside 1e-4/3: 7e-8 relative.
        assert slope == pytest.approx(expected, rel=5e-7)


# ---------------------------------------------------------------- derivatives


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_jacobian_is_that_of_the_slow_loops(case, convention):
    t, _, phi, q, L, contrast, offset, dt = case.g2_arguments
    jacobian = np.asarray(jax_backend.gradient_g2(case.params, *case.g2_arguments, convention))
    expected = reference.central_difference(
        lambda p: reference.g2(p, t, phi, q, L, contrast, offset, dt, convention), case.params
    )
    assert jacobian.shape == expected.shape == (len(phi), len(t), len(t), len(case.params))
    # Central differences: 1e-10 by the step squared, 1e-11 by rounding, of the largest slope of a parameter.
    scale = np.abs(expected).max(axis=(0, 1, 2))
    np.testing.assert_allclose(jacobian / scale, expected / scale, atol=1e-7)


def test_second_derivatives_are_those_of_the_first(case):
    hessian = np.asarray(jax_backend.hessian_g2(case.params, *case.g2_arguments))
    expected = reference.central_difference(lambda p: jax_backend.gradient_g2(p, *case.g2_arguments), case.params)
    assert hessian.shape == expected.shape
    np.testing.assert_allclose(hessian, np.swapaxes(hessian, -1, -2), rtol=1e-9, atol=1e-12 * np.abs(hessian).max())
    scale = np.abs(expected).max(axis=(0, 1, 2)) + 1e-30
    np.testing.assert_allclose(hessian / scale, expected / scale, atol=1e-6)


@pytest.fixture
def noisy(case):
    rng = np.random.default_rng(3)
    g2 = np.asarray(jax_backend.compute_g2_scaled(case.params, *case.g2_arguments))
    return 1.02 * case.params, (g2 + 0.01 * rng.standard_normal(g2.shape), 0.01, *case.g2_arguments)


def test_chi_squared_derivatives_are_those_of_its_values(noisy):
    params, arguments = noisy
    gradient = np.asarray(jax_backend.gradient_chi2(params, *arguments))
    expected = reference.central_difference(lambda p: jax_backend.compute_chi_squared(p, *arguments), params)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-7 * np.abs(expected * params).max())
    hessian = np.asarray(jax_backend.hessian_chi2(params, *arguments))
    second = reference.central_difference(lambda p: jax_backend.gradient_chi2(p, *arguments), params)
    scale = np.sqrt(np.outer(np.diag(hessian), np.diag(hessian)))
    np.testing.assert_allclose(hessian / scale, second / scale, atol=1e-6)


def test_numerical_derivatives_of_the_numpy_backend_are_the_automatic_ones(case, noisy):
    params, arguments = noisy
    automatic = [
        jax_backend.gradient_g2(case.params, *case.g2_arguments),
        jax_backend.hessian_g2(case.params, *case.g2_arguments),
        jax_backend.gradient_chi2(params, *arguments),
        jax_backend.hessian_chi2(params, *arguments),
    ]
    with mock.patch.dict(os.environ, NUMPY_BACKEND):
        numerical = [
            jax_backend.gradient_g2(case.params, *case.g2_arguments),
            jax_backend.hessian_g2(case.params, *case.g2_arguments),
            jax_backend.gradient_chi2(params, *arguments),
            jax_backend.hessian_chi2(params, *arguments),
        ]
    n = len(params)
    # First derivatives to 1e-6 of the largest of each parameter; second ones, from values alone, to 1e-4.
    for exact, found, axes, atol in zip(automatic, numerical, (1, 2, 1, 2), (1e-6, 1e-4, 1e-6, 1e-4), strict=True):
        assert isinstance(found, np.ndarray) and found.shape == exact.shape
        exact = np.asarray(exact).reshape(-1, *([n] * axes))
        scale = np.abs(exact).max(axis=0) + 1e-12 * np.abs(exact).max()
        np.testing.assert_allclose(found.reshape(exact.shape) / scale, exact / scale, atol=atol)


@pytest.mark.parametrize("method", ["central", "complex_step", "richardson", "adaptive"])
def test_numerical_gradient_methods_run_on_the_kernels(noisy, method):
    from homodyne_lib.spec.numpy_gradients import GradientConfig

    params, arguments = noisy
    exact = jax_backend.gradient_chi2(params, *arguments)
    with mock.patch.dict(os.environ, NUMPY_BACKEND):
        found = numpy_gradient(
            lambda p: jax_backend.compute_chi_squared(p, *arguments), config=GradientConfig(method=method)
        )(params)
        hessian = numpy_hessian(lambda p: jax_backend.compute_chi_squared(p, *arguments))(params)
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-6 * np.abs(exact * params).max() / np.abs(params).max())
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-9)


def test_complex_step_through_public_functions_is_the_automatic_derivative(laminar_case):
    case = laminar_case
    automatic = jax_backend.gradient_g2(case.params, *case.g2_arguments)
    with mock.patch.dict(os.environ, NUMPY_BACKEND):
        for k in range(7):
            params = case.params + 1e-30j * (np.arange(7) == k)
            slope = jax_backend.compute_g2_scaled(params, *case.g2_arguments).imag / 1e-30
            np.testing.assert_allclose(
                slope, automatic[..., k], rtol=1e-9, atol=1e-12 * np.abs(automatic[..., k]).max()
            )


# ---------------------------------------------------------------- batches


def test_batches_are_loops(case, noisy):
    params, arguments = noisy
    batch = np.stack([case.params, params, 0.9 * case.params])
    for environment in ({}, NUMPY_BACKEND):
        with mock.patch.dict(os.environ, environment):
            g2 = jax_backend.vectorized_g2_computation(batch, *case.g2_arguments)
            chi2 = jax_backend.batch_chi_squared(batch, *arguments)
            one_by_one = [jax_backend.compute_g2_scaled(p, *case.g2_arguments) for p in batch]
            np.testing.assert_allclose(g2, np.stack(one_by_one), rtol=1e-13)
            one_by_one = [jax_backend.compute_chi_squared(p, *arguments) for p in batch]
            np.testing.assert_allclose(chi2, np.stack(one_by_one), rtol=1e-12)


@pytest.mark.parametrize("batch", [np.ones(3), np.ones((2, 4)), np.ones((1, 2, 3))])
def test_batch_of_a_wrong_shape_is_refused(static_case, batch):
    with pytest.raises(ValueError, match=r"params.* shape"):
        jax_backend.vectorized_g2_computation(batch, *static_case.g2_arguments)


# ---------------------------------------------------------------- layouts and shapes


@pytest.mark.parametrize("n", [1, 2, 7, 2001])
def test_shapes_do_not_depend_on_the_number_of_frames(laminar_case, n):
    case = laminar_case.with_frames(n)
    t, phi = case.t, case.phi[:1]
    assert jax_backend.compute_g1_diffusion(case.params, t, t, case.q, case.dt).shape == (n, n)
    g2 = jax_backend.compute_g2_scaled(case.params, t, t, phi, case.q, case.L, 0.3, 1.0, case.dt)
    assert g2.shape == (1, n, n)
    # Corner of the mesh against the same frames alone: nothing depends on the record's length.
    few = min(n, 7)
    small = jax_backend.compute_g2_scaled(case.params, t[:few], t[:few], phi, case.q, case.L, 0.3, 1.0, case.dt)
    np.testing.assert_allclose(g2[:, :few, :few], small, rtol=1e-12)


def test_rectangles_and_single_numbers_are_meshes(laminar_case):
    t, _, phi, q, L, dt = laminar_case.g1_arguments
    whole = jax_backend.compute_g1_total(laminar_case.params, *laminar_case.g1_arguments)
    part = jax_backend.compute_g1_total(laminar_case.params, t[:2], t, phi, q, L, dt)
    np.testing.assert_array_equal(part, whole[:, :2])
    one = jax_backend.compute_g1_total(laminar_case.params, t[0], t[4], 30.0, q, L, dt)
    np.testing.assert_allclose(one, whole[1:2, :1, 4:5], rtol=1e-14)


def test_record_that_starts_later_keeps_its_times(laminar_case):
    """Frames 1..5 of the record from t = 0 and the same times given alone are the same pairs."""
    t, _, phi, q, L, dt = laminar_case.g1_arguments
    whole = jax_backend.compute_g1_total(laminar_case.params, *laminar_case.g1_arguments)
    later = jax_backend.compute_g1_total(laminar_case.params, t[1:], t[1:], phi, q, L, dt)
    np.testing.assert_allclose(later, whole[:, 1:, 1:], rtol=1e-13)
    points = physics_cmc.compute_g1_total_points(laminar_case.params, t[1:4], t[[5, 5, 5]], 30.0, q, L, dt)
    np.testing.assert_allclose(points, whole[1, 1:4, 5], rtol=1e-13)


def test_times_of_single_precision_still_find_their_frames():
    dt, frames = 1.0 / 30.0, np.arange(10_000)
    t = (dt * frames).astype(np.float32)
    np.testing.assert_array_equal(layouts.frame_indices(t, 0.0, dt), frames)
    grid = physics_cmc.precompute_shard_grid(t, t[::7], t[3::7][: len(t[::7])], dt)
    np.testing.assert_array_equal(grid.idx1, frames[::7])


def test_mesh_is_the_layout_of_its_times(laminar_case):
    dt = laminar_case.dt
    made = layouts.numpy_mesh(5, laminar_case.phi, dt, t_start=0.2)
    found = layouts.layout_from_times(0.2 + dt * np.arange(5), 0.2 + dt * np.arange(5), laminar_case.phi, dt)
    for a, b in zip(made, found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_floor_of_the_axis_is_half_a_frame_for_every_layout(laminar_case):
    t, dt = laminar_case.t, laminar_case.dt
    assert layouts.numpy_mesh(4, 0.0, dt).time[0] == 0.5 * dt
    assert layouts.point_layout(t[:1], t[:1], 0.0, dt).time[0] == 0.5 * dt
    assert physics_cmc.precompute_shard_grid(t, t[:1], t[1:2], dt).time_safe[0] == 0.5 * dt


@pytest.mark.parametrize("environment", [{}, NUMPY_BACKEND], ids=["jax", "numpy"])
def test_meshgrid_remembers_contents_not_ends(environment):
    first, second = np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 3.0])
    with mock.patch.dict(os.environ, environment):
        one, two = jax_backend.get_cached_meshgrid(first, first), jax_backend.get_cached_meshgrid(second, second)
        np.testing.assert_array_equal(one, np.meshgrid(first, first, indexing="ij"))
        np.testing.assert_array_equal(two, np.meshgrid(second, second, indexing="ij"))
        assert jax_backend.get_cached_meshgrid(first.copy(), first)[0] is one[0]
        with pytest.raises((ValueError, TypeError)):
            one[0][0, 0] = 7.0  # a caller cannot spoil what the next one gets


def test_meshgrid_of_long_or_traced_vectors_is_made_anew():
    t = np.arange(2001.0)
    assert jax_backend.get_cached_meshgrid(t, t[:2])[0] is not jax_backend.get_cached_meshgrid(t, t[:2])[0]
    mesh = jax.jit(lambda v: jax_backend.get_cached_meshgrid(v, v[:2]))(jnp.arange(3.0))
    np.testing.assert_array_equal(mesh, np.meshgrid(np.arange(3.0), np.arange(2.0), indexing="ij"))


def test_shards_of_a_record_see_the_same_axis(laminar_case):
    """A shard of late pairs gives what the whole mesh gives: its axis is the record's, not its own."""
    t, _, phi, _, _, dt = laminar_case.g1_arguments
    whole = jax_backend.compute_g1_total(laminar_case.params, *laminar_case.g1_arguments)
    grid = physics_cmc.precompute_shard_grid(t, t[3:5], t[[5, 5]], dt)
    shard = physics_cmc.compute_g1_total_with_precomputed(
        laminar_case.params, phi, grid.time_safe, grid.idx1, grid.idx2, *factors_of(laminar_case)
    )
    np.testing.assert_allclose(shard, whole[:, 3:5, 5], rtol=1e-14)


# ---------------------------------------------------------------- refusals

T = 0.1 * np.arange(4)
PHI = np.array([0.0, 60.0])
LAMINAR = np.array([5000.0, -0.5, 500.0, 1e-3, -0.3, 1e-4, 3.0])
GOOD = dict(params=LAMINAR, t1=T, t2=T, phi=PHI, q=0.0054, L=2e6, contrast=0.3, offset=1.0, dt=0.1)

BAD_G2 = {
    "five parameters": (dict(params=LAMINAR[:5]), r"vector of 3 \(static\) or 7 \(laminar_flow\).*\(5,\)"),
    "matrix of parameters": (dict(params=LAMINAR[None]), r"params must be a vector.*\(1, 7\)"),
    "NaN parameter": (dict(params=np.where(LAMINAR == -0.5, np.nan, LAMINAR)), r"params = .*nan.*not finite"),
    "NaN diffusion": (dict(params=np.array([np.nan, 0.5, 1.0])), r"params = \[nan, 0.5, 1.0\].*not finite"),
    "infinite parameter": (dict(params=[np.inf, 0.5, 1.0]), r"params = \[inf.*not finite"),
    "cube of times": (dict(t1=T[None, None]), r"t1 and t2 must be vectors or equal matrices.*\(1, 1, 4\)"),
    "xy meshgrid": (dict(zip(("t1", "t2"), np.meshgrid(T, T), strict=True)), r"indexing='ij'"),
    "NaN time": (dict(t1=np.array([0.0, np.nan, 0.2, 0.3])), "t1 must hold finite times in seconds"),
    "no time": (dict(t2=np.array([])), "t2 must hold finite times in seconds; found 0 values"),
    "negative time": (dict(t1=T - 0.2), r"t1 begins at -0.2 s: count times from the first selected frame"),
    "NaN angle": (dict(phi=np.array([0.0, np.nan])), "phi must hold finite angles in degrees"),
    "matrix of angles": (dict(phi=np.zeros((2, 2))), r"phi must be one angle or a vector.*\(2, 2\)"),
    "no angle": (dict(phi=[]), "phi must hold finite angles in degrees; found 0 values"),
    "dt missing": (dict(dt=None), "dt is missing: give it in s; it is never guessed"),
    "dt zero": (dict(dt=0.0), "dt = 0.0 s must be one finite and positive number"),
    "dt negative": (dict(dt=-0.1), "dt = -0.1 s must be one finite and positive number"),
    "dt NaN": (dict(dt=np.nan), "dt = nan s must be one finite and positive number"),
    "dt text": (dict(dt="0.1"), "dt = 0.1 s must be one finite and positive number"),
    "dt vector": (dict(dt=np.array([0.1, 0.1])), "dt = .* must be one finite and positive number"),
    "dt of other data": (dict(dt=0.15), r"t1 does not lie on frames 0.15 s apart.*Check that dt"),
    "q zero": (dict(q=0.0), "q = 0.0 1/Å must be one finite and positive number"),
    "q negative": (dict(q=-1.0), "q = -1.0 1/Å must be"),
    "q missing": (dict(q=None), "q is missing: give it in 1/Å"),
    "L zero": (dict(L=0.0), "L = 0.0 Å must be"),
    "L NaN": (dict(L=np.nan), "L = nan Å must be"),
    "convention": (dict(shear_convention="exact"), "'exact' does not exist; choose one of spec, published"),
    "convention at rest": (dict(params=LAMINAR[:3], shear_convention="exact"), "'exact' does not exist"),
    "contrasts": (dict(contrast=[0.1, 0.2, 0.3]), r"contrast must be one number or one an.*\(3,\) for 2"),
    "offsets": (dict(offset=np.ones((2, 2))), r"offset must be one number or one an angle.*\(2, 2\)"),
}  # fmt: skip


@pytest.mark.parametrize("derivative", [False, True], ids=["value", "derivative"])
@pytest.mark.parametrize(("changes", "words"), BAD_G2.values(), ids=BAD_G2)
def test_bad_argument_of_g2_is_named_with_its_value_and_remedy(changes, words, derivative):
    function = jax_backend.gradient_g2 if derivative else jax_backend.compute_g2_scaled
    arguments = GOOD | changes
    with pytest.raises(ValueError, match=words):
        function(arguments.pop("params"), **arguments)


DATA = np.ones((2, 4, 4))
BAD_CHI2 = {
    "one angle short": (dict(data=DATA[:1]), r"data have shape \(1, 4, 4\), the model \(2, 4, 4\)"),
    "NaN in data": (dict(data=np.full((2, 4, 4), np.nan)), "data hold 32 entries that are not finite; replace"),
    "sigma zero": (dict(sigma=0.0), "sigma must be positive everywhere; its smallest entry is 0.0"),
    "sigma NaN": (dict(sigma=np.nan), "sigma must be positive everywhere; its smallest entry is nan"),
    "sigma negative": (dict(sigma=DATA - 1.1), "sigma must be positive everywhere.*-0.1"),
    "sigma of a wrong shape": (dict(sigma=np.ones(3)), r"sigma of shape \(3,\) cannot be broadcast to data"),
    "dt missing": (dict(dt=None), "dt is missing"),
}  # fmt: skip


@pytest.mark.parametrize("function", [jax_backend.compute_chi_squared, jax_backend.gradient_chi2])
@pytest.mark.parametrize(("changes", "words"), BAD_CHI2.values(), ids=BAD_CHI2)
def test_bad_argument_of_chi_squared_is_named(changes, words, function):
    arguments = GOOD | dict(data=DATA, sigma=0.1) | changes
    with pytest.raises(ValueError, match=words):
        function(arguments.pop("params"), **arguments)


@pytest.mark.parametrize("name", ["t1", "t2", "time_grid", "dt"])
def test_frames_of_a_shard_are_counted_from_plain_numbers(name):
    arguments = dict(time_grid=T, t1=T, t2=T, dt=0.1)
    with pytest.raises(TypeError, match=f"{name} is being traced by JAX.*to count frames"):
        jax.jit(lambda value: physics_cmc.precompute_shard_grid(**arguments | {name: value}).time_safe)(arguments[name])


def test_times_of_points_are_plain_numbers():
    with pytest.raises(TypeError, match=r"t2 is being traced by JAX.*to count frames"):
        jax.jit(lambda t: physics_cmc.compute_g1_total_points(LAMINAR, T, t, 0.0, 0.0054, 2e6, 0.1))(T)


BAD_POINTS = {
    "unequal lengths": (dict(t2=T[1:]), r"vectors of one length; found shapes \(4,\) and \(3,\)"),
    "matrices": (dict(t1=T[None], t2=T[None]), r"vectors of one length; found shapes \(1, 4\)"),
    "angles of other points": (dict(phi=np.zeros(3)), r"one angle or one for each of 4 points.*\(3,\)"),
    "negative time": (dict(t2=T - 0.1), "t2 begins at -0.1 s"),
    "between frames": (dict(t1=T + 0.05), "t1 does not lie on frames 0.1 s apart"),
    "dt missing": (dict(dt=None), "dt is missing"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), BAD_POINTS.values(), ids=BAD_POINTS)
def test_bad_points_are_named(changes, words):
    arguments = dict(params=LAMINAR, t1=T, t2=T, phi=0.0, q=0.0054, L=2e6, dt=0.1) | changes
    with pytest.raises(ValueError, match=words):
        physics_cmc.compute_g1_total_points(**arguments)


BAD_SHARDS = {
    "gap in the axis": (dict(time_grid=T[[0, 2, 3]]), "time_grid must rise by dt = 0.1 s from"),
    "pair outside": (dict(t2=T + 0.1), "frame 0 to 4 of an axis of 4 frames; give the whole axis"),
    "unequal lengths": (dict(t1=T[:2]), r"vectors of one length; found shapes \(2,\) and \(4,\)"),
    "between frames": (dict(t1=T + 0.05), "t1 does not lie on frames"),
    "dt missing": (dict(dt=None), "dt is missing"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), BAD_SHARDS.values(), ids=BAD_SHARDS)
def test_bad_shards_are_named(changes, words):
    with pytest.raises(ValueError, match=words):
        physics_cmc.precompute_shard_grid(**dict(time_grid=T, t1=T, t2=T, dt=0.1) | changes)


def test_mesh_without_frames_and_meshgrid_of_numbers_are_refused():
    with pytest.raises(ValueError, match="n_frames = 0: a mesh needs at least one frame"):
        layouts.numpy_mesh(0, 0.0, 0.1)
    with pytest.raises(ValueError, match="t1 and t2 must be vectors of times"):
        jax_backend.get_cached_meshgrid(1.0, T)


@pytest.mark.parametrize("position", range(7))
def test_traced_nan_stays_nan(position):
    """Under jit a parameter cannot be refused: NaN reaches the result, and does not end as a rate's floor."""
    params = np.where(np.arange(7) == position, np.nan, LAMINAR)
    arguments = {name: value for name, value in GOOD.items() if name != "params"}
    with jax.debug_nans(False):
        g2 = np.asarray(jax.jit(lambda p: jax_backend.compute_g2_scaled(p, **arguments))(jnp.asarray(params)))
    assert np.isnan(g2[0, 0, 1])

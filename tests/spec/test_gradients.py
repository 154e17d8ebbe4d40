"""Numerical derivatives: order of the error, step rule, choice of method; then those of the model."""

from __future__ import annotations

import threading
import time

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homodyne_lib.spec import jax_backend
from homodyne_lib.spec.numpy_gradients import GRADIENT_METHODS, GradientConfig, numpy_gradient, numpy_hessian

# Largest relative error where func bends over a length of order one. Forward: rounding and truncation meet at
# √ε = 1.5e-8; central at ε^(2/3) = 4e-11; richardson at ε^(8/9) = 1e-14, times the growth of rounding in the
# extrapolation (some 50). Second derivatives meet at ε^(1/3), ε^(1/2) and ε^(4/5).
GRADIENT_TOLERANCE = {
    "forward": 2e-7,
    "backward": 2e-7,
    "central": 1e-9,
    "complex_step": 1e-14,
    "richardson": 1e-11,
    "adaptive": 1e-14,
}
HESSIAN_TOLERANCE = {
    "forward": 1e-4,
    "backward": 1e-4,
    "central": 1e-7,
    "complex_step": 1e-11,
    "richardson": 1e-9,
    "adaptive": 1e-11,
}
every_method = pytest.mark.parametrize("method", GRADIENT_METHODS)


def quartic(v):
    """The function of the golden file."""
    return np.sum(v**4) + v[0] * v[1] + np.sin(v[-1]) * np.exp(0.1 * v[0])


def quartic_hessian(v):
    """Second derivatives of :func:`quartic`, by hand."""
    growth = np.exp(0.1 * v[0])
    hessian = np.diag(12 * v**2)
    hessian[0, 1] += 1
    hessian[1, 0] += 1
    hessian[0, 0] += 0.01 * np.sin(v[-1]) * growth
    hessian[-1, -1] -= np.sin(v[-1]) * growth
    hessian[0, -1] += 0.1 * np.cos(v[-1]) * growth
    hessian[-1, 0] += 0.1 * np.cos(v[-1]) * growth
    return hessian


def real_only(func):
    """The same function for callers that bring real numbers; complex ones are cast, as careless code does."""
    return lambda v: func(np.asarray(v, dtype=float))


# ---------------------------------------------------------------- the six methods


@every_method
def test_gradient_against_the_golden_exact_values(golden, method):
    gradient = numpy_gradient(quartic, config=GradientConfig(method))(golden["ng_x"])
    np.testing.assert_allclose(gradient, golden["ng_exact"], rtol=GRADIENT_TOLERANCE[method])


@pytest.mark.parametrize("method", ["forward", "backward", "central", "richardson"])
def test_gradient_against_the_golden_finite_differences(golden, method):
    # The peer's own steps leave errors of up to 1e-5.
    gradient = numpy_gradient(quartic, config=GradientConfig(method))(golden["ng_x"])
    np.testing.assert_allclose(gradient, golden[f"ng_{method}"], rtol=1e-4)


@every_method
def test_hessian_against_the_closed_form(golden, method):
    hessian = numpy_hessian(quartic, config=GradientConfig(method))(golden["ng_x"])
    exact = quartic_hessian(golden["ng_x"])
    np.testing.assert_allclose(hessian, exact, atol=HESSIAN_TOLERANCE[method] * np.abs(exact).max(), rtol=0)
    np.testing.assert_allclose(hessian, golden["ng_hess"], atol=1e-4 * np.abs(exact).max(), rtol=0)
    np.testing.assert_array_equal(hessian, hessian.T)


@pytest.mark.parametrize(
    ("method", "n_terms", "order", "step"),
    [("forward", 4, 1, 1e-3), ("backward", 4, 1, 1e-3), ("central", 4, 2, 1e-2)]
    + [("richardson", n, 2 * n, 0.8) for n in (1, 2, 3, 4)],
)
def test_order_of_the_error(method, n_terms, order, step):
    """Halving the step divides the error of exp(x) by 2^order."""

    def error(h, make, exact):
        value = make(lambda v: np.exp(v[0]), config=GradientConfig(method, h, n_terms))(np.array([0.3]))
        return abs(value.item() - exact)

    for make in (numpy_gradient, numpy_hessian):
        ratio = error(step, make, np.exp(0.3)) / error(step / 2, make, np.exp(0.3))
        # The next order adds a relative h (one-sided) or h² (even): up to 12 % at the steps chosen here.
        assert np.log2(ratio) == pytest.approx(order, abs=0.17)


def test_complex_step_errs_by_rounding_only_where_differences_cancel():
    # f' = 1e-9 beside f = 1: a central difference errs by ε/h = 3e-11, the complex step keeps all digits.
    gradient = numpy_gradient(lambda v: 1.0 + 1e-9 * np.sin(v[0]), config=GradientConfig("complex_step"))
    np.testing.assert_allclose(gradient(np.array([0.4])), [1e-9 * np.cos(0.4)], rtol=1e-15)


@pytest.mark.parametrize(
    ("method", "per_parameter"),
    [("forward", 1), ("backward", 1), ("central", 2), ("complex_step", 1), ("richardson", 8)],
)
def test_number_of_evaluations(method, per_parameter):
    """As in the table of the spec, plus one at the point itself; none for the step, which is given."""
    calls = []

    def counted(v):
        calls.append(v)
        return quartic(v)

    numpy_gradient(counted, config=GradientConfig(method, step_size=1e-4))(np.array([0.3, -1.2, 2.0]))
    assert len(calls) == 1 + 3 * per_parameter


# ---------------------------------------------------------------- adaptive


@pytest.mark.parametrize(
    "cheat",
    [
        pytest.param(real_only, id="cast"),
        pytest.param(lambda f: lambda v: f(np.real(v)), id="real part"),
        pytest.param(lambda f: lambda v: f(np.real(v)) + 0j, id="real part, returned as complex"),
        pytest.param(lambda f: lambda v: f(np.conj(v)), id="conjugate"),
        pytest.param(lambda f: lambda v: f(np.array([float(x) for x in v])), id="TypeError from float()"),
    ],
)
def test_adaptive_sees_through_functions_that_are_not_analytic(golden, cheat):
    func = cheat(quartic)
    # The function is real at real arguments, whatever type it returns.
    gradient = numpy_gradient(lambda v: func(v) if np.iscomplexobj(v) else np.real(func(v)))(golden["ng_x"])
    np.testing.assert_allclose(gradient, golden["ng_exact"], rtol=GRADIENT_TOLERANCE["richardson"])


def test_adaptive_chooses_for_each_parameter():
    def func(v):
        return np.exp(v[0]) + np.exp(np.real(v[1]))

    x = np.array([0.5, 0.5])
    gradient = numpy_gradient(func)(x)
    np.testing.assert_allclose(gradient, np.exp(x), rtol=1e-11)
    # Exact for the first, extrapolated for the second, and so are the second derivatives.
    assert gradient[0] == pytest.approx(np.exp(0.5), rel=1e-15)
    np.testing.assert_allclose(numpy_hessian(func)(x), np.diag(np.exp(x)), atol=1e-9)


@pytest.mark.parametrize("cast", [real_only, lambda f: lambda v: f(np.real(v))])
def test_complex_step_refuses_a_function_that_drops_the_imaginary_part(cast):
    gradient = numpy_gradient(cast(quartic), config=GradientConfig("complex_step"))
    with pytest.raises(TypeError, match="choose richardson"):
        gradient(np.array([1.0, 2.0]))


# ---------------------------------------------------------------- the step rule


@given(
    unit=st.floats(-12, 12).map(lambda e: 10.0**e),
    x=st.floats(0.1, 3.0),
    method=st.sampled_from(GRADIENT_METHODS),
)
@settings(max_examples=60, deadline=None)
def test_the_unit_of_a_parameter_does_not_matter(unit, x, method):
    # exp(-x²) + x has length 0.3 to 1 over this range; a factor of 10 on the tolerance covers it.
    gradient = numpy_gradient(lambda v: np.exp(-((v[0] / unit) ** 2)) + v[0] / unit, config=GradientConfig(method))
    exact = (1 - 2 * x * np.exp(-(x**2))) / unit
    assert gradient(np.array([x * unit]))[0] == pytest.approx(exact, abs=10 * GRADIENT_TOLERANCE[method] / unit)


@pytest.mark.parametrize("method", ["central", "richardson"])
@pytest.mark.parametrize("at", [0.0, 1e-13, -1e-9])
@pytest.mark.parametrize("length", [1e-5, 1.0, 100.0])
def test_a_parameter_near_zero_takes_its_step_from_the_bend_of_the_function(method, at, length):
    """The offset of the shear rate: x says nothing about the scale on which the function changes."""
    gradient = numpy_gradient(lambda v: 1.0 + 0.3 * np.cos(v[0] / length + 0.5), config=GradientConfig(method))
    exact = -0.3 * np.sin(at / length + 0.5) / length
    assert gradient(np.array([at]))[0] == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize("method", ["forward", "central", "richardson"])
@pytest.mark.parametrize("x", [0.0, 1e-300, 1e4, -1e12])
def test_a_straight_function(method, x):
    """No bend anywhere: the step grows to the scale of x, and rounding stays small."""
    gradient = numpy_gradient(lambda v: 3.0 * v[0] + 7.0, config=GradientConfig(method))
    assert gradient(np.array([x]))[0] == pytest.approx(3.0, rel=1e-6)


def test_a_probe_outside_the_domain_is_shortened():
    with np.errstate(invalid="ignore"):
        gradient = numpy_gradient(lambda v: np.sqrt(np.real(v[0]) - 1.0))(np.array([1.0 + 1e-6]))
    assert gradient[0] == pytest.approx(500.0, rel=1e-6)


# ---------------------------------------------------------------- shapes, arguments, threads


@every_method
def test_an_array_valued_function_of_a_later_argument(method):
    config = GradientConfig(method)

    def func(scale, v, *, power):
        return scale * np.array([[v[0] ** power, v[0] * v[1]], [v[1], np.exp(v[0])], [1.0 + 0 * v[0], v[1] ** 2]])

    v = np.array([1.5, -0.4])
    jacobian = numpy_gradient(func, 1, config)(2.0, v, power=3)
    hessian = numpy_hessian(func, -1, config)(2.0, v, power=3)
    assert jacobian.shape == (3, 2, 2)
    assert hessian.shape == (3, 2, 2, 2)
    exact = 2 * np.array([[[3 * 1.5**2, 0], [-0.4, 1.5]], [[0, 1], [np.exp(1.5), 0]], [[0, 0], [0, -0.8]]])
    np.testing.assert_allclose(jacobian, exact, atol=10 * GRADIENT_TOLERANCE[method])
    exact = np.zeros((3, 2, 2, 2))
    exact[0, 0, 0, 0], exact[1, 1, 0, 0], exact[2, 1, 1, 1] = 18.0, 2 * np.exp(1.5), 4.0
    exact[0, 1] = [[0, 2], [2, 0]]
    np.testing.assert_allclose(hessian, exact, atol=30 * HESSIAN_TOLERANCE[method])


def test_a_number_and_a_matrix_as_argument():
    assert numpy_gradient(np.sin)(0.3) == pytest.approx(np.cos(0.3), rel=1e-15)
    assert numpy_hessian(np.sin)(0.3) == pytest.approx(-np.sin(0.3), rel=1e-10)
    matrix = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    gradient = numpy_gradient(lambda m: m @ np.ones(3))(matrix)
    assert gradient.shape == (2, 2, 3)
    np.testing.assert_allclose(gradient, np.eye(2)[:, :, None] * np.ones(3), atol=1e-12)


@pytest.mark.parametrize("make", [numpy_gradient, numpy_hessian])
def test_threads_are_used_for_slow_functions_and_change_nothing(golden, make):
    threads, running, together = set(), [], set()

    def func(v, pause):
        running.append(v)
        together.add(len(running))
        time.sleep(pause)
        threads.add(threading.get_ident())
        running.pop()
        return quartic(v)

    config = {n: GradientConfig("central", n_workers=n) for n in (1, 3, None)}
    alone = make(func, config=config[1])(golden["ng_x"], 0.006)  # above the 5 ms from which threads are considered
    assert threads == {threading.get_ident()}
    np.testing.assert_array_equal(make(func, config=config[3])(golden["ng_x"], 0.006), alone)
    # At a time: a derivative may start threads more than once.
    assert 2 <= max(together) <= 3
    threads.clear()
    np.testing.assert_array_equal(make(func, config=config[None])(golden["ng_x"], 0.0), alone)
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"method": "magic"},
            "'magic' does not exist; choose one of forward, backward, central, complex_step, ",
        ),
        ({"step_size": 0.0}, "step_size = 0.0 must be finite and positive"),
        ({"step_size": np.nan}, "step_size = nan must be"),
        ({"n_terms": 0}, "n_terms = 0 must be"),
        ({"n_workers": -1}, "n_workers = -1 must be"),
    ],
)
def test_bad_configurations(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        GradientConfig(**options)


@pytest.mark.parametrize(
    ("x", "argnums", "error", "sentence"),
    [
        (np.array([1.0, np.nan]), 0, ValueError, r"argument 0 = \[1.0, nan\] must hold .* all finite"),
        (np.array([]), 0, ValueError, "at least one number"),
        (np.array([1.0, 2.0j]), 0, TypeError, "argument 0 is complex"),
        (np.array([1.0, 2.0]), 1, ValueError, "argnums = 1, but 1 arguments were given"),
        (np.array([0.0, 2.0]), 0, ValueError, r"func is not finite at \[0.0, 2.0\]"),
    ],
)
@pytest.mark.parametrize("make", [numpy_gradient, numpy_hessian])
def test_bad_arguments(make, x, argnums, error, sentence):
    with np.errstate(divide="ignore"), pytest.raises(error, match=sentence):
        make(lambda v: np.sum(1.0 / v), argnums)(x)


# ---------------------------------------------------------------- derivatives of the model


def chi2_problem(case):
    """Arguments of χ² at 1.02 times the truth, where the golden file differentiates it."""
    golden = case.golden
    return 1.02 * case.params, (golden["data"], golden["sigma"], *case.g2_arguments)


# JAX compiles each case for seconds: laminar from t = 0, static, and D(t) at its floor stand for the rest.
CASES = [
    pytest.param(k, backend, marks=pytest.mark.slow if backend == "jax" and k not in (0, 4, 6) else ())
    for k in range(15)
    for backend in ("jax", "numpy")
]


@pytest.mark.parametrize(("golden_case", "backend"), CASES, indirect=["golden_case"])
def test_derivatives_of_chi_squared_against_the_golden_file(golden_case, backend, monkeypatch):
    monkeypatch.setenv("HOMODYNE_BACKEND", backend)
    params, args = chi2_problem(golden_case)
    gradient = np.asarray(jax_backend.gradient_chi2(params, *args))
    hessian = np.asarray(jax_backend.hessian_chi2(params, *args))
    np.testing.assert_allclose(gradient, golden_case.golden["grad_chi2_at_1p02"], rtol=1e-6)
    # Mixed derivatives are measured by the curvatures of their two parameters. D(t) at its floor has none.
    expected = golden_case.golden["hess_chi2_at_1p02"]
    curvature = np.sqrt(np.abs(np.diag(expected)))
    assert np.all(np.abs(hessian - expected) <= 1e-6 * np.outer(curvature, curvature))


@pytest.mark.parametrize("method", ["complex_step", "richardson", "adaptive"])
@pytest.mark.parametrize("convention", ["spec", "published"])
def test_jacobian_of_g2_numerical_against_automatic(case, convention, method):
    automatic = np.asarray(jax_backend.gradient_g2(case.params, *case.g2_arguments, convention))
    assert automatic.shape == (len(case.phi), len(case.t), len(case.t), len(case.params))
    numerical = numpy_gradient(jax_backend.compute_g2_scaled, config=GradientConfig(method))(
        case.params, *case.g2_arguments, convention
    )
    largest = np.abs(automatic).max(axis=(0, 1, 2))
    tolerance = 1e-8 if method == "richardson" else 1e-12
    assert np.all(np.abs(numerical - automatic).max(axis=(0, 1, 2)) <= tolerance * largest)


def test_hessian_of_g2_without_jax_equals_the_automatic_one(laminar_case, monkeypatch):
    automatic = np.asarray(jax_backend.hessian_g2(laminar_case.params, *laminar_case.g2_arguments))
    monkeypatch.setenv("HOMODYNE_BACKEND", "numpy")
    numerical = jax_backend.hessian_g2(laminar_case.params, *laminar_case.g2_arguments)
    assert isinstance(numerical, np.ndarray)
    assert not isinstance(numerical, jax.Array)
    largest = np.abs(automatic).max(axis=(0, 1, 2))
    assert np.all(np.abs(numerical - automatic).max(axis=(0, 1, 2)) <= 1e-9 * largest)

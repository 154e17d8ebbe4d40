"""Least-squares solvers, parameter space, fit result and the engine that ties them to the model."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from numpy.testing import assert_allclose, assert_array_equal
from records import make_record
from scipy.stats import chi2 as chi2_distribution
from scipy.stats import norm
from white_noise import SIGMA, TRUTH, dense_residuals, problem_of

from homodyne_lib.fitting.nlsq import fit_nlsq
from homodyne_lib.model.parameters import PARAMETERS, parameter_names
from homodyne_lib.spec.fitting import (
    FitResult,
    ParameterSpace,
    UnifiedHomodyneEngine,
    fit_result,
    solve_least_squares_chunked_jax,
    solve_least_squares_general_jax,
    solve_least_squares_jax,
)
from homodyne_lib.spec.least_squares import CONTRAST_FLOOR
from homodyne_lib.spec.physics import get_default_parameters

GOLDEN_RTOL = 1e-10


@pytest.fixture(params=["jax", "numpy"])
def backend(request, monkeypatch):
    """Run with either array library."""
    monkeypatch.setenv("HOMODYNE_BACKEND", request.param)
    return request.param


def golden_g1_squared(case):
    """g1² of a golden case, from its g2."""
    return (case.golden["g2"] - case.offset) / case.contrast


def line(theory, data):
    """Contrast and offset by SciPy, from a design matrix."""
    design = np.column_stack([np.ravel(theory), np.ones(np.size(theory))])
    return scipy.linalg.lstsq(design, np.ravel(data))[0]


# --- contrast and offset ---


def test_golden_solvers(golden_case, monkeypatch):
    if len(golden_case.t) > 24:  # JAX compiles for every size; two sizes suffice
        monkeypatch.setenv("HOMODYNE_BACKEND", "numpy")
    n_phi = len(golden_case.phi)
    theory = golden_g1_squared(golden_case).reshape(n_phi, -1)
    data = golden_case.golden["data"].reshape(n_phi, -1)
    found = solve_least_squares_jax(theory, data)
    assert_allclose(found, golden_case.golden["ls_contrast_offset"], rtol=GOLDEN_RTOL)
    found = solve_least_squares_chunked_jax(theory, data)
    assert_allclose(found, golden_case.golden["ls_chunked_all"], rtol=GOLDEN_RTOL)
    design = np.column_stack([theory.ravel(), np.ones(theory.size)])
    found = solve_least_squares_general_jax(design, data.ravel(), 1e-10)
    assert_allclose(found, golden_case.golden["ls_general_all"], rtol=GOLDEN_RTOL)


def test_each_angle_as_scipy(backend):
    rng = np.random.default_rng(1)
    theory = rng.random((4, 50))
    data = 0.3 * theory + 1.1 + 0.01 * rng.standard_normal((4, 50))
    contrast, offset = solve_least_squares_jax(theory, data)
    assert isinstance(contrast, jax.Array if backend == "jax" else np.ndarray)
    expected = np.transpose([line(t, d) for t, d in zip(theory, data, strict=True)])
    assert_allclose([contrast, offset], expected, rtol=1e-12)


def test_negative_slope_keeps_the_offset_of_the_line(golden, backend):
    theory, data = golden["u_ls_negative_theory"], golden["u_ls_negative_exp"]
    assert all(line(t, d)[0] < 0 for t, d in zip(theory, data, strict=True))
    found = solve_least_squares_jax(theory, data)
    assert_allclose(found, golden["u_ls_negative_out"], rtol=GOLDEN_RTOL)


def test_constant_theory_leaves_the_contrast_open(golden, backend):
    """The offset is the mean of the data, less the floor of the contrast; the scale does not matter."""
    data = golden["u_ls_singular_in"]
    for level in (1.0, 0.1, 1e-8, 1e8, 0.0):
        contrast, offset = solve_least_squares_jax(np.full(data.shape, level), data)
        assert_array_equal(contrast, [CONTRAST_FLOOR] * 2)
        assert_allclose(offset, data.mean(axis=1) - CONTRAST_FLOOR * level, rtol=1e-12)


def test_small_signal_is_not_taken_for_constant(backend):
    """A theory of spread 1e-7 has a determinant below 1e-12, yet its slope is exact to rounding."""
    theory = 1e-7 * np.linspace(0.0, 1.0, 20)
    contrast, offset = solve_least_squares_jax(theory[None], 0.25 * theory[None] + 1.0)
    # The data carry the signal, 1e-7, with the rounding of 1.
    assert_allclose(contrast, 0.25, rtol=1e-8)
    assert_allclose(offset, 1.0, rtol=1e-14)


def test_not_a_number_is_not_hidden(backend):
    contrast, offset = solve_least_squares_jax([[0.1, np.nan, 0.3]], [[1.0, 1.1, 1.2]])
    assert np.isnan(contrast[0])
    assert np.isnan(offset[0])


@pytest.mark.parametrize("n_chunks", [1, 2, 7])
def test_chunks_are_one_block(backend, n_chunks):
    rng = np.random.default_rng(2)
    theory = rng.random((3, 7 * 2 * 5)) + 1e3 * np.array([[0.0], [1.0], [1e3]])  # far from zero: centring matters
    data = 0.2 * theory + 1.0 + 0.01 * rng.standard_normal(theory.shape)
    chunks = [np.moveaxis(v.reshape(3, n_chunks, -1), 1, 0) for v in (theory, data)]
    whole = solve_least_squares_jax(theory, data)
    # At a mean of 1e6 the unit spread of the theory keeps 10 of 16 digits.
    assert_allclose(solve_least_squares_chunked_jax(*chunks)[0], whole[0], rtol=1e-9)
    pooled = solve_least_squares_chunked_jax(theory[:1].reshape(n_chunks, -1), data[:1].reshape(n_chunks, -1))
    assert np.shape(pooled[0]) == ()
    assert_allclose(pooled, np.ravel([v[0] for v in whole]), rtol=1e-11)


def test_solvers_under_jit_and_grad():
    rng = np.random.default_rng(3)
    theory, data = jnp.asarray(rng.random((2, 30))), jnp.asarray(rng.random((2, 30)) + 1.0)
    for solve in (solve_least_squares_jax, solve_least_squares_chunked_jax):
        for found, expected in zip(jax.jit(solve)(theory, data), solve(theory, data), strict=True):
            assert_allclose(found, expected, rtol=1e-13)

    def contrast(scale):
        return solve_least_squares_jax(scale * theory, theory + 1.0)[0][0]

    assert_allclose(jax.grad(contrast)(2.0), -0.25, rtol=1e-12)  # contrast = 1 / scale


@pytest.mark.parametrize("solve", [solve_least_squares_jax, solve_least_squares_chunked_jax])
def test_solver_shape_errors(solve):
    with pytest.raises(ValueError, match=r"found \(2, 3\) and \(3, 2\)"):
        solve(np.ones((2, 3)), np.ones((3, 2)))
    with pytest.raises(ValueError, match="without empty axes"):
        solve(np.ones((2, 0)), np.ones((2, 0)))


def test_chunks_need_two_axes():
    with pytest.raises(ValueError, match=r"\(n_chunks, ..., chunk_size\)"):
        solve_least_squares_chunked_jax(np.ones(4), np.ones(4))


def test_where_jax_is_missing():
    """Solvers, scaling, diagonal correction and likelihood work in an interpreter that cannot import JAX."""
    code = """
import sys
sys.modules["jax"] = None
import numpy as np
from homodyne_lib.prepare.diagonal import apply_diagonal_correction
from homodyne_lib.spec.fitting import UnifiedHomodyneEngine
from homodyne_lib.spec.least_squares import *
from homodyne_lib.prepare.quantiles import estimate_scaling_from_matrices
t = 0.1 * np.arange(30)
c2 = 1.0 + 0.3 * np.exp(-np.abs(t[:, None] - t) / 0.2)
theory = (c2 - 1.0) / 0.3
assert np.allclose(solve_least_squares_jax(theory, c2), [[0.3] * 30, [1.0] * 30])
assert np.allclose(solve_least_squares_chunked_jax(theory, c2), (0.3, 1.0))
design = np.column_stack([theory.ravel(), np.ones(900)])
assert np.allclose(solve_least_squares_general_jax(design, c2.ravel()), (0.3, 1.0))
assert np.isfinite(apply_diagonal_correction(c2, "statistical")).all()
assert estimate_scaling_from_matrices(c2[None])[2] == []
engine = UnifiedHomodyneEngine("static")
geometry = (t, t, [0.0], 0.01, 1e6, 0.1)
assert np.isfinite(engine.compute_likelihood([100.0, -0.5, 1.0], 0.3, 1.0, c2[None], 0.1, *geometry))
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=Path(__file__).parents[2])


# --- the general case ---


@pytest.mark.parametrize("key", ["well", "ridge"])
def test_general_golden(golden, backend, key):
    design, target, ridge = (golden[f"u_lsg_{key}_{name}"] for name in ("X", "b", "lam"))
    found = solve_least_squares_general_jax(design, target, float(ridge))
    assert_allclose(found, golden[f"u_lsg_{key}_out"], rtol=GOLDEN_RTOL)


def test_general_ill_conditioned(golden, backend):
    """Two columns alike to 1e-9: as [A; √λ] x = [b; 0], which SciPy solves without AᵀA."""
    design, target = golden["u_lsg_ill_X"], golden["u_lsg_ill_b"]
    ridge = float(golden["u_lsg_ill_lam"])
    found = np.asarray(solve_least_squares_general_jax(design, target, ridge))
    n_params = design.shape[1]
    expected = scipy.linalg.lstsq(
        np.vstack([design, np.sqrt(ridge) * np.eye(n_params)]), np.append(target, np.zeros(n_params))
    )[0]
    # The smallest singular value of A, 6e-9, is known to the rounding of the largest, 12: to 4e-7 of itself.
    assert_allclose(found, expected, rtol=1e-6)
    # The golden value solves AᵀA + λ, whose entries, of order 100, are rounded by 1e-14: by 1e-4 of λ.
    assert_allclose(found, golden["u_lsg_ill_out"], rtol=1e-3)
    assert_allclose(design @ found, design @ golden["u_lsg_ill_out"], atol=1e-9)


@pytest.mark.parametrize("ridge", [0.0, 1e-10])
def test_general_equal_columns(backend, ridge):
    """Columns that coincide share their coefficient: the solution of least norm."""
    rng = np.random.default_rng(4)
    column = rng.standard_normal(30)
    design = np.column_stack([column, column, np.ones(30)])
    target = rng.standard_normal(30)
    found = solve_least_squares_general_jax(design, target, ridge)
    assert_allclose(found, scipy.linalg.lstsq(design, target)[0], rtol=1e-9)
    assert_allclose(found[0], found[1], rtol=1e-9)


def test_general_under_jit(golden):
    for key in ("well", "ill"):
        arguments = [jnp.asarray(golden[f"u_lsg_{key}_{name}"]) for name in ("X", "b", "lam")]
        found = jax.jit(solve_least_squares_general_jax)(*arguments)
        assert_allclose(found, solve_least_squares_general_jax(*arguments), rtol=1e-9)


def test_general_errors():
    with pytest.raises(ValueError, match=r"found \(3, 2\) and \(2,\)"):
        solve_least_squares_general_jax(np.ones((3, 2)), np.ones(2))
    with pytest.raises(ValueError, match=r"found \(3,\) and \(3,\)"):
        solve_least_squares_general_jax(np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match=r"regularization is -1\.0; it must not be negative"):
        solve_least_squares_general_jax(np.ones((3, 2)), np.ones(3), -1.0)


# --- parameter space ---


def test_bounds_come_from_the_table():
    space = ParameterSpace()
    for mode, n in (("static", 3), ("static_isotropic", 3), ("static_anisotropic", 3), ("laminar_flow", 7)):
        bounds = space.get_param_bounds(mode)
        assert bounds == [(PARAMETERS[k].lower, PARAMETERS[k].upper) for k in parameter_names(mode)]
        assert len(bounds) == n
    assert (space.contrast_bounds, space.offset_bounds) == ((0.0, 1.0), (0.5, 1.5))
    assert (space.contrast_prior, space.offset_prior) == ((0.5, 0.25), (1.0, 0.25))


def test_priors_cover_the_bounds_by_two_standard_deviations():
    space = ParameterSpace(D0_bounds=(10.0, 1e5))
    priors = dict(zip(parameter_names("laminar_flow"), space.get_param_priors("laminar_flow"), strict=True))
    assert_allclose(priors["D0"], (np.log(1e3), np.log(1e4) / 4), rtol=1e-13)
    assert priors["alpha"] == (0.0, 1.0)
    assert priors["phi0"] == (0.0, 15.0)
    for (name, (mean, sd)), (low, high) in zip(priors.items(), space.get_param_bounds("laminar_flow"), strict=True):
        edges = np.log([low, high]) if name in ("D0", "gamma_dot_t0") else (low, high)
        assert_allclose((mean - 2 * sd, mean + 2 * sd), edges, rtol=1e-13)
    assert space.get_param_priors("static") == list(priors.values())[:3]


@pytest.mark.parametrize("bounds", [(100.0, 1.0), (0.0, 100.0), (1.0, np.inf), (np.nan, 100.0)])
def test_bad_bounds(bounds):
    with pytest.raises(ValueError, match=r"of D0 must rise and lie within \[1, 1e\+06\]"):
        ParameterSpace(D0_bounds=bounds)


def test_unknown_mode():
    with pytest.raises(ValueError, match="'flow' does not exist"):
        ParameterSpace().get_param_bounds("flow")
    with pytest.raises(ValueError, match="'flow' does not exist"):
        UnifiedHomodyneEngine("flow")


# --- result ---


@pytest.mark.parametrize(("mode", "per_angle"), [("static", "individual"), ("laminar_flow", "constant")])
def test_result_of_a_fit(mode, per_angle):
    """Every number from the fit's own residuals, summed in a loop; the scale of χ² from SciPy's distribution."""
    problem, c2 = problem_of(mode, per_angle, n=30)
    fit = fit_nlsq(problem, start=dict(zip(problem.names, TRUTH[mode], strict=True)), n_starts=0)
    geometry = {"phi": np.array([-40.0, 0.0, 30.0, 60.0, 90.0]), "q": 0.0054, "stator_rotor_gap": 2e6}
    record = make_record(5, 30, c2=c2, **geometry)
    result = fit_result(fit, problem, record, computation_time=0.25)
    physical = len(problem.names)
    contrast, offset = problem.scaling.expand(fit.values[physical:])
    residuals = dense_residuals(problem, c2, fit.values) * SIGMA
    chi2 = sum((value / SIGMA) ** 2 for value in residuals.tolist())
    assert_array_equal(result.params, fit.values[:physical])
    assert_array_equal(result.param_errors, fit.errors[:physical])
    assert_allclose((result.contrast, result.offset), (np.mean(contrast), np.mean(offset)), rtol=1e-13)
    assert_allclose(result.chi_squared, chi2, rtol=1e-8)
    assert result.degrees_of_freedom == 5 * 30 * 29 // 2 - fit.n_free
    assert_allclose(result.reduced_chi_squared, chi2 / result.degrees_of_freedom, rtol=1e-8)
    assert_allclose(result.p_value, chi2_distribution.sf(chi2, result.degrees_of_freedom), rtol=1e-6)
    assert_allclose((result.residual_std, result.max_residual), (residuals.std(), np.abs(residuals).max()), rtol=1e-8)
    assert (result.converged, result.computation_time, result.backend) == (fit.converged, 0.25, "JAX")
    assert (result.dataset_size, result.analysis_mode) == ("small", mode)
    assert result.fit_iterations == fit.n_evaluations
    if per_angle == "constant":
        assert (result.contrast_error, result.offset_error) == (None, None)
    else:  # coefficients are contrasts, then offsets: the variance of a mean of five
        blocks = fit.covariance[physical:, physical:].reshape(2, 5, 2, 5)
        expected = [np.sqrt(blocks[k, :, k].sum()) / 5 for k in range(2)]
        assert_allclose((result.contrast_error, result.offset_error), expected, rtol=1e-9)


def test_result_marks_what_was_not_given_as_missing():
    result = FitResult(np.ones(7), 0.3, 1.0, 1.0, 1.0, 1, 0.5)
    assert (result.converged, result.param_errors, result.contrast_error) == (False, None, None)
    assert result.backend == result.dataset_size == result.analysis_mode == "unknown"
    assert np.isnan(result.residual_std)


def test_result_errors():
    with pytest.raises(ValueError, match=r"3 or 7 physical parameters; found shape \(4,\)"):
        FitResult(np.ones(4), 0.3, 1.0, 1.0, 1.0, 1, 0.5)
    with pytest.raises(ValueError, match=r"3 parameters need as many errors; found \(2,\)"):
        FitResult(np.ones(3), 0.3, 1.0, 1.0, 1.0, 1, 0.5, np.ones(2))


# --- engine ---


def engine_of(case):
    """Engine of a case's mode."""
    return UnifiedHomodyneEngine("laminar_flow" if case.laminar else "static")


def test_golden_likelihood(golden_case):
    arguments = (
        golden_case.contrast,
        golden_case.offset,
        golden_case.golden["data"],
        golden_case.golden["sigma"],
    )
    geometry = (golden_case.t, golden_case.t, golden_case.phi, golden_case.q, golden_case.L, golden_case.dt)
    found = engine_of(golden_case).compute_likelihood(golden_case.params, *arguments, *geometry)
    assert_allclose(found, golden_case.golden["nll_at_truth"], rtol=1e-8)  # as χ²


def test_likelihood_is_that_of_normal_noise(case, backend):
    """SciPy's log density, entry by entry; an infinite σ takes the entry out."""
    from homodyne_lib.spec.jax_backend import compute_g2_scaled

    model = np.asarray(compute_g2_scaled(case.params, *case.g2_arguments))
    rng = np.random.default_rng(5)
    data = model + 0.02 * rng.standard_normal(model.shape)
    sigma = rng.uniform(0.01, 0.03, model.shape)
    geometry = (case.t, case.t, case.phi, case.q, case.L, case.dt)
    engine = engine_of(case)
    found = engine.compute_likelihood(case.params, case.contrast, case.offset, data, sigma, *geometry)
    density = norm.logpdf(data, model, sigma)
    assert_allclose(found, -density.sum(), rtol=1e-12)
    left_out = np.tri(len(case.t), dtype=bool) & np.ones_like(data, dtype=bool)
    sigma[left_out] = np.inf
    found = engine.compute_likelihood(case.params, case.contrast, case.offset, data, sigma, *geometry)
    assert_allclose(found, -density[~left_out].sum(), rtol=1e-12)


def test_the_likelihood_takes_the_convention_of_its_engine(golden_case):
    from homodyne_lib.spec.jax_backend import compute_g2_scaled

    case = golden_case
    published = np.asarray(compute_g2_scaled(case.params, *case.g2_arguments, shear_convention="published"))
    geometry = (case.t, case.t, case.phi, case.q, case.L, case.dt)
    engine = UnifiedHomodyneEngine(engine_of(case).analysis_mode, shear_convention="published")
    found = engine.compute_likelihood(case.params, case.contrast, case.offset, published, 0.01, *geometry)
    assert_allclose(found, -norm.logpdf(0.0, 0.0, 0.01) * published.size, rtol=1e-9)
    engine = UnifiedHomodyneEngine(engine.analysis_mode, shear_convention="other")
    with pytest.raises(ValueError, match="shear convention 'other' does not exist"):
        engine.compute_likelihood(case.params, case.contrast, case.offset, published, 0.01, *geometry)


def test_scaling_of_the_engine(golden_case):
    theory, data = golden_g1_squared(golden_case), golden_case.golden["data"]
    found = engine_of(golden_case).estimate_scaling_parameters(data, theory)
    assert_allclose(found, golden_case.golden["ls_contrast_offset"].mean(axis=1), rtol=GOLDEN_RTOL)


def test_scaling_of_the_engine_respects_bounds(caplog):
    theory = np.linspace(0.0, 1.0, 20)
    engine = UnifiedHomodyneEngine(parameter_space=ParameterSpace(contrast_bounds=(0.1, 0.4)))
    with caplog.at_level(logging.WARNING):
        assert_allclose(engine.estimate_scaling_parameters(0.3 * theory + 1.0, theory), (0.3, 1.0), rtol=1e-13)
        assert not caplog.records
        assert_allclose(engine.estimate_scaling_parameters(0.8 * theory + 1.0, theory), (0.4, 1.0), rtol=1e-13)
    assert "contrast 0.8, offset 1 are moved to 0.4, 1" in caplog.text
    unbounded = engine.estimate_scaling_parameters(0.8 * theory + 1.0, theory, validate_bounds=False)
    assert_allclose(unbounded, (0.8, 1.0), rtol=1e-13)


@pytest.mark.parametrize(
    ("n", "name"),
    [(1, "small"), (999_999, "small"), (10**6, "medium"), (10**7, "large"), (3 * 10**7, "large")],
)
def test_dataset_sizes(n, name):
    assert UnifiedHomodyneEngine("static").detect_dataset_size(np.broadcast_to(1.0, n)) == name


GOOD = {
    "data": np.ones((2, 4, 4)),
    "sigma": 0.1,
    "t1": 0.1 * np.arange(4),
    "t2": 0.1 * np.arange(4),
    "phi": [0.0, 90.0],
    "q": 0.01,
    "L": 2e6,
}


@pytest.mark.parametrize("sigma", [None, 0.1, np.full((2, 4, 4), 0.1), np.full((2, 1, 1), 0.1)])
def test_good_inputs(sigma):
    UnifiedHomodyneEngine().validate_inputs(**GOOD | {"sigma": sigma})
    times = np.meshgrid(GOOD["t1"], GOOD["t2"], indexing="ij")
    UnifiedHomodyneEngine().validate_inputs(**GOOD | {"t1": times[0], "t2": times[1], "sigma": sigma})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"data": np.ones((4, 4))}, r"data have shape \(4, 4\); phi, t1 and t2 make it \(2, 4, 4\)"),
        ({"phi": [0.0, 45.0, 90.0]}, r"\(2, 4, 4\); phi, t1 and t2 make it \(3, 4, 4\)"),
        ({"data": np.ones((2, 0, 4)), "t1": []}, r"\(2, 0, 4\)"),
        ({"t1": np.ones((4, 4)), "t2": np.ones((7, 7))}, r"t1 has shape \(4, 4\) and t2 \(7, 7\)"),
        ({"data": np.full((2, 4, 4), np.nan)}, "32 entries that are not finite"),
        ({"t1": [0.0, 0.1, np.nan, 0.3]}, "t1 holds values that are not finite"),
        ({"phi": [0.0, np.inf]}, "phi holds values that are not finite"),
        ({"sigma": 0.0}, "sigma must be positive everywhere"),
        ({"sigma": np.ones(3)}, r"sigma of shape \(3,\) cannot be broadcast"),
        ({"q": 0.0}, "q = 0.0 1/Å must be"),
        ({"L": np.nan}, "L = nan Å must be"),
    ],
)
def test_bad_inputs(change, text):
    with pytest.raises(ValueError, match=text):
        UnifiedHomodyneEngine().validate_inputs(**GOOD | change)


def test_text_is_not_data():
    with pytest.raises(TypeError, match="data must hold real numbers"):
        UnifiedHomodyneEngine().validate_inputs(**GOOD | {"data": np.full((2, 4, 4), "1")})


def test_likelihood_refuses_what_the_model_refuses():
    engine = UnifiedHomodyneEngine("static")
    params = get_default_parameters("static")
    with pytest.raises(ValueError, match="dt"):
        engine.compute_likelihood(params, 0.3, 1.0, **GOOD, dt=None)
    with pytest.raises(ValueError, match="sigma must be positive"):
        engine.compute_likelihood(params, 0.3, 1.0, **GOOD | {"sigma": 0.0}, dt=0.1)
    with pytest.raises(ValueError, match=r"static has 3 parameters; found \(7,\)"):
        engine.compute_likelihood(np.ones(7), 0.3, 1.0, **GOOD, dt=0.1)

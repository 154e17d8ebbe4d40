"""Every name of the specification: in its module, with its signature, called as written there, with the right values."""

from __future__ import annotations

import dataclasses
import inspect
import math
from importlib import import_module

import jax
import numpy as np
import pytest
import reference
from scipy.stats import norm

import homodyne_lib

# Module -> name -> its parameters, as the specification writes them. Where it writes none, those of docs/api.md.
G1, G2 = "params t1 t2 phi q L dt", "params t1 t2 phi q L contrast offset dt"
CHI2 = "params data sigma t1 t2 phi q L contrast offset"
POOLED = "c2_data t1 t2 phi_indices n_phi contrast_bounds offset_bounds log"
SPECIFIED = {
    "physics": {
        "PhysicsConstants": "",
        "parameter_bounds": "",
        "ValidationResult": "valid violations parameters_checked message",
        "validate_parameters_detailed": "params bounds names",
        "validate_parameters": "params bounds",
        "clip_parameters": "params bounds",
        "get_default_parameters": "model_type",
        "validate_experimental_setup": "q L wavelength",
        "estimate_correlation_time": "D0 alpha q",
    },
    "models": {
        "PhysicsModelBase": "name parameter_names",
        "PhysicsModelBase.compute_g1": G1,
        "PhysicsModelBase.get_parameter_bounds": "",
        "PhysicsModelBase.get_default_parameters": "",
        "PhysicsModelBase.validate_parameters": "params",
        "PhysicsModelBase.get_parameter_dict": "params",
        "DiffusionModel": "",
        "DiffusionModel.compute_g1": G1,
        "ShearModel": "",
        "ShearModel.compute_g1": G1,
        "CombinedModel": "analysis_mode",
        "CombinedModel.compute_g1": G1,
        "CombinedModel.compute_g1_batch": "params t1_batch t2_batch phi_batch q L dt",
        "CombinedModel.compute_g2": G2,
        "CombinedModel.get_parameter_bounds": "",
        "create_model": "analysis_mode",
        "get_available_models": "",
    },
    "model_mixins": {
        "GradientCapabilityMixin": "",
        "GradientCapabilityMixin.get_gradient_function": "",
        "GradientCapabilityMixin.get_hessian_function": "",
        "GradientCapabilityMixin.supports_gradients": "",
        "GradientCapabilityMixin.get_best_gradient_method": "",
        "BenchmarkingMixin": "",
        "BenchmarkingMixin.benchmark_gradient_performance": "",
        "BenchmarkingMixin.validate_gradient_accuracy": "",
        "OptimizationRecommendationMixin": "",
        "OptimizationRecommendationMixin.get_optimization_recommendations": "",
        "OptimizationRecommendationMixin.get_model_info": "",
    },
    "physics_factors": {
        "PhysicsFactors": "wavevector_q stator_rotor_gap dt wavevector_q_squared_half_dt sinc_prefactor",
        "PhysicsFactors.from_config": "q L dt validate",
        "PhysicsFactors.to_tuple": "",
        "create_physics_factors_from_config_dict": "config",
    },
    "jax_backend": {
        "get_cached_meshgrid": "t1 t2",
        "compute_g1_diffusion": "params t1 t2 q dt",
        "compute_g1_shear": G1,
        "compute_g1_total": G1,
        "compute_g2_scaled": G2,
        "compute_g2_scaled_with_factors": "params t1 t2 phi wq_dt sinc_pre contrast offset dt",
        "compute_chi_squared": f"{CHI2} dt",
        "gradient_g2": G2,
        "hessian_g2": G2,
        "gradient_chi2": f"{CHI2} dt",
        "hessian_chi2": f"{CHI2} dt",
        "vectorized_g2_computation": "params_batch",
        "batch_chi_squared": "params_batch",
    },
    "physics_nlsq": {"compute_g2_scaled_with_factors": "params t1 t2 phi wq_dt sinc_pre contrast offset dt"},
    "physics_cmc": {
        "ShardGrid": "time_safe idx1 idx2 dt_safe",
        "precompute_shard_grid": "time_grid t1 t2 dt",
        "compute_g1_total_with_precomputed": "params phi_unique time_safe idx1 idx2 wq_dt sinc_pre",
    },
    "physics_utils": {
        "safe_exp": "x max_val",
        "safe_sinc": "x",
        "calculate_diffusion_coefficient": "t D0 alpha D_offset",
        "calculate_shear_rate": "t gamma0 beta offset",
        "calculate_shear_rate_cmc": "t gamma0 beta offset",
        "create_time_integral_matrix": "f",
        "trapezoid_cumsum": "values",
    },
    "scaling_utils": {
        "estimate_contrast_offset_from_quantiles": (
            "c2_data delta_t contrast_bounds offset_bounds lag_floor_quantile lag_ceiling_quantile value_quantile_low "
            "value_quantile_high"
        ),
        "estimate_per_angle_scaling": POOLED,
        "compute_averaged_scaling": POOLED,
    },
    "numpy_gradients": {"numpy_gradient": "func argnums config", "numpy_hessian": "func argnums config"},
    "homodyne_model": {
        "HomodyneModel": "config",
        "HomodyneModel.compute_c2": "params phi_angles contrast offset",
        "HomodyneModel.compute_c2_single_angle": "params phi contrast offset",
        "HomodyneModel.plot_simulated_data": "params phi_angles output_dir contrast offset generate_plots",
    },
    "theory": {
        "TheoryEngine": "analysis_mode",
        "TheoryEngine.compute_g1": G1,
        "TheoryEngine.compute_g2": G2,
        "TheoryEngine.compute_chi_squared": CHI2,
        "TheoryEngine.batch_computation": CHI2.replace("params", "params_batch"),
        "TheoryEngine.estimate_computation_cost": "t1 t2 phi",
        "compute_g2_theory": f"{G2} analysis_mode",
        "compute_chi2_theory": f"{CHI2} analysis_mode",
    },
    "fitting": {
        "ParameterSpace": (
            "contrast_bounds offset_bounds contrast_prior offset_prior D0_bounds alpha_bounds D_offset_bounds "
            "gamma_dot_t0_bounds beta_bounds gamma_dot_t_offset_bounds phi0_bounds"
        ),
        "ParameterSpace.get_param_bounds": "analysis_mode",
        "ParameterSpace.get_param_priors": "analysis_mode",
        "FitResult": (
            "params contrast offset chi_squared reduced_chi_squared degrees_of_freedom p_value param_errors converged "
            "computation_time backend dataset_size analysis_mode contrast_error offset_error residual_std max_residual "
            "fit_iterations"
        ),
        "solve_least_squares_jax": "theory_batch exp_batch",
        "solve_least_squares_general_jax": "design_matrix target",
        "solve_least_squares_chunked_jax": "theory_chunks exp_chunks",
        "UnifiedHomodyneEngine": "analysis_mode parameter_space",
        "UnifiedHomodyneEngine.estimate_scaling_parameters": "data theory validate_bounds",
        "UnifiedHomodyneEngine.compute_likelihood": "params contrast offset data sigma t1 t2 phi q L dt",
        "UnifiedHomodyneEngine.detect_dataset_size": "data",
        "UnifiedHomodyneEngine.validate_inputs": "data sigma t1 t2 phi q L",
    },
    "diagonal_correction": {
        "apply_diagonal_correction": "c2_mat method backend",
        "apply_diagonal_correction_batch": "c2_matrices method backend",
    },
    "backend_api": {"select_physics_backend": "", "get_device_info": ""},
}
NAMES = [(module, name) for module, names in SPECIFIED.items() for name in names]


def find(module, path):
    """The object of a name, with dots, in a module of the specification."""
    value = import_module(f"homodyne_lib.spec.{module}")
    for name in path.split("."):
        value = getattr(value, name)
    return value


@pytest.mark.parametrize(("module", "path"), NAMES, ids=lambda v: v)
def test_name_has_its_module_and_its_signature(module, path):
    value, name = find(module, path), path.partition(".")[0]
    assert name in import_module(f"homodyne_lib.spec.{module}").__all__
    assert name in homodyne_lib.__all__
    parameters = [p for p in inspect.signature(value).parameters.values() if p.name != "self"]
    wanted = SPECIFIED[module][path].split()
    assert [p.name for p in parameters[: len(wanted)]] == wanted
    ours = {p.name for p in parameters[len(wanted) :] if p.default is p.empty and p.kind is not p.VAR_POSITIONAL}
    assert ours - {"kwargs"} <= {"dt", "config"}, "what the specification does not know is optional, dt excepted"


# ---------------------------------------------------------------- its own calls

N, DT, Q, GAP = 5, 0.1, 0.0054, 2e6
T, PHI = DT * np.arange(N), np.array([0.0, 30.0, 90.0])
PARAMS = np.array([5000.0, -0.5, 500.0, 1e-3, -0.3, 1e-4, 3.0])
STATIC = PARAMS[:3]
CONTRAST, OFFSET, SIGMA = 0.3, 1.0, 0.02
WQ_DT, SINC = 0.5 * Q**2 * DT, Q * GAP * DT / (2.0 * math.pi)
MESH = dict(t1=T, t2=T)
EXPERIMENT = dict(params=PARAMS, **MESH, phi=PHI, q=Q, L=GAP)
SCALED = EXPERIMENT | dict(contrast=CONTRAST, offset=OFFSET)
G1_TOTAL = reference.g1_total(PARAMS, T, PHI, Q, GAP, DT)
MODEL = reference.g2(PARAMS, T, PHI, Q, GAP, CONTRAST, OFFSET, DT)
DATA = MODEL + SIGMA * np.random.default_rng(0).standard_normal(MODEL.shape)
OBSERVED = dict(params=PARAMS, data=DATA, sigma=SIGMA, **MESH, phi=PHI, q=Q, L=GAP, contrast=CONTRAST, offset=OFFSET)
CHI_SQUARED = reference.chi_squared(DATA, MODEL, SIGMA)
BATCH = np.stack([PARAMS, 1.01 * PARAMS])
CONFIG = {
    "analyzer_parameters": {
        "temporal": {"dt": DT, "start_frame": 1, "end_frame": N},
        "scattering": {"wavevector_q": Q},
        "geometry": {"stator_rotor_gap": GAP},
    }
}
ROWS, COLUMNS = (index.ravel() for index in np.indices((N, N)))


def diffusion():
    """g1 of diffusion in the loops."""
    return reference.g1_diffusion(PARAMS, T, Q, DT)


def shear():
    """g1 of shear in the loops."""
    return reference.g1_shear(PARAMS, T, PHI, Q, GAP, DT)


def g2_of(params):
    """g2 in the loops."""
    return reference.g2(params, T, PHI, Q, GAP, CONTRAST, OFFSET, DT)


def chi2_of(params):
    """χ² in the loops."""
    return np.array(reference.chi_squared(DATA, g2_of(params), SIGMA))


def slope(function, relative_step=1e-5):
    """Derivative of one of the loops."""
    return lambda params: reference.central_difference(function, params, relative_step)


MEAN_LAG = DT * np.abs(np.subtract.outer(np.arange(40), np.arange(40)))
DECAY = 1.0 + 0.3 * np.exp(-MEAN_LAG / 0.3)
POINTS = dict(
    c2_data=np.tile(DECAY.ravel(), 2),
    t1=np.tile(DT * np.repeat(np.arange(40), 40), 2),
    t2=np.tile(DT * np.tile(np.arange(40), 40), 2),
    phi_indices=np.repeat([0, 1], 1600),
    n_phi=2,
    contrast_bounds=(0.0, 1.0),
    offset_bounds=(0.5, 1.5),
    log=None,
)


def quantile_scaling():
    """The specification's two steps, with NumPy's percentiles."""
    lag, c2 = MEAN_LAG.ravel(), DECAY.ravel()
    offset = np.percentile(c2[lag >= np.percentile(lag, 80)], 10)
    return np.percentile(c2[lag <= np.percentile(lag, 20)], 90) - offset, offset


def likelihood():
    """SciPy's normal density of every entry."""
    return -norm.logpdf(DATA, MODEL, SIGMA).sum()


# Name -> arguments in the order of the specification, and the value from something else than this library.
VALUES = {
    ("physics", "estimate_correlation_time"): (dict(D0=100.0, alpha=0.0, q=Q), lambda: 1.0 / (Q * Q * 100.0)),
    ("physics", "validate_parameters"): (dict(params=[1.0, 5.0], bounds=[(0, 2), (0, 2)]), lambda: False),
    ("physics", "clip_parameters"): (dict(params=[1.0, 5.0], bounds=[(0, 2), (0, 2)]), lambda: [1.0, 2.0]),
    ("jax_backend", "get_cached_meshgrid"): (MESH, lambda: np.meshgrid(T, T, indexing="ij")),
    ("jax_backend", "compute_g1_diffusion"): (dict(params=PARAMS, **MESH, q=Q, dt=DT), diffusion),
    ("jax_backend", "compute_g1_shear"): (EXPERIMENT | dict(dt=DT), shear),
    ("jax_backend", "compute_g1_total"): (EXPERIMENT | dict(dt=DT), lambda: G1_TOTAL),
    ("jax_backend", "compute_g2_scaled"): (SCALED | dict(dt=DT), lambda: MODEL),
    ("jax_backend", "compute_chi_squared"): (OBSERVED | dict(dt=DT), lambda: CHI_SQUARED),
    ("physics_utils", "safe_exp"): (dict(x=np.array([-1e4, 0.5]), max_val=700.0), lambda: np.exp([-700.0, 0.5])),
    ("physics_utils", "safe_sinc"): (dict(x=np.array([0.0, 1e-5, 2.0])), lambda: np.sinc([0.0, 1e-5 / np.pi, 2 / np.pi])),
    ("physics_utils", "trapezoid_cumsum"): (dict(values=T), lambda: DT * 0.5 * np.arange(N) ** 2),
    ("physics_utils", "create_time_integral_matrix"): (
        dict(f=1.0 + T),
        lambda: [[reference.integral_in_steps(1.0 + T, i, j) for j in range(N)] for i in range(N)],
    ),
    ("scaling_utils", "estimate_contrast_offset_from_quantiles"): (
        dict(c2_data=DECAY.ravel(), delta_t=MEAN_LAG.ravel()),
        quantile_scaling,
    ),
    ("fitting", "solve_least_squares_jax"): (
        dict(theory_batch=G1_TOTAL.reshape(3, -1) ** 2, exp_batch=DATA.reshape(3, -1)),
        lambda: np.transpose(
            [np.polyfit(x.ravel() ** 2, y.ravel(), 1) for x, y in zip(G1_TOTAL, DATA, strict=True)],
        ),
    ),
    ("fitting", "solve_least_squares_chunked_jax"): (
        dict(theory_chunks=G1_TOTAL.reshape(3, -1) ** 2, exp_chunks=DATA.reshape(3, -1)),
        lambda: np.polyfit(G1_TOTAL.ravel() ** 2, DATA.ravel(), 1),
    ),
    ("fitting", "solve_least_squares_general_jax"): (
        dict(design_matrix=np.vander(10.0 * T, 3), target=np.cos(T)),
        lambda: np.linalg.lstsq(np.vander(10.0 * T, 3), np.cos(T), rcond=None)[0],
    ),
    ("theory", "compute_g2_theory"): (SCALED | dict(dt=DT, analysis_mode="laminar_flow"), lambda: MODEL),
} | {
    (module, "compute_g2_scaled_with_factors"): (
        dict(params=PARAMS, **MESH, phi=PHI, wq_dt=WQ_DT, sinc_pre=SINC, contrast=CONTRAST, offset=OFFSET, dt=DT),
        lambda: MODEL,
    )
    for module in ("jax_backend", "physics_nlsq")
} | {
    ("physics_utils", name): (
        dict(t=T) | dict(zip(names, (100.0, -0.5, 7.0), strict=True)),
        lambda: reference.rate(T, DT, 100.0, -0.5, 7.0),
    )
    for name, names in (
        ("calculate_diffusion_coefficient", ("D0", "alpha", "D_offset")),
        ("calculate_shear_rate", ("gamma0", "beta", "offset")),
        ("calculate_shear_rate_cmc", ("gamma0", "beta", "offset")),
    )
}  # fmt: skip


@pytest.mark.parametrize(("module", "name"), VALUES, ids=lambda v: v)
def test_positions_and_keywords_give_the_value(module, name):
    arguments, expected = VALUES[module, name]
    function = find(module, name)
    by_position, by_name = function(*arguments.values()), function(**arguments)
    np.testing.assert_array_equal(by_position, by_name)
    np.testing.assert_allclose(by_name, expected(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "arguments", "expected", "atol"),
    [
        ("gradient_g2", SCALED, slope(g2_of), 1e-7),
        ("gradient_chi2", OBSERVED, slope(chi2_of), 1e-6),
        ("hessian_g2", SCALED, slope(slope(g2_of, 1e-3), 1e-3), 3e-5),
        ("hessian_chi2", OBSERVED, slope(slope(chi2_of, 1e-3), 1e-3), 3e-5),
    ],
)
def test_derivatives_are_those_of_the_loops(name, arguments, expected, atol):
    function = find("jax_backend", name)
    found = np.asarray(function(*arguments.values(), DT))
    np.testing.assert_array_equal(found, function(**arguments, dt=DT))
    wanted = expected(PARAMS)
    assert found.shape == wanted.shape
    axes = tuple(range(wanted.ndim - (2 if "hessian" in name else 1)))
    scale = np.abs(wanted).max(axis=axes)
    if "hessian" in name:  # mixed entries may vanish beside the curvatures of their parameters
        scale = np.sqrt(np.outer(np.diag(scale), np.diag(scale)))
    np.testing.assert_allclose(found / scale, wanted / scale, atol=atol)


def test_batches():
    g2 = find("jax_backend", "vectorized_g2_computation")(BATCH, T, T, PHI, Q, GAP, CONTRAST, OFFSET, DT)
    np.testing.assert_allclose(g2, np.stack([MODEL, g2_of(BATCH[1])]), rtol=1e-12)
    chi2 = find("jax_backend", "batch_chi_squared")(BATCH, *list(OBSERVED.values())[1:], dt=DT)
    np.testing.assert_allclose(chi2, [CHI_SQUARED, chi2_of(BATCH[1])], rtol=1e-9)


def test_what_is_no_number_or_no_frame_is_refused_in_batches_and_shards():
    with pytest.raises(ValueError, match="params_batch holds values that are not finite"):
        find("jax_backend", "vectorized_g2_computation")(BATCH * np.nan, T, T, PHI, Q, GAP, CONTRAST, OFFSET, DT)
    grid = find("physics_cmc", "precompute_shard_grid")(T, T[ROWS], T[COLUMNS], DT)
    for beyond in (np.full_like(grid.idx2, 50), np.full_like(grid.idx2, -1)):
        with pytest.raises(ValueError, match=f"idx2 goes from {beyond[0]} to {beyond[0]}; the axis has"):
            find("physics_cmc", "compute_g1_total_with_precomputed")(
                PARAMS, PHI, grid.time_safe, grid.idx1, beyond, WQ_DT, SINC
            )


@pytest.mark.parametrize("kind", [np.asarray, list])
def test_shard(kind):
    grid = find("physics_cmc", "precompute_shard_grid")(T, T[ROWS], T[COLUMNS], DT)
    assert grid._fields == ("time_safe", "idx1", "idx2", "dt_safe")
    np.testing.assert_array_equal((grid.idx1, grid.idx2), (ROWS, COLUMNS))
    assert (grid.time_safe[0], grid.dt_safe) == (0.5 * DT, DT)
    g1 = find("physics_cmc", "compute_g1_total_with_precomputed")(
        params=PARAMS,
        phi_unique=kind(PHI),
        time_safe=kind(np.asarray(grid.time_safe)),
        idx1=kind(grid.idx1),
        idx2=kind(grid.idx2),
        wq_dt=WQ_DT,
        sinc_pre=SINC,
    )
    np.testing.assert_allclose(g1, G1_TOTAL[:, ROWS, COLUMNS], rtol=1e-12)


def test_factors():
    factors = find("physics_factors", "PhysicsFactors")
    made = factors.from_config(q=Q, L=GAP, dt=DT, validate=True)
    assert dataclasses.astuple(made) == pytest.approx((Q, GAP, DT, WQ_DT, SINC), rel=1e-15)
    assert (
        made
        == factors.from_config(Q, GAP, DT)
        == find("physics_factors", "create_physics_factors_from_config_dict")(CONFIG)
    )
    assert made.to_tuple() == dataclasses.astuple(made)[3:]


def test_physics():
    bounds = find("physics", "parameter_bounds")()
    assert bounds["combined"] == bounds["diffusion"] + bounds["shear"]
    result = find("physics", "validate_parameters_detailed")(
        PARAMS, bounds["combined"], homodyne_lib.CombinedModel().parameter_names
    )
    assert (result.valid, result.violations, result.parameters_checked, result.message[:2]) == (True, [], 7, "OK")
    assert find("physics", "get_default_parameters")(model_type="combined").shape == (7,)
    assert find("physics", "validate_experimental_setup")(q=Q, L=GAP, wavelength=1.55).valid


@pytest.mark.parametrize(
    ("name", "arguments", "params", "expected"),
    [
        ("DiffusionModel", (), STATIC, diffusion),
        ("ShearModel", (), PARAMS[3:], shear),
        ("CombinedModel", ("static",), STATIC, diffusion),
        ("CombinedModel", (), PARAMS, lambda: G1_TOTAL),
        ("create_model", ("laminar_flow",), PARAMS, lambda: G1_TOTAL),
    ],
)
def test_models(name, arguments, params, expected):
    model = find("models", name)(*arguments)
    found = model.compute_g1(params, T, T, PHI, Q, GAP, DT)
    np.testing.assert_allclose(found, expected(), rtol=1e-12)
    np.testing.assert_array_equal(found, model.compute_g1(**EXPERIMENT | dict(params=params), dt=DT))
    assert model.get_parameter_dict(params) == dict(zip(model.parameter_names, params, strict=True))
    assert model.validate_parameters(params) and model.validate_parameters(model.get_default_parameters())
    assert len(model.get_parameter_bounds()) == len(params)


def test_combined_model():
    model = find("models", "CombinedModel")(analysis_mode="laminar_flow")
    points = model.compute_g1_batch(
        params=PARAMS, t1_batch=T[ROWS], t2_batch=T[COLUMNS], phi_batch=np.full(N * N, PHI[1]), q=Q, L=GAP, dt=DT
    )
    np.testing.assert_allclose(points, G1_TOTAL[1, ROWS, COLUMNS], rtol=1e-12)
    np.testing.assert_allclose(model.compute_g2(**SCALED, dt=DT), MODEL, rtol=1e-13)
    assert find("models", "get_available_models")() == [
        *("static", "static_isotropic", "static_anisotropic", "laminar_flow")
    ]
    for mixin in SPECIFIED["model_mixins"]:
        assert "." in mixin or isinstance(model, find("model_mixins", mixin))
    jacobian = model.get_gradient_function()(*SCALED.values(), DT)
    np.testing.assert_array_equal(jacobian, homodyne_lib.gradient_g2(*SCALED.values(), DT))
    assert model.supports_gradients() and model.get_best_gradient_method() == "jax_native"
    assert model.get_model_info()["n_parameters"] == 7 and model.get_optimization_recommendations()


def test_numerical_derivatives():
    def cubic(x):
        return x[0] ** 3 * x[1]

    point = np.array([2.0, 3.0])
    gradient = find("numpy_gradients", "numpy_gradient")(func=cubic, argnums=0, config=None)
    np.testing.assert_allclose(gradient(point), [36.0, 8.0], rtol=1e-10)
    hessian = find("numpy_gradients", "numpy_hessian")(cubic, 0, None)
    np.testing.assert_allclose(hessian(point), [[36.0, 12.0], [12.0, 0.0]], rtol=1e-8, atol=1e-7)


def test_scaling_of_pooled_points():
    contrast, offset = quantile_scaling()
    each = find("scaling_utils", "estimate_per_angle_scaling")(**POINTS)
    assert each == pytest.approx(
        {f"{q}_{k}": v for k in (0, 1) for q, v in (("contrast", contrast), ("offset", offset))}
    )
    mean = find("scaling_utils", "compute_averaged_scaling")(*POINTS.values())
    np.testing.assert_allclose(mean[:2], (contrast, offset), rtol=1e-12)
    np.testing.assert_allclose(mean[2:], [[contrast] * 2, [offset] * 2], rtol=1e-12)


def test_homodyne_model(tmp_path):
    model = find("homodyne_model", "HomodyneModel")(config=CONFIG)
    c2 = model.compute_c2(params=PARAMS, phi_angles=PHI, contrast=CONTRAST, offset=OFFSET)
    np.testing.assert_allclose(c2, MODEL, rtol=1e-13)
    np.testing.assert_array_equal(model.compute_c2_single_angle(PARAMS, PHI[1], CONTRAST, OFFSET), c2[1])
    saved, path = model.plot_simulated_data(PARAMS, PHI, tmp_path, CONTRAST, OFFSET, generate_plots=False)
    np.testing.assert_array_equal(np.load(path)["c2"], saved)
    for name in (
        "physics_factors",
        "time_array",
        "t1_grid",
        "t2_grid",
        "model",
        "dt",
        "wavevector_q",
        "stator_rotor_gap",
    ):
        assert hasattr(model, name)
    assert (model.analysis_mode, model.start_frame, model.end_frame) == ("laminar_flow", 1, N)


def test_theory_engine():
    engine = find("theory", "TheoryEngine")(analysis_mode="laminar_flow")
    np.testing.assert_allclose(engine.compute_g1(**EXPERIMENT, dt=DT), G1_TOTAL, rtol=1e-12)
    np.testing.assert_allclose(engine.compute_g2(*SCALED.values(), DT), MODEL, rtol=1e-13)
    assert engine.compute_chi_squared(**OBSERVED, dt=DT) == pytest.approx(CHI_SQUARED, rel=1e-9)
    batch = engine.batch_computation(**{"params_batch": BATCH} | dict(list(OBSERVED.items())[1:]), dt=DT)
    np.testing.assert_allclose(batch, [CHI_SQUARED, chi2_of(BATCH[1])], rtol=1e-9)
    assert engine.estimate_computation_cost(T, T, PHI)["estimated_operations"] == 3 * N * N * 50
    theory = find("theory", "compute_chi2_theory")
    # The specification's last argument is the mode; dt, which its call leaves out, is given by name.
    assert theory(*OBSERVED.values(), "laminar_flow", dt=DT) == pytest.approx(CHI_SQUARED, rel=1e-9)
    with pytest.raises(TypeError, match="'dt'"):
        theory(*OBSERVED.values(), "laminar_flow")


def test_parameter_space():
    space = find("fitting", "ParameterSpace")()
    bounds = dict(
        zip(homodyne_lib.CombinedModel().parameter_names, space.get_param_bounds("laminar_flow"), strict=True)
    )
    assert bounds == {name: getattr(space, f"{name}_bounds") for name in bounds}
    priors = space.get_param_priors(analysis_mode="laminar_flow")
    assert [len(prior) for prior in priors] == [2] * 7
    # One prior of contrast and offset: that of the sampler.
    from homodyne_lib.model.scales import prior_normal

    assert np.transpose(prior_normal(["contrast", "offset"])).tolist() == [
        [*space.contrast_prior],
        [*space.offset_prior],
    ]


def test_engine():
    engine = find("fitting", "UnifiedHomodyneEngine")(analysis_mode="laminar_flow", parameter_space=None)
    lines = [np.polyfit(x.ravel() ** 2, y.ravel(), 1) for x, y in zip(G1_TOTAL, DATA, strict=True)]
    found = engine.estimate_scaling_parameters(data=DATA, theory=G1_TOTAL**2, validate_bounds=True)
    np.testing.assert_allclose(found, np.mean(lines, axis=0), rtol=1e-9)
    arguments = dict(
        params=PARAMS, contrast=CONTRAST, offset=OFFSET, data=DATA, sigma=SIGMA, **MESH, phi=PHI, q=Q, L=GAP
    )
    assert engine.compute_likelihood(*arguments.values(), DT) == pytest.approx(likelihood(), rel=1e-9)
    assert engine.detect_dataset_size(data=DATA) == "small"
    assert engine.validate_inputs(DATA, SIGMA, T, T, PHI, Q, GAP) is None


def test_singular_least_squares_gives_the_smallest_contrast_and_the_mean():
    """The specification gives (1, 1); docs/model.md says why this is (1e-6, mean)."""
    contrast, offset = find("fitting", "solve_least_squares_jax")(
        np.full((1, 4), 0.5), np.array([[1.0, 1.1, 1.2, 1.3]])
    )
    np.testing.assert_allclose((contrast[0], offset[0]), (1e-6, 1.15 - 0.5e-6), rtol=1e-12)


@pytest.mark.parametrize("method", ["basic", "statistical", "interpolation"])
def test_diagonal_correction(method):
    c2 = MODEL.copy()
    c2[:, range(N), range(N)] = 9.0
    single = find("diagonal_correction", "apply_diagonal_correction")(c2_mat=c2[0], method=method, backend="auto")
    batch = find("diagonal_correction", "apply_diagonal_correction_batch")(c2, method, "auto")
    np.testing.assert_allclose(batch[0], single, rtol=1e-14)
    if method == "basic":
        beside = np.diagonal(MODEL[0], 1)
        np.testing.assert_allclose(np.diagonal(single)[1:-1], 0.5 * (beside[1:] + beside[:-1]), rtol=1e-14)
    off = ~np.eye(N, dtype=bool)
    np.testing.assert_array_equal(np.asarray(single)[off], MODEL[0][off])


def test_backend():
    assert find("backend_api", "select_physics_backend")() == "jax"
    assert find("backend_api", "get_device_info")()["version"] == jax.__version__

"""Model classes, HomodyneModel and TheoryEngine against loops and the golden file; all without JAX, too."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import reference

from homodyne_lib.spec.homodyne_model import HomodyneModel, determine_analysis_mode
from homodyne_lib.spec.model_mixins import GradientProblem
from homodyne_lib.spec.models import (
    CombinedModel,
    DiffusionModel,
    PhysicsModelBase,
    ShearModel,
    create_model,
    get_available_models,
)
from homodyne_lib.spec.numpy_gradients import GRADIENT_METHODS
from homodyne_lib.spec.theory import TheoryEngine, compute_chi2_theory, compute_g2_theory

pytestmark = pytest.mark.usefixtures("strict_jax")
ROOT = Path(__file__).parents[2]
DIFFUSION = ["D0", "alpha", "D_offset"]
SHEAR = ["gamma_dot_t0", "beta", "gamma_dot_t_offset", "phi0"]
both_backends = pytest.mark.parametrize("backend", ["jax", "numpy"])
both_conventions = pytest.mark.parametrize("convention", ["spec", "published"])


def mode_of(case):
    """The analysis mode of a case."""
    return "laminar_flow" if case.laminar else "static"


def config_of(case, **sections):
    """The configuration of the spec (section 10) for a case whose frames start at t = 0."""
    return {
        "analyzer_parameters": {
            "temporal": {"dt": case.dt, "start_frame": 1, "end_frame": len(case.t)},
            "scattering": {"wavevector_q": case.q},
            "geometry": {"stator_rotor_gap": case.L},
        },
        "analysis_mode": mode_of(case),
        **sections,
    }


# ---------------------------------------------------------------- the class tree


@pytest.mark.parametrize(
    ("model", "name", "parameters"),
    [
        (DiffusionModel(), "anomalous_diffusion", DIFFUSION),
        (ShearModel(), "time_dependent_shear", SHEAR),
        (CombinedModel("static"), "static_diffusion", DIFFUSION),
        (CombinedModel("static_isotropic"), "static_diffusion", DIFFUSION),
        (CombinedModel("static_anisotropic"), "static_diffusion", DIFFUSION),
        (CombinedModel(), "laminar_flow_complete", DIFFUSION + SHEAR),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_names_bounds_and_defaults(model, name, parameters):
    assert isinstance(model, PhysicsModelBase)
    assert model.name == name
    assert model.parameter_names == parameters
    bounds = {  # the spec's table
        "D0": (1.0, 1e6),
        "alpha": (-2.0, 2.0),
        "D_offset": (-1e5, 1e5),
        "gamma_dot_t0": (1e-5, 1.0),
        "beta": (-2.0, 2.0),
        "gamma_dot_t_offset": (-1.0, 1.0),
        "phi0": (-30.0, 30.0),
    }
    assert model.get_parameter_bounds() == [bounds[p] for p in parameters]
    defaults = model.get_default_parameters()
    assert model.validate_parameters(defaults)
    assert model.get_parameter_dict(defaults) == dict(zip(parameters, np.asarray(defaults).tolist(), strict=True))
    outside = np.array(defaults)
    outside[1] = 2.5
    assert not model.validate_parameters(outside)


def test_the_base_class_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        PhysicsModelBase("nothing", DIFFUSION)


def test_factory():
    assert get_available_models() == ["static", "static_isotropic", "static_anisotropic", "laminar_flow"]
    for mode in get_available_models():
        assert create_model(mode).analysis_mode == mode
    with pytest.raises(ValueError, match="'brownian' does not exist; choose one of static, "):
        create_model("brownian")
    for make in (ShearModel, lambda c: create_model("static", c), lambda c: TheoryEngine(shear_convention=c)):
        with pytest.raises(ValueError, match="'sinc' does not exist; choose one of spec, published"):
            make("sinc")


@both_backends
@both_conventions
def test_g1_of_each_model_is_that_of_the_double_loops(laminar_case, convention, backend, monkeypatch):
    monkeypatch.setenv("HOMODYNE_BACKEND", backend)
    case = laminar_case
    diffusion = reference.g1_diffusion(case.params, case.t, case.q, case.dt)
    shear = reference.g1_shear(case.params, case.t, case.phi, case.q, case.L, case.dt, convention)
    total = reference.g1_total(case.params, case.t, case.phi, case.q, case.L, case.dt, convention)
    for model, params, expected in (
        (DiffusionModel(), case.params[:3], diffusion),
        (CombinedModel("static", convention), case.params[:3], diffusion),
        (ShearModel(convention), case.params[3:], shear),
        (CombinedModel("laminar_flow", convention), case.params, total),
    ):
        g1 = model.compute_g1(params, *case.g1_arguments)
        assert isinstance(g1, jax.Array) == (backend == "jax")
        np.testing.assert_allclose(g1, expected, rtol=1e-12, atol=1e-14)


@both_backends
@both_conventions
def test_g1_batch_takes_each_point_at_its_own_times_and_angle(case, convention, backend, monkeypatch):
    monkeypatch.setenv("HOMODYNE_BACKEND", backend)
    rng = np.random.default_rng(5)
    i, j = rng.integers(0, len(case.t), (2, 40))
    k = rng.integers(0, len(case.phi), 40)
    batch = create_model(mode_of(case), convention).compute_g1_batch(
        case.params, case.t[i], case.t[j], case.phi[k], case.q, case.L, case.dt
    )
    mesh = reference.g1_total(case.params, case.t, case.phi, case.q, case.L, case.dt, convention)
    assert np.ptp(mesh) > 0.2  # a batch of ones would not pass
    np.testing.assert_allclose(batch, mesh[k, i, j], rtol=1e-12, atol=1e-14)


def test_g2_and_chi_squared_against_the_golden_file(golden_case):
    model, values = create_model(mode_of(golden_case)), golden_case.golden
    g2 = model.compute_g2(golden_case.params, *golden_case.g2_arguments)
    np.testing.assert_allclose(g2, values["g2"], rtol=1e-10)
    chi2 = model.compute_chi_squared(
        1.02 * golden_case.params, values["data"], values["sigma"], *golden_case.g2_arguments
    )
    np.testing.assert_allclose(chi2, values["chi2_at_1p02"], rtol=1e-8)


@pytest.mark.parametrize("n", [2, 4, 7])
def test_a_wrong_number_of_parameters_is_refused_by_name(n, laminar_case, static_case):
    for model in (DiffusionModel(), ShearModel(), create_model("static"), create_model("laminar_flow")):
        if len(model.parameter_names) == n:
            continue
        with pytest.raises(ValueError, match=rf"{model.name} takes a vector of .*found shape \({n},\)"):
            model.compute_g1(np.ones(n), *laminar_case.g1_arguments)
    with pytest.raises(ValueError, match="static_diffusion takes a vector of 3 parameters"):
        create_model("static").compute_g2(laminar_case.params, *laminar_case.g2_arguments)
    with pytest.raises(ValueError, match="the parameter table has no viscosity; it has D0"):

        class Viscous(DiffusionModel):
            def __init__(self):
                PhysicsModelBase.__init__(self, "viscous", ["viscosity"])

        Viscous()


# ---------------------------------------------------------------- the capabilities


@both_backends
def test_gradients_of_a_model(laminar_case, backend, monkeypatch):
    monkeypatch.setenv("HOMODYNE_BACKEND", backend)
    case, model = laminar_case, CombinedModel("laminar_flow", "published")
    assert model.supports_gradients()
    assert model.get_best_gradient_method() == {"jax": "jax_native", "numpy": "numpy_fallback"}[backend]
    jacobian = np.asarray(model.get_gradient_function()(case.params, *case.g2_arguments))
    expected = reference.central_difference(
        lambda p: reference.g2(p, *case.g2_arguments[1:], convention="published"), case.params
    )
    # Central differences of g2 err by ε/step: 1e-6 of the largest derivative.
    assert np.all(np.abs(jacobian - expected) <= 1e-6 * np.abs(expected).max(axis=(0, 1, 2)))


def test_hessian_of_a_model(static_case, monkeypatch):
    monkeypatch.setenv("HOMODYNE_BACKEND", "numpy")
    case, model = static_case, CombinedModel("static")
    hessian = model.get_hessian_function()(case.params, *case.g2_arguments)
    gradient = model.get_gradient_function()
    expected = reference.central_difference(lambda p: gradient(p, *case.g2_arguments), case.params)
    assert hessian.shape == (2, 6, 6, 3, 3)
    assert np.all(np.abs(hessian - expected) <= 1e-6 * np.abs(expected).max(axis=(0, 1, 2)))


@both_backends
def test_benchmark_times_every_method(static_case, backend, monkeypatch):
    monkeypatch.setenv("HOMODYNE_BACKEND", backend)
    report = CombinedModel("static").benchmark_gradient_performance(
        GradientProblem(static_case.params, *static_case.g2_arguments), n_repeats=1
    )
    methods = {*GRADIENT_METHODS} | ({"automatic"} if backend == "jax" else set())
    seconds = report["gradient_seconds"]
    assert set(seconds) == methods
    assert report["backend"] == backend
    assert (report["n_points"], report["n_parameters"]) == (2 * 6 * 6, 3)
    assert seconds[report["fastest"]] == min(seconds.values())
    # Eight evaluations a parameter cannot be had in the time of one.
    assert seconds["richardson"] > report["function_seconds"] > 0
    with pytest.raises(ValueError, match="n_repeats = 0"):
        CombinedModel("static").benchmark_gradient_performance(n_repeats=0)


@pytest.mark.parametrize(("backend", "method"), [("jax", "automatic"), ("numpy", "adaptive")])
def test_gradient_accuracy_is_measured(laminar_case, backend, method, monkeypatch):
    monkeypatch.setenv("HOMODYNE_BACKEND", backend)
    model = CombinedModel()
    problem = GradientProblem(laminar_case.params, *laminar_case.g2_arguments)
    report = model.validate_gradient_accuracy(problem)
    assert report["valid"]
    assert report["finite"]
    assert report["method"] == method
    for against in ("complex_step", "richardson"):
        assert list(report["differences"][against]) == model.parameter_names
    worst = max(max(row.values()) for row in report["differences"].values())
    assert 0 < worst < 1e-8
    assert f"{worst:.1e}" in report["verdict"]
    assert not model.validate_gradient_accuracy(problem, rtol=worst / 2)["valid"]


def test_a_wrong_gradient_is_found(laminar_case, monkeypatch):
    model = CombinedModel()
    right = model.get_gradient_function()
    factors = np.array([1.0, 1.0, 1.0, 1.0, 1.001, 1.0, 1.0])
    monkeypatch.setattr(model, "get_gradient_function", lambda: lambda *args: factors * np.asarray(right(*args)))
    report = model.validate_gradient_accuracy(GradientProblem(laminar_case.params, *laminar_case.g2_arguments))
    assert not report["valid"]
    assert report["differences"]["richardson"]["beta"] == pytest.approx(1e-3, rel=1e-4)
    assert "by beta against" in report["verdict"]
    monkeypatch.setattr(model, "get_gradient_function", lambda: lambda *args: np.nan * np.asarray(right(*args)))
    report = model.validate_gradient_accuracy()
    assert not report["valid"]
    assert "not finite" in report["verdict"]


def test_recommendations_follow_from_the_facts(monkeypatch):
    laminar, static = CombinedModel(), CombinedModel("static_isotropic")
    text = " ".join(laminar.get_optimization_recommendations(n_phi=2, n_frames=1001))
    assert "D0, gamma_dot_t0 on a logarithmic scale" in text
    assert "beta = 0" in text
    assert "2 distinct angles do not fix the flow direction" in text
    # 2 angles, 1001·1000/2 pairs, 7 doubles each: 56 MB.
    assert "1,001,000 distinct pairs; their Jacobian takes 56.1 MB" in text
    assert "Gradients are automatic" in text
    assert "flow direction" not in " ".join(laminar.get_optimization_recommendations(n_phi=3))
    text = " ".join(static.get_optimization_recommendations(n_phi=2))
    assert "all angles share one g1" in text
    assert "flow direction" not in text
    assert "beta" not in text
    assert "pairs" not in text
    monkeypatch.setenv("HOMODYNE_BACKEND", "numpy")
    assert "Gradients are numerical" in " ".join(laminar.get_optimization_recommendations())


@both_backends
def test_model_info(backend, monkeypatch):
    monkeypatch.setenv("HOMODYNE_BACKEND", backend)
    info = CombinedModel("laminar_flow", "published").get_model_info()
    assert info["name"] == "laminar_flow_complete"
    assert info["n_parameters"] == len(info["units"]) == len(info["bounds"]) == len(info["defaults"]) == 7
    assert info["units"][0] == "Å²/s"
    assert info["shear_convention"] == "published"
    assert info["device"]["backend"] == backend
    json.dumps(info)
    static = CombinedModel("static").get_model_info()
    assert static["is_static"]
    assert static["shear_convention"] is None


# ---------------------------------------------------------------- HomodyneModel


@pytest.mark.parametrize("golden_case", range(6), indirect=True)
def test_c2_against_the_golden_file(golden_case):
    model = HomodyneModel(config_of(golden_case))
    c2 = model.compute_c2(golden_case.params, golden_case.phi, golden_case.contrast, golden_case.offset)
    assert type(c2) is np.ndarray
    np.testing.assert_allclose(c2, golden_case.golden["homodyne_model_c2"], rtol=1e-10)
    single = model.compute_c2_single_angle(
        golden_case.params, golden_case.phi[-1], golden_case.contrast, golden_case.offset
    )
    np.testing.assert_allclose(single, c2[-1], rtol=1e-14)


@both_backends
@both_conventions
def test_c2_with_one_scaling_an_angle(laminar_case, convention, backend, monkeypatch):
    monkeypatch.setenv("HOMODYNE_BACKEND", backend)
    case = laminar_case
    model = HomodyneModel(config_of(case, analysis_settings={"shear_convention": convention}))
    contrast, offset = np.array([0.1, 0.2, 0.3]), np.array([1.0, 1.1, 0.9])
    c2 = model.compute_c2(case.params, case.phi, contrast, offset)
    expected = reference.g2(case.params, case.t, case.phi, case.q, case.L, contrast, offset, case.dt, convention)
    np.testing.assert_allclose(c2, expected, rtol=1e-12)


def test_state_of_the_spec_worked_example():
    config = {
        "analyzer_parameters": {
            "temporal": {"dt": 0.1, "start_frame": 11, "end_frame": 15},
            "scattering": {"wavevector_q": 0.01},
            "geometry": {"stator_rotor_gap": 2e6},
        },
        "analysis_settings": {"static_mode": True, "isotropic_mode": True},
    }
    model = HomodyneModel(config)
    assert model.analysis_mode == "static_isotropic"
    assert (model.start_frame, model.end_frame, model.n_time) == (11, 15, 5)
    assert (model.dt, model.wavevector_q, model.stator_rotor_gap) == (0.1, 0.01, 2e6)
    assert model.physics_factors.to_tuple() == pytest.approx((5e-6, 318.3), rel=1e-4)
    np.testing.assert_allclose(model.time_array, [0.0, 0.1, 0.2, 0.3, 0.4], rtol=1e-15)
    np.testing.assert_array_equal(model.t1_grid[:, 0], model.time_array)
    np.testing.assert_array_equal(model.t2_grid[0], model.time_array)
    c2 = model.compute_c2([100.0, 0.0, 10.0], [0, 45, 90])
    # D = 110 at all times: g2 = 1 + ½ exp(-q² D |t1 - t2|), the same at each angle.
    lag = np.abs(np.subtract.outer(np.arange(5), np.arange(5))) * 0.1
    np.testing.assert_allclose(c2, np.tile(1 + 0.5 * np.exp(-1e-4 * 110 * lag), (3, 1, 1)), rtol=1e-11)


@pytest.mark.parametrize(
    ("config", "mode"),
    [
        ({}, "laminar_flow"),
        ({"analysis_settings": None}, "laminar_flow"),
        ({"analysis_settings": {"static_mode": True}}, "static_anisotropic"),
        ({"analysis_settings": {"static_mode": True, "isotropic_mode": True}}, "static_isotropic"),
        ({"analysis_settings": {"static_mode": False, "isotropic_mode": True}}, "laminar_flow"),
        ({"analysis_settings": {"isotropic_mode": True}, "analysis_mode": "laminar"}, "laminar_flow"),
        ({"analysis_mode": "static"}, "static"),
        ({"analysis_mode": "Static Isotropic"}, "static_isotropic"),
        ({"analysis_mode": "isotropic"}, "static_isotropic"),
        ({"analysis_mode": "STATIC_ANISOTROPIC"}, "static_anisotropic"),
        ({"analysis_mode": "Laminar-Flow"}, "laminar_flow"),
        ({"analysis_settings": {"static_mode": True}, "analysis_mode": "static"}, "static_anisotropic"),
    ],
)
def test_analysis_mode(config, mode):
    assert determine_analysis_mode(config) == mode


def test_switch_and_word_that_disagree_are_reported():
    config = {"analysis_settings": {"static_mode": False}, "analysis_mode": "static_isotropic"}
    with pytest.warns(UserWarning, match="the first decides: laminar_flow"):
        assert determine_analysis_mode(config) == "laminar_flow"


@pytest.mark.parametrize("word", ["turbulent", "", "static laminar", None])
def test_an_unknown_analysis_mode_is_an_error(word):
    with pytest.raises(ValueError, match=r"names (no|more than one) mode; choose one of static, "):
        determine_analysis_mode({"analysis_mode": word})


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"end_frame": -1}, ValueError, "end_frame = -1 means the last frame.*must be resolved"),
        ({"end_frame": 0}, ValueError, "start_frame = 1 and end_frame = 0"),
        ({"start_frame": -2}, ValueError, "start_frame = -2"),
        ({"end_frame": 10.0}, TypeError, r"temporal.end_frame is 10.0; frames are integers"),
        ({"start_frame": True}, TypeError, "start_frame is True"),
        ({"start_frame": None}, ValueError, "has no analyzer_parameters.temporal.start_frame"),
        ({"dt": None}, ValueError, "has no analyzer_parameters.temporal.dt"),
        ({"dt": -0.1}, ValueError, "dt = -0.1 s must be .*finite and positive"),
    ],
)
def test_a_bad_time_section_is_refused(laminar_case, change, error, sentence):
    config = config_of(laminar_case)
    temporal = config["analyzer_parameters"]["temporal"]
    temporal.update(change)
    config["analyzer_parameters"]["temporal"] = {k: v for k, v in temporal.items() if v is not None}
    with pytest.raises(error, match=sentence):
        HomodyneModel(config)


@pytest.mark.parametrize("key", ["static_mode", "isotropic_mode"])
def test_a_switch_that_is_a_word_is_refused(key):
    settings = {"static_mode": True, key: "false"}
    with pytest.raises(TypeError, match=f"{key} is 'false'; set it to true or false"):
        determine_analysis_mode({"analysis_settings": settings})


def test_bad_arguments_of_compute_c2(laminar_case):
    model = HomodyneModel(config_of(laminar_case))
    with pytest.raises(ValueError, match="laminar_flow_complete takes a vector of 7 parameters"):
        model.compute_c2(laminar_case.params[:3], [0.0])
    with pytest.raises(ValueError, match=r"contrast must be one number or one an angle; found shape \(2,\)"):
        model.compute_c2(laminar_case.params, [0.0, 1.0, 2.0], contrast=np.ones(2))


def test_simulated_data_are_saved_and_drawn(laminar_case, tmp_path):
    case, model = laminar_case, HomodyneModel(config_of(laminar_case))
    folder = tmp_path / "new" / "folder"
    c2, path = model.plot_simulated_data(case.params, case.phi, folder, contrast=0.2, offset=1.1)
    np.testing.assert_array_equal(c2, model.compute_c2(case.params, case.phi, 0.2, 1.1))
    assert path == folder / "simulated_c2.npz"
    with np.load(path, allow_pickle=False) as saved:
        values = dict(saved)
    np.testing.assert_array_equal(values["c2"], c2)
    np.testing.assert_array_equal(values["phi"], case.phi)
    np.testing.assert_array_equal(values["time"], np.asarray(model.time_array))
    np.testing.assert_array_equal(values["params"], case.params)
    assert values["parameter_names"].tolist() == DIFFUSION + SHEAR
    scalars = ("contrast", "offset", "wavevector_q", "stator_rotor_gap", "dt")
    assert [float(values[k]) for k in scalars] == [0.2, 1.1, case.q, case.L, case.dt]
    pictures = [f"simulated_c2_{k:03d}.png" for k in range(3)]
    assert sorted(p.name for p in folder.iterdir()) == sorted(["simulated_c2.npz", *pictures])
    images = [(folder / name).read_bytes() for name in pictures]
    assert all(image.startswith(b"\x89PNG") for image in images)
    assert len(set(images)) == 3  # each angle has its own heat map
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_a_failed_write_leaves_the_old_file_and_no_other(laminar_case, tmp_path, monkeypatch):
    model = HomodyneModel(config_of(laminar_case))
    model.plot_simulated_data(laminar_case.params, [0.0], tmp_path, generate_plots=False)
    before = (tmp_path / "simulated_c2.npz").read_bytes()

    def full_disk(path, **arrays):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space"):
        model.plot_simulated_data(laminar_case.params, [1.0], tmp_path, generate_plots=False)
    assert [p.name for p in tmp_path.iterdir()] == ["simulated_c2.npz"]
    assert (tmp_path / "simulated_c2.npz").read_bytes() == before


# ---------------------------------------------------------------- TheoryEngine


@both_backends
def test_engine_against_the_double_loops(case, backend, monkeypatch):
    monkeypatch.setenv("HOMODYNE_BACKEND", backend)
    engine = TheoryEngine(mode_of(case), "published")
    loops = reference.g2(case.params, *case.g2_arguments[1:], convention="published")
    g1 = np.asarray(engine.compute_g1(case.params, *case.g1_arguments))
    assert g1.shape == ((3, 6, 6) if case.laminar else (6, 6))
    np.testing.assert_allclose(case.offset + case.contrast * g1**2 + 0 * loops, loops, rtol=1e-12)
    np.testing.assert_allclose(engine.compute_g2(case.params, *case.g2_arguments), loops, rtol=1e-12)
    options = {"analysis_mode": mode_of(case), "shear_convention": "published"}
    np.testing.assert_allclose(compute_g2_theory(case.params, *case.g2_arguments, **options), loops, rtol=1e-12)
    data = loops + 0.01 * np.random.default_rng(1).standard_normal(loops.shape)
    sigma = np.full(loops.shape, 0.01)
    sigma[:, np.tri(6, dtype=bool)] = np.inf  # each pair once, no diagonal
    expected = reference.chi_squared(data, loops, 0.01, strict_upper=True)
    chi2 = engine.compute_chi_squared(case.params, data, sigma, *case.g2_arguments)
    assert isinstance(chi2, float)
    assert chi2 == pytest.approx(expected, rel=1e-9)
    assert compute_chi2_theory(case.params, data, sigma, *case.g2_arguments[:-1], **options, dt=case.dt) == chi2


@both_backends
def test_batch_against_the_golden_file(golden_case, backend, monkeypatch):
    monkeypatch.setenv("HOMODYNE_BACKEND", backend)
    values, params = golden_case.golden, golden_case.params
    engine = TheoryEngine(mode_of(golden_case))
    batch = np.stack([params, 1.02 * params])
    arguments = (values["data"], values["sigma"], *golden_case.g2_arguments)
    bad = [k for k, row in enumerate(batch) if not engine.model.validate_parameters(row)]
    if bad:  # some golden parameters lie outside the bounds, which the engine holds
        with pytest.raises(ValueError, match=rf"row {bad[0]} of params_batch: FAIL: .* (D0|D_offset) = .* is outside"):
            engine.batch_computation(batch, *arguments)
        return
    np.testing.assert_allclose(engine.batch_computation(batch, *arguments), values["batch_chi2_true_dt"], rtol=1e-8)
    chi2 = engine.compute_chi_squared(batch[1], *arguments)
    assert chi2 == pytest.approx(float(values["chi2_at_1p02"]), rel=1e-8)


@pytest.mark.parametrize("method", ["compute_g1", "compute_g2", "compute_chi_squared", "batch_computation"])
def test_dt_is_required_by_every_method(laminar_case, method):
    case, engine = laminar_case, TheoryEngine()
    g1 = (case.params, case.t, case.t, case.phi, case.q, case.L)
    arguments = {
        "compute_g1": g1,
        "compute_g2": (*g1, 0.3, 1.0),
        "compute_chi_squared": (case.params, np.ones((3, 6, 6)), 0.01, *g1[1:], 0.3, 1.0),
        "batch_computation": (case.params[None], np.ones((3, 6, 6)), 0.01, *g1[1:], 0.3, 1.0),
    }
    with pytest.raises(ValueError, match=f"TheoryEngine.{method} requires explicit dt"):
        getattr(engine, method)(*arguments[method])


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        (
            {"params": np.array([1e7, -0.5, 500.0, 1e-3, -0.3, 1e-4, 3.0])},
            ValueError,
            r"D0 = 1e\+07 is outside",
        ),
        (
            {"params": np.array([1e3, np.nan, 500.0, 1e-3, -0.3, 1e-4, 3.0])},
            ValueError,
            "alpha = nan is not finite",
        ),
        ({"params": np.ones(3)}, ValueError, "3 values and 7 names were given for 7 bounds"),
        ({"q": 0.0}, ValueError, "q = 0.0 1/Å must be .*finite and positive"),
        ({"L": -1.0}, ValueError, "L = -1.0 Å must be .*finite and positive"),
        ({"dt": math.inf}, ValueError, "dt = inf s must be .*finite and positive"),
        ({"contrast": np.nan}, ValueError, "contrast = nan must be finite"),
        ({"offset": [1.0, np.inf, 1.0]}, ValueError, "offset = .* must be finite"),
        ({"data": np.ones((3, 6, 5))}, ValueError, r"data have shape \(3, 6, 5\), the model \(3, 6, 6\)"),
        ({"data": np.full((3, 6, 6), np.nan)}, ValueError, "data hold 108 entries that are not finite"),
        (
            {"data": np.ones((3, 6, 6), dtype=complex)},
            TypeError,
            "data must hold real numbers; found dtype complex",
        ),
        ({"data": np.full((3, 6, 6), "1")}, TypeError, "data must hold real numbers; found dtype <U1"),
        ({"sigma": 0.0}, ValueError, "sigma must be positive everywhere; its smallest entry is 0.0"),
        ({"sigma": np.nan}, ValueError, "sigma must be positive everywhere; its smallest entry is nan"),
        (
            {"sigma": np.ones(3)},
            ValueError,
            r"sigma of shape \(3,\) cannot be broadcast to data of shape \(3, 6, 6\)",
        ),
        ({"sigma": np.ones((1, 3, 6, 6))}, ValueError, r"sigma of shape \(1, 3, 6, 6\) cannot be broadcast"),
    ],
)
def test_bad_arguments_of_chi_squared(laminar_case, changes, error, sentence):
    case = laminar_case
    arguments = {"params": case.params, "data": np.ones((3, 6, 6)), "sigma": 0.01, "t1": case.t, "t2": case.t}
    arguments |= {"phi": case.phi, "q": case.q, "L": case.L, "contrast": 0.3, "offset": 1.0, "dt": case.dt}
    assert TheoryEngine().compute_chi_squared(**arguments) > 0
    with pytest.raises(error, match=sentence):
        TheoryEngine().compute_chi_squared(**arguments | changes)


def test_bad_batches(laminar_case):
    case, engine = laminar_case, TheoryEngine()
    arguments = (np.ones((3, 6, 6)), 0.01, *case.g2_arguments)
    with pytest.raises(ValueError, match=r"params_batch must have shape \(n_batch, n_params\); found \(7,\)"):
        engine.batch_computation(case.params, *arguments)
    with pytest.raises(ValueError, match=r"found \(0, 7\)"):
        engine.batch_computation(np.empty((0, 7)), *arguments)
    batch = np.stack([case.params, case.with_params(beta=3.0).params])
    with pytest.raises(ValueError, match=r"row 1 of params_batch: FAIL: .*beta = 3 is outside"):
        engine.batch_computation(batch, *arguments)


@pytest.mark.parametrize(("name", "value"), [("q", 2.0), ("L", 1e9), ("dt", 1e4)])
def test_unusual_values_are_warned_of(laminar_case, name, value):
    case = laminar_case
    arguments = {"q": case.q, "L": case.L, "dt": case.dt} | {name: value}
    t = arguments["dt"] * np.arange(3)
    with pytest.warns(UserWarning, match=rf"{name} = .* is outside the usual range"):
        TheoryEngine().compute_g1(case.params, t, t, case.phi, **arguments)


def test_cost_of_a_computation():
    t = np.arange(100.0)
    laminar, static = TheoryEngine(), TheoryEngine("static")
    cost = laminar.estimate_computation_cost(t, t[:50], np.zeros(3))
    assert cost == {
        "n_total_points": 15_000,
        "estimated_operations": 750_000,
        "estimated_memory_mb": pytest.approx(15_000 * 4 * 8 / 1e6),
        "performance_tier": "light",
    }
    grid = np.meshgrid(t, t[:50], indexing="ij")
    assert laminar.estimate_computation_cost(*grid, [0.0, 1.0, 2.0]) == cost
    assert static.estimate_computation_cost(t, t[:50], 0.0)["estimated_operations"] == 50_000
    long = np.arange(2000.0)
    assert static.estimate_computation_cost(long, long, np.zeros(3))["performance_tier"] == "medium"
    assert laminar.estimate_computation_cost(long, long, np.zeros(10))["performance_tier"] == "heavy"


# ---------------------------------------------------------------- without JAX

WITHOUT_JAX = """
import json, sys
import numpy as np
sys.modules["jax"] = None  # import jax now raises ImportError
import homodyne_lib
from homodyne_lib.model.backend import select_physics_backend
from homodyne_lib.spec.homodyne_model import HomodyneModel
from homodyne_lib.spec.theory import TheoryEngine

problem = json.load(sys.stdin)
params, t, data, scaling = (np.array(problem[k]) for k in ("params", "t", "data", "scaling"))
geometry = t, t, problem["phi"], problem["q"], problem["L"]
engine = TheoryEngine()
g2_arguments = (*geometry, *scaling, problem["dt"])
result = {
    "backend": select_physics_backend(),
    "g1": engine.compute_g1(params, *geometry, problem["dt"]).tolist(),
    "g2": engine.compute_g2(params, *g2_arguments).tolist(),
    "chi2": engine.compute_chi_squared(params, data, 0.01, *g2_arguments),
    "gradient": engine.model.get_gradient_function()(params, *g2_arguments).tolist(),
    "method": engine.model.get_best_gradient_method(),
    "c2": HomodyneModel(problem["config"]).compute_c2(params, problem["phi"], *scaling).tolist(),
    "jax": sys.modules["jax"],
}
json.dump(result, sys.stdout)
"""


def test_without_jax_the_library_computes_the_same(laminar_case):
    case, engine = laminar_case, TheoryEngine()
    data = reference.g2(case.params, *case.g2_arguments[1:]) + 0.01
    problem = {
        "params": case.params.tolist(),
        "t": case.t.tolist(),
        "phi": case.phi.tolist(),
        "data": data.tolist(),
        "scaling": [case.contrast, case.offset],
        "config": config_of(case),
        **{"q": case.q, "L": case.L, "dt": case.dt},
    }
    environment = {k: v for k, v in os.environ.items() if k != "HOMODYNE_BACKEND"}
    answer = subprocess.run(
        [sys.executable, "-c", WITHOUT_JAX],
        input=json.dumps(problem),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    result = json.loads(answer.stdout)
    assert (result["backend"], result["method"], result["jax"]) == ("numpy", "numpy_fallback", None)
    np.testing.assert_allclose(result["g1"], engine.compute_g1(case.params, *case.g1_arguments), rtol=1e-12, atol=1e-15)
    g2 = engine.compute_g2(case.params, *case.g2_arguments)
    np.testing.assert_allclose(result["g2"], g2, rtol=1e-12)
    np.testing.assert_allclose(result["c2"], g2, rtol=1e-12)
    chi2 = engine.compute_chi_squared(case.params, data, 0.01, *case.g2_arguments)
    assert result["chi2"] == pytest.approx(chi2, rel=1e-11)  # differences of 0.01 between values near 1
    gradient = np.asarray(engine.model.get_gradient_function()(case.params, *case.g2_arguments))
    error = np.abs(np.array(result["gradient"]) - gradient).max(axis=(0, 1, 2))
    assert np.all(error <= 1e-6 * np.abs(gradient).max(axis=(0, 1, 2)))

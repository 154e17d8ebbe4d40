"""What holds for the whole library: one home a formula, one direction of imports, sizes, documented names."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "homodyne_lib"
MODULES = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(LIBRARY.glob("*.py"))}


# ---------------------------------------------------------------- one home for each formula

WATCHED = {
    "exp", "exp2", "expm1", "sin", "cos", "sinc", "cumsum", "cumulative_sum", "power", "float_power", "pow",
    "trapezoid", "cumulative_trapezoid",
}  # fmt: skip
NAMESPACES = {"np", "numpy", "jnp", "xp", "math", "lax", "nn", "special", "integrate", "array_namespace"}
POWER_LAW = "**"  # a power whose exponent is not a literal, as in t ** alpha

# Every place where one of these functions is written, how often, and why. A second home of a formula of the
# model needs a line here that names the test by which it equals the first.
ALLOWED = {
    ("physics_utils", "exp"): (1, "safe_exp: the decay of g1"),
    ("physics_utils", "sin"): (1, "safe_sinc: the shear factor"),
    ("physics_utils", "cumsum"): (1, "trapezoid_cumsum: the integrals of D and of the shear rate"),
    ("physics_utils", POWER_LAW): (1, "power_law: D(t) and the shear rate"),
    ("kernels", "cos"): (1, "shear_phase_factor: angle between flow and wavevector"),
    ("kernels", POWER_LAW): (1, "g1_shear: sinc to the power of the convention"),
    ("pixels", "exp"): (2, "fast path of g1², equal to the kernels by tests/test_pair_sums.py"),
    ("pixels", "sin"): (1, "fast path of g1², equal to the kernels by tests/test_pair_sums.py"),
    ("pixels", "cos"): (1, "fast path of g1², equal to the kernels by tests/test_pair_sums.py"),
    ("validation", POWER_LAW): (1, "estimate_correlation_time: inverse of the integral from 0, closed form"),
    ("parameter_scales", "exp"): (1, "logarithmic scale of amplitudes, no physics"),
    ("per_angle", "cos"): (1, "harmonics of contrast and offset over the angle"),
    ("per_angle", "sin"): (1, "harmonics of contrast and offset over the angle"),
    ("posterior", "exp"): (1, "noise scale of the sampler"),
    ("importance", "exp"): (1, "importance weights from their logarithms"),
    ("importance", "cumsum"): (1, "systematic resampling"),
    ("coordinates", "exp"): (10, "logarithmic coordinates of the sampler"),
    ("starts", "exp"): (1, "rates drawn on a logarithmic scale"),
    ("starts", "cos"): (1, "angle dependence of the shear phase squared, to read a start from it"),
    ("starts", "sin"): (1, "angle dependence of the shear phase squared, to read a start from it"),
    ("residual_noise", "exp"): (2, "logarithmic scale of 1/counts"),
    ("speckle_noise", "cumsum"): (1, "systematic sample of pairs of frames"),
    ("speckle_noise", POWER_LAW): (1, "powers of the contrast"),
    ("selection", "cumsum"): (1, "numbers of angular sectors"),
    ("numpy_gradients", POWER_LAW): (1, "step size of a difference formula"),
}


def _is_number(node: ast.AST) -> bool:
    return isinstance(node.operand if isinstance(node, ast.UnaryOp) else node, ast.Constant)


def _formulas(tree: ast.Module) -> Counter:
    """Count watched functions, called, passed on or imported by name, and powers that are no literal."""
    found = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in WATCHED:
            # np.exp, jax.numpy.exp, array_namespace(x).exp
            owner = node.value.func if isinstance(node.value, ast.Call) else node.value
            if ast.unparse(owner).rpartition(".")[2] in NAMESPACES:
                found[node.attr] += 1
        elif isinstance(node, ast.ImportFrom):
            found.update(alias.name for alias in node.names if alias.name in WATCHED)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            if not _is_number(node.left) and not _is_number(node.right):
                found[POWER_LAW] += 1
    return found


def test_each_formula_of_the_model_has_one_home():
    found = {(name, what): count for name, tree in MODULES.items() for what, count in _formulas(tree).items()}
    allowed = {place: count for place, (count, _) in ALLOWED.items() if place[0] in MODULES}
    new = {place: count for place, count in found.items() if count > allowed.get(place, 0)}
    gone = {place: count for place, count in allowed.items() if count > found.get(place, 0)}
    assert not new, f"call physics_utils and kernels instead, or list the place and its reason in ALLOWED: {new}"
    assert not gone, f"ALLOWED lists what is no longer written; correct the count: {gone}"


@pytest.mark.parametrize(
    "source",
    [
        "jnp.exp(x)",
        "jax.numpy.exp(x)",
        "vmap(xp.sin)",
        "array_namespace(x).cumsum(x)",
        "from math import cos",
        "t**alpha",
    ],
)
def test_a_second_home_would_be_seen(source):
    assert sum(_formulas(ast.parse(source)).values()) == 1


@pytest.mark.parametrize("source", ["m.exp", "x**2", "x ** (-0.5)", "2.0**k", "convention(name).power"])
def test_what_is_no_formula_is_not_counted(source):
    assert not _formulas(ast.parse(source))


def test_rates_sums_and_kernels_are_defined_once():
    names = [node.name for tree in MODULES.values() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    once = {
        "safe_exp", "safe_sinc", "smooth_abs", "floor_time", "trapezoid_cumsum",
        "create_time_integral_matrix", "calculate_diffusion_coefficient", "calculate_shear_rate",
        "g1_diffusion", "g1_shear", "g1_total", "g2_from_g1",
    }  # fmt: skip
    assert {name: names.count(name) for name in once} == dict.fromkeys(once, 1)


# ---------------------------------------------------------------- one direction of imports

# A module imports only from rows above its own. CONTRIBUTING.md draws the same table.
LEVELS = (
    (
        "physics",
        "backend",
        "files",
        "lag_bins",
        "numpy_gradients",
        "noise",
        "per_angle",
        "processes",
        "shards",
        "style",
        "wording",
    ),
    ("hdf5", "validation", "physics_utils", "parameter_scales", "normal_equations", "least_squares", "shard_files"),
    ("diagonal_correction", "scaling_utils", "data", "selection", "curves", "coordinates", "consensus"),
    ("physics_factors", "layouts", "parameter_space", "aps_formats", "bands", "sandwich"),
    ("kernels", "dispatch", "two_time"),
    ("jax_backend", "pixels", "simulation"),
    ("model_mixins", "node_sums", "pair_sums", "comparison", "speckle_noise"),
    ("models", "problem", "decay_bands", "data_figures", "result_figures", "residual_noise"),
    ("starts", "posterior", "descent", "identifiability", "diagnostic_figures"),
    ("homodyne_model", "theory", "nlsq", "jumps", "importance", "calibration"),
    ("cmc", "fitting", "fit_results", "results", "draws"),
    ("dataset_results",),
    ("report",),
    ("report_parts", "report_files"),
    ("methods",),
    ("__init__",),
)
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}


def _imports(tree: ast.Module):
    """(module, imported name or None) of every import statement, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "homodyne_lib" + (f".{node.module}" if node.module else "") if node.level else node.module
            yield from ((module, alias.name) for alias in node.names)


def _own_imports(tree: ast.Module):
    """(module of ours, imported name or None)."""
    for module, name in _imports(tree):
        package, _, submodule = module.partition(".")
        if package == "homodyne_lib":
            yield (submodule, name) if submodule else (name, None)


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_one_way(name):
    assert name in LEVEL, f"give homodyne_lib/{name}.py a row in LEVELS, and in the drawing of CONTRIBUTING.md"
    targets = {target for target, _ in _own_imports(MODULES[name])}
    upward = {target for target in targets if LEVEL.get(target, len(LEVELS)) >= LEVEL[name]}
    assert not upward, f"{name} (row {LEVEL[name]}) may import from rows above only, not {sorted(upward)}"


@pytest.mark.parametrize("name", MODULES)
def test_no_module_imports_a_private_name_of_another(name):
    private = {f"{target}.{what}" for target, what in _own_imports(MODULES[name]) if what and what.startswith("_")}
    assert not private, "what two modules need is public, with a docstring"


@pytest.mark.parametrize("name", MODULES)
def test_library_starts_no_process_and_knows_no_workflow(name):
    packages = {module.partition(".")[0] for module, _ in _imports(MODULES[name])}
    assert not packages & {"snakemake", "subprocess", "multiprocessing", "papermill"}
    assert "h5py" not in packages or name == "hdf5", "HDF5 files are opened through homodyne_lib.hdf5"


def test_reference_imports_nothing_of_ours():
    tree = ast.parse((ROOT / "tests" / "reference.py").read_text(encoding="utf-8"))
    assert {module.partition(".")[0] for module, _ in _imports(tree)} == {"__future__", "math", "numpy"}


# ---------------------------------------------------------------- sizes

MAX_MODULE, MAX_BODY = 300, 60


@pytest.mark.parametrize("name", MODULES)
def test_module_can_be_held_in_the_head(name):
    lines = len((LIBRARY / f"{name}.py").read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_MODULE, f"{name}.py has {lines} lines; divide it by subject"


def _body_lines(function: ast.FunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return function.end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("name", MODULES)
def test_function_bodies_fit_a_screen(name):
    functions = [n for n in ast.walk(MODULES[name]) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {function.name: _body_lines(function) for function in functions if _body_lines(function) > MAX_BODY}
    assert not long, f"longer than {MAX_BODY} lines without docstring: {long}"


# ---------------------------------------------------------------- public names

PROMISED = """
PhysicsConstants parameter_bounds ValidationResult validate_parameters_detailed validate_parameters
clip_parameters get_default_parameters validate_experimental_setup estimate_correlation_time
PhysicsFactors create_physics_factors_from_config_dict calculate_diffusion_coefficient
calculate_shear_rate calculate_shear_rate_cmc safe_exp safe_sinc trapezoid_cumsum
create_time_integral_matrix ShardGrid precompute_shard_grid compute_g1_total_with_precomputed
get_cached_meshgrid compute_g1_diffusion compute_g1_shear compute_g1_total compute_g2_scaled
compute_g2_scaled_with_factors compute_chi_squared vectorized_g2_computation batch_chi_squared
gradient_g2 hessian_g2 gradient_chi2 hessian_chi2 numpy_gradient numpy_hessian
select_physics_backend get_device_info PhysicsModelBase DiffusionModel ShearModel CombinedModel
create_model get_available_models GradientCapabilityMixin BenchmarkingMixin
OptimizationRecommendationMixin HomodyneModel TheoryEngine compute_g2_theory compute_chi2_theory
ParameterSpace FitResult solve_least_squares_jax solve_least_squares_general_jax
solve_least_squares_chunked_jax UnifiedHomodyneEngine estimate_contrast_offset_from_quantiles
estimate_per_angle_scaling compute_averaged_scaling apply_diagonal_correction
apply_diagonal_correction_batch
""".split()


@pytest.mark.parametrize("name", PROMISED)
def test_name_of_the_specification_is_public(name):
    import homodyne_lib

    assert hasattr(homodyne_lib, name)
    assert name in homodyne_lib.__all__


@pytest.fixture(scope="module")
def make_api():
    spec = importlib.util.spec_from_file_location("make_api", ROOT / "docs" / "make_api.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_api"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_every_public_name_is_documented(make_api):
    entries = make_api.public_names()
    assert not [entry.name for entry in entries if not entry.summary]
    assert not [entry.name for entry in entries if not entry.section], "name the spec section in the docstring"


def test_functions_say_what_they_take_return_and_refuse(make_api):
    """A public docstring has numpydoc sections, or names the function that has them."""
    bare = [
        entry.name
        for entry in make_api.public_names()
        if entry.is_function and not any(word in entry.doc for word in ("Parameters\n", "Returns\n", ":func:"))
    ]
    assert not bare


def test_api_page_is_complete_and_current(make_api):
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert page == make_api.render(), "run python docs/make_api.py"

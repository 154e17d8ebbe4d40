"""What holds for the whole library: one home a formula, one direction of imports, sizes, documented names."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "homodyne_lib"
PATHS = {".".join(path.relative_to(LIBRARY).with_suffix("").parts): path for path in sorted(LIBRARY.rglob("*.py"))}
MODULES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in PATHS.items()}


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
    ("model.rates", "exp"): (1, "safe_exp: the decay of g1"),
    ("model.rates", "sin"): (1, "safe_sinc: the shear factor"),
    ("model.rates", "cos"): (1, "safe_sinc: its derivative, which test_physics compares with the golden file"),
    ("model.rates", "cumsum"): (1, "trapezoid_cumsum: the integrals of D and of the shear rate"),
    ("model.rates", POWER_LAW): (1, "power_law: D(t) and the shear rate"),
    ("model.kernels", "cos"): (1, "shear_phase_factor: angle between flow and wavevector"),
    ("model.kernels", POWER_LAW): (2, "g1_shear: sinc to the power of the convention; beside_brownian: a power of q"),
    ("model.bins", POWER_LAW): (1, "geometric mean of the q of the rings"),
    ("spec.physics", POWER_LAW): (1, "estimate_correlation_time: inverse of the integral from 0, closed form"),
    ("model.scales", "exp"): (1, "logarithmic scale of amplitudes, no physics"),
    ("model.scaling", "cos"): (1, "harmonics of contrast and offset over the angle"),
    ("model.scaling", "sin"): (1, "harmonics of contrast and offset over the angle"),
    ("figures.diagnostic_figures", "exp"): (1, "normal density beside the histogram of residuals"),
    ("sampling.density", "exp"): (1, "noise scale of the sampler"),
    ("sampling.posterior", "exp"): (2, "noise scale of the sampler, and weights of draws"),
    ("sampling.importance", "exp"): (1, "importance weights from their logarithms"),
    ("sampling.importance", "cumsum"): (1, "systematic resampling"),
    ("sampling.coordinates", "exp"): (10, "logarithmic coordinates of the sampler"),
    ("fitting.identifiability", "cos"): (3, "direction of the other flow that has the phases at two angles"),
    ("fitting.identifiability", "sin"): (1, "direction of the other flow that has the phases at two angles"),
    ("fitting.starts", "exp"): (1, "rates drawn on a logarithmic scale"),
    ("fitting.starts", "cos"): (1, "angle dependence of the shear phase squared, to read a start from it"),
    ("fitting.starts", "sin"): (1, "angle dependence of the shear phase squared, to read a start from it"),
    ("figures.part_figures", "exp"): (1, "a line on logarithmic axes"),
    ("results.parts_words", "exp"): (1, "a rate from the logarithm that parts have in common"),
    ("uncertainty.noise_choice", "exp"): (3, "logarithmic scale of 1/counts"),
    ("uncertainty.speckle_moments", "cumsum"): (1, "systematic sample of pairs of frames"),
    ("uncertainty.speckle_moments", POWER_LAW): (2, "powers of the variance"),
    ("io.formats.pixel_map", "sin"): (1, "wavevector of a pixel from its scattering angle"),
    ("io.bin_selection", "cumsum"): (1, "numbers of angular sectors"),
    ("spec.numpy_gradients", POWER_LAW): (1, "step size of a difference formula"),
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
    assert not new, f"call model.rates and model.kernels instead, or list the place and its reason in ALLOWED: {new}"
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

# A package imports only from those before its own. CONTRIBUTING.md draws the same row.
PACKAGES = (
    *(
        "model",
        "prepare",
        "io",
        "simulation",
        "likelihood",
        "fitting",
        "sampling",
        "uncertainty",
        "results",
        "steps",
        "figures",
    ),
    *("interface", "spec", "__init__"),
)


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
            whole = f"{submodule}.{name}".lstrip(".")
            yield (whole, None) if whole in MODULES else (submodule or name, name)


def _package(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_one_way(package):
    mine = [name for name in MODULES if _package(name) == package]
    used = {_package(target) for name in mine for target, _ in _own_imports(MODULES[name])} - {package}
    before = PACKAGES[: PACKAGES.index(package)]
    assert used <= {*before}, f"{package} may import from {before} only"


def test_every_module_is_in_a_package():
    assert {_package(name) for name in MODULES} == {*PACKAGES}


def test_modules_of_a_package_form_no_circle():
    graph = {name: {target for target, _ in _own_imports(tree) if target in MODULES} for name, tree in MODULES.items()}
    TopologicalSorter(graph).prepare()


def test_no_module_imports_a_private_name_of_another():
    private = {
        f"{name}: {target}.{what}"
        for name, tree in MODULES.items()
        for target, what in _own_imports(tree)
        if what and what.startswith("_")
    }
    assert not private, "what two modules need is public, with a docstring"


def _importers(*packages: str) -> set[str]:
    """Modules of ours that import one of the packages."""
    return {
        name for name, tree in MODULES.items() for module, _ in _imports(tree) if module.partition(".")[0] in packages
    }


def test_library_starts_no_process_and_knows_no_workflow():
    assert not _importers("snakemake", "subprocess", "multiprocessing", "papermill")
    assert _importers("loky") == {"sampling.processes"}
    assert _importers("h5py") == {"io.hdf5", "io.hdf5_writing"}


def test_reference_imports_nothing_of_ours():
    tree = ast.parse((ROOT / "tests" / "reference.py").read_text(encoding="utf-8"))
    assert {module.partition(".")[0] for module, _ in _imports(tree)} == {"__future__", "math", "numpy"}


# ---------------------------------------------------------------- sizes

MAX_MODULE, MAX_BODY = 300, 60


def test_modules_can_be_held_in_the_head():
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in PATHS.items()}
    assert not {name: n for name, n in lines.items() if n > MAX_MODULE}, "divide them by subject"


def _body_lines(function: ast.FunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return function.end_lineno - body[0].lineno + 1 if body else 0


def test_function_bodies_fit_a_screen():
    long = {
        f"{name}.{function.name}": _body_lines(function)
        for name, tree in MODULES.items()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and _body_lines(function) > MAX_BODY
    }
    assert not long, f"longer than {MAX_BODY} lines without docstring: {long}"


# ---------------------------------------------------------------- public names


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
    of_spec = [entry for entry in entries if entry.module.startswith("spec.")]
    assert not [entry.name for entry in of_spec if not entry.section], "name the spec section in the docstring"


def test_sections_of_the_specification_are_headings(make_api):
    """Where a comment, docstring or test says "spec section N", docs/api.md has a heading of that number."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    headings = {int(number) for number in re.findall(r"^## Section (\d+): ", page, re.M)}
    assert headings == {*make_api.SECTIONS} == {*range(1, 16)}
    files = [
        path
        for folder in ("homodyne_lib", "docs", "tests", "workflow", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    ]
    named = {
        (int(number), path.name)
        for path in files
        for numbers in re.findall(
            r"[Ss]pec(?:ification)?,?'?s? \(?sections? (\d+(?:(?:, | and )\d+)*)", path.read_text("utf-8")
        )
        for number in re.findall(r"\d+", numbers)
    }
    assert {number for number, _ in named} <= headings, named
    assert len(named) > 20


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

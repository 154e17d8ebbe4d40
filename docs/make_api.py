"""Write docs/api.md, the table of every public name, from the docstrings of homodyne_lib."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from textwrap import fill

ROOT = Path(__file__).resolve().parents[1]

# What each section of the specification asks for, in our own words, and where it is. Headings 1 to 12 have the numbers of
# the specification; its last three sections have none and go on counting.
SECTIONS = {
    1: (
        "the equations",
        "Diffusion coefficient and shear rate as powers of time, their integrals as trapezoid sums over frames, g1 "
        "as the product of an exponential and a sinc, g2 = offset + contrast g1². What depends on one time is in "
        "`model.rates`, what depends on a pair of frames in `model.kernels`; [model.md](model.md) writes it out.",
    ),
    2: (
        "constants, bounds and checks",
        "Reference values of the technique, bounds and starting values of the parameters, and checks that say which "
        "parameter is out of bounds. The numbers are those of the parameter table, `model.parameters`.",
    ),
    3: (
        "models",
        "Classes for diffusion, for shear and for both, with one way to ask for names, bounds, g1 and g2, and the "
        "three static modes and the laminar one that choose among them. The physics is that of `model.kernels`.",
    ),
    4: (
        "the two factors of the geometry",
        "q, L and dt enter the kernels through ½ q² dt and q L dt / 2π only. They are computed and checked once, in "
        "`model.geometry`.",
    ),
    5: (
        "g1, g2, χ² and their derivatives",
        "Functions of times in seconds, angles, q, L and dt, compiled by JAX where it is installed; first and "
        "second derivatives by the parameters, and batches of parameters. `model.layouts` turns times into frames, "
        "`model.evaluation` calls the kernels. JAX can trace every argument.",
    ),
    6: (
        "one physics for every layout",
        "The specification writes the physics five times, for matrices, for paired points and for shards, and asks "
        "that all agree. Here they differ in their integer indices only (`model.layouts`), and one kernel computes "
        "them all. The fit and the sampler sum over the same model in closed form (`likelihood`), tested against "
        "the kernel.",
    ),
    7: (
        "contrast and offset of each angle",
        "First values from quantiles of short and long lags, and five modes in which contrast and offset may depend "
        "on the angle. The estimates are in `prepare.quantiles`, the modes in `model.scaling`.",
    ),
    8: (
        "numerical safety",
        "Exponents that are limited, floors, an absolute value with a slope at zero, a series of the sinc near "
        "zero, time zero moved to half a frame, double precision. All of it is in `model.rates`, the floor of g1 in "
        "`model.kernels`, the precision in `model.backend`.",
    ),
    9: (
        "derivatives without JAX, and what a model says of itself",
        "Six difference formulas for gradients and second derivatives, and classes that tell which derivatives a "
        "model has, what they cost and how exact they are.",
    ),
    10: (
        "a model on the frames of one experiment",
        "An object made of a nested configuration, with factors and grids computed once, that returns c2 and saves it.",
    ),
    11: (
        "the model with checked arguments",
        "The same functions behind checks of all arguments, and an estimate of what a computation costs.",
    ),
    12: (
        "fitting",
        "Bounds and priors, the result of a fit, linear least squares for contrast and offset, the likelihood, and "
        "the correction of the diagonal (`prepare.diagonal`). The fit that the workflow uses is `fitting.nlsq`; "
        "`fit_result` turns what it finds into the specification's result.",
    ),
    13: (
        "from arguments to numbers",
        "Worked examples of a static and a sheared sample and of a shard. Tests compute them (`tests/spec`, "
        "`tests/model`).",
    ),
    14: (
        "tables of parameters and constants",
        "They are `model.parameters.PARAMETERS` and `PhysicsConstants`, and the constants of `model.rates` and "
        "`model.kernels`.",
    ),
    15: (
        "files",
        "Each file that the specification names is a module of `homodyne_lib.spec`. One of them chooses between JAX "
        "and NumPy, and says what computes.",
    ),
}

# Section of names whose docstring gives none, by module; names of other modules are beyond the specification.
SECTION_OF = {
    "spec.physics": 2,
    "spec.models": 3,
    "spec.model_mixins": 9,
    "spec.physics_factors": 4,
    "spec.jax_backend": 5,
    "spec.physics_cmc": 6,
    "spec.numpy_gradients": 9,
    "spec.backend_api": 15,
    "spec.fitting": 12,
}
BEYOND = ("Beyond the specification", "What this library adds.")

HEADER = """# Public names of homodyne_lib

Generated by `python docs/make_api.py`; a test keeps it current. Every name imports from `homodyne_lib`, and from the module
named beside it. "Spec section" in comments and docstrings is the number of a heading of this page, which says what the
physical-model specification asks for there and where it is.
"""

PARAGRAPH = """
## {title}

{text}
"""
ROWS = """
| name | module | what it is |
|---|---|---|
"""


@dataclass(frozen=True)
class Entry:
    """One row of the table, and the whole docstring it comes from."""

    name: str
    module: str
    summary: str
    section: int | None
    doc: str
    is_function: bool


def _documented_assignments(module) -> dict[str, str]:
    """Docstrings of a module's constants and aliases: the string literal below an assignment."""
    body = ast.parse(inspect.getsource(module)).body
    docs = {}
    for statement, below in pairwise(body):
        if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(below, ast.Expr):
            target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
            docs[ast.unparse(target)] = inspect.cleandoc(ast.literal_eval(below.value))
    return docs


def _section(doc: str, module: str) -> int | None:
    found = re.search(r"spec sections? (\d+)", doc)
    return int(found.group(1)) if found else SECTION_OF.get(module)


def public_names() -> list[Entry]:
    """Every name of ``homodyne_lib.__all__``, by module and name."""
    import homodyne_lib

    entries = []
    for name in homodyne_lib.__all__:
        value, home = getattr(homodyne_lib, name), homodyne_lib.home_of(name)
        module = home.partition(".")[2]
        doc = _documented_assignments(sys.modules[home]).get(name)
        if doc is None and callable(value):
            doc = inspect.getdoc(value)
        doc = doc or ""
        summary = doc.partition("\n\n")[0].replace("\n", " ").replace("|", "\\|").strip()
        entries.append(Entry(name, module, summary, _section(doc, module), doc, inspect.isroutine(value)))
    return sorted(entries, key=lambda entry: (entry.module, entry.name))


def _plain(summary: str) -> str:
    """A summary as Markdown: roles and double backticks become code; the section is that of the heading."""
    summary = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", summary).replace("``", "`")
    return re.sub(r"; spec sections?[^)]*\)", ")", re.sub(r" \(spec sections?[^)]*\)", "", summary))


def render() -> str:
    """Text of docs/api.md."""
    entries, page = public_names(), HEADER
    headings = {n: (f"Section {n}: {title}", text) for n, (title, text) in SECTIONS.items()} | {None: BEYOND}
    for number, (title, text) in headings.items():
        page += PARAGRAPH.format(title=title, text=fill(text, 120))
        rows = [f"| `{e.name}` | `{e.module}` | {_plain(e.summary)} |\n" for e in entries if e.section == number]
        page += ROWS + "".join(rows) if rows else ""
    return page


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    (ROOT / "docs" / "api.md").write_text(render(), encoding="utf-8")

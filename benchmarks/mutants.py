"""Whether the quick tests notice a changed formula: one operator or number of the physics at a time, in clones of the commit.

python mutants.py PYTHON FOLDER N [ROOM ...]   # PYTHON: that of the tests; N: mutants of a room

A mutant that no test notices survives: read it, then write a test, or the reason why nothing can notice it. Prints
a line a mutant, then the differences of the survivors and the counts of each room.
"""

from __future__ import annotations

import os
import random
import shlex
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_item import MutationSpec, TestOutcome

ROOT = Path(__file__).resolve().parents[1]
# Of each room: folders of tests, those first which should notice.
ROOMS = {
    "model": ["model", "likelihood", "fitting", "spec"],
    "likelihood": ["likelihood", "fitting", "uncertainty"],
    "sampling": ["sampling", "steps"],
    "uncertainty": ["uncertainty", "steps"],
}
# Changes of a formula: an operator becomes its opposite, a number one more or one less, a sign is lost.
OPERATORS = [
    f"core/{name}"
    for name in (
        "ReplaceBinaryOperator_Mul_Div", "ReplaceBinaryOperator_Div_Mul", "ReplaceBinaryOperator_Add_Sub",
        "ReplaceBinaryOperator_Sub_Add", "ReplaceBinaryOperator_Pow_Mul", "ReplaceBinaryOperator_FloorDiv_Mul",
        "ReplaceUnaryOperator_Delete_USub", "ReplaceComparisonOperator_Lt_GtE", "ReplaceComparisonOperator_Gt_LtE",
        "ReplaceComparisonOperator_LtE_Gt", "ReplaceComparisonOperator_GtE_Lt", "ReplaceComparisonOperator_Eq_NotEq",
        "ReplaceComparisonOperator_NotEq_Eq", "NumberReplacer",
    )
]  # fmt: skip
TIMEOUT = 900.0  # [s]; who never ends is noticed
SEED = 1


def mutants(room: str) -> list[MutationSpec]:
    """Every change of a formula in a room. Numbers at the head of a module are limits that were chosen, and left alone."""
    specs = []
    for module in sorted(Path("homodyne_lib", room).rglob("*.py")):
        tree = get_ast_from_path(module)
        for name in OPERATORS:
            operator = get_operator(name)()
            places = ((node, place) for node in ast_nodes(tree) for place in operator.mutation_positions(node))
            specs += [
                MutationSpec(str(module), name, k, *place)
                for k, (node, place) in enumerate(places)
                if node.search_ancestor("funcdef")
            ]
    return specs


def enter_clone(folder: str) -> None:
    """Make a clone of the commit for this process alone, whose files it may change."""
    clone = Path(folder, f"tree-{os.getpid()}")
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    os.chdir(clone)


def tests_of(python: str, room: str) -> list[str]:
    """Command of the quick tests that should notice a change in a room; ends at the first failure."""
    folders = (f"tests/{name}" for name in ROOMS[room])
    return [python, "-m", "pytest", "-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", *folders]


def passes(python: str, room: str) -> bool:
    """Whether these tests pass without a change."""
    return subprocess.run(tests_of(python, room), capture_output=True).returncode == 0


def tried(python: str, room: str, spec: MutationSpec) -> tuple[str, bool, str]:
    """Of a mutant: its place, whether tests noticed it, and what was changed."""
    result = mutate_and_test([spec], shlex.join(tests_of(python, room)), TIMEOUT)
    place = f"{spec.module_path}:{spec.start_pos[0]}:{spec.start_pos[1]}"
    return place, result.test_outcome is not TestOutcome.SURVIVED, result.diff


def main(python: str, folder: str, n: str, *rooms: str) -> None:
    """Try mutants, drawn at random from each room."""
    counts, survivors = [], []
    with ProcessPoolExecutor(os.cpu_count(), initializer=enter_clone, initargs=(folder,)) as pool:
        chosen = [*(rooms or ROOMS)]
        if not all(pool.map(passes, [python] * len(chosen), chosen)):
            raise SystemExit(
                f"Tests of {', '.join(chosen)} fail without a change. Run `make test` and mend them first."
            )
        for room in chosen:
            every = mutants(room)
            drawn = random.Random(SEED).sample(every, min(int(n), len(every)))
            noticed = 0
            for place, caught, diff in pool.map(tried, *zip(*((python, room, spec) for spec in drawn), strict=True)):
                print("noticed " if caught else "SURVIVED", place, flush=True)
                noticed += caught
                survivors += [] if caught else [diff]
            counts.append(f"{room}: {noticed} of {len(drawn)} noticed, drawn from {len(every)}")
    print(*survivors, *counts, sep="\n")


if __name__ == "__main__":
    os.chdir(ROOT)
    main(*sys.argv[1:])

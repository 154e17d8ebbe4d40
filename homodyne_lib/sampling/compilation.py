"""How the programs of samplers are compiled: quickly, and one for any number of draws."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np

__all__ = ["RUN_OFTEN", "RUN_SELDOM", "over_draws"]

# XLA's newer code for fused loops takes half as long again to compile, and is not faster here.
_OLDER_LOOPS = {"xla_cpu_use_fusion_emitters": False}

RUN_OFTEN = _OLDER_LOOPS
"""Compiler options of what runs thousands of times."""

RUN_SELDOM = _OLDER_LOOPS | {"xla_backend_optimization_level": 0}
"""Compiler options of the rest; compilation takes less than half the time, and the program three times as long."""

_BLOCK = 64


def over_draws(function: Callable, options: dict = RUN_SELDOM) -> Callable:
    """Compile a function of something fixed and of single draws, for any number of draws.

    Draws are taken in blocks of one size, so that there is one program, and one after the other: triangular solves of a batch
    hand parts of their work to the threads of XLA and wait for them, and on two cores two such solves hold both threads for
    ever (jaxlib 0.10).

    Parameters
    ----------
    function : callable
        Takes a pytree, and arrays of one draw.
    options : dict
        Of the compiler.

    Returns
    -------
    callable
        Takes the pytree and arrays whose first axis is draws; returns arrays with the same first axis.
    """
    program = jax.jit(
        lambda fixed, draws: jax.lax.map(lambda draw: function(fixed, *draw), draws), compiler_options=options
    )

    def each(fixed, *draws):
        n, parts = len(draws[0]), []
        for first in range(0, n, _BLOCK):
            block = [np.asarray(part)[first : first + _BLOCK] for part in draws]
            size = len(block[0])
            padded = [np.pad(part, [(0, _BLOCK - size), *[(0, 0)] * (part.ndim - 1)], mode="edge") for part in block]
            parts.append(jax.tree.map(lambda values, size=size: np.asarray(values)[:size], program(fixed, padded)))
        return jax.tree.map(lambda *values: np.concatenate(values), *parts)

    return each

"""The highest point of a density, where the fit does not give it."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np
from scipy.optimize import minimize

from homodyne_lib.sampling.compilation import RUN_SELDOM
from homodyne_lib.sampling.density import ShardDensity, marginal

__all__ = ["climb"]

_MOST_STEPS = 300

_downwards = jax.jit(
    jax.value_and_grad(lambda x, density: -marginal(*density.quadratic(x))), compiler_options=RUN_SELDOM
)


def climb(density: ShardDensity, starts: Sequence[np.ndarray]) -> np.ndarray:
    """Climb from several points, and return the highest point that is reached.

    Parameters
    ----------
    density : ShardDensity
    starts : sequence of ndarray, shape (n_free + 1,)

    Returns
    -------
    ndarray, shape (n_free + 1,)
    """

    def value_and_slope(x):
        value, slope = _downwards(x, density)
        # Where the density is not finite, a huge value turns the search back.
        return (float(value), np.asarray(slope, dtype=float)) if np.isfinite(value) else (1e300, np.zeros(x.size))

    ends = [
        minimize(value_and_slope, start, jac=True, method="L-BFGS-B", options={"maxiter": _MOST_STEPS})
        for start in starts
    ]
    return min(ends, key=lambda end: end.fun).x

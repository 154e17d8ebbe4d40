"""Unconstrained coordinates of the physical parameters: u on the real line, onto the bounds by a logistic curve.

The curve acts on the search scale (:mod:`~homodyne_lib.parameter_scales`). One more coordinate, log s, multiplies the noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid

from homodyne_lib.parameter_scales import from_search_scale, search_bounds, to_search_scale

__all__ = ["Coordinates"]

# A fitted value on a bound starts this far inside, as a share of the width: the logistic curve ends at infinity.
_INSIDE = 0.02


class Coordinates:
    """Map between physical parameters and x = (u of the free ones, log s).

    Parameters
    ----------
    names : sequence of str
        All physical parameters, in order.
    bounds : mapping of str to (float, float), optional
        Narrower bounds [units of the parameter table].
    fixed : mapping of str to float, optional
        Parameters held at a value.

    Raises
    ------
    ValueError
        If a bound is reversed or outside the table's.
    """

    def __init__(self, names: Sequence[str], bounds: Mapping | None = None, fixed: Mapping | None = None):
        self.names, self.fixed = list(names), dict(fixed or {})
        self.free = [name for name in self.names if name not in self.fixed]
        self.free_index = [self.names.index(name) for name in self.free]
        self.lower, self.upper = search_bounds(self.free, bounds)

    def on_search_scale(self, x):
        """Free parameters on the search scale; shape (..., n_free) from (..., n_free + 1)."""
        return self.lower + (self.upper - self.lower) * sigmoid(x[..., : len(self.free)])

    def params(self, x):
        """All physical parameters [units of the parameter table]; shape (..., p) from (..., n_free + 1)."""
        free = from_search_scale(self.free, self.on_search_scale(x))
        columns = [
            free[..., self.free.index(name)] if name in self.free else jnp.full(free.shape[:-1], self.fixed[name])
            for name in self.names
        ]
        return jnp.stack(columns, axis=-1)

    def from_params(self, params, noise_scale: float = 1.0) -> np.ndarray:
        """Coordinates of physical parameters, shape (n_free + 1,); values on a bound are pulled 2 % inside."""
        values = np.asarray(params, dtype=float)[self.free_index]
        share = (to_search_scale(self.free, values) - self.lower) / (self.upper - self.lower)
        share = np.clip(share, _INSIDE, 1 - _INSIDE)
        return np.append(np.log(share / (1 - share)), np.log(noise_scale))

    def slopes(self, x) -> tuple[np.ndarray, np.ndarray]:
        """Share of the width reached, and derivative of the search scale with respect to u, shape (n_free,) each."""
        share = np.asarray(sigmoid(x[: len(self.free)]))
        return share, (self.upper - self.lower) * share * (1 - share)

    def natural_draws(self, x, scaling_names: Sequence[str]) -> dict[str, np.ndarray]:
        """Draws by name in the units of the parameter table.

        Parameters
        ----------
        x : array_like, shape (n_chains, n_draws, n_free + 1 + n_scaling)
        scaling_names : sequence of str, length n_scaling

        Returns
        -------
        dict of str to ndarray, shape (n_chains, n_draws)
            Free physical parameters, ``noise_scale``, scaling coefficients.
        """
        n_free = len(self.free)
        params = np.asarray(self.params(jnp.asarray(x[..., : n_free + 1])))
        free = {name: params[..., k] for name, k in zip(self.free, self.free_index, strict=True)}
        rest = np.moveaxis(np.asarray(x)[..., n_free + 1 :], -1, 0)
        return free | {"noise_scale": np.exp(np.asarray(x)[..., n_free])} | dict(zip(scaling_names, rest, strict=True))

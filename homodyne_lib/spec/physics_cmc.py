"""g1 of the pairs of a shard, from integers made once (spec section 6)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from homodyne_lib.model.backend import array_namespace, as_arrays, is_traced, require_untraced
from homodyne_lib.model.checks import parameter_vector, require_finite, require_positive
from homodyne_lib.model.evaluation import compute_g1_total_points, g1_total
from homodyne_lib.model.layouts import PairLayout, frame_indices, paired_indices
from homodyne_lib.model.rates import floor_time

__all__ = ["ShardGrid", "compute_g1_total_points", "compute_g1_total_with_precomputed", "precompute_shard_grid"]


class ShardGrid(NamedTuple):
    """Time axis and integer pairs of a shard, made once before sampling (spec section 6).

    Attributes
    ----------
    time_safe : array, shape (G,)
        Times [s], floored at dt/2.
    idx1, idx2 : integer arrays, shape (N,)
    dt_safe : float
        [s]
    """

    time_safe: Any
    idx1: Any
    idx2: Any
    dt_safe: float


def precompute_shard_grid(time_grid, t1, t2, dt: float) -> ShardGrid:
    """Turn the float times of a shard into integer pairs, once (spec section 6).

    Parameters
    ----------
    time_grid : array_like, shape (G,)
        Regular time axis [s], dt apart.
    t1, t2 : array_like, shape (N,)
        Times of the pairs [s].
    dt : float
        [s]

    Returns
    -------
    ShardGrid

    Raises
    ------
    ValueError
        If times do not lie on the axis, or their numbers differ.
    TypeError
        If JAX traces a time or dt.
    """
    dt = require_positive("dt", dt, "s")
    require_untraced("time_grid", time_grid)
    grid = np.atleast_1d(require_finite("time_grid", time_grid, "times in seconds"))
    if np.any(frame_indices(grid, grid[0], dt, "time_grid") != np.arange(grid.size)):
        raise ValueError(f"time_grid must rise by dt = {dt:g} s from entry to entry, without gaps.")
    idx1, idx2 = paired_indices(t1, t2, grid[0], dt)
    low, high = min(idx1.min(), idx2.min()), max(idx1.max(), idx2.max())
    if low < 0 or high >= grid.size:
        raise ValueError(
            f"pairs reach from frame {low} to {high} of an axis of {grid.size} frames; "
            "give the whole axis of the record, not the times of one shard."
        )
    return ShardGrid(floor_time(*as_arrays(grid), dt), idx1, idx2, dt)


def compute_g1_total_with_precomputed(
    params, phi_unique, time_safe, idx1, idx2, wq_dt, sinc_pre, shear_convention="spec"
):
    """g1 of a shard's pairs at all its angles, from integer pairs made once (spec section 6).

    Parameters
    ----------
    params : array_like, shape (3,) or (7,)
    phi_unique : array_like, shape (P,)
        [deg]
    time_safe, idx1, idx2 : array_like, shape (G,), (N,), (N,)
        Of a :class:`~ShardGrid`.
    wq_dt, sinc_pre : float
        Of :meth:`PhysicsFactors.to_tuple`.
    shear_convention : {"spec", "published"}

    Returns
    -------
    array, shape (P, N)

    Raises
    ------
    ValueError
        For a wrong parameter shape, an unknown convention, or an index that is not on the axis.
    """
    time_safe, phi = as_arrays(time_safe, phi_unique)
    for name, index in (("idx1", idx1), ("idx2", idx2)):
        # JAX would take the last frame in its place.
        if not is_traced(index) and np.any((np.asarray(index) < 0) | (np.asarray(index) >= len(time_safe))):
            raise ValueError(
                f"{name} goes from {np.min(index)} to {np.max(index)}; the axis has {len(time_safe)} frames."
            )
    idx1, idx2 = (array_namespace(index).asarray(index)[None, :] for index in (idx1, idx2))
    layout = PairLayout(time_safe, idx1, idx2, phi.reshape(-1, 1))
    return g1_total(parameter_vector(params), layout, wq_dt, sinc_pre, convention=shear_convention)

"""Layouts: which pairs of frames, at which angles. Integers and broadcasting only; no physics.

A layout is a time axis, two integer index arrays into it and an array of angles, all broadcastable against each other.
Mesh, paired points and shards differ in nothing else, so every path computes the same numbers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from homodyne_lib.backend import array_namespace, as_arrays, is_traced, select_physics_backend
from homodyne_lib.physics_utils import floor_time
from homodyne_lib.validation import require_finite, require_positive

__all__ = [
    "PairLayout",
    "ShardGrid",
    "frame_indices",
    "get_cached_meshgrid",
    "layout_from_times",
    "mesh_layout",
    "numpy_mesh",
    "point_layout",
    "precompute_shard_grid",
]

_MESHGRID_CACHE_MAX_SIZE = 64
_MESHGRID_MAX_FRAMES = 2000
# A time may miss its frame by this share of dt: float32 times in files do, by up to 1e-3 of a frame at 10,000 frames.
_FRAME_TOLERANCE = 0.01


class PairLayout(NamedTuple):
    """Pairs of frames at angles.

    Attributes
    ----------
    time : array, shape (G,)
        Time axis [s], floored at dt/2.
    idx1, idx2 : integer arrays
        Frames of each pair, broadcastable with ``phi``.
    phi : array
        Angles [deg].
    """

    time: Any
    idx1: Any
    idx2: Any
    phi: Any


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


def _angles(phi) -> np.ndarray:
    phi = np.atleast_1d(require_finite("phi", phi, "angles in degrees"))
    if phi.ndim != 1:
        raise ValueError(f"phi must be one angle or a vector of angles in degrees; found shape {phi.shape}.")
    return phi


def frame_indices(t, t_start: float, dt: float, name: str = "t") -> np.ndarray:
    """Frame number of each time, by rounding and then checking (never by search in a float grid).

    Parameters
    ----------
    t : array_like
        Times [s].
    t_start, dt : float
        Time of frame 0 of the axis, and frame interval [s].
    name : str
        How errors call ``t``.

    Returns
    -------
    integer ndarray, shape of t

    Raises
    ------
    ValueError
        If a time is negative or lies between frames, which happens when dt is not the interval of the data.
    TypeError
        If ``t`` is a JAX tracer.
    """
    t = require_finite(name, t, "times in seconds")
    if t.min() < -_FRAME_TOLERANCE * dt:
        raise ValueError(f"{name} begins at {t.min():g} s: count times from the first selected frame, which is t = 0.")
    position = (t - t_start) / dt
    index = np.rint(position).astype(np.int64)
    worst = float(np.max(np.abs(position - index)))
    if worst > _FRAME_TOLERANCE:
        raise ValueError(
            f"{name} does not lie on frames {dt:g} s apart: a time misses its frame by {worst:.3g} of dt. "
            "Check that dt is the time between the frames of these data."
        )
    return index


def _paired_indices(t1, t2, t_start: float, dt: float) -> tuple[np.ndarray, np.ndarray]:
    idx1, idx2 = frame_indices(t1, t_start, dt, "t1"), frame_indices(t2, t_start, dt, "t2")
    if idx1.ndim != 1 or idx1.shape != idx2.shape:
        raise ValueError(f"t1 and t2 must be vectors of one length; found shapes {idx1.shape} and {idx2.shape}.")
    return idx1, idx2


def mesh_layout(n_frames: int, phi, dt: float, t_start: float = 0.0) -> PairLayout:
    """All pairs of n frames at all angles: result shape (n_phi, n, n).

    Parameters
    ----------
    n_frames : int
    phi : array_like, shape (n_phi,)
        [deg]
    dt : float
        [s]
    t_start : float
        Time of the first frame [s].

    Returns
    -------
    PairLayout

    Raises
    ------
    ValueError
        If dt is missing or not positive, or there is no frame.
    """
    layout = numpy_mesh(n_frames, phi, dt, t_start)
    time, phi = as_arrays(layout.time, layout.phi)
    return layout._replace(time=time, phi=phi)


def numpy_mesh(n_frames: int, phi, dt: float, t_start: float = 0.0) -> PairLayout:
    """:func:`mesh_layout` in NumPy, whichever library is selected: for work that JAX does not do."""
    dt = require_positive("dt", dt, "s")
    if n_frames < 1:
        raise ValueError(f"n_frames = {n_frames}: a mesh needs at least one frame.")
    time, frames = floor_time(t_start + dt * np.arange(n_frames), dt), np.arange(n_frames)
    return PairLayout(time, frames[None, :, None], frames[None, None, :], _angles(phi).reshape(-1, 1, 1))


def point_layout(t1, t2, phi, dt: float) -> PairLayout:
    """Pairs (t1[k], t2[k]) at angle phi[k] (or one angle): result shape (N,).

    Parameters
    ----------
    t1, t2 : array_like, shape (N,)
        Times [s], on frames dt apart, counted from t = 0.
    phi : float or array_like, shape (N,)
        [deg]
    dt : float
        [s]

    Returns
    -------
    PairLayout

    Raises
    ------
    ValueError
        If shapes disagree, dt is missing, or a time is not on a frame.
    TypeError
        If a time is a JAX tracer.
    """
    dt = require_positive("dt", dt, "s")
    idx1, idx2 = _paired_indices(t1, t2, 0.0, dt)
    first = int(min(idx1.min(), idx2.min()))
    time, phi = as_arrays(dt * np.arange(first, max(idx1.max(), idx2.max()) + 1), _angles(phi))
    if phi.shape not in ((1,), idx1.shape):
        raise ValueError(f"phi must be one angle or one for each of {idx1.size} points; found shape {phi.shape}.")
    return PairLayout(floor_time(time, dt), idx1 - first, idx2 - first, phi)


def layout_from_times(t1, t2, phi, dt: float) -> PairLayout:
    """Mesh of the spec's public functions: vectors are meshed, ``indexing="ij"`` matrices are taken as they are.

    Parameters
    ----------
    t1, t2 : array_like, shape (n1,), (n2,) or (n1, n2)
        Times [s]; a matrix varies along its own axis only.
    phi : float or array_like, shape (n_phi,)
        [deg]
    dt : float
        [s]

    Returns
    -------
    PairLayout
        Result shape (n_phi, n1, n2), for every n.

    Raises
    ------
    ValueError, TypeError
        As :func:`point_layout`.
    """
    dt = require_positive("dt", dt, "s")
    t1, t2 = (require_finite(name, t, "times in seconds") for name, t in (("t1", t1), ("t2", t2)))
    if t1.ndim == 2 and t1.shape == t2.shape:
        if np.any(t1 != t1[:, :1]) or np.any(t2 != t2[:1, :]):
            raise ValueError("t1 must vary along rows and t2 along columns only (meshgrid with indexing='ij').")
        t1, t2 = t1[:, 0], t2[0, :]
    elif t1.ndim > 1 or t2.ndim > 1:
        raise ValueError(f"t1 and t2 must be vectors or equal matrices; found shapes {t1.shape} and {t2.shape}.")
    t1, t2 = np.atleast_1d(t1), np.atleast_1d(t2)
    t_start = float(min(t1.min(), t2.min()))
    idx1, idx2 = frame_indices(t1, t_start, dt, "t1"), frame_indices(t2, t_start, dt, "t2")
    time, phi = as_arrays(t_start + dt * np.arange(max(idx1.max(), idx2.max()) + 1), _angles(phi))
    return PairLayout(floor_time(time, dt), idx1[None, :, None], idx2[None, None, :], phi.reshape(-1, 1, 1))


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
    ValueError, TypeError
        As :func:`point_layout`; also if a time lies outside the axis.
    """
    dt = require_positive("dt", dt, "s")
    grid = np.atleast_1d(require_finite("time_grid", time_grid, "times in seconds"))
    if np.any(frame_indices(grid, grid[0], dt, "time_grid") != np.arange(grid.size)):
        raise ValueError(f"time_grid must rise by dt = {dt:g} s from entry to entry, without gaps.")
    idx1, idx2 = _paired_indices(t1, t2, grid[0], dt)
    low, high = min(idx1.min(), idx2.min()), max(idx1.max(), idx2.max())
    if low < 0 or high >= grid.size:
        raise ValueError(
            f"pairs reach from frame {low} to {high} of an axis of {grid.size} frames; "
            "give the whole axis of the record, not the times of one shard."
        )
    return ShardGrid(floor_time(*as_arrays(grid), dt), idx1, idx2, dt)


def _mesh(t1, t2) -> tuple:
    xp, shape = array_namespace(t1, t2), (t1.size, t2.size)
    return xp.broadcast_to(t1[:, None], shape), xp.broadcast_to(t2[None, :], shape)


@lru_cache(maxsize=_MESHGRID_CACHE_MAX_SIZE)
def _remembered_mesh(backend: str, times1: bytes, times2: bytes) -> tuple:
    return _mesh(*as_arrays(np.frombuffer(times1), np.frombuffer(times2)))


def get_cached_meshgrid(t1, t2) -> tuple:
    """Mesh of two time vectors (``indexing="ij"``), remembered by content (spec section 5).

    Up to 64 meshes of at most 2000 frames are kept; the key is every byte of both vectors, so two grids with equal ends
    never share an entry. Longer, or traced, vectors are meshed anew.

    Parameters
    ----------
    t1, t2 : array_like, shape (n1,), (n2,)
        [s]

    Returns
    -------
    tuple of arrays, shape (n1, n2)
        Read-only.

    Raises
    ------
    ValueError
        If t1 or t2 is not a vector.
    """
    t1, t2 = as_arrays(t1, t2)
    if t1.ndim != 1 or t2.ndim != 1:
        raise ValueError(f"t1 and t2 must be vectors of times; found shapes {t1.shape} and {t2.shape}.")
    if is_traced(t1) or is_traced(t2) or max(t1.size, t2.size) > _MESHGRID_MAX_FRAMES:
        return _mesh(t1, t2)
    return _remembered_mesh(select_physics_backend(), np.asarray(t1).tobytes(), np.asarray(t2).tobytes())

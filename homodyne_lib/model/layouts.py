"""Layouts: which pairs of frames, at which angles. Integers and broadcasting only; no physics.

A layout is a time axis, two integer index arrays into it and an array of angles, all broadcastable against each other.
Mesh, paired points and shards differ in nothing else, so every path computes the same numbers. Layouts are NumPy arrays,
for every backend; only what JAX traces is JAX's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from homodyne_lib.model.backend import array_namespace, is_traced, require_untraced
from homodyne_lib.model.checks import require_finite, require_positive
from homodyne_lib.model.rates import floor_time

__all__ = ["PairLayout", "frame_indices", "layout_from_times", "numpy_mesh", "paired_indices", "point_layout"]

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
    q_ratio : array or None
        q over the reference, broadcastable with ``phi``; None where no power of q is a parameter.
    """

    time: Any
    idx1: Any
    idx2: Any
    phi: Any
    q_ratio: Any = None


def _angles(phi):
    phi = require_finite("phi", phi, "angles in degrees")
    if phi.ndim > 1:
        raise ValueError(f"phi must be one angle or a vector of angles in degrees; found shape {phi.shape}.")
    return phi.reshape(-1)


def _traced_frames(times, t_start, dt):
    """Time axis and frame of each time, where JAX traces times or dt; the axis is NaN if a time lies on no frame of it.

    The length of an axis must be a number. Where times are known, it follows from the smallest step between them; where
    they are not, they are taken to lie on as many frames as there are times.
    """
    n_frames = times.size
    if not is_traced(times):
        apart = np.diff(np.unique(times))
        n_frames = 1 + round(np.ptp(times) / apart[apart > 1e-6 * np.ptp(times)].min(initial=np.inf))
    position = (times - t_start) / dt
    xp = array_namespace(position)
    index = xp.rint(position).astype(int)
    good = (xp.abs(position - index) <= _FRAME_TOLERANCE) & (index >= 0) & (index < n_frames)
    good = xp.all(good) & (t_start >= -_FRAME_TOLERANCE * dt)
    return xp.where(good, floor_time(t_start + dt * xp.arange(n_frames), dt), np.nan), index


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
        If JAX traces ``t`` or ``dt``.
    """
    require_untraced(name, t)
    require_untraced("dt", dt)
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


def paired_indices(t1, t2, t_start: float, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """:func:`frame_indices` of both times of paired points, shape (N,) each; ValueError where their lengths differ."""
    _check_pairs(t1, t2)
    return frame_indices(t1, t_start, dt, "t1"), frame_indices(t2, t_start, dt, "t2")


def _check_pairs(t1, t2) -> None:
    require_untraced("t1", t1)
    require_untraced("t2", t2)
    if np.ndim(t1) != 1 or np.shape(t1) != np.shape(t2):
        raise ValueError(f"t1 and t2 must be vectors of one length; found shapes {np.shape(t1)} and {np.shape(t2)}.")


def numpy_mesh(n_frames: int, phi, dt: float, t_start: float = 0.0) -> PairLayout:
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
        [s]; where JAX traces it, times must not all be several frames apart.

    Returns
    -------
    PairLayout

    Raises
    ------
    ValueError
        If shapes disagree, dt is missing, or a time is not on a frame.
    TypeError
        If JAX traces a time.
    """
    dt = require_positive("dt", dt, "s")
    if is_traced(dt):
        _check_pairs(t1, t2)
        time, index = _traced_frames(require_finite("t1 and t2", [*t1, *t2, 0.0], "times in seconds"), 0.0, dt)
        idx1, idx2 = index[: len(t1)], index[len(t1) : -1]
    else:
        idx1, idx2 = paired_indices(t1, t2, 0.0, dt)
        first = int(min(idx1.min(), idx2.min()))
        time = floor_time(dt * np.arange(first, max(idx1.max(), idx2.max()) + 1), dt)
        idx1, idx2 = idx1 - first, idx2 - first
    phi = _angles(phi)
    if phi.shape not in ((1,), idx1.shape):
        raise ValueError(f"phi must be one angle or one for each of {idx1.size} points; found shape {phi.shape}.")
    return PairLayout(time, idx1, idx2, phi)


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
    ValueError
        As :func:`point_layout`.

    Notes
    -----
    JAX may trace angles, dt and times. If a traced time does not lie on a frame, or lies beyond the axis, the time axis is
    NaN, as no error can be raised. Where times are traced, the axis has as many frames as both vectors together; where dt
    alone is, the smallest step between times is taken for it.
    """
    dt = require_positive("dt", dt, "s")
    t1, t2 = (require_finite(name, t, "times in seconds") for name, t in (("t1", t1), ("t2", t2)))
    if t1.ndim == 2 and t1.shape == t2.shape:
        known = not (is_traced(t1) or is_traced(t2))
        if known and (np.any(t1 != t1[:, :1]) or np.any(t2 != t2[:1, :])):
            raise ValueError("t1 must vary along rows and t2 along columns only (meshgrid with indexing='ij').")
        t1, t2 = t1[:, 0], t2[0, :]
    elif t1.ndim > 1 or t2.ndim > 1:
        raise ValueError(f"t1 and t2 must be vectors or equal matrices; found shapes {t1.shape} and {t2.shape}.")
    t1, t2 = t1.reshape(-1), t2.reshape(-1)
    if any(map(is_traced, (t1, t2, dt))):
        times = array_namespace(t1, t2).concatenate([t1, t2])
        time, index = _traced_frames(times, times.min(), dt)
        idx1, idx2 = index[: t1.size], index[t1.size :]
    else:
        t_start = float(min(t1.min(), t2.min()))
        idx1, idx2 = frame_indices(t1, t_start, dt, "t1"), frame_indices(t2, t_start, dt, "t2")
        time = floor_time(t_start + dt * np.arange(max(idx1.max(), idx2.max()) + 1), dt)
    return PairLayout(time, idx1[None, :, None], idx2[None, None, :], _angles(phi).reshape(-1, 1, 1))

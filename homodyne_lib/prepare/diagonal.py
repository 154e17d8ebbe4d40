"""Replace the diagonal of two-time matrices, which shot noise brightens, by an estimate from its neighbours.

The same lines work for NumPy and JAX, and for one matrix and a stack. The entries next to the diagonal are gathered for each
frame, and their mean, trimmed mean or median is the new value.
"""

from __future__ import annotations

import numpy as np

from homodyne_lib.model.backend import HAS_JAX, array_namespace, compiled, load_jax, require_float64
from homodyne_lib.model.frames import consecutive_runs

__all__ = ["DIAGONAL_METHODS", "apply_diagonal_correction", "apply_diagonal_correction_batch"]

DIAGONAL_METHODS = {
    "basic": {},
    "statistical": {"window_size": 3, "estimator": "median", "trim_fraction": 0.2},
    "interpolation": {"interpolation_method": "linear"},
}
"""Methods, with the options of each and their defaults."""

_ESTIMATORS = ("median", "mean", "trimmed_mean")


def _options(method, config) -> dict:
    if method not in DIAGONAL_METHODS:
        raise ValueError(f"diagonal correction {method!r} does not exist; choose one of {', '.join(DIAGONAL_METHODS)}.")
    known = DIAGONAL_METHODS[method]
    if unknown := sorted(set(config) - set(known)):
        raise ValueError(
            f"diagonal correction {method} has no option {', '.join(unknown)}; "
            f"its options are {', '.join(known) or 'none'}."
        )
    options = known | config
    if method == "interpolation" and options["interpolation_method"] != "linear":
        raise ValueError(f"interpolation_method {options['interpolation_method']!r} does not exist; choose linear.")
    if method == "statistical":
        window, estimator, trim = options["window_size"], options["estimator"], options["trim_fraction"]
        if not isinstance(window, (int, np.integer)) or window < 1:
            raise ValueError(f"window_size must be a whole number of frames from 1; found {window!r}.")
        if estimator not in _ESTIMATORS:
            raise ValueError(f"estimator {estimator!r} does not exist; choose one of {_ESTIMATORS}.")
        if not 0.0 <= trim < 0.5:
            raise ValueError(f"trim_fraction is cut from either end, so it must lie in [0, 0.5); found {trim}.")
    return options


def _mean_of_finite(values, cut):
    """Mean of the finite values along the last axis, without the ``cut(count)`` smallest and largest."""
    xp = array_namespace(values)
    finite = xp.isfinite(values)
    count = finite.sum(axis=-1, keepdims=True)
    ordered = xp.sort(xp.where(finite, values, xp.inf), axis=-1)
    rank, ends = xp.arange(values.shape[-1]), cut(count)
    kept = (rank >= ends) & (rank < count - ends)
    total = xp.where(kept, ordered, 0.0).sum(axis=-1)
    return xp.where(count[..., 0] > 0, total / xp.maximum(kept.sum(axis=-1), 1), xp.nan)


def _side(c2, offset):
    """Entries c2[k, k + offset] above and c2[k + offset, k] below the diagonal, shape (..., n - offset)."""
    xp = array_namespace(c2)
    above = xp.diagonal(c2, offset, axis1=-2, axis2=-1)
    below = xp.diagonal(c2, -offset, axis1=-2, axis2=-1)
    return above.astype(float), below.astype(float)


def _basic(c2):
    xp = array_namespace(c2)
    side = sum(_side(c2, 1)) / 2.0
    before, after = xp.concatenate([side[..., :1], side], -1), xp.concatenate([side, side[..., -1:]], -1)
    return (before + after) / 2.0


def _statistical(c2, window_size, estimator, trim_fraction):
    xp = array_namespace(c2)
    neighbours = []
    for offset in range(1, min(window_size, c2.shape[-1] - 1) + 1):
        missing = xp.full((*c2.shape[:-2], offset), xp.nan)
        for side in _side(c2, offset):
            neighbours += [xp.concatenate([missing, side], -1), xp.concatenate([side, missing], -1)]
    cuts = {
        "mean": lambda count: 0 * count,
        "trimmed_mean": lambda count: xp.floor(trim_fraction * count),
        "median": lambda count: (count - 1) // 2,  # leaves the middle value, or the middle two
    }
    return _mean_of_finite(xp.stack(neighbours, axis=-1), cuts[estimator])


def _interpolation(c2, interpolation_method):
    xp = array_namespace(c2)
    above, below = _side(c2, 1)
    missing = xp.full((*c2.shape[:-2], 1), xp.nan)
    before = xp.concatenate([missing, above], -1)
    after = xp.concatenate([above[..., :1], below[..., 1:], missing], -1)
    return _mean_of_finite(xp.stack([before, after], axis=-1), lambda count: 0 * count)


_METHODS = {"basic": _basic, "statistical": _statistical, "interpolation": _interpolation}


def _replaced(c2, method, options):
    xp = array_namespace(c2)
    diagonal = _METHODS[method](c2, **dict(options)).astype(c2.dtype)
    return xp.where(xp.eye(c2.shape[-1], dtype=bool), diagonal[..., None], c2)


_replace = compiled(_replaced, "method", "options")


def _runs(frames):
    """For each run of consecutive frames, a slice of rows to correct, and the place of the run within it.

    The slice of a single frame between two gaps also has the nearest frames beyond them.
    """
    stop = 0
    for run in consecutive_runs(frames):
        start, stop = stop, stop + run.size
        low, high = (start, stop) if run.size > 1 else (max(start - 1, 0), min(stop + 1, len(frames)))
        yield slice(low, high), slice(start - low, stop - low)


def _corrected_by_runs(c2, frames, method, options):
    """Correct each run of consecutive frames by itself, because rows on both sides of a gap are not neighbours in time."""
    xp = array_namespace(c2)
    parts = []
    for rows, own in _runs(frames):
        replaced = _replace(c2[..., rows, rows], method=method, options=options)
        parts.append(xp.diagonal(replaced, axis1=-2, axis2=-1)[..., own])
    return xp.where(xp.eye(c2.shape[-1], dtype=bool), xp.concatenate(parts, axis=-1)[..., None], c2)


def _correct(c2, ndim, method, backend, frames, config):
    options = _options(method, config)
    if backend not in ("auto", "numpy", "jax"):
        raise ValueError(f"backend {backend!r} does not exist; choose one of auto, numpy, jax.")
    xp = array_namespace(c2) if backend == "auto" else np
    if backend == "jax":
        if not HAS_JAX:
            raise ValueError("backend 'jax' was asked for and JAX is not installed; install it or choose numpy.")
        xp = load_jax().numpy
        require_float64()
    c2 = xp.asarray(c2)
    if c2.ndim != ndim or c2.shape[-1] != c2.shape[-2] or c2.shape[-1] < 2:
        wanted = "(n, n)" if ndim == 2 else "(n_phi, n, n)"
        raise ValueError(f"diagonal correction needs shape {wanted} with n ≥ 2; found {c2.shape}.")
    if not xp.issubdtype(c2.dtype, xp.floating):
        c2 = c2.astype(float)
    options = tuple(options.items())
    if frames is None:
        return _replace(c2, method=method, options=options)
    if np.shape(frames) != c2.shape[-1:] or np.any(np.diff(frames) < 1):
        raise ValueError(f"frames must be {c2.shape[-1]} numbers that rise, one a row; found shape {np.shape(frames)}.")
    return _corrected_by_runs(c2, np.asarray(frames), method, options)


def apply_diagonal_correction(c2_mat, method: str = "basic", backend: str = "auto", frames=None, **config):
    """Replace the diagonal of one two-time matrix (spec section 12).

    ``basic``: mean of the entries next to the diagonal at the frame before and after, averaged over both
    triangles; NaN spreads. ``statistical``: ``estimator`` of the finite entries of row and column within
    ``window_size`` frames. ``interpolation``: linear along the column, between the finite neighbours. At the
    ends the neighbours that exist are used; a frame without a finite neighbour becomes NaN.

    Parameters
    ----------
    c2_mat : array_like, shape (n, n)
        n ≥ 2; not modified. Symmetry is not assumed.
    method : {"basic", "statistical", "interpolation"}
    backend : {"auto", "numpy", "jax"}
        Array library of computation and result; ``auto`` follows the argument.
    frames : array_like of int, shape (n,), optional
        Frame numbers that rise, for matrices with missing frames. Each run of consecutive frames is then corrected by
        itself, so that a frame at a gap takes its neighbours from its own side; a single frame between two gaps takes the
        nearest frames beyond them.
    **config
        Options of the method, as in :data:`DIAGONAL_METHODS`: ``window_size`` [frames], ``estimator``
        (``median``, ``mean`` or ``trimmed_mean``), ``trim_fraction`` (cut from either end);
        ``interpolation_method``.

    Returns
    -------
    array, shape (n, n)
        A copy with a new diagonal, in the floating type of the argument.

    Raises
    ------
    ValueError
        For an unknown method, backend or option, a value out of range, or a matrix not square with n ≥ 2.
    """
    return _correct(c2_mat, 2, method, backend, frames, config)


def apply_diagonal_correction_batch(c2_matrices, method: str = "basic", backend: str = "auto", frames=None, **config):
    """Replace the diagonals of a stack of two-time matrices (spec section 12).

    Parameters
    ----------
    c2_matrices : array_like, shape (n_phi, n, n)
    method, backend, frames, **config
        As in :func:`apply_diagonal_correction`.

    Returns
    -------
    array, shape (n_phi, n, n)

    Raises
    ------
    ValueError
        As :func:`apply_diagonal_correction`.
    """
    return _correct(c2_matrices, 3, method, backend, frames, config)

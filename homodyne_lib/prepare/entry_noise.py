"""Noise of one entry of c2, estimated from the data, because no file states it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.polynomial.chebyshev import chebvander

from homodyne_lib.model.frames import frame_ranges, pairs_at_lag

__all__ = ["LEAST_FRAMES", "estimate_sigma", "require_frames_for_noise"]

_TREND_TERMS = 5
_MIN_ENTRIES = 3 * _TREND_TERMS
LEAST_FRAMES = _MIN_ENTRIES + 2
"""Of a record whose noise can be estimated."""
_MAD_TO_SIGMA = 1.4826  # ratio of standard deviation to median absolute deviation of a normal law


def require_frames_for_noise(n_t: int) -> None:
    """Refuse a record of fewer frames than its noise can be estimated from, with a ValueError."""
    if n_t < LEAST_FRAMES:
        raise ValueError(f"noise cannot be estimated from {n_t} frames; at least {LEAST_FRAMES} are needed.")


def estimate_sigma(c2, frames=None, named: Callable[[int], str] = "bin number {}".format) -> np.ndarray:
    """Standard deviation of an entry about its smooth course, for each bin.

    At one lag the correlation changes smoothly with age. Along the pairs of each lag, a polynomial of five terms in the
    logarithm of age is subtracted. The noise is the scatter that remains, taken from the median absolute deviation over all
    lags together, so that a few lags where the polynomial does not fit have no influence. For independent noise the estimate
    is right to a few per cent. Noise that is correlated over much of the record is partly subtracted; the estimate is then
    low.

    Parameters
    ----------
    c2 : array_like, shape (n_phi, n_t, n_t)
        Only the strict upper triangle is used.
    frames : array_like of int, shape (n_t,), optional
        Frame numbers that rise, by which lags and ages count; consecutive without it.
    named : callable
        Gives the words for a bin by its number, for errors.

    Returns
    -------
    ndarray, shape (n_phi,)

    Raises
    ------
    ValueError
        If there are fewer than 17 frames, or no lag has 15 pairs, or a bin shows no scatter at all.
    """
    c2 = np.asarray(c2)
    n_t = c2.shape[-1]
    frames = np.arange(n_t) if frames is None else np.asarray(frames)
    require_frames_for_noise(n_t)
    scatter = []
    # No lag beyond this one has 15 pairs.
    for lag in range(1, int(frames[-_MIN_ENTRIES] - frames[0]) + 1):
        i, j = pairs_at_lag(frames, lag)
        if i.size < _MIN_ENTRIES:
            continue
        values = np.ascontiguousarray(c2[:, i, j], dtype=float)
        age = np.log(frames[i] - frames[0] + 0.5)
        trend, _ = np.linalg.qr(chebvander(2 * (age - age[0]) / (age[-1] - age[0]) - 1, _TREND_TERMS - 1))
        residual = values - (values @ trend) @ trend.T
        scatter.append(np.abs(residual) * np.sqrt(residual.shape[1] / (residual.shape[1] - _TREND_TERMS)))
    if not scatter:
        raise ValueError(
            f"noise cannot be estimated: among the frames {frame_ranges(frames)} no {_MIN_ENTRIES} pairs are equally far "
            "apart. Leave out fewer frames."
        )
    sigma = _MAD_TO_SIGMA * np.median(np.concatenate(scatter, axis=1), axis=1)
    if np.any(sigma <= 1e-12 * np.abs(c2).max()):
        flat = int(np.argmin(sigma))
        raise ValueError(
            f"c2 at {named(flat)} shows no noise (scatter {sigma[flat]:.3g}); constant or noiseless data cannot be "
            "weighted. Check that the file holds measured correlations."
        )
    return sigma

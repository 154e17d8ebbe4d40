"""Noise of one entry of c2, from the data alone; no file carries it."""

from __future__ import annotations

import numpy as np
from numpy.polynomial.chebyshev import chebvander

__all__ = ["estimate_sigma"]

_TREND_TERMS = 5
_MIN_ENTRIES = 3 * _TREND_TERMS
_MAD_TO_SIGMA = 1.4826  # ratio of standard deviation to median absolute deviation of a normal law


def estimate_sigma(c2) -> np.ndarray:
    """Standard deviation of an entry about its smooth course, for each angle.

    At one lag the correlation changes smoothly with age. Along each diagonal above the main one a polynomial of five
    terms in the logarithm of age is taken away; the scatter that stays, as the median absolute deviation over all lags
    together, is the noise. The median forgives the few lags where the polynomial is too stiff. On white noise the estimate
    is within a few per cent; noise that is correlated over a good part of the record is partly taken for signal, and the
    estimate is then low.

    Parameters
    ----------
    c2 : array_like, shape (n_phi, n_t, n_t)
        Only the strict upper triangle is used.

    Returns
    -------
    ndarray, shape (n_phi,)

    Raises
    ------
    ValueError
        If there are fewer than 17 frames, or an angle shows no scatter at all.
    """
    c2 = np.asarray(c2)
    n_t = c2.shape[-1]
    if n_t < _MIN_ENTRIES + 2:
        raise ValueError(f"noise cannot be estimated from {n_t} frames; at least {_MIN_ENTRIES + 2} are needed.")
    scatter = []
    for lag in range(1, n_t - _MIN_ENTRIES + 1):
        along = np.diagonal(c2, lag, axis1=1, axis2=2).astype(float)
        age = np.log(np.arange(n_t - lag) + 0.5)
        trend, _ = np.linalg.qr(chebvander(2 * (age - age[0]) / (age[-1] - age[0]) - 1, _TREND_TERMS - 1))
        residual = along - (along @ trend) @ trend.T
        scatter.append(np.abs(residual) * np.sqrt(residual.shape[1] / (residual.shape[1] - _TREND_TERMS)))
    sigma = _MAD_TO_SIGMA * np.median(np.concatenate(scatter, axis=1), axis=1)
    if np.any(sigma <= 1e-12 * np.abs(c2).max()):
        flat = int(np.argmin(sigma))
        raise ValueError(
            f"c2 at angle number {flat} shows no noise (scatter {sigma[flat]:.3g}); constant or noiseless data cannot be "
            "weighted. Check that the file holds measured correlations."
        )
    return sigma

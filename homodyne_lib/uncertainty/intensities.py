"""The intensity of a pixel by a fit: its covariance between frames, and what its higher cumulants are made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from homodyne_lib.likelihood.speckle_metric import CONTRASTS

__all__ = ["Intensities", "IntensityVariance"]


class IntensityVariance(NamedTuple):
    """Variance of the intensity of a pixel, and the covariance K = contrast g1² + offset - 1 of (U1) at each pair.

    Whatever makes c2 differ from 1 is a covariance of intensities: speckles that move, others that outlive the record, pixels
    of unequal mean intensity.

    Attributes
    ----------
    contrast : float
    steady : float
        What does not change within the record, offset - 1.
    total : float
        K_ii, the nearest to contrast + steady that speckles can have.
    """

    contrast: float
    steady: float
    total: float

    @classmethod
    def of(cls, u, contrast: float, offset: float) -> IntensityVariance:
        """Variance by a fit; an offset further below 1 than the least contrast · u of the pairs is noise of the fit."""
        contrast = max(float(contrast), CONTRASTS[0])
        steady = min(max(float(offset) - 1.0, -contrast * float(np.min(u))), CONTRASTS[1])
        return cls(contrast, steady, float(np.clip(contrast + steady, *CONTRASTS)))

    def moving(self, u):
        """What of K changes within the record, where g1² is u; K is this and ``steady``."""
        return np.clip(self.contrast * u, 0.0, self.total - self.steady)


class Intensities(NamedTuple):
    """What the cumulants (U3) of the intensity of a pixel are made of.

    Attributes
    ----------
    u : ndarray, shape (n_t, n_t)
        K over the variance, one on the diagonal.
    variance : float
    g : ndarray, shape (n_t, n_t)
        Correlation of the fields, one on the diagonal.
    contrast : float
        One over the number of fields.
    """

    u: np.ndarray
    variance: float
    g: np.ndarray
    contrast: float

    @classmethod
    def of(cls, g1, contrast: float, offset: float) -> Intensities:
        """Cumulants by a fit, for g1 of shape (n_t, n_t), one on the diagonal.

        All of K is taken for speckles, as contrast and offset of a decay that the record does not hold are hardly known one
        by one. Where g1 changes its sign, the record holds the decay: fields have the sign too, and what does not change is
        a part of its own, whose higher cumulants are left out.
        """
        squares = g1**2
        variance = IntensityVariance.of(squares, contrast, offset)
        u = (variance.moving(squares) + variance.steady) / variance.total
        np.fill_diagonal(u, 1.0)
        if np.min(g1) < 0.0:
            return cls(u, variance.total, g1, variance.total - variance.steady)
        return cls(u, variance.total, np.sqrt(u), variance.total)

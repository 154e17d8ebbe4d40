"""What the posterior says of the decays: bands about the fitted curves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from homodyne_lib.figures.comparison import Comparison
from homodyne_lib.figures.fitted_model import FittedModel
from homodyne_lib.figures.lag_bins import LagBins
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.model.curves import band
from homodyne_lib.results.fits import Fit

__all__ = ["decay_bands"]

_DRAWS, _ROWS, _LAGS = 200, 8, 3
"""Draws, and of each window of age and bin of lag the rows and lags, that bands are made of."""


def _sample(bins: LagBins) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames of pairs spread over the windows of age and the bins of lag: earlier, later and the number of their cell.

    The later one may be missing: the model knows it nevertheless.
    """
    span, n_bins = len(bins.group) + 1, bins.shape[1]
    points = []
    for number, window in enumerate(bins.windows):
        if window.start == window.stop:
            continue
        rows = np.unique(np.linspace(window.start, window.stop - 1, _ROWS).round().astype(int))
        for group in range(n_bins):
            lags = 1 + np.flatnonzero(bins.group == group)
            lags = lags[np.unique(np.linspace(0, len(lags) - 1, _LAGS).round().astype(int))]
            i, lag = (part.ravel() for part in np.meshgrid(bins.frames[rows], lags, indexing="ij"))
            inside = i + lag < span
            points.append(np.stack([i, i + lag, np.full(i.shape, number * n_bins + group)])[:, inside])
    return tuple(np.concatenate(points, axis=1))


def decay_bands(
    record: Correlations, fit: Fit, comparison: Comparison, draws: Mapping[str, np.ndarray], scaling
) -> np.ndarray:
    """Central 95 % of the decays of all draws, about the fitted ones.

    Pairs that are spread over a window tell how the draws' decays differ from the fit's; the fit's is that of all pairs.

    Parameters
    ----------
    record : Correlations
    fit : Fit
    comparison : Comparison
        Of the same two.
    draws : mapping of str to ndarray, shape (n_draws,)
        Of the physical parameters.
    scaling : tuple of ndarray, shape (n_draws, n)
        Contrast and offset of the draws, in each of n bins of the record.

    Returns
    -------
    ndarray, shape (2, n, n_ages, n_bins)
        Lower and upper edge of (c2 - O)/C, with the fitted O and C; NaN where there is no pair.
    """
    bins = LagBins(record.offsets)
    i, j, cell = _sample(bins)
    shape = comparison.model_decay.shape[1:]
    size = np.bincount(cell, minlength=np.prod(shape))
    chosen = np.linspace(0, len(scaling[0]) - 1, min(_DRAWS, len(scaling[0]))).round().astype(int)
    batch = np.array([list(fit.values.values()), *np.stack([draws[name] for name in fit.values], axis=1)[chosen]])
    edges, fitted, of_last = [], FittedModel(record, fit), -1
    for k, number in enumerate(fitted.model_of):
        if number != of_last:
            drawn, of_last = fitted.u(k, i, j, params=batch.T[..., None]), number
            sums = np.stack([np.bincount(cell, row, minlength=size.size) for row in drawn])
            means = np.divide(sums, size, out=np.full(sums.shape, np.nan), where=size > 0).reshape(-1, *shape)
        u = means[1:] + (comparison.model_decay[k] - means[0])
        contrast, offset = fit.scaling.contrast[k], fit.scaling.offset[k]
        drawn_contrast, drawn_offset = (part[chosen, k, None, None] for part in scaling)
        edges.append(band((drawn_offset + drawn_contrast * u - offset) / contrast, 0.95))
    return np.moveaxis(np.array(edges), 1, 0)

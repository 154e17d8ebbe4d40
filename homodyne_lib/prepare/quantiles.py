"""Contrast and offset of each angle, estimated from quantiles of the data, with warnings where the estimate fails.

At large lags g1² → 0 and c2 → offset; at small lags g1² → 1 and c2 → offset + contrast (spec section 7).
"""

from __future__ import annotations

import numpy as np

from homodyne_lib.model.frames import frame_offsets
from homodyne_lib.model.parameters import PARAMETERS

__all__ = [
    "CONTRAST_BOUNDS",
    "LAG_QUANTILES",
    "OFFSET_BOUNDS",
    "VALUE_QUANTILES",
    "estimate_from_quantiles",
    "estimate_scaling_from_matrices",
]

CONTRAST_BOUNDS = (PARAMETERS["contrast"].lower, PARAMETERS["contrast"].upper)
OFFSET_BOUNDS = (PARAMETERS["offset"].lower, PARAMETERS["offset"].upper)
_MIN_POINTS = 100  # of an angle; with fewer, quantiles are too uncertain
LAG_QUANTILES = (0.80, 0.20)  # lags are large from the first on, small up to the second
VALUE_QUANTILES = (0.10, 0.90)  # of c2 at large and at small lags
_NOISE_BLOCKS = 20  # frames of one block may share their noise
_VISIBLE_ERRORS, _ROUNDING = 2.0, 1e-12  # a decay is visible above both: standard errors, absolute size
_FLAT_ERRORS, _FLAT_SHARE = 4.0, 0.10  # the floor has a slope above both: standard errors, share of the decay


def _lag_regions(lag, quantiles=LAG_QUANTILES):
    large, small = np.quantile(lag, quantiles)
    return lag <= small, lag >= large


def estimate_from_quantiles(
    c2, lag, contrast_bounds, offset_bounds, lag_quantiles=LAG_QUANTILES, value_quantiles=VALUE_QUANTILES
):
    """Estimate contrast and offset of one angle from its points (spec section 7).

    Parameters
    ----------
    c2, lag : array_like, shape (N,)
        Values and their lags, in any unit; those that are not finite are left out.
    contrast_bounds, offset_bounds : (float, float)
        The estimates are clipped to them; below 100 points they are their midpoints.
    lag_quantiles : (float, float)
        Lags are large from the first quantile on, small up to the second.
    value_quantiles : (float, float)
        Quantiles of c2 at large and at small lags.

    Returns
    -------
    contrast, offset : float
    warnings : list of str
        Where an estimate was moved to a bound, or points are too few.

    Raises
    ------
    ValueError
        If the two arrays are not vectors of equal length.
    """
    c2, lag = np.asarray(c2, dtype=float), np.asarray(lag, dtype=float)
    if c2.ndim != 1 or c2.shape != lag.shape:
        raise ValueError(f"c2 and lags must be vectors of one length; found shapes {c2.shape} and {lag.shape}.")
    finite = np.isfinite(c2) & np.isfinite(lag)
    c2, lag = c2[finite], lag[finite]
    if c2.size < _MIN_POINTS:
        text = f"{c2.size} finite points are below {_MIN_POINTS}; contrast and offset are set to mid-bounds."
        return float(np.mean(contrast_bounds)), float(np.mean(offset_bounds)), [text]
    near, far = _lag_regions(lag, lag_quantiles)
    floor = np.quantile(c2[far], value_quantiles[0])
    offset = np.clip(floor, *offset_bounds)
    rise = np.quantile(c2[near], value_quantiles[1]) - offset
    estimates = (("offset", floor, offset_bounds), ("contrast", rise, contrast_bounds))
    warnings = [
        f"the {name} estimate {value:.3g} lies outside [{low:g}, {high:g}] and is moved to the bound."
        for name, value, (low, high) in estimates
        if not low <= value <= high
    ]
    return float(np.clip(rise, *contrast_bounds)), float(offset), warnings


def _linear_fit(c2, columns, i, j):
    """Least squares, with standard errors that allow for noise common to entries of the same frames.

    Entries that have a block of frames in common may be correlated, so the variance of a coefficient sums the
    products of their influences (dyadic cluster-robust errors; Aronow et al., Polit. Anal. 23, 564, 2015).
    """
    influence = np.linalg.pinv(columns.T @ columns) @ columns.T
    coefficients = influence @ c2
    residual = c2 - columns @ coefficients
    width = max(1, (j.max() + 1) // _NOISE_BLOCKS)
    n = j.max() // width + 1
    errors = []
    for row in influence:
        cells = np.bincount(i // width * n + j // width, row * residual, n * n).reshape(n, n)
        squares = np.sum(cells**2)
        by_block = cells.sum(axis=0) + cells.sum(axis=1) - np.diag(cells)
        errors.append(np.sqrt(max(np.sum(by_block**2) - squares, squares)))
    return coefficients, np.array(errors)


def _decay_warnings(c2, i, j) -> list[str]:
    """Warn where c2 does not decay, or is not flat at the largest lags: the quantile estimates assume both."""
    near, far = _lag_regions(j - i)
    columns = [np.ones(i.size), near.astype(float)]
    for position in (j - i, j + i):  # lag and age, in two standard deviations over the largest lags
        spread = 2.0 * position[far].std()
        columns.append(far * (position - position[far].mean()) / (spread or 1.0))
    used = near | far
    fit, errors = _linear_fit(c2[used], np.column_stack(columns)[used], i[used], j[used])
    (decay, *changes), (decay_error, *change_errors) = fit[1:], errors[1:]
    if decay <= max(_VISIBLE_ERRORS * decay_error, _ROUNDING):
        return [
            f"no decay is visible: between the smallest and the largest lags c2 falls by {decay:.2g} ± "
            f"{decay_error:.1g}; the estimates of contrast and offset say nothing."
        ]
    sloped = [
        (abs(change) / decay, f"with {name} by {change:.2g} ± {error:.1g}")
        for name, change, error in zip(("lag", "age"), changes, change_errors, strict=True)
        if abs(change) > max(_FLAT_ERRORS * error, _FLAT_SHARE * decay)
    ]
    return [
        f"the decay seems incomplete: over the largest lags c2 changes {how}, {share:.0%} of the decay seen; "
        "the estimates of contrast and offset are biased by an amount of this order."
        for share, how in sorted(sloped)[-1:]
    ]


def estimate_scaling_from_matrices(
    c2, phi=None, contrast_bounds=CONTRAST_BOUNDS, offset_bounds=OFFSET_BOUNDS, frames=None, labels=None
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Estimate contrast and offset of two-time matrices from the pairs above the diagonal (spec section 7).

    Parameters
    ----------
    c2 : array_like, shape (n_phi, n_t, n_t)
        Values that are not finite are left out.
    phi : array_like, shape (n_phi,), optional
        Angles [deg], by which the warnings name them.
    contrast_bounds, offset_bounds : (float, float)
    frames : array_like of int, shape (n_t,), optional
        Frame numbers that rise, by which lags and ages count; consecutive without it.
    labels : sequence of str, optional
        What warnings call the matrices, in the place of ``phi``.

    Returns
    -------
    contrast, offset : ndarray, shape (n_phi,)
    warnings : list of str
        Where an estimate is biased or meaningless: too few points, a value outside its bounds, no visible decay, or a
        decay that continues over the largest lags (by four standard errors and a tenth of the visible decay).

    Raises
    ------
    ValueError
        If ``c2`` is not a stack of square matrices, or not of as many angles as ``phi``.
    """
    c2 = np.asarray(c2)
    if c2.ndim != 3 or c2.shape[1] != c2.shape[2]:
        raise ValueError(f"c2 must have shape (n_phi, n_t, n_t); found {c2.shape}.")
    if phi is not None and np.shape(phi) != c2.shape[:1]:
        raise ValueError(f"c2 holds {len(c2)} angles and phi has shape {np.shape(phi)}; give one angle a matrix.")
    if labels is None:
        labels = [f"angle {k}" for k in range(len(c2))] if phi is None else [f"phi = {p:g} deg" for p in phi]
    i, j = np.triu_indices(c2.shape[1], 1)
    at = np.arange(c2.shape[1]) if frames is None else frame_offsets(frames)
    first, second = at[i], at[j]
    estimates, warnings = np.empty((2, len(c2))), []
    for k, label in enumerate(labels):
        values = c2[k, i, j].astype(float)
        *estimates[:, k], texts = estimate_from_quantiles(values, second - first, contrast_bounds, offset_bounds)
        finite = np.isfinite(values)
        if finite.sum() >= _MIN_POINTS:
            texts += _decay_warnings(values[finite], first[finite], second[finite])
        warnings += [f"{label}: {text}" for text in texts]
    return *estimates, warnings

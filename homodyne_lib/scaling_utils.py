"""Contrast and offset of each angle, estimated from quantiles of the data, and a verdict on the estimate.

At large lags g1² → 0 and c2 → offset; at small lags g1² → 1 and c2 → offset + contrast (spec section 7).
"""

from __future__ import annotations

import logging

import numpy as np

from homodyne_lib.physics import PARAMETERS

__all__ = [
    "compute_averaged_scaling",
    "estimate_contrast_offset_from_quantiles",
    "estimate_per_angle_scaling",
    "estimate_scaling_from_matrices",
]

logger = logging.getLogger(__name__)

_CONTRAST_BOUNDS = (PARAMETERS["contrast"].lower, PARAMETERS["contrast"].upper)
_OFFSET_BOUNDS = (PARAMETERS["offset"].lower, PARAMETERS["offset"].upper)
_MIN_POINTS = 100  # fewer points per angle say nothing about quantiles
_LAG_QUANTILES = (0.80, 0.20)  # lags are large from the first on, small up to the second
_VALUE_QUANTILES = (0.10, 0.90)  # of c2 at large and at small lags
_NOISE_BLOCKS = 20  # frames of one block may share their noise
_VISIBLE_ERRORS, _ROUNDING = 2.0, 1e-12  # a decay up to so many standard errors, or so small, is not seen
_FLAT_ERRORS, _FLAT_SHARE = 4.0, 0.10  # a floor is sloped beyond both: standard errors, share of the decay


def _lag_regions(lag, quantiles=_LAG_QUANTILES):
    large, small = np.quantile(lag, quantiles)
    return lag <= small, lag >= large


def _estimate(c2, lag, contrast_bounds, offset_bounds, lag_quantiles=_LAG_QUANTILES, value_quantiles=_VALUE_QUANTILES):
    """Contrast, offset and sentences about them, from the points of one angle."""
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
    found = (("offset", floor, offset_bounds), ("contrast", rise, contrast_bounds))
    warnings = [
        f"the {name} estimate {value:.3g} lies outside [{low:g}, {high:g}] and is moved to the bound."
        for name, value, (low, high) in found
        if not low <= value <= high
    ]
    return float(np.clip(rise, *contrast_bounds)), float(offset), warnings


def estimate_contrast_offset_from_quantiles(
    c2_data,
    delta_t,
    contrast_bounds=_CONTRAST_BOUNDS,
    offset_bounds=_OFFSET_BOUNDS,
    lag_floor_quantile: float = _LAG_QUANTILES[0],
    lag_ceiling_quantile: float = _LAG_QUANTILES[1],
    value_quantile_low: float = _VALUE_QUANTILES[0],
    value_quantile_high: float = _VALUE_QUANTILES[1],
) -> tuple[float, float]:
    """Estimate contrast and offset of one angle from quantiles (spec section 7).

    The offset is a low quantile of c2 at the largest lags, the contrast a high quantile at the smallest lags,
    above the offset. Noise moves the offset down and the contrast up; an incomplete decay does the opposite.

    Parameters
    ----------
    c2_data : array_like, shape (N,)
        Values that are not finite are left out.
    delta_t : array_like, shape (N,)
        Lags |t1 - t2|, in any unit.
    contrast_bounds, offset_bounds : (float, float)
        The estimates are clipped to them; below 100 points they are their midpoints. The log says so.
    lag_floor_quantile, lag_ceiling_quantile : float
        Lags are large from the first quantile on, small up to the second.
    value_quantile_low, value_quantile_high : float
        Quantiles of c2 at large and at small lags.

    Returns
    -------
    contrast, offset : float

    Raises
    ------
    ValueError
        If the two arrays are not vectors of equal length.
    """
    contrast, offset, warnings = _estimate(
        c2_data,
        delta_t,
        contrast_bounds,
        offset_bounds,
        (lag_floor_quantile, lag_ceiling_quantile),
        (value_quantile_low, value_quantile_high),
    )
    for text in warnings:
        logger.warning(text)
    return contrast, offset


def estimate_per_angle_scaling(
    c2_data,
    t1,
    t2,
    phi_indices,
    n_phi,
    contrast_bounds=_CONTRAST_BOUNDS,
    offset_bounds=_OFFSET_BOUNDS,
    log=None,
) -> dict[str, float]:
    """Estimate contrast and offset of every angle of pooled points (spec section 7).

    Parameters
    ----------
    c2_data, t1, t2 : array_like, shape (N,)
        Values and their two times, in any unit.
    phi_indices : array_like of int, shape (N,)
        Angle of each point, 0 ... n_phi - 1.
    n_phi : int
    contrast_bounds, offset_bounds : (float, float)
    log : logging.Logger, optional
        Receives the warnings; without it, the logger of this module.

    Returns
    -------
    dict
        ``contrast_0``, ``offset_0``, ``contrast_1``, ...

    Raises
    ------
    ValueError
        If an angle index is not an integer of the range, or lengths differ.
    """
    index, c2 = np.asarray(phi_indices), np.asarray(c2_data, dtype=float)
    lag = np.abs(np.subtract(t1, t2, dtype=float))
    if not c2.shape == lag.shape == index.shape:
        shapes = f"{c2.shape}, {lag.shape} and {index.shape}"
        raise ValueError(f"c2_data, t1 - t2 and phi_indices must have one shape (N,); found {shapes}.")
    if not np.issubdtype(index.dtype, np.integer) or np.any((index < 0) | (index >= n_phi)):
        found = f"{index.dtype} from {index.min()} to {index.max()}" if index.size else str(index.dtype)
        raise ValueError(f"phi_indices must be integers from 0 to {n_phi - 1}; found {found}. Count angles from 0.")
    estimates = {}
    for k in range(n_phi):
        mine = index == k
        contrast, offset, warnings = _estimate(c2[mine], lag[mine], contrast_bounds, offset_bounds)
        estimates |= {f"contrast_{k}": contrast, f"offset_{k}": offset}
        for text in warnings:
            (log or logger).warning("angle %d: %s", k, text)
    return estimates


def compute_averaged_scaling(
    c2_data,
    t1,
    t2,
    phi_indices,
    n_phi,
    contrast_bounds=_CONTRAST_BOUNDS,
    offset_bounds=_OFFSET_BOUNDS,
    log=None,
) -> tuple[float, float, np.ndarray, np.ndarray]:
    """Estimate contrast and offset of every angle, and their means (spec section 7).

    Parameters and errors as in :func:`estimate_per_angle_scaling`.

    Returns
    -------
    contrast, offset : float
        Means over the angles.
    contrasts, offsets : ndarray, shape (n_phi,)
    """
    found = estimate_per_angle_scaling(c2_data, t1, t2, phi_indices, n_phi, contrast_bounds, offset_bounds, log)
    contrasts = np.array([found[f"contrast_{k}"] for k in range(n_phi)])
    offsets = np.array([found[f"offset_{k}"] for k in range(n_phi)])
    return float(contrasts.mean()), float(offsets.mean()), contrasts, offsets


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
        own = np.sum(cells**2)
        touching = cells.sum(axis=0) + cells.sum(axis=1) - np.diag(cells)
        errors.append(np.sqrt(max(np.sum(touching**2) - own, own)))
    return coefficients, np.array(errors)


def _decay_warnings(c2, i, j) -> list[str]:
    """Whether c2 decays at all and is flat at the largest lags, as the quantile estimates assume."""
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
    c2, phi=None, contrast_bounds=_CONTRAST_BOUNDS, offset_bounds=_OFFSET_BOUNDS
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Estimate contrast and offset of two-time matrices from the pairs above the diagonal (spec section 7).

    Parameters
    ----------
    c2 : array_like, shape (n_phi, n_t, n_t)
        Values that are not finite are left out.
    phi : array_like, shape (n_phi,), optional
        Angles [deg], by which the warnings name them.
    contrast_bounds, offset_bounds : (float, float)

    Returns
    -------
    contrast, offset : ndarray, shape (n_phi,)
    warnings : list of str
        Where an estimate is void or biased: too few points, a value outside its bounds, no decay to be seen,
        or a decay that goes on over the largest lags (by four standard errors and a tenth of the decay seen).

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
    labels = [f"angle {k}" for k in range(len(c2))] if phi is None else [f"phi = {p:g} deg" for p in phi]
    i, j = np.triu_indices(c2.shape[1], 1)
    estimates, warnings = np.empty((2, len(c2))), []
    for k, label in enumerate(labels):
        values = c2[k, i, j].astype(float)
        *estimates[:, k], texts = _estimate(values, j - i, contrast_bounds, offset_bounds)
        finite = np.isfinite(values)
        if finite.sum() >= _MIN_POINTS:
            texts += _decay_warnings(values[finite], i[finite], j[finite])
        warnings += [f"{label}: {text}" for text in texts]
    return *estimates, warnings

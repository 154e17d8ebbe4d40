"""Contrast and offset from quantiles of pooled points (spec section 7)."""

from __future__ import annotations

import logging

import numpy as np

from homodyne_lib.prepare.quantiles import (
    CONTRAST_BOUNDS,
    LAG_QUANTILES,
    OFFSET_BOUNDS,
    VALUE_QUANTILES,
    estimate_from_quantiles,
)

__all__ = ["compute_averaged_scaling", "estimate_contrast_offset_from_quantiles", "estimate_per_angle_scaling"]

logger = logging.getLogger(__name__)


def estimate_contrast_offset_from_quantiles(
    c2_data,
    delta_t,
    contrast_bounds=CONTRAST_BOUNDS,
    offset_bounds=OFFSET_BOUNDS,
    lag_floor_quantile: float = LAG_QUANTILES[0],
    lag_ceiling_quantile: float = LAG_QUANTILES[1],
    value_quantile_low: float = VALUE_QUANTILES[0],
    value_quantile_high: float = VALUE_QUANTILES[1],
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
    contrast, offset, warnings = estimate_from_quantiles(
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
    c2_data, t1, t2, phi_indices, n_phi, contrast_bounds=CONTRAST_BOUNDS, offset_bounds=OFFSET_BOUNDS, log=None
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
        contrast, offset, warnings = estimate_from_quantiles(c2[mine], lag[mine], contrast_bounds, offset_bounds)
        estimates |= {f"contrast_{k}": contrast, f"offset_{k}": offset}
        for text in warnings:
            (log or logger).warning("angle %d: %s", k, text)
    return estimates


def compute_averaged_scaling(
    c2_data, t1, t2, phi_indices, n_phi, contrast_bounds=CONTRAST_BOUNDS, offset_bounds=OFFSET_BOUNDS, log=None
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

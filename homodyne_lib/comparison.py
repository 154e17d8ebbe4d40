"""Data against model, angle by angle: maps small enough to draw, and what stays when the age is averaged away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from homodyne_lib.data import Correlations
from homodyne_lib.jax_backend import compute_g2_scaled

__all__ = ["Comparison", "compare", "shrink"]

_LAG_BINS = 24


@dataclass(frozen=True, eq=False)
class Comparison:
    """Data, model and residuals of a fit.

    Attributes
    ----------
    phi : ndarray, shape (n_phi,)
        [deg]
    duration : float
        Time of the last frame [s].
    data, model, residual : ndarray, shape (n_phi, m, m)
        Averages over ``block`` × ``block`` entries; residuals in σ of one entry, NaN where only the diagonal is.
    block : int
    lag : ndarray, shape (n_bins,)
        Mean lag of each bin [s].
    data_decay, model_decay : ndarray, shape (n_phi, n_bins)
        (c2 - O)/C averaged over age.
    residual_profile : ndarray, shape (n_phi, n_bins)
        Mean residual [σ].
    entries : ndarray, shape (n_bins,)
        Pairs of frames in each bin, at one angle.
    """

    phi: np.ndarray
    duration: float
    data: np.ndarray
    model: np.ndarray
    residual: np.ndarray
    block: int
    lag: np.ndarray
    data_decay: np.ndarray
    model_decay: np.ndarray
    residual_profile: np.ndarray
    entries: np.ndarray


def shrink(matrix: np.ndarray, block: int) -> np.ndarray:
    """Average a square matrix over blocks of ``block`` × ``block`` entries; NaN do not count.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
    block : int

    Returns
    -------
    ndarray, shape (m, m)
        m = n / block, rounded up; blocks at the end may hold fewer entries.
    """
    starts = np.arange(0, len(matrix), block)

    def sums(values):
        return np.add.reduceat(np.add.reduceat(values, starts, axis=0), starts, axis=1)

    finite = np.isfinite(matrix)
    count = sums(finite.astype(float))
    return np.divide(sums(np.where(finite, matrix, 0.0)), count, out=np.full(count.shape, np.nan), where=count > 0)


def _lag_bins(n_t: int) -> np.ndarray:
    """Bin of each lag from 1 on: single lags first, then ever wider groups."""
    edges = np.unique(np.round(np.geomspace(1, n_t, _LAG_BINS + 1)))
    return np.searchsorted(edges, np.arange(1, n_t), side="right") - 1


def compare(record: Correlations, nlsq: Mapping[str, Any], pixels: int) -> Comparison:
    """Compute the fitted model, one angle at a time, and compare.

    Parameters
    ----------
    record : Correlations
        With its noise.
    nlsq : mapping
        Content of nlsq.json.
    pixels : int
        Largest side of a map.

    Returns
    -------
    Comparison
    """
    n_t = len(record.frames)
    time, block = np.arange(n_t) * record.dt, -(-n_t // pixels)
    params = [entry["value"] for entry in nlsq["parameters"].values()]
    gap = record.stator_rotor_gap or 1.0  # in static modes the gap does not enter
    i, j = np.triu_indices(n_t, 1)
    group = _lag_bins(n_t)[j - i - 1]
    entries = np.bincount(group)

    def by_lag(matrix):
        return np.bincount(group, matrix[i, j]) / entries

    found = []
    scaling = nlsq["scaling"]
    for c2, phi, sigma, contrast, offset in zip(
        record.c2, record.phi, record.sigma, scaling["contrast"], scaling["offset"], strict=True
    ):
        c2 = c2.astype(float)
        model = np.asarray(
            compute_g2_scaled(
                params, time, time, [phi], record.q, gap, contrast, offset, record.dt, nlsq["shear_convention"]
            )
        )[0]
        residual = (c2 - model) / sigma
        np.fill_diagonal(residual, np.nan)
        decays = [(by_lag(matrix) - offset) / contrast for matrix in (c2, model)]
        found.append([*(shrink(matrix, block) for matrix in (c2, model, residual)), *decays, by_lag(residual)])
    lag = np.bincount(group, j - i) / entries * record.dt
    data, model, residual, data_decay, model_decay, profile = (np.array(part) for part in zip(*found, strict=True))
    return Comparison(
        np.asarray(record.phi),
        float(time[-1]),
        data,
        model,
        residual,
        block,
        lag,
        data_decay,
        model_decay,
        profile,
        entries,
    )

"""Data against model, bin by bin: maps small enough to draw, and profiles over lag, age and angle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homodyne_lib.figures.fitted_model import FittedModel
from homodyne_lib.figures.lag_bins import LagBins
from homodyne_lib.figures.panels import chosen_groups
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.model.bins import Bins
from homodyne_lib.model.frames import nearest_lag, pairs_at_lag
from homodyne_lib.results.fits import Fit

__all__ = ["AngularDecay", "Comparison", "angular_decay", "angular_decays", "compare", "shrink", "with_gaps"]

_DECAYS = (0.8, 0.5, 0.2)
"""Decays, averaged over age and angle, at whose lags the angles are compared."""
_STEP = 2.0  # of the model over the angle [deg]
_PARTS = 4  # of the record: few, so that its noise does not remember the one before

RESIDUAL_EDGES = np.linspace(-6.0, 6.0, 49)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Data, model and residuals of a fit.

    Attributes
    ----------
    bins : Bins
        Repeat, q and angle of each matrix, n of them.
    duration : float
        Time of the last frame [s].
    data, model, residual : ndarray, shape (n, m, m)
        Over the whole time axis, averages over ``block`` × ``block`` entries; residuals in σ/``block``, the noise of such an
        average if entries are independent. NaN where frames are missing, for residuals also where only the diagonal is.
    block : int
    lag : ndarray, shape (n_bins,)
        Mean lag of each bin of lag [s].
    ages : ndarray, shape (n_ages, 2)
        First and last t1 of each window of age [s].
    data_decay, model_decay, decay_error : ndarray, shape (n, n_ages, n_bins)
        (c2 - O)/C averaged over a window of age, and the standard error that windows as wide, all along the record and in
        all matrices, show in the residuals; NaN where there is no pair.
    lag_profile, age_profile : ndarray, shape (n, n_bins), (n, n_age_bins)
        Mean residual [σ] at each lag and each age t1.
    lag_entries, age_entries : ndarray, shape (n_bins,), (n_age_bins,)
        Pairs of frames of one matrix in each bin.
    age : ndarray, shape (n_age_bins,)
        Mean t1 of each bin [s].
    histogram : ndarray, shape (48,)
        Density of the residuals of all matrices in bins of ``RESIDUAL_EDGES`` [1/σ]; those beyond count in the outermost.
    neighbours : float
        Correlation of residuals of entries in a row whose later frames follow each other without a gap.
    """

    bins: Bins
    duration: float
    data: np.ndarray
    model: np.ndarray
    residual: np.ndarray
    block: int
    lag: np.ndarray
    ages: np.ndarray
    data_decay: np.ndarray
    model_decay: np.ndarray
    decay_error: np.ndarray
    lag_profile: np.ndarray
    lag_entries: np.ndarray
    age: np.ndarray
    age_profile: np.ndarray
    age_entries: np.ndarray
    histogram: np.ndarray
    neighbours: float


@dataclass(frozen=True, eq=False)
class AngularDecay:
    """The decay at a few lags over the angle, of a group: where a flow shows.

    Attributes
    ----------
    named : str
        What the group is called; empty for the only one.
    bins : Bins
        Of the group.
    lags : ndarray, shape (n_lags,)
        [s]
    data, error : ndarray, shape (n_lags, n_phi)
        (c2 - O)/C averaged over all ages, and the standard error that the scatter of parts of the record gives.
    model_phi : ndarray, shape (n,)
        [deg]
    model : ndarray, shape (n_lags, n)
    """

    named: str
    bins: Bins
    lags: np.ndarray
    data: np.ndarray
    error: np.ndarray
    model_phi: np.ndarray
    model: np.ndarray


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


def with_gaps(matrix: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Matrix on the whole time axis, NaN where frames are missing.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
    frames : ndarray of int, shape (n,)
        Offsets of the frames that there are, from 0.

    Returns
    -------
    ndarray, shape (m, m)
        m frames from the first to the last.
    """
    span = int(frames[-1]) + 1
    if span == len(frames):
        return matrix
    whole = np.full((span, span), np.nan)
    whole[np.ix_(frames, frames)] = matrix
    return whole


def compare(record: Correlations, fit: Fit, pixels: int) -> Comparison:
    """Compute the fitted model, one bin at a time, and compare.

    Parameters
    ----------
    record : Correlations
        With its noise.
    fit : Fit
    pixels : int
        Largest side of a map.

    Returns
    -------
    Comparison
    """
    frames = record.offsets
    time, block, bins = frames * record.dt, -(-(int(frames[-1]) + 1) // pixels), LagBins(frames)
    # Pairs whose later frame has the next one right after it: after as many intervals as any two in the record at least.
    steps = np.diff(frames)
    right = np.append(steps == steps.min(), False)[bins.j]
    found, counts, products, squares, scatter = [], 0, 0.0, 0.0, 0.0
    scaling, fitted, of_last = fit.scaling, FittedModel(record, fit), -1
    for k, (c2, sigma, contrast, offset) in enumerate(
        zip(record.c2, record.sigma, scaling.contrast, scaling.offset, strict=True)
    ):
        c2 = c2.astype(float)
        if fitted.model_of[k] != of_last:
            u, of_last = fitted.u(k, frames[:, None], frames), fitted.model_of[k]
        model = offset + contrast * u
        residual = (c2 - model) / sigma
        upper = residual[bins.i, bins.j]
        counts = counts + np.histogram(np.clip(upper, *RESIDUAL_EDGES[[0, -1]]), RESIDUAL_EDGES)[0]
        products += np.sum(upper[right] * residual[bins.i[right], bins.j[right] + 1])
        squares += np.sum(np.square(upper[right]))
        np.fill_diagonal(residual, np.nan)
        residual_sums = bins.sums(residual)
        scatter = scatter + bins.scatter(residual_sums)
        decays = [(bins.means(bins.sums(matrix)) - offset) / contrast for matrix in (c2, model)]
        profiles = [residual_sums.sum(axis=0), bins.by_age(residual_sums)]
        maps = [shrink(with_gaps(matrix, frames), block) for matrix in (c2, model, residual * block)]
        found.append([*maps, *decays, *profiles])
    data, model, residual, data_decay, model_decay, by_lag, by_age = (
        np.array(part) for part in zip(*found, strict=True)
    )
    lag_entries, age_entries = bins.count.sum(axis=0), bins.by_age(bins.count)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(bins.pairs() > 0, np.sqrt(scatter[0] / scatter[1] / bins.pairs()), np.nan)
    return Comparison(
        bins=record.bins,
        duration=float(time[-1]),
        data=data,
        model=model,
        residual=residual,
        block=block,
        lag=bins.lag * record.dt,
        ages=bins.ages * record.dt,
        data_decay=data_decay,
        model_decay=model_decay,
        decay_error=error * (record.sigma / np.abs(scaling.contrast))[:, None, None],
        lag_profile=by_lag / lag_entries,
        lag_entries=lag_entries,
        age=bins.by_age(bins.count * time[:, None]) / age_entries,
        age_profile=by_age / age_entries,
        age_entries=age_entries,
        histogram=counts / (len(record.phi) * len(bins.i) * np.diff(RESIDUAL_EDGES)),
        neighbours=float(products / squares),
    )


def angular_decays(record: Correlations, fit: Fit, comparison: Comparison) -> list[AngularDecay]:
    """:func:`angular_decay` of the groups that stand for all, where they have several angles."""
    groups = [number for number in chosen_groups(record.bins) if record.bins.groups[number].size > 1]
    return [angular_decay(record, fit, comparison, number) for number in groups]


def angular_decay(record: Correlations, fit: Fit, comparison: Comparison, group: int = 0) -> AngularDecay:
    """Average the decay over all pairs of a lag: at a few lags, over all ages, against the angle.

    Parameters
    ----------
    record : Correlations
    fit : Fit
    comparison : Comparison
        Of the same two; its decay chooses the lags.
    group : int
        Number of the group of bins.

    Returns
    -------
    AngularDecay
    """
    frames, fitted, chosen = record.offsets, FittedModel(record, fit), record.bins.groups[group]
    # The second window of age shows most; all of its frames may be missing.
    means = (comparison.model_decay[chosen, k].mean(axis=0) for k in (1, 2, 0, 3))
    decay = next(d for d in means if np.isfinite(d).any())
    bins = {int(np.nanargmin(np.abs(decay - level))) for level in _DECAYS}
    steps = sorted({nearest_lag(frames, round(comparison.lag[k] / record.dt)) for k in bins})
    contrast, offset = fit.scaling.contrast[chosen, None], fit.scaling.offset[chosen, None]
    phi, size = record.phi[chosen], record.sigma[chosen] / np.abs(contrast[:, 0])
    model_phi = np.linspace(phi.min(), phi.max(), 2 + int(np.ptp(phi) / _STEP))
    data, error, model = [], [], []
    for k in steps:
        i, j = pairs_at_lag(frames, k)

        def decay_at(angles, i=frames[i], j=frames[j]):
            u = fitted.u(chosen[0], i, j, phi=angles[:, None])
            return np.broadcast_to(u, (len(angles), len(i)))

        measured = (np.stack([record.c2[b][i, j] for b in chosen]) - offset) / contrast
        data.append(measured.mean(axis=1))
        error.append(size * _scatter_of_parts((measured - decay_at(phi)) / size[:, None]))
        model.append(decay_at(model_phi).mean(axis=1))
    lags = np.array(steps) * record.dt
    name, of_group = record.bins.group_named(group), record.bins[chosen]
    return AngularDecay(name, of_group, lags, np.array(data), np.array(error), model_phi, np.array(model))


def _scatter_of_parts(residual: np.ndarray) -> float:
    """Standard error of the mean of a row, shape (n_rows, n), whose neighbours scatter together: from sums of parts."""
    n = residual.shape[1]
    starts = np.unique(np.linspace(0, n, min(_PARTS, n) + 1).astype(int)[:-1])
    lengths = np.diff([*starts, n])
    return float(np.sqrt(np.mean(np.square(np.add.reduceat(residual, starts, axis=1)) / lengths) / n))

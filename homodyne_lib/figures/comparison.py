"""Data against model, angle by angle: maps small enough to draw, and profiles over lag, age and angle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homodyne_lib.figures.lag_bins import LagBins
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.model.evaluation import kernel_factors
from homodyne_lib.model.frames import nearest_lag, pairs_at_lag
from homodyne_lib.model.kernels import g1_total
from homodyne_lib.model.layouts import PairLayout
from homodyne_lib.model.rates import floor_time
from homodyne_lib.results.fits import Fit

__all__ = ["AngularDecay", "Comparison", "angular_decay", "compare", "model_u", "shrink", "with_gaps"]

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
    phi : ndarray, shape (n_phi,)
        [deg]
    duration : float
        Time of the last frame [s].
    data, model, residual : ndarray, shape (n_phi, m, m)
        Over the whole time axis, averages over ``block`` × ``block`` entries; residuals in σ/``block``, the noise of such an
        average if entries are independent. NaN where frames are missing, for residuals also where only the diagonal is.
    block : int
    lag : ndarray, shape (n_bins,)
        Mean lag of each bin [s].
    ages : ndarray, shape (n_ages, 2)
        First and last t1 of each window of age [s].
    data_decay, model_decay, decay_error : ndarray, shape (n_phi, n_ages, n_bins)
        (c2 - O)/C averaged over a window of age, and the standard error that windows as wide, all along the record and at
        all angles, show in the residuals; NaN where there is no pair.
    lag_profile, age_profile : ndarray, shape (n_phi, n_bins), (n_phi, n_age_bins)
        Mean residual [σ] at each lag and each age t1.
    lag_entries, age_entries : ndarray, shape (n_bins,), (n_age_bins,)
        Pairs of frames in each bin, at one angle.
    age : ndarray, shape (n_age_bins,)
        Mean t1 of each bin [s].
    histogram : ndarray, shape (48,)
        Density of the residuals of all angles in bins of ``RESIDUAL_EDGES`` [1/σ].
    neighbours : float
        Correlation of residuals of entries in a row whose later frames follow each other without a gap.
    """

    phi: np.ndarray
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
    """The decay at a few lags over the angle: where a flow shows.

    Attributes
    ----------
    phi : ndarray, shape (n_phi,)
        [deg]
    lags : ndarray, shape (n_lags,)
        [s]
    data, error : ndarray, shape (n_lags, n_phi)
        (c2 - O)/C averaged over all ages, and the standard error that the scatter of parts of the record gives.
    model_phi : ndarray, shape (n,)
        [deg]
    model : ndarray, shape (n_lags, n)
    """

    phi: np.ndarray
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


def model_u(record: Correlations, convention: str, params, i, j, phi) -> np.ndarray:
    """g1² at pairs of frames, in NumPy: JAX takes longer to start than a report takes for all its models.

    Parameters
    ----------
    record : Correlations
    convention : {"spec", "published"}
    params : array_like, shape (p,) or (p, n, 1)
        Physical parameters, of one model or of n [units of the parameter table].
    i, j : ndarray of int
        Frames of the pairs, from the first frame of the record on.
    phi : float or ndarray
        [deg]

    Returns
    -------
    ndarray, broadcast shape of ``i``, ``j``, ``phi`` and the models
    """
    time = floor_time(record.dt * np.arange(int(record.offsets[-1]) + 1), record.dt)
    layout = PairLayout(time, i, j, np.asarray(phi, dtype=float))
    gap = record.stator_rotor_gap or 1.0  # which does not enter in static modes
    return g1_total(np.asarray(params), layout, *kernel_factors(record.q, gap, record.dt), convention) ** 2


def compare(record: Correlations, fit: Fit, pixels: int) -> Comparison:
    """Compute the fitted model, one angle at a time, and compare.

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
    params = list(fit.values.values())
    found, counts, products, squares, scatter = [], 0, 0.0, 0.0, 0.0
    scaling = fit.scaling
    for c2, phi, sigma, contrast, offset in zip(
        record.c2, record.phi, record.sigma, scaling.contrast, scaling.offset, strict=True
    ):
        c2 = c2.astype(float)
        model = offset + contrast * model_u(record, fit.shear_convention, params, frames[:, None], frames, phi)
        residual = (c2 - model) / sigma
        upper = residual[bins.i, bins.j]
        counts = counts + np.histogram(upper, RESIDUAL_EDGES)[0]
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
        phi=np.asarray(record.phi),
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


def angular_decay(record: Correlations, fit: Fit, comparison: Comparison) -> AngularDecay:
    """Average the decay over all pairs of a lag: at a few lags, over all ages, against the angle.

    Parameters
    ----------
    record : Correlations
    fit : Fit
    comparison : Comparison
        Of the same two; its decay chooses the lags.

    Returns
    -------
    AngularDecay
    """
    frames = record.offsets
    params = list(fit.values.values())
    # The second window of age shows most; all of its frames may be missing.
    decay = next(d for d in (comparison.model_decay[:, k].mean(axis=0) for k in (1, 2, 0, 3)) if np.isfinite(d).any())
    bins = {int(np.nanargmin(np.abs(decay - level))) for level in _DECAYS}
    steps = sorted({nearest_lag(frames, round(comparison.lag[k] / record.dt)) for k in bins})
    contrast, offset = fit.scaling.contrast, fit.scaling.offset
    phi, size = np.asarray(record.phi), np.asarray(record.sigma) / np.abs(contrast)
    model_phi = np.linspace(phi.min(), phi.max(), 2 + int(np.ptp(phi) / _STEP))
    data, error, model = [], [], []
    for k in steps:
        i, j = pairs_at_lag(frames, k)

        def decay_at(angles, i=frames[i], j=frames[j]):
            u = model_u(record, fit.shear_convention, params, i, j, angles[:, None])
            return np.broadcast_to(u, (len(angles), len(i)))

        measured = (record.c2[:, i, j] - offset[:, None]) / contrast[:, None]
        data.append(measured.mean(axis=1))
        error.append(size * _scatter_of_parts((measured - decay_at(phi)) / size[:, None]))
        model.append(decay_at(model_phi).mean(axis=1))
    lags = np.array(steps) * record.dt
    return AngularDecay(phi, lags, np.array(data), np.array(error), model_phi, np.array(model))


def _scatter_of_parts(residual: np.ndarray) -> float:
    """Standard error of the mean of a row, shape (n_rows, n), whose neighbours scatter together: from sums of parts."""
    n = residual.shape[1]
    starts = np.unique(np.linspace(0, n, min(_PARTS, n) + 1).astype(int)[:-1])
    lengths = np.diff([*starts, n])
    return float(np.sqrt(np.mean(np.square(np.add.reduceat(residual, starts, axis=1)) / lengths) / n))

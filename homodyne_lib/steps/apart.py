"""Each q of a record, and each repeat, fitted alone; and whether they agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from homodyne_lib.fitting.nlsq import fit_nlsq
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.likelihood.compression import Compressed
from homodyne_lib.likelihood.problem import make_problem
from homodyne_lib.model.curves import rate_slopes
from homodyne_lib.results.fit_checks import PartFit
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.parts_words import parts_agreement
from homodyne_lib.results.scalings import QuantileScaling
from homodyne_lib.steps.calibrated import in_metric, with_merged_frames
from homodyne_lib.uncertainty.calibration import calibrate
from homodyne_lib.uncertainty.two_fits import compare_fits

__all__ = ["with_parts"]

_WELL_KNOWN = 0.3  # relative error of a rate from which it is not compared: its logarithm is then far from normal


class _Settings(NamedTuple):
    """What all parts have in common."""

    fit: Fit
    fourier_order: int
    starts: int
    bounds: Mapping[str, Sequence[float]]
    fixed: Mapping[str, float]
    max_evaluations: int
    seed: int
    threads: int


def with_parts(
    fit: Fit,
    record: Correlations,
    data: Compressed,
    quantiles: QuantileScaling,
    *,
    fourier_order: int,
    starts: int,
    fixed: Mapping[str, float],
    bounds: Mapping[str, Sequence[float]],
    max_evaluations: int,
    seed: int,
    threads: int = 1,
    progress: Callable[[str], None] = lambda text: None,
) -> Fit:
    """Fit each q and each repeat alone, with calibrated errors, and compare.

    Parameters
    ----------
    fit : Fit
        Of all data, the one to quote.
    record : Correlations
    data : Compressed
    quantiles : QuantileScaling
    fourier_order, starts, max_evaluations, seed : int
    fixed : mapping of str to float
    bounds : mapping of str to (float, float)
    threads : int
    progress : callable
        Told what was found.

    Returns
    -------
    Fit
        With ``parts``, and a warning where they disagree; as it was where there is one q and one repeat.
    """
    bins = record.bins
    settings = _Settings(fit, fourier_order, starts, bounds, fixed, max_evaluations, seed, threads)
    rings = [np.flatnonzero(bins.ring == k) for k in range(bins.rings.size)] if bins.rings.size > 1 else []
    repeats = [np.flatnonzero(bins.repeat == k) for k in range(bins.n_repeats)] if bins.n_repeats > 1 else []
    if not rings and not repeats:
        return fit
    time = 0.5 * record.dt * float(record.offsets[-1])
    fits = []
    for k, chosen in enumerate(rings):
        part = _alone(*_part(record, data, quantiles, chosen), settings, time)
        fits.append(replace(part, q=float(bins.rings[k]), q_ratio=float(bins.rings[k] / bins.reference_q)))
        progress(f"q = {bins.rings[k]:.4g} 1/Å alone: {_in_short(fits[-1])}")
    for k, chosen in enumerate(repeats):
        fits.append(replace(_alone(*_part(record, data, quantiles, chosen), settings, time), repeat=k))
        progress(f"file {k + 1} alone: {_in_short(fits[-1])}")
    parts = parts_agreement(fits, time, fit.q_exponent)
    progress(parts.sentence)
    against = [test.sentence for test in (parts.over_q, parts.over_repeats) if test is not None and test.rejected]
    for sentence in against:
        progress(f"Warning: {sentence}")
    return replace(fit, parts=parts, warnings=[*against, *fit.warnings])


def _part(record, data, quantiles, chosen) -> tuple[Correlations, Compressed, QuantileScaling]:
    """Some bins of a record, with what was made of it."""
    bins = record.bins[chosen]
    repeat = np.unique(bins.repeat, return_inverse=True)[1]

    def of(whole, names):
        values = {name: getattr(whole, name) for name in names}
        own = {name: value[chosen] for name, value in values.items() if value is not None}
        return replace(whole, **own, repeat=repeat)

    of_bins = ("phi", "q", "sigma")
    return (
        of(record, ("c2", "raw_diagonal", "pixels", *of_bins)),
        of(data, ("y", "y_moments", *of_bins)),
        of(quantiles, ("contrast", "offset", "phi", "q")),
    )


def _alone(record: Correlations, data: Compressed, quantiles: QuantileScaling, settings: _Settings, time) -> PartFit:
    """Fit of a part, as one of a record of it alone would be quoted."""
    fit = settings.fit
    per_angle = quantiles.per_angle(fit.per_angle_mode, settings.fourier_order)
    problem = make_problem(data, per_angle, fit.model.of_rings(record.bins.rings.size), record)
    limits = {"bounds": settings.bounds, "fixed": settings.fixed, "max_evaluations": settings.max_evaluations}
    # What is found alone must not hang on the other parts, unless there is no search.
    start = None if settings.starts else {name: fit.values[name] for name in problem.names}
    found = fit_nlsq(problem, start=start, n_starts=settings.starts, seed=settings.seed, **limits)
    quoted, covariance = found, found.covariance
    if fit.calibration is not None:
        # A rate is known although its parts may be at their bounds: none is held for its error but those of the user.
        how = {"held": [*settings.fixed], "threads": settings.threads}
        merged, raw = with_merged_frames(problem, found.values, record.raw_diagonal, settings.threads)
        noise = calibrate(merged, found.values, raw, **how)
        covariance = noise.covariance
        if fit.agreement is not None and noise.kind.has_metric:
            minima = [problem.model.vector(basin) for basin in found.basins]
            limits |= {"threads": settings.threads}
            weighted, merged, _ = in_metric(problem, merged, found.values, minima, noise, **limits)
            calibrated, agreement = compare_fits(merged, weighted, noise, **how)
            if not agreement.rejected:
                quoted, covariance = weighted.fit, calibrated.covariance
    return _rates(problem.names, quoted, covariance, fit.curves, time, record.dt, found.reduced_chi2)


def _rates(names, fit, covariance, curves, time, dt, reduced_chi2) -> PartFit:
    """Rates of a fit at a time, with their errors."""
    values = dict(zip(names, fit.values[: len(names)].tolist(), strict=True))
    rates, slopes = {}, np.zeros((len(curves), len(names)))
    for row, curve in zip(slopes, curves, strict=True):
        rate, by_parameter = rate_slopes(values, [time], dt, curve)
        rates[curve] = float(rate[0])
        row[:] = by_parameter[0]
    own = slopes @ covariance[: len(names), : len(names)] @ slopes.T
    sizes = np.sqrt(np.diag(own))
    errors = dict(zip(curves, sizes.tolist(), strict=True))
    known = [curve for curve in curves if rates[curve] > 0.0 and 0.0 < errors[curve] < _WELL_KNOWN * rates[curve]]
    correlation = float(own[0, 1] / (sizes[0] * sizes[1])) if len(known) > 1 else 0.0
    return PartFit(None, None, rates, errors, known, 1.0, correlation, float(reduced_chi2), fit.converged)


def _in_short(part: PartFit) -> str:
    told = ", ".join(f"{curve} = {part.rates[curve]:.4g} ± {part.errors[curve]:.2g}" for curve in part.rates)
    return f"{told} at mid-record; χ²/dof = {part.reduced_chi2:.3g}"

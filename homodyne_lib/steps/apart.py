"""Each q of a record, and each repeat, fitted alone; and whether they agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from homodyne_lib.fitting.identifiability import direction_is_open
from homodyne_lib.fitting.nlsq import fit_nlsq
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.likelihood.compression import Compressed
from homodyne_lib.likelihood.problem import make_problem
from homodyne_lib.model.curves import CURVES, rate_slopes
from homodyne_lib.model.kernels import beside_brownian
from homodyne_lib.model.parameters import POWER_OF_Q
from homodyne_lib.model.scales import interval_of
from homodyne_lib.results.fit_checks import PartFit
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.parts_words import parts_agreement
from homodyne_lib.results.scalings import QuantileScaling
from homodyne_lib.steps.calibrated import in_metric, with_merged_frames
from homodyne_lib.uncertainty.calibration import calibrate
from homodyne_lib.uncertainty.two_fits import compare_fits

__all__ = ["with_parts"]

_AMPLITUDE, _, _OFFSET = CURVES["D"][1]
_WELL_KNOWN = 0.3  # relative error of a rate from which it is not compared: its logarithm is then far from normal


class _Settings(NamedTuple):
    """What all parts have in common."""

    fit: Fit
    start: Mapping[str, float]
    fourier_order: int
    starts: int
    bounds: Mapping[str, Sequence[float]]
    fixed: Mapping[str, float]
    max_evaluations: int
    seed: int
    threads: int

    def at(self, q_ratio: float) -> _Settings:
        """The same for a single q, whose D(t) is that of the reference q times the ratio of both to the power n - 2."""
        values = self.fit.values
        n = values[POWER_OF_Q] if self.fit.q_exponent is None else self.fit.q_exponent

        def scaled(said):
            for name, value in said.items():
                if name in (_AMPLITUDE, _OFFSET):
                    value = np.clip(np.multiply(value, beside_brownian(q_ratio, n)), *interval_of(name)).tolist()
                yield name, value

        # Limits that the table does not reach here are none.
        bounds = {name: value for name, value in scaled(self.bounds) if value[0] < value[1]}
        return self._replace(bounds=bounds, fixed=dict(scaled(self.fixed)), start=dict(scaled(values)))


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
    settings = _Settings(fit, fit.values, fourier_order, starts, bounds, fixed, max_evaluations, seed, threads)
    # Where only the power of q is free, one q alone has nothing to fit.
    alone = bins.rings.size > 1 and {*fit.model.of_rings(1).names} - {*fixed}
    rings = [np.flatnonzero(bins.ring == k) for k in range(bins.rings.size)] if alone else []
    repeats = [np.flatnonzero(bins.repeat == k) for k in range(bins.n_repeats)] if bins.n_repeats > 1 else []
    if not rings and not repeats:
        return fit
    time = 0.5 * record.dt * float(record.offsets[-1])
    fits = []
    for k, chosen in enumerate(rings):
        ratio = float(bins.rings[k] / bins.reference_q)
        part = _alone(*_part(record, data, quantiles, chosen), settings.at(ratio), time)
        fits.append(replace(part, q=float(bins.rings[k]), q_ratio=ratio))
        progress(f"q = {bins.rings[k]:.4g} 1/Å alone: {_in_short(fits[-1])}")
    for k, chosen in enumerate(repeats):
        fits.append(replace(_alone(*_part(record, data, quantiles, chosen), settings, time), repeat=k))
        progress(f"file {k + 1} alone: {_in_short(fits[-1])}")
    parts = parts_agreement(fits, time, fit.q_exponent)
    progress(parts.sentence)
    for sentence in parts.against:
        progress(f"Warning: {sentence}")
    return fit.with_parts(parts)


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
    fixed = {name: value for name, value in settings.fixed.items() if name in problem.names}
    limits = {"bounds": settings.bounds, "fixed": fixed, "max_evaluations": settings.max_evaluations}
    # What is found alone must not depend on the other parts, unless there is no search.
    start = None if settings.starts else {name: settings.start[name] for name in problem.names}
    found = fit_nlsq(problem, start=start, n_starts=settings.starts, seed=settings.seed, **limits)
    # A rate is known although its parts may be at their bounds: none is held for its error but those of the user. Errors are
    # calibrated whatever those of the whole fit are, as parts whose errors are too small always seem to disagree.
    how = {"held": [*fixed], "threads": settings.threads}
    merged, raw = with_merged_frames(problem, found.values, record.raw_diagonal, settings.threads)
    noise = calibrate(merged, found.values, raw, **how)
    quoted, covariance = found, noise.covariance
    if fit.agreement is not None and noise.kind.has_metric:
        minima = [problem.model.vector(basin) for basin in found.basins]
        limits |= {"threads": settings.threads}
        weighted, merged, _ = in_metric(problem, merged, found.values, minima, noise, **limits)
        calibrated, agreement = compare_fits(merged, weighted, noise, **how)
        if not agreement.rejected:
            quoted, covariance = weighted.fit, calibrated.covariance
    part = _rates(problem.names, quoted, covariance, fit.curves, time, record.dt, found.reduced_chi2)
    # Of a flow and its mirror image, which fit alike, each part may have another.
    if not direction_is_open(problem, quoted.values, covariance, fixed, settings.bounds):
        return part
    return replace(part, known=[curve for curve in part.known if curve != "gamma_dot"])


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

"""The errors that the residuals of a fit call for; and the fit in the metric of their noise, which makes them smaller."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from homodyne_lib.fitting.basins import RIVAL
from homodyne_lib.fitting.identifiability import REJECTED_SCALING, scaling_test
from homodyne_lib.fitting.speckle_fit import SpeckleFit, fit_speckle
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.likelihood.compression import Compressed
from homodyne_lib.likelihood.merged_frames import are_alike, merged_frames
from homodyne_lib.likelihood.problem import Problem, make_problem
from homodyne_lib.model.frames import merge_size
from homodyne_lib.results.fit_records import agreement_record, calibration_record, fit_record, gain_in_words
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.scalings import QuantileScaling
from homodyne_lib.uncertainty.calibration import NoiseCalibration, calibrate, is_measured
from homodyne_lib.uncertainty.two_fits import compare_fits

__all__ = ["calibrated", "in_metric", "with_merged_frames"]


def calibrated(
    fit: Fit,
    record: Correlations,
    data: Compressed,
    quantiles: QuantileScaling,
    *,
    estimator: Literal["speckle", "least_squares"],
    fourier_order: int,
    fixed: Mapping[str, float],
    bounds: Mapping[str, Sequence[float]],
    max_evaluations: int,
    threads: int = 1,
    progress: Callable[[str], None] = lambda text: None,
) -> Fit:
    """Read from the residuals how the noise is correlated, and give the errors that follow.

    Parameters
    ----------
    fit : Fit
        By least squares.
    record : Correlations
        Its data.
    data : Compressed
        What they were compressed to.
    quantiles : QuantileScaling
    estimator : {"speckle", "least_squares"}
        With ``speckle`` the record is fitted once more, in the metric of the noise, and both fits are compared.
    fourier_order, max_evaluations : int
    fixed : mapping of str to float
        Parameters that were held.
    bounds : mapping of str to (float, float)
    threads : int
        Angles are computed side by side in so many.
    progress : callable
        Told what was found.

    Returns
    -------
    Fit
        The one to quote, with its calibration and with the other fit beside it.
    """
    per_angle = quantiles.per_angle(fit.per_angle_mode, fourier_order)
    problem = make_problem(data, per_angle, fit.model, record)
    held = [*fixed, *_at_bound(fit)]
    merged, raw = with_merged_frames(problem, fit.vector, record.raw_diagonal, threads)
    size = 1 if merged is problem else merge_size(len(record.frames))
    if size > 1:
        progress(f"{size} neighbouring frames are merged for noise and metric")
    noise = calibrate(merged, fit.vector, raw, held=held, fixed=[*fixed], merged=size, threads=threads)
    if noise.kind.correlated:
        fit = _with_scaling_test(fit, problem, noise)
    told = noise if merged is problem else _of_single_frames(noise, problem, fit)
    own = calibration_record(told, fit.covariance.names, record.pixels)
    progress(own.note)
    if own.pixels_note:
        progress(f"Warning: {own.pixels_note}")
    result = replace(fit, calibration=own)
    if estimator == "speckle":
        if noise.kind.has_metric:
            options = {"bounds": bounds, "fixed": fixed, "max_evaluations": max_evaluations}
            result = _quoted(result, problem, merged, record, noise, options, quantiles, threads, progress)
        else:
            # Without a metric of their noise, pairs all weigh the same, as in least squares.
            result = replace(result, least_squares=result, calibration=replace(own, least_squares=own))
    progress(result.calibration.sentence)
    return result


def with_merged_frames(problem: Problem, values, raw_diagonal, threads: int = 1) -> tuple[Problem, np.ndarray]:
    """Merge frames of a long record where they are alike; a diagonal that was not measured is none.

    Parameters
    ----------
    problem, values, raw_diagonal, threads
        As of :func:`~homodyne_lib.likelihood.merged_frames.merged_frames`; the diagonal as read.

    Returns
    -------
    problem : Problem
    raw_diagonal : ndarray, shape (n_bins, n_merged)
    """
    if merge_size(problem.experiment.frames.size) == 1 or not are_alike(problem, values):
        return problem, np.asarray(raw_diagonal)
    return merged_frames(problem, values, raw_diagonal if is_measured(problem, raw_diagonal) else np.nan, threads)


def in_metric(
    problem: Problem, merged: Problem, values, minima: Sequence[np.ndarray], noise: NoiseCalibration, **options
) -> tuple[SpeckleFit, Problem, np.ndarray | None]:
    """Fit in the metric of speckle noise, of a long record with merged frames.

    Parameters
    ----------
    problem, merged : Problem
        Of least squares, of all frames and of merged ones.
    values : array_like, shape (p + n_scaling,)
        Least-squares fit, at which the frames were merged.
    minima : sequence of ndarray, shape (p,)
    noise : NoiseCalibration
        Of the merged frames.
    **options
        Of :func:`~homodyne_lib.fitting.speckle_fit.fit_speckle`.

    Returns
    -------
    found : SpeckleFit
    merged : Problem
        Of the frames as they are merged in the end.
    merged_at : ndarray, shape (p + n_scaling,), or None
        Fit at which they are.
    """
    shot = 1.0 / noise.effective_counts
    found = fit_speckle(merged, values, minima, shot, **options)
    if merged is problem:
        return found, problem, None
    # The model at a minimum of least squares may differ too much from that at the better fit.
    at = found.fit.values
    near = [problem.model.vector(basin) for basin in found.fit.basins if basin["delta_chi2"] < RIVAL]
    merged, _ = merged_frames(problem, at, threads=options["threads"])
    return fit_speckle(merged, at, near, shot, **options), merged, at


def _with_scaling_test(fit: Fit, problem: Problem, noise: NoiseCalibration) -> Fit:
    """The fit with the test of its scaling under the noise that there is, in the place of that under independent noise."""
    params, independent = np.array(fit.vector[: len(problem.names)]), np.diag(noise.independent)
    known = independent > 0.0
    inflation = max(np.diag(noise.covariance)[known] / independent[known], default=1.0)

    def tested(warning):
        if not warning.startswith(REJECTED_SCALING):
            return warning
        return scaling_test(problem, params, problem.normal_equations(params), inflation)

    return replace(fit, warnings=[warning for warning in map(tested, fit.warnings) if warning])


def _of_single_frames(noise: NoiseCalibration, problem: Problem, fit: Fit) -> NoiseCalibration:
    """What a calibration with merged frames says of single ones, whose pairs least squares weighs."""
    hessian = problem.normal_equations(fit.vector[: len(problem.names)]).hessian
    independent, assumed = fit.covariance.of(noise.names), hessian / fit.reduced_chi2
    return replace(_per_frame(noise, problem), independent=independent, assumed=assumed)


def _per_frame(noise: NoiseCalibration, problem: Problem) -> NoiseCalibration:
    """Photons of a frame of a problem from those of merged ones."""
    size = merge_size(problem.experiment.frames.size)
    counts = None if noise.counts is None else noise.counts / size
    return replace(noise, counts=counts, effective_counts=noise.effective_counts / size)


def _at_bound(fit: Fit) -> list[str]:
    return [name for name, parameter in fit.parameters.items() if parameter.at_bound]


def _quoted(
    fit: Fit,
    problem: Problem,
    merged: Problem,
    record: Correlations,
    noise: NoiseCalibration,
    options: Mapping[str, object],
    quantiles: QuantileScaling,
    threads: int,
    progress: Callable[[str], None],
) -> Fit:
    """The fit in the metric of the noise beside a fit by least squares, or the other way round where they disagree."""
    minima = [problem.model.vector(basin) for basin in fit.basins]
    found, merged, merged_at = in_metric(problem, merged, fit.vector, minima, noise, threads=threads, **options)
    progress(
        f"In the metric of speckle noise, taken {found.rounds} times: {found.fit.message} "
        f"({found.fit.n_evaluations} evaluations)"
    )
    notes = quantiles.warnings_in(fit.per_angle_mode)
    speckle = fit_record(found.fit, found.problem, record.sigma, fit.misfit, notes)
    speckle = replace(speckle, metric=found.state, merged_at=merged_at, flow_test=fit.flow_test)
    fixed = [*options["fixed"]]
    held = [*fixed, *_at_bound(speckle)]
    of_speckle, agreement = compare_fits(merged, found, noise, held=held, fixed=fixed, threads=threads)
    if merged_at is not None:
        of_speckle = _per_frame(of_speckle, problem)
    of_speckle = calibration_record(of_speckle, speckle.covariance.names, record.pixels)
    told = agreement_record(agreement)
    if any(gain > 0.0 for gain in told.gains.values()):
        of_speckle = replace(of_speckle, sentence=gain_in_words(told))
    progress(told.sentence)
    if told.rejected:
        speckle = replace(speckle, made_from=fit.made_from)
        beside = replace(fit.calibration, least_squares=fit.calibration, speckle=of_speckle)
        warnings = [told.sentence, *fit.warnings]
        quoted = replace(fit, agreement=told, least_squares=fit, speckle=speckle, warnings=warnings)
        return quoted.with_calibration(beside)
    beside = replace(of_speckle, least_squares=fit.calibration)
    return replace(speckle, agreement=told, least_squares=fit, made_from=fit.made_from).with_calibration(beside)

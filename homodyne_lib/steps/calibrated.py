"""The errors that the residuals of a fit call for; and the fit in the metric of their noise, which makes them smaller."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from homodyne_lib.fitting.speckle_fit import fit_speckle
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.likelihood.compression import Compressed
from homodyne_lib.likelihood.problem import Problem, make_problem
from homodyne_lib.results.fit_records import agreement_record, calibration_record, fit_record, gain_in_words
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.scalings import QuantileScaling
from homodyne_lib.uncertainty.calibration import NoiseCalibration, calibrate
from homodyne_lib.uncertainty.two_fits import compare_fits

__all__ = ["calibrated"]


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
    problem = make_problem(data, per_angle, fit.analysis_mode, fit.shear_convention, record)
    held = [*fixed, *_at_bound(fit)]
    noise = calibrate(problem, fit.vector, record.raw_diagonal, held=held, threads=threads)
    own = calibration_record(noise, fit.covariance.names, record.pixels)
    progress(own.note)
    if own.pixels_note:
        progress(f"Warning: {own.pixels_note}")
    result = replace(fit, calibration=own)
    if estimator == "speckle":
        if noise.noise == "speckle":
            options = {"bounds": bounds, "fixed": fixed, "max_evaluations": max_evaluations}
            result = _quoted(result, problem, record, noise, options, quantiles, threads, progress)
        else:
            # Independent entries all weigh the same, as in least squares.
            result = replace(result, least_squares=result, calibration=replace(own, least_squares=own))
    progress(result.calibration.sentence)
    return result


def _at_bound(fit: Fit) -> list[str]:
    return [name for name, parameter in fit.parameters.items() if parameter.at_bound]


def _quoted(
    fit: Fit,
    problem: Problem,
    record: Correlations,
    noise: NoiseCalibration,
    options: Mapping[str, object],
    quantiles: QuantileScaling,
    threads: int,
    progress: Callable[[str], None],
) -> Fit:
    """The fit in the metric of the noise beside a fit by least squares, or the other way round where they disagree."""
    minima = [np.array([basin[name] for name in problem.names]) for basin in fit.basins]
    found = fit_speckle(problem, fit.vector, minima, 1.0 / noise.effective_counts, threads=threads, **options)
    progress(
        f"In the metric of speckle noise, taken {found.rounds} times: {found.fit.message} "
        f"({found.fit.n_evaluations} evaluations)"
    )
    notes = quantiles.warnings_in(fit.per_angle_mode)
    speckle = fit_record(found.fit, found.problem, fit.analysis_mode, record.sigma, fit.misfit, notes)
    speckle = replace(speckle, metric=found.state, flow_test=fit.flow_test)
    held = [*options["fixed"], *_at_bound(speckle)]
    of_speckle, agreement = compare_fits(problem, found, noise, held=held, threads=threads)
    of_speckle = calibration_record(of_speckle, speckle.covariance.names, record.pixels)
    told = agreement_record(agreement)
    of_speckle = replace(of_speckle, sentence=gain_in_words(told))
    progress(told.sentence)
    if told.rejected:
        beside = replace(fit.calibration, least_squares=fit.calibration, speckle=of_speckle)
        warnings = [told.sentence, *fit.warnings]
        quoted = replace(fit, agreement=told, least_squares=fit, speckle=speckle, warnings=warnings)
        return quoted.with_calibration(beside)
    beside = replace(of_speckle, least_squares=fit.calibration)
    return replace(speckle, agreement=told, least_squares=fit, made_from=fit.made_from).with_calibration(beside)

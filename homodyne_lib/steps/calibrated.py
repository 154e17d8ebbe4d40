"""The errors that the residuals of a fit call for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from homodyne_lib.io.correlations import Correlations
from homodyne_lib.likelihood.compression import Compressed
from homodyne_lib.likelihood.problem import make_problem
from homodyne_lib.results.calibrations import Calibration
from homodyne_lib.results.fit_records import calibration_record
from homodyne_lib.results.fits import Fit, QuantileScaling
from homodyne_lib.uncertainty.calibration import calibrate

__all__ = ["calibrated"]


def calibrated(
    fit: Fit,
    record: Correlations,
    data: Compressed,
    quantiles: QuantileScaling,
    *,
    fourier_order: int,
    fixed: Mapping[str, float],
    progress: Callable[[str], None] = lambda text: None,
) -> Calibration:
    """Read from the residuals how the noise is correlated, and give the fit the errors that follow.

    Parameters
    ----------
    fit : Fit
    record : Correlations
        Its data.
    data : Compressed
        What they were compressed to.
    quantiles : QuantileScaling
    fourier_order : int
    fixed : mapping of str to float
        Parameters that were held.
    progress : callable
        Told what was found.

    Returns
    -------
    Calibration
    """
    per_angle = quantiles.per_angle(fit.per_angle_mode, fourier_order)
    problem = make_problem(data, per_angle, fit.analysis_mode, fit.shear_convention, record)
    at_bound = [name for name, parameter in fit.parameters.items() if parameter.at_bound]
    found = calibration_record(
        calibrate(problem, fit.vector, record.raw_diagonal, held=[*fixed, *at_bound]),
        fit.covariance.names,
        record.pixels,
    )
    progress(found.note)
    if found.pixels_note:
        progress(f"Warning: {found.pixels_note}")
    progress(found.sentence)
    return found

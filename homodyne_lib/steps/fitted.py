"""The fit of a record; where its model has a flow, also the fit without, and the test between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from homodyne_lib.fitting.identifiability import direction_is_open
from homodyne_lib.fitting.nlsq import fit_nlsq
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.likelihood.compression import Compressed
from homodyne_lib.likelihood.problem import make_problem
from homodyne_lib.model.kernels import BROWNIAN
from homodyne_lib.model.model import Model
from homodyne_lib.results.fit_records import fit_record, flow_test
from homodyne_lib.results.fits import Fit, FitInput
from homodyne_lib.results.misfit_words import misfit_report
from homodyne_lib.results.scalings import QuantileScaling

__all__ = ["fitted"]


def fitted(
    record: Correlations,
    data: Compressed,
    quantiles: QuantileScaling,
    *,
    analysis_mode: str,
    per_angle_mode: str,
    fourier_order: int,
    shear_convention: str,
    starts: int,
    start: Mapping[str, float],
    fixed: Mapping[str, float],
    bounds: Mapping[str, Sequence[float]],
    max_evaluations: int,
    seed: int,
    q_exponent: float | None = BROWNIAN,
    progress: Callable[[str], None] = lambda text: None,
) -> Fit:
    """Fit the model to a record; the settings are those of the configuration.

    Parameters
    ----------
    record : Correlations
        With its noise; for the certificate and for what the model misses, so that c2 may be a data set on disk.
    data : Compressed
        What it was compressed to.
    quantiles : QuantileScaling
    analysis_mode, per_angle_mode, shear_convention : str
    fourier_order : int
    starts, max_evaluations, seed : int
    start, fixed : mapping of str to float
        [units of the parameter table]
    bounds : mapping of str to (float, float)
    q_exponent : float or None
        Power of q with which the decay goes, about the geometric mean of all q; None fits it, where there are several.
    progress : callable
        Told what was found.

    Returns
    -------
    Fit

    Raises
    ------
    ValueError
        For settings that contradict the data or each other.
    """
    per_angle = quantiles.per_angle(per_angle_mode, fourier_order)
    model = Model(analysis_mode, shear_convention, q_exponent).of_rings(record.bins.rings.size)

    def fit(model, n_starts, **options):
        problem = make_problem(data, per_angle, model, record)
        return problem, fit_nlsq(problem, seed=seed, n_starts=n_starts, max_evaluations=max_evaluations, **options)

    problem, found = fit(model, starts, start=start or None, fixed=fixed, bounds=bounds)
    progress(f"χ²/dof = {found.reduced_chi2:.4g} from {found.n_points} points; {found.message}")
    misfit = misfit_report(problem, found, record.frames)
    result = fit_record(found, problem, record.sigma, misfit, quantiles.warnings_in(per_angle_mode))
    if model.has_flow:
        at_rest = model.at_rest()
        held = {name: value for name, value in fixed.items() if name in at_rest.names}
        if len(held) < len(at_rest.names):
            # Without start values it needs a search, also where the configuration leaves that out.
            limits = {name: limit for name, limit in bounds.items() if name in at_rest.names}
            chi2 = fit(at_rest, max(starts, 1), fixed=held, bounds=limits)[1].chi2
        else:
            chi2 = make_problem(data, per_angle, at_rest, record).cost(at_rest.vector(held))
        is_open = direction_is_open(problem, found.values, found.covariance, fixed, bounds)
        n_more = len({*model.names} - {*at_rest.names} - {*fixed})
        result = replace(result, flow_test=flow_test(chi2, found, n_more, len(record.frames), is_open))
        progress(result.flow_test.sentence)
    # A shape in the residuals may go with other frames; what the data leave open does not.
    if result.misfit.detected:
        progress(f"Warning: {result.misfit.sentence}")
    for warning in result.warnings:
        if warning != result.misfit.sentence:
            progress(f"Note: {warning}")
    return replace(result, made_from=FitInput(record, data, quantiles, fourier_order, bounds, fixed))

"""What a fit returns, and an engine that checks its input, scales theory to data and scores parameters (spec section 12)."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from homodyne_lib.fitting.nlsq import NlsqFit
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.likelihood.problem import Problem
from homodyne_lib.model.checks import check_data
from homodyne_lib.model.geometry import PhysicsFactors
from homodyne_lib.model.parameters import parameter_names
from homodyne_lib.spec.jax_backend import compute_chi_squared, compute_g2_scaled
from homodyne_lib.spec.least_squares import (
    solve_least_squares_chunked_jax,
    solve_least_squares_general_jax,
    solve_least_squares_jax,
)
from homodyne_lib.spec.parameter_space import ParameterSpace

__all__ = [
    *("FitResult", "ParameterSpace", "UnifiedHomodyneEngine", "fit_result"),
    "solve_least_squares_chunked_jax",
    "solve_least_squares_general_jax",
    "solve_least_squares_jax",
]

logger = logging.getLogger(__name__)
_DATASET_SIZES = ((1e6, "small"), (1e7, "medium"), (np.inf, "large"))  # entries, below the limit


@dataclass(frozen=True, eq=False)
class FitResult:
    """Outcome of a fit with one contrast and one offset (spec section 12); :func:`fit_result` makes one.

    What is not given is marked as missing: not converged, NaN, or ``unknown``.

    Attributes
    ----------
    params : ndarray, shape (3,) or (7,)
        Physical parameters, in the units of the parameter table.
    contrast, offset : float
    chi_squared, reduced_chi_squared : float
    degrees_of_freedom : int
    p_value : float
        Probability of a larger χ².
    param_errors : ndarray of the shape of ``params``, or None
        Standard errors.
    converged : bool
    computation_time : float
        [s]
    backend : str
        ``JAX`` or ``NumPy``.
    dataset_size : str
        ``small``, ``medium`` or ``large``.
    analysis_mode : str
    contrast_error, offset_error : float or None
        Standard errors.
    residual_std, max_residual : float
        Standard deviation and largest magnitude of data - model.
    fit_iterations : int

    Raises
    ------
    ValueError
        If the number of parameters is neither 3 nor 7, or that of the errors differs.
    """

    params: np.ndarray
    contrast: float
    offset: float
    chi_squared: float
    reduced_chi_squared: float
    degrees_of_freedom: int
    p_value: float
    param_errors: np.ndarray | None = None
    converged: bool = False
    computation_time: float = np.nan
    backend: str = "unknown"
    dataset_size: str = "unknown"
    analysis_mode: str = "unknown"
    contrast_error: float | None = None
    offset_error: float | None = None
    residual_std: float = np.nan
    max_residual: float = np.nan
    fit_iterations: int = 0

    def __post_init__(self) -> None:
        """Check the lengths."""
        if np.shape(self.params) not in ((3,), (7,)):
            raise ValueError(f"a fit has 3 or 7 physical parameters; found shape {np.shape(self.params)}.")
        if self.param_errors is not None and np.shape(self.param_errors) != np.shape(self.params):
            raise ValueError(f"{len(self.params)} parameters need as many errors; found {np.shape(self.param_errors)}.")


def fit_result(fit: NlsqFit, problem: Problem, record: Correlations, computation_time: float = np.nan) -> FitResult:
    """Turn a fit of least squares into the specification's result (spec section 12).

    Parameters
    ----------
    fit : NlsqFit
        Of :func:`~homodyne_lib.fitting.nlsq.fit_nlsq`.
    problem : Problem
        What was fitted.
    record : Correlations
        The data of the problem.
    computation_time : float
        What the fit took [s], if it was measured.

    Returns
    -------
    FitResult
        Contrast and offset are means over the angles, with the errors of these means; None where they were fixed. Errors
        are those of the fit: they include the scatter of the residuals, and are NaN where there is none. Residuals are data
        minus model of the pairs t1 < t2.

    Raises
    ------
    ValueError
        For a record of several q or repeats, which the specification's result has no place for.
    """
    if len(record.bins.groups) > 1:
        raise ValueError(f"a FitResult is of one q; the record has {record.bins.in_words}. Use the result of hd.fit.")
    p, n_phi, scaling = len(problem.names), len(record.phi), problem.scaling
    contrast, offset = scaling.expand(fit.values[p:])
    means = np.kron(np.eye(2), np.full(n_phi, 1.0 / n_phi))
    variance = np.diag(means @ scaling.expand_covariance(fit.covariance[p:, p:]) @ means.T)
    errors = np.sqrt(np.maximum(variance, 0.0)) if scaling.n_parameters else (None, None)
    times, upper = record.offsets * record.dt, np.triu_indices(record.c2.shape[-1], 1)
    gap = record.stator_rotor_gap or 1.0  # without flow, the gap has no effect
    geometry = (times, times, record.phi, record.bins.reference_q, gap)
    model = compute_g2_scaled(fit.values[:p], *geometry, contrast, offset, record.dt, problem.model.convention)
    residuals = (record.c2 - np.asarray(model))[:, *upper]
    freedom = fit.n_points - fit.n_free
    return FitResult(
        params=fit.values[:p],
        contrast=float(np.mean(contrast)),
        offset=float(np.mean(offset)),
        chi_squared=fit.chi2,
        reduced_chi_squared=fit.reduced_chi2,
        degrees_of_freedom=freedom,
        p_value=float(chdtrc(freedom, fit.chi2)),
        param_errors=fit.errors[:p],
        converged=fit.converged,
        computation_time=computation_time,
        backend="JAX",  # which gives the derivatives of a fit, whatever computes g2
        dataset_size=UnifiedHomodyneEngine.detect_dataset_size(record.c2),
        analysis_mode=problem.model.analysis_mode,
        contrast_error=errors[0],
        offset_error=errors[1],
        residual_std=float(residuals.std()),
        max_residual=float(np.abs(residuals).max()),
        fit_iterations=fit.n_evaluations,
    )


class UnifiedHomodyneEngine:
    """Check a fit's input, solve its contrast and offset, and give its likelihood (spec section 12).

    Parameters
    ----------
    analysis_mode : str
        One of :data:`~homodyne_lib.model.parameters.ANALYSIS_MODES`.
    parameter_space : ParameterSpace, optional
        Its bounds of contrast and offset hold for estimates.
    shear_convention : {"spec", "published"}
        Of the likelihood.

    Raises
    ------
    ValueError
        For an unknown mode.
    """

    def __init__(
        self,
        analysis_mode: str = "laminar_flow",
        parameter_space: ParameterSpace | None = None,
        shear_convention: str = "spec",
    ) -> None:
        self.analysis_mode, self.shear_convention = analysis_mode, shear_convention
        self.n_params, self.parameter_space = len(parameter_names(analysis_mode)), parameter_space or ParameterSpace()

    def estimate_scaling_parameters(self, data, theory, validate_bounds: bool = True) -> tuple[float, float]:
        """Contrast and offset by least squares of each angle, averaged over the angles.

        Parameters
        ----------
        data, theory : array_like, shape (n,), (n_phi, n) or (n_phi, n1, n2)
            c2 and g1² of the same pairs; finite.
        validate_bounds : bool
            Move the result into the bounds of the parameter space, and log it.

        Returns
        -------
        contrast, offset : float

        Raises
        ------
        ValueError
            If the shapes differ or are empty.
        """
        if np.ndim(data) == 3 and np.shape(data) == np.shape(theory):
            data, theory = (np.reshape(values, (len(values), -1)) for values in (data, theory))
        contrast, offset = (float(np.mean(v)) for v in solve_least_squares_jax(theory, data))
        if not validate_bounds:
            return contrast, offset
        space = self.parameter_space
        inside = (float(np.clip(contrast, *space.contrast_bounds)), float(np.clip(offset, *space.offset_bounds)))
        if inside != (contrast, offset):
            logger.warning("contrast %g, offset %g are moved to %g, %g by bounds", contrast, offset, *inside)
        return inside

    def compute_likelihood(self, params, contrast, offset, data, sigma, t1, t2, phi, q, L, dt) -> float:
        """Negative logarithm of the likelihood of independent normal noise: ½ χ² + ½ Σ ln(2πσ²).

        Parameters
        ----------
        params : array_like, shape (3,) or (7,)
        contrast, offset : float or array_like, shape (n_phi,)
        data : array_like, shape (n_phi, n1, n2)
            Finite.
        sigma : float or array_like, broadcastable to ``data``
            Positive; an entry with infinite σ does not count.
        t1, t2 : array_like
            [s]
        phi : array_like, shape (n_phi,)
            [deg]
        q, L, dt : float
            [1/Å], [Å], [s]

        Returns
        -------
        float

        Raises
        ------
        ValueError, TypeError
            As :func:`~homodyne_lib.spec.jax_backend.compute_chi_squared`, and for a number of parameters that is
            not the mode's. Bounds are not checked: the likelihood exists beyond them.
        """
        if np.shape(params) != (self.n_params,):
            raise ValueError(f"{self.analysis_mode} has {self.n_params} parameters; found {np.shape(params)}.")
        data, sigma = check_data(data, sigma)
        chi2 = compute_chi_squared(params, data, sigma, t1, t2, phi, q, L, contrast, offset, dt, self.shear_convention)
        counted = np.broadcast_to(sigma, data.shape)
        counted = counted[np.isfinite(counted)]
        return 0.5 * float(chi2 + np.sum(np.log(2.0 * np.pi * counted**2)))

    @staticmethod
    def detect_dataset_size(data) -> str:
        """Class of a dataset by its number of entries: ``small``, ``medium`` from 1e6, ``large`` from 1e7.

        The specification names no limits; the package it describes leaves 1e7 to 2e7 without a class.
        """
        return next(name for limit, name in _DATASET_SIZES if np.size(data) < limit)

    def validate_inputs(self, data, sigma, t1, t2, phi, q, L) -> None:
        """Check what a fit is about to use.

        Parameters
        ----------
        data : array_like, shape (n_phi, n1, n2)
        sigma : float or array_like, broadcastable to ``data``, or None
        t1, t2 : array_like, shape (n1,), (n2,) or both (n1, n2)
            [s]
        phi : array_like, shape (n_phi,)
            [deg]
        q, L : float
            [1/Å], [Å]

        Raises
        ------
        ValueError
            If shapes disagree, a value is not finite, or σ, q or L is not positive.
        TypeError
            If data or sigma are not real numbers.

        Warns
        -----
        UserWarning
            If q or L lies outside its usual range.
        """
        if 2 in (np.ndim(t1), np.ndim(t2)) and np.shape(t1) != np.shape(t2):
            raise ValueError(
                f"t1 has shape {np.shape(t1)} and t2 {np.shape(t2)}; matrices of times must have the same."
            )
        times = np.shape(t1) if np.ndim(t1) == 2 else (np.size(t1), np.size(t2))
        wanted = (np.size(phi), *times)
        if np.shape(data) != wanted or 0 in wanted:
            raise ValueError(f"data have shape {np.shape(data)}; phi, t1 and t2 make it {wanted}, as (n_phi, n1, n2).")
        for name, values in (("t1", t1), ("t2", t2), ("phi", phi)):
            if not np.all(np.isfinite(values)):
                raise ValueError(f"{name} holds values that are not finite; correct them.")
        check_data(data, 1.0 if sigma is None else sigma)
        PhysicsFactors.from_config(q, L, 1.0)  # dt is checked where it is given, with the model

"""What a fit returns, and an engine that checks its input, scales theory to data and scores parameters."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from homodyne_lib.jax_backend import compute_chi_squared
from homodyne_lib.least_squares import solve_least_squares_jax
from homodyne_lib.parameter_space import ParameterSpace
from homodyne_lib.physics import PARAMETERS, parameter_names
from homodyne_lib.physics_factors import PhysicsFactors
from homodyne_lib.validation import check_data

__all__ = ["FitResult", "UnifiedHomodyneEngine"]

logger = logging.getLogger(__name__)

_DATASET_SIZES = ((1e6, "small"), (1e7, "medium"), (np.inf, "large"))  # entries, below the limit


@dataclass(frozen=True, eq=False)
class FitResult:
    """Outcome of a fit with one contrast and one offset (spec section 12); a default claims nothing.

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

    def summary(self) -> str:
        """Describe the fit in lines of text: parameters with errors and units, goodness, how it ended."""
        names = parameter_names("diffusion" if len(self.params) == 3 else "combined")
        errors = [None] * len(self.params) if self.param_errors is None else self.param_errors
        rows = [
            *zip(names, self.params, errors, strict=True),
            ("contrast", self.contrast, self.contrast_error),
            ("offset", self.offset, self.offset_error),
        ]
        width = max(len(name) for name, _, _ in rows)
        lines = [f"Fit in mode {self.analysis_mode}, {'converged' if self.converged else 'NOT converged'}"]
        for name, value, error in rows:
            text = f"{value:.6g}" if error is None else f"{value:.6g} ± {error:.2g}"
            lines.append(f"  {name:<{width}}  {text} {PARAMETERS[name].unit}".rstrip())
        lines += [
            f"  χ² = {self.chi_squared:.6g} for {self.degrees_of_freedom} degrees of freedom, reduced "
            f"{self.reduced_chi_squared:.4g}, p = {self.p_value:.3g}",
            f"  residuals: standard deviation {self.residual_std:.3g}, largest {self.max_residual:.3g}",
            f"  {self.fit_iterations} iterations in {self.computation_time:.3g} s with {self.backend}, "
            f"{self.dataset_size} dataset",
        ]
        return "\n".join(lines)


class UnifiedHomodyneEngine:
    """Check a fit's input, solve its contrast and offset, and give its likelihood (spec section 12).

    Parameters
    ----------
    analysis_mode : str
        One of :data:`~homodyne_lib.physics.ANALYSIS_MODES`.
    parameter_space : ParameterSpace, optional

    Raises
    ------
    ValueError
        For an unknown mode.
    """

    def __init__(self, analysis_mode: str = "laminar_flow", parameter_space: ParameterSpace | None = None) -> None:
        self.analysis_mode = analysis_mode
        self.parameter_space = parameter_space or ParameterSpace()
        self.param_bounds = self.parameter_space.get_param_bounds(analysis_mode)
        self.param_priors = self.parameter_space.get_param_priors(analysis_mode)

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
        inside = (
            float(np.clip(contrast, *space.contrast_bounds)),
            float(np.clip(offset, *space.offset_bounds)),
        )
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
            As :func:`~homodyne_lib.jax_backend.compute_chi_squared`, and for a number of parameters that is
            not the mode's. Bounds are not checked: the likelihood exists beyond them.
        """
        if np.shape(params) != (len(self.param_bounds),):
            raise ValueError(f"{self.analysis_mode} has {len(self.param_bounds)} parameters; found {np.shape(params)}.")
        data, sigma = check_data(data, sigma)
        chi2 = compute_chi_squared(params, data, sigma, t1, t2, phi, q, L, contrast, offset, dt)
        counted = np.broadcast_to(sigma, data.shape)
        counted = counted[np.isfinite(counted)]
        return 0.5 * float(chi2 + np.sum(np.log(2.0 * np.pi * counted**2)))

    def detect_dataset_size(self, data) -> str:
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
        times = np.shape(t1) if np.ndim(t1) == 2 else (np.size(t1), np.size(t2))
        wanted = (np.size(phi), *times)
        if np.shape(data) != wanted or 0 in wanted:
            raise ValueError(f"data have shape {np.shape(data)}; phi, t1 and t2 make it {wanted}, as (n_phi, n1, n2).")
        for name, values in (("t1", t1), ("t2", t2), ("phi", phi)):
            if not np.all(np.isfinite(values)):
                raise ValueError(f"{name} holds values that are not finite; correct them.")
        check_data(data, 1.0 if sigma is None else sigma)
        PhysicsFactors.from_config(q, L, 1.0)  # dt is checked where it is given, with the model

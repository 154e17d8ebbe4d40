"""Constants, bounds, and checks of parameters and geometry before anything is computed (spec section 2)."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from homodyne_lib.model.backend import is_traced
from homodyne_lib.model.parameters import MODEL_TYPES, PhysicsConstants, model_parameters, outside_usual

__all__ = [
    "PhysicsConstants",
    "ValidationResult",
    "clip_parameters",
    "estimate_correlation_time",
    "get_default_parameters",
    "parameter_bounds",
    "validate_experimental_setup",
    "validate_parameters",
    "validate_parameters_detailed",
]


logger = logging.getLogger(__name__)


def parameter_bounds() -> dict[str, list[tuple[float, float]]]:
    """Bounds of the three model types (spec section 2).

    Returns
    -------
    dict
        ``diffusion``, ``shear``, ``combined``: list of (lower, upper), in the units of the parameter table.
    """
    return {kind: [(p.lower, p.upper) for p in model_parameters(kind)] for kind in MODEL_TYPES}


def get_default_parameters(model_type: str) -> np.ndarray:
    """Starting values of a model type, strictly inside the bounds.

    Parameters
    ----------
    model_type : str
        ``diffusion``, ``shear``, ``combined`` or an analysis mode.

    Returns
    -------
    ndarray, shape (n_params,)
        In the units of the parameter table.

    Raises
    ------
    ValueError
        For an unknown model type.
    """
    return np.array([p.default for p in model_parameters(model_type)])


@dataclass(frozen=True)
class ValidationResult:
    """Outcome of a parameter check (spec section 2).

    Attributes
    ----------
    valid : bool
    violations : list of str
        One sentence a violation.
    parameters_checked : int
    message : str
        Summary, beginning with ``OK`` or ``FAIL``.
    """

    valid: bool
    violations: list[str]
    parameters_checked: int
    message: str

    def __bool__(self) -> bool:
        return self.valid


def validate_parameters_detailed(params, bounds, names=None) -> ValidationResult:
    """Check each parameter against its bounds.

    Values that JAX is tracing have no number yet; they pass unchecked and the message says so.

    Parameters
    ----------
    params : array_like, shape (n_params,)
    bounds : sequence of (float, float), length n_params
    names : sequence of str, optional

    Returns
    -------
    ValidationResult
        Violations name the parameter, its value and the interval; non-finite values and a wrong length are violations.
    """
    if is_traced(params):
        return ValidationResult(True, [], 0, "OK: values under JAX tracing are not checked")
    values = np.atleast_1d(np.asarray(params, dtype=float))
    names = list(names) if names is not None else [f"parameter {k}" for k in range(len(bounds))]
    if values.shape != (len(bounds),) or len(names) != len(bounds):
        text = f"{values.size} values and {len(names)} names were given for {len(bounds)} bounds; lengths must agree."
        return ValidationResult(False, [text], 0, f"FAIL: {text}")
    violations = [
        f"{name} = {value:g} is {'not finite' if not np.isfinite(value) else f'outside [{low:g}, {high:g}]'}."
        for name, value, (low, high) in zip(names, values, bounds, strict=True)
        if not (np.isfinite(value) and low <= value <= high)
    ]
    summary = (
        f"FAIL: {len(violations)} of {values.size} parameters violate their bounds"
        if violations
        else f"OK: {values.size} parameters within bounds"
    )
    return ValidationResult(not violations, violations, values.size, summary)


def validate_parameters(params, bounds) -> bool:
    """Whether all parameters lie within their bounds; see :func:`validate_parameters_detailed`.

    Parameters
    ----------
    params : array_like, shape (n_params,)
    bounds : sequence of (float, float)

    Returns
    -------
    bool
    """
    return validate_parameters_detailed(params, bounds).valid


def clip_parameters(params, bounds) -> np.ndarray:
    """Clip parameters to their bounds and log each value that moved.

    Parameters
    ----------
    params : array_like, shape (n_params,)
    bounds : sequence of (float, float), length n_params

    Returns
    -------
    ndarray, shape (n_params,)

    Raises
    ------
    ValueError
        If a value is not finite or the lengths differ.
    """
    values = np.asarray(params, dtype=float)
    limits = np.asarray(bounds, dtype=float)
    if limits.shape != (values.size, 2):
        raise ValueError(f"{values.size} parameters need {values.size} bounds; found {len(limits)}.")
    if not np.all(np.isfinite(values)):
        raise ValueError(f"parameters {values.tolist()} contain a value that is not finite; it cannot be clipped.")
    clipped = np.clip(values, limits[:, 0], limits[:, 1])
    for k in np.flatnonzero(clipped != values):
        logger.warning("parameter %d clipped from %g to %g", k, values[k], clipped[k])
    return clipped


def validate_experimental_setup(q, L, wavelength=None) -> ValidationResult:
    """Check that the geometry of an experiment is possible and usual.

    Parameters
    ----------
    q : float
        Wavevector transfer [1/Å].
    L : float
        Gap between stator and rotor [Å].
    wavelength : float, optional
        X-ray wavelength [Å]; with it, q ≤ 4π/λ is checked.

    Returns
    -------
    ValidationResult
        Values that are not finite and positive, or outside the usual ranges, are violations.
    """
    given = {"q": q, "L": L} | ({} if wavelength is None else {"wavelength": wavelength})
    sentences = [outside_usual(quantity, value) for quantity, value in given.items()]
    violations = [f"{sentence}." for sentence in sentences if sentence]
    if wavelength is not None and wavelength > 0 and q > 4 * np.pi / wavelength:
        violations.append(f"q = {q:g} 1/Å cannot be reached with wavelength {wavelength:g} Å: q must be ≤ 4π/λ.")
    message = f"FAIL: {' '.join(violations)}" if violations else "OK: geometry within the usual ranges"
    return ValidationResult(not violations, violations, len(given), message)


def estimate_correlation_time(D0: float, alpha: float, q: float) -> float:
    """Time at which g1 of D(t) = D0 t^alpha has decayed to exp(-1/2), from t = 0.

    The integral of ½ q² D0 t^alpha up to τ is ½ at τ = ((1 + alpha) / (q² D0))^(1 / (1 + alpha)), which is 1/(q² D0) for
    alpha = 0 (spec section 2).

    Parameters
    ----------
    D0 : float
        [Å²/s], positive.
    alpha : float
        Exponent, above -1 (otherwise the integral from t = 0 diverges).
    q : float
        [1/Å], positive.

    Returns
    -------
    float
        τ [s]; infinite where it is beyond the numbers.

    Raises
    ------
    ValueError
        If D0 or q is not positive, or alpha ≤ -1.
    """
    if not (D0 > 0 and q > 0):
        raise ValueError(f"D0 = {D0:g} Å²/s and q = {q:g} 1/Å must both be positive.")
    if not alpha > -1:
        raise ValueError(f"alpha = {alpha:g}: the decay from t = 0 is defined for alpha above -1 only.")
    try:
        return float((1 + alpha) / (q * q * D0)) ** (1 / (1 + alpha))
    except OverflowError:
        return float("inf")

"""Checks of parameters and of experimental geometry, on the host, before anything is computed."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from homodyne_lib.backend import is_traced, require_untraced
from homodyne_lib.physics import PhysicsConstants

__all__ = [
    "ValidationResult",
    "check_data",
    "clip_parameters",
    "estimate_correlation_time",
    "require_finite",
    "require_positive",
    "validate_experimental_setup",
    "validate_parameters",
    "validate_parameters_detailed",
]

logger = logging.getLogger(__name__)


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


def require_positive(name: str, value, unit: str) -> float:
    """Return a quantity of the experiment as a number, or say why it is none.

    Parameters
    ----------
    name, unit : str
        How the error calls it.
    value : float
        Must be known (not traced), finite and positive.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the value is missing, not a number, not finite or not positive.
    TypeError
        If it is a JAX tracer.
    """
    if value is None:
        raise ValueError(f"{name} is missing: give it in {unit}; it is never guessed.")
    require_untraced(name, value)
    number = value if np.ndim(value) == 0 and not isinstance(value, str) else np.nan
    if not (np.isfinite(number) and number > 0):
        raise ValueError(f"{name} = {value!s} {unit} must be one finite and positive number; correct it.")
    return float(number)


def require_finite(name: str, values, what: str) -> np.ndarray:
    """Return numbers as an array, or say which are none.

    Parameters
    ----------
    name, what : str
        How the error calls the values, and what they are.
    values : array_like
        At least one; known (not traced) and finite.

    Returns
    -------
    ndarray, shape of values

    Raises
    ------
    ValueError
        If there is no value, or one is not finite.
    TypeError
        If the values are a JAX tracer.
    """
    require_untraced(name, values)
    values = np.asarray(values, dtype=float)
    if values.size == 0 or not np.all(np.isfinite(values)):
        raise ValueError(f"{name} must hold finite {what}; found {values.size} values, some missing or not finite.")
    return values


def check_data(data, sigma) -> tuple[np.ndarray, np.ndarray]:
    """Check correlations and their noise before χ² is computed.

    Parameters
    ----------
    data : array_like, shape (n_phi, n1, n2)
    sigma : float or array_like, broadcastable to ``data``
        Infinite where an entry is left out.

    Returns
    -------
    data, sigma : ndarray of float

    Raises
    ------
    ValueError
        If data are not finite, or sigma is not positive or does not broadcast to data.
    TypeError
        If one of them does not hold real numbers.
    """
    data, sigma = np.asarray(data), np.asarray(sigma)
    for name, value in (("data", data), ("sigma", sigma)):
        if value.dtype.kind not in "fiu":
            raise TypeError(f"{name} must hold real numbers; found dtype {value.dtype}.")
    if sigma.ndim > data.ndim or any(
        n not in (1, m) for n, m in zip(sigma.shape[::-1], data.shape[::-1], strict=False)
    ):
        raise ValueError(f"sigma of shape {sigma.shape} cannot be broadcast to data of shape {data.shape}.")
    n_bad = int(np.sum(~np.isfinite(data)))
    if n_bad:
        raise ValueError(
            f"data hold {n_bad} entries that are not finite; replace them and give them an infinite sigma."
        )
    if not np.all(sigma > 0):
        raise ValueError(f"sigma must be positive everywhere; its smallest entry is {np.min(sigma)}.")
    return data.astype(float, copy=False), sigma.astype(float, copy=False)


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
    c = PhysicsConstants
    checks = [
        ("q", q, c.Q_MIN_TYPICAL, c.Q_MAX_TYPICAL, "1/Å"),
        ("L", L, c.GAP_MIN_TYPICAL, c.GAP_MAX_TYPICAL, "Å"),
    ]
    if wavelength is not None:
        checks.append(("wavelength", wavelength, c.WAVELENGTH_15KEV / 2, 2 * c.WAVELENGTH_8KEV, "Å"))
    violations = [
        f"{name} = {value:g} {unit} is outside the usual range [{low:g}, {high:g}] {unit}."
        for name, value, low, high, unit in checks
        if not low <= value <= high
    ]
    if wavelength is not None and wavelength > 0 and q > 4 * np.pi / wavelength:
        violations.append(f"q = {q:g} 1/Å cannot be reached with wavelength {wavelength:g} Å: q must be ≤ 4π/λ.")
    message = f"FAIL: {' '.join(violations)}" if violations else "OK: geometry within the usual ranges"
    return ValidationResult(not violations, violations, len(checks), message)


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
        τ [s].

    Raises
    ------
    ValueError
        If D0 or q is not positive, or alpha ≤ -1.
    """
    if not (D0 > 0 and q > 0):
        raise ValueError(f"D0 = {D0:g} Å²/s and q = {q:g} 1/Å must both be positive.")
    if not alpha > -1:
        raise ValueError(f"alpha = {alpha:g}: the decay from t = 0 is defined for alpha above -1 only.")
    return float(((1 + alpha) / (q * q * D0)) ** (1 / (1 + alpha)))

"""Checks of numbers, data and parameter vectors, on the host, before anything is computed."""

from __future__ import annotations

import numpy as np

from homodyne_lib.model.backend import as_arrays, as_doubles, is_traced

__all__ = ["check_data", "check_parameters", "parameter_vector", "require_finite", "require_positive"]


def require_positive(name: str, value, unit: str):
    """Return a quantity of the experiment as a number, or say why it is none.

    Parameters
    ----------
    name, unit : str
        How the error calls it.
    value : float
        Finite and positive. A value that JAX traces has no number yet; only its shape is checked.

    Returns
    -------
    float, or the traced value

    Raises
    ------
    ValueError
        If the value is missing, not one number, not finite or not positive.
    """
    if value is None:
        raise ValueError(f"{name} is missing: give it in {unit}; it is never guessed.")
    number = value if np.ndim(value) == 0 and not isinstance(value, str) else np.nan
    if is_traced(number):
        return as_arrays(number)[0]
    if not (np.isfinite(number) and number > 0):
        raise ValueError(f"{name} = {value!s} {unit} must be one finite and positive number; correct it.")
    return float(number)


def require_finite(name: str, values, what: str):
    """Return numbers as an array, or say which are none.

    Parameters
    ----------
    name, what : str
        How the error calls the values, and what they are.
    values : array_like
        At least one; finite. Values that JAX traces are not known yet, and pass.

    Returns
    -------
    ndarray, or array of JAX where it traces; shape of values

    Raises
    ------
    ValueError
        If there is no value, or one is not finite.
    """
    values = as_arrays(values)[0] if is_traced(values) else np.asarray(values, dtype=float)
    if values.size == 0 or not (is_traced(values) or np.all(np.isfinite(values))):
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


def parameter_vector(params):
    """:func:`check_parameters`, as a vector of the selected backend."""
    return as_arrays(check_parameters(params))[0]


def check_parameters(params):
    """Return parameters as a vector of doubles, or say what is wrong with them.

    Parameters
    ----------
    params : array_like, shape (3,) or (7,)

    Returns
    -------
    array, shape of params
        NumPy's, or that of JAX which was given.

    Raises
    ------
    ValueError
        For another shape, or a value that is not finite (a traced one passes).
    """
    _, params = as_doubles(params)
    if params.ndim != 1 or params.shape[0] not in (3, 7):
        raise ValueError(
            f"params must be a vector of 3 (static) or 7 (laminar_flow) numbers; found shape {tuple(params.shape)}."
        )
    if not is_traced(params) and not np.all(np.isfinite(params)):
        raise ValueError(f"params = {np.asarray(params).tolist()} hold a value that is not finite; correct it.")
    return params

"""Search scales: amplitudes that span decades are searched, and sampled, by their logarithm; all else as it is."""

from __future__ import annotations

import numpy as np

from homodyne_lib.backend import array_namespace
from homodyne_lib.physics import PARAMETERS

__all__ = ["from_search_scale", "prior_normal", "search_bounds", "search_slopes", "to_search_scale"]


def _logarithmic(names) -> np.ndarray:
    return np.array([PARAMETERS[name].logarithmic for name in names])


def to_search_scale(names, values):
    """Natural logarithm of logarithmic parameters; shape (..., n_params) is kept."""
    xp = array_namespace(values)
    log = _logarithmic(names)
    return xp.where(log, xp.log(xp.where(log, values, 1.0)), values)


def from_search_scale(names, values):
    """Inverse of :func:`to_search_scale`."""
    xp = array_namespace(values)
    log = _logarithmic(names)
    return xp.where(log, xp.exp(xp.where(log, values, 0.0)), values)


def search_slopes(names, params) -> np.ndarray:
    """Derivative of each parameter with respect to its search scale: its value, or 1."""
    return np.where(_logarithmic(names), params, 1.0)


def search_bounds(names, bounds=None) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds on the search scale.

    Parameters
    ----------
    names : sequence of str
    bounds : mapping of str to (float, float), optional
        Narrower bounds in the parameters' units; the parameter table's where a name is missing.

    Returns
    -------
    lower, upper : ndarray, shape (n_params,)

    Raises
    ------
    ValueError
        If a bound is reversed, not finite, or outside the table's.
    """
    limits = []
    for name in names:
        table = (PARAMETERS[name].lower, PARAMETERS[name].upper)
        low, high = (float(v) for v in (bounds or {}).get(name, table))
        if not table[0] <= low < high <= table[1]:
            raise ValueError(
                f"bounds [{low:g}, {high:g}] of {name} must rise and lie within [{table[0]:g}, {table[1]:g}] "
                f"{PARAMETERS[name].unit}."
            )
        limits.append((low, high))
    limits = np.array(limits)
    return to_search_scale(names, limits[:, 0]), to_search_scale(names, limits[:, 1])


def prior_normal(names, bounds=None) -> tuple[np.ndarray, np.ndarray]:
    """Weakly informative prior of each parameter: centre and standard deviation on the search scale.

    The centre lies midway between the bounds, the standard deviation is a quarter of their distance; it depends on no data.

    Parameters
    ----------
    names : sequence of str
    bounds : mapping of str to (float, float), optional
        The parameter table's where a name is missing.

    Returns
    -------
    centre, sd : ndarray, shape (n_params,)
    """
    lower, upper = search_bounds(names, bounds)
    return 0.5 * (lower + upper), 0.25 * (upper - lower)

"""Search scales: amplitudes that span decades are searched, and sampled, by their logarithm; all else as it is.

The model repeats with a parameter that has a period. Its interval, unless one is given, is one period about zero: all
that it can be. An interval of a whole period has no ends, as its two bounds are the same experiment.
"""

from __future__ import annotations

import numpy as np

from homodyne_lib.model.backend import array_namespace
from homodyne_lib.model.parameters import PARAMETERS

__all__ = [
    "from_search_scale",
    "interval_of",
    "nearest_image",
    "prior_normal",
    "search_bounds",
    "search_slopes",
    "to_search_scale",
    "without_ends",
]


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


def interval_of(name, bounds=None) -> tuple[float, float]:
    """Interval in which a parameter is searched for [its unit].

    Parameters
    ----------
    name : str
    bounds : mapping of str to (float, float), optional
        Intervals to be used instead. They lie within the parameter table's; that of a periodic parameter lies anywhere,
        and is at most a period wide.

    Returns
    -------
    lower, upper : float

    Raises
    ------
    ValueError
        If a bound is reversed, not finite, outside the table's, or wider than a period.
    """
    parameter = PARAMETERS[name]
    periodic = np.isfinite(parameter.period)
    widest = (-0.5 * parameter.period, 0.5 * parameter.period) if periodic else (parameter.lower, parameter.upper)
    low, high = (float(v) for v in (bounds or {}).get(name, widest))
    if periodic and not (low < high <= low + parameter.period and np.isfinite(low)):
        raise ValueError(
            f"bounds [{low:g}, {high:g}] of {name} must rise and be at most {parameter.period:g} {parameter.unit} apart, "
            "where the model repeats itself."
        )
    if not periodic and not widest[0] <= low < high <= widest[1]:
        raise ValueError(
            f"bounds [{low:g}, {high:g}] of {name} must rise and lie within [{widest[0]:g}, {widest[1]:g}] "
            f"{parameter.unit}."
        )
    return low, high


def without_ends(names, lower, upper) -> np.ndarray:
    """Which parameters may have any value, as their interval is a whole period; bool, shape (n_params,)."""
    periods = np.array([PARAMETERS[name].period for name in names])
    return np.asarray(upper) - np.asarray(lower) >= periods * (1.0 - 1e-12)


def nearest_image(names, values, about):
    """Move periodic parameters by whole periods to where they are nearest to ``about``; shape (..., n_params) is kept.

    Of two that are equally near, the higher one.
    """
    periods = np.array([PARAMETERS[name].period for name in names])
    periodic = np.isfinite(periods)
    periods = np.where(periodic, periods, 1.0)
    turns = np.ceil((np.asarray(values) - about) / periods - 0.5)
    return np.where(periodic, values - periods * turns, values)


def search_bounds(names, bounds=None) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds on the search scale.

    Parameters
    ----------
    names : sequence of str
    bounds : mapping of str to (float, float), optional
        As in :func:`interval_of`, which raises what this raises.

    Returns
    -------
    lower, upper : ndarray, shape (n_params,)
    """
    limits = np.array([interval_of(name, bounds) for name in names])
    return to_search_scale(names, limits[:, 0]), to_search_scale(names, limits[:, 1])


def prior_normal(names, bounds=None) -> tuple[np.ndarray, np.ndarray]:
    """Weakly informative prior of each parameter: centre and standard deviation on the search scale.

    The centre lies midway between the bounds, the standard deviation is a quarter of their distance; it depends on no data.
    A periodic parameter has no middle: samplers take it uniform (``sampling.coordinates.Coordinates``), and only
    the specification's priors, which have bounds, ask for one here.

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

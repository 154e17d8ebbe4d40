"""D(t) and γ̇(t) of many parameter vectors, and the bands they span."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from homodyne_lib.model.rates import calculate_diffusion_coefficient, calculate_shear_rate

__all__ = ["CURVES", "band", "rate_curves", "rate_slopes"]

_STEP = 1e-30  # of the derivatives by complex steps

CURVES = {
    "D": (calculate_diffusion_coefficient, ("D0", "alpha", "D_offset")),
    "gamma_dot": (calculate_shear_rate, ("gamma_dot_t0", "beta", "gamma_dot_t_offset")),
}
"""Curve -> its function of time and the parameters that it takes."""


def rate_curves(draws: Mapping[str, np.ndarray], time, dt: float, curve: str) -> np.ndarray:
    """Evaluate a rate for every draw.

    Parameters
    ----------
    draws : mapping of str to array_like, shape (...,)
        Parameters by name; numbers serve for one curve.
    time : array_like, shape (n,)
        [s]
    dt : float
        Frame interval [s].
    curve : {"D", "gamma_dot"}

    Returns
    -------
    ndarray, shape (n_draws, n)
        D(t) [Å²/s] or γ̇(t) [1/s].
    """
    function, names = CURVES[curve]
    return function(np.asarray(time, dtype=float), *(np.reshape(draws[name], (-1, 1)) for name in names), dt=dt)


def rate_slopes(params: Mapping[str, float], time, dt: float, curve: str) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate a rate and its derivatives with respect to its parameters, by complex steps.

    Parameters
    ----------
    params : mapping of str to float
        [units of the parameter table]
    time : array_like, shape (n,)
        [s]
    dt : float
        Frame interval [s].
    curve : {"D", "gamma_dot"}

    Returns
    -------
    rate : ndarray, shape (n,)
        D(t) [Å²/s] or γ̇(t) [1/s].
    slopes : ndarray, shape (n, len(params))
        In the order of ``params``; 0 for those of which the rate does not depend.
    """
    steps = np.array([*params.values()]) + _STEP * 1j * np.eye(len(params))
    values = rate_curves(dict(zip(params, steps.T, strict=True)), time, dt, curve)
    return values[0].real, values.imag.T / _STEP


def band(curves, probability: float) -> tuple[np.ndarray, np.ndarray]:
    """Central interval of curves at each time.

    Parameters
    ----------
    curves : array_like, shape (n_draws, n)
    probability : float

    Returns
    -------
    lower, upper : ndarray, shape (n,)
    """
    tail = 0.5 * (1.0 - probability)
    return tuple(np.quantile(curves, [tail, 1.0 - tail], axis=0))

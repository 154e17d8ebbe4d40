"""The physics on the time axis, and the two special functions of a number.

Everything that the model knows of D(t) and of the shear rate stands here, once: the power laws, their floors, the
cumulative trapezoid, the smooth absolute value, the sinc and the exponential. The array library follows the arguments;
numbers of any other type become doubles.
"""

from __future__ import annotations

from homodyne_lib.model.backend import array_namespace, as_doubles, with_slope
from homodyne_lib.model.parameters import PhysicsConstants

__all__ = [
    "RATE_FLOOR",
    "SMOOTH_ABS_EPS",
    "calculate_diffusion_coefficient",
    "calculate_shear_rate",
    "floor_time",
    "floor_value",
    "power_law",
    "safe_exp",
    "safe_sinc",
    "smooth_abs",
    "trapezoid_cumsum",
]

RATE_FLOOR = 1e-10
"""Smallest D(t) [Å²/s] and shear rate [1/s]; below it the value is held and the slope is zero."""

SMOOTH_ABS_EPS = 1e-12
"""Added under the root of the smooth absolute value, in squared steps."""

_SINC_SERIES_BELOW = 1e-4
_MIN_TIME_FLOOR = 1e-8


def safe_exp(x, max_val: float = PhysicsConstants.MAX_EXP_ARG):
    """Exponential whose argument is held within ±max_val (spec section 6).

    Parameters
    ----------
    x : array_like
        Dimensionless.
    max_val : float

    Returns
    -------
    array, shape of x
    """
    xp, x = as_doubles(x)
    real = xp.real(x)
    held = xp.where(real > max_val, max_val, xp.where(real < -max_val, -max_val, x))
    return xp.exp(held)


def safe_sinc(x):
    """Unnormalised sinc, sin(x)/x, with its Taylor series for |x| < 1e-4 (spec section 8).

    Parameters
    ----------
    x : array_like
        Phase [rad].

    Returns
    -------
    array, shape of x
    """
    return _sinc(as_doubles(x)[1])


def _away_from_zero(x):
    """Where the series holds, and x with one in its place: a quotient in the other branch never meets 0/0."""
    xp = array_namespace(x)
    near_zero = xp.abs(x) < _SINC_SERIES_BELOW
    return xp, near_zero, xp.where(near_zero, 1.0, x)


def _slope_of_sinc(x, sinc):
    xp, near_zero, far = _away_from_zero(x)
    return xp.where(near_zero, x**3 / 30.0 - x / 3.0, (xp.cos(far) - sinc) / far)


@with_slope(_slope_of_sinc)
def _sinc(x):
    xp, near_zero, far = _away_from_zero(x)
    x2 = x * x
    return xp.where(near_zero, 1.0 - x2 / 6.0 + x2 * x2 / 120.0, xp.sin(far) / far)


def smooth_abs(x):
    """Differentiable absolute value sqrt(x² + 1e-12) (spec section 8); 1e-6 at zero.

    Parameters
    ----------
    x : array_like

    Returns
    -------
    array, shape of x
    """
    xp, x = as_doubles(x)
    return xp.sqrt(x * x + SMOOTH_ABS_EPS)


def floor_value(x, floor: float):
    """Hold values at a floor; the derivative below the floor is zero. NaN stays NaN.

    Parameters
    ----------
    x : array_like
    floor : float

    Returns
    -------
    array, shape of x
    """
    xp = array_namespace(x)
    return xp.where(xp.real(x) < floor, floor, x)


def floor_time(t, dt: float | None = None):
    """Hold times at max(dt/2, 1e-8 s), which moves only t = 0 of the frames (spec section 8). NaN stays NaN.

    Parameters
    ----------
    t : float or array_like, shape (n,)
        Times [s].
    dt : float, optional
        Frame interval [s]; without it, the first step of the times, which then moves t = 0 alone: the times may be any.

    Returns
    -------
    array, shape of t
        Times [s] at which the power laws are finite.
    """
    xp, t = as_doubles(t)
    axis = xp.ravel(t)
    step = xp.abs(axis[min(1, t.size - 1)] - axis[0]) if dt is None else dt
    floor = xp.where(0.5 * step > _MIN_TIME_FLOOR, 0.5 * step, _MIN_TIME_FLOOR)
    return xp.where(t < (_MIN_TIME_FLOOR if dt is None else floor), floor, t)


def power_law(t, amplitude, exponent):
    """Power law amplitude t^exponent, at t > 0; unit of ``amplitude``, shape of ``t``."""
    return amplitude * t**exponent


def _rate(t, amplitude, exponent, offset, dt):
    t = floor_time(t, dt)
    # NaN to the power of zero is 1, and a rate at an unknown time is none.
    return floor_value(power_law(t, amplitude, exponent) + offset + 0.0 * t, RATE_FLOOR)


def calculate_diffusion_coefficient(t, D0, alpha, D_offset, dt: float | None = None):
    """Diffusion coefficient D(t) = D0 t^alpha + D_offset, held at 1e-10 (spec section 1).

    Parameters
    ----------
    t : float or array_like, shape (n,)
        Times from the first selected frame [s].
    D0, D_offset : float
        [Å²/s]
    alpha : float
        Exponent.
    dt : float, optional
        Frame interval [s] that sets the floor of t; without it, the first step of ``t``.

    Returns
    -------
    array, shape of t
        [Å²/s]
    """
    return _rate(t, D0, alpha, D_offset, dt)


def calculate_shear_rate(t, gamma0, beta, offset, dt: float | None = None):
    """Shear rate γ̇(t) = γ̇0 t^beta + γ̇_offset, held at 1e-10 (spec section 1).

    Parameters
    ----------
    t : float or array_like, shape (n,)
        Times from the first selected frame [s].
    gamma0, offset : float
        [1/s]
    beta : float
        Exponent.
    dt : float, optional
        Frame interval [s] that sets the floor of t; without it, the first step of ``t``.

    Returns
    -------
    array, shape of t
        [1/s]
    """
    return _rate(t, gamma0, beta, offset, dt)


def trapezoid_cumsum(values):
    """Cumulative trapezoid in steps: S[0] = 0, S[k] = Σ ½(f[j] + f[j+1]), without dt (spec section 6).

    Parameters
    ----------
    values : array_like, shape (..., n)

    Returns
    -------
    array, shape (..., n)
        In the unit of ``values`` times steps; multiply by dt for seconds.
    """
    xp, values = as_doubles(values)
    steps = xp.cumsum(0.5 * (values[..., 1:] + values[..., :-1]), axis=-1)
    return xp.concatenate([xp.zeros_like(values[..., :1]), steps], axis=-1)

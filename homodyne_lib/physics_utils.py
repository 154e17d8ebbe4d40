"""The physics on the time axis, and the two special functions of a number.

Everything that the model knows of D(t) and of the shear rate stands here, once: the power laws, their floors, the
cumulative trapezoid, the smooth absolute value, the sinc and the exponential. The array library follows the arguments.
"""

from __future__ import annotations

from homodyne_lib.backend import array_namespace
from homodyne_lib.physics import PhysicsConstants

__all__ = [
    "RATE_FLOOR",
    "SMOOTH_ABS_EPS",
    "calculate_diffusion_coefficient",
    "calculate_shear_rate",
    "calculate_shear_rate_cmc",
    "create_time_integral_matrix",
    "floor_time",
    "floor_value",
    "power_law",
    "rate_slopes",
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
    xp = array_namespace(x)
    real = xp.real(xp.asarray(x))
    held = xp.where(real > max_val, max_val, xp.where(real < -max_val, -max_val, x))
    return xp.exp(held)


def safe_sinc(x):
    """Unnormalised sinc, sin(x)/x, with its Taylor series for |x| < 1e-4 (spec section 9).

    Parameters
    ----------
    x : array_like
        Phase [rad].

    Returns
    -------
    array, shape of x
    """
    xp = array_namespace(x)
    x = xp.asarray(x)
    near_zero = xp.abs(x) < _SINC_SERIES_BELOW
    x2 = x * x
    # The quotient is computed away from zero in both branches, so neither value nor derivative meets 0/0.
    far = xp.where(near_zero, 1.0, x)
    return xp.where(near_zero, 1.0 - x2 / 6.0 + x2 * x2 / 120.0, xp.sin(far) / far)


def smooth_abs(x):
    """Differentiable absolute value sqrt(x² + 1e-12) (spec section 9); 1e-6 at zero.

    Parameters
    ----------
    x : array_like

    Returns
    -------
    array, shape of x
    """
    xp = array_namespace(x)
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
    """Hold times at max(dt/2, 1e-8 s), which moves only t = 0 of a regular axis (spec section 9).

    Parameters
    ----------
    t : array_like, shape (n,)
        Times [s].
    dt : float, optional
        Frame interval [s]; without it, the first step of the axis.

    Returns
    -------
    array, shape (n,)
        Times [s] at which the power laws are finite.
    """
    xp = array_namespace(t)
    t = xp.asarray(t)
    step = xp.abs(t[min(1, t.size - 1)] - t[0]) if dt is None else dt
    floor = xp.where(0.5 * step > _MIN_TIME_FLOOR, 0.5 * step, _MIN_TIME_FLOOR)
    return xp.where(t > floor, t, floor)


def power_law(t, amplitude, exponent):
    """Power law amplitude t^exponent, at t > 0; unit of ``amplitude``, shape of ``t``."""
    return amplitude * t**exponent


def _rate(t, amplitude, exponent, offset, dt):
    return floor_value(power_law(floor_time(t, dt), amplitude, exponent) + offset, RATE_FLOOR)


def rate_slopes(t, amplitude, exponent, offset):
    """Derivatives of a rate, D(t) or γ̇(t), with respect to amplitude, exponent and offset; zero where it is held.

    Parameters
    ----------
    t : array_like, shape (n,)
        Floored times [s].
    amplitude, offset : float
        [Å²/s] or [1/s]
    exponent : float

    Returns
    -------
    array, shape (3, n)
    """
    xp = array_namespace(t)
    shape = power_law(t, 1.0, exponent)
    free = (amplitude * shape + offset >= RATE_FLOOR) * 1.0
    return xp.stack([shape, amplitude * shape * xp.log(t), xp.ones_like(shape)]) * free


def calculate_diffusion_coefficient(t, D0, alpha, D_offset, dt: float | None = None):
    """Diffusion coefficient D(t) = D0 t^alpha + D_offset, held at 1e-10 (spec section 1).

    Parameters
    ----------
    t : array_like, shape (n,)
        Times from the first selected frame [s].
    D0, D_offset : float
        [Å²/s]
    alpha : float
        Exponent.
    dt : float, optional
        Frame interval [s] that sets the floor of t; without it, the first step of ``t``.

    Returns
    -------
    array, shape (n,)
        [Å²/s]
    """
    return _rate(t, D0, alpha, D_offset, dt)


def calculate_shear_rate(t, gamma_dot_t0, beta, gamma_dot_t_offset, dt: float | None = None):
    """Shear rate γ̇(t) = γ̇0 t^beta + γ̇_offset, held at 1e-10 (spec section 1).

    Parameters
    ----------
    t : array_like, shape (n,)
        Times from the first selected frame [s].
    gamma_dot_t0, gamma_dot_t_offset : float
        [1/s]
    beta : float
        Exponent.
    dt : float, optional
        Frame interval [s] that sets the floor of t; without it, the first step of ``t``.

    Returns
    -------
    array, shape (n,)
        [1/s]
    """
    return _rate(t, gamma_dot_t0, beta, gamma_dot_t_offset, dt)


calculate_shear_rate_cmc = calculate_shear_rate
"""The spec's second name: the floor of :func:`floor_time` already covers dt = 0."""


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
    xp = array_namespace(values)
    values = xp.asarray(values)
    steps = xp.cumsum(0.5 * (values[..., 1:] + values[..., :-1]), axis=-1)
    return xp.concatenate([xp.zeros_like(values[..., :1]), steps], axis=-1)


def create_time_integral_matrix(values):
    """Matrix of |∫ f| between all pairs of frames, in steps: sqrt((S[i] - S[j])² + 1e-12) (spec section 6).

    Parameters
    ----------
    values : array_like, shape (n,)

    Returns
    -------
    array, shape (n, n)
    """
    total = trapezoid_cumsum(values)
    return smooth_abs(total[:, None] - total[None, :])

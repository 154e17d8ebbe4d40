"""D(t), the shear rate, their integrals, and the guarded functions of a number (spec section 6)."""

from __future__ import annotations

from homodyne_lib.model.rates import (
    calculate_diffusion_coefficient,
    calculate_shear_rate,
    safe_exp,
    safe_sinc,
    smooth_abs,
    trapezoid_cumsum,
)

__all__ = [
    "calculate_diffusion_coefficient",
    "calculate_shear_rate",
    "calculate_shear_rate_cmc",
    "create_time_integral_matrix",
    "safe_exp",
    "safe_sinc",
    "trapezoid_cumsum",
]

calculate_shear_rate_cmc = calculate_shear_rate
"""Second name of :func:`calculate_shear_rate`, whose floor of time covers dt = 0 (spec section 6)."""


def create_time_integral_matrix(f):
    """Matrix of |∫ f| between all pairs of frames, in steps: sqrt((S[i] - S[j])² + 1e-12) (spec section 6).

    Parameters
    ----------
    f : array_like, shape (n,)

    Returns
    -------
    array, shape (n, n)
    """
    total = trapezoid_cumsum(f)
    return smooth_abs(total[:, None] - total[None, :])

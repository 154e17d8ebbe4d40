"""The physics of a pair of frames, once: g1 of diffusion, g1 of shear, their product, and g2.

Each function takes parameters, a ``model.layouts.PairLayout`` and two pre-computed factors, and returns the
broadcast shape of the layout: (n_phi, n1, n2) for a mesh, (N,) for points, (P, N) for a shard. The array library follows
the arguments, so the same lines run on JAX (traced or not) and on NumPy arrays.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from homodyne_lib.model.backend import array_namespace
from homodyne_lib.model.layouts import PairLayout
from homodyne_lib.model.rates import (
    calculate_diffusion_coefficient,
    calculate_shear_rate,
    safe_exp,
    safe_sinc,
    smooth_abs,
    trapezoid_cumsum,
)

__all__ = [
    "BROWNIAN",
    "G1_FLOOR",
    "N_DIFFUSION",
    "N_FLOW",
    "SHEAR_CONVENTIONS",
    "ShearConvention",
    "beside_brownian",
    "convention_in_words",
    "cumulative_diffusion",
    "cumulative_shear",
    "factors_to_other_convention",
    "g1_diffusion",
    "g1_of_fields",
    "g1_shear",
    "g1_total",
    "g2_from_g1",
    "get_shear_convention",
    "pair_fields",
    "shear_phase_factor",
]

G1_FLOOR = 1e-10
"""Smallest |g1|; below it the value is held and the slope is zero (spec section 5)."""

N_DIFFUSION = 3
"""Parameters of the diffusion part: D0, alpha, D_offset; the shear part follows."""

N_FLOW = 7
"""Parameters with the shear part: γ̇0, beta, γ̇_offset, φ0. A power of q comes after either, where the layout has a q_ratio."""

BROWNIAN = 2.0
"""Power of q with which diffusion decays."""


class ShearConvention(NamedTuple):
    """How the sinc of the shear phase enters g1.

    Attributes
    ----------
    phase_scale : float
        Factor on the spec's phase (qL dt/2π) cos(φ0 - φ) Γ.
    power : int
        g1 carries sinc to this power.
    formula : str
        The factor of g1, in LaTeX.
    """

    phase_scale: float
    power: int
    formula: str


SHEAR_CONVENTIONS = {
    "spec": ShearConvention(
        1.0, 2, r"\operatorname{sinc}^2\left[\frac{qL}{2\pi} \cos(\varphi_0-\varphi) \Gamma\right]"
    ),
    "published": ShearConvention(
        math.pi, 1, r"\operatorname{sinc}\left[\frac{qL}{2} \cos(\varphi_0-\varphi) \Gamma\right]"
    ),
}
"""``spec``: as the specification writes it. ``published``: uniform shear across the gap, once. Γ = ∫γ̇ dt."""


def factors_to_other_convention(name: str) -> tuple[str, tuple[float, float]]:
    """The other convention, and by which factors it makes the shear rate of the same decay larger.

    The same decay has rates inverse to phase_scale √power where phases are small, as 1 - sinc^p(s x) = p (s x)²/6 there, and
    inverse to phase_scale where the first null lies.

    Parameters
    ----------
    name : str
        ``spec`` or ``published``.

    Returns
    -------
    other : str
    factors : tuple of float
        The smaller and the larger one.
    """
    own = get_shear_convention(name)
    other_name, other = next(item for item in SHEAR_CONVENTIONS.items() if item[0] != name)
    null = own.phase_scale / other.phase_scale
    low, high = sorted((null, null * math.sqrt(own.power / other.power)))
    return other_name, (low, high)


def convention_in_words(name: str) -> str:
    """Name the convention of a shear rate, with the factor to the other one.

    Parameters
    ----------
    name : str
        ``spec`` or ``published``.

    Returns
    -------
    str
    """
    other, factors = factors_to_other_convention(name)
    low, high = sorted(max(factor, 1 / factor) for factor in factors)
    size = "smaller" if factors[0] < 1 else "larger"
    return f"convention {name}; by {other} {low:.1f} to {high:.1f} times {size}"


def get_shear_convention(name: str) -> ShearConvention:
    """Look a shear convention up by name.

    Parameters
    ----------
    name : str
        ``spec`` or ``published``.

    Returns
    -------
    ShearConvention

    Raises
    ------
    ValueError
        For a name that does not exist.
    """
    if name not in SHEAR_CONVENTIONS:
        raise ValueError(f"shear convention {name!r} does not exist; choose one of {', '.join(SHEAR_CONVENTIONS)}.")
    return SHEAR_CONVENTIONS[name]


def cumulative_diffusion(params, time):
    """Cumulative trapezoid of D(t) on the time axis, in steps [Å²/s · steps]; shape (G,)."""
    return trapezoid_cumsum(calculate_diffusion_coefficient(time, *params[:N_DIFFUSION]))


def cumulative_shear(params, time):
    """Cumulative trapezoid of γ̇(t) on the time axis, in steps [1/s · steps]; shape (G,)."""
    return trapezoid_cumsum(calculate_shear_rate(time, *params[N_DIFFUSION : N_DIFFUSION + 3]))


def shear_phase_factor(phi0, phi, sinc_prefactor, convention: str):
    """Phase of the sinc per step of ∫γ̇: scale (qL dt/2π) cos(φ0 - φ); shape of ``phi`` [deg]."""
    xp = array_namespace(phi0, phi)
    return get_shear_convention(convention).phase_scale * sinc_prefactor * xp.cos((phi0 - phi) * (math.pi / 180.0))


def _pair_integral(cumulative, layout: PairLayout):
    return smooth_abs(cumulative[..., layout.idx1] - cumulative[..., layout.idx2])


def pair_fields(params, layout: PairLayout) -> tuple:
    """All that g1 of a pair takes of the parameters: |∫D| between its frames; with a flow, |∫γ̇| and φ0; the power of q.

    Integrals are in steps, and have the broadcast shape of the frame indices; φ0 [deg] and the power of q, which comes last
    where it is a parameter, are numbers.
    """
    diffusion = _pair_integral(cumulative_diffusion(params, layout.time), layout)
    flow = (_pair_integral(cumulative_shear(params, layout.time), layout), params[6]) if _flows(params) else ()
    power = _power(params, layout)
    return diffusion, *flow, *(() if power is None else (power,))


def beside_brownian(q_ratio, power):
    """Factor on ½ q² dt where the decay goes with another power of q than 2 (Q1); one at the reference q."""
    return q_ratio ** (power - BROWNIAN)


def _flows(params) -> bool:
    return params.shape[0] >= N_FLOW


def _power(params, layout):
    """The power of q, if it is one of the parameters."""
    return None if layout.q_ratio is None else params[-1]


def _decay(integral, wq_dt, power, q_ratio):
    xp = array_namespace(integral, power)
    if power is not None:
        wq_dt = wq_dt * beside_brownian(q_ratio, power)
    log_g1 = -wq_dt * integral
    return safe_exp(xp.where(xp.real(log_g1) > 0.0, 0.0, log_g1))


def _shear_factor(integral, phi0, phi, sinc_prefactor, convention):
    phase = shear_phase_factor(phi0, phi, sinc_prefactor, convention) * integral
    return safe_sinc(phase) ** get_shear_convention(convention).power


def g1_diffusion(params, layout: PairLayout, wq_dt):
    """Diffusion factor exp(-½q²dt |∫D|) of each pair (spec section 5).

    Parameters
    ----------
    params : array, shape (≥ 3,)
        D0 [Å²/s], alpha, D_offset [Å²/s], ...; with a ``layout.q_ratio`` the power of q last, which counts from it.
    layout : PairLayout
    wq_dt : float
        ½ q² dt [s/Å²]

    Returns
    -------
    array, broadcast shape of the frame indices
    """
    integral = _pair_integral(cumulative_diffusion(params, layout.time), layout)
    return _decay(integral, wq_dt, _power(params, layout), layout.q_ratio)


def g1_shear(params, layout: PairLayout, sinc_prefactor, convention: str = "spec"):
    """Shear factor of each pair: the sinc of the phase difference to the power of the convention; ones when static.

    Parameters
    ----------
    params : array, shape (3,) or (7,)
        Diffusion parameters, then γ̇0 [1/s], beta, γ̇_offset [1/s], φ0 [deg].
    layout : PairLayout
    sinc_prefactor : float
        q L dt / 2π [s]
    convention : {"spec", "published"}

    Returns
    -------
    array, broadcast shape of the layout
    """
    get_shear_convention(convention)  # a name that does not exist is refused without flow too
    if not _flows(params):
        xp = array_namespace(params, layout.phi)
        return xp.ones(xp.broadcast_shapes(layout.idx1.shape, layout.idx2.shape, layout.phi.shape))
    integral = _pair_integral(cumulative_shear(params, layout.time), layout)
    return _shear_factor(integral, params[6], layout.phi, sinc_prefactor, convention)


def g1_total(params, layout: PairLayout, wq_dt, sinc_prefactor, convention: str = "spec"):
    """Product of diffusion and shear factor, held at 1e-10 in magnitude (spec section 5).

    Parameters and result as in :func:`g1_diffusion` and :func:`g1_shear`. The published sinc changes sign between its
    nulls; its sign is kept, as g2 sees only the square.
    """
    return _product(g1_diffusion(params, layout, wq_dt), g1_shear(params, layout, sinc_prefactor, convention))


def g1_of_fields(fields, phi, wq_dt, sinc_prefactor, convention: str = "spec", q_ratio=None):
    """:func:`g1_total` from :func:`pair_fields`, at angles ``phi`` [deg] that broadcast with the integrals."""
    diffusion, *others = fields
    power = others.pop() if len(others) % 2 else None
    shear = _shear_factor(*others, phi, sinc_prefactor, convention) if others else 1.0
    return _product(_decay(diffusion, wq_dt, power, q_ratio), shear)


def _product(decay, shear):
    product = decay * shear
    xp = array_namespace(product)
    return xp.where(xp.abs(xp.real(product)) < G1_FLOOR, G1_FLOOR, product)


def g2_from_g1(g1, contrast, offset):
    """Homodyne detection g2 = offset + contrast g1², never clipped (spec section 1).

    Parameters
    ----------
    g1 : array, shape (n_phi, n1, n2), (P, N) or (N,)
    contrast, offset : float or array, shape () or (n_phi,)
        One number, or one for each angle of the first axis.

    Returns
    -------
    array, shape of g1
    """
    xp = array_namespace(g1, contrast, offset)
    shape = (-1,) + (1,) * (g1.ndim - 1)
    contrast, offset = (xp.reshape(xp.asarray(v), shape) if xp.ndim(v) else v for v in (contrast, offset))
    return offset + contrast * g1**2

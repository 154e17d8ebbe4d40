"""Public functions of the model under the spec's names: g1, g2, χ², their derivatives, and batches of parameters.

They differ from :mod:`homodyne_lib.kernels` only in what they take: times in seconds, q, L and dt instead of a layout
and factors. With JAX the derivatives are automatic; without it they are numerical, of the same lines.
"""

from __future__ import annotations

import numpy as np

from homodyne_lib import kernels
from homodyne_lib.backend import as_arrays, compiled, is_traced
from homodyne_lib.dispatch import derivative, over_batch, parameter_vector
from homodyne_lib.layouts import PairLayout, layout_from_times, point_layout
from homodyne_lib.physics_factors import PhysicsFactors
from homodyne_lib.validation import check_data

__all__ = [
    "batch_chi_squared",
    "compute_chi_squared",
    "compute_g1_diffusion",
    "compute_g1_shear",
    "compute_g1_total",
    "compute_g1_total_points",
    "compute_g1_total_with_precomputed",
    "compute_g2_scaled",
    "compute_g2_scaled_with_factors",
    "gradient_chi2",
    "gradient_g2",
    "hessian_chi2",
    "hessian_g2",
    "vectorized_g2_computation",
]

_g1_diffusion = compiled(kernels.g1_diffusion)
_g1_shear = compiled(kernels.g1_shear, "convention")
_g1_total = compiled(kernels.g1_total, "convention")
_g2_from_g1 = compiled(kernels.g2_from_g1)
_sum_of_squares = compiled(lambda model, data, sigma: (((data - model) / sigma) ** 2).sum())


def _factors(q, L, dt) -> tuple[float, float]:
    return PhysicsFactors.from_config(q, L, dt, validate=False).to_tuple()


def compute_g1_diffusion(params, t1, t2, q, dt):
    """Diffusion factor of g1 on the mesh of two time vectors (spec section 5).

    Parameters
    ----------
    params : array_like, shape (3,) or (7,)
        D0 [Å²/s], alpha, D_offset [Å²/s], ...
    t1, t2 : array_like, shape (n1,), (n2,) or both (n1, n2)
        Times [s], dt apart.
    q : float
        [1/Å]
    dt : float
        [s]

    Returns
    -------
    array, shape (n1, n2)

    Raises
    ------
    ValueError
        For a wrong shape, dt missing, q ≤ 0 or a time that is not on a frame.
    TypeError
        If a time is a JAX tracer.
    """
    layout = layout_from_times(t1, t2, 0.0, dt)
    wq_dt, _ = _factors(q, 1.0, dt)
    return _g1_diffusion(parameter_vector(params), layout, wq_dt)[0]


def compute_g1_shear(params, t1, t2, phi, q, L, dt, shear_convention="spec"):
    """Shear factor of g1 on the mesh; ones for three parameters (spec section 5).

    Parameters
    ----------
    params : array_like, shape (3,) or (7,)
        Diffusion parameters, then γ̇0 [1/s], beta, γ̇_offset [1/s], φ0 [deg].
    t1, t2 : array_like
        Times [s], as in :func:`compute_g1_diffusion`.
    phi : array_like, shape (n_phi,)
        [deg]
    q, L, dt : float
        [1/Å], [Å], [s]
    shear_convention : {"spec", "published"}

    Returns
    -------
    array, shape (n_phi, n1, n2)

    Raises
    ------
    ValueError
        As :func:`compute_g1_diffusion`, and for L ≤ 0 or an unknown convention.
    TypeError
        If a time is a JAX tracer.
    """
    layout = layout_from_times(t1, t2, phi, dt)
    _, sinc_prefactor = _factors(q, L, dt)
    return _g1_shear(parameter_vector(params), layout, sinc_prefactor, convention=shear_convention)


def compute_g1_total(params, t1, t2, phi, q, L, dt, shear_convention="spec"):
    """Product of diffusion and shear factor on the mesh, |g1| ≥ 1e-10 (spec section 5).

    Parameters, result shape (n_phi, n1, n2) and errors as in :func:`compute_g1_shear`.
    """
    layout = layout_from_times(t1, t2, phi, dt)
    return _g1_total(parameter_vector(params), layout, *_factors(q, L, dt), convention=shear_convention)


def compute_g1_total_points(params, t1, t2, phi, q, L, dt, shear_convention="spec"):
    """g1 of paired points: value k belongs to (t1[k], t2[k], phi[k]) (spec section 6, element-wise path).

    Parameters
    ----------
    params : array_like, shape (3,) or (7,)
    t1, t2 : array_like, shape (N,)
        Times [s] from t = 0 of the record.
    phi : float or array_like, shape (N,)
        [deg]
    q, L, dt : float
        [1/Å], [Å], [s]
    shear_convention : {"spec", "published"}

    Returns
    -------
    array, shape (N,)

    Raises
    ------
    ValueError, TypeError
        As :func:`compute_g1_shear`.
    """
    layout = point_layout(t1, t2, phi, dt)
    return _g1_total(parameter_vector(params), layout, *_factors(q, L, dt), convention=shear_convention)


def compute_g1_total_with_precomputed(
    params, phi_unique, time_safe, idx1, idx2, wq_dt, sinc_prefactor, shear_convention="spec"
):
    """g1 of a shard's pairs at all its angles, from integer pairs made once (spec section 6).

    Parameters
    ----------
    params : array_like, shape (3,) or (7,)
    phi_unique : array_like, shape (P,)
        [deg]
    time_safe, idx1, idx2 : arrays, shape (G,), (N,), (N,)
        Of a :class:`~homodyne_lib.layouts.ShardGrid`.
    wq_dt, sinc_prefactor : float
        Of :meth:`PhysicsFactors.to_tuple`.
    shear_convention : {"spec", "published"}

    Returns
    -------
    array, shape (P, N)

    Raises
    ------
    ValueError
        For a wrong parameter shape or an unknown convention.
    """
    time_safe, phi = as_arrays(time_safe, phi_unique)
    layout = PairLayout(time_safe, idx1[None, :], idx2[None, :], phi[:, None])
    return _g1_total(parameter_vector(params), layout, wq_dt, sinc_prefactor, convention=shear_convention)


def compute_g2_scaled_with_factors(
    params, t1, t2, phi, wq_dt, sinc_prefactor, contrast, offset, dt, shear_convention="spec"
):
    """g2 = offset + contrast g1² on the mesh, with pre-computed factors: the NLSQ entry point (spec section 6).

    Parameters
    ----------
    params : array_like, shape (3,) or (7,)
    t1, t2 : array_like
        Times [s], as in :func:`compute_g1_diffusion`.
    phi : array_like, shape (n_phi,)
        [deg]
    wq_dt, sinc_prefactor : float
        ½ q² dt [s/Å²] and q L dt / 2π [s].
    contrast, offset : float or array_like, shape (n_phi,)
    dt : float
        [s]
    shear_convention : {"spec", "published"}

    Returns
    -------
    array, shape (n_phi, n1, n2)

    Raises
    ------
    ValueError, TypeError
        As :func:`compute_g1_shear`; also when contrast or offset have another length than ``phi``.
    """
    layout = layout_from_times(t1, t2, phi, dt)
    contrast, offset = as_arrays(contrast, offset)
    for name, value in (("contrast", contrast), ("offset", offset)):
        if value.ndim and value.shape != (layout.phi.shape[0],):
            raise ValueError(
                f"{name} must be one number or one an angle; found shape {tuple(value.shape)} for "
                f"{layout.phi.shape[0]} angles."
            )
    g1 = _g1_total(parameter_vector(params), layout, wq_dt, sinc_prefactor, convention=shear_convention)
    return _g2_from_g1(g1, contrast, offset)


def compute_g2_scaled(params, t1, t2, phi, q, L, contrast, offset, dt, shear_convention="spec"):
    """g2 = offset + contrast g1² on the mesh (spec section 5).

    Parameters, result and errors as in :func:`compute_g2_scaled_with_factors`, with q [1/Å] and L [Å] for the factors.
    """
    factors = _factors(q, L, dt)
    return compute_g2_scaled_with_factors(params, t1, t2, phi, *factors, contrast, offset, dt, shear_convention)


def compute_chi_squared(params, data, sigma, t1, t2, phi, q, L, contrast, offset, dt, shear_convention="spec"):
    """χ² = Σ((data - g2)/σ)² over every entry that is given (spec section 5).

    A symmetric matrix holds each measured pair twice; to count each once, let ``sigma`` be infinite on and below the
    diagonal, or use :mod:`homodyne_lib.nlsq`.

    Parameters
    ----------
    params : array_like, shape (3,) or (7,)
    data : array_like, shape (n_phi, n1, n2)
    sigma : float or array_like, broadcastable to ``data``
        Noise of one entry; positive.
    t1, t2, phi, q, L, contrast, offset, dt, shear_convention
        As in :func:`compute_g2_scaled`.

    Returns
    -------
    array, shape ()

    Raises
    ------
    ValueError, TypeError
        As :func:`compute_g2_scaled` and :func:`~homodyne_lib.validation.check_data`; also when data and model differ
        in shape.
    """
    g2 = compute_g2_scaled(params, t1, t2, phi, q, L, contrast, offset, dt, shear_convention)
    if np.shape(data) != tuple(g2.shape):
        raise ValueError(f"data have shape {np.shape(data)}, the model {tuple(g2.shape)}; both are (n_phi, n1, n2).")
    if not (is_traced(data) or is_traced(sigma)):
        data, sigma = check_data(data, sigma)
    return _sum_of_squares(g2, data, sigma)


gradient_g2 = derivative(compute_g2_scaled, 1, "gradient_g2")
hessian_g2 = derivative(compute_g2_scaled, 2, "hessian_g2")
gradient_chi2 = derivative(compute_chi_squared, 1, "gradient_chi2")
hessian_chi2 = derivative(compute_chi_squared, 2, "hessian_chi2")


def vectorized_g2_computation(params_batch, *args, **kwargs):
    """g2 of many parameter vectors: shape (n_batch, n_phi, n1, n2) (spec section 5).

    Parameters
    ----------
    params_batch : array_like, shape (n_batch, 3) or (n_batch, 7)
    *args, **kwargs
        The arguments of :func:`compute_g2_scaled` after ``params``.

    Returns
    -------
    array, shape (n_batch, n_phi, n1, n2)

    Raises
    ------
    ValueError, TypeError
        As :func:`compute_g2_scaled`.
    """
    return over_batch(compute_g2_scaled, params_batch, args, kwargs)


def batch_chi_squared(params_batch, *args, **kwargs):
    """χ² of many parameter vectors: shape (n_batch,) (spec section 5).

    Parameters
    ----------
    params_batch : array_like, shape (n_batch, 3) or (n_batch, 7)
    *args, **kwargs
        The arguments of :func:`compute_chi_squared` after ``params``.

    Returns
    -------
    array, shape (n_batch,)

    Raises
    ------
    ValueError, TypeError
        As :func:`compute_chi_squared`.
    """
    return over_batch(compute_chi_squared, params_batch, args, kwargs)

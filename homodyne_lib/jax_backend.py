"""Public functions of the model under the spec's names: g1, g2, χ², their derivatives, and batches of parameters.

They differ from :mod:`homodyne_lib.kernels` only in what they take: times in seconds, q, L and dt instead of a layout and
factors. With JAX the derivatives are automatic; without it they are numerical, of the same lines on NumPy arrays.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from homodyne_lib import kernels
from homodyne_lib.backend import HAS_JAX, array_namespace, as_arrays, is_traced, select_physics_backend
from homodyne_lib.layouts import PairLayout, layout_from_times, point_layout
from homodyne_lib.numpy_gradients import numpy_gradient, numpy_hessian
from homodyne_lib.physics_factors import PhysicsFactors
from homodyne_lib.validation import require_positive

if HAS_JAX:
    import jax

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


def _compiled(kernel, *static):
    """Compile a kernel for JAX arrays, once for each shape; NumPy arrays run the same lines as they are."""
    if not HAS_JAX:
        return kernel
    compiled = jax.jit(kernel, static_argnames=static)

    def dispatch(first, *args, **kwargs):
        return (compiled if isinstance(first, jax.Array) else kernel)(first, *args, **kwargs)

    return dispatch


_g1_diffusion = _compiled(kernels.g1_diffusion)
_g1_shear = _compiled(kernels.g1_shear, "convention")
_g1_total = _compiled(kernels.g1_total, "convention")
_g2_from_g1 = _compiled(kernels.g2_from_g1)


@_compiled
def _sum_of_squares(model, data, sigma):
    xp = array_namespace(model)
    return xp.sum(((xp.asarray(data) - model) / xp.asarray(sigma)) ** 2)


def _factors(q, L, dt) -> tuple[float, float]:
    for name, value, unit in (("q", q, "1/Å"), ("L", L, "Å"), ("dt", dt, "s")):
        require_positive(name, value, unit)
    return PhysicsFactors.from_config(q, L, dt, validate=False).to_tuple()


def _parameters(params):
    (params,) = as_arrays(params)
    if params.ndim != 1 or params.shape[0] not in (3, 7):
        raise ValueError(
            f"params must be a vector of 3 (static) or 7 (laminar_flow) numbers; found shape {tuple(params.shape)}."
        )
    if not is_traced(params) and not np.all(np.isfinite(params)):
        raise ValueError(
            f"params = {np.asarray(params).tolist()} hold a value that is not finite; correct it."
        )
    return params


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
    return _g1_diffusion(_parameters(params), layout, wq_dt)[0]


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
    return _g1_shear(_parameters(params), layout, sinc_prefactor, convention=shear_convention)


def compute_g1_total(params, t1, t2, phi, q, L, dt, shear_convention="spec"):
    """Product of diffusion and shear factor on the mesh, |g1| ≥ 1e-10 (spec section 5).

    Parameters, result shape (n_phi, n1, n2) and errors as in :func:`compute_g1_shear`.
    """
    layout = layout_from_times(t1, t2, phi, dt)
    return _g1_total(_parameters(params), layout, *_factors(q, L, dt), convention=shear_convention)


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
    return _g1_total(_parameters(params), layout, *_factors(q, L, dt), convention=shear_convention)


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
    return _g1_total(_parameters(params), layout, wq_dt, sinc_prefactor, convention=shear_convention)


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
    g1 = _g1_total(_parameters(params), layout, wq_dt, sinc_prefactor, convention=shear_convention)
    return _g2_from_g1(g1, contrast, offset)


def compute_g2_scaled(params, t1, t2, phi, q, L, contrast, offset, dt, shear_convention="spec"):
    """g2 = offset + contrast g1² on the mesh (spec section 5).

    Parameters, result and errors as in :func:`compute_g2_scaled_with_factors`, with q [1/Å] and L [Å] for the factors.
    """
    return compute_g2_scaled_with_factors(
        params, t1, t2, phi, *_factors(q, L, dt), contrast, offset, dt, shear_convention
    )


def compute_chi_squared(
    params, data, sigma, t1, t2, phi, q, L, contrast, offset, dt, shear_convention="spec"
):
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
        As :func:`compute_g2_scaled`; also when data and model differ in shape, data are not finite or sigma is not
        positive.
    """
    g2 = compute_g2_scaled(params, t1, t2, phi, q, L, contrast, offset, dt, shear_convention)
    if np.shape(data) != tuple(g2.shape):
        raise ValueError(
            f"data have shape {np.shape(data)}, the model {tuple(g2.shape)}; both are (n_phi, n1, n2)."
        )
    shape = np.shape(sigma)
    if len(shape) > 3 or any(a not in (1, b) for a, b in zip(shape[::-1], g2.shape[::-1], strict=False)):
        raise ValueError(
            f"sigma has shape {shape}; give one number or a shape that broadcasts to {tuple(g2.shape)}."
        )
    if not (is_traced(data) or np.all(np.isfinite(data))):
        raise ValueError(
            "data hold values that are not finite; correct or leave out those entries before χ²."
        )
    if not (is_traced(sigma) or np.all(np.asarray(sigma) > 0)):
        raise ValueError(
            f"sigma must be positive; found {np.min(sigma)}. Infinite sigma leaves an entry out."
        )
    return _sum_of_squares(g2, data, sigma)


def _derivative(func, automatic, numerical, name, shape):
    def derivative(params, *args, **kwargs):
        params = _parameters(params)
        make = automatic if select_physics_backend() == "jax" else numerical
        return make(partial(_swap, func, args, kwargs))(params)

    derivative.__name__ = derivative.__qualname__ = name
    derivative.__doc__ = (
        f"{shape} of :func:`{func.__name__}` with respect to its first argument.\n\n"
        f"    Takes the arguments of :func:`{func.__name__}` and raises its errors. Automatic with JAX, numerical without.\n"
    )
    return derivative


def _swap(func, args, kwargs, params):
    return func(params, *args, **kwargs)


_jacobian, _hessian = (jax.jacfwd, lambda f: jax.jacfwd(jax.jacfwd(f))) if HAS_JAX else (None, None)

gradient_g2 = _derivative(
    compute_g2_scaled, _jacobian, numpy_gradient, "gradient_g2", "Jacobian, shape g2.shape + (n_params,),"
)
hessian_g2 = _derivative(
    compute_g2_scaled,
    _hessian,
    numpy_hessian,
    "hessian_g2",
    "Second derivatives, shape g2.shape + (n_params, n_params),",
)
gradient_chi2 = _derivative(
    compute_chi_squared, _jacobian, numpy_gradient, "gradient_chi2", "Gradient, shape (n_params,),"
)
hessian_chi2 = _derivative(
    compute_chi_squared, _hessian, numpy_hessian, "hessian_chi2", "Hessian, shape (n_params, n_params),"
)


def _over_batch(func, params_batch, args, kwargs):
    (batch,) = as_arrays(params_batch)
    if batch.ndim != 2:
        raise ValueError(f"params_batch must have shape (n_batch, n_params); found {tuple(batch.shape)}.")
    if select_physics_backend() == "jax":
        return jax.vmap(lambda p: func(p, *args, **kwargs))(batch)
    return np.stack([func(p, *args, **kwargs) for p in batch])


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
    return _over_batch(compute_g2_scaled, params_batch, args, kwargs)


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
    return _over_batch(compute_chi_squared, params_batch, args, kwargs)

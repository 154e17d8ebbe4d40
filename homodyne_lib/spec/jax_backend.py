"""Public functions of the model under the spec's names: g1, g2, χ², their derivatives, and batches of parameters.

They differ from ``model.kernels`` only in what they take: times in seconds, q, L and dt instead of a layout
and factors. With JAX the derivatives are automatic; without it they are numerical, of the same lines.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from homodyne_lib.model import evaluation
from homodyne_lib.model.backend import (
    array_namespace,
    as_arrays,
    compiled,
    is_traced,
    over_batch,
    select_physics_backend,
)
from homodyne_lib.model.checks import check_data, parameter_vector
from homodyne_lib.model.evaluation import compute_g2_scaled, compute_g2_scaled_with_factors, kernel_factors
from homodyne_lib.model.layouts import layout_from_times
from homodyne_lib.spec.derivatives import derivative

__all__ = [
    "batch_chi_squared",
    "compute_chi_squared",
    "compute_g1_diffusion",
    "compute_g1_shear",
    "compute_g1_total",
    "compute_g2_scaled",
    "compute_g2_scaled_with_factors",
    "get_cached_meshgrid",
    "gradient_chi2",
    "gradient_g2",
    "hessian_chi2",
    "hessian_g2",
    "vectorized_g2_computation",
]

_sum_of_squares = compiled(lambda model, data, sigma: (((data - model) / sigma) ** 2).sum())

_MESHGRID_CACHE_MAX_SIZE = 64

_MESHGRID_MAX_FRAMES = 2000


def _mesh(t1, t2) -> tuple:
    xp, shape = array_namespace(t1, t2), (t1.size, t2.size)
    return xp.broadcast_to(t1[:, None], shape), xp.broadcast_to(t2[None, :], shape)


@lru_cache(maxsize=_MESHGRID_CACHE_MAX_SIZE)
def _remembered_mesh(backend: str, times1: bytes, times2: bytes) -> tuple:
    return _mesh(*as_arrays(np.frombuffer(times1), np.frombuffer(times2)))


def get_cached_meshgrid(t1, t2) -> tuple:
    """Mesh of two time vectors (``indexing="ij"``), remembered by content (spec section 5).

    Up to 64 meshes of at most 2000 frames are kept; the key is every byte of both vectors, so two grids with equal ends
    never share an entry. Longer, or traced, vectors are meshed anew.

    Parameters
    ----------
    t1, t2 : array_like, shape (n1,), (n2,)
        [s]

    Returns
    -------
    tuple of arrays, shape (n1, n2)
        Read-only.

    Raises
    ------
    ValueError
        If t1 or t2 is not a vector.
    """
    t1, t2 = as_arrays(t1, t2)
    if t1.ndim != 1 or t2.ndim != 1:
        raise ValueError(f"t1 and t2 must be vectors of times; found shapes {t1.shape} and {t2.shape}.")
    if is_traced(t1) or is_traced(t2) or max(t1.size, t2.size) > _MESHGRID_MAX_FRAMES:
        return _mesh(t1, t2)
    return _remembered_mesh(select_physics_backend(), np.asarray(t1).tobytes(), np.asarray(t2).tobytes())


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
    """
    layout = layout_from_times(t1, t2, 0.0, dt)
    wq_dt, _ = kernel_factors(q, 1.0, dt)
    return evaluation.g1_diffusion(parameter_vector(params), layout, wq_dt)[0]


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
    """
    layout = layout_from_times(t1, t2, phi, dt)
    _, sinc_prefactor = kernel_factors(q, L, dt)
    return evaluation.g1_shear(parameter_vector(params), layout, sinc_prefactor, convention=shear_convention)


def compute_g1_total(params, t1, t2, phi, q, L, dt, shear_convention="spec"):
    """Product of diffusion and shear factor on the mesh, |g1| ≥ 1e-10 (spec section 5).

    Parameters, result shape (n_phi, n1, n2) and errors as in :func:`compute_g1_shear`.
    """
    layout = layout_from_times(t1, t2, phi, dt)
    return evaluation.g1_total(parameter_vector(params), layout, *kernel_factors(q, L, dt), convention=shear_convention)


def compute_chi_squared(params, data, sigma, t1, t2, phi, q, L, contrast, offset, dt, shear_convention="spec"):
    """χ² = Σ((data - g2)/σ)² over every entry that is given (spec section 5).

    A symmetric matrix holds each measured pair twice; to count each once, let ``sigma`` be infinite on and below the
    diagonal, or use :mod:`homodyne_lib.fitting.nlsq`.

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
        As :func:`compute_g2_scaled` and :func:`~homodyne_lib.model.checks.check_data`; also when data and model differ
        in shape.
    """
    arguments = _chi2_arguments(data, sigma, t1, t2, phi, q, L, contrast, offset, dt)
    return _chi2(parameter_vector(params), *arguments, shear_convention)


def _g2_arguments(t1, t2, phi, q, L, contrast, offset, dt) -> tuple:
    return evaluation.g2_arguments(t1, t2, phi, *kernel_factors(q, L, dt), contrast, offset, dt)


def _chi2_arguments(data, sigma, *experiment) -> tuple:
    layout, *others = _g2_arguments(*experiment)
    shape = np.broadcast_shapes(layout.idx1.shape, layout.idx2.shape, layout.phi.shape)
    if np.shape(data) != shape:
        raise ValueError(f"data have shape {np.shape(data)}, the model {shape}; both are (n_phi, n1, n2).")
    if not (is_traced(data) or is_traced(sigma)):
        data, sigma = check_data(data, sigma)
    return data, sigma, layout, *others


def _chi2(params, data, sigma, *others, **convention):
    return _sum_of_squares(evaluation.g2(params, *others, **convention), data, sigma)


gradient_g2 = derivative(compute_g2_scaled, _g2_arguments, evaluation.g2, 1, "gradient_g2", scalar=False)
hessian_g2 = derivative(compute_g2_scaled, _g2_arguments, evaluation.g2, 2, "hessian_g2", scalar=False)
gradient_chi2 = derivative(compute_chi_squared, _chi2_arguments, _chi2, 1, "gradient_chi2", scalar=True)
hessian_chi2 = derivative(compute_chi_squared, _chi2_arguments, _chi2, 2, "hessian_chi2", scalar=True)


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
    ValueError
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

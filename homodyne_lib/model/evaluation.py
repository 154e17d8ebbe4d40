"""g1 and g2 from times in seconds, q, L and dt: the kernels for those who have no layout and no factors."""

from __future__ import annotations

from homodyne_lib.model import kernels
from homodyne_lib.model.backend import as_doubles, compiled
from homodyne_lib.model.checks import parameter_vector
from homodyne_lib.model.geometry import PhysicsFactors
from homodyne_lib.model.layouts import PairLayout, layout_from_times, point_layout

__all__ = [
    "compute_g1_total_points",
    "compute_g2_scaled",
    "compute_g2_scaled_with_factors",
    "g1_diffusion",
    "g1_shear",
    "g1_total",
    "g2",
    "g2_arguments",
    "kernel_factors",
]

g1_diffusion = compiled(kernels.g1_diffusion)
g1_shear = compiled(kernels.g1_shear, "convention")
g1_total = compiled(kernels.g1_total, "convention")
_g2_from_g1 = compiled(kernels.g2_from_g1)


def g2(params, layout: PairLayout, wq_dt, sinc_pre, contrast, offset, shear_convention):
    """g2 from what :func:`g2_arguments` returns; shape (n_phi, n1, n2)."""
    return _g2_from_g1(g1_total(params, layout, wq_dt, sinc_pre, convention=shear_convention), contrast, offset)


def g2_arguments(t1, t2, phi, wq_dt, sinc_pre, contrast, offset, dt) -> tuple:
    """Check what :func:`compute_g2_scaled_with_factors` takes after ``params``: (layout, factors, contrast, offset)."""
    layout = layout_from_times(t1, t2, phi, dt)
    (_, contrast), (_, offset) = as_doubles(contrast), as_doubles(offset)
    for name, value in (("contrast", contrast), ("offset", offset)):
        if value.ndim and value.shape != (layout.phi.shape[0],):
            raise ValueError(
                f"{name} must be one number or one an angle; found shape {tuple(value.shape)} for "
                f"{layout.phi.shape[0]} angles."
            )
    return layout, wq_dt, sinc_pre, contrast, offset


def kernel_factors(q, L, dt) -> tuple[float, float]:
    """½ q² dt [s/Å²] and q L dt / 2π [s], without a word about unusual values; ValueError for impossible ones."""
    return PhysicsFactors.from_config(q, L, dt, validate=False).to_tuple()


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
    ValueError
        As :func:`compute_g1_shear`.
    TypeError
        If JAX traces a time.
    """
    layout = point_layout(t1, t2, phi, dt)
    return g1_total(parameter_vector(params), layout, *kernel_factors(q, L, dt), convention=shear_convention)


def compute_g2_scaled_with_factors(params, t1, t2, phi, wq_dt, sinc_pre, contrast, offset, dt, shear_convention="spec"):
    """g2 = offset + contrast g1² on the mesh, with pre-computed factors (spec sections 5 and 6).

    Parameters
    ----------
    params : array_like, shape (3,) or (7,)
    t1, t2 : array_like
        Times [s], as in :func:`compute_g1_diffusion`.
    phi : array_like, shape (n_phi,)
        [deg]
    wq_dt, sinc_pre : float
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
    ValueError
        As :func:`compute_g1_shear`; also when contrast or offset have another length than ``phi``.
    """
    arguments = g2_arguments(t1, t2, phi, wq_dt, sinc_pre, contrast, offset, dt)
    return g2(parameter_vector(params), *arguments, shear_convention)


def compute_g2_scaled(params, t1, t2, phi, q, L, contrast, offset, dt, shear_convention="spec"):
    """g2 = offset + contrast g1² on the mesh (spec section 5).

    Parameters, result and errors as in :func:`compute_g2_scaled_with_factors`, with q [1/Å] and L [Å] for the factors.
    """
    factors = kernel_factors(q, L, dt)
    return compute_g2_scaled_with_factors(params, t1, t2, phi, *factors, contrast, offset, dt, shear_convention)

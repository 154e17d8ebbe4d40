"""From Gram matrices over the pairs to the normal equations of the whole fit, whatever the per-angle mode.

The residual of a pixel is r = y - (O - centre) - C u with y the centred data, u = g1², and contrast C and offset O linear in
few coefficients. All it takes is the Gram matrix of [∂u/∂θ, u, 1] with [∂u/∂θ, u, 1, y] of each angle.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from homodyne_lib.model.backend import array_namespace
from homodyne_lib.model.matrices import unit_diagonal
from homodyne_lib.model.scaling import PerAngleScaling

__all__ = [
    "NormalEquations",
    "normal_equations",
    "residual_squares",
    "scaled_inverse",
    "scaling_equations",
    "solve_scaling",
]

_SINGULAR = 1e-13  # eigenvalue ratio below which a combination of scaling coefficients is not determined


def scaled_inverse(matrix, singular: float) -> tuple[np.ndarray, np.ndarray]:
    """Pseudo-inverse of a symmetric matrix whose rows have units of their own.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
    singular : float
        Eigenvalue ratio, of the matrix scaled to a diagonal of ones, below which a direction counts as empty.

    Returns
    -------
    size : ndarray, shape (n,)
        Square root of the diagonal.
    inverse : ndarray, shape (n, n)
        Of ``matrix / (size sizeᵀ)``.
    """
    size, scaled = unit_diagonal(matrix)
    return size, np.linalg.pinv(scaled, rcond=singular, hermitian=True)


class NormalEquations(NamedTuple):
    """Normal equations at one parameter vector, with the best scaling for it.

    Attributes
    ----------
    hessian : ndarray, shape (p + 2m, p + 2m)
        JᵀJ of the physical parameters, then of the scaling coefficients.
    gradient : ndarray, shape (p + 2m,)
        Jᵀr, J the derivative of the model; zero for the scaling coefficients.
    chi2 : float
        Sum of squared weighted residuals.
    coefficients : ndarray, shape (2m,)
        Scaling coefficients [contrast, offset].
    """

    hessian: np.ndarray
    gradient: np.ndarray
    chi2: float
    coefficients: np.ndarray

    def projected(self, keep) -> np.ndarray:
        """JᵀJ of some physical parameters where the scaling follows them (Schur complement)."""
        n_scaling = self.coefficients.size
        p = len(self.hessian) - n_scaling
        hessian, cross, inner = self.hessian[np.ix_(keep, keep)], self.hessian[keep, p:], self.hessian[p:, p:]
        if n_scaling == 0:
            return hessian
        size, inverse = scaled_inverse(inner, _SINGULAR)
        return hessian - (cross / size) @ inverse @ (cross / size).T


def _weighted(basis, weights):
    return basis.T @ (weights[:, None] * basis)


def scaling_equations(sums, y_moments, weight, scaling: PerAngleScaling):
    """Normal equations of contrast and offset for a known u, on the scale of the centred data.

    Parameters
    ----------
    sums : array, shape (n_phi, 3)
        Σu², Σu, Σuy of each angle; NumPy or JAX.
    y_moments : ndarray, shape (n_phi, 3)
        n, Σy, Σy².
    weight : array, shape (n_phi,)
        1/σ² of each angle.
    scaling : PerAngleScaling

    Returns
    -------
    matrix : array, shape (2m, 2m)
    right : array, shape (2m,)
    """
    xp, basis = array_namespace(sums, weight), scaling.basis
    (uu, u1, uy), (n, y1, _) = sums.T, y_moments.T
    cross = _weighted(basis, weight * u1)
    matrix = xp.block([[_weighted(basis, weight * uu), cross], [cross.T, _weighted(basis, weight * n)]])
    return matrix, xp.concatenate([basis.T @ (weight * uy), basis.T @ (weight * y1)])


def solve_scaling(sums, y_moments, weight, centre: float, scaling: PerAngleScaling):
    """Best contrast and offset for a known u, and what is left then (variable projection).

    Parameters
    ----------
    sums : ndarray, shape (n_phi, 3)
        Σu², Σu, Σuy of each angle.
    y_moments : ndarray, shape (n_phi, 3)
    weight : ndarray, shape (n_phi,)
        1/σ² of each angle.
    centre : float
        What was taken from c2 to make y.
    scaling : PerAngleScaling

    Returns
    -------
    coefficients : ndarray, shape (2m,)
        On the scale of c2.
    mix : ndarray, shape (n_phi, 3)
        The residual as a combination of u, 1 and y.
    chi2 : float
    """
    coefficients = np.zeros(scaling.n_parameters)
    if coefficients.size:
        matrix, right = scaling_equations(sums, y_moments, weight, scaling)
        size, scaled = unit_diagonal(matrix)
        coefficients = np.linalg.lstsq(scaled, right / size, rcond=_SINGULAR)[0] / size
        coefficients[coefficients.size // 2 :] += centre * scaling.constant
    contrast, offset = scaling.expand(coefficients)
    mix = np.stack([-contrast, centre - offset, np.ones_like(contrast)], axis=1)
    return coefficients, mix, float(np.sum(weight * residual_squares(sums, y_moments, mix)))


def residual_squares(sums, y_moments, mix) -> np.ndarray:
    """Sum of squares of the residuals of each angle, (n_phi,), as a combination ``mix`` of u, 1 and y, (n_phi, 3)."""
    (uu, u1, uy), (n, y1, yy) = sums.T, y_moments.T
    gram = np.moveaxis(np.array([[uu, u1, uy], [u1, n, y1], [uy, y1, yy]]), -1, 0)
    return np.einsum("ka,kab,kb->k", mix, gram, mix)


def normal_equations(gram, y_moments, weight, centre: float, scaling: PerAngleScaling) -> NormalEquations:
    """Assemble the normal equations of physical parameters and scaling.

    Parameters
    ----------
    gram : ndarray, shape (n_phi, p + 2, p + 3)
        Of the columns ∂u/∂θ, u, 1 with these and y, summed over the pairs of frames.
    y_moments : ndarray, shape (n_phi, 3)
        n, Σy, Σy².
    weight : ndarray, shape (n_phi,)
        1/σ² of each angle.
    centre : float
        What was taken from c2 to make y.
    scaling : PerAngleScaling

    Returns
    -------
    NormalEquations
    """
    p, basis = gram.shape[1] - 2, scaling.basis
    coefficients, mix, chi2 = solve_scaling(gram[:, p, p:], y_moments, weight, centre, scaling)
    contrast = -mix[:, 0]
    # Derivatives of the model of an angle with respect to the physical parameters, contrast and offset.
    scale = np.column_stack([np.repeat(contrast[:, None], p, axis=1), np.ones((len(contrast), 2))])
    weighted = gram * (weight[:, None] * scale)[..., None]
    among = weighted[..., : p + 2] * scale[:, None]
    to_scaling = [np.einsum("ka,km->am", among[:, :p, p + k], basis) for k in (0, 1)]
    inner = [[_weighted(basis, among[:, p + a, p + b]) for b in (0, 1)] for a in (0, 1)]
    hessian = np.block(
        [
            [among[:, :p, :p].sum(axis=0), *to_scaling],
            [to_scaling[0].T, *inner[0]],
            [to_scaling[1].T, *inner[1]],
        ]
    )
    with_residual = np.einsum("kab,kb->ka", weighted[..., p:], mix)
    gradient = np.concatenate(
        [with_residual[:, :p].sum(axis=0), basis.T @ with_residual[:, p], basis.T @ with_residual[:, p + 1]]
    )
    return NormalEquations(hessian, gradient, chi2, coefficients)

"""From the Gram matrices of a pass to the normal equations of the whole fit, whatever the per-angle mode.

The residual of a pixel is r = y - O - C u with y the centred data, u = g1², and contrast C and offset O linear in few
coefficients. All it takes is the Gram matrix of [∂u/∂θ, u, 1, y] of each angle; the data are not visited again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from homodyne_lib.per_angle import PerAngleScaling

__all__ = ["NormalEquations", "normal_equations", "solve_scaling"]


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


def _weighted(basis, weights):
    return basis.T @ (weights[:, None] * basis)


def solve_scaling(gram, weight, centre, scaling: PerAngleScaling):
    """Best contrast and offset for fixed physical parameters (variable projection).

    Parameters
    ----------
    gram : array_like, shape (n_phi, ..., ...)
        Whose last three rows and columns belong to u, 1 and y.
    weight : array_like, shape (n_phi,)
        1/σ² of each angle.
    centre : array_like, shape (n_phi,)
        What was taken from c2 to make y.
    scaling : PerAngleScaling

    Returns
    -------
    coefficients : ndarray, shape (2m,)
    contrast, offset : ndarray, shape (n_phi,)
        Offset on the scale of c2.
    """
    uu, u1, uy = gram[:, -3, -3], gram[:, -3, -2], gram[:, -3, -1]
    n, y1 = gram[:, -2, -2], gram[:, -2, -1]
    basis, m = scaling.basis, scaling.basis.shape[1]
    if m == 0:
        contrast, offset = scaling.expand(np.zeros(0))
        return np.zeros(0), np.asarray(contrast), np.asarray(offset)
    cross = _weighted(basis, weight * u1)
    matrix = np.block([[_weighted(basis, weight * uu), cross], [cross.T, _weighted(basis, weight * n)]])
    # The offset is solved on the scale of c2, where its coefficients are independent of the centres.
    right = np.concatenate([basis.T @ (weight * (uy + centre * u1)), basis.T @ (weight * (y1 + centre * n))])
    size = np.sqrt(np.maximum(np.diag(matrix), np.finfo(float).tiny))
    solution = np.linalg.lstsq(matrix / np.outer(size, size), right / size, rcond=1e-13)[0] / size
    return solution, *(np.asarray(v) for v in scaling.expand(solution))


def normal_equations(gram, weight, centre, scaling: PerAngleScaling) -> NormalEquations:
    """Assemble the normal equations of physical parameters and scaling.

    Parameters
    ----------
    gram : array_like, shape (n_phi, p + 3, p + 3)
        Of the columns ∂u/∂θ, u, 1, y, summed over the pairs of frames.
    weight : array_like, shape (n_phi,)
        1/σ² of each angle.
    centre : array_like, shape (n_phi,)
        What was taken from c2 to make y.
    scaling : PerAngleScaling

    Returns
    -------
    NormalEquations
    """
    gram, weight = np.asarray(gram), np.asarray(weight)
    p, basis = gram.shape[1] - 3, scaling.basis
    coefficients, contrast, offset = solve_scaling(gram, weight, centre, scaling)
    # Residual r = y - (O - centre) - C u as a combination of the last three columns.
    mix = np.stack([-contrast, centre - offset, np.ones_like(contrast)], axis=1)
    with_residual = np.einsum("kab,kb->ka", gram[:, :, -3:], mix)
    chi2 = float(np.sum(weight * np.einsum("ka,ka->k", with_residual[:, -3:], mix)))
    physical = np.einsum("k,kab->ab", weight * contrast**2, gram[:, :p, :p])
    to_contrast = np.einsum("k,ka,km->am", weight * contrast, gram[:, :p, p], basis)
    to_offset = np.einsum("k,ka,km->am", weight * contrast, gram[:, :p, p + 1], basis)
    cross = _weighted(basis, weight * gram[:, p, p + 1])
    hessian = np.block(
        [
            [physical, to_contrast, to_offset],
            [to_contrast.T, _weighted(basis, weight * gram[:, p, p]), cross],
            [to_offset.T, cross.T, _weighted(basis, weight * gram[:, p + 1, p + 1])],
        ]
    )
    gradient = np.concatenate(
        [
            (weight * contrast) @ with_residual[:, :p],
            basis.T @ (weight * with_residual[:, p]),
            basis.T @ (weight * with_residual[:, p + 1]),
        ]
    )
    return NormalEquations(hessian, gradient, chi2, coefficients)

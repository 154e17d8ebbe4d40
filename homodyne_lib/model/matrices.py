"""Symmetric matrices whose rows have units of their own."""

from __future__ import annotations

import numpy as np

__all__ = ["map_eigenvalues", "unit_diagonal"]


def unit_diagonal(matrix) -> tuple[np.ndarray, np.ndarray]:
    """Scale a symmetric matrix to a diagonal of ones, so that its eigenvalues do not depend on the units of its rows.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)

    Returns
    -------
    size : ndarray, shape (n,)
        Square root of the diagonal; 1 where it is not positive.
    scaled : ndarray, shape (n, n)
        ``matrix / (size sizeᵀ)``. A row whose diagonal is not positive is empty: no sum of squares is negative but by what
        an interpolation or rounding leaves.
    """
    diagonal = np.diag(matrix)
    used = ~(diagonal <= 0.0)
    size = np.sqrt(np.where(used, diagonal, 1.0))
    return size, np.where(used & used[:, None], matrix, 0.0) / np.outer(size, size)


def map_eigenvalues(matrix, function) -> np.ndarray:
    """Matrix with the same eigenvectors and with ``function`` of the eigenvalues, shape (n, n)."""
    eigenvalue, vector = np.linalg.eigh(matrix)
    return (vector * function(eigenvalue)) @ vector.T

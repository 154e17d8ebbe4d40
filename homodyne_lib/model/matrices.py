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
        Square root of the diagonal.
    scaled : ndarray, shape (n, n)
        ``matrix / (size sizeᵀ)``.
    """
    size = np.sqrt(np.maximum(np.diag(matrix), np.finfo(float).tiny))
    return size, matrix / np.outer(size, size)


def map_eigenvalues(matrix, function) -> np.ndarray:
    """Matrix with the same eigenvectors and with ``function`` of the eigenvalues, shape (n, n)."""
    eigenvalue, vector = np.linalg.eigh(matrix)
    return (vector * function(eigenvalue)) @ vector.T

"""Symmetric matrices whose rows have units of their own, and traces of products of large matrices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

__all__ = ["map_eigenvalues", "row_blocks", "traces", "unit_diagonal"]

_ENTRIES = 65_536  # of a matrix in one block of its rows


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


def row_blocks(n: int) -> Iterator[slice]:
    """Rows of n by n matrices, block by block: of long records a block of a stack takes MB, and the stack hundreds of MB."""
    tall = max(1, _ENTRIES // n)
    return (slice(first, first + tall) for first in range(0, n, tall))


def traces(a, b) -> np.ndarray:
    """Traces of the products of each matrix of one stack with each of another.

    Parameters
    ----------
    a : ndarray, shape (m, n, n)
    b : ndarray, shape (k, n, n)

    Returns
    -------
    ndarray, shape (m, k)
    """
    parts = (
        a[:, rows].reshape(len(a), -1) @ b[:, :, rows].mT.reshape(len(b), -1).T for rows in row_blocks(a.shape[-1])
    )
    return sum(parts)

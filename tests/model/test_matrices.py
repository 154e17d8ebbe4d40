"""Symmetric matrices of rows with different units, against SciPy and a change of units."""

import numpy as np
import pytest
import scipy.linalg

from homodyne_lib.model.matrices import map_eigenvalues, traces, unit_diagonal


def positive_matrix(n=5):
    root = np.random.default_rng(0).standard_normal((n, n))
    return root @ root.T + n * np.eye(n)


def test_units_do_not_change_the_scaled_matrix():
    matrix, units = positive_matrix(), np.array([1e-8, 1e3, 1.0, 1e5, 1e-2])
    size, scaled = unit_diagonal(matrix * np.outer(units, units))
    np.testing.assert_allclose(size, units * np.sqrt(np.diag(matrix)), rtol=1e-14)
    np.testing.assert_allclose(scaled, unit_diagonal(matrix)[1], rtol=1e-13)
    np.testing.assert_allclose(np.diag(scaled), 1.0, rtol=1e-14)


@pytest.mark.parametrize("square", [0.0, -1e-5])
def test_a_row_without_a_square_is_empty(square):
    matrix = positive_matrix(3)
    if not square:
        matrix[1] = matrix[:, 1] = 0.0
    matrix[1, 1] = square
    size, scaled = unit_diagonal(matrix)
    assert np.all(scaled[1] == 0.0) and np.all(scaled[:, 1] == 0.0) and size[1] == 1.0
    np.testing.assert_array_equal(scaled[::2, ::2], unit_diagonal(matrix[::2, ::2])[1])


def test_functions_of_a_matrix():
    matrix = positive_matrix()
    np.testing.assert_allclose(map_eigenvalues(matrix, np.sqrt), scipy.linalg.sqrtm(matrix), rtol=1e-12)
    np.testing.assert_allclose(map_eigenvalues(matrix, np.log), scipy.linalg.logm(matrix), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("n", [1, 7, 300])
def test_traces_are_those_of_products_one_by_one(n):
    """300 rows are more than one block; no matrix is symmetric."""
    a, b = (np.random.default_rng(n).normal(size=(m, n, n)) for m in (3, 2))
    expected = [[np.trace(left @ right) for right in b] for left in a]
    np.testing.assert_allclose(traces(a, b), expected, rtol=1e-10, atol=1e-10 * n)

"""Linear least squares on JAX or NumPy arrays: contrast and offset of a block or of chunks; the general case.

Contrast and offset follow from centred moments of theory and data, and moments of chunks merge exactly.
"""

from __future__ import annotations

from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np

from homodyne_lib.model.backend import array_namespace, as_arrays, compiled, load_jax

__all__ = [
    "CONTRAST_FLOOR",
    "solve_least_squares_chunked_jax",
    "solve_least_squares_general_jax",
    "solve_least_squares_jax",
]

CONTRAST_FLOOR = 1e-6
"""Smallest contrast that a solver returns (spec section 12)."""

_CONSTANT = 64.0 * np.finfo(float).eps  # relative spread below which a theory is constant but for rounding
_SVD_FROM = 1e10  # condition number of the normal matrix


class _Moments(NamedTuple):
    """Count, means, and centred sums Σ(t - t̄)² and Σ(t - t̄)(e - ē) over the last axis."""

    n: Any
    theory: Any
    exp: Any
    variance: Any
    covariance: Any


def _moments(theory, exp) -> _Moments:
    xp = array_namespace(theory, exp)
    mean_theory, mean_exp = theory.mean(-1), exp.mean(-1)
    centred = theory - mean_theory[..., None]
    covariance = xp.sum(centred * (exp - mean_exp[..., None]), -1)
    n = xp.full(mean_theory.shape, float(theory.shape[-1]))
    return _Moments(n, mean_theory, mean_exp, xp.sum(centred**2, -1), covariance)


def _merge(a: _Moments, b: _Moments) -> _Moments:
    """Moments of two blocks together (Chan, Golub and LeVeque, Am. Stat. 37, 242, 1983)."""
    n = a.n + b.n
    theory, exp = b.theory - a.theory, b.exp - a.exp
    weight = a.n * b.n / n
    return _Moments(
        n,
        a.theory + theory * b.n / n,
        a.exp + exp * b.n / n,
        a.variance + b.variance + weight * theory**2,
        a.covariance + b.covariance + weight * theory * exp,
    )


def _contrast_offset(m: _Moments):
    xp = array_namespace(*m)
    constant = m.variance <= _CONSTANT**2 * (m.variance + m.n * m.theory**2)
    slope = xp.where(constant, CONTRAST_FLOOR, m.covariance / xp.where(constant, 1.0, m.variance))
    return xp.where(slope < CONTRAST_FLOOR, CONTRAST_FLOOR, slope), m.exp - slope * m.theory


def _pair(theory, exp, shape: str, min_ndim: int):
    theory, exp = as_arrays(theory, exp)
    if theory.shape != exp.shape or theory.ndim < min_ndim or 0 in theory.shape:
        raise ValueError(
            f"theory and data must share a shape {shape} without empty axes; found {tuple(theory.shape)} and "
            f"{tuple(exp.shape)}."
        )
    return theory, exp


@compiled
def _solve(theory, exp):
    return _contrast_offset(_moments(theory, exp))


def solve_least_squares_jax(theory_batch, exp_batch):
    """Contrast and offset of each angle: minimise Σ(exp - contrast theory - offset)² (spec section 12).

    A slope below 1e-6 gives contrast 1e-6; the offset stays that of the unconstrained line. Where the theory is constant
    (its spread is below 1e-14 of its size), the data do not determine the contrast: it is 1e-6, and the offset is the mean
    of data - contrast theory. The specification gives (1, 1) there; docs/model.md says why this library does not.

    Parameters
    ----------
    theory_batch, exp_batch : array_like, shape (n_angles, n_points)
        g1² and c2 of the same pairs; finite.

    Returns
    -------
    contrast, offset : array, shape (n_angles,)

    Raises
    ------
    ValueError
        If the shapes differ or are empty.
    """
    return _solve(*_pair(theory_batch, exp_batch, "(n_angles, n_points)", 1))


@compiled
def _solve_chunks(theory, exp):
    if array_namespace(theory, exp) is np:
        return _contrast_offset(reduce(_merge, map(_moments, theory, exp)))

    def add(total, chunk):
        return _merge(total, _moments(*chunk)), None

    total, _ = load_jax().lax.scan(add, _moments(theory[0], exp[0]), (theory[1:], exp[1:]))
    return _contrast_offset(total)


def solve_least_squares_chunked_jax(theory_chunks, exp_chunks):
    """Contrast and offset of all chunks together, one chunk in work at a time (spec section 12).

    Parameters
    ----------
    theory_chunks, exp_chunks : array_like, shape (n_chunks, chunk_size) or (n_chunks, n_angles, chunk_size)
        g1² and c2 of the same pairs; finite.

    Returns
    -------
    contrast, offset : array, shape () or (n_angles,)
        As :func:`solve_least_squares_jax` gives for the chunks laid end to end.

    Raises
    ------
    ValueError
        If the shapes differ or are empty.
    """
    return _solve_chunks(*_pair(theory_chunks, exp_chunks, "(n_chunks, ..., chunk_size)", 2))


def _by_cholesky(design, target, ridge):
    xp = array_namespace(design)
    lower = xp.linalg.cholesky(design.T @ design + ridge * xp.eye(design.shape[1]))
    return xp.linalg.solve(lower.T, xp.linalg.solve(lower, design.T @ target))


def _by_svd(design, target, ridge):
    xp = array_namespace(design)
    left, values, right = xp.linalg.svd(design, full_matrices=False)
    kept = values > np.finfo(float).eps * max(design.shape) * values[0]
    inverse = xp.where(kept, values, 0.0) / xp.where(kept, values**2 + ridge, 1.0)
    return right.T @ (inverse * (left.T @ target))


@compiled
def _solve_general(design, target, ridge):
    xp = array_namespace(design)
    eigenvalues = xp.linalg.eigvalsh(design.T @ design + ridge * xp.eye(design.shape[1]))
    well = eigenvalues[-1] < _SVD_FROM * eigenvalues[0]
    solvers = (partial(solver, design, target, ridge) for solver in (_by_cholesky, _by_svd))
    if xp is np:
        cholesky, svd = solvers
        return cholesky() if well else svd()
    return load_jax().lax.cond(well, *solvers)


def solve_least_squares_general_jax(design_matrix, target, regularization: float = 1e-10):
    """Coefficients x that minimise |A x - b|² + λ |x|² (spec section 12).

    The normal equations AᵀA + λ are solved by Cholesky; from a condition number of 1e10 on, A itself is
    decomposed (SVD), which keeps the digits that AᵀA loses. Directions of A below rounding get no weight.

    Parameters
    ----------
    design_matrix : array_like, shape (n_samples, n_params)
        A; finite.
    target : array_like, shape (n_samples,)
        b; finite.
    regularization : float
        λ ≥ 0.

    Returns
    -------
    array, shape (n_params,)

    Raises
    ------
    ValueError
        If the shapes do not fit or are empty, or λ is negative.
    """
    design, target, ridge = as_arrays(design_matrix, target, regularization)
    if design.ndim != 2 or 0 in design.shape or target.shape != design.shape[:1]:
        raise ValueError(
            "design_matrix must have shape (n_samples, n_params) and target (n_samples,); found "
            f"{tuple(design.shape)} and {tuple(target.shape)}."
        )
    if isinstance(regularization, (int, float)) and regularization < 0:
        raise ValueError(f"regularization is {regularization}; it must not be negative.")
    return _solve_general(design, target, ridge)

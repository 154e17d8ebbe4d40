"""The metric of speckle noise: inner products of matrices of c2 that weigh pairs of frames by their covariance.

c2 - 1 is a mean over M pixels of products of two fluctuations, so that to leading order its entries have the covariance
(Σ_ik Σ_jl + Σ_il Σ_jk)/M, with Σ the covariance (M1) of the intensities in docs/uncertainty.md. Least squares takes the sum
over pairs as the inner product of two matrices. Here it is ½ tr(Σ⁻¹ A Σ⁻¹ B), with the diagonal projected out (M2). Whatever
else a fit does with inner products stays as it is. A wrong Σ makes a fit less precise, and does not bias it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from homodyne_lib.likelihood.experiment import Experiment
from homodyne_lib.likelihood.strips import model_matrices
from homodyne_lib.model import kernels
from homodyne_lib.model.matrices import traces

__all__ = [
    "CONTRASTS",
    "AngleMetric",
    "SpeckleMetric",
    "in_order",
    "intensity_covariance",
    "over_bins",
    "side_by_side",
]

CONTRASTS = (1e-3, 1.0)
"""Contrasts that speckles can have. A fit may end at another; the noise is then taken at the nearest of these."""

# Least 1/counts, as a share of the contrast. Without shot noise Σ may be singular in double precision.
_LEAST_SHOT = 1e-3


def intensity_covariance(u, contrast: float, offset: float, shot: float) -> np.ndarray:
    """Covariance of the relative intensities of two frames of a pixel (M1): C u + (O - 1) + ν on the diagonal.

    Parameters
    ----------
    u : ndarray, shape (n_t, n_t)
        g1², one on the diagonal.
    contrast, offset : float
        C and O; taken at the nearest values that intensities can have.
    shot : float
        ν = 1/counts.

    Returns
    -------
    ndarray, shape (n_t, n_t)
    """
    contrast = float(np.clip(contrast, *CONTRASTS))
    covariance = contrast * u + max(offset - 1.0, 0.0)
    covariance[np.diag_indices(len(u))] += max(shot, _LEAST_SHOT * contrast)
    return covariance


class Whitened(NamedTuple):
    """Σ⁻¹A of symmetric matrices A with a diagonal of zeros, (m, n_t, n_t), and the diagonals of Σ⁻¹AΣ⁻¹, (m, n_t)."""

    product: np.ndarray
    diagonal: np.ndarray


@dataclass(frozen=True, eq=False)
class AngleMetric:
    """Inner product of symmetric matrices at one angle.

    Attributes
    ----------
    inverse : ndarray, shape (n_t, n_t)
        Σ⁻¹.
    projection : tuple
        Cholesky factor of Σ⁻¹∘Σ⁻¹, which projects out the diagonal.
    """

    inverse: np.ndarray
    projection: tuple[np.ndarray, bool]

    @classmethod
    def of(cls, covariance) -> AngleMetric:
        """Metric of an :func:`intensity_covariance`."""
        inverse = np.linalg.inv(covariance)
        inverse = 0.5 * (inverse + inverse.T)
        return cls(inverse, cho_factor(inverse**2))

    def whitened(self, matrices) -> Whitened:
        """What inner products need of matrices, (m, n_t, n_t); one product of matrices for each."""
        product = self.inverse @ matrices
        return Whitened(product, np.einsum("aij,ij->ai", product, self.inverse))

    def inner(self, a: Whitened, b: Whitened) -> np.ndarray:
        """Inner products of all pairs (M2), (m_a, m_b)."""
        return 0.5 * (traces(a.product, b.product) - a.diagonal @ cho_solve(self.projection, b.diagonal.T))

    def weights(self, matrices) -> np.ndarray:
        """Matrices W with which the inner product with B is the sum of W B over pairs (M3), (m, n_t, n_t)."""
        product, diagonal = self.whitened(matrices)
        for matrix, of_diagonal in zip(product, cho_solve(self.projection, diagonal.T).T, strict=True):
            matrix -= self.inverse * of_diagonal
        return product @ self.inverse


@dataclass(frozen=True, eq=False)
class SpeckleMetric:
    """Inner products of the model, 1 and the data at all angles, where each weighs pairs by its covariance.

    It stands in the place of :class:`~homodyne_lib.likelihood.nodes.Nodes`, which least squares uses.

    Attributes
    ----------
    experiment : Experiment
    convention : str
        Shear convention.
    angles : list of AngleMetric, length n_phi
    ones, data : ndarray, shape (n_phi, n_t, n_t)
        Weights of 1 and of the data less the centre at each angle.
    y_moments : ndarray, shape (n_phi, 3)
        Inner products of 1 with 1, of 1 with y and of y with y.
    threads : int
        Angles are computed side by side in so many; results do not depend on it.
    """

    experiment: Experiment
    convention: str
    angles: list[AngleMetric]
    ones: np.ndarray
    data: np.ndarray
    y_moments: np.ndarray
    threads: int = 1

    @classmethod
    def at(cls, problem, values, shot, threads: int = 1) -> SpeckleMetric:
        """Metric of the covariance at a fit.

        Parameters
        ----------
        problem : Problem
            With all rows of its record.
        values : array_like, shape (p + n_scaling,)
            Physical parameters [units of the parameter table] and scaling coefficients.
        shot : array_like, shape (n_phi,)
            1/counts of each angle.
        threads : int

        Returns
        -------
        SpeckleMetric
        """
        p, experiment = len(problem.names), problem.experiment
        contrast, offset = problem.scaling.expand(np.asarray(values, dtype=float)[p:])
        n_phi, n_t = experiment.phi.size, experiment.frames.size
        pairs = 1.0 - np.eye(n_t)
        # One allocation for what stays: between the many matrices that go, memory would be left that nobody can use.
        inverse, factor, ones, data = np.empty((4, n_phi, n_t, n_t))

        def of_angle(k, u):
            metric = AngleMetric.of(intensity_covariance(u + np.eye(len(u)), contrast[k], offset[k], shot[k]))
            y = np.triu(problem.record.c2[k] - problem.data.centre, 1)
            known = np.stack([pairs, y + y.T])
            ones[k], data[k] = weights = metric.weights(known)
            inverse[k], factor[k] = metric.inverse, metric.projection[0].T
            (n, y1), (_, yy) = 0.5 * np.einsum("aij,bij->ab", weights, known)
            # Matrices of LAPACK go along their columns.
            return AngleMetric(inverse[k], (factor[k].T, metric.projection[1])), (n, y1, yy)

        parts = _over_angles(experiment, problem.model.convention, values[:p], of_angle, threads, slopes=False)
        angles, moments = zip(*parts, strict=True)
        return cls(experiment, problem.model.convention, list(angles), ones, data, np.array(moments), threads)

    def gram(self, params) -> np.ndarray:
        """Inner products of ∂u/∂params, u, 1 with these and y, (n_phi, p + 2, p + 3), as of the nodes."""

        def of_angle(k, columns):
            result = np.zeros((len(columns) + 1, len(columns) + 2))
            whitened = self.angles[k].whitened(columns)
            result[:-1, :-2] = self.angles[k].inner(whitened, whitened)
            result[:-1, -2:] = self._with_known(k, columns)
            result[-1, :-2], result[-1, -2:] = result[:-1, -2], self.y_moments[k, :2]
            return result

        return np.array(self.over_angles(params, of_angle))

    def sums(self, params) -> np.ndarray:
        """Inner products of u with u, 1 and y, (n_phi, 3)."""

        def of_angle(k, u):
            whitened = self.angles[k].whitened(u[None])
            return [self.angles[k].inner(whitened, whitened)[0, 0], *self._with_known(k, u[None])[0]]

        return np.array(self.over_angles(params, of_angle, slopes=False))

    def sums_of_many(self, params) -> np.ndarray:
        """:meth:`sums` at many parameter vectors, (n, n_phi, 3)."""
        return np.array([self.sums(row) for row in np.asarray(params, dtype=float)])

    def snapshots(self, params, of_whitened: Callable[[AngleMetric, Whitened], Any]) -> list[tuple[Any, Any, Any]]:
        """For each angle what a function makes of u at parameter vectors, (n, p), and products with 1 and y, (n,)."""

        def of_angle(k):
            u = np.stack([_u(row, self.experiment, k, self.convention) for row in params])
            ones, data = self._with_known(k, u).T
            return of_whitened(self.angles[k], self.angles[k].whitened(u)), ones, data

        return side_by_side(of_angle, range(self.experiment.phi.size), self.threads)

    def over_angles(self, params, work: Callable[..., Any], slopes: bool = True) -> list[Any]:
        """Results of ``work(k, matrices)`` at each angle k, with the model's matrices there.

        ``matrices`` are ∂u/∂params and u, (p + 1, n_t, n_t), or u alone, (n_t, n_t), with diagonals of zeros.
        """
        return _over_angles(self.experiment, self.convention, params, work, self.threads, slopes)

    def _with_known(self, k, matrices) -> np.ndarray:
        """Inner products of matrices, (m, n_t, n_t), with 1 and y, (m, 2)."""
        flat = matrices.reshape(len(matrices), -1)
        return 0.5 * np.stack([flat @ self.ones[k].ravel(), flat @ self.data[k].ravel()], axis=1)


def _over_angles(experiment, convention, params, work, threads, slopes=True) -> list[Any]:
    def model(k):
        if slopes:
            return model_matrices(params, experiment, k, convention)[1][:-1]
        return _u(params, experiment, k, convention)

    return over_bins(experiment, model, work, threads)


def over_bins(
    experiment: Experiment, model: Callable[[int], Any], work: Callable[[int, Any], Any], threads: int
) -> list[Any]:
    """Results of ``work(k, model(k))`` for each bin k; bins that are alike share what ``model`` returns."""

    def of(bins):
        shared = model(bins[0])
        return [work(k, shared) for k in bins]

    alike = experiment.alike
    if len(alike) == 1:
        # One model for all bins.
        shared = model(0)
        return side_by_side(lambda k: work(k, shared), alike[0], threads)
    return in_order(alike, side_by_side(of, alike, threads))


def side_by_side(work: Callable[[Any], Any], items: Iterable[Any], threads: int) -> list[Any]:
    """Results of ``work`` for each item, in order, from so many threads; each result is the same for any number."""
    if threads == 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


def in_order(places: Iterable[np.ndarray], parts: Iterable[list[Any]]) -> list[Any]:
    """What is known of groups of bins, a list a group, in the order of the bins."""
    numbered = [pair for group, part in zip(places, parts, strict=True) for pair in zip(group, part, strict=True)]
    return [part for _, part in sorted(numbered, key=lambda pair: pair[0])]


def _u(params, experiment, k, convention) -> np.ndarray:
    """g1² at all pairs of an angle as a symmetric matrix with a diagonal of zeros."""
    n_t = experiment.frames.size
    result = np.zeros((n_t, n_t))
    for rows in _blocks(n_t):
        earlier, later = experiment.frames[rows, None], experiment.frames[rows.start + 1 :]
        layout, factors = experiment.layout_of(k, earlier, later), experiment.factors_of(k)
        result[rows, rows.start + 1 :] = kernels.g1_total(np.asarray(params), layout, *factors, convention) ** 2
    result = np.triu(result, 1)
    return result + result.T


def _blocks(n_t: int) -> Iterator[slice]:
    """Rows whose pairs are computed together."""
    tall = max(1, 65_536 // n_t)
    return (slice(first, min(first + tall, n_t - 1)) for first in range(0, n_t - 1, tall))

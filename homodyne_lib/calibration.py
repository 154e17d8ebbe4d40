"""Error bars under the noise of speckles and photons, instead of independent noise in every entry of c2.

With s the score, Σ J e over the weighted pairs, and H = Σ J Jᵀ, a fit moves by H⁻¹s under small noise. Independent noise of
variance v has Cov(s) = v H, which gives the usual errors. Entries of c2 that share a frame or a speckle's lifetime do not
fluctuate independently: Cov(s) is then that of one pixel (:mod:`homodyne_lib.speckle_noise`) divided by the number M of
independent pixels, and the covariance of the fit is H⁻¹ Cov(s) H⁻¹, the inverse of Godambe's information.

Two numbers that no file tells are read from the residuals of the fit. M follows at each angle from their sum of squares,
less what the fit took away. Their stripes, the sums over all pairs of a frame, show how correlated the noise is: they decide
whether the photon counts that the raw diagonal tells are those that count, and tell noise that is independent after all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homodyne_lib import kernels
from homodyne_lib.descent import SINGULAR
from homodyne_lib.layouts import PairLayout
from homodyne_lib.normal_equations import scaled_inverse
from homodyne_lib.pixels import PixelAxis
from homodyne_lib.problem import Problem
from homodyne_lib.residual_noise import AngleNoise, ResidualNoise
from homodyne_lib.speckle_noise import speckle_moments, strip_model, strips

__all__ = ["Calibration", "calibrate"]

# A fit may end at a contrast that speckles cannot have; the noise of a pixel is taken at these instead.
_CONTRASTS = (1e-3, 1.0)
_ROUNDING = 1e-5  # of numbers in single precision, with a margin


@dataclass(frozen=True, eq=False)
class Calibration:
    """Covariance of a fit under the noise that its residuals show.

    Attributes
    ----------
    names : list of str
        Physical parameters, then scaling coefficients.
    covariance : ndarray
        Zero rows where a parameter is held.
    independent : ndarray
        The same if entries of c2 fluctuated independently.
    information, assumed : ndarray
        Godambe's information H Cov(s)⁻¹ H of all parameters, the held ones too, and what independent noise gives.
    noise : {"speckle", "independent"}
        Which noise the residuals show.
    pixels : ndarray, shape (n_phi,)
        Effective number of independent pixels M; infinite where noise is independent.
    counts : ndarray, shape (n_phi,)
        Photons a pixel and frame, as the raw diagonal tells; infinite where it shows no shot noise.
    effective_counts : ndarray, shape (n_phi,)
        The same, as the residuals tell.
    excess : float
        Mean square of the stripes over what independent noise gives.
    note : str
        What the residuals show, a sentence.
    """

    names: list[str]
    covariance: np.ndarray
    independent: np.ndarray
    information: np.ndarray
    assumed: np.ndarray
    noise: str
    pixels: np.ndarray
    counts: np.ndarray
    effective_counts: np.ndarray
    excess: float
    note: str

    @property
    def errors(self) -> np.ndarray:
        """Calibrated standard errors; NaN where a parameter is held."""
        return _errors(self.covariance)

    @property
    def ratios(self) -> np.ndarray:
        """Calibrated over independent errors."""
        return self.errors / _errors(self.independent)


def _errors(covariance):
    variance = np.diag(covariance)
    return np.sqrt(np.where(variance > 0, variance, np.nan))


def calibrate(problem: Problem, values, raw_diagonal, *, held=()) -> Calibration:
    """Calibrate the covariance of a fit.

    Parameters
    ----------
    problem : Problem
        All rows of c2.
    values : array_like, shape (p + 2m,)
        Fitted physical parameters and scaling coefficients.
    raw_diagonal : array_like, shape (n_phi, n_t)
        Diagonal of c2 as measured. Where it is the mean of its neighbours it was replaced before and tells no shot noise;
        the residuals then do.
    held : sequence of str
        Parameters that were not free: fixed, or on a bound.

    Returns
    -------
    Calibration

    Raises
    ------
    ValueError
        If rows of c2 are missing, or shapes disagree.
    """
    values, names = np.asarray(values, dtype=float), problem.names + problem.scaling.names
    n_phi, n_t = problem.experiment.phi.size, problem.experiment.time.size
    if problem.band.frames.size != n_t - 1 or np.shape(raw_diagonal) != (n_phi, n_t):
        raise ValueError(
            f"calibration needs all rows of {n_phi} matrices of {n_t} frames and their diagonals; it got "
            f"{problem.band.frames.size + 1} rows and diagonals of shape {np.shape(raw_diagonal)}."
        )
    contrast, offset = problem.scaling.expand(values[len(problem.names) :])
    angles = _angles(problem, values, contrast, offset)
    model = ResidualNoise(angles, _bread(angles, [k for k, name in enumerate(names) if name not in held]))
    shot = np.maximum(np.mean(raw_diagonal, axis=1) - offset - contrast, 0.0)
    white = model.white()
    kind, effective, note = model.choose(shot, replaced=_replaced(problem, raw_diagonal))
    independent = bool(np.all(np.isinf(effective)))
    with np.errstate(divide="ignore"):
        return Calibration(
            names=names,
            covariance=kind.covariance,
            independent=white.covariance,
            information=_information(angles, kind.score),
            assumed=_information(angles, white.score),
            noise="independent" if independent else "speckle",
            pixels=np.full(n_phi, np.inf) if independent else 1.0 / kind.units,
            counts=1.0 / shot,
            effective_counts=1.0 / effective,
            excess=model.excess(white),
            note=note,
        )


def _replaced(problem, raw_diagonal) -> bool:
    """Whether the diagonal is the mean of its neighbours rather than a measurement."""
    frames = np.arange(problem.experiment.time.size - 1)
    beside = np.stack([matrix[frames, frames + 1] for matrix in problem.band.c2])
    difference = np.asarray(raw_diagonal)[:, 1:-1] - 0.5 * (beside[:, 1:] + beside[:, :-1])
    return bool(np.max(np.abs(difference)) < _ROUNDING * np.max(np.abs(beside)))


def _bread(angles, free) -> np.ndarray:
    """Inverse of the Gauss-Newton matrix of the free entries, zero elsewhere."""
    hessian = sum(angle.noise.hessian for angle in angles)
    bread = np.zeros_like(hessian)
    size, inverse = scaled_inverse(hessian[np.ix_(free, free)], SINGULAR)
    bread[np.ix_(free, free)] = inverse / np.outer(size, size)
    return bread


def _information(angles, score) -> np.ndarray:
    hessian = sum(angle.noise.hessian for angle in angles)
    size, inverse = scaled_inverse(score, SINGULAR)
    return hessian / size @ inverse @ (hessian / size).T


def _angles(problem, values, contrast, offset) -> list[AngleNoise]:
    experiment, p = problem.experiment, len(problem.names)
    axis = PixelAxis.of(values[:p], experiment, problem.convention)
    frames = np.arange(experiment.time.size)
    angles, moments = [], None
    for k in range(experiment.phi.size):
        if moments is None or axis.power:
            layout = PairLayout(experiment.time, frames[:, None], frames, experiment.phi[k])
            g1 = kernels.g1_total(values[:p], layout, experiment.wq_dt, experiment.sinc_prefactor, problem.convention)
            moments = speckle_moments(axis, k, g1)
        noise = moments.at(float(np.clip(contrast[k], *_CONTRASTS)))
        chi2, stripes = _residuals(problem, axis, k, contrast[k], offset[k])
        weight, basis = problem.weight[k], problem.scaling.basis[k]
        # From the derivatives of this angle to those of the fit.
        spread = np.zeros((p + 2, p + 2 * basis.size))
        spread[:p, :p] = np.eye(p)
        spread[p, p : p + basis.size] = spread[p + 1, p + basis.size :] = basis
        noise = noise._replace(
            total=weight * noise.total,
            stripes=weight * noise.stripes,
            square=weight**2 * noise.square,
            score=weight**2 * spread.T @ noise.score @ spread,
            cross=weight**2 * spread.T @ noise.cross @ spread,
            hessian=weight * spread.T @ noise.hessian @ spread,
            among_stripes=weight * spread.T @ noise.among_stripes @ spread,
        )
        angles.append(AngleNoise(noise, weight * chi2, weight * stripes))
    return angles


def _residuals(problem, axis, k, contrast, offset) -> tuple[float, float]:
    """Sum of squares of the residuals of an angle, and of their stripes."""
    n_t = problem.experiment.time.size
    chi2, by_frame = 0.0, np.zeros(n_t)
    for block in strips(k, n_t):
        u, _ = strip_model(axis, block)
        residual = (problem.band.c2[k, block.rows, block.columns] - offset - contrast * u) * block.counts
        chi2 += float(np.sum(residual**2))
        by_frame[block.rows] += residual.sum(axis=1)
        by_frame[block.columns] += residual.sum(axis=0)
    return chi2, float(by_frame @ by_frame)

"""Error bars under the noise of speckles and photons, instead of independent noise in every entry of c2.

For small noise a fit moves by H⁻¹s, with the score s = Σ J e over the weighted pairs and H = Σ J Jᵀ; its covariance is
H⁻¹ Cov(s) H⁻¹, the inverse of Godambe's information, (U2) in docs/uncertainty.md. Independent noise of variance v has
Cov(s) = v H, which gives the usual errors. Entries of c2 that share a frame, or the lifetime of a speckle, do not
fluctuate independently. Cov(s) is then that of one pixel (``uncertainty.speckle_moments``) divided by the number M of
independent pixels.

Two numbers that no file states are taken from the residuals of the fit (``uncertainty.noise_choice``): M at each angle, and,
where those of the raw diagonal do not agree with the residuals, the counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homodyne_lib.fitting.descent import SINGULAR
from homodyne_lib.likelihood.normal_equations import scaled_inverse
from homodyne_lib.likelihood.problem import Problem
from homodyne_lib.likelihood.speckle_metric import CONTRASTS, over_bins
from homodyne_lib.likelihood.strips import model_matrices
from homodyne_lib.model.frames import pairs_at_lag, usual_interval
from homodyne_lib.uncertainty.intensities import Intensities
from homodyne_lib.uncertainty.noise_choice import NoiseChoice
from homodyne_lib.uncertainty.noise_kinds import NoiseKind
from homodyne_lib.uncertainty.speckle_moments import pixel_noise

__all__ = ["NoiseCalibration", "bread", "calibrate", "chain_rule", "godambe_information", "is_measured"]

_ROUNDING = 1e-5  # relative error of numbers in single precision, with a margin


@dataclass(frozen=True, eq=False)
class NoiseCalibration:
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
        Godambe's information H Cov(s)⁻¹ H of all parameters that are not fixed, and what independent noise gives.
    kind : NoiseKind
        Which noise the residuals show.
    pixels : ndarray, shape (n_phi,)
        Effective number of independent pixels M; infinite where noise is independent.
    counts : ndarray, shape (n_phi,), or None
        Photons a pixel and frame from the raw diagonal; infinite where it shows no shot noise. None where none was measured.
    effective_counts : ndarray, shape (n_phi,)
        The same from the residuals.
    excess : float
        Mean square of the stripes over what independent noise predicts.
    note : str
        A sentence on what the residuals show.
    """

    names: list[str]
    covariance: np.ndarray
    independent: np.ndarray
    information: np.ndarray
    assumed: np.ndarray
    kind: NoiseKind
    pixels: np.ndarray
    counts: np.ndarray | None
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


def calibrate(
    problem: Problem, values, raw_diagonal, *, held=(), fixed=(), merged: int = 1, threads: int = 1
) -> NoiseCalibration:
    """Calibrate the covariance of a fit.

    Parameters
    ----------
    problem : Problem
        All rows of c2.
    values : array_like, shape (p + 2m,)
        Fitted physical parameters and scaling coefficients.
    raw_diagonal : array_like, shape (n_phi, n_t)
        Diagonal of c2 as measured. One that is the mean of its neighbours, constant, not finite or below its neighbours was
        replaced or is empty; the counts then come from the residuals.
    held : sequence of str
        Parameters that have no error: fixed, or on a bound.
    fixed : sequence of str
        Parameters that no draw moves; the information is that of the others.
    merged : int
        How many frames each frame of the problem is; the note speaks of the photons of one of them.
    threads : int

    Returns
    -------
    NoiseCalibration

    Raises
    ------
    ValueError
        If rows of c2 are missing, or shapes disagree.
    """
    values, names = np.asarray(values, dtype=float), problem.names + problem.scaling.names
    n_phi, n_t = problem.experiment.phi.size, problem.experiment.frames.size
    if problem.record.rows.size < n_t - 1 or np.shape(raw_diagonal) != (n_phi, n_t):
        raise ValueError(
            f"calibration needs all rows of {n_phi} matrices of {n_t} frames and their diagonals; it got "
            f"{problem.record.rows.size} rows and diagonals of shape {np.shape(raw_diagonal)}."
        )
    contrast, offset = problem.scaling.expand(values[len(problem.names) :])
    noises, variance, chi2, stripes = zip(*_angles(problem, values, contrast, offset, threads), strict=True)
    hessian = sum(noise.hessian for noise in noises)
    free, moved = ([k for k, name in enumerate(names) if name not in kept] for kept in (held, fixed))
    groups, local = problem.experiment.bins.groups, _local(problem)
    choice = NoiseChoice(noises, np.array(chi2), np.array(stripes), bread(hessian, free), groups, local)
    shot, measured = np.zeros(n_phi), is_measured(problem, raw_diagonal)
    if measured:
        shot = np.maximum(np.mean(raw_diagonal, axis=1) - 1.0 - variance, 0.0)
    independent = choice.independent()
    chosen, effective, note = choice.choose(shot, replaced=not measured, merged=merged)
    with np.errstate(divide="ignore"):
        return NoiseCalibration(
            names=names,
            covariance=chosen.covariance,
            independent=independent.covariance,
            information=godambe_information(hessian, chosen.score, moved),
            assumed=godambe_information(hessian, independent.score, moved),
            kind=chosen.kind,
            pixels=1.0 / chosen.units if chosen.kind.correlated else np.full(n_phi, np.inf),
            counts=1.0 / shot if measured else None,
            effective_counts=1.0 / effective,
            excess=choice.excess(independent),
            note=note,
        )


def is_measured(problem: Problem, raw_diagonal) -> bool:
    """Whether the diagonals of all angles, (n_phi, n_t), were measured; false if one was replaced, filled in or is empty.

    Any measured c2 has c2_ij² ≤ c2_ii c2_jj, so that its diagonal is above its neighbours in the mean.
    """
    if not np.all(np.isfinite(raw_diagonal)):
        return False
    # Neighbours in time: a frame at a gap has one on one side only.
    frames = problem.experiment.frames
    i, j = pairs_at_lag(frames, usual_interval(frames))
    neighbours = np.stack([matrix[i, j] for matrix in problem.record.c2]).astype(float)
    diagonal, rounding = np.asarray(raw_diagonal, dtype=float), _ROUNDING * np.max(np.abs(neighbours), initial=1.0)
    replaced = np.ptp(diagonal, axis=1) < rounding
    if i.size:
        replaced |= np.mean(0.5 * (diagonal[:, i] + diagonal[:, j]) - neighbours, axis=1) < -rounding
    both = np.flatnonzero(j[:-1] == i[1:])
    if both.size:
        mean = 0.5 * (neighbours[:, both] + neighbours[:, both + 1])
        replaced |= np.max(np.abs(diagonal[:, j[both]] - mean), axis=1) < rounding
    return not np.any(replaced)


def bread(hessian, free) -> np.ndarray:
    """Inverse of the Gauss-Newton matrix of the free entries, zero elsewhere."""
    bread = np.zeros_like(hessian)
    size, inverse = scaled_inverse(hessian[np.ix_(free, free)], SINGULAR)
    bread[np.ix_(free, free)] = inverse / np.outer(size, size)
    return bread


def godambe_information(hessian, score, free) -> np.ndarray:
    """Information H Cov(s)⁻¹ H of the free entries, zero elsewhere; shape as ``hessian``.

    Of entries that are held it would add what they tell of the others, and no fit with them held knows it.
    """
    information, own = np.zeros_like(hessian), np.ix_(free, free)
    size, inverse = scaled_inverse(score[own], SINGULAR)
    information[own] = hessian[own] / size @ inverse @ (hessian[own] / size).T
    return information


def _angles(problem, values, contrast, offset, threads):
    """For each angle the weighted noise of a pixel, its variance, sums of squares of the residuals and of their stripes."""
    experiment, p = problem.experiment, len(problem.names)

    def model(k):
        return model_matrices(values[:p], experiment, k, problem.model.convention)

    return over_bins(experiment, model, lambda k, of_k: _angle(problem, *of_k, contrast[k], offset[k], k), threads)


def _angle(problem, g1, slopes, contrast, offset, k):
    # The derivatives of the model C u + offset are C ∂u, u and 1.
    of_model = np.concatenate([max(contrast, CONTRASTS[0]) * slopes[:-2], slopes[-2:]])
    intensities = Intensities.of(g1, contrast, offset)
    noise = pixel_noise(intensities, of_model)
    chi2, stripes = _residuals(problem.record.c2[k], offset + contrast * g1**2)
    weight, spread = problem.weight[k], chain_rule(problem, k)
    noise = noise._replace(
        total=weight * noise.total,
        stripes=weight * noise.stripes,
        spread=noise.spread * [1.0, weight, weight**2],
        score=weight**2 * spread.T @ noise.score @ spread,
        cross=weight**2 * spread.T @ noise.cross @ spread,
        hessian=weight * spread.T @ noise.hessian @ spread,
        among_stripes=weight * spread.T @ noise.among_stripes @ spread,
    )
    return noise, intensities.variance, weight * chi2, weight * stripes


def _local(problem) -> np.ndarray | None:
    """Parameters that act on each bin, (n_bins, n_local), where scalings fall apart into groups.

    Where fewer act on a bin than on others, the number of all parameters fills its row up.
    """
    if not problem.scaling.blocks:
        return None
    n = len(problem.names) + problem.scaling.n_parameters
    own = [np.flatnonzero(chain_rule(problem, k).any(axis=0)) for k in range(len(problem.experiment.bins))]
    longest = max(map(len, own))
    return np.array([np.pad(at, (0, longest - len(at)), constant_values=n) for at in own])


def chain_rule(problem: Problem, k: int) -> np.ndarray:
    """Derivatives of the physical parameters, contrast and offset of angle k by all numbers of the fit, (p + 2, p + 2m)."""
    p, basis = len(problem.names), problem.scaling.basis[k]
    spread = np.zeros((p + 2, p + 2 * basis.size))
    spread[:p, :p] = np.eye(p)
    spread[p, p : p + basis.size] = spread[p + 1, p + basis.size :] = basis
    return spread


def _residuals(c2, g2) -> tuple[float, float]:
    """Sum of squares of the residuals above the diagonal, and of their stripes, for matrices of shape (n_t, n_t)."""
    # The last row holds no pair, and may be missing in c2.
    residual = np.triu(c2[: len(g2) - 1] - g2[:-1], 1)
    by_frame = residual.sum(axis=0)
    by_frame[:-1] += residual.sum(axis=1)
    return float(np.sum(residual**2)), float(by_frame @ by_frame)

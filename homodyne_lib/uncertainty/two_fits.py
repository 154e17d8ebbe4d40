"""Two fits of the same data, by least squares and in the metric of speckle noise: their joint covariance, and a test.

The score of a fit in a metric is s = Σ W e over the pairs, with the weight matrices W (M3) in the place of the derivatives J
of least squares. The moments of the noise give the covariance of both scores together, (M4) in docs/uncertainty.md.

Where the model is right, both fits estimate the same numbers. Their difference then has a known covariance, and one that is
much larger shows that the model is wrong (Hausman 1978). The difference is taken to first order, as the Gauss-Newton step of
least squares from the other fit: least squares alone may be so uncertain that its minimum is no linear function of the data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import chdtrc

from homodyne_lib.fitting.speckle_fit import SpeckleFit
from homodyne_lib.likelihood.problem import Problem
from homodyne_lib.likelihood.speckle_metric import CONTRASTS, side_by_side
from homodyne_lib.likelihood.strips import model_matrices
from homodyne_lib.model.matrices import unit_diagonal
from homodyne_lib.uncertainty.calibration import NoiseCalibration, bread, chain_rule, godambe_information
from homodyne_lib.uncertainty.speckle_moments import at_contrast, score_moments

__all__ = ["REJECTED", "Agreement", "compare_fits"]

REJECTED = 1e-3
"""Chance below which two fits differ by more than they may."""

# Least eigenvalue of the correlation matrix of the differences along which they are compared.
_LEAST_EIGENVALUE = 1e-3


@dataclass(frozen=True, eq=False)
class Agreement:
    """Comparison of two fits.

    Attributes
    ----------
    names : list of str
        Physical parameters that both fits could move.
    differences : ndarray, shape (n,)
        Least squares less the other fit, to first order, in standard deviations of the difference.
    chi2 : float
        Of all differences together.
    degrees_of_freedom : int
    p_value : float
        Chance of a larger χ² where the model is right.
    """

    names: list[str]
    differences: np.ndarray
    chi2: float
    degrees_of_freedom: int
    p_value: float

    @property
    def rejected(self) -> bool:
        """Whether the fits differ by more than they may."""
        return self.p_value < REJECTED


def compare_fits(
    problem: Problem, found: SpeckleFit, noise: NoiseCalibration, *, held=(), threads: int = 1
) -> tuple[NoiseCalibration, Agreement]:
    """Calibrate a fit in the metric of speckle noise, and compare it with least squares.

    Parameters
    ----------
    problem : Problem
        Of least squares, with its record.
    found : SpeckleFit
        In the metric.
    noise : NoiseCalibration
        Of least squares: counts and pixels of each angle.
    held : sequence of str
        Parameters that were not free in the metric: fixed, or on a bound.
    threads : int

    Returns
    -------
    calibration : NoiseCalibration
        Of the fit in the metric.
    agreement : Agreement
    """
    values, names = found.fit.values, noise.names
    covariance, hessian, of_squares = _scores(problem, found, noise, threads)
    n = len(names)
    free = [k for k, name in enumerate(names) if name not in held]
    inverse, of_least_squares = bread(hessian, free), bread(of_squares, free)
    within = inverse @ covariance[:n, :n] @ inverse
    calibration = replace(
        noise,
        covariance=within,
        independent=inverse * found.fit.reduced_chi2,
        information=godambe_information(hessian, covariance[:n, :n]),
        assumed=hessian / found.fit.reduced_chi2,
    )
    across = of_least_squares @ covariance[n:, :n] @ inverse
    other = of_least_squares @ covariance[n:, n:] @ of_least_squares
    step = of_least_squares @ problem.normal_equations(values[: len(problem.names)]).gradient
    physical = [k for k in free if k < len(problem.names)]
    agreement = _compared(names, step, within + other - across - across.T, physical)
    return calibration, agreement


def _compared(names, step, covariance, numbers) -> Agreement:
    size, correlation = unit_diagonal(covariance[np.ix_(numbers, numbers)])
    differences = step[numbers] / size
    value, vector = np.linalg.eigh(correlation)
    wide = value > _LEAST_EIGENVALUE * max(value.max(initial=0.0), 1.0)
    chi2 = float(np.sum((vector[:, wide].T @ differences) ** 2 / value[wide]))
    freedom = int(wide.sum())
    return Agreement([names[k] for k in numbers], differences, chi2, freedom, float(chdtrc(freedom, chi2)))


def _scores(problem, found, noise, threads):
    """Covariance of the scores of both fits (M4), (2n, 2n), the metric's first, and the Gauss-Newton matrix of each."""
    p, weighted, values = len(problem.names), found.problem, found.fit.values
    contrast, _ = problem.scaling.expand(values[p:])

    def of_angle(k):
        g1, slopes = model_matrices(values[:p], problem.experiment, k, problem.convention)
        slopes[:p] *= contrast[k]
        weights = weighted.metric.angles[k].weights(slopes)
        spread = chain_rule(problem, k)
        # Weight matrices of all numbers of both fits.
        parts = weighted.weight[k] * spread.T, problem.weight[k] * spread.T
        moments = at_contrast(
            score_moments(g1, np.concatenate([weights, slopes])), float(np.clip(contrast[k], *CONTRASTS))
        )
        shot = 1.0 / noise.effective_counts[k]
        covariance = np.tensordot([1.0, shot, shot**2], moments, 1) / noise.pixels[k]
        both = np.zeros((2 * spread.shape[1], len(covariance)))
        both[: spread.shape[1], : p + 2], both[spread.shape[1] :, p + 2 :] = parts
        among = [0.5 * np.einsum("aij,bij->ab", left, slopes) for left in (weights, slopes)]
        return both @ covariance @ both.T, *(part @ a @ spread for part, a in zip(parts, among, strict=True))

    parts = zip(*side_by_side(of_angle, range(problem.experiment.phi.size), threads), strict=True)
    return tuple(sum(part) for part in parts)

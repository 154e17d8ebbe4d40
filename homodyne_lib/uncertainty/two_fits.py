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
from homodyne_lib.likelihood.speckle_metric import side_by_side
from homodyne_lib.likelihood.strips import model_matrices
from homodyne_lib.model.curves import CURVES, rate_slopes
from homodyne_lib.model.frames import usual_interval
from homodyne_lib.model.matrices import unit_diagonal
from homodyne_lib.uncertainty.calibration import NoiseCalibration, bread, chain_rule, godambe_information
from homodyne_lib.uncertainty.intensities import Intensities
from homodyne_lib.uncertainty.residual_sums import neighbour_differences, noise_of_neighbours
from homodyne_lib.uncertainty.speckle_moments import score_moments

__all__ = ["REJECTED", "Agreement", "compare_fits"]

REJECTED = 1e-3
"""Chance below which two fits differ by more than they may."""

_TIMES = (0.1, 0.3, 0.9)  # of the record, at which rates are compared
# Largest error of a relative rate, or of radians of φ0, from which a direction is compared.
_WELL_KNOWN = 0.3
# Times the noise of neighbouring residuals that all residuals may have. Simulations of right models have 0.3 to 2.
_MOST_INFLATED = 2.0
_HIGHER_ORDERS = 0.3  # [errors] by which fits may differ besides, as the covariance is that of first order
_TINY = np.finfo(float).tiny
_NO_WIDTH = 1e-12  # share of the largest variance, from which a direction was free at all
# Least eigenvalue of the correlation matrix of the differences along which they are compared.
_LEAST_EIGENVALUE = 1e-3


@dataclass(frozen=True, eq=False)
class Agreement:
    """Comparison of two fits.

    Attributes
    ----------
    names : list of str
        What is compared: each rate early, in the middle and late in the record, and the direction of the flow.
    differences : ndarray, shape (n,)
        Least squares less the other fit, to first order, in standard deviations of the difference.
    chi2 : float
        Of all differences together.
    degrees_of_freedom : int
    p_value : float
        Chance of a larger χ² where the model is right.
    gains : ndarray, shape (n,)
        Errors of least squares over those of the other fit.
    """

    names: list[str]
    differences: np.ndarray
    chi2: float
    degrees_of_freedom: int
    p_value: float
    gains: np.ndarray

    @property
    def rejected(self) -> bool:
        """Whether the fits differ by more than they may."""
        return self.p_value < REJECTED


def compare_fits(
    problem: Problem, found: SpeckleFit, noise: NoiseCalibration, *, held=(), fixed=(), threads: int = 1
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
    held, fixed : sequence of str
        As of :func:`~homodyne_lib.uncertainty.calibration.calibrate`, in the metric.
    threads : int

    Returns
    -------
    calibration : NoiseCalibration
        Of the fit in the metric.
    agreement : Agreement
    """
    values, names = found.fit.values, noise.names
    covariance, local, hessian, other_hessian = _scores(problem, found, noise, threads)
    n = len(names)
    free, moved = ([k for k, name in enumerate(names) if name not in kept] for kept in (held, fixed))
    inverse, of_least_squares = bread(hessian, free), bread(other_hessian, free)
    within = inverse @ covariance[:n, :n] @ inverse
    calibration = replace(
        noise,
        covariance=within,
        independent=inverse * found.fit.reduced_chi2,
        information=godambe_information(hessian, covariance[:n, :n], moved),
        assumed=hessian / found.fit.reduced_chi2,
    )
    # A wrong model inflates the noise of the residuals, and hardly that of neighbouring ones, which is less well known.
    ratios = [covariance[n + k, n + k] / max(local[n + k, n + k], _TINY) for k in free]
    inflated = max(np.median(ratios or [0.0]), _MOST_INFLATED)
    apart = np.hstack([-inverse, of_least_squares])
    difference = apart @ covariance @ apart.T * (_MOST_INFLATED / inflated) + _HIGHER_ORDERS**2 * within
    step = of_least_squares @ problem.normal_equations(values[: len(problem.names)]).gradient
    own = slice(len(problem.names))
    of_squares = of_least_squares @ covariance[n:, n:] @ of_least_squares
    compared, slopes = _relative_rates(problem, values[own])
    parts = difference[own, own], within[own, own], of_squares[own, own]
    return calibration, _compared(compared, slopes @ step[own], *(slopes @ part @ slopes.T for part in parts))


def _relative_rates(problem, params) -> tuple[list[str], np.ndarray]:
    """Names of what is compared, and its derivatives by the physical parameters, (n, p): of logarithms, and of radians."""
    time, by_name = problem.experiment.time, dict(zip(problem.names, params, strict=True))
    dt = time[-1] / (time.size - 1)
    names, slopes = [], []
    for curve, (_, of_curve) in CURVES.items():
        if of_curve[0] not in by_name:
            continue
        at = time[-1] * np.array(_TIMES)
        rate, by_parameter = rate_slopes(by_name, at, dt, curve)
        names += [f"{curve}({t:.3g} s)" for t in at]
        slopes.append(by_parameter / np.abs(rate)[:, None])
    if "phi0" in by_name:
        names.append("phi0")
        slopes.append(np.deg2rad(np.eye(params.size)[[problem.names.index("phi0")]]))
    return names, np.concatenate(slopes)


def _compared(names, step, covariance, own, of_squares) -> Agreement:
    """Compare along the directions that the better fit determines well enough for a step of first order.

    ``covariance`` is that of the difference, ``own`` that of the better fit, ``of_squares`` that of least squares.
    """
    width, direction = np.linalg.eigh(own)
    known = direction[:, (width > _NO_WIDTH * width.max(initial=0.0)) & (width < _WELL_KNOWN**2)]
    size, correlation = unit_diagonal(known.T @ covariance @ known)
    value, vector = np.linalg.eigh(correlation)
    wide = value > _LEAST_EIGENVALUE
    along = vector[:, wide].T @ (known.T @ step / size)
    chi2, freedom = float(np.sum(along**2 / value[wide])), int(wide.sum())
    spread = np.sqrt(np.maximum(np.diag(known @ known.T @ covariance @ known @ known.T), 0.0))
    differences = np.divide(known @ known.T @ step, spread, out=np.zeros_like(step), where=spread > 0.0)
    gains = np.sqrt(np.maximum(np.diag(of_squares), 0.0) / np.maximum(np.diag(own), _TINY))
    return Agreement(names, differences, chi2, freedom, float(chdtrc(max(freedom, 1), chi2)), gains)


def _scores(problem, found, noise, threads):
    """Covariance of the scores of both fits (M4), (2n, 2n), the metric's first, and the Gauss-Newton matrix of each.

    The covariance is given twice: for the noise of the residuals, and for that of neighbouring residuals.
    """
    p, weighted, values = len(problem.names), found.problem, found.fit.values
    contrast, offset = problem.scaling.expand(values[p:])

    def of_angle(k):
        g1, slopes = model_matrices(values[:p], problem.experiment, k, problem.model.convention)
        slopes[:p] *= contrast[k]
        # Of long records no copy is kept, as they take hundreds of MB.
        matrices = np.concatenate([weighted.metric.angles[k].weights(slopes), slopes])
        slopes = matrices[len(slopes) :]
        spread = chain_rule(problem, k)
        # Weight matrices of all numbers of both fits.
        parts = weighted.weight[k] * spread.T, problem.weight[k] * spread.T
        intensities = Intensities.of(g1, contrast[k], offset[k])
        moments = score_moments(intensities, matrices)
        both = np.zeros((2 * spread.shape[1], 2 * len(slopes)))
        both[: spread.shape[1], : len(slopes)], both[spread.shape[1] :, len(slopes) :] = parts
        residual = problem.record.c2[k] - offset[k] - contrast[k] * g1**2
        own = 1.0 / noise.effective_counts[k], noise.pixels[k]
        noises = own, _of_neighbours(problem, residual, intensities) or own
        covariances = [
            both @ np.tensordot([1.0, shot, shot**2], moments, 1) @ both.T / pixels for shot, pixels in noises
        ]
        among = 0.5 * (matrices.reshape(len(matrices), -1) @ slopes.reshape(len(slopes), -1).T)
        return *covariances, *(part @ a @ spread for part, a in zip(parts, np.split(among, 2), strict=True))

    parts = zip(*side_by_side(of_angle, range(problem.experiment.phi.size), threads), strict=True)
    return tuple(sum(part) for part in parts)


def _of_neighbours(problem, residual, intensities) -> tuple[float, float] | None:
    """1/counts and pixels of an angle from differences of neighbouring residuals; None where the record is too short."""
    frames = problem.experiment.frames
    interval = usual_interval(frames)
    steps = neighbour_differences(residual, frames, frames, interval)
    if not steps:
        return None
    u, variance = intensities.u, intensities.variance
    next_to = np.diagonal(u, 1)[np.diff(frames) == interval]
    return noise_of_neighbours(*np.median(steps, axis=0), variance, variance * (1.0 - float(next_to.mean())))

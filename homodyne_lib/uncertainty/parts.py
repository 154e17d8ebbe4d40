"""Whether parts of a record, its q or its repeats, have the rates of all together: a test of fits of each part alone.

A rate that belongs to the sample is the same in every part, within errors. The parts are other pixels or other runs, so that
their errors are independent. Logarithms of rates are compared, whose errors do not depend on the rates. The common rates that
explain the parts best, and where it is asked for a power of q, leave a χ². Equations (Q2) to (Q4) are those of docs/model.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc

__all__ = ["Common", "common_rates", "power_of_q"]

_TINY = np.finfo(float).tiny


class Common(NamedTuple):
    """Common rates of parts, and how far the parts are from them.

    Attributes
    ----------
    chi2 : float
    degrees_of_freedom : int
    p_value : float
        Chance of a larger χ².
    rates : ndarray, shape (n_rates,)
        Common logarithms; NaN where no part knows the rate.
    distances : ndarray, shape (n_parts, n_rates)
        Of each part from the common rate [its errors]; NaN where it does not know it.
    slope : float
        Change of the logarithm of the first rate with that of q; NaN where it was not free.
    """

    chi2: float
    degrees_of_freedom: int
    p_value: float
    rates: np.ndarray
    distances: np.ndarray
    slope: float


def common_rates(values, covariances, log_q: Sequence[float] | None = None) -> Common:
    """Find the rates that parts have in common, and how far the parts are from them (Q3).

    Parameters
    ----------
    values : array_like, shape (n_parts, n_rates)
        Logarithms of rates; NaN where a part does not know one.
    covariances : array_like, shape (n_parts, n_rates, n_rates)
    log_q : array_like, shape (n_parts,), optional
        Logarithm of q of each part; with it the first rate may go with a power of q.

    Returns
    -------
    Common
    """
    values, covariances = np.asarray(values, dtype=float), np.asarray(covariances, dtype=float)
    n_rates = values.shape[1]
    information = np.zeros((n_rates + 1, n_rates + 1))
    score, rows = np.zeros(n_rates + 1), []
    for k, (value, covariance) in enumerate(zip(values, covariances, strict=True)):
        known = np.flatnonzero(np.isfinite(value))
        if not known.size:
            continue
        design = np.eye(n_rates + 1)[known]
        if log_q is not None:
            design[known == 0, -1] = log_q[k]
        weight = np.linalg.inv(covariance[np.ix_(known, known)])
        information += design.T @ weight @ design
        score += design.T @ weight @ value[known]
        rows.append((k, known, design, weight))
    common = np.linalg.pinv(information, hermitian=True) @ score
    chi2, distances = 0.0, np.full(values.shape, np.nan)
    for k, known, design, weight in rows:
        residual = values[k, known] - design @ common
        chi2 += float(residual @ weight @ residual)
        distances[k, known] = residual / np.sqrt(np.diag(covariances[k])[known])
    freedom = int(np.isfinite(values).sum() - np.linalg.matrix_rank(information, hermitian=True))
    known_rates = np.diag(information)[:n_rates] > _TINY
    return Common(
        chi2,
        freedom,
        float(chdtrc(freedom, chi2)) if freedom > 0 else 1.0,
        np.where(known_rates, common[:n_rates], np.nan),
        distances,
        float(common[-1]) if log_q is not None else np.nan,
    )


def power_of_q(log_rates, variances, log_q) -> tuple[float, float]:
    """Power with which a rate goes with q, from its logarithms, and its error (Q4).

    The errors are those of the parts; where the parts scatter about the power law by more, theirs.

    Parameters
    ----------
    log_rates, variances, log_q : array_like, shape (n_parts,)

    Returns
    -------
    power, error : float
    """
    design = np.column_stack([np.ones(len(log_q)), log_q])
    weight = 1.0 / np.asarray(variances, dtype=float)
    covariance = np.linalg.inv((design.T * weight) @ design)
    best = covariance @ ((design.T * weight) @ np.asarray(log_rates, dtype=float))
    squares = float(np.sum(weight * (log_rates - design @ best) ** 2))
    scatter = max(1.0, squares / max(len(log_q) - 2, 1))
    return float(best[1]), float(np.sqrt(covariance[1, 1] * scatter))

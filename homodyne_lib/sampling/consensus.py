"""The posterior of all data from the draws of shards.

Every shard was sampled together with a Gaussian anchor of precision Q about m, which replaces the data of the other shards
(``sampling.posterior.ShardPosterior``). With Λ and μ the precision and mean of its draws, the posterior of all data has

    precision  P = Σ (Λ - Q),    mean  P⁻¹ Σ (Λ μ - Q m).

This is exact where the draws are normal. Without anchors it is consensus Monte Carlo (Scott et al. 2016, sec. 3.1).
:mod:`homodyne_lib.sampling.importance` proposes draws from this normal law, and gives them exact weights.

Λ and μ come from draws and from the slopes g of the log density there. By Stein's identity cov(g, v) = -1 and mean(g) = 0
whatever the density, so that -cov(g, v) cov(v)⁻¹ estimates Λ and mean(v) + Λ⁻¹ mean(g) estimates μ; where the density is
normal, g is linear in v and both are free of sampling noise. Differences of large precisions need that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from homodyne_lib.model.matrices import unit_diagonal
from homodyne_lib.sampling.shard_files import ShardDraws

__all__ = ["Consensus", "cholesky_factor", "combine_shards"]


@dataclass(frozen=True, eq=False)
class Consensus:
    """Normal law that follows from all shards together.

    Attributes
    ----------
    mean : ndarray, shape (d,)
    covariance : ndarray, shape (d, d)
    own_means : ndarray, shape (K, d)
        Mean of each shard alone, without its anchor.
    own_covariance : ndarray, shape (d, d)
        Covariance of each of these means: each shard has 1/K of the information.
    agreement : dict
        ``chi2``, ``dof`` and ``p_value`` of the shards' own means about the common one.
    """

    mean: np.ndarray
    covariance: np.ndarray
    own_means: np.ndarray
    own_covariance: np.ndarray
    agreement: dict[str, float]


def combine_shards(shards: Sequence[ShardDraws]) -> Consensus:
    """Combine shards by their moments, with full covariances.

    Parameters
    ----------
    shards : sequence of ShardDraws

    Returns
    -------
    Consensus
        Exact where the shards' posteriors are normal.

    Raises
    ------
    ValueError
        If shards hold different numbers, a shard has too few draws, or shards leave no positive precision.
    """
    widths = {shard.x.shape[-1] for shard in shards}
    if len(widths) != 1:
        raise ValueError(
            f"shards hold draws of {', '.join(map(str, sorted(widths)))} numbers; sample them with one configuration."
        )
    d = widths.pop()
    fewest = min(shard.x[..., 0].size for shard in shards)
    if fewest <= 2 * d:
        raise ValueError(f"{fewest} draws cannot give the covariance of {d} numbers; take more draws.")
    # Coordinates have widths from 1e-4 to 1. In units of these widths matrices lose no digits.
    size = shards[0].x.std(axis=(0, 1))
    own, pull = [], []
    for shard in shards:
        mean, precision = _moments(shard, size)
        anchor = shard.anchor * np.outer(size, size)
        own.append(precision - anchor)
        pull.append(precision @ mean - anchor @ (shard.centre / size))
    total = sum(own)
    if np.linalg.eigvalsh(total).min() <= 0:
        raise ValueError(
            f"the {len(shards)} shards leave a direction without precision: their posteriors are far from normal there. "
            "Use fewer shards, or hold the parameters that the data do not determine (fixed)."
        )
    mean, covariance = np.linalg.solve(total, sum(pull)), np.linalg.inv(total)
    score = np.array([h - precision @ mean for h, precision in zip(pull, own, strict=True)])
    deviation, area = len(own) * score @ covariance, np.outer(size, size)
    chi2, dof = float(np.sum(score * deviation)), (len(own) - 1) * d
    agreement = {"chi2": chi2, "dof": dof, "p_value": float(chdtrc(dof, chi2)) if dof else 1.0}
    return Consensus(mean * size, covariance * area, (mean + deviation) * size, len(own) * covariance * area, agreement)


def cholesky_factor(covariance) -> np.ndarray:
    """Lower triangular L with L Lᵀ the covariance of numbers of very different widths."""
    size, scaled = unit_diagonal(covariance)
    return np.linalg.cholesky(scaled) * size[:, None]


def _moments(shard: ShardDraws, size):
    """Mean and precision of a shard's draws by Stein's identity, in units of ``size``."""
    v, g = (part.reshape(-1, part.shape[-1]) for part in (shard.x / size, shard.slope * size))
    centred = v - v.mean(axis=0)
    precision = -np.linalg.solve(centred.T @ centred, centred.T @ (g - g.mean(axis=0)))
    precision = 0.5 * (precision + precision.T)
    return v.mean(axis=0) + np.linalg.solve(precision, g.mean(axis=0)), precision

"""Whether a fit misses something: shapes in its residuals that noise does not have.

χ² alone does not show it. Entries of c2 fluctuate together, and where they do so slowly, residuals of a right model are
several times as large as the noise of neighbouring entries. So the residuals are compared with patterns: a contrast and an
offset that change with age, a decay of another course, single frames that differ from their neighbours. To leading order, the
scores ½ δᵀTδ and ½ δᵀT'δ of two patterns have the covariance ½ tr(T Σ T' Σ) over the number of pixels, where δ has the
covariance Σ, which is K of (U1) plus 1/counts if i = j: (U9) in docs/uncertainty.md. Less what the fit took away, this gives
each pattern a χ².

Counts and pixels are read from differences of neighbouring residuals (U10), which are nearly blind to the patterns. Groups of
frames replace frames in long records. Where frames are missing, neighbours are those that are the usual interval apart.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc

from homodyne_lib.likelihood.normal_equations import scaled_inverse
from homodyne_lib.likelihood.problem import Problem
from homodyne_lib.likelihood.speckle_metric import CONTRASTS
from homodyne_lib.model.matrices import traces
from homodyne_lib.uncertainty.intensities import IntensityVariance
from homodyne_lib.uncertainty.residual_sums import ResidualSums, frame_groups, noise_of_neighbours, residual_sums

__all__ = ["FAMILIES", "Misfit", "examine"]

FAMILIES = ("contrast", "offset", "decay")
"""Patterns: contrast and offset in windows of age, and the decay in bins of lag."""

_WINDOWS = 8
_LAG_BINS = 8
# Chance of a false alarm of a family if the noise had _MARGIN times the expected variance. The margin is needed for bins of
# few pixels, where the leading order is too low.
_ALARM, _MARGIN = 1e-4, 3.0
# Mean square over the angles, in units of the scatter of all frames, from which a frame is an outlier. The first and last
# frames are left out, because a power law is steep at the start of the record.
_APART, _ENDS = 40.0, 3
# A combination of patterns whose variance the fit reduced to less than this share is left out.
_LEFT = 0.05


class Misfit(NamedTuple):
    """What the residuals show.

    Attributes
    ----------
    excess : dict of str to float
        Mean square of the patterns of each family over what noise predicts, all angles together.
    by_angle : dict of str to ndarray, shape (n_phi,)
        The same for each angle.
    found : dict of str to bool
        Which families are beyond noise.
    found_by_angle : dict of str to ndarray of bool, shape (n_phi,)
    common_decay : bool
        Whether most of the misfit of the decays is the same at all angles.
    contrast : ndarray, shape (n_phi, n_t)
        Contrast of the pairs of each frame over the fitted one.
    apart : ndarray of bool, shape (n_t,)
        Frames that differ from their neighbours more than others do.
    """

    excess: dict[str, float]
    by_angle: dict[str, np.ndarray]
    found: dict[str, bool]
    found_by_angle: dict[str, np.ndarray]
    common_decay: bool
    contrast: np.ndarray
    apart: np.ndarray


class _Scores(NamedTuple):
    """Patterns of an angle, then derivatives for physical parameters, contrast and offset.

    ``moving`` are the variances that speckles which move and photons alone would give: the rest is along the offset, mostly.
    """

    score: np.ndarray
    covariance: np.ndarray
    moving: np.ndarray
    gram: np.ndarray


def examine(problem: Problem, values, free) -> Misfit:
    """Compare the residuals of a fit with what noise allows.

    Parameters
    ----------
    problem : Problem
        All rows of c2.
    values : array_like, shape (p + n_scaling,)
        Fitted physical parameters and scaling coefficients.
    free : array_like of bool, shape (p,)
        Which physical parameters the fit could move.

    Returns
    -------
    Misfit
    """
    p, n_phi = len(problem.names), problem.experiment.phi.size
    values = np.asarray(values, dtype=float)
    contrast, offset = problem.scaling.expand(values[p:])
    sums = residual_sums(problem, values[:p], contrast, offset)
    if not all(part.steps.size for part in sums):
        return _unjudged(n_phi, problem.experiment.frames.size)
    contrast = np.maximum(contrast, CONTRASTS[0])
    n_groups = sums[0].cells.shape[-1]
    patterns, family = _patterns(n_groups)
    sizes = np.bincount(frame_groups(problem.experiment.frames.size))
    parts = [
        _scores(part, patterns, family, c, o, sizes, w)
        for part, c, o, w in zip(sums, contrast, offset, problem.weight, strict=True)
    ]
    score, covariance, before = _after_the_fit(parts, family.size, np.flatnonzero(free))
    change = np.array([part.frames[0] / (c * part.frames[1]) for part, c in zip(sums, contrast, strict=True)])

    def compare(rows):
        """χ² and its degrees of freedom for the sums ``rows @ score``; rows has the shape (n, n_phi m)."""
        return _squares(rows @ score, rows @ covariance @ rows.T, np.sum(rows**2 * before, axis=1))

    def compare_at(k, chosen):
        """The same for some patterns of one bin."""
        own = k * family.size + np.flatnonzero(chosen)
        return _squares(score[own], covariance[np.ix_(own, own)], before[own])

    over_angles = np.tile(np.eye(family.size), (1, n_phi))
    together = {name: compare(over_angles[family == number]) for number, name in enumerate(FAMILIES)}
    single = {name: [compare_at(k, family == number) for k in range(n_phi)] for number, name in enumerate(FAMILIES)}
    common = together["decay"][0]
    # Angles may differ in their decay; ages are those of the sample or the beam, the same for all angles.
    together["decay"] = tuple(np.sum(single["decay"], axis=0))
    by_angle = {name: np.array([_beyond_noise(*pair, n_phi) for pair in pairs]) for name, pairs in single.items()}
    return Misfit(
        excess={name: float(_ratio(*pair)) for name, pair in together.items()},
        by_angle={name: np.array([_ratio(*pair) for pair in pairs]) for name, pairs in single.items()},
        found={
            name: bool(_beyond_noise(*pair) or (name == "decay" and by_angle[name].any()))
            for name, pair in together.items()
        },
        found_by_angle=by_angle,
        common_decay=bool(common > 0.5 * together["decay"][0]),
        contrast=1.0 + change,
        apart=_apart(change * np.sqrt([part.frames[1] for part in sums]), problem.experiment.frames),
    )


def _unjudged(n_phi: int, n_t: int) -> Misfit:
    """No misfit, for a record too short to estimate its noise from neighbouring residuals."""
    each = [dict.fromkeys(FAMILIES, empty) for empty in (0.0, np.zeros(n_phi), False, np.zeros(n_phi, dtype=bool))]
    return Misfit(*each, False, np.ones((n_phi, n_t)), np.zeros(n_t, dtype=bool))


def _ratio(squares, number) -> float:
    return squares / number if number else 0.0


def _beyond_noise(squares, number, trials: int = 1) -> bool:
    return bool(number and chdtrc(number, squares / _MARGIN) < _ALARM / trials)


def _patterns(n_groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames of each window of age, and pairs of each bin of lag, (n, n_groups, n_groups); the family of each pattern.

    Those of the contrast are still to be multiplied by u.
    """
    window = np.arange(n_groups) * _WINDOWS // n_groups
    inside = (window == np.arange(_WINDOWS)[:, None]).astype(float)
    by_age = inside[:, :, None] + inside[:, None, :]
    lag = np.abs(np.subtract.outer(np.arange(n_groups), np.arange(n_groups)))
    edges = np.unique(np.round(np.geomspace(1, n_groups, _LAG_BINS + 1)))
    by_lag = np.searchsorted(edges, lag, side="right") == np.arange(1, edges.size)[:, None, None]
    family = np.repeat([0, 1, 2], [_WINDOWS, _WINDOWS, edges.size - 1])
    return np.concatenate([by_age, by_age, by_lag]), family


def _scores(sums: ResidualSums, patterns, family, contrast, offset, size, weight) -> _Scores:
    """Sums over all pairs of pattern or derivative times residual, and their covariance under noise (U9)."""
    whole = sums.cells + sums.cells.mT
    within = np.diagonal(sums.cells, axis1=1, axis2=2)
    n_groups = size.size
    off_diagonal = ~np.eye(n_groups, dtype=bool)
    count = np.where(off_diagonal, whole[-2], 0.0)
    mean = np.divide(whole, whole[-2], out=np.zeros_like(whole), where=off_diagonal)
    u = mean[-3]
    variance = IntensityVariance.of(u[off_diagonal], contrast, offset)
    kernel, pixels = _noise(sums, variance, u, within[-3], size)
    derivatives = [contrast * mean[:-3], u[None], off_diagonal[None]]
    patterns = patterns * np.where((family == 0)[:, None, None], contrast * u, off_diagonal)
    columns = np.concatenate([patterns, *derivatives])
    flat = columns.reshape(len(columns), -1)
    tk = (columns * count) @ kernel  # T Σ of (U9)
    moving = (columns * count) @ (kernel - variance.steady)
    return _Scores(
        0.5 * weight * flat @ np.where(off_diagonal, whole[-1], 0.0).ravel(),
        0.5 * weight**2 / pixels * traces(tk, tk),
        0.5 * weight**2 / pixels * np.einsum("aij,aji->a", moving, moving),
        0.5 * weight * (flat * count.ravel()) @ flat.T,
    )


def _noise(sums: ResidualSums, variance: IntensityVariance, u, within, size):
    """Covariance of the means of δ over groups, (n_groups, n_groups), and the number of pixels, both by (U10)."""
    of_one = variance.moving(1.0)
    shot, pixels = noise_of_neighbours(*sums.steps, variance.total, of_one - variance.moving(sums.neighbour))
    kernel = variance.moving(u)
    pairs = size * (size - 1)
    u_within = np.divide(2.0 * within, pairs, out=np.zeros_like(within), where=pairs > 0)
    np.fill_diagonal(kernel, (pairs * variance.moving(u_within) + size * of_one) / size**2 + shot / size)
    return kernel + variance.steady, pixels


def _after_the_fit(parts: list[_Scores], m: int, free):
    """Scores of the patterns of all angles after the fit took its part, their covariance, and their variances before the fit.

    Contrast and offset are taken as free at each angle, whatever the fit did.
    """
    n_phi, p = len(parts), parts[0].score.size - m - 2
    n = p + 2 * n_phi
    score, cross = np.zeros(m * n_phi), np.zeros((m * n_phi, n))
    covariance, with_fit = np.zeros((m * n_phi, m * n_phi)), np.zeros((m * n_phi, n))
    gram, of_fit, fit_score = np.zeros((n, n)), np.zeros((n, n)), np.zeros(n)
    for k, part in enumerate(parts):
        rows, place = slice(k * m, (k + 1) * m), np.r_[np.arange(p), p + k, p + n_phi + k]
        score[rows], covariance[rows, rows] = part.score[:m], part.covariance[:m, :m]
        cross[rows, place], with_fit[rows, place] = part.gram[:m, m:], part.covariance[:m, m:]
        gram[np.ix_(place, place)] += part.gram[m:, m:]
        of_fit[np.ix_(place, place)] += part.covariance[m:, m:]
        fit_score[place] += part.score[m:]
    before = np.concatenate([part.moving[:m] for part in parts])
    keep = np.r_[free, np.arange(p, n)].astype(int)
    size, inverse = scaled_inverse(gram[np.ix_(keep, keep)], 1e-10)
    taken = cross[:, keep] @ (inverse / np.outer(size, size))
    shared = with_fit[:, keep] @ taken.T
    covariance += taken @ of_fit[np.ix_(keep, keep)] @ taken.T - shared - shared.T
    return score - taken @ fit_score[keep], covariance, before


def _squares(score, covariance, before) -> tuple[float, int]:
    """χ² of scores, over the independent combinations that the fit left free, and their number."""
    size = np.sqrt(np.maximum(before, np.finfo(float).tiny))
    value, vector = np.linalg.eigh(covariance / np.outer(size, size))
    kept = value > _LEFT
    components = vector[:, kept].T @ (score / size)
    return float(np.sum(components**2 / value[kept])), int(kept.sum())


def _apart(values, at) -> np.ndarray:
    """Frames whose value differs from the line between their neighbours more than those of others.

    The scatter of ``values``, (n_phi, n_t), is the same for all frames; ``at`` is the place of each on the time axis.
    """
    share = (at[1:-1] - at[:-2]) / (at[2:] - at[:-2])
    distance = values[:, 1:-1] - (1.0 - share) * values[:, :-2] - share * values[:, 2:]
    scatter = 1.4826 * np.median(np.abs(distance), axis=1, keepdims=True)
    squares = np.mean((distance / np.maximum(scatter, np.finfo(float).tiny)) ** 2, axis=0)
    # The two neighbours of an outlier have half its distance, and are no outliers.
    peak = (squares[1:-1] >= squares[:-2]) & (squares[1:-1] >= squares[2:])
    result = np.zeros(values.shape[1], dtype=bool)
    result[2:-2] = peak & (squares[1:-1] > _APART)
    result[:_ENDS] = result[-_ENDS:] = False
    return result

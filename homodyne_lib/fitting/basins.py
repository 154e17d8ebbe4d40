"""Minima of a fit: which descents ended in the same one, and which of those that fit alike comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from homodyne_lib.likelihood.problem import Problem
from homodyne_lib.model.scales import nearest_image

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

__all__ = ["RIVAL", "Basin", "distinct_basins", "is_too_high", "rise_of"]

RIVAL = 9.0
"""Rise of χ² [residual variances] below which another minimum fits almost as well: three standard deviations."""

_SAME = 1e-4  # descents that differ by less than this part of a variance found the same minimum
_MOST_CONTRAST = 2.0  # speckles have 1 at most; of a record that hardly decays it is known badly


class Basin(NamedTuple):
    """A minimum, and how many descents ended there."""

    params: np.ndarray
    cost: float
    outcome: OptimizeResult
    n_descents: int


def distinct_basins(problem: Problem, trials) -> list[Basin]:
    """Descents that ended within a hundredth of an error of each other, taken as one; best first.

    Of minima that fit alike, those come first whose contrasts speckles can have: where a steady flow turns its phase by a
    half turn in each frame, the fall of c2 within the first frame is hidden, and a huge contrast makes up for it.
    """
    basins: list[Basin] = []
    for params, outcome in sorted(trials, key=lambda trial: trial[1].cost):
        # The trust region's Jacobian holds the curvature: the rise of the cost along the way to a better minimum.
        for k, basin in enumerate(basins):
            way = nearest_image(outcome.free, outcome.x - basin.outcome.x, 0.0)
            rise = 0.5 * np.sum((basin.outcome.jac @ way) ** 2)
            if rise < _SAME * max(basin.cost / problem.n_points, 1e-300):
                basins[k] = basin._replace(n_descents=basin.n_descents + 1)
                break
        else:
            basins.append(Basin(params, float(outcome.cost), outcome, 1))
    limit = (1.0 + RIVAL / problem.n_points) * basins[0].cost
    near = [basin for basin in basins if basin.cost <= limit]
    if len(near) > 1:
        near.sort(key=lambda basin: is_too_high(problem, problem.coefficients(basin.params)))
    return near + basins[len(near) :]


def is_too_high(problem: Problem, coefficients) -> bool:
    """Whether an angle has a contrast that no speckles have."""
    return bool(np.max(problem.scaling.expand(coefficients)[0]) > _MOST_CONTRAST)


def rise_of(basin: Basin, best: Basin, reduced_chi2: float) -> float:
    """Rise of χ² from the best minimum to another [residual variances]."""
    return 2.0 * (basin.cost - best.cost) / reduced_chi2

"""Moments of the noise of one pixel, against sums over all pairs of frames with every moment from cumulants."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest
from white_noise import TRUTH, noise_of_a_pixel, problem_of

from homodyne_lib.model import kernels
from homodyne_lib.model.layouts import PairLayout

N_FRAMES, CONTRAST, SHOT = 6, 0.3, 0.7  # frames, C, 1/counts


def partitions(items):
    """All divisions of a list into groups."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for size in range(len(rest) + 1):
        for group in combinations(range(len(rest)), size):
            others = [rest[k] for k in range(len(rest)) if k not in group]
            for division in partitions(others):
                yield [[first, *(rest[k] for k in group)], *division]


def cumulant(group, g):
    """Of the intensity of a pixel without photon noise (U3)."""
    c = CONTRAST
    if len(group) == 2:
        i, j = group
        return c * g[i, j] ** 2
    if len(group) == 3:
        i, j, k = group
        return 2 * c**2 * g[i, j] * g[j, k] * g[k, i]
    if len(group) == 4:
        i, j, k, l = group  # noqa: E741
        walks = ((i, j, k, l), (i, j, l, k), (i, k, j, l))
        return 2 * c**3 * sum(g[a, b] * g[b, d] * g[d, e] * g[e, a] for a, b, d, e in walks)
    return 0.0


def moment(frames, g, shot):
    """Mean of a product of δ; photons add the variance (1 + δ)/counts to the square of a frame."""
    options = [
        [(1.0, [frame] * count), *([(shot, []), (shot, [frame])] if count == 2 else [])]
        for frame, count in Counter(frames).items()
    ]
    total = 0.0
    for choice in product(*options):
        weight, left = np.prod([share for share, _ in choice]), [frame for _, part in choice for frame in part]
        total += weight * sum(np.prod([cumulant(group, g) for group in division]) for division in partitions(left))
    return total


def covariance(pair, other, g, shot):
    """Mean of e_ij e_kl by (U1)."""
    (i, j), (k, l) = pair, other  # noqa: E741
    u, v = CONTRAST * g[i, j] ** 2, CONTRAST * g[k, l] ** 2

    def mean(*frames):
        return moment(frames, g, shot)

    linear = sum(mean(a, b) for a in (i, j) for b in (k, l))
    return (
        mean(i, j, k, l)
        - v * (mean(i, j) + mean(i, j, k) + mean(i, j, l))
        - u * (mean(k, l) + mean(k, l, i) + mean(k, l, j))
        + u * v * (1 + linear)
    )


@pytest.mark.parametrize("shot", [0.0, SHOT])
@pytest.mark.parametrize("mode", ["static", "laminar_flow"])
def test_moments_are_sums_over_pairs_of_pairs(mode, shot):
    problem, _ = problem_of(mode, n=N_FRAMES, phi=(20.0,), contrast_step=0.0)
    experiment, params = problem.experiment, np.array(TRUTH[mode])
    frames = experiment.frames
    layout = PairLayout(experiment.time, frames[:, None], frames, experiment.phi[0])
    g = kernels.g1_total(params, layout, *experiment.factors_of(0), "spec")
    g = np.array(np.broadcast_to(g, (N_FRAMES, N_FRAMES)))
    np.fill_diagonal(g, 1.0)
    noise = noise_of_a_pixel(params, experiment, 0, "spec", CONTRAST)
    powers = np.array([1.0, shot, shot**2])

    pairs = list(combinations(range(N_FRAMES), 2))
    matrix = np.array([[covariance(pair, other, g, shot) for other in pairs] for pair in pairs])
    slopes = np.array([[g[i, j] ** 2 for i, j in pairs], [1.0] * len(pairs)])  # of contrast and offset
    holds = np.array([[frame in pair for pair in pairs] for frame in range(N_FRAMES)], dtype=float)
    np.testing.assert_allclose(powers @ noise.total, np.trace(matrix), rtol=1e-9)
    np.testing.assert_allclose(np.tensordot(powers, noise.score, 1)[-2:, -2:], slopes @ matrix @ slopes.T, rtol=1e-9)
    np.testing.assert_allclose(powers @ noise.stripes, np.trace(holds @ matrix @ holds.T), rtol=1e-9)
    cross = slopes @ matrix @ holds.T @ holds @ slopes.T
    np.testing.assert_allclose(np.tensordot(powers, noise.cross, 1)[-2:, -2:], cross, rtol=1e-9)

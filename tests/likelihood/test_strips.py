"""The model strip by strip, against the kernels on all pairs at once, in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from pair_cases import case
from white_noise import TRUTH, problem_of

from homodyne_lib.likelihood.exact_sums import exact_sums
from homodyne_lib.likelihood.strips import STRIP_ROWS, strips
from homodyne_lib.model import kernels
from homodyne_lib.model.layouts import PairLayout

GAPPED = np.delete(np.arange(150), [0, 3, 70, 71, 72, 149])  # three strips, of two tiles and of one


def dense_g1(params, experiment, angle, convention):
    frames = experiment.frames
    layout = PairLayout(experiment.time, frames[:, None], frames, experiment.phi[angle])
    factors = experiment.factors_of(angle)
    return np.broadcast_to(kernels.g1_total(params, layout, *factors, convention), 2 * frames.shape)


@pytest.mark.parametrize(
    ("mode", "convention", "frames"),
    [
        ("static", "spec", np.arange(20)),
        ("static", "spec", GAPPED),
        ("static", "spec", np.arange(STRIP_ROWS + 1)),  # one strip, which is full
        ("laminar", "spec", GAPPED),
        ("laminar", "published", GAPPED),
    ],
)
def test_strips_are_the_kernels_at_each_pair_once(mode, convention, frames):
    params, _, _, experiment, _ = case(mode, 150, 2)
    params, experiment = np.array(params), experiment._replace(frames=frames)
    g1, slopes, count = np.zeros((frames.size,) * 2), np.zeros((params.size, frames.size, frames.size)), 0
    for strip in strips(params, experiment, 1, convention):
        g1[strip.rows, strip.columns] += strip.g1
        slopes[:, strip.rows, strip.columns] += strip.slopes
        count += strip.later.sum()
        assert 0 < len(strip.g1) <= STRIP_ROWS
        np.testing.assert_array_equal(strip.later, strip.g1 != 0.0)  # the kernels hold |g1| above zero
    assert count == frames.size * (frames.size - 1) // 2
    np.testing.assert_allclose(g1, np.triu(dense_g1(params, experiment, 1, convention), 1), atol=1e-13)
    for k, value in enumerate(params):
        # Rounding and curvature of a central difference: some 1e-9 of the largest.
        step = 1e-4 * value * np.eye(params.size)[k]
        up, down = (dense_g1(p, experiment, 1, convention) ** 2 for p in (params + step, params - step))
        expected = np.triu(up - down, 1) / (2.0 * step[k])
        np.testing.assert_allclose(slopes[k], expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("rows", [None, np.arange(1, 149, 2)], ids=["all", "every other row"])
def test_exact_sums_are_sums_over_the_pairs_of_the_record(rows):
    problem, c2 = problem_of("laminar_flow", n=150, phi=(-75.0, 7.0, 90.0), rows=rows)
    many = np.array(TRUTH["laminar_flow"]) * np.array([[1.0], [1.1]])
    actual = exact_sums(problem, many)
    i, j = np.triu_indices(150, 1)
    held = np.isin(i, problem.record.rows)
    i, j = i[held], j[held]
    for found, p in zip(actual, many, strict=True):
        for k, sums in enumerate(found):
            u, y = dense_g1(p, problem.experiment, k, "spec")[i, j] ** 2, c2[k, i, j] - problem.data.centre
            np.testing.assert_allclose(sums, [u @ u, u.sum(), u @ y], rtol=1e-10)

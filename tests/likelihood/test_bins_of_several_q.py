"""Bins of several q and repeats: sums over the pairs, and the metric, against slow loops for each bin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from several_q import DT, GAP, TRUTH, N, record, u_of

from homodyne_lib.fitting.nlsq import fit_nlsq
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.likelihood.exact_sums import exact_sums
from homodyne_lib.likelihood.problem import make_problem
from homodyne_lib.likelihood.speckle_metric import SpeckleMetric
from homodyne_lib.model.model import Model
from homodyne_lib.model.scaling import per_angle_scaling


def problem_of(mode, q_exponent=2.0, **changes):
    data = record(mode, **changes)
    scaling = per_angle_scaling("individual", data.phi, groups=data.bins.groups)
    return make_problem(data, scaling, Model(mode, q_exponent=q_exponent)), data


@pytest.mark.parametrize("mode", ["static", "laminar_flow"])
def test_sums_of_every_bin_are_those_of_its_q_and_angle(mode):
    problem, data = problem_of(mode)
    params = np.array(TRUTH[mode]) * 1.1
    i, j = np.triu_indices(N, 1)
    u = np.stack([u_of(mode, params, q, phi)[i, j] for q, phi in zip(data.q, data.phi, strict=True)])
    y = data.c2[:, i, j] - problem.data.centre
    expected = np.stack([(u * u).sum(axis=1), u.sum(axis=1), (u * y).sum(axis=1)], axis=1)
    np.testing.assert_allclose(exact_sums(problem, params[None])[0], expected, rtol=1e-9)
    np.testing.assert_allclose(problem.nodes.sums(params), expected, rtol=1e-4, atol=1e-3)
    # Without flow the four bins of a q have one model; with it, those of the other file.
    assert [len(group) for group in problem.experiment.alike] == ([4, 4] if mode == "static" else [2, 2, 2, 2])


@pytest.mark.parametrize("mode", ["static", "laminar_flow"])
def test_slopes_are_those_of_the_sums(mode):
    problem, _ = problem_of(mode, q_exponent=None)
    params = np.array([*TRUTH[mode], 1.7])
    gram, p = problem.products.gram(params), params.size
    for k, step in enumerate(1e-5 * np.maximum(np.abs(params), 1e-2)):
        up, down = (problem.nodes.sums(params + sign * step * np.eye(p)[k]) for sign in (1, -1))
        # Σ u ∂u is half the slope of Σ u²; the error of a central difference is some 1e-9 of the largest.
        slope = 0.25 * (up - down)[:, 0] / step
        np.testing.assert_allclose(gram[:, k, p], slope, rtol=1e-5, atol=1e-7 * np.abs(slope).max())


@pytest.mark.parametrize("mode", ["static", "laminar_flow"])
def test_the_metric_takes_each_bin_with_its_own_model(mode):
    problem, _ = problem_of(mode)
    values = np.array([*TRUTH[mode], *np.full(8, 0.3), *np.full(8, 1.0)])
    metric = SpeckleMetric.at(problem, values, np.full(8, 1.0))
    sums = metric.sums(values[: len(problem.names)])
    for k in range(8):
        alone = SpeckleMetric.at(*_only(problem, values, k))
        np.testing.assert_allclose(sums[k], alone.sums(values[: len(problem.names)])[0], rtol=1e-9)
        np.testing.assert_allclose(metric.gram(values[: len(problem.names)])[k], alone.gram(TRUTH[mode])[0], rtol=1e-7)


def _only(problem, values, k):
    """The problem of one bin, its values, and shot noise."""
    data, p = problem.record, len(problem.names)
    about = {name: getattr(data, name)[[k]] for name in ("c2", "raw_diagonal", "phi", "q", "sigma")}
    mode = "laminar_flow" if p == 7 else "static"
    rest = {"dt": DT, "frames": data.frames, "stator_rotor_gap": GAP, "source": "a", "source_sha256": "b"}
    one = make_problem(Correlations(**about, **rest), per_angle_scaling("individual", data.phi[[k]]), Model(mode))
    # The same centre, which the sums with the data count from.
    one = replace(one, data=replace(one.data, centre=problem.data.centre))
    return one, np.array([*values[:p], values[p + k], values[p + 8 + k]]), np.full(1, 1.0)


def test_a_power_of_q_is_found_and_one_that_is_held_moves_the_decay():
    problem, _ = problem_of("static", q_exponent=None, power=1.2)
    fit = fit_nlsq(problem, n_starts=16, seed=1)
    assert problem.names[-1] == "q_exponent"
    # Four sigma: a chance of 6e-5 in one draw of fixed seed.
    assert fit.value("q_exponent") == pytest.approx(1.2, abs=4 * fit.errors[3])
    assert fit.errors[3] < 0.3
    held, _ = problem_of("static", q_exponent=1.2, power=1.2)
    brownian, _ = problem_of("static", power=1.2)
    pairs = held.n_points
    assert held.cost(TRUTH["static"]) / pairs == pytest.approx(1.0, abs=4 * np.sqrt(2 / pairs))
    # Worse by more than four standard deviations of the power.
    assert brownian.cost(TRUTH["static"]) > held.cost(TRUTH["static"]) + 16.0


def test_modes_of_scaling_act_within_a_group():
    data = record("static")
    groups = data.bins.groups
    assert [list(group) for group in groups] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    constant = per_angle_scaling("constant", data.phi, np.arange(8.0), np.ones(8), groups=groups)
    np.testing.assert_array_equal(constant.fixed[0], np.repeat([0.5, 2.5, 4.5, 6.5], 2))
    averaged = per_angle_scaling("auto", np.tile([0.0, 40.0, 80.0], 2), groups=[np.arange(3), np.arange(3, 6)])
    assert averaged.names == [f"{what}_group{k}" for what in ("contrast", "offset") for k in (0, 1)]
    np.testing.assert_array_equal(averaged.expand(np.array([0.1, 0.2, 1.0, 2.0]))[0], np.repeat([0.1, 0.2], 3))
    waves = per_angle_scaling(
        "fourier", np.tile([0.0, 40.0, 80.0], 2), fourier_order=1, groups=[np.arange(3), np.arange(3, 6)]
    )
    assert waves.names[:3] == ["contrast_c0_group0", "contrast_cos1_group0", "contrast_sin1_group0"]
    single = per_angle_scaling("individual", data.phi, groups=groups)
    assert single.names == per_angle_scaling("individual", data.phi).names

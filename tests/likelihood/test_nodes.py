"""Nodes stand for all pairs: sums and derivatives against slow loops over the pairs, with and without gaps."""

import numpy as np
import pytest
import reference
from white_noise import TRUTH, on_every_pair, problem_of

from homodyne_lib.likelihood.exact_sums import exact_sums
from homodyne_lib.model.kernels import g1_total
from homodyne_lib.model.layouts import PairLayout

PHI = (-40.0, 30.0, 60.0)
SOME = np.delete(np.arange(1, 57), [0, 3, 20, 21, 22, 40])  # frames that there are


def case(mode, convention="spec", frames=None):
    """Problem, c2, and g1² of every pair from the slow reference, as a function of the parameters."""
    problem, c2 = problem_of(mode, convention=convention, phi=PHI, n=56, frames=frames)
    numbers = np.arange(56) if frames is None else frames - frames[0]
    # Times count from the first frame that there is; the integrals run over missing frames too.
    time = np.maximum(0.1 * np.arange(numbers[-1] + 1), 0.05)
    earlier, later = np.triu_indices(numbers.size, 1)

    def u(params):
        g1 = reference.g1_total(params, time, PHI, 0.0054, 2e6, 0.1, convention)
        return g1[:, numbers[earlier], numbers[later]] ** 2

    return problem, c2[:, earlier, later] - problem.data.centre, u


CASES = [("static", "spec", None), ("static", "spec", SOME), ("laminar_flow", "spec", None)]
CASES += [("laminar_flow", "published", None), ("laminar_flow", "spec", SOME)]


@pytest.mark.parametrize(("mode", "convention", "frames"), CASES)
def test_sums_are_those_of_a_loop_over_the_pairs(mode, convention, frames):
    problem, y, u_of = case(mode, convention, frames)
    params = np.array(TRUTH[mode]) * 1.1
    u = u_of(params)
    expected = np.stack([(u * u).sum(axis=1), u.sum(axis=1), (u * y).sum(axis=1)], axis=1)
    exact = exact_sums(problem, params[None])[0]
    np.testing.assert_allclose(exact, expected, rtol=1e-11)
    # What the sums of u y may miss is measured by the sizes of u and y, as noise makes them cancel.
    size = np.stack([expected[:, 0], expected[:, 1], np.linalg.norm(u, axis=1) * np.linalg.norm(y, axis=1)], axis=1)
    every = on_every_pair(problem)
    for nodes, tolerance in (
        (problem.nodes, 1e-6),
        (problem.nodes_of(12), 1e-4),
        (every.nodes, 1e-11),
    ):
        assert np.abs((nodes.sums(params) - expected) / size).max() < tolerance
    assert problem.nodes_of(12).weight.size < problem.nodes.weight.size < every.nodes.weight.size
    assert problem.nodes_of(12).weight.sum() == pytest.approx(y.shape[1], rel=1e-12)


@pytest.mark.parametrize(("mode", "convention", "frames"), CASES)
def test_the_gram_matrix_is_that_of_all_pairs_one_by_one(mode, convention, frames):
    """Slopes of every pair by complex steps."""
    problem, y, _ = case(mode, convention, frames)
    experiment, params = problem.experiment, np.array(TRUTH[mode]) * 1.1
    earlier, later = (experiment.frames[place] for place in np.triu_indices(experiment.frames.size, 1))
    layout = PairLayout(experiment.time, earlier, later, np.array(PHI)[:, None])

    def u_of(params):
        return g1_total(params, layout, *experiment.factors_of(0), convention) ** 2

    u = np.broadcast_to(u_of(params), y.shape)
    slopes = [np.broadcast_to(u_of(params + 1e-30j * step).imag / 1e-30, y.shape) for step in np.eye(params.size)]
    columns = np.stack([*slopes, u, np.ones_like(u), y], axis=1)
    expected = columns[:, :-1] @ columns.mT
    size = np.linalg.norm(columns, axis=2)
    size = size[:, :-1, None] * size[:, None]
    for nodes, tolerance in ((problem.nodes, 1e-5), (on_every_pair(problem).nodes, 1e-11)):
        assert np.abs((nodes.gram(params) - expected) / size).max() < tolerance


def test_the_gram_matrix_holds_the_sums():
    problem, _, _ = case("laminar_flow")
    params = np.array(TRUTH["laminar_flow"])
    gram = problem.nodes.gram(params)
    np.testing.assert_allclose(gram[:, 7, 7:], problem.nodes.sums(params), rtol=1e-12)
    np.testing.assert_allclose(gram[:, 8, 8:], problem.data.y_moments[:, :2], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(gram[:, :, :-1], np.swapaxes(gram[:, :, :-1], 1, 2), rtol=1e-9)


def test_a_floor_has_no_slope():
    """D(t) and the shear rate are held at 1e-10 late in the record, and at the second vector everywhere."""
    problem, _, _ = case("laminar_flow")
    for params in ([3e3, 0.4, -4e3, 1e-3, -0.3, -4e-4, 3.0], [10.0, 0.4, -4e3, 1e-5, -0.3, -4e-4, 3.0]):
        params = np.array(params)
        sums = problem.nodes.gram(params)[:, :7, 8]
        numeric = reference.central_difference(lambda p: problem.nodes.sums(p)[:, 1], params, 1e-6)
        # Sums of 10³ are good to 10⁻¹³, and so differences over steps of 10⁻⁶ to 10⁻⁷. A step also moves the age at which a
        # rate meets its floor.
        np.testing.assert_allclose(sums, numeric, rtol=2e-2, atol=1e-6 * (1.0 + np.abs(numeric).max()))

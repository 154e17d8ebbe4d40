"""Merged frames of long records, against loops over their pairs."""

import numpy as np
import pytest
from records import make_record

from homodyne_lib.likelihood import merged_frames as module
from homodyne_lib.likelihood.merged_frames import merged_frames
from homodyne_lib.likelihood.problem import make_problem
from homodyne_lib.model import kernels
from homodyne_lib.model.frames import MOST_FRAMES, merge_size
from homodyne_lib.model.model import Model
from homodyne_lib.model.scaling import per_angle_scaling

PARAMS = np.array([900.0, -0.3, 80.0, 2e-3, 0.1, 1e-4, 4.0])
NUMBERS = np.array([3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17])
MEMBERS = [(0, 1, 2), (5, 6, 7), (8, 9, 10), (11, 12, 13)]  # rows; 6 and 7 stand alone before the gap


@pytest.mark.parametrize(("n", "size"), [(3, 1), (1500, 1), (1501, 3), (4500, 3), (4501, 5), (8000, 7), (20000, 15)])
def test_as_few_frames_as_needed_are_merged(n, size):
    assert merge_size(n) == size
    assert n / size <= MOST_FRAMES


@pytest.fixture
def problem(monkeypatch):
    monkeypatch.setattr("homodyne_lib.model.frames.MOST_FRAMES", 5)
    record = make_record(2, NUMBERS.size, frames=NUMBERS, stator_rotor_gap=2e6, sigma=np.array([0.3, 0.6]))
    return make_problem(record, per_angle_scaling("individual", record.phi), Model("laminar_flow"))


def u_of(problem, k, i, j):
    """g1² of two rows; the model's own place on the time axis."""
    frames = problem.experiment.frames
    layout = problem.experiment.layout_of(k, frames[[i]], frames[[j]])
    return kernels.g1_total(PARAMS, layout, *problem.experiment.factors_of(k), problem.model.convention)[0] ** 2


def test_merged_frames_are_means_less_what_the_model_says_of_them(problem):
    values = np.concatenate([PARAMS, [0.3, 0.2, 1.1, 1.0]])
    contrast, _ = problem.scaling.expand(values[7:])
    raw = 2.0 + np.random.default_rng(2).random((2, NUMBERS.size))
    merged, diagonal = merged_frames(problem, values, raw)
    assert merged.record.frames.tolist() == [4, 10, 13, 16]
    assert merged.experiment.frames.tolist() == [1, 7, 10, 13]
    np.testing.assert_array_equal(merged.record.sigma, problem.record.sigma / 3)
    for k in range(2):
        whole = problem.record.c2[k].copy()
        np.fill_diagonal(whole, raw[k])
        for a, first in enumerate(MEMBERS):
            for b, second in enumerate(MEMBERS):
                pairs = [(i, j) for i in first for j in second]
                apart = np.mean([u_of(problem, k, *pair) for pair in pairs]) - u_of(problem, k, first[1], second[1])
                expected = np.mean([whole[pair] for pair in pairs]) - contrast[k] * apart
                found = diagonal[k, a] if a == b else merged.record.c2[k, a, b]
                assert found == pytest.approx(expected, rel=1e-12)


def test_the_model_of_merged_frames_counts_from_the_first_frame_of_the_record(problem):
    """Where all frames are there, the model of two merged frames is that of their middle frames."""
    values = np.concatenate([PARAMS, [0.3, 0.2, 1.1, 1.0]])
    merged, _ = merged_frames(problem, values)
    frames, whole = merged.experiment.frames, problem.experiment
    layout = merged.experiment.layout_of(0, frames[:1], frames[1:2])
    found = kernels.g1_total(PARAMS, layout, *merged.experiment.factors_of(0), merged.model.convention)[0] ** 2
    assert whole.frames[[1, 6]].tolist() == frames[:2].tolist()
    assert found == pytest.approx(u_of(problem, 0, 1, 6), rel=1e-12)


@pytest.mark.parametrize(
    ("diffusion", "strain_rate", "alike"), [(1000.0, 1e-9, True), (2000.0, 1e-9, False), (1000.0, 0.01, False)]
)
def test_only_frames_that_differ_little_are_alike(problem, diffusion, strain_rate, alike):
    """From the first to the last of three frames u falls by q² D 0.2 s, 0.02 or 0.04; a flow makes more of it."""
    assert module.are_alike(problem, [diffusion, 0.0, 0.0, strain_rate, 0.0, 0.0, 90.0]) is alike


@pytest.mark.parametrize(("every", "alike"), [(4, True), (9, False), (3, False)])
def test_gaps_that_leave_few_frames_to_merge_keep_all(monkeypatch, every, alike):
    """Three frames make one: of runs of three all, of runs of eight six, of runs of two none."""
    monkeypatch.setattr("homodyne_lib.model.frames.MOST_FRAMES", 20)
    frames = np.array([k for k in range(1, 61) if k % every])
    record = make_record(1, frames.size, frames=frames, sigma=np.array([0.3]))
    slow = make_problem(record, per_angle_scaling("individual", record.phi), Model("static"))
    assert module.are_alike(slow, [10.0, 0.0, 0.0]) is alike


def test_a_short_record_stays_as_it_is(problem, monkeypatch):
    monkeypatch.setattr("homodyne_lib.model.frames.MOST_FRAMES", NUMBERS.size)
    raw = np.ones((2, NUMBERS.size))
    same, diagonal = merged_frames(problem, None, raw)
    assert same is problem
    np.testing.assert_array_equal(diagonal, raw)

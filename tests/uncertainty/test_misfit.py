"""A fit that misses something says so, and says what; one that does not keeps silent, whatever its χ²."""

import dataclasses

import numpy as np
import pytest

from homodyne_lib.fitting.nlsq import fit_nlsq
from homodyne_lib.io.correlations import RowBand
from homodyne_lib.likelihood.problem import make_problem
from homodyne_lib.model.model import Model
from homodyne_lib.model.scaling import per_angle_scaling
from homodyne_lib.prepare.entry_noise import estimate_sigma
from homodyne_lib.results.misfit_words import misfit_report
from homodyne_lib.simulation import simulate_speckle_c2
from homodyne_lib.uncertainty.misfit import _apart, examine
from homodyne_lib.uncertainty.residual_sums import neighbour_differences

REST, FLOW = [20000.0, -0.3, 2000.0], [5000.0, -0.5, 500.0, 1e-3, -0.3, 1e-4, 3.0]
THREE, SIX = (-60.0, 0.0, 60.0), tuple(np.arange(-75.0, 105.0, 30.0))
AT_REST = dict(params=REST, phi=THREE, q=0.01, n_frames=60, pixels=3000, modes=3, counts=2.0)
FLOWING = AT_REST | dict(params=FLOW, phi=SIX, q=0.0054, counts=None)


def simulated(seed=7, **how):
    return simulate_speckle_c2(dt=0.1, stator_rotor_gap=2e6, seed=seed, **how)


def fitted(c2, how, phi=None, mode=None, frames=None):
    """Problem and fit, from the truth; what is wrong with the data is known to neither."""
    phi, n_t = np.array(how["phi"] if phi is None else phi), c2.shape[2]
    mode = mode or ("laminar_flow" if len(how["params"]) == 7 else "static")
    frames = np.arange(1, n_t + 1) if frames is None else frames
    record = RowBand(np.arange(n_t), c2, phi, how["q"], 0.1, frames, 2e6, estimate_sigma(c2, frames))
    problem = make_problem(record, per_angle_scaling("individual", phi), Model(mode))
    start = dict(zip(problem.names, how["params"], strict=False))
    return problem, fit_nlsq(problem, start=start, n_starts=0)


def said_of(c2, how, **changes):
    problem, fit = fitted(c2, how, **changes)
    return misfit_report(problem, fit, np.arange(101, 101 + c2.shape[2]))


def faded(c2, share):
    fall = np.sqrt(1.0 - share * np.linspace(0.0, 1.0, c2.shape[2]))
    return 1.0 + (c2 - 1.0) * np.outer(fall, fall)


def with_frames(c2, frames, factor):
    """Frames whose speckles have another contrast with those of the others; 0 is a beam that is lost."""
    c2 = c2.copy()
    for cut in (np.s_[:, frames, :], np.s_[:, :, frames]):
        c2[cut] = 1.0 + factor * (c2[cut] - 1.0)
    return c2


def test_a_record_that_is_too_short_to_be_judged_is_not_accused():
    """Ten frames: no row has entries enough to tell its noise."""
    short = slice(0, 10)
    problem, fit = fitted(simulated(1, **AT_REST), AT_REST)
    record = RowBand(
        np.arange(10),
        problem.record.c2[:, short, short],
        problem.experiment.phi,
        AT_REST["q"],
        0.1,
        np.arange(1, 11),
        2e6,
        problem.weight**-0.5,
    )
    few = make_problem(record, problem.scaling, Model("static"))
    said = misfit_report(few, fit, np.arange(1, 11))
    assert not said.detected and said.sentence == "" and set(said.excess.values()) == {0.0}


def test_frames_that_are_missing_are_no_misfit_and_move_no_age():
    """Five frames are not there; then the beam is lost later in the record, at the ages that its frames have."""
    kept = np.delete(np.arange(60), slice(12, 17))
    frames = kept + 1
    good = simulated(1, **AT_REST)
    lost = with_frames(good, slice(30, 40), 0.0)
    for c2, numbers in ((good, []), (lost, list(range(31, 41)))):
        problem, fit = fitted(c2[:, kept][:, :, kept], AT_REST, frames=frames)
        said = misfit_report(problem, fit, frames)
        assert said.frames.tolist() == numbers
        assert said.detected == bool(numbers)
    assert "(age 3 to 3.9 s)" in said.sentence


@pytest.mark.parametrize("seed", [1, 2])
def test_a_lost_beam_is_named_by_its_frames(seed):
    said = said_of(with_frames(simulated(seed, **AT_REST), slice(25, 40), 0.0), AT_REST)
    assert said.detected
    assert said.frames.tolist() == list(range(126, 141))
    assert "Frames 126 to 140 (age 2.5 to 3.9 s) share no speckles with the others at every angle" in said.sentence
    assert "bad_frames" in said.sentence
    assert "drift" not in said.sentence


@pytest.mark.parametrize(("share", "seed"), [(0.7, 1), (0.7, 2), (0.3, 1), (0.3, 2)])
def test_a_contrast_that_falls_is_told_with_its_ages(share, seed):
    said = said_of(faded(simulated(seed, **AT_REST), share), AT_REST)
    assert said.detected
    assert "The contrast is 1." in said.sentence
    assert "at 5.3 to 5.9 s" in said.sentence  # the last part, where it is lowest
    assert "alignment, beam or detector drift" in said.sentence
    assert "bad_frames" not in said.sentence


def test_a_contrast_that_rises_is_told_too():
    c2 = faded(simulated(**AT_REST)[:, ::-1, ::-1], 0.7)[:, ::-1, ::-1]
    assert "drift" in said_of(c2, AT_REST).sentence


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_an_offset_that_changes_is_seen_where_the_decay_is_over_within_a_frame(seed):
    """The contrast of the fit is then any number; K of the noise ends at 1."""
    how = AT_REST | dict(q=0.045)
    good = simulated(seed, **how)
    part = np.where(np.arange(60) % 15 < 7, 0.007, -0.008)
    for c2, seen in ((good, False), (good + part[:, None] + part, True)):
        problem, fit = fitted(c2, how)
        found = examine(problem, fit.values, np.isfinite(fit.errors[:3]))
        assert found.found["offset"] == seen, (problem.scaling.expand(fit.values[3:])[0], found.excess)


def test_long_records_of_few_pixels():
    """200 frames are taken in groups of three."""
    how = AT_REST | dict(n_frames=200, pixels=2000)
    c2 = simulated(**how)
    assert not said_of(c2, how).detected
    assert "drift" in said_of(faded(c2, 0.3), how).sentence
    assert said_of(with_frames(c2, slice(100, 110), 0.0), how).frames.tolist() == list(range(201, 211))


@pytest.mark.parametrize(
    ("factor", "words"), [(0.0, "shares no speckles"), (1.5, "stands apart"), (2.0, "stands apart")]
)
def test_a_single_frame_is_named(factor, words):
    said = said_of(with_frames(simulated(**AT_REST), slice(30, 31), factor), AT_REST)
    assert said.frames.tolist() == [131]
    assert f"Frame 131 (age 3 s) {words}" in said.sentence


def test_a_flow_that_the_model_leaves_out_is_guessed():
    said = said_of(simulated(**FLOWING), FLOWING, mode="static")
    assert "try analysis_mode laminar_flow" in said.sentence
    assert len(said.angles)


def test_an_angle_of_another_matrix_is_named():
    c2 = simulated(**FLOWING)
    wrong = np.array(SIX)
    wrong[[0, 3]] = wrong[[3, 0]]
    said = said_of(c2, FLOWING, phi=wrong)
    assert "angles and matrices do not belong together" in said.sentence
    assert set(wrong[[0, 3]]) & set(said.angles)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_level_that_drifts_is_not_taken_for_a_lost_beam(seed):
    """The decay is over within a frame, so that a frame shows hardly any contrast. The level drifts by 0.06."""
    fast = AT_REST | {"params": [480_000.0, 0.0, 0.0]}
    age = np.add.outer(*2 * (np.linspace(0.0, 0.5, 60),))
    said = said_of(simulated(seed, **fast) + 0.06 * age, fast)
    assert said.detected and "level of c2 changes with age" in said.sentence
    assert "bad_frames" not in said.sentence


def said_of_bins(c2, q, repeat):
    """Of bins at three angles for each of the q and numbers of files."""
    phi, n_t = np.tile(THREE, len(q)), c2.shape[2]
    frames, sigma = np.arange(1, n_t + 1), estimate_sigma(c2, np.arange(1, n_t + 1))
    record = RowBand(np.arange(n_t), c2, phi, np.repeat(q, 3), 0.1, frames, None, sigma, np.repeat(repeat, 3))
    problem = make_problem(record, per_angle_scaling("individual", phi, groups=record.bins.groups), Model("static"))
    fit = fit_nlsq(problem, start=dict(zip(problem.names, REST, strict=True)), n_starts=0)
    return misfit_report(problem, fit, frames)


@pytest.mark.parametrize(
    ("faster", "q", "repeat", "where", "reason"),
    [
        (slice(6, 9), (0.006, 0.008, 0.01), (0, 0, 0), "q = 0.01 1/Å", "dynamics depend on q by another law"),
        (slice(6, 9), (0.01, 0.01, 0.01), (0, 1, 2), "file 3", "the sample changed between the files"),
        (
            slice(7, 8),
            (0.006, 0.008, 0.01),
            (0, 0, 0),
            "q = 0.01 1/Å, phi = 0 deg",
            "dynamics depend on q by another law",
        ),
    ],
)
def test_bins_of_several_q_and_files_are_named(faster, q, repeat, where, reason):
    """Twice the diffusion in some bins."""
    hows = [AT_REST | {"params": params} for params in (REST, [40000.0, -0.3, 4000.0])]
    c2, other = (np.concatenate([simulated(seed=k, **how | {"q": q[k]}) for k in range(3)]) for how in hows)
    c2[faster] = other[faster]
    said = said_of_bins(c2, q, repeat)
    assert f" at {where}" in said.sentence
    assert f"as where {reason} or there is a flow." in said.sentence
    assert set(said.angles) <= set(THREE)


def test_a_decay_of_two_kinds_is_no_matter_of_the_angles():
    """Half of the contrast decays a hundred times slower, and no power law does that."""
    how = AT_REST | dict(params=[1e5, 0.0, 0.0], n_frames=100)
    c2 = 0.5 * (simulated(**how) + simulated(8, **how | dict(params=[1000.0, 0.0, 0.0])))
    said = said_of(c2, how | dict(params=REST))
    assert "The decay has another course over the lag than the model" in said.sentence
    assert "angle to angle" not in said.sentence


def test_the_reasons_are_those_of_the_angles_that_show_them():
    """The other angles feel what 15 lost frames do to D; they are not what is to be looked at."""
    c2 = simulated(**AT_REST)
    c2[1] = with_frames(c2, slice(10, 25), 0.0)[1]
    said = said_of(c2, AT_REST)
    assert said.angles.tolist() == [0.0]
    assert "Frames 111 to 125 (age 1 to 2.4 s) share no speckles with the others at φ = 0 deg" in said.sentence
    assert "flow" not in said.sentence


GOOD = {
    "photons": AT_REST,
    "no photons": AT_REST | dict(counts=None),
    "a tenth of a photon": AT_REST | dict(counts=0.1),
    "ten photons": AT_REST | dict(counts=10.0),
    "few pixels": AT_REST | dict(pixels=200),
    "one mode": AT_REST | dict(pixels=300, modes=1, counts=10.0),
    "ten modes": AT_REST | dict(modes=10),
    "incomplete": AT_REST | dict(params=[2000.0, 0.0, 0.0]),
    "hardly begun": AT_REST | dict(params=[300.0, 0.0, 0.0], counts=None),
    "fast": AT_REST | dict(params=[2e5, -0.3, 2000.0]),
    "flow": FLOWING,
    "flow, photons": FLOWING | dict(pixels=1000, counts=2.0),
    "one angle": AT_REST | dict(phi=(0.0,), n_frames=200, pixels=500),
}


@pytest.mark.parametrize("kind", GOOD)
def test_good_fits_are_left_alone(kind):
    said = said_of(simulated(11, **GOOD[kind]), GOOD[kind])
    assert not said.detected
    assert said.sentence == ""


@pytest.mark.slow
@pytest.mark.parametrize("kind", GOOD)
def test_patterns_are_as_large_as_the_noise_makes_them(kind):
    """No alarm in 20 records of each kind. Where decays end within the record, the mean square over that expected is 1 to
    1.6, as the leading order leaves out cumulants that few modes have; where they do not, to 2. It scatters by some 1.3 from
    record to record, so that the mean of 20 has a standard error of 0.3.
    """
    actual = []
    for seed in range(200, 220):
        problem, fit = fitted(simulated(seed, **GOOD[kind]), GOOD[kind])
        misfit = examine(problem, fit.values, np.isfinite(fit.errors[: len(problem.names)]))
        assert not any(misfit.found.values())
        assert not misfit.apart.any()
        actual.append(list(misfit.excess.values()))
    assert np.all(np.mean(actual, axis=0) < 2.5)
    assert np.mean(actual) > 0.5


def test_independent_noise_is_left_alone_too():
    c2 = simulated(**AT_REST | dict(pixels=2 * 10**4, counts=None))
    noise = np.triu(0.02 * np.random.default_rng(0).standard_normal(c2.shape), 1)
    assert not said_of(c2 + noise + np.swapaxes(noise, 1, 2), AT_REST).detected


def test_what_the_fit_takes_away_is_not_missed():
    """Scores of the patterns after the fit do not move with anything that the fit could have followed."""
    problem, fit = fitted(simulated(**AT_REST), AT_REST)
    free = np.ones(3, dtype=bool)
    exact = examine(problem, fit.values, free)
    moved = fit.values + 1e-3 * np.abs(fit.values) * np.array([1.0, -1.0, 1.0, 1.0, -1.0, 1.0, 1e-3, 1e-3, 1e-3])
    for name, value in examine(problem, moved, free).excess.items():
        # A thousandth of the parameters is a fifth of an error; curvature and the changed noise are second order.
        assert value == pytest.approx(exact.excess[name], rel=0.05)


def test_all_scalings_see_the_same_misfit():
    """Contrast and offset of each angle are taken away, whatever the fit was allowed."""
    c2 = faded(simulated(**AT_REST), 0.5)
    problem, fit = fitted(c2, AT_REST)
    whole = misfit_report(problem, fit, np.arange(60))
    contrast, offset = np.full(3, 1 / 3), np.ones(3)
    start = dict(zip(problem.names, REST, strict=True))
    for mode in ("auto", "constant"):
        other = dataclasses.replace(problem, scaling=per_angle_scaling(mode, problem.experiment.phi, contrast, offset))
        said = misfit_report(other, fit_nlsq(other, start=start, n_starts=0), np.arange(60))
        assert said.detected
        assert said.excess["contrast"] == pytest.approx(whole.excess["contrast"], rel=0.5)


# --- frames that are missing

GAPS = {
    "one gap": np.r_[1:25, 45:91],
    "every other frame": np.arange(1, 91, 2),
    "pairs of frames": np.arange(1, 91)[np.arange(90) % 4 < 2],
    "by chance": np.sort(1 + np.random.default_rng(5).choice(90, 60, replace=False)),
}
LONG = AT_REST | dict(n_frames=90)


def with_gaps(c2, frames):
    return c2[:, frames - 1][:, :, frames - 1]


def said_of_gaps(c2, frames):
    problem, fit = fitted(with_gaps(c2, frames), LONG, frames=frames)
    return misfit_report(problem, fit, frames + 100)


@pytest.mark.parametrize("kind", GAPS)
def test_a_good_fit_with_gaps_is_left_alone(kind):
    assert not said_of_gaps(simulated(11, **LONG), GAPS[kind]).detected


@pytest.mark.parametrize("kind", GAPS)
def test_a_lost_beam_beside_a_gap_is_named_by_its_frames_and_true_ages(kind):
    frames = GAPS[kind]
    said = said_of_gaps(with_frames(simulated(1, **LONG), slice(44, 60), 0.0), frames)
    lost = frames[(frames > 44) & (frames <= 60)]
    assert said.frames.tolist() == (lost + 100).tolist()
    first, last = (f"{0.1 * (frame - frames[0]):.3g}" for frame in (lost[0], lost[-1]))
    assert f"(age {first} to {last} s)" in said.sentence


def test_a_contrast_that_falls_over_a_gap_is_told_with_true_ages():
    frames = GAPS["one gap"]
    sentence = said_of_gaps(faded(simulated(2, **LONG), 0.5), frames).sentence
    assert "drift" in sentence and f"to {0.1 * (frames[-1] - frames[0]):.3g} s" in sentence


def test_neighbours_are_frames_one_interval_apart():
    """Against a slow loop over the pairs of the whole record, in which the entries of missing frames are not a number."""
    frames = GAPS["by chance"] - 1
    whole = np.full((90, 90), np.nan)
    whole[np.ix_(frames, frames)] = np.random.default_rng(0).normal(size=(60, 60))
    expected = []
    for i in range(89):
        pairs = [(whole[i, j] - whole[i + 1, j], whole[i, j + 1] - whole[i + 1, j + 1]) for j in range(i + 5, 89)]
        pairs = [(a, b) for a, b in pairs if np.isfinite(a + b)]
        if len(pairs) >= 8:
            expected.append((np.mean([a**2 for a, _ in pairs]), np.mean([(a - b) ** 2 for a, b in pairs])))
    assert len(expected) > 10
    # Rounding of sums of some tens of terms.
    np.testing.assert_allclose(
        neighbour_differences(whole[np.ix_(frames, frames)], frames, frames, 1), expected, rtol=1e-12
    )


def test_a_line_over_a_gap_is_no_bend():
    frames = GAPS["one gap"]
    noise = 0.01 * np.random.default_rng(0).normal(size=(3, frames.size))
    assert not _apart(frames + noise, frames).any()
    noise[:, 40] += 1.0
    assert np.flatnonzero(_apart(frames + noise, frames)).tolist() == [40]

"""Frames that are not there: left out by the table or found, with true times in every sum, fit, error and figure."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from records import SELECTION, WRITERS, drawn_fit, make_record, read_rows, write_legacy
from report_text.dataset import Dataset
from report_text.tables import provenance_text
from white_noise import SIGMA, TRUTH, on_every_pair, white_noise_data
from workflow_support import ROOT

from homodyne_lib.figures.comparison import angular_decay, compare
from homodyne_lib.figures.data_figures import map_limits
from homodyne_lib.figures.decay_bands import decay_bands
from homodyne_lib.io.canonical_file import read_correlations, write_correlations
from homodyne_lib.io.correlations import Correlations
from homodyne_lib.io.files import read_json
from homodyne_lib.io.frame_selection import parse_bad_frames, select_frames
from homodyne_lib.io.hdf5 import InputError
from homodyne_lib.io.reader import read_two_time, two_time_headers
from homodyne_lib.likelihood.exact_sums import exact_sums
from homodyne_lib.likelihood.problem import make_problem
from homodyne_lib.model import kernels
from homodyne_lib.model.frames import frame_ranges, missing_frames, nearest_lag, pairs_at_lag
from homodyne_lib.model.layouts import numpy_mesh
from homodyne_lib.model.model import Model
from homodyne_lib.model.scaling import per_angle_scaling
from homodyne_lib.prepare.diagonal import apply_diagonal_correction_batch
from homodyne_lib.prepare.entry_noise import estimate_sigma
from homodyne_lib.prepare.quantiles import estimate_scaling_from_matrices
from homodyne_lib.sampling.posterior import ShardPosterior
from homodyne_lib.simulation import simulate_speckle_c2
from homodyne_lib.spec.scaling_utils import estimate_contrast_offset_from_quantiles

sys.path.insert(0, str(ROOT / "workflow" / "scripts"))
import compress
import correct_diagonal
import estimate_scaling
import fit_nlsq
import ingest

PHI = np.array([-40.0, 0.0, 30.0])
Q, L, DT = 0.0054, 2e6, 0.1
# Single frames missing, a run of them, and a frame that stands alone (16).
KEPT = np.array([1, 2, 3, 4, 6, 7, 8, 9, 10, 16, 21, 22, 23, 24, 25, 26, 27])


def gapped(c2, kept, sigma=SIGMA, gap=L):
    """The record of some frames of full matrices."""
    part = np.asarray(c2)[:, kept - 1][:, :, kept - 1]
    raw = np.diagonal(part, axis1=1, axis2=2).copy()
    return Correlations(part, raw, PHI, Q, DT, kept, gap, np.full(len(PHI), sigma), "file.h5", "0" * 64)


def problem_of(record, mode, convention="spec"):
    return make_problem(record, per_angle_scaling("individual", record.phi), Model(mode, convention))


# ---------------------------------------------------------------- the table's notation


def test_bad_frames_are_parsed():
    assert parse_bad_frames("17, 203:210") == ((17, 17), (203, 210))
    assert parse_bad_frames("5:5") == ((5, 5),)
    assert parse_bad_frames("  ") == ()


@pytest.mark.parametrize("text", ["0", "-3", "a", "3:", "1:2:3", "9:4", "4,", "2.0", "1e3", "1-4", "²"])
def test_bad_frames_that_are_none_are_quoted(text):
    with pytest.raises(InputError, match="such as 17,203:210") as caught:
        parse_bad_frames(text)
    assert repr(text.split(",")[-1]) in str(caught.value)


@pytest.mark.parametrize("frames", [[4], [1, 2, 3], [1, 2, 5, 7, 8, 9], [17, *range(203, 211)]])
def test_ranges_are_written_as_they_are_read(frames):
    ranges = parse_bad_frames(frame_ranges(frames))
    assert [n for first, last in ranges for n in range(first, last + 1)] == frames


def test_missing_frames_lie_between_the_first_and_the_last():
    np.testing.assert_array_equal(missing_frames(np.array([3, 4, 7, 9])), [5, 6, 8])
    assert missing_frames(np.array([3, 4, 5])).size == 0


@pytest.mark.parametrize(
    ("window", "bad", "kept"),
    [
        ((1, -1), (), range(1, 11)),
        ((1, -1), ((1, 2), (5, 5), (10, 10)), (3, 4, 6, 7, 8, 9)),
        ((3, 8), ((1, 1), (4, 6)), (3, 7, 8)),
    ],
)
def test_bad_frames_are_taken_out_of_the_window(window, bad, kept):
    numbers = np.arange(1, 11)
    np.testing.assert_array_equal(numbers[select_frames(numbers, *window, bad)], kept)
    there = np.array([1, 3, 6, 7, 8, 10])
    np.testing.assert_array_equal(there[select_frames(there, *window, bad)], np.intersect1d(kept, there))


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (((11, 11),), "bad_frames has 11, but the data have the frames 1 to 10"),
        (((4, 12),), "bad_frames has 4:12, but the data have the frames 1 to 10"),
        (((1, 8),), "leaves 2 of the at least 3 frames"),
    ],
)
def test_bad_frames_must_be_there_and_leave_enough(bad, told):
    with pytest.raises(InputError, match=told):
        select_frames(np.arange(1, 11), 1, -1, bad)


def test_pairs_of_a_lag_are_those_of_a_slow_loop():
    for lag in range(1, 30):
        wanted = [(a, b) for a in range(KEPT.size) for b in range(KEPT.size) if KEPT[b] - KEPT[a] == lag]
        assert list(zip(*(part.tolist() for part in pairs_at_lag(KEPT, lag)), strict=True)) == wanted


@pytest.mark.parametrize(("frames", "wanted", "lag"), [
    (range(9), 4, 4), (range(9), 8, 7), (range(9), 0, 1), ([0, 2, 4, 6, 8], 3, 2), ([0, 1, 2, 10, 11], 6, 9),
])  # fmt: skip
def test_the_nearest_lag_has_two_pairs(frames, wanted, lag):
    assert nearest_lag(np.array(frames), wanted) == lag


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize("layout", WRITERS)
def test_bad_frames_leave_a_gap_and_true_times(tmp_path, layout):
    record = make_record(n_t=9)
    WRITERS[layout](tmp_path / "file.h5", record)
    options = {"start_frame": 2, "bad_frames": ((4, 5), (8, 8))}
    actual = read_two_time(tmp_path / "file.h5", **SELECTION, **options)
    kept = np.array([2, 3, 6, 7, 9])
    np.testing.assert_array_equal(actual.frames, kept)
    np.testing.assert_array_equal(actual.c2, record.c2[:, kept - 1][:, :, kept - 1])
    np.testing.assert_array_equal(actual.raw_diagonal, record.raw_diagonal[:, kept - 1])
    np.testing.assert_array_equal(actual.offsets, [0, 1, 4, 5, 7])
    assert actual.notes == ()  # they were asked for
    assert two_time_headers(tmp_path / "file.h5", wavevector_q=0.01, **options)[0] == (3, 5)


def test_a_window_of_a_canonical_file_is_of_its_frame_numbers(tmp_path):
    record = make_record(n_t=6, frames=np.array([11, 12, 15, 16, 17, 20]), sigma=np.ones(3))
    write_correlations(tmp_path / "c2.h5", record)
    np.testing.assert_array_equal(read_correlations(tmp_path / "c2.h5").frames, record.frames)
    actual = read_two_time(
        tmp_path / "c2.h5", **SELECTION, start_frame=12, end_frame=17, bad_frames=((13, 13), (16, 16))
    )
    np.testing.assert_array_equal(actual.frames, [12, 15, 17])
    np.testing.assert_array_equal(actual.c2, record.c2[:, [1, 2, 4]][:, :, [1, 2, 4]])
    with pytest.raises(InputError, match="window 1 to 21 does not lie in the data, which have the frames 11 to 20"):
        read_two_time(tmp_path / "c2.h5", **SELECTION, end_frame=21)
    with pytest.raises(InputError, match="leaves 1 of the at least 3 frames"):
        read_two_time(tmp_path / "c2.h5", **SELECTION, start_frame=12, end_frame=14)


def lost(c2, frames, value):
    c2 = c2.copy()
    rows = np.array(frames) - 1
    c2[:, rows, :] = c2[:, :, rows] = value
    return c2


@pytest.mark.parametrize("half", [np.triu, np.tril, np.asarray])
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_frames_without_values_are_found_named_and_left_out(tmp_path, value, half):
    c2 = make_record(2, 9).c2
    spoiled = lost(c2, [3, 6, 7], value)
    spoiled[1] = lost(c2, [3], value)[1]  # the others are lost at one angle only
    path = write_legacy(tmp_path / "file.h5", {1: half(spoiled[0]), 2: half(spoiled[1])}, [0.01, 0.01], [0, 90])
    actual = read_two_time(path, **SELECTION)
    kept = np.array([1, 2, 4, 5, 8, 9])
    np.testing.assert_array_equal(actual.frames, kept)
    np.testing.assert_array_equal(actual.c2, c2[:, kept - 1][:, :, kept - 1])
    assert "left out: 3,6:7." in actual.notes[0] and "Time counts" not in actual.notes[0]


def test_a_lost_frame_may_still_have_its_diagonal_and_a_first_one_moves_the_origin(tmp_path):
    c2 = lost(make_record(1, 8).c2, [1, 5], 0.0)
    c2[0, 4, 4] = 1.7
    actual = read_two_time(write_legacy(tmp_path / "file.h5", {1: np.triu(c2[0])}, 0.01, 0.0), **SELECTION)
    np.testing.assert_array_equal(actual.frames, [2, 3, 4, 6, 7, 8])
    np.testing.assert_array_equal(actual.offsets, [0, 1, 2, 4, 5, 6])
    assert "Time counts from frame 2" in actual.notes[0]


def test_an_angle_without_values_and_too_few_frames_are_refused(tmp_path):
    c2 = make_record(2, 6).c2
    c2[1] = np.nan
    path = write_legacy(tmp_path / "one.h5", dict(enumerate(c2, 1)), [0.01, 0.01], [0, 90])
    with pytest.raises(InputError, match="phi = 90 deg holds no value in the frames 1 to 6"):
        read_two_time(path, **SELECTION)
    few = lost(c2[:1], [1, 2, 4, 6], 0.0)[0]
    with pytest.raises(InputError, match=r"leaving out the frames 1:2,4,6, .* leaves 2 of the at least 3"):
        read_two_time(write_legacy(tmp_path / "few.h5", {1: few}, 0.01, 0.0), **SELECTION)


def test_values_lost_here_and_there_stay_an_error(tmp_path):
    c2 = make_record(1).c2[0]
    c2[1, 4] = c2[4, 1] = np.nan
    path = write_legacy(tmp_path / "file.h5", {1: c2}, 0.01, 0.0)
    with pytest.raises(
        InputError, match=r"1 of 28 values .* the first is nan at phi = 0 deg, frames 2 and 5; .*bad_frames"
    ):
        read_two_time(path, **SELECTION)
    assert read_two_time(path, **SELECTION, bad_frames=((5, 5),)).frames.tolist() == [1, 2, 3, 4, 6, 7]


@pytest.mark.parametrize("empty", [0.0, np.nan, np.inf])
@pytest.mark.parametrize("stored", ["upper", "lower"])
def test_a_half_may_be_filled_with_what_is_no_value(tmp_path, stored, empty):
    full = make_record(1).c2[0]
    below = np.tri(7, k=-1, dtype=bool)
    half = np.where(below if stored == "upper" else below.T, empty, full)
    actual = read_two_time(write_legacy(tmp_path / "file.h5", {1: half}, 0.01, 0.0), **SELECTION)
    np.testing.assert_array_equal(actual.c2[0], full)


def test_an_empty_diagonal_is_filled_and_stays_empty_as_raw_one(tmp_path):
    record = make_record(2, 8)
    c2 = record.c2.copy()
    c2[1, range(8), range(8)] = np.nan
    path = write_legacy(tmp_path / "file.h5", dict(enumerate(c2, 1)), [0.01, 0.01], [0, 90])
    actual = read_two_time(path, **SELECTION, bad_frames=((4, 4),))
    assert np.isnan(actual.raw_diagonal[1]).all() and np.isfinite(actual.c2).all()
    np.testing.assert_array_equal(actual.raw_diagonal[0], np.delete(np.diagonal(c2[0]), 3))
    # Frame 3 has one neighbour in time, frame 2.
    assert actual.c2[1, 2, 2] == c2[1, 1, 2] and actual.c2[1, 0, 0] == c2[1, 0, 1]
    write_correlations(tmp_path / "c2.h5", actual)
    np.testing.assert_array_equal(read_two_time(tmp_path / "c2.h5", **SELECTION).raw_diagonal, actual.raw_diagonal)
    c2[1, range(7), range(7)] = 1.5  # one value of it lost is another thing
    with pytest.raises(InputError, match="the first is nan at phi = 90 deg, frames 8 and 8"):
        read_two_time(write_legacy(tmp_path / "two.h5", dict(enumerate(c2, 1)), [0.01, 0.01], [0, 90]), **SELECTION)


@pytest.mark.parametrize(("low", "high"), [(-0.05, 0.4), (0.2, 0.33), (0.0, 0.9)])
def test_c2_without_its_baseline_is_refused_in_words(tmp_path, low, high):
    half = np.triu(np.random.default_rng(1).uniform(low, high, (9, 9)))
    path = write_legacy(tmp_path / "file.h5", {1: half}, 0.01, 0.0)
    with pytest.raises(
        InputError, match=r"without its baseline of 1, as c2 - 1: its median at phi = 0 deg is 0\.\d+\. Add 1"
    ):
        read_two_time(path, **SELECTION)
    write_legacy(tmp_path / "whole.h5", {1: np.where(half, half + 1, 0)}, 0.01, 0.0)
    assert read_two_time(tmp_path / "whole.h5", **SELECTION).frames.size == 9


# ---------------------------------------------------------------- sums over the pairs that there are


@pytest.mark.parametrize("convention", ["spec", "published"])
@pytest.mark.parametrize("mode", ["static", "laminar_flow"])
def test_sums_are_those_of_the_slow_loop_on_the_whole_axis(mode, convention):
    """Of all derivative columns too: they are differences of the loop, good to 1e-8 of a column."""
    params = np.array(TRUTH[mode])
    c2 = 1 + 0.3 * np.random.default_rng(0).random((3, 27, 27))
    problem = problem_of(gapped(c2, KEPT), mode, convention)
    time = DT * np.arange(27)
    exists = np.isin(np.arange(1, 28), KEPT)
    counted = np.triu(np.outer(exists, exists), 1)

    def u_of(p):
        return reference.g1_total(p, time, PHI, Q, L, DT, convention) ** 2

    u, slopes = u_of(params), reference.central_difference(u_of, params)
    nodes = on_every_pair(problem).nodes
    actual = nodes.gram(params)
    p, y = params.size, c2 - problem.data.centre
    for k in range(3):
        rows = np.vstack([slopes[k][counted].T, u[k][counted], np.ones(counted.sum()), y[k][counted]])
        size = np.linalg.norm(rows, axis=1)
        relative = (actual[k] - rows[:-1] @ rows.T) / np.outer(size[:-1], size)
        assert np.abs(relative[p:, p:]).max() < 1e-12
        assert np.abs(relative).max() < 1e-7
    assert problem.n_points == 3 * KEPT.size * (KEPT.size - 1) // 2
    exact = exact_sums(problem, params[None])[0]
    np.testing.assert_allclose(np.asarray(nodes.sums(params)), exact, rtol=1e-12)
    assert nodes.weight.sum() == pytest.approx(counted.sum())


def test_the_gram_matrix_is_that_of_the_whole_record_with_weight_zero_on_lost_pairs():
    mode, n, params = "laminar_flow", 75, np.array(TRUTH["laminar_flow"])
    kept = np.delete(np.arange(1, n + 1), [*range(30, 41), 50, 60])
    c2 = 1 + 0.3 * np.random.default_rng(0).random((3, n, n))
    problem = problem_of(gapped(c2, kept), mode)
    factors = problem.experiment.factors_of(0)
    layout, exists = numpy_mesh(n, PHI, DT), np.isin(np.arange(1, n + 1), kept)
    counted = np.triu(np.outer(exists, exists), 1)

    def u_of(p):
        return jnp.broadcast_to(kernels.g1_total(p, layout, *factors) ** 2, (3, n, n))

    slopes, u = np.asarray(jax.jit(jax.jacfwd(u_of))(jnp.array(params))), np.asarray(u_of(jnp.array(params)))
    actual = on_every_pair(problem).nodes.gram(params)
    for k in range(3):
        rows = np.vstack(
            [slopes[k][counted].T, u[k][counted], np.ones(counted.sum()), c2[k][counted] - problem.data.centre]
        )
        size = np.linalg.norm(rows, axis=1)
        wanted, size = rows[:-1] @ rows.T, np.outer(size[:-1], size)
        np.testing.assert_allclose(actual[k] / size, wanted / size, atol=1e-10)


def test_nodes_are_close_to_the_pass_where_they_are_few():
    kept = np.delete(np.arange(1, 141), range(60, 75))
    c2, _ = white_noise_data("laminar_flow", n=140, phi=PHI)
    problem, params = problem_of(gapped(c2, kept), "laminar_flow"), np.array(TRUTH["laminar_flow"])
    nodes = problem.nodes_of(8)
    assert nodes.weight.size < 0.3 * kept.size**2 / 2
    exact = exact_sums(problem, params[None])[0]
    # As on records without a gap: fineness 8 gives sums to about 1e-5 (tests/likelihood/test_nodes.py).
    np.testing.assert_allclose(np.asarray(nodes.sums(params))[:, :2], exact[:, :2], rtol=1e-4)


def test_two_shards_add_up_to_the_whole_record(tmp_path):
    kept = np.delete(np.arange(1, 61), range(28, 34))
    c2, _ = white_noise_data("static", phi=PHI)
    record, params = gapped(c2, kept), np.array(TRUTH["static"])
    write_correlations(tmp_path / "c2.h5", record)
    whole = problem_of(record, "static")
    shards = [problem_of(read_rows(tmp_path / "c2.h5", slice(k, -1, 2)), "static") for k in range(2)]
    assert sum(shard.n_points for shard in shards) == whole.n_points
    u = [exact_sums(part, params[None])[0, :, :2] for part in (*shards, whole)]
    np.testing.assert_allclose(u[0] + u[1], u[2], rtol=1e-12)
    # What consensus adds up: -2 log density as a quadratic form of the scaling coefficients.
    values = np.array([*params, *(0.3 + 0.01 * np.arange(3)), *(1.0 + 0.002 * np.arange(3))])
    shards = [ShardPosterior(shard, values, 2) for shard in shards]
    alone = ShardPosterior(whole, values, 1)
    x = alone.coordinates.from_params(params)
    np.testing.assert_array_equal(shards[0].coordinates.time, alone.coordinates.time)
    assert alone.coordinates.time.size == 60

    def form(posterior):
        problem = posterior.problem
        sums = exact_sums(problem, params[None])[0]
        matrix, right, rest = posterior.density.shard.quadratic(jnp.array(x), sums)
        return np.asarray(matrix), np.asarray(right), np.asarray(rest)

    for first, second, both in zip(form(shards[0]), form(shards[1]), form(alone), strict=True):
        np.testing.assert_allclose(first + second, both, rtol=1e-6, atol=1e-6 * np.max(np.abs(both)))


# ---------------------------------------------------------------- before and after the fit


def spread_out(c2, kept, n):
    """Matrices of some frames on the whole axis, NaN where a frame is missing."""
    whole = np.full((len(c2), n, n), np.nan)
    whole[np.ix_(range(len(c2)), kept - 1, kept - 1)] = c2
    return whole


def test_the_noise_is_that_of_entries_of_equal_lag():
    """Against polynomials fitted along the diagonals of the whole matrix, where lost entries are NaN."""
    n, kept = 40, np.delete(np.arange(1, 41), [10, 11, 12, 25])
    c2, _ = white_noise_data("static", n=n, phi=PHI)
    part = gapped(c2, kept).c2
    residuals = []
    for lag in range(1, n):
        along = np.diagonal(spread_out(part, kept, n), lag, axis1=1, axis2=2)
        there = np.isfinite(along[0])
        if there.sum() >= 15:
            age = np.log(np.flatnonzero(there) + 0.5)
            fit = np.polynomial.Polynomial.fit
            scatter = [row[there] - fit(age, row[there], 4)(age) for row in along]
            residuals.append(np.abs(scatter) * np.sqrt(there.sum() / (there.sum() - 5)))
    expected = 1.4826 * np.median(np.concatenate(residuals, axis=1), axis=1)
    np.testing.assert_allclose(estimate_sigma(part, kept), expected, rtol=1e-9)
    # Three angles of some 400 entries: a median deviation is good to 6 %; four of that.
    np.testing.assert_allclose(estimate_sigma(part, kept), SIGMA, rtol=0.25)


def test_noise_without_enough_equal_lags_is_refused():
    rare = np.cumsum(np.arange(1, 21))  # no two pairs of neighbours are equally far apart
    with pytest.raises(ValueError, match="no 15 pairs are equally far apart"):
        estimate_sigma(np.random.default_rng(0).random((1, 20, 20)), rare)


def test_quantiles_of_the_scaling_know_true_lags():
    kept = np.delete(np.arange(1, 61), range(20, 40))
    c2, _ = white_noise_data("static", phi=PHI)
    record = gapped(c2, kept)
    i, j = np.triu_indices(kept.size, 1)
    contrast, offset, _ = estimate_scaling_from_matrices(record.c2, record.phi, frames=record.frames)
    for k in range(3):
        expected = estimate_contrast_offset_from_quantiles(record.c2[k, i, j], DT * (kept[j] - kept[i]))
        np.testing.assert_allclose((contrast[k], offset[k]), expected, rtol=1e-12)
    assert np.abs(estimate_scaling_from_matrices(record.c2)[0] - contrast).max() > 1e-4  # rows are no lags


@pytest.mark.parametrize("backend", ["numpy", "jax"])
@pytest.mark.parametrize("method", ["basic", "statistical", "interpolation"])
def test_the_diagonal_beside_a_gap_comes_from_its_own_side(method, backend):
    kept = np.array([1, 2, 3, 7, 11, 12, 13, 14])
    c2 = make_record(2, 8).c2
    actual = np.asarray(apply_diagonal_correction_batch(c2, method, backend, frames=kept))
    off = ~np.eye(8, dtype=bool)
    np.testing.assert_array_equal(actual[:, off], c2[:, off])
    diagonal = np.diagonal(actual, axis1=1, axis2=2)
    for rows in (slice(0, 3), slice(4, 8)):
        alone = np.asarray(apply_diagonal_correction_batch(c2[:, rows, rows], method, backend))
        np.testing.assert_allclose(diagonal[:, rows], np.diagonal(alone, axis1=1, axis2=2), rtol=1e-15)
    # Frame 7 stands alone: it takes the entries that join it to frames 3 and 11.
    np.testing.assert_allclose(diagonal[:, 3], 0.5 * (c2[:, 3, 2] + c2[:, 3, 4]), rtol=1e-15)
    whole = np.asarray(apply_diagonal_correction_batch(c2, method, backend, frames=np.arange(4, 12)))
    np.testing.assert_allclose(whole, np.asarray(apply_diagonal_correction_batch(c2, method, backend)), rtol=1e-15)


@pytest.mark.parametrize("frames", [[1, 2, 3], [1, 3, 2, 4]])
def test_the_diagonal_wants_one_rising_number_a_row(frames):
    with pytest.raises(ValueError, match="frames must be 4 numbers that rise"):
        apply_diagonal_correction_batch(np.ones((1, 4, 4)), frames=frames)


# ---------------------------------------------------------------- figures


def fit_file(n_phi=3):
    return drawn_fit(dict(zip(NAMES, TRUTH["laminar_flow"], strict=True)), [0.3, 0.31, 0.32], [1.0, 1.002, 1.004])


NAMES = ("D0", "alpha", "D_offset", "gamma_dot_t0", "beta", "gamma_dot_t_offset", "phi0")


@pytest.fixture(scope="module")
def compared():
    kept = np.delete(np.arange(1, 61), [*range(20, 29), 40])
    c2, _ = white_noise_data("laminar_flow", phi=PHI)
    record = gapped(c2, kept)
    return c2, record, compare(record, fit_file(), 200), spread_out(record.c2, kept, 60)


def test_maps_show_a_gap_as_an_empty_stripe_at_its_time(compared):
    _, record, actual, whole = compared
    missing = missing_frames(record.frames) - 1
    assert actual.duration == pytest.approx(59 * DT) and actual.data.shape == (3, 60, 60)
    np.testing.assert_array_equal(actual.data, whole)
    for shown in (actual.data, actual.model, actual.residual):
        assert np.isnan(shown[:, missing]).all() and np.isnan(shown[:, :, missing]).all()
    time = DT * np.arange(60)
    oracle = reference.g2(np.array(TRUTH["laminar_flow"]), time, PHI, Q, L, [0.3, 0.31, 0.32], [1.0, 1.002, 1.004], DT)
    there = np.isfinite(whole)
    # To the floor of the model, 1e-10 in g1.
    np.testing.assert_allclose(actual.model[there], oracle[there], atol=1e-9)
    upper = actual.data[:, *np.triu_indices(60, 1)]
    # The colours are those of the entries that there are.
    np.testing.assert_allclose(map_limits(actual.data), np.quantile(upper[np.isfinite(upper)], [0.005, 0.995]))
    coarse = compare(record, fit_file(), 30)
    assert coarse.block == 2 and np.isnan(coarse.data[:, 10:14]).all() and np.isfinite(coarse.data[:, 19]).any()


def test_profiles_and_decays_are_means_over_the_pairs_that_there_are(compared):
    _, _, actual, whole = compared
    scaled = (whole[1] - 1.002) / 0.31
    lags = np.round(actual.lag / DT, 6)
    for k in np.flatnonzero(np.isin(lags, [1, 3])):
        lag = int(lags[k])
        for window, (first, last) in enumerate(np.round(actual.ages / DT).astype(int)):
            entries = [scaled[row, row + lag] for row in range(first, last + 1) if row + lag < 60]
            if np.isfinite(entries).any():
                assert actual.data_decay[1, window, k] == pytest.approx(np.nanmean(entries))
            else:
                assert np.isnan(actual.data_decay[1, window, k])
        residual = np.diagonal(actual.residual[1], lag)
        assert actual.lag_profile[1, k] == pytest.approx(np.nanmean(residual))
        assert actual.lag_entries[k] == np.isfinite(residual).sum()
    # The third window, 0.40 to 0.50 of the record, lies at frames 24 to 29 from zero; 20 to 28 are missing.
    np.testing.assert_allclose(actual.ages[2], [29 * DT, 29 * DT])
    np.testing.assert_allclose(actual.age_profile[2, 0], np.nanmean(actual.residual[2][:2][np.triu_indices(2, 0, 60)]))
    i, j = np.triu_indices(60, 1)
    i, j = i[j < 59], j[j < 59]
    first, second = actual.residual[:, i, j], actual.residual[:, i, j + 1]
    both = np.isfinite(first * second)
    assert actual.neighbours == pytest.approx(np.sum((first * second)[both]) / np.sum(first[both] ** 2))
    # 3 × 1176 independent residuals.
    assert abs(actual.neighbours) < 4 / np.sqrt(3 * 1176)
    assert np.abs(actual.lag_profile * np.sqrt(actual.lag_entries)).max() < 5
    assert np.abs(actual.age_profile * np.sqrt(actual.age_entries)).max() < 5


def test_a_window_of_age_without_a_frame_is_left_out():
    kept = np.delete(np.arange(1, 61), range(8, 14))  # the second window, 0.15 to 0.20, is gone
    c2, _ = white_noise_data("laminar_flow", phi=PHI)
    record = gapped(c2, kept)
    actual = compare(record, fit_file(), 200)
    assert np.isnan(actual.data_decay[:, 1]).all() and np.isfinite(actual.data_decay[:, [0, 2]]).any(axis=2).all()
    draws = {name: np.full(20, value) for name, value in zip(NAMES, TRUTH["laminar_flow"], strict=True)}
    scaling = np.tile([0.3, 0.31, 0.32], (20, 1)), np.tile([1.0, 1.002, 1.004], (20, 1))
    bands = decay_bands(record, fit_file(), actual, draws, scaling)
    # Draws that are all as the fit have bands of no width about it, and none where there is no pair.
    np.testing.assert_allclose(bands, np.stack(2 * [actual.model_decay]), atol=1e-9)
    angular = angular_decay(record, fit_file(), actual)
    assert np.isfinite(angular.data).all() and np.isfinite(angular.error).all()


def test_the_decay_over_the_angle_takes_pairs_of_a_true_lag(compared):
    _, record, actual, whole = compared
    angular = angular_decay(record, fit_file(), actual)
    for k, lag in enumerate(np.round(angular.lags / DT).astype(int)):
        mean = np.nanmean(np.diagonal(whole[2], lag))
        assert angular.data[k, 2] == pytest.approx((mean - 1.004) / 0.32)
        model = np.diagonal(actual.model[2], lag)
        assert angular.model[k, -1] == pytest.approx((np.nanmean(model) - 1.004) / 0.32)


def test_every_other_frame_is_a_record_too():
    """No two frames are consecutive: no lag is odd, and no neighbour on the diagonal is one in time."""
    kept = np.arange(1, 61, 2)
    c2, _ = white_noise_data("laminar_flow", phi=PHI)
    record = gapped(c2, kept)
    actual = compare(record, fit_file(), 200)
    assert np.isfinite(actual.lag_profile).all() and actual.lag[0] == pytest.approx(2 * DT)
    assert np.isfinite(angular_decay(record, fit_file(), actual).data).all()
    assert estimate_sigma(record.c2, kept) == pytest.approx(SIGMA, rel=0.3)
    assert problem_of(record, "laminar_flow").experiment.time.size == 59


def test_the_report_counts_frames_and_times(compared):
    _, record, _, _ = compared
    header = {name: getattr(record, name) for name in ("frames", "dt", "source", "source_sha256")}
    results = Dataset("gapped", header, None, None, None, None)
    assert results.frames_in_words == "50 of 60 frames"
    np.testing.assert_array_equal(results.times, DT * np.arange(60))
    facts = provenance_text(results, {"commit": "", "versions": {}, "command": "", "row": "", "config": ""})
    assert "| frames used | 1 to 60 without 21:29,41 |" in facts
    whole = Dataset("whole", header | {"frames": np.arange(4, 64)}, None, None, None, None)
    assert whole.frames_in_words == "60 frames"


# ---------------------------------------------------------------- the stages


def test_stages_pass_a_gap_on_from_the_table_to_the_calibration(tmp_path):
    """Two frames taken out by the table, one found without values, the diagonal empty: as a record that is made by hand."""
    c2 = simulate_speckle_c2(
        [2e4, -0.3, 2e3], PHI, q=0.01, dt=0.1, n_frames=40, pixels=2000, modes=3, counts=2.0, seed=1
    )
    kept = np.delete(np.arange(1, 41), [9, 10, 24])
    expected = gapped(c2.astype("f4"), kept, gap=None)
    spoiled = lost(c2, [25], np.nan)
    spoiled[:, range(40), range(40)] = np.nan
    write_legacy(
        tmp_path / "a.h5", {k: np.triu(matrix).astype("f4") for k, matrix in enumerate(spoiled, 1)}, [0.01] * 3, PHI
    )
    row = {"format": "auto", "wavevector_q": 0.01, "q_tolerance": 0.02, "phi_ranges": "", "dt": 0.1}
    row |= {"start_frame": 1, "end_frame": -1, "bad_frames": "10:11"}
    said, at = [], {name: tmp_path / f"{name}.h5" for name in ("ingested", "c2")}
    ingest.ingest(tmp_path / "a.h5", at["ingested"], row, (), said.append)
    correct_diagonal.correct_diagonal(at["ingested"], at["c2"], "statistical")
    record = read_correlations(at["c2"])
    np.testing.assert_array_equal(record.frames, kept)
    off = ~np.eye(37, dtype=bool)
    np.testing.assert_array_equal(record.c2[:, off], expected.c2[:, off])
    np.testing.assert_array_equal(record.sigma, estimate_sigma(expected.c2, kept))
    assert np.isnan(record.raw_diagonal).all() and np.isfinite(record.c2).all()
    assert [line for line in said if "left out: 25." in line]
    names = {name: tmp_path / f"{name}.json" for name in ("scaling", "nlsq", "calibration")}
    estimate_scaling.estimate_scaling(at["c2"], names["scaling"], said.append)
    settings = {"start": {}, "fixed": {}, "bounds": {}, "starts": 8, "max_evaluations": 200}
    settings |= {"per_angle_mode": "individual", "fourier_order": 1, "shear_convention": "spec", "seed": 0}
    compress.compress_file(at["c2"], tmp_path / "nodes.npz", said.append)
    fit_nlsq.fit(
        SimpleNamespace(c2=at["c2"], nodes=tmp_path / "nodes.npz", scaling=names["scaling"]),
        SimpleNamespace(nlsq=names["nlsq"], calibration=names["calibration"]),
        calibration={"estimator": "speckle"},
        threads=1,
        analysis_mode="static",
        progress=said.append,
        **settings,
    )
    fit, calibration = read_json(names["nlsq"]), read_json(names["calibration"])
    assert fit["n_points"] == 3 * 37 * 36 // 2 and fit["converged"]
    assert calibration["counts"] is None and "diagonal was replaced or is empty" in calibration["note"]
    # D at mid-record, within four of its own errors.
    rate, error = rate_with_error(fit, calibration, 2.0)
    assert abs(rate - (2e4 * 2.0**-0.3 + 2e3)) < 4 * error


def rate_with_error(fit, calibration, time):
    """D at a time, and its calibrated error."""
    d0, alpha, offset = (entry["value"] for entry in fit["parameters"].values())
    slopes = np.array([time**alpha, d0 * time**alpha * np.log(time), 1.0])
    matrix = np.array(calibration["covariance"]["matrix"])[:3, :3]
    return d0 * time**alpha + offset, np.sqrt(slopes @ matrix @ slopes)

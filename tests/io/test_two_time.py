"""Two-time files: what is read equals a slow loop over the file, for every layout and selection."""

from __future__ import annotations

import hashlib
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from records import SELECTION, WRITERS, assert_same, make_record, write_legacy

from homodyne_lib.io.bin_selection import in_phi_ranges, normalise_phi, parse_phi_ranges
from homodyne_lib.io.correlations import InputError
from homodyne_lib.io.formats.aps_legacy import APS_LEGACY, write_aps_legacy
from homodyne_lib.io.formats.aps_u import APS_U, write_aps_u
from homodyne_lib.io.reader import read_two_time, two_time_headers

COLLOID = Path(__file__).parents[2] / "config/data/skbeam_colloid_100f_twotime.h5"
COLLOID_DT = 0.00130068  # [s] as the file states it


def slow_matrix(path: Path, name: str) -> np.ndarray:
    """The stored upper triangle mirrored value by value."""
    with h5py.File(path) as file:
        half = file[name][()]
    full = np.empty_like(half)
    for i in range(len(half)):
        for j in range(i, len(half)):
            full[i, j] = full[j, i] = half[i, j]
    return full


# --- what is read


def test_the_real_file_is_read_as_a_slow_loop_reads_it():
    record = read_two_time(COLLOID, wavevector_q=0.0101, dt=COLLOID_DT, stator_rotor_gap=2e6)
    with h5py.File(COLLOID) as file:
        q, phi = file["xpcs/dqlist"][0], file["xpcs/dphilist"][0]
    bins = [k for k in range(len(q)) if abs(q[k] - 0.0101) <= 0.02 * 0.0101]
    assert len(bins) == 11
    np.testing.assert_array_equal(record.phi, phi[bins])
    np.testing.assert_array_equal(record.c2, [slow_matrix(COLLOID, f"exchange/C2T_all/g2_{k + 1:05d}") for k in bins])
    np.testing.assert_array_equal(record.raw_diagonal, [np.diagonal(matrix) for matrix in record.c2])
    np.testing.assert_array_equal(record.frames, range(1, 101))
    assert record.c2.dtype == np.float32 and record.frames.dtype == np.int64
    assert record.q == pytest.approx(np.mean(q[bins]), rel=1e-15)
    assert (record.dt, record.stator_rotor_gap, record.sigma) == (COLLOID_DT, 2e6, None)
    assert (record.source, record.notes) == (COLLOID.name, ())
    assert record.source_sha256 == hashlib.sha256(COLLOID.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("q", "n_phi"),
    [
        (0.0042, 6),
        (0.00523, 9),
        (0.00611, 9),
        (0.00701, 9),
        (0.00809, 10),
        (0.01005, 11),
        (0.01123, 11),
        (0.01262, 11),
    ],
)
def test_each_ring_of_the_real_file_has_its_sectors(q, n_phi):
    assert two_time_headers(COLLOID, wavevector_q=q)[0] == (n_phi, 100)  # 76 bins in all


@pytest.mark.parametrize(
    ("layout", "dtype"), [*product(WRITERS, ["f4", "f8"]), ("aps-legacy", ">f4"), ("aps-u", ">f8")]
)
def test_all_layouts_give_back_the_record(tmp_path, layout, dtype):
    record = make_record(dtype=dtype)
    WRITERS[layout](tmp_path / "file.h5", record)
    for format in ("auto", layout):
        actual = read_two_time(tmp_path / "file.h5", format=format, **SELECTION)
        assert_same(actual, make_record(dtype=dtype.lstrip(">")), "source", "source_sha256")


def test_speckle_sim_is_read_as_aps_legacy(tmp_path):
    write_aps_legacy(tmp_path / "file.h5", make_record())
    actual = read_two_time(tmp_path / "file.h5", format="speckle-sim", **SELECTION)
    assert_same(actual, make_record(), "source", "source_sha256")


def test_legacy_bins_follow_the_number_in_the_name(tmp_path):
    c2 = make_record().c2
    phi = [0.0, 170.0, 200.0, -30.0]  # 200 is -160
    path = write_legacy(tmp_path / "file.h5", {4: c2[0], 2: c2[1], 3: c2[2]}, [0.01] * 4, phi)
    actual = read_two_time(path, **SELECTION)
    np.testing.assert_array_equal(actual.phi, [-160, -30, 170])
    np.testing.assert_array_equal(actual.c2, c2[[2, 0, 1]])


def test_aps_u_bins_are_rows_of_the_grid_and_follow_the_list(tmp_path):
    c2 = make_record().c2
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file[APS_U["q"]], file[APS_U["phi"]] = [0.02, 0.01], [80.0, -10.0, 35.0]
        file[APS_U["bins"]] = [6, 2, 4]  # (0.01, 35), (0.02, -10), (0.01, 80)
        for name, matrix in zip(("c2_00001", "c2_00002", "c2_00007"), c2, strict=True):
            file[f"{APS_U['matrices']}/{name}"] = np.triu(matrix)
    actual = read_two_time(tmp_path / "file.h5", **SELECTION)
    np.testing.assert_array_equal(actual.phi, [35, 80])
    np.testing.assert_array_equal(actual.c2, c2[[0, 2]])


def test_halves_and_full_matrices_give_the_same(tmp_path):
    full = make_record(1, dtype="f4").c2[0]
    rounded = full * (1 + 1e-6 * np.tri(7, k=-1, dtype="f4"))  # the lower triangle summed in another order
    for stored in (np.triu(full), np.tril(full), full, rounded):
        path = write_legacy(tmp_path / "file.h5", {1: stored}, 0.01, 0.0)
        np.testing.assert_array_equal(read_two_time(path, **SELECTION).c2[0], full)


def test_the_diagonal_need_not_be_positive(tmp_path):
    full = make_record(1).c2[0]
    np.fill_diagonal(full, 0)
    path = write_legacy(tmp_path / "file.h5", {1: np.triu(full)}, 0.01, 0.0)
    np.testing.assert_array_equal(read_two_time(path, **SELECTION).c2[0], full)


# --- selection


def test_of_several_rings_the_nearest_bin_is_kept_at_each_angle():
    middle = 0.01064  # between two rings, so that either is the nearer one at some angles
    record = read_two_time(COLLOID, wavevector_q=middle, q_tolerance=0.06, dt=COLLOID_DT)
    with h5py.File(COLLOID) as file:
        q, phi = file["xpcs/dqlist"][0], file["xpcs/dphilist"][0]
    within = [k for k in range(len(q)) if abs(q[k] - middle) <= 0.06 * middle]
    kept = [min((k for k in within if phi[k] == angle), key=lambda k: abs(q[k] - middle)) for angle in set(phi[within])]
    kept.sort(key=lambda k: phi[k])
    assert len(within) == 22 and len(kept) == 11 and np.ptp(q[kept]) > 0.001
    np.testing.assert_array_equal(record.phi, phi[kept])
    expected = [slow_matrix(COLLOID, f"exchange/C2T_all/g2_{k + 1:05d}") for k in kept]
    np.testing.assert_array_equal(record.c2, expected)
    rings, spread = record.notes
    assert "0.01005" in rings and "0.01123" in rings and "11 were left out" in rings
    assert f"{q[kept].mean():.4g} 1/Å, stands for all" in spread


def test_angles_of_a_sector_may_differ_a_little_between_rings_and_across_180(tmp_path):
    c2 = make_record(4).c2
    path = write_legacy(
        tmp_path / "file.h5",
        dict(enumerate(c2, 1)),
        [0.0101, 0.01, 0.01, 0.0101],
        [5.0, 5.04, 179.97, -179.98],
    )
    actual = read_two_time(path, **SELECTION)
    np.testing.assert_array_equal(actual.phi, [5.04, 179.97])
    np.testing.assert_array_equal(actual.c2, c2[[1, 2]])


def test_a_spread_of_q_is_noted(tmp_path):
    record = make_record(2)
    path = write_legacy(tmp_path / "file.h5", dict(enumerate(record.c2, 1)), [0.01, 0.0101], [0.0, 90.0])
    actual = read_two_time(path, **SELECTION)
    assert actual.q == pytest.approx(0.01005, rel=1e-15)
    assert "0.01 to 0.0101 1/Å (1 %)" in actual.notes[0]


@given(
    phi=st.integers(-179, 180),
    ranges=st.lists(st.tuples(st.integers(-400, 400), st.integers(-400, 400)), max_size=3),
)
@example(phi=5, ranges=[(-180, 180)])
@example(phi=5, ranges=[(0, 360)])
def test_phi_ranges_are_arcs_walked_upwards(phi, ranges):
    visited = set() if ranges else set(range(360))
    for low, high in ranges:
        while high < low:
            high += 360
        visited |= {degree % 360 for degree in range(low, high + 1)}
    assert in_phi_ranges(np.array([phi]), ranges)[0] == (phi % 360 in visited)


@given(phi=st.floats(-3600, 3600))
@example(phi=np.nextafter(180, 181))
def test_normalised_angles_are_the_same_direction(phi):
    folded = normalise_phi(phi)
    assert -180 < folded <= 180
    # 360 has an ulp of 6e-14, 3600 one of 5e-13
    assert abs((phi - folded) / 360 - round((phi - folded) / 360)) < 1e-12
    assert normalise_phi(folded) == folded and (folded == phi or not -180 < phi <= 180)


def test_phi_ranges_are_parsed():
    assert parse_phi_ranges("-10:10, 85.5:95") == ((-10.0, 10.0), (85.5, 95.0))
    assert parse_phi_ranges("170:-170") == ((170.0, -170.0),)
    assert parse_phi_ranges("  ") == ()


@pytest.mark.parametrize("text", ["45", "1:2:3", "a:b", "10:", "0:10,", "nan:5", "0:inf"])
def test_bad_phi_ranges_are_quoted(text):
    with pytest.raises(InputError, match="min:max in degrees") as caught:
        parse_phi_ranges(text)
    assert repr(text.split(",")[-1]) in str(caught.value)


def test_phi_ranges_select_angles():
    actual = read_two_time(COLLOID, wavevector_q=0.0101, dt=COLLOID_DT, phi_ranges=((150, -130), (15, 45)))
    np.testing.assert_array_equal(actual.phi, [-165, -135, 15, 45, 165])


@pytest.mark.parametrize(("start", "end", "rows"), [(1, -1, (0, 7)), (3, 6, (2, 6)), (5, 7, (4, 7))])
@pytest.mark.parametrize("layout", WRITERS)
def test_a_window_is_one_based_and_inclusive(tmp_path, layout, start, end, rows):
    record = make_record()
    WRITERS[layout](tmp_path / "file.h5", record)
    window = {"start_frame": start, "end_frame": end}
    actual = read_two_time(tmp_path / "file.h5", **SELECTION, **window)
    cut = slice(*rows)
    np.testing.assert_array_equal(actual.c2, record.c2[:, cut, cut])
    np.testing.assert_array_equal(actual.raw_diagonal, record.raw_diagonal[:, cut])
    np.testing.assert_array_equal(actual.frames, range(start, rows[1] + 1))
    assert two_time_headers(tmp_path / "file.h5", wavevector_q=0.01, **window)[0] == actual.raw_diagonal.shape


@pytest.mark.parametrize(
    ("start", "end", "told"),
    [
        (0, -1, "window 0 to -1 .* frames 1 to 7"),
        (1, 8, "window 1 to 8 .* frames 1 to 7"),
        (5, 5, "window 5 to 5 .* frames 1 to 7"),
        (6, 2, "window 6 to 2 .* frames 1 to 7"),
        (1, -2, "window 1 to -2 .* frames 1 to 7"),
        (6, -1, "window 6 to -1 holds fewer than 3 frames"),
    ],
)
def test_a_window_outside_the_data_is_refused(tmp_path, start, end, told):
    write_aps_u(tmp_path / "file.h5", make_record())
    with pytest.raises(InputError, match=told):
        read_two_time(tmp_path / "file.h5", **SELECTION, start_frame=start, end_frame=end)


def test_only_what_was_asked_for_is_looked_at(tmp_path):
    c2 = make_record(2).c2
    c2[0, :2] = c2[0, :, :2] = np.nan
    path = write_legacy(
        tmp_path / "file.h5", {1: c2[0], 2: c2[1], 3: np.full((2, 5), -1)}, [0.01, 0.01, 0.02], [0, 90, 0]
    )
    np.testing.assert_array_equal(read_two_time(path, **SELECTION, start_frame=3).c2, c2[:, 2:, 2:])
    np.testing.assert_array_equal(read_two_time(path, **SELECTION, phi_ranges=((80, 100),)).c2, c2[1:])


@pytest.mark.parametrize("shape", [(), (1, 1)])
@pytest.mark.parametrize("layout", [APS_LEGACY, APS_U])
def test_another_frame_time_in_the_file_is_noted(tmp_path, layout, shape):
    writer = write_aps_u if layout is APS_U else write_aps_legacy
    writer(tmp_path / "file.h5", make_record())
    with h5py.File(tmp_path / "file.h5", "a") as file:
        for key, value in {"frame_time": 0.005, "stride": 2, "average": 5}.items():
            del file[layout[key]]
            file[layout[key]] = np.full(shape, value, dtype="f4")
    assert read_two_time(tmp_path / "file.h5", wavevector_q=0.01, dt=0.0503).notes == ()
    actual = read_two_time(tmp_path / "file.h5", wavevector_q=0.01, dt=0.0506)
    assert actual.dt == 0.0506 and "dt = 0.0506 s" in actual.notes[0] and "0.05 s" in actual.notes[0]

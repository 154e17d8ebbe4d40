"""Files of the facilities' own programs, and variants of their layouts: the right matrices, q and angles, or a sentence."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from records import SELECTION, make_record
from scipy.io import savemat

import homodyne_lib
from homodyne_lib.io.correlations import InputError
from homodyne_lib.io.formats.registry import FORMATS, open_catalogue
from homodyne_lib.io.reader import read_two_time

FACILITY = Path(__file__).parents[1] / "data" / "facility"
CHX, ID02 = FACILITY / "chx_ang_Res.h5", FACILITY / "esrf_id02_v2.h5"
SKBEAM, CORRELATOR = FACILITY / "skbeam_two_time.h5", FACILITY / "esrf_xpcs_correlator.h5"
DT = 0.00130068  # [s] of the movie from which all four were computed
COLUMN, ROW, PIXEL, DISTANCE, WAVELENGTH = 143.17, 132.30, 0.108e-3, 2.230, 1.546  # px, px, m, m, Å: its README
SINGLE = 6e-8  # float64 against the same numbers rounded to float32, between 1 and 2


def slow_q_phi(mask: np.ndarray) -> tuple[float, float]:
    """Mean q [1/Å] and direction [deg] of the pixels of a mask; counter-clockwise with row 0 on top."""
    q, x, y = [], [], []
    for row, column in np.argwhere(mask):
        angle = -math.atan2(row - ROW, column - COLUMN)
        radius = PIXEL * math.hypot(row - ROW, column - COLUMN)
        q.append(4 * math.pi / WAVELENGTH * math.sin(math.atan(radius / DISTANCE) / 2))
        x.append(math.cos(angle))
        y.append(math.sin(angle))
    return float(np.mean(q)), math.degrees(math.atan2(np.mean(y), np.mean(x)))


def copy(source: Path, folder: Path) -> Path:
    return Path(shutil.copy(source, folder / source.name))


def refused(path: Path, **asked: object) -> str:
    """The sentence a reading is refused with."""
    with pytest.raises(InputError) as caught:
        read_two_time(path, **{"wavevector_q": 0.0055, "dt": DT} | asked)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    return str(caught.value)


# --- pyCHX


@pytest.mark.parametrize("q", [0.0055, 0.00676])
def test_pychx_bins_have_the_q_angle_and_matrix_of_their_pixels(q):
    record = read_two_time(CHX, wavevector_q=q, dt=DT)
    with h5py.File(CHX) as file:
        labels, g12b = file["roi_mask"][()], file["g12b"][()]
    truth = [slow_q_phi(labels == k + 1) for k in range(12)]
    bins = sorted((k for k in range(12) if abs(truth[k][0] - q) < 0.02 * q), key=lambda k: truth[k][1])
    assert len(bins) == (9 if q == 0.0055 else 3)  # '10' and '11', which sort before '2' as text, are among them
    np.testing.assert_allclose(record.phi, [truth[k][1] for k in bins], atol=1e-9)  # rounding of 360
    assert record.q == pytest.approx(np.mean([truth[k][0] for k in bins]), rel=1e-6)
    # Its two halves are sums in another order, and one is kept.
    np.testing.assert_allclose(record.c2, np.moveaxis(g12b, -1, 0)[bins], atol=1e-15)
    assert record.notes == ()
    assert "states a frame time of 0.00130068 s" in read_two_time(CHX, wavevector_q=q, dt=0.1).notes[0]


def chx(folder: Path, *, lists=None, geometry: str | None = "saxs", pixels: bool = True, **metadata: object) -> Path:
    """The file with other lists or metadata; `lists` maps those of its bins, shape (12, 2)."""
    path = copy(CHX, folder)
    with h5py.File(path, "a") as file:
        listed = file["qval_dict"].attrs
        values = np.array([listed[str(k)] for k in range(12)])
        for k, value in enumerate([] if lists is None else lists(values)):
            listed[str(k)] = value
        del file["md"].attrs["scat_geometry"]
        if geometry is not None:
            file["md"].attrs["scat_geometry"] = geometry
        file["md"].attrs.update(metadata)
        if not pixels:
            del file["roi_mask"]
    return path


def test_pychx_lists_in_another_order_than_the_pixel_map_are_not_believed(tmp_path):
    good = read_two_time(CHX, wavevector_q=0.0055, dt=DT)
    path = chx(tmp_path, lists=lambda values: values.reshape(2, 6, 2).swapaxes(0, 1).reshape(12, 2))
    actual = read_two_time(path, wavevector_q=0.0055, dt=DT)
    np.testing.assert_allclose(actual.phi, good.phi, atol=0.01)
    np.testing.assert_array_equal(actual.c2, good.c2)
    assert "contradict its pixels" in actual.notes[0]


@pytest.mark.parametrize(
    "metadata", [{"det_distance": 2.23}, {"det_distance": np.array([2230])}, {"wavelength": "None"}]
)
def test_pychx_units_and_odd_metadata_change_nothing(tmp_path, metadata):
    path = chx(tmp_path, lists=lambda values: values[::-1], **metadata)  # so that the pixels must be used
    actual, good = (read_two_time(one, wavevector_q=0.0055, dt=DT) for one in (path, CHX))
    np.testing.assert_allclose(actual.phi, good.phi, atol=0.01)


def test_pychx_lists_that_count_the_other_way_round_are_seen_from_the_pixels(tmp_path):
    good = read_two_time(CHX, wavevector_q=0.0055, dt=DT)
    actual = read_two_time(chx(tmp_path, lists=lambda values: values * [1, -1]), wavevector_q=0.0055, dt=DT)
    np.testing.assert_array_equal(actual.phi, good.phi)
    np.testing.assert_array_equal(actual.c2, good.c2)
    assert actual.notes == ()


def test_pychx_without_pixel_map_takes_its_lists_with_angles_the_other_way_round(tmp_path):
    good = read_two_time(CHX, wavevector_q=0.0055, dt=DT)
    actual = read_two_time(chx(tmp_path, pixels=False), wavevector_q=0.0055, dt=DT)
    np.testing.assert_array_equal(actual.phi, good.phi)
    np.testing.assert_array_equal(actual.c2, good.c2)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"geometry": "gi_saxs"}, "the geometry is gi_saxs: bins lie in q_r and q_z"),
        ({"geometry": None, "pixels": False}, "unknown whether the second is an angle or q_z"),
        ({"geometry": None, "lists": lambda values: values[::-1]}, "may be q_z as well"),
    ],
)
def test_pychx_second_numbers_that_may_be_q_z_are_refused(tmp_path, changes, told):
    assert told in refused(chx(tmp_path, **changes))


def test_pychx_lists_that_lack_a_bin_are_refused(tmp_path):
    path = chx(tmp_path)
    with h5py.File(path, "a") as file:
        del file["qval_dict"].attrs["10"]
    assert "of the bins 0 to 11; it lacks 10." in refused(path)


def ring_file(folder: Path, q=(0.01, 0.02), n: int = 7) -> Path:
    """A pyCHX file of whole rings: one number a bin, no pixel map."""
    path = folder / "rings.h5"
    with h5py.File(path, "w") as file:
        file["g12b"] = np.moveaxis(make_record(len(q), n).c2, 0, -1)
        file.create_dataset("qval_dict", (1,), "i4").attrs.update({str(k): [value] for k, value in enumerate(q)})
    return path


def test_a_whole_ring_needs_no_angle_at_rest(tmp_path):
    record = read_two_time(ring_file(tmp_path), **SELECTION)
    np.testing.assert_array_equal(record.c2, make_record(2).c2[:1])
    assert record.phi.tolist() == [0.0] and "no direction" in record.notes[0] and "means nothing" in record.notes[0]


def test_a_whole_ring_is_refused_where_angles_matter(tmp_path):
    assert "a flow (stator_rotor_gap is given) needs angles" in refused(
        ring_file(tmp_path), wavevector_q=0.01, stator_rotor_gap=2e6
    )
    assert "a choice by phi_ranges needs angles" in refused(
        ring_file(tmp_path), wavevector_q=0.01, phi_ranges=((-10, 10),)
    )
    several = ring_file(tmp_path, (0.01, 0.0101))
    assert "2 bins at q = 0.01, 0.0101 1/Å have no direction" in refused(several, wavevector_q=0.01)


# --- ESRF


def test_id02_directions_equal_what_pychx_computed_from_the_same_movie():
    window = {"start_frame": 11, "end_frame": 19}  # nine frames: the lags that have cells of their own
    actual = read_two_time(ID02, wavevector_q=0.0055, dt=DT, **window)
    other = read_two_time(CHX, wavevector_q=0.0055, dt=DT, **window)
    with h5py.File(ID02) as file:
        groups = [file[f"entry_0000/correlations/direction_000{k}"] for k in (1, 4)]
        truth = [slow_q_phi(group["roi_masks"][0]) for group in groups]
        q = [group["parameters/q"][0] / 10 for group in groups]  # 1/nm
    np.testing.assert_allclose(actual.phi, [phi for _, phi in truth], atol=1e-9)
    assert actual.q == pytest.approx(np.mean(q), rel=1e-12) == pytest.approx(np.mean([q for q, _ in truth]), rel=1e-6)
    matching = [int(np.argmin(np.abs(other.phi - phi))) for phi in actual.phi]
    np.testing.assert_allclose(actual.c2, other.c2[matching], atol=SINGLE)
    assert (
        len(actual.notes) == 1
        and actual.notes[0].startswith("1 of the bins at q = ")
        and "whole ring" in actual.notes[0]
    )


def test_id02_pairs_beyond_the_single_lags_are_not_made_up():
    assert "single pairs of frames up to a lag of 8 frames, and averages beyond" in refused(ID02)
    # A window of so few frames would be refused too.
    assert "a window" not in refused(ID02, start_frame=1, end_frame=10)


def id02(folder: Path, change) -> Path:
    path = copy(ID02, folder)
    with h5py.File(path, "a") as file:
        change(file["entry_0000"])
    return path


def test_id02_ring_alone_serves_at_rest(tmp_path):
    def only_full(entry):
        del entry["correlations/direction_0001"], entry["correlations/direction_0004"]

    path = id02(tmp_path, only_full)
    record = read_two_time(path, wavevector_q=0.0055, dt=DT, end_frame=9)
    assert record.phi.tolist() == [0.0] and "no direction" in record.notes[0]
    assert "needs angles" in refused(path, stator_rotor_gap=2e6)


def test_id02_without_a_beam_centre_tells_no_angle(tmp_path):
    def without(entry):
        del entry["parameters/beam_center_1"]

    assert "3 bins at q = " in refused(id02(tmp_path, without))


def test_id02_beam_centre_that_does_not_fit_its_masks_is_not_believed(tmp_path):
    def moved(entry):
        entry["parameters/beam_center_1"][()] = 120.0
        del entry["correlations/full"], entry["correlations/direction_0004"]

    record = read_two_time(id02(tmp_path, moved), wavevector_q=0.0055, dt=DT, end_frame=9)
    assert "does not fit its masks" in record.notes[0] and "no direction" in record.notes[1]


def test_id02_lists_of_another_length_are_refused(tmp_path):
    def longer(entry):
        del entry["correlations/full/parameters/q"]
        entry["correlations/full/parameters/q"] = [0.05, 0.06, 0.07]

    assert "full lists 3 q, but" in refused(id02(tmp_path, longer))


def age_lag(c2: np.ndarray, n_age: int, n_lag: int, age_of=lambda i, j: (i + j) / 2) -> np.ndarray:
    """Mean of all pairs of each cell, as xpcs-correlator bins them: equal bins of age over 0 to N - 1; NaN without a pair."""
    n = len(c2)
    cells: list[list[list[float]]] = [[[] for _ in range(n_lag)] for _ in range(n_age)]
    for i in range(n):
        for j in range(i, min(n, i + n_lag)):
            cells[min(int(age_of(i, j) * n_age / (n - 1)), n_age - 1)][j - i].append(c2[i, j])
    return np.array([[np.mean(cell) if cell else np.nan for cell in row] for row in cells])


def correlator(folder: Path, cells: np.ndarray, n: int, *, age=None, lag=None) -> Path:
    """Results of xpcs-correlator over age and lag, one bin, in frames."""
    path = folder / "correlator.h5"
    with h5py.File(path, "w") as file:
        file["ttcf"], file["ttcf_format"] = cells[None], "age,lag"
        file["age"] = (0.5 + np.arange(cells.shape[0])) * (n - 1) / cells.shape[0] if age is None else age
        file["lag"] = np.arange(cells.shape[1]) * 1.0 if lag is None else lag
    return path


@pytest.mark.parametrize(("start", "end"), [(1, 12), (1, 11), (4, 12), (3, 7)])
def test_age_and_lag_become_two_times(tmp_path, start, end):
    n, c2 = 12, make_record(1, 12).c2[0]
    path = correlator(tmp_path, age_lag(c2, n - 1, n), n)
    record = read_two_time(path, **SELECTION, start_frame=start, end_frame=end)
    expected = c2.copy()
    expected[[-1, -2], [-1, -2]] = (c2[-1, -1] + c2[-2, -2]) / 2  # one cell holds both
    np.testing.assert_array_equal(record.c2[0], expected[start - 1 : end, start - 1 : end])


def test_nan_at_the_ends_of_the_axes_does_not_count(tmp_path):
    n, c2 = 12, make_record(1, 12).c2[0]
    cells = np.pad(age_lag(c2, n - 1, n), ((0, 2), (0, 3)), constant_values=np.nan)
    axes = {"age": np.r_[np.arange(11) + 0.5, np.nan, np.nan], "lag": np.r_[np.arange(12.0), [np.nan] * 3]}
    record = read_two_time(correlator(tmp_path, cells, n, **axes), **SELECTION)
    np.testing.assert_array_equal(np.triu(record.c2[0], 1), np.triu(c2, 1))


@pytest.mark.parametrize(
    ("make", "axes", "told"),
    [
        (lambda c2: age_lag(c2, 6, 12), {}, "averages of several pairs"),
        (lambda c2: age_lag(c2, 12, 12), {}, "averages of several pairs"),
        (lambda c2: age_lag(c2, 11, 12, lambda i, j: i), {}, "ages are not the means of two times"),
        (lambda c2: age_lag(c2, 11, 12), {"lag": np.r_[0:9, 9.25, 11, 14]}, "up to a lag of 8 frames"),
        (lambda c2: age_lag(c2, 11, 12), {"lag": np.arange(1.0, 13)}, "lag must begin with 0"),
        (lambda c2: age_lag(c2, 11, 12), {"lag": np.arange(11.0)}, "11 ages and 11 lags"),
    ],
)
def test_cells_that_are_no_single_pairs_are_refused(tmp_path, make, axes, told):
    path = correlator(tmp_path, make(make_record(1, 12).c2[0]), 12, **axes)
    assert told in refused(path, wavevector_q=0.01)


def dynamix(path, c2):
    """Two matrices of 12 frames at q = 0.02 and 0.01 1/Å."""
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry_0000/dynamix/correlations")
        entry["q_index_min_max"] = [[3, 0.08, 0.12], [1, 0.28, 0.32], [2, 0.18, 0.22]]  # 1/nm, in any order
        two_times = entry.create_group("directions/direction_0000/2times_correlation")
        entry["directions/direction_0000/q_index"] = [2, 3]
        two_times["ttcf"] = [age_lag(matrix, 11, 12) for matrix in c2]
        two_times["age"], two_times["timeshift"] = (np.arange(11) + 0.5) * 0.1, np.arange(12)[:, None] * 0.1


def test_dynamix_files_have_q_in_the_middle_of_a_ring_by_its_index(tmp_path):
    record = make_record(2, 12)
    dynamix(tmp_path / "v1.h5", record.c2)
    for k, q in enumerate((0.02, 0.01)):
        actual = read_two_time(tmp_path / "v1.h5", wavevector_q=q, dt=0.1)
        np.testing.assert_array_equal(np.triu(actual.c2[0], 1), np.triu(record.c2[k], 1))
        assert actual.q == pytest.approx(q, rel=1e-12) and len(actual.notes) == 1  # 0.1 s is the file's own dt
    with h5py.File(tmp_path / "v1.h5", "a") as file:
        file["entry_0000/dynamix/correlations/directions/direction_0000/q_index"][()] = [2, 4]
    assert "does not name a ring" in refused(tmp_path / "v1.h5")


# --- files without q and angle


@pytest.mark.parametrize(("source", "name"), [(SKBEAM, "g2"), (CORRELATOR, "ttcf")])
def test_several_matrices_without_q_come_in_by_write_c2(tmp_path, source, name):
    told = refused(source)
    assert f"{name} holds 4 matrices" in told and "homodyne_lib.write_c2(path, c2, phi=…, q=…, dt=…)" in told
    good = read_two_time(CHX, wavevector_q=0.0055, dt=DT)
    with h5py.File(CHX) as file:
        phi = [slow_q_phi(file["roi_mask"][()] == k + 1)[1] for k in range(4)]
    with h5py.File(source) as file:
        homodyne_lib.write_c2(tmp_path / "c2.h5", file[name][()], phi=phi, q=0.0055, dt=DT)
    actual = read_two_time(tmp_path / "c2.h5", wavevector_q=0.0055, dt=DT)
    matching = [int(np.argmin(np.abs(good.phi - angle))) for angle in actual.phi]
    np.testing.assert_allclose(actual.c2, good.c2[matching], atol=SINGLE)


def test_xpcs_correlator_halves_of_its_chunked_mode_are_those_of_its_reference(tmp_path):
    with h5py.File(CORRELATOR) as file, h5py.File(tmp_path / "one.h5", "w") as one:
        one["ttcf"], one["ttcf_format"], full = file["chunked_ttcf"][:1], "t1,t2", file["ttcf"][0]
    actual = read_two_time(tmp_path / "one.h5", wavevector_q=0.0055, dt=DT)
    np.testing.assert_allclose(actual.c2[0], full, atol=2.5e-7)  # sums in float32
    assert actual.q == 0.0055 and "q = 0.0055 1/Å was used as configured" in actual.notes[0]


def test_xpcs_correlator_format_that_is_unknown_is_refused(tmp_path):
    with h5py.File(tmp_path / "one.h5", "w") as one:
        one["ttcf"], one["ttcf_format"] = make_record(1).c2, "q,t"
    assert "the format 'q,t'" in refused(tmp_path / "one.h5")


def test_one_time_results_of_scikit_beam_are_refused(tmp_path):
    with h5py.File(tmp_path / "one.h5", "w") as one:
        one["g2"], one["lag_steps"] = np.ones((20, 3)), np.arange(20)
    assert "g2 has the shape (20, 3)" in refused(tmp_path / "one.h5")


@pytest.mark.parametrize("shape", [(7, 7), (7, 7, 1), (1, 7, 7)])
@pytest.mark.parametrize("format", ["auto", "numpy"])
def test_one_matrix_of_numpy_takes_its_q_from_the_table(tmp_path, shape, format):
    c2 = make_record(1).c2
    np.save(tmp_path / "one.npy", c2.reshape(shape))
    actual = read_two_time(tmp_path / "one.npy", format=format, **SELECTION, start_frame=2)
    np.testing.assert_array_equal(actual.c2, c2[:, 1:, 1:])
    assert actual.q == 0.01 and "q = 0.01 1/Å was used as configured" in actual.notes[0]


def half_of_a_file(path: Path) -> None:
    np.save(path, np.ones((50, 50)))
    path.write_bytes(path.read_bytes()[:5000])


def open_bracket(path: Path) -> None:
    np.save(path, np.ones((7, 7)))
    path.write_bytes(path.read_bytes().replace(b"(7, 7)", b"(7, 7("))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (open_bracket, "cannot be read"),
        (lambda path: np.save(path, np.ones((7, 7, 3))), "holds 3 matrices"),
        (lambda path: np.save(path, np.ones((3, 7, 7))), "holds 3 matrices"),
        (lambda path: np.save(path, np.ones((7, 6))), "has the shape (7, 6)"),
        (lambda path: np.save(path, np.ones(7)), "has the shape (7,)"),
        (lambda path: np.save(path, np.ones((7, 7), dtype="c16")), "no real numbers (complex128)"),
        (lambda path: np.save(path, np.array({"g12b": 1}, dtype=object), allow_pickle=True), "cannot be read"),
        (half_of_a_file, "cannot be read"),
        (lambda path: path.write_bytes(np.lib.format.MAGIC_PREFIX), "cannot be read"),
    ],
)
def test_arrays_that_are_no_matrix_are_refused(tmp_path, make, told):
    make(tmp_path / "array.npy")
    assert told in refused(tmp_path / "array.npy")
    assert "format aps-u; the file has the layout numpy" in refused(tmp_path / "array.npy", format="aps-u")


# --- MATLAB


def matlab(path: Path, c: np.ndarray, **changes: object) -> Path:
    savemat(path, {"C": c, "nBatch": 1.0, "nDQ": 2.0, "nDPHI": 3.0} | changes, do_compression=True)
    return path


def matlab_73(path: Path, c: np.ndarray) -> Path:
    with h5py.File(path, "w", userblock_size=512) as file:
        file["C"], file["nBatch"], file["nDQ"], file["nDPHI"] = c, 1.0, 2.0, 3.0
    content = path.read_bytes()
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512, b" ") + content[512:])
    return path


@pytest.mark.parametrize("write", [matlab, matlab_73])
@pytest.mark.parametrize("half", [np.triu, np.tril, np.asarray])
def test_matlab_matrices_get_their_baseline(tmp_path, write, half):
    c2 = make_record(1, dtype="f4").c2
    path = write(tmp_path / "C.mat", half(c2[0] - 1))
    actual = read_two_time(path, **SELECTION, start_frame=3)
    np.testing.assert_allclose(actual.c2, c2[:, 2:, 2:], atol=2.4e-7)  # two roundings of float32 between 1 and 4
    assert actual.q == 0.01


@pytest.mark.parametrize("half", [np.triu, np.tril, np.asarray])
def test_a_lost_frame_stays_lost_where_the_baseline_is_added(tmp_path, half):
    c = make_record(1, 30).c2[0] - 1
    c[4], c[:, 4] = 0.0, 0.0
    record = read_two_time(matlab(tmp_path / "C.mat", half(c)), **SELECTION)
    assert record.frames.tolist() == [1, 2, 3, 4, *range(6, 31)]
    assert any("5" in note for note in record.notes)


def test_another_mat_file_is_refused_with_what_it_holds(tmp_path):
    savemat(tmp_path / "a.mat", {"C": np.ones((7, 7)), "speed": 1.0})
    told = refused(tmp_path / "a.mat")
    assert "lacks nBatch, nDQ, nDPHI" in told and "it holds C, speed" in told and "write_c2" in told


def test_damaged_mat_files_are_a_sentence_or_the_same_record(tmp_path):
    c2 = make_record(1, 30).c2
    path = matlab(tmp_path / "C.mat", c2[0] - 1)
    content, rng, told = path.read_bytes(), np.random.default_rng(5), 0
    for _ in range(150):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged[: rng.integers(len(content))] if rng.random() < 0.2 else damaged)
        try:
            np.testing.assert_allclose(read_two_time(path, **SELECTION).c2, c2, rtol=1e-15)
        except InputError:
            told += 1
    assert told > 100  # most bytes are packed values, under zlib's checksum


# --- NXxpcs


def nxxpcs(
    path: Path, c2: np.ndarray, mode="one_array_q_first", baseline=1, origin="upper_left", units="1/angstrom", q=0.01
) -> Path:
    """A file of the definition: the matrices as the attributes say."""
    stored = np.where(c2 != 0, c2 + baseline - 1, 0)
    stored = stored[:, ::-1] if origin == "lower_left" else stored
    with h5py.File(path, "w") as file:
        where = "entry/twotime/two_time_corr_func"
        if mode == "data_exchange_keys":
            for k, matrix in enumerate(stored):
                file[f"{where}/g2_{k:05d}"] = matrix
        else:
            file[where] = stored if mode == "one_array_q_first" else np.moveaxis(stored, 0, -1)
        attributes = {"storage_mode": mode, "baseline_reference": baseline, "time_origin_location": origin}
        file[where].attrs.update(attributes | {"populated_elements": "all"})
        masks = file.create_group("entry/instrument/masks")
        masks["dynamic_q_list"], masks["dynamic_phi_list"] = np.full(len(c2), q), np.linspace(-90, 90, len(c2))
        masks["dynamic_q_list"].attrs["units"] = units
        file["entry/instrument/detector/frame_time"] = 0.1
    return path


@pytest.mark.parametrize("half", [np.triu, np.tril, np.asarray])
@pytest.mark.parametrize("origin", ["upper_left", "lower_left"])
@pytest.mark.parametrize("baseline", [0, 1])
@pytest.mark.parametrize("mode", ["one_array_q_first", "one_array_q_last", "data_exchange_keys"])
def test_nxxpcs_attributes_are_obeyed(tmp_path, mode, baseline, origin, half):
    c2 = make_record().c2
    path = nxxpcs(tmp_path / "a.h5", half(c2), mode, baseline, origin)
    actual = read_two_time(path, **SELECTION, start_frame=2, end_frame=6)
    np.testing.assert_allclose(actual.c2, c2[:, 1:6, 1:6], rtol=1e-15)
    assert actual.phi.tolist() == [-90, 0, 90] and actual.notes == ()


@pytest.mark.parametrize("turned", [True, False])
def test_an_origin_that_was_meant_of_the_picture_is_seen_from_the_values(tmp_path, turned):
    lag = np.abs(np.subtract.outer(np.arange(9), np.arange(9)))
    c2 = 1 + 0.3 * 0.8 ** lag[None]  # without noise, turned or not, it is symmetric
    path = nxxpcs(tmp_path / "a.h5", c2, origin="lower_left")
    if not turned:
        with h5py.File(path, "a") as file:
            file["entry/twotime/two_time_corr_func"][()] = c2
    np.testing.assert_allclose(read_two_time(path, **SELECTION).c2, c2, rtol=1e-15)


def test_nxxpcs_q_is_converted(tmp_path):
    c2 = make_record().c2
    assert read_two_time(nxxpcs(tmp_path / "a.h5", c2, units="1/nm", q=0.1), **SELECTION).q == pytest.approx(
        0.01, rel=1e-15
    )
    assert read_two_time(nxxpcs(tmp_path / "a.h5", c2, units="1/m", q=1e8), **SELECTION).q == pytest.approx(
        0.01, rel=1e-15
    )
    # Units are spelt alike in all layouts; U+212B is the sign of the unit, not the letter.
    for unit in ("\u212b\N{MINUS SIGN}1", " Angstrom ^ -1", "1/A"):
        q = read_two_time(nxxpcs(tmp_path / "a.h5", c2, units=unit, q=0.01), **SELECTION).q
        assert q == pytest.approx(0.01, rel=1e-15)
    assert "q has the unit 'furlong'" in refused(nxxpcs(tmp_path / "a.h5", c2, units="furlong"))


@pytest.mark.parametrize(
    ("unit", "factor"), [("", 1.0), ("deg", 1.0), ("degrees", 1.0), ("1/angstrom", 1.0), ("rad", 180.0 / np.pi)]
)
def test_nxxpcs_angles_are_converted(tmp_path, unit, factor):
    path = nxxpcs(tmp_path / "a.h5", make_record().c2)
    with h5py.File(path, "a") as file:
        angles = file["entry/instrument/masks/dynamic_phi_list"]
        angles[()] = np.array([-1.5, 0.25, 1.0])
        angles.attrs["units"] = unit
    np.testing.assert_allclose(read_two_time(path, **SELECTION).phi, factor * np.array([-1.5, 0.25, 1.0]), rtol=1e-12)


@pytest.mark.parametrize(
    ("unit", "stated"), [("ms", 0.1), ("us", 1e-4), ("\N{MICRO SIGN}s", 1e-4), ("s", 100.0), ("fortnight", None)]
)
def test_nxxpcs_time_between_frames_is_converted(tmp_path, unit, stated):
    path = nxxpcs(tmp_path / "a.h5", make_record().c2)
    with h5py.File(path, "a") as file:
        time = file["entry/instrument/detector/frame_time"]
        time[()], time.attrs["units"] = 100.0, unit
    with open_catalogue(path, "auto") as catalogue:
        assert catalogue.frame_time == (stated if stated is None else pytest.approx(stated))


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("baseline_reference", 2, "baseline_reference of .* is '2'"),
        ("time_origin_location", "centre", "time_origin_location of .* is 'centre'"),
        ("storage_mode", None, "storage_mode of .* is None"),
    ],
)
def test_nxxpcs_attributes_are_needed(tmp_path, name, value, told):
    path = nxxpcs(tmp_path / "a.h5", make_record().c2)
    with h5py.File(path, "a") as file:
        attributes = file["entry/twotime/two_time_corr_func"].attrs
        attributes.pop(name)
        attributes.update({} if value is None else {name: value})
    with pytest.raises(InputError, match=told):
        read_two_time(path, **SELECTION)


def test_nxxpcs_lists_of_another_length_are_refused(tmp_path):
    path = nxxpcs(tmp_path / "a.h5", make_record().c2)
    with h5py.File(path, "a") as file:
        del file["entry/instrument/masks/dynamic_phi_list"]
        file["entry/instrument/masks/dynamic_phi_list"] = [0.0, 1.0]
    assert "holds 3 matrices" in refused(path)


# --- all of them


@pytest.mark.parametrize(
    ("path", "format"), [(CHX, "pychx"), (ID02, "esrf-id02"), (SKBEAM, "scikit-beam"), (CORRELATOR, "xpcs-correlator")]
)
def test_a_file_is_of_one_layout_and_says_so_when_another_is_asked(path, format):
    for asked in set(FORMATS) - {"auto", format}:
        with pytest.raises(
            InputError, match=rf"no two-time data of the format {asked}\b.* the file has the layout {format}"
        ):
            with open_catalogue(path, asked):
                pass

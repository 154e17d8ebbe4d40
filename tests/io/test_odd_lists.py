"""Lists and values that are odd, but leave something to analyse: it is used, and a note says what was found."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from records import SELECTION, make_record, write_legacy
from test_bins import grid_file
from test_formats import nxxpcs

from homodyne_lib.io.array_files import write_c2
from homodyne_lib.io.bin_selection import normalise_phi, parse_phi_ranges
from homodyne_lib.io.canonical_file import read_correlations, write_correlations
from homodyne_lib.io.correlations import InputError
from homodyne_lib.io.formats.aps_legacy import write_aps_legacy
from homodyne_lib.io.formats.aps_u import write_aps_u
from homodyne_lib.io.reader import read_two_time
from homodyne_lib.simulation import simulate_speckle_c2

# ---------------------------------------------------------------- q and phi


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_bin_without_q_leaves_the_others_of_its_ring(tmp_path, value):
    c2 = make_record().c2
    path = write_legacy(tmp_path / "file.h5", dict(enumerate(c2, 1)), [0.01, value, 0.01], [0.0, 45.0, 90.0])
    record = read_two_time(path, **SELECTION)
    np.testing.assert_array_equal(record.c2, c2[[0, 2]])
    assert record.phi.tolist() == [0, 90] and np.all(record.q == 0.01)
    assert record.notes == ("The file states no finite q for 1 of its 3 bins (at phi = 45 deg); they were left out.",)


def test_an_angle_of_another_ring_may_be_none(tmp_path):
    """Only what was asked for is looked at."""
    path = write_legacy(tmp_path / "file.h5", dict(enumerate(make_record(2).c2, 1)), [0.01, 0.02], [30.0, 1e308])
    assert read_two_time(path, **SELECTION).phi.tolist() == [30]


@pytest.mark.parametrize("value", [1e308, -1e308, 3600.1, 1e15, np.inf, np.nan])
def test_what_is_no_angle_becomes_no_direction(tmp_path, value):
    assert np.isnan(normalise_phi(value))
    with pytest.raises(
        InputError, match=r"one finite angle in degrees for each of the 1 matrices .* at most ten turns"
    ):
        write_c2(tmp_path / "c2.h5", make_record(1).c2, phi=[value], q=0.01, dt=0.1)
    with pytest.raises(InputError, match="write min:max in degrees"):
        parse_phi_ranges(f"0:{value!r}")


def test_ten_turns_are_an_angle():
    assert normalise_phi([3600.0, -3600.0, 725.0]).tolist() == [0, 0, 5]


def test_an_impossible_list_of_angles_gives_way_to_the_pixels(tmp_path):
    """1e308 modulo a turn may lie anywhere, also among the pixels of its bin."""
    labels = np.where(np.indices((60, 60))[1] >= 30, 1, 2)
    geometry = {
        "beam_center_x": 29.5,
        "beam_center_y": 29.5,
        "pixel_size": 75e-6,
        "detector_distance": 5.0,
        "energy": 8.0,
    }
    path = grid_file(tmp_path / "file.h5", [1, 2], q=(0.001,), phi=(1e308, 180.0), labels=labels)
    with h5py.File(path, "a") as file:
        for name, value in geometry.items():
            file[f"xpcs/qmap/{name}"] = value
    record = read_two_time(path, wavevector_q=0.0013, q_tolerance=0.5, dt=0.1)
    # A pixel on the axis of the half plane has the angle 0 or 180, and the mean of a symmetric half is the axis.
    np.testing.assert_allclose(np.abs(record.phi), [0, 180], atol=1e-9)
    assert "contradict its pixels" in record.notes[0] and "1e+308" not in record.notes[0]


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("digits", [1, 5])
def test_matrices_follow_their_numbers_however_they_are_padded(tmp_path, digits):
    """As text, c2_10 stands before c2_2."""
    c2, phi = make_record(12).c2, 10.0 * np.arange(12)
    names = [f"{k:0{digits}d}" for k in range(1, 13)]
    upgraded = grid_file(tmp_path / "u.h5", np.arange(1, 13), q=(0.01,), phi=phi)
    nexus = nxxpcs(tmp_path / "n.h5", c2, mode="data_exchange_keys")
    for path, group, stem in (
        (upgraded, "xpcs/twotime/correlation_map", "c2_"),
        (nexus, "entry/twotime/two_time_corr_func", "g2_"),
    ):
        with h5py.File(path, "a") as file:
            matrices = file.require_group(group)
            for name in list(matrices):
                del matrices[name]
            for name, matrix in zip(names, c2, strict=True):
                matrices[stem + name] = matrix
        np.testing.assert_array_equal(read_two_time(path, **SELECTION).c2, c2)


def test_names_of_one_matrix_at_one_angle_are_twins(tmp_path):
    """Which of the two is taken makes no difference."""
    c2 = make_record(2).c2
    path = write_legacy(tmp_path / "file.h5", dict(enumerate(c2, 1)), [0.01] * 3, [0.0, 45.0, 0.0])
    with h5py.File(path, "a") as file:
        file["exchange/C2T_all/g2_00003"] = file["exchange/C2T_all/g2_00001"]
    record = read_two_time(path, **SELECTION)
    np.testing.assert_array_equal(record.c2, c2)
    assert "same q and angle" in record.notes[0]


# ---------------------------------------------------------------- values


def test_a_copy_under_another_angle_is_noted(tmp_path):
    c2 = make_record().c2[[0, 1, 0]]
    path = write_legacy(tmp_path / "file.h5", dict(enumerate(c2, 1)), [0.01] * 3, [0.0, 45.0, 90.0])
    (note,) = read_two_time(path, **SELECTION).notes
    assert note.startswith("c2 at phi = 0 deg and at 90 deg are the same, value for value")


@pytest.mark.parametrize("value", [42.0, 1e-3])
@pytest.mark.parametrize("half", [np.triu, np.tril, np.asarray])
def test_a_value_far_from_the_others_is_noted_with_its_place(tmp_path, value, half):
    # Noise of 1 % of the middle value: 50 of it are half the middle value, which lies at 1.
    c2 = 1 + 0.005 * (make_record(2, 30).c2 - 1.2)
    c2[1, 4, 20] = c2[1, 20, 4] = value
    path = write_legacy(tmp_path / "file.h5", dict(enumerate(map(half, c2), 1)), [0.01] * 2, [0.0, 45.0])
    record = read_two_time(path, **SELECTION)
    np.testing.assert_array_equal(record.c2, c2)
    (note,) = record.notes
    assert note.startswith("1 values of c2 lie far from the others at their angle, and were used as they are. ")
    assert f"The farthest is {value:.3g} at phi = 45 deg, frames 5 and 21, where the median is 1;" in note
    # Once, also where it is read from a record that has the note.
    write_correlations(tmp_path / "c2.h5", record)
    assert read_two_time(tmp_path / "c2.h5", **SELECTION).notes == (note,)
    # Without the frame there is nothing to note.
    assert read_two_time(path, **SELECTION, bad_frames=((5, 5),)).notes == ()


def test_arrays_get_the_same_note_and_refusal(tmp_path):
    c2 = 1 + 0.001 * (make_record(1, 30).c2 - 3)
    for value in (42.0, 2.7e5):
        c2[0, 4, 20] = c2[0, 20, 4] = value
        if value < 100:
            write_c2(tmp_path / "c2.h5", c2, phi=[0], q=0.01, dt=0.1)
            assert (
                "The farthest is 42 at phi = 0 deg, frames 5 and 21" in read_correlations(tmp_path / "c2.h5").notes[0]
            )
        else:
            with pytest.raises(InputError, match=r"the largest is 2.7e\+05, of the frames 5 and 21"):
                write_c2(tmp_path / "c2.h5", c2, phi=[0], q=0.01, dt=0.1)


@pytest.mark.parametrize(("pixels", "counts"), [(300, 0.3), (4000, 0.08), (100000, None)])
def test_few_photons_and_strong_speckle_are_usual(tmp_path, pixels, counts):
    """Contrast 1, and as few coincidences of photons as leave no entry 0: about 30 a pair of frames."""
    c2 = simulate_speckle_c2(
        [20000.0, -0.3, 2000.0], [0.0], n_frames=60, pixels=pixels, modes=1, counts=counts, seed=5, q=0.01, dt=0.1
    )
    path = write_legacy(tmp_path / "file.h5", {1: np.triu(c2[0])}, [0.01], [0.0])
    assert read_two_time(path, **SELECTION).notes == ()


def test_c2_without_noise_is_usual(tmp_path):
    """From twice the baseline down to it, with a spread of 0 about the median."""
    lag = np.abs(np.subtract.outer(np.arange(40), np.arange(40)))
    path = write_legacy(tmp_path / "file.h5", {1: 1 + np.exp(-lag / 1.0)}, [0.01], [0.0])
    assert read_two_time(path, **SELECTION).notes == ()


# ---------------------------------------------------------------- frames


@pytest.mark.parametrize("write", [write_aps_legacy, write_aps_u])
def test_gaps_have_no_place_in_an_aps_file(tmp_path, write):
    path = tmp_path / "file.h5"
    with pytest.raises(
        InputError, match=r"the record lacks the frames 3:4,8, and the APS layouts have no place for frame"
    ):
        write(path, make_record(frames=np.array([1, 2, 5, 6, 7, 9, 10])))
    assert not list(tmp_path.iterdir())
    write(path, make_record(frames=np.arange(5, 12)))  # times count from the first frame
    np.testing.assert_array_equal(read_two_time(path, **SELECTION).offsets, np.arange(7))

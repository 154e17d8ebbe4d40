"""Records and the files they are written to: exact, safe, and the same bytes every time."""

from __future__ import annotations

import time
from dataclasses import replace

import h5py
import numpy as np
import pytest
from records import SELECTION, WRITERS, assert_same, make_record, read_rows

from homodyne_lib.io.canonical_file import CANONICAL, read_correlations, write_correlations
from homodyne_lib.io.completion import check_values, value_notes
from homodyne_lib.io.correlations import InputError
from homodyne_lib.io.formats.aps_legacy import write_aps_legacy
from homodyne_lib.io.formats.aps_u import write_aps_u
from homodyne_lib.io.formats.simulated import read_truth
from homodyne_lib.io.reader import read_two_time

FULL = {"stator_rotor_gap": 2e6, "sigma": np.array([0.1, 0.2, 0.3]), "notes": ("φ was wrapped.", "Two.")}
FULL["pixels"] = np.array([400, 90, 1200])
SHIFTED = {"frames": np.arange(11, 18)}


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("changes", [{}, FULL, SHIFTED])
def test_a_record_survives_the_canonical_file(tmp_path, changes, dtype):
    record = make_record(dtype=dtype, **changes)
    record.c2[:, range(7), range(7)] = 1.5  # a corrected diagonal beside the raw one
    write_correlations(tmp_path / "c2.h5", record)
    assert_same(read_correlations(tmp_path / "c2.h5"), record)
    with h5py.File(tmp_path / "c2.h5") as file:
        assert {name: file[name].attrs["unit"].decode() for name in file} == {name: CANONICAL[name] for name in file}
        assert file["c2"].chunks == (1, 1, 7)  # a band of rows unpacks nothing else
        assert (set(CANONICAL) - set(file) == set()) == (changes is FULL)


def test_a_canonical_file_as_input_carries_its_record_over(tmp_path):
    record = make_record(**SHIFTED | FULL)
    record.c2[:, range(7), range(7)] = 1.5
    write_correlations(tmp_path / "c2.h5", record)
    actual = read_two_time(
        tmp_path / "c2.h5", start_frame=12, end_frame=15, phi_ranges=((0, 90),), wavevector_q=0.01, dt=0.2
    )
    np.testing.assert_array_equal(actual.c2, record.c2[1:, 1:5, 1:5])
    np.testing.assert_array_equal(actual.raw_diagonal, record.raw_diagonal[1:, 1:5])
    np.testing.assert_array_equal(actual.sigma, [0.2, 0.3])
    np.testing.assert_array_equal(actual.pixels, [90, 1200])
    np.testing.assert_array_equal(actual.frames, [12, 13, 14, 15])
    assert actual.notes[:2] == record.notes and "states a frame time of 0.1 s" in actual.notes[2]
    assert (actual.dt, actual.stator_rotor_gap, actual.source) == (0.2, None, "c2.h5")


def test_another_gap_than_that_of_the_file_is_noted(tmp_path):
    record = make_record(**FULL)
    write_correlations(tmp_path / "c2.h5", record)

    def notes(gap):
        read = read_two_time(tmp_path / "c2.h5", wavevector_q=0.01, dt=record.dt, stator_rotor_gap=gap)
        return [note for note in read.notes if "gap" in note]

    stated = record.stator_rotor_gap
    assert notes(stated) == notes(1.005 * stated) == []
    assert notes(2 * stated) == [
        f"stator_rotor_gap = {2 * stated:g} Å was used as configured, but the file states a gap of {stated:g} Å."
    ]


@pytest.mark.parametrize(
    "rows", [slice(None), slice(0, None, 3), slice(2, None, 3), slice(1, 4), slice(-2, None), slice(6, 99)]
)
def test_a_band_is_the_same_rows_of_the_record(tmp_path, rows):
    record = make_record(dtype="f4", **FULL)
    write_correlations(tmp_path / "c2.h5", record)
    band = read_rows(tmp_path / "c2.h5", rows)
    np.testing.assert_array_equal(band.rows, np.arange(7)[rows])
    np.testing.assert_array_equal(band.c2, record.c2[:, rows])
    assert band.c2.dtype == np.float32
    assert_same(band, record, "rows", "c2", "origin")
    np.testing.assert_array_equal(band.offsets, record.offsets)


@pytest.mark.parametrize("rows", [slice(7, None), slice(3, 3), slice(None, None, -1)])
def test_a_band_without_rows_is_refused(tmp_path, rows):
    write_correlations(tmp_path / "c2.h5", make_record())
    with pytest.raises(InputError, match="none of the 7 rows"):
        read_rows(tmp_path / "c2.h5", rows)


def test_equal_records_give_equal_bytes(tmp_path):
    record = make_record(**FULL)
    written = []
    for k in range(2):
        for layout, write in WRITERS.items():
            write(tmp_path / f"{layout}{k}.h5", record)
        written.append([(tmp_path / f"{layout}{k}.h5").read_bytes() for layout in WRITERS])
        time.sleep(1.1 * (1 - k))  # the time stamps of HDF5 count seconds
    assert written[0] == written[1]


@pytest.mark.parametrize("layout", WRITERS)
def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path, layout):
    path = tmp_path / "c2.h5"
    WRITERS[layout](path, make_record())
    before = path.read_bytes()
    with pytest.raises(TypeError):  # h5py can store no object(), which comes last
        if layout == "canonical":
            write_correlations(path, make_record(notes=(object(),)))
        else:
            WRITERS[layout](path, make_record(n_phi=5), attributes={"truth": object()})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [write_aps_legacy, write_aps_u])
def test_the_truth_of_a_simulation_is_kept(tmp_path, write):
    truth = {"D0": 5000.0, "seed": 7, "mode": "laminar_flow", "contrast": [0.3, 0.25], "shot_noise": True}
    write(tmp_path / "sim.h5", make_record(), attributes=truth)
    assert read_truth(tmp_path / "sim.h5") == truth
    write(tmp_path / "sim.h5", make_record())
    assert read_truth(tmp_path / "sim.h5") is None


@pytest.mark.parametrize("write", [write_aps_legacy, write_aps_u])
def test_the_raw_diagonal_goes_into_an_aps_file(tmp_path, write):
    record = make_record()
    record.c2[:, range(7), range(7)] = 1.5
    write(tmp_path / "file.h5", record)
    np.testing.assert_array_equal(read_two_time(tmp_path / "file.h5", **SELECTION).raw_diagonal, record.raw_diagonal)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"raw_diagonal": np.ones((3, 6))}, r"raw_diagonal has shape \(3, 6\).*3 angles and 7 frames"),
        ({"sigma": np.ones(2)}, r"sigma has shape \(2,\)"),
        ({"phi": np.array([0.0, 0.0, 1.0])}, "phi must ascend"),
        ({"phi": np.array([-180.0, 0.0, 1.0])}, "phi must ascend"),
        ({"frames": np.array([1, 2, 3, 4, 4, 7, 8])}, "frames must be numbers that rise"),
        ({"dt": 0.0}, "dt must be positive and finite; it is 0.0 s"),
        ({"q": np.nan}, "q must be positive and finite; it is nan 1/Å"),
        ({"stator_rotor_gap": -2.0}, "stator_rotor_gap must be positive and finite; it is -2.0 Å"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(changes, told):
    with pytest.raises(InputError, match=told):
        replace(make_record(), **changes)


@pytest.mark.parametrize("layout", WRITERS)
def test_a_flipped_bit_is_found_wherever_it_matters(tmp_path, layout):
    path = tmp_path / "file.h5"
    record = make_record(dt=0.123, notes=("A note, φ.",))
    WRITERS[layout](path, record)
    good, content = read_two_time(path, wavevector_q=0.01, dt=0.123), path.read_bytes()
    with h5py.File(path) as file:
        matrices = [file[name] for name in ("c2", "exchange/C2T_all/g2_00001") if name in file]
        chunks = [matrix.id.get_chunk_info(0).byte_offset + 3 for matrix in matrices]
    # Where numbers and texts stand as they are, where values are packed, and anywhere.
    places = [content.find(np.float64(0.123).tobytes()), content.find(np.float64(-90).tobytes()), *chunks]
    places += [content.find("φ".encode())] if layout == "canonical" else []
    assert min(places) > 0
    rng, told = np.random.default_rng(3), []
    for place in [*places, *rng.integers(len(content), size=60)]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            actual = read_two_time(path, wavevector_q=0.01, dt=0.123)
        except InputError:
            told.append(place)
        else:
            assert_same(actual, good, "source_sha256")
    assert set(places) <= set(told)


def test_texts_of_our_files_have_a_fixed_length(tmp_path):
    write_correlations(tmp_path / "c2.h5", make_record(notes=("", "Two, φ.")))
    assert read_correlations(tmp_path / "c2.h5").notes == ("", "Two, φ.")
    write_aps_legacy(tmp_path / "sim.h5", make_record(), attributes={"mode": "static", "names": ["a", "bc"]})
    assert read_truth(tmp_path / "sim.h5") == {"mode": "static", "names": ["a", "bc"]}
    for name in ("c2.h5", "sim.h5"):
        with h5py.File(tmp_path / name) as file:
            nodes = [file]
            file.visititems(lambda _, node, nodes=nodes: nodes.append(node))
            texts = [node.attrs.get_id(key) for node in nodes for key in node.attrs]
            assert texts and not [text for text in texts if h5py.check_vlen_dtype(text.dtype) or text.dtype.kind == "O"]


def test_a_baseline_that_is_not_one_is_noted_or_refused():
    """A constant that was added has no part in any correlation, but errors would take it for noise that does not change."""
    rng = np.random.default_rng(1)
    good = 1.0 + 0.3 * np.exp(-np.abs(np.subtract.outer(np.arange(40), np.arange(40))) / 3.0)
    good = good + 0.001 * rng.standard_normal((40, 40))
    good = np.triu(good) + np.triu(good, 1).T

    def record(c2):
        return make_record(n_t=40, c2=np.repeat(c2[None], 3, axis=0), sigma=None)

    def notes(c2):
        check_values(record(c2))
        return [note for note in value_notes(record(c2)) if "median" in note]

    assert notes(good) == []
    for added in (-0.2, 1.0):
        (note,) = notes(good + added)
        assert float(note.partition(" is ")[2].partition(". ")[0]) == pytest.approx(1.0 + added, abs=0.01)
    with pytest.raises(InputError, match=r"has the median 1\.01e.03 at phi = -90 deg.*divide by the mean intensities"):
        check_values(record(1000.0 * good))

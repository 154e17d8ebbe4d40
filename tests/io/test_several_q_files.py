"""Several wavevectors of a file, and files of repeats: what is read, and what is refused in a sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from records import make_record

import homodyne_lib as hd
from homodyne_lib.io.canonical_file import open_correlations, read_correlations, write_correlations
from homodyne_lib.io.formats.aps_legacy import write_aps_legacy
from homodyne_lib.io.formats.aps_u import write_aps_u
from homodyne_lib.io.reader import read_two_time, two_time_headers
from homodyne_lib.io.repeats import joined
from homodyne_lib.io.wavevectors import numbers_of, parse_wavevectors, rings_wanted
from homodyne_lib.model.bins import Bins

Q = (0.004, 0.0054, 0.0076)


def record_of(rings=Q, shift=0.0, **changes):
    """A record of three angles at each q, whose matrices all differ."""
    one = make_record(**changes)
    c2 = np.concatenate([one.c2 + shift + 0.01 * k for k in range(len(rings))])
    n = len(one.phi)
    return replace(
        one,
        c2=c2,
        raw_diagonal=np.diagonal(c2, axis1=1, axis2=2).copy(),
        phi=np.tile(one.phi, len(rings)),
        q=np.repeat(rings, n),
        repeat=np.zeros(n * len(rings), dtype=int),
    )


@pytest.fixture
def file(tmp_path):
    write_aps_legacy(tmp_path / "a.h5", record_of())
    return tmp_path / "a.h5"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0.0054", [0.0054]),
        (0.0054, [0.0054]),
        ("0.0054, 0.0076", [0.0054, 0.0076]),
        ("0.004:0.006,0.0076", [0.004, 0.006, 0.0076]),
    ],
)
def test_the_notation_of_the_table(text, numbers):
    assert numbers_of(parse_wavevectors(text)) == numbers


@pytest.mark.parametrize(
    "text", ["", "x", "0.005,", "0.006:0.004", "0.004:0.004", "-0.1", "inf", "nan", "1:2:3", "0:0.1"]
)
def test_what_is_no_wavevector_is_refused(text):
    with pytest.raises(ValueError, match="wavevector_q has"):
        parse_wavevectors(text)


def test_a_range_has_the_rings_at_its_ends():
    """Lists are stored in single precision, or are the result of a sum."""
    for q in (np.float32([0.004, 0.0054]).astype(float), np.array([0.004, 0.0054]) * (1.0 - 1e-15)):
        assert rings_wanted([(0.004, 0.0054)], q, 0.02) == pytest.approx([0.004, 0.0054], rel=1e-6)


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (
            0.015,
            "0.01 to 0.01495 1/Å follow each other within q_tolerance (2 %).* distance, if one, to 22 % or more",
        ),
        (0.0199, "0.01 to 0.01702 1/Å follow each other within q_tolerance"),
        (0.0201, None),
    ],
)
def test_rings_that_run_into_each_other_are_refused_in_a_range(steps, told):
    q = np.repeat(0.01 * (1.0 + steps) ** np.arange(28), 4)
    wide, narrow = [(0.009, 0.1)], [(0.0109, 0.0123)]
    for wanted in (wide, narrow):
        if told is None:
            assert len(rings_wanted(wanted, q, 0.02)) == (28 if wanted is wide else 6)
        else:
            with pytest.raises(ValueError, match=told.replace("(", r"\(").replace(")", r"\)")):
                rings_wanted(wanted, q, 0.02)
    assert len(rings_wanted(wide, q, 0.01)) == 28


def test_bins_of_a_ring_may_differ_by_the_tolerance():
    q = np.concatenate([0.01 * np.linspace(0.98, 1.02, 5), [0.012]])
    assert rings_wanted([(0.005, 0.02)], q, 0.02) == pytest.approx([0.01, 0.012])


@pytest.mark.parametrize("write", [write_aps_legacy, write_aps_u])
def test_bins_of_a_list_and_of_a_range_are_read_by_ascending_q(tmp_path, write):
    write(tmp_path / "a.h5", record_of())
    for wanted in ((0.0076, 0.004), ((0.007, 0.01), 0.004), ((0.0001, 0.0045), (0.007, 0.01))):
        found = read_two_time(tmp_path / "a.h5", wavevector_q=wanted, dt=0.1)
        assert found.q.tolist() == [0.004] * 3 + [0.0076] * 3
        np.testing.assert_allclose(found.c2, record_of().c2[[0, 1, 2, 6, 7, 8]], rtol=1e-6)
        assert found.repeat.tolist() == [0] * 6
        shape, notes = two_time_headers(tmp_path / "a.h5", wavevector_q=wanted, dt=0.1)
        assert shape == found.c2.shape[:2] and notes == ()


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (((0.001, 0.002),), "has no q from 0.001 to 0.002 1/Å; choose from 0.004, 0.0054, 0.0076"),
        ((0.0054, (0.005, 0.006)), "0.005:0.006 1/Å both hold q = 0.0054"),
        (((0.003, 0.006), (0.005, 0.009)), "both hold q = 0.0054"),
        ((0.0054, 0.00541), "both hold q = 0.0054"),
        ((0.0054, 0.02), "no bin has q within 2 % of 0.02"),
    ],
)
def test_a_choice_that_does_not_fit_the_file_is_a_sentence(file, wanted, words):
    for read in (
        lambda: two_time_headers(file, wavevector_q=wanted),
        lambda: read_two_time(file, wavevector_q=wanted, dt=1),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            read()
        assert str(caught.value).startswith(str(file))


def test_repeats_become_bins_of_their_own(tmp_path, file):
    write_aps_legacy(tmp_path / "b.h5", record_of(shift=0.05))
    found = read_two_time([file, tmp_path / "b.h5"], wavevector_q=[Q[:2]], dt=0.1)
    assert found.bins.in_words == "2 files × 2 q × 3 angles"
    assert found.repeat.tolist() == [0] * 6 + [1] * 6 and found.bins.ring.tolist() == [0, 0, 0, 1, 1, 1] * 2
    assert (found.source, len(found.source_sha256.split(", "))) == ("a.h5, b.h5", 2)
    assert found.bins.named(7) == "file 2, q = 0.004 1/Å, phi = 0 deg"
    write_correlations(tmp_path / "c2.h5", found)
    again = read_correlations(tmp_path / "c2.h5")
    for name in ("c2", "q", "phi", "repeat", "frames"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    with pytest.raises(ValueError, match="holds several repeats; give the files"):
        read_two_time(tmp_path / "c2.h5", wavevector_q=Q[0], dt=0.1)


def test_a_canonical_file_of_several_q_is_an_input(tmp_path):
    write_correlations(tmp_path / "c2.h5", record_of())
    found = read_two_time(tmp_path / "c2.h5", wavevector_q=[0.0054, 0.0076], dt=0.1)
    np.testing.assert_array_equal(found.c2, record_of().c2[3:])


def test_version_1_of_the_canonical_file_is_read(tmp_path):
    """One q for all bins, and no repeats, as it was written before."""
    import h5py

    one = record_of(rings=(0.0054,))
    write_correlations(tmp_path / "c2.h5", one)
    with h5py.File(tmp_path / "c2.h5", "r+") as file:
        del file["q"], file["repeat"]
        file["q"] = 0.0054
        file.attrs["layout"] = "homodyne two-time correlations, version 1"
    with open_correlations(tmp_path / "c2.h5") as again:
        assert again.q.tolist() == [0.0054] * 3 and again.repeat.tolist() == [0] * 3
    np.testing.assert_array_equal(read_two_time(tmp_path / "c2.h5", wavevector_q=0.0054, dt=0.1).c2, one.c2)


def other(path, kind):
    """A file that is no repeat of the first."""
    if kind == "fewer frames":
        write_aps_legacy(path, shorter())
    elif kind == "another frame time":
        write_aps_legacy(path, replace(record_of(), dt=0.2))
    elif kind == "a q is missing":
        write_aps_legacy(path, record_of(rings=Q[:2]))
    elif kind == "other q":
        write_aps_legacy(path, record_of(rings=(0.004, 0.0058, 0.0076)))


def shorter():
    full = record_of()
    return replace(full, c2=full.c2[:, :-1, :-1], raw_diagonal=full.raw_diagonal[:, :-1], frames=full.frames[:-1])


@pytest.mark.parametrize(
    ("kind", "wanted", "words"),
    [
        ("fewer frames", 0.0054, "their frames are 1:6, and 1:7"),
        ("another frame time", 0.0054, "their frame times are 0.2 s and 0.1 s"),
        ("a q is missing", (0.0054, 0.0076), "no bin has q within 2 % of 0.0076"),
        ("a q is missing", ((0.003, 0.01),), "the q that are wanted are 0.004, 0.0054, and 0.004, 0.0054, 0.0076"),
        ("other q", ((0.003, 0.01),), "the q that are wanted are"),
    ],
)
def test_files_that_are_no_repeats_are_refused_at_plan_time(tmp_path, file, kind, wanted, words):
    other(tmp_path / "b.h5", kind)
    for read in (two_time_headers, lambda *args, **how: read_two_time(*args, dt=0.1, **how)):
        with pytest.raises(ValueError, match=words):
            read([file, tmp_path / "b.h5"], wavevector_q=wanted)


def test_a_file_given_twice_is_no_repeat(file):
    with pytest.raises(ValueError, match="is given twice; a repeat is another measurement"):
        two_time_headers([file, file.parent / "." / "a.h5"], wavevector_q=0.0054)


def test_frames_that_one_repeat_lost_are_left_out_of_all(tmp_path):
    first, second = record_of(rings=(0.0054,)), record_of(rings=(0.0054,), shift=0.05)
    second.c2[:, 3, :] = second.c2[:, :, 3] = 0.0
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    for path, each in zip(paths, (first, second), strict=True):
        write_aps_legacy(path, each)
    found = read_two_time(paths, wavevector_q=0.0054, dt=0.1)
    assert found.frames.tolist() == [1, 2, 3, 5, 6, 7]
    assert any(note.startswith("b.h5: Frames without values were left out") for note in found.notes)


def test_joined_records_keep_their_order():
    first = record_of(rings=(0.0054,))
    whole = joined([first, replace(first, c2=first.c2 + 0.1)])
    assert whole.repeat.tolist() == [0, 0, 0, 1, 1, 1] and whole.bins.n_repeats == 2


@pytest.mark.parametrize(
    ("repeat", "q", "phi", "words"),
    [
        ([0, 0], [0.01, 0.005], [0, 1], "order of their repeats, and of q"),
        ([0, 2], [0.01, 0.01], [0, 1], "number the files from 0 without a gap"),
        ([0, 0], [0.01, 0.01], [5, 1], "phi must ascend"),
        ([0, 0, 1], [0.01, 0.02, 0.01], [0, 0, 0], "every repeat must have the same number of q"),
        ([0, 0], [0.01, np.inf], [0, 1], "q must be positive and finite"),
    ],
)
def test_bins_out_of_order_are_refused(repeat, q, phi, words):
    assert words in Bins(np.array(repeat), np.array(q), np.array(phi, dtype=float)).refusal()


def test_bins_say_what_they_are():
    bins = Bins.of([0.0, 45.0, 0.0, 45.0], [0.01, 0.01, 0.02, 0.02])
    assert bins.in_words == "2 q × 2 angles" and bins.named(2) == "q = 0.02 1/Å, phi = 0 deg"
    assert bins.reference_q == pytest.approx(np.sqrt(0.0002))
    many = np.linspace(0.003, 0.007, 400)
    assert Bins.of(np.zeros(400), many).reference_q == pytest.approx(np.exp(np.mean(np.log(many))), rel=1e-12)
    one = Bins.of([0.0, 45.0], 0.01)
    assert one.in_words == "2 angles" and one.named(1) == "phi = 45 deg" and one.reference_q == 0.01
    assert bins[np.array([2, 3])].groups[0].tolist() == [0, 1]


def test_write_c2_takes_a_q_of_each_matrix(tmp_path):
    whole = record_of(rings=Q[:2])
    order = [3, 0, 5, 1, 2, 4]
    hd.write_c2(tmp_path / "a.h5", whole.c2[order], phi=whole.phi[order], q=whole.q[order], dt=0.1)
    np.testing.assert_array_equal(read_two_time(tmp_path / "a.h5", wavevector_q=Q[:2], dt=0.1).c2, whole.c2)
    with pytest.raises(ValueError, match="twice"):
        hd.write_c2(tmp_path / "b.h5", whole.c2, phi=whole.phi, q=0.0054, dt=0.1)

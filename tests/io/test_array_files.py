"""Arrays of any program become a file that is read as any other, or a sentence says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from records import SELECTION, assert_same, make_record

import homodyne_lib
from homodyne_lib.io.correlations import InputError
from homodyne_lib.io.reader import read_two_time

PAGE = Path(__file__).parents[2] / "config" / "README.md"


def test_the_lines_of_the_page_make_a_file_that_is_read(tmp_path, monkeypatch):
    lines = PAGE.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    np.save("my_c2.npy", make_record().c2)
    exec(lines, {})
    assert len(lines.splitlines()) <= 8
    actual = read_two_time(tmp_path / "my_data.h5", wavevector_q=0.0054, dt=0.1)
    np.testing.assert_array_equal(actual.c2, make_record().c2)
    assert actual.phi.tolist() == [0.0, 45.0, 90.0] and np.all(actual.q == 0.0054) and actual.notes == ()


@pytest.mark.parametrize("format", ["auto", "canonical"])
@pytest.mark.parametrize("half", [np.asarray, np.triu, np.tril])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_record_survives(tmp_path, dtype, half, format):
    record = make_record(dtype=dtype, stator_rotor_gap=2e6, frames=np.arange(5, 12), notes=("φ was measured.",))
    turned = [2, 0, 1]  # angles in any order, and beyond ±180
    phi = record.phi[turned] + [360.0, 0.0, -360.0]
    homodyne_lib.write_c2(
        tmp_path / "a.h5",
        [half(matrix) for matrix in record.c2[turned]],
        phi=phi,
        q=record.q,
        dt=record.dt,
        stator_rotor_gap=2e6,
        frames=record.frames,
        notes=record.notes,
    )
    actual = read_two_time(tmp_path / "a.h5", format=format, stator_rotor_gap=2e6, **SELECTION)
    assert_same(actual, record, "source", "source_sha256")


def test_one_matrix_of_whole_numbers_will_do(tmp_path):
    homodyne_lib.write_c2(tmp_path / "a.h5", np.ones((5, 5), dtype=int) + np.eye(5, dtype=int), phi=0, q=0.01, dt=0.1)
    actual = read_two_time(tmp_path / "a.h5", **SELECTION)
    np.testing.assert_array_equal(actual.c2, [1 + np.eye(5)])


def test_equal_arrays_give_equal_bytes(tmp_path):
    for name in ("a.h5", "b.h5"):
        homodyne_lib.write_c2(tmp_path / name, make_record().c2, phi=[0, 1, 2], q=0.01, dt=0.1)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


C2 = make_record().c2
SKEW = 1 + np.arange(49.0).reshape(7, 7)


@pytest.mark.parametrize(
    ("c2", "changes", "told"),
    [
        (C2[:, :6], {}, r"shape \(3, 6, 7\)"),
        (C2[0, 0], {}, r"shape \(7,\)"),
        (C2 + 0j, {}, "type complex128"),
        (C2[:0], {"phi": []}, r"shape \(0, 7, 7\)"),
        (C2, {"phi": [0, 1]}, "one finite angle in degrees for each of the 3 matrices"),
        (C2, {"phi": [0, 1, np.nan]}, "one finite angle"),
        (C2, {"phi": [180, 1, -180]}, "phi lists 180 deg twice"),
        (np.stack([C2[0], SKEW, C2[2]]), {}, r"c2\[1\] is neither a half matrix nor symmetric"),
        (np.where(C2 == C2[1, 2, 4], np.nan, C2), {}, "first is nan at phi = 45 deg, frames 3 and 5"),
        (C2, {"q": 0}, "q must be positive and finite; it is 0.0"),
        (C2, {"dt": -1}, "dt must be positive"),
        (C2, {"dt": None}, "dt is None; give a number"),
        (C2, {"stator_rotor_gap": np.inf}, "stator_rotor_gap must be positive and finite"),
        (C2, {"frames": np.arange(6)}, "7 frames|6 frames"),
        (C2, {"frames": np.arange(7.0)}, "frames has the type float64"),
        (C2, {"frames": np.arange(7)}, "frames must be counted from 1; the first is 0"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused_and_leave_no_file(tmp_path, c2, changes, told):
    with pytest.raises(InputError, match=told):
        homodyne_lib.write_c2(tmp_path / "a.h5", c2, **{"phi": [0, 45, 90], "q": 0.01, "dt": 0.1} | changes)
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_file_to_write(tmp_path):
    with pytest.raises(InputError, match="is a folder; give the file to write"):
        homodyne_lib.write_c2(tmp_path, C2, phi=[0, 45, 90], q=0.01, dt=0.1)

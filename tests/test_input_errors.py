"""Every fault of a two-time file or of a selection is told in one sentence, with the file and the value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from records import SELECTION, make_record, write_legacy

from homodyne_lib.aps_formats import read_truth, write_aps_legacy, write_aps_u
from homodyne_lib.data import InputError, read_correlations, read_rows, write_correlations
from homodyne_lib.two_time import read_two_time, two_time_shape

MATRIX = "exchange/C2T_all/g2_00001"
BINS = "xpcs/twotime/processed_bins"
DQLIST, DPHILIST = "xpcs/dqlist", "xpcs/dphilist"

BAD_VALUES = np.triu(make_record().c2)
BAD_VALUES[1, 2, 4] = np.nan
BAD_VALUES[1, 3, 3] = np.inf
BAD_VALUES[2, 0, 6] = -0.5


def raw(content: bytes) -> Callable[[Path], object]:
    """A file of other content."""
    return lambda path: path.write_bytes(content)


def truncated(path: Path) -> None:
    """A good file without its last byte."""
    write_aps_legacy(path, make_record())
    path.write_bytes(path.read_bytes()[:-1])


def damaged(path: Path) -> None:
    """A good file with the packed values of its second matrix overwritten."""
    write_aps_legacy(path, make_record(n_t=50))
    with h5py.File(path) as file:
        chunk = file["exchange/C2T_all/g2_00002"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(content)


def changed(write: Callable, values: dict[str, object]) -> Callable[[Path], None]:
    """A good file in which data sets are replaced or, for None, removed."""

    def make(path: Path) -> None:
        write(path, make_record())
        with h5py.File(path, "a") as file:
            for name, value in values.items():
                file.pop(name, None)
                if value is not None:
                    file[name] = value

    return make


def legacy(values: dict[str, object]) -> Callable[[Path], None]:
    """A changed legacy file."""
    return changed(write_aps_legacy, values)


def aps_u(values: dict[str, object]) -> Callable[[Path], None]:
    """A changed APS-U file."""
    return changed(write_aps_u, values)


def canonical(values: dict[str, object]) -> Callable[[Path], None]:
    """A changed canonical file."""
    return changed(write_correlations, values)


def matrices(c2: np.ndarray) -> Callable[[Path], Path]:
    """A legacy file of these matrices."""
    return lambda path: write_legacy(path, dict(enumerate(c2, 1)), [0.01] * len(c2), 45.0 * np.arange(len(c2)))


NO_TWO_TIME = "no two-time data of the format auto .*exchange/C2T_all.*; the file holds "
ODD_ANGLES = [[0.0, np.nan, np.inf]]
SKEW = 1 + np.arange(49.0).reshape(1, 7, 7)
FAULTS = {
    # what is wrong: the file, what is asked of it besides SELECTION, what is told
    "missing": (lambda path: None, {}, r"cannot be read \(No such file"),
    "folder": (Path.mkdir, {}, r"cannot be read \(Is a directory"),
    "empty": (raw(b""), {}, "not an HDF5 file"),
    "text": (raw(b"q,phi\n" * 1000), {}, "not an HDF5 file"),
    "truncated": (truncated, {}, "truncated"),
    "damaged": (damaged, {}, "damaged .*filter"),
    "no two-time data": (legacy({"exchange": None}), {}, NO_TWO_TIME + "measurement, xpcs"),
    "no key at all": (lambda path: h5py.File(path, "w").close(), {}, NO_TWO_TIME + "nothing"),
    "scalar instead of group": (legacy({"xpcs": 1.0}), {}, NO_TWO_TIME + "exchange, measurement, xpcs"),
    "other layout": (legacy({}), {"format": "aps-u"}, f"format aps-u .*{BINS}.* has the layout aps-legacy"),
    "no simulation": (aps_u({}), {"format": "speckle-sim"}, f"speckle-sim .*{DQLIST}.* has the layout aps-u"),
    "unknown format": (
        legacy({}),
        {"format": "nexus"},
        "'nexus' is unknown; choose one of auto, aps-legacy, aps-u",
    ),
    "no matrix": (
        legacy({f"{MATRIX[:-1]}{k}": None for k in (1, 2, 3)}),
        {},
        "aps-legacy but no two-time matrix",
    ),
    "matrices not in a group": (legacy({"exchange/C2T_all": np.ones(3)}), {}, "C2T_all is not a group"),
    "text for q": (legacy({DQLIST: "0.01"}), {}, f"{DQLIST} is not a data set with real numbers"),
    "group for a matrix": (legacy({MATRIX: None, MATRIX + "/x": 1.0}), {}, f"{MATRIX} is not a data set"),
    "lists of two lengths": (legacy({DPHILIST: [[0.0, 1.0]]}), {}, "dqlist lists 3 bins, .*dphilist lists 2"),
    "bin beyond the list": (
        legacy({MATRIX[:-1] + "4": SKEW[0]}),
        {},
        "g2_00004 is not named after .* 3 bins",
    ),
    "bin zero": (legacy({MATRIX[:-1] + "0": SKEW[0]}), {}, "g2_00000 is not named after"),
    "matrix without number": (legacy({MATRIX + "_mask": SKEW[0]}), {}, "g2_00001_mask is not named after"),
    "more bins than matrices": (aps_u({BINS: [1, 2, 3, 4]}), {}, "lists 4 bins but .* holds 3 matrices"),
    "processed bin zero": (aps_u({BINS: [1, 2, 0]}), {}, "lists bin 0, but 1 q times 3 phi make bins 1 to 3"),
    "processed bin outside": (
        aps_u({BINS: [1, 2, 4]}),
        {},
        "lists bin 4, but 1 q times 3 phi make bins 1 to 3",
    ),
    "oblong matrix": (legacy({MATRIX: np.ones((7, 6))}), {}, rf"{MATRIX} has the shape \(7, 6\)"),
    "one-dimensional matrix": (legacy({MATRIX: np.ones(7)}), {}, rf"{MATRIX} has the shape \(7,\)"),
    "single number": (legacy({MATRIX: 1.0}), {}, rf"{MATRIX} has the shape \(\)"),
    "two sizes": (legacy({MATRIX: np.ones((8, 8))}), {}, r"g2_00002 has the shape \(7, 7\)"),
    "not symmetric": (matrices(SKEW), {}, f"{MATRIX} is neither a half matrix nor symmetric"),
    "q not in the file": (
        legacy({DQLIST: [[0.0123456, 0.0123461, 0.02]]}),
        {},
        "within 2 % of 0.01 1/Å; choose from the q of the file, 0.01235, 0.02 1/Å",
    ),
    "phi not in the file": (
        legacy({}),
        {"phi_ranges": ((10, 20), (30.5, 40))},
        "phi_ranges 10:20, 30.5:40 deg; .* -90, 0, 90 deg",
    ),
    "range that is not a number": (legacy({}), {"phi_ranges": ((0, np.nan),)}, "not a finite number.*nan"),
    "angles that are not numbers": (legacy({DPHILIST: ODD_ANGLES}), {}, "2 of the 3 bins with q = 0.01 1/Å"),
    "values": (
        matrices(BAD_VALUES),
        {},
        r"3 of 84 values .* first is nan at phi = 45 deg, frames 3 and 5; choose",
    ),
    "values in a window": (
        matrices(BAD_VALUES[1:]),
        {"start_frame": 4},
        r"1 of 20 values .* first is inf at phi = 0 deg, frames 4 and 4; choose",
    ),
    "half matrix with a zero": (
        matrices([np.triu(SKEW[0]) * (SKEW[0] != 7)]),
        {},
        "1 of 28 values .* first is 0 at phi = 0 deg, frames 1 and 7",
    ),
    "raw diagonal": (
        canonical({"raw_diagonal": np.where(np.eye(3, 7), np.nan, 1.0)}),
        {},
        "3 of 84 values .* first is nan at phi = -90 deg, frames 1 and 1",
    ),
    "dt": (legacy({}), {"dt": 0}, "dt must be positive and finite; it is 0 s"),
    "gap": (legacy({}), {"stator_rotor_gap": -1.0}, "stator_rotor_gap must be positive .* -1.0 Å"),
}


@pytest.mark.parametrize(("make", "asked", "told"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_told_in_one_sentence(tmp_path, make, asked, told):
    path = tmp_path / "file.h5"
    make(path)
    with pytest.raises(InputError, match=told) as caught:
        read_two_time(path, **SELECTION | asked)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None  # no traceback of h5py


def test_a_file_without_the_right_to_read_is_told(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)  # a superuser may read whatever the mode says
    with pytest.raises(InputError, match=r"file.h5: .* cannot be read \(Permission denied\)"):
        read_truth(tmp_path / "file.h5")


def test_the_shape_is_told_without_reading_a_matrix(tmp_path):
    damaged(tmp_path / "file.h5")
    assert two_time_shape(tmp_path / "file.h5", wavevector_q=0.01) == (3, 50)
    with pytest.raises(InputError, match=r"within 2 % of 0.02 1/Å; .* file, 0.01 1/Å"):
        two_time_shape(tmp_path / "file.h5", wavevector_q=0.02)


@pytest.mark.parametrize("read", [read_correlations, lambda path: read_rows(path, slice(None))])
def test_a_file_that_is_not_canonical_is_refused(tmp_path, read):
    path = tmp_path / "file.h5"
    legacy({})(path)
    with pytest.raises(InputError, match=r"this is not a canonical .* 'layout' is None"):
        read(path)
    canonical({"phi": None, "q": None})(path)
    with pytest.raises(InputError, match=r"the canonical file lacks phi, q"):
        read(path)

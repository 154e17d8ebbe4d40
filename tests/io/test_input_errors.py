"""Every fault of a two-time file or of a selection is told in one sentence, with the file and the value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from records import SELECTION, make_record, read_rows, write_legacy

from homodyne_lib.io.canonical_file import read_correlations, write_correlations
from homodyne_lib.io.correlations import InputError
from homodyne_lib.io.formats.aps_legacy import write_aps_legacy
from homodyne_lib.io.formats.aps_u import write_aps_u
from homodyne_lib.io.formats.simulated import read_truth
from homodyne_lib.io.reader import read_two_time, two_time_headers

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


def named_alike(stored: Callable[[h5py.File, str], object], name: str) -> Callable[[Path], None]:
    """A good legacy file with one more name in the group of matrices, for what `stored` makes of the first."""

    def make(path: Path) -> None:
        write_aps_legacy(path, make_record())
        with h5py.File(path, "a") as file:
            file.pop(f"exchange/C2T_all/{name}", None)
            file[f"exchange/C2T_all/{name}"] = stored(file, MATRIX)

    return make


def spiked(value: float) -> np.ndarray:
    """Half matrices with one other value, of the frames 3 and 6 at the second angle."""
    c2 = np.triu(make_record().c2)
    c2[1, 2, 5] = value
    return c2


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


NO_TWO_TIME = r"no two-time data of a layout that is known \(aps-legacy, aps-u, .*\); the file holds "
ODD_ANGLES = [[0.0, np.nan, np.inf]]
SKEW = 1 + np.arange(49.0).reshape(1, 7, 7)
FAULTS = {
    # what is wrong: the file, what is asked of it besides SELECTION, what is told
    "missing": (lambda path: None, {}, r"cannot be read \(No such file"),
    "folder": (Path.mkdir, {}, "this is a folder; give the file"),
    "empty": (raw(b""), {}, "not an HDF5 file"),
    "text": (raw(b"q,phi\n" * 1000), {}, "not an HDF5 file"),
    "truncated": (truncated, {}, "truncated"),
    "damaged": (damaged, {}, "damaged .*filter"),
    "no two-time data": (
        legacy({"exchange": None}),
        {},
        NO_TWO_TIME + "measurement, xpcs, and no array that could be c2",
    ),
    "no key at all": (lambda path: h5py.File(path, "w").close(), {}, NO_TWO_TIME + "nothing"),
    "scalar instead of group": (
        legacy({"xpcs": 1.0}),
        {},
        NO_TWO_TIME + r"the arrays exchange/C2T_all/g2_00001 \(7, 7\); .*homodyne_lib.write_c2",
    ),
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
    "matrix without number": (
        legacy({MATRIX + "_mask": SKEW[0]}),
        {},
        "g2_00001_mask is not named as g2_00001 is, so that its bin is unknown",
    ),
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
        r"3 of 84 values .* first is nan at phi = 45 deg, frames 3 and 5; leave out",
    ),
    "values in a window": (
        matrices(BAD_VALUES[1:]),
        {"start_frame": 4},
        r"1 of 20 values .* first is inf at phi = 0 deg, frames 4 and 4; leave out",
    ),
    "no q": (
        legacy({DQLIST: [[np.nan] * 3]}),
        {},
        "the file states no finite q for any of its 3 bins; repair the list",
    ),
    "angle that is none": (
        legacy({DPHILIST: [[0.0, 1e308, 90.0]]}),
        {},
        r"1 of the 3 bins with q = 0.01 1/Å have an angle that is not finite or beyond ten turns \(1e\+308 deg\)",
    ),
    "range that is none": (
        legacy({}),
        {"phi_ranges": ((0, 1e308),)},
        "an end that is not a finite number within ±3600",
    ),
    "two angles for three matrices": (
        canonical({"phi": [0.0, 45.0]}),
        {},
        r"raw_diagonal has shape \(3, 7\), but 2 angles and 7 frames need \(2, 7\)",
    ),
    "two places for three matrices": (
        aps_u({"xpcs/qmap/dynamic_v_list_dim1": [0.0, 45.0]}),
        {},
        "lists bin 3, but 1 q times 2",
    ),
    "frames 1.5 apart": (
        canonical({"frames": 1 + 1.5 * np.arange(7)}),
        {},
        r"frames must be whole numbers; they are of the type float64, and begin \[1.  2.5 4. \]",
    ),
    "frames that fall": (
        canonical({"frames": [1, 2, 3, 5, 4, 6, 7]}),
        {},
        "frames must be numbers that rise; 4 follows 5",
    ),
    "hard link": (
        named_alike(lambda file, name: file[name], "g2_00003"),
        {},
        "g2_00001 and .*g2_00003 are two names of one matrix",
    ),
    "soft link": (
        named_alike(lambda _, name: h5py.SoftLink(f"/{name}"), "g2_00002"),
        {},
        "g2_00001 and .*g2_00002 are two names of one matrix",
    ),
    "number twice": (
        named_alike(lambda file, name: file[name][()], "g2_1"),
        {},
        "C2T_all holds g2_00001 and g2_1, which have the same number",
    ),
    "digits of another script": (
        named_alike(lambda file, name: file[name][()], "g2_\u0661"),
        {},
        "g2_\u0661 is not named as g2_00001 is",
    ),
    "number without end": (
        named_alike(lambda file, name: file[name][()], "g2_" + "1" * 5000),
        {},
        "is not named as g2_0",
    ),
    "upgraded number twice": (
        aps_u({"xpcs/twotime/correlation_map/c2_1": SKEW[0], BINS: [1, 2, 3, 3]}),
        {},
        "holds c2_00001 and c2_1, which have the same number",
    ),
    "upgraded strange name": (
        aps_u({"xpcs/twotime/correlation_map/mask": SKEW[0], BINS: [1, 2, 3, 3]}),
        {},
        "mask is not named as c2_00001 is",
    ),
    "spike": (
        matrices(spiked(2.7e5)),
        {},
        r"1 values of c2 at phi = 45 deg are more than 100 times their median of .*; the largest is 2.7e\+05, of the frames "
        "3 and 6. Photon counts do not scatter so far",
    ),
    "half matrix with a zero": (
        matrices([np.triu(1.0 + SKEW[0] / 100.0) * (SKEW[0] != 7)]),
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

    (tmp_path / "file.h5").touch()
    monkeypatch.setattr("builtins.open", refuse)  # a superuser may read whatever the mode says
    with pytest.raises(InputError, match=r"file.h5: .* cannot be read \(Permission denied\)"):
        read_truth(tmp_path / "file.h5")


def test_the_shape_is_told_without_reading_a_matrix(tmp_path):
    damaged(tmp_path / "file.h5")
    assert two_time_headers(tmp_path / "file.h5", wavevector_q=0.01)[0] == (3, 50)
    with pytest.raises(InputError, match=r"within 2 % of 0.02 1/Å; .* file, 0.01 1/Å"):
        two_time_headers(tmp_path / "file.h5", wavevector_q=0.02)


@pytest.mark.parametrize("read", [read_correlations, lambda path: read_rows(path, slice(None))])
def test_a_file_that_is_not_canonical_is_refused(tmp_path, read):
    path = tmp_path / "file.h5"
    legacy({})(path)
    with pytest.raises(InputError, match=r"this is not a canonical .* 'layout' is None"):
        read(path)
    canonical({"phi": None, "q": None})(path)
    with pytest.raises(InputError, match=r"the canonical file lacks phi, q"):
        read(path)

"""Damaged and restructured files of every layout: a right record, or a sentence; no other error, no hang, no 2 GB."""

from __future__ import annotations

import json
import select
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from records import SELECTION, make_record
from test_formats import FACILITY, age_lag, correlator, dynamix, matlab, nxxpcs, ring_file
from workflow_support import ROOT

from homodyne_lib.io.canonical_file import write_correlations
from homodyne_lib.io.formats.aps_legacy import write_aps_legacy
from homodyne_lib.io.formats.registry import FORMATS

sys.path[:0] = [str(ROOT / "workflow" / "scripts")]

import plan  # noqa: E402
from schemas import checked  # noqa: E402

PATIENCE = 20  # [s] for one file of a few kB, which takes a hundredth of a second
DT = 0.00130068  # [s] of the facilities' files
OWN = "canonical"  # the layout whose every byte is guarded

# Layout -> (how to write a sound file, what is asked of it).
RECORD = make_record(n_phi=3, n_t=12)
SOUND = {
    OWN: (lambda path: write_correlations(path, RECORD), SELECTION),
    "aps-legacy": (lambda path: write_aps_legacy(path, RECORD), SELECTION),
    "aps-u": (lambda path: shutil.copy(FACILITY / "apsu_qphi.h5", path), {"wavevector_q": 0.00674, "dt": DT}),
    "esrf-id02": (
        lambda path: shutil.copy(FACILITY / "esrf_id02_v2.h5", path),
        {"wavevector_q": 0.0055, "dt": DT, "end_frame": 9},
    ),
    "esrf-dynamix": (lambda path: dynamix(path, RECORD.c2[:2]), {"wavevector_q": 0.01, "dt": 0.1}),
    "xpcs-correlator": (
        lambda path: correlator(path.parent, age_lag(RECORD.c2[0], 11, 12), 12).rename(path),
        SELECTION,
    ),
    "scikit-beam": (lambda path: scikit_beam(path, RECORD.c2[:1]), SELECTION),
    "pychx": (lambda path: shutil.copy(FACILITY / "chx_ang_Res.h5", path), {"wavevector_q": 0.0055, "dt": DT}),
    "pychx rings": (lambda path: ring_file(path.parent, n=12).rename(path), SELECTION),
    "nxxpcs": (lambda path: nxxpcs(path, RECORD.c2), SELECTION),
    "matlab": (lambda path: matlab(path, RECORD.c2[0] - 1), SELECTION),
    "numpy": (lambda path: path.write_bytes(_npy(RECORD.c2[0])), SELECTION),
}
HDF5 = [layout for layout in SOUND if layout not in ("matlab", "numpy")]


def scikit_beam(path: Path, c2: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file["g2"], file["lag_steps"] = c2, np.arange(c2.shape[-1])


def _npy(array: np.ndarray) -> bytes:
    from io import BytesIO

    stream = BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def ended_by(path: Path, asked: dict) -> dict:
    """What a plan says of a file that ends its reader, by a loop of libhdf5 in damaged headers: no job ever opens it."""
    row = {"dataset": "a", "file": path.name, "analysis_mode": "static"} | asked
    row = checked(row, "datasets", "the row") | {"path": str(path)}
    (answer,) = plan.ask([row])
    return {"sentence": answer["fault"]} if "fault" in answer else {"error": "the reader hangs or crashed"}


class Reader:
    """The process that reads; started again when a file has ended it."""

    def __init__(self):
        self.process = None

    def read(self, path: Path, asked: dict) -> dict:
        """What it makes of a file."""
        if self.process is None:
            command = [sys.executable, str(Path(__file__).with_name("fuzz_reader.py"))]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            self.process = subprocess.Popen(command, encoding="utf-8", **pipes)
        print(json.dumps([str(path), asked]), file=self.process.stdin, flush=True)
        ready = select.select([self.process.stdout], [], [], PATIENCE + 40 * (not self.started))[0]
        line = self.process.stdout.readline() if ready else ""
        self.started = True
        if line:
            return json.loads(line)
        self.stop()
        return ended_by(path, asked)

    started = False

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process, self.started = None, False


@pytest.fixture(scope="module")
def reader():
    reader = Reader()
    yield reader
    reader.stop()


class Files(dict):
    """Sound files; without their bytes in a test's report."""

    def __repr__(self) -> str:
        return "sound files"


@pytest.fixture(scope="module")
def sound(tmp_path_factory, reader):
    """A sound file of each layout: its path, its bytes, what is asked of it, and the record that it gives."""
    files = Files()
    for number, (layout, (write, asked)) in enumerate(SOUND.items()):
        path = tmp_path_factory.mktemp("sound") / f"file{number}"
        write(path)
        record = reader.read(path, asked)
        assert record.get("faults") == [], (layout, record)
        files[layout] = path, path.read_bytes(), asked, record
    return files


def judge(result: dict, what: object) -> None:
    """A sentence, or a record that can be one."""
    assert "error" not in result, f"{what}: {result['error']}"
    if "sentence" in result:
        assert "\n" not in result["sentence"] and "homodyne_lib/" not in result["sentence"], result["sentence"]
    else:
        assert not result["faults"], (what, result["faults"])


def differs_silently(result: dict, record: dict) -> bool:
    return "digest" in result and result["digest"] != record["digest"] and result["notes"] == record["notes"]


def test_every_layout_is_damaged():
    layouts = {*FORMATS} - {"auto", "speckle-sim"}  # the latter is aps-legacy
    assert {layout.partition(" ")[0] for layout in SOUND} == layouts


# ---------------------------------------------------------------- bytes

BYTES = st.one_of(
    st.tuples(st.just("flip"), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 7)), min_size=1, max_size=3)),
    st.tuples(st.just("set"), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8)),
    st.tuples(st.just("blank"), st.lists(st.tuples(st.floats(0, 1), st.integers(1, 2000)), min_size=1, max_size=1)),
    st.tuples(st.just("cut"), st.lists(st.tuples(st.floats(0, 1), st.just(0)), min_size=1, max_size=1)),
    st.tuples(st.just("move"), st.lists(st.tuples(st.floats(0, 1), st.integers(1, 64)), min_size=1, max_size=1)),
)


def corrupted(content: bytes, kind: str, places: list[tuple[float, int]]) -> bytes:
    damaged = bytearray(content)
    for share, number in places:
        at = min(int(share * len(content)), len(content) - 1)
        if kind == "flip":
            damaged[at] ^= 1 << number
        elif kind == "set":
            damaged[at] = number
        elif kind == "blank":
            damaged[at : at + number] = bytes(len(damaged[at : at + number]))
        elif kind == "cut":
            del damaged[at:]
        else:  # bytes were lost in the middle
            del damaged[at : at + number]
    return bytes(damaged)


def check_bytes(reader, sound, layout: str, damage: tuple) -> str:
    path, content, asked, record = sound[layout]
    damaged = corrupted(content, *damage)
    target = path.with_name("damaged")
    target.write_bytes(damaged)
    result = reader.read(target, asked)
    judge(result, (layout, damage))
    silent = differs_silently(result, record)
    assert not (silent and layout == OWN), f"a damaged file of our own gives another record without a word: {damage}"
    return "sentence" if "sentence" in result else "another record" if silent else "the record, or one with a note"


FUZZ = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


@settings(max_examples=200, **FUZZ)
@given(layout=st.sampled_from([*SOUND, OWN, OWN]), damage=BYTES)
# Once tracebacks: an encoding that does not exist, an object that is not there under a name that is no text.
@example(layout="nxxpcs", damage=("flip", [(0.7632022915470646, 1)]))
@example(layout="nxxpcs", damage=("flip", [(0.43080421751542475, 7), (0.44619468665335726, 2)]))
def test_damaged_bytes_end_in_a_sentence_or_in_a_record(reader, sound, layout, damage):
    check_bytes(reader, sound, layout, damage)


@pytest.mark.slow
@settings(max_examples=2000, **FUZZ)
@given(layout=st.sampled_from([*SOUND, OWN, OWN]), damage=BYTES)
def test_thousands_of_damaged_files_end_in_a_sentence_or_in_a_record(reader, sound, layout, damage):
    check_bytes(reader, sound, layout, damage)


@pytest.mark.slow
def test_each_byte_of_our_own_file_is_guarded(reader, sound):
    """One bit of every seventh byte: what is read is refused, or the same record, or has another note."""
    path, content, asked, record = sound[OWN]
    target, outcomes = path.with_name("damaged"), Counter()
    for at in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        target.write_bytes(damaged)
        result = reader.read(target, asked)
        judge(result, at)
        assert not differs_silently(result, record), f"byte {at} changes the record without a word"
        outcomes["sentence" if "sentence" in result else "record"] += 1
    assert outcomes["sentence"] > 100  # the flips do reach the file


# ---------------------------------------------------------------- structure

HUGE = 10**9
VALUES = {
    "nothing": lambda v: np.zeros(0),
    "a scalar": lambda v: np.float64(1.0),
    "zeros": lambda v: np.zeros_like(v),
    "nan": lambda v: np.full(np.shape(v), np.nan),
    "one nan": lambda v: np.where(np.arange(np.size(v)).reshape(np.shape(v)) == 0, np.nan, v),
    "huge": lambda v: np.asarray(v, float) * 1e300,
    "negative": lambda v: -np.asarray(v, float),
    "an axis more": lambda v: np.asarray(v)[None],
    "an axis less": lambda v: np.ravel(v),
    "one less": lambda v: np.asarray(v)[..., :-1] if np.ndim(v) else v,
    "one twice": lambda v: np.concatenate([np.atleast_1d(v), np.atleast_1d(v)[-1:]]),
    "reversed": lambda v: np.asarray(v)[::-1] if np.ndim(v) else v,
    "turned": lambda v: np.transpose(v),
    "texts": lambda v: np.full(np.shape(v), b"\x1b[31m<script>"),
    "integers": lambda v: np.asarray(v, float).astype("i4"),
    "complex": lambda v: np.asarray(v, float) * (1 + 1j),
    "truth": lambda v: np.asarray(v, float) > 1,
    "halves": lambda v: np.asarray(v, float).astype("f2"),
    "big endian": lambda v: np.asarray(v, float).astype(">f8"),
}
STRUCTURE = [
    *VALUES,
    *(
        "delete",
        "declared only",
        "declared huge",
        "group",
        "soft link nowhere",
        "soft link in a circle",
        "the next one",
    ),
    *("external link", "strange name", "second name", "attributes away", "attributes strange"),
]


def restructure(file: h5py.File, name: str, change: str, names: list[str]) -> None:
    """Change one object of a file."""
    node = file[name]
    if change == "attributes away":
        for attribute in list(node.attrs):
            del node.attrs[attribute]
    elif change == "attributes strange":
        for attribute in list(node.attrs):
            node.attrs[attribute] = np.array([np.nan, -1.0])
    elif change == "strange name":
        file.move(name, f"{name}\u0661\x07")
    elif change == "second name":
        file.pop(f"{name}9", None)  # from a change before
        file[f"{name}9"] = node
    elif change in VALUES:
        if isinstance(node, h5py.Group) or node.dtype.kind not in "iufb" or node.size > 10**6:
            return
        try:
            with np.errstate(all="ignore"):
                value = VALUES[change](node[()])
        except (TypeError, ValueError):
            return
        del file[name]
        file[name] = value
    else:
        other = names[(names.index(name) + 1) % len(names)]
        del file[name]
        if change == "declared only":
            file.create_dataset(name, (12, 12), "f4")
        elif change == "declared huge":
            file.create_dataset(name, (HUGE, HUGE), "f4", chunks=(100, 100))
        elif change == "group":
            file.create_group(f"{name}/{name.rpartition('/')[2]}")
        elif change == "soft link nowhere":
            file[name] = h5py.SoftLink("/nowhere/at all")
        elif change == "soft link in a circle":
            file[name] = h5py.SoftLink(f"/{name}")
        elif change == "external link":
            file[name] = h5py.ExternalLink("/etc/hostname", "/")
        elif change == "the next one" and other in file:
            file[name] = file[other]


def check_structure(reader, sound, layout: str, changes: list[tuple[float, str]]) -> None:
    path, content, asked, _ = sound[layout]
    target = path.with_name("restructured")
    target.write_bytes(content)
    with h5py.File(target, "r+") as file:
        for share, change in changes:
            names: list[str] = []
            file.visit(names.append)
            if names:
                restructure(file, names[min(int(share * len(names)), len(names) - 1)], change, names)
    judge(reader.read(target, asked), (layout, changes))


CHANGES = st.lists(st.tuples(st.floats(0, 1), st.sampled_from(STRUCTURE)), min_size=1, max_size=2)


@settings(max_examples=150, **FUZZ)
@given(layout=st.sampled_from(HDF5), changes=CHANGES)
def test_restructured_files_end_in_a_sentence_or_in_a_record(reader, sound, layout, changes):
    check_structure(reader, sound, layout, changes)


@pytest.mark.slow
@settings(max_examples=500, **FUZZ)
@given(layout=st.sampled_from(HDF5), changes=CHANGES)
def test_thousands_of_restructured_files_end_in_a_sentence_or_in_a_record(reader, sound, layout, changes):
    check_structure(reader, sound, layout, changes)


@pytest.mark.parametrize("layout", HDF5)
def test_each_change_of_each_list_and_of_one_matrix(reader, sound, layout):
    """Every change once, of the first matrix and of each object that is no matrix, as far as 60 files go."""
    _, content, _, _ = sound[layout]
    path = sound[layout][0].with_name("names")
    path.write_bytes(content)
    with h5py.File(path) as file:
        names: list[str] = []
        file.visit(names.append)
    cases = [(k, change) for k in range(len(names)) for change in STRUCTURE]
    for k, change in cases[:: max(1, len(cases) // 60)]:
        check_structure(reader, sound, layout, [((k + 0.5) / len(names), change)])

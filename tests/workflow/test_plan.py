"""Before any job: files are read in another process, which a bad one may end; sentences of rows; nothing is read twice."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest import mock

import h5py
import pytest
from workflow_support import FLOW, N_FRAMES, N_PHI, ROOT, write_rest

sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import plan
import tables

with mock.patch.dict(os.environ):  # what a job sets in its process would stay in that of the tests
    import survey

ROW = {"dataset": "d", "file": "d.h5", "analysis_mode": "static", "wavevector_q": 0.01, "dt": 0.1}
SHAPE = [N_PHI, N_FRAMES]


@pytest.fixture(scope="module")
def rest(tmp_path_factory):
    """A good file."""
    path = tmp_path_factory.mktemp("good") / "rest.h5"
    write_rest(path)
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project folder to plan in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def row(path: Path | str, **columns) -> dict:
    """A complete row of the table for a file."""
    return tables.checked(ROW | columns, "datasets", "row") | {"path": str(path)}


def config(shards="auto", **nlsq) -> dict:
    """A complete configuration with these settings of the sampler and of the fit."""
    return tables.checked({"cmc": {"shards": shards}, "nlsq": nlsq}, "config", "configuration")


def unwritten(path: Path) -> None:
    """Matrices of 10^18 values, of which the file holds none."""
    with h5py.File(path, "w") as file:
        file["xpcs/dqlist"], file["xpcs/dphilist"] = [[0.01] * 3], [[0.0, 45.0, 90.0]]
        for k in (1, 2, 3):
            file.create_dataset(
                f"exchange/C2T_all/g2_{k:05d}", (10**9, 10**9), "f4", chunks=(64, 64), compression="gzip"
            )


def endless(path: Path) -> None:
    """The same with one piece of each written."""
    unwritten(path)
    with h5py.File(path, "a") as file:
        for matrix in file["exchange/C2T_all"].values():
            matrix[:9, :9] = 1.0


BAD = {
    "missing": (
        lambda path: None,
        {},
        "the file cannot be read (No such file or directory); check its path and rights.",
    ),
    "pipe": (os.mkfifo, {}, "this is a pipe, a socket or a device; give the file of the two-time analysis."),
    "unwritten": (
        unwritten,
        {},
        "exchange/C2T_all/g2_00001 is declared with the shape (1000000000, 1000000000), but no value",
    ),
    "endless": (
        endless,
        {},
        "the frame window 1 to -1 of the frames 1 to 1000000000 holds more than 100000; choose a shorter one.",
    ),
    "text": (lambda path: path.write_text("q,phi"), {}, "this is not an HDF5 file"),
    "long name": (lambda path: None, {"file": "x" * 300}, "the file cannot be read (File name too long)"),
    "plan": (
        lambda path: path.write_text(FLOW.replace("seed: 7", "seed: 7\nseed: 8")),
        {"format": "speckle-sim", "analysis_mode": "laminar_flow"},
        "the key seed stands twice, in lines 8 and 9; make them one",
    ),
}


def test_each_bad_file_ends_its_own_row(folder, rest):
    """One process for all of them, between good ones."""
    rows = {"first": row(rest)}
    for name, (make, columns, _) in BAD.items():
        path = folder / columns.get("file", f"{name}.h5")
        make(path)
        rows[name] = row(path, **columns)
    rows["last"] = row(rest, dt=0.2)
    found = plan.surveyed(rows, trust_faults=False)
    faults = {name: plan.fault_of(rows[name], found[name], config()) for name in rows}
    assert faults.pop("first") is None and faults.pop("last") is None
    assert found["first"]["shape"] == found["last"]["shape"] == SHAPE
    for name, (*_, words) in BAD.items():
        assert faults[name].startswith(f"{rows[name]['path']}: {words}"), faults[name]


def test_another_time_in_the_file_is_noted(rest):
    assert survey.answer(row(rest))["notes"] == []
    (note,) = survey.answer(row(rest, dt=0.2))["notes"]
    assert note == "dt = 0.2 s was used as configured, but the file states a frame time of 0.1 s."


def test_shards_that_a_short_record_cannot_have_are_the_fault_of_its_row(rest):
    found = survey.answer(row(rest))
    assert plan.fault_of(row(rest), found, config(shards=N_FRAMES // 2)) is None
    assert f"shards = {N_FRAMES} does not fit {N_FRAMES} frames" in plan.fault_of(
        row(rest), found, config(shards=N_FRAMES)
    )


def test_too_few_frames_for_an_estimate_of_the_noise_are_the_fault_of_their_row(rest):
    short = row(rest, end_frame=16)
    fault = plan.fault_of(short, survey.answer(short), config())
    assert fault == f"{rest}: noise cannot be estimated from 16 frames; at least 17 are needed."
    assert plan.fault_of(row(rest), survey.answer(row(rest, end_frame=17)), config()) is None


@pytest.mark.parametrize(
    ("nlsq", "words"),
    [
        ({"starts": 0}, "starts is 0 and start gives no values; a fit needs one or the other."),
        (
            {"fixed": {"phi0": 10.0}},
            "fixed names 'phi0', which is no parameter of this model; it has D0, alpha, D_offset.",
        ),
        (
            {"start": {"beta": 0.0}},
            "start names 'beta', which is no parameter of this model; it has D0, alpha, D_offset.",
        ),
        ({"fixed": {"alpha": 0.5}, "bounds": {"alpha": [-1.0, 0.0]}}, "fixed alpha = 0.5 is outside [-1, 0]."),
    ],
)
def test_a_search_that_a_model_cannot_have_is_the_fault_of_its_row(rest, nlsq, words):
    static, found = row(rest), survey.answer(row(rest))
    assert plan.fault_of(static, found, config(**nlsq)) == f"{rest}: {words}"
    assert plan.fault_of(static, found, config(starts=0, start={"D0": 100.0}, bounds={"beta": [-1.0, 0.0]})) is None


def test_more_pairs_than_can_be_analysed_are_the_fault_of_their_row(rest):
    """A record of an hour at 100 Hz has 360,000 frames."""
    for frames, words in (
        (300_000, None),
        (600_000, "1 angles × 600000 frames hold more than 1e+11 pairs of frames, too "),
    ):
        fault = plan.fault_of(row(rest), {"shape": [1, frames]}, config())
        assert (fault is None) if words is None else fault.startswith(f"{rest}: {words}")


STANDIN = """\
import json, os, signal, sys, time
sys.path.insert(0, {scripts!r})
import survey
survey.PROCESSOR, survey.WALL = 0.1, 8
def read(row):
    name = row["path"]
    if name == "loop":
        while True: pass
    if name == "wait":
        time.sleep(60)
    if name == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if name == "defect":
        raise TypeError("unforeseen")
    return {{"shape": [1, 9], "notes": []}}
survey.survey = read
survey.main()
"""


def test_who_loops_waits_or_crashes_is_ended_and_the_others_are_read(folder, monkeypatch):
    """Stand-ins for files on which the HDF5 library does so: their bytes differ from version to version."""
    program = folder / "standin.py"
    program.write_text(STANDIN.format(scripts=str(ROOT / "workflow" / "scripts")), encoding="utf-8")
    monkeypatch.setattr(plan, "SURVEY", program)
    names = ["good", "loop", "wait", "crash", "defect", "also good"]
    answers = dict(zip(names, plan.ask([{"path": name} for name in names]), strict=True))
    assert answers["good"]["shape"] == answers["also good"]["shape"] == [1, 9]
    words = {
        "loop": "loop: reading the headers has no end; the file is damaged. Copy it again.",
        "wait": "wait: reading the headers takes too long; its disk does not answer, or the file is damaged. ",
        "crash": "crash: reading the headers crashed (SIGSEGV); the file is damaged. Copy it again.",
        "defect": "defect: this file cannot be read (TypeError: unforeseen); copy it again.",
    }
    for name, sentence in words.items():
        assert answers[name]["fault"].startswith(sentence)


def test_a_survey_that_cannot_start_is_no_fault_of_a_file(folder, monkeypatch):
    monkeypatch.setattr(plan, "SURVEY", folder / "gone.py")
    with pytest.raises(RuntimeError, match=r"gone\.py"):
        plan.ask([{"path": "a"}])


@pytest.fixture
def asked(monkeypatch):
    """Paths that a survey was asked for; in place of its process, what is there has a shape."""
    paths = []

    def answers(rows):
        paths.extend(Path(row["path"]).name for row in rows)
        there = [Path(row["path"]).is_file() for row in rows]
        return [
            {"shape": SHAPE, "notes": [], "stamp": "x"} if file else {"fault": "gone", "stamp": None} for file in there
        ]

    monkeypatch.setattr(plan, "ask", answers)
    return paths


def test_what_is_the_same_is_read_once(folder, asked):
    file = folder / "a.h5"
    file.write_bytes(b"12345")
    rows = {"a": row(file), "gone": row(folder / "gone.h5")}
    first = plan.surveyed(rows, trust_faults=False)
    assert asked == ["a.h5", "gone.h5"]
    assert plan.surveyed(rows, trust_faults=True) == first and asked == ["a.h5", "gone.h5"]
    # A new plan looks for what was not there, or could not be read.
    assert plan.surveyed(rows, trust_faults=False) == first and asked.pop() == "gone.h5"
    # Another content of equal size under an equal time stamp, and another row.
    status = file.stat()
    file.write_bytes(b"54321")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    plan.surveyed(rows, trust_faults=True)
    plan.surveyed({"a": row(file, end_frame=20)}, trust_faults=True)
    assert asked == ["a.h5", "gone.h5", "a.h5", "a.h5"]


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"', "3", "\ufffd"])
def test_a_spoilt_memory_is_forgotten(folder, asked, content):
    plan.KNOWN.parent.mkdir(parents=True)
    plan.KNOWN.write_text(content, encoding="utf-8")
    (folder / "a.h5").touch()
    for _ in range(2):
        assert plan.surveyed({"a": row(folder / "a.h5")}, trust_faults=True)["a"]["shape"] == SHAPE
    assert asked == ["a.h5"]


def test_where_nothing_can_be_written_plans_are_made(folder, asked):
    (folder / ".snakemake").write_text("a file", encoding="utf-8")
    (folder / "a.h5").touch()
    for _ in range(2):
        assert plan.surveyed({"a": row(folder / "a.h5")}, trust_faults=False)["a"]["shape"] == SHAPE
    assert asked == ["a.h5"] * 2

"""`make inspect`: what a file holds, and rows of the table that can be run as they are printed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import pytest
from records import make_record, write_legacy
from workflow_support import ROOT

from homodyne_lib.io.bin_selection import q_rings
from homodyne_lib.io.formats.aps_u import write_aps_u
from homodyne_lib.io.reader import read_two_time

sys.path[:0] = [str(ROOT / "workflow"), str(ROOT / "workflow" / "scripts")]

import tables  # noqa: E402

with mock.patch.dict(os.environ):  # what a job sets in its process would stay in that of the tests
    from inspect_file import dataset_name, main


def look(folder: Path, file: object) -> str:
    """What the program prints for a file in a project; it ends with a sentence where it refuses."""
    here = Path.cwd()
    try:
        with redirect_stdout(StringIO()) as said:
            main(["--directory", str(folder), str(file)])
    finally:
        os.chdir(here)
    return said.getvalue()


@pytest.fixture
def two_rings(tmp_path) -> Path:
    """Two rings of three angles in one file, the second without a frame time that a program could take for granted."""
    record = make_record(n_phi=6, n_t=40)
    path = write_legacy(
        tmp_path / "my run.h5",
        {k + 1: np.triu(matrix) for k, matrix in enumerate(record.c2)},
        np.repeat([0.01, 0.0201], 3),
        np.tile([-60.0, 0.0, 60.0], 2),
    )
    with h5py.File(path, "r+") as file:
        file["measurement/sample/temperature_A"] = [[25.5]]
        file["measurement/sample/temperature_A"].attrs["units"] = "C"
        file["measurement/sample/name"] = "<b>bold</b>"
        file["measurement/instrument/detector/exposure_period"] = [[0.25]]
        file["xpcs/stride_frames"], file["xpcs/avg_frames"] = [[2]], [[5]]
    return path


def test_rows_of_each_ring_are_printed_and_can_be_read(two_rings, tmp_path):
    (tmp_path / "config").mkdir()
    command = [sys.executable, ROOT / "workflow" / "inspect_file.py", "--directory", tmp_path, two_rings]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    for words in (
        "Layout aps-legacy, 6 bins in 2 rings",
        "2.5 s",
        "temperature_A: 25.5 C",
        "temperature 298.65 K",
        "-60, 0, 60",
    ):
        assert words in done.stdout, done.stdout
    lines = done.stdout.splitlines()
    first = next(k for k, line in enumerate(lines) if line.startswith("dataset\t"))
    table = tmp_path / "config" / "datasets.tsv"
    table.write_text("\n".join(lines[first : first + 3]) + "\n", encoding="utf-8")
    rows = tables.read_datasets(str(table))
    assert [row["wavevector_q"] for row in rows.values()] == [0.01, 0.0201]
    for row in rows.values():
        record = read_two_time(
            row["path"], wavevector_q=row["wavevector_q"], q_tolerance=row["q_tolerance"], dt=row["dt"]
        )
        assert record.dt == 2.5 and record.phi.tolist() == [-60, 0, 60] and len(record.frames) == 40


def test_page_has_a_picture_a_ring_and_is_complete_in_itself(two_rings, tmp_path):
    look(tmp_path, two_rings)
    page = (tmp_path / "results" / "my run.h5.inspect.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 2
    assert "<b>bold" not in page and "http-equiv" not in page.lower()


def test_a_file_without_frame_time_leaves_the_cell_of_dt_empty(tmp_path):
    record = make_record(n_t=30)
    path = tmp_path / "run.h5"
    write_aps_u(path, record)
    with h5py.File(path, "r+") as file:
        del file["entry/instrument/detector_1/frame_time"]
    said = look(tmp_path, path)
    assert "fill in dt" in said
    assert "\tstatic\t0.01\t\n" in said


def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path):
    (tmp_path / "notes.txt").write_text("no data", encoding="utf-8")
    for folder, file, words in (
        (tmp_path, tmp_path / "notes.txt", "notes.txt"),
        (tmp_path, tmp_path / "absent.h5", "cannot be read"),
        (tmp_path, "", "no file is named"),
        (tmp_path / "nowhere", "x.h5", "not a folder"),
    ):
        with pytest.raises(SystemExit, match=f"^inspect: .*{words}"):
            look(folder, file)


def refuse(error: OSError):
    """What raises an error in the place of any function."""

    def refusing(*_, **__):
        raise error

    return refusing


@pytest.mark.parametrize(
    ("name", "owner", "function", "error", "words"),
    [
        (
            "run.h5",
            Path,
            "mkdir",
            PermissionError(errno.EACCES, "Permission denied", "results"),
            "writing is not permi",
        ),
        ("run.h5", Path, "mkdir", FileExistsError(errno.EEXIST, "File exists", "results"), "File exists; rename"),
        ("run.h5", os, "replace", OSError(errno.ENOSPC, "No space left"), "run.h5.inspect.html cannot be .*: no space"),
        (f"{'run' * 70}.h5", os, "access", None, "File name too long; rename the file"),
    ],
)
def test_a_page_that_cannot_be_written_hides_no_table(tmp_path, monkeypatch, name, owner, function, error, words):
    write_aps_u(tmp_path / name, make_record(n_t=30))
    monkeypatch.chdir(tmp_path)
    # The owner of everything is permitted to write everywhere.
    monkeypatch.setattr(os, "access", lambda *_: False)
    if error:
        monkeypatch.setattr(owner, function, refuse(error))
    with (
        redirect_stdout(StringIO()) as said,
        pytest.raises(SystemExit, match=f"^inspect: there is no page .*: {words}"),
    ):
        main(["--directory", str(tmp_path), name])
    assert "For config/datasets.tsv" in said.getvalue() and "\tstatic\t0.01\t" in said.getvalue()


def test_an_error_of_ours_is_no_reason_for_a_missing_page(tmp_path, monkeypatch):
    write_aps_u(tmp_path / "run.h5", make_record(n_t=30))
    monkeypatch.setattr("inspect_file.page", refuse(ValueError("a defect")))
    with pytest.raises(ValueError, match=r"^a defect$"):
        look(tmp_path, tmp_path / "run.h5")


def test_files_that_differ_in_their_suffix_have_a_page_each(tmp_path):
    for name in ("run.h5", "run.hdf"):
        write_aps_u(tmp_path / name, make_record(n_t=30))
        look(tmp_path, tmp_path / name)
    assert {path.name for path in (tmp_path / "results").iterdir()} == {
        "run.h5.inspect.html",
        "run.hdf.inspect.html",
    }


@pytest.mark.parametrize("ending", ["", "_q1", "_q999"])
@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("my run", "my_run"),
        ("µ", "data"),
        ("logs", None),
        ("Benchmarks", None),
        ("a" * 30, None),
        ("ab" * 45, None),
        ("run_" * 60, None),
        ("0123456789_" * 20, None),
        ("_".join(map(str, range(99))), None),
    ],
)
def test_the_table_takes_the_name_that_a_row_gets(tmp_path, stem, name, ending):
    found = dataset_name(stem, ending)
    assert found.startswith(stem[:4].replace(" ", "_")) or name == "data"
    assert name is None or found == f"{name}{ending}"
    table = tmp_path / "datasets.tsv"
    table.write_text(f"dataset\n{found}\n", encoding="utf-8")
    assert list(tables.read_datasets(str(table))) == [found]


def test_a_ring_that_cannot_be_read_hides_no_other(two_rings, tmp_path):
    with h5py.File(two_rings, "r+") as file:
        file["exchange/C2T_all/g2_00005"][2, 7] = np.nan
    said = look(tmp_path, two_rings)
    assert "q = 0.0201 1/Å cannot be analysed" in said and "\t0.01\t" in said
    assert "\t0.0201\t" not in said


@pytest.mark.parametrize(
    ("q", "rings"),
    [
        ([0.01, 0.02, 0.01], [[0, 2], [1]]),
        # Means over pixels differ a little within a ring.
        ([0.0101, 0.0100, 0.0102, 0.0150], [[1, 0, 2], [3]]),
        ([np.nan, 0.01, 0.0], [[1]]),
        ([np.nan], []),
    ],
)
def test_bins_of_nearly_one_q_are_a_ring(q, rings):
    assert [ring.tolist() for ring in q_rings(np.array(q), 0.02)] == rings


@pytest.mark.parametrize("distance", [0.012, 0.004])
def test_rings_closer_than_the_usual_tolerance_are_told_apart(tmp_path, distance):
    q, matrices = 0.01 * (1.0 + distance) ** np.arange(6), make_record(n_phi=18, n_t=30).c2
    numbered = {k + 1: np.triu(matrix) for k, matrix in enumerate(matrices)}
    write_legacy(tmp_path / "a.h5", numbered, np.repeat(q, 3), np.tile([-60.0, 0.0, 60.0], 6))
    said = look(tmp_path, tmp_path / "a.h5")
    assert "in 6 rings of q" in said and "were left out" not in said
    tolerance = {0.012: "0.01", 0.004: "0.002"}[distance]
    assert all(f"\tstatic\t{value:.4g}\t{tolerance}\t" in said for value in q)


def test_frames_that_are_missing_are_an_empty_stripe_at_their_time(two_rings, tmp_path):
    with h5py.File(two_rings, "r+") as file:
        for name in file["exchange/C2T_all"]:
            file["exchange/C2T_all"][name][10], file["exchange/C2T_all"][name][:, 10] = 0, 0
    assert "Frames without values were left out: 11." in look(tmp_path, two_rings)
    assert "39 frames" in (tmp_path / "results" / "my run.h5.inspect.html").read_text(encoding="utf-8")

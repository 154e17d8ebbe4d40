"""`make inspect`: what a file holds, and rows of the table that can be run as they are printed."""

from __future__ import annotations

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
    from inspect_file import main


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
    page = (tmp_path / "results" / "my run.inspect.html").read_text(encoding="utf-8")
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


def test_frames_that_are_missing_are_an_empty_stripe_at_their_time(two_rings, tmp_path):
    with h5py.File(two_rings, "r+") as file:
        for name in file["exchange/C2T_all"]:
            file["exchange/C2T_all"][name][10], file["exchange/C2T_all"][name][:, 10] = 0, 0
    assert "Frames without values were left out: 11." in look(tmp_path, two_rings)
    assert "39 frames" in (tmp_path / "results" / "my run.inspect.html").read_text(encoding="utf-8")

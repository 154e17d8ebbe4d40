"""Rows of several q and repeats: their cells, their plan, and a run to the archive with its repeats."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import plan
import pytest
import row_files
import survey
import tables
from workflow_support import CONFIG, FLOW, ROOT, snakemake, write_rest

from homodyne_lib.io.formats.simulated import read_truth
from homodyne_lib.results.fits import Fit

HEAD = "dataset\tfile\tformat\tanalysis_mode\twavevector_q\tstator_rotor_gap\tdt\n"
REPEATS = "flow.yaml, again.yaml\tspeckle-sim\tlaminar_flow\t0.0054,0.0076\t2e6\t0.1\n"


def table(folder: Path, *rows: str) -> dict:
    path = folder / "datasets.tsv"
    path.write_text(HEAD + "".join(f"d{k}\t{row}" for k, row in enumerate(rows)), encoding="utf-8")
    return tables.read_datasets(str(path))


def test_files_with_commas_between_them_are_repeats(tmp_path):
    (tmp_path / "a,b.h5").touch()
    rows = table(
        tmp_path, *(f"{cell}\tauto\tstatic\t0.01\t\t0.1\n" for cell in ("a.h5", "a.h5, b.h5,c.h5", "a,b.h5", "d, .h5"))
    )
    assert [row_files.paths_of(row) for row in rows.values()] == [
        [str(tmp_path / name) for name in names]
        for names in (["a.h5"], ["a.h5", "b.h5", "c.h5"], ["a,b.h5"], ["d", ".h5"])
    ]
    assert "repeats" not in rows["d0"] and row_files.files_of(rows["d2"]) == ["a,b.h5"]


@pytest.mark.parametrize(
    "names", [[f"{k}{'x' * 63}.h5" for k in range(6)], [f"/measured/in/spring/run_{k:03}.h5" for k in range(60)]]
)
def test_many_repeats_are_no_file_name_that_is_too_long(tmp_path, names):
    paths = [str(tmp_path / name) for name in names]
    assert {len(name) for name in names} in ({67}, {30})
    found = row_files.paths_from(str(tmp_path / "datasets.tsv"), ",".join(names))
    assert found == {"path": paths[0], "repeats": paths[1:]}


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("0.005:0.01", "a simulation has no q to choose from; list numbers in wavevector_q"),
        ("0.0054;0.01", "wavevector_q has '0.0054;0.01'"),
        ("0.0054,500", "wavevector_q = 500 1/Å is outside the usual range"),
    ],
)
def test_a_wrong_choice_of_q_is_the_fault_of_its_row(tmp_path, cell, words):
    row = table(tmp_path, f"flow.yaml\tspeckle-sim\tstatic\t{cell}\t\t0.1\n")["d0"]
    assert words in row["fault"]


def test_a_number_stays_a_number(tmp_path):
    rows = table(tmp_path, *(f"a.h5\tauto\tstatic\t{cell}\t\t0.1\n" for cell in ("0.01", "0.01,0.02", "0.01:0.02")))
    assert [row["wavevector_q"] for row in rows.values()] == [0.01, "0.01,0.02", "0.01:0.02"]


def described(folder: Path) -> None:
    (folder / "flow.yaml").write_text(FLOW, encoding="utf-8")
    (folder / "again.yaml").write_text(FLOW.replace("seed: 7", "seed: 8"), encoding="utf-8")
    (folder / "short.yaml").write_text(FLOW.replace("n_frames: 32", "n_frames: 30"), encoding="utf-8")


@pytest.mark.parametrize(
    ("plan_change", "columns", "words"),
    [
        (("phi: [0", "phi: [360, 0"), {}, "flow.yaml: phi must ascend within"),
        (("D0: ", "D0: -"), {}, "flow.yaml: D0 = -"),
        (("pixels: ", "pixels: 1 #"), {}, "pixels is 1"),
        (None, {"wavevector_q": "0.0054,0.00545"}, "flow.yaml: "),
        (None, {"phi_ranges": "130:140"}, "flow.yaml: no bin at q = 0.0054 1/Å has an angle in the phi_ranges"),
    ],
    ids=["an angle twice", "no value of the table", "one pixel", "q too close", "no angle"],
)
def test_a_simulation_that_cannot_be_analysed_is_the_fault_of_its_row(tmp_path, plan_change, columns, words):
    """Before any movie is made."""
    described(tmp_path)
    if plan_change:
        (tmp_path / "flow.yaml").write_text(FLOW.replace(*plan_change), encoding="utf-8")
    row = table(tmp_path, REPEATS)["d0"] | columns
    assert words in survey.answer(row)["fault"]


def test_the_plan_of_a_simulation_knows_what_is_simulated_and_what_is_read_of_it(tmp_path):
    described(tmp_path)
    row = table(tmp_path, REPEATS)["d0"] | {"end_frame": 20, "phi_ranges": "-1:1"}
    answer = survey.answer(row)
    assert answer["shape"] == [4, 20] and answer["simulated"] == [6, 32]


def test_the_plan_knows_the_bins_of_all_files(tmp_path, monkeypatch):
    described(tmp_path)
    write_rest(tmp_path / "rest.h5")
    rows = table(
        tmp_path,
        REPEATS,
        REPEATS.replace("again", "short"),
        REPEATS.replace("again", "flow"),
        "rest.h5,gone.h5\tauto\tstatic\t0.01\t\t0.1\n",
        "rest.h5\tauto\tstatic\t0.01,0.02\t\t0.1\n",
    )
    answers = [survey.answer(row) for row in rows.values()]
    assert answers[0]["shape"] == [12, 32] and len(answers[0]["stamp"]) == 2
    for answer, words in zip(
        answers[1:],
        ("their frames are 1:30, and 1:32", "is given twice", "gone.h5: the file cannot be read", "of 0.02 1/Å"),
        strict=True,
    ):
        assert words in answer["fault"]
    monkeypatch.chdir(tmp_path)
    keys = plan._key(rows["d0"])
    (tmp_path / "again.yaml").write_text(FLOW.replace("seed: 7", "seed: 19"), encoding="utf-8")
    assert plan._key(rows["d0"]) != keys


@pytest.mark.slow
def test_repeats_of_a_simulation_run_to_their_archive(tmp_path):
    """Both files are simulated, read, fitted together and alone, reported, and packed."""
    config = tmp_path / "config"
    config.mkdir()
    described(config)
    row = "pair\t" + REPEATS.replace("again.yaml", "again.yaml,")  # a comma at the end adds no file
    (config / "datasets.tsv").write_text(HEAD + row, encoding="utf-8")
    (config / "config.yaml").write_text(CONFIG, encoding="utf-8")
    done = snakemake(tmp_path, "--cores", "2", "results/pair/provenance.json")
    assert done.returncode == 0, done.stdout
    results = tmp_path / "results" / "pair"
    truths = [read_truth(results / name) for name in ("simulated.h5", "simulated-2.h5")]
    assert [truth["seed"] for truth in truths] == [7, 8]
    fit = Fit.read(results / "nlsq.json")
    assert len(fit.parts.rings) == len(fit.parts.repeats) == 2
    record = json.loads((results / "provenance.json").read_text())
    assert [one["file"] for one in record["inputs"]] == ["flow.yaml", "again.yaml"]
    assert {"simulate", "simulate-2"} <= record["stages"].keys()
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "Each q and each file alone" in page and "truth" in page

    command = [sys.executable, str(ROOT / "workflow/archive.py"), "--directory", str(tmp_path), "pair"]
    packed = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert packed.returncode == 0, packed.stderr
    with tarfile.open(tmp_path / "results" / "pair.tar.gz") as archive:
        names = {name for name in archive.getnames() if name.startswith("pair/project/config/")}
    assert {f"pair/project/config/data/{name}" for name in ("flow.yaml", "again.yaml")} <= names

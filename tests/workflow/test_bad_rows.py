"""A table of one good row and eleven that are bad, each in its own way: each ends alone, in a sentence."""

from __future__ import annotations

import os
import resource
import time

import h5py
import numpy as np
import pandas as pd
import pytest
from workflow_support import CONFIG, FLOW, edited, make_project, planned, snakemake

MATRICES = "exchange/C2T_all"


def declare(file: h5py.File) -> None:
    """Matrices of 10^18 values, of which one piece is written."""
    for name in list(file[MATRICES]):
        del file[f"{MATRICES}/{name}"]
        matrix = file.create_dataset(f"{MATRICES}/{name}", (10**9, 10**9), "f4", chunks=(64, 64), compression="gzip")
        matrix[:9, :9] = 1.0


def link(file: h5py.File) -> None:
    """The first matrix stands in another file."""
    del file[f"{MATRICES}/g2_00001"]
    file[f"{MATRICES}/g2_00001"] = h5py.ExternalLink("other.h5", "/c2")


def lose_q(file: h5py.File) -> None:
    """The list of q holds no number."""
    file["xpcs/dqlist"][...] = np.nan


def lose_values(file: h5py.File) -> None:
    """Two values of a matrix are none."""
    file[f"{MATRICES}/g2_00002"][3, [9, 12]] = np.nan


LONG = "x" * 300 + ".h5"
BAD = {
    # dataset: (columns that differ, how its file is made, how the sentence begins after the file's name)
    "declared": (
        {},
        edited(declare),
        "the frame window 1 to -1 of the frames 1 to 1000000000 holds more than 100000; choose a shorter one.",
    ),
    "billion": (
        {"format": "speckle-sim"},
        lambda path, good: path.write_text(FLOW.replace("n_frames: 32", "n_frames: 1000000000")),
        "n_frames is 1000000000; it must be at most 100000",
    ),
    "pipe": ({}, lambda path, good: os.mkfifo(path), "this is a pipe, a socket or a device; give the file"),
    "text": ({}, lambda path, good: path.write_text("q,phi\n" * 99), "this is not an HDF5 file; give the file"),
    "long-name": ({"file": LONG}, None, "the file cannot be read (File name too long); check its path and rights."),
    "short": ({"file": "rest.h5", "end_frame": "2"}, None, "the frame window 1 to 2 holds fewer than 3 frames; choose"),
    "link": ({}, edited(link), f"{MATRICES}/g2_00001 is a link into another file, other.h5, and the data"),
    "no-q": ({}, edited(lose_q), "the file states no finite q for any of its 3 bins; repair the list of q"),
    "truncated": ({}, lambda path, good: path.write_bytes(good[:-99]), "the file is truncated: it has "),
    "gap-in-mm": (
        {"file": "rest.h5", "analysis_mode": "laminar_flow", "stator_rotor_gap": "0.2"},
        None,
        "stator_rotor_gap = 0.2 Å is outside the usual range [100000, 1e+08] Å, by a factor of more than 100; check",
    ),
    "values": ({}, edited(lose_values), "2 of 1584 values of c2 in the selection are not finite or not positive, the"),
}
LATE = {"values"}
"""What only reading the matrices shows."""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The project folder of the table."""
    folder = make_project(tmp_path_factory.mktemp("rows") / "project")
    config = folder / "config"
    good = (config / "rest.h5").read_bytes()
    (config / "config.yaml").write_text(CONFIG + "datasets: config/rows.tsv\n", encoding="utf-8")
    row = {"analysis_mode": "static", "wavevector_q": "0.01", "dt": "0.1"}
    rows = {"good": row | {"file": "rest.h5"}}
    for name, (columns, make, _) in BAD.items():
        rows[name] = row | {"file": f"{name}.h5"} | columns
        if make is not None:
            make(config / f"{name}.h5", good)
    pd.DataFrame(rows).T.to_csv(config / "rows.tsv", sep="\t", index_label="dataset")
    return folder


def sentences(lines: list[str]) -> dict[str, str]:
    """What is said of each dataset."""
    pairs = (line.partition(": ") for line in lines)
    return {name: sentence for name, _, sentence in pairs if name == "good" or name in BAD}


def test_the_plan_tells_what_is_wrong_with_each_row_and_goes_on_with_the_good_one(project):
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    plan = snakemake(project, "--dry-run")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert plan.returncode == 0, plan.stdout
    # Of processors, for the machine may have other work: 10 s. Who waits for a pipe waits for ever.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 10
    assert time.monotonic() - begin < 60
    jobs = planned(plan.stdout)
    assert (jobs["refuse"], jobs["ingest"]) == (len(BAD) - len(LATE), 1 + len(LATE))
    said = sentences(plan.stdout.partition("Building DAG")[0].splitlines())
    assert said.keys() == BAD.keys() - LATE
    for name, sentence in said.items():
        assert BAD[name][2] in sentence, name
    assert "Traceback" not in plan.stdout


@pytest.mark.slow
def test_the_run_ends_with_one_report_and_eleven_sentences(project):
    done = snakemake(project, "--cores", "2")
    assert done.returncode == 1
    assert {path.parent.name for path in project.glob("results/*/report.html")} == {"good"}
    assert (project / "results/summary.html").is_file()
    said = sentences(done.stdout.splitlines()[-len(BAD) - 5 :])
    assert said.keys() == BAD.keys() and len(said) == 11
    for name, sentence in said.items():
        assert BAD[name][2] in sentence, name
    assert "Traceback" not in done.stdout

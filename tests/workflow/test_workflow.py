"""The real workflow on a miniature table: to the reports, changed, used by others, and with bad input.

Each call of Snakemake costs seconds, so tests share runs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from report_support import texts
from workflow_support import (
    N_CHAINS,
    N_DRAWS,
    N_FRAMES,
    N_PHI,
    ROOT,
    STAGES,
    TABLE,
    edited,
    files_below,
    make_project,
    planned,
    snakemake,
    stages_from,
)

import homodyne_lib as hd
from homodyne_lib import Calibration
from homodyne_lib.model.parameters import parameter_names
from homodyne_lib.results.draws import read_draws

DATASETS = {"rest": "static", "flow": "laminar_flow"}
RESULTS = {
    "c2.h5", "scaling.json", "nodes.npz", "nlsq.json", "calibration.json", "posterior.nc", "cmc.json", "parameters.csv",
    "report.html", "report.pdf", "parameters.tex", "provenance.json",
}  # fmt: skip
LOGS = {*STAGES}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The miniature project, carried to its reports; and what the terminal showed."""
    folder = make_project(tmp_path_factory.mktemp("whole") / "project")
    finished = snakemake(folder, "--cores", "2")
    assert finished.returncode == 0, finished.stdout
    return folder, finished.stdout


# --- from the table to the summary


@pytest.mark.parametrize("dataset", DATASETS)
def test_results_are_those_promised_and_no_others(run, dataset):
    """Nothing temporary and nothing half-written stays."""
    found = {path for path in files_below(run[0] / "results" / dataset) if not path.startswith(("figures/", "curves/"))}
    simulated = dataset == "flow"
    logs = LOGS if simulated else LOGS - {"simulate"}
    promised = RESULTS | ({"simulated.h5"} if simulated else set())
    assert found == promised | {f"logs/{name}.log" for name in logs} | {f"benchmarks/{name}.tsv" for name in logs}
    figures = files_below(run[0] / "results" / dataset / "figures") - {".snakemake_timestamp"}
    assert figures and {Path(figure).suffix for figure in figures} == {".png", ".pdf"}
    curves = files_below(run[0] / "results" / dataset / "curves") - {".snakemake_timestamp"}
    assert curves and {Path(curve).suffix for curve in curves} == {".csv"}


def test_the_run_ends_in_a_summary_of_all_datasets(run):
    assert (run[0] / "results/summary.html").stat().st_size > 0
    summary = (run[0] / "results/summary.csv").read_text(encoding="utf-8")
    assert all(dataset in summary for dataset in DATASETS)


@pytest.mark.parametrize(("dataset", "mode"), DATASETS.items())
def test_the_results_belong_to_the_row(run, dataset, mode):
    results, names = run[0] / "results" / dataset, parameter_names(mode)
    with h5py.File(results / "c2.h5") as file:
        assert file["c2"].shape == (N_PHI, N_FRAMES, N_FRAMES)
    fit = json.loads((results / "nlsq.json").read_text(encoding="utf-8"))
    assert (fit["analysis_mode"], list(fit["parameters"])) == (mode, names)
    assert fit["n_points"] == N_PHI * N_FRAMES * (N_FRAMES - 1) // 2
    assert list(pd.read_csv(results / "parameters.csv")["parameter"])[: len(names)] == names
    draws = read_draws(results / "posterior.nc")[0]
    assert all(draws[name].shape == (N_CHAINS, N_DRAWS) for name in names)


@pytest.fixture(scope="module")
def in_a_notebook(run, tmp_path_factory):
    """The result files of both datasets, made by the interface."""
    folder = tmp_path_factory.mktemp("interface")
    geometry = {"rest": {"q": 0.01}, "flow": {"q": 0.0054, "stator_rotor_gap": 2e6}}
    files = {"rest": run[0] / "config/rest.h5", "flow": run[0] / "results/flow/simulated.h5"}
    fits = {}
    for dataset, mode in DATASETS.items():
        fit = hd.fit(hd.load(files[dataset], dt=0.1, **geometry[dataset]), mode, starts=16)
        (folder / dataset).mkdir()
        fit.write(folder / dataset / "nlsq.json")
        fit.calibration.write(folder / dataset / "calibration.json")
        fits[dataset] = fit
    return folder, fits


def assert_same_files(run, in_a_notebook, dataset, *names):
    for name in names:
        mine, theirs = in_a_notebook[0] / dataset / name, run[0] / "results" / dataset / name
        assert mine.read_bytes() == theirs.read_bytes(), name


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_notebook_fits_what_the_workflow_fits(run, in_a_notebook, dataset):
    assert_same_files(run, in_a_notebook, dataset, "nlsq.json", "calibration.json")


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_notebook_draws_what_the_workflow_draws(run, in_a_notebook, dataset):
    settings = {"chains": N_CHAINS, "warmup": 100, "draws": N_DRAWS}
    hd.sample(in_a_notebook[1][dataset], dataset=dataset, **settings).write(in_a_notebook[0] / dataset)
    assert_same_files(run, in_a_notebook, dataset, "parameters.csv", "posterior.nc", "cmc.json")


@pytest.mark.parametrize("dataset", DATASETS)
def test_both_fits_stand_side_by_side(run, dataset):
    folder = run[0] / "results" / dataset
    fit, calibration = (
        json.loads((folder / name).read_text(encoding="utf-8")) for name in ("nlsq.json", "calibration.json")
    )
    squares = fit["least_squares"]
    assert (fit["estimator"], squares["estimator"]) == ("speckle", "least_squares")
    assert fit["parameters"].keys() == squares["parameters"].keys()
    assert fit["parameters"] != squares["parameters"]
    assert fit["agreement"]["p_value"] > 1e-3 and "agree" in fit["agreement"]["sentence"]
    assert calibration["names"] == calibration["least_squares"]["names"]
    assert "smaller than those of least squares" in calibration["sentence"]
    # In the metric residuals are nearly white: their own errors are nearly true, those of least squares far from it.
    ratios, of_squares = (
        np.array(list(part["ratios"].values())) for part in (calibration, calibration["least_squares"])
    )
    assert np.median(ratios) < 1.6 < np.median(of_squares)
    # At rest there are 4000 pixels of an infinite number of photons, in the flow 40000 of three photons each.
    assert calibration["noise"] == "speckle"
    assert np.median(calibration["pixels"]) == pytest.approx({"rest": 4000, "flow": 40000}[dataset], rel=0.3)


@pytest.mark.parametrize("dataset", DATASETS)
def test_draws_have_the_errors_of_the_fit(run, dataset):
    folder = run[0] / "results" / dataset
    table = pd.read_csv(folder / "parameters.csv").set_index("parameter")
    ratio = table.loc["contrast_0", "error"] / Calibration.read(folder / "calibration.json").errors["contrast_0"]
    assert 0.7 < ratio < 1.5
    assert json.loads((folder / "cmc.json").read_text(encoding="utf-8"))["shards"][0]["node_share"] > 0.95


def test_the_report_shows_both_fits_and_whether_they_agree(run):
    page = (run[0] / "results/flow/report.html").read_text(encoding="utf-8")
    assert "fits by least squares and in the metric of the noise agree" in page
    assert ">least squares</th>" in page
    summary = pd.read_csv(run[0] / "results/summary.csv").set_index("dataset")
    assert (summary["estimator"] == "speckle").all() and (summary["fits_agree_p"] > 1e-3).all()


def test_the_terminal_shows_progress_and_can_be_read(run):
    """A line a job, reports at the end, and no library talks of itself."""
    output = run[1]
    lines = output.splitlines()
    assert "2 datasets, 18 jobs on " in output
    assert sum(bool(re.match(r"(rest|flow|all datasets).* \d+\.\d s", line)) for line in lines) == 18
    assert f"{N_PHI} angles × {N_FRAMES} frames at q = 0.01 1/Å from rest.h5" in output
    assert [line.partition("/results/")[2] for line in lines[-3:]] == [
        "rest/report.html",
        "flow/report.html",
        "summary.html",
    ]
    assert max(map(len, lines)) < 400
    assert "Traceback" not in output


def test_the_real_input_is_recorded_with_its_hash_not_its_place(run):
    for path in run[0].glob("results/*/*.json"):
        assert str(run[0]) not in path.read_text(encoding="utf-8"), path.name


# --- the same again


def test_nothing_is_done_twice(run):
    again = snakemake(run[0], "--cores", "2")
    assert again.returncode == 0
    assert "Nothing to be done: all results are newer than what they are made of." in again.stdout.splitlines()


def jobs_from(first: str) -> dict[str, int]:
    """Jobs of both datasets by rule, from this one on."""
    return dict.fromkeys(stages_from(first), 2) | {"summarise": 1, "all": 1}


CHANGES = {
    # an overlay of the configuration: the first rule that it calls for
    "report: {matrix_pixels: 60}": "write_report",
    "cmc: {draws: 60}": "sample_posterior",
    "uncertainty: independent": "fit_nlsq",
    "nlsq: {starts: 20}": "fit_nlsq",
    # The temporary file before the corrected one is made again.
    "diagonal_correction: {method: statistical}": "ingest",
}


@pytest.mark.parametrize("overlay", CHANGES)
def test_a_changed_setting_reruns_what_depends_on_it(run, tmp_path, overlay):
    (tmp_path / "mine.yaml").write_text(overlay, encoding="utf-8")
    plan = snakemake(run[0], "--dry-run", "--configfile", str(tmp_path / "mine.yaml"))
    assert planned(plan.stdout) == jobs_from(CHANGES[overlay]), plan.stdout


def test_more_shards_than_one_are_refused(run, tmp_path):
    (tmp_path / "mine.yaml").write_text("cmc: {shards: 2}", encoding="utf-8")
    plan = snakemake(run[0], "--dry-run", "--configfile", str(tmp_path / "mine.yaml"))
    assert "in the metric of speckle noise all pairs of frames belong together" in plan.stdout


# --- report, and use by others


def test_snakemake_reports_on_the_run(run, tmp_path):
    page = tmp_path / "run.html"
    reported = snakemake(run[0], "--report", str(page))
    assert reported.returncode == 0, reported.stdout
    text = page.read_text(encoding="utf-8")
    for dataset in DATASETS:
        for file in ("report.html", "report.pdf", "parameters.tex", "figures/rates.png", "curves/rates.csv"):
            assert f"results/{dataset}/{file}" in text, file
    for words in ("Tables and curves", f"Figure of dataset {next(iter(DATASETS))}", "parameters for LaTeX"):
        assert words in text


def test_another_workflow_uses_this_one_as_a_module(tmp_path):
    """The example of the documents. Results and logs get its prefix; the table and the files it names stay where they are."""
    page = (ROOT / "docs/deployment.md").read_text(encoding="utf-8")
    (caller,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    folder = make_project(tmp_path / "caller")
    (folder / "homodyne-workflow").symlink_to(ROOT)
    (folder / "config/config.yaml").unlink()
    (folder / "Snakefile").write_text(caller, encoding="utf-8")
    (folder / "caller.yaml").write_text("homodyne: {estimator: least_squares, cmc: {shards: 3}}", encoding="utf-8")
    workflow = ["--snakefile", str(folder / "Snakefile")]
    plan = snakemake(folder, "--dry-run", workflow=workflow)
    assert plan.returncode == 0, plan.stdout
    jobs = planned(plan.stdout)
    assert (jobs["conclude"], jobs["homodyne_write_report"], jobs["homodyne_sample_shard"]) == (1, 2, 6)
    finished = snakemake(folder, "--cores", "2", "xpcs/results/rest/scaling.json", workflow=workflow)
    assert finished.returncode == 0, finished.stdout
    assert {"c2.h5", "scaling.json", "logs/ingest.log"} <= files_below(folder / "xpcs/results/rest")
    assert not (folder / "results").exists()


# --- bad input


def spoil_values(file: h5py.File) -> None:
    """One entry that is not a number, one that is negative."""
    matrix = file["exchange/C2T_all/g2_00002"]
    matrix[3, 9], matrix[4, 5] = np.nan, -1.0


def lower(file: h5py.File) -> None:
    """Every matrix without its baseline."""
    for matrix in file["exchange/C2T_all"].values():
        matrix[...] = np.triu(matrix[...] - 1.0)


BAD = {
    # dataset: (columns that differ, how its file is made, what is told); before any job, but for what only reading shows
    "missing": ({"file": "gone.h5"}, None, "gone.h5: the file cannot be read (No such file or directory)"),
    "text": ({}, lambda path, good: path.write_text("q,phi\n" * 99), "text.h5: this is not an HDF5 file"),
    "truncated": ({}, lambda path, good: path.write_bytes(good[:-99]), "truncated.h5: the file is truncated: it has "),
    "one-time": (
        {},
        edited(lambda file: file.pop("exchange")),
        "one-time.h5: no two-time data of a layout that is known",
    ),
    "values": ({}, edited(spoil_values), "values.h5: 2 of 1584 values of c2 in the selection are not finite or not "),
    "q": ({"file": "rest.h5", "wavevector_q": "0.03"}, None, "choose from the q of the file, 0.01 1/Å"),
    "phi": ({"file": "rest.h5", "phi_ranges": "10:20"}, None, "some of the angles of the file, -60, 0, 60 deg"),
    "frames": ({"file": "rest.h5", "end_frame": "99"}, None, "the frame window 1 to 99 does not lie in the data"),
    "short": ({"file": "rest.h5", "end_frame": "20"}, None, "shards = 16 does not fit 20 frames; choose 1 to 10"),
    "pipe": ({}, lambda path, good: os.mkfifo(path), "pipe.h5: this is a pipe, a socket or a device"),
    "gap": (
        {"file": "rest.h5", "analysis_mode": "laminar_flow", "stator_rotor_gap": "0.2"},
        None,
        "stator_rotor_gap = 0.2 Å is outside the usual range [100000, 1e+08] Å, by a factor of more than 100; check its",
    ),
    "cell": ({"file": "rest.h5", "start_frame": "one"}, None, "start_frame is 'one'; it must be a whole number."),
    "bad-frames": (
        {"file": "rest.h5", "bad_frames": "40"},
        None,
        "bad_frames has 40, but the data have the frames 1 to 32",
    ),
    "no-baseline": ({}, edited(lower), "without its baseline of 1, as c2 - 1: its median at phi = -60 deg"),
    "no-plan": ({"file": "gone.yaml", "format": "speckle-sim"}, None, "gone.yaml: this file cannot be read (No such "),
    "bad-plan": (
        {"format": "speckle-sim"},
        lambda path, good: path.write_text("phi: []"),
        "bad-plan.h5: modes is missing. ",
    ),
}
LATE = {"values", "no-baseline"}
"""Faults that only reading the matrices shows."""


@pytest.fixture(scope="module")
def bad_run(tmp_path_factory):
    """A table of one good and many broken datasets, up to the fits."""
    folder = make_project(tmp_path_factory.mktemp("bad") / "project")
    config = folder / "config"
    (config / "config.yaml").unlink()
    good = (config / "rest.h5").read_bytes()
    row = {"analysis_mode": "static", "wavevector_q": "0.01", "dt": "0.1"}
    # Braces in a name are what they are, though other.h5 lies there too; clocks of other machines may be ahead.
    (config / "{other}.h5").write_bytes(good)
    (config / "other.h5").write_bytes(b"")
    os.utime(config / "{other}.h5", (time.time() + 3600,) * 2)
    rows = {"good": row | {"file": "{other}.h5", "dt": "0.2"}}
    for name, (columns, make, _) in BAD.items():
        rows[name] = row | {"file": f"{name}.h5"} | columns
        if make is not None:
            make(config / f"{name}.h5", good)
    pd.DataFrame(rows).T.to_csv(config / "broken.tsv", sep="\t", index_label="dataset")
    mine = folder / "mine.yaml"
    mine.write_text("datasets: config/broken.tsv\nestimator: least_squares\ncmc: {shards: 16}\n", encoding="utf-8")
    wanted = [f"results/{name}/nlsq.json" for name in rows]
    return folder, snakemake(folder, "--cores", "2", "--configfile", str(mine), "--", *wanted)


def test_the_good_dataset_of_a_bad_table_goes_on(bad_run):
    folder, finished = bad_run
    assert finished.returncode == 1
    assert (folder / "results/good/nlsq.json").is_file()


@pytest.mark.parametrize("dataset", BAD)
def test_bad_input_is_told_in_one_sentence(bad_run, dataset):
    folder, finished = bad_run
    results = folder / "results" / dataset
    (log,) = (path for path in results.glob("logs/*.log") if path.read_text(encoding="utf-8"))
    (sentence,) = log.read_text(encoding="utf-8").splitlines()
    assert BAD[dataset][2] in sentence
    assert log.stem == "ingest"
    rule = "ingest" if dataset in LATE else "refuse"
    assert re.search(rf"^{dataset} +{rule} .*  failed$", finished.stdout, re.MULTILINE)
    assert finished.stdout.count(f"\n{dataset}: {sentence.removeprefix('Error: ')}\n") == 1
    assert not [path for path in files_below(results) if not path.startswith(("logs/", "benchmarks/"))]


def test_bad_input_leaves_no_traceback_on_the_terminal(bad_run):
    assert "Traceback" not in bad_run[1].stdout


def test_bad_rows_are_told_by_a_plan_and_have_no_other_job(bad_run):
    plan = snakemake(bad_run[0], "--dry-run", "--configfile", str(bad_run[0] / "mine.yaml"))
    assert plan.returncode == 0, plan.stdout
    jobs = planned(plan.stdout)
    assert (jobs["refuse"], jobs["ingest"], jobs["sample_shard"]) == (
        len(BAD.keys() - LATE),
        len(LATE),
        16 * len({"good"} | LATE),
    )
    first = plan.stdout.partition("Building DAG")[0].splitlines()
    sentences = dict(line.split(": ", 1) for line in first if line.partition(": ")[0] in {"good", *BAD})
    assert sentences.keys() == {"good", *BAD} - LATE
    assert all(BAD[name][2] in sentence for name, sentence in sentences.items() if name != "good")
    assert sentences["good"].startswith("dt = 0.2 s was used as configured, but the file states a frame time of 0.1 s")


def test_the_last_words_are_the_sentences(bad_run):
    """Who looks at the end of the output sees what is wrong, a line a dataset."""
    last = bad_run[1].stdout.splitlines()[-len(BAD) - 5 :]
    assert {line.partition(": ")[0] for line in last} >= set(BAD)


@pytest.fixture(scope="module")
def stopped_run(bad_run):
    """A run to the summary, which without --keep-going stops at the first fault."""
    folder = bad_run[0]
    assert not (folder / "results/summary.html").exists()  # a run to the fits knows nothing of other results
    how = ("--workflow-profile", "none", "--cores", "1", "--configfile", str(folder / "mine.yaml"))
    return folder, snakemake(folder, *how, "--", "results/summary.html")


def test_the_summary_tells_of_those_that_failed(stopped_run):
    folder, stopped = stopped_run
    assert stopped.returncode == 1
    told = texts((folder / "results/summary.html").read_text(encoding="utf-8"))["li"]
    sentences = dict(line.split(": ", 1) for line in told)
    assert sentences["good"] == "This dataset is not finished."
    assert sentences.keys() == {"good", *BAD}
    for dataset in BAD.keys() - LATE:
        assert BAD[dataset][2].strip() in sentences[dataset]


def test_a_run_of_all_fails_again_as_long_as_a_row_has_a_fault(stopped_run):
    """Also where nothing else is left to do; the summary of the failed run is there."""
    folder, _ = stopped_run
    header, *rows = (folder / "config/broken.tsv").read_text(encoding="utf-8").splitlines()
    (row,) = (row for row in rows if row.startswith("q\t"))
    (folder / "config/only.tsv").write_text(f"{header}\n{row}\n", encoding="utf-8")
    # The summary that a failed run leaves is no target that is up to date.
    for target in ("all", "results/summary.html"):
        assert (folder / "results/summary.html").is_file()
        again = snakemake(folder, "--cores", "2", "--config", "datasets=config/only.tsv", "--", target)
        assert again.returncode == 1, again.stdout
        lines = again.stdout.splitlines()
        assert sum(line.startswith("q: config/rest.h5: no bin has q within 2 % of 0.03 1/Å; ") for line in lines) == 1


STOPS = {
    # One for each reader; test_tables.py and test_user_yaml.py have all their faults.
    # content of config.yaml: the only words, but for those on the profile
    "value": (
        "scaling: {per_angle_mode: fixed}",
        "configuration: scaling.per_angle_mode is 'fixed'; it must be one of auto, ",
    ),
    "bounds": ("nlsq: {bounds: {D0: [5, 1]}}", "bounds [5, 1] of D0 must rise and lie within [1, 1e+06] Å²/s."),
    "table": ("datasets: config/wrong.tsv", "config/wrong.tsv, line 2: dataset is 'a/..'; it must be of the form "),
    "code": ("__use_yte__: true\nseed: ?1+1", "config/config.yaml: __use_yte__ would run code from this file, "),
}


@pytest.mark.parametrize(("content", "sentence"), STOPS.values(), ids=STOPS)
def test_a_bad_setting_stops_the_run_before_any_job_with_one_sentence(bad_run, content, sentence):
    config = bad_run[0] / "config"
    wrong = "dataset\tfile\tanalysis_mode\twavevector_q\tdt\na/..\trest.h5\tstatic\t0.01\t0.1\n"
    (config / "wrong.tsv").write_text(wrong, encoding="utf-8")
    (config / "config.yaml").write_text(content, encoding="utf-8")
    stopped = snakemake(bad_run[0], "--dry-run")
    (config / "config.yaml").unlink()
    assert stopped.returncode == 1
    (told,) = (line for line in stopped.stdout.splitlines() if not line.startswith("Using workflow specific profile"))
    assert told.startswith(sentence)


def test_an_overlay_is_data_too(bad_run, tmp_path):
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("datasets: config/broken.tsv\ncmc: {shards: 1}\ncmc: {shards: 2}\n", encoding="utf-8")
    stopped = snakemake(bad_run[0], "--dry-run", "--configfile", str(overlay))
    assert stopped.returncode == 1 and f"{overlay}: the key cmc stands twice, in lines 2 and 3; " in stopped.stdout


def test_an_empty_configuration_is_none(tmp_path):
    """Defaults hold, one shard a dataset, and what the command line says."""
    folder = make_project(tmp_path / "project")
    (folder / "config/config.yaml").write_text("# nothing yet\n", encoding="utf-8")
    (folder / "config/one.tsv").write_text("\n".join(TABLE.splitlines()[:2]), encoding="utf-8")
    plan = snakemake(folder, "--dry-run", "--config", "datasets=config/one.tsv")
    assert plan.returncode == 0, plan.stdout
    assert planned(plan.stdout)["sample_posterior"] == 1


VARIABLES = {
    "JAX_PLATFORMS": "cuda",
    "XLA_FLAGS": "--xla_of_another_version=true",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_ENABLE_X64": "0",
    "JAX_DEBUG_NANS": "maybe",
}


def test_variables_of_jax_in_a_shell_change_nothing(run, tmp_path, monkeypatch):
    """The sampler, which asks JAX most, makes the bytes of the run without them, and finds its compiled programs."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    folder, name = tmp_path / "project", "results/rest/posterior.nc"
    shutil.copytree(run[0], folder)
    (folder / name).unlink()
    finished = snakemake(folder, "--cores", "2", name)
    assert finished.returncode == 0, finished.stdout
    log = (folder / "results/rest/logs/sample_posterior.log").read_text(encoding="utf-8")
    assert "\nJAX: 0 programs compiled, " in log
    assert (folder / name).read_bytes() == (run[0] / name).read_bytes()

"""The miniature project in the metric of speckle noise, as it is by default, and the same steps in a notebook."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from workflow_support import CONFIG, N_CHAINS, N_DRAWS, make_project, snakemake

import homodyne_lib as hd

DATASETS = {"rest": "static", "flow": "laminar_flow"}
GEOMETRY = {"rest": {"q": 0.01}, "flow": {"q": 0.0054, "stator_rotor_gap": 2e6}}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = make_project(tmp_path_factory.mktemp("metric") / "project")
    text = CONFIG.replace("estimator: least_squares\n", "").replace("shards: 2, ", "")
    assert "estimator" not in text and "shards" not in text
    (folder / "config/config.yaml").write_text(text, encoding="utf-8")
    finished = snakemake(folder, "--cores", "2")
    assert finished.returncode == 0, finished.stdout
    return folder


def content(run, dataset, name):
    return json.loads((run / "results" / dataset / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("dataset", DATASETS)
def test_both_fits_stand_side_by_side(run, dataset):
    fit, calibration = (content(run, dataset, name) for name in ("nlsq.json", "calibration.json"))
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


@pytest.mark.parametrize("dataset", DATASETS)
def test_draws_are_those_of_a_notebook_and_have_the_errors_of_the_fit(run, dataset, tmp_path):
    file = run / {"rest": "config/rest.h5", "flow": "results/flow/simulated.h5"}[dataset]
    fit = hd.fit(hd.load(file, dt=0.1, **GEOMETRY[dataset]), DATASETS[dataset], starts=16)
    fit.write(tmp_path / "nlsq.json")
    fit.calibration.write(tmp_path / "calibration.json")
    hd.sample(fit, dataset=dataset, chains=N_CHAINS, warmup=100, draws=N_DRAWS).write(tmp_path)
    for name in ("nlsq.json", "calibration.json", "parameters.csv", "posterior.nc", "cmc.json"):
        assert (tmp_path / name).read_bytes() == (run / "results" / dataset / name).read_bytes(), name
    table = pd.read_csv(tmp_path / "parameters.csv").set_index("parameter")
    errors = fit.calibration.errors
    ratio = table.loc["contrast_0", "error"] / errors["contrast_0"]
    assert 0.7 < ratio < 1.5
    report = content(run, dataset, "cmc.json")
    assert report["shards"][0]["node_share"] > 0.95


def test_the_report_shows_both_fits_and_whether_they_agree(run):
    page = (run / "results/flow/report.html").read_text(encoding="utf-8")
    assert "fits by least squares and in the metric of the noise agree" in page
    assert '<th style="text-align: right;">least squares</th>' in page or ">least squares</th>" in page
    summary = pd.read_csv(run / "results/summary.csv").set_index("dataset")
    assert (summary["estimator"] == "speckle").all() and (summary["fits_agree_p"] > 1e-3).all()


def test_more_shards_than_one_are_refused(run, tmp_path):
    (tmp_path / "mine.yaml").write_text("cmc: {shards: 2}", encoding="utf-8")
    plan = snakemake(run, "--dry-run", "--configfile", str(tmp_path / "mine.yaml"))
    assert "in the metric of speckle noise all pairs of frames belong together" in plan.stdout

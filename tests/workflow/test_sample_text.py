"""The sample in reports and in the summary: the rheometer's rate in both conventions, and trends against temperature."""

from __future__ import annotations

import math
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from report_support import TRUTH, paths_in, texts, write_results
from report_text.dataset import Dataset
from report_text.sample import sample_text

from homodyne_lib.figures.result_figures import rates_over_time
from homodyne_lib.io.canonical_file import read_correlations, write_correlations
from homodyne_lib.io.sample import Sample

ROOT = Path(__file__).parents[2]
RATE = 1.2e-3


def results_of(folder, sample, mode="laminar_flow", detected=True):
    """Results of a small record whose file states this sample."""
    folder.mkdir(exist_ok=True)
    write_results(folder, mode, detected)
    write_correlations(folder / "c2.h5", replace(read_correlations(folder / "c2.h5"), sample=sample))
    return Dataset.read(folder.name, paths_in(folder))


def number(text):
    """A number of the page, such as 1.10 × 10⁻³."""
    mantissa, _, power = text.replace("\u00a0", "").partition("×10")
    return float(mantissa) * 10.0 ** int(power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")) or 0)


@pytest.mark.parametrize(
    ("convention", "other", "factors"),
    [
        ("spec", "published", (1 / math.pi, math.sqrt(2) / math.pi)),
        ("published", "spec", (math.pi / math.sqrt(2), math.pi)),
    ],
)
def test_the_rate_is_compared_in_both_conventions(tmp_path, convention, other, factors):
    results = results_of(tmp_path / "a", Sample("x_*y*", 298.15, RATE))
    results = replace(results, fit=replace(results.fit, shear_convention=convention))
    text = sample_text(results)
    assert text.startswith(r"The file states of the sample: name x\_\*y\*\, temperature 298\.15 K")
    found = re.search(
        r"rate, 0\.0012 1/s, is (\S+)\s±\s(\S+) times the fitted mean shear rate over the record in convention "
        rf"{convention}, .*?\s1/s, and (\S+) to (\S+) times that in convention {other}\.",
        text,
    )
    ratio, error, low, high = map(number, found.groups())
    mean = results.average("gamma_dot")
    assert ratio == pytest.approx(RATE / mean.mean(), abs=2 * error)
    # A rate that the other convention makes larger by a factor is met by the rheometer's that much less.
    assert [low, high] == pytest.approx([RATE / mean.mean() / factor for factor in factors[::-1]], rel=0.05)


def test_a_flow_that_was_not_found_has_a_limit_beside_the_rate(tmp_path):
    results = results_of(tmp_path / "a", Sample(shear_rate=RATE), detected=False)
    text = sample_text(results)
    limit = np.quantile(results.average("gamma_dot"), 0.95)
    found = re.search(r"is (\S+) times the limit below which .* and (\S+) to (\S+) times that limit", text)
    assert [*map(number, found.groups())] == pytest.approx(
        [RATE / limit * factor for factor in (1, math.pi / math.sqrt(2), math.pi)], rel=0.05
    )


def test_a_flow_that_was_held_has_a_value_beside_the_rate(tmp_path):
    results = results_of(tmp_path / "a", Sample(shear_rate=RATE), detected=False)
    held = {name: np.full_like(results.chains[name], TRUTH[name]) for name in list(TRUTH)[3:6]}
    results = replace(results, posterior=replace(results.posterior, chains=results.chains | held))
    (found,) = re.findall(r"is (\S+) times the held mean shear rate over the record", sample_text(results))
    assert number(found) == pytest.approx(RATE / results.average("gamma_dot").mean(), rel=1e-3)


def test_a_sample_at_rest_is_compared_with_nothing(tmp_path):
    at_rest = results_of(tmp_path / "a", Sample(shear_rate=RATE), "static", None)
    assert sample_text(at_rest).endswith(
        "The model has no flow, so that nothing is compared with the rheometer's rate."
    )
    assert sample_text(results_of(tmp_path / "a", Sample(temperature=298.15), "static", None)).endswith("298\\.15 K.")
    assert sample_text(results_of(tmp_path / "a", Sample(), "static", None)) == ""


@pytest.mark.parametrize("set_rate", [RATE, 50 * RATE])
def test_the_rate_is_a_line_within_the_axes_of_the_shear_rate(tmp_path, set_rate):
    results = results_of(tmp_path / "a", Sample(shear_rate=set_rate))
    rates = {curve: results.rates(curve, results.rate_times) for curve in results.curves}
    figure = rates_over_time(results.rate_times, rates, set_rate)
    diffusion, shear = figure.axes
    (line,) = [line for line in shear.lines if set(line.get_ydata()) == {set_rate}]
    low, high = shear.get_ylim()
    assert low < set_rate < high and line.get_label() == f"rheometer, {set_rate:.3g} 1/s"
    assert len(diffusion.lines) == 1
    assert line.get_label() in [text.get_text() for text in figure.legends[0].get_texts()]
    without = rates_over_time(results.rate_times, rates)
    assert "rheometer" not in " ".join(text.get_text() for text in without.legends[0].get_texts())


@pytest.mark.parametrize("kelvins", [(290.0, 310.0), (290.0, 290.0), (290.0, None)])
def test_the_summary_has_the_sample_and_a_trend_where_temperatures_differ(tmp_path, kelvins):
    samples = {"cold": Sample("PMMA", kelvins[0], RATE, 2.0), "warm": Sample(temperature=kelvins[1])}
    folders = {name: tmp_path / name for name in samples}
    for name, sample in samples.items():
        results_of(folders[name], sample, "static", None)
    with mock.patch.dict(os.environ), mock.patch.object(sys, "path", [str(ROOT / "workflow/scripts"), *sys.path]):
        from summarise import summarise
    paths = {name: paths_in(folder) for name, folder in folders.items()}
    summarise(paths, tmp_path / "summary.html", tmp_path / "summary.csv", columns={"cold": {}, "warm": {}}, failures={})
    rows = pd.read_csv(tmp_path / "summary.csv").set_index("dataset")
    columns = ["sample", "temperature [K]", "rheometer_shear_rate [1/s]", "rheometer_shear_stress [Pa]"]
    assert list(rows.loc["cold", columns]) == ["PMMA", 290.0, RATE, 2.0]
    assert list(rows.loc["warm", columns].isna()) == [True, kelvins[1] is None, True, True]
    headings = texts((tmp_path / "summary.html").read_text(encoding="utf-8")).get("h2", [])
    assert headings == (["Against temperature [K]"] if kelvins == (290.0, 310.0) else [])

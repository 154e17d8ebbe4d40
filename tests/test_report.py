"""Reports: numbers and foreign text as they are shown, figures, and a page made of a small record."""

from __future__ import annotations

import base64
import json
import os
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from homodyne_lib import figures
from homodyne_lib.cmc import ShardDraws
from homodyne_lib.comparison import compare, shrink
from homodyne_lib.data import Correlations, read_correlations, write_correlations
from homodyne_lib.draws import write_posterior
from homodyne_lib.files import read_json, write_json
from homodyne_lib.jax_backend import compute_g2_scaled
from homodyne_lib.physics import parameter_names
from homodyne_lib.report import belief, outcome, read_results
from homodyne_lib.report_parts import rate_table
from homodyne_lib.results import chain_diagnostics, parameter_rows
from homodyne_lib.style import RESIDUAL_LIMIT
from homodyne_lib.wording import escape, interval, pdg_decimals, plain_number, quantity

ROOT = Path(__file__).parents[1]
HOSTILE = "a|b_*<script>alert(1)</script>`$x$ [y](z).h5"
SECTIONS = [
    "Verdict",
    "Warnings",
    "Data, model and residuals",
    "Rates",
    "Parameters",
    "Contrast and offset",
    "Diagnostics",
    "Model",
    "Provenance",
]
TRUTH = {"D0": 900.0, "alpha": -0.4, "D_offset": 50.0, "gamma_dot_t0": 2e-3, "beta": -0.2}
TRUTH |= {"gamma_dot_t_offset": 1e-4, "phi0": 5.0}
GAP, N_T, DT, Q, SIGMA = 2e6, 30, 0.2, 0.006, 0.01
PHI = np.array([-60.0, 0.0, 45.0])


# ---------------------------------------------------------------- numbers and foreign text


@pytest.mark.parametrize(
    ("error", "rounded", "decimals"),
    [
        (0.119, 0.12, 2),  # the three examples of the Review of Particle Physics, section 5.3
        (0.367, 0.4, 1),
        (0.0963, 0.10, 2),
        (0.354, 0.35, 2),
        (0.355, 0.4, 1),
        (0.949, 0.9, 1),
        (0.950, 1.0, 1),
        (43.52, 40.0, -1),
        (2.5e-6, 2.5e-6, 7),
    ],
)
def test_errors_are_rounded_by_the_rule_of_the_particle_data_group(error, rounded, decimals):
    found, places = pdg_decimals(error)
    assert found == pytest.approx(rounded, rel=1e-12)
    assert places == decimals


@pytest.mark.parametrize(
    ("value", "error", "unit", "text"),
    [
        (0.827, 0.119, "", "0.83 ± 0.12"),
        (0.827, 0.367, "", "0.8 ± 0.4"),
        (5611.4, 43.5, "Å²/s", "(5610 ± 40) Å²/s"),
        (0.0010211715, 9.71e-6, "1/s", "(1.021 ± 0.010) × 10⁻³ 1/s"),
        (223632.8, 50908.0, "", "(2.2 ± 0.5) × 10⁵"),
        (-0.00035, 0.0358, "", "0.00 ± 0.04"),
        (-0.5068, 0.00893, "", "−0.507 ± 0.009"),
        (203440.5, None, "Å²/s", "2.034 × 10⁵ Å²/s"),
        (0.0, 0.0, "", "0.000"),
    ],
)
def test_a_quantity_shows_no_more_digits_than_its_error_deserves(value, error, unit, text):
    assert quantity(value, error, unit).replace("\u00a0", " ") == text


def test_an_interval_and_an_exact_number_read_alike():
    assert interval(6.175e-5, 1.0148e-4, 8.219e-5, 1.055e-5).replace("\u00a0", " ") == "(6.2 … 10.1) × 10⁻⁵"
    assert plain_number(2e6, exact=True).replace("\u00a0", " ") == "2 × 10⁶"
    assert plain_number(5911.2) == "5911"


def test_foreign_text_is_shown_as_it_is(tools):
    page = tools.render(f"x {escape(HOSTILE)} y\n\n| a |\n|---|\n| {escape(HOSTILE)} |\n", "title")
    assert "<script" not in page
    assert texts(page)["p"] == [f"x {HOSTILE} y"]
    assert texts(page)["td"] == [HOSTILE]


def test_a_title_cannot_leave_the_title(tools):
    assert texts(tools.render("x", "</title><script>"))["title"] == ["</title><script>"]


# ---------------------------------------------------------------- a page of HTML, taken apart


class _Texts(HTMLParser):
    """Texts by tag, sources of images, links."""

    def __init__(self, page):
        super().__init__()
        self.found, self.images, self.links, self._open = {}, [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "img":
            self.images.append(attributes)
        self.links += [attributes[name] for name in ("href", "src", "data", "action") if name in attributes]
        if tag in ("title", "h1", "h2", "p", "td", "figcaption", "li"):
            self._open.append(tag)
            self.found.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data):
        for tag in self._open:
            self.found[tag][-1] += data


def texts(page):
    return _Texts(page).found


# ---------------------------------------------------------------- a small record and its results


@pytest.fixture(scope="module")
def tools():
    """What the scripts of the workflow do; they set the environment of their process."""
    folder = str(ROOT / "workflow" / "scripts")
    with mock.patch.dict(os.environ), mock.patch.object(sys, "path", [folder, *sys.path]):
        from page import render
        from summarise import summarise
        from write_report import write_report

        yield SimpleNamespace(render=render, summarise=summarise, write_report=write_report)


def small_record(params, gap):
    time = np.arange(N_T) * DT
    model = np.asarray(compute_g2_scaled(params, time, time, PHI, Q, gap or 1.0, 0.3, 1.0, DT))
    noise = np.triu(np.random.default_rng(3).normal(0.0, SIGMA, model.shape), 1)
    c2 = model + noise + noise.transpose(0, 2, 1)
    return Correlations(
        c2=c2,
        raw_diagonal=np.diagonal(c2, axis1=1, axis2=2).copy(),
        phi=PHI,
        q=Q,
        dt=DT,
        frames=np.arange(1, N_T + 1),
        stator_rotor_gap=gap,
        sigma=np.full(len(PHI), SIGMA),
        source=HOSTILE,
        source_sha256="0123456789abcdef" * 4,
        notes=("A note with <b>markup</b> & _more_.",),
    )


def write_results(folder, mode, detected=None):
    """Result files whose draws scatter about the values that made the record."""
    names = parameter_names(mode)
    laminar = mode == "laminar_flow"
    record = small_record([TRUTH[name] for name in names], GAP if laminar else None)
    write_correlations(folder / "c2.h5", record)
    scaling = {"phi": PHI, "contrast": [0.3] * 3, "offset": [1.0] * 3}
    write_json(folder / "scaling.json", scaling | {"warnings": ["phi = 0 deg: biased."]})
    coefficients = {f"contrast_{k}": 0.3 for k in range(3)} | {f"offset_{k}": 1.0 for k in range(3)}
    nlsq = {
        "analysis_mode": mode,
        "per_angle_mode": "individual",
        "shear_convention": "spec",
        "parameters": {
            name: {"value": TRUTH[name], "error": 0.02 * abs(TRUTH[name]), "unit": "", "at_bound": False}
            for name in names
        },
        "scaling": scaling | {"contrast_error": [0.001] * 3, "offset_error": [0.001] * 3},
        "coefficients": coefficients,
        "covariance": {"names": names, "matrix": np.diag([(0.02 * TRUTH[name]) ** 2 for name in names])},
        "chi2": 1300.0,
        "reduced_chi2": 1.01,
        "n_points": 1305,
        "n_free": 6 + len(names),
        "sigma": record.sigma,
        "converged": True,
        "message": "The fit converged after 7 passes over the data.",
        "warnings": [],
        "n_evaluations": 7,
    }
    if laminar:
        nlsq["flow_test"] = {
            "detected": detected,
            "delta_chi2_effective": 0.2,
            "degrees_of_freedom": 4,
            "p_value": 0.99,
        }
    write_json(folder / "nlsq.json", nlsq)
    write_draws(folder, nlsq, names, coefficients)


def write_draws(folder, nlsq, names, coefficients):
    rng = np.random.default_rng(5)
    shape = (4, 100)
    centres = {name: TRUTH[name] for name in names} | {"noise_scale": 1.0} | coefficients
    draws = {name: rng.normal(value, 0.02 * abs(value), shape) for name, value in centres.items()}
    stats = {"diverging": np.zeros(shape), "energy": rng.normal(size=shape)}
    write_posterior(folder / "posterior.nc", draws, [ShardDraws(np.zeros((*shape, 1)), stats, 1.0)])
    report = {"shard": 0, **chain_diagnostics(draws, stats), "converged": True, "reasons": []}
    worst = {name: report[name] for name in ("r_hat", "ess_bulk")}
    parameter_rows(nlsq, draws, worst).to_csv(folder / "parameters.csv", index=False)
    cmc = {"method": "nuts", "status": "converged", "n_shards": 1, "n_converged": 1, "n_chains": 4, "n_draws": 100}
    write_json(folder / "cmc.json", cmc | {"warnings": [], "shards": [report]})


def paths_in(folder):
    names = {"posterior": "posterior.nc", "parameters": "parameters.csv", "c2": "c2.h5"}
    names |= {name: f"{name}.json" for name in ("scaling", "nlsq", "cmc")}
    return {name: str(folder / file) for name, file in names.items()} | {"truth": None}


@pytest.fixture(scope="module")
def flowing(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flowing")
    write_results(folder, "laminar_flow", detected=True)
    return folder


CONFIG = {"datasets": "/home/someone/datasets.tsv", "uncertainty": "independent", "report": {"matrix_pixels": 200}}


def write_page(tools, folder, **changes):
    tools.write_report(
        str(changes.get("notebook", ROOT / "workflow" / "notebooks" / "report.ipynb")),
        paths_in(folder),
        folder / "report.html",
        folder / "figures",
        dataset="flowing",
        row={"dataset": "flowing", "file": "/home/someone/" + HOSTILE, "path": "/home/someone/x"},
        config=CONFIG,
    )
    return (folder / "report.html").read_bytes()


@pytest.fixture(scope="module")
def page(tools, flowing):
    return write_page(tools, flowing).decode()


# ---------------------------------------------------------------- the page


def test_sections_come_in_the_order_of_a_referees_questions(page):
    found = texts(page)
    assert found["h1"] == ["Two-time correlations of flowing"]
    assert found["h2"] == SECTIONS


def test_every_image_is_embedded_and_described(page, flowing):
    images = _Texts(page).images
    files = sorted((flowing / "figures").iterdir())
    embedded = {base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) for image in images}
    assert embedded == {file.read_bytes() for file in files}
    assert len(files) == 4
    assert all(len(image["alt"].split()) > 8 for image in images)


def test_the_page_needs_nothing_from_elsewhere_and_betrays_no_folder(page, flowing):
    assert not [link for link in _Texts(page).links if not link.startswith(("data:", "#"))]
    text = re.sub(r"data:[^\"]*", "", page)
    assert "<script" not in text
    assert not re.findall(r"https?://(?!www\.w3\.org/)[^\"< ]*", text)
    for place in (str(flowing), str(ROOT), "/home/someone"):
        assert place not in text


def test_text_of_files_stays_text(page):
    found = texts(page)
    assert any(HOSTILE in paragraph for paragraph in found["p"])
    assert HOSTILE in found["td"]
    assert "A note with <b>markup</b> & _more_." in found["li"]


def test_the_same_results_give_the_same_page(tools, page, flowing):
    figures_before = {file.name: file.read_bytes() for file in (flowing / "figures").iterdir()}
    assert write_page(tools, flowing).decode() == page
    assert {file.name: file.read_bytes() for file in (flowing / "figures").iterdir()} == figures_before
    assert not [file for file in flowing.iterdir() if file.name.startswith(".")], "temporary files stay behind"


def test_a_cell_that_fails_is_named(tools, page, flowing, tmp_path):
    notebook = json.loads((ROOT / "workflow" / "notebooks" / "report.ipynb").read_text(encoding="utf-8"))
    cell = next(cell for cell in notebook["cells"] if cell["id"] == "title")
    cell["source"] = ["1 / 0"]
    broken = tmp_path / "broken.ipynb"
    broken.write_text(json.dumps(notebook), encoding="utf-8")
    with pytest.raises(ValueError, match="cell 'title' with ZeroDivisionError: division by zero"):
        write_page(tools, flowing, notebook=broken)
    assert (flowing / "report.html").read_text(encoding="utf-8") == page


def test_the_notebook_is_kept_without_outputs():
    notebook = json.loads((ROOT / "workflow" / "notebooks" / "report.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert notebook["metadata"]["kernelspec"]["language"] == "python"


# ---------------------------------------------------------------- what it says


def test_a_flow_that_the_data_do_not_need_is_bounded_not_quoted(tmp_path):
    write_results(tmp_path, "laminar_flow", detected=False)
    results = read_results("still", paths_in(tmp_path))
    said = outcome(results)
    # Mean of the power law over the record, by the trapezoids of the frames; t = 0 counts as half a frame.
    time = np.maximum(np.arange(N_T) * DT, DT / 2)
    draws = results.draws
    power = np.array([a * time**b + c for a, b, c in zip(*(draws[n] for n in list(TRUTH)[3:6]), strict=True)])
    mean = (power[:, 1:] + power[:, :-1]).mean(axis=1) / 2
    assert "compatible with zero" in said
    assert f"below {plain_number(np.quantile(mean, 0.95), 2)} 1/s" in said
    assert "flow points to" not in said
    rows = rate_table(results).splitlines()[2:]
    assert [("±" in row, "<" in row) for row in rows] == [(True, False)] * 3 + [(False, True)] * 3


def test_a_resting_sample_is_told_its_decay_rate(tmp_path):
    write_results(tmp_path, "static")
    results = read_results("resting", paths_in(tmp_path))
    said = outcome(results)
    assert r"\Gamma = q^2" in said
    assert "shear" not in said
    time = np.maximum(np.arange(N_T) * DT, DT / 2)
    expected = Q**2 * np.mean([np.mean((f[1:] + f[:-1]) / 2) for f in _power_laws(results.draws, time)])
    shown = re.search(r"= \((\d+\.\d+)", said.split("Gamma")[1].replace("\u00a0", " "))
    assert float(shown.group(1)) == pytest.approx(expected, rel=0.02)  # the error has at least one leading digit


def _power_laws(draws, time):
    return [a * time**b + c for a, b, c in zip(draws["D0"], draws["alpha"], draws["D_offset"], strict=True)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "Read the warnings"),
        ({"reduced_chi2": 4.0}, "Do not quote"),
        ({"converged": False}, "did not converge"),
    ],
)
def test_the_verdict_follows_the_checks(flowing, change, words):
    results = read_results("flowing", paths_in(flowing))
    assert words in belief(replace(results, nlsq=results.nlsq | change))


# ---------------------------------------------------------------- figures


def test_blocks_are_averaged_and_say_how_large_they_are(flowing):
    matrix = np.arange(25.0).reshape(5, 5)
    matrix[0, 0] = np.nan
    assert shrink(matrix, 2)[0, 0] == pytest.approx((1 + 5 + 6) / 3)
    assert shrink(matrix, 2)[2, 2] == 24.0
    record = read_correlations(flowing / "c2.h5")
    small = compare(record, read_json(flowing / "nlsq.json"), 15)
    assert small.block == 2
    assert small.data.shape == (3, 15, 15)


def test_residuals_of_the_true_model_are_the_noise(flowing):
    record = read_correlations(flowing / "c2.h5")
    found = compare(record, read_json(flowing / "nlsq.json"), 200)
    upper = np.triu_indices(N_T, 1)
    # Of 435 entries an angle the standard deviation scatters by 1/√870 = 3.4 %; four of that.
    np.testing.assert_allclose(found.residual[:, *upper].std(axis=1), 1.0, atol=0.14)
    assert np.isnan(found.residual[:, range(N_T), range(N_T)]).all()
    # Means over the entries of a lag bin, in their own standard errors.
    assert np.abs(found.residual_profile * np.sqrt(found.entries)).max() < 5
    lags = [np.diagonal(found.residual[1], lag).mean() for lag in (1, 2, 3)]
    np.testing.assert_allclose(found.residual_profile[1, :3], lags, rtol=1e-9)


def test_data_and_model_share_a_scale_and_residuals_are_centred(flowing):
    found = compare(read_correlations(flowing / "c2.h5"), read_json(flowing / "nlsq.json"), 200)
    figure = figures.correlation_maps(found)
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(images) == 9
    assert {image.get_clim() for image in images[0::3] + images[1::3]} == {figures.map_limits(found)}
    assert {image.get_clim() for image in images[2::3]} == {(-RESIDUAL_LIMIT, RESIDUAL_LIMIT)}
    assert images[0].get_extent() == [0, (N_T - 1) * DT, 0, (N_T - 1) * DT]
    assert images[0].origin == "lower"


def test_many_angles_stay_legible():
    n = 23
    maps = np.zeros((n, 4, 4)) + np.arange(4)
    phi = np.linspace(-170, 170, n)
    figure = figures.correlation_maps(SimpleNamespace(phi=phi, duration=1.0, data=maps, model=maps, residual=maps))
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == 3 * n
    assert min(axes.get_position().width for axes in panels) * figure.get_figwidth() > 0.9  # [inch]


@pytest.mark.parametrize("curves", [["D"], ["D", "gamma_dot"]])
def test_axes_carry_units_and_the_truth_is_dashed(flowing, curves):
    results = read_results("flowing", paths_in(flowing))
    known = replace(results, truth=TRUTH | {"shear_convention": "spec"})
    time = np.geomspace(DT, 5, 20)
    figure = figures.rates_over_time(time, {curve: known.rates(curve, time) for curve in curves})
    assert [axes.get_ylabel().split()[-1] for axes in figure.axes] == ["[Å²/s]", "[1/s]"][: len(curves)]
    assert all(axes.get_xlabel().endswith("[s]") for axes in figure.axes)
    for axes, curve in zip(figure.axes, curves, strict=True):
        dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
        np.testing.assert_array_equal(dashed[0].get_ydata(), known.rates(curve, time)["truth"])
        assert len(axes.collections) == 2


def test_a_truth_in_another_convention_is_no_truth_for_the_shear_rate(flowing):
    results = replace(read_results("flowing", paths_in(flowing)), truth=TRUTH | {"shear_convention": "published"})
    assert results.rates("gamma_dot", [1.0])["truth"] is None
    assert results.rates("D", [1.0])["truth"] is not None


# ---------------------------------------------------------------- all datasets


def test_the_summary_has_a_row_a_dataset(tools, flowing, tmp_path):
    folders = {}
    for name, mode, detected in (("resting", "static", None), ("still", "laminar_flow", False)):
        folders[name] = tmp_path / name
        folders[name].mkdir()
        write_results(folders[name], mode, detected)
    folders["flowing"] = flowing
    table, web = tmp_path / "summary.csv", tmp_path / "summary.html"
    tools.summarise(list(folders), [paths_in(folder) for folder in folders.values()], web, table)
    rows = pd.read_csv(table, keep_default_na=False, na_values=[""]).set_index("dataset")
    assert list(rows.index) == ["resting", "still", "flowing"]
    assert rows.loc["flowing", "gamma_dot [1/s]"] > 0
    assert np.isnan(rows.loc["resting", "gamma_dot [1/s]"])
    text = web.read_text(encoding="utf-8")
    assert _Texts(text).links == [f"{name}/report.html" for name in folders]
    cells = np.reshape(texts(text)["td"], (3, -1))
    assert list(cells[:, 6]) == ["–", "no", "yes"]
    assert cells[1, 8] == "not detected"

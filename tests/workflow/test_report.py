"""Reports: pages of HTML and paper made of a small record, what they say, how they look in a browser, and the summary."""

from __future__ import annotations

import ast
import base64
import json
import os
import re
import sys
from dataclasses import replace
from types import SimpleNamespace
from unittest import mock

import h5py
import numpy as np
import pandas as pd
import pypandoc
import pytest
from browser import browser
from report_support import (
    CAPTIONS,
    DT,
    HOSTILE,
    N_T,
    NAMED,
    NOTEBOOK,
    ROOT,
    TRUTH,
    PageTexts,
    Q,
    assert_fonts_are_embedded,
    notebook_cells,
    paths_in,
    pdf_text,
    texts,
    write_results,
)
from report_text.bin_tables import noise_table, parts_table, scaling_table
from report_text.dataset import Dataset
from report_text.exports import curve_tables, parameters_tex
from report_text.methods import methods_text
from report_text.sentences import (
    belief,
    cautions,
    error_note,
    notes_on_estimates,
    outcome,
    shown_large,
    sound,
    subject,
)
from report_text.tables import model_text, parameter_table, provenance_text, rate_table
from report_text.wording import escape, plain_number, quantity

from homodyne_lib.figures.comparison import angular_decays, compare
from homodyne_lib.io.canonical_file import read_correlations
from homodyne_lib.results.fit_checks import MisfitReport, PartFit
from homodyne_lib.results.fits import FittedParameter
from homodyne_lib.results.parts_words import parts_agreement

SECTIONS = [
    "Verdict",
    "Data, model and residuals",
    "Decay at several ages",
    "Rates",
    "Angles",
    "Parameters",
    "Posterior",
    "Diagnostics",
    "Contrast and offset",
    "Warnings",
    "Model",
    "Methods",
    "How to reproduce",
]
# Parts and thumbnails are of several q or files.
FIGURES, CURVES = {*NAMED.figures} - {"parts", "thumbnails"}, {*NAMED.curves}


@pytest.fixture(scope="module")
def tools():
    """What the scripts of the workflow do; they set the environment of their process."""
    folder = str(ROOT / "workflow" / "scripts")
    with mock.patch.dict(os.environ), mock.patch.object(sys, "path", [folder, *sys.path]):
        from page import render
        from summarise import about_their_mean, key_numbers, name_cell, only_together, overview, summarise
        from tables import SUMMARY
        from write_report import write_report

        yield SimpleNamespace(
            about_their_mean=about_their_mean,
            key_numbers=key_numbers,
            name_cell=name_cell,
            only_together=only_together,
            overview=overview,
            render=render,
            summarise=summarise,
            write_report=write_report,
            SUMMARY=SUMMARY,
        )


def test_foreign_text_is_shown_as_it_is(tools):
    page = tools.render(f"x {escape(HOSTILE)} y\n\n| a |\n|---|\n| {escape(HOSTILE)} |\n", "title")
    assert "<script" not in page
    assert texts(page)["p"] == [f"x {HOSTILE} y"]
    assert texts(page)["td"] == [HOSTILE]


def test_a_title_cannot_leave_the_title(tools):
    assert texts(tools.render("x", "</title><script>"))["title"] == ["</title><script>"]


@pytest.fixture(scope="module")
def flowing(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flowing")
    write_results(folder, "laminar_flow", detected=True, n_shards=2)
    return folder


CONFIG = {
    "datasets": "/home/someone/datasets.tsv",
    "uncertainty": "speckle",
    "cmc": {"warmup": 250},
    "report": {"matrix_pixels": 200},
}
OUTPUTS = {
    "page": "report.html",
    "pdf": "report.pdf",
    "table": "parameters.tex",
    "figures": "figures",
    "curves": "curves",
}


def write_page(tools, folder, **changes):
    tools.write_report(
        str(changes.get("notebook", NOTEBOOK)),
        paths_in(folder),
        {name: folder / path for name, path in OUTPUTS.items()},
        dataset="flowing",
        row={"dataset": "flowing", "file": "/home/someone/" + HOSTILE, "path": "/home/someone/x"},
        config=CONFIG,
    )
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tools, flowing):
    for name in ("figures", "curves"):
        (flowing / name).mkdir()
        (flowing / name / "of-another-report.csv").touch()
    return write_page(tools, flowing)


# ---------------------------------------------------------------- the page


def test_sections_come_in_the_order_of_a_referees_questions(page):
    found = texts(page)
    assert found["h1"] == ["Two-time correlations of flowing"]
    assert found["h2"] == SECTIONS


def test_headings_descend_by_one_and_are_linked_from_the_top(page):
    parsed = PageTexts(page)
    assert parsed.levels[0] == 1
    assert parsed.levels.count(1) == 1
    assert max(np.diff(parsed.levels)) <= 1
    within = [link.removeprefix("#") for link in parsed.links if link.startswith("#")]
    assert len(within) >= len(SECTIONS)
    assert all(f'id="{name}"' in page for name in within)


def test_every_image_is_embedded_and_described(page, flowing):
    images = PageTexts(page).images
    files = {file.stem: file.read_bytes() for file in (flowing / "figures").glob("*.png")}
    embedded = {base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) for image in images}
    assert embedded == set(files.values())
    assert files.keys() == FIGURES
    assert all(len(image["alt"].split()) > 8 for image in images)
    assert len({image["alt"] for image in images}) == len(images)


def test_the_page_needs_nothing_from_elsewhere_and_betrays_no_folder(page, flowing):
    # What a reader may follow, in the list of works; nothing is loaded from there.
    outward = {link for link in PageTexts(page).links if not link.startswith(("data:", "#"))}
    assert {link.split("/")[2] for link in outward} == {"doi.org", "arxiv.org"}
    text = re.sub(r"data:[^\"]*", "", page)
    assert "<script" not in text
    for link in outward:
        text = text.replace(f'href="{link}"', "")
    assert not re.findall(r"https?://(?!www\.w3\.org/)[^\"< ]*", text)
    for place in (str(flowing), str(ROOT), "/home/someone"):
        assert place not in text


def test_text_of_files_stays_text(page):
    found = texts(page)
    assert any(HOSTILE in paragraph for paragraph in found["p"])
    assert HOSTILE in found["td"]
    assert "A note with <b>markup</b> & _more_." in found["li"]


def test_no_temporary_files_stay_behind(page, flowing):
    """That equal results give equal files is held by the archive, which makes all of them again."""
    assert not [file for file in flowing.iterdir() if file.name.startswith(".")]


def notebook_that_fails(folder):
    """The report's with one cell, which fails."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cell = next(cell for cell in notebook["cells"] if cell["id"] == "title")
    cell["source"] = ["1 / 0"]
    notebook["cells"] = [notebook["cells"][0], cell]
    broken = folder / "broken.ipynb"
    broken.write_text(json.dumps(notebook), encoding="utf-8")
    return broken


def test_a_cell_that_fails_is_named(tools, page, flowing, tmp_path):
    broken = notebook_that_fails(tmp_path)
    with pytest.raises(ValueError, match="cell 'title' with ZeroDivisionError: division by zero"):
        write_page(tools, flowing, notebook=broken)
    assert (flowing / "report.html").read_text(encoding="utf-8") == page


def test_braces_in_the_name_of_a_folder_are_no_parameters(tools, tmp_path):
    folder = tmp_path / "{dataset} {run1} }{"
    folder.mkdir()
    with pytest.raises(ValueError, match="cell 'title' with ZeroDivisionError"):
        write_page(tools, folder, notebook=notebook_that_fails(folder))
    # Papermill has written nothing elsewhere.
    assert [path.name for path in tmp_path.rglob("*")] == [folder.name, "broken.ipynb"]


@pytest.mark.slow
def test_one_angle_and_no_flow_make_a_page_too(tools, tmp_path):
    write_results(tmp_path, "static", phi=np.array([20.0]))
    found = texts(write_page(tools, tmp_path))
    assert found["h2"] == SECTIONS
    assert any("There is one angle" in paragraph for paragraph in found["p"])
    described = " ".join(image["alt"] for image in PageTexts((tmp_path / "report.html").read_text("utf-8")).images)
    assert "at 1 angle over both times" in described and not re.search(r"\b1 (angles|lags|parameters)", described)
    assert {file.stem for file in (tmp_path / "figures").iterdir()} == FIGURES - {"angles", "shards"}


def test_the_notebook_is_kept_without_outputs():
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert notebook["metadata"]["kernelspec"]["language"] == "python"


# ---------------------------------------------------------------- files for a paper


def test_the_pdf_has_pages_fonts_and_words_for_its_figures(page, flowing):
    content = (flowing / "report.pdf").read_bytes()
    text = pdf_text(content)
    assert 6 <= len(re.findall(r"/Type\s*/Page\b", text)) <= 8
    assert_fonts_are_embedded(text)
    assert {"LibertinusSerif", "DejaVuSans"} <= {
        name.split("-")[0] for name in re.findall(r"/BaseFont\s*/\w+\+(\S+)", text)
    }
    assert len(set(re.findall(r"/Alt\s*(.{50})", text, re.DOTALL))) == len(FIGURES)
    assert "flowing: two-time correlations" in text
    assert len(content) < 4e6
    assert len(page) < 6e6


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_figures_fit_the_columns_of_a_journal(page, flowing, name):
    text = pdf_text((flowing / "figures" / f"{name}.pdf").read_bytes())
    width = float(re.search(r"/MediaBox\s*\[\s*0 0 (\S+)", text)[1]) / 72 * 25.4
    assert any(width == pytest.approx(column, abs=0.1) for column in (86, 178))
    assert_fonts_are_embedded(text)


@pytest.mark.parametrize(("kind", "names"), [("figure", {*NAMED.figures, "correlations-2"}), ("curve", CURVES)])
def test_the_archive_says_what_each_picture_and_table_shows(kind, names):
    captions = {CAPTIONS.render(snakemake={"wildcards": {"dataset": "flowing", kind: name}}).strip() for name in names}
    assert all(len(caption.split()) > 8 and "flowing" in caption for caption in captions)
    # Parts of one figure have one caption.
    assert len(captions) == len({name.split("-")[0] for name in names})


def test_each_figure_of_the_notebook_has_a_caption_in_the_archive():
    calls = [node for node in ast.walk(ast.parse("\n".join(notebook_cells()))) if isinstance(node, ast.Call)]
    names = [call.args[1] for call in calls if ast.unparse(call.func) == "show"]
    words = [node.value for name in names for node in ast.walk(name) if isinstance(node, ast.Constant)]
    assert {word.split("-")[0] for word in words if isinstance(word, str)} == {*NAMED.figures}


def test_curves_have_units_and_are_those_of_the_model(page, flowing):
    tables = {file.stem: pd.read_csv(file) for file in (flowing / "curves").iterdir()}
    assert tables.keys() == CURVES
    for name in ("rates", "decays", "angles", "angles_model", "residuals_lag", "residuals_age"):
        # Time, lag and angle have units; what is divided by its contrast has none.
        assert all("[" in column for column in tables[name] if not column.startswith(("(c2", "error", "model"))), name
    rates = tables["rates"]
    expected = TRUTH["D0"] * rates["t [s]"] ** TRUTH["alpha"] + TRUTH["D_offset"]
    np.testing.assert_allclose(rates["D fit [Å²/s]"], expected, rtol=1e-5)
    assert (rates["D lower 95 % [Å²/s]"] < rates["D lower 68 % [Å²/s]"]).all()
    assert (rates["D upper 68 % [Å²/s]"] < rates["D upper 95 % [Å²/s]"]).all()
    assert (rates["t [s]"].min(), rates["t [s]"].max()) == (DT, pytest.approx((N_T - 1) * DT))


def test_the_table_for_latex_is_that_of_the_page(page, flowing):
    lines = parameters_tex(Dataset.read("flowing", paths_in(flowing))).splitlines()
    assert [lines[k] for k in (2, 4, -2)] == [r"\toprule", r"\midrule", r"\bottomrule"]
    assert lines[-4] == r"\midrule"
    assert lines[-3] == (r"\multicolumn{5}{l}{Shear rates: convention spec; by published 2.2 to 3.1 times smaller.} \\")
    rows = [line.removesuffix(r" \\").split(" & ") for line in lines[5:-4]]
    assert [row[0] for row in rows][:2] == ["$D_0$", r"$\alpha$"]
    assert {len(row) for row in rows} == {5}
    # Calibrated: twice the error of nlsq.json.
    assert rows[0][1:3] == [r"\AA$^2$/s", r"$900 \pm 40$"]
    assert "\n".join(lines).isascii()
    assert (flowing / "parameters.tex").read_text(encoding="utf-8").splitlines() == lines


def read_latex(text):
    """Rows of a table for LaTeX, and its formulas, as pandoc's reader of LaTeX finds them."""
    document = json.loads(pypandoc.convert_text(text, "json", format="latex", extra_args=["--fail-if-warnings"]))
    (table,) = document["blocks"]
    assert table["t"] == "Table"
    _, _, columns, head, bodies, _ = table["c"]
    rows = [row[1] for row in [*head[1], *bodies[0][3]]]
    # Formulas that cannot be read are a warning of the writer, and so an error here.
    options = ["--mathml", "--fail-if-warnings"]
    formulas = pypandoc.convert_text(text, "html", format="latex", extra_args=options).count("<math")
    return len(columns), [len(row) for row in rows], formulas


def test_latex_can_read_the_table(flowing):
    text = parameters_tex(Dataset.read("flowing", paths_in(flowing)))
    columns, cells, formulas = read_latex(text)
    # The convention of shear rates runs over all columns.
    assert (columns, cells) == (5, [*[5] * 8, 1])
    # Symbol, fit, posterior and interval of seven parameters, and the exponent of the unit of two.
    assert formulas == 4 * 7 + 2
    for line in text.splitlines()[5:-2]:
        assert all(cell.count("$") % 2 == 0 for cell in line.split("&"))
        assert not re.search(r"[%#~]|(?<!\\)_(?![^$]*\$)", re.sub(r"\$[^$]*\$", "", line))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("$D_0$", "$D_0"), ("$D_0$ &", "$D_0$ & &"), (r"\pm", r"\plusminus"), (r"\end{tabular}", ""), (r"\%", "%")],
)
def test_a_table_that_latex_cannot_read_is_refused(flowing, right, wrong):
    text = parameters_tex(Dataset.read("flowing", paths_in(flowing)))
    assert right in text
    with pytest.raises((AssertionError, RuntimeError, ValueError, IndexError)):
        assert read_latex(text.replace(right, wrong, 1)) == read_latex(text)


def test_the_page_shows_calibrated_errors_and_says_how_large_they_are(page, flowing):
    cells = texts(page)["td"]
    at = cells.index("Å²/s")
    # Least squares ± calibrated error, posterior, interval, and how many times the independent error.
    assert cells[at + 1] == "900\u00a0±\u00a040"
    assert float(cells[at + 4]) == pytest.approx(2.0, abs=0.05)
    said = " ".join(texts(page)["p"])
    assert "Error bars are calibrated." in said
    assert "independent pixels" in page
    assert "The residuals scatter as speckles and photons make them." in said


def test_shards_are_judged_together(page):
    assert any("χ² = 7.50 for 7 degrees of freedom (p = 0.38)" in text for text in texts(page)["p"])
    assert any("What each of the 2 shards found" in caption for caption in texts(page)["figcaption"])


def calibrated(folder, **change):
    """Results whose calibration is another one."""
    results = Dataset.read("flowing", paths_in(folder))
    calibration = replace(results.calibration, **change)
    return replace(results, fit=replace(results.fit, calibration=calibration))


@pytest.mark.parametrize(
    ("change", "warned", "words"),
    [
        ({}, False, "calibrated"),
        ({"effective_counts": np.full(3, 5.0), "note": "Not as the diagonal tells."}, True, "calibrated"),
        ({"effective_counts": np.full(3, np.inf), "note": "The errors may be too small."}, True, "calibrated"),
        ({"counts": np.full(3, np.inf), "effective_counts": np.full(3, np.inf)}, False, "calibrated"),
        ({"noise": "independent", "effective_counts": np.zeros(3)}, False, "independent entries"),
    ],
)
def test_noise_that_is_not_as_expected_is_a_warning(flowing, change, warned, words):
    results = calibrated(flowing, **change)
    note = results.calibration.note
    assert (f"Error bars: {note[0].lower()}{note[1:]}" in cautions(results)) == warned
    assert words in error_note(results)


def test_noise_smaller_than_the_pixels_allow_is_a_warning(flowing):
    results = Dataset.read("flowing", paths_in(flowing))
    assert not any("Smaller" in text for text in cautions(results))
    assert (
        cautions(calibrated(flowing, pixels_note="Smaller than it can be."))[-1]
        == "Error bars: smaller than it can be."
    )


def test_pixels_of_the_bins_stand_beside_those_of_the_noise(flowing, page):
    assert texts(page)["td"].count("1234") == 3  # a row an angle
    row = next(line for line in noise_table(calibrated(flowing, counts=None)).splitlines() if "1234" in line)
    assert row.endswith("| – | 1.5 |")
    row = next(line for line in noise_table(calibrated(flowing, noise="independent")).splitlines() if "1234" in line)
    assert row.endswith("| 1.5 | – |")
    unknown = calibrated(flowing, bin_pixels=None)
    assert "pixels of the bin" not in noise_table(unknown) and "1234" not in noise_table(unknown)


def test_errors_without_calibration_are_said_to_be_too_small(flowing):
    results = Dataset.read("flowing", paths_in(flowing))
    results = replace(results, fit=replace(results.fit, calibration=None))
    assert "too small" in error_note(results)
    assert results.fit.error("D0") == results.fit.parameters["D0"].error
    assert "independent sd" not in parameter_table(results)


def test_a_parameter_that_was_held_is_said_to_be(flowing):
    results = Dataset.read("flowing", paths_in(flowing))
    table = results.posterior.table.copy()
    held = table["parameter"] == "alpha"
    table.loc[held, ["error", "posterior_sd", "error_independent"]] = 0.0
    table.loc[held, ["r_hat", "ess_bulk"]] = np.nan
    chains = results.chains | {"alpha": np.full_like(results.chains["alpha"], -0.4)}
    fit = replace(
        results.fit, parameters=results.fit.parameters | {"alpha": FittedParameter(-0.412345, np.nan, "", False)}
    )
    results = replace(results, fit=fit, posterior=replace(results.posterior, table=table, chains=chains))
    rows = {line.split("|")[1].strip(): line for line in parameter_table(results).splitlines() if line.startswith("|")}
    cells = [cell.strip() for cell in rows[r"$\alpha$"].split("|")]
    assert (
        cells[3:6] == ["−0.412345", "held", "–"] and cells[-4:-1] == ["", "–", "–"] and "nan" not in rows[r"$\alpha$"]
    )
    assert next(line for line in parameters_tex(results).splitlines() if "alpha" in line).endswith(
        r"$-0.412345$ & held &  \\"
    )


# ---------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def tab():
    with browser() as tab:
        yield tab


LOADED = "[...document.images].filter(image => image.complete && image.naturalWidth > 0).length"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
HIDDEN = "[...document.querySelectorAll('h2')].filter(heading => heading.getClientRects().length == 0).length"


@pytest.mark.slow
# A4 less its margins is 680 pixels wide.
@pytest.mark.parametrize(("width", "medium"), [(1280, "screen"), (400, "screen"), (680, "print")])
def test_a_browser_shows_all_of_it_and_nothing_runs_over(tab, page, flowing, width, medium):
    tab.open(flowing / "report.html", width, medium)
    assert tab.evaluate(LOADED) == len(FIGURES)
    assert tab.evaluate("document.querySelectorAll('h2').length") == len(SECTIONS)
    assert tab.evaluate(HIDDEN) == 0
    assert (
        tab.evaluate("[...document.querySelectorAll('math')].filter(m => m.getClientRects()[0].width == 0).length") == 0
    )
    assert tab.evaluate(OVERFLOW) <= 0
    assert tab.complaints == []
    assert [address for address in tab.requests if not address.startswith(("file:", "data:"))] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flowing/report.html", "summary.html"])
def test_tables_show_all_their_columns_on_a_desk(tab, page, flowing, summary, name):
    tab.open(flowing / "report.html" if name.startswith("flowing") else summary / name, 1280)
    wide = "[...document.querySelectorAll('.table')].filter(table => table.scrollWidth > table.clientWidth).length"
    assert tab.evaluate("document.querySelectorAll('.table').length") > 0
    assert tab.evaluate(wide) == 0


@pytest.mark.slow
def test_dark_text_stands_on_white(tab, page, flowing):
    tab.open(flowing / "report.html", 1280)
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for tag in ("p", "figcaption", "td", "h2"):
        colour = tab.evaluate(f"getComputedStyle(document.querySelector('{tag}')).color")
        # Contrast of 7 to 1, the strictest of the accessibility guidelines, is reached by greys up to 89.
        assert max(map(int, re.findall(r"\d+", colour))) <= 89, tag


@pytest.mark.slow
def test_a_page_too_wide_would_be_seen(tab, tmp_path):
    page = tmp_path / "wide.html"
    page.write_text("<p style='width: 2000px'>x</p><img src='gone.png'>", encoding="utf-8")
    tab.open(page, 400)
    assert tab.evaluate(OVERFLOW) > 0
    assert tab.evaluate(LOADED) == 0
    assert tab.complaints


# ---------------------------------------------------------------- what it says


def test_a_flow_that_the_data_do_not_need_is_bounded_not_quoted(tmp_path):
    write_results(tmp_path, "laminar_flow", detected=False)
    results = Dataset.read("still", paths_in(tmp_path))
    said = outcome(results)
    # Mean of the power law over the record, by the trapezoids of the frames; t = 0 counts as half a frame.
    time = np.maximum(np.arange(N_T) * DT, DT / 2)
    draws = results.draws
    power = np.array([a * time**b + c for a, b, c in zip(*(draws[n] for n in list(TRUTH)[3:6]), strict=True)])
    mean = (power[:, 1:] + power[:, :-1]).mean(axis=1) / 2
    assert "compatible with zero" in said
    assert f"below {plain_number(np.quantile(mean, 0.95), 2)} 1/s" in said
    assert "flow points to" not in said
    assert "convention spec; by published 2.2 to 3.1 times smaller" in said
    rows = rate_table(results).splitlines()[2:8]
    assert [("±" in row, "<" in row) for row in rows] == [(True, False)] * 3 + [(False, True)] * 3


def test_a_resting_sample_is_told_its_decay_rate(tmp_path):
    write_results(tmp_path, "static")
    results = Dataset.read("resting", paths_in(tmp_path))
    said = outcome(results)
    assert r"\Gamma = q^2" in said
    assert "shear" not in said
    time = np.maximum(np.arange(N_T) * DT, DT / 2)
    expected = Q**2 * np.mean([np.mean((f[1:] + f[:-1]) / 2) for f in _power_laws(results.draws, time)])
    shown = re.search(r"= \((\d+\.\d+)", said.split("Gamma")[1].replace("\u00a0", " "))
    assert float(shown.group(1)) == pytest.approx(expected, rel=0.02)  # the error has at least one leading digit


def _power_laws(draws, time):
    return [a * time**b + c for a, b, c in zip(draws["D0"], draws["alpha"], draws["D_offset"], strict=True)]


def test_the_methods_cite_what_was_used_and_nothing_else(flowing):
    results = Dataset.read("flowing", paths_in(flowing))
    first = results.report.shards[0]
    shards = [replace(first, n_warmup=n, jumps=jumps) for n, jumps in ((200, False), (100, True))]
    for n_shards, works in ((1, 7), (2, 11)):
        report = replace(results.report, n_shards=n_shards, shards=shards[:n_shards], pareto_k=0.3)
        posterior = replace(results.posterior, report=report)
        paragraph, listed = methods_text(replace(results, posterior=posterior)).split("\n\n")
        cited = [int(number) for group in re.findall(r"\\\[([\d, ]+)\\\]", paragraph) for number in group.split(", ")]
        assert cited == sorted(cited) == list(range(1, works + 1))
        assert [line.split(".")[0] for line in listed.splitlines()] == [str(number) for number in cited]
        assert ("independent proposals" in paragraph) == ("Tierney" in listed) == (n_shards == 2)
        assert ("consensus" in paragraph) == ("Manag. Sci." in listed) == (n_shards == 2)
        assert "spread about their mean" in paragraph and "Shaby" in listed
    assert f"of {N_T} frames, 0.2\u00a0s apart, at 3 azimuthal angles" in paragraph
    assert "after 100 or 200 of warm-up" in paragraph
    independent = methods_text(calibrated(flowing, noise="independent"))
    assert "spread" not in independent and "Shaby" not in independent


def test_the_methods_tell_what_was_held(flowing):
    results = Dataset.read("flowing", paths_in(flowing))
    assert " held" not in methods_text(results)
    chains = results.chains | {name: np.full_like(results.chains[name], 3.3) for name in ("alpha", "phi0")}
    parameters = results.fit.parameters | {
        name: replace(results.fit.parameters[name], value=3.3) for name in ("alpha", "phi0")
    }
    fit, posterior = replace(results.fit, parameters=parameters), replace(results.posterior, chains=chains)
    told = methods_text(replace(results, fit=fit, posterior=posterior))
    assert r"; $\alpha$ = 3.3, $\varphi_0$ = 3.3 deg were held (χ²" in told


@pytest.mark.parametrize(("numbers", "words"), [(6, "free at each angle"), (2, "the same at all angles")])
def test_the_methods_tell_what_the_mode_auto_made_of_contrast_and_offset(flowing, numbers, words):
    """Of three angles one pair; of one or two each has its own."""
    results = Dataset.read("flowing", paths_in(flowing))
    fit = replace(
        results.fit, per_angle_mode="auto", coefficients=dict(zip("abcdef"[:numbers], 6 * [0.3], strict=False))
    )
    assert f"offset $O$ were {words}, and projected out" in methods_text(replace(results, fit=fit))


@pytest.mark.parametrize(
    ("merged_at", "words"),
    [
        (None, "the model was fitted with pairs weighted by"),
        (np.ones(3), "the model was fitted with each 3 neighbouring frames merged to one and with pairs weighted by"),
    ],
)
def test_the_methods_tell_whether_frames_were_merged(flowing, monkeypatch, merged_at, words):
    monkeypatch.setattr("homodyne_lib.model.frames.MOST_FRAMES", 10)
    results = Dataset.read("flowing", paths_in(flowing))
    fit = replace(results.fit, agreement=SimpleNamespace(p_value=0.4, degrees_of_freedom=2), merged_at=merged_at)
    told = methods_text(replace(results, fit=fit))
    assert words in told and "The difference of the two fits was tested" in told


def test_fits_that_leave_nothing_to_compare_do_not_agree(flowing):
    results = Dataset.read("flowing", paths_in(flowing))
    agreement = SimpleNamespace(p_value=1.0, degrees_of_freedom=0, rejected=False)
    said = belief(replace(results, fit=replace(results.fit, agreement=agreement)))
    assert "leave nothing to compare" in said and "agree" not in said
    told = methods_text(replace(results, fit=replace(results.fit, agreement=agreement)))
    assert "leave nothing to compare" in told and "was tested" not in told


def test_a_direction_that_was_held_is_not_found(flowing):
    results = Dataset.read("flowing", paths_in(flowing))
    assert "which was held" not in outcome(results)
    posterior = results.posterior
    chains = posterior.chains | {"phi0": np.full_like(posterior.chains["phi0"], 3.0)}
    assert "which was held" in outcome(replace(results, posterior=replace(posterior, chains=chains)))


FOUND = MisfitReport(True, {}, np.zeros(0), np.zeros(0, dtype=int), "A sentence.")


def test_errors_of_a_model_that_misses_the_data_are_not_called_calibrated(flowing):
    results = Dataset.read("flowing", paths_in(flowing))
    assert "are calibrated" in error_note(results)
    results = replace(results, fit=replace(results.fit, misfit=FOUND))
    assert "do not cover the misfit" in error_note(results) and "are calibrated" not in error_note(results)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "Read the warnings"),
        ({"reduced_chi2": 4.0}, "larger than the scatter of neighbouring entries, but have the shape of noise"),
        ({"misfit": FOUND}, "the model does not describe these data"),
        ({"misfit": FOUND}, "Do not quote"),
        ({"converged": False}, "did not converge"),
    ],
)
def test_the_verdict_follows_the_checks(flowing, change, words):
    results = Dataset.read("flowing", paths_in(flowing))
    assert words in belief(replace(results, fit=replace(results.fit, **change)))


# ---------------------------------------------------------------- several q and files

RINGS = (0.0044, 0.0054, 0.0066)


@pytest.fixture(scope="module")
def rings(tmp_path_factory):
    """Two files of three q and five angles."""
    folder = tmp_path_factory.mktemp("rings")
    phi = np.array([-60.0, -30.0, 0.0, 30.0, 60.0])
    write_results(folder, "laminar_flow", detected=True, phi=phi, rings=RINGS, repeats=2)
    return folder


def test_sentences_name_all_q_and_files(rings):
    results = Dataset.read("rings", paths_in(rings))
    assert "at 5 angles and 3 q from 0.0044 to 0.0066 1/Å in 2 files, from" in subject(results)
    assert shown_large(results.bins) == (
        "Maps of the lowest, a middle and the highest q, in the first file, at angles that are spread evenly; thumbnails of "
        "all 30 bins follow."
    )
    methods = methods_text(results).replace("\u00a0", " ")
    assert "at 5 azimuthal angles and 3 $q$ from 0.0044 to 0.0066 Å⁻¹ in 2 repeats" in methods
    assert (
        "All 30 correlation functions were fitted together: the physical parameters were common to all $q$ and"
        in methods
    )
    assert "offset $O$ were free at each angle of each $q$ and repeat, and projected out" in methods
    powered = methods_text(replace(results, fit=replace(results.fit, q_exponent=1.0)))
    assert f"fitted together, with $q_0$ = {np.prod(RINGS) ** (1 / 3):.4g}\u00a0Å⁻¹: the" in powered
    alone = [PartFit(q, None, {"D": 1e3}, {"D": 20.0}, ["D"], q / Q, 0.0, 1.0, True) for q in RINGS[:2]]
    tested = replace(results.fit, parts=parts_agreement(alone, 5.0, 2.0))
    assert "for 1 degree of freedom, p = " in methods_text(replace(results, fit=tested))
    model, facts = (
        model_text(results),
        provenance_text(results, {"commit": "", "command": "", "row": "", "config": "", "versions": {}}),
    )
    assert "a contrast and an offset of its own" in model
    assert "SHA-256 of file 2 | `1123456789abcdef" in facts


def test_a_table_of_parts_says_which_errors_are_not_calibrated(rings):
    results = Dataset.read("rings", paths_in(rings))
    rates, errors = {"D": 1e3, "gamma_dot": 1e-2}, {"D": 20.0, "gamma_dot": 1e-3}
    alone = [PartFit(q, None, rates, errors, [*rates], q / Q, 0.0, 1.0, True) for q in RINGS]
    fit = replace(results.fit, parts=parts_agreement(alone, 0.5, 2.0))
    assert "\n| **all together** |" in parts_table(replace(results, fit=fit))
    at_mean = parts_table(replace(results, fit=replace(fit, q_exponent=1.0)))
    assert f"\n| **all together** at $q_0$ = {np.prod(RINGS) ** (1 / 3):.4g} 1/Å |" in at_mean
    uncalibrated = replace(results, fit=fit.with_calibration(None))
    assert "\n| **all together**, errors of independent entries |" in parts_table(uncalibrated)


def test_a_decay_rate_of_several_q_is_told_at_their_mean(tmp_path):
    write_results(tmp_path, "static", rings=RINGS)
    results = Dataset.read("resting", paths_in(tmp_path))
    mean = np.prod(RINGS) ** (1 / 3)
    said = outcome(results).replace("\u00a0", " ")
    assert f"decays at $q$ = {mean:.4g} 1/Å, the geometric mean of all $q$, at the rate" in said
    expected = mean**2 * np.mean(results.average("D"))
    assert float(re.search(r"= \(?(\d+\.\d+)", said.split("Gamma")[1])[1]) == pytest.approx(expected, rel=0.02)


def test_tables_and_curves_name_the_file_and_q_of_a_bin(rings):
    results = Dataset.read("rings", paths_in(rings))
    for table in (scaling_table, noise_table):
        lines = table(results).splitlines()
        assert lines[0].startswith(r"| file | $q$ [1/Å] | $\varphi$ [°] | ")
        assert len(lines) == 2 + 30
        assert lines[2 + 29].startswith("| 2 | 0.0066 | 60 | ")
    record = read_correlations(rings / "c2.h5")
    comparison = compare(record, results.fit, 200)
    bands = np.stack(2 * [comparison.model_decay])
    curves = curve_tables(results, comparison, bands, angular_decays(record, results.fit, comparison))
    for name in CURVES - {"rates"}:
        assert list(curves[name].columns[:2]) == ["file", "q [1/Å]"], name
    lag = curves["residuals_lag"]
    one = lag[(lag["file"] == 2) & (lag["q [1/Å]"] == 0.0054) & (lag["phi [deg]"] == 30)]
    np.testing.assert_array_equal(one["mean residual [sigma]"], comparison.lag_profile[15 + 5 + 3])
    decays = curves["decays"]
    assert list(decays.columns[2:6]) == ["phi [deg]", "first t1 [s]", "last t1 [s]", "lag [s]"]
    assert sorted(set(curves["angles"]["q [1/Å]"])) == list(RINGS)


def test_many_notes_on_estimates_are_cut_where_there_are_several_q(flowing, rings):
    for folder, left in ((flowing, 9), (rings, 7)):
        results = Dataset.read("x", paths_in(folder))
        many = replace(results, scaling=replace(results.scaling, warnings=[f"Note {k}." for k in range(9)]))
        notes = notes_on_estimates(many)
        assert len(notes) == left
    assert notes[-1] == "3 more like these; scaling.json has all of them."


def test_the_summary_lists_all_q(tools, rings, tmp_path):
    results = Dataset.read("rings", paths_in(rings))
    row = tools.key_numbers(results)
    assert row["q [1/Å]"] == "0.0044, 0.0054, 0.0066"
    assert row["angles"] == "5"  # at each q, in each file
    assert "| 0.0044 – 0.0066 (3) | 5 × 30 |" in tools.overview([row], {"rings": ""})


@pytest.mark.slow
def test_several_q_make_a_page_too(tools, rings):
    page = write_page(tools, rings)
    assert texts(page)["h2"] == SECTIONS
    # Panels of some bins of three q, and data and residuals of all.
    figures = FIGURES - {"shards"} | {"thumbnails", "thumbnails-2"}
    assert {file.stem for file in (rings / "figures").glob("*.png")} == figures
    assert any("one line a bin (thick: the means at each q)" in caption for caption in texts(page)["figcaption"])
    images = PageTexts(page).images
    assert len({image["alt"] for image in images}) == len(images)


# ---------------------------------------------------------------- all datasets


TEMPERATURE = r"T [K] $\frac{$"
"""Half a formula is a header like any other."""


@pytest.fixture(scope="module")
def summary(tools, page, flowing, tmp_path_factory):
    """Three finished datasets and one that failed, two with a temperature."""
    folder = tmp_path_factory.mktemp("summary")
    folders = {}
    for name, mode, detected in (("resting", "static", None), ("still", "laminar_flow", False)):
        folders[name] = folder / name
        folders[name].mkdir()
        write_results(folders[name], mode, detected)
    folders |= {"flowing": flowing, "broken": folder / "broken"}
    tools.summarise(
        {name: paths_in(path) for name, path in folders.items()},
        folder / "summary.html",
        folder / "summary.csv",
        columns={"resting": {TEMPERATURE: 290.0}, "still": {}, "flowing": {TEMPERATURE: 310.0}},
        failures={"broken": f"{HOSTILE}: this is not an HDF5 file."},
    )
    return folder


def test_the_summary_has_a_row_a_dataset(tools, summary):
    rows = pd.read_csv(summary / "summary.csv", keep_default_na=False, na_values=[""])
    # No column of a user can have the name of one of ours.
    assert tuple(rows.columns) == (*tools.SUMMARY, TEMPERATURE)
    rows = rows.set_index("dataset")
    assert list(rows.index) == ["resting", "still", "flowing", "broken"]
    assert list(rows["status"]) == ["finished"] * 3 + [f"{HOSTILE}: this is not an HDF5 file."]
    assert rows.loc["flowing", "gamma_dot [1/s]"] > 0
    assert np.isnan(rows.loc["resting", "gamma_dot [1/s]"])
    assert rows.loc["flowing", "D0 [Å²/s]"] == pytest.approx(TRUTH["D0"], rel=0.01)
    assert list(rows[TEMPERATURE].fillna(0)) == [290, 0, 310, 0]
    words = "convention spec; by published 2.2 to 3.1 times smaller"
    assert rows.loc["flowing", "shear_convention"] == words
    assert pd.isna(rows.loc["resting", "shear_convention"])
    text = (summary / "summary.html").read_text(encoding="utf-8")
    assert [link for link in PageTexts(text).links if link.endswith(".html")] == [
        f"{name}/report.html" for name in ("resting", "still", "flowing")
    ]
    assert any(f"Shear rates: {words}." in paragraph for paragraph in texts(text)["p"])
    cells = np.reshape(texts(text)["td"], (3, -1))
    assert list(cells[:, 6]) == ["–", "no", "yes"]
    assert cells[1, 8] == "not detected"


def test_a_failed_dataset_is_shown_with_its_sentence(summary):
    text = (summary / "summary.html").read_text(encoding="utf-8")
    assert texts(text)["h2"] == ["Without results", "Finished", f"Against {TEMPERATURE}"]
    assert texts(text)["li"] == [f"broken: {HOSTILE}: this is not an HDF5 file."]
    assert "3 of 4 datasets are finished." in texts(text)["p"]


def test_the_summary_has_thumbnails_and_a_figure_a_column(summary):
    images = PageTexts((summary / "summary.html").read_text(encoding="utf-8")).images
    assert len(images) == 3 + 1
    assert all(image["src"].startswith("data:image/png;base64,") for image in images)
    # D at mid-record and the three parameters that both datasets with a temperature have.
    assert images[-1]["alt"] == f"Points with error bars: 4 quantities of 2 datasets against {TEMPERATURE}."


def test_a_dataset_may_be_called_like_the_figure_of_a_trend(tools, tmp_path):
    """Its picture is its own, and no two elements of the page have one id."""
    folders = {name: tmp_path / name for name in ("trend-q", "trend-0")}
    for k, folder in enumerate(folders.values()):
        folder.mkdir()
        write_results(folder, "static", rings=(Q * (1 + k),))
    tools.summarise(
        {name: paths_in(folder) for name, folder in folders.items()},
        tmp_path / "summary.html",
        tmp_path / "summary.csv",
        columns={"trend-q": {"T": 290.0}, "trend-0": {"T": 300.0}},
        failures={},
    )
    page = (tmp_path / "summary.html").read_text(encoding="utf-8")
    images = PageTexts(page).images
    assert len({image["src"] for image in images}) == len(images) == 4
    assert [image["alt"].split()[0] for image in images] == ["Data", "Data", "Points", "Points"]
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len({*ids}) == len(ids) > 4
    assert "2 datasets." in texts(page)["p"]


@pytest.mark.parametrize(
    ("failures", "total"), [({}, "1 dataset."), ({"a": "This is no file."}, "0 of 1 dataset is finished.")]
)
def test_the_table_of_the_summary_has_all_columns_with_or_without_a_finished_dataset(tools, tmp_path, failures, total):
    write_results(tmp_path, "static")
    pages = tmp_path / "summary.html", tmp_path / "summary.csv"
    tools.summarise({"a": paths_in(tmp_path)}, *pages, columns={"a": {"T": 290.0}}, failures=failures)
    assert total in texts(pages[0].read_text(encoding="utf-8"))["p"]
    rows = pd.read_csv(pages[1])
    assert tuple(rows.columns) == (*tools.SUMMARY, "T")
    assert list(rows["T"]) == [290.0] and list(rows["status"]) == [failures.get("a", "finished")]


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_a_browser_shows_the_summary(tab, summary, width):
    tab.open(summary / "summary.html", width)
    assert tab.evaluate(LOADED) == 4
    assert tab.evaluate(OVERFLOW) <= 0
    assert tab.complaints == []


def test_a_rate_that_the_prior_decides_is_not_to_be_quoted(tmp_path):
    write_results(tmp_path, "static")
    results = Dataset.read("resting", paths_in(tmp_path))
    assert sound(results)
    told = ["The data alone do not determine D(t)."]
    report = replace(results.report, led_by_prior=told, warnings=[*told, "Shard 0: slow."])
    results = replace(results, posterior=replace(results.posterior, report=report))
    assert cautions(results) == [*told, *results.fit.warnings, "Shard 0: slow."] and not sound(results)
    assert "**Do not quote these numbers**" in belief(results)


def test_shards_that_agree_on_another_law_are_not_to_be_quoted(flowing):
    """Chains of all shards have converged, and the weights of their draws tell that these are not of all data."""
    results = Dataset.read("flowing", paths_in(flowing))
    assert sound(results)
    report = replace(results.report, status="not converged", pareto_k=0.9)
    results = replace(results, posterior=replace(results.posterior, report=report))
    assert not sound(results) and "**Do not quote these numbers**" in belief(results)


def test_a_flow_that_was_held_has_no_limit(tmp_path):
    write_results(tmp_path, "laminar_flow", detected=False)
    results = Dataset.read("still", paths_in(tmp_path))
    flow = list(TRUTH)[3:6]
    chains = {
        name: np.full_like(draws, TRUTH[name]) if name in flow else draws for name, draws in results.chains.items()
    }
    results = replace(results, posterior=replace(results.posterior, chains=chains))
    said = outcome(results)
    assert "its mean over the record was held at " in said and "probability" not in said
    assert "95 %)" not in rate_table(results)


@pytest.mark.slow
def test_the_summary_can_be_sorted_and_searched(tab, summary):
    tab.open(summary / "summary.html", 1280)
    names = (
        "[...document.querySelectorAll('tbody tr')].filter(row => !row.hidden).map(row => row.querySelector('a').text)"
    )
    press = "document.querySelectorAll('thead button')[{}].click()"
    orders = []
    for column in (0, 0, 8, 8):  # by name, and by a shear rate that two of them do not have
        tab.evaluate(press.format(column))
        orders.append(tab.evaluate(f"({names}).join(' ')"))
    assert orders[:2] == ["flowing resting still", "still resting flowing"]
    assert [order.split()[-1] for order in orders[2:]] == ["resting"] * 2
    tab.evaluate("document.querySelector('input').value = 'laminar detected'")
    tab.evaluate("document.querySelector('input').dispatchEvent(new Event('input'))")
    assert tab.evaluate(f"({names}).join(' ')") == "still"
    assert tab.evaluate("document.querySelector('output').textContent.trim()") == "1 of 3"
    cells = {
        quantity(2.1e5, 4e4): 2.1e5,
        quantity(6e-4, 1e-5): 6e-4,
        quantity(-0.034, 0.002): -0.034,
        "2045 ± 34": 2045,
        "< 0.012 (95 %)": 0.012,
        "1.07 misfit": 1.07,
        "0.0054 – 0.0076 (2)": 0.0054,
        "3 × 1024": 3,
        "–": None,
        "20240101_a": None,
        "300K": None,
    }
    found = json.loads(tab.evaluate(f"JSON.stringify({json.dumps([*cells])}.map(numberIn))"))
    assert dict(zip(cells, found, strict=True)) == pytest.approx(cells)
    ordered = sorted(cells, key=lambda cell: (cells[cell] is None, cells[cell] or 0.0))
    numbers = [cell for cell in ordered if cells[cell] is not None] + ["11 × 100", "11 × 400"]
    shown = tab.evaluate(f"JSON.stringify({json.dumps(numbers[::-1])}.sort((a, b) => compare(a, b, 1)))")
    value = cells | {"11 × 100": 11, "11 × 400": 11.1}
    assert json.loads(shown) == sorted(numbers, key=value.get)
    names = ["300K_run1", "300K_run2", "20240101_a", "20240101_b"]
    assert json.loads(tab.evaluate(f"JSON.stringify({names[::-1]}.sort((a, b) => compare(a, b, 1)))")) == names


def test_a_dataset_that_is_not_to_be_quoted_is_marked(tools):
    row = {"dataset": "a", "sound": False}
    assert "[do not quote]{.doubt}" in tools.name_cell(row, "")
    assert "do not quote" not in tools.name_cell(row | {"sound": True}, "")


def test_what_is_known_only_together_is_not_plotted(tools):
    """An exponent about zero leaves amplitude and offset undetermined; so does a correlation beyond 0.99."""
    rng = np.random.default_rng(1)
    sum_of_both, alone = rng.normal(5.0, 0.1, 1000), rng.normal(0.5, 0.1, 1000)
    first = rng.normal(2.0, 2.0, 1000)
    draws = {"D0": first, "alpha": alone, "D_offset": sum_of_both - first}

    def found(**changed):
        return tools.only_together(SimpleNamespace(free=list(draws), draws=draws | changed))

    assert found() == {"D0", "D_offset"}
    assert found(D_offset=sum_of_both) == set()
    assert found(D_offset=sum_of_both, alpha=alone - 0.5) == {"D0", "D_offset"}


@pytest.fixture
def simulated(tmp_path):
    """Reads the results of a flow whose frames begin with a given one, beside the truth of a simulation."""

    def read(first_frame=1, **truth):
        write_results(tmp_path, "laminar_flow", detected=True)
        with h5py.File(tmp_path / "c2.h5", "a") as file:
            file["frames"][...] += first_frame - 1
        with h5py.File(tmp_path / "simulated.h5", "w") as file:
            file.create_group("simulation").attrs.update(TRUTH | {"seed": 7, "shear_convention": "spec"} | truth)
        return Dataset.read("flowing", paths_in(tmp_path) | {"truth": str(tmp_path / "simulated.h5")})

    return read


def test_a_truth_is_read_where_it_is_nearest_to_the_fit(simulated):
    """185 degrees is the same direction as 5; what has no period stays to the last digit."""
    results = simulated(phi0=TRUTH["phi0"] + 180.0)
    assert results.true_parameters == TRUTH | {"phi0": pytest.approx(TRUTH["phi0"], abs=1e-12)}


def test_a_truth_is_that_of_the_time_of_the_record(simulated):
    """Frame 41 is taken 8 s after the first one, where D(t) is no power law of the time of the record."""
    results = simulated(first_frame=41)
    assert [*results.true_parameters] == ["phi0"]
    later = [TRUTH["D0"] * (8.0 + t) ** TRUTH["alpha"] + TRUTH["D_offset"] for t in (0.2, 3.0)]
    np.testing.assert_allclose(results.rates("D", [0.2, 3.0])["truth"], later, rtol=1e-12)
    assert " | – |" in parameter_table(results)


def test_a_truth_of_another_convention_has_no_shear_rate(simulated):
    results = simulated(shear_convention="published")
    assert {*TRUTH} - {*results.true_parameters} == {"gamma_dot_t0", "gamma_dot_t_offset"}
    assert results.rates("gamma_dot", [1.0])["truth"] is None and results.rates("D", [1.0])["truth"] is not None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([88.0, -89.0, np.nan, 87.0], [88.0, 91.0, np.nan, 87.0]),
        ([-88.0, 89.0, -87.0], [-88.0, -91.0, -87.0]),
        ([3.0, -4.0], [3.0, -4.0]),
    ],
)
def test_directions_on_both_sides_of_the_seam_are_drawn_as_neighbours(tools, values, expected):
    np.testing.assert_allclose(tools.about_their_mean("phi0", values), expected, atol=1e-12)
    np.testing.assert_array_equal(tools.about_their_mean("beta", values), values)

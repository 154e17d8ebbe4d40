"""The interface: its defaults, what it says, and its results in files. tests/workflow compares it with the workflow."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace

import numpy as np
import pytest
import yaml
from workflow_support import ROOT, write_rest

import homodyne_lib as hd


def schema(name):
    return yaml.safe_load((ROOT / f"workflow/schemas/{name}.schema.yaml").read_text(encoding="utf-8"))["properties"]


CONFIG, COLUMNS = schema("config"), schema("datasets")
NLSQ, CMC, SCALING = (CONFIG[name]["properties"] for name in ("nlsq", "cmc", "scaling"))
DEFAULTS = {
    hd.load: {**COLUMNS, "diagonal": CONFIG["diagonal_correction"]["properties"]["method"]},
    hd.simulate: {"seed": CONFIG["seed"], "shear_convention": CONFIG["shear_convention"]},
    hd.fit: {**CONFIG, **NLSQ, **SCALING},
    hd.sample: {**CONFIG, **CMC},
    hd.plot: CONFIG["report"]["properties"],
}


@pytest.mark.parametrize("function", DEFAULTS)
def test_defaults_are_those_of_the_configuration(function):
    keywords, schemas = inspect.signature(function).parameters, DEFAULTS[function]
    shared = [name for name, keyword in keywords.items() if "default" in schemas.get(name, {})]
    # What is not given is empty there and None here.
    assert shared
    assert {n: keywords[n].default or None for n in shared} == {n: schemas[n]["default"] or None for n in shared}


@pytest.mark.parametrize(("function", "group"), [(hd.fit, NLSQ), (hd.fit, SCALING), (hd.sample, CMC)])
def test_every_setting_of_a_step_is_a_keyword(function, group):
    assert group.keys() <= inspect.signature(function).parameters.keys()


@pytest.fixture(scope="module")
def c2(tmp_path_factory):
    path = tmp_path_factory.mktemp("interface") / "rest.h5"
    write_rest(path)
    return hd.load(path, q=0.01, dt=0.1)


@pytest.fixture(scope="module")
def fitted(c2):
    return hd.fit(c2, starts=16)


def read_back(result, folder):
    """What its file holds."""
    result.write(folder / "result.json")
    return (folder / "result.json").read_bytes()


def test_a_fit_has_calibrated_errors_unless_told_otherwise(c2, fitted, tmp_path):
    plain_fit = hd.fit(c2, starts=16, uncertainty="independent")
    squares, again = fitted.least_squares, hd.calibrate(plain_fit)
    assert plain_fit.calibration is None and plain_fit.values == squares.values
    for name, parameter in squares.parameters.items():
        assert squares.error(name) > 3 * parameter.error == 3 * plain_fit.error(name)
        assert fitted.error(name) < squares.error(name)
    assert [read_back(part, tmp_path) for part in (again, again.calibration)] == [
        read_back(part, tmp_path) for part in (fitted, fitted.calibration)
    ]
    assert hd.calibrate(fitted, "least_squares").values == squares.values


def test_a_fit_comes_back_from_its_files(fitted, tmp_path):
    # Three angles without shot noise, which is null in the file.
    fitted = replace(fitted, calibration=replace(fitted.calibration, counts=np.full(3, np.inf)))
    fitted.write(tmp_path / "nlsq.json")
    fitted.calibration.write(tmp_path / "calibration.json")
    fit, calibration = hd.Fit.read(tmp_path / "nlsq.json"), hd.Calibration.read(tmp_path / "calibration.json")
    fit.write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "nlsq.json").read_bytes()
    calibration.write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "calibration.json").read_bytes()
    np.testing.assert_array_equal(calibration.counts, np.inf)
    again = replace(fit, calibration=calibration)
    assert repr(again) == repr(fitted)
    with pytest.raises(ValueError, match="read from a file has no data; fit the data again"):
        hd.sample(again)


def test_a_file_that_lacks_a_key_is_refused(fitted, tmp_path):
    path = tmp_path / "nlsq.json"
    fitted.write(path)
    path.write_text(path.read_text(encoding="utf-8").replace('"chi2"', '"chi"'), encoding="utf-8")
    with pytest.raises(ValueError, match=r"the file of a Fit lacks chi2; make it again\."):
        hd.Fit.read(path)


def test_a_fit_prints_and_shows_as_a_table(fitted):
    text, page = repr(fitted), fitted._repr_html_()
    assert text.startswith("Fit, static: χ² per degree of freedom ")
    assert [line.split()[0] for line in text.splitlines()[1:5]] == ["parameter", "D0", "alpha", "D_offset"]
    assert page.count("<tr>") == 4 and "Å²/s" in page
    hostile = replace(fitted, warnings=["<script>"])
    assert "<script>" not in hostile._repr_html_() and "&lt;script&gt;" in hostile._repr_html_()


def test_a_record_says_what_it_holds(c2):
    assert repr(c2) == "Correlations: 3 angles × 32 frames at q = 0.01 1/Å, dt = 0.1 s, from rest.h5"


def test_a_fit_without_a_posterior_is_drawn_too(c2, fitted):
    figures = hd.plot(c2, fitted)
    assert [*figures] == ["correlations", "decays", "angles", "residuals"]
    assert figures["decays"]._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda c2, fit: hd.fit(c2, uncertainty="Speckle"), "uncertainty is 'Speckle'; choose one of speckle, indep"),
        (lambda c2, fit: hd.fit(c2, estimator="squares"), "estimator is 'squares'; choose one of speckle, least_sq"),
        (lambda c2, fit: hd.calibrate(fit, "Speckle"), "estimator is 'Speckle'; choose one of speckle, least_squar"),
        (
            lambda c2, fit: hd.fit(c2.c2),
            "c2 is of the type ndarray; give a Correlations, as homodyne_lib.load returns it",
        ),
        (lambda c2, fit: hd.fit(c2, max_evaluations=0), "max_evaluations is 0; give a whole number of at least 1"),
        (lambda c2, fit: hd.fit(c2, starts=4.0), "starts is 4.0; give a whole number of at least 0"),
        (lambda c2, fit: hd.fit(c2, fixed={"D0": "0"}), "fixed has '0' for D0; give a finite number"),
        (lambda c2, fit: hd.fit(c2, bounds={"D0": 500}), "bounds has 500 for D0; give a pair of numbers"),
        (lambda c2, fit: hd.fit(c2, start=[1.0, 2.0]), "start is [1.0, 2.0]; give values by name"),
        (
            lambda c2, fit: hd.fit(c2, bounds={"contrast": (0.1, 0.2)}),
            "bounds names 'contrast', which is no physical param",
        ),
        (lambda c2, fit: hd.fit(c2, bounds={"beta": (1.0, 0.0)}), "bounds [1, 0] of beta"),
        (lambda c2, fit: hd.fit(c2, q_exponent=100), "q_exponent is 100; give a number between 0 and 6"),
        (
            lambda c2, fit: hd.calibrate(c2),
            "fit is of the type Correlations; give a Fit, as homodyne_lib.fit returns it",
        ),
        (lambda c2, fit: hd.sample(fit, chains=1), "chains is 1; choose 2 or more, as R̂ compares them"),
        (lambda c2, fit: hd.sample(fit, draws=0), "draws is 0; give a whole number of at least 50"),
        (lambda c2, fit: hd.sample(fit, shards="Auto"), "shards is 'Auto'; give a whole number of at least 1"),
        (
            lambda c2, fit: hd.sample(fit, target_acceptance=80),
            "target_acceptance is 80; give a number between 0.5 and 1",
        ),
        (lambda c2, fit: hd.plot(c2, None), "fit is of the type NoneType; give a Fit"),
        (lambda c2, fit: hd.Fit.read("no.json"), "no.json cannot be read as a Fit: No such file or directory"),
        (lambda c2, fit: hd.Fit.read(__file__), f"{__file__} cannot be read as a Fit: it is no JSON"),
        (
            lambda c2, fit: hd.Posterior.read("nowhere"),
            "nowhere holds no posterior: posterior.nc, cmc.json, parameters.csv",
        ),
        (lambda c2, fit: fit.write("nowhere/fit.json"), "fit.json cannot be written: there is no folder"),
        (lambda c2, fit: hd.plot(c2, fit, matrix_pixels=1), "matrix_pixels is 1; choose 10 or more"),
        (
            lambda c2, fit: hd.plot(replace(c2, q=2 * c2.q), fit),
            "the fit is not one of this record: it has 3 angles and",
        ),
        (
            lambda c2, fit: hd.plot(replace(c2, sigma=2 * c2.sigma), fit),
            "the fit is not one of this record: it has the noise",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(c2, fitted, call, told):
    with pytest.raises(ValueError, match=f"^{re.escape(told)}"):
        call(c2, fitted)


SIMULATION = {"q": 0.01, "dt": 0.1, "n_frames": 32, "pixels": 10, "modes": 1}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"stator_rotor_gap": 0.2}, "stator_rotor_gap = 0.2 Å is outside the usual range"),
        ({"q": []}, "q is []; give a number above 0 [1/Å]"),
        ({"q": "0.0101"}, "q is '0.0101'; give a number above 0"),
        ({"q": [(0.01, 0.02)]}, "q is [(0.01, 0.02)]; there is no q to choose from: give numbers, not a range"),
        ({"q": [(0.005, 0.01, 0.02)]}, "q is [(0.005, 0.01, 0.02)]; give a number"),
        ({"dt": None}, "dt is None; give a number above 0"),
        ({"n_frames": 20.0}, "n_frames is 20.0; give a whole number of at least 1"),
        ({"counts": np.inf}, "counts is inf; give a number above 0"),
        ({"phi": []}, "phi is empty"),
        (
            {"parameters": {"D0": np.nan, "alpha": 0.0, "D_offset": 0.0}},
            "parameters has nan for D0; give a finite number",
        ),
        ({"parameters": {"D0": -300.0, "alpha": 0.0, "D_offset": 0.0}}, "D0 = -300 Å²/s is outside [1, 1e+06]"),
    ],
)
def test_a_simulation_refuses_what_cannot_be(changes, told):
    given = {"parameters": {"D0": 300.0, "alpha": 0.0, "D_offset": 0.0}, "phi": [0.0]} | SIMULATION | changes
    with pytest.raises(ValueError, match=f"^{re.escape(told)}"):
        hd.simulate(**given)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"stator_rotor_gap": 0.2}, "stator_rotor_gap = 0.2 Å is outside the usual range"),
        ({"start_frame": 1.5}, "start_frame is 1.5; give a whole number of at least 1"),
        ({"end_frame": None}, "end_frame is None; give a whole number"),
        ({"bad_frames": [17]}, "bad_frames is [17]; give a list of pairs of numbers"),
        ({"bad_frames": [(3.5, 5)]}, "bad_frames is 3.5; give a whole number of at least 1"),
        ({"q_tolerance": "a"}, "q_tolerance is 'a'; give a number between 0 and 1"),
        ({"path": 3}, "path is 3; give the file, or files of repeats"),
        ({"phi_ranges": "-50:50"}, "phi_ranges is '-50:50'; give a list of pairs"),
        ({"phi_ranges": [(-50, 50, 60), (70, 80, 90)]}, "phi_ranges is [(-50, 50, 60), (70, 80, 90)]; give"),
        ({"path": []}, "path is an empty list; give the file"),
    ],
)
def test_a_file_is_not_read_with_what_cannot_be(changes, told):
    with pytest.raises(ValueError, match=f"^{re.escape(told)}"):
        hd.load(**{"path": "none.h5", "q": 0.01, "dt": 0.1} | changes)


def test_a_fit_that_is_not_quoted_has_its_data_too_but_no_calibration_of_its_own():
    """Of an α that is held far off: least squares is quoted, and the fit in the metric stands beside it."""
    settings = SIMULATION | {"dt": 1.0, "n_frames": 40, "pixels": 3000, "modes": 2, "counts": 5.0}
    c2 = hd.simulate({"D0": 300.0, "alpha": 0.0, "D_offset": 0.0}, [0, 60], **settings)
    fit = hd.fit(c2, starts=3, fixed={"alpha": 1.5, "D_offset": 0.0})
    assert fit.agreement.rejected
    assert fit.speckle.made_from is fit.made_from
    with pytest.raises(ValueError, match="this is one of the two fits of a result; give the whole one"):
        hd.calibrate(fit.speckle)


def test_where_nothing_is_known_nothing_agrees(c2):
    """D0 at a bound, all else held: no difference, and no error that could be smaller."""
    fit = hd.fit(c2, fixed={"alpha": 0.0, "D_offset": 0.0}, bounds={"D0": (1.0, 2.0)}, starts=4)
    assert fit.agreement.sentence == "The two fits leave nothing to compare: no rate is known well enough."
    assert "smaller" not in fit.calibration.sentence


def test_a_simulation_is_prepared_as_a_file_is():
    truth = {"D0": 2e4, "alpha": -0.3, "D_offset": 2e3}
    c2 = hd.simulate(truth, [90, -60], q=0.01, dt=0.1, n_frames=32, pixels=2000, modes=3, counts=2.0)
    assert c2.phi.tolist() == [-60.0, 90.0] and c2.sigma.shape == (2,)
    # Shot noise of two photons a pixel is on the raw diagonal alone.
    np.testing.assert_allclose(
        c2.raw_diagonal.mean(axis=1) - np.diagonal(c2.c2, axis1=1, axis2=2).mean(axis=1), 0.5, atol=0.1
    )
    with pytest.raises(ValueError, match=r"mode static takes the parameters D0, alpha, D_offset; it got D0\."):
        hd.simulate({"D0": 1.0}, [0], q=0.01, dt=0.1, n_frames=32, pixels=10, modes=1)

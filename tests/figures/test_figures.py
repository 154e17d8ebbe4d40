"""Figures: what their axes and colours say, and that they look as they did when they were looked at.

``PYTHONPATH=.:tests:workflow/scripts python tests/figures/test_figures.py`` draws the pictures under tests/data/figures anew.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from matplotlib.testing.compare import compare_images
from records import drawn_fit
from report_support import DT, GAP, N_T, SIGMA, TRUTH, Q, notebook_cells, paths_in, small_record, write_results
from report_text.dataset import Dataset

from homodyne_lib.figures import data_figures, diagnostic_figures, result_figures
from homodyne_lib.figures.comparison import angular_decay, compare, shrink
from homodyne_lib.figures.decay_bands import decay_bands
from homodyne_lib.figures.style import RESIDUAL_LIMIT, WIDTH
from homodyne_lib.io.canonical_file import read_correlations
from homodyne_lib.model.bins import Bins
from homodyne_lib.model.parameters import parameter_names
from homodyne_lib.results.fits import Fit
from homodyne_lib.spec.jax_backend import compute_g2_scaled

PICTURES = Path(__file__).parents[1] / "data" / "figures"
# Root mean square of the difference of pixels, of 255: letters drawn by another release of FreeType differ by about 1.
TOLERANCE = 3.0


@pytest.fixture(scope="module")
def flowing(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flowing")
    write_results(folder, "laminar_flow", detected=True, n_shards=3)
    return folder


def drawn(folder, shift=1.0):
    """Figures of the report of a small record by name, as its notebook draws them, and those of the summary.

    ``shift`` moves D0 of the draws.
    """
    results = Dataset.read("flowing", paths_in(folder))
    chains = results.chains | {"D0": results.chains["D0"] * shift}
    posterior = replace(results.posterior, chains=chains)
    results = replace(results, posterior=posterior, truth=TRUTH | {"shear_convention": "spec"})
    start, *cells, _ = notebook_cells()  # the last cell says how to make the report again
    figures, names = {}, {"dataset": "flowing", "paths": paths_in(folder), "config": {"report": {"matrix_pixels": 200}}}
    with tempfile.TemporaryDirectory() as names["folder"], mock.patch.object(Dataset, "read", return_value=results):
        exec(start, names)
        names |= {"write": str, "show": lambda figure, name, *_: figures.update({name: figure})}
        for cell in cells:
            exec(cell, names)
    rates = [results.rates(curve, results.rate_times)["draws"] for curve in results.curves]
    numbers = np.array([1.0, 2.0, 4.0])
    return figures | {
        "thumbnail": result_figures.thumbnail(names["record"].c2[0], results.rate_times, rates),
        "trends": result_figures.trends(
            "T [K]", 290 + numbers, {"$D$ [Å²/s]": (1e3**numbers, numbers), "b": (numbers, numbers / 9)}, [1, 1, 0]
        ),
    }


@pytest.fixture(scope="module")
def figures_now(flowing):
    return drawn(flowing)


@pytest.mark.parametrize("name", sorted(path.stem for path in PICTURES.glob("*.png")))
def test_figures_look_as_they_did(figures_now, name, tmp_path):
    figures_now[name].savefig(tmp_path / "now.png", dpi=60)
    assert compare_images(str(PICTURES / f"{name}.png"), str(tmp_path / "now.png"), TOLERANCE) is None


def test_every_figure_has_its_picture(figures_now):
    assert figures_now.keys() == {path.stem for path in PICTURES.glob("*.png")}


@pytest.fixture(scope="module")
def figures_moved(flowing):
    return drawn(flowing, shift=1.1)


@pytest.mark.parametrize("name", ["rates", "corner"])
def test_draws_moved_by_a_tenth_would_be_seen(figures_moved, name, tmp_path):
    figures_moved[name].savefig(tmp_path / "now.png", dpi=60)
    assert compare_images(str(PICTURES / f"{name}.png"), str(tmp_path / "now.png"), TOLERANCE) is not None


# ---------------------------------------------------------------- what is drawn


def test_blocks_are_averaged_and_say_how_large_they_are(flowing):
    matrix = np.arange(25.0).reshape(5, 5)
    matrix[0, 0] = np.nan
    assert shrink(matrix, 2)[0, 0] == pytest.approx((1 + 5 + 6) / 3)
    assert shrink(matrix, 2)[2, 2] == 24.0
    record = read_correlations(flowing / "c2.h5")
    small = compare(record, Fit.read(flowing / "nlsq.json"), 15)
    assert small.block == 2
    assert small.data.shape == (3, 15, 15)
    # In the noise of a pixel: averaged over four independent entries and still of unit width; 3 × 105 of them.
    off = small.residual[:, *np.triu_indices(15, 1)]
    assert off.std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * off.size))
    assert "σ/2" in data_figures.correlation_maps(small)[0].axes[-1].get_xlabel()


def test_residuals_of_the_true_model_are_the_noise(flowing):
    record = read_correlations(flowing / "c2.h5")
    found = compare(record, Fit.read(flowing / "nlsq.json"), 200)
    upper = np.triu_indices(N_T, 1)
    # Of 435 entries an angle the standard deviation scatters by 1/√870 = 3.4 %; four of that.
    np.testing.assert_allclose(found.residual[:, *upper].std(axis=1), 1.0, atol=0.14)
    assert np.isnan(found.residual[:, range(N_T), range(N_T)]).all()
    # Means over the entries of a bin, in their own standard errors.
    assert np.abs(found.lag_profile * np.sqrt(found.lag_entries)).max() < 5
    assert np.abs(found.age_profile * np.sqrt(found.age_entries)).max() < 5
    lags = [np.diagonal(found.residual[1], lag).mean() for lag in (1, 2, 3)]
    np.testing.assert_allclose(found.lag_profile[1, :3], lags, rtol=1e-9)
    rows = [np.nanmean(found.residual[1, row, row + 1 :]) for row in range(3)]
    np.testing.assert_allclose(found.age_profile[1, :3], rows, rtol=1e-9)
    # 1305 independent residuals: a correlation of neighbours scatters by 1/√1305.
    assert abs(found.neighbours) < 4 / np.sqrt(1305)
    assert found.histogram.sum() * 0.25 == pytest.approx(1.0)


def test_residuals_that_are_all_large_are_drawn(flowing):
    """Those beyond the axis count at its ends."""
    record = read_correlations(flowing / "c2.h5")
    far = compare(replace(record, sigma=1e-9 * record.sigma), Fit.read(flowing / "nlsq.json"), 200)
    assert far.histogram[[0, -1]].sum() * 0.25 == pytest.approx(1.0)
    assert diagnostic_figures.residuals(far).axes


def test_residuals_that_share_a_frame_are_called_neighbours(flowing):
    record = read_correlations(flowing / "c2.h5")
    common = np.random.default_rng(1).normal(0, SIGMA, (3, N_T))
    shared = replace(record, c2=record.c2 + common[:, :, None] + common[:, None, :])
    # Variance of an entry: its own and that of two frames; neighbours in a row have one frame in common.
    assert compare(shared, Fit.read(flowing / "nlsq.json"), 200).neighbours == pytest.approx(1 / 3, abs=0.1)


def test_decays_are_means_over_windows_of_age(flowing):
    record = read_correlations(flowing / "c2.h5")
    found = compare(record, Fit.read(flowing / "nlsq.json"), 200)
    first, last = (np.round(found.ages[2] / DT)).astype(int)
    entries = [record.c2[1, row, row + 3] for row in range(first, last + 1)]
    assert found.lag[2] == pytest.approx(3 * DT)
    assert found.data_decay[1, 2, 2] == pytest.approx((np.mean(entries) - 1.0) / 0.3)
    # White noise: error bars are those of independent entries, to the scatter of 3 angles × 10 windows or more.
    pairs = found.decay_error[1, 2, 2] ** -2 * (SIGMA / 0.3) ** 2
    assert pairs == pytest.approx(last - first + 1, rel=0.6)
    pulls = (found.data_decay - found.model_decay) / found.decay_error
    pulls = pulls[np.isfinite(pulls)]
    # 68 % of them within ±1, were all of the 190 or so independent.
    assert 0.58 < np.mean(np.abs(pulls) < 1) < 0.78


def test_error_bars_of_decays_count_what_neighbours_share(flowing):
    record = read_correlations(flowing / "c2.h5")
    fit = Fit.read(flowing / "nlsq.json")
    alone = compare(record, fit, 200)
    # Twelve angles of noise that five frames in a row share: a mean over less than five is as noisy as one of them.
    rng, phi = np.random.default_rng(2), np.linspace(-60, 60, 12)
    lived = np.repeat(rng.normal(0, 3 * SIGMA, (12, N_T // 5)), 5, axis=1)[:, :, None] * np.ones(N_T)
    noise = np.triu(lived, 1)
    many = drawn_fit(fit.values, np.repeat(fit.scaling.contrast[:1], 12), np.repeat(fit.scaling.offset[:1], 12))
    model = compute_g2_scaled(
        [TRUTH[name] for name in fit.parameters], *2 * (np.arange(N_T) * DT,), phi, Q, GAP, 0.3, 1.0, DT
    )
    shared = replace(
        record,
        c2=np.asarray(model) + noise + noise.transpose(0, 2, 1),
        phi=phi,
        q=Q,
        repeat=0,
        sigma=np.full(12, SIGMA),
        raw_diagonal=np.zeros((12, N_T)),
    )
    found = compare(shared, many, 200)
    # All entries of a row carry one number of 3σ: windows of two rows have errors near 3σ, not 3σ/√2/√(entries).
    assert alone.decay_error[0, 0, 5] * 0.3 == pytest.approx(SIGMA / np.sqrt(2), rel=0.4)
    assert found.decay_error[0, 0, 5] * 0.3 == pytest.approx(3 * SIGMA * np.sqrt(0.9), rel=0.3)
    angular = angular_decay(shared, many, found)
    # Thirty frames are six numbers.
    n = N_T - np.round(angular.lags / DT)
    np.testing.assert_allclose(angular.error[:, 0] * 0.3, 3 * SIGMA * np.sqrt(5 / n), rtol=0.45)


def test_bands_of_decays_are_those_of_the_draws(flowing):
    results, record = Dataset.read("flowing", paths_in(flowing)), read_correlations(flowing / "c2.h5")
    found = compare(record, results.fit, 200)
    # Draws that are all as the fit, but for the contrast of one angle.
    draws = {name: np.full(300, TRUTH[name]) for name in results.fit.parameters}
    contrast, offset = np.full((300, 3), 0.3), np.ones((300, 3))
    contrast[:, 1] += np.linspace(-0.03, 0.03, 300)
    bands = decay_bands(record, results.fit, found, draws, (contrast, offset))
    assert bands.shape == (2, *found.model_decay.shape)
    np.testing.assert_allclose(bands[:, 0], np.stack(2 * [found.model_decay[0]]), atol=1e-9)
    np.testing.assert_allclose(bands[1, 1], found.model_decay[1] * 1.095, rtol=2e-3)
    # A window that is taken pair by pair: its decay with D0 raised by a tenth, by the slow way.
    faster = draws | {"D0": np.full(300, 1.1 * TRUTH["D0"])}
    fit = drawn_fit({name: value[0] for name, value in faster.items()}, [0.3] * 3, [1.0] * 3)
    expected = compare(record, fit, 200).model_decay
    bands = decay_bands(record, results.fit, found, faster, (np.full((300, 3), 0.3), offset))
    np.testing.assert_allclose(bands[0], expected, atol=2e-4)


def test_scaling_of_draws_and_errors_follow_the_mode(flowing):
    results = Dataset.read("flowing", paths_in(flowing))
    contrast, offset = results.scaling_draws
    assert contrast.shape == offset.shape == (400, 3)
    np.testing.assert_array_equal(contrast[:, 1], results.draws["contrast_1"])
    np.testing.assert_allclose(results.fit.scaling_errors["offset"], 0.002)
    held = replace(results, fit=replace(results.fit, per_angle_mode="constant", coefficients={}))
    np.testing.assert_allclose(held.scaling_draws[0], 0.3 * np.ones((400, 3)))
    np.testing.assert_array_equal(held.fit.scaling_errors["contrast"], 0.0)
    uncalibrated = replace(results.fit, calibration=None)
    np.testing.assert_allclose(uncalibrated.scaling_errors["offset"], 0.001)


def test_the_angular_decay_is_that_of_data_and_model(flowing):
    record, fit = read_correlations(flowing / "c2.h5"), Fit.read(flowing / "nlsq.json")
    comparison = compare(record, fit, 200)
    found = angular_decay(record, fit, comparison)
    for k, lag in enumerate(np.round(found.lags / DT).astype(int)):
        np.testing.assert_allclose(found.data[k, 2], (np.diagonal(record.c2[2], lag).mean() - 1.0) / 0.3, rtol=1e-9)
        ends = [(np.diagonal(comparison.model[angle], lag).mean() - 1.0) / 0.3 for angle in (0, 2)]
        np.testing.assert_allclose(found.model[k, [0, -1]], ends, rtol=1e-9)
    # The flow at 5° makes the angle nearest to it decay most.
    assert (np.argmin(found.data, axis=1) == 1).all()
    assert np.abs((found.data[:, 1] - found.model[:, np.argmin(np.abs(found.model_phi))]) / found.error[:, 1]).max() < 5


def test_data_and_model_share_a_scale_and_residuals_are_centred(flowing):
    found = compare(read_correlations(flowing / "c2.h5"), Fit.read(flowing / "nlsq.json"), 200)
    (figure,) = data_figures.correlation_maps(found)
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(images) == 9
    assert {image.get_clim() for image in images[0::3] + images[1::3]} == {data_figures.map_limits(found.data)}
    assert {image.get_clim() for image in images[2::3]} == {(-RESIDUAL_LIMIT, RESIDUAL_LIMIT)}
    assert images[0].get_extent() == [0, (N_T - 1) * DT, 0, (N_T - 1) * DT]
    assert images[0].origin == "lower"
    assert {image.get_interpolation() for image in images} == {"nearest"}


def test_many_angles_stay_legible():
    n = 23
    maps = np.zeros((n, 4, 4)) + np.arange(4)
    phi = np.linspace(-170, 170, n)
    shown = SimpleNamespace(bins=Bins.of(phi, Q), duration=1.0, data=maps, model=maps, residual=maps, block=5)
    drawn = data_figures.correlation_maps(shown)
    panels = [axes for figure in drawn for axes in figure.axes if axes.images]
    assert len(panels) == 3 * n
    assert min(axes.get_position().width for axes in panels) * WIDTH > 0.9  # [inch]
    assert {axes.images[0].get_clim() for axes in panels} == {
        data_figures.map_limits(shown.data),
        (-RESIDUAL_LIMIT, RESIDUAL_LIMIT),
    }
    # Two of them, with captions, on A4 [inch].
    assert max(figure.get_figheight() for figure in drawn) < 4.5


@pytest.mark.parametrize("n_phi", [1, 2, 7, 23])
def test_decays_have_a_panel_an_angle(n_phi):
    record = small_record([TRUTH[name] for name in parameter_names("static")], None, np.linspace(-90, 80, n_phi))
    fit = drawn_fit({name: TRUTH[name] for name in parameter_names("static")}, [0.3] * n_phi, [1.0] * n_phi)
    comparison = compare(record, fit, 200)
    figure = data_figures.decays(comparison, np.stack([comparison.model_decay - 0.1, comparison.model_decay + 0.1]))
    assert len(figure.axes) == n_phi
    figure.canvas.draw()
    labelled = [axes for axes in figure.axes if axes.xaxis.get_tick_params()["labelbottom"]]
    assert len(labelled) == min(n_phi, -(-n_phi // -(-n_phi // 6)))
    assert figure.get_figheight() < 9.0


def test_shards_are_drawn_about_all_in_units_of_the_reported_error():
    shards = [SimpleNamespace(mean={"D0": 11.0, "beta": 1.0}, sd={"D0": 4.0, "beta": 0.5}) for _ in range(3)]
    (axes,) = diagnostic_figures.shard_agreement(shards, {"D0": (10.0, 2.0), "beta": (0.0, 1.0)}).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["$D_0$", r"$\beta$"]
    points = [[float(y) for y in container.lines[0].get_ydata()] for container in axes.containers]
    np.testing.assert_allclose(points, [[0.5, 1.0]] * 3)
    bars = [container.lines[2][0].get_segments() for container in axes.containers]
    np.testing.assert_allclose([[bar[1][1] - bar[0][1] for bar in shard] for shard in bars], [[4.0, 1.0]] * 3)


def test_a_parameter_that_hardly_varies_keeps_its_digits():
    draws = {"D0": 123456 + np.random.default_rng(0).normal(size=200), "alpha": np.linspace(-1, 1, 200)}
    figure = diagnostic_figures.corner(draws, {})
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert "$D_0$ [10$^{5}$ Å²/s]" in labels
    assert r"$\alpha$" in labels


@pytest.mark.parametrize("curves", [["D"], ["D", "gamma_dot"]])
def test_axes_carry_units_and_the_truth_is_dashed(flowing, curves):
    results = Dataset.read("flowing", paths_in(flowing))
    known = replace(results, truth=TRUTH | {"shear_convention": "spec"})
    time = np.geomspace(DT, 5, 20)
    figure = result_figures.rates_over_time(time, {curve: known.rates(curve, time) for curve in curves})
    assert [axes.get_ylabel().split()[-1] for axes in figure.axes] == ["[Å²/s]", "[1/s]"][: len(curves)]
    assert all(axes.get_xlabel().endswith("[s]") for axes in figure.axes)
    for axes, curve in zip(figure.axes, curves, strict=True):
        dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
        np.testing.assert_array_equal(dashed[0].get_ydata(), known.rates(curve, time)["truth"])
        assert len(axes.collections) == 2


def test_a_fit_above_the_band_stays_in_the_panel():
    time, draws = np.geomspace(0.1, 5, 20), np.random.default_rng(1).uniform(0.5, 1.0, (50, 20))
    rates = {"draws": draws, "fit": np.full(20, 3.0), "truth": np.full(20, 4.0)}
    (axes,) = result_figures.rates_over_time(time, {"D": rates}).axes
    assert axes.get_yscale() == "linear" and axes.get_ylim()[0] == 0.0 and axes.get_ylim()[1] > 4.0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        write_results(Path(made), "laminar_flow", detected=True, n_shards=3)
        for stem, figure in drawn(Path(made)).items():
            figure.savefig(PICTURES / f"{stem}.png", dpi=60, metadata={"Software": None})

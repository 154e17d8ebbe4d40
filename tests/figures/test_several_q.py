"""Figures of several q and files: what is shown of many bins, and that the model takes the q of each."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from records import drawn_fit
from report_support import DT, GAP, N_T, PHI, SIGMA, TRUTH, small_record

from homodyne_lib.figures import data_figures, diagnostic_figures, part_figures, result_figures
from homodyne_lib.figures.bin_thumbnails import bin_thumbnails
from homodyne_lib.figures.comparison import angular_decays, compare
from homodyne_lib.figures.decay_bands import decay_bands
from homodyne_lib.figures.fitted_model import FittedModel
from homodyne_lib.figures.panels import chosen_groups, packed, panel_rows, panel_title, shown_bins
from homodyne_lib.figures.style import WIDTH
from homodyne_lib.model.bins import Bins
from homodyne_lib.results.fit_checks import PartFit
from homodyne_lib.results.parts_words import parts_agreement
from homodyne_lib.spec.jax_backend import compute_g2_scaled

RINGS = (0.004, 0.006)


def bins_of(n_repeats, rings, phi):
    grid = [part.ravel() for part in np.meshgrid(np.arange(n_repeats), rings, phi, indexing="ij")]
    return Bins.of(grid[2], grid[1], grid[0])


def drawn_record(mode_names, gap, **shape):
    record = small_record([TRUTH[name] for name in mode_names], gap, **shape)
    n = len(record.phi)
    return record, drawn_fit({name: TRUTH[name] for name in mode_names}, [0.3] * n, [1.0] * n)


@pytest.fixture(scope="module")
def flowing():
    """Two files of two q and three angles, and the model that made them."""
    return drawn_record(list(TRUTH), GAP, rings=RINGS, repeats=2)


# ---------------------------------------------------------------- which bins


@pytest.mark.parametrize(
    ("shape", "groups", "shown"),
    [
        ((1, 1, 23), [0], [23]),  # one group has a panel an angle, as ever
        ((1, 3, 4), [0, 1, 2], [4, 4, 4]),
        ((2, 2, 3), [0, 1], [3, 3, 3, 3]),
        ((1, 8, 11), [0, 3, 7], [2, 2, 2]),
        ((3, 2, 9), [0, 1], [3, 3]),
        ((5, 1, 4), [0, 2, 4], [2, 2, 2]),
        ((1, 20, 1), [0, 9, 19], [1, 1, 1]),
    ],
)
def test_few_bins_stand_for_many(shape, groups, shown):
    n_repeats, n_rings, n_phi = shape
    bins = bins_of(n_repeats, np.linspace(0.003, 0.009, n_rings), np.linspace(-80, 80, n_phi))
    assert chosen_groups(bins) == groups
    parts = shown_bins(bins)
    assert [part.size for part in parts] == shown
    for part in parts:
        assert np.unique(bins.group[part]).size == 1
        assert {bins.phi[part[0]], bins.phi[part[-1]]} == {bins.phi.min(), bins.phi.max()}
    rows = panel_rows(bins)
    assert max(map(len, rows)) <= 6
    np.testing.assert_array_equal(np.concatenate(rows), np.concatenate(parts))


def test_rows_hold_whole_groups_where_they_fit():
    sizes = [3, 3, 2, 9, 1]
    groups = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    assert [[part.size for part in row] for row in packed(groups, 6)] == [[3, 3], [2], [5], [4, 1]]


def test_titles_have_what_differs():
    angle = r"$\varphi$ = −30°"
    for n_repeats, n_rings, title in (
        (1, 1, angle),
        (1, 2, f"q = 0.004 1/Å\n{angle}"),
        (2, 1, f"file 1, {angle}"),
        (2, 2, f"q = 0.004 1/Å\nfile 1, {angle}"),
    ):
        assert panel_title(bins_of(n_repeats, RINGS[:n_rings], [-30.0, 60.0]), 0) == title


# ---------------------------------------------------------------- what is drawn


def test_the_model_of_a_bin_is_that_of_its_q(flowing):
    record, fit = flowing
    comparison = compare(record, fit, 200)
    time, params = np.arange(N_T) * DT, list(TRUTH.values())
    for k, (q, phi) in enumerate(zip(record.q, record.phi, strict=True)):
        expected = compute_g2_scaled(params, time, time, [phi], q, GAP, 0.3, 1.0, DT)[0]
        np.testing.assert_allclose(comparison.model[k], expected, rtol=1e-12)
    # Of 435 entries a bin the standard deviation scatters by 1/√870 = 3.4 %; four of that.
    off = comparison.residual[:, *np.triu_indices(N_T, 1)]
    np.testing.assert_allclose(off.std(axis=1), 1.0, atol=0.14)


def test_a_power_of_q_that_is_a_parameter_counts_from_the_reference(flowing):
    record, _ = flowing
    i, j = np.array([2]), np.array([9])
    values = {"D0": 900.0, "alpha": -0.4, "D_offset": 50.0}
    rest = record, drawn_fit(values, [0.3] * 12, [1.0] * 12)
    power = record, drawn_fit(values | {"q_exponent": 3.0}, [0.3] * 12, [1.0] * 12)
    for k in (0, 3):
        brownian, other = (np.log(FittedModel(*pair).u(k, i, j)) for pair in (rest, power))
        np.testing.assert_allclose(other / brownian, record.q[k] / np.sqrt(RINGS[0] * RINGS[1]), rtol=1e-10)


def test_bands_of_draws_that_are_as_the_fit_have_no_width(flowing):
    record, fit = flowing
    comparison = compare(record, fit, 200)
    draws = {name: np.full(5, value) for name, value in TRUTH.items()}
    bands = decay_bands(record, fit, comparison, draws, (np.full((5, 12), 0.3), np.ones((5, 12))))
    np.testing.assert_allclose(bands, np.stack(2 * [comparison.model_decay]), atol=1e-9)


def test_each_q_has_its_own_decay_over_the_angle(flowing):
    record, fit = flowing
    low, high = angular_decays(record, fit, compare(record, fit, 200))
    assert [low.named, high.named] == ["file 1, q = 0.004 1/Å", "file 1, q = 0.006 1/Å"]
    for decay, first in ((low, 0), (high, 3)):
        np.testing.assert_array_equal(decay.bins.phi, PHI)
        lag = round(decay.lags[0] / DT)
        expected = (np.diagonal(record.c2[first + 1], lag).mean() - 1.0) / 0.3
        assert decay.data[0, 1] == pytest.approx(expected)
    # What decays faster is shown at shorter lags.
    assert high.lags[1] < low.lags[1]
    figure = data_figures.decays_over_angle([low, high], 5.0)
    assert [axes.get_legend().get_title().get_text().split("\n")[0] for axes in figure.axes] == [low.named, high.named]


def test_panels_and_colours_go_by_q(flowing):
    record, fit = flowing
    comparison = compare(record, fit, 200)
    maps = data_figures.correlation_maps(comparison)
    assert [len([axes for axes in figure.axes if axes.images]) for figure in maps] == [18, 18]
    titles = [axes.get_title() for axes in maps[0].axes if axes.get_title()]
    assert titles == [panel_title(record.bins, k) for k in range(6)]
    assert [
        axes.get_title()
        for axes in data_figures.decays(comparison, 0.1 * np.ones((2, *comparison.model_decay.shape))).axes
    ] == [panel_title(record.bins, k) for k in range(12)]
    lines = [line for line in diagnostic_figures.residuals(comparison).axes[0].lines if line.get_linewidth() == 0.8]
    colours = [line.get_color() for line in lines]
    assert len(lines) == 12
    assert len({tuple(colour) for colour in colours}) == 2
    np.testing.assert_array_equal(colours[0], colours[6])


def test_contrasts_of_groups_stand_beside_each_other():
    bins = bins_of(2, RINGS, PHI)
    values = {name: np.arange(12.0) for name in ("contrast", "offset")}
    figure = result_figures.scaling_over_angle(bins, {n: (v, 0.1 + 0 * v) for n, v in values.items()}, values)
    places = figure.axes[0].lines[0].get_xdata()
    assert (np.diff(places) > 0).all()
    np.testing.assert_array_equal(places.astype(int), bins.group)
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == [
        "1, 0.004", "1, 0.006", "2, 0.004", "2, 0.006"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "pages"), [((1, 8, 11), [88]), ((1, 10, 20), [80, 80, 40]), ((4, 3, 4), [48]), ((3, 40, 1), [56, 56, 8])]
)
def test_thumbnails_show_every_bin_once(shape, pages):
    n_repeats, n_rings, n_phi = shape
    bins = bins_of(n_repeats, np.linspace(0.003, 0.009, n_rings), np.linspace(-80, 80, n_phi))
    maps = np.arange(len(bins))[:, None, None] + np.linspace(0, 0.5, 50)[:, None] * np.ones(50)
    shown = SimpleNamespace(bins=bins, data=maps, residual=maps, block=3)
    figures = bin_thumbnails(shown, "data")
    drawn = [[int(image.get_array().min()) for image in figure.axes[0].images] for figure in figures]
    assert [len(numbers) for numbers in drawn] == pages
    np.testing.assert_array_equal(np.concatenate(drawn), np.arange(len(bins)))
    for figure in figures:
        assert figure.get_figwidth() == pytest.approx(WIDTH)
        assert figure.get_figheight() < 8.7  # with its caption on A4 [inch]
        names = {text.get_text().replace("\n", ", ") for text in figure.axes[0].texts if "q = " in text.get_text()}
        assert names <= {bins.group_named(number) for number in range(len(bins.groups))}
        right = max(image.get_extent()[1] for image in figure.axes[0].images)
        assert right / WIDTH < figure.axes[1].get_position().x0
    assert bin_thumbnails(shown, "residual")[0].axes[1].get_ylabel() == "residual [σ/6]"


def test_residuals_of_many_bins_are_drawn_with_their_means():
    record, fit = drawn_record(["D0", "alpha", "D_offset"], None, phi=np.linspace(-80, 80, 15), rings=RINGS)
    assert np.ptp(record.sigma) == 0 and record.sigma[0] == SIGMA
    comparison = compare(record, fit, 200)
    thick = [line for line in diagnostic_figures.residuals(comparison).axes[0].lines if line.get_linewidth() == 1.2]
    assert len(thick) == 2
    np.testing.assert_allclose(thick[1].get_ydata(), comparison.lag_profile[15:].mean(axis=0))


def test_the_line_of_a_power_goes_through_what_is_known_best():
    """Rates of q², but for one far off with an error of 40 %: the fitted line keeps to the others, which are known to 1 %."""
    q, errors = np.array([4e-3, 5e-3, 6e-3, 8e-3]), np.array([10.0, 10.0, 400.0, 10.0])
    values = np.array([1e3, 1e3, 2e3, 1e3])
    fits = [
        PartFit(q[k], None, {"D": values[k]}, {"D": errors[k]}, ["D"], q[k] / 5e-3, 0.0, 1.0, True) for k in range(4)
    ]
    figure = part_figures.rates_of_q(parts_agreement(fits, 5.0, 2.0), {"D": np.full(50, 1e3)}, 2.0, 5e-3)
    (line,) = [line for line in figure.axes[-1].lines if line.get_linestyle() == "--"]
    expected = np.interp(q**2 * 1e5, *line.get_data())
    np.testing.assert_allclose(expected[[0, 1, 3]], (q**2 * values)[[0, 1, 3]], rtol=0.01)

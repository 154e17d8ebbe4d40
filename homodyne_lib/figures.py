"""The report's figures: functions of arrays that return Matplotlib figures, without pyplot and its state."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from homodyne_lib.comparison import Comparison
from homodyne_lib.curves import band
from homodyne_lib.style import CYCLE, MISSING, RESIDUAL_LIMIT, WIDTH, new_figure, styled

__all__ = [
    "angle_colours",
    "correlation_maps",
    "decay_and_residuals",
    "map_limits",
    "rates_over_time",
    "scaling_over_angle",
]

RATE_LABELS = {"D": r"$D(t)$ [Å²/s]", "gamma_dot": r"$\dot\gamma(t)$ [1/s]"}
_MAP_COLUMNS = 6
_LOG_FROM = 3.0  # a rate that changes by less than this factor is drawn on a linear axis that holds zero


def map_limits(comparison: Comparison) -> tuple[float, float]:
    """Limit the colours of data and model: the data of all angles off the diagonal, without 0.5 % at each end."""
    upper = np.triu_indices(comparison.data.shape[1], 1)
    low, high = np.quantile(comparison.data[:, *upper], [0.005, 0.995])
    return float(low), float(high)


@styled
def correlation_maps(comparison: Comparison) -> Figure:
    """Draw data, model and residual of every angle as small multiples.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    matplotlib.figure.Figure
        A column an angle, wrapped; data and model on one colour scale, residuals on ±4σ.
    """
    n_phi = len(comparison.phi)
    n_bands = -(-n_phi // _MAP_COLUMNS)
    columns = -(-n_phi // n_bands)
    left, right, gap, head, foot, scale = 0.62, 0.08, 0.07, 0.22, 0.42, 0.62  # [inch]
    side = min((WIDTH - left - right - gap * (columns - 1)) / columns, 1.6)
    tall = head + 3 * side + 2 * gap + foot
    height = n_bands * tall + scale
    figure = new_figure(WIDTH, height, layout=None)

    def place(x, y, width, depth):
        return figure.add_axes((x / WIDTH, 1 - (y + depth) / height, width / WIDTH, depth / height))

    low, high = map_limits(comparison)
    rows = (
        ("data", comparison.data, "viridis", low, high),
        ("model", comparison.model, "viridis", low, high),
        ("residual", comparison.residual, "RdBu_r", -RESIDUAL_LIMIT, RESIDUAL_LIMIT),
    )
    images = {}
    for k, phi in enumerate(comparison.phi):
        line, column = divmod(k, columns)
        for row, (name, maps, colours, bottom, top) in enumerate(rows):
            x, y = left + column * (side + gap), line * tall + head + row * (side + gap)
            axes = place(x, y, side, side)
            images[name] = _draw_map(axes, maps[k], comparison.duration, colours, bottom, top)
            axes.tick_params(labelbottom=row == 2, labelleft=column == 0)
            if row == 0:
                axes.set_title(rf"$\varphi$ = {phi:.4g}°".replace("-", "−"), pad=3)
            if row == 2:
                axes.set_xlabel("$t_1$ [s]", labelpad=1)
            if column == 0:
                axes.set_ylabel(f"{name}\n$t_2$ [s]", labelpad=2)
    width = 0.36 * WIDTH
    for x, name, label in ((0.1 * WIDTH, "data", "$c_2$, data and model"), (0.54 * WIDTH, "residual", "residual [σ]")):
        bar = figure.colorbar(images[name], place(x, height - 0.5, width, 0.1), orientation="horizontal", extend="both")
        bar.set_label(label, labelpad=1)
        bar.outline.set_linewidth(0.4)
    return figure


def _draw_map(axes, matrix, duration, colours, bottom, top):
    palette = matplotlib.colormaps[colours].with_extremes(bad=MISSING)
    image = axes.imshow(
        matrix, origin="lower", extent=(0, duration, 0, duration), cmap=palette, vmin=bottom, vmax=top, aspect="equal"
    )
    axes.locator_params(nbins=2)
    axes.spines[:].set_visible(True)
    axes.tick_params(length=2, pad=1.5)
    return image


def angle_colours(phi) -> ScalarMappable:
    """Colours by angle [deg], from dark to light but never pale."""
    palette = matplotlib.colormaps["plasma"].resampled(256)(np.linspace(0, 0.85, 256))
    return ScalarMappable(Normalize(np.min(phi), np.max(phi)), ListedColormap(palette))


@styled
def decay_and_residuals(comparison: Comparison) -> Figure:
    """Draw the decay with lag, averaged over age, above the mean residual at the same lags.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    matplotlib.figure.Figure
        The grey band is two standard errors of a mean of independent entries.
    """
    figure = new_figure(WIDTH, 4.0)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.5, 1))
    colours = angle_colours(comparison.phi)
    few = len(comparison.phi) <= _MAP_COLUMNS
    for k, (phi, colour) in enumerate(zip(comparison.phi, colours.to_rgba(comparison.phi), strict=True)):
        label = rf"$\varphi$ = {phi:.4g}°".replace("-", "−") if few else None
        above.plot(comparison.lag, comparison.data_decay[k], "o", ms=3, mec="none", color=colour, alpha=0.8)
        above.plot(comparison.lag, comparison.model_decay[k], "-", lw=1.0, color=colour, label=label)
        below.plot(comparison.lag, comparison.residual_profile[k], "-", lw=0.9, color=colour)
    expected = 2.0 / np.sqrt(comparison.entries)
    below.fill_between(comparison.lag, -expected, expected, color=MISSING, lw=0, zorder=0)
    above.axhline(0.0, color=CYCLE["guide"], lw=0.5)
    above.set(ylabel="$(c_2 - O)/C$", xscale="log")
    above.plot([], [], "o", ms=3, color=CYCLE["guide"], label="data, mean over age")
    above.plot([], [], "-", color=CYCLE["guide"], label="model")
    above.legend(loc="best")
    below.set(xlabel="lag $t_2 - t_1$ [s]", ylabel="mean residual [σ]")
    if not few:
        bar = figure.colorbar(colours, ax=[above, below], aspect=35, pad=0.02, label=r"$\varphi$ [°]")
        bar.outline.set_linewidth(0.4)
    return figure


@styled
def rates_over_time(time, rates: Mapping[str, Mapping[str, np.ndarray | None]]) -> Figure:
    """Draw D(t), and γ̇(t) if there is one, with their bands.

    Parameters
    ----------
    time : array_like, shape (n,)
        [s]
    rates : mapping
        ``"D"`` [Å²/s] and perhaps ``"gamma_dot"`` [1/s] -> ``draws`` of shape (n_draws, n), ``fit`` of shape (n,) and
        ``truth`` of that shape or None.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(WIDTH, 2.6)
    panels = figure.subplots(1, len(rates), squeeze=False)[0]
    for axes, (curve, shown) in zip(panels, rates.items(), strict=True):
        wide = band(shown["draws"], 0.95)
        axes.fill_between(time, *wide, color=CYCLE["posterior"], alpha=0.22, lw=0, label="posterior, 95 %")
        axes.fill_between(
            time, *band(shown["draws"], 0.68), color=CYCLE["posterior"], alpha=0.45, lw=0, label="posterior, 68 %"
        )
        axes.plot(time, shown["fit"], color=CYCLE["fit"], label="least squares")
        if shown["truth"] is not None:
            axes.plot(time, shown["truth"], "--", color=CYCLE["truth"], label="truth of the simulation")
        lowest, highest = np.min(wide), np.max(wide)
        axes.set(xscale="log", xlabel="$t$ [s]", ylabel=RATE_LABELS[curve], xlim=(time[0], time[-1]))
        if lowest > 0 and _LOG_FROM < highest / lowest < 1e4:
            axes.set_yscale("log")
        else:
            axes.set_ylim(0, 1.08 * highest)
            axes.ticklabel_format(axis="y", scilimits=(-3, 4), useMathText=True)
    panels[0].legend(loc="best")
    return figure


@styled
def scaling_over_angle(phi, fitted: Mapping[str, tuple], estimated: Mapping[str, np.ndarray]) -> Figure:
    """Draw contrast and offset of every angle.

    Parameters
    ----------
    phi : array_like, shape (n_phi,)
        [deg]
    fitted : mapping
        ``"contrast"`` and ``"offset"`` -> values and errors of the fit, shape (n_phi,) each.
    estimated : mapping
        The same names -> estimates from quantiles.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(WIDTH, 2.4)
    for axes, (name, symbol) in zip(figure.subplots(1, 2), (("contrast", "C"), ("offset", "O")), strict=True):
        axes.plot(phi, estimated[name], "s", ms=4, mfc="none", color=CYCLE["estimate"], label="from quantiles")
        values, errors = fitted[name]
        axes.errorbar(phi, values, errors, fmt="o", ms=3.5, lw=1, capsize=2, color=CYCLE["fit"], label="fitted")
        axes.set(xlabel=r"$\varphi$ [°]", ylabel=f"{name} ${symbol}$")
        axes.margins(y=0.15)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure

"""Figures of data beside the model: functions of arrays that return Matplotlib figures, without pyplot and its state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from homodyne_lib.figures.comparison import AngularDecay, Comparison
from homodyne_lib.figures.panels import panel_rows, panel_title
from homodyne_lib.figures.style import (
    CYCLE,
    MARKERS,
    RESIDUAL_LIMIT,
    WIDTH,
    WIDTH_NARROW,
    colormap,
    label_log_axis,
    new_figure,
    shades,
    styled,
)
from homodyne_lib.model.bins import Bins

__all__ = ["correlation_maps", "decays", "decays_over_angle", "map_limits", "matrix_thumbnails"]

_THUMBNAILS = 8  # beside each other
_SIDE, _SMALL_SIDE = 1.3, 1.0  # of a map, at most [inch]


def map_limits(maps: np.ndarray) -> tuple[float, float]:
    """Limit the colours of maps, shape (n, m, m): all bins off the diagonal, without 0.5 % at each end."""
    upper = np.triu_indices(maps.shape[1], 1)
    low, high = np.nanquantile(maps[:, *upper], [0.005, 0.995])
    return float(low), float(high)


@styled
def matrix_thumbnails(maps: np.ndarray, phi, duration: float, unit: str) -> Figure:
    """Draw the matrices of a ring side by side on one scale of colours, to be looked at before an analysis.

    Parameters
    ----------
    maps : ndarray, shape (n_phi, m, m)
        c2, averaged down to few entries.
    phi : array_like, shape (n_phi,)
        [deg]
    duration : float
        Of the record [unit].
    unit : str
        s, or frames where the file states no frame time.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = -(-len(maps) // _THUMBNAILS)
    columns = -(-len(maps) // rows)
    side, left, right, head, foot = 0.75, 0.5, 0.75, 0.2, 0.25  # [inch]
    width, height = left + right + 0.85 * columns, head + foot + 0.95 * rows
    figure = new_figure(width, height, layout=None)
    low, high = map_limits(maps)
    angles = Bins.of(phi, 1.0)
    for number, matrix in enumerate(maps):
        row, column = divmod(number, columns)
        x, y = left + 0.85 * column, height - head - side - 0.95 * row
        axes = figure.add_axes((x / width, y / height, side / width, side / height))
        image = _draw_map(axes, matrix, duration, "viridis", low, high)
        axes.tick_params(labelleft=column == 0, labelbottom=number + columns >= len(maps))
        axes.set_title(panel_title(angles, number), pad=2)
    figure.supxlabel(f"$t_1$ [{unit}]", fontsize=8, y=0.02)
    figure.supylabel(f"$t_2$ [{unit}]", fontsize=8, x=0.01)
    place = ((width - right + 0.1) / width, (height - head - side) / height, 0.08 / width, side / height)
    figure.colorbar(image, figure.add_axes(place), extend="both", label="$c_2$")
    return figure


def correlation_maps(comparison: Comparison) -> list[Figure]:
    """Draw data, model and residual as small multiples: of every bin, or of some where there are many of several groups.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    list of matplotlib.figure.Figure
        At most six bins each, a column a bin. Data and model of all bins are on one colour scale, residuals on ±4 of the
        noise of a pixel.
    """
    rows = panel_rows(comparison.bins)
    return [_maps(comparison, row, max(map(len, rows))) for row in rows]


@styled
def _maps(comparison: Comparison, shown, columns: int) -> Figure:
    """Maps of some bins, as wide as in a figure of so many columns."""
    left, right, gap, head, foot, scale = 0.62, 0.08, 0.07, 0.22, 0.36, 0.54  # [inch]
    titles = [panel_title(comparison.bins, k) for k in shown]
    head += 0.13 * titles[0].count("\n")
    # Figures of several q come together: two of them fit a page.
    side = min((WIDTH - left - right - gap * (columns - 1)) / columns, _SMALL_SIDE if "\n" in titles[0] else _SIDE)
    left += 0.5 * (WIDTH - left - right - columns * (side + gap) + gap)
    height = head + 3 * side + 2 * gap + foot + scale
    figure = new_figure(WIDTH, height, layout=None)

    def place(x, y, width, depth):
        return figure.add_axes((x / WIDTH, 1 - (y + depth) / height, width / WIDTH, depth / height))

    low, high = map_limits(comparison.data)
    rows = (
        ("data", comparison.data, "viridis", low, high),
        ("model", comparison.model, "viridis", low, high),
        ("residual", comparison.residual, "RdBu_r", -RESIDUAL_LIMIT, RESIDUAL_LIMIT),
    )
    images = {}
    for column, (k, title) in enumerate(zip(shown, titles, strict=True)):
        for row, (name, maps, colours, bottom, top) in enumerate(rows):
            x, y = left + column * (side + gap), head + row * (side + gap)
            axes = place(x, y, side, side)
            images[name] = _draw_map(axes, maps[k], comparison.duration, colours, bottom, top)
            axes.tick_params(labelbottom=row == 2, labelleft=column == 0)
            if row == 0:
                axes.set_title(title, pad=3)
            if row == 2:
                axes.set_xlabel("$t_1$ [s]", labelpad=1)
            if column == 0:
                axes.set_ylabel(f"{name}\n$t_2$ [s]", labelpad=2)
    width = 0.36 * WIDTH
    unit = "σ" if comparison.block == 1 else f"σ/{comparison.block}"
    for x, name, label in ((0.1, "data", "$c_2$, data and model"), (0.54, "residual", f"residual [{unit}]")):
        bar = figure.colorbar(
            images[name], place(x * WIDTH, height - 0.45, width, 0.1), orientation="horizontal", extend="both"
        )
        bar.set_label(label, labelpad=1)
        bar.outline.set_linewidth(0.4)
    return figure


def _draw_map(axes, matrix, duration, colours, bottom, top):
    image = axes.imshow(
        matrix,
        origin="lower",
        extent=(0, duration, 0, duration),
        cmap=colormap(colours),
        vmin=bottom,
        vmax=top,
        aspect="equal",
        interpolation="nearest",  # noise is not smoothed
    )
    axes.locator_params(nbins=2)
    axes.spines[:].set_visible(True)
    axes.tick_params(length=2, pad=1.5)
    return image


@styled
def decays(comparison: Comparison, bands: np.ndarray) -> Figure:
    """Draw the decay with lag at several ages, a panel a bin: points with errors are data, lines the model.

    Parameters
    ----------
    comparison : Comparison
    bands : ndarray, shape (2, n, n_ages, n_bins)
        Edges of the model's bands.

    Returns
    -------
    matplotlib.figure.Figure
        Bins as in :func:`correlation_maps`.
    """
    rows = _decay_rows(comparison)
    n_panels, columns = sum(map(len, rows)), len(rows[0])
    above = 0.13 * panel_title(comparison.bins, 0).count("\n")
    width = WIDTH if n_panels > 2 or above else WIDTH_NARROW
    figure = new_figure(width, 0.75 + ((1.12 if len(rows) > 1 else 1.8) + above) * len(rows))
    panels = figure.subplots(len(rows), columns, sharex=True, sharey=True, squeeze=False)
    for number, row in enumerate(rows):
        for axes, k in zip(panels[number], row, strict=False):
            _draw_decay(axes, comparison, bands, k)
            axes.set_title(panel_title(comparison.bins, k), pad=3)
        for axes in panels[number, len(row) :]:
            axes.remove()
    panels[0, 0].set(xscale="log", ylim=_decay_limits(comparison, np.concatenate(rows)))
    for number, row in enumerate(rows):
        under = len(rows[number + 1]) if number + 1 < len(rows) else 0
        for column, axes in enumerate(panels[number, : len(row)]):
            label_log_axis(axes.xaxis)
            axes.xaxis.set_tick_params(labelbottom=column >= under)
    figure.supxlabel("lag $t_2 - t_1$ [s]", fontsize=8)
    figure.supylabel("$(c_2 - O)/C$", fontsize=8)
    handles = panels[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=4 if width == WIDTH else 2, title="age $t_1$ [s]")
    return figure


def _decay_rows(comparison: Comparison) -> list[np.ndarray]:
    """Bins of each row of panels; the longest row is the first."""
    rows = panel_rows(comparison.bins)
    if len(comparison.bins.groups) > 1:
        return sorted(rows, key=len, reverse=True)
    n_bins = len(comparison.bins)
    columns = -(-n_bins // len(rows))
    return np.split(np.arange(n_bins), range(columns, n_bins, columns))


def _draw_decay(axes, comparison: Comparison, bands: np.ndarray, k: int) -> None:
    """Decays of a bin."""
    axes.axhline(0.0, color=CYCLE["guide"], lw=0.5)
    colours = shades(len(comparison.ages)).colors
    for number, (window, colour) in enumerate(zip(comparison.ages, colours, strict=True)):
        # From behind: bands, error bars, points, lines.
        model, lag = comparison.model_decay[k, number], comparison.lag
        # Where frames are missing, some lags have no pair; the model is drawn on across them.
        known = np.isfinite(model)
        axes.fill_between(lag[known], *bands[:, k, number, known], color=colour, alpha=0.2, lw=0, zorder=1)
        style = {"fmt": MARKERS[number], "ms": 2.4, "mec": "none", "elinewidth": 0.5, "ecolor": (*to_rgb(colour), 0.4)}
        data, error = comparison.data_decay[k, number], comparison.decay_error[k, number]
        axes.errorbar(lag, data, error, color=colour, label=_window(window), zorder=2, **style)
        axes.plot(lag[known], model[known], "-", lw=0.9, color=colour, zorder=3)


def _window(window) -> str:
    return f"{window[0]:.3g} – {window[1]:.3g}"


def _decay_limits(comparison: Comparison, shown) -> tuple[float, float]:
    """Hold the model and nearly all data; single far points of noise may leave the panel."""
    low, high = np.nanquantile(comparison.data_decay[shown], [0.01, 0.99])
    return min(-0.1, float(low) - 0.05), max(1.1, float(high) + 0.05)


@styled
def decays_over_angle(decays: Sequence[AngularDecay], direction: float | None) -> Figure:
    """Draw the decay at a few lags against the angle, where a flow shows as a dip along its direction.

    Parameters
    ----------
    decays : sequence of AngularDecay
        A panel each; lags differ between them, as decays do.
    direction : float or None
        φ0 [deg], where the data show a flow.

    Returns
    -------
    matplotlib.figure.Figure
    """
    one = len(decays) == 1
    figure = new_figure(WIDTH_NARROW if one else WIDTH, 2.5)
    panels = figure.subplots(1, len(decays), sharex=True, sharey=True, squeeze=False)[0]
    for axes, decay in zip(panels, decays, strict=True):
        _draw_over_angle(axes, decay)
        axes.set_xlabel(r"$\varphi$ [°]")
    for axes in panels:  # whose limits hold all of them now
        _mark_direction(axes, direction)
    panels[0].set_ylabel("$(c_2 - O)/C$, mean over age")
    if one:
        figure.legend(loc="outside upper center", ncols=len(decays[0].lags), title="lag $t_2 - t_1$ [s]")
    else:
        for axes, decay in zip(panels, decays, strict=True):
            legend = {"ncols": len(decay.lags), "columnspacing": 1.0, "handletextpad": 0.3}
            legend |= {"bbox_to_anchor": (0.5, 1.0), "title": f"{decay.named}\nlag $t_2 - t_1$ [s]"}
            axes.legend(loc="lower center", **legend).get_title().set_multialignment("center")
    return figure


def _draw_over_angle(axes, decay: AngularDecay) -> None:
    """Points and lines of a group."""
    for k, (lag, colour) in enumerate(zip(decay.lags, shades(len(decay.lags)).colors, strict=True)):
        axes.plot(decay.model_phi, decay.model[k], "-", lw=1.0, color=colour)
        style = {"fmt": MARKERS[k], "ms": 3.5, "mec": "none", "elinewidth": 0.8, "capsize": 1.5}
        axes.errorbar(decay.bins.phi, decay.data[k], decay.error[k], color=colour, label=f"{lag:.3g}", **style)
    axes.axhline(0.0, color=CYCLE["guide"], lw=0.5)


def _mark_direction(axes, direction: float | None) -> None:
    """A line at the direction of the flow, wherever it lies within the limits."""
    low, high = axes.get_xlim()
    for turn in (-180.0, 0.0, 180.0):
        if direction is not None and low <= direction + turn <= high:
            axes.axvline(direction + turn, color=CYCLE["guide"], lw=0.8, ls=":")
            place = {"xy": (direction + turn, 1.0), "xycoords": axes.get_xaxis_transform()}
            axes.annotate(r"$\varphi_0$", **place, xytext=(2, -1), textcoords="offset points", va="top")

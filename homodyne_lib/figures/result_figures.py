"""Figures of results: rates, contrast and offset, and datasets side by side; functions of arrays, as all figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from homodyne_lib.figures.style import CYCLE, MISSING, WIDTH, WIDTH_NARROW, colormap, label_log_axis, new_figure, styled
from homodyne_lib.model.bins import Bins
from homodyne_lib.model.curves import band

__all__ = ["RATE_LABELS", "rates_over_time", "scaling_over_angle", "thumbnail", "trends"]

RATE_LABELS = {"D": r"$D(t)$ [Å²/s]", "gamma_dot": r"$\dot\gamma(t)$ [1/s]"}
_LOG_FROM = 3.0  # a rate that changes by less than this factor is drawn on a linear axis that holds zero
_TREND_LOG_FROM = 30.0
_SMALL = 4.5  # letters of a sign
_LEVEL, _NAMED = 9, 40  # names of groups below a figure: level ones, and all


@styled
def rates_over_time(
    time, rates: Mapping[str, Mapping[str, np.ndarray | None]], set_rate: float | None = None
) -> Figure:
    """Draw D(t), and γ̇(t) if there is one, with their bands.

    Parameters
    ----------
    time : array_like, shape (n,)
        [s]
    rates : mapping
        ``"D"`` [Å²/s] and perhaps ``"gamma_dot"`` [1/s] -> ``draws`` of shape (n_draws, n), ``fit`` of shape (n,) and
        ``truth`` of that shape or None.
    set_rate : float, optional
        Shear rate of a rheometer, drawn as a line beside γ̇(t) [1/s].

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(WIDTH if len(rates) > 1 else WIDTH_NARROW, 2.6)
    panels = figure.subplots(1, len(rates), squeeze=False)[0]
    for axes, (curve, shown) in zip(panels, rates.items(), strict=True):
        wide = band(shown["draws"], 0.95)
        axes.fill_between(time, *wide, color=CYCLE["posterior"], alpha=0.22, lw=0, label="posterior, 95 %")
        axes.fill_between(
            time, *band(shown["draws"], 0.68), color=CYCLE["posterior"], alpha=0.45, lw=0, label="posterior, 68 %"
        )
        axes.plot(time, shown["fit"], color=CYCLE["fit"], label="fit")
        if shown["truth"] is not None:
            axes.plot(time, shown["truth"], "--", color=CYCLE["truth"], label="truth of the simulation")
        lowest, highest = np.min(wide), np.max(wide)
        if curve == "gamma_dot" and set_rate is not None:
            axes.axhline(set_rate, ls="-.", color=CYCLE["estimate"], label=f"rheometer, {set_rate:.3g} 1/s")
            lowest, highest = min(lowest, set_rate), max(highest, set_rate)
        axes.set(xscale="log", xlabel="$t$ [s]", ylabel=RATE_LABELS[curve], xlim=(time[0], time[-1]))
        label_log_axis(axes.xaxis)
        if lowest > 0 and _LOG_FROM < highest / lowest < 1e4:
            axes.set_yscale("log")
        else:
            # A fit outside of the band is what a reader looks for.
            lines = [shown["fit"], [] if shown["truth"] is None else shown["truth"]]
            axes.set_ylim(0, 1.08 * max(highest, *np.concatenate(lines)))
            axes.ticklabel_format(axis="y", scilimits=(-3, 4), useMathText=True)
    shown = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(shown.values(), shown, loc="outside upper center", ncols=5 if len(rates) > 1 else 2)
    return figure


@styled
def scaling_over_angle(bins: Bins, fitted: Mapping[str, tuple], estimated: Mapping[str, np.ndarray]) -> Figure:
    """Draw contrast and offset of every bin against its angle, several groups beside each other.

    Parameters
    ----------
    bins : Bins
    fitted : mapping
        ``"contrast"`` and ``"offset"`` -> values and errors of the fit, shape (n_bins,) each.
    estimated : mapping
        The same names -> estimates from quantiles.

    Returns
    -------
    matplotlib.figure.Figure
    """
    one = len(bins.groups) == 1
    figure = new_figure(WIDTH, 2.4 if one else 3.6)
    panels = figure.subplots(1, 2) if one else figure.subplots(2, 1, sharex=True)
    places = bins.phi if one else bins.group + _within_group(bins.phi)
    size = 1.0 if one else 0.7
    for axes, (name, symbol) in zip(panels, (("contrast", "C"), ("offset", "O")), strict=True):
        axes.plot(
            places, estimated[name], "s", ms=4 * size, mfc="none", color=CYCLE["estimate"], label="from quantiles"
        )
        style = {"fmt": "o", "ms": 3.5 * size, "lw": size, "capsize": 2 * size, "color": CYCLE["fit"]}
        axes.errorbar(places, *fitted[name], **style, label="fitted")
        axes.set_ylabel(f"{name} ${symbol}$")
        axes.margins(y=0.15)
        axes.ticklabel_format(axis="y", useOffset=False)
        if one:
            axes.set_xlabel(r"$\varphi$ [°]")
        else:
            _separate_groups(axes, bins)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    if not one:
        panels[1].set_xlabel(_group_label(bins))
    return figure


def _within_group(phi) -> np.ndarray:
    """Places of angles in a column of unit width."""
    span = np.ptp(phi)
    return 0.1 + 0.8 * (phi - phi.min()) / span if span else np.full(phi.shape, 0.5)


def _group_label(bins: Bins) -> str:
    """What columns of groups are, and which angles they hold."""
    names = ["file"] * (bins.n_repeats > 1) + ["q [1/Å]"] * (bins.rings.size > 1)
    low, high = bins.phi.min(), bins.phi.max()
    angles = rf"; in each, $\varphi$ from {low:.4g}° to {high:.4g}°".replace("-", "−") if high > low else ""
    return ", ".join(names) + angles


def _separate_groups(axes, bins: Bins) -> None:
    """Lines between groups, and their names below; of many, some have none."""
    n_groups = len(bins.groups)
    for edge in range(1, n_groups):
        axes.axvline(edge, color=MISSING, lw=0.6, zorder=0)
    every = -(-n_groups // _NAMED)
    first = [group[0] for group in bins.groups[::every]]
    file = [f"{bins.repeat[k] + 1}" if bins.n_repeats > 1 else "" for k in first]
    q = [f"{bins.q[k]:.4g}" if bins.rings.size > 1 else "" for k in first]
    names = [", ".join(filter(None, parts)) for parts in zip(file, q, strict=True)]
    turned = {"rotation": 90} if len(first) > _LEVEL else {}
    axes.set_xticks(np.arange(0, n_groups, every) + 0.5, names, **turned)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(0, n_groups)


@styled
def thumbnail(matrix, time, curves: Sequence[np.ndarray]) -> Figure:
    """Draw a dataset as a sign: one angle of c2, and its rates with their 95 % bands, from zero to the number shown.

    Parameters
    ----------
    matrix : ndarray, shape (m, m)
        c2 at one angle; NaN where a frame is missing.
    time : array_like, shape (n,)
        [s]
    curves : sequence of ndarray, shape (n_draws, n)
        Draws of each rate.

    Returns
    -------
    matplotlib.figure.Figure
    """
    # Places are given, as to find them takes longer than all the rest; a summary has a thousand of these.
    height, step = 0.46, 0.72
    total = 0.4 + step * len(curves)
    figure = new_figure(total, height, layout=None)
    places = [(0.02, 0.36), *((0.66 + step * k, step - 0.28) for k in range(len(curves)))]
    panels = [figure.add_axes((left / total, 0.11 / height, width / total, 0.32 / height)) for left, width in places]
    off = matrix[np.triu_indices(len(matrix), 1)]
    low, high = np.nanquantile(off, [0.005, 0.995])
    style = {"cmap": colormap("viridis"), "aspect": "auto", "interpolation": "nearest"}
    panels[0].imshow(matrix, origin="lower", vmin=low, vmax=high, **style)
    for axes, draws in zip(panels[1:], curves, strict=True):
        axes.fill_between(time, *band(draws, 0.95), color=MISSING, lw=0)
        axes.plot(time, np.median(draws, axis=0), color=CYCLE["guide"], lw=1)
        axes.set(xscale="log", xlim=(time[0], time[-1]), ylim=(0, None))
        top = axes.get_ylim()[1]
        axes.set_yticks([top], [_short(top)], size=_SMALL)
        axes.set_xticks([time[0], time[-1]], [_short(time[0]), f"{_short(time[-1])} s"], size=_SMALL)
        for label, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
            label.set_ha(side)
        axes.tick_params(length=1.5, pad=1)
        axes.minorticks_off()
    panels[0].set(xticks=[], yticks=[])
    return figure


def _short(number: float) -> str:
    """Two digits, without an exponent between 0.0001 and 100,000, where there is room for few letters."""
    return f"{float(f'{number:.2g}'):.5g}".replace("e-0", "e-").replace("e+0", "e")


@styled
def trends(label: str, x, quantities: Mapping[str, tuple], sound) -> Figure:
    """Draw quantities of all datasets against a column of the table.

    Parameters
    ----------
    label : str
        Of the column, with its unit.
    x : array_like, shape (n,)
    quantities : mapping
        Label with unit -> values and errors, shape (n,) each; NaN where a dataset has none.
    sound : array_like of bool, shape (n,)
        Datasets that passed their checks; the others are drawn open.

    Returns
    -------
    matplotlib.figure.Figure
    """
    columns = min(len(quantities), 3)
    rows = -(-len(quantities) // columns)
    figure = new_figure(WIDTH if columns > 1 else WIDTH_NARROW, 0.5 + 1.6 * rows)
    panels = figure.subplots(rows, columns, sharex=True, squeeze=False)
    x, sound = np.asarray(x, dtype=float), np.asarray(sound, dtype=bool)
    for axes, (name, (values, errors)) in zip(panels.flat, quantities.items(), strict=False):
        for chosen, face in ((sound, CYCLE["posterior"]), (~sound, "none")):
            style = {"fmt": "o", "ms": 4, "mfc": face, "color": CYCLE["posterior"], "elinewidth": 0.8, "capsize": 2}
            axes.errorbar(x[chosen], np.asarray(values)[chosen], np.asarray(errors)[chosen], **style)
        axes.set_ylabel(name)
        axes.margins(0.12)
        lowest, highest = np.nanmin(np.subtract(values, errors)), np.nanmax(np.add(values, errors))
        if lowest > 0 and highest / lowest > _TREND_LOG_FROM:
            axes.set_yscale("log")
        else:
            axes.ticklabel_format(axis="y", scilimits=(-3, 4), useMathText=True)
    for axes in panels.flat[len(quantities) :]:
        axes.remove()
    for axes in panels.flat[max(len(quantities) - columns, 0) : len(quantities)]:
        axes.xaxis.set_tick_params(labelbottom=True)
    figure.supxlabel(label, fontsize=8, parse_math=False)  # words of a user; half a formula would end the figure
    return figure

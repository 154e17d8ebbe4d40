"""Figures of a record's parts: rates of each q and of each repeat alone beside those of all together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from homodyne_lib.figures.style import CYCLE, WIDTH, WIDTH_NARROW, label_log_axis, new_figure, styled
from homodyne_lib.model.curves import band
from homodyne_lib.model.kernels import beside_brownian
from homodyne_lib.results.fit_checks import PartFit, PartsAgreement

__all__ = ["rates_of_files", "rates_of_q"]

_LABELS = {"D": "$D$ [Å²/s]", "gamma_dot": r"$\dot\gamma$ [1/s]"}
_LOG_FROM = 4.0  # a rate that changes by less than this factor is drawn on a linear axis
_SQUARES = 1e-5  # of q², in which its axis counts, so that numbers are short [1/Å²]
_POINTS = {"fmt": "o", "ms": 4, "mec": "none", "lw": 1.0, "capsize": 2}


@styled
def rates_of_q(parts: PartsAgreement, draws: Mapping[str, np.ndarray], power, reference_q: float) -> Figure:
    """Draw each rate at mid-record against q, and the decay rate against q² on logarithmic axes.

    Points are fits of each q alone, bands the posterior of all together.

    Parameters
    ----------
    parts : PartsAgreement
    draws : mapping of str to ndarray, shape (n_draws,)
        Rates of all together at mid-record.
    power : float or ndarray, shape (n_draws,)
        Power of q with which the decay goes.
    reference_q : float
        [1/Å]

    Returns
    -------
    matplotlib.figure.Figure
    """
    rings = parts.rings
    q = np.array([part.q for part in rings])
    figure = new_figure(WIDTH, 2.4)
    panels = figure.subplots(1, len(draws) + 1)
    fine = np.geomspace(0.94 * q.min(), 1.06 * q.max(), 100)
    growth = beside_brownian(fine / reference_q, np.reshape(power, (-1, 1)))
    for axes, (curve, drawn) in zip(panels, draws.items(), strict=False):
        shared = drawn[:, None] * (growth if curve == "D" else np.ones((1, fine.size)))
        _draw_band(axes, fine, shared)
        _draw_points(axes, q, rings, curve)
        axes.set(xlabel="$q$ [1/Å]", ylabel=_LABELS[curve], xlim=(fine[0], fine[-1]))
        axes.locator_params(axis="x", nbins=4)
    axes = panels[-1]
    _draw_band(axes, fine**2 / _SQUARES, fine**2 * draws["D"][:, None] * growth)
    known = [part for part in rings if "D" in part.known]
    square = np.array([part.q**2 for part in known])
    gamma = square * [part.rates["D"] for part in known]
    error = square * [part.errors["D"] for part in known]
    axes.errorbar(square / _SQUARES, gamma, error, color=CYCLE["fit"], **_POINTS)
    if parts.power is not None:
        # The fitted line goes through the weighted means of the logarithms.
        log_gamma, log_square = (np.average(np.log(x), weights=(gamma / error) ** 2) for x in (gamma, square))
        height = log_gamma + 0.5 * parts.power * (2 * np.log(fine) - log_square)
        label = rf"$q^{{{parts.power:.2f} \pm {parts.power_error:.2f}}}$"
        axes.plot(fine**2 / _SQUARES, np.exp(height), "--", lw=1.0, color=CYCLE["truth"], label=label)
        axes.legend(loc="upper left")
    axes.set(xscale="log", yscale="log", xlabel="$q^2$ [$10^{-5}$/Å²]", ylabel=r"$\Gamma = q^2 D$ [1/s]")
    for axis in (axes.xaxis, axes.yaxis):
        label_log_axis(axis)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


@styled
def rates_of_files(parts: PartsAgreement, draws: Mapping[str, np.ndarray]) -> Figure:
    """Draw each rate at mid-record against the number of the file.

    Parameters
    ----------
    parts : PartsAgreement
    draws : mapping of str to ndarray, shape (n_draws,)
        Rates of all together at mid-record.

    Returns
    -------
    matplotlib.figure.Figure
    """
    files = parts.repeats
    number = np.array([part.repeat + 1 for part in files])
    figure = new_figure(WIDTH if len(draws) > 1 else WIDTH_NARROW, 2.4)
    panels = figure.subplots(1, len(draws), squeeze=False)[0]
    ends = np.array([0.5, len(files) + 0.5])
    for axes, (curve, drawn) in zip(panels, draws.items(), strict=True):
        _draw_band(axes, ends, np.repeat(drawn[:, None], 2, axis=1))
        _draw_points(axes, number, files, curve)
        axes.set(xlabel="file", ylabel=_LABELS[curve], xlim=ends)
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def _draw_band(axes, x, shared) -> None:
    axes.fill_between(x, *band(shared, 0.95), color=CYCLE["posterior"], alpha=0.3, lw=0, label="all together, 95 %")


def _draw_points(axes, x, fits: Sequence[PartFit], curve: str) -> None:
    """Rates of parts; one that is not known well enough to be compared is open."""
    known = np.array([curve in part.known for part in fits])
    rate, error = (np.array([getattr(part, name)[curve] for part in fits]) for name in ("rates", "errors"))
    shown = np.isfinite(rate) & np.isfinite(error)
    for chosen, style, label in (
        (known, {}, "fitted alone, with standard errors"),
        (shown & ~known, {"mfc": "white", "mec": CYCLE["fit"]}, "hardly known alone"),
    ):
        if chosen.any():
            axes.errorbar(x[chosen], rate[chosen], error[chosen], color=CYCLE["fit"], label=label, **_POINTS | style)
    values = rate[known & (rate > 0)]
    if values.size and values.max() > _LOG_FROM * values.min():
        axes.set_yscale("log")
        label_log_axis(axes.yaxis)
    elif values.size:
        low, high = np.nanmin((rate - 1.5 * error)[known]), np.nanmax((rate + 1.5 * error)[known])
        if known.all():
            low, high = min(low, axes.dataLim.y0), max(high, axes.dataLim.y1)
        axes.set_ylim(low, high)
        axes.ticklabel_format(axis="y", scilimits=(-3, 4), useMathText=True)

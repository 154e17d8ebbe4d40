"""Figures that ask whether to believe: corner plot, chains, shards, residuals against lag and age."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy.special import bdtrik

from homodyne_lib.figures.comparison import RESIDUAL_EDGES, Comparison
from homodyne_lib.figures.panels import bin_colours, label_colours
from homodyne_lib.figures.style import CYCLE, MISSING, WIDTH, label_log_axis, new_figure, shades, styled
from homodyne_lib.model.bins import Bins
from homodyne_lib.model.parameters import PARAMETERS
from homodyne_lib.results.sampler_reports import ShardReport

__all__ = ["chains", "corner", "has_ring_means", "residuals", "shard_agreement"]

_RANK_BINS = 20
_POINTS = 1500  # in a panel of the corner plot
_LINES = 24  # that can be told apart in a panel, of several q


def _scale(values) -> int:
    """Power of ten to divide by: 0 where numbers read well as they are."""
    exponent = math.floor(math.log10(np.max(np.abs(values)) or 1.0))
    return exponent if not -2 <= exponent <= 3 else 0


def _label(name: str, exponent: int, between: str = " ") -> str:
    """Symbol and unit of a parameter, with the power of ten it was divided by."""
    parameter = PARAMETERS.get(name)
    power = f"10$^{{{exponent}}}$" if exponent else ""
    unit = " ".join(filter(None, (power, parameter.unit if parameter else "")))
    symbol = f"${parameter.symbol}$" if parameter else name.replace("_", between)
    return f"{symbol}{between}[{unit}]" if unit else symbol


@styled
def corner(
    draws: Mapping[str, np.ndarray], fit: Mapping[str, float], truth: Mapping[str, float] | None = None
) -> Figure:
    """Draw each parameter's draws, and each pair's; above the diagonal stand the correlations.

    Parameters
    ----------
    draws : mapping of str to ndarray, shape (n_draws,)
        Parameters that vary.
    fit : mapping of str to float
        Fitted values; one that lies far from all draws is outside the panels.
    truth : mapping of str to float, optional
        Of a simulation.

    Returns
    -------
    matplotlib.figure.Figure
        Draws as they are: no smoothing. Of more than 1500, pairs show evenly spaced ones.
    """
    names = list(draws)
    scales = {name: _scale(values) for name, values in draws.items()}
    marks = [(fit, CYCLE["fit"], "-"), (truth or {}, CYCLE["truth"], "--")]
    limits = {name: _limits(draws[name], [known[name] for known, *_ in marks if name in known]) for name in names}
    before, beyond, gap = 0.66, 0.08, 0.09  # [inch]
    side = min((WIDTH - before - beyond + gap) / len(names) - gap, 1.1)
    width = before + beyond + len(names) * (side + gap) - gap
    figure = new_figure(width, width, layout=None)

    def cell(row, column):
        x, y = before + column * (side + gap), before + (len(names) - 1 - row) * (side + gap)
        return x / width, y / width, side / width, side / width

    for row, below in enumerate(names):
        for column, left in enumerate(names[: row + 1]):
            axes = figure.add_axes(cell(row, column))
            _draw_pair(axes, left, below, draws, scales, marks)
            axes.set_xlim(np.array(limits[left]) / 10.0 ** scales[left])
            if row != column:
                axes.set_ylim(np.array(limits[below]) / 10.0 ** scales[below])
                _write_correlation(figure, cell(column, row), np.corrcoef(draws[left], draws[below])[0, 1])
            axes.tick_params(
                length=2, pad=1.5, labelsize=6, labelleft=column == 0 < row, labelbottom=row == len(names) - 1
            )
            axes.tick_params(axis="x", rotation=45)
            if row == len(names) - 1:
                axes.set_xlabel(_label(left, scales[left]), fontsize=7)
            if column == 0 < row:
                axes.set_ylabel(_label(below, scales[below]), fontsize=7)
            axes.xaxis.set_label_coords(0.5, -0.43 / side)
            axes.yaxis.set_label_coords(-0.48 / side, 0.5)
    return figure


def _limits(draws, marks) -> tuple[float, float]:
    """Smallest and largest value with a margin; marks far from all draws, which would press these together, are left out."""
    low, high = np.min(draws), np.max(draws)
    near = [mark for mark in marks if low - (high - low) <= mark <= high + (high - low)]
    low, high = min([low, *near]), max([high, *near])
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def _draw_pair(axes, left: str, below: str, draws, scales, marks) -> None:
    """Draw a parameter's histogram, or a pair's draws, and lines at known values."""

    def scaled(values, name):
        return np.asarray(values) / 10.0 ** scales[name]

    x = scaled(draws[left], left)
    if left == below:
        axes.hist(x, 24, color=CYCLE["posterior"], alpha=0.6, lw=0)
        axes.set_yticks([])
    else:
        style = {"ms": 1.8, "mew": 0, "alpha": 0.5, "color": CYCLE["posterior"]}
        some = slice(None, None, -(-len(x) // _POINTS))
        axes.plot(x[some], scaled(draws[below], below)[some], ".", **style)
    for values, colour, line in marks:
        if left in values:
            axes.axvline(scaled(values[left], left), color=colour, ls=line, lw=0.8)
        if left != below and below in values:
            axes.axhline(scaled(values[below], below), color=colour, ls=line, lw=0.8)
    axes.locator_params(nbins=3)
    axes.ticklabel_format(useOffset=False)


def _write_correlation(figure, place, value: float) -> None:
    """Write two decimals, which some hundred independent draws give."""
    x, y, width, height = place
    colour = "black" if abs(value) > 0.5 else CYCLE["guide"]
    text = f"{value:+.2f}".replace("-", "−")
    figure.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=7, color=colour)


def _ranks(sample) -> np.ndarray:
    """Rank of each number among all, from one; equal ones share the mean of theirs. Importing SciPy's takes 0.3 s."""
    ordered = np.sort(sample, axis=None)
    return 0.5 * (1 + sum(np.searchsorted(ordered, sample, side) for side in ("left", "right")))


@styled
def chains(draws: Mapping[str, np.ndarray]) -> Figure:
    """Draw traces and ranks of the chains of each parameter.

    Parameters
    ----------
    draws : mapping of str to ndarray, shape (n_chains, n_draws)

    Returns
    -------
    matplotlib.figure.Figure
        Left: draws in order. Right: how many of a chain's draws have ranks in each twentieth of all; chains that agree
        stay near the line, 95 % of independent draws within the grey band.
    """
    names = list(draws)
    figure = new_figure(WIDTH, 0.4 + 0.58 * len(names))
    grid = figure.subplots(len(names), 2, sharex="col", squeeze=False, width_ratios=(1.6, 1))
    for (left, right), (name, sample) in zip(grid, draws.items(), strict=True):
        exponent = _scale(sample)
        n_chains, n_draws = sample.shape
        ranks = _ranks(sample)
        edges = np.linspace(0, sample.size, _RANK_BINS + 1)
        expected = np.ceil(bdtrik([0.025, 0.975], n_draws, 1 / _RANK_BINS))  # quantiles of the binomial law
        right.axhspan(*expected, color=MISSING, lw=0)
        right.axhline(n_draws / _RANK_BINS, color=CYCLE["guide"], lw=0.6)
        for colour, chain, rank in zip(shades(n_chains).colors, sample / 10.0**exponent, ranks, strict=True):
            left.plot(np.arange(1, n_draws + 1), chain, lw=0.4, color=colour)
            right.stairs(np.histogram(rank, edges)[0], edges, baseline=None, color=colour, lw=0.9)
        left.set_ylabel(_label(name, exponent, "\n"), fontsize=7)
        left.set_xlim(1, n_draws)
        right.set(xlim=(0, sample.size), ylim=(0, None))
        for axes in (left, right):
            axes.locator_params(axis="y", nbins=3)
            axes.tick_params(labelsize=6)
            axes.ticklabel_format(axis="y", useOffset=False)
    grid[-1, 0].set_xlabel("draw")
    grid[-1, 1].set_xlabel("rank among all draws")
    grid[0, 1].set_title("draws in each twentieth", pad=3)
    figure.align_ylabels(grid[:, 0])
    return figure


@styled
def shard_agreement(shards: Sequence[ShardReport], combined: Mapping[str, tuple[float, float]]) -> Figure:
    """Draw what each shard found for each parameter, beside what all found together.

    Parameters
    ----------
    shards : sequence of ShardReport
        Whose ``mean`` and ``sd`` are drawn.
    combined : mapping of str to (float, float)
        Mean and standard deviation of the combined posterior, of the parameters to draw.

    Returns
    -------
    matplotlib.figure.Figure
        All less the combined mean, in units of the combined standard deviation.
    """
    figure = new_figure(WIDTH, 2.2)
    axes = figure.subplots()
    places = np.linspace(-1, 1, len(shards)) * min(0.35, 0.06 * len(shards))
    axes.axhspan(-1, 1, color=MISSING, lw=0)
    axes.axhline(0.0, color=CYCLE["guide"], lw=0.6)
    for place, colour, shard in zip(places, shades(len(shards)).colors, shards, strict=True):
        means = [(shard.mean[name] - mean) / sd for name, (mean, sd) in combined.items()]
        spread = [shard.sd[name] / sd for name, (_, sd) in combined.items()]
        axes.errorbar(np.arange(len(combined)) + place, means, spread, fmt="o", ms=3, elinewidth=0.8, color=colour)
    for edge in np.arange(len(combined) - 1) + 0.5:
        axes.axvline(edge, color=MISSING, lw=0.6)
    axes.set_xticks(range(len(combined)), [f"${PARAMETERS[name].symbol}$" for name in combined])
    axes.tick_params(axis="x", length=0)
    axes.set(xlim=(-0.5, len(combined) - 0.5), ylabel="shard less all\n[sd of all]")
    return figure


def has_ring_means(bins: Bins) -> bool:
    """Whether the figure of the residuals has thick lines, the means of all bins at each q."""
    return len(bins) > _LINES and bins.rings.size > 1


@styled
def residuals(comparison: Comparison) -> Figure:
    """Draw mean residuals against lag and age, and the distribution of all.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    matplotlib.figure.Figure
        A line a bin, and where there are many of several q thick ones, the means at each q. Grey bands are two standard
        errors of a bin's mean if entries are independent. The line beside the distribution is normal.
    """
    figure = new_figure(WIDTH, 2.3)
    lag, age, spread = figure.subplots(1, 3, width_ratios=(1.2, 1.2, 1))
    bins, scale = comparison.bins, bin_colours(comparison.bins)
    many = has_ring_means(bins)
    style = {"lw": 0.4, "alpha": 0.25} if many else {"lw": 0.8}
    for axes, x, profiles, entries, label in (
        (lag, comparison.lag, comparison.lag_profile, comparison.lag_entries, "lag $t_2 - t_1$ [s]"),
        (age, comparison.age, comparison.age_profile, comparison.age_entries, "age $t_1$ [s]"),
    ):
        expected = 2.0 / np.sqrt(entries)
        axes.fill_between(x, -expected, expected, color=MISSING, lw=0)
        axes.axhline(0.0, color=CYCLE["guide"], lw=0.5)
        for profile, colour in zip(profiles, scale.to_rgba(bins.q if bins.rings.size > 1 else bins.phi), strict=True):
            axes.plot(x, profile, "-", color=colour, **style)
        for ring, q in enumerate(bins.rings if many else ()):
            axes.plot(x, profiles[bins.ring == ring].mean(axis=0), "-", lw=1.2, color=scale.to_rgba(q))
        axes.set_xlabel(label)
    lag.set(xscale="log", ylabel="mean residual [σ]")
    label_log_axis(lag.xaxis)
    middle = 0.5 * (RESIDUAL_EDGES[1:] + RESIDUAL_EDGES[:-1])
    spread.stairs(comparison.histogram, RESIDUAL_EDGES, color=CYCLE["posterior"], label="residuals")
    spread.plot(
        middle, np.exp(-0.5 * middle**2) / np.sqrt(2.0 * np.pi), "--", lw=0.9, color=CYCLE["truth"], label="normal"
    )
    positive = comparison.histogram[comparison.histogram > 0]
    spread.set(xlabel="residual [σ]", ylabel="density [1/σ]", yscale="log", ylim=(0.5 * positive.min(), 1.0))
    spread.legend(loc="lower center", fontsize=6)
    if len(bins) > 1:
        label_colours(figure.colorbar(scale, ax=[lag, age], aspect=25, pad=0.01), bins)
    return figure

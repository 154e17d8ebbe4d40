"""All matrices of a record side by side, small: whether one of many bins differs from the others."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from homodyne_lib.figures.comparison import Comparison, shrink
from homodyne_lib.figures.data_figures import map_limits
from homodyne_lib.figures.panels import packed
from homodyne_lib.figures.style import RESIDUAL_LIMIT, WIDTH, colormap, new_figure, styled
from homodyne_lib.model.bins import Bins

__all__ = ["bin_thumbnails"]

_PIXELS = 40  # of a thumbnail
_COLUMNS, _COLUMNS_OF_SMALL = 12, 8  # beside each other; the second where no group has more than two bins
_MOST, _HIGHEST = 88, 8.2  # panels of a page, and its height with a caption on A4 [inch]
_SIDE, _LINE, _GAP = 0.68, 0.125, 0.05  # the last between groups [inch]
_LETTERS = 6  # [pt]


def bin_thumbnails(comparison: Comparison, quantity: str) -> list[Figure]:
    """Draw all matrices of a record, grouped by file and q, on one scale of colours.

    Parameters
    ----------
    comparison : Comparison
    quantity : {"data", "residual"}
        Residuals are on ±4 of the noise of a pixel.

    Returns
    -------
    list of matplotlib.figure.Figure
        Pages of at most 88 matrices.
    """
    maps = getattr(comparison, quantity)
    block = -(-maps.shape[1] // _PIXELS)
    limits, label = map_limits(comparison.data), "$c_2$"
    if quantity == "residual":
        # Of a mean over more entries the noise is as much smaller, if they are independent.
        maps, limits = maps * block, (-RESIDUAL_LIMIT, RESIDUAL_LIMIT)
        label = f"residual [σ/{comparison.block * block}]" if comparison.block * block > 1 else "residual [σ]"
    small = np.array([shrink(matrix, block) for matrix in maps])
    scale = {"cmap": colormap("viridis" if quantity == "data" else "RdBu_r"), "vmin": limits[0], "vmax": limits[1]}
    return [_page(small, comparison.bins, rows, scale, label) for rows in _pages(comparison.bins)]


def _columns(bins: Bins) -> int:
    """Thumbnails beside each other, at most."""
    return _COLUMNS if max(group.size for group in bins.groups) > 2 else _COLUMNS_OF_SMALL


def _above(bins: Bins) -> int:
    """Lines of text above a row of thumbnails."""
    return 2 + (bins.n_repeats > 1 and bins.rings.size > 1)


def _pitch(bins: Bins) -> float:
    """Distance of thumbnails beside each other [inch]."""
    return min((WIDTH - 0.93) / _columns(bins), _SIDE + 0.06)


def _pages(bins: Bins) -> list[list[list[np.ndarray]]]:
    """Rows of each page: parts of groups, as numbers of bins."""
    most_rows = int(_HIGHEST / (_pitch(bins) + _LINE * _above(bins)))
    pages: list[list[list[np.ndarray]]] = [[]]
    for row in packed(bins.groups, _columns(bins)):
        held = sum(part.size for others in pages[-1] for part in others)
        if pages[-1] and (len(pages[-1]) == most_rows or held + sum(part.size for part in row) > _MOST):
            pages.append([])
        pages[-1].append(row)
    return pages


@styled
def _page(maps: np.ndarray, bins: Bins, rows: list[list[np.ndarray]], scale: dict, label: str) -> Figure:
    pitch, above = _pitch(bins), _LINE * _above(bins)
    side, deep, left = pitch - 0.05, pitch + above, 0.08  # [inch]
    height = deep * len(rows) + 0.13
    figure = new_figure(WIDTH, height, layout=None)
    # One pair of axes for all: a hundred would take seconds.
    axes = figure.add_axes((0, 0, 1, 1))
    for number, row in enumerate(rows):
        x, y = left, height - deep * (number + 1) + 0.05
        for part in row:
            name = bins.group_named(int(bins.group[part[0]]))
            axes.text(x, y + side + _LINE + 0.035, name.replace(", ", "\n"), fontsize=_LETTERS, linespacing=1.05)
            for k in part:
                image = axes.imshow(maps[k], origin="lower", extent=(x, x + side, y, y + side), **scale)
                image.set_interpolation("nearest")  # noise is not smoothed
                angle = f"{bins.phi[k]:.4g}°".replace("-", "−")
                axes.text(x + side / 2, y + side + 0.025, angle, fontsize=_LETTERS, ha="center")
                x += pitch
            x += _GAP * (part.size > 1)
    axes.set(xlim=(0, WIDTH), ylim=(0, height), aspect="auto")
    axes.axis("off")
    long = min(deep * len(rows) - above - 0.1, 2.0)
    place = ((WIDTH - 0.62) / WIDTH, (height - above - 0.05 - long) / height, 0.08 / WIDTH, long / height)
    bar = figure.colorbar(image, figure.add_axes(place), extend="both", label=label)
    bar.outline.set_linewidth(0.4)
    return figure

"""How figures look: sizes, colours, type; the only home of these."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

__all__ = [
    "CYCLE",
    "LEVELS",
    "MARKERS",
    "MISSING",
    "RESIDUAL_LIMIT",
    "WIDTH",
    "WIDTH_NARROW",
    "colormap",
    "label_log_axis",
    "new_figure",
    "shades",
    "styled",
]

WIDTH, WIDTH_NARROW = 178 / 25.4, 86 / 25.4
"""Two columns and one column of a journal [inch]."""

# Okabe and Ito's colours, told apart with any colour vision.
CYCLE = {
    "posterior": "#0072B2",
    "fit": "#D55E00",
    "truth": "#000000",
    "data": "#56B4E9",
    "estimate": "#009E73",
    "guide": "#767676",
}
MARKERS = "osD^"
MISSING = "#d9d9d9"
RESIDUAL_LIMIT = 4.0
"""Residual maps span ± this many standard deviations."""
LEVELS = 105
"""Colours of a map: those of two maps and the greys of the letters together are at most 256, one byte a pixel."""

_DPI_OF_SCREENS = 110
_FEW_DECADES = 1.7
_RC = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "mathtext.fontset": "dejavusans",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "image.cmap": "viridis",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    # Text stays text, which a journal can edit and search.
    "svg.fonttype": "none",
    "svg.hashsalt": "homodyne",
}


def styled(draw: Callable) -> Callable:
    """Draw with Matplotlib's defaults and this module's settings, whatever those of the session and of its user."""

    @functools.wraps(draw)
    def drawn(*args, **kwargs):
        with matplotlib.style.context(["default", _RC]):
            return draw(*args, **kwargs)

    return drawn


class NotebookFigure(Figure):
    """A figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        drawn = io.BytesIO()
        styled(self.savefig)(drawn, format="png", dpi=_DPI_OF_SCREENS, metadata={"Software": None})
        return drawn.getvalue()


def new_figure(width: float, height: float, layout: str | None = "constrained") -> Figure:
    """Make a figure without pyplot [inch]."""
    figure = NotebookFigure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def colormap(name: str) -> Colormap:
    """Colours of a map; entries that are missing are grey."""
    return matplotlib.colormaps[name].resampled(LEVELS).with_extremes(bad=MISSING)


def shades(n: int = 256) -> ListedColormap:
    """Colours of an ordered set, from dark to light but never pale."""
    return ListedColormap(matplotlib.colormaps["plasma"](np.linspace(0, 0.85, n)))


def label_log_axis(axis) -> None:
    """Label the decades of a logarithmic axis whose limits are set; where it holds few of them, 2 and 5 between."""
    low, high = np.log10(axis.get_view_interval())
    few = high - low < _FEW_DECADES
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=20))
    if few:
        axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())

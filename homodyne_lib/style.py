"""How figures look: sizes, colours, type; the only home of these."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["CYCLE", "MISSING", "RESIDUAL_LIMIT", "WIDTH", "WIDTH_NARROW", "new_figure", "save_png", "styled"]

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
MISSING = "#d9d9d9"
RESIDUAL_LIMIT = 4.0
"""Residual maps span ± this many standard deviations."""

_DPI = 180
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
}


def styled(draw: Callable) -> Callable:
    """Draw with this module's settings, whatever those of the session."""

    @functools.wraps(draw)
    def drawn(*args, **kwargs):
        with matplotlib.rc_context(_RC):
            return draw(*args, **kwargs)

    return drawn


def new_figure(width: float, height: float, layout: str | None = "constrained") -> Figure:
    """Make a figure without pyplot [inch]."""
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


@styled
def save_png(figure: Figure, path: str | Path) -> None:
    """Write a PNG file; equal figures give equal bytes."""
    figure.savefig(path, format="png", dpi=_DPI, metadata={"Software": None})

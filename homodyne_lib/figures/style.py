"""How figures look: sizes, colours, type; the only home of these."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from pathlib import Path

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from PIL import Image
from scipy.spatial import KDTree

__all__ = [
    "CYCLE",
    "MARKERS",
    "MISSING",
    "RESIDUAL_LIMIT",
    "WIDTH",
    "WIDTH_NARROW",
    "colormap",
    "label_log_axis",
    "new_figure",
    "save",
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

_DPI, _DPI_OF_SCREENS = 180, 110
_FEW_DECADES = 1.7
# Colours of a map. Two maps and the greys of the letters together are at most 256: one byte a pixel in PNG and PDF.
_LEVELS = 105
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
    # TrueType: a journal can edit and search the text.
    "pdf.fonttype": 42,
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
    return matplotlib.colormaps[name].resampled(_LEVELS).with_extremes(bad=MISSING)


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


def _map_colours(figure: Figure) -> np.ndarray | None:
    """All colours of a figure that holds maps, shape (256, 3); None where there is no map."""
    maps = {image.cmap.name: image.cmap for axes in figure.axes for image in axes.images}
    if not maps:
        return None
    bad = np.array([np.nan])
    tones = [colours(part, bytes=True)[:, :3] for colours in maps.values() for part in (np.arange(_LEVELS), bad)]
    greys = np.linspace(0, 255, 256 - (_LEVELS + 1) * len(maps)).round().astype(np.uint8)
    return np.concatenate([*tones, greys[:, None].repeat(3, axis=1)])


def _indexed(image: Image.Image, colours: np.ndarray) -> Image.Image:
    """Give each pixel the nearest colour of a palette, shape (256, 3)."""
    pixels = np.asarray(image, dtype=np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
    found, where = np.unique(pixels, return_inverse=True)
    nearest = KDTree(colours).query(np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1))[1]
    indexed = Image.fromarray(nearest[where].astype(np.uint8).reshape(pixels.shape))
    indexed.putpalette(colours.tobytes())
    return indexed


@styled
def save(figure: Figure, stem: str | Path, vectors: bool = True) -> None:
    """Write a figure as ``stem.png`` and, where asked for, with vectors and embedded fonts as ``stem.pdf``.

    Equal figures give equal bytes. Maps are noisy: the PNG of a figure that holds some has just their colours as its
    palette, which makes it a third as large.
    """
    stem = Path(stem)
    stem.parent.mkdir(exist_ok=True)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=_DPI)
    with Image.open(drawn) as image:
        image = image.convert("RGB")
    colours = _map_colours(figure)
    if colours is not None:
        image = _indexed(image, colours)
    image.save(stem.with_suffix(".png"), optimize=True)
    if not vectors:
        return
    figure.set_layout_engine("none")  # places are found; finding them again takes as long as drawing
    for image in (image for axes in figure.axes for image in axes.images):
        image.set_interpolation("none")  # a pixel of data stays a pixel, however large it is printed
    unset = dict.fromkeys(("CreationDate", "Creator", "Producer"))
    figure.savefig(stem.with_suffix(".pdf"), format="pdf", dpi=2 * _DPI, metadata=unset)

"""Files of a figure: Matplotlib writes it as SVG, typst makes a PDF and pixels of that.

The PDF of Matplotlib itself takes twice as long for the whole figure, as it reads the tables of each font anew.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import typst
from matplotlib.figure import Figure
from page import fonts
from PIL import Image
from scipy.spatial import KDTree

from homodyne_lib.figures.style import LEVELS, styled

__all__ = ["save"]

_DPI = 180
_PAGE = b"""
#set document(date: none)
#set page(width: auto, height: auto, margin: 0pt)
#image(bytes(sys.inputs.svg), format: "svg")
"""


@styled
def save(figure: Figure, stem: str | Path, vectors: bool = True) -> None:
    """Write a figure as ``stem.png`` and, where asked for, with vectors and embedded fonts as ``stem.pdf``.

    Equal figures give equal bytes. Maps are noisy: the PNG of a figure that holds some has just their colours as its
    palette, which makes it a third as large.
    """
    stem, drawn = Path(stem), io.StringIO()
    stem.parent.mkdir(exist_ok=True)
    for image in (image for axes in figure.axes for image in axes.images):
        image.set_interpolation("none")  # a pixel of data stays a pixel, however large it is printed
    figure.savefig(drawn, format="svg")
    page = typst.Compiler(font_paths=fonts(own=False), ignore_system_fonts=True, sys_inputs={"svg": drawn.getvalue()})
    with Image.open(io.BytesIO(page.compile(_PAGE, format="png", ppi=_DPI))) as image:
        image = image.convert("RGB")
    colours = _map_colours(figure)
    if colours is not None:
        image = _indexed(image, colours)
    image.save(stem.with_suffix(".png"))
    if vectors:
        stem.with_suffix(".pdf").write_bytes(page.compile(_PAGE, format="pdf"))


def _map_colours(figure: Figure) -> np.ndarray | None:
    """All colours of a figure that holds maps, shape (256, 3); None where there is no map."""
    maps = {image.cmap.name: image.cmap for axes in figure.axes for image in axes.images}
    if not maps:
        return None
    bad = np.array([np.nan])
    tones = [colours(part, bytes=True)[:, :3] for colours in maps.values() for part in (np.arange(LEVELS), bad)]
    greys = np.linspace(0, 255, 256 - (LEVELS + 1) * len(maps)).round().astype(np.uint8)
    return np.concatenate([*tones, greys[:, None].repeat(3, axis=1)])


def _indexed(image: Image.Image, colours: np.ndarray) -> Image.Image:
    """Give each pixel the nearest colour of a palette, shape (256, 3)."""
    pixels = np.asarray(image, dtype=np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
    found, where = np.unique(pixels, return_inverse=True)
    nearest = KDTree(colours).query(np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1))[1]
    indexed = Image.fromarray(nearest[where].astype(np.uint8).reshape(pixels.shape))
    indexed.putpalette(colours.tobytes())
    return indexed

"""Files of figures: their colours, fonts and sizes."""

import re

import numpy as np
from figure_files import save
from PIL import Image
from report_support import assert_fonts_are_embedded, pdf_text

from homodyne_lib.figures.style import WIDTH, colormap, new_figure, styled


def test_saved_maps_have_exactly_their_colours(tmp_path):
    figure = new_figure(2, 2)
    axes = figure.subplots()
    axes.imshow(np.arange(400.0).reshape(20, 20), cmap=colormap("viridis"))
    save(figure, tmp_path / "map")
    with Image.open(tmp_path / "map.png") as image:
        assert image.mode == "P"
        colours = {tuple(colour) for colour in np.asarray(image.convert("RGB")).reshape(-1, 3)}
    levels = colormap("viridis")(np.arange(105), bytes=True)[:, :3]
    assert {tuple(level) for level in levels} <= colours
    assert (255, 255, 255) in colours


def test_a_pixel_of_a_map_stays_a_pixel(tmp_path):
    """Four entries are four rectangles of one colour each, in pixels and in the PDF, which holds no more than they."""
    figure = new_figure(2, 2, layout=None)
    axes = figure.add_axes([0, 0, 1, 1])
    axes.set_axis_off()
    axes.imshow([[0.0, 1.0], [2.0, 3.0]], cmap=colormap("viridis"))
    save(figure, tmp_path / "map")
    with Image.open(tmp_path / "map.png") as image:
        assert image.size == (360, 360)
        pixels = np.asarray(image.convert("RGB"))
    for rows in (slice(5, 175), slice(185, 355)):
        for columns in (slice(5, 175), slice(185, 355)):
            assert len(np.unique(pixels[rows, columns].reshape(-1, 3), axis=0)) == 1
    assert re.findall(r"/(?:Width|Height) (\d+)", pdf_text((tmp_path / "map.pdf").read_bytes())) == ["2", "2"]


def test_letters_are_text_of_one_family(tmp_path):
    """Greek, accents, signs and formulas: nothing comes from a font that stands in."""

    @styled
    def drawn():
        figure = new_figure(WIDTH, 2)
        axes = figure.subplots()
        axes.set(xlabel=r"$\dot\gamma(t)$ [1/s]", ylabel="D [Å²/s] φ̇ −1 × 10³ χ² ≤ ±", title="q₀ = 0.01 Å⁻¹")
        return figure

    save(drawn(), tmp_path / "a")
    text = pdf_text((tmp_path / "a.pdf").read_bytes())
    assert_fonts_are_embedded(text)
    assert {name.split("+")[1] for name in re.findall(r"/BaseFont\s*/(\S+)", text)} <= {
        "DejaVuSans",
        "DejaVuSans-Oblique",
    }


def test_a_page_alone_needs_no_vectors(tmp_path):
    save(new_figure(1, 1), tmp_path / "b", vectors=False)
    assert [path.name for path in tmp_path.iterdir()] == ["b.png"]

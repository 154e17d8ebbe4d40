"""Markdown to a self-contained page of HTML and to PDF: pandoc for both, typst for the PDF, our templates and style."""

from __future__ import annotations

import functools
import html
import os
import sys
from pathlib import Path

import matplotlib
import pypandoc
import typst

FOLDER = Path(__file__).resolve().parents[1] / "report"
# pandoc of the environment, from its wheel or from conda: pypandoc prefers any newer one of the machine.
_PANDOCS = (Path(pypandoc.__file__).parent / "files" / "pandoc", Path(sys.prefix) / "bin" / "pandoc")
os.environ["PYPANDOC_PANDOC"] = next((str(path) for path in _PANDOCS if path.is_file()), "")
# Raw HTML stays text; quotes and dashes stay as they were written.
_MARKDOWN = "markdown-raw_html-raw_tex-smart"
# Pipe tables wider than 10000 columns would get columns of the widths of their rules.
_OPTIONS = [
    *("--wrap=none", "--columns=10000", f"--lua-filter={FOLDER / 'page.lua'}", "--fail-if-warnings"),
    f"--data-dir={FOLDER}",  # no templates and filters of the user
]


@functools.cache
def fonts(own: bool = True) -> typst.Fonts:
    """Fonts of the packages, on every machine the same: Matplotlib's and, with ``own``, those of typst for pages."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=own, font_paths=[str(folder)])


def render(markdown: str, title: str, images: str | Path = ".", contents: bool = False, sortable: bool = False) -> str:
    """A page of HTML; images without suffix are PNG files, looked up in ``images``; tables may be sorted and searched."""
    options = [
        *_OPTIONS,
        "--standalone",
        f"--template={FOLDER / 'page.html'}",
        f"--variable=style:{(FOLDER / 'page.css').read_text(encoding='utf-8')}",
        f"--variable=pagetitle:{html.escape(title)}",
        f"--resource-path={images}",
        "--default-image-extension=png",
        "--embed-resources",
        "--mathml",
        *(["--toc", "--toc-depth=2"] if contents else []),
        *([f"--variable=script:{(FOLDER / 'table.js').read_text(encoding='utf-8')}"] if sortable else []),
    ]
    return pypandoc.convert_text(markdown, "html5", format=_MARKDOWN, extra_args=options)


def render_pdf(markdown: str, title: str, folder: str | Path) -> bytes:
    """A PDF document; images without suffix are PDF files below ``folder``, where its source is left as report.typ."""
    options = [*_OPTIONS, "--standalone", f"--template={FOLDER / 'page.typ'}", "--default-image-extension=pdf"]
    source = Path(folder) / "report.typ"
    source.write_text(pypandoc.convert_text(markdown, "typst", format=_MARKDOWN, extra_args=options), encoding="utf-8")
    return typst.compile(
        str(source),
        root=str(folder),
        font_paths=fonts(),
        ignore_system_fonts=True,
        sys_inputs={"title": title},
    )

"""Markdown to one self-contained page of HTML: pandoc, formulas as MathML, images embedded, our template and style."""

from __future__ import annotations

import html
from pathlib import Path

import pypandoc

FOLDER = Path(__file__).resolve().parents[1] / "report"
TEMPLATE, STYLE = FOLDER / "page.html", FOLDER / "page.css"
# Raw HTML stays text; quotes and dashes stay as they were written.
_MARKDOWN = "markdown-raw_html-raw_tex-smart"


def render(markdown: str, title: str, images: str | Path = ".") -> str:
    """A page of HTML; image files are looked up in ``images``."""
    options = [
        "--standalone",
        f"--template={TEMPLATE}",
        f"--variable=style:{STYLE.read_text(encoding='utf-8')}",
        f"--variable=pagetitle:{html.escape(title)}",
        f"--resource-path={images}",
        "--embed-resources",
        "--mathml",
        "--wrap=none",
        # Pipe tables wider than this would get columns of the widths of their rules.
        "--columns=10000",
        "--fail-if-warnings",
    ]
    return pypandoc.convert_text(markdown, "html5", format=_MARKDOWN, extra_args=options)

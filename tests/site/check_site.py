"""The site as a reader sees it, from a disk and without a network; `make test-site` builds it before."""

from __future__ import annotations

import re
import time

import pypandoc
import pytest
from browser import browser
from workflow_support import ROOT

SITE = ROOT / "build/site"
# The page that a server shows for a wrong address takes its parts from the server's root.
PAGES = sorted({*SITE.rglob("*.html")} - {SITE / "404.html"})
SOURCES = {
    path: SITE / path.relative_to(ROOT).with_suffix(".html").as_posix().replace("README", "index")
    for folder in (ROOT, ROOT / "config", ROOT / "docs")
    for path in sorted(folder.glob("*.md"))
    if path.name != "CODE_OF_CONDUCT.md"
}


@pytest.mark.parametrize("width", [1280, 400])
def test_every_page_fits_its_window_and_loads_nothing_from_elsewhere(width):
    assert len(PAGES) > 30, "build the site (make docs)"
    with browser() as tab:
        for page in PAGES:
            tab.open(page, width)
            found = tab.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
            assert found[0] <= found[1], f"{page} is wider than {width} px"
            assert not tab.complaints, page
            assert not [address for address in tab.requests if not address.startswith(("file:", "data:"))], page


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_page_has_all_that_a_forge_shows(source):
    """Lists, tables, pictures and numbered equations are counted, as two programs read Markdown differently."""
    text, page = source.read_text(encoding="utf-8"), SOURCES[source].read_text(encoding="utf-8")
    article = re.search(r"<article.*?>(.*)</article>", page, re.DOTALL)[1]
    forge = pypandoc.convert_text(text, "html", format="gfm")
    for tag in ("li", "tr", "img", "blockquote", "strong"):
        assert len(re.findall(f"<{tag}[ >]", article)) == len(re.findall(f"<{tag}[ >]", forge)), tag
    numbers = re.findall(r"\\tag\{(\w+)\}", text)
    assert re.findall(r"</math><span>\((\w+)\)</span>", article) == numbers
    assert ("<math" in article) == bool(re.search(r"\$[^$]+\$", re.sub(r"`[^`]+`", "", text)))


def test_the_search_finds_a_word_from_a_disk():
    with browser() as tab:
        tab.open(SITE / "docs/model.html", 1280)
        tab.evaluate("document.querySelector('#__search').click()")
        tab.evaluate("document.querySelector('.md-search__input').value = 'rheometer'")
        deadline, found = time.monotonic() + 30, 0
        while not found and time.monotonic() < deadline:
            tab.evaluate("document.querySelector('.md-search__input').dispatchEvent(new KeyboardEvent('keyup'))")
            time.sleep(0.2)
            found = tab.evaluate("document.querySelectorAll('.md-search-result__item').length")
        assert found and not tab.complaints

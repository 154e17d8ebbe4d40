"""What MkDocs leaves open: pages from where they are in the repository, formulas as MathML, how to cite."""

from __future__ import annotations

import html
import importlib.util
import os
import re
from pathlib import Path
from posixpath import dirname, join, normpath

from cffconvert import Citation
from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = ROOT / "build/docs"  # with its outputs, by `make docs`
# A forge shows the one, the site the other.
SHOWN_AS = {"tutorial.ipynb": "tutorial.md", "CITATION.cff": "cite.md"}
LINK = re.compile(r"(?<=\]\()([^)#:\s]+)(?=[)#])")
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
FONT = Path(importlib.util.find_spec("ziamath").origin).parent / "fonts/STIXTwoMath-Regular.ttf"
TAG = re.compile(r"\\tag\{(\w+)\}")
# A sign after an opening bracket or a relation is no operation between two terms; a function keeps off its argument.
SIGN = re.compile(r"(<mo[^>]*>&#x0(?:0028|005B|003D|002C|221D);</mo>)<mo>(?=&#x0(?:2212|00B1);)")
FUNCTION = re.compile(r"(<mi>(?:sin|cos|tanh|cosh|exp|ln|log|det|max)</mi>)(?=<m[isu])")
ROLE = re.compile(r":(?:func|class|mod|meth|data|attr):<code>~?((?:\w+\.)*(\w+))</code>")
# The reader of docstrings gives "a, b : int" the default of a twice; the signature above has both.
DEFAULT = re.compile(r",\s*default:\s*<code>.*?</code>\s*(?=\))", re.DOTALL)
NOTHING = re.compile(r'–\s*<div class="doc-md-description">\s*</div>')
# A row of docs/api.md.
PUBLIC = re.compile(r"<td><code>(\w+)</code></td>(\s*)<td><code>([\w.]+)</code></td>")


def on_files(files, config):
    """Add the pages of the navigation and what they link to, under the paths that they have in the repository.

    So a link leads to the same place on a forge and on the site. What is linked and is no page is copied.
    """
    pages = [name for title in config.nav for name in names(title)]
    for name in pages:
        path = ROOT / name
        if path.is_file():
            files.append(File.generated(config, name, abs_src_path=str(path)))
        elif name.startswith("library/"):
            module = name.removesuffix(".md").replace("library/", "homodyne_lib.")
            files.append(
                File.generated(config, name, content=f"---\nsearch: {{boost: 0.5}}\n---\n# {module}\n\n::: {module}\n")
            )
    files.append(File.generated(config, FONT.name, abs_src_path=str(FONT)))
    for path in TUTORIAL.rglob("*.*"):
        files.append(File.generated(config, f"docs/{path.relative_to(TUTORIAL)}", abs_src_path=str(path)))
    linked = {
        normpath(join(dirname(file.src_uri), link))
        for file in files.documentation_pages()
        for link in LINK.findall(file.content_string)
    }
    for name in sorted(linked - {*files.src_uris}):
        if (ROOT / name).is_file() and Path(name).name not in SHOWN_AS:
            files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def names(entry):
    """Files of an entry of the navigation: a name, or titles with entries."""
    if isinstance(entry, str):
        return [entry]
    return [name for part in (entry.values() if isinstance(entry, dict) else entry) for name in names(part)]


def on_page_markdown(text, page, config, files):
    """Lead links to what the site shows; fill in the citation, and the address of the repository where it is known."""
    for theirs, ours in SHOWN_AS.items():
        text = text.replace(f"{theirs})", f"{ours})")
    address = os.environ.get("REPOSITORY")
    text = text.replace("<address of this repository>", address or "<address of this repository>")
    if page.file.src_uri == "cite.md":
        citation = Citation((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
        text = text.replace("{{ citation }}", citation.as_apalike().strip())
        entry = citation.as_bibtex(reference="homodyne_workflow").strip()
        # A name in two pairs of braces is that of a body, and not of a person.
        text = text.replace("{{ bibtex }}", re.sub(r"author = \{(.*)\}", r"author = {{\1}}", entry))
    return text


def on_page_content(content, page, config, files):
    """Formulas become MathML, which needs no script; roles of docstrings, and public names, become links."""
    link = r'<autoref optional identifier="{}"><code>{}</code></autoref>'
    if page.file.src_uri.startswith("library/"):
        return ROLE.sub(link.format(r"\1", r"\2"), NOTHING.sub("", DEFAULT.sub("", content)))
    if page.file.src_uri == "docs/api.md":
        name = link.format(r"homodyne_lib.\3.\1", r"\1")
        return PUBLIC.sub(rf"<td>{name}</td>\2<td><code>\3</code></td>", content)
    return FORMULA.sub(mathml, content)


def mathml(found: re.Match) -> str:
    """One formula, with its number beside it."""
    block, tex = found[1] == "div", html.unescape(found[2])
    # The converter knows rows of formulas by their other name only, and draws a single upright letter slanted.
    known = re.sub(r"\\mathrm\{(\w)\}", r"\\text{\1}", TAG.sub("", tex).replace("{aligned}", "{align*}"))
    shown = convert(known, display="block" if block else "inline")
    if "\\" in shown or ">&<" in shown:
        raise PluginError(
            f"make docs: latex2mathml does not know all of the formula {tex!r}; write it in other commands."
        )
    shown = FUNCTION.sub(r'\1<mspace width=".17em"/>', SIGN.sub(r'\1<mo form="prefix">', shown))
    if not block:
        return shown
    number = TAG.search(tex)
    return f'<div class="formula">{shown}' + (f"<span>({number[1]})</span>" if number else "") + "</div>"

"""How results show themselves: as text where they are printed, as a table of HTML in a notebook."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from html import escape

__all__ = ["Shown", "number"]

_IN_FULL = 1e7  # numbers from here on have a power of ten


def number(value: float | None, digits: int = 5) -> str:
    """Write a number in few digits; a dash where there is none.

    Parameters
    ----------
    value : float or None
    digits : int
        Significant ones.

    Returns
    -------
    str
    """
    if value is None or math.isnan(value):
        return "–"
    text = f"{value:.{digits}g}"
    if "e" in text and 1 <= abs(value) < _IN_FULL:
        text = f"{float(text):.0f}"
    return text.replace("-", "−")


class Shown(ABC):
    """An object that prints as a heading, a table and notes."""

    @abstractmethod
    def _heading(self) -> str:
        """Say in a line what the object is."""

    @abstractmethod
    def _table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """Head and rows of the table."""

    def _notes(self) -> Sequence[str]:
        return ()

    def __repr__(self) -> str:
        head, rows = self._table()
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = (
            "  ".join([cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))])
            for cells in (head, *rows)
        )
        return "\n".join([self._heading(), *(line.rstrip() for line in lines), *self._notes()])

    def _repr_html_(self) -> str:
        head, rows = self._table()
        text = "".join(f"<p>{escape(note)}</p>" for note in self._notes())

        def row(tag: str, cells: Sequence[str]) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        body = "".join(row("td", cells) for cells in rows)
        return f"<p>{escape(self._heading())}</p><table>{row('th', head)}{body}</table>{text}"

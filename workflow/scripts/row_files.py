"""The files of a row of the table: one, or repeats with commas between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def files_of(row: dict[str, Any]) -> list[str]:
    """Files of a row, as the table has them."""
    return _pieces(row["file"]) if "repeats" in row else [row["file"]]


def paths_of(row: dict[str, Any]) -> list[str]:
    """Paths of the files of a row."""
    return [row["path"], *row.get("repeats", [])]


def paths_from(table: str, cell: str) -> dict[str, Any]:
    """``path`` of the file of a row, and ``repeats``, those of further ones; a name with commas may be one of a file."""
    folder, pieces = Path(table).parent, _pieces(cell)
    if len(pieces) < 2 or (folder / cell).is_file():
        return {"path": str(folder / cell)}
    first, *others = (str(folder / piece) for piece in pieces)
    return {"path": first, "repeats": others}


def _pieces(text: str) -> list[str]:
    return [piece.strip() for piece in text.split(",") if piece.strip()]

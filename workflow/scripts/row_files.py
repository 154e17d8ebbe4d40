"""The files of a row of the table: one, or repeats with commas between them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def files_of(row: dict[str, Any]) -> list[str]:
    """Files of a row, as the table has them."""
    return pieces(row["file"]) if "repeats" in row else [row["file"]]


def paths_of(row: dict[str, Any]) -> list[str]:
    """Paths of the files of a row."""
    return [row["path"], *row.get("repeats", [])]


def paths_from(table: str, cell: str) -> dict[str, Any]:
    """``path`` of the file of a row, and ``repeats``, those of further ones; a name with commas may be one of a file."""
    folder, names = Path(table).parent, pieces(cell)
    if len(names) < 2 or os.path.isfile(folder / cell):  # unlike Path's, it takes names of any length
        return {"path": str(folder / cell)}
    first, *others = (str(folder / name) for name in names)
    return {"path": first, "repeats": others}


def pieces(text: str) -> list[str]:
    """File names of a cell with commas between them; a comma at the end adds none."""
    return [piece.strip() for piece in text.split(",") if piece.strip()]

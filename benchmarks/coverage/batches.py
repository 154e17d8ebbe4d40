"""What studies share whose replicas are jobs: a batch of them in a file, or the page of all batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from homodyne_lib.io.files import read_json, write_json, write_text

__all__ = ["write_batch_or_page"]


def write_batch_or_page(replica: Callable[..., Any], page: Callable[[list[Any]], str], what: str, *arguments) -> None:
    """Write a batch (``replicas FIRST N OUTPUT …``), or the page of all (``summary FOLDER OUTPUT``).

    Parameters
    ----------
    replica : callable
        Takes a seed, and the arguments after the output.
    page : callable
        Makes Markdown of all replicas.
    what : {"replicas", "summary"}
    *arguments : str
    """
    if what == "replicas":
        first, n, output, *more = arguments
        first, n = int(first), int(n)
        write_json(output, {"replicas": [replica(seed, *more) for seed in range(first, first + n)]})
    else:
        folder, output = arguments
        files = sorted(Path(folder).rglob("*.json"))
        write_text(output, page([replica for file in files for replica in read_json(file)["replicas"]]))

"""The log of a job: who writes it, and what its lines say to the one who watches the run."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from report_text.wording import one_line

__all__ = ["ASIDE", "ERROR", "RESULT", "WARNING", "Log", "lines_of", "said_by_terminal"]

ERROR, WARNING, RESULT = "Error: ", "Warning: ", "Result: "
"""How lines begin that end a job, that change what one does, and that say in a few words what came out."""
ASIDE = ("JAX: ", "Work: ")
"""How lines begin that are for those who ask what a job costs."""
_WATCHED = "HOMODYNE_JOBS_ARE_WATCHED"


def said_by_terminal() -> None:
    """Let the jobs of this run write their logs alone; the terminal of the run reads them."""
    os.environ[_WATCHED] = "1"


def lines_of(path: str | os.PathLike, kind: str) -> list[str]:
    """What a log says after a certain beginning; nothing where there is no log yet."""
    try:
        # A full disk may have cut a letter.
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line.removeprefix(kind) for line in text.splitlines() if line.startswith(kind)]


class Log:
    """Lines for the job's log and, under the job's name, for standard error if no terminal reads the logs of this run.

    Where no log can be written, standard error has them. What is not printable is written out.
    """

    def __init__(self, path: str, name: str):
        self.path, self.name, self.watched = Path(path), name, _WATCHED in os.environ
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text("", encoding="utf-8")
        except OSError:
            self.watched = False

    def write(self, text: str) -> None:
        """A line for the log alone."""
        with suppress(OSError), self.path.open("a", encoding="utf-8") as stream:
            print(one_line(text), file=stream)

    def __call__(self, text: str) -> None:
        self.write(text)
        if not self.watched:
            print(one_line(f"[{self.name}] {text}"), file=sys.stderr, flush=True)

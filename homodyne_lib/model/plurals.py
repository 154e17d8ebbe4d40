"""Numbers of things in sentences."""

from __future__ import annotations

__all__ = ["plural"]


def plural(number: int, one: str, more: str | None = None) -> str:
    """Write a number with the things that it counts: "1 angle", "3 angles".

    Parameters
    ----------
    number : int
    one : str
        Name of one of them.
    more : str, optional
        Name of several; that of one with an s if not given.

    Returns
    -------
    str
    """
    return f"{number} {one if number == 1 else more or one + 's'}"

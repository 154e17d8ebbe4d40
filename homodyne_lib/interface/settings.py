"""Types of what the functions of the interface take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

__all__ = ["Convention", "Correction", "Progress", "silent"]

Progress = Callable[[str], None]
"""What is told, sentence by sentence, how far a function is; ``print`` is one."""
Convention = Literal["spec", "published"]
"""Shear conventions."""
Correction = Literal["basic", "statistical", "interpolation"]
"""Ways to replace a diagonal."""


def silent(text: str) -> None:
    """Tell nobody."""

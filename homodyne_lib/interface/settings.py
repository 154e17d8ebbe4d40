"""Types of what the functions of the interface take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

__all__ = ["Convention", "Correction", "Estimator", "Progress", "Uncertainty", "check_choice", "silent"]

Progress = Callable[[str], None]
"""What is told, sentence by sentence, how far a function is; ``print`` is one."""
Convention = Literal["spec", "published"]
"""Shear conventions."""
Correction = Literal["basic", "statistical", "interpolation"]
"""Ways to replace a diagonal."""
Uncertainty = Literal["speckle", "independent"]
"""Noise behind the errors."""
Estimator = Literal["speckle", "least_squares"]
"""How pairs of frames weigh."""


def check_choice(name: str, value: object, kind: Any) -> None:
    """Refuse what is none of the choices of a setting.

    Parameters
    ----------
    name : str
        Of the setting.
    value : object
    kind : type
        A ``Literal``.

    Raises
    ------
    ValueError
        With the choices.
    """
    if value not in get_args(kind):
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(get_args(kind))}.")


def silent(text: str) -> None:
    """Tell nobody."""

"""Types of what the functions of the interface take, and checks of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal, get_args

import numpy as np

from homodyne_lib.io.wavevectors import numbers_of
from homodyne_lib.model.parameters import PARAMETERS, POWER_OF_Q, unit_to_check
from homodyne_lib.results.fits import Fit, FitInput

__all__ = [
    "Convention",
    "Correction",
    "Estimator",
    "Progress",
    "Uncertainty",
    "check_choice",
    "check_geometry",
    "check_kind",
    "check_number",
    "check_pairs",
    "check_power",
    "check_shards",
    "check_values",
    "check_whole",
    "made_from",
    "silent",
]

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


def check_kind(name: str, value: Any, kind: type, maker: str) -> None:
    """Refuse what is not of a class; ``maker`` is the function that returns it."""
    if not isinstance(value, kind):
        raise ValueError(
            f"{name} is of the type {type(value).__name__}; give a {kind.__name__}, as {maker} returns it."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def check_whole(least: int, **values: Any) -> None:
    """Refuse what is no whole number, or too small."""
    for name, value in values.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} is {value!r}; give a whole number of at least {least}.")


def check_number(low: float, high: float, **values: Any) -> None:
    """Refuse what is no finite number between two others."""
    for name, value in values.items():
        if not (_is_number(value) and low < value < high):
            between = f"above {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
            raise ValueError(f"{name} is {value!r}; give a number {between}.")


def check_power(q_exponent: Any) -> None:
    """Refuse a power of q that is not free and outside the parameter table."""
    power = PARAMETERS[POWER_OF_Q]
    if q_exponent not in ("free", power.lower, power.upper):
        check_number(power.lower, power.upper, q_exponent=q_exponent)


def check_shards(shards: Any, min_good_shards: Any) -> None:
    """Refuse a number of shards that is none, and a share of them that is none."""
    if shards != "auto":
        check_whole(1, shards=shards)
    if min_good_shards != 1:
        check_number(0.0, 1.0, min_good_shards=min_good_shards)


def check_values(**values: Mapping[str, Any] | None) -> None:
    """Refuse values by name that are no finite numbers, or no pairs of them if they are called bounds."""
    for name, given in values.items():
        if given is not None and not isinstance(given, Mapping):
            raise ValueError(f"{name} is {given!r}; give values by name, such as {{'D0': 1000.0}}.")
        for key, value in (given or {}).items():
            if not (_is_pair(value) if name == "bounds" else _is_number(value)):
                wanted = "a pair of numbers" if name == "bounds" else "a finite number"
                raise ValueError(f"{name} has {value!r} for {key}; give {wanted}.")


def _is_pair(value: Any) -> bool:
    return _is_list(value) and len(value) == 2 and all(map(_is_number, value))


def _is_list(value: Any) -> bool:
    return isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str) and np.shape(value)[:1] != ()


def check_pairs(**values: Any) -> None:
    """Refuse what is no list of pairs of numbers."""
    for name, value in values.items():
        if not (_is_list(value) and all(map(_is_pair, value))):
            raise ValueError(f"{name} is {value!r}; give a list of pairs of numbers, such as [(3, 5)].")


def check_geometry(q: Any, dt: Any, stator_rotor_gap: Any, *, ranges: bool = True) -> None:
    """Refuse wavevectors, a time step or a gap that are no positive numbers, or numbers in another unit.

    Parameters
    ----------
    q : float or sequence of float or (float, float)
        [1/Å]
    dt : float
        [s]
    stator_rotor_gap : float or None
        [Å]
    ranges : bool
        Whether q may be chosen by a range.

    Raises
    ------
    ValueError
    """
    each = [*q] if _is_list(q) else [q]
    if not each or not all((_is_number(one) and one > 0) or (_is_pair(one) and 0 < one[0] < one[1]) for one in each):
        raise ValueError(f"q is {q!r}; give a number above 0 [1/Å], or a list of numbers and of ranges (low, high).")
    if not ranges and not all(map(_is_number, each)):
        raise ValueError(f"q is {q!r}; there is no q to choose from: give numbers, not a range.")
    check_number(0.0, math.inf, dt=dt)
    values = [("q", "q", one) for one in numbers_of(q)] + [("dt", "dt", dt)]
    if stator_rotor_gap is not None:
        check_number(0.0, math.inf, stator_rotor_gap=stator_rotor_gap)
        values.append(("L", "stator_rotor_gap", stator_rotor_gap))
    for quantity, name, value in values:
        if (found := unit_to_check(quantity, value, name)) and found[0]:
            raise ValueError(found[1])


def made_from(fit: Fit) -> FitInput:
    """What a fit was made of.

    Raises
    ------
    ValueError
        If the fit was read from a file.
    """
    check_kind("fit", fit, Fit, "homodyne_lib.fit")
    if fit.made_from is None:
        raise ValueError("a fit that was read from a file has no data; fit the data again with homodyne_lib.fit.")
    return fit.made_from


def silent(text: str) -> None:
    """Tell nobody."""

"""Units that files name, in all their spellings, and what they are in those of a record."""

from __future__ import annotations

import unicodedata

import numpy as np

from homodyne_lib.io.input_files import InputError

__all__ = ["factor_of", "is_unit_of", "plain_unit"]

# Spellings of units, as `factor_of` reduces them -> factor to those of a record.
_UNITS = {
    "q": dict.fromkeys(("1/å", "å-1", "1/a", "a-1", "1/angstrom", "angstrom-1"), 1.0)
    | dict.fromkeys(("1/nm", "nm-1"), 0.1)
    | dict.fromkeys(("1/m", "m-1"), 1e-10),
    "phi": dict.fromkeys(("deg", "degree", "degrees", "°"), 1.0)
    | dict.fromkeys(("rad", "radian", "radians"), 180 / np.pi),
    "frame_time": dict.fromkeys(("s", "sec", "second", "seconds"), 1.0)
    | {"ms": 1e-3}
    | dict.fromkeys(("us", "\N{GREEK SMALL LETTER MU}s"), 1e-6),
    "shear_rate": dict.fromkeys(("1/s", "s-1", "1/sec"), 1.0) | dict.fromkeys(("1/min", "min-1"), 1 / 60),
    "shear_stress": {"pa": 1.0, "n/m2": 1.0, "kpa": 1e3},  # mPa and MPa are spelt alike here
}
_KNOWN_UNITS = {
    "q": "1/Å, 1/nm or 1/m",
    "phi": "deg or rad",
    "frame_time": "s, ms or µs",
    "shear_rate": "1/s",
    "shear_stress": "Pa",
}


def plain_unit(unit: str) -> str:
    """A unit in one spelling: lower case, without spaces, superscripts, the sign of the ångström and other markup."""
    plain = unicodedata.normalize("NFKC", "".join(unit.split())).lower()
    return plain.translate(str.maketrans("\N{MINUS SIGN}", "-", "^*{}$"))


def is_unit_of(quantity: str, unit: str) -> bool:
    """Whether a unit is one that :func:`factor_of` knows for a quantity."""
    return plain_unit(unit) in _UNITS[quantity]


def factor_of(quantity: str, unit: str) -> float:
    """Factor from a unit to that of a record: 1/Å for ``q``, degrees for ``phi``, s, 1/s, Pa; 1 where the file names none.

    Raises
    ------
    InputError
        When the unit is not known.
    """
    spelt = plain_unit(unit)
    if not spelt:
        return 1.0
    if not is_unit_of(quantity, unit):
        raise InputError(f"{quantity} has the unit {unit!r}, which is unknown; known are {_KNOWN_UNITS[quantity]}.")
    return _UNITS[quantity][spelt]

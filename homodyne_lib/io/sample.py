"""What a file knows of its sample beside c2: its name, its temperature, and what a rheometer does to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from homodyne_lib.io.input_files import InputError

__all__ = ["SAMPLE_NUMBERS", "Sample", "agreed", "common_sample"]

SAMPLE_NUMBERS: Mapping[str, tuple[str, str]] = {
    "temperature": ("temperature", "K"),
    "shear_rate": ("rheometer_shear_rate", "1/s"),
    "shear_stress": ("rheometer_shear_stress", "Pa"),
}
"""Number of a :class:`Sample` -> its name in the canonical file and in summary.csv, and its unit."""

_SAME_TEMPERATURE = 0.5  # [K]; thermometers that differ by more are not all at the sample
_SAME = 0.01  # relative difference of two numbers of a rheometer up to which they are one


@dataclass(frozen=True)
class Sample:
    """State of a sample, as the file of its measurement states it; None for what it does not state with a unit.

    Parameters
    ----------
    name : str or None
    temperature : float or None
        [K]
    shear_rate : float or None
        Of a rheometer; its set value where the file has both [1/s].
    shear_stress : float or None
        Of a rheometer [Pa].

    Raises
    ------
    InputError
        When a number is not positive and finite.
    """

    name: str | None = None
    temperature: float | None = None
    shear_rate: float | None = None
    shear_stress: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that no sample has."""
        for field, (name, unit) in SAMPLE_NUMBERS.items():
            value = getattr(self, field)
            if value is not None and not 0 < value < np.inf:
                raise InputError(f"{name} must be positive and finite; it is {value} {unit}.")

    @property
    def in_words(self) -> str:
        """All that is known, in a list; empty where nothing is."""
        numbers = {
            "temperature": self.temperature,
            "shear rate of the rheometer": self.shear_rate,
            "shear stress of the rheometer": self.shear_stress,
        }
        units = [unit for _, unit in SAMPLE_NUMBERS.values()]
        known = [
            f"{words} {value:.5g} {unit}"
            for (words, value), unit in zip(numbers.items(), units, strict=True)
            if value is not None
        ]
        return ", ".join([*([f"name {self.name}"] if self.name else []), *known])


def agreed(field: str, values: Sequence[float | None]) -> float | None:
    """The mean of numbers that are the same up to their scatter; None where they differ, or one is unknown.

    Parameters
    ----------
    field : str
        One of ``SAMPLE_NUMBERS``; temperatures may differ by 0.5 K, others by 1 %.
    values : sequence of float or None

    Returns
    -------
    float or None
    """
    if not values or any(value is None for value in values):
        return None
    tolerance = _SAME_TEMPERATURE if field == "temperature" else _SAME * max(values)
    return float(np.mean(values)) if np.ptp(values) <= tolerance else None


def common_sample(samples: Sequence[Sample]) -> Sample:
    """What several files state alike of their sample; what differs between them is none of the record that they make."""
    names = {sample.name for sample in samples}
    numbers = {field: agreed(field, [getattr(sample, field) for sample in samples]) for field in SAMPLE_NUMBERS}
    return Sample(name=names.pop() if len(names) == 1 else None, **numbers)

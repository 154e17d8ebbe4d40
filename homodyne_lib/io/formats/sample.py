"""What a file states of its sample: name, temperature and rheometer, as written there, and as numbers with units.

Writers fill what they do not know with templates, and name units that are not those of their numbers. What is doubtful stays
a text, which only `make inspect` shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from homodyne_lib.io.formats.units import factor_of, plain_unit
from homodyne_lib.io.hdf5 import (
    Dataset,
    File,
    Group,
    InputError,
    get_dataset,
    holds,
    list_names,
    read_attributes,
    read_texts,
)
from homodyne_lib.io.sample import Sample, agreed

__all__ = ["read_sample", "sample_texts"]

# Groups in which the facilities keep the state of the sample, and words of the names that matter there.
_GROUPS = ("entry/sample", "measurement/sample", "entry_0000/sample", "entry_0000/parameters")
_WORDS = ("temperature", "rheometer", "shear", "strain", "stress", "torque")
_NAMES = ("name", "sample_name", "short_description")
# Names that writers put where nobody gave one, in lower case and without the signs between words.
_PLACEHOLDERS = {
    *("", "none", "null", "na", "unknown", "default", "name", "sample", "samplename", "test"),
    *("shortsampledescription", "fullsampledescription", "johndoe"),
}
_STAMP = re.compile(r"xpcs_\d{8}_\d{6}")  # an identifier of APS that stands for no name
_LONGEST_NAME = 200  # characters; more is a text about the sample

_KELVIN_AT_ZERO = {"k": 0.0, "kelvin": 0.0} | dict.fromkeys(("c", "°c", "degc", "celsius", "degreecelsius"), 273.15)
_TEMPLATES = (0.0, 1.0)  # temperatures of the templates of APS, whatever their unit
# Below, °C were called K, as the writer of APS 8-ID does with all temperatures; above, the number is none of a sample.
_TEMPERATURES = (150.0, 1000.0)  # [K]


@dataclass(frozen=True)
class _Entry:
    """One finite number of a group: its name there, its unit and its description, both perhaps empty."""

    name: str
    number: float
    unit: str
    description: str

    @property
    def words(self) -> list[str]:
        """Parts of the name, in lower case."""
        return re.split(r"[^a-z0-9]+", self.name.lower())

    @property
    def is_set(self) -> bool:
        """Whether it is what an instrument was asked for, not what it read."""
        return any(word in ("set", "setpoint") for word in self.words)


def sample_texts(file: File) -> dict[str, str]:
    """Temperature and rheometer values of a file, by their names there, each with its unit where the file has one.

    Parameters
    ----------
    file : h5py.File

    Returns
    -------
    dict of str to str
        Empty where the file has none.
    """
    return {entry.name: f"{entry.number:g} {entry.unit}".strip() for entry in _entries(file)}


def read_sample(file: File) -> Sample:
    """What a file states of its sample in units that are certain.

    Left out are numbers without a unit, 0 (and a temperature of 1) of templates, temperatures outside 150 to 1000 K, and
    what a file states twice with different numbers.

    Parameters
    ----------
    file : h5py.File

    Returns
    -------
    Sample
    """
    entries = list(_entries(file))
    read = [entry for entry in entries if "temperature" in entry.name.lower() and not entry.is_set]
    # In a rheometer its own thermometer is at the sample, and a stage beside it is not.
    temperatures = [
        [kelvin for entry in read if (kelvin := _kelvin(entry)) and ("rheometer" in entry.name.lower()) == own]
        for own in (True, False)
    ]
    return Sample(
        name=_name(file),
        temperature=agreed("temperature", temperatures[0] or temperatures[1]),
        shear_rate=_of_rheometer(entries, "shear_rate", "rate"),
        shear_stress=_of_rheometer(entries, "shear_stress", "stress"),
    )


def _entries(file: File) -> Iterator[_Entry]:
    """The numbers of all groups whose names matter; the last of a name counts."""
    for group in _GROUPS:
        for name in _names(file, group):
            path = f"{group}/{name}"
            if any(word in name.lower() for word in _WORDS) and holds(file, path, refuse=False):
                number = _number(file, path)
                if np.isfinite(number):
                    attributes = read_attributes(file, path)
                    unit = attributes.get("units", attributes.get("unit", ""))
                    yield _Entry(name, number, _text(unit), _text(attributes.get("description", "")))


def _names(file: File, group: str) -> list[str]:
    """Names in a group; none where there is no group."""
    is_group = holds(file, group, refuse=False) and isinstance(file[group], Group)
    return list_names(file, group) if is_group else []


def _number(file: File, path: str) -> float:
    """The one number at a path; NaN for anything else."""
    try:
        entry = get_dataset(file, path)
    except InputError:
        return np.nan
    return float(np.ravel(entry[()])[0]) if entry.size == 1 else np.nan


def _text(value: object) -> str:
    """An attribute as text."""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _name(file: File) -> str | None:
    """The first name of the sample that is no placeholder."""
    for path in (f"{group}/{name}" for group in _GROUPS for name in _NAMES):
        if not holds(file, path, refuse=False) or not isinstance(file[path], Dataset) or file[path].size != 1:
            continue
        try:
            text = " ".join(read_texts(file, path)[0].split())
        except InputError:
            continue
        plain = re.sub(r"[^\w]|_", "", text.lower())
        if plain not in _PLACEHOLDERS and not _STAMP.fullmatch(text) and len(text) <= _LONGEST_NAME:
            return text
    return None


def _kelvin(entry: _Entry) -> float | None:
    """A temperature [K]; None where its unit is unknown or the number is a template."""
    # APS 8-ID describes its temperatures as being in Celsius, and calls their unit K.
    unit = "celsius" if "celsius" in entry.description.lower() else plain_unit(entry.unit)
    if unit not in _KELVIN_AT_ZERO or entry.number in _TEMPLATES:
        return None
    kelvin = entry.number + _KELVIN_AT_ZERO[unit]
    return kelvin if _TEMPERATURES[0] <= kelvin <= _TEMPERATURES[1] else None


def _of_rheometer(entries: list[_Entry], quantity: str, word: str) -> float | None:
    """A rate or a stress, in the unit of the record: what was set, or where nothing was, what was read."""
    known: dict[bool, list[float]] = {True: [], False: []}
    for entry in entries:
        if word in entry.words and ("shear" in entry.words or "rheometer" in entry.words) and plain_unit(entry.unit):
            try:
                value = abs(entry.number) * factor_of(quantity, entry.unit)
            except InputError:
                continue
            if value:
                known[entry.is_set].append(value)
    return agreed(quantity, known[True] or known[False])

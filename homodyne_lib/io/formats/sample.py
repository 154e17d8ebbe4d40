"""Temperature and rheometer values of the sample in a file."""

from __future__ import annotations

import numpy as np

from homodyne_lib.io.hdf5 import File, Group, InputError, get_dataset, holds, list_names, read_attributes

__all__ = ["sample_values"]

# Groups in which the facilities keep the state of the sample, and words of the names that matter there.
_GROUPS = ("entry/sample", "measurement/sample", "entry_0000/sample", "entry_0000/parameters")
_WORDS = ("temperature", "rheometer", "shear", "strain", "stress", "torque")


def sample_values(file: File) -> dict[str, str]:
    """Temperature and rheometer values of a file, by their names there, each with its unit where the file has one.

    Parameters
    ----------
    file : h5py.File

    Returns
    -------
    dict of str to str
        Empty where the file has none.
    """
    values = {}
    for group in _GROUPS:
        is_group = holds(file, group, refuse=False) and isinstance(file[group], Group)
        for name in list_names(file, group) if is_group else ():
            path = f"{group}/{name}"
            if any(word in name.lower() for word in _WORDS) and holds(file, path, refuse=False):
                text = _value(file, path)
                values |= {name: text} if text else {}
    return values


def _value(file: File, path: str) -> str:
    """One finite number with its unit; empty for anything else."""
    try:
        entry = get_dataset(file, path)
    except InputError:
        return ""
    number = np.ravel(entry[()])[0] if entry.size == 1 else np.nan
    attributes = read_attributes(file, path)
    unit = attributes.get("units", attributes.get("unit", ""))
    unit = " ".join(map(str, unit)) if isinstance(unit, list) else unit
    return f"{number:g} {unit}".strip() if np.isfinite(number) else ""

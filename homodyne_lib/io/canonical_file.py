"""The canonical HDF5 file, which keeps a record of two-time correlations.

The file is flat: each field of :class:`~homodyne_lib.io.correlations.Correlations` is a data set of that name, with its
``unit`` as an attribute; texts are attributes of the root. What is known of the sample stands beside them, and nothing stands
for what is not known. Equal records give equal bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from homodyne_lib.io.correlations import SCALARS, Correlations, refuse_contradictions
from homodyne_lib.io.hdf5 import File, InputError, get_dataset, open_hdf5, read_attributes
from homodyne_lib.io.hdf5_writing import create_hdf5, write_attribute, write_dataset
from homodyne_lib.io.sample import SAMPLE_NUMBERS, Sample

__all__ = [
    "CANONICAL",
    "CANONICAL_OPTIONAL",
    "open_correlations",
    "read_correlations",
    "read_header",
    "write_correlations",
]

# Data set of the canonical file (and field of the record) -> unit.
CANONICAL = {
    "c2": "1",
    "raw_diagonal": "1",
    "phi": "deg",
    "q": "1/Å",
    "repeat": "1",
    "dt": SCALARS["dt"],
    "frames": "1",
    "stator_rotor_gap": SCALARS["stator_rotor_gap"],
    "sigma": "1",
    "pixels": "1",
}
# Absent from the file where the record holds None; version 1 has no repeats.
CANONICAL_OPTIONAL = ("stator_rotor_gap", "sigma", "pixels", "repeat")
_TEXTS = ("source", "source_sha256")  # root attributes, as the notes are
# Root attribute "layout". In version 1 q is one number for all bins, of one file.
_LAYOUT = "homodyne two-time correlations, version 2"
_LAYOUT_1 = "homodyne two-time correlations, version 1"


def write_correlations(path: str | os.PathLike, correlations: Correlations) -> None:
    """Write the canonical file, replacing an older one only when the new one is complete.

    A chunk is one row of one matrix, so that a strided band of rows costs only its own share of reading.

    Parameters
    ----------
    path : path-like
        File to write; its folder must exist.
    correlations : Correlations
        Record to write.
    """
    with create_hdf5(path) as file:
        for name, unit in CANONICAL.items():
            value = getattr(correlations, name)
            if value is None:
                continue
            # Noise packs to four fifths at best, and every stage would wait for it.
            chunks = {"chunks": (1, 1, value.shape[-1])} if name == "c2" else {}
            write_dataset(file, name, value, unit, **chunks)
        _write_sample(file, correlations.sample)
        texts = {name: getattr(correlations, name) for name in _TEXTS}
        for name, value in ({"layout": _LAYOUT} | texts | {"notes": list(correlations.notes)}).items():
            write_attribute(file, name, value)


def _write_sample(file: File, sample: Sample) -> None:
    """Write the numbers that are known of a sample, and its name as the root attribute ``sample``."""
    for field, (name, unit) in SAMPLE_NUMBERS.items():
        if (value := getattr(sample, field)) is not None:
            write_dataset(file, name, value, unit)
    if sample.name is not None:
        write_attribute(file, "sample", sample.name)


def _read_sample(file: File) -> Sample:
    """What :func:`_write_sample` wrote; files from before it state nothing."""
    known = {field: float(_one_number(file, name)) for field, (name, _) in SAMPLE_NUMBERS.items() if name in file}
    name = read_attributes(file, "/").get("sample")
    return Sample(name=name if name is None else str(name), **known)


def _one_number(file: File, name: str) -> np.number:
    """A data set that is one number.

    Raises
    ------
    InputError
        When it is several.
    """
    value = get_dataset(file, name)[()]
    if np.ndim(value):
        raise InputError(f"{name} has the shape {np.shape(value)}, but it must be one number; write the file again.")
    return value


def read_header(file: File) -> dict[str, object]:
    """Every field of an open canonical file but `c2`, by the names of the record.

    Raises
    ------
    InputError
        When the file is not a canonical file or lacks a data set.
    """
    attributes = read_attributes(file, "/")
    layout = attributes.get("layout")
    if layout not in (_LAYOUT, _LAYOUT_1):
        raise InputError(
            f"this is not a canonical two-time file (its attribute 'layout' is {layout!r}, not {_LAYOUT!r}); "
            "read it with read_two_time and write it with write_correlations first."
        )
    missing = [name for name in CANONICAL if name not in file and name not in CANONICAL_OPTIONAL]
    if missing:
        raise InputError(f"the canonical file lacks {', '.join(missing)}; write it again.")
    header = dict.fromkeys(CANONICAL_OPTIONAL)
    for name in CANONICAL:
        if name in file and name != "c2":
            header[name] = float(_one_number(file, name)) if name in SCALARS else get_dataset(file, name)[()]
    n_bins = np.size(header["phi"])
    if header["repeat"] is None:
        header["repeat"] = np.zeros(n_bins, dtype=np.int64)
    if layout == _LAYOUT_1:
        header["q"] = np.full(n_bins, header["q"])
    refuse_contradictions(header, get_dataset(file, "c2").shape)
    header.update({name: attributes[name] for name in _TEXTS})
    return header | {"notes": tuple(attributes["notes"]), "sample": _read_sample(file)}


def read_correlations(path: str | os.PathLike) -> Correlations:
    """Read a canonical file whole.

    Parameters
    ----------
    path : path-like
        File made by :func:`write_correlations`.

    Returns
    -------
    Correlations
        The record, equal to the one that was written.

    Raises
    ------
    InputError
        When the file cannot be read or is not a canonical file.
    """
    with open_correlations(path) as record:
        return replace(record, c2=record.c2[()])


@contextmanager
def open_correlations(path: str | os.PathLike) -> Iterator[Correlations]:
    """Open a canonical file whose c2 stays on disk: what is read of it is in memory no longer than it is used.

    Parameters
    ----------
    path : path-like
        File made by :func:`write_correlations`.

    Yields
    ------
    Correlations
        As of :func:`read_correlations`, with a data set of HDF5 in the place of c2.

    Raises
    ------
    InputError
        When the file cannot be read or is not a canonical file.
    """
    with open_hdf5(path) as file:
        header = read_header(file)
        yield Correlations(c2=get_dataset(file, "c2"), **header)

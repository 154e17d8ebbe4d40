"""All layouts, and how that of a file is found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from homodyne_lib.io.formats import (
    aps_legacy,
    aps_u,
    canonical,
    esrf_dynamix,
    esrf_id02,
    matlab,
    numpy_array,
    nxxpcs,
    pychx,
    scikit_beam,
    xpcs_correlator,
)
from homodyne_lib.io.formats.catalogue import Catalogue
from homodyne_lib.io.formats.sample import read_sample, sample_texts
from homodyne_lib.io.hdf5 import File, holds, list_names, open_hdf5
from homodyne_lib.io.input_files import InputError, name_faults, read_start

__all__ = ["FORMATS", "open_catalogue"]

# In the order in which `auto` tries them.
_LAYOUTS = {
    module.LAYOUT.name: module.LAYOUT
    for module in (
        *(aps_legacy, aps_u, canonical, esrf_id02, esrf_dynamix, pychx, nxxpcs),
        *(xpcs_correlator, scikit_beam, matlab),
    )
}
_PLAIN_FILES = {module.PLAIN_FILE.name: module.PLAIN_FILE for module in (numpy_array, matlab)}
_SIMULATION = "speckle-sim"  # written as aps-legacy by the workflow itself
FORMATS = ("auto", *dict.fromkeys([*_LAYOUTS, *_PLAIN_FILES]), _SIMULATION)
_MOST_OBJECTS = 1000  # of an unknown file that are inspected
_SHOWN = 6  # arrays of an unknown file that an error lists


@contextmanager
def open_catalogue(path: str | os.PathLike, format: str) -> Iterator[Catalogue]:
    """Open a file, find its layout and list its bins.

    Parameters
    ----------
    path : path-like
        File to read.
    format : str
        One of `FORMATS`; ``auto`` is the layout whose keys are all there, ``speckle-sim`` is ``aps-legacy``.

    Yields
    ------
    Catalogue
        At least one bin; its matrices can be read while the file is open.

    Raises
    ------
    InputError
        When the format is unknown, the file cannot be read, its keys are missing, or its lists contradict each other.
    """
    with name_faults(path):
        if format not in FORMATS:
            raise InputError(f"the format {format!r} is unknown; choose one of {', '.join(FORMATS)}.")
        start = read_start(path, max(len(plain.start) for plain in _PLAIN_FILES.values()))
        plain = next((plain for plain in _PLAIN_FILES.values() if start.startswith(plain.start)), None)
        if plain is not None:
            if format not in ("auto", plain.name):
                raise InputError(f"no two-time data of the format {format}; the file has the layout {plain.name}.")
            yield replace(plain.catalogue(path), layout=plain.name)
            return
    with open_hdf5(path) as file:
        yield _catalogue(file, format)


def _catalogue(file: File, format: str) -> Catalogue:
    fitting = [
        layout.name for layout in _LAYOUTS.values() if all(holds(file, key, refuse=False) for key in layout.keys)
    ]
    asked = "aps-legacy" if format == _SIMULATION else format
    if format == "auto" and fitting:
        asked = fitting[0]
    if asked not in fitting:
        for layout in _LAYOUTS.values():
            for key in layout.keys:
                holds(file, key)  # raises where a link into another file is the reason
        raise InputError(f"{_looked_for(file, format, asked)}; the file {_content(file, fitting)}.")
    catalogue = _LAYOUTS[asked].catalogue(file)
    if not catalogue.matrices:
        raise InputError(f"the file has the layout {asked} but no two-time matrix; process it in two-time mode.")
    # A canonical file has its sample in a place of its own.
    sample = read_sample(file) if catalogue.header is None else catalogue.sample
    return replace(catalogue, layout=asked, sample=sample, stated=sample_texts(file))


def _looked_for(file: File, format: str, asked: str) -> str:
    """What is missing: any of the layouts, or keys of the one that was asked for."""
    if format == "auto":
        return f"no two-time data of a layout that is known ({', '.join(_LAYOUTS)})"
    missing = [key for key in _LAYOUTS[asked].keys if not holds(file, key)] if asked in _LAYOUTS else []
    return f"no two-time data of the format {format}" + (f" (without {', '.join(missing)})" if missing else "")


def _content(file: File, fitting: list[str]) -> str:
    """What the file has instead: another layout, or arrays of unknown meaning, and how to use them."""
    if fitting:
        return f"has the layout {fitting[0]}"
    if not len(file):
        return "holds nothing"
    arrays = [f"{path} {shape}" for path, shape in _arrays(file).items()]
    if not arrays:
        return f"holds {', '.join(list_names(file, '/')) or 'nothing'}, and no array that could be c2"
    shown = "; ".join(arrays[:_SHOWN]) + ("; …" if len(arrays) > _SHOWN else "")
    return f"holds the arrays {shown}. If c2 is among them, homodyne_lib.write_c2 makes a file of it that can be read"


def _arrays(file: File) -> dict[str, tuple[int, ...]]:
    """Paths and shapes of data sets with two equal axes, which may be two-time matrices; links are not followed."""
    arrays: dict[str, tuple[int, ...]] = {}
    paths = []

    def look(path: str, item: object) -> bool | None:
        paths.append(path)
        shape = getattr(item, "shape", None) or ()
        if len(shape) in (2, 3) and shape[0] > 1 and len(set(shape)) < len(shape):
            arrays[path] = shape
        return True if len(paths) == _MOST_OBJECTS else None

    file.visititems(look)
    return arrays

"""Safe reading of HDF5 files: only what is stored in the file itself. Only this module and hdf5_writing import h5py."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager

import hdf5plugin  # noqa: F401  (registers bitshuffle, LZ4, Blosc, Zstd and others with HDF5)
import numpy as np
from h5py import Dataset, ExternalLink, File, Group, SoftLink, h5o, h5z, is_hdf5

from homodyne_lib.io.input_files import InputError, name_faults, read_start

__all__ = [
    "Dataset",
    "File",
    "Group",
    "InputError",
    "get_dataset",
    "holds",
    "list_names",
    "object_address",
    "open_hdf5",
    "read_attributes",
    "read_numbers",
    "read_texts",
]

_MOST_NUMBERS = 50_000_000  # of a list or a pixel map; ten times a detector, so that more means a damaged header
_MOST_LINKS = 16  # length of a chain of soft links, as in HDF5 itself


@contextmanager
def open_hdf5(path: str | os.PathLike) -> Iterator[File]:
    """Open a file for reading; errors about the file or its content begin with its name.

    Parameters
    ----------
    path : path-like
        File to read.

    Yields
    ------
    h5py.File
        The open file.

    Raises
    ------
    InputError
        When the file cannot be read, is not HDF5, is damaged, or the block raises an InputError.
    """
    with name_faults(path):
        read_start(path, 1)
        if not is_hdf5(path):
            raise InputError("this is not an HDF5 file; give the file of the two-time analysis.")
        try:
            with File(path, "r") as file:
                yield file
        # What h5py raises on damaged bytes, the last on those of a name.
        except (OSError, RuntimeError, KeyError, UnicodeDecodeError) as error:
            raise InputError(_fault(str(error.args[-1]))) from None


def _fault(message: str) -> str:
    """Explain an error message of HDF5, and say what to do."""
    if "h5clear" in message or "unable to lock file" in message:
        return (
            "the file is marked as open for writing: its writer still works, or ended without closing it. Wait for its "
            "end; if there is no writer any more, clear the mark with `h5clear -s` on the file."
        )
    sizes = re.search(r"truncated file: eof = (\d+).*stored_eof = (\d+)", message)
    if sizes:
        return f"the file is truncated: it has {sizes[1]} of its {sizes[2]} bytes; copy it again."
    return f"the HDF5 file is damaged ({message}); copy it again."


def _trace(file: File, path: str, budget: int = _MOST_LINKS) -> tuple[bool, tuple[str, ExternalLink] | None]:
    """Whether `path` leads to something in this file; if an external link is on the way, its path and the link."""
    group = file
    steps = [step for step in path.split("/") if step]
    for k, step in enumerate(steps):
        link = group.get(step, getlink=True) if isinstance(group, Group) else None
        if isinstance(link, ExternalLink):
            return False, (posixpath.join(group.name, step).lstrip("/"), link)
        if isinstance(link, SoftLink) and budget:
            return _trace(file, posixpath.join(group.name, link.path, *steps[k + 1 :]), budget - 1)
        if link is None or isinstance(link, SoftLink):
            return False, None
        group = group[step]
    return True, None


def holds(file: File, path: str, *, refuse: bool = True) -> bool:
    """Whether `path` exists in this file itself.

    Raises
    ------
    InputError
        When `path` leads into another file, which could change while this one stays the same, unless `refuse` is false. The
        error names the link, the file it leads to, and the way to put all data into one file.
    """
    present, external = _trace(file, path)
    if external is not None and refuse:
        name, link = external
        raise InputError(
            f"{name} is a link into another file, {link.filename}, and the data of a measurement must be in one file; "
            f"copy what it leads to into this file's place (with h5py: del target[{name!r}]; "
            f"target.copy(source[{link.path!r}], {name!r}))."
        )
    return present


def _at(file: File, path: str) -> Dataset | Group:
    """Find the object at `path` in this file."""
    if not holds(file, path):
        raise InputError(f"{path} is missing; the layout of the file is not as expected.")
    return file[path]


def _refuse_foreign_storage(dataset: Dataset, path: str) -> None:
    """Refuse values that are in another file, were never written, or need a filter that is not installed."""
    if dataset.is_virtual:
        sources = ", ".join(sorted({source.file_name for source in dataset.virtual_sources()}))
        raise InputError(
            f"{path} is a virtual data set, made of the files {sources}, and the data of a measurement must be in one "
            "file; copy its values into a new one (with h5py: target[name] = source[name][()])."
        )
    if dataset.external:
        raise InputError(
            f"the values of {path} stand outside of the file, in {dataset.external[0][0]}, and the data of a "
            "measurement must be in one file; copy them into a new one (with h5py: target[name] = source[name][()])."
        )
    if dataset.id.get_storage_size() == 0:
        raise InputError(
            f"{path} is declared with the shape {dataset.shape}, but no value was ever written; process the data again."
        )
    plist = dataset.id.get_create_plist()
    for number, _, _, name in (plist.get_filter(k) for k in range(plist.get_nfilters())):
        if not h5z.filter_avail(number):
            name = name.decode(errors="replace").partition(":")[0] or "without a name"
            raise InputError(
                f"{path} is packed with the HDF5 filter {number} ({name}), which is not installed here; where it is, "
                "unpack the file with `h5repack -f NONE packed.h5 unpacked.h5`."
            )


def _kind(dataset: Dataset) -> str:
    """NumPy's letter for the kind of the values; a question mark where a damaged header names an unknown type."""
    try:
        return dataset.dtype.kind
    except (TypeError, ValueError):
        return "?"


def get_dataset(file: File, path: str) -> Dataset:
    """Find the data set of real numbers at `path`, without reading it.

    Raises
    ------
    InputError
        When `path` is something else, or its values are in another file, were never written, or need an unknown filter.
    """
    dataset = _at(file, path)
    if not isinstance(dataset, Dataset) or _kind(dataset) not in "iufb" or not dataset.size:
        raise InputError(f"{path} is not a data set with real numbers; the layout of the file is not as expected.")
    _refuse_foreign_storage(dataset, path)
    return dataset


def object_address(file: File, path: str) -> int:
    """Address of the data set at `path`, equal for all names of one data set."""
    return h5o.get_info(get_dataset(file, path).id).addr


def list_names(file: File, path: str) -> list[str]:
    """Sorted names in the group at `path`.

    Raises
    ------
    InputError
        When `path` is something else.
    """
    if not isinstance(_at(file, path), Group):
        raise InputError(f"{path} is not a group of data sets; the layout of the file is not as expected.")
    names = list(file[path])
    if not all(isinstance(name, str) for name in names):  # h5py gives bytes where they are no UTF-8
        raise InputError(f"{path} holds a name that is no text; the file is damaged.")
    return sorted(names)


def read_numbers(file: File, path: str) -> np.ndarray:
    """Read a list or a scalar, stored as (N,), (1, N), () or (1, 1), as a flat float64 array."""
    dataset = get_dataset(file, path)
    if dataset.size > _MOST_NUMBERS:
        raise InputError(f"{path} is said to hold {dataset.size} numbers; the layout of the file is not as expected.")
    return np.ravel(dataset[()]).astype(np.float64)


def read_texts(file: File, path: str) -> list[str]:
    """Read a text or a list of them, of fixed or of any length.

    Raises
    ------
    InputError
        When `path` is something else.
    """
    dataset = _at(file, path)
    if not isinstance(dataset, Dataset) or _kind(dataset) not in "OSU":
        raise InputError(f"{path} is not a data set with texts; the layout of the file is not as expected.")
    return [str(_decoded(value)) for value in np.ravel(dataset[()])]


def read_attributes(file: File, path: str) -> dict[str, object]:
    """Attributes of the object at `path`, texts as str; empty where there is no object.

    Raises
    ------
    InputError
        When a damaged header names a type that does not exist.
    """
    if not holds(file, path):
        return {}
    try:
        return {name: _decoded(value) for name, value in _at(file, path).attrs.items()}
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the attributes of {path} cannot be read ({error}); the file is damaged, copy it again."
        ) from None


def _decoded(value: object) -> object:
    """Bytes, or an array of them, as text; anything else unchanged."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "SO":
        return [_decoded(item) for item in value.ravel()]
    return value.decode(errors="replace") if isinstance(value, bytes) else value

"""The list of bins that every layout of two-time files gives: one matrix a bin, with its q and angle, not read yet."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from homodyne_lib.io.hdf5 import File, InputError, get_dataset, holds, list_names, object_address, read_numbers
from homodyne_lib.io.sample import Sample

__all__ = [
    "Catalogue",
    "Layout",
    "Matrix",
    "PlainFile",
    "StoredMatrix",
    "numbered_names",
    "raise_baseline",
    "refuse_unnamed",
    "stated_frame_time",
    "stated_number",
]


class Matrix(Protocol):
    """A two-time matrix in a file, not read yet.

    Attributes
    ----------
    name : str
        Its place in the file, for errors.
    shape : tuple of int
        (n_t, n_t), if the file is correct.
    dtype : numpy.dtype
    place : tuple
        Equal for all names of one matrix.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    place: tuple[object, ...]

    def read(self, window: slice) -> np.ndarray:
        """Rows and columns of a window of frames, as stored."""


@dataclass(frozen=True)
class StoredMatrix:
    """A matrix that an HDF5 data set holds, alone or in a stack; attributes as of :class:`Matrix`.

    Parameters
    ----------
    file : h5py.File
    name : str
        Path of the data set.
    before, after : tuple of int
        Indices on the axes before and after those of the two times.
    """

    file: File
    name: str
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the two axes of time."""
        shape = get_dataset(self.file, self.name).shape
        return shape[len(self.before) : len(shape) - len(self.after)]

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""
        return get_dataset(self.file, self.name).dtype

    @property
    def place(self) -> tuple[object, ...]:
        """Address of the data set, and indices in it."""
        return (object_address(self.file, self.name), self.before, self.after)

    def read(self, window: slice) -> np.ndarray:
        """Rows and columns of a window of frames, shape (n, n)."""
        return get_dataset(self.file, self.name)[(*self.before, window, window, *self.after)]


@dataclass(frozen=True)
class Catalogue:
    """The bins of a file; no matrix is read yet.

    Parameters
    ----------
    matrices : sequence of Matrix
        Length n_bins.
    q : numpy.ndarray or None
        Wavevector of each bin, shape (n_bins,); None for the one matrix of a file that does not state it [1/Å].
    phi : numpy.ndarray
        Angle of each bin, counter-clockwise as the detector is looked at with row 0 on top, shape (n_bins,) [deg].
    frame_time : float or None
        Time between rows of a matrix [s], where the file states it.
    header : mapping, optional
        All fields of the record but c2, where the file is canonical.
    notes : tuple of str
        Sentences that a reader of the results should know.
    pixels : numpy.ndarray, optional
        Number of detector pixels in each bin, shape (n_bins,), int64, where the file holds a map of its bins.
    undirected : numpy.ndarray, optional
        Which bins have no direction, being whole rings or of a direction that the file does not state, boolean, shape
        (n_bins,). Their phi is 0 and means nothing.
    layout : str
        Name of the layout, once it is known.
    sample : Sample
        What the file states of its sample, with units.
    stated : mapping of str to str
        Temperature and rheometer values of the file, as it names and writes them.
    """

    matrices: Sequence[Matrix]
    q: np.ndarray | None
    phi: np.ndarray
    frame_time: float | None
    header: Mapping[str, object] | None = None
    notes: tuple[str, ...] = ()
    pixels: np.ndarray | None = None
    undirected: np.ndarray | None = None
    layout: str = ""
    sample: Sample = field(default_factory=Sample)
    stated: Mapping[str, str] = field(default_factory=dict)

    def at(self, wavevector_q: float) -> Catalogue:
        """The catalogue with the configured wavevector [1/Å], and a note, where the file states none."""
        if self.q is not None:
            return self
        note = f"The file does not state its wavevector; q = {wavevector_q:g} 1/Å was used as configured."
        return replace(self, q=np.full(len(self.matrices), wavevector_q), notes=(*self.notes, note))


@dataclass(frozen=True)
class Layout:
    """A layout of HDF5 files.

    Parameters
    ----------
    name : str
        As the table of datasets has it.
    keys : tuple of str
        Paths by which it is known: a file that holds them all has this layout.
    catalogue : callable
        From an open file to its :class:`Catalogue`; raises InputError where its lists contradict each other.
    """

    name: str
    keys: tuple[str, ...]
    catalogue: Callable[[File], Catalogue]


@dataclass(frozen=True)
class PlainFile:
    """A layout of files that are not HDF5.

    Parameters
    ----------
    name : str
        As the table of datasets has it.
    start : bytes
        With which every such file begins.
    catalogue : callable
        From a path to its :class:`Catalogue`; raises InputError where the file cannot be used.
    """

    name: str
    start: bytes
    catalogue: Callable[[str | os.PathLike], Catalogue]


def raise_baseline(block: np.ndarray) -> np.ndarray:
    """Give c2 where c2 - 1 is stored; a half without values stays empty, and a frame without any has none.

    Parameters
    ----------
    block : numpy.ndarray
        Shape (n, n).

    Returns
    -------
    numpy.ndarray
        Shape (n, n).
    """
    full = block + np.ones((), dtype=np.result_type(block.dtype, np.float32))
    # A lost frame is 0 throughout, which as a correlation of 1 would count as data.
    beside = block.astype(bool) & ~np.eye(len(block), dtype=bool)
    lost = ~(beside.any(axis=0) | beside.any(axis=1))
    full[lost] = full[:, lost] = np.nan
    if not np.tril(block, -1).any():
        return np.triu(full)
    return full if np.triu(block, 1).any() else np.tril(full)


def refuse_unnamed(n_matrices: int, what: str) -> None:
    """Refuse a file of several matrices that states no q and no angle, because the matrices cannot be told apart.

    Raises
    ------
    InputError
        The error says how to write a file with q and angles.
    """
    if n_matrices != 1:
        raise InputError(
            f"{what} holds {n_matrices} matrices, and the file states neither q nor angle of any; write them "
            "with their q and angles by homodyne_lib.write_c2(path, c2, phi=…, q=…, dt=…), and give that file."
        )


def numbered_names(file: File, path: str, stem: str, example: str) -> dict[int, str]:
    """Names in a group by the number at their end, in the order of the numbers.

    Parameters
    ----------
    file : h5py.File
    path : str
        Of the group.
    stem : str
        Regular expression of what stands before the number.
    example : str
        Such a name, for messages.

    Raises
    ------
    InputError
        When a name has no number, or two have the same.
    """
    names: dict[int, str] = {}
    for name in list_names(file, path):
        number = re.fullmatch(f"{stem}([0-9]{{1,18}})", name)
        if number is None:
            raise InputError(f"{path}/{name} is not named as {example} is, so that its bin is unknown; rename it.")
        twin = names.setdefault(int(number[1]), name)
        if twin != name:
            raise InputError(
                f"{path} holds {twin} and {name}, which have the same number, so that it is unknown which of the two "
                "belongs to the bin; remove one."
            )
    return dict(sorted(names.items()))


def stated_number(file: File, path: str) -> float | None:
    """The number at a path; None where there is none, or one that is not positive and finite."""
    value = float(read_numbers(file, path)[0]) if holds(file, path) else np.nan
    return value if 0 < value < np.inf else None


def stated_frame_time(file: File, layout: Mapping[str, str]) -> float | None:
    """Frame time x stride x average [s]; None where the file has no sensible one.

    Parameters
    ----------
    file : h5py.File
    layout : mapping
        Paths of ``frame_time`` [s], ``stride`` and ``average``.
    """
    if not holds(file, layout["frame_time"]):
        return None
    steps = [read_numbers(file, layout[key])[0] for key in ("stride", "average") if holds(file, layout[key])]
    stated = read_numbers(file, layout["frame_time"])[0] * np.prod(steps)
    return float(stated) if 0 < stated < np.inf else None

"""The record of two-time correlations, and the canonical HDF5 file that keeps it.

The canonical file is flat: each field of :class:`Correlations` is a data set of that name, with its ``unit`` as an attribute;
texts are attributes of the root. Equal records give equal bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from homodyne_lib.io.hdf5 import File, InputError, get_dataset, open_hdf5, read_attributes
from homodyne_lib.io.hdf5_writing import create_hdf5, write_attribute, write_dataset
from homodyne_lib.model.bins import Bins
from homodyne_lib.model.frames import frame_offsets

__all__ = [
    "CANONICAL",
    "CANONICAL_OPTIONAL",
    "Correlations",
    "InputError",
    "RowBand",
    "open_correlations",
    "q_in_words",
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
    "dt": "s",
    "frames": "1",
    "stator_rotor_gap": "Å",
    "sigma": "1",
    "pixels": "1",
}
# Absent from the file where the record holds None; version 1 has no repeats.
CANONICAL_OPTIONAL = ("stator_rotor_gap", "sigma", "pixels", "repeat")
_SCALARS = ("dt", "stator_rotor_gap")
# What a band of rows has in common with its record.
_OF_BAND = ("phi", "q", "repeat", "dt", "frames", "stator_rotor_gap", "sigma")
_TEXTS = ("source", "source_sha256")  # root attributes, as the notes are
# Root attribute "layout". In version 1 q is one number for all bins, of one file.
_LAYOUT = "homodyne two-time correlations, version 2"
_LAYOUT_1 = "homodyne two-time correlations, version 1"


@dataclass(frozen=True, eq=False, repr=False)
class Correlations:
    """Two-time correlations of one sample: matrices of bins, at one wavevector or several, of one file or of repeats.

    Bins are in the order of :class:`~homodyne_lib.model.bins.Bins`.

    Parameters
    ----------
    c2 : numpy.ndarray
        Full symmetric matrices of the frames that exist, shape (n_bins, n_t, n_t), float32 or float64 as in the
        source [1].
    raw_diagonal : numpy.ndarray
        Diagonals as read, before any correction, shape (n_bins, n_t); NaN at a bin whose diagonal was empty [1].
    phi : numpy.ndarray
        Angles, ascending in (-180, 180] within a group, shape (n_bins,) [deg].
    q : numpy.ndarray or float
        Wavevectors, shape (n_bins,); a number serves for all bins [1/Å].
    dt : float
        Time between consecutive frames [s].
    frames : numpy.ndarray
        1-based frame numbers of the source, shape (n_t,), int64; they rise strictly, with gaps where frames are missing.
        Row k of `c2` is taken at the time ``(frames[k] - frames[0]) * dt``.
    stator_rotor_gap : float or None
        Gap L of the shear cell; None where nothing is sheared [Å].
    sigma : numpy.ndarray or None
        Noise of one entry of `c2`, shape (n_bins,); None until estimated [1].
    source, source_sha256 : str
        Base name and SHA-256 of the file the record was read from; those of repeats are joined by commas.
    notes : tuple of str
        Sentences that a reader of the results should know.
    pixels : numpy.ndarray or None
        Number of detector pixels in each bin, shape (n_bins,), int64; None where the source does not state it.
    repeat : numpy.ndarray or int
        Number of the file of each bin, from 0, shape (n_bins,), int64; a number serves for all bins.

    Raises
    ------
    InputError
        When shapes disagree, angles or frames are out of order, or a number is not positive and finite.
    """

    c2: np.ndarray
    raw_diagonal: np.ndarray
    phi: np.ndarray
    q: np.ndarray
    dt: float
    frames: np.ndarray
    stator_rotor_gap: float | None
    sigma: np.ndarray | None
    source: str
    source_sha256: str
    notes: tuple[str, ...] = ()
    pixels: np.ndarray | None = None
    repeat: np.ndarray = field(default_factory=lambda: np.zeros((), dtype=np.int64))

    def __post_init__(self) -> None:
        """Give q and the repeat to each bin, and refuse a record that contradicts itself."""
        _one_a_bin(self)
        _refuse_contradictions(vars(self), np.shape(self.c2))

    def __repr__(self) -> str:
        size = f"{self.bins.in_words} × {len(self.frames)} frames"
        return f"Correlations: {size} at {q_in_words(self.bins)}, dt = {self.dt:.6g} s, from {self.source}"

    @property
    def bins(self) -> Bins:
        """Repeat, q and angle of each matrix."""
        return Bins(self.repeat, self.q, self.phi)

    @property
    def offsets(self) -> np.ndarray:
        """Place of each row on the time axis [frame intervals], shape (n_t,)."""
        return frame_offsets(self.frames)

    @property
    def rows(self) -> np.ndarray:
        """0-based row indices, shape (n_t,)."""
        return np.arange(len(self.frames))

    def band(self, rows: slice) -> RowBand:
        """Rows of every matrix; of a record whose c2 is on disk they alone are read.

        Parameters
        ----------
        rows : slice

        Returns
        -------
        RowBand

        Raises
        ------
        InputError
            When there are none of these rows, or they do not ascend.
        """
        n_t = len(self.frames)
        start, stop, step = rows.indices(n_t)
        if step < 1 or start >= stop:
            raise InputError(f"{rows} selects none of the {n_t} rows in ascending order; give a slice within them.")
        same = {name: getattr(self, name) for name in _OF_BAND}
        c2 = np.ascontiguousarray(self.c2[:, start:stop:step, :])
        return RowBand(rows=np.arange(start, stop, step, dtype=np.int64), c2=c2, **same)


def _one_a_bin(record: Correlations | RowBand) -> None:
    """Give a number of q, or of the repeat, that stands for all bins to each of them."""
    shape = np.shape(record.phi)
    for name, kind in (("q", float), ("repeat", np.int64)):
        value = np.asarray(getattr(record, name), dtype=kind)
        # A field of a frozen class is set once, here.
        object.__setattr__(record, name, value if value.ndim else np.full(shape, value))


def q_in_words(bins: Bins) -> str:
    """The wavevector, or those of several rings."""
    rings = bins.rings
    if rings.size == 1:
        return f"q = {rings[0]:.5g} 1/Å"
    return f"{rings.size} q from {rings[0]:.5g} to {rings[-1]:.5g} 1/Å"


def _refuse_contradictions(fields: Mapping[str, object], c2_shape: tuple[int, ...]) -> None:
    """Refuse fields of a record that contradict each other, or are impossible."""
    n_bins, n_t = np.size(fields["phi"]), np.size(fields["frames"])
    shapes = {name: (n_bins,) for name in ("phi", "sigma", "pixels")} | {"frames": (n_t,), "raw_diagonal": (n_bins, n_t)}
    shapes |= {name: (n_bins,) for name in ("q", "repeat")}
    given = {name: np.shape(fields[name]) for name in shapes if fields[name] is not None} | {"c2": c2_shape}
    for name, shape in (shapes | {"c2": (n_bins, n_t, n_t)}).items():
        if given.get(name, shape) != shape:
            raise InputError(f"{name} has shape {given[name]}, but {n_bins} angles and {n_t} frames need {shape}.")
    frames = np.asarray(fields["frames"])
    if refusal := Bins(*(np.asarray(fields[name]) for name in ("repeat", "q", "phi"))).refusal():
        raise InputError(refusal)
    if frames.dtype.kind not in "iu":
        raise InputError(f"frames must be whole numbers; they are of the type {frames.dtype}, and begin {frames[:3]}.")
    falls = np.flatnonzero(frames[1:] <= frames[:-1])
    if falls.size:
        raise InputError(f"frames must be numbers that rise; {frames[falls[0] + 1]} follows {frames[falls[0]]}.")
    for name in _SCALARS:
        value = fields[name]
        if value is not None and not 0 < value < np.inf:
            raise InputError(f"{name} must be positive and finite; it is {value} {CANONICAL[name]}.")


@dataclass(frozen=True, eq=False)
class RowBand:
    """Some rows of every matrix of a record, with what is needed to model them.

    Parameters
    ----------
    rows : numpy.ndarray
        0-based row indices, shape (n_rows,), int64; row i is frame ``frames[i]``.
    c2 : numpy.ndarray
        ``c2[:, rows, :]`` of the record, shape (n_bins, n_rows, n_t) [1].
    phi, q, dt, frames, stator_rotor_gap, sigma, repeat
        As in :class:`Correlations`.
    """

    rows: np.ndarray
    c2: np.ndarray
    phi: np.ndarray
    q: np.ndarray
    dt: float
    frames: np.ndarray
    stator_rotor_gap: float | None
    sigma: np.ndarray | None
    repeat: np.ndarray = field(default_factory=lambda: np.zeros((), dtype=np.int64))

    def __post_init__(self) -> None:
        """Give q and the repeat to each bin."""
        _one_a_bin(self)

    @property
    def bins(self) -> Bins:
        """Repeat, q and angle of each matrix."""
        return Bins(self.repeat, self.q, self.phi)

    @property
    def offsets(self) -> np.ndarray:
        """Place of each column on the time axis [frame intervals], shape (n_t,)."""
        return frame_offsets(self.frames)

    def band(self, rows: slice) -> RowBand:
        """Some of these rows."""
        return replace(self, rows=self.rows[rows], c2=self.c2[:, rows])


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
        texts = {name: getattr(correlations, name) for name in _TEXTS}
        for name, value in ({"layout": _LAYOUT} | texts | {"notes": list(correlations.notes)}).items():
            write_attribute(file, name, value)


def read_header(file: File) -> dict[str, object]:
    """Every field of an open canonical file but `c2`, by the names of :class:`Correlations`.

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
            value = get_dataset(file, name)[()]
            if name in _SCALARS and np.ndim(value):
                raise InputError(
                    f"{name} has the shape {np.shape(value)}, but it must be one number; write the file again."
                )
            header[name] = float(value) if name in _SCALARS else value
    n_bins = np.size(header["phi"])
    if header["repeat"] is None:
        header["repeat"] = np.zeros(n_bins, dtype=np.int64)
    if layout == _LAYOUT_1:
        header["q"] = np.full(n_bins, header["q"])
    _refuse_contradictions(header, get_dataset(file, "c2").shape)
    header.update({name: attributes[name] for name in _TEXTS})
    return header | {"notes": tuple(attributes["notes"])}


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

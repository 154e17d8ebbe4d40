"""The record of two-time correlations, and the canonical HDF5 file that keeps it.

The canonical file is flat: each field of :class:`Correlations` is a data set of that name, with its ``unit`` as an attribute;
texts are attributes of the root. Equal records give equal bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from homodyne_lib.io.hdf5 import File, InputError, get_dataset, open_hdf5, read_attributes
from homodyne_lib.io.hdf5_writing import GZIP, create_hdf5, write_attribute, write_dataset
from homodyne_lib.model.frames import frame_offsets

__all__ = [
    "CANONICAL",
    "CANONICAL_OPTIONAL",
    "Correlations",
    "InputError",
    "RowBand",
    "read_correlations",
    "read_header",
    "read_rows",
    "write_correlations",
]

# Data set of the canonical file (and field of the record) -> unit.
CANONICAL = {
    "c2": "1",
    "raw_diagonal": "1",
    "phi": "deg",
    "q": "1/Å",
    "dt": "s",
    "frames": "1",
    "stator_rotor_gap": "Å",
    "sigma": "1",
    "pixels": "1",
}
CANONICAL_OPTIONAL = ("stator_rotor_gap", "sigma", "pixels")  # absent from the file where the record holds None
_SCALARS = ("q", "dt", "stator_rotor_gap")
_TEXTS = ("source", "source_sha256")  # root attributes, as the notes are
_LAYOUT = "homodyne two-time correlations, version 1"  # root attribute "layout"


@dataclass(frozen=True, eq=False, repr=False)
class Correlations:
    """Two-time correlations of one measurement at one wavevector.

    Parameters
    ----------
    c2 : numpy.ndarray
        Full symmetric matrices of the frames that exist, shape (n_phi, n_t, n_t), float32 or float64 as in the
        source [1].
    raw_diagonal : numpy.ndarray
        Diagonals as read, before any correction, shape (n_phi, n_t); NaN at an angle whose diagonal was empty [1].
    phi : numpy.ndarray
        Angles, ascending in (-180, 180], shape (n_phi,) [deg].
    q : float
        Wavevector [1/Å].
    dt : float
        Time between consecutive frames [s].
    frames : numpy.ndarray
        1-based frame numbers of the source, shape (n_t,), int64; they rise strictly, with gaps where frames are missing.
        Row k of `c2` is taken at the time ``(frames[k] - frames[0]) * dt``.
    stator_rotor_gap : float or None
        Gap L of the shear cell; None where nothing is sheared [Å].
    sigma : numpy.ndarray or None
        Noise of one entry of `c2`, shape (n_phi,); None until estimated [1].
    source, source_sha256 : str
        Base name and SHA-256 of the file the record was read from.
    notes : tuple of str
        Sentences that a reader of the results should know.
    pixels : numpy.ndarray or None
        Number of detector pixels in each bin, shape (n_phi,), int64; None where the source does not state it.

    Raises
    ------
    InputError
        When shapes disagree, angles or frames are out of order, or a number is not positive and finite.
    """

    c2: np.ndarray
    raw_diagonal: np.ndarray
    phi: np.ndarray
    q: float
    dt: float
    frames: np.ndarray
    stator_rotor_gap: float | None
    sigma: np.ndarray | None
    source: str
    source_sha256: str
    notes: tuple[str, ...] = ()
    pixels: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Refuse a record that contradicts itself."""
        _refuse_contradictions(vars(self), np.shape(self.c2))

    def __repr__(self) -> str:
        size = f"{len(self.phi)} angles × {len(self.frames)} frames"
        return f"Correlations: {size} at q = {self.q:.5g} 1/Å, dt = {self.dt:.6g} s, from {self.source}"

    @property
    def offsets(self) -> np.ndarray:
        """Place of each row on the time axis [frame intervals], shape (n_t,)."""
        return frame_offsets(self.frames)

    def band(self, rows: slice) -> RowBand:
        """Rows of every matrix, as :func:`read_rows` reads them from the record's file.

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
        return _band(vars(self), rows, lambda chosen: np.ascontiguousarray(self.c2[:, chosen, :]))


def _band(fields: Mapping[str, object], rows: slice, read: Callable[[slice], np.ndarray]) -> RowBand:
    """Rows of matrices that ``read`` gives, with the fields of their record."""
    n_t = len(fields["frames"])
    start, stop, step = rows.indices(n_t)
    if step < 1 or start >= stop:
        raise InputError(f"{rows} selects none of the {n_t} rows in ascending order; give a slice within them.")
    names = ("phi", "q", "dt", "frames", "stator_rotor_gap", "sigma")
    indices = np.arange(start, stop, step, dtype=np.int64)
    return RowBand(rows=indices, c2=read(slice(start, stop, step)), **{name: fields[name] for name in names})


def _refuse_contradictions(fields: Mapping[str, object], c2_shape: tuple[int, ...]) -> None:
    """Refuse fields of a record that contradict each other, or are impossible."""
    n_phi, n_t = np.size(fields["phi"]), np.size(fields["frames"])
    shapes = {name: (n_phi,) for name in ("phi", "sigma", "pixels")} | {"frames": (n_t,), "raw_diagonal": (n_phi, n_t)}
    given = {name: np.shape(fields[name]) for name in shapes if fields[name] is not None} | {"c2": c2_shape}
    for name, shape in (shapes | {"c2": (n_phi, n_t, n_t)}).items():
        if given.get(name, shape) != shape:
            raise InputError(f"{name} has shape {given[name]}, but {n_phi} angles and {n_t} frames need {shape}.")
    phi, frames = np.asarray(fields["phi"]), np.asarray(fields["frames"])
    if not (np.all(np.diff(phi) > 0) and np.all((phi > -180) & (phi <= 180))):
        raise InputError(f"phi must ascend within (-180, 180] deg; it is {phi}.")
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
        ``c2[:, rows, :]`` of the record, shape (n_phi, n_rows, n_t) [1].
    phi, q, dt, frames, stator_rotor_gap, sigma
        As in :class:`Correlations`.
    """

    rows: np.ndarray
    c2: np.ndarray
    phi: np.ndarray
    q: float
    dt: float
    frames: np.ndarray
    stator_rotor_gap: float | None
    sigma: np.ndarray | None

    @property
    def offsets(self) -> np.ndarray:
        """Place of each column on the time axis [frame intervals], shape (n_t,)."""
        return frame_offsets(self.frames)


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
            chunks = {"chunks": (1, 1, value.shape[-1]), **GZIP} if name == "c2" else {}
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
    if layout != _LAYOUT:
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
    with open_hdf5(path) as file:
        header = read_header(file)
        return Correlations(c2=get_dataset(file, "c2")[()], **header)


def read_rows(path: str | os.PathLike, rows: slice) -> RowBand:
    """Read a band of rows of every matrix of a canonical file, as one hyperslab.

    Parameters
    ----------
    path : path-like
        File made by :func:`write_correlations`.
    rows : slice
        Rows to read, with a positive step: ``slice(k, None, K)`` is shard k of K.

    Returns
    -------
    RowBand
        The rows and their metadata.

    Raises
    ------
    InputError
        When the file cannot be read, is not a canonical file, or has none of these rows.
    """
    with open_hdf5(path) as file:
        return _band(read_header(file), rows, lambda chosen: get_dataset(file, "c2")[:, chosen, :])

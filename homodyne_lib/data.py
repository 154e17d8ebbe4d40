"""The record of two-time correlations, and the canonical HDF5 file that keeps it.

The canonical file is flat: a field of :class:`Correlations` is the data set of that name, its ``unit`` an
attribute; what is text is an attribute of the root.  Equal records give equal bytes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from homodyne_lib.hdf5 import GZIP, File, InputError, create_hdf5, get_dataset, open_hdf5, write_dataset

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
}
CANONICAL_OPTIONAL = ("stator_rotor_gap", "sigma")  # absent from the file where the record holds None
_SCALARS = ("q", "dt", "stator_rotor_gap")
_LAYOUT = "homodyne two-time correlations, version 1"  # root attribute "layout"


@dataclass(frozen=True, eq=False)
class Correlations:
    """Two-time correlations of one measurement at one wavevector.

    Parameters
    ----------
    c2 : numpy.ndarray
        Full symmetric matrices, shape (n_phi, n_t, n_t), float32 or float64 as in the source [1].
    raw_diagonal : numpy.ndarray
        Diagonals as read, before any correction, shape (n_phi, n_t) [1].
    phi : numpy.ndarray
        Angles, ascending in (-180, 180], shape (n_phi,) [deg].
    q : float
        Wavevector [1/Å].
    dt : float
        Time between neighbouring rows of `c2` [s].
    frames : numpy.ndarray
        Consecutive 1-based frame numbers of the source, shape (n_t,), int64.
    stator_rotor_gap : float or None
        Gap L of the shear cell; None where nothing is sheared [Å].
    sigma : numpy.ndarray or None
        Noise of one entry of `c2`, shape (n_phi,); None until estimated [1].
    source, source_sha256 : str
        Base name and SHA-256 of the file the record was read from.
    notes : tuple of str
        Sentences that a reader of the results should know.

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

    def __post_init__(self) -> None:
        """Refuse a record that contradicts itself."""
        n_phi, n_t = np.size(self.phi), np.size(self.frames)
        shapes = {
            "phi": (n_phi,),
            "frames": (n_t,),
            "c2": (n_phi, n_t, n_t),
            "raw_diagonal": (n_phi, n_t),
            "sigma": (n_phi,),
        }
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is not None and np.shape(value) != shape:
                raise InputError(
                    f"{name} has shape {np.shape(value)}, but {n_phi} angles and {n_t} frames need {shape}."
                )
        if not (np.all(np.diff(self.phi) > 0) and np.all((self.phi > -180) & (self.phi <= 180))):
            raise InputError(f"phi must ascend within (-180, 180] deg; it is {np.asarray(self.phi)}.")
        if not np.all(np.diff(self.frames) == 1):
            raise InputError("frames must be consecutive numbers; some are missing or out of order.")
        for name in _SCALARS:
            value = getattr(self, name)
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
        file.attrs["layout"] = _LAYOUT
        file.attrs["source"] = correlations.source
        file.attrs["source_sha256"] = correlations.source_sha256
        file.attrs["notes"] = list(correlations.notes)


def read_header(file: File) -> dict[str, object]:
    """Every field of an open canonical file but `c2`, by the names of :class:`Correlations`.

    Raises
    ------
    InputError
        When the file is not a canonical file or lacks a data set.
    """
    found = file.attrs.get("layout")
    if found != _LAYOUT:
        raise InputError(
            f"this is not a canonical two-time file (its attribute 'layout' is {found!r}, not {_LAYOUT!r}); "
            "read it with read_two_time and write it with write_correlations first."
        )
    missing = [name for name in CANONICAL if name not in file and name not in CANONICAL_OPTIONAL]
    if missing:
        raise InputError(f"the canonical file lacks {', '.join(missing)}; write it again.")
    header = dict.fromkeys(CANONICAL_OPTIONAL)
    for name in CANONICAL:
        if name in file and name != "c2":
            value = get_dataset(file, name)[()]
            header[name] = float(value) if name in _SCALARS else value
    header.update({name: file.attrs[name] for name in ("source", "source_sha256")})
    return header | {"notes": tuple(file.attrs["notes"])}


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
        header = read_header(file)
        n_t = len(header["frames"])
        start, stop, step = rows.indices(n_t)
        if step < 1 or start >= stop:
            raise InputError(f"{rows} selects none of the {n_t} rows in ascending order; give a slice within them.")
        fields = ("phi", "q", "dt", "frames", "stator_rotor_gap", "sigma")
        return RowBand(
            rows=np.arange(start, stop, step, dtype=np.int64),
            c2=get_dataset(file, "c2")[:, start:stop:step, :],
            **{name: header[name] for name in fields},
        )

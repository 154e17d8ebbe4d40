"""The record of two-time correlations, and some rows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from homodyne_lib.io.input_files import InputError
from homodyne_lib.io.sample import Sample
from homodyne_lib.model.bins import Bins, OfBins
from homodyne_lib.model.frames import frame_offsets

__all__ = ["SCALARS", "Correlations", "InputError", "RowBand", "q_in_words", "refuse_contradictions"]

# Fields that are one number -> unit.
SCALARS = {"dt": "s", "stator_rotor_gap": "Å"}
# What a band of rows has in common with its record.
_OF_BAND = ("phi", "q", "repeat", "dt", "frames", "stator_rotor_gap", "sigma")


@dataclass(frozen=True, eq=False, repr=False)
class Correlations(OfBins):
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
    sample : Sample
        What the file states of the sample.

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
    sample: Sample = field(default_factory=Sample)

    def __post_init__(self) -> None:
        """Give q and the repeat to each bin, and refuse a record that contradicts itself."""
        _one_a_bin(self)
        refuse_contradictions(vars(self), np.shape(self.c2))

    def __repr__(self) -> str:
        size = f"{self.bins.in_words} × {len(self.frames)} frames"
        return f"Correlations: {size} at {q_in_words(self.bins)}, dt = {self.dt:.6g} s, from {self.source}"

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


def refuse_contradictions(fields: Mapping[str, object], c2_shape: tuple[int, ...]) -> None:
    """Refuse fields of a record that contradict each other, or are impossible.

    Parameters
    ----------
    fields : mapping
        Fields but c2, by the names of :class:`Correlations`; q and repeat one a bin.
    c2_shape : tuple of int
        Shape of c2, which is not looked at itself.

    Raises
    ------
    InputError
        The error says what was found.
    """
    n_bins, n_t = np.size(fields["phi"]), np.size(fields["frames"])
    shapes = {name: (n_bins,) for name in ("phi", "sigma", "pixels")}
    shapes |= {"frames": (n_t,), "raw_diagonal": (n_bins, n_t), "q": (n_bins,), "repeat": (n_bins,)}
    given = {name: np.shape(fields[name]) for name in shapes if fields[name] is not None} | {"c2": c2_shape}
    for name, shape in (shapes | {"c2": (n_bins, n_t, n_t)}).items():
        if given.get(name, shape) != shape:
            raise InputError(f"{name} has shape {given[name]}, but {n_bins} angles and {n_t} frames need {shape}.")
    frames = np.asarray(fields["frames"])
    if refusal := Bins(*(np.asarray(fields[name]) for name in ("repeat", "q", "phi"))).refusal():
        raise InputError(refusal)
    if frames.dtype.kind not in "iu":
        raise InputError(f"frames must be whole numbers; they are of the type {frames.dtype}, and begin {frames[:3]}.")
    if frames.size and frames[0] < 1:
        raise InputError(f"frames must be counted from 1; the first is {frames[0]}.")
    falls = np.flatnonzero(frames[1:] <= frames[:-1])
    if falls.size:
        raise InputError(f"frames must be numbers that rise; {frames[falls[0] + 1]} follows {frames[falls[0]]}.")
    for name, unit in SCALARS.items():
        value = fields[name]
        if value is not None and not 0 < value < np.inf:
            raise InputError(f"{name} must be positive and finite; it is {value} {unit}.")


@dataclass(frozen=True, eq=False)
class RowBand(OfBins):
    """Some rows of every matrix of a record, with what is needed to model them.

    Parameters
    ----------
    rows : numpy.ndarray
        0-based row indices, shape (n_rows,), int64; row i is frame ``frames[i]``.
    c2 : numpy.ndarray
        ``c2[:, rows, :]`` of the record, shape (n_bins, n_rows, n_t) [1].
    phi, q, dt, frames, stator_rotor_gap, sigma, repeat
        As in :class:`Correlations`.
    origin : int or None
        Number of the frame at which times begin; the first of ``frames`` without it.
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
    origin: int | None = None

    def __post_init__(self) -> None:
        """Give q and the repeat to each bin."""
        _one_a_bin(self)

    @property
    def offsets(self) -> np.ndarray:
        """Place of each column on the time axis [frame intervals], shape (n_t,)."""
        return frame_offsets(self.frames, self.origin)

    def band(self, rows: slice) -> RowBand:
        """Some of these rows."""
        return replace(self, rows=self.rows[rows], c2=self.c2[:, rows])

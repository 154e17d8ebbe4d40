"""Correlations over age (t1 + t2)/2 and lag t2 - t1, converted to t1 and t2 where each cell holds one pair of frames.

xpcs-correlator divides the time of a record of N frames into equal bins of age. With N - 1 of them a cell of one lag holds
one pair, t1 = age bin - lag // 2; only at lag 0 the last cell holds two. Cells of several lags or wider ages are averages,
from which the values of pairs cannot be recovered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homodyne_lib.io.formats.catalogue import StoredMatrix
from homodyne_lib.io.hdf5 import File, InputError, get_dataset, read_numbers
from homodyne_lib.prepare.entry_noise import LEAST_FRAMES

__all__ = ["AgeLagAxes", "AgeLagMatrix", "read_axes"]

_ROUNDING = 0.05  # of a frame; axes in float32 are exact to 0.006 of 100000 frames
_AGAIN = "compute c2 over t1 and t2 (xpcs-correlator: ttcf_format 't1,t2')"


@dataclass(frozen=True)
class AgeLagAxes:
    """Numbers of frames and lags of a data set, and its time step.

    Parameters
    ----------
    n_frames : int
        Frames of the record.
    n_lags : int
        Lags 0 to n_lags - 1 have cells of their own.
    step : float
        Time of one frame, in the unit of the axes.
    """

    n_frames: int
    n_lags: int
    step: float


def read_axes(file: File, values: str, age: str, lag: str) -> AgeLagAxes:
    """Read the axes of a data set.

    Parameters
    ----------
    file : h5py.File
    values, age, lag : str
        Paths of the correlations, shape (bins, n_age, n_lag), and of their axes; NaN at the ends of an axis is left out.

    Raises
    ------
    InputError
        When the axes do not belong to the data set, or their cells are averages over several pairs.
    """
    shape = get_dataset(file, values).shape
    ages, lags = read_numbers(file, age), read_numbers(file, lag)
    if shape[1:] != (ages.size, lags.size):
        raise InputError(f"{values} has the shape {shape}, but there are {ages.size} ages and {lags.size} lags.")
    ages, lags = ages[np.isfinite(ages)], lags[np.isfinite(lags)]
    step = lags[1] - lags[0] if lags.size > 1 else 0.0
    if not (step > 0 and ages.size and abs(lags[0]) <= _ROUNDING * step):
        raise InputError(f"{lag} must begin with 0 and rise; it begins with {', '.join(f'{x:g}' for x in lags[:3])}.")
    if np.any(np.abs(ages / step - 0.5 - np.arange(ages.size)) > _ROUNDING):
        raise InputError(
            f"{age} does not have a cell for each frame (it goes from {ages[0]:g} in steps of about "
            f"{np.ptp(ages) / max(ages.size - 1, 1):.4g}, lags in steps of {step:.4g}), so that its cells are averages of "
            f"several pairs of frames; {_AGAIN}."
        )
    single = np.abs(lags / step - np.arange(lags.size)) <= _ROUNDING
    return AgeLagAxes(ages.size + 1, int(np.argmin([*single, False])), float(step))


@dataclass(frozen=True)
class AgeLagMatrix(StoredMatrix):
    """One bin of a data set (bins, n_age, n_lag), read over t1 and t2; attributes as of ``StoredMatrix``, and the axes."""

    axes: AgeLagAxes = AgeLagAxes(0, 0, 0.0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Frames and frames."""
        return (self.axes.n_frames, self.axes.n_frames)

    def read(self, window: slice) -> np.ndarray:
        """Rows and columns of a window of frames, upper half, shape (n, n).

        At lag 0 the last two frames share a cell: both diagonal elements are its mean.

        Raises
        ------
        InputError
            When the window has lags whose cells are averages, or ages are not counted as in xpcs-correlator.
        """
        n, n_frames = window.stop - window.start, self.axes.n_frames
        if n > self.axes.n_lags:
            most = self.axes.n_lags
            window = (
                f", or choose a window of at most {most} frames (start_frame, end_frame)"
                if most >= LEAST_FRAMES
                else ""
            )
            raise InputError(
                f"{self.name} has single pairs of frames up to a lag of {most - 1} frames, and averages beyond; {_AGAIN}"
                f"{window}."
            )
        cells = get_dataset(self.file, self.name)[(*self.before, slice(n_frames - 1), slice(n))]
        half, empty = np.zeros((n, n), dtype=cells.dtype), np.ones(cells.shape, dtype=bool)
        for lag in range(n):
            t1 = np.arange(n_frames - lag)
            age = np.minimum(t1 + lag // 2, n_frames - 2)
            empty[age, lag] = False
            inside = slice(window.start, window.stop - lag)
            half[np.arange(n - lag), np.arange(lag, n)] = cells[age[inside], lag]
        if np.any(np.nan_to_num(cells[empty]) != 0):
            raise InputError(
                f"{self.name} holds values at ages where no pair of frames can be, so that its ages are not the means of two "
                f"times; {_AGAIN}."
            )
        return half

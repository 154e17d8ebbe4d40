"""The frames that a record has: numbers that rise, with gaps where frames are missing. Integers only."""

from __future__ import annotations

import numpy as np

__all__ = [
    "MOST_FRAMES",
    "consecutive_runs",
    "frame_offsets",
    "frame_ranges",
    "merge_size",
    "missing_frames",
    "nearest_lag",
    "pairs_at_lag",
    "usual_interval",
]

MOST_FRAMES = 1500
"""Frames of a record, above which neighbours are merged for the noise and its metric: (M6) in docs/uncertainty.md."""


def frame_offsets(frames, origin: int | None = None) -> np.ndarray:
    """Place of each frame on the time axis, in frame intervals from the first frame.

    Parameters
    ----------
    frames : array_like of int, shape (n,)
        Frame numbers, rising.
    origin : int, optional
        Number of the frame at which times begin instead.

    Returns
    -------
    ndarray of int64, shape (n,)
        0, 1, 2, ... where no frame is missing; a missing frame leaves its place out.
    """
    frames = np.asarray(frames, dtype=np.int64)
    return frames - (frames[0] if origin is None else origin)


def missing_frames(frames) -> np.ndarray:
    """Numbers between the first and the last frame that are not among ``frames``, shape (n_missing,)."""
    return np.setdiff1d(np.arange(frames[0], frames[-1] + 1), frames)


def pairs_at_lag(frames, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of frames that are ``lag`` frame intervals apart.

    Parameters
    ----------
    frames : ndarray of int, shape (n,)
        Frame numbers or offsets, rising.
    lag : int
        At least 1.

    Returns
    -------
    i, j : ndarray of int, shape (n_pairs,)
        Indices of the earlier and the later frame.
    """
    later = np.minimum(np.searchsorted(frames, frames + lag), frames.size - 1)
    i = np.flatnonzero(frames[later] == frames + lag)
    return i, later[i]


def nearest_lag(frames, wanted: int) -> int:
    """Lag next to ``wanted`` [frame intervals] at which there are two pairs of ``frames`` or more."""
    lags = sorted(range(1, int(frames[-1] - frames[0]) + 1), key=lambda lag: abs(lag - wanted))
    return next(lag for lag in lags if pairs_at_lag(frames, lag)[0].size > 1)


def usual_interval(frames) -> int:
    """Interval of most neighbouring frames [frame intervals]; others are gaps."""
    return int(np.bincount(np.diff(frames)).argmax())


def merge_size(n_frames: int) -> int:
    """How many neighbouring frames become one: the smallest odd number that leaves at most ``MOST_FRAMES``.

    Parameters
    ----------
    n_frames : int

    Returns
    -------
    int
    """
    size = -(-n_frames // MOST_FRAMES)
    return size + 1 - size % 2


def consecutive_runs(numbers) -> list[np.ndarray]:
    """Divide whole numbers that rise, shape (n,), into runs without a gap; none where there are no numbers."""
    numbers = np.asarray(numbers)
    return np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1) if numbers.size else []


def frame_ranges(frames) -> str:
    """Write frame numbers that rise in the notation of the column ``bad_frames``, such as ``17,203:210``."""
    return ",".join(f"{run[0]}:{run[-1]}" if run.size > 1 else f"{run[0]}" for run in consecutive_runs(frames))

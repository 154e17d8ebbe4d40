"""Which frames of a file are wanted."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np

from homodyne_lib.io.input_files import InputError

__all__ = ["parse_bad_frames", "require_frames", "select_frames"]

_MAX_FRAMES = 100_000  # a matrix of more takes 80 GB; a header that says more is damaged
_MIN_FRAMES = 3  # the fewest frames that have a second lag


def parse_bad_frames(text: str) -> tuple[tuple[int, int], ...]:
    """Frames to leave out, from the table's notation.

    Parameters
    ----------
    text : str
        Comma-separated frame numbers from 1 and ranges ``first:last``, such as ``17,203:210``; blank for none.

    Returns
    -------
    tuple of (int, int)
        First and last frame of each range, in the order given; a single frame is both.

    Raises
    ------
    InputError
        When a piece is no frame number and no rising range of two.
    """
    ranges = []
    for piece in text.split(",") if text.strip() else ():
        ends = [part.strip() for part in piece.split(":")]
        numbers = [int(end) for end in ends if end.isascii() and end.isdigit()]
        if len(numbers) != len(ends) or len(ends) > 2 or not 1 <= numbers[0] <= numbers[-1]:
            raise InputError(
                f"bad_frames has {piece.strip()!r}; write frame numbers from 1 and ranges first:last, such as 17,203:210."
            )
        ranges.append((numbers[0], numbers[-1]))
    return tuple(ranges)


def select_frames(
    frames: Sequence[int] | np.ndarray, start_frame: int, end_frame: int, bad_frames: Sequence[tuple[int, int]] = ()
) -> np.ndarray:
    """Frames of a window, without those that are bad.

    Parameters
    ----------
    frames : sequence of int
        Numbers of the frames that exist, at least 1 and rising; the last is that of the data.
    start_frame, end_frame : int
        First and last frame of the window, 1-based and inclusive; an end of -1 is the last frame.
    bad_frames : sequence of (int, int)
        First and last frame of each range to leave out, see :func:`parse_bad_frames`.

    Returns
    -------
    numpy.ndarray
        Indices into `frames`, shape (n_kept,).

    Raises
    ------
    InputError
        When the window or a bad frame leaves the data, or fewer than three or more than a hundred thousand frames are left.
    """
    lowest, highest = (int(frames[0]), int(frames[-1])) if len(frames) else (1, 0)
    last = highest if end_frame == -1 else end_frame
    window = f"the frame window {start_frame} to {end_frame}"
    if start_frame < 1 or last > highest or start_frame >= last:
        raise InputError(
            f"{window} does not lie in the data, which have the frames {lowest} to {highest}; choose "
            f"1 <= start_frame < end_frame <= {highest}, or -1 for the last frame."
        )
    if last - max(start_frame, lowest) + 1 > _MAX_FRAMES:
        raise InputError(
            f"{window} of the frames {lowest} to {highest} holds more than {_MAX_FRAMES}; choose a shorter one."
        )
    if last - start_frame + 1 < _MIN_FRAMES:
        raise InputError(f"{window} holds fewer than {_MIN_FRAMES} frames; choose a longer one.")
    # Of a range only the window becomes numbers in memory: a damaged header may speak of more than fit.
    begin = bisect_left(frames, start_frame)
    within = np.asarray(frames[begin : bisect_right(frames, last)])
    kept = np.ones(within.size, dtype=bool)
    for first, final in bad_frames:
        if not 1 <= first <= final <= highest:
            raise InputError(
                f"bad_frames has {first if first == final else f'{first}:{final}'}, but the data have the frames {lowest} to "
                f"{highest}; list frames that there are."
            )
        kept &= (within < first) | (within > final)
    require_frames(within[kept], f"{window} without missing and bad frames")
    return begin + np.flatnonzero(kept)


def require_frames(frames: np.ndarray, what: str) -> None:
    """Refuse fewer than three frames; ``what`` begins the sentence."""
    if np.size(frames) < _MIN_FRAMES:
        raise InputError(
            f"{what} leaves {np.size(frames)} of the at least {_MIN_FRAMES} frames that a record needs; keep more frames."
        )

"""Completion of two-time matrices: mirror halves, leave out empty frames, fill empty diagonals, check values."""

from __future__ import annotations

import numpy as np

from homodyne_lib.io.correlations import Correlations
from homodyne_lib.io.frame_selection import require_frames
from homodyne_lib.io.input_files import InputError
from homodyne_lib.model.bins import Bins
from homodyne_lib.model.frames import frame_offsets, frame_ranges
from homodyne_lib.model.parameters import PARAMETERS
from homodyne_lib.prepare.diagonal import apply_diagonal_correction_batch

__all__ = ["check_values", "complete_matrix", "filled_diagonals", "frames_with_values", "value_notes"]

_SYMMETRY = 1e-5  # relative; float32 sums of thousands of products differ by 1e-6 between the two triangles
_ROWS_OF_MEDIAN = 200  # rows of a matrix that are used for its median
# c2 lies between its baseline and twice that, plus noise.
_USUAL = 3.0  # values beyond this factor from the median are unusual, unless noise explains them
_SPREADS = 50.0  # robust standard deviations that noise may add
# Photon counting gives no larger value: where one more pair of photons changes an entry so much, most entries are 0, and such
# matrices are refused.
# A median of c2 outside is noted. It is 1 where the decay is short, and 1 + contrast where there is none.
_USUAL_MIDDLE = (0.9, 1.5)
_IMPOSSIBLE = 100.0  # times the median


def complete_matrix(block: np.ndarray, name: str) -> np.ndarray:
    """Full symmetric matrix from either half, or from one that is full already.

    Parameters
    ----------
    block : numpy.ndarray
        As stored, shape (n, n); a half that holds nothing is 0 or not finite throughout.
    name : str
        Its name in errors.

    Returns
    -------
    numpy.ndarray
        Shape (n, n).

    Raises
    ------
    InputError
        When the two halves hold different values.
    """
    upper, lower = np.triu(block, 1), np.tril(block, -1).T
    if not _holds_values(lower) or np.allclose(upper, lower, rtol=_SYMMETRY, atol=0, equal_nan=True):
        half = upper
    elif not _holds_values(upper):
        half = lower
    else:
        raise InputError(f"{name} is neither a half matrix nor symmetric; this is no two-time correlation function.")
    full = half + half.T
    np.fill_diagonal(full, np.diagonal(block))
    return full


def _holds_values(half: np.ndarray) -> bool:
    return bool(np.any((half != 0) & np.isfinite(half)))


def frames_with_values(c2: np.ndarray, bins: Bins, frames: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Find the frames whose rows hold values at every angle.

    A frame that the detector lost leaves a row and a column that are 0 or not finite throughout, off the diagonal.

    Parameters
    ----------
    c2 : numpy.ndarray
        Full matrices, shape (n_phi, n, n).
    bins : Bins
    frames : numpy.ndarray
        Frame numbers as the table of datasets counts them, shape (n,).

    Returns
    -------
    kept : numpy.ndarray
        Indices of the frames with values.
    notes : tuple of str
        A sentence that names the others, where there are some.

    Raises
    ------
    InputError
        When fewer than three frames are left.
    """
    empty = np.zeros(frames.size, dtype=bool)
    for k, matrix in enumerate(c2):
        blank = ~np.isfinite(matrix) | (matrix == 0)
        np.fill_diagonal(blank, True)
        rows = blank.all(axis=0)
        if rows.all():
            raise InputError(
                f"c2 at {bins.named(k)} holds no value in the frames {frames[0]} to {frames[-1]}: all are 0 or not "
                "finite. Choose phi_ranges without this angle."
            )
        empty |= rows
    kept, lost = np.flatnonzero(~empty), frame_ranges(frames[empty])
    if not lost:
        return kept, ()
    require_frames(kept, f"leaving out the frames {lost}, whose rows of c2 are 0 or not finite throughout,")
    note = (
        f"Frames without values were left out: {lost}. Their rows of c2 are 0 or not finite throughout at one angle or "
        "more; the times of the other frames stay as they were."
    )
    if empty[0]:
        note += f" Time counts from frame {frames[kept[0]]}, the first that is left."
    return kept, (note,)


def filled_diagonals(c2: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Raw diagonals; where an angle has none, that of ``c2`` is filled in place with the mean of its neighbours.

    Parameters
    ----------
    c2 : numpy.ndarray
        Full matrices, shape (n_phi, n, n).
    frames : numpy.ndarray
        Frame numbers, shape (n,).

    Returns
    -------
    numpy.ndarray
        Diagonals as read, shape (n_phi, n); NaN throughout where none of an angle's values is finite.
    """
    raw = np.diagonal(c2, axis1=1, axis2=2).copy()
    for k in np.flatnonzero(~np.isfinite(raw).any(axis=1)):
        raw[k] = np.nan
        c2[k] = apply_diagonal_correction_batch(c2[[k]], backend="numpy", frames=frame_offsets(frames))[0]
    return raw


def check_values(record: Correlations) -> None:
    """Refuse c2 without its baseline of 1, and values that are not finite or, off the diagonal, not positive or impossible.

    Raises
    ------
    InputError
        With the first such value and its place.
    """
    _check_baseline(record)
    count, first = 0, ""
    for k, (matrix, raw_diagonal) in enumerate(zip(record.c2, record.raw_diagonal, strict=True)):
        finite = np.isfinite(raw_diagonal)
        # A diagonal without a single value is an empty one.
        lost = ~finite & finite.any()
        bad = np.triu(~np.isfinite(matrix)) | np.triu(matrix <= 0, 1) | np.diag(lost)
        if bad.any() and not count:
            i, j = np.argwhere(bad)[0]
            value = raw_diagonal[i] if i == j else matrix[i, j]
            first = f"{value:g} at {record.bins.named(k)}, frames {record.frames[i]} and {record.frames[j]}"
        count += np.count_nonzero(bad)
    if count:
        n_phi, n_t = record.raw_diagonal.shape
        raise InputError(
            f"{count} of {n_phi * n_t * (n_t + 1) // 2} values of c2 in the selection are not finite or not positive, "
            f"the first is {first}; leave out frames with bad_frames, or choose phi_ranges without such angles."
        )
    _check_spikes(record)


def _check_spikes(record: Correlations) -> None:
    """Refuse values off the diagonal that no correlation of intensities reaches."""
    for k, matrix in enumerate(record.c2):
        middle, _ = _middle(matrix)
        rows, columns = np.nonzero(np.triu(matrix > _IMPOSSIBLE * middle, 1))
        if rows.size:
            largest = np.argmax(matrix[rows, columns])
            i, j = rows[largest], columns[largest]
            raise InputError(
                f"{rows.size} values of c2 at {record.bins.named(k)} are more than {_IMPOSSIBLE:g} times their median of "
                f"{middle:.3g}; the largest is {matrix[i, j]:.3g}, of the frames {record.frames[i]} and {record.frames[j]}. "
                "Photon counts do not scatter so far; hot pixels in dark frames, or a damaged file, do. Leave out frames "
                "with bad_frames, or process the data again."
            )


def value_notes(record: Correlations) -> tuple[str, ...]:
    """Sentences on unusual values in a record that :func:`check_values` has passed.

    Parameters
    ----------
    record : Correlations

    Returns
    -------
    tuple of str
        On values far from all others of their angle, on angles with the same values, and on a baseline that is hardly 1.
    """
    notes, middles = [], []
    count, distance, worst = 0, 0.0, ""
    for number, matrix in enumerate(record.c2):
        middle, spread = _middle(matrix)
        middles.append(middle)
        far = (matrix > _USUAL * middle + _SPREADS * spread) | (matrix < middle / _USUAL - _SPREADS * spread)
        rows, columns = np.nonzero(np.triu(far, 1))
        count += rows.size
        apart = np.abs(matrix[rows, columns] - middle)
        if np.max(apart, initial=0.0) > distance:
            distance, k = apart.max(), np.argmax(apart)
            i, j = rows[k], columns[k]
            worst = (
                f"{matrix[i, j]:.3g} at {record.bins.named(number)}, frames {record.frames[i]} and {record.frames[j]}, where "
                f"the median is {middle:.3g}"
            )
    if count:
        notes.append(
            f"{count} values of c2 lie far from the others at their angle, and were used as they are. The farthest is "
            f"{worst}; bad_frames leaves out frames."
        )
    apart = int(np.argmax(np.abs(np.subtract(middles, 1.0))))
    if not _USUAL_MIDDLE[0] < middles[apart] < _USUAL_MIDDLE[1]:
        notes.append(
            f"The median of c2 at {record.bins.named(apart)} is {middles[apart]:.3g}. Correlations fall to 1, and what is "
            "left above 1 is taken for noise that does not change: if something was added to c2, or c2 was scaled, undo it."
        )
    for k, matrix in enumerate(record.c2):
        twin = next((j for j in range(k) if _same(record.c2[j], matrix)), None)
        if twin is not None:
            notes.append(
                f"c2 at {record.bins.named(twin)} and at {_other(record.bins, k)} are the same, value for value, which "
                "noise does not allow in a measurement: one may be a copy, and errors are then too small."
            )
    return tuple(notes)


def _other(bins: Bins, k: int) -> str:
    """A second bin of a sentence: its number alone where angles are all that tells bins apart."""
    return bins.named(k) if len(bins.groups) > 1 else f"{bins.phi[k]:.4g} deg"


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return np.array_equal(one[0], other[0]) and np.array_equal(one, other)


def _middle(matrix: np.ndarray) -> tuple[float, float]:
    """Median of the finite values of a matrix, and their robust standard deviation, from some of its rows."""
    some = matrix[:: -(-len(matrix) // _ROWS_OF_MEDIAN)].astype(np.float64)
    some = some[np.isfinite(some)]
    if not some.size:
        return np.nan, np.nan
    middle = np.median(some)
    return float(middle), float(1.4826 * np.median(np.abs(some - middle)))  # as the standard deviation of a Gaussian


def _check_baseline(record: Correlations) -> None:
    """Refuse matrices whose middle value is too near 0, or too large, for correlations that decay to 1."""
    lowest, highest = PARAMETERS["offset"].lower, PARAMETERS["offset"].upper + PARAMETERS["contrast"].upper
    for k, matrix in enumerate(record.c2):
        middle, _ = _middle(matrix)
        if abs(middle) < lowest:
            raise InputError(
                f"c2 seems to be stored without its baseline of 1, as c2 - 1: its median at {record.bins.named(k)} is "
                f"{middle:.3g}. Add 1 to the values and write them with homodyne_lib.write_c2, or set the format to matlab "
                "if MATLAB wrote the file."
            )
        if middle > highest:
            raise InputError(
                f"c2 has the median {middle:.3g} at {record.bins.named(k)}, and correlations of intensities lie between 1 "
                "and 2: divide by the mean intensities, and write the values with homodyne_lib.write_c2."
            )

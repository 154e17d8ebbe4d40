"""Repeats of a measurement: whether their files fit together, and their records joined to one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np

from homodyne_lib.io.correlations import Correlations
from homodyne_lib.io.input_files import InputError
from homodyne_lib.io.sample import common_sample
from homodyne_lib.model.frames import frame_ranges

__all__ = ["Header", "compare_dt", "compare_gap", "joined", "paths_of", "require_alike"]

_TOLERANCE = 0.01  # relative difference of dt or gap from what a file states, above which a note is written
_SAME_Q = 0.02  # relative; calibrations of one set-up differ by less


class Header(NamedTuple):
    """What the headers of a file say of the bins and frames that are wanted.

    Attributes
    ----------
    rings : tuple of float
        Mean q of each ring, ascending [1/Å].
    n_bins : int
    frames : numpy.ndarray
        Numbers of the frames, as the table counts them, shape (n_t,).
    frame_time : float or None
        Time between frames that the file states [s].
    """

    rings: tuple[float, ...]
    n_bins: int
    frames: np.ndarray
    frame_time: float | None


def paths_of(path: str | os.PathLike | Sequence[str | os.PathLike]) -> list[Path]:
    """A path, or several, as a list."""
    return [Path(path)] if isinstance(path, str | os.PathLike) else [Path(each) for each in path]


def compare_dt(dt: float, stated: float | None) -> tuple[str, ...]:
    """Note when a file states another frame time than `dt` [s]."""
    return _compared("dt", dt, "s", "a frame time", stated)


def compare_gap(stator_rotor_gap: float | None, stated: float | None) -> tuple[str, ...]:
    """Note when a file states another gap than `stator_rotor_gap` [Å]."""
    return _compared("stator_rotor_gap", stator_rotor_gap, "Å", "a gap", stated)


def _compared(name, used, unit, quantity, stated) -> tuple[str, ...]:
    if None in (used, stated) or abs(used - stated) <= _TOLERANCE * stated:
        return ()
    return (f"{name} = {used:g} {unit} was used as configured, but the file states {quantity} of {stated:g} {unit}.",)


def require_alike(paths: Sequence[Path], headers: Sequence[Header]) -> None:
    """Refuse files that are no repeats of one measurement.

    Raises
    ------
    InputError
        When frames, frame times or wavevectors differ, or a file is given twice.
    """
    first = headers[0]
    resolved = [path.resolve() for path in paths]
    for path, header in zip(paths[1:], headers[1:], strict=True):
        both = f"{path} and {paths[0]} are no repeats of one measurement:"
        if resolved.count(path.resolve()) > 1:
            raise InputError(f"{path} is given twice; a repeat is another measurement.")
        if not np.array_equal(header.frames, first.frames):
            raise InputError(
                f"{both} their frames are {frame_ranges(header.frames)}, and {frame_ranges(first.frames)}; choose "
                "start_frame, end_frame and bad_frames that suit both, or give them rows of their own."
            )
        times = header.frame_time, first.frame_time
        if None not in times and abs(times[0] - times[1]) > _TOLERANCE * times[1]:
            raise InputError(
                f"{both} their frame times are {times[0]:g} s and {times[1]:g} s; give them rows of their own."
            )
        rings = [", ".join(f"{q:.4g}" for q in one.rings) for one in (header, first)]
        if len(header.rings) != len(first.rings) or not np.allclose(header.rings, first.rings, rtol=_SAME_Q, atol=0):
            raise InputError(f"{both} the q that are wanted are {rings[0]}, and {rings[1]} 1/Å; name q that both have.")


def joined(records: Sequence[Correlations]) -> Correlations:
    """One record of several repeats, of the frames that all of them have.

    Parameters
    ----------
    records : sequence of Correlations
        Of one file each.

    Returns
    -------
    Correlations
    """
    common = reduce(np.intersect1d, (record.frames for record in records))
    if common.size < 3:
        raise InputError(f"the repeats have {common.size} frames with values in common; leave one of them out.")
    parts = [_at_frames(record, common) for record in records]

    def each(name):
        values = [getattr(part, name) for part in parts]
        return None if any(value is None for value in values) else np.concatenate(values)

    return replace(
        parts[0],
        **{name: each(name) for name in ("c2", "raw_diagonal", "phi", "q", "sigma", "pixels")},
        repeat=np.repeat(np.arange(len(parts)), [len(part.phi) for part in parts]),
        source=", ".join(part.source for part in parts),
        source_sha256=", ".join(part.source_sha256 for part in parts),
        notes=tuple(f"{part.source}: {note}" for part in parts for note in part.notes),
        sample=common_sample([part.sample for part in parts]),
    )


def _at_frames(record: Correlations, frames) -> Correlations:
    """The record of some of its frames."""
    places = np.searchsorted(record.frames, frames)
    if places.size == len(record.frames):
        return record
    c2 = record.c2[:, places[:, None], places]
    return replace(record, c2=c2, raw_diagonal=record.raw_diagonal[:, places], frames=record.frames[places])

"""A record of a file, with its noise."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from homodyne_lib.io.correlations import Correlations
from homodyne_lib.io.reader import read_two_time
from homodyne_lib.prepare.entry_noise import estimate_sigma

__all__ = ["ingested", "with_noise"]


def with_noise(record: Correlations) -> Correlations:
    """Record with the noise that its matrices show.

    Parameters
    ----------
    record : Correlations

    Returns
    -------
    Correlations
    """
    return replace(record, sigma=estimate_sigma(record.c2, record.frames, record.bins.named))


def ingested(path: str | os.PathLike | Sequence[str | os.PathLike], **selection: Any) -> Correlations:
    """Read and check a file, or files of repeats, and estimate the noise.

    Parameters
    ----------
    path : path-like or sequence of path-like
    **selection
        Bins, frames and geometry, as :func:`~homodyne_lib.io.reader.read_two_time` takes them.

    Returns
    -------
    Correlations

    Raises
    ------
    InputError
        When the file, the selection or the values cannot be used.
    """
    return with_noise(read_two_time(path, **selection))

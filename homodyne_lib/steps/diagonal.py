"""The record with another diagonal."""

from __future__ import annotations

from dataclasses import replace

from homodyne_lib.io.correlations import Correlations
from homodyne_lib.prepare.diagonal import apply_diagonal_correction_batch

__all__ = ["with_diagonal"]


def with_diagonal(record: Correlations, method: str) -> Correlations:
    """Record whose diagonals are replaced at every angle; the raw ones stay in ``raw_diagonal``.

    Parameters
    ----------
    record : Correlations
    method : {"basic", "statistical", "interpolation"}

    Returns
    -------
    Correlations

    Raises
    ------
    ValueError
        For an unknown method.
    """
    corrected = apply_diagonal_correction_batch(record.c2, method=method, backend="numpy", frames=record.frames)
    return replace(record, c2=corrected)

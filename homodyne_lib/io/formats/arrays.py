"""The matrix of an array in memory or on disk that has no metadata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from homodyne_lib.io.formats.catalogue import Catalogue, raise_baseline, refuse_unnamed
from homodyne_lib.io.input_files import InputError

__all__ = ["ArrayMatrix", "catalogue_of_array"]


@dataclass(frozen=True)
class ArrayMatrix:
    """The matrix of an array that holds one; attributes as of :class:`~homodyne_lib.io.formats.catalogue.Matrix`.

    Parameters
    ----------
    name : str
        Its name in errors.
    shape : tuple of int
        (n_t, n_t)
    dtype : numpy.dtype
    load : callable
        Gives the array, with or without an axis of length one for its only bin.
    baseline : {1, 0}
        What is stored where nothing correlates: c2, or c2 - 1.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    load: Callable[[], np.ndarray]
    baseline: int = 1
    place: tuple[object, ...] = ()

    def read(self, window: slice) -> np.ndarray:
        """Rows and columns of a window of frames, shape (n, n)."""
        block = np.array(self.load().reshape(self.shape)[window, window])
        return block if self.baseline else raise_baseline(block)


def catalogue_of_array(
    name: str, shape: tuple[int, ...], dtype: np.dtype, load: Callable[[], np.ndarray], baseline: int = 1
) -> Catalogue:
    """List the one matrix of an array; parameters as of :class:`ArrayMatrix`, but for the array's own shape.

    Raises
    ------
    InputError
        When the array holds no matrix, or several, which cannot be told apart.
    """
    if dtype.kind not in "iuf":
        raise InputError(f"{name} holds no real numbers ({dtype}); this is no two-time correlation function.")
    bins = shape[2] if len(shape) == 3 and shape[0] == shape[1] else shape[0] if len(shape) == 3 else 1
    side = max(shape, default=0)
    if len(shape) not in (2, 3) or side < 2 or sorted(shape)[-2] != side:
        raise InputError(f"{name} has the shape {shape}; give a square matrix, or a stack of them.")
    refuse_unnamed(bins, name)
    matrix = ArrayMatrix(name, (side, side), dtype, load, baseline)
    return Catalogue([matrix], None, np.zeros(1), None, undirected=np.ones(1, dtype=bool))

"""Fields of what scikit-beam's `two_time_corr` returns, one data set each: `g2` (n, N, N) and `lag_steps`."""

from __future__ import annotations

import numpy as np

from homodyne_lib.io.formats.catalogue import Catalogue, Layout, StoredMatrix, refuse_unnamed
from homodyne_lib.io.hdf5 import File, InputError, get_dataset

__all__ = ["LAYOUT"]


def _catalogue(file: File) -> Catalogue:
    shape = get_dataset(file, "g2").shape
    if len(shape) != 3:
        raise InputError(f"g2 has the shape {shape}; two-time results of scikit-beam are (bins, frames, frames).")
    refuse_unnamed(shape[0], "g2")
    return Catalogue([StoredMatrix(file, "g2", (0,))], None, np.zeros(1), None, undirected=np.ones(1, dtype=bool))


LAYOUT = Layout("scikit-beam", ("g2", "lag_steps"), _catalogue)

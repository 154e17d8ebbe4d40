"""Fields of the `Results` of ESRF's xpcs-correlator, one data set each; it writes no file, and states no q, angle or time."""

from __future__ import annotations

import numpy as np

from homodyne_lib.io.formats.age_lag import AgeLagMatrix, read_axes
from homodyne_lib.io.formats.catalogue import Catalogue, Layout, StoredMatrix, refuse_unnamed
from homodyne_lib.io.hdf5 import File, InputError, get_dataset, read_texts

__all__ = ["LAYOUT"]


def _catalogue(file: File) -> Catalogue:
    shape, axes = get_dataset(file, "ttcf").shape, ", ".join(read_texts(file, "ttcf_format"))
    if len(shape) != 3 or axes not in ("t1,t2", "age,lag"):
        raise InputError(
            f"ttcf has the shape {shape} and the format {axes!r}; known are (bins, times, times) and 't1,t2' or 'age,lag'."
        )
    refuse_unnamed(shape[0], "ttcf")
    matrix = StoredMatrix(file, "ttcf", (0,))
    if axes == "age,lag":
        matrix = AgeLagMatrix(file, "ttcf", (0,), axes=read_axes(file, "ttcf", "age", "lag"))
    return Catalogue([matrix], None, np.zeros(1), None, undirected=np.ones(1, dtype=bool))


LAYOUT = Layout("xpcs-correlator", ("ttcf", "ttcf_format"), _catalogue)

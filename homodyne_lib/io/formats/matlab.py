"""MATLAB's XPCSGUI: `C` = c2 - 1 of one bin beside `nBatch`, `nDQ`, `nDPHI`; MAT files of version 5, or 7.3 (HDF5)."""

from __future__ import annotations

import os

import numpy as np

from homodyne_lib.io.formats.arrays import catalogue_of_array
from homodyne_lib.io.formats.catalogue import Catalogue, Layout, PlainFile
from homodyne_lib.io.hdf5 import File, InputError, get_dataset

__all__ = ["LAYOUT", "PLAIN_FILE"]

_KEYS = ("C", "nBatch", "nDQ", "nDPHI")
_TYPES = {"single": np.dtype("f4"), "double": np.dtype("f8")}
_PACKED = 1100  # largest ratio of unpacked to packed size; that of deflate is 1032


def _read(path: str | os.PathLike, what: str, **options):
    from scipy import io  # imported here, because the import takes longer than all other layouts need

    try:
        return getattr(io, what)(path, **options)
    except Exception as error:  # damaged bytes make scipy raise errors of many kinds
        raise InputError(f"the MAT file is damaged ({type(error).__name__}: {error}); copy it again.") from None


def _catalogue_v5(path: str | os.PathLike) -> Catalogue:
    variables = {name: (shape, kind) for name, shape, kind in _read(path, "whosmat")}
    missing = [name for name in _KEYS if name not in variables]
    if missing:
        raise InputError(
            f"the MAT file lacks {', '.join(missing)} of a two-time result of XPCSGUI; it holds "
            f"{', '.join(variables) or 'nothing'}. homodyne_lib.write_c2 makes a file of any c2 that can be read."
        )
    shape, kind = variables["C"]
    dtype = _TYPES.get(kind, np.dtype(object))
    if float(np.prod(shape, dtype=float)) * dtype.itemsize > _PACKED * os.path.getsize(path):
        raise InputError(f"C is declared with the shape {shape}, more than the file can hold; copy it again.")

    def load() -> np.ndarray:
        values = _read(path, "loadmat", variable_names=["C"])["C"]
        if np.shape(values) != shape:
            raise InputError(f"C has the shape {np.shape(values)} for the declared {shape}; copy the file again.")
        return values

    return catalogue_of_array("C", shape, dtype, load, baseline=0)


def _catalogue_v73(file: File) -> Catalogue:
    dataset = get_dataset(file, "C")
    return catalogue_of_array("C", dataset.shape, dataset.dtype, lambda: dataset[()], baseline=0)


PLAIN_FILE = PlainFile("matlab", b"MATLAB 5.0 MAT-file", _catalogue_v5)
LAYOUT = Layout("matlab", _KEYS, _catalogue_v73)

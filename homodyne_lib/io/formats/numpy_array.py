"""An array of NumPy's own file format, such as pyCHX's ``uid=..._g12b.npy``: values without metadata."""

from __future__ import annotations

import os

import numpy as np

from homodyne_lib.io.formats.arrays import catalogue_of_array
from homodyne_lib.io.formats.catalogue import Catalogue, PlainFile
from homodyne_lib.io.hdf5 import InputError

__all__ = ["PLAIN_FILE"]


def _catalogue(path: str | os.PathLike) -> Catalogue:
    try:
        # Mapped, so that a large shape in the header takes no memory. Pickles are refused, because they could run code.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy raises whatever a damaged header leads it to, TokenError among others
        raise InputError(
            f"the NumPy file cannot be read ({' '.join(str(error).split())}); write it again by numpy.save."
        ) from None
    return catalogue_of_array("the array", array.shape, array.dtype, lambda: array)


PLAIN_FILE = PlainFile("numpy", np.lib.format.MAGIC_PREFIX, _catalogue)

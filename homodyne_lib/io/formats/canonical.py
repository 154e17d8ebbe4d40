"""The workflow's own file as an input: a run may start from the c2.h5 of another."""

from __future__ import annotations

from homodyne_lib.io.canonical_file import CANONICAL, CANONICAL_OPTIONAL, read_header
from homodyne_lib.io.formats.catalogue import Catalogue, Layout, StoredMatrix
from homodyne_lib.io.hdf5 import File

__all__ = ["LAYOUT"]


def _catalogue(file: File) -> Catalogue:
    header = read_header(file)
    phi = header["phi"]
    matrices = [StoredMatrix(file, "c2", before=(k,)) for k in range(phi.size)]
    return Catalogue(
        matrices,
        header["q"],
        phi,
        header["dt"],
        header=header,
        notes=header["notes"],
        pixels=header["pixels"],
        sample=header["sample"],
    )


LAYOUT = Layout("canonical", tuple(name for name in CANONICAL if name not in CANONICAL_OPTIONAL), _catalogue)

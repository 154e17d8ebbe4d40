"""Small records, and two-time files written without the library's writers."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np

from homodyne_lib.io.canonical_file import open_correlations, write_correlations
from homodyne_lib.io.correlations import Correlations, RowBand
from homodyne_lib.io.formats.aps_legacy import APS_LEGACY, write_aps_legacy
from homodyne_lib.io.formats.aps_u import write_aps_u

WRITERS = {"canonical": write_correlations, "aps-legacy": write_aps_legacy, "aps-u": write_aps_u}
SELECTION = {"wavevector_q": 0.01, "dt": 0.1}  # fits the record below


def make_record(n_phi: int = 3, n_t: int = 7, dtype: str = "f8", **changes: object) -> Correlations:
    """A record of random symmetric matrices; the raw diagonal is that of c2."""
    half = 0.5 + 0.2 * np.random.default_rng(7).random((n_phi, n_t, n_t))
    c2 = (half + half.transpose(0, 2, 1)).astype(dtype)
    record = Correlations(
        c2=c2,
        raw_diagonal=np.diagonal(c2, axis1=1, axis2=2).copy(),
        phi=np.linspace(-90, 90, n_phi),
        q=0.01,
        dt=0.1,
        frames=np.arange(1, n_t + 1),
        stator_rotor_gap=None,
        sigma=None,
        source="source.h5",
        source_sha256="0" * 64,
    )
    return replace(record, **changes)


def read_rows(path, rows: slice) -> RowBand:
    """Some rows of a canonical file."""
    with open_correlations(path) as record:
        return record.band(rows)


def assert_same(found: Correlations | RowBand, expected: Correlations, *skip: str) -> None:
    """Every field equal in value and, for arrays, in type."""
    for name in (field.name for field in fields(found) if field.name not in skip):
        left, right = getattr(found, name), getattr(expected, name)
        if isinstance(right, np.ndarray):
            assert left.dtype == right.dtype, name
        np.testing.assert_array_equal(left, right, err_msg=name)


def drawn_fit(values: dict[str, float], contrast, offset) -> SimpleNamespace:
    """What figures take of a fit, for a model that nothing was fitted with."""
    scaling = SimpleNamespace(contrast=np.asarray(contrast), offset=np.asarray(offset))
    power = None if "q_exponent" in values else 2.0
    return SimpleNamespace(values=values, scaling=scaling, shear_convention="spec", q_exponent=power)


def write_legacy(path: Path, matrices: dict[int, np.ndarray], q: object, phi: object) -> Path:
    """A legacy file from scratch: {bin: matrix as stored} and the lists of all bins."""
    with h5py.File(path, "w") as file:
        file[APS_LEGACY["q"]], file[APS_LEGACY["phi"]] = np.atleast_2d(q), np.atleast_2d(phi)
        for number, matrix in matrices.items():
            file[f"exchange/C2T_all/g2_{number:05d}"] = matrix
    return path

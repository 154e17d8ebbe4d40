"""Synthetic c2 of the benchmark sizes: known parameters, independent noise, the canonical file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

HOUSE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOUSE))

from homodyne_lib.io.canonical_file import write_correlations  # noqa: E402
from homodyne_lib.io.correlations import Correlations  # noqa: E402
from homodyne_lib.model import kernels  # noqa: E402
from homodyne_lib.model.geometry import PhysicsFactors  # noqa: E402
from homodyne_lib.model.layouts import numpy_mesh  # noqa: E402

Q, GAP, DT, SIGMA = 0.0054, 2.0e6, 0.1, 0.01
CONTRAST, OFFSET = 0.3, 1.0
TRUTH = {
    "laminar_flow": [1.2e4, -1.2, 400.0, 2.0e-3, -0.4, 1.0e-4, -5.8],
    "static": [1.2e4, -0.6, 400.0],
}


class Size(NamedTuple):
    """Frames and angles [deg] of a data set."""

    n_frames: int
    phi: tuple[float, ...]

    @property
    def pairs(self) -> int:
        """Pixels above the diagonal."""
        return len(self.phi) * self.n_frames * (self.n_frames - 1) // 2


_EIGHT = (-75.0, -45.0, -20.0, -5.0, 10.0, 30.0, 60.0, 90.0)
SIZES = {
    "S": Size(100, (0.0, 45.0, 90.0)),
    "M": Size(400, _EIGHT),
    "L": Size(1000, tuple(np.round(np.linspace(-172.0, 176.0, 23), 3).tolist())),
    "L2": Size(4000, _EIGHT),
    "XL": Size(8000, _EIGHT),
}


def synthetic(size: Size, mode: str, seed: int = 1, dtype=np.float64) -> Correlations:
    """Make a record: the model of the kernels plus white noise, symmetric, one angle at a time.

    Parameters
    ----------
    size : Size
    mode : {"static", "laminar_flow"}
    seed : int
    dtype : data type

    Returns
    -------
    Correlations
    """
    n, phi, rng = size.n_frames, np.array(size.phi), np.random.default_rng(seed)
    factors = PhysicsFactors.from_config(Q, GAP, DT).to_tuple()
    c2 = np.empty((phi.size, n, n), dtype=dtype)
    for k, angle in enumerate(phi):
        layout = numpy_mesh(n, angle, DT)
        g2 = OFFSET + CONTRAST * kernels.g1_total(np.array(TRUTH[mode]), layout, *factors)[0] ** 2
        noise = np.triu(SIGMA * rng.standard_normal((n, n)), 1)
        noise += noise.T
        c2[k] = g2 + noise
    return Correlations(
        c2=c2,
        raw_diagonal=np.einsum("kii->ki", c2).copy(),
        phi=phi,
        q=Q,
        dt=DT,
        frames=np.arange(1, n + 1),
        stator_rotor_gap=GAP if mode == "laminar_flow" else None,
        sigma=np.full(phi.size, SIGMA),
        source=f"synthetic, {mode}, seed {seed}",
        source_sha256="0" * 64,
    )


def file_of(folder: Path, name: str, mode: str, dtype: str = "float64") -> Path:
    """Path of a data set's canonical file, made where it does not exist."""
    path = folder / f"{name}-{mode}-{dtype}.h5"
    if not path.exists():
        write_correlations(path, synthetic(SIZES[name], mode, dtype=np.dtype(dtype)))
    return path

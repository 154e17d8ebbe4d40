"""Fixtures shared by all tests: the golden file, two small experiments, and JAX at its strictest."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from compiled_programs import cache_settings

# Before NumPy and JAX are imported. A worker has one core, on which threads of linear algebra would wait for each other.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
os.environ |= cache_settings(Path(__file__).parents[1])

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import homodyne_lib.model.backend
from homodyne_lib.model.parameters import parameter_names

GOLDEN_FILE = Path(__file__).parent / "data" / "golden_dev.npz"
N_GOLDEN_CASES = 15


def pytest_sessionstart(session):
    """Refuse to test in single precision: every tolerance here is a double's."""
    if homodyne_lib.model.backend.HAS_JAX and jnp.zeros(1).dtype != np.float64:
        raise pytest.UsageError("JAX computes in single precision although homodyne_lib is imported.")


def pytest_collection_modifyitems(items):
    """Begin with whole projects and the study of error bars, which take longest: no core then waits at the end."""
    longest = ("workflow", "uncertainty")
    items.sort(key=lambda item: next((k for k, name in enumerate(longest) if name in item.path.parts), len(longest)))


@dataclass(frozen=True)
class Case:
    """One experiment: what the public functions take, by name, and the golden values that belong to it."""

    params: np.ndarray
    t: np.ndarray
    phi: np.ndarray
    q: float
    L: float
    dt: float
    contrast: float
    offset: float
    golden: dict[str, np.ndarray]

    @property
    def laminar(self) -> bool:
        """Whether the case has shear parameters."""
        return len(self.params) == 7

    @property
    def g2_arguments(self) -> tuple:
        """Arguments of ``compute_g2_scaled`` after ``params``."""
        return self.t, self.t, self.phi, self.q, self.L, self.contrast, self.offset, self.dt

    @property
    def g1_arguments(self) -> tuple:
        """Arguments of ``compute_g1_total`` after ``params``."""
        return self.t, self.t, self.phi, self.q, self.L, self.dt

    def with_frames(self, n: int) -> Case:
        """The same experiment with n frames from t = 0."""
        return replace(self, t=self.dt * np.arange(n))

    def with_params(self, **changes: float) -> Case:
        """The same experiment with some parameters changed."""
        params = self.params.copy()
        for name, value in changes.items():
            params[parameter_names("combined").index(name)] = value
        return replace(self, params=params)


@pytest.fixture(scope="session")
def golden() -> dict[str, np.ndarray]:
    """Every array of the golden file."""
    with np.load(GOLDEN_FILE, allow_pickle=False) as file:
        return dict(file)


def _golden_case(golden: dict[str, np.ndarray], number: int) -> Case:
    prefix = f"c{number:02d}_"
    values = {key.removeprefix(prefix): value for key, value in golden.items() if key.startswith(prefix)}
    q, L, dt = (float(v) for v in values["qLdt"])
    contrast, offset = (float(v) for v in values["scaling"])
    return Case(values["params"], values["t"], values["phi"], q, L, dt, contrast, offset, values)


@pytest.fixture(params=range(N_GOLDEN_CASES), ids=lambda k: f"c{k:02d}")
def golden_case(request, golden) -> Case:
    """Each golden case in turn: 3 static, 12 laminar, five from t = 0, two with D(t) on its floor."""
    return _golden_case(golden, request.param)


@pytest.fixture
def static_case() -> Case:
    """Ageing diffusion whose decay ends within the record."""
    params = np.array([1000.0, -0.5, 100.0])
    return Case(params, 0.1 * np.arange(6), np.array([0.0, 45.0]), 0.0237, 2e6, 0.1, 0.3, 1.0, {})


@pytest.fixture
def laminar_case() -> Case:
    """Ageing diffusion and slowing shear; angles along, across and on both sides of the flow."""
    params = np.array([5000.0, -0.5, 500.0, 1e-3, -0.3, 1e-4, 3.0])
    return Case(params, 0.1 * np.arange(6), np.array([0.0, 30.0, 90.0]), 0.0054, 2e6, 0.1, 0.3, 1.0, {})


@pytest.fixture(params=["static", "laminar"])
def case(request) -> Case:
    """Both small experiments in turn."""
    return request.getfixturevalue(f"{request.param}_case")


@pytest.fixture(scope="module")
def strict_jax():
    """JAX raises on implicit rank promotion and on the first NaN, even where ``where`` would discard it.

    Modules opt in with ``pytestmark``: samplers and other third parties pass neither.
    """
    with jax.numpy_rank_promotion("raise"), jax.debug_nans(True):
        yield

"""The model behind checks: a bad argument is refused with a sentence before anything is computed."""

from __future__ import annotations

from typing import Any

import numpy as np

from homodyne_lib.model.checks import check_data
from homodyne_lib.model.geometry import PhysicsFactors
from homodyne_lib.spec.jax_backend import batch_chi_squared
from homodyne_lib.spec.models import create_model
from homodyne_lib.spec.physics import validate_parameters_detailed

__all__ = ["TheoryEngine", "compute_chi2_theory", "compute_g2_theory"]

_OPERATIONS_PER_POINT = {True: 10, False: 50}  # static, laminar flow (spec section 11)
_TIERS = ((1e6, "light"), (1e9, "medium"), (np.inf, "heavy"))  # operations: milliseconds, seconds, longer
_ARRAYS_HELD = 4  # diffusion factor, shear factor, g1 and g2 live at the same time


class TheoryEngine:
    """Validated g1, g2 and χ² of one analysis mode (spec section 11).

    Every method takes ``dt`` [s], which has no default, and checks: the number of parameters and their
    bounds; q, L and dt finite and positive, with a ``UserWarning`` outside their usual ranges.

    Parameters
    ----------
    analysis_mode : str
        One of :func:`~homodyne_lib.spec.models.get_available_models`.
    shear_convention : {"spec", "published"}

    Raises
    ------
    ValueError
        For an unknown mode or convention.
    """

    def __init__(self, analysis_mode: str = "laminar_flow", shear_convention: str = "spec") -> None:
        self.model = create_model(analysis_mode, shear_convention)
        self.analysis_mode = analysis_mode
        self.shear_convention = shear_convention

    def compute_g1(self, params, t1, t2, phi, q, L, dt=None):
        """Compute g1 on the mesh.

        Parameters
        ----------
        params : array_like, shape (3,) or (7,)
        t1, t2 : array_like, shape (n1,), (n2,) or both (n1, n2)
            Times [s], dt apart.
        phi : array_like, shape (n_phi,)
            [deg]
        q, L, dt : float
            [1/Å], [Å], [s]

        Returns
        -------
        array
            (n1, n2) for a static mode, (n_phi, n1, n2) for laminar flow.

        Raises
        ------
        ValueError
            If a check fails, dt is missing, or a time is not on a frame.
        """
        self._check("compute_g1", [params], q, L, dt)
        return self.model.compute_g1(params, t1, t2, phi, q, L, dt)

    def compute_g2(self, params, t1, t2, phi, q, L, contrast, offset, dt=None):
        """Compute g2 = offset + contrast g1² on the mesh.

        Parameters
        ----------
        params, t1, t2, phi, q, L, dt
            As :meth:`compute_g1`.
        contrast, offset : float or array_like, shape (n_phi,)
            Finite.

        Returns
        -------
        array, shape (n_phi, n1, n2)

        Raises
        ------
        ValueError
            As :meth:`compute_g1`.
        """
        self._check("compute_g2", [params], q, L, dt, contrast=contrast, offset=offset)
        return self.model.compute_g2(params, t1, t2, phi, q, L, contrast, offset, dt)

    def compute_chi_squared(self, params, data, sigma, t1, t2, phi, q, L, contrast, offset, dt=None) -> float:
        """Compute χ² = Σ((data - g2)/σ)² over every entry given.

        Parameters
        ----------
        params, t1, t2, phi, q, L, contrast, offset, dt
            As :meth:`compute_g2`.
        data : array_like, shape (n_phi, n1, n2)
            Real and finite.
        sigma : float or array_like, broadcastable to ``data``
            Positive; infinite where an entry shall not count.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            As :meth:`compute_g1`, and for data or sigma of a wrong shape or with wrong values.
        TypeError
            If data or sigma are not real numbers.
        """
        self._check("compute_chi_squared", [params], q, L, dt, contrast=contrast, offset=offset)
        data, sigma = check_data(data, sigma)
        return float(self.model.compute_chi_squared(params, data, sigma, t1, t2, phi, q, L, contrast, offset, dt))

    def batch_computation(self, params_batch, data, sigma, t1, t2, phi, q, L, contrast, offset, dt=None) -> np.ndarray:
        """Compute χ² of many parameter vectors: at once with JAX, one by one without.

        Parameters
        ----------
        params_batch : array_like, shape (n_batch, n_params)
        data, sigma, t1, t2, phi, q, L, contrast, offset, dt
            As :meth:`compute_chi_squared`.

        Returns
        -------
        ndarray, shape (n_batch,)

        Raises
        ------
        ValueError, TypeError
            As :meth:`compute_chi_squared`; a bad vector is named by its row.
        """
        batch = np.asarray(params_batch, dtype=float)
        if batch.ndim != 2 or len(batch) == 0:
            raise ValueError(f"params_batch must have shape (n_batch, n_params); found {batch.shape}.")
        self._check("batch_computation", batch, q, L, dt, contrast=contrast, offset=offset)
        data, sigma = check_data(data, sigma)
        chi2 = batch_chi_squared(batch, data, sigma, t1, t2, phi, q, L, contrast, offset, dt, self.shear_convention)
        return np.asarray(chi2)

    def estimate_computation_cost(self, t1, t2, phi) -> dict[str, Any]:
        """Estimate what one g2 costs, without computing it.

        Parameters
        ----------
        t1, t2 : array_like, shape (n1,), (n2,) or both (n1, n2)
            [s]
        phi : float or array_like, shape (n_phi,)
            [deg]

        Returns
        -------
        dict
            ``n_total_points`` = n_phi n1 n2; ``estimated_operations``, 10 a point when static and 50 in
            laminar flow; ``estimated_memory_mb`` [MB], four arrays of doubles; ``performance_tier``:
            ``light`` below 1e6 operations, ``medium`` below 1e9, else ``heavy``.
        """
        n_pairs = np.size(t1) if np.ndim(t1) == 2 else np.size(t1) * np.size(t2)
        n_points = int(n_pairs * np.size(phi))
        operations = n_points * _OPERATIONS_PER_POINT[self.model.is_static]
        return {
            "n_total_points": n_points,
            "estimated_operations": operations,
            "estimated_memory_mb": 8e-6 * _ARRAYS_HELD * n_points,
            "performance_tier": next(tier for limit, tier in _TIERS if operations < limit),
        }

    def _check(self, method: str, rows, q, L, dt, **scaling) -> None:
        if dt is None:
            raise ValueError(
                f"TheoryEngine.{method} requires explicit dt: give the time between frames in seconds; "
                "it is never guessed."
            )
        PhysicsFactors.from_config(q, L, dt)  # raises and warns about the geometry
        for name, value in scaling.items():
            if not np.all(np.isfinite(np.asarray(value, dtype=float))):
                raise ValueError(f"{name} = {value} must be finite.")
        for row, params in enumerate(rows):
            result = validate_parameters_detailed(params, self.model.get_parameter_bounds(), self.model.parameter_names)
            if not result:
                where = f"row {row} of params_batch: " if method == "batch_computation" else ""
                raise ValueError(f"{where}{result.message}. {' '.join(result.violations)}")


def compute_g2_theory(
    params, t1, t2, phi, q, L, contrast, offset, dt, analysis_mode="laminar_flow", shear_convention="spec"
):
    """Compute g2 once, with a new :class:`TheoryEngine` (spec section 11).

    Parameters
    ----------
    params, t1, t2, phi, q, L, contrast, offset, dt
        As :meth:`TheoryEngine.compute_g2`.
    analysis_mode, shear_convention : str
        As :class:`TheoryEngine`.

    Returns
    -------
    array, shape (n_phi, n1, n2)

    Raises
    ------
    ValueError
        As :meth:`TheoryEngine.compute_g2`.
    """
    engine = TheoryEngine(analysis_mode, shear_convention)
    return engine.compute_g2(params, t1, t2, phi, q, L, contrast, offset, dt)


def compute_chi2_theory(
    params,
    data,
    sigma,
    t1,
    t2,
    phi,
    q,
    L,
    contrast,
    offset,
    analysis_mode="laminar_flow",
    shear_convention="spec",
    *,
    dt,
) -> float:
    """Compute χ² once, with a new :class:`TheoryEngine` (spec section 11).

    The specification's call has no dt; it is required, by name, because it is never guessed.

    Parameters
    ----------
    params, data, sigma, t1, t2, phi, q, L, contrast, offset, dt
        As :meth:`TheoryEngine.compute_chi_squared`.
    analysis_mode, shear_convention : str
        As :class:`TheoryEngine`.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        As :meth:`TheoryEngine.compute_chi_squared`.
    """
    engine = TheoryEngine(analysis_mode, shear_convention)
    return engine.compute_chi_squared(params, data, sigma, t1, t2, phi, q, L, contrast, offset, dt)

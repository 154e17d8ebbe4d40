"""The two numbers by which an experiment's geometry enters the kernels."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from homodyne_lib.physics import PhysicsConstants
from homodyne_lib.validation import require_positive

__all__ = ["PhysicsFactors", "create_physics_factors_from_config_dict"]


@dataclass(frozen=True)
class PhysicsFactors:
    """Pre-computed factors of the kernels (spec section 4).

    Attributes
    ----------
    wavevector_q : float
        q [1/Å].
    stator_rotor_gap : float
        L [Å].
    dt : float
        Frame interval [s].
    wavevector_q_squared_half_dt : float
        ½ q² dt [s/Å²].
    sinc_prefactor : float
        q L dt / 2π [s].
    """

    wavevector_q: float
    stator_rotor_gap: float
    dt: float
    wavevector_q_squared_half_dt: float
    sinc_prefactor: float

    @classmethod
    def from_config(cls, q: float, L: float, dt: float, validate: bool = True) -> PhysicsFactors:
        """Compute the factors from the geometry.

        Parameters
        ----------
        q : float
            [1/Å]
        L : float
            [Å]
        dt : float
            [s]
        validate : bool
            Warn about unusual values; impossible ones are refused in any case.

        Returns
        -------
        PhysicsFactors

        Raises
        ------
        ValueError
            If a value is missing, not finite or not positive.
        TypeError
            If a value is a JAX tracer.

        Warns
        -----
        UserWarning
            If a value lies outside its usual range.
        """
        cls._validate(q, L, dt, warn=validate)
        return cls(float(q), float(L), float(dt), float(0.5 * q**2 * dt), float(0.5 / np.pi * q * L * dt))

    @staticmethod
    def _validate(q: float, L: float, dt: float, warn: bool) -> None:
        c = PhysicsConstants
        for name, value, unit, low, high in (
            ("q", q, "1/Å", c.Q_MIN_TYPICAL, c.Q_MAX_TYPICAL),
            ("L", L, "Å", c.GAP_MIN_TYPICAL, c.GAP_MAX_TYPICAL),
            ("dt", dt, "s", c.TIME_MIN_XPCS, c.TIME_MAX_XPCS),
        ):
            if not low <= require_positive(name, value, unit) <= high and warn:
                warnings.warn(
                    f"{name} = {value:g} {unit} is outside the usual range [{low:g}, {high:g}] {unit}; check its unit.",
                    UserWarning,
                    stacklevel=3,
                )

    def to_tuple(self) -> tuple[float, float]:
        """Return (½ q² dt, q L dt / 2π), the scalars that compiled kernels take."""
        return self.wavevector_q_squared_half_dt, self.sinc_prefactor


def create_physics_factors_from_config_dict(config: Mapping[str, Any]) -> PhysicsFactors:
    """Build the factors from the nested configuration of the spec (sections 4 and 10).

    Parameters
    ----------
    config : mapping
        ``analyzer_parameters`` with ``temporal.dt`` [s], ``scattering.wavevector_q`` [1/Å] and
        ``geometry.stator_rotor_gap`` [Å].

    Returns
    -------
    PhysicsFactors

    Raises
    ------
    ValueError
        If a key is missing (named by its path), or a value is impossible.
    """

    def look_up(section: str, key: str) -> float:
        node: Any = config
        for step in ("analyzer_parameters", section, key):
            if not isinstance(node, Mapping) or step not in node:
                raise ValueError(
                    f"the configuration has no analyzer_parameters.{section}.{key}; add it, there is no default."
                )
            node = node[step]
        return node

    return PhysicsFactors.from_config(
        look_up("scattering", "wavevector_q"),
        look_up("geometry", "stator_rotor_gap"),
        look_up("temporal", "dt"),
    )

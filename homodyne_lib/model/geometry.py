"""The two numbers by which an experiment's geometry enters the kernels."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from homodyne_lib.model.backend import is_traced, pytree, register_pytrees
from homodyne_lib.model.checks import require_positive
from homodyne_lib.model.parameters import outside_usual

__all__ = ["PhysicsFactors"]


@pytree
@dataclass(frozen=True)
class PhysicsFactors:
    """Pre-computed factors of the kernels (spec section 4); for JAX a pytree of five numbers.

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

    def __post_init__(self) -> None:
        """Tell JAX of this class, if it was imported meanwhile."""
        register_pytrees()

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
            If a value is missing, not finite or not positive; a value that JAX traces is not checked.

        Warns
        -----
        UserWarning
            If a value lies outside its usual range.
        """
        q, L, dt = cls._validate(q, L, dt, warn=validate)
        return cls(q, L, dt, 0.5 * q**2 * dt, 0.5 / np.pi * q * L * dt)

    @staticmethod
    def _validate(q: float, L: float, dt: float, warn: bool) -> list[float]:
        values = [require_positive(*row) for row in (("q", q, "1/Å"), ("L", L, "Å"), ("dt", dt, "s"))]
        for name, value in zip(("q", "L", "dt"), values, strict=True):
            sentence = None if is_traced(value) else outside_usual(name, value)
            if sentence and warn:
                warnings.warn(f"{sentence}; check its unit.", UserWarning, stacklevel=3)
        return values

    def to_tuple(self) -> tuple[float, float]:
        """Return (½ q² dt, q L dt / 2π), the scalars that compiled kernels take."""
        return self.wavevector_q_squared_half_dt, self.sinc_prefactor

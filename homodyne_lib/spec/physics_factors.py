"""The two numbers by which geometry enters the kernels, also from the nested configuration of the specification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from homodyne_lib.model.geometry import PhysicsFactors

__all__ = ["PhysicsFactors", "create_physics_factors_from_config_dict"]


def create_physics_factors_from_config_dict(config: Mapping[str, Any]) -> PhysicsFactors:
    """Build the factors from the nested configuration of an experiment (spec section 4).

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
        look_up("scattering", "wavevector_q"), look_up("geometry", "stator_rotor_gap"), look_up("temporal", "dt")
    )

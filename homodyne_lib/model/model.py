"""Which model describes the data: its parameters, its shear convention, and how the decay goes with q."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from homodyne_lib.model.kernels import BROWNIAN
from homodyne_lib.model.parameters import POWER_OF_Q, is_static, parameter_names

__all__ = ["Model", "fixed_power"]


def fixed_power(q_exponent: float | Literal["free"]) -> float | None:
    """Power of q that a configuration gives the decay; None where it is a parameter."""
    return None if q_exponent == "free" else float(q_exponent)


@dataclass(frozen=True)
class Model:
    """The model of a fit, a posterior or a simulation.

    Attributes
    ----------
    analysis_mode : str
    convention : {"spec", "published"}
        Shear convention.
    q_exponent : float or None
        Power of q with which the decay goes, about the reference q; None makes it a parameter.
    """

    analysis_mode: str
    convention: str = "spec"
    q_exponent: float | None = BROWNIAN

    @property
    def names(self) -> list[str]:
        """Physical parameters, in the order of the parameter vector."""
        return [*parameter_names(self.analysis_mode), *([POWER_OF_Q] if self.q_exponent is None else [])]

    @property
    def has_flow(self) -> bool:
        """Whether the model has a flow."""
        return not is_static(self.analysis_mode)

    def of_rings(self, n_rings: int) -> Model:
        """The same model for data at so many q; one q has no power."""
        return self if n_rings > 1 else replace(self, q_exponent=BROWNIAN)

    def at_rest(self) -> Model:
        """The same model without flow."""
        return replace(self, analysis_mode="static")

    @classmethod
    def of_truth(cls, truth: Mapping[str, float], analysis_mode: str, convention: str = "spec") -> Model:
        """The model that a simulation with these parameters has.

        Parameters
        ----------
        truth : mapping of str to float
            Those of the mode; the power of q where it is not 2 [units of the parameter table].
        analysis_mode, convention : str

        Raises
        ------
        ValueError
            If a parameter is missing, or one of another model is there.
        """
        model = cls(analysis_mode, convention, None if POWER_OF_Q in truth else BROWNIAN)
        if truth.keys() != {*model.names}:
            raise ValueError(
                f"a simulation in the mode {analysis_mode} takes the parameters {', '.join(model.names)}; it got "
                f"{', '.join(truth) or 'none'}."
            )
        return model

    def vector(self, values: Mapping[str, float]) -> np.ndarray:
        """Parameter vector, shape (p,), of values by name."""
        return np.array([values[name] for name in self.names], dtype=float)

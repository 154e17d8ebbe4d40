"""Bounds and priors of all parameters, for fits and samplers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from homodyne_lib.parameter_scales import prior_normal, search_bounds
from homodyne_lib.physics import PARAMETERS, parameter_names

__all__ = ["ParameterSpace", "Prior"]

_BOUNDS = {name: (p.lower, p.upper) for name, p in PARAMETERS.items()}


class Prior(NamedTuple):
    """Normal prior of one parameter.

    Attributes
    ----------
    mean, sd : float
        Of the parameter [its unit], or of its natural logarithm.
    logarithmic : bool
        Which of the two.
    """

    mean: float
    sd: float
    logarithmic: bool


@dataclass(frozen=True)
class ParameterSpace:
    """Bounds and priors of all parameters (spec section 12); the bounds default to the parameter table.

    Attributes
    ----------
    contrast_bounds, offset_bounds, D0_bounds, ... : (float, float)
        Lower and upper bound, in the units of :data:`~homodyne_lib.physics.PARAMETERS` and within its bounds.
    contrast_prior, offset_prior : (float, float)
        Mean and standard deviation of a normal prior.

    Raises
    ------
    ValueError
        If bounds are reversed, not finite, or outside those of the parameter table.
    """

    contrast_bounds: tuple[float, float] = _BOUNDS["contrast"]
    offset_bounds: tuple[float, float] = _BOUNDS["offset"]
    contrast_prior: tuple[float, float] = (0.5, 0.2)
    offset_prior: tuple[float, float] = (1.0, 0.3)
    D0_bounds: tuple[float, float] = _BOUNDS["D0"]
    alpha_bounds: tuple[float, float] = _BOUNDS["alpha"]
    D_offset_bounds: tuple[float, float] = _BOUNDS["D_offset"]
    gamma_dot_t0_bounds: tuple[float, float] = _BOUNDS["gamma_dot_t0"]
    beta_bounds: tuple[float, float] = _BOUNDS["beta"]
    gamma_dot_t_offset_bounds: tuple[float, float] = _BOUNDS["gamma_dot_t_offset"]
    phi0_bounds: tuple[float, float] = _BOUNDS["phi0"]

    def __post_init__(self) -> None:
        """Check the bounds."""
        search_bounds(PARAMETERS, self._bounds)

    @property
    def _bounds(self) -> dict[str, tuple[float, float]]:
        return {name: getattr(self, f"{name}_bounds") for name in PARAMETERS}

    def get_param_bounds(self, analysis_mode: str) -> list[tuple[float, float]]:
        """Bounds of the physical parameters, in the order of the parameter vector.

        Parameters
        ----------
        analysis_mode : str
            One of :data:`~homodyne_lib.physics.ANALYSIS_MODES`.

        Returns
        -------
        list of (float, float)

        Raises
        ------
        ValueError
            For an unknown mode.
        """
        return [self._bounds[name] for name in parameter_names(analysis_mode)]

    def get_param_priors(self, analysis_mode: str) -> list[Prior]:
        """Priors of the physical parameters: normal, centred between the bounds, sd a quarter of their width.

        Amplitudes that span decades (``logarithmic`` in the parameter table) have this prior on the scale of
        their natural logarithm. The priors are weak, and never derived from data.

        Parameters
        ----------
        analysis_mode : str
            One of :data:`~homodyne_lib.physics.ANALYSIS_MODES`.

        Returns
        -------
        list of Prior

        Raises
        ------
        ValueError
            For an unknown mode.
        """
        names = parameter_names(analysis_mode)
        return [
            Prior(float(centre), float(sd), PARAMETERS[name].logarithmic)
            for name, centre, sd in zip(names, *prior_normal(names, self._bounds), strict=True)
        ]

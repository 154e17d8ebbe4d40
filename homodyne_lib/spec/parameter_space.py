"""Bounds and priors of all parameters, for fits and samplers."""

from __future__ import annotations

from dataclasses import dataclass

from homodyne_lib.model.parameters import MODEL_TYPES, PARAMETERS, parameter_names
from homodyne_lib.model.scales import prior_normal, search_bounds

__all__ = ["ParameterSpace"]

# What a model may have besides, such as a power of q, the specification does not know.
_GROUPS = (*MODEL_TYPES["combined"], "scaling")
_BOUNDS = {name: (p.lower, p.upper) for name, p in PARAMETERS.items() if p.group in _GROUPS}


def _priors(names, bounds=None) -> list[tuple[float, float]]:
    return [(float(centre), float(sd)) for centre, sd in zip(*prior_normal(names, bounds), strict=True)]


_CONTRAST_PRIOR, _OFFSET_PRIOR = _priors(["contrast", "offset"])


@dataclass(frozen=True)
class ParameterSpace:
    """Bounds and priors of all parameters (spec section 12); the bounds default to the parameter table.

    Attributes
    ----------
    contrast_bounds, offset_bounds, D0_bounds, ... : (float, float)
        Lower and upper bound, in the units of :data:`~homodyne_lib.model.parameters.PARAMETERS` and within its bounds; those
        of ``phi0`` may be any interval of at most 180 deg.
    contrast_prior, offset_prior : (float, float)
        Mean and standard deviation of a normal prior; the defaults are those that the samplers of this library use.

    Raises
    ------
    ValueError
        If bounds are reversed, not finite, or outside those of the parameter table.
    """

    contrast_bounds: tuple[float, float] = _BOUNDS["contrast"]
    offset_bounds: tuple[float, float] = _BOUNDS["offset"]
    contrast_prior: tuple[float, float] = _CONTRAST_PRIOR
    offset_prior: tuple[float, float] = _OFFSET_PRIOR
    D0_bounds: tuple[float, float] = _BOUNDS["D0"]
    alpha_bounds: tuple[float, float] = _BOUNDS["alpha"]
    D_offset_bounds: tuple[float, float] = _BOUNDS["D_offset"]
    gamma_dot_t0_bounds: tuple[float, float] = _BOUNDS["gamma_dot_t0"]
    beta_bounds: tuple[float, float] = _BOUNDS["beta"]
    gamma_dot_t_offset_bounds: tuple[float, float] = _BOUNDS["gamma_dot_t_offset"]
    phi0_bounds: tuple[float, float] = _BOUNDS["phi0"]

    def __post_init__(self) -> None:
        """Check the bounds."""
        search_bounds(_BOUNDS, self._bounds)

    @property
    def _bounds(self) -> dict[str, tuple[float, float]]:
        return {name: getattr(self, f"{name}_bounds") for name in _BOUNDS}

    def get_param_bounds(self, analysis_mode: str) -> list[tuple[float, float]]:
        """Bounds of the physical parameters, in the order of the parameter vector.

        Parameters
        ----------
        analysis_mode : str
            One of :data:`~homodyne_lib.model.parameters.ANALYSIS_MODES`.

        Returns
        -------
        list of (float, float)

        Raises
        ------
        ValueError
            For an unknown mode.
        """
        return [self._bounds[name] for name in parameter_names(analysis_mode)]

    def get_param_priors(self, analysis_mode: str) -> list[tuple[float, float]]:
        """Priors of the physical parameters: normal, centred between the bounds, sd a quarter of their width.

        Mean and standard deviation are those of the parameter [its unit]; of D0 and gamma_dot_t0 (``logarithmic`` in the
        parameter table) they are those of its natural logarithm. The priors are weak and do not depend on data.

        Parameters
        ----------
        analysis_mode : str
            One of :data:`~homodyne_lib.model.parameters.ANALYSIS_MODES`.

        Returns
        -------
        list of (float, float)
            Mean and standard deviation.

        Raises
        ------
        ValueError
            For an unknown mode.
        """
        return _priors(parameter_names(analysis_mode), self._bounds)

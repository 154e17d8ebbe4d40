"""Constants and the parameter table.

The table :data:`PARAMETERS` is the only home of a parameter's name, symbol, unit, bounds and default; everything else
(bounds, defaults, priors, validation, report headings, configuration schema) is derived from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

__all__ = [
    "ANALYSIS_MODES",
    "MODEL_TYPES",
    "PARAMETERS",
    "PHYSICAL",
    "POWER_OF_Q",
    "RATE_NAMES",
    "RATE_UNITS",
    "Parameter",
    "PhysicsConstants",
    "check_bounds",
    "is_static",
    "model_parameters",
    "outside_usual",
    "parameter_names",
    "unit_of",
    "unit_to_check",
]


class PhysicsConstants:
    """Reference values for XPCS experiments (spec section 2)."""

    WAVELENGTH_CU_KA = 1.54  # [Å]
    WAVELENGTH_8KEV = 1.55  # [Å]
    WAVELENGTH_12KEV = 1.03  # [Å]
    WAVELENGTH_15KEV = 0.83  # [Å]
    Q_MIN_TYPICAL, Q_MAX_TYPICAL = 1e-4, 1.0  # [1/Å]
    GAP_MIN_TYPICAL, GAP_MAX_TYPICAL = 1e5, 1e8  # [Å], 10 µm to 10 mm
    TIME_MIN_XPCS, TIME_MAX_XPCS = 1e-6, 1e3  # [s]
    DIFFUSION_MIN, DIFFUSION_MAX = 1.0, 1e6  # [Å²/s]
    SHEAR_RATE_MIN, SHEAR_RATE_MAX = 1e-5, 1.0  # [1/s]
    ALPHA_MIN, ALPHA_MAX = -2.0, 2.0
    BETA_MIN, BETA_MAX = -2.0, 2.0
    EPS = 1e-12
    MAX_EXP_ARG = 700.0
    MIN_POSITIVE = 1e-100


class Parameter(NamedTuple):
    """One row of the parameter table.

    Attributes
    ----------
    name, symbol, unit : str
        Name in code and files, symbol in LaTeX, unit as printed ("" where there is none).
    lower, upper, default : float
        Bounds and starting value [unit]; the default lies strictly inside and off the degenerate lines alpha = 0, beta = 0.
    group : str
        ``diffusion``, ``shear``, ``wavevector`` or ``scaling``.
    logarithmic : bool
        True for amplitudes that span decades: sampled, and searched for, on a logarithmic scale.
    period : float
        Values that lie so far apart [unit] are the same experiment; infinite where there are none.
    """

    name: str
    symbol: str
    unit: str
    lower: float
    upper: float
    default: float
    group: str
    logarithmic: bool = False
    period: float = np.inf


_C = PhysicsConstants
PARAMETERS: dict[str, Parameter] = {
    p.name: p
    for p in (
        Parameter("D0", "D_0", "Å²/s", _C.DIFFUSION_MIN, _C.DIFFUSION_MAX, 100.0, "diffusion", True),
        Parameter("alpha", r"\alpha", "", _C.ALPHA_MIN, _C.ALPHA_MAX, -0.5, "diffusion"),
        Parameter("D_offset", r"D_\mathrm{off}", "Å²/s", -1e5, 1e5, 10.0, "diffusion"),
        Parameter("gamma_dot_t0", r"\dot\gamma_0", "1/s", _C.SHEAR_RATE_MIN, _C.SHEAR_RATE_MAX, 1e-3, "shear", True),
        Parameter("beta", r"\beta", "", _C.BETA_MIN, _C.BETA_MAX, -0.3, "shear"),
        Parameter("gamma_dot_t_offset", r"\dot\gamma_\mathrm{off}", "1/s", -1.0, 1.0, 0.0, "shear"),
        Parameter("phi0", r"\varphi_0", "deg", -30.0, 30.0, 0.0, "shear", period=180.0),
        Parameter("q_exponent", "n", "", 0.0, 6.0, 2.0, "wavevector"),
        Parameter("contrast", "C", "", 0.0, 1.0, 0.5, "scaling"),
        Parameter("offset", "O", "", 0.5, 1.5, 1.0, "scaling"),
    )
}
"""The parameter table: each :class:`Parameter` by name, in the order of the parameter vector, scaling last."""

PHYSICAL = [name for name, parameter in PARAMETERS.items() if parameter.group != "scaling"]
"""Parameters of all models: what is not contrast or offset."""

POWER_OF_Q = "q_exponent"
"""The parameter that a model of several q may have besides: the decay goes with this power of q."""

RATE_UNITS = {"D": PARAMETERS["D0"].unit, "gamma_dot": PARAMETERS["gamma_dot_t0"].unit}
"""Units of the rates, D(t) and the shear rate."""

RATE_NAMES = {"D": "D(t)", "gamma_dot": "the shear rate"}
"""The rates in a sentence."""

ANALYSIS_MODES = ("static", "static_isotropic", "static_anisotropic", "laminar_flow")
"""Names of the analysis modes (spec section 3); all but ``laminar_flow`` have diffusion only."""

_USUAL = {
    "q": (_C.Q_MIN_TYPICAL, _C.Q_MAX_TYPICAL, "1/Å"),
    "L": (_C.GAP_MIN_TYPICAL, _C.GAP_MAX_TYPICAL, "Å"),
    "dt": (_C.TIME_MIN_XPCS, _C.TIME_MAX_XPCS, "s"),
    "wavelength": (_C.WAVELENGTH_15KEV / 2, 2 * _C.WAVELENGTH_8KEV, "Å"),
}
# A value beyond its usual range by more than this factor is no unusual experiment but a number in another unit.
_FAR = 100.0
_OTHER_UNITS = {"q": "1/nm is 0.1 1/Å", "L": "1 mm is 1e7 Å", "dt": "1 ms is 1e-3 s"}

MODEL_TYPES = {"diffusion": ("diffusion",), "shear": ("shear",), "combined": ("diffusion", "shear")}
"""Model types, and the groups of the parameter table that each has."""


def check_bounds(parameters: Mapping[str, float]) -> None:
    """Refuse values of parameters outside the bounds of the parameter table; those of periodic ones have none.

    Parameters
    ----------
    parameters : mapping of str to float
        Other names are passed over.

    Raises
    ------
    ValueError
        With the name, the value and the bounds.
    """
    for name, value in parameters.items():
        table = PARAMETERS.get(name)
        if table and not np.isfinite(table.period) and not table.lower <= value <= table.upper:
            unit = f" {table.unit}" if table.unit else ""
            raise ValueError(f"{name} = {value:g}{unit} is outside [{table.lower:g}, {table.upper:g}].")


def outside_usual(quantity: str, value: float, name: str | None = None) -> str | None:
    """Say that a value lies outside the usual range of its quantity.

    Parameters
    ----------
    quantity : str
        ``q`` [1/Å], ``L`` [Å], ``dt`` [s] or ``wavelength`` [Å].
    value : float
    name : str, optional
        What the sentence calls it.

    Returns
    -------
    str or None
        A sentence without its full stop: value, range and unit. None where the value is usual.
    """
    low, high, unit = _USUAL[quantity]
    if low <= value <= high:
        return None
    return f"{name or quantity} = {value:g} {unit} is outside the usual range [{low:g}, {high:g}] {unit}"


def unit_to_check(quantity: str, value: float, name: str) -> tuple[bool, str] | None:
    """Say that the unit of a value outside its usual range should be checked.

    Parameters
    ----------
    quantity : str
        ``q`` [1/Å], ``L`` [Å] or ``dt`` [s].
    value : float
    name : str
        What the sentence calls it.

    Returns
    -------
    far : bool
        Whether it is so far outside that it cannot be meant.
    sentence : str
        None stands for both where the value is usual.
    """
    if not (words := outside_usual(quantity, value, name)):
        return None
    low, high, _ = _USUAL[quantity]
    far = not low / _FAR <= value <= high * _FAR
    factor = f", by a factor of more than {_FAR:g}" if far else ""
    return far, f"{words}{factor}; check its unit ({_OTHER_UNITS[quantity]})."


def unit_of(name: str) -> str:
    """Unit of a physical parameter; contrast, offset and noise scale have none."""
    return PARAMETERS[name].unit if name in PARAMETERS else ""


def is_static(analysis_mode: str) -> bool:
    """Whether a mode has diffusion only (spec section 3, analysis mode mapping).

    Parameters
    ----------
    analysis_mode : str
        One of :data:`ANALYSIS_MODES`.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        For a mode that does not exist.
    """
    if analysis_mode not in ANALYSIS_MODES:
        raise ValueError(f"analysis_mode {analysis_mode!r} does not exist; choose one of {', '.join(ANALYSIS_MODES)}.")
    return analysis_mode != "laminar_flow"


def model_parameters(model_type: str) -> list[Parameter]:
    """Rows of the parameter table that a model type or an analysis mode has; ValueError for one that does not exist."""
    if model_type in ANALYSIS_MODES:
        model_type = "diffusion" if is_static(model_type) else "combined"
    if model_type not in MODEL_TYPES:
        known = ", ".join((*MODEL_TYPES, *ANALYSIS_MODES))
        raise ValueError(f"model type {model_type!r} does not exist; choose one of {known}.")
    return [p for p in PARAMETERS.values() if p.group in MODEL_TYPES[model_type]]


def parameter_names(model_type: str) -> list[str]:
    """Names of the physical parameters, in the order of the parameter vector.

    Parameters
    ----------
    model_type : str
        ``diffusion``, ``shear``, ``combined`` or an analysis mode.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        For an unknown model type.
    """
    return [p.name for p in model_parameters(model_type)]

"""What a fit was held against: shapes that noise does not have, and a fit without flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["FlowTest", "MisfitReport"]


@dataclass(frozen=True, eq=False)
class MisfitReport:
    """Whether the residuals of a fit have a shape that noise does not have.

    Attributes
    ----------
    detected : bool
    excess : dict of str to float
        Mean square of each family of patterns over what noise gives.
    angles : ndarray
        Angles that carry it, as far as it can be told [deg].
    frames : ndarray of int
        Frames that carry it, by their numbers in the file.
    sentence : str
        Empty where nothing was detected.
    """

    detected: bool
    excess: dict[str, float]
    angles: np.ndarray
    frames: np.ndarray
    sentence: str


@dataclass(frozen=True)
class FlowTest:
    """Whether the data need a flow.

    Attributes
    ----------
    delta_chi2, delta_chi2_effective : float
        Fall of χ² from a fit without flow [residual variances]; effective, if pairs that share a frame count once.
    degrees_of_freedom : int
    p_value : float
    detected : bool
    sentence : str
    """

    delta_chi2: float
    delta_chi2_effective: float
    degrees_of_freedom: int
    p_value: float
    detected: bool
    sentence: str

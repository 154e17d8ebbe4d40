"""What a fit was held against: shapes that noise does not have, a fit without flow, and a fit in another metric."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import geometric_mean

import numpy as np

__all__ = ["FitAgreement", "FlowTest", "MisfitReport"]


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


@dataclass(frozen=True)
class FitAgreement:
    """Whether the fits by least squares and in the metric of speckle noise differ by more than they may.

    Attributes
    ----------
    differences : dict of str to float
        Least squares less the other fit, to first order [standard deviations of the difference].
    chi2 : float
        Of all differences together.
    degrees_of_freedom : int
    p_value : float
        Chance of a larger χ² where the model is right.
    rejected : bool
        Whether the model is rejected, and least squares quoted.
    gains : dict of str to float
        Errors of least squares over those of the other fit.
    sentence : str
    """

    differences: dict[str, float]
    chi2: float
    degrees_of_freedom: int
    p_value: float
    rejected: bool
    gains: dict[str, float]
    sentence: str

    @property
    def gain(self) -> float:
        """Geometric mean of the gains; 1 where no error can be compared."""
        known = [gain for gain in self.gains.values() if gain > 0.0]
        return geometric_mean(known) if known else 1.0

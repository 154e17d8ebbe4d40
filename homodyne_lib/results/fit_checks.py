"""What a fit was held against: shapes that noise does not have, no flow, another metric, and its own parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import geometric_mean

import numpy as np

from homodyne_lib.results.typed_json import OPTIONAL_KEY

__all__ = ["FitAgreement", "FlowTest", "MisfitReport", "PartFit", "PartsAgreement", "PartsTest"]


_NO_LOSS = 0.95  # a gain from which errors are not called larger


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
    direction_open : bool
        Whether the angles are too few to tell the size of the shear rate from its direction, so that other flows fit as well.
    sentence : str
    """

    delta_chi2: float
    delta_chi2_effective: float
    degrees_of_freedom: int
    p_value: float
    detected: bool
    direction_open: bool
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

    @property
    def gain_in_words(self) -> str:
        """How many times smaller errors are than those of least squares; or larger, where a wrong model makes them so."""
        return f"{self.gain:.2g} times smaller" if self.gain > _NO_LOSS else f"{1 / self.gain:.2g} times larger"


@dataclass(frozen=True, eq=False)
class PartFit:
    """A fit of one q, or of one repeat, alone.

    Attributes
    ----------
    q : float or None
        Of a ring; None for a repeat [1/Å].
    repeat : int or None
        Number of a file, from 0; None for a ring.
    rates, errors : dict of str to float
        Each rate at the middle of the record, and its calibrated error [unit]; null where it is not known.
    known : list of str
        Rates that are known well enough to be compared.
    q_ratio : float
        q over the reference; 1 for a repeat.
    correlation : float
        Of the errors of the two rates; 0 where there is one.
    reduced_chi2 : float
    converged : bool
    """

    q: float | None
    repeat: int | None
    rates: dict[str, float]
    errors: dict[str, float]
    known: list[str]
    q_ratio: float
    correlation: float
    reduced_chi2: float
    converged: bool


@dataclass(frozen=True)
class PartsTest:
    """Whether rates of parts differ by more than their errors.

    Attributes
    ----------
    chi2 : float
        Of the differences from common rates.
    degrees_of_freedom : int
    p_value : float
        Chance of a larger χ² where all have the same rates.
    rejected : bool
    farthest : str
        The rate and the part that differ most.
    sentence : str
    """

    chi2: float
    degrees_of_freedom: int
    p_value: float
    rejected: bool
    farthest: str
    sentence: str


@dataclass(frozen=True, eq=False)
class PartsAgreement:
    """Whether the fits of each q and of each repeat alone agree.

    Attributes
    ----------
    time : float
        Middle of the record, at which rates are compared [s].
    fits : list of PartFit
        Rings by q, then repeats.
    over_q, over_repeats : PartsTest or None
        None where there is one.
    power, power_error : float
        Power of q with which the decay rate goes, through the rings alone, and its error.
    """

    time: float
    fits: list[PartFit]
    over_q: PartsTest | None = field(default=None, metadata=OPTIONAL_KEY)
    over_repeats: PartsTest | None = field(default=None, metadata=OPTIONAL_KEY)
    power: float | None = field(default=None, metadata=OPTIONAL_KEY)
    power_error: float | None = field(default=None, metadata=OPTIONAL_KEY)

    @property
    def _tests(self) -> list[PartsTest]:
        return [test for test in (self.over_q, self.over_repeats) if test is not None]

    @property
    def made(self) -> list[PartsTest]:
        """The tests that had something to compare."""
        return [test for test in self._tests if test.degrees_of_freedom]

    @property
    def against(self) -> list[str]:
        """What those say by which rates of parts differ by more than their errors."""
        return [test.sentence for test in self._tests if test.rejected]

    @property
    def rejected(self) -> bool:
        """Whether rates of parts differ by more than their errors."""
        return bool(self.against)

    @property
    def sentence(self) -> str:
        """What the tests say."""
        return " ".join(test.sentence for test in self._tests)

    @property
    def rings(self) -> list[PartFit]:
        """Fits of each q alone."""
        return [fit for fit in self.fits if fit.q is not None]

    @property
    def repeats(self) -> list[PartFit]:
        """Fits of each repeat alone."""
        return [fit for fit in self.fits if fit.repeat is not None]

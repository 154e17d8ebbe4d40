"""The errors that the residuals of a fit call for, as calibration.json holds them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from homodyne_lib.results.shown import Shown, number
from homodyne_lib.results.typed_json import OPTIONAL_KEY, UNBOUNDED, JsonFile
from homodyne_lib.uncertainty.noise_kinds import NOISE_KINDS, NoiseKind

__all__ = ["Calibration", "Covariance"]


@dataclass(frozen=True, eq=False)
class Covariance:
    """Covariance of named numbers.

    Attributes
    ----------
    names : list of str
    matrix : ndarray, shape (n, n)
    """

    names: list[str]
    matrix: np.ndarray

    def of(self, names: list[str]) -> np.ndarray:
        """Covariance of these, shape (len(names), len(names)); zero for one that has no error."""
        wanted = np.zeros((len(names), len(names)))
        known = [k for k, name in enumerate(names) if name in self.names]
        places = [self.names.index(names[k]) for k in known]
        wanted[np.ix_(known, known)] = np.reshape(self.matrix, 2 * (len(self.names),))[np.ix_(places, places)]
        return wanted

    @property
    def errors(self) -> dict[str, float]:
        """Standard errors by name."""
        matrix = np.reshape(self.matrix, 2 * (len(self.names),))
        return dict(zip(self.names, np.sqrt(np.diag(matrix)), strict=True))


@dataclass(frozen=True, eq=False, repr=False)
class Calibration(Shown, JsonFile):
    """Errors of the quoted fit under the noise of its residuals; the content of calibration.json.

    Attributes
    ----------
    noise : str
        Which noise the residuals show: a name of ``NOISE_KINDS``.
    note, sentence : str
        What the residuals show, and how the errors compare with those of independent entries of c2, or of least squares.
    pixels : ndarray, shape (n_phi,)
        Independent pixels; infinite where noise is independent.
    bin_pixels : ndarray of int, shape (n_phi,), or None
        Detector pixels of the bins, where they are known.
    pixels_note : str or None
        A warning where there are more independent pixels than pixels.
    counts, effective_counts : ndarray, shape (n_phi,)
        Photons a pixel and frame, by the raw diagonal and by the residuals; infinite where there is no shot noise. ``counts``
        is None where the diagonal was not measured.
    stripes : float
        Mean square of the sums over all pairs of a frame, over what independent noise gives.
    errors, ratios : dict of str to float
        Calibrated errors [unit], and how many times those of independent residuals in the metric of the fit they are.
    covariance : Covariance
    names : list of str
        Of ``information`` and ``assumed``: all parameters and coefficients.
    information, assumed : ndarray, shape (n, n)
        Godambe's information, and that of the likelihood that is sampled.
    least_squares, speckle : Calibration or None
        Of the fits in ``nlsq.json`` of those names; None where it has none.
    """

    noise: str
    note: str
    sentence: str
    pixels: np.ndarray = field(metadata=UNBOUNDED)
    bin_pixels: np.ndarray | None
    pixels_note: str | None
    counts: np.ndarray | None = field(metadata=UNBOUNDED)
    effective_counts: np.ndarray = field(metadata=UNBOUNDED)
    stripes: float
    errors: dict[str, float]
    ratios: dict[str, float]
    covariance: Covariance
    names: list[str]
    information: np.ndarray
    assumed: np.ndarray
    least_squares: Calibration | None = field(default=None, metadata=OPTIONAL_KEY)
    speckle: Calibration | None = field(default=None, metadata=OPTIONAL_KEY)

    @property
    def kind(self) -> NoiseKind:
        """What follows from ``noise``."""
        return NOISE_KINDS[self.noise]

    def _heading(self) -> str:
        return f"Calibration, {self.noise} noise. {self.note} {self.sentence}"

    def _table(self) -> tuple[list[str], list[list[str]]]:
        rows = [[name, number(error), number(self.ratios[name], 3)] for name, error in self.errors.items()]
        return ["", "error", "over the independent one"], rows

    def _notes(self) -> list[str]:
        return [f"Warning: {self.pixels_note}"] if self.pixels_note else []

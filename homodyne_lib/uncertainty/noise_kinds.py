"""The kinds of noise that residuals may show, and what follows from each."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["INDEPENDENT", "NOISE_KINDS", "SPECKLE", "NoiseKind"]


@dataclass(frozen=True)
class NoiseKind:
    """A kind of noise.

    Attributes
    ----------
    name : str
        As calibration.json has it.
    words : str
        What fluctuates, as reports name it.
    correlated : bool
        Whether entries of c2 fluctuate together. Errors are then not those of independent entries, and M is finite.
    has_metric : bool
        Whether a fit can weigh the pairs by their covariance under it. Where not, least squares is the only fit.
    """

    name: str
    words: str
    correlated: bool
    has_metric: bool


SPECKLE = NoiseKind(
    "speckle",
    "speckles and photons (infinitely many photons stand for no shot noise)",
    correlated=True,
    has_metric=True,
)
INDEPENDENT = NoiseKind(
    "independent", "independent entries (infinitely many pixels stand for it)", correlated=False, has_metric=False
)
NOISE_KINDS = {kind.name: kind for kind in (SPECKLE, INDEPENDENT)}
"""By name."""

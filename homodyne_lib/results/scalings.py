"""Contrast and offset of each bin: estimated from quantiles, as scaling.json holds them, and fitted, as nlsq.json does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homodyne_lib.model.bins import OfBins
from homodyne_lib.model.scaling import PerAngleScaling, per_angle_scaling
from homodyne_lib.results.typed_json import JsonFile

__all__ = ["AngleScaling", "QuantileScaling"]


@dataclass(frozen=True, eq=False)
class QuantileScaling(OfBins, JsonFile):
    """Contrast and offset estimated from quantiles; the content of scaling.json.

    Attributes
    ----------
    phi, q : ndarray, shape (n_bins,)
        [deg], [1/Å]
    repeat : ndarray of int, shape (n_bins,)
        Number of the file, from 0.
    contrast, offset : ndarray, shape (n_bins,)
    warnings : list of str
        Where an estimate is not to be trusted.
    """

    phi: np.ndarray
    q: np.ndarray
    repeat: np.ndarray
    contrast: np.ndarray
    offset: np.ndarray
    warnings: list[str]

    def per_angle(self, mode: str, fourier_order: int) -> PerAngleScaling:
        """Contrast and offset over the angles in a mode (:func:`~homodyne_lib.model.scaling.per_angle_scaling`)."""
        groups = self.bins.groups
        return per_angle_scaling(mode, self.phi, self.contrast, self.offset, fourier_order, groups)

    def warnings_in(self, mode: str) -> list[str]:
        """Warnings that bear on a fit in a mode: only where contrast and offset are held do they lean on the estimates."""
        return self.warnings if mode.startswith("constant") else []


@dataclass(frozen=True, eq=False)
class AngleScaling(OfBins):
    """Fitted contrast and offset of each angle, with the errors of independent residuals.

    Attributes
    ----------
    phi, q : ndarray, shape (n_bins,)
        [deg], [1/Å]
    repeat : ndarray of int, shape (n_bins,)
        Number of the file, from 0.
    contrast, contrast_error, offset, offset_error : ndarray, shape (n_bins,)
    """

    phi: np.ndarray
    q: np.ndarray
    repeat: np.ndarray
    contrast: np.ndarray
    contrast_error: np.ndarray
    offset: np.ndarray
    offset_error: np.ndarray

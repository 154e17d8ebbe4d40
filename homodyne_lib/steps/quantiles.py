"""First contrast and offset of each angle."""

from __future__ import annotations

from homodyne_lib.io.correlations import Correlations
from homodyne_lib.prepare.quantiles import estimate_scaling_from_matrices
from homodyne_lib.results.scalings import QuantileScaling

__all__ = ["quantile_scaling"]


def quantile_scaling(record: Correlations) -> QuantileScaling:
    """Estimate contrast and offset from quantiles of c2 at short and long lags.

    Parameters
    ----------
    record : Correlations

    Returns
    -------
    QuantileScaling
    """
    bins = record.bins
    labels = [bins.named(k) for k in range(len(bins))]
    contrast, offset, warnings = estimate_scaling_from_matrices(record.c2, labels=labels, frames=record.frames)
    return QuantileScaling(record.phi, record.q, record.repeat, contrast, offset, list(warnings))

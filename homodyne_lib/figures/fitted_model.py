"""The model of a fit at any pairs of frames, in NumPy: JAX takes longer to start than a report takes for all its models."""

from __future__ import annotations

import numpy as np

from homodyne_lib.io.correlations import Correlations
from homodyne_lib.likelihood.experiment import Experiment
from homodyne_lib.model.kernels import g1_total
from homodyne_lib.model.rates import floor_time
from homodyne_lib.results.fits import Fit

__all__ = ["FittedModel"]


class FittedModel:
    """g1² of a fit, bin by bin.

    Parameters
    ----------
    record : Correlations
    fit : Fit

    Attributes
    ----------
    params : ndarray, shape (p,)
        Fitted physical parameters [units of the parameter table].
    model_of : ndarray of int, shape (n_bins,)
        Number of the model of each bin: bins of one q and, with a flow, one angle have the same.
    """

    def __init__(self, record: Correlations, fit: Fit):
        frames = record.offsets
        time = floor_time(record.dt * np.arange(int(frames[-1]) + 1), record.dt)
        gap = record.stator_rotor_gap if "gamma_dot_t0" in fit.values else None
        self._experiment = Experiment.of(time, frames, record.bins, record.dt, gap, fit.q_exponent)
        self._convention = fit.shear_convention
        self.params = np.array(list(fit.values.values()))
        self.model_of = self._experiment.model

    def u(self, k: int, i, j, *, params=None, phi=None) -> np.ndarray:
        """Compute g1² of a bin at pairs of frames.

        Parameters
        ----------
        k : int
            Number of the bin.
        i, j : ndarray of int
            Frames of the pairs, from the first frame of the record on.
        params : ndarray, shape (p, n, 1), optional
            Physical parameters of n models in place of the fitted ones.
        phi : ndarray, optional
            Angles in place of that of the bin [deg].

        Returns
        -------
        ndarray, broadcast shape of ``i``, ``j``, ``phi`` and the models
        """
        layout = self._experiment.layout_of(k, i, j)
        if phi is not None:
            layout = layout._replace(phi=np.asarray(phi, dtype=float))
        params = self.params if params is None else params
        return g1_total(params, layout, *self._experiment.factors_of(k), self._convention) ** 2

"""The fixed numbers of an experiment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from homodyne_lib.model.bins import Bins, numbered
from homodyne_lib.model.geometry import PhysicsFactors
from homodyne_lib.model.kernels import BROWNIAN, beside_brownian
from homodyne_lib.model.layouts import PairLayout

__all__ = ["Experiment", "Factors"]


class Factors(NamedTuple):
    """How q and the gap enter the model: numbers, or columns of one row a model where there are several q.

    Attributes
    ----------
    wq_dt, sinc_prefactor : float or ndarray, shape (n_models, 1)
        ½ q² dt [s/Å²] and q L dt / 2π [s]; the latter is 0 where there is no gap.
    """

    wq_dt: float | np.ndarray
    sinc_prefactor: float | np.ndarray


class Experiment(NamedTuple):
    """What a fit holds fixed besides the data.

    Attributes
    ----------
    time : ndarray, shape (G,)
        Floored time axis, from the first frame to the last, missing ones too [s].
    frames : ndarray of int, shape (n_t,)
        Place on the time axis of each frame that there is.
    bins : Bins
    wq_dt, sinc_prefactor : ndarray, shape (n_bins,)
        ½ q² dt [s/Å²] and q L dt / 2π [s]; the latter is 0 where there is no gap.
    q_ratio : ndarray, shape (n_bins,), or None
        q over the reference, from which a power of q counts; None where that is no parameter.
    """

    time: np.ndarray
    frames: np.ndarray
    bins: Bins
    wq_dt: np.ndarray
    sinc_prefactor: np.ndarray
    q_ratio: np.ndarray | None

    @classmethod
    def of(
        cls, time, frames, bins: Bins, dt: float, gap: float | None, q_exponent: float | None = BROWNIAN
    ) -> Experiment:
        """Geometry factors of every bin; q enters the decay with a power, counted from the reference q.

        Parameters
        ----------
        time, frames, bins
            As of the class.
        dt : float
            [s]
        gap : float or None
            Between stator and rotor; None without flow [Å].
        q_exponent : float or None
            None where it is a parameter.
        """
        # Without flow the gap does not enter; 1 Å only satisfies the positivity check.
        factors = [PhysicsFactors.from_config(q, gap or 1.0, dt, validate=False).to_tuple() for q in bins.q]
        wq_dt, sinc_prefactor = np.array(factors).T
        q_ratio = bins.q / bins.reference_q
        if q_exponent not in (None, BROWNIAN):
            wq_dt = wq_dt * beside_brownian(q_ratio, q_exponent)
        of_flow = sinc_prefactor if gap else 0.0 * sinc_prefactor
        return cls(time, frames, bins, wq_dt, of_flow, q_ratio if q_exponent is None else None)

    @property
    def phi(self) -> np.ndarray:
        """Angle of each bin, shape (n_bins,) [deg]."""
        return self.bins.phi

    @property
    def has_flow(self) -> bool:
        """Whether the angle matters."""
        return bool(self.sinc_prefactor.any())

    @property
    def model(self) -> np.ndarray:
        """Number of the model of each bin, shape (n_bins,): bins of one q and, with a flow, one angle have the same."""
        return numbered(self.bins.q, *([self.phi] if self.has_flow else []))

    @property
    def alike(self) -> list[np.ndarray]:
        """Numbers of the bins of each model."""
        model = self.model
        return [np.flatnonzero(model == number) for number in range(model.max() + 1)]

    @property
    def model_bins(self) -> np.ndarray:
        """Number of the first bin of each model, shape (n_models,)."""
        return np.array([bins[0] for bins in self.alike])

    @property
    def model_of(self) -> np.ndarray | None:
        """As :attr:`model`; None where models broadcast with the bins as they are."""
        model = self.model
        return None if model.max() + 1 in (1, len(self.bins)) else model

    @property
    def model_factors(self) -> Factors:
        """Factors of all models; numbers where all have the same q."""
        first = self.model_bins
        if np.ptp(self.bins.q) == 0:
            return self.factors_of(0)
        return Factors(self.wq_dt[first, None], self.sinc_prefactor[first, None])

    def model_layout(self, time, earlier, later) -> PairLayout:
        """Pairs of frames, (N,), for all models, (n_models, 1)."""
        first = self.model_bins
        q_ratio = None if self.q_ratio is None else self.q_ratio[first, None]
        return PairLayout(time, earlier, later, self.phi[first, None], q_ratio)

    def layout_of(self, k: int, earlier, later) -> PairLayout:
        """Pairs of frames of one bin."""
        return PairLayout(self.time, earlier, later, self.phi[k], None if self.q_ratio is None else self.q_ratio[k])

    def factors_of(self, k: int) -> Factors:
        """Factors of one bin."""
        return Factors(float(self.wq_dt[k]), float(self.sinc_prefactor[k]))

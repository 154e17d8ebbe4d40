"""The fixed numbers of an experiment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Experiment"]


class Experiment(NamedTuple):
    """What a fit holds fixed besides the data.

    Attributes
    ----------
    time : ndarray, shape (G,)
        Floored time axis, from the first frame to the last, missing ones too [s].
    frames : ndarray of int, shape (n_t,)
        Place on the time axis of each frame that there is.
    phi : ndarray, shape (n_phi,)
        [deg]
    wq_dt, sinc_prefactor : float
        ½ q² dt [s/Å²] and q L dt / 2π [s]; the latter is 0 where there is no gap.
    """

    time: np.ndarray
    frames: np.ndarray
    phi: np.ndarray
    wq_dt: float
    sinc_prefactor: float

    @property
    def model_phi(self) -> np.ndarray:
        """Angles whose models differ [deg]: without flow all angles have one model, that of the first."""
        return self.phi if self.sinc_prefactor else self.phi[:1]

    @property
    def alike(self) -> list[np.ndarray]:
        """Numbers of the angles that have one model, a group for each model."""
        return np.array_split(np.arange(self.phi.size), self.model_phi.size)

"""The result files of a dataset, read, and what follows from them without a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from homodyne_lib.io.canonical_file import read_header
from homodyne_lib.io.formats.simulated import read_truth
from homodyne_lib.io.hdf5 import open_hdf5
from homodyne_lib.model.bins import Bins
from homodyne_lib.model.frames import frame_offsets
from homodyne_lib.results.calibrations import Calibration
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.posteriors import Posterior, landmark_times, rate_times, rates_side_by_side
from homodyne_lib.results.sampler_reports import SamplerReport
from homodyne_lib.results.scalings import QuantileScaling

__all__ = ["Dataset"]


def _common_truth(paths: str | list[str] | None) -> dict[str, Any] | None:
    """Truth of a simulation; that of repeats where all have the same, but for the seed."""
    known = [read_truth(path) or {} for path in ([paths] if isinstance(paths, str) else paths or [])]
    alike = all({**one, "seed": 0} == {**known[0], "seed": 0} for one in known)
    return known[0] if known and alike and known[0] else None


@dataclass(frozen=True, eq=False)
class Dataset:
    """The results of a dataset, except the matrices.

    Attributes
    ----------
    dataset : str
    header : dict
        Fields of c2.h5 but c2.
    fit : Fit
        With its calibration; without one where noise is taken as independent.
    scaling : QuantileScaling
    posterior : Posterior
    truth : dict or None
        Of a simulation.
    """

    dataset: str
    header: dict[str, Any]
    fit: Fit
    scaling: QuantileScaling
    posterior: Posterior
    truth: dict[str, Any] | None

    @classmethod
    def read(cls, dataset: str, paths: Mapping[str, str | None]) -> Dataset:
        """Read the result files of a dataset.

        Parameters
        ----------
        dataset : str
        paths : mapping
            ``c2``, ``scaling``, ``nlsq``, ``posterior`` (beside it are cmc.json and parameters.csv), and ``calibration`` and
            ``truth``, which may be None; of repeats ``truth`` is a list.

        Returns
        -------
        Dataset
        """
        with open_hdf5(paths["c2"]) as file:
            header = read_header(file)
        calibration = Calibration.read(paths["calibration"]) if paths["calibration"] else None
        fit = Fit.read(paths["nlsq"]).with_calibration(calibration)
        return cls(
            dataset=dataset,
            header=header,
            fit=fit,
            scaling=QuantileScaling.read(paths["scaling"]),
            posterior=Posterior.read(Path(paths["posterior"]).parent),
            truth=_common_truth(paths["truth"]),
        )

    @property
    def bins(self) -> Bins:
        """Repeat, q and angle of each matrix."""
        return Bins(self.header["repeat"], self.header["q"], self.header["phi"])

    @property
    def calibration(self) -> Calibration | None:
        """Calibration of the fit."""
        return self.fit.calibration

    @property
    def delay(self) -> float:
        """Time of a simulation at which the record begins [s]."""
        return float(frame_offsets(self.header["frames"], 1)[0] * self.header["dt"])

    @property
    def true_parameters(self) -> dict[str, float]:
        """Those of a simulation that mean what they mean in the fit."""
        return self.fit.beside(self.truth or {}, self.delay)

    @property
    def report(self) -> SamplerReport:
        """What is to be said of the chains."""
        return self.posterior.report

    @property
    def table(self) -> pd.DataFrame:
        """Table of the parameters, by parameter."""
        return self.posterior.table.set_index("parameter")

    @property
    def chains(self) -> dict[str, np.ndarray]:
        """Posterior draws, shape (n_chains, n_draws)."""
        return self.posterior.chains

    @property
    def draws(self) -> dict[str, np.ndarray]:
        """Posterior draws, chains joined, shape (n_draws,)."""
        return self.posterior.draws

    @property
    def free(self) -> list[str]:
        """Physical parameters that were not held at a value."""
        return [name for name in self.fit.parameters if np.ptp(self.chains[name]) > 0]

    @property
    def scaling_draws(self) -> tuple[np.ndarray, np.ndarray]:
        """Contrast and offset of every draw, shape (n_draws, n_phi) each."""
        return self.posterior.scaling(list(self.fit.coefficients), self.fit.per_angle)

    @property
    def times(self) -> np.ndarray:
        """Times from the first frame to the last, also of those that are missing [s], shape (duration,)."""
        return np.arange(frame_offsets(self.header["frames"])[-1] + 1) * self.header["dt"]

    @property
    def frames_in_words(self) -> str:
        """How many frames there are, and of how many where some are missing."""
        n_frames, n_times = len(self.header["frames"]), self.times.size
        return f"{n_frames} frames" if n_frames == n_times else f"{n_frames} of {n_times} frames"

    @property
    def landmark_times(self) -> list[float]:
        """Times at which rates are quoted [s]."""
        return landmark_times(self.times[-1])

    @property
    def rate_times(self) -> np.ndarray:
        """Times at which rates are drawn, from the first frame after zero to the last [s], shape (200,)."""
        return rate_times(self.times[-1], self.times[1])

    @property
    def curves(self) -> list[str]:
        """Rates of the model: D, and the shear rate where there is flow."""
        return self.fit.curves

    def rates(self, curve: str, time) -> dict[str, np.ndarray | None]:
        """Compute a rate at times [s]: ``draws`` (n_draws, n), ``fit`` (n,), ``other`` and ``truth`` (n,) or None."""
        return rates_side_by_side(curve, time, self.header["dt"], self.fit, self.posterior, self.truth, self.delay)

    def average(self, curve: str) -> np.ndarray:
        """Average a rate over the record, for every draw, shape (n_draws,)."""
        return self.posterior.average(curve, self.times.size, self.header["dt"])

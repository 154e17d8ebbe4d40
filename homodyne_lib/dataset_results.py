"""The result files of a dataset, read, and what follows from them without a fit: rates of draws, errors at each angle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from homodyne_lib.aps_formats import read_truth
from homodyne_lib.curves import CURVES, rate_curves
from homodyne_lib.data import read_header
from homodyne_lib.draws import read_posterior
from homodyne_lib.files import read_json
from homodyne_lib.hdf5 import open_hdf5
from homodyne_lib.per_angle import PerAngleScaling, per_angle_scaling
from homodyne_lib.physics import is_static
from homodyne_lib.physics_utils import trapezoid_cumsum

__all__ = ["Results", "read_results"]


@dataclass(frozen=True, eq=False)
class Results:
    """Everything a report reads of one dataset, except the matrices.

    Attributes
    ----------
    dataset : str
    header : dict
        Fields of c2.h5 but c2.
    nlsq, scaling, cmc : dict
        The files of those names.
    calibration : dict or None
        calibration.json; None where noise is taken as independent.
    table : pandas.DataFrame
        parameters.csv, by parameter.
    chains : dict of str to ndarray, shape (n_chains, n_draws)
        Posterior draws.
    truth : dict or None
        Of a simulation.
    """

    dataset: str
    header: dict[str, Any]
    nlsq: dict[str, Any]
    scaling: dict[str, Any]
    cmc: dict[str, Any]
    calibration: dict[str, Any] | None
    table: pd.DataFrame
    chains: dict[str, np.ndarray]
    truth: dict[str, Any] | None

    @property
    def draws(self) -> dict[str, np.ndarray]:
        """Posterior draws, chains joined, shape (n_draws,)."""
        return {name: np.ravel(sample) for name, sample in self.chains.items()}

    @property
    def free(self) -> list[str]:
        """Physical parameters that were not held at a value."""
        return [name for name in self.nlsq["parameters"] if np.ptp(self.chains[name]) > 0]

    @property
    def scaling_draws(self) -> tuple[np.ndarray, np.ndarray]:
        """Contrast and offset of every draw, shape (n_draws, n_phi) each."""
        n_draws = len(self.draws["noise_scale"])
        drawn = np.reshape([self.draws[name] for name in self.nlsq["coefficients"]], (-1, n_draws))
        return self._per_angle.expand(drawn.T)

    @property
    def scaling_errors(self) -> dict[str, np.ndarray]:
        """Errors of the fitted ``contrast`` and ``offset`` at each angle, calibrated where they can be."""
        if self.calibration is None:
            return {name: np.asarray(self.nlsq["scaling"][f"{name}_error"]) for name in ("contrast", "offset")}
        names, found = list(self.nlsq["coefficients"]), self.calibration["covariance"]
        matrix = pd.DataFrame(np.reshape(found["matrix"], 2 * (len(found["names"]),)), found["names"], found["names"])
        # A coefficient without error is not in the matrix.
        spread = self._per_angle.expand_covariance(matrix.reindex(index=names, columns=names, fill_value=0.0))
        return dict(zip(("contrast", "offset"), np.sqrt(np.diag(spread)).reshape(2, -1), strict=True))

    @property
    def _per_angle(self) -> PerAngleScaling:
        fit = self.nlsq["scaling"]
        order = (len(self.nlsq["coefficients"]) // 2 - 1) // 2
        return per_angle_scaling(self.nlsq["per_angle_mode"], fit["phi"], fit["contrast"], fit["offset"], order)

    def fit_error(self, name: str) -> float | None:
        """Error of a fitted physical parameter, calibrated where it can be; None where it is undefined."""
        independent = self.nlsq["parameters"][name]["error"]
        if self.calibration is None or independent is None:
            return independent
        return self.calibration["errors"].get(name)

    @property
    def times(self) -> np.ndarray:
        """Times of the frames [s], shape (n_t,)."""
        return np.arange(len(self.header["frames"])) * self.header["dt"]

    @property
    def rate_times(self) -> np.ndarray:
        """Times at which rates are drawn, from the first frame after zero to the last [s], shape (200,)."""
        return np.geomspace(self.times[1], self.times[-1], 200)

    @property
    def curves(self) -> list[str]:
        """Rates of the model: D, and the shear rate where there is flow."""
        return [curve for curve in CURVES if curve == "D" or not is_static(self.nlsq["analysis_mode"])]

    def rates(self, curve: str, time) -> dict[str, np.ndarray | None]:
        """Compute a rate at times [s]: ``draws`` (n_draws, n), ``fit`` (n,), and ``truth`` (n,) or None."""
        dt = self.header["dt"]
        fitted = {name: entry["value"] for name, entry in self.nlsq["parameters"].items()}
        # A shear rate of another convention is another quantity.
        known = self.truth is not None and (
            curve == "D" or self.truth["shear_convention"] == self.nlsq["shear_convention"]
        )
        return {
            "draws": rate_curves(self.draws, time, dt, curve),
            "fit": rate_curves(fitted, time, dt, curve)[0],
            "truth": rate_curves(self.truth, time, dt, curve)[0] if known else None,
        }

    def average(self, curve: str) -> np.ndarray:
        """Average a rate over the record, for every draw, shape (n_draws,)."""
        rates = rate_curves(self.draws, self.times, self.header["dt"], curve)
        # The sum that the model itself takes, in steps of a frame.
        return np.array([trapezoid_cumsum(rate)[-1] for rate in rates]) / (len(self.times) - 1)


def read_results(dataset: str, paths: Mapping[str, str | None]) -> Results:
    """Read the result files of a dataset.

    Parameters
    ----------
    dataset : str
    paths : mapping
        ``c2``, ``scaling``, ``nlsq``, ``cmc``, ``parameters``, ``posterior``, and ``calibration`` and ``truth``, which
        may be None.

    Returns
    -------
    Results
    """
    with open_hdf5(paths["c2"]) as file:
        header = read_header(file)
    return Results(
        dataset=dataset,
        header=header,
        nlsq=read_json(paths["nlsq"]),
        scaling=read_json(paths["scaling"]),
        cmc=read_json(paths["cmc"]),
        calibration=read_json(paths["calibration"]) if paths["calibration"] else None,
        table=pd.read_csv(paths["parameters"], keep_default_na=False, na_values=[""]).set_index("parameter"),
        chains=read_posterior(paths["posterior"]),
        truth=read_truth(paths["truth"]) if paths["truth"] else None,
    )

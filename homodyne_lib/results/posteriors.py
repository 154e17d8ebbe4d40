"""The posterior of a dataset: its draws, what is to be said of the chains, and the table of its parameters."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from homodyne_lib.io.files import replacing
from homodyne_lib.model.curves import CURVES, rate_curves
from homodyne_lib.model.plurals import plural
from homodyne_lib.model.rates import trapezoid_cumsum
from homodyne_lib.model.scaling import PerAngleScaling
from homodyne_lib.results.draws import read_draws, write_draws
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.sampler_reports import SamplerReport
from homodyne_lib.results.shown import Shown, number

__all__ = ["Posterior", "rate_times", "rates_side_by_side"]

_DRAWS, _REPORT, _TABLE = "posterior.nc", "cmc.json", "parameters.csv"
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class Posterior(Shown):
    """Draws of the posterior of all data; the content of posterior.nc, cmc.json and parameters.csv.

    Attributes
    ----------
    chains : dict of str to ndarray, shape (n_chains, n_draws)
        Physical parameters, ``noise_scale`` and coefficients of contrast and offset, with calibrated errors
        [units of the parameter table].
    independent : dict of str to ndarray, shape (n_chains, n_draws), or None
        The same under independent noise.
    statistics : list of dict of str to ndarray, shape (n_chains, n_draws)
        Of the sampler, one a shard, by ArviZ's names.
    lp : ndarray, shape (n_chains, n_draws), or None
        Log density of the draws that several shards make together; None for a single shard.
    report : SamplerReport
    table : pandas.DataFrame
        One row a parameter, as parameters.csv has them.
    """

    chains: dict[str, np.ndarray]
    independent: dict[str, np.ndarray] | None
    statistics: Sequence[Mapping[str, np.ndarray]]
    lp: np.ndarray | None
    report: SamplerReport
    table: pd.DataFrame

    @property
    def draws(self) -> dict[str, np.ndarray]:
        """Draws with the chains joined, shape (n_chains * n_draws,)."""
        return {name: np.ravel(sample) for name, sample in self.chains.items()}

    def scaling(self, coefficients: Sequence[str], per_angle: PerAngleScaling) -> tuple[np.ndarray, np.ndarray]:
        """Contrast and offset of every draw.

        Parameters
        ----------
        coefficients : sequence of str
        per_angle : PerAngleScaling
            How contrast and offset follow from them.

        Returns
        -------
        contrast, offset : ndarray, shape (n_chains * n_draws, n_phi)
        """
        draws = self.draws
        drawn = np.reshape([draws[name] for name in coefficients], (-1, draws["noise_scale"].size))
        contrast, offset = per_angle.expand(drawn.T)
        return contrast, offset

    def is_of(self, fit: Fit) -> bool:
        """Whether these are draws about the values of a fit."""
        told = self.table.set_index("parameter")["nlsq_value"].dropna()
        wanted = fit.values | fit.coefficients
        return set(told.index) >= wanted.keys() and np.allclose(told[[*wanted]], [*wanted.values()], rtol=_ROUNDING)

    def rates(self, curve: str, time: ArrayLike, dt: float) -> np.ndarray:
        """Evaluate D(t) [Å²/s] or γ̇(t) [1/s] for every draw (:func:`~homodyne_lib.model.curves.rate_curves`)."""
        return rate_curves(self.draws, time, dt, curve)

    def average(self, curve: str, n_times: int, dt: float) -> np.ndarray:
        """Average a rate over a record, for every draw.

        Parameters
        ----------
        curve : {"D", "gamma_dot"}
        n_times : int
            Times from the first frame to the last.
        dt : float
            [s]

        Returns
        -------
        ndarray, shape (n_chains * n_draws,)
            D [Å²/s] or γ̇ [1/s].
        """
        # The sum that the model itself takes, in steps of a frame.
        rates = self.rates(curve, np.arange(n_times) * dt, dt)
        return np.array([trapezoid_cumsum(rate)[-1] for rate in rates]) / (n_times - 1)

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Posterior:
        """Read posterior.nc, cmc.json and parameters.csv in a folder.

        Parameters
        ----------
        folder : path-like

        Returns
        -------
        Posterior

        Raises
        ------
        ValueError
            If a file is missing, or a key of cmc.json.
        """
        folder = Path(folder)
        if lacking := [name for name in (_DRAWS, _REPORT, _TABLE) if not (folder / name).is_file()]:
            raise ValueError(
                f"{folder} holds no posterior: {', '.join(lacking)} is not there; give its folder in results/."
            )
        table = pd.read_csv(folder / _TABLE, keep_default_na=False, na_values=[""], float_precision="round_trip")
        table["unit"] = table["unit"].fillna("")
        chains, independent, statistics, lp = read_draws(folder / _DRAWS)
        return cls(chains, independent, statistics, lp, SamplerReport.read(folder / _REPORT), table)

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write posterior.nc, cmc.json and parameters.csv into a folder, which must exist.

        Parameters
        ----------
        folder : path-like

        Raises
        ------
        ValueError
            If the system refuses to write.
        """
        folder = Path(folder)
        write_draws(folder / _DRAWS, self.chains, self.statistics, self.lp, self.independent)
        with replacing(folder / _TABLE) as temporary:
            self.table.to_csv(temporary, index=False)
        self.report.write(folder / _REPORT)

    def _heading(self) -> str:
        report = self.report
        shards = plural(report.n_shards, "shard")
        return (
            f"Posterior, {report.status}: {report.n_chains} chains of {report.n_draws} draws in {shards}. "
            "Errors are standard deviations; lower and upper bound the central 95 %."
        )

    def _table(self) -> tuple[list[str], list[list[str]]]:
        columns = ("value", "error", "lower", "upper", "ess_bulk", "r_hat")
        rows = [
            [row["parameter"], row["unit"] or "", *(number(row[c], 2 if c == "error" else 4) for c in columns)]
            for row in self.table.fillna({"unit": ""}).to_dict("records")
        ]
        return ["parameter", "unit", *columns], rows

    def _notes(self) -> list[str]:
        return [f"Warning: {text}" for text in self.report.warnings]


def landmark_times(duration: float) -> list[float]:
    """Three times at which rates are quoted: 5, 25 and 75 % of a record, to two digits.

    Parameters
    ----------
    duration : float
        Time of the last frame [s].

    Returns
    -------
    list of float
        [s]
    """
    return [float(f"{share * duration:.2g}") for share in (0.05, 0.25, 0.75)]


def rate_times(duration: float, dt: float) -> np.ndarray:
    """Times at which rates are drawn, from the first frame after zero to the last.

    Parameters
    ----------
    duration : float
        Time of the last frame [s].
    dt : float
        [s]

    Returns
    -------
    ndarray, shape (200,)
        [s]
    """
    return np.geomspace(dt, duration, 200)


def rates_side_by_side(
    curve: str,
    time: ArrayLike,
    dt: float,
    fit: Fit,
    posterior: Posterior,
    truth: Mapping[str, Any] | None = None,
    delay: float = 0.0,
) -> dict[str, np.ndarray | None]:
    """Evaluate a rate of posterior, fit and truth.

    Parameters
    ----------
    curve : {"D", "gamma_dot"}
    time : array_like, shape (n,)
        [s]
    dt : float
        [s]
    fit : Fit
    posterior : Posterior
    truth : mapping, optional
        Parameters of a simulation, and its ``shear_convention``; without that, the one of the fit.
    delay : float
        Time of the simulation at which the record begins [s].

    Returns
    -------
    dict
        ``draws``, shape (n_draws, n), ``fit``, shape (n,), and ``other`` (of the fit beside it) and ``truth`` of that shape
        or None: D [Å²/s] or γ̇ [1/s].
    """
    truth = truth or {}
    # A shear rate of another convention is another quantity, and a sample at rest has none.
    other = curve != "D" and truth.get("shear_convention", fit.shear_convention) != fit.shear_convention

    def one(values: Mapping[str, Any], since: float = 0.0) -> np.ndarray:
        curves = rate_curves(values, np.add(time, since), dt, curve)
        return np.asarray(curves[0])

    return {
        "draws": posterior.rates(curve, time, dt),
        "fit": one(fit.values),
        "other": None if fit.other is None else one(fit.other[1].values),
        "truth": one(truth, delay) if truth.keys() >= {*CURVES[curve][1]} and not other else None,
    }

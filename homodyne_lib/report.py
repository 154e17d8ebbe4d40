"""What a report says of one dataset: its results read, and told in sentences (Markdown)."""

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
from homodyne_lib.physics import is_static
from homodyne_lib.physics_utils import trapezoid_cumsum
from homodyne_lib.wording import escape, grouped, interval, plain_number, quantity

__all__ = [
    "RATE_SYMBOLS",
    "RATE_UNITS",
    "Results",
    "belief",
    "cautions",
    "estimate",
    "flow_found",
    "independence_note",
    "landmark_times",
    "outcome",
    "range_95",
    "read_results",
    "sound",
    "subject",
    "warnings_of",
]

RATE_UNITS = {"D": "Å²/s", "gamma_dot": "1/s"}
RATE_SYMBOLS = {"D": "$D$", "gamma_dot": r"$\dot\gamma$"}
_NOISE_LIKE = (0.8, 1.25)  # reduced χ² of residuals that look like the noise the weights were made from


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
        ``c2``, ``scaling``, ``nlsq``, ``cmc``, ``parameters``, ``posterior``, and ``truth``, which may be None.

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
        table=pd.read_csv(paths["parameters"], keep_default_na=False, na_values=[""]).set_index("parameter"),
        chains=read_posterior(paths["posterior"]),
        truth=read_truth(paths["truth"]) if paths["truth"] else None,
    )


def flow_found(results: Results) -> bool | None:
    """Whether the data need a flow; None where the model has none."""
    test = results.nlsq.get("flow_test")
    return None if test is None else test["detected"]


def landmark_times(results: Results) -> list[float]:
    """Three times at which rates are quoted: 5, 25 and 75 % of the record, to two digits [s]."""
    return [float(f"{share * results.times[-1]:.2g}") for share in (0.05, 0.25, 0.75)]


def estimate(draws, unit: str) -> str:
    """Write mean ± standard deviation of draws."""
    return quantity(float(np.mean(draws)), float(np.std(draws, ddof=1)), unit)


def range_95(draws, unit: str) -> str:
    """Write the central 95 % of draws."""
    lower, upper = np.quantile(draws, [0.025, 0.975])
    return interval(float(lower), float(upper), float(np.mean(draws)), float(np.std(draws, ddof=1)), unit)


# ---------------------------------------------------------------- sentences


def subject(results: Results) -> str:
    """Say what was measured."""
    header, phi = results.header, results.header["phi"]
    angles = "1 angle" if len(phi) == 1 else f"{len(phi)} angles"
    simulated = ", a simulation with known truth" if results.truth else ""
    mode = results.nlsq["analysis_mode"].replace("_", " ")
    if not is_static(results.nlsq["analysis_mode"]):
        mode += f", gap {plain_number(header['stator_rotor_gap'], exact=True)} Å"
    return (
        f"**Measured:** {len(header['frames'])} frames, {header['dt']:.6g} s apart ({results.times[-1]:.4g} s in all), "
        f"at {angles} and q = {header['q']:.5g} 1/Å, from {escape(header['source'])}{simulated}; model: {mode}."
    )


def _at_times(results: Results, curve: str) -> str:
    times = landmark_times(results)
    draws = results.rates(curve, times)["draws"]
    texts = [estimate(sample, RATE_UNITS[curve]) for sample in draws.T]
    return ", ".join(f"{text} at\u00a0t\u00a0=\u00a0{t:g}\u00a0s" for text, t in zip(texts, times, strict=True))


def outcome(results: Results) -> str:
    """Say what came out: rates at three times, or the limit on a shear rate that the data do not show."""
    q = results.header["q"]
    decay = np.square(q) * results.average("D")
    text = [f"**Found:** the diffusion coefficient {RATE_SYMBOLS['D']} is {_at_times(results, 'D')}."]
    found = flow_found(results)
    if found is None:
        text.append(
            r"Averaged over the record, $g_2$ decays at the rate $\Gamma = q^2 \langle D\rangle$ = "
            f"{estimate(decay, '1/s')}, with 95 % probability {range_95(decay, '1/s')}."
        )
    elif found:
        text.append(
            f"The shear rate {RATE_SYMBOLS['gamma_dot']} is {_at_times(results, 'gamma_dot')}; the flow points to "
            rf"$\varphi_0$ = {estimate(results.draws['phi0'], 'deg')}."
        )
    else:
        test, limit = results.nlsq["flow_test"], np.quantile(results.average("gamma_dot"), 0.95)
        text.append(
            "**The shear rate is compatible with zero**: its mean over the record is below "
            f"{plain_number(limit, 2)} 1/s with 95 % probability. A flow lowers χ² by only "
            f"{test['delta_chi2_effective']:.2g} residual variances, pairs that share a frame counted once, for "
            f"{test['degrees_of_freedom']} more parameters (p = {test['p_value']:.2g})."
        )
    return " ".join(text)


def sound(results: Results) -> bool:
    """Whether fit and sampling converged and the residuals look like noise."""
    low, high = _NOISE_LIKE
    converged = results.nlsq["converged"] and results.cmc["n_converged"] == results.cmc["n_shards"]
    return bool(converged and low <= results.nlsq["reduced_chi2"] <= high)


def belief(results: Results) -> str:
    """Say whether to believe it: convergence, χ², parameters that cannot be told apart."""
    nlsq, cmc = results.nlsq, results.cmc
    chi2, (low, high) = nlsq["reduced_chi2"], _NOISE_LIKE
    worst = max(shard["max_r_hat"] for shard in cmc["shards"])
    diverged = sum(shard["divergences"] for shard in cmc["shards"])
    size = "of the size of the noise" if low <= chi2 <= high else "**not of the size of the noise**"
    shards = f"{cmc['n_shards']} shard{'s' * (cmc['n_shards'] > 1)}"
    checks = (
        f"the fit {'converged' if nlsq['converged'] else '**did not converge**'}; its residuals are {size} (χ² per "
        f"degree of freedom {chi2:.3f}, {grouped(nlsq['n_points'])} pairs of frames); sampling converged in "
        f"{cmc['n_converged']} of {shards} (largest R̂ {worst:.3f}, {diverged} divergent draw{'s' * (diverged != 1)})."
    )
    if not sound(results):
        end = "**Do not quote these numbers** before what failed is settled."
    elif warnings_of(results):
        end = "Read the warnings before quoting a number."
    else:
        end = "No check speaks against these numbers; on their errors, see the note."
    return f"**Believe it?** {checks[0].upper()}{checks[1:]} {end}"


def cautions(results: Results) -> list[str]:
    """Warnings of fit and sampling: those that bear on the numbers."""
    return [*results.nlsq["warnings"], *results.cmc["warnings"]]


def warnings_of(results: Results) -> list[str]:
    """Everything that was noticed from ingest to sampling, as sentences."""
    return [*results.header["notes"], *cautions(results)]


def independence_note(uncertainty: str) -> str:
    """Say what the error bars of a treatment of noise leave out."""
    return {
        "speckle": (
            "**Error bars are calibrated.** Entries of c2 that share a frame or a speckle fluctuate together; errors and "
            "bands count that as the residuals of this fit show it. Those of independent entries, which peers quote, stand "
            "beside them and are too small."
        ),
        "independent": (
            "**Error bars are too small.** They treat the entries of c2 as independent, but entries that share a frame "
            "fluctuate together; for data of this kind true errors are larger by factors of 4 to 20."
        ),
    }[uncertainty]

"""What the workflow's result files say: the dictionaries of nlsq.json and cmc.json, and the rows of parameters.csv."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from arviz_stats import bfmi, ess, rhat
from scipy.stats import chi2 as chi2_law

from homodyne_lib.calibration import Calibration
from homodyne_lib.nlsq import NlsqFit
from homodyne_lib.physics import PARAMETERS
from homodyne_lib.problem import Problem

__all__ = ["calibration_record", "chain_diagnostics", "flow_test", "nlsq_record", "parameter_rows", "unit_of"]

# Chance that noise alone is called a flow, if the test's noise model holds: three standard deviations, two-sided.
_FLOW_LEVEL = 0.0027


def unit_of(name: str) -> str:
    """Unit of a physical parameter; contrast, offset and noise scale have none."""
    return PARAMETERS[name].unit if name in PARAMETERS else ""


def nlsq_record(fit: NlsqFit, problem: Problem, analysis_mode: str, sigma) -> dict[str, Any]:
    """The content of nlsq.json: no times, no hosts, only what follows from data, configuration and code.

    Parameters
    ----------
    fit : NlsqFit
    problem : Problem
    analysis_mode : str
    sigma : array_like, shape (n_phi,)
        Noise that weighted the residuals.

    Returns
    -------
    dict
    """
    p, scaling = len(problem.names), problem.scaling
    contrast, offset = scaling.expand(fit.values[p:])
    spread = np.sqrt(np.maximum(np.diag(scaling.expand_covariance(fit.covariance[p:, p:])), 0.0))
    n_phi = len(contrast)
    determined = np.flatnonzero(np.isfinite(fit.errors))
    return {
        "analysis_mode": analysis_mode,
        "per_angle_mode": scaling.mode,
        "shear_convention": problem.convention,
        "parameters": {
            name: {
                "value": fit.values[k],
                "error": fit.errors[k],
                "unit": unit_of(name),
                "at_bound": fit.at_bound[name],
            }
            for k, name in enumerate(problem.names)
        },
        "scaling": {
            "phi": np.asarray(problem.experiment.phi),
            "contrast": contrast,
            "contrast_error": spread[:n_phi],
            "offset": offset,
            "offset_error": spread[n_phi:],
        },
        "coefficients": dict(zip(scaling.names, fit.values[p:], strict=True)),
        "covariance": {
            "names": [fit.names[k] for k in determined],
            "matrix": fit.covariance[np.ix_(determined, determined)],
        },
        "chi2": fit.chi2,
        "reduced_chi2": fit.reduced_chi2,
        "n_points": fit.n_points,
        "n_free": fit.n_free,
        "sigma": np.asarray(sigma),
        "converged": fit.converged,
        "message": fit.message,
        "warnings": fit.warnings,
        "basins": fit.basins,
        "n_evaluations": fit.n_evaluations,
    }


def calibration_record(calibration: Calibration, determined) -> dict[str, Any]:
    """Write the content of calibration.json.

    Parameters
    ----------
    calibration : Calibration
    determined : sequence of str
        Parameters that have an error.

    Returns
    -------
    dict
    """
    names = [name for name in calibration.names if name in determined]
    keep = [calibration.names.index(name) for name in names]
    ratios = calibration.ratios[keep]
    return {
        "noise": calibration.noise,
        "note": calibration.note,
        "sentence": (
            f"Errors are {np.min(ratios):.2g} to {np.max(ratios):.2g} times as large as those of independent entries of c2."
        ),
        "pixels": calibration.pixels,
        "counts": calibration.counts,
        "effective_counts": calibration.effective_counts,
        "stripes": calibration.excess,
        "errors": dict(zip(names, calibration.errors[keep], strict=True)),
        "ratios": dict(zip(names, ratios, strict=True)),
        "covariance": {"names": names, "matrix": calibration.covariance[np.ix_(keep, keep)]},
        "names": calibration.names,
        "information": calibration.information,
        "assumed": calibration.assumed,
    }


def flow_test(static: NlsqFit, laminar: NlsqFit, n_frames: int) -> dict[str, Any]:
    """Ask whether the data need a flow at all, under the least favourable correlation of the noise.

    The drop of χ² from the static to the laminar fit is measured in residual variances. Entries of c2 that share a frame
    fluctuate together; at worst all pairs of a frame carry one number, and n frames then hold 2/(n - 1) of the evidence
    that n(n - 1)/2 independent pairs would.

    Parameters
    ----------
    static, laminar : NlsqFit
        Fits of the same data.
    n_frames : int

    Returns
    -------
    dict
        ``delta_chi2``, ``delta_chi2_effective``, ``p_value``, ``detected`` and ``sentence``.
    """
    delta = max(static.chi2 - laminar.chi2, 0.0) / laminar.reduced_chi2
    effective = delta * 2.0 / (n_frames - 1)
    freedom = laminar.n_free - static.n_free
    p_value = float(chi2_law.sf(effective, freedom))
    detected = bool(p_value < _FLOW_LEVEL)
    verdict = "The data need a flow" if detected else "The shear rate is compatible with zero"
    return {
        "delta_chi2": delta,
        "delta_chi2_effective": effective,
        "degrees_of_freedom": freedom,
        "p_value": p_value,
        "detected": detected,
        "sentence": (
            f"{verdict}: against a fit without flow χ² falls by {delta:.3g} residual variances, by {effective:.2g} if "
            f"pairs that share a frame count once (p = {p_value:.2g} for {freedom} more parameters)."
        ),
    }


def chain_diagnostics(draws: dict[str, np.ndarray], stats: dict[str, np.ndarray]) -> dict[str, Any]:
    """Convergence of the chains of one shard (ArviZ: rank-normalised R̂, bulk and tail ESS, BFMI).

    Parameters
    ----------
    draws : dict of str to ndarray, shape (n_chains, n_draws)
    stats : dict of str to ndarray, shape (n_chains, n_draws)
        ``diverging`` and ``energy``.

    Returns
    -------
    dict
        ``r_hat`` and ``ess_bulk``, ``ess_tail`` by name, their worst, ``divergences``, ``bfmi`` (worst chain),
        ``converged``, ``reasons``.
    """
    by_name = {
        "r_hat": {name: float(rhat(v)) for name, v in draws.items()},
        "ess_bulk": {name: float(ess(v, method="bulk")) for name, v in draws.items()},
        "ess_tail": {name: float(ess(v, method="tail", prob=(0.05, 0.95))) for name, v in draws.items()},
    }
    worst = {
        "max_r_hat": max(by_name["r_hat"].values()),
        "min_ess_bulk": min(by_name["ess_bulk"].values()),
        "min_ess_tail": min(by_name["ess_tail"].values()),
        "divergences": int(np.sum(stats["diverging"])),
        "bfmi": float(np.min(bfmi(stats["energy"]))),
    }
    share = worst["divergences"] / np.size(stats["diverging"])
    checks = (
        (worst["max_r_hat"] <= 1.01, f"R̂ reaches {worst['max_r_hat']:.3f} (at most 1.01 is wanted)"),
        (
            worst["min_ess_bulk"] >= 400,
            f"the smallest effective sample size is {worst['min_ess_bulk']:.0f} (400 is wanted)",
        ),
        (share <= 0.01, f"{worst['divergences']} draws diverged ({share:.1%}; at most 1 % is wanted)"),
        (worst["bfmi"] >= 0.3, f"BFMI is {worst['bfmi']:.2f} (at least 0.3 is wanted)"),
    )
    reasons = [text for good, text in checks if not good]
    return {**worst, "converged": not reasons, "reasons": reasons, **by_name}


def parameter_rows(
    nlsq: dict[str, Any], draws: dict[str, np.ndarray], diagnostics: dict[str, Any], independent=None
) -> pd.DataFrame:
    """Build the table of parameters.csv: one row a parameter, posterior and fit side by side.

    Parameters
    ----------
    nlsq : dict
        Content of nlsq.json.
    draws : dict of str to ndarray, shape (n_chains, n_draws)
        Combined draws.
    diagnostics : dict
        ``r_hat`` and ``ess_bulk`` by name, worst over the shards.
    independent : dict of str to ndarray, shape (n_chains, n_draws), optional
        Draws before calibration; ``draws`` themselves without it.

    Returns
    -------
    pandas.DataFrame
        Columns as the design lists them; ``lower`` and ``upper`` bound the central 95 % of the draws.
    """
    covariance = nlsq["covariance"]
    errors = dict(zip(covariance["names"], np.sqrt(np.diag(covariance["matrix"])), strict=True))
    fitted = {name: entry["value"] for name, entry in nlsq["parameters"].items()} | nlsq["coefficients"]
    rows = []
    for name, sample in draws.items():
        lower, upper = np.quantile(sample, [0.025, 0.975])
        rows.append(
            {
                "parameter": name,
                "value": sample.mean(),
                "error": sample.std(ddof=1),
                "unit": unit_of(name),
                "lower": lower,
                "upper": upper,
                "error_independent": (independent or draws)[name].std(ddof=1),
                "nlsq_value": fitted.get(name),
                "nlsq_error": errors.get(name),
                "posterior_mean": sample.mean(),
                "posterior_sd": sample.std(ddof=1),
                "ess_bulk": diagnostics["ess_bulk"][name],
                "r_hat": diagnostics["r_hat"][name],
                "at_bound": nlsq["parameters"].get(name, {}).get("at_bound", False),
            }
        )
    return pd.DataFrame(rows)

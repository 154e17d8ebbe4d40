"""From draws to what the result files of a posterior hold: diagnostics of chains, and the table of parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from arviz_stats import bfmi, ess, hdi, rhat

from homodyne_lib.model.kernels import convention_in_words
from homodyne_lib.model.parameters import unit_of
from homodyne_lib.results.draws import mean_and_sd
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.sampler_reports import MAX_DIVERGED, MAX_R_HAT, MIN_BFMI, MIN_ESS, r_hat_in_words

__all__ = ["chain_diagnostics", "parameter_rows"]

_UNIT_OF_SHEAR_RATE = unit_of("gamma_dot_t0")


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
        Fields of :class:`~homodyne_lib.results.sampler_reports.ShardReport`, from ``max_r_hat`` to ``ess_tail``; chains are
        usable where, so far from convergence, they still say something.
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
        (
            worst["max_r_hat"] <= MAX_R_HAT,
            f"R̂ reaches {r_hat_in_words(worst['max_r_hat'])} (at most {MAX_R_HAT} is wanted)",
        ),
        (
            worst["min_ess_bulk"] >= MIN_ESS,
            f"the smallest effective sample size is {np.floor(worst['min_ess_bulk']):.0f} ({MIN_ESS} is wanted)",
        ),
        (
            share <= MAX_DIVERGED,
            f"{worst['divergences']} draws diverged ({share:.1%}; at most {100 * MAX_DIVERGED:g} % is wanted)",
        ),
        (worst["bfmi"] >= MIN_BFMI, f"BFMI is {worst['bfmi']:.2f} (at least {MIN_BFMI} is wanted)"),
    )
    reasons = [text for good, text in checks if not good]
    usable = worst["max_r_hat"] <= 1.1 and share <= 0.1
    return {**worst, "converged": not reasons, "usable": usable, "reasons": reasons, **by_name}


def parameter_rows(
    fit: Fit, draws: dict[str, np.ndarray], diagnostics: dict[str, Any], prior_sd, independent=None
) -> pd.DataFrame:
    """Build the table of parameters.csv: one row a parameter, posterior and fit side by side.

    Parameters
    ----------
    fit : Fit
    draws : dict of str to ndarray, shape (n_chains, n_draws)
        Combined draws; those of a parameter that was held are all alike.
    diagnostics : dict
        ``r_hat`` and ``ess_bulk`` by name, worst over the shards.
    prior_sd : mapping of str to float
        Standard deviation of the prior.
    independent : dict of str to ndarray, shape (n_chains, n_draws), optional
        Draws before calibration; ``draws`` themselves without it.

    Returns
    -------
    pandas.DataFrame
        Columns as the design lists them; ``lower`` and ``upper`` bound the central 95 % of the draws. After them:
        ``hdi_lower`` and ``hdi_upper``, the narrowest interval with 94 % of the draws; ``contraction``, the share of the
        prior's variance that the data removed; ``nlsq_z`` and ``nlsq_sd_ratio``, distance and width of the posterior of
        independent noise in units of the fit's error; ``shear_convention`` of shear rates, with the factor to the other one.
    """
    errors, fitted = fit.covariance.errors, fit.values | fit.coefficients
    at_bound = {name for name, parameter in fit.parameters.items() if parameter.at_bound}
    convention = convention_in_words(fit.shear_convention)
    rows = []
    for name, sample in draws.items():
        (mean, sd), (sampled_mean, sampled_sd) = mean_and_sd(sample), mean_and_sd((independent or draws)[name])
        fit_error = errors.get(name, np.nan)
        lower, upper = np.quantile(sample, [0.025, 0.975])
        # One that was held at a value has no width.
        hdi_lower, hdi_upper = hdi(sample.ravel(), prob=0.94) if sd > 0 else (lower, upper)
        rows.append(
            {
                "parameter": name,
                "value": mean,
                "error": sd,
                "unit": unit_of(name),
                "lower": lower,
                "upper": upper,
                "error_independent": sampled_sd,
                "nlsq_value": fitted.get(name),
                "nlsq_error": errors.get(name),
                "posterior_mean": mean,
                "posterior_sd": sd,
                "ess_bulk": diagnostics["ess_bulk"].get(name),
                "r_hat": diagnostics["r_hat"].get(name),
                "at_bound": name in at_bound,
                "hdi_lower": hdi_lower,
                "hdi_upper": hdi_upper,
                "contraction": 1.0 - (sd / prior_sd.get(name, np.nan)) ** 2,
                "nlsq_z": (sampled_mean - fitted.get(name, np.nan)) / fit_error,
                "nlsq_sd_ratio": sampled_sd / fit_error,
                "shear_convention": convention if unit_of(name) == _UNIT_OF_SHEAR_RATE else None,
            }
        )
    return pd.DataFrame(rows)

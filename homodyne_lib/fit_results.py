"""What the result files of a fit say: the dictionaries of nlsq.json and calibration.json."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import chdtrc

from homodyne_lib.calibration import Calibration
from homodyne_lib.nlsq import NlsqFit
from homodyne_lib.physics import unit_of
from homodyne_lib.problem import Problem

__all__ = ["calibration_record", "flow_test", "nlsq_record"]

# Chance that noise alone is called a flow, if the test's noise model holds: three standard deviations, two-sided.
_FLOW_LEVEL = 0.0027


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
    p_value = float(chdtrc(freedom, effective))
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

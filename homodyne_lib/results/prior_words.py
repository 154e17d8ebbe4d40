"""Of which rates the posterior is not that of the data alone, in sentences."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from homodyne_lib.model.curves import CURVES, rate_curves, rate_slopes
from homodyne_lib.model.parameters import RATE_UNITS
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.shown import number

__all__ = ["led_by_prior"]

_APART = 5.0  # errors between fit and posterior, from which on they are not of the same data
_LED = 2.5  # times that an error without the prior is larger, from which on the prior decides
_IN_WORDS = {"D": "D(t)", "gamma_dot": "the shear rate"}


def led_by_prior(fit: Fit, draws: Mapping[str, np.ndarray], time: float, dt: float) -> list[str]:
    """Say of which rates the posterior is narrower than the fit, or elsewhere.

    Parameters
    ----------
    fit : Fit
        Its errors, calibrated where they can be, are those without the prior. A flow that it does not detect is passed over:
        such a flow has a limit only.
    draws : mapping of str to ndarray, shape (n_draws,)
        Of the posterior [units of the parameter table]. A rate that was held is passed over.
    time : float
        At which rates are compared [s].
    dt : float
        Frame interval [s].

    Returns
    -------
    list of str
        One sentence a rate; none where the data decide.
    """
    covariance, said = (fit.calibration or fit).covariance.of(list(fit.values)), []
    for curve in fit.curves:
        undetected = curve == "gamma_dot" and not (fit.flow_test and fit.flow_test.detected)
        if undetected or not any(np.ptp(draws[name]) for name in CURVES[curve][1]):
            continue
        rate, slopes = rate_slopes(fit.values, [time], dt, curve)
        sample, unit, name = rate_curves(draws, [time], dt, curve), RATE_UNITS[curve], _IN_WORDS[curve]
        alone, width = float(np.sqrt(slopes[0] @ covariance @ slopes[0])), float(sample.std())
        errors = f"{number(alone, 2)} {unit} by the fit, and {number(width, 2)} {unit} in the posterior"
        if abs(sample.mean() - rate[0]) > _APART * max(alone, width):
            said.append(
                f"Fit and posterior do not agree on {name}: at {time:g} s it is {number(rate[0], 4)} {unit} by the fit, and "
                f"{number(sample.mean(), 4)} {unit} in the posterior; errors are {errors}. Bounds or the prior make the "
                "difference; widen the bounds."
            )
        elif alone > _LED * width:
            free = ", as it takes contrasts near 0.5 for likely" if fit.coefficients else ""
            said.append(
                f"The data alone do not determine {name}: at {time:g} s its error is {errors}. The prior makes the "
                f"difference{free}. Record a whole decay."
            )
    return said

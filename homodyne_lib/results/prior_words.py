"""Of which rates the posterior is not that of the data alone, in sentences."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from homodyne_lib.fitting.descent import SINGULAR
from homodyne_lib.likelihood.normal_equations import scaled_inverse
from homodyne_lib.model.curves import CURVES, rate_curves, rate_slopes
from homodyne_lib.model.parameters import RATE_NAMES, RATE_UNITS
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.shown import number

__all__ = ["led_by_prior", "rate_error"]

_APART = 5.0  # errors between fit and posterior, from which on they are not of the same data
_LED = 2.5  # times that an error without the prior is larger, from which on the prior decides
_LOST = 1e-3  # share of the slopes of a rate along what no data determine, from which on it has no error


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
    said = []
    for curve in fit.curves:
        undetected = curve == "gamma_dot" and not fit.flow_detected
        if undetected or not any(np.ptp(draws[name]) for name in CURVES[curve][1]):
            continue
        (rate,), (slopes,) = rate_slopes(fit.values, [time], dt, curve)
        sample, unit, name = rate_curves(draws, [time], dt, curve), RATE_UNITS[curve], RATE_NAMES[curve]
        alone = rate_error(fit, dict(zip(fit.values, slopes, strict=True)))
        mean, width = float(sample.mean()), float(sample.std())
        of_fit = f"{number(alone, 2)} {unit}" if np.isfinite(alone) else "undefined"
        found = (
            f"at {time:g} s it is {number(rate, 4)} {unit} by the fit, and {number(mean, 4)} {unit} in the posterior; errors "
            f"are {of_fit} by the fit, and {number(width, 2)} {unit} in the posterior."
        )
        if abs(mean - rate) > _APART * max(alone, width):
            said.append(
                f"Fit and posterior do not agree on {name}: {found} Bounds or the prior make the difference; widen the "
                "bounds."
            )
        elif alone > min(_LED * width, abs(rate)):
            free = ", as it takes contrasts near 0.5 for likely" if fit.coefficients else ""
            said.append(
                f"The data alone do not determine {name}: {found} The prior makes the difference{free}. Record a whole "
                "decay."
            )
    return said


def rate_error(fit: Fit, slopes: Mapping[str, float]) -> float:
    """Error of a fitted rate, calibrated where it can be.

    Parts of a rate that act alike have no error of their own, but their sum may have one: the information tells.

    Parameters
    ----------
    fit : Fit
    slopes : mapping of str to float
        Derivatives of the rate with respect to all parameters (:func:`~homodyne_lib.model.curves.rate_slopes`).

    Returns
    -------
    float
        Infinite where the data do not determine the rate; NaN where only a calibration would tell whether they do.
    """
    of_data = [name for name, entry in fit.parameters.items() if slopes[name] and not entry.at_bound]
    known = all(fit.error(name) for name in of_data)
    if fit.calibration is None and not known:
        return np.nan
    if known:
        along = np.array([*slopes.values()])
        return float(np.sqrt(along @ (fit.calibration or fit).covariance.of([*slopes]) @ along))
    names, information = fit.calibration.names, fit.calibration.information
    bound = {name for name, entry in fit.parameters.items() if entry.at_bound}
    free = [k for k, name in enumerate(names) if information[k, k] > 0 and name not in bound]
    size, inverse = scaled_inverse(information[np.ix_(free, free)], SINGULAR)
    along = np.array([slopes.get(names[k], 0.0) for k in free]) / size
    found = information[np.ix_(free, free)] / np.outer(size, size) @ inverse @ along
    lost = np.linalg.norm(found - along) > _LOST * np.linalg.norm(along)
    return np.inf if lost else float(np.sqrt(max(along @ inverse @ along, 0.0)))

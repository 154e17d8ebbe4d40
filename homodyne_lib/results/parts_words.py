"""Whether parts of a record agree, in a sentence: the test, and where it fails which rate of which part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from homodyne_lib.model.kernels import BROWNIAN
from homodyne_lib.model.parameters import RATE_NAMES
from homodyne_lib.model.plurals import plural
from homodyne_lib.results.fit_checks import PartFit, PartsAgreement, PartsTest
from homodyne_lib.uncertainty.parts import Common, common_rates, power_of_q
from homodyne_lib.uncertainty.two_fits import REJECTED

__all__ = ["parts_agreement"]


def parts_agreement(fits: Sequence[PartFit], time: float, q_exponent: float | None) -> PartsAgreement:
    """Compare fits of parts of a record.

    Parameters
    ----------
    fits : sequence of PartFit
        Rings by q, then repeats.
    time : float
        At which their rates are [s].
    q_exponent : float or None
        Power of q with which the decay of all together goes; None where it was fitted.

    Returns
    -------
    PartsAgreement
    """
    parts = PartsAgreement(time, list(fits))
    power, error = _power(parts.rings)
    return replace(
        parts,
        over_q=_test(parts.rings, q_exponent, power, error) if parts.rings else None,
        over_repeats=_test(parts.repeats) if parts.repeats else None,
        power=power,
        power_error=error,
    )


def _logarithms(fits: Sequence[PartFit]) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the rates of each part (Q2), (n_parts, n_rates), and their covariances."""
    names = list(fits[0].rates)
    values, covariances = np.full((len(fits), len(names)), np.nan), np.zeros((len(fits), len(names), len(names)))
    for k, fit in enumerate(fits):
        size = np.array([fit.errors[name] / fit.rates[name] if name in fit.known else 1.0 for name in names])
        values[k] = [np.log(fit.rates[name]) if name in fit.known else np.nan for name in names]
        covariances[k] = np.outer(size, size) * (np.eye(len(names)) * (1.0 - fit.correlation) + fit.correlation)
    return values, covariances


def _power(rings: Sequence[PartFit]) -> tuple[float | None, float | None]:
    """Power of q of the decay rate q² D of each ring."""
    known = [fit for fit in rings if "D" in fit.known]
    if len(known) < 2:
        return None, None
    values, covariances = _logarithms(known)
    log_q = np.log([fit.q for fit in known])
    power, error = power_of_q(values[:, 0] + BROWNIAN * log_q, covariances[:, 0, 0], log_q)
    return power, error


def _test(fits: Sequence[PartFit], q_exponent: float | None = BROWNIAN, power=None, error=None) -> PartsTest:
    """Test of common rates, and what it says; of rings where there is a power of q."""
    values, covariances = _logarithms(fits)
    log_q = np.log([fit.q_ratio for fit in fits])
    if q_exponent is not None:
        values[:, 0] -= (q_exponent - BROWNIAN) * log_q
    common = common_rates(values, covariances, log_q if q_exponent is None else None)
    of_q = fits[0].q is not None
    rejected = common.p_value < REJECTED
    names = list(fits[0].rates)
    farthest = _farthest(fits, names, common, q_exponent)
    return PartsTest(
        common.chi2,
        common.degrees_of_freedom,
        common.p_value,
        rejected,
        farthest,
        _sentence(common, rejected, of_q, farthest, fits, q_exponent, power, error),
    )


def _farthest(fits, names, common: Common, q_exponent) -> str:
    """The rate and the part that are farthest from the common rates."""
    distances = np.abs(np.nan_to_num(common.distances))
    if not distances.any():
        return ""
    part, rate = np.unravel_index(np.argmax(distances), distances.shape)
    fit, name = fits[part], names[rate]
    expected = common.rates[rate]
    if rate == 0 and fit.q is not None:
        slope = common.slope if q_exponent is None else q_exponent - BROWNIAN
        expected += slope * np.log(fit.q_ratio)
    where = f"q = {fit.q:.4g} 1/Å" if fit.q is not None else f"file {fit.repeat + 1}"
    ratio = fit.rates[name] / np.exp(expected)
    return f"{RATE_NAMES[name]} of {where} is {ratio:.3g} times the common one, {distances[part, rate]:.2g} of its errors off"


def _sentence(common: Common, rejected, of_q, farthest, fits, q_exponent, power, error) -> str:
    """What the test says, and what to do."""
    same = "the same rates" if not of_q or q_exponent == BROWNIAN else "the same rates up to a power of q"
    what = f"Fitted alone, the {len(fits)} {'q' if of_q else 'files'}"
    gone = f" The decay rate goes with q to the power {power:.3g} ± {error:.2g}." if of_q and power is not None else ""
    if common.degrees_of_freedom < 1 and gone:
        return f"{what} leave nothing to compare, as two rates have a power of q between them whatever they are.{gone}"
    if common.degrees_of_freedom < 1:
        return f"{what} do not know their rates well enough to be compared."
    freedom = plural(common.degrees_of_freedom, "degree of freedom", "degrees of freedom")
    numbers = f"χ² = {common.chi2:.3g} for {freedom}, p = {common.p_value:.2g}"
    unknown = sum(len(fit.known) < len(fit.rates) for fit in fits)
    do = "does" if unknown == 1 else "do"
    left = f" {unknown} of them {do} not know every rate well enough to be compared." if unknown else ""
    if not rejected:
        return f"{what} have {same} within their errors ({numbers}).{gone}{left}"
    free = "" if q_exponent is None else ", or let the power of q be free (q_exponent)"
    todo = (
        f"A common rate does not describe them: quote the rates of each q{free}."
        if of_q
        else "The sample or the set-up changed between the runs: give the files rows of their own."
    )
    return f"{what} do not have {same} ({numbers}): {farthest}.{gone}{left} {todo}"

"""From what a fit and its calibration found to what their result files hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc

from homodyne_lib.fitting.identifiability import THREE_SIGMA
from homodyne_lib.fitting.nlsq import NlsqFit
from homodyne_lib.likelihood.problem import Problem
from homodyne_lib.model.parameters import unit_of
from homodyne_lib.model.plurals import plural
from homodyne_lib.results.calibrations import Calibration, Covariance
from homodyne_lib.results.fit_checks import FitAgreement, FlowTest, MisfitReport
from homodyne_lib.results.fits import Fit, FittedParameter
from homodyne_lib.results.scalings import AngleScaling
from homodyne_lib.uncertainty.calibration import NoiseCalibration
from homodyne_lib.uncertainty.two_fits import Agreement

__all__ = ["agreement_record", "calibration_record", "fit_record", "flow_test", "gain_in_words"]

# Independent pixels over pixels of a bin above which the reader is told; in records of 60 frames M scatters by 0.3.
_TOO_MANY = 2.0
_APART = 3.0  # standard deviations from which a parameter is named that two fits disagree on


def fit_record(
    fit: NlsqFit,
    problem: Problem,
    sigma: ArrayLike,
    misfit: MisfitReport,
    notes: Sequence[str] = (),
) -> Fit:
    """Collect the result of a fit: no times, no hosts, only what follows from data, configuration and code.

    Parameters
    ----------
    fit : NlsqFit
    problem : Problem
    sigma : array_like, shape (n_phi,)
        Noise that weighted the residuals.
    misfit : MisfitReport
        Of the least-squares fit; what it detected is among the warnings.
    notes : sequence of str
        Warnings that come before those of the fit.

    Returns
    -------
    Fit
    """
    p, scaling = len(problem.names), problem.scaling
    contrast, offset = scaling.expand(fit.values[p:])
    spread = np.sqrt(np.maximum(np.diag(scaling.expand_covariance(fit.covariance[p:, p:])), 0.0))
    n_phi, bins = len(contrast), problem.experiment.bins
    determined = np.flatnonzero(np.isfinite(fit.errors))
    return Fit(
        estimator="least_squares" if problem.metric is None else "speckle",
        analysis_mode=problem.model.analysis_mode,
        per_angle_mode=scaling.mode,
        shear_convention=problem.model.convention,
        q_exponent=problem.model.q_exponent,
        parameters={
            name: FittedParameter(float(fit.values[k]), float(fit.errors[k]), unit_of(name), fit.at_bound[name])
            for k, name in enumerate(problem.names)
        },
        scaling=AngleScaling(*(bins.phi, bins.q, bins.repeat), contrast, spread[:n_phi], offset, spread[n_phi:]),
        coefficients=dict(zip(scaling.names, fit.values[p:].tolist(), strict=True)),
        covariance=Covariance([fit.names[k] for k in determined], fit.covariance[np.ix_(determined, determined)]),
        chi2=fit.chi2,
        reduced_chi2=fit.reduced_chi2,
        n_points=fit.n_points,
        n_free=fit.n_free,
        sigma=np.asarray(sigma),
        converged=fit.converged,
        message=fit.message,
        warnings=[*notes, *([misfit.sentence] if misfit.detected else []), *fit.warnings],
        basins=fit.basins,
        n_evaluations=fit.n_evaluations,
        misfit=misfit,
        certificate=fit.certificate,
    )


def calibration_record(
    calibration: NoiseCalibration, determined: Sequence[str], bin_pixels: ArrayLike | None = None
) -> Calibration:
    """Collect what a calibration found of the parameters that have an error.

    Parameters
    ----------
    calibration : NoiseCalibration
    determined : sequence of str
        Parameters that have an error.
    bin_pixels : array_like, shape (n_phi,), optional
        Number of detector pixels in each bin, where it is known.

    Returns
    -------
    Calibration
    """
    names = [name for name in calibration.names if name in determined]
    keep = [calibration.names.index(name) for name in names]
    ratios = calibration.ratios[keep]
    sentence = "No parameter has an error, as all are held or on a bound."
    if names:
        least, most = np.min(ratios), np.max(ratios)
        sentence = f"Errors are {least:.2g} to {most:.2g} times as large as those of independent entries of c2."
    return Calibration(
        noise=calibration.kind.name,
        note=calibration.note,
        sentence=sentence,
        pixels=calibration.pixels,
        bin_pixels=None if bin_pixels is None else np.asarray(bin_pixels),
        pixels_note=_pixels_note(calibration, bin_pixels),
        counts=calibration.counts,
        effective_counts=calibration.effective_counts,
        stripes=calibration.excess,
        errors=dict(zip(names, calibration.errors[keep].tolist(), strict=True)),
        ratios=dict(zip(names, ratios.tolist(), strict=True)),
        covariance=Covariance(names, calibration.covariance[np.ix_(keep, keep)]),
        names=calibration.names,
        information=calibration.information,
        assumed=calibration.assumed,
    )


def agreement_record(agreement: Agreement) -> FitAgreement:
    """Say whether two fits agree.

    Parameters
    ----------
    agreement : Agreement

    Returns
    -------
    FitAgreement
    """
    differences = dict(zip(agreement.names, agreement.differences.tolist(), strict=True))
    freedom = plural(agreement.degrees_of_freedom, "difference")
    numbers = (
        f"χ² = {agreement.chi2:.3g} for {freedom} between least squares and the fit in the "
        f"metric of speckle noise, p = {agreement.p_value:.2g}"
    )
    if agreement.rejected:
        apart = sorted(differences, key=lambda name: -abs(differences[name]))
        apart = [name for name in apart if abs(differences[name]) > _APART] or apart[:1]
        named = ", ".join(f"{name} by {abs(differences[name]):.2g}" for name in apart)
        sentence = (
            f"The two fits disagree, so that the model or the noise is not as assumed ({numbers}): {named} standard "
            "deviations of the difference. Least squares is quoted, which leans less on the noise."
        )
    elif agreement.degrees_of_freedom:
        sentence = f"The two fits agree ({numbers})."
    else:
        sentence = "The two fits leave nothing to compare: no rate is known well enough."
    gains = dict(zip(agreement.names, agreement.gains.tolist(), strict=True))
    about = agreement.chi2, agreement.degrees_of_freedom, agreement.p_value, agreement.rejected
    return FitAgreement(differences, *about, gains, sentence)


def gain_in_words(agreement: FitAgreement) -> str:
    """Say how errors of a fit in the metric of speckle noise compare with those of least squares.

    Parameters
    ----------
    agreement : FitAgreement

    Returns
    -------
    str
    """
    mean, known = agreement.gain, [gain for gain in agreement.gains.values() if gain > 0.0]
    rates = "D(t) and the shear rate" if any("gamma" in name for name in agreement.gains) else "D(t)"
    return (
        f"Errors are {agreement.gain_in_words} than those of least squares (geometric mean over {rates} at three times"
        f"{' and φ0' if 'phi0' in agreement.gains else ''}; {min([mean, *known]):.2g} to {max([mean, *known]):.2g})."
    )


def _pixels_note(calibration: NoiseCalibration, bin_pixels: ArrayLike | None) -> str | None:
    """Say where the noise is smaller than the pixels of the bins allow; None where it is not, or they are not known.

    A bin has at most as many independent pixels as pixels, and fewer where speckles are larger than a pixel.
    """
    if bin_pixels is None or not calibration.kind.correlated:
        return None
    of_bins = np.asarray(bin_pixels)
    ratio = float(np.median(calibration.pixels / of_bins))
    if ratio <= _TOO_MANY:
        return None
    return (
        f"The residuals scatter as little as those of {ratio:.2g} times as many independent pixels as the bins have "
        f"({np.median(calibration.pixels):.3g} for {np.median(of_bins):.3g}, medians over the angles). One measurement of "
        "these bins cannot do so: c2 may be a mean of several, which the errors count, or it was smoothed or normalised "
        "by something that fluctuates, and the errors may then be too small."
    )


def flow_test(
    chi2_at_rest: float, laminar: NlsqFit, n_more: int, n_frames: int, direction_open: bool = False
) -> FlowTest:
    """Ask whether the data need a flow at all, under the least favourable correlation of the noise.

    The drop of χ² from the static to the laminar fit is measured in residual variances. Entries of c2 that share a frame
    fluctuate together; at worst all pairs of a frame carry one number, and n frames then hold 2/(n - 1) of the evidence
    that n(n - 1)/2 independent pairs would.

    Parameters
    ----------
    chi2_at_rest : float
        Of the model without flow, fitted to the same data.
    laminar : NlsqFit
        With flow.
    n_more : int
        Free parameters that the flow adds; a flow whose parameters are all held counts as one.
    n_frames : int
    direction_open : bool

    Returns
    -------
    FlowTest
    """
    delta = max(chi2_at_rest - laminar.chi2, 0.0) / laminar.reduced_chi2
    effective = delta * 2.0 / (n_frames - 1)
    freedom = max(n_more, 1)
    p_value = float(chdtrc(freedom, effective))
    detected = bool(p_value < THREE_SIGMA)
    verdict = "The data need a flow" if detected else "The shear rate is compatible with zero"
    return FlowTest(
        delta_chi2=delta,
        delta_chi2_effective=effective,
        degrees_of_freedom=freedom,
        p_value=p_value,
        detected=detected,
        direction_open=direction_open,
        sentence=(
            f"{verdict}: against a fit without flow χ² falls by {delta:.3g} residual variances, by {effective:.2g} if "
            f"pairs that share a frame count once (p = {p_value:.2g} for {plural(freedom, 'more parameter')})."
        ),
    )

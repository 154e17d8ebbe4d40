"""What a report says of one dataset, in sentences (Markdown)."""

from __future__ import annotations

import numpy as np

from homodyne_lib.figures.panels import chosen_groups, shown_bins
from homodyne_lib.io.correlations import q_in_words
from homodyne_lib.model.bins import Bins
from homodyne_lib.model.curves import CURVES
from homodyne_lib.model.kernels import convention_in_words
from homodyne_lib.model.parameters import RATE_UNITS
from homodyne_lib.model.plurals import plural
from homodyne_lib.results.calibrations import Calibration
from homodyne_lib.results.draws import mean_and_sd
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.sampler_reports import r_hat_in_words
from report_text.dataset import Dataset
from report_text.wording import escape, grouped, interval, plain_number, quantity

__all__ = [
    "RATE_SYMBOLS",
    "belief",
    "cautions",
    "error_note",
    "estimate",
    "flow_found",
    "flow_held",
    "limit_only",
    "notes_on_estimates",
    "outcome",
    "range_95",
    "shown_large",
    "sound",
    "subject",
    "warnings_of",
]

RATE_SYMBOLS = {"D": "$D$", "gamma_dot": r"$\dot\gamma$"}
_NOTES = 6  # on estimates, that are listed
_NOISE_LIKE = (0.8, 1.25)  # reduced χ² of residuals as large as the noise the weights were made from


def flow_found(results: Dataset) -> bool | None:
    """Whether the data need a flow; None where the model has none."""
    return results.fit.flow_detected


def flow_held(results: Dataset) -> bool:
    """Whether the shear rate is one that the user gave: all its parameters were held."""
    return not results.fit.is_static and {*results.free}.isdisjoint(CURVES["gamma_dot"][1])


def limit_only(results: Dataset) -> bool:
    """Whether the shear rate has no value, only a limit: the data need no flow, and none was held."""
    return flow_found(results) is False and not flow_held(results)


def estimate(draws, unit: str) -> str:
    """Write mean ± standard deviation of draws."""
    return quantity(*mean_and_sd(draws), unit)


def range_95(draws, unit: str) -> str:
    """Write the central 95 % of draws."""
    lower, upper = np.quantile(draws, [0.025, 0.975])
    return interval(float(lower), float(upper), *mean_and_sd(draws), unit)


# ---------------------------------------------------------------- sentences


def subject(results: Dataset) -> str:
    """Say what was measured."""
    header, bins = results.header, results.bins
    files = f" in {bins.n_repeats} files" if bins.n_repeats > 1 else ""
    simulated = ", a simulation with known truth" if results.truth else ""
    mode = results.fit.analysis_mode.replace("_", " ")
    if not results.fit.is_static:
        mode += f", gap {plain_number(header['stator_rotor_gap'], exact=True)} Å"
    return (
        f"**Measured:** {results.frames_in_words}, {header['dt']:.6g} s apart ({results.times[-1]:.4g} s in all), "
        f"at {bins.angles_in_words} and {q_in_words(bins)}{files}, from {escape(header['source'])}{simulated}; "
        f"model: {mode}."
    )


def shown_large(bins: Bins) -> str:
    """Say which bins have large maps, where these are not all."""
    shown = shown_bins(bins)
    if sum(part.size for part in shown) == len(bins):
        return ""
    several_q = bins.rings.size > 1
    ends = ("the lowest", "the highest q") if several_q else ("the first", "the last file")
    where = [", a middle and ".join(ends) if len(shown) > 2 else " and ".join(ends)]
    if several_q and bins.n_repeats > 1:
        where.append("in the first file")
    if any(part.size < bins.groups[number].size for part, number in zip(shown, chosen_groups(bins), strict=True)):
        where.append("at angles that are spread evenly")
    return f"Maps of {', '.join(where)}; thumbnails of all {len(bins)} bins follow."


def _at_times(results: Dataset, curve: str) -> str:
    times = results.landmark_times
    draws = results.rates(curve, times)["draws"]
    texts = [estimate(sample, RATE_UNITS[curve]) for sample in draws.T]
    return ", ".join(f"{text} at\u00a0t\u00a0=\u00a0{t:g}\u00a0s" for text, t in zip(texts, times, strict=True))


def outcome(results: Dataset) -> str:
    """Say what came out: rates at three times, or the limit on a shear rate that the data do not show."""
    q = results.bins.reference_q
    decay = np.square(q) * results.average("D")
    text = [f"**Found:** the diffusion coefficient {RATE_SYMBOLS['D']} is {_at_times(results, 'D')}."]
    found, convention = flow_found(results), convention_in_words(results.fit.shear_convention)
    if found is None:
        several = results.bins.rings.size > 1
        at = rf" at $q$ = {q:.4g} 1/Å, the geometric mean of all $q$," if several else ""
        text.append(
            r"Averaged over the record, $g_2$ decays" + at + r" at the rate $\Gamma = q^2 \langle D\rangle$ = "
            f"{estimate(decay, '1/s')}, with 95 % probability {range_95(decay, '1/s')}."
        )
    elif found:
        text.append(
            f"The shear rate {RATE_SYMBOLS['gamma_dot']} is {_at_times(results, 'gamma_dot')} ({convention}); the flow "
            rf"points to $\varphi_0$ = {estimate(results.draws['phi0'], 'deg')}"
            f"{'' if 'phi0' in results.free else ', which was held'}."
        )
    else:
        test, limit = results.fit.flow_test, plain_number(np.quantile(results.average("gamma_dot"), 0.95), 2)
        mean = f"was held at {limit} 1/s" if flow_held(results) else f"is below {limit} 1/s with 95 % probability"
        text.append(
            f"**The shear rate is compatible with zero**: its mean over the record {mean} ({convention}). A flow lowers χ² "
            f"by only {test.delta_chi2_effective:.2g} residual variances, pairs that share a frame counted once, for "
            f"{plural(test.degrees_of_freedom, 'more parameter')} (p = {test.p_value:.2g})."
        )
    return " ".join(text)


def sound(results: Dataset) -> bool:
    """Whether its numbers may be quoted."""
    return results.fit.sound and results.report.sound


def belief(results: Dataset) -> str:
    """Say whether to believe it: convergence, χ², parameters that cannot be told apart."""
    fit, report = results.fit, results.report
    chi2, (low, high) = fit.by_squares.reduced_chi2, _NOISE_LIKE
    worst = max(shard.max_r_hat for shard in report.shards)
    diverged = sum(shard.divergences for shard in report.shards)
    if fit.misfit.detected:
        size = "**not those of noise: the model does not describe these data**"
    elif low <= chi2 <= high:
        size = "of the size of the noise"
    else:
        other = "larger" if chi2 > high else "smaller"
        size = f"{other} than the scatter of neighbouring entries, but have the shape of noise"
    shards = plural(report.n_shards, "shard")
    checks = (
        f"the fit {'converged' if fit.converged else '**did not converge**'}; its residuals are {size} (χ² per "
        f"degree of freedom {chi2:.3f}, {grouped(fit.by_squares.n_points)} pairs of frames);"
        f"{_agreement(fit)}{_of_parts(fit)} "
        f"sampling converged in {report.n_converged} of {shards} (largest R̂ {r_hat_in_words(worst)}, "
        f"{plural(diverged, 'divergent draw')})."
    )
    if not sound(results):
        end = "**Do not quote these numbers** before what failed is settled."
    elif warnings_of(results):
        end = "Read the warnings before quoting a number."
    else:
        end = "No check speaks against these numbers; on their errors, see the note."
    return f"**Believe it?** {checks[0].upper()}{checks[1:]} {end}"


def _agreement(fit: Fit) -> str:
    """Whether two fits agree, as a part of a sentence; nothing where there is one."""
    if fit.agreement is None:
        return ""
    if not fit.agreement.degrees_of_freedom:
        nothing = "leave nothing to compare; the one in the metric is quoted"
        return f" fits by least squares and in the metric of the noise {nothing};"
    agree = "**disagree**" if fit.agreement.rejected else "agree"
    return (
        f" fits by least squares and in the metric of the noise {agree} (p = {plain_number(fit.agreement.p_value, 2)}); the "
        f"one {'by least squares' if fit.estimator == 'least_squares' else 'in the metric'} is quoted;"
    )


def _of_parts(fit: Fit) -> str:
    """Whether each q and each file alone agrees with the common fit, as a part of a sentence; nothing where there is one."""
    if fit.parts is None:
        return ""
    tests = ((fit.parts.over_q, "each q"), (fit.parts.over_repeats, "each file"))
    told = [
        f" {what} alone {'**contradicts**' if test.rejected else 'agrees with'} the common fit "
        f"(p = {plain_number(test.p_value, 2)});"
        for test, what in tests
        if test is not None and test.degrees_of_freedom
    ]
    return "".join(told)


def cautions(results: Dataset) -> list[str]:
    """Warnings of fit, sampling and calibration: those that bear on the numbers."""
    led = results.report.led_by_prior
    of_chains = [text for text in results.report.warnings if text not in led]
    return [*led, *results.fit.warnings, *of_chains, *_surprises(results.calibration)]


def _surprises(calibration: Calibration | None) -> list[str]:
    """What the residuals say of the noise, where it is not what the diagonal lets expect and errors rest on the residuals."""
    if calibration is None or not calibration.kind.correlated:
        return []
    counts = calibration.counts
    as_expected = counts is not None and np.allclose(counts, calibration.effective_counts)
    notes = [None if as_expected else calibration.note, calibration.pixels_note]
    return [f"Error bars: {note[0].lower()}{note[1:]}" for note in notes if note]


def warnings_of(results: Dataset) -> list[str]:
    """Everything that was noticed from ingest to calibration, as sentences."""
    return [*results.header["notes"], *cautions(results)]


def notes_on_estimates(results: Dataset) -> list[str]:
    """Warnings of the estimates from quantiles; some of them where several q or files have many."""
    notes = results.scaling.warnings
    if len(results.bins.groups) == 1 or len(notes) <= _NOTES:
        return notes
    return [*notes[:_NOTES], f"{len(notes) - _NOTES} more like these; scaling.json has all of them."]


def error_note(results: Dataset) -> str:
    """Say what the error bars take into account, and what they leave out."""
    calibration = results.calibration
    if calibration is None:
        return (
            "**Error bars are too small.** They treat the entries of c2 as independent, but entries that share a frame "
            "fluctuate together; for data of this kind true errors are 1.1 to 38 times larger."
        )
    if not calibration.kind.correlated:
        return (
            "**Error bars are those of independent entries of c2.** Entries that share a frame or a speckle could fluctuate "
            "together; the residuals of this fit do not."
        )
    if results.fit.misfit.detected:
        return (
            "**Error bars do not cover the misfit.** They count noise as large as these residuals, but a model that misses "
            "the data may be off by many of them."
        )
    return (
        "**Error bars are calibrated.** Entries of c2 that share a frame or a speckle fluctuate together; errors and bands "
        f"count that as the residuals of this fit show it. {calibration.sentence}"
    )

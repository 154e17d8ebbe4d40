"""Tables, figures and set texts of the report, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from figure_files import save

from homodyne_lib.figures.style import WIDTH_NARROW
from homodyne_lib.model.frames import frame_ranges, missing_frames
from homodyne_lib.model.kernels import BROWNIAN, convention_in_words, get_shear_convention
from homodyne_lib.model.parameters import PARAMETERS, RATE_UNITS
from homodyne_lib.model.plurals import plural
from homodyne_lib.results.draws import mean_and_sd
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.sampler_reports import (
    MAX_DIVERGED,
    MAX_R_HAT,
    MIN_BFMI,
    MIN_ESS,
    Agreement,
    SamplerReport,
    r_hat_in_words,
)
from report_text.dataset import Dataset
from report_text.sentences import RATE_SYMBOLS, estimate, limit_only, range_95
from report_text.wording import alongside, as_given, escape, interval, plain_number, quantity

__all__ = [
    "RATE_FORMULAS",
    "agreement_text",
    "figure_block",
    "markdown_table",
    "metric_text",
    "model_text",
    "noise_text",
    "parameter_table",
    "provenance_text",
    "rate_table",
    "rates_in_words",
    "sampling_text",
    "shard_table",
    "square_of_q",
]

RATE_FORMULAS = {
    "D": r"D(t) = D_0 t^\alpha + D_\mathrm{off}",
    "gamma_dot": r"\dot\gamma(t) = \dot\gamma_0 t^\beta + \dot\gamma_\mathrm{off}",
}
"""Each rate, in LaTeX."""

_PIXELS = 150  # of a page of HTML for an inch of print: letters of all figures look alike there


def markdown_table(columns: list[str], rows: list[list[str]]) -> str:
    """Join Markdown cells to a pipe table; the first column to the left, the others to the right."""
    rule = [":--", *["--:"] * (len(columns) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (columns, rule, *rows)) + "\n"


def figure_block(
    figure, folder: str, name: str, caption: str, alt: str, vectors: bool = True, lazy: bool = False
) -> str:
    """Save a figure as ``folder/figures/name``; give the Markdown that shows it, with caption and words for the blind.

    Its file has no suffix there: HTML takes the PNG, the PDF the vectors, which a page alone does not need. A lazy one is
    unpacked when it comes into sight.
    """
    save(figure, Path(folder) / "figures" / name, vectors)
    alt = alt.replace('"', "'")
    width = figure.get_figwidth()
    wide = " .wide" if width > WIDTH_NARROW + 0.01 else ""
    later = ' loading="lazy" decoding="async"' * lazy
    return f'![{caption}](figures/{name}){{#{name}{wide} alt="{alt}" width="{round(_PIXELS * width)}px"{later}}}\n'


def rates_in_words(results: Dataset) -> str:
    """Say what a plot of the rates shows, for those who cannot see it."""
    names = {"D": "the diffusion coefficient", "gamma_dot": "the shear rate"}
    ends = results.rate_times[[0, -1]]
    said = []
    for curve in results.curves:
        first, last = (estimate(draws, RATE_UNITS[curve]) for draws in results.rates(curve, ends)["draws"].T)
        said.append(f"{names[curve]} goes from {first} at {ends[0]:.3g} s to {last} at {ends[1]:.3g} s")
    return " and ".join(said)


def rate_table(results: Dataset) -> str:
    """Tabulate the rates at the landmark times: posterior, 95 % interval, fit, truth."""
    times, rows = results.landmark_times, []
    for curve in results.curves:
        rates, unit = results.rates(curve, times), RATE_UNITS[curve]
        for k, t in enumerate(times):
            draws = rates["draws"][:, k]
            scale = mean_and_sd(draws)
            # A rate that the data do not show has no value, only a limit.
            shown = not (curve == "gamma_dot" and limit_only(results))
            value = estimate(draws, "") if shown else f"< {plain_number(np.quantile(draws, 0.95), 2)} (95 %)"
            row = [f"{RATE_SYMBOLS[curve]} at {t:g} s [{unit}]", value, range_95(draws, "") if shown else "–"]
            fits = [rates["fit"]] if rates["other"] is None else [rates["fit"], rates["other"]]
            row += [alongside(fitted[k], *scale) if shown else "–" for fitted in fits]
            if results.truth is not None:
                row.append("–" if rates["truth"] is None else alongside(rates["truth"][k], *scale))
            rows.append(row)
    truth = [] if results.truth is None else ["truth"]
    table = markdown_table(["rate", "posterior", "95 % interval", *_names_of_fits(results), *truth], rows)
    return f"{table}\n{_of_shear_rates(results)}\n"


def parameter_table(results: Dataset) -> str:
    """Tabulate physical parameters and noise scale: fits beside posterior, with units, bounds and truth.

    Errors are calibrated ones where there are any. For least squares a column then says how many times those of independent
    entries they are.
    """
    calibrated, rows = results.calibration is not None and results.fit.estimator == "least_squares", []
    fits = [results.fit] if results.fit.other is None else [results.fit, results.fit.other[1]]
    for name in [*results.fit.parameters, "noise_scale"]:
        row, entry = results.table.loc[name], results.fit.parameters.get(name)
        parameter = PARAMETERS.get(name)
        held = entry is not None and name not in results.free
        scale = row["posterior_mean"], row["posterior_sd"]
        cells = [
            f"${parameter.symbol}$" if parameter else "noise scale",
            parameter.unit if parameter else "",
            *(_fitted(fit, name, held) for fit in fits),
            "held" if held else quantity(*scale),
            "–" if held else interval(row["lower"], row["upper"], *scale),
        ]
        if calibrated:
            cells.append(_times(row["posterior_sd"], row["error_independent"]))
        cells += [
            "**at bound**" if entry and entry.at_bound else "",
            "–" if held else r_hat_in_words(row["r_hat"]),
            "–" if held else f"{row['ess_bulk']:.0f}",
        ]
        if results.truth is not None:
            known = results.true_parameters
            cells.append(plain_number(known[name], exact=True) if name in known else "–")
        rows.append(cells)
    ratio = ["sd ÷ independent sd"] if calibrated else []
    truth = [] if results.truth is None else ["truth"]
    names = _names_of_fits(results)
    head = ["parameter", "unit", *names, "posterior", "95 % interval", *ratio, "bound", "R̂", "ESS", *truth]
    return markdown_table(head, rows) + f"\n{_of_shear_rates(results)}\n"


def _names_of_fits(results: Dataset) -> list[str]:
    """Heads of the columns of the quoted fit and of the one beside it."""
    return ["fit"] if results.fit.other is None else ["fit", results.fit.other[0]]


def _fitted(fit: Fit, name: str, held: bool) -> str:
    """A fitted parameter with its error, or the value at which it was held; a dash for what no fit has."""
    if name not in fit.parameters:
        return "–"
    value, error = fit.values[name], fit.error(name)
    if held:
        return as_given(value)
    return f"{plain_number(value, 2)} (error undefined)" if error is None else quantity(value, error)


def _of_shear_rates(results: Dataset) -> str:
    """Say by which convention shear rates are; nothing where nothing flows."""
    if results.fit.is_static:
        return ""
    return f"Shear rates: {convention_in_words(results.fit.shear_convention)}."


def _times(error: float, independent: float) -> str:
    """How many times as large an error is as that of independent entries; nothing for what was held."""
    return plain_number(error / independent, 2) if independent > 0 else "–"


def noise_text(results: Dataset) -> str:
    """Say which noise the error bars count; for results with a calibration."""
    found = results.calibration
    return (
        f"Noise behind the error bars: {found.kind.words}. {escape(found.note)} {escape(found.sentence)} Sums of "
        f"residuals over all pairs of a frame vary {plain_number(found.stripes, 2)} times as much as those of independent "
        "entries."
    )


def metric_text(results: Dataset) -> str:
    """Say what the fit in the metric of speckle noise did, and whether it agrees with least squares."""
    fit = results.fit
    if fit.agreement is None:
        return ""
    weighted = fit.speckle or fit
    differences = ", ".join(
        f"{name.replace('gamma_dot', 'γ̇').replace('phi0', 'φ0')} {plain_number(value, 2)}"
        for name, value in fit.agreement.differences.items()
    )
    return (
        f" In the metric of speckle noise: {escape(weighted.message)} {escape(fit.agreement.sentence)} Differences in "
        f"standard deviations, least squares less the other: {differences}."
    )


def sampling_text(report: SamplerReport) -> str:
    """Say how much was drawn, and which shards count as converged."""
    return (
        f"Sampling: {report.sampler.short}, {report.n_chains} chains of {report.n_draws} draws in each of {report.n_shards} "
        f"shard(s). A shard converged where R̂ ≤ {MAX_R_HAT}, ESS ≥ {MIN_ESS}, at most {100 * MAX_DIVERGED:g} % of the draws "
        f"diverged, and BFMI ≥ {MIN_BFMI}."
    )


def shard_table(results: Dataset) -> str:
    """Tabulate the diagnostics of every shard's chains."""
    rows = [
        [
            str(shard.shard),
            "yes" if shard.converged else "**no**",
            r_hat_in_words(shard.max_r_hat),
            f"{shard.min_ess_bulk:.0f}",
            f"{shard.min_ess_tail:.0f}",
            str(shard.divergences),
            f"{shard.bfmi:.2f}",
        ]
        for shard in results.report.shards
    ]
    head = ["shard", "converged", "largest R̂", "smallest bulk ESS", "smallest tail ESS", "divergences", "smallest BFMI"]
    return markdown_table(head, rows)


def agreement_text(agreement: Agreement) -> str:
    """Say whether shards agree, from their test in cmc.json."""
    chi2, p_value = agreement.chi2, agreement.p_value
    freedom = plural(agreement.dof, "degree of freedom", "degrees of freedom")
    return f"Agreement of the shards: χ² = {plain_number(chi2, 3)} for {freedom} (p = {plain_number(p_value, 2)})."


def square_of_q(results: Dataset) -> str:
    """What stands in the place of q² in the decay, in LaTeX: another power, about the reference q."""
    n = results.fit.q_exponent
    if n == BROWNIAN:
        return "q^2"
    return rf"q_0^2 (q/q_0)^{{{'n' if n is None else f'{n:g}'}}}"


def model_text(results: Dataset) -> str:
    """Write the equations of the model that was fitted, and the shear convention where there is flow."""
    text = [
        rf"$$g_2 = O + C g_1^2, \qquad g_1 = \exp\left(-\tfrac12 {square_of_q(results)} "
        rf"\int_{{t_1}}^{{t_2}} D(t) dt\right) S, \qquad {RATE_FORMULAS['D']}$$"
    ]
    if results.fit.is_static:
        text.append("$S = 1$: nothing flows.")
    else:
        convention = get_shear_convention(results.fit.shear_convention)
        text.append(
            rf"$$S = {convention.formula}, \qquad \Gamma = \int_{{t_1}}^{{t_2}} \dot\gamma(t) dt, \qquad "
            rf"{RATE_FORMULAS['gamma_dot']}, \qquad "
            r"\operatorname{sinc} x = \frac{\sin x}{x}$$"
        )
        text.append(f"{_of_shear_rates(results)} Quote a shear rate with its convention.")
    text.append(
        "$D(t)$ is the rate at which the mean squared displacement along $q$ grows; for Brownian motion it is twice the "
        "coefficient of Stokes and Einstein."
    )
    if results.fit.q_exponent != BROWNIAN:
        text.append(
            f"$q_0$ = {results.bins.reference_q:.4g} 1/Å is the geometric mean of all $q$, at which $D(t)$ is reported"
            f"{'; the power $n$ was fitted' if results.fit.q_exponent is None else ''}."
        )
    text.append(
        "Time counts from the first frame that was used, also over frames that are missing. The pairs $t_1 < t_2$ were "
        "fitted; the diagonal was not. Contrast $C$ and offset $O$ were "
        f"{'solved for exactly at every step of the fit' if results.fit.coefficients else 'held at quantile estimates'}."
    )
    if len(results.bins.groups) > 1:
        text.append(
            "Every file and $q$ has a contrast and an offset of its own; all have the same parameters of $D(t)$"
            f"{'' if results.fit.is_static else ' and of the flow'}."
        )
    return "\n\n".join(text)


def provenance_text(results: Dataset, provenance: Mapping[str, Any]) -> str:
    """Say where the numbers come from and how to make them again.

    Parameters
    ----------
    results : Dataset
    provenance : mapping
        ``commit``, ``command``, ``row``, ``config`` (YAML text) and ``versions`` (package -> version).

    Returns
    -------
    str
    """
    frames = results.header["frames"]
    missing = missing_frames(frames)
    without = f" without {frame_ranges(missing)}" if missing.size else ""
    facts = [
        *_files(results),
        ["frames used", f"{frames[0]} to {frames[-1]}{without}"],
        ["code", escape(provenance["commit"])],
        ["packages", ", ".join(f"{name} {version}" for name, version in provenance["versions"].items())],
    ]
    table = "\n".join(["| | |", "|:--|:--|", *(f"| {name} | {value} |" for name, value in facts)])
    blocks = (
        ("Again, in a clone of this commit, with the project in my-project:", provenance["command"]),
        ("Row of the table:", provenance["row"]),
        ("Configuration, defaults included:", provenance["config"]),
    )
    return "\n\n".join([table, *(f"{title}\n\n{_verbatim(text)}" for title, text in blocks)])


def _files(results: Dataset) -> list[list[str]]:
    """Name and digest of the file, or of each."""
    source, digest = results.header["source"], results.header["source_sha256"]
    digests = [part.strip() for part in digest.split(",")]
    if len(digests) == 1:
        return [["file", escape(source)], ["SHA-256 of the file", f"`{digest}`"]]
    return [["files", escape(source)], *([f"SHA-256 of file {k}", f"`{part}`"] for k, part in enumerate(digests, 1))]


def _verbatim(text: str) -> str:
    """Indent text to a block, which no content can end."""
    return "\n".join(f"    {line}" for line in text.splitlines())

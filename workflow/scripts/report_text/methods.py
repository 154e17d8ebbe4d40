"""The paragraph on methods for a paper, with this dataset's numbers, and the works it cites."""

from __future__ import annotations

import numpy as np

from homodyne_lib.fitting.certificate import Certificate
from homodyne_lib.io.correlations import q_in_words
from homodyne_lib.model.bins import Bins
from homodyne_lib.model.frames import merge_size
from homodyne_lib.model.kernels import BROWNIAN, get_shear_convention
from homodyne_lib.model.parameters import PARAMETERS
from homodyne_lib.model.plurals import plural
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.sampler_reports import r_hat_in_words
from report_text.dataset import Dataset
from report_text.tables import RATE_FORMULAS, square_of_q
from report_text.wording import as_given, grouped, plain_number

__all__ = ["methods_text"]

_WORKS = {
    "he2024": (
        "H. He, H. Liang, M. Chu, Z. Jiang, J. J. de Pablo, M. V. Tirrell, S. Narayanan and W. Chen, *Proc. Natl. Acad. "
        "Sci. U.S.A.* **121**, e2401162121 (2024), [doi:10.1073/pnas.2401162121](https://doi.org/10.1073/pnas.2401162121)."
    ),
    "he2025": (
        "H. He, H. Liang, M. Chu, Z. Jiang, J. J. de Pablo, M. V. Tirrell, S. Narayanan and W. Chen, *Proc. Natl. Acad. "
        "Sci. U.S.A.* **122**, e2514216122 (2025), [doi:10.1073/pnas.2514216122](https://doi.org/10.1073/pnas.2514216122)."
    ),
    "golub": (
        "G. H. Golub and V. Pereyra, *SIAM J. Numer. Anal.* **10**, 413 (1973), "
        "[doi:10.1137/0710036](https://doi.org/10.1137/0710036)."
    ),
    "hausman": "J. A. Hausman, *Econometrica* **46**, 1251 (1978), [doi:10.2307/1913827](https://doi.org/10.2307/1913827).",
    "nuts": "M. D. Hoffman and A. Gelman, *J. Mach. Learn. Res.* **15**, 1593 (2014).",
    "NumPyro": "D. Phan, N. Pradhan and M. Jankowiak, [arXiv:1912.11554](https://arxiv.org/abs/1912.11554) (2019).",
    "tierney": "L. Tierney, *Ann. Stat.* **22**, 1701 (1994), [doi:10.1214/aos/1176325750](https://doi.org/10.1214/aos/1176325750).",
    "scott": (
        "S. L. Scott *et al.*, *Int. J. Manag. Sci. Eng. Manag.* **11**, 78 (2016), "
        "[doi:10.1080/17509653.2016.1142191](https://doi.org/10.1080/17509653.2016.1142191)."
    ),
    "ep": "A. Vehtari *et al.*, *J. Mach. Learn. Res.* **21**, 577 (2020).",
    "psis": "A. Vehtari, D. Simpson, A. Gelman, Y. Yao and J. Gabry, *J. Mach. Learn. Res.* **25**, 72 (2024).",
    "sandwich": "B. A. Shaby, *J. Comput. Graph. Stat.* **23**, 853 (2014).",
    "vehtari": (
        "A. Vehtari, A. Gelman, D. Simpson, B. Carpenter and P.-C. Bürkner, *Bayesian Anal.* **16**, 667 (2021), "
        "[doi:10.1214/20-BA1221](https://doi.org/10.1214/20-BA1221)."
    ),
}
_SCALING = {
    "individual": "free at each angle{also}",
    "auto": "the same at all angles{each}",
    "constant": "held at the mean of quantile estimates{each}",
    "constant_per_angle": "held at quantile estimates of each angle{also}",
    "fourier": "a Fourier series in the angle{each}",
}
"""What contrast and offset are; groups of bins have their own."""


class _Citations:
    """Numbers for works in the order in which they are first cited."""

    def __init__(self):
        self._order: list[str] = []

    def __call__(self, *names: str) -> str:
        self._order += [name for name in names if name not in self._order]
        return r"\[" + ", ".join(str(self._order.index(name) + 1) for name in names) + r"\]"

    def listed(self) -> str:
        """The works, numbered."""
        return "\n".join(f"{number}. {_WORKS[name]}" for number, name in enumerate(self._order, 1))


def _measurement(results: Dataset, cite: _Citations) -> str:
    header, bins = results.header, results.bins
    shear = flow = ""
    if not results.fit.is_static:
        gap = plain_number(header["stator_rotor_gap"], exact=True)
        # Formulas of their own, as a screen may be too narrow for both in one.
        shear = r" \, S"
        flow = (
            rf", $S = {get_shear_convention(results.fit.shear_convention).formula}$, "
            rf"$\Gamma = \int_{{t_1}}^{{t_2}} \dot\gamma(t) dt$, ${RATE_FORMULAS['gamma_dot']}$ and the gap $L$ = {gap} Å"
        )
    angles = bins.angles_in_words.replace("angle", "azimuthal angle")
    angles = "one azimuthal angle" if angles == "1 azimuthal angle" else angles
    return (
        rf"Two-time correlation functions $c_2(\varphi, t_1, t_2)$ of {results.frames_in_words}, "
        f"{header['dt']:.6g}\u00a0s apart, at {angles} and {_wavevectors(bins)} were described by the homodyne "
        f"model {cite('he2024', 'he2025')}, $c_2 = O + C g_1^2$ with "
        rf"$g_1 = \exp\left(-\tfrac12 {square_of_q(results)} \int_{{t_1}}^{{t_2}} D(t) dt\right){shear}$, "
        rf"${RATE_FORMULAS['D']}$ (twice the Stokes–Einstein coefficient for Brownian motion){flow}."
        f"{_shared(results)}"
    )


def _wavevectors(bins: Bins) -> str:
    """The q of a measurement, and how often it was made."""
    q = q_in_words(bins).replace("q", "$q$", 1).replace(" 1/Å", "\u00a0Å⁻¹")
    return f"{q} in {bins.n_repeats} repeats" if bins.n_repeats > 1 else q


def _shared(results: Dataset) -> str:
    """What bins of several q and repeats have in common, and whether they may."""
    bins, parts = results.bins, results.fit.parts
    if len(bins.groups) == 1:
        return ""
    about = "" if results.fit.q_exponent == BROWNIAN else f", with $q_0$ = {bins.reference_q:.4g}\u00a0Å⁻¹"
    tests = [] if parts is None else parts.made
    told = " and ".join(
        rf"$\chi^2$ = {test.chi2:.3g} for "
        f"{plural(test.degrees_of_freedom, 'degree of freedom', 'degrees of freedom')}, p = {test.p_value:.2g}"
        for test in tests
    )
    compared = f", which was compared with fits of each alone ({told})" if told else ""
    return (
        f" All {len(bins)} correlation functions were fitted together{about}: the physical parameters were common to "
        f"{_every(bins)}{compared}."
    )


def _every(bins: Bins) -> str:
    return " and ".join(["all $q$"] * (bins.rings.size > 1) + ["all repeats"] * (bins.n_repeats > 1))


def _fit(results: Dataset, cite: _Citations) -> str:
    fit, sigma = results.fit.by_squares, results.fit.sigma
    noise = plain_number(sigma.min(), 2)
    if np.ptp(sigma) > 0:
        noise += f" to {plain_number(sigma.max(), 2)}"
    projected = f", and projected out of the fit {cite('golub')}" if fit.coefficients else ""
    return (
        f"The {grouped(fit.n_points)} pairs $t_1 < t_2$ were fitted by nonlinear least squares, weighted by noise that "
        f"was estimated from the data at each angle (σ = {noise}); contrast $C$ and offset $O$ were "
        f"{_scaling(fit, results.bins)}{projected}{_held(results)} (χ² per degree of freedom {fit.reduced_chi2:.3f})."
        f"{_nodes(fit.certificate)}{_metric(results, cite)}"
    )


def _held(results: Dataset) -> str:
    """The values at which physical parameters were held."""
    held = [
        f"${PARAMETERS[name].symbol}$ = {as_given(entry.value)} {PARAMETERS[name].unit}".strip()
        for name, entry in results.fit.parameters.items()
        if name not in results.free
    ]
    return f"; {', '.join(held)} {'was' if len(held) == 1 else 'were'} held" if held else ""


def _scaling(fit: Fit, bins: Bins) -> str:
    """What contrast and offset are, in each of several groups."""
    # With few angles this mode has as many numbers as the other.
    each_has_its_own = fit.per_angle_mode == "auto" and len(fit.coefficients) == 2 * bins.phi.size
    mode = "individual" if each_has_its_own else fit.per_angle_mode
    group = " and ".join(["$q$"] * (bins.rings.size > 1) + ["repeat"] * (bins.n_repeats > 1))
    return _SCALING[mode].format(also=f" of each {group}" if group else "", each=f", for each {group}" if group else "")


def _metric(results: Dataset, cite: _Citations) -> str:
    """What followed least squares, where the noise of speckles weighs the pairs."""
    agreement = results.fit.agreement
    if agreement is None:
        return ""
    quoted = "this fit is quoted" if results.fit.estimator == "speckle" else "least squares is quoted"
    tested = (
        f"The difference of the two fits was tested {cite('hausman')} (p = {plain_number(agreement.p_value, 2)}); "
        if agreement.degrees_of_freedom
        else "The two fits leave nothing to compare; "
    )
    weighted, n = results.fit.speckle or results.fit, merge_size(len(results.header["frames"]))
    merged = "" if weighted.merged_at is None else f" with each {n} neighbouring frames merged to one and"
    return (
        f" From there the model was fitted{merged} with pairs weighted by the covariance that speckles and photons "
        "give them, "
        r"$\frac12 \mathrm{tr}(\Sigma^{-1} A \Sigma^{-1} B)$ in the place of $\sum_{i<j} A_{ij} B_{ij}$, where $\Sigma$ is "
        f"that of the intensities. {tested}{quoted}."
    )


def _nodes(certificate: Certificate | None) -> str:
    # Where no parameter has an error, there is nothing to compare with.
    if certificate is None or not certificate.shift:
        return ""
    return (
        " Sums over the pairs were interpolated from few of them, which moves parameters by at most "
        f"{plain_number(certificate.shift, 1)} of their errors."
    )


def _sampling(results: Dataset, cite: _Citations) -> str:
    report, sampler = results.report, results.report.sampler
    # Chains that have more to learn adapt for longer.
    warmup = " or ".join(map(str, sorted({shard.n_warmup for shard in report.shards})))
    worst = max(shard.max_r_hat for shard in report.shards)
    least = min(shard.min_ess_bulk for shard in report.shards)
    shards = report.n_shards
    named = f"{sampler.words} {cite(report.method)} of {sampler.program} {cite(sampler.program)}"
    text = f"The posterior was sampled with the {named}"
    if any(shard.jumps for shard in report.shards):
        text += f" and independent proposals between its moves {cite('tierney')}"
    if shards > 1:
        text += f", in {shards} shards, each with a Gaussian in the place of the others {cite('scott', 'ep')}"
    text += (
        f": {report.n_chains} chains of {report.n_draws} draws after {warmup} of warm-up{' in each shard' * (shards > 1)}; "
        f"the largest R̂ is {r_hat_in_words(worst)} and the smallest bulk effective sample size {least:.0f} {cite('vehtari')}."
    )
    if shards > 1:
        text += (
            " Draws proposed about the consensus of the shards were weighted by the density of all data "
            f"{cite('psis')} (Pareto $k$ = {report.pareto_k:.2f})."
        )
    if results.calibration is not None and results.calibration.kind.correlated:
        text += (
            " Draws were spread about their mean to the covariance of the fit under the noise of speckles and photons "
            f"{cite('sandwich')}."
        )
    return f"{text} Values are posterior means ± standard deviations."


def methods_text(results: Dataset) -> str:
    """Write the paragraph and its list of works.

    Parameters
    ----------
    results : Dataset

    Returns
    -------
    str
        Markdown.
    """
    cite = _Citations()
    parts = [_measurement(results, cite), _fit(results, cite), _sampling(results, cite)]
    return " ".join(parts) + "\n\n" + cite.listed()

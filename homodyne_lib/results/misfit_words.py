"""What a fit misses, in a sentence: by how much, at which angles and ages, and what is likely to be behind it."""

from __future__ import annotations

import numpy as np

from homodyne_lib.fitting.nlsq import NlsqFit
from homodyne_lib.likelihood.problem import Problem
from homodyne_lib.model.bins import Bins
from homodyne_lib.model.frames import consecutive_runs
from homodyne_lib.results.fit_checks import MisfitReport
from homodyne_lib.uncertainty.misfit import FAMILIES, Misfit, examine

__all__ = ["misfit_report"]

# A frame that shows less than this share of the contrast of the others has none of their speckles.
_LOST = 0.3
_FELT = 0.25  # share of the largest excess, below which an angle or a family may only feel what another does to the fit
_WHAT = dict(
    zip(
        FAMILIES,
        ("a contrast that changes with age", "an offset that changes with age", "a decay of another course"),
        strict=True,
    )
)
_PARTS = 8  # of the record, whose contrasts are compared
_MOST_NAMED = 6  # frames or angles


def misfit_report(problem: Problem, fit: NlsqFit, frames) -> MisfitReport:
    """Say what shapes the residuals of a fit have.

    Parameters
    ----------
    problem : Problem
        All rows of c2.
    fit : NlsqFit
    frames : array_like of int, shape (n_t,)
        Numbers of the frames in the file.

    Returns
    -------
    MisfitReport
    """
    misfit = examine(problem, fit.values, np.isfinite(fit.errors[: len(problem.names)]))
    frames, phi = np.asarray(frames), problem.experiment.phi
    detected = bool(any(misfit.found.values()) or misfit.apart.any())
    lost = _lost(misfit) if detected else np.zeros(frames.size, dtype=bool)
    carried = np.any([np.zeros(phi.size, dtype=bool), *(_carriers(misfit, name) for name in _foremost(misfit))], axis=0)
    return MisfitReport(
        detected=detected,
        excess=misfit.excess,
        angles=phi[carried],
        frames=frames[lost | misfit.apart],
        sentence=_sentence(problem, fit, misfit, frames, lost) if detected else "",
    )


def _ages(problem: Problem) -> np.ndarray:
    """Time of each frame that there is [s]."""
    return problem.experiment.time[problem.experiment.frames]


def _carriers(misfit: Misfit, family: str) -> np.ndarray:
    """Angles that are beyond noise by themselves, less those that only feel what others do to the fit."""
    excess = misfit.by_angle[family]
    return misfit.found_by_angle[family] & (excess > _FELT * np.max(excess))


def _shown(misfit: Misfit) -> np.ndarray:
    """Contrast of each frame over the fitted one, at the angles where it changes with age; at all if it is none by itself."""
    angles = _carriers(misfit, "contrast")
    return misfit.contrast[angles if angles.any() else slice(None)].mean(axis=0)


def _lost(misfit: Misfit) -> np.ndarray:
    """Frames without the speckles of the others; none where the level drifts more than the contrast."""
    shown = _shown(misfit)
    return (shown < _LOST * np.median(shown)) & (misfit.excess["contrast"] > misfit.excess["offset"])


def _foremost(misfit: Misfit) -> list[str]:
    """Families beyond noise, the largest first, less those that only feel what the largest does to the fit."""
    found = sorted((name for name in FAMILIES if misfit.found[name]), key=misfit.excess.get, reverse=True)
    return [name for name in found if misfit.excess[name] > _FELT * misfit.excess[found[0]]]


def _sentence(problem, fit, misfit, frames, lost) -> str:
    """The whole warning."""
    families = _foremost(misfit)
    reasons = _of_frames(problem, misfit, frames, lost)
    # What changes with age most: a large drift of one is seen in the other too.
    of_age = None if reasons else next((name for name in families if name != "decay"), None)
    if of_age == "contrast":
        reasons.append(_drift(problem, misfit))
    elif of_age == "offset":
        where = _at_angles(problem, misfit, "offset")
        reasons.append(f"the level of c2 changes with age{where}, as where intensity or background drift")
    if "decay" in families:
        reasons.append(_decay(problem, misfit))
    much = ""
    if families:
        size = misfit.excess[families[0]]
        much = f"; the residuals show {_WHAT[families[0]]}, with a mean square {size:.3g} times that of noise"
    seen = "; ".join(reasons)
    return (
        f"The model does not describe these data (χ² per degree of freedom {fit.reduced_chi2:.3g}{much}). "
        f"{seen[0].upper()}{seen[1:]}. Do not trust parameters and errors before this is settled."
    )


def _of_frames(problem, misfit, frames, lost) -> list[str]:
    """Which frames are damaged, if it is single ones."""
    chosen = lost if lost.any() else misfit.apart
    if not chosen.any():
        return []
    where, many = _at_angles(problem, misfit, "contrast"), chosen.sum() > 1
    what = (
        f"{'share' if many else 'shares'} no speckles with the others{where} (c2 is near the offset there), as where the "
        "beam is lost"
        if lost.any()
        else f"{'stand' if many else 'stands'} apart from the neighbours{where}, as with a flash or a jump of the beam"
    )
    return [f"{_named_frames(frames, chosen, _ages(problem))} {what}: leave out (bad_frames) what is damaged"]


def _drift(problem, misfit) -> str:
    """How the contrast goes with age, from parts of the record."""
    time, shown = _ages(problem), _shown(misfit)
    parts = np.array_split(np.arange(time.size), _PARTS)
    levels = np.array([shown[part].mean() for part in parts])
    first, second = sorted((int(np.argmin(levels)), int(np.argmax(levels))))
    ages = [f"{time[parts[k][0]]:.3g} to {time[parts[k][-1]]:.3g} s" for k in (first, second)]
    return (
        f"the contrast is {levels[first]:.2f} times the fitted one at ages of {ages[0]}, and {levels[second]:.2f} times at "
        f"{ages[1]}{_at_angles(problem, misfit, 'contrast')}, as where alignment, beam or detector drift: choose frames "
        "between which it holds (start_frame, end_frame)"
    )


def _decay(problem, misfit) -> str:
    where = _at_angles(problem, misfit, "decay")
    if misfit.common_decay or problem.experiment.phi.size == 1:
        return (
            f"the decay has another course over the lag than the model{where}, as with dynamics that it does not have"
        )
    bins = problem.experiment.bins
    if len(bins.groups) > 1:
        reasons = ["dynamics depend on q by another law"] * (bins.rings.size > 1)
        reasons += ["the sample changed between the files"] * (bins.n_repeats > 1)
        reasons += ["angles and matrices do not belong together" if problem.model.has_flow else "there is a flow"]
        return (
            f"decays differ from bin to bin in another way than the model makes them{where}, as where "
            f"{', '.join(reasons[:-1])} or {reasons[-1]}"
        )
    if not problem.model.has_flow:
        return (
            f"decays differ from angle to angle{where}, which a static mode cannot follow, as with a flow: try "
            "analysis_mode laminar_flow"
        )
    return (
        f"decays differ from angle to angle in another way than a flow makes them{where}, as where angles and matrices do "
        "not belong together"
    )


def _at_angles(problem, misfit, family) -> str:
    """Where a family is beyond noise; nothing where only all bins together show it."""
    found, bins = _carriers(misfit, family), problem.experiment.bins
    several = len(bins.groups) > 1
    if not found.any():
        return ""
    if found.all():
        return f" {'in every bin' if several else 'at every angle'}" if found.size > 1 else ""
    order = np.argsort(-misfit.by_angle[family] * found, kind="stable")[: min(found.sum(), _MOST_NAMED)]
    if several:
        return _in_groups(bins, found, order)
    rest = found.sum() - order.size
    return f" at φ = {', '.join(f'{bins.phi[k]:.4g}' for k in order)}{f' and {rest} more' if rest else ''} deg"


def _in_groups(bins: Bins, found, order) -> str:
    """Groups that are beyond noise as a whole; where there is none, bins, the worst first."""
    whole = [number for number, group in enumerate(bins.groups) if found[group].all()]
    if sum(bins.groups[number].size for number in whole) == found.sum():
        names, rest = [bins.group_named(number) for number in whole], 0
    else:
        names, rest = [bins.named(k) for k in order], found.sum() - order.size
    names, rest = names[:_MOST_NAMED], rest + max(len(names) - _MOST_NAMED, 0)
    return f" at {'; '.join(names)}{f' and {rest} more' if rest else ''}"


def _named_frames(frames, chosen, time) -> str:
    """Frames by number, runs as first to last, with the ages of the first and the last."""
    runs = consecutive_runs(np.flatnonzero(chosen))
    texts = [f"{frames[run[0]]}" + (f" to {frames[run[-1]]}" if run.size > 1 else "") for run in runs]
    rest = len(texts) - _MOST_NAMED
    listed = ", ".join(texts[:_MOST_NAMED]) + (f" and {rest} more runs" if rest > 0 else "")
    last = runs[-1][-1]
    ages = f"{time[runs[0][0]]:.3g} s" if last == runs[0][0] else f"{time[runs[0][0]]:.3g} to {time[last]:.3g} s"
    return f"{'frames' if chosen.sum() > 1 else 'frame'} {listed} (age {ages})"

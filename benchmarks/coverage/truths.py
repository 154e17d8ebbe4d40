"""Posteriors as reported, of records with everything drawn at random and of regimes, fitted and sampled as a user would.

python truths.py replicas FIRST N OUTPUT GROUP   # GROUP: random, or a regime as MODE-FIELDS-COUNTS-FRAMES
python truths.py summary FOLDER OUTPUT.md        # coverage, the farthest, and whether ranks are even
"""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import numpy as np
from scipy.stats import chi2

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from batches import write_batch_or_page
from replicas import CURVE_TIMES, GEOMETRY, PHI, TRUTH, quantities
from summary import IDENTIFIED, span

import homodyne_lib as hd
from homodyne_lib.model.curves import CURVES, rate_slopes
from homodyne_lib.model.parameters import PARAMETERS
from homodyne_lib.results.prior_words import rate_error

Q, DT, GAP = GEOMETRY["q"], GEOMETRY["dt"], GEOMETRY["stator_rotor_gap"]
RANDOM = "random"
KNOWN = 1 / 3  # largest error of a rate of a random truth, as a share of it, that counts
RANKS = 10  # bins of their histogram
DRAWS = {"chains": 4, "warmup": 100, "draws": 250}


def drawn(seed: int) -> dict:
    """What is measured, and how: everything that a user might have, decays that the record does not hold included."""
    rng = np.random.default_rng(seed)

    def log_uniform(low, high):
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    def rate(typical, exponent, share, duration):
        return (1 - share) * typical / (0.5 * duration) ** exponent, exponent, share * typical

    frames, flow = int(rng.integers(60, 201)), bool(rng.random() < 0.6)
    duration = frames * DT
    # q²DT from half to a hundred: the decay is incomplete in a tenth of them.
    typical = log_uniform(0.5, 100.0) / (Q**2 * duration)
    *power_law, offset = rate(typical, rng.uniform(-0.8, 0.4), rng.uniform(0.0, 0.5), duration)
    # A fast decay of a short record may lie beyond what a fit looks for.
    values, names = [*power_law, min(offset, PARAMETERS["D_offset"].upper)], [*CURVES["D"][1]]
    if flow:
        phase = log_uniform(2.0, 60.0)
        shear = phase * 2 * np.pi / (Q * GAP * duration)
        values += [*rate(shear, rng.uniform(-0.6, 0.3), rng.uniform(0.0, 0.5), duration), rng.uniform(-90.0, 90.0)]
        names += [*CURVES["gamma_dot"][1], "phi0"]
    n_phi = int(rng.integers(3, 8)) if flow else int(rng.integers(1, 6))
    phi = np.sort(rng.choice(np.arange(-85, 91, 5), n_phi, replace=False)).astype(float)
    return {
        "mode": "laminar_flow" if flow else "static",
        "truth": dict(zip(names, map(float, values), strict=True)),
        "phi": phi.tolist(),
        "n_frames": frames,
        "pixels": int(log_uniform(500, 8000)),
        "modes": int(rng.integers(2, 16)),
        "counts": log_uniform(0.2, 10.0),
    }


def regime(group: str) -> dict:
    """What is measured in a regime of the study of fits."""
    mode, fields, counts, frames = group.split("-")
    return {
        "mode": mode,
        "truth": TRUTH[mode],
        "phi": PHI.tolist(),
        "n_frames": int(frames),
        "pixels": 2000,
        "modes": int(fields),
        "counts": None if counts == "none" else float(counts),
    }


def replica(seed: int, group: str) -> dict:
    """Simulate, fit and sample a record; by quantity: truth, value, error, mean and standard deviation of the draws, rank."""
    about = drawn(seed) if group == RANDOM else regime(group)
    truth, mode, frames = about["truth"], about["mode"], about["n_frames"]
    how = {name: about[name] for name in ("n_frames", "pixels", "modes", "counts")}
    gap = GAP if mode == "laminar_flow" else None
    # Regimes have replicas of their own: an unlucky draw is not seen in all of them.
    number = seed if group == RANDOM else zlib.crc32(f"{group} {seed}".encode())
    c2 = hd.simulate(truth, about["phi"], q=Q, dt=DT, stator_rotor_gap=gap, seed=number, **how)
    fit = hd.fit(c2, mode)
    try:
        posterior = hd.sample(fit, **DRAWS)
    except ValueError:
        return about | {"group": group, "status": "no posterior"}
    times = np.array(CURVE_TIMES) * frames * DT
    draws = dict(posterior.draws)
    for curve in fit.curves:
        rates = posterior.rates(curve, times, DT)
        draws |= {f"{curve} at {share:g}": rates[:, k] for k, share in enumerate(CURVE_TIMES)}
    values = [fit.values[name] for name in truth]
    told = {}
    for name, parts in quantities(truth, values, frames, fit.calibration.covariance.of(list(truth))).items():
        told[name] = [*parts, draws[name].mean(), draws[name].std(), np.mean(draws[name] < parts[0])]
    for curve in fit.curves:
        for share, slopes in zip(CURVE_TIMES, rate_slopes(fit.values, times, DT, curve)[1], strict=True):
            told[f"{curve} at {share:g}"][2] = rate_error(fit, dict(zip(truth, slopes, strict=True)))
    checks = {
        "group": group,
        "estimator": fit.estimator,
        "p_value": None if fit.agreement is None else fit.agreement.p_value,
        "status": posterior.report.status,
        "sound": fit.sound and posterior.report.sound,
        "at_bound": any(parameter.at_bound for parameter in fit.parameters.values()),
        "share": posterior.report.shards[0].node_share,
    }
    return about | checks | {"quantities": {name: [*map(float, parts)] for name, parts in told.items()}}


def page(replicas) -> str:
    """A table of the regimes, and one of the random truths, of those that are there."""
    random = [replica for replica in replicas if replica["group"] == RANDOM]
    groups: dict[str, list] = {}
    for one in replicas:
        if one["group"] != RANDOM:
            groups.setdefault(one["group"], []).append(one)
    return "\n".join(part(content) for part, content in ((regimes_table, groups), (random_table, random)) if content)


def inside(below: np.ndarray, level: float) -> np.ndarray:
    """Whether truths of such ranks lie in the equal-tailed interval of the draws."""
    return np.abs(below - 0.5) < 0.5 * level


def regimes_table(groups: dict[str, list]) -> str:
    """One line a regime: shares of intervals of the posterior with the truth in them, lowest and highest."""
    head = "| | contrast | counts | frames | replicas | quantities | 95 % intervals | 68 % intervals | not converged |"
    lines = [head, "|---" * 9 + "|"]
    for group, replicas in sorted(groups.items()):
        shares, drawn_from = [], [one["quantities"] for one in replicas if "quantities" in one]
        for name in drawn_from[0]:
            true, _, _, _, sd, below = np.array([one[name] for one in drawn_from], dtype=float).T
            if np.median(sd / np.abs(true)) < IDENTIFIED:
                shares.append([inside(below, level).mean() for level in (0.95, 0.6827)])
        spans = [span(column) for column in np.array(shares).reshape(-1, 2).T]
        mode, fields, counts, frames = group.split("-")
        cells = [
            mode.removesuffix("_flow"),
            f"{1 / int(fields):.2g}",
            counts.replace("none", "∞"),
            frames,
            len(replicas),
        ]
        cells += [len(shares), *spans, sum(one["status"] != "converged" for one in replicas)]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def random_table(replicas) -> str:
    """Shares of intervals with the truth in them, the farthest of it, and the histogram of ranks."""
    drawn_from = [one for one in replicas if "quantities" in one]
    rates = [
        [*parts, one["at_bound"], one["sound"]]
        for one in drawn_from
        for name, parts in one["quantities"].items()
        if " at " in name
    ]
    true, value, error, mean, sd, below, at_bound, sound = np.array(rates, dtype=float).T
    # The error of a fit at a bound is that of what the bound leaves free.
    error = np.where(at_bound, np.nan, error)
    quoted = np.where(sound, sd, np.nan)
    lines = [
        f"{len(replicas)} records; rates with an error below a third of them; fits without a parameter at a bound.",
        "",
        "| | rates | 95 % intervals | 68 % intervals | farthest [errors] | ranks: χ², p |",
        "|---|---|---|---|---|---|",
    ]
    estimates = (("fit", value, error), ("posterior", mean, sd), ("posterior that may be quoted", mean, quoted))
    for name, centre, width in estimates:
        known = np.isfinite(width) & (width < KNOWN * np.abs(centre)) & (width > 0)
        pulls = np.abs(centre - true)[known] / width[known]
        held = [pulls < 1.96, pulls < 1.0]
        ranks = "–"
        if name != "fit":
            held = [inside(below[known], level) for level in (0.95, 0.6827)]
            counts = np.histogram(below[known], RANKS, (0.0, 1.0))[0]
            expected = counts.sum() / RANKS
            square = float(np.sum((counts - expected) ** 2) / expected)
            ranks = f"{square:.1f}, {chi2.sf(square, RANKS - 1):.2g}: {' '.join(map(str, counts))}"
        shares = " | ".join(f"{part.mean():.3f}" for part in held)
        lines.append(f"| {name} | {known.sum()} | {shares} | {pulls.max(initial=0.0):.1f} | {ranks} |")
    rejected = [one["estimator"] == "least_squares" for one in drawn_from]
    failed = [one["status"] != "converged" for one in replicas]
    lines += [
        "",
        f"Least squares was quoted in {sum(rejected)}, and {sum(failed)} did not converge; "
        f"{len(replicas) - len(drawn_from)} have no posterior, as their chains were too short.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write_batch_or_page(replica, page, *sys.argv[1:])

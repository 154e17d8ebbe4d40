"""Truths that nobody chose: records with everything drawn at random, fitted as a user would, and their posteriors.

python truths.py replicas FIRST N OUTPUT      # pulls of the rates, and their ranks among the draws, of each record
python truths.py summary FOLDER OUTPUT.md     # coverage, the farthest, and whether ranks are even
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy.stats import chi2

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from batches import write_batch_or_page

import homodyne_lib as hd
from homodyne_lib.model.curves import CURVES, rate_curves, rate_slopes

Q, DT, GAP = 0.0054, 0.1, 2e6
SHARES = (0.1, 0.3, 0.9)  # of the record, at which rates are compared
KNOWN = 1 / 3  # largest error of a rate, as a share of it, that counts
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
    values = [*rate(typical, rng.uniform(-0.8, 0.4), rng.uniform(0.0, 0.5), duration)]
    names = [*CURVES["D"][1]]
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


def replica(seed: int) -> dict:
    """Simulate, fit and sample a record; by rate: truth, value, error, and the rank of the truth among the draws."""
    about = drawn(seed)
    truth, mode = about["truth"], about["mode"]
    how = {name: about[name] for name in ("n_frames", "pixels", "modes", "counts")}
    gap = GAP if mode == "laminar_flow" else None
    c2 = hd.simulate(truth, about["phi"], q=Q, dt=DT, stator_rotor_gap=gap, seed=seed, **how)
    fit = hd.fit(c2, mode)
    posterior = hd.sample(fit, **DRAWS)
    times, rates = np.array(SHARES) * about["n_frames"] * DT, {}
    for curve in fit.curves:
        names = CURVES[curve][1]
        true = rate_curves(truth, times, DT, curve)[0]
        value, slopes = rate_slopes(fit.values, times, DT, curve)
        covariance = fit.calibration.covariance.of(list(names))
        error = np.sqrt(np.einsum("ta,ab,tb->t", slopes, covariance, slopes))
        draws = posterior.rates(curve, times, DT)
        below = (draws < true).mean(axis=0)
        parts = true, value, error, draws.mean(axis=0), draws.std(axis=0), below
        rates |= {f"{curve} at {s:g}": list(map(float, row)) for s, *row in zip(SHARES, *parts, strict=True)}
    shard = posterior.report.shards[0]
    chance = None if fit.agreement is None else fit.agreement.p_value
    checks = {
        "estimator": fit.estimator,
        "p_value": chance,
        "status": posterior.report.status,
        "share": shard.node_share,
    }
    return about | checks | {"rates": rates}


def page(replicas) -> str:
    """Shares of intervals with the truth in them, the farthest of it, and the histogram of ranks."""
    numbers = np.array([row for replica in replicas for row in replica["rates"].values()], dtype=float)
    true, value, error, mean, sd, below = numbers.T
    lines = [
        f"{len(replicas)} records; rates with an error below a third of them.",
        "",
        "| | rates | 95 % intervals | 68 % intervals | farthest [errors] | ranks: χ², p |",
        "|---|---|---|---|---|---|",
    ]
    for name, centre, width in (("fit", value, error), ("posterior", mean, sd)):
        known = np.isfinite(width) & (width < KNOWN * np.abs(centre)) & (width > 0)
        pulls = np.abs(centre - true)[known] / width[known]
        inside = [pulls < 1.96, pulls < 1.0]
        ranks = "–"
        if name == "posterior":
            inside = [np.abs(below[known] - 0.5) < 0.5 * level for level in (0.95, 0.6827)]
            counts = np.histogram(below[known], RANKS, (0.0, 1.0))[0]
            expected = counts.sum() / RANKS
            square = float(np.sum((counts - expected) ** 2) / expected)
            ranks = f"{square:.1f}, {chi2.sf(square, RANKS - 1):.2g}: {' '.join(map(str, counts))}"
        shares = " | ".join(f"{part.mean():.3f}" for part in inside)
        lines.append(f"| {name} | {known.sum()} | {shares} | {pulls.max():.1f} | {ranks} |")
    rejected = [replica["estimator"] == "least_squares" for replica in replicas]
    failed = [replica["status"] != "converged" for replica in replicas]
    lines += ["", f"Least squares was quoted in {sum(rejected)}, and {sum(failed)} did not converge."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write_batch_or_page(replica, page, *sys.argv[1:])

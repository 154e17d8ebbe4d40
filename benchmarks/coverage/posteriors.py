"""How often posterior intervals contain the truth, with one shard and with four: white noise, where the likelihood is exact.

python posteriors.py replicas FIRST N OUTPUT      # where the truth lies among the draws of each replica
python posteriors.py summary FOLDER OUTPUT.md     # counts of 50 % and 90 % intervals, and what they may be
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

HOUSE = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(HOUSE), str(HOUSE / "tests")]

from batches import write_batch_or_page  # noqa: E402
from white_noise import TRUTH, problem_of  # noqa: E402

from homodyne_lib.fitting.nlsq import fit_nlsq  # noqa: E402
from homodyne_lib.sampling.consensus import combine_shards  # noqa: E402
from homodyne_lib.sampling.importance import propose, reweighted, shard_terms  # noqa: E402
from homodyne_lib.sampling.nuts import sample_shard  # noqa: E402
from homodyne_lib.sampling.posterior import ShardPosterior  # noqa: E402
from homodyne_lib.sampling.shards import shard_rows  # noqa: E402

MODE, FRAMES, PHI = "laminar_flow", 60, (-40.0, 0.0, 30.0, 60.0)
SHARDS = (1, 4)
WARMUP, DRAWS, CHAINS = 100, 300, 2
LEVELS = (0.5, 0.9)


def posterior(fit, seed, n_shards):
    """Draws by name of one replica's posterior, from so many shards."""
    shards = [
        ShardPosterior(
            problem_of(MODE, n=FRAMES, phi=PHI, seed=seed, rows=shard_rows(FRAMES, k, n_shards))[0],
            fit.values,
            n_shards,
            noise_scale=(fit.chi2 / fit.n_points) ** 0.5,
        )
        for k in range(n_shards)
    ]
    draws = [
        sample_shard(shard, seed=10 * seed + k, n_warmup=WARMUP, n_draws=DRAWS, n_chains=CHAINS)
        for k, shard in enumerate(shards)
    ]
    x, first = draws[0].x, shards[0]
    if n_shards > 1:
        proposals = propose(combine_shards(draws), len(first.density.factor), CHAINS * DRAWS, seed)
        terms = zip(*(shard_terms(shard.density.shard, proposals.x) for shard in shards), strict=True)
        origin = fit.values[len(first.problem.names) :]
        x, _, _ = reweighted(proposals, tuple(sum(parts) for parts in terms), origin, (CHAINS, DRAWS), seed)
    return first.coordinates.natural_draws(x, first.problem.scaling.names)


def ranks(seed) -> dict:
    """Share of the draws below the truth, for each number of shards and each parameter."""
    problem, _ = problem_of(MODE, n=FRAMES, phi=PHI, seed=seed)
    true = dict(zip(problem.names, TRUTH[MODE], strict=True))
    # From the truth, the same minimum takes a tenth of the time.
    fit = fit_nlsq(problem, start=true, n_starts=0)
    true |= {f"contrast_{k}": 0.3 + 0.01 * k for k in range(len(PHI))}
    found = {}
    for n_shards in SHARDS:
        draws = posterior(fit, seed, n_shards)
        found[n_shards] = {name: float(np.mean(draws[name] < value)) for name, value in true.items()}
    return found


def page(replicas) -> str:
    """A line a parameter: shares of intervals with the truth in them."""
    n = len(replicas)
    scatter = {level: 3 * np.sqrt(level * (1 - level) / n) for level in LEVELS}
    allowed = ", ".join(f"{level:.2f} ± {scatter[level]:.2f} at {level:.0%}" for level in LEVELS)
    head = [f"{level:.0%}, K = {k}" for k in SHARDS for level in LEVELS]
    lines = [
        f"{n} replicas; three standard deviations of the counts allow {allowed}.",
        "",
        "| parameter | " + " | ".join(head) + " |",
        "|---" * (1 + len(head)) + "|",
    ]
    for name in replicas[0][str(SHARDS[0])]:
        cells = []
        for k in SHARDS:
            rank = np.array([replica[str(k)][name] for replica in replicas])
            for level in LEVELS:
                share = np.mean(np.abs(rank - 0.5) < 0.5 * level)
                cells.append(f"{share:.2f}" + " (!)" * bool(abs(share - level) > scatter[level]))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write_batch_or_page(ranks, page, *sys.argv[1:])

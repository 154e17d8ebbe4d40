"""Sample the posterior of one shard; once more, and more carefully, where its chains do not agree."""

from functools import partial

import script_support
from shard_support import posterior_of, seed_of

from homodyne_lib.cmc import sample_shard
from homodyne_lib.results import MIN_ESS, chain_diagnostics
from homodyne_lib.shard_files import write_failure, write_shard

# Times the adaptation, and shares of the rejected steps: plainly; where the law may have corners and a mass matrix is
# learnt, or in a second attempt; for both.
WARMUP, REJECTED = (1, 3, 5), (1.0, 0.3, 0.15)


def sample(path_to_output, open_posterior, *, label, seed, cmc, threads=1, progress):
    """Write the draws of a shard with a report of its chains, or the sentence that says why there are none."""
    try:
        posterior = open_posterior()
        progress(f"{label}: {posterior.problem.n_points} pairs, {len(posterior.names)} numbers")
        learn = not posterior.determined
        once = partial(attempt, posterior, seed=seed, cmc=cmc, threads=threads, progress=progress)
        attempts = [once(1, learn)]
        # Fewer draws than are wanted of effective ones cannot pass, however they are made.
        if not attempts[0][1]["converged"] and cmc["chains"] * cmc["draws"] > MIN_ESS:
            progress(f"{'; '.join(attempts[0][1]['reasons'])}; once more with smaller steps and a longer adaptation")
            learn = learn or attempts[0][1]["divergences"] > 0
            attempts.append(once(2, learn))
    except ValueError as error:
        if not script_support.is_told(error):
            raise
        progress(f"Warning: {label}: {error}")
        write_failure(path_to_output, str(error))
        return
    write_shard(path_to_output, *min(attempts, key=lambda attempt: attempt[1]["max_r_hat"]))


def attempt(posterior, number, learn, *, seed, cmc, threads, progress):
    """Draws, and the report of their chains."""
    care = number - 1 + learn
    n_warmup = cmc["warmup"] * WARMUP[care]
    draws = sample_shard(
        posterior,
        seed=seed_of(seed, number),
        n_warmup=n_warmup,
        n_draws=cmc["draws"],
        n_chains=cmc["chains"],
        target_acceptance=1 - (1 - cmc["target_acceptance"]) * REJECTED[care],
        adapt_mass=learn,
        n_processes=threads,
        progress=progress,
    )
    by_name = posterior.coordinates.natural_draws(draws.x, posterior.problem.scaling.names)
    return draws, {"attempts": number, "n_warmup": n_warmup, "jumps": learn, **chain_diagnostics(by_name, draws.stats)}


script_support.run(
    globals().get("snakemake"),
    lambda job, log: sample(
        job.output[0],
        lambda: posterior_of(job),
        label=f"shard {job.wildcards.shard} of {job.wildcards.n_shards}",
        seed=seed_of(job.wildcards.dataset, job.wildcards.shard, job.params.seed),
        cmc=job.params.settings,
        threads=job.threads,
        progress=log,
    ),
)

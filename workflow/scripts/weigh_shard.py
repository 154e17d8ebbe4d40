"""Give what one shard adds to the log density of all data at the draws that the shards' consensus proposes."""

import script_support

from job_log import WARNING
from shard_support import outcomes, posterior_of

from homodyne_lib.sampling.shard_files import write_failure, write_terms
from homodyne_lib.steps.combined import usable_shards
from homodyne_lib.steps.sampled import seed_of, weighed


def weigh(paths_to_shards, path_to_output, open_posterior, *, shard, seed, cmc, progress):
    """Write the terms of a shard; one that could not be sampled is left out of the posterior, and has none."""
    used, _ = usable_shards(outcomes(paths_to_shards), cmc["min_good_shards"])
    if shard not in used:
        progress(f"{WARNING}shard {shard} is left out.")
        write_failure(path_to_output, "Left out, as its chains cannot be used.")
        return
    shards = [draws for draws, _ in used.values()]
    n_draws = cmc["chains"] * cmc["draws"]
    write_terms(path_to_output, *weighed(open_posterior(), shards, n_draws, seed=seed, progress=progress))


script_support.run(
    globals().get("snakemake"),
    lambda job, log: weigh(
        list(job.input.shards),
        job.output[0],
        lambda: posterior_of(job),
        shard=int(job.wildcards.shard),
        seed=seed_of(job.wildcards.dataset, "proposals", job.params.seed),
        cmc=job.params.settings,
        progress=log,
    ),
)

"""Sample the posterior of one shard; once more, and more carefully, where its chains do not agree."""

import script_support

from job_log import RESULT, WARNING
from shard_support import posterior_of, sampled_as_configured

from homodyne_lib.sampling.shard_files import write_failure, write_shard
from homodyne_lib.steps.sampled import seed_of


def sample(path_to_output, open_posterior, *, label, seed, cmc, threads=1, progress):
    """Write the draws of a shard with a report of its chains, or the sentence that says why there are none."""
    try:
        draws, report = sampled_as_configured(open_posterior(), seed=seed, cmc=cmc, threads=threads, progress=progress)
    except ValueError as error:
        if not script_support.is_told(error):
            raise
        progress(f"{WARNING}{label}: {error}")
        write_failure(path_to_output, str(error))
        return
    write_shard(path_to_output, draws, report)
    found = "" if report["converged"] else ", not converged"
    progress(f"{RESULT}R̂ = {report['max_r_hat']:.4f}{found}")


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

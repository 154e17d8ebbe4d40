"""Sample the posterior of one shard, started and scaled by the fit."""

import hashlib

import script_support
from scaling_support import configured_scaling

from homodyne_lib.cmc import sample_shard
from homodyne_lib.data import read_rows
from homodyne_lib.draws import write_shard
from homodyne_lib.files import read_json
from homodyne_lib.posterior import ShardPosterior
from homodyne_lib.problem import make_problem


def shard_seed(dataset, shard, seed):
    """A seed of its own for every shard of every dataset, the same in every run."""
    return int.from_bytes(hashlib.sha256(f"{dataset}/{shard}/{seed}".encode()).digest()[:4], "little")


def sample(
    path_to_c2, path_to_scaling, path_to_nlsq, path_to_output, *, shard, n_shards, seed, cmc, scaling, nlsq, progress
):
    """Write the draws of shard ``shard`` of ``n_shards``."""
    fit, quantiles = read_json(path_to_nlsq), read_json(path_to_scaling)
    band = read_rows(path_to_c2, slice(shard, -1, n_shards))
    per_angle = configured_scaling(scaling, band.phi, quantiles)
    problem = make_problem(band, per_angle, fit["analysis_mode"], fit["shear_convention"])
    posterior = ShardPosterior(problem, n_shards, nlsq["bounds"], nlsq["fixed"])
    progress(f"shard {shard + 1} of {n_shards}: {problem.n_points} pairs, {len(posterior.names)} numbers")
    draws = sample_shard(
        posterior,
        [fit["parameters"][name]["value"] for name in problem.names],
        seed=seed,
        n_warmup=cmc["warmup"],
        n_draws=cmc["draws"],
        n_chains=cmc["chains"],
        target_acceptance=cmc["target_acceptance"],
        progress=progress,
    )
    write_shard(path_to_output, draws, posterior.names)


script_support.run(
    globals().get("snakemake"),
    lambda job, log: sample(
        job.input.c2,
        job.input.scaling,
        job.input.nlsq,
        job.output[0],
        shard=int(job.wildcards.shard),
        n_shards=int(job.wildcards.n_shards),
        seed=shard_seed(job.wildcards.dataset, job.wildcards.shard, job.params.seed),
        cmc=job.params.settings,
        scaling=job.params.scaling,
        nlsq=job.params.nlsq,
        progress=log,
    ),
)

"""Make the posterior of all data from its shards, and put posterior and fit side by side."""

import script_support

from pathlib import Path

from job_log import RESULT
from shard_support import outcomes, write_posterior

from homodyne_lib.results.fits import Fit
from homodyne_lib.sampling.shard_files import read_terms
from homodyne_lib.steps.sampled import seed_of


def combine(paths_to_shards, paths_to_terms, path_to_nlsq, path_to_calibration, folder, *, progress, **settings):
    """Write posterior.nc, cmc.json and parameters.csv; settings are those of :func:`shard_support.write_posterior`."""
    report = write_posterior(
        outcomes(paths_to_shards),
        lambda used: read_terms([paths_to_terms[number] for number in used]),
        Fit.read(path_to_nlsq),
        path_to_calibration,
        folder,
        progress=progress,
        **settings,
    )
    progress(f"{RESULT}{report.n_converged} of {report.n_shards} shards converged")


script_support.run(
    globals().get("snakemake"),
    lambda job, log: combine(
        list(job.input.shards),
        list(job.input.terms),
        job.input.nlsq,
        job.input.get("calibration"),
        Path(job.output.posterior).parent,
        seed=seed_of(job.wildcards.dataset, "resampling", job.params.seed),
        cmc=job.params.settings,
        nlsq=job.params.nlsq,
        progress=log,
    ),
)

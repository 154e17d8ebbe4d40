"""Sample the posterior of all data in one job, and put it beside the fit."""

import script_support

from pathlib import Path

from job_log import RESULT
from shard_support import sampled_as_configured, write_posterior

from homodyne_lib.io.canonical_file import read_correlations
from homodyne_lib.likelihood.compression import Compressed
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.scalings import QuantileScaling
from homodyne_lib.steps.sampled import seed_of, shard_posterior


def sample(paths, folder, *, seeds, cmc, fourier_order, nlsq, threads=1, progress):
    """Write posterior.nc, cmc.json and parameters.csv.

    ``paths`` holds ``data`` (nodes), ``scaling``, ``nlsq`` and, where there are any, ``c2`` and ``calibration``; ``seeds``
    are those of chains and of what follows.
    """
    fit = Fit.read(paths["nlsq"])
    posterior = shard_posterior(
        Compressed.read(paths["data"]),
        fit,
        QuantileScaling.read(paths["scaling"]),
        1,
        record=read_correlations(paths["c2"]) if fit.metric is not None else None,
        fourier_order=fourier_order,
        threads=threads,
        **nlsq,
    )
    draws, report = sampled_as_configured(posterior, seed=seeds[0], cmc=cmc, threads=threads, progress=progress)
    write_posterior(
        [(draws, report)], None, fit, paths["calibration"], folder, seed=seeds[1], cmc=cmc, nlsq=nlsq, progress=progress
    )
    progress(f"{RESULT}R̂ = {report['max_r_hat']:.4f}{'' if report['converged'] else ', not converged'}")


script_support.run(
    globals().get("snakemake"),
    lambda job, log: sample(
        {name: job.input.get(name) or None for name in ("data", "c2", "scaling", "nlsq", "calibration")},
        Path(job.output.posterior).parent,
        # The chains of all data have the seed of a first shard.
        seeds=[seed_of(job.wildcards.dataset, about, job.params.seed) for about in (0, "resampling")],
        cmc=job.params.settings,
        fourier_order=job.params.scaling["fourier_order"],
        nlsq=job.params.nlsq,
        threads=job.threads,
        progress=log,
    ),
)

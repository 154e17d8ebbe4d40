"""What jobs that sample share: the posterior of a shard, its draws as configured, what became of each, and the result."""

from homodyne_lib.io.canonical_file import open_correlations
from homodyne_lib.results.calibrations import Calibration
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.scalings import QuantileScaling
from homodyne_lib.sampling.shard_files import read_shard
from homodyne_lib.steps.combined import combined
from homodyne_lib.steps.sampled import sampled, shard_posterior


def read_posterior(path_to_c2, path_to_scaling, path_to_nlsq, shard, n_shards, scaling, nlsq):
    """Posterior of shard ``shard`` of ``n_shards``: its rows of c2, anchored at the fit of all."""
    with open_correlations(path_to_c2) as whole:
        part = whole.band(slice(shard, -1, n_shards))
    return shard_posterior(
        part,
        Fit.read(path_to_nlsq),
        QuantileScaling.read(path_to_scaling),
        n_shards,
        fourier_order=scaling["fourier_order"],
        **nlsq,
    )


def posterior_of(job):
    """Posterior of the shard that a job is for."""
    return read_posterior(
        job.input.c2,
        job.input.scaling,
        job.input.nlsq,
        int(job.wildcards.shard),
        int(job.wildcards.n_shards),
        job.params.scaling,
        job.params.nlsq,
    )


def sampled_as_configured(posterior, *, seed, cmc, threads, progress):
    """Draws, and the report of their chains."""
    progress(f"{posterior.problem.n_points} pairs, {len(posterior.names)} numbers")
    how = {name: cmc[name] for name in ("chains", "warmup", "draws", "target_acceptance")}
    return sampled(posterior, seed=seed, processes=threads, progress=progress, **how)


def outcomes(paths):
    """Draws and report of every shard, or the sentence that stands in their place."""

    def outcome(path):
        try:
            return read_shard(path)
        except ValueError as error:
            return str(error)

    return [outcome(path) for path in paths]


def write_posterior(found, weights, fit, path_to_calibration, folder, *, seed, cmc, nlsq, progress):
    """Combine outcomes of shards, write posterior.nc, cmc.json and parameters.csv, and give the report of the sampler.

    Without a calibration errors are those of independent noise.
    """
    posterior = combined(
        found,
        weights,
        fit,
        Calibration.read(path_to_calibration) if path_to_calibration else None,
        seed=seed,
        min_good_shards=cmc["min_good_shards"],
        progress=progress,
        **nlsq,
    )
    posterior.write(folder)
    return posterior.report

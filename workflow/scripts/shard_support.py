"""What the jobs of shards share: the posterior of a shard as configured, and what became of each shard."""

from homodyne_lib.io.canonical_file import open_correlations, read_correlations
from homodyne_lib.likelihood.compression import Compressed
from homodyne_lib.results.fits import Fit
from homodyne_lib.results.scalings import QuantileScaling
from homodyne_lib.sampling.shard_files import read_shard
from homodyne_lib.steps.sampled import shard_posterior


def read_posterior(
    path_to_data, path_to_scaling, path_to_nlsq, shard, n_shards, scaling, nlsq, path_to_c2=None, threads=1
):
    """Posterior of shard ``shard`` of ``n_shards``: its rows of c2, or all nodes, anchored at the fit of all."""
    fit, record = Fit.read(path_to_nlsq), None
    if n_shards > 1:
        with open_correlations(path_to_data) as whole:
            part = whole.band(slice(shard, -1, n_shards))
    else:
        part = Compressed.read(path_to_data)
        record = read_correlations(path_to_c2) if fit.metric is not None else None
    return shard_posterior(
        part,
        fit,
        QuantileScaling.read(path_to_scaling),
        n_shards,
        record=record,
        fourier_order=scaling["fourier_order"],
        threads=threads,
        **nlsq,
    )


def posterior_of(job):
    """Posterior of the shard that a job is for."""
    return read_posterior(
        job.input.data,
        job.input.scaling,
        job.input.nlsq,
        int(job.wildcards.shard),
        int(job.wildcards.n_shards),
        job.params.scaling,
        job.params.nlsq,
        job.input.get("c2"),
        job.threads,
    )


def outcomes(paths):
    """Draws and report of every shard, or the sentence that stands in their place."""

    def outcome(path):
        try:
            return read_shard(path)
        except ValueError as error:
            return str(error)

    return [outcome(path) for path in paths]

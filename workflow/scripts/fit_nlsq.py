"""Fit the model to one record; where it has a flow, also fit it without and compare."""

import script_support

from homodyne_lib.io.correlations import open_correlations
from homodyne_lib.likelihood.compression import Compressed
from homodyne_lib.results.fits import QuantileScaling
from homodyne_lib.steps.fitted import fitted


def fit(path_to_c2, path_to_nodes, path_to_scaling, path_to_output, **settings):
    """Write nlsq.json; the settings are those of :func:`homodyne_lib.steps.fitted.fitted`."""
    data, quantiles = Compressed.read(path_to_nodes), QuantileScaling.read(path_to_scaling)
    with open_correlations(path_to_c2) as record:
        fitted(record, data, quantiles, **settings).write(path_to_output)


script_support.run(
    globals().get("snakemake"),
    lambda job, log: fit(
        job.input.c2,
        job.input.nodes,
        job.input.scaling,
        job.output[0],
        analysis_mode=job.params.row["analysis_mode"],
        shear_convention=job.params.shear_convention,
        seed=job.params.seed,
        progress=log,
        **job.params.scaling,
        **job.params.settings,
    ),
)

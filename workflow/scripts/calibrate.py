"""Give the fit of one record the errors that its residuals call for."""

import script_support

from homodyne_lib.io.correlations import read_correlations
from homodyne_lib.likelihood.compression import Compressed
from homodyne_lib.results.fits import Fit, QuantileScaling
from homodyne_lib.steps.calibrated import calibrated


def calibrate(path_to_c2, path_to_nodes, path_to_scaling, path_to_nlsq, path_to_output, **settings):
    """Write calibration.json; the settings are those of :func:`homodyne_lib.steps.calibrated.calibrated`."""
    fit, quantiles = Fit.read(path_to_nlsq), QuantileScaling.read(path_to_scaling)
    record, data = read_correlations(path_to_c2), Compressed.read(path_to_nodes)
    calibrated(fit, record, data, quantiles, **settings).write(path_to_output)


script_support.run(
    globals().get("snakemake"),
    lambda job, log: calibrate(
        job.input.c2,
        job.input.nodes,
        job.input.scaling,
        job.input.nlsq,
        job.output[0],
        fourier_order=job.params.scaling["fourier_order"],
        fixed=job.params.fixed,
        progress=log,
    ),
)

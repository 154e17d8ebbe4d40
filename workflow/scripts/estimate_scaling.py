"""Estimate contrast and offset of each angle from quantiles of c2 at short and long lags."""

import script_support

from homodyne_lib.io.canonical_file import read_correlations
from homodyne_lib.steps.quantiles import quantile_scaling


def estimate_scaling(path_to_c2, path_to_output, progress):
    """Write scaling.json: quantile contrast and offset by angle, and warnings about them."""
    estimate = quantile_scaling(read_correlations(path_to_c2))
    for warning in estimate.warnings:
        progress(f"Note: {warning}")
    estimate.write(path_to_output)


script_support.run(globals().get("snakemake"), lambda job, log: estimate_scaling(job.input[0], job.output[0], log))

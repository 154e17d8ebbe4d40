"""Estimate contrast and offset of each angle from quantiles of c2 at short and long lags."""

import script_support

from homodyne_lib.data import read_correlations
from homodyne_lib.files import write_json
from homodyne_lib.scaling_utils import estimate_scaling_from_matrices


def estimate_scaling(path_to_c2, path_to_output, progress):
    """Write scaling.json: quantile contrast and offset by angle, and warnings about them."""
    record = read_correlations(path_to_c2)
    contrast, offset, warnings = estimate_scaling_from_matrices(record.c2, record.phi)
    for warning in warnings:
        progress(f"Warning: {warning}")
    write_json(path_to_output, {"phi": record.phi, "contrast": contrast, "offset": offset, "warnings": list(warnings)})


script_support.run(globals().get("snakemake"), lambda job, log: estimate_scaling(job.input[0], job.output[0], log))

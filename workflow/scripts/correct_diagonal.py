"""Replace the diagonal of c2; the raw one stays beside it."""

from dataclasses import replace

import script_support

from homodyne_lib.data import read_correlations, write_correlations
from homodyne_lib.diagonal_correction import apply_diagonal_correction_batch


def correct_diagonal(path_to_input, path_to_output, method):
    """Correct every angle with one method."""
    record = read_correlations(path_to_input)
    corrected = apply_diagonal_correction_batch(record.c2, method=method, backend="numpy")
    write_correlations(path_to_output, replace(record, c2=corrected))


script_support.run(
    globals().get("snakemake"), lambda job, log: correct_diagonal(job.input[0], job.output[0], job.params.method)
)

"""Replace the diagonal of c2; the raw one stays beside it."""

import script_support

from homodyne_lib.io.canonical_file import read_correlations, write_correlations
from homodyne_lib.steps.diagonal import with_diagonal


def correct_diagonal(path_to_input, path_to_output, method):
    """Correct every angle with one method."""
    write_correlations(path_to_output, with_diagonal(read_correlations(path_to_input), method))


script_support.run(
    globals().get("snakemake"), lambda job, log: correct_diagonal(job.input[0], job.output[0], job.params.method)
)

"""Compress one record to the nodes that stand for all its pairs of frames."""

import script_support

from homodyne_lib.io.correlations import open_correlations
from homodyne_lib.likelihood.compression import compress


def compress_file(path_to_c2, path_to_output, progress):
    """Write nodes.npz, in one pass over c2."""
    with open_correlations(path_to_c2) as record:
        data = compress(record)
    progress(f"{int(data.y_moments[:, 0].sum())} pairs of frames on {data.y.size} nodes")
    data.write(path_to_output)


script_support.run(globals().get("snakemake"), lambda job, log: compress_file(job.input[0], job.output[0], log))

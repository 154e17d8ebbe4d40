"""Compress one record to the nodes that stand for all its pairs of frames."""

import script_support

import numpy as np

from homodyne_lib.io.canonical_file import open_correlations
from homodyne_lib.likelihood.compression import compress


def compress_file(path_to_c2, path_to_output, progress):
    """Write nodes.npz, in one pass over c2."""
    with open_correlations(path_to_c2) as record:
        data = compress(record)
    n_phi, n_pairs, n_nodes = len(data.phi), int(data.y_moments[0, 0]), np.count_nonzero(data.weight)
    progress(f"{n_nodes} nodes for {n_pairs} pairs of frames, at each of {n_phi} bins")
    data.write(path_to_output)


script_support.run(globals().get("snakemake"), lambda job, log: compress_file(job.input[0], job.output[0], log))

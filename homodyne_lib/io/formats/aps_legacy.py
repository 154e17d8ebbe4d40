"""APS beamline 8-ID before its upgrade: lists of bins, and one half matrix a bin, the upper triangle with its diagonal."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from homodyne_lib.io.correlations import Correlations
from homodyne_lib.io.formats.catalogue import Catalogue, Layout, StoredMatrix, numbered_names, stated_frame_time
from homodyne_lib.io.formats.pixel_map import count_pixels, read_pixel_labels
from homodyne_lib.io.formats.simulated import write_matrices
from homodyne_lib.io.hdf5 import File, InputError, holds, read_numbers
from homodyne_lib.io.hdf5_writing import GZIP, create_hdf5, write_dataset

__all__ = ["APS_LEGACY", "LAYOUT", "write_aps_legacy"]

APS_LEGACY = {
    "q": "xpcs/dqlist",  # one a bin [1/Å]
    "phi": "xpcs/dphilist",  # one a bin [deg]
    "bins": "xpcs/qphi_bin_to_process",  # 1-based bins of the matrices, where not all were processed
    # Bin of each pixel. The beam centre in these files belongs to another position of the detector's stages, so that q
    # of the pixels is not safe to compute, and the pixels are counted only.
    "labels": "xpcs/dqmap",
    "mask": "xpcs/mask",  # 0 where a pixel is not used
    "matrices": "exchange/C2T_all",  # g2_00001 ...: the number is the bin, or its place in the list of bins
    "frame_time": "measurement/instrument/detector/exposure_period",  # [s]
    "stride": "xpcs/stride_frames",
    "average": "xpcs/avg_frames",
}


def _catalogue(file: File) -> Catalogue:
    q, phi = read_numbers(file, APS_LEGACY["q"]), read_numbers(file, APS_LEGACY["phi"])
    if q.size != phi.size:
        raise InputError(f"{APS_LEGACY['q']} lists {q.size} bins, {APS_LEGACY['phi']} lists {phi.size}; repair them.")
    numbers = {}
    for number, name in numbered_names(file, APS_LEGACY["matrices"], "g2_", "g2_00001").items():
        path = f"{APS_LEGACY['matrices']}/{name}"
        if not 1 <= number <= q.size:
            raise InputError(f"{path} is not named after one of the {q.size} bins listed, as g2_00001 is; rename it.")
        numbers[number] = StoredMatrix(file, path)
    bins = _bins(file, np.array([*numbers], dtype=np.int64), q.size) - 1
    labels = read_pixel_labels(file, APS_LEGACY["labels"], APS_LEGACY["mask"])
    pixels = None if labels is None else count_pixels(labels, q.size)[bins]
    if pixels is not None and not pixels.all():
        pixels = None  # the map belongs to other bins
    frame_time = stated_frame_time(file, APS_LEGACY)
    return Catalogue([*numbers.values()], q[bins], phi[bins], frame_time, pixels=pixels)


def _bins(file: File, numbers: np.ndarray, n_bins: int) -> np.ndarray:
    """1-based bins of matrices from the numbers in their names.

    xpcs-eigen names matrices after their bins; boost_corr, until February 2025, after their places in the list of the
    bins to process.
    """
    if not holds(file, APS_LEGACY["bins"]) or numbers.size == 0:
        return numbers
    listed = read_numbers(file, APS_LEGACY["bins"])
    wrong = listed[~((listed >= 1) & (listed <= n_bins) & (listed == np.floor(listed)))]
    if wrong.size or np.unique(listed).size < listed.size:
        fault = f"bin {wrong[0]:g}, but there are bins 1 to {n_bins}" if wrong.size else "a bin twice"
        raise InputError(f"{APS_LEGACY['bins']} lists {fault}; process the data again.")
    ordered, ordinals = np.sort(listed), np.arange(1, listed.size + 1)
    are_bins, are_ordinals = (np.array_equal(np.sort(numbers), expected) for expected in (ordered, ordinals))
    # A list 1, 2, ... means the same either way; one such as 3, 1, 2 does not.
    if are_bins == are_ordinals and not (are_bins and np.array_equal(listed, ordinals)):
        raise InputError(
            f"{APS_LEGACY['matrices']} holds {numbers.size} matrices, g2_{numbers.min():05d} to "
            f"g2_{numbers.max():05d}, and {APS_LEGACY['bins']} lists {listed.size} bins from {ordered[0]:g} to "
            f"{ordered[-1]:g}: it is unknown which matrix is of which bin. Process the data again."
        )
    return numbers if are_bins else listed.astype(np.int64)[numbers - 1]


LAYOUT = Layout("aps-legacy", tuple(APS_LEGACY[key] for key in ("q", "phi", "matrices")), _catalogue)


def write_aps_legacy(
    path: str | os.PathLike, correlations: Correlations, *, attributes: Mapping[str, object] | None = None
) -> None:
    """Write a file of the layout "aps-legacy".

    Parameters
    ----------
    path : path-like
        File to write or replace.
    correlations : Correlations
        Record to write; the diagonal in the file is the raw one.
    attributes : mapping, optional
        Truth of a simulation, kept as attributes (numbers, strings, lists of one kind) of the group `TRUTH`.

    Raises
    ------
    InputError
        When frames are missing from the record, or it holds repeats; the layout has no place for their numbers.
    """
    if correlations.bins.n_repeats > 1:
        raise InputError("the layout aps-legacy has no place for repeats; write them with write_correlations.")
    with create_hdf5(path) as file:
        write_dataset(file, APS_LEGACY["q"], correlations.q[None, :], "1/Å")
        write_dataset(file, APS_LEGACY["phi"], correlations.phi[None, :], "deg")
        write_matrices(file, APS_LEGACY, "g2", (1, 1), correlations, attributes, GZIP)

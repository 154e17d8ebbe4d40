"""How many shards, and which rows each holds. Needs neither data nor JAX: workflows plan with it."""

from __future__ import annotations

import numpy as np

__all__ = ["MAX_PAIRS", "MAX_SHARDS", "chain_processes", "shard_count", "shard_rows"]

MAX_PAIRS = 100_000_000_000
"""Of frames, of a record; they are 400 GB of c2 in single precision."""

MAX_SHARDS = 1_000
"""Each shard is a job."""


def shard_count(n_phi: int, n_frames: int, shards: int | str = "auto", *, in_metric: bool = False) -> int:
    """Number of shards for a data set.

    Parameters
    ----------
    n_phi, n_frames : int
    shards : int or "auto"
        "auto": one, as the nodes of any record fit into memory.
    in_metric : bool
        Whether pairs of frames weigh by their covariance, which cannot be divided.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If more than one is asked for in a metric, or more than the rows allow (each needs at least two), or the data have
        more than `MAX_PAIRS`.
    """
    if in_metric and shards not in ("auto", 1):
        raise ValueError(
            f"{shards} shards are asked for, but in the metric of speckle noise all pairs of frames belong together; choose "
            "shards auto, or the estimator least_squares."
        )
    if n_phi * n_frames * (n_frames - 1) // 2 > MAX_PAIRS:
        raise ValueError(
            f"{n_phi} angles × {n_frames} frames hold more than {MAX_PAIRS:.0e} pairs of frames, too many to be analysed; "
            "choose fewer frames or angles."
        )
    if shards == "auto":
        return 1
    if not 1 <= shards <= n_frames // 2:
        raise ValueError(f"shards = {shards} does not fit {n_frames} frames; choose 1 to {n_frames // 2}, or auto.")
    return int(shards)


# A further process needs some five seconds to start and to load compiled programs. The draws of so many frames, over all
# angles, take longer: their number of nodes grows with that of frames, if more slowly. Without a flow, gradients cost less.
_FRAMES_PER_PROCESS = {True: 1_500, False: 6_000}


def chain_processes(n_phi: int, n_frames: int, *, flow: bool, n_chains: int) -> int:
    """Number of processes worth starting for the chains of a shard.

    Parameters
    ----------
    n_phi, n_frames : int
    flow : bool
        Whether the analysis has one.
    n_chains : int

    Returns
    -------
    int
    """
    return max(1, min(n_chains, n_phi * n_frames // _FRAMES_PER_PROCESS[flow]))


def shard_rows(n_frames: int, shard: int, n_shards: int) -> np.ndarray:
    """Rows of shard ``shard`` (from 0): every n_shards-th frame that has a later partner."""
    return np.arange(shard, n_frames - 1, n_shards)

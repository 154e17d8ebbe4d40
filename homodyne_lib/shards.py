"""How many shards, and which rows each holds. Needs neither data nor JAX: workflows plan with it."""

from __future__ import annotations

import numpy as np

__all__ = ["PIXELS_PER_SHARD", "chain_processes", "shard_count", "shard_rows"]

PIXELS_PER_SHARD = 10_000_000
"""Up to this many pairs one exact posterior is cheaper than several and their combination."""


def shard_count(n_phi: int, n_frames: int, wanted: int | str = "auto") -> int:
    """Number of shards for a data set.

    Parameters
    ----------
    n_phi, n_frames : int
    wanted : int or "auto"
        "auto": one shard for each ten million pairs above the diagonal.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If more shards are wanted than the rows allow (each needs at least two).
    """
    if wanted == "auto":
        return max(1, -(-n_phi * n_frames * (n_frames - 1) // 2 // PIXELS_PER_SHARD))
    if not 1 <= wanted <= n_frames // 2:
        raise ValueError(f"cmc.shards = {wanted} does not fit {n_frames} frames; choose 1 to {n_frames // 2}, or auto.")
    return int(wanted)


# A further process starts and compiles for some ten seconds, as long as draws of so many pairs take; with a flow, which may
# not be seen and then takes more and longer moves, of so much fewer.
_PIXELS_PER_PROCESS = 300_000
_FLOW_TAKES = 15


def chain_processes(n_phi: int, n_frames: int, n_shards: int, *, flow: bool, n_chains: int) -> int:
    """Number of processes worth starting for the chains of a shard.

    Parameters
    ----------
    n_phi, n_frames, n_shards : int
    flow : bool
        Whether the analysis has one.
    n_chains : int

    Returns
    -------
    int
    """
    work = n_phi * n_frames * (n_frames - 1) // 2 // n_shards * (_FLOW_TAKES if flow else 1)
    return max(1, min(n_chains, work // _PIXELS_PER_PROCESS))


def shard_rows(n_frames: int, shard: int, n_shards: int) -> np.ndarray:
    """Rows of shard ``shard`` (from 0): every n_shards-th frame that has a later partner."""
    return np.arange(shard, n_frames - 1, n_shards)

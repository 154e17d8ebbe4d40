"""How many shards, and which rows each holds. Needs neither data nor JAX: workflows plan with it."""

from __future__ import annotations

import numpy as np

__all__ = ["PIXELS_PER_SHARD", "shard_count", "shard_rows"]

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


def shard_rows(n_frames: int, shard: int, n_shards: int) -> np.ndarray:
    """Rows of shard ``shard`` (from 0): every n_shards-th frame that has a later partner."""
    return np.arange(shard, n_frames - 1, n_shards)

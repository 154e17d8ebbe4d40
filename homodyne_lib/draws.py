"""Draws in files: one NumPy archive a shard, one ArviZ file for the combined posterior."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import xarray
from arviz_base import from_dict

from homodyne_lib.cmc import ShardDraws
from homodyne_lib.files import replacing

__all__ = ["read_posterior", "read_shard", "write_posterior", "write_shard"]


def write_shard(path: str | os.PathLike, shard: ShardDraws, names) -> None:
    """Write the draws of a shard: coordinates, sampler statistics, names.

    Parameters
    ----------
    path : path-like
    shard : ShardDraws
    names : sequence of str
        Of the last axis of the draws.
    """
    with replacing(path) as temporary:
        np.savez(temporary, x=shard.x, names=np.array(names), time=shard.time, **shard.stats)


def read_shard(path: str | os.PathLike) -> tuple[ShardDraws, list[str]]:
    """Read the draws of a shard and the names of their last axis."""
    with np.load(path, allow_pickle=False) as archive:
        stats = {name: archive[name] for name in archive.files if name not in ("x", "names", "time")}
        return ShardDraws(archive["x"], stats, archive["time"]), archive["names"].tolist()


def write_posterior(path: str | os.PathLike, draws: Mapping[str, np.ndarray], shards, independent=None) -> None:
    """Write combined draws and the sampler statistics of each shard for ArviZ.

    Parameters
    ----------
    path : path-like
    draws : mapping of str to ndarray, shape (n_chains, n_draws)
    shards : sequence of ShardDraws
        Their statistics become groups ``shard_0``, ``shard_1``, ...
    independent : mapping of str to ndarray, optional
        Draws as sampled, where ``draws`` were spread to calibrated errors; they become the group ``independent``.
    """
    groups = {"posterior": dict(draws)}
    if independent is not None:
        groups["independent"] = dict(independent)
    tree = from_dict(groups)
    for number, shard in enumerate(shards):
        dims = ("chain", "draw")
        tree[f"shard_{number}"] = xarray.Dataset({name: (dims, value) for name, value in shard.stats.items()})
    for node in tree.subtree:
        # A time stamp would make equal draws unequal files.
        node.attrs.pop("created_at", None)
    with replacing(path) as temporary:
        tree.to_netcdf(temporary, engine="h5netcdf")


def read_posterior(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read combined draws by name, shape (n_chains, n_draws) each."""
    with xarray.open_datatree(path, engine="h5netcdf") as tree:
        return {str(name): np.asarray(value) for name, value in tree["posterior"].data_vars.items()}

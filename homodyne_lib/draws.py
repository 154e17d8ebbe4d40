"""The file of a posterior: draws by name and the statistics of the sampler, for ArviZ."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import xarray
from arviz_base import from_dict

from homodyne_lib.files import replacing

__all__ = ["read_posterior", "write_posterior"]


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

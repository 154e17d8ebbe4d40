"""Draws of a posterior: their mean and spread, and their file, with statistics of the sampler under the names of ArviZ."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from homodyne_lib.io.files import replacing
from homodyne_lib.io.hdf5 import Group, open_hdf5
from homodyne_lib.model.parameters import unit_of

__all__ = ["mean_and_sd", "read_draws", "write_draws"]

_Draws = dict[str, np.ndarray]
_OF_CHAINS = (
    "Statistics of the draws as sampled, before their spread was calibrated. A draw is several moves of NUTS: n_steps, "
    "tree_depth, acceptance_rate and diverging are those of the last. lp is the log density with contrast and offset "
    "integrated out, up to a constant."
)
_OF_WEIGHTED_DRAWS = (
    "Draws of several shards are independent proposals, weighted by the density of all data: no chains. lp is their log "
    "density with contrast and offset integrated out, up to a constant, before their spread was calibrated; they have no "
    "momentum, so energy is -lp. Chains were run in each shard; their statistics are in the groups below shards."
)

_ROUNDING = 1e-12  # of draws of what was held, as a share of their mean


def mean_and_sd(draws: ArrayLike) -> tuple[float, float]:
    """Mean and standard deviation of draws.

    Parameters
    ----------
    draws : array_like
        Those of a parameter that was held, or of a rate of such parameters, are alike but for rounding.

    Returns
    -------
    mean, sd : float
        The first draw and zero where all are alike.
    """
    sample = np.ravel(draws)
    if np.ptp(sample) <= _ROUNDING * abs(sample[0]):
        return float(sample[0]), 0.0
    return float(sample.mean()), float(sample.std(ddof=1))


def write_draws(
    path: str | os.PathLike[str],
    draws: Mapping[str, np.ndarray],
    statistics: Sequence[Mapping[str, np.ndarray]],
    lp: np.ndarray | None = None,
    independent: Mapping[str, np.ndarray] | None = None,
    attributes: Mapping[str, str] | None = None,
) -> None:
    """Write draws and the statistics of the sampler for ArviZ.

    Parameters
    ----------
    path : path-like
    draws : mapping of str to ndarray, shape (n_chains, n_draws)
        They become the group ``posterior``.
    statistics : sequence of mapping of str to ndarray, shape (n_chains, n_draws)
        Of the sampler in each shard. Those of a single one become the group ``sample_stats``; of several ``shards/0``,
        ``shards/1``, ...
    lp : ndarray, shape (n_chains, n_draws), optional
        Log density of draws that several shards make together.
    independent : mapping of str to ndarray, optional
        Draws as sampled, where ``draws`` were spread to calibrated errors; they become the group ``independent``.
    attributes : mapping of str to str, optional
        Said of the group ``posterior``.

    Raises
    ------
    ValueError
        If the system refuses to write.
    """
    # ArviZ and xarray take a second to import, and most who import this module only read.
    from arviz_base import from_dict

    groups = {"posterior": dict(draws)}
    groups["sample_stats"] = dict(statistics[0]) if lp is None else {"lp": lp, "energy": -lp}
    if independent is not None:
        groups["independent"] = dict(independent)
    if lp is not None:
        # Below a group of their own, where ArviZ looks for nothing.
        groups |= {f"shards/{number}": dict(stats) for number, stats in enumerate(statistics)}
    # Named here, so that no settings of the user (arvizrc) name them.
    tree = from_dict(groups, sample_dims=["chain", "draw"], index_origin=0)
    for node in tree.subtree:
        # A time stamp would make equal draws unequal files.
        node.attrs.pop("created_at", None)
    for name, variable in tree["posterior"].data_vars.items():
        variable.attrs["units"] = unit_of(str(name))
    tree["posterior"].attrs |= dict(attributes or {})
    tree["sample_stats"].attrs["note"] = _OF_CHAINS if lp is None else _OF_WEIGHTED_DRAWS
    # In memory first: HDF5 crashes on a full disk.
    content = tree.to_netcdf(engine="h5netcdf")
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def read_draws(path: str | os.PathLike[str]) -> tuple[_Draws, _Draws | None, list[_Draws], np.ndarray | None]:
    """Read what :func:`write_draws` wrote.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    draws : dict of str to ndarray, shape (n_chains, n_draws)
    independent : dict of str to ndarray, or None
    statistics : list of dict of str to ndarray
    lp : ndarray, shape (n_chains, n_draws), or None
    """
    # xarray takes fifty times as long for a file of many small variables.
    with open_hdf5(path) as file:
        draws = _variables(file["posterior"])
        independent = _variables(file["independent"]) if "independent" in file else None
        own = _variables(file["sample_stats"])
        if "shards" not in file:
            return draws, independent, [own], None
        statistics = [_variables(file["shards"][name]) for name in sorted(file["shards"], key=int)]
        return draws, independent, statistics, own["lp"]


def _variables(group: Group) -> _Draws:
    """Variables of a group of netCDF, without its coordinates, which have one dimension."""
    values = {name: data[()] for name, data in group.items() if data.ndim == 2}
    # netCDF has no truth values; xarray stores them as numbers.
    return {name: data.astype(group[name].attrs.get("dtype", data.dtype)) for name, data in values.items()}

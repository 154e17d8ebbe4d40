"""What the job of a shard hands on: its draws, or why there are none, and its terms of the log density at proposals."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from homodyne_lib.files import replacing

__all__ = ["Proposals", "ShardDraws", "read_shard", "read_terms", "write_failure", "write_shard", "write_terms"]

_ARRAYS = ("x", "slope", "centre", "anchor", "time")
_TERMS = ("matrix", "right", "rest")


@dataclass(frozen=True, eq=False)
class ShardDraws:
    """Draws of one shard.

    Attributes
    ----------
    x : ndarray, shape (n_chains, n_draws, d)
        Unconstrained coordinates, log noise scale, scaling coefficients.
    slope : ndarray, shape (n_chains, n_draws, d)
        Slope of the log density of shard and anchor at each draw.
    centre : ndarray, shape (d,)
    anchor : ndarray, shape (d, d)
        Precision of the Gaussian factor about ``centre``.
    stats : dict of str to ndarray, shape (n_chains, n_draws)
        ``diverging``, ``energy``, ``n_steps``, ``acceptance_rate`` of the sampler, and ``confirmed``: whether the pass over
        the data accepted what it proposed.
    time : ndarray, shape (n_t,)
        Time axis of the coordinates [s].
    """

    x: np.ndarray
    slope: np.ndarray
    centre: np.ndarray
    anchor: np.ndarray
    stats: dict[str, np.ndarray]
    time: np.ndarray


class Proposals(NamedTuple):
    """Proposed coordinates.

    Attributes
    ----------
    x : ndarray, shape (n, n_free + 1)
    log_density : ndarray, shape (n,)
        Of the law they come from, up to a constant.
    """

    x: np.ndarray
    log_density: np.ndarray


def write_shard(path: str | os.PathLike, shard: ShardDraws, report: Mapping[str, Any]) -> None:
    """Write the draws of a shard and what is to be said of its chains.

    Parameters
    ----------
    path : path-like
    shard : ShardDraws
    report : mapping
        Of what JSON holds.
    """
    arrays = {name: getattr(shard, name) for name in _ARRAYS}
    with replacing(path) as temporary:
        np.savez(temporary, report=json.dumps(report), **arrays, **shard.stats)


def write_failure(path: str | os.PathLike, sentence: str) -> None:
    """Write why a shard could not be sampled, in the place of its draws."""
    with replacing(path) as temporary:
        np.savez(temporary, failure=sentence)


def read_shard(path: str | os.PathLike) -> tuple[ShardDraws, dict[str, Any]]:
    """Read the draws of a shard and its report.

    Raises
    ------
    ValueError
        With the sentence that stands there where the shard could not be sampled.
    """
    with np.load(path, allow_pickle=False) as archive:
        if "failure" in archive.files:
            raise ValueError(str(archive["failure"]))
        stats = {name: archive[name] for name in archive.files if name not in (*_ARRAYS, "report")}
        arrays = {name: archive[name] for name in _ARRAYS}
        return ShardDraws(**arrays, stats=stats), json.loads(str(archive["report"]))


def write_terms(path: str | os.PathLike, proposals: Proposals, terms) -> None:
    """Write what a shard adds to the log density at each proposal, with the proposals."""
    with replacing(path) as temporary:
        np.savez(temporary, **proposals._asdict(), **dict(zip(_TERMS, terms, strict=True)))


def read_terms(paths) -> tuple[Proposals, tuple[np.ndarray, ...]]:
    """Read the proposals, and the sum of the terms of all shards.

    Raises
    ------
    ValueError
        If shards were weighed at different proposals.
    """
    proposals, total = None, [0.0] * len(_TERMS)
    for path in paths:
        with np.load(path, allow_pickle=False) as archive:
            here = Proposals(archive["x"], archive["log_density"])
            total = [part + archive[name] for part, name in zip(total, _TERMS, strict=True)]
        proposals = proposals or here
        # Every shard works the proposals out for itself, perhaps on another processor.
        if here.x.shape != proposals.x.shape or not np.allclose(here.x, proposals.x, rtol=1e-6, atol=1e-6):
            raise ValueError(f"{path} was weighed at other proposals than {paths[0]}; delete both and run again.")
    return proposals, tuple(total)

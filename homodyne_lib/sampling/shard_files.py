"""Files of a shard: its draws, or the reason why there are none, and its terms of the log density at proposals."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from homodyne_lib.io.files import replacing

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
        Slope of the log density of shard and anchor at each draw; of no columns for a single shard, which needs none.
    centre : ndarray, shape (d,)
    anchor : ndarray, shape (d, d)
        Precision of the Gaussian factor about ``centre``.
    stats : dict of str to ndarray, shape (n_chains, n_draws)
        Of the last move towards a draw: ``diverging``, ``n_steps``, ``tree_depth``, ``step_size``, ``acceptance_rate``.
        Of the draw itself: ``lp``, its log density with the scaling integrated out, up to a constant; ``energy``, the kinetic
        energy with which the last move ended less ``lp``.
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
        Log density of the law from which they were drawn, up to a constant.
    """

    x: np.ndarray
    log_density: np.ndarray


def write_shard(path: str | os.PathLike, shard: ShardDraws, report: Mapping[str, Any]) -> None:
    """Write the draws of a shard and the report of its chains.

    Parameters
    ----------
    path : path-like
    shard : ShardDraws
    report : mapping
        Values that JSON can hold.
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
        If the shard could not be sampled; the error has the sentence that says why.
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
            weighed = Proposals(archive["x"], archive["log_density"])
            total = [part + archive[name] for part, name in zip(total, _TERMS, strict=True)]
        proposals = proposals or weighed
        # Every shard computes the proposals for itself, perhaps on another processor, so that digits may differ.
        if weighed.x.shape != proposals.x.shape or not np.allclose(weighed.x, proposals.x, rtol=1e-6, atol=1e-6):
            raise ValueError(f"{path} was weighed at other proposals than {paths[0]}; delete both and run again.")
    return proposals, tuple(total)

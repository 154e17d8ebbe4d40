"""One pass over the data, after which few numbers stand for all pairs of frames.

In age t1 and lag t2 - t1 the model is smooth, on scales that grow with both. A polynomial through the nearest nodes of a
graded grid therefore gives it everywhere between them. Whatever is linear in values of the model at pairs, such as Σu, Σu² or
Σuy with u = g1², becomes a sum over the nodes of the grid, with weights that are worked out from the data once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from homodyne_lib.io.correlations import Correlations, RowBand
from homodyne_lib.io.files import replacing
from homodyne_lib.model.bins import OfBins

__all__ = ["FINEST", "Compressed", "Grid", "compress"]

FINEST = 48
"""Lag over distance of the nodes that data are compressed to; for ages it is half of that."""

# Nodes through which each polynomial goes.
_ORDER = 8
# Entries of c2 that are read at a time: few beside what the libraries take.
_BLOCK = 4_000_000
# What is known of a record beside its matrices.
_ABOUT = ("offsets", "phi", "q", "repeat", "dt", "stator_rotor_gap", "sigma")
# Rows from which the mean is guessed, at most.
_ROWS_OF_MEAN = 16


@dataclass(frozen=True, eq=False)
class Grid:
    """Ages and lags of nodes, and the weight of each node at every age and lag.

    Attributes
    ----------
    ages, lags : ndarray of int, shape (n_ages,) and (n_lags,)
        [frames]
    at_age, at_lag : ndarray, shape (n, n_ages) and (n, n_lags)
    """

    ages: np.ndarray
    lags: np.ndarray
    at_age: np.ndarray
    at_lag: np.ndarray

    @classmethod
    def of(cls, n: int, fineness: int) -> Grid:
        """Grid for n frames; from a fineness of n on each age and lag is a node."""
        ages, lags = _ages_and_lags(n, fineness)
        return cls(ages, lags, _interpolation(ages, n), _interpolation(lags, n))


def _ages_and_lags(n: int, fineness: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the nodes for n frames; ages are half as fine as lags."""
    return _graded(n, fineness // 2), _graded(n, fineness)


def _graded(n: int, fineness: int) -> np.ndarray:
    """0 to n - 1 in steps that are one at first, and grow in proportion."""
    nodes = [0]
    while nodes[-1] < n - 1:
        nodes.append(min(n - 1, nodes[-1] + max(1, nodes[-1] // fineness)))
    return np.array(nodes)


def _interpolation(nodes, n: int) -> np.ndarray:
    """Weight of each node in the Lagrange polynomial for each of 0, ..., n - 1; shape (n, n_nodes)."""
    order = min(_ORDER, nodes.size)
    at, result = np.arange(n), np.zeros((n, nodes.size))
    first = np.clip(np.searchsorted(nodes, at, side="right") - order // 2, 0, nodes.size - order)
    for here in range(order):
        others = [nodes[first + k] for k in range(order) if k != here]
        result[at, first + here] = np.prod([(at - x) / (nodes[first + here] - x) for x in others], axis=0)
    return result


@dataclass(frozen=True, eq=False)
class Compressed(OfBins):
    """What a fit and a sampler need of a record; the content of nodes.npz.

    Attributes
    ----------
    fineness : int
        Of the grid of nodes.
    weight : ndarray, shape (n_ages, n_lags)
        Pairs that a node stands for; pairs with a missing frame count nowhere.
    y : ndarray, shape (n_bins, n_ages, n_lags)
        The same of the data, c2 less the centre.
    y_moments : ndarray, shape (n_bins, 3)
        n, Σy, Σy² over the pairs.
    centre : float
        Near the mean of c2, and taken from it before anything is summed, which keeps the digits of small residuals.
    offsets : ndarray of int, shape (n_t,)
        Place on the time axis of each frame that there is [frames].
    phi : ndarray, shape (n_bins,)
        [deg]
    q : ndarray, shape (n_bins,)
        [1/Å]
    repeat : ndarray of int, shape (n_bins,)
        Number of the file, from 0.
    dt : float
        [s]
    stator_rotor_gap : float or None
        [Å]
    sigma : ndarray, shape (n_bins,), or None
        Noise of one entry of c2.
    """

    fineness: int
    weight: np.ndarray
    y: np.ndarray
    y_moments: np.ndarray
    centre: float
    offsets: np.ndarray
    phi: np.ndarray
    q: np.ndarray
    repeat: np.ndarray
    dt: float
    stator_rotor_gap: float | None
    sigma: np.ndarray | None

    def shared_out(self, fineness: int) -> tuple[Grid, np.ndarray, np.ndarray]:
        """Grid of another fineness, not above this one, with the weights and data of its nodes."""
        n = int(self.offsets[-1]) + 1
        coarse, (ages, lags) = Grid.of(n, fineness), _ages_and_lags(n, self.fineness)
        at_age, at_lag = coarse.at_age[ages].T, coarse.at_lag[lags]
        return coarse, at_age @ self.weight @ at_lag, at_age @ self.y @ at_lag

    def write(self, path: str | os.PathLike) -> None:
        """Write nodes.npz, replacing an older one only when the new one is complete."""
        there = {field.name: getattr(self, field.name) for field in fields(self)}
        with replacing(path) as temporary:
            np.savez_compressed(temporary, **{name: value for name, value in there.items() if value is not None})

    @classmethod
    def read(cls, path: str | os.PathLike) -> Compressed:
        """Read what :meth:`write` wrote."""
        with np.load(path, allow_pickle=False) as archive:
            there = {name: archive[name] for name in archive.files}
        there |= {name: value.item() for name, value in there.items() if not value.ndim}
        return cls(**dict.fromkeys(("stator_rotor_gap", "sigma")) | there)


def compress(record: Correlations | RowBand, fineness: int = FINEST) -> Compressed:
    """Share the pairs of frames of a record out to the nodes of a grid.

    Parameters
    ----------
    record : Correlations or RowBand
        All rows of c2, or some of them. They are read in blocks, so that c2 may be a data set on disk; entries on and below
        the diagonal are not used.
    fineness : int

    Returns
    -------
    Compressed

    Raises
    ------
    ValueError
        If there is no pair of distinct frames, or an entry above the diagonal is not a finite number.
    """
    n_phi, _, n_t = record.c2.shape
    if not np.any(record.rows < n_t - 1):
        raise ValueError(f"{record.rows.size} rows of {n_t} frames hold no pair of distinct frames; use more frames.")
    frames, centre = record.offsets, _about(record)
    grid = Grid.of(int(frames[-1]) + 1, fineness)
    # A row more than there are angles counts the pairs.
    y = np.ones((n_phi + 1, n_t))
    total, moments = np.zeros((n_phi + 1, grid.ages.size, grid.lags.size)), np.zeros((n_phi, 3))
    for column, values in _rows(record):
        n = values.shape[1]
        here = np.subtract(values, centre, out=y[:-1, :n])
        moments += np.stack([np.full(n_phi, n), here.sum(axis=1), np.einsum("ka,ka->k", here, here)], axis=1)
        lags = frames[column + 1 :] - frames[column]
        # Without gaps, which is nearly always, no weights are copied.
        whole = lags[-1] - lags[0] == n - 1
        shares = y[:, :n] @ grid.at_lag[slice(lags[0], lags[-1] + 1) if whole else lags]
        weights = grid.at_age[frames[column]]
        near = np.flatnonzero(weights)
        near = slice(near[0], near[-1] + 1)
        total[:, near] += weights[near, None] * shares[:, None]
    bad = np.flatnonzero(~np.isfinite(moments).all(axis=1))
    if bad.size:
        raise ValueError(
            f"c2 at {record.bins.named(bad[0])} holds entries above the diagonal that are no finite numbers."
        )
    about = {name: getattr(record, name) for name in _ABOUT}
    return Compressed(fineness, total[-1], total[:-1], moments, centre, **about)


def _rows(record) -> Iterator[tuple[int, np.ndarray]]:
    """Column of the frame of each row that has a later partner, and c2 with these partners, (n_phi, n)."""
    n_phi, n_rows, n_t = record.c2.shape
    tall = max(1, _BLOCK // (n_phi * n_t))
    for top in range(0, n_rows, tall):
        block = record.c2[:, top : top + tall]
        for row, column in enumerate(record.rows[top : top + tall]):
            if column < n_t - 1:
                yield column, block[:, row, column + 1 :]


def _about(record) -> float:
    """Mean of a few rows: sums about it lose no digits, and one pass over the data suffices."""
    rows = record.rows[record.rows < record.c2.shape[2] - 1]
    some = range(0, rows.size, -(-rows.size // _ROWS_OF_MEAN))
    means = [np.mean(record.c2[:, place, rows[place] + 1 :], dtype=float) for place in some]
    # What is no number is found, and named, by the pass.
    finite = [mean for mean in means if np.isfinite(mean)]
    return float(np.mean(finite)) if finite else 0.0

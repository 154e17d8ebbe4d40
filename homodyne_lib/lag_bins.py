"""Bins of lag and windows of age: what every profile of a two-time matrix is summed over."""

from __future__ import annotations

import numpy as np

__all__ = ["LagBins"]

_LAG_BINS = 24
_AGE_BINS = 24
# Ages at which the decay is drawn, as shares of the record: dynamics change fastest at its start.
_AGES = ((0.02, 0.06), (0.15, 0.20), (0.40, 0.50), (0.70, 0.80))


class LagBins:
    """Sums of a matrix over bins of lag, row by row.

    Parameters
    ----------
    n_t : int
        Frames of the record.

    Attributes
    ----------
    i, j : ndarray, shape (n_pairs,)
        Frames of the pairs above the diagonal.
    group : ndarray, shape (n_t - 1,)
        Bin of each lag, from 1 on.
    count : ndarray, shape (n_t, n_bins)
        Pairs of a row in each bin.
    lag : ndarray, shape (n_bins,)
        Mean lag of each bin [frames].
    windows : list of slice
        Rows of each window of age.
    age_starts : ndarray, shape (n_age_bins,)
        First row of each bin of age.
    """

    def __init__(self, n_t: int):
        self.i, self.j = np.triu_indices(n_t, 1)
        # Single lags first, then ever wider groups.
        edges = np.unique(np.round(np.geomspace(1, n_t, _LAG_BINS + 1)))
        self.group = np.searchsorted(edges, np.arange(1, n_t), side="right") - 1
        self.shape = n_t, int(self.group[-1]) + 1
        self.key = self.i * self.shape[1] + self.group[self.j - self.i - 1]
        self.count = self.sums(np.ones((n_t, n_t)))
        self.lag = np.bincount(self.group, np.arange(1, n_t) * np.arange(n_t - 1, 0, -1)) / self.count.sum(axis=0)
        starts = [round(low * n_t) for low, _ in _AGES]
        stops = [max(round(high * n_t), start + 2) for (_, high), start in zip(_AGES, starts, strict=True)]
        self.windows = [slice(start, stop) for start, stop in zip(starts, stops, strict=True)]
        self.age_starts = np.unique(np.linspace(0, n_t - 1, _AGE_BINS + 1).astype(int)[:-1])

    def sums(self, matrix: np.ndarray) -> np.ndarray:
        """Sums of the upper triangle, shape (n_t, n_bins)."""
        weights = matrix[self.i, self.j]
        return np.bincount(self.key, weights, minlength=self.shape[0] * self.shape[1]).reshape(self.shape)

    def means(self, sums: np.ndarray) -> np.ndarray:
        """Means over each window of age, shape (n_ages, n_bins)."""
        totals, pairs = np.array([sums[rows].sum(axis=0) for rows in self.windows]), self.pairs()
        return np.divide(totals, pairs, out=np.full(pairs.shape, np.nan), where=pairs > 0)

    def scatter(self, sums: np.ndarray) -> np.ndarray:
        """Squared sums over the number of pairs, of all windows as wide as each window of age, shape (2, n_ages, n_bins).

        First their total over the record, then how many there are. For ``sums`` of independent noise of unit variance the
        quotient of both is 1; noise that neighbouring rows share makes it larger.
        """
        found = []
        for rows in self.windows:
            starts = np.arange(0, self.shape[0], rows.stop - rows.start)
            count = np.add.reduceat(self.count, starts)
            squares = np.square(np.add.reduceat(sums, starts))
            found.append([np.divide(squares, count, out=squares, where=count > 0).sum(axis=0), (count > 0).sum(axis=0)])
        return np.moveaxis(np.array(found), 1, 0)

    def pairs(self) -> np.ndarray:
        """Number of pairs in each window of age, shape (n_ages, n_bins)."""
        return np.array([self.count[rows].sum(axis=0) for rows in self.windows])

    def by_age(self, sums: np.ndarray) -> np.ndarray:
        """Sums over bins of age, all lags, shape (n_age_bins,)."""
        return np.add.reduceat(sums.sum(axis=1), self.age_starts)

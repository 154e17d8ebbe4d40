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
    frames : array_like of int, shape (n_t,)
        Place of each row on the time axis [frame intervals], rising from 0, with gaps where frames are missing.

    Attributes
    ----------
    frames : ndarray of int, shape (n_t,)
    i, j : ndarray, shape (n_pairs,)
        Rows of the pairs above the diagonal.
    group : ndarray, shape (duration,)
        Bin of each lag, from 1 on; -1 where a bin of lags has no pair.
    count : ndarray, shape (n_t, n_bins)
        Pairs of a row in each bin.
    lag : ndarray, shape (n_bins,)
        Mean lag of each bin [frame intervals].
    windows : list of slice
        Rows of each window of age.
    ages : ndarray of int, shape (n_ages, 2)
        Places of the first and the last frame of each window, or its ends where all of its frames are missing [frame
        intervals].
    age_starts : ndarray, shape (n_age_bins,)
        First row of each bin of age.
    """

    def __init__(self, frames):
        self.frames = np.asarray(frames)
        n_t, span = self.frames.size, int(self.frames[-1]) + 1
        self.i, self.j = np.triu_indices(n_t, 1)
        lags = self.frames[self.j] - self.frames[self.i]
        # Single lags first, then ever wider groups.
        edges = np.unique(np.round(np.geomspace(1, span, _LAG_BINS + 1)))
        group = np.searchsorted(edges, np.arange(1, span), side="right") - 1
        filled = np.unique(group[np.bincount(lags, minlength=span)[1:] > 0])
        self.group = np.where(np.isin(group, filled), np.searchsorted(filled, group), -1)
        self.shape = n_t, filled.size
        self.key = self.i * self.shape[1] + self.group[lags - 1]
        self.count = self.sums(np.ones((n_t, n_t)))
        self.lag = np.bincount(self.group[lags - 1], lags) / self.count.sum(axis=0)
        self.windows, self.ages = self._windows(span)
        starts = np.linspace(0, span - 1, _AGE_BINS + 1).astype(int)[:-1]
        rows = np.unique(np.searchsorted(self.frames, starts))
        self.age_starts = rows[rows < n_t - 1]

    def _windows(self, span: int) -> tuple[list[slice], np.ndarray]:
        """Rows and places of each window of age."""
        windows, ages = [], []
        for low, high in _AGES:
            start = round(low * span)
            stop = max(round(high * span), start + 2)
            rows = slice(*np.searchsorted(self.frames, [start, stop]).tolist())
            windows.append(rows)
            held = self.frames[rows]
            ages.append([held[0], held[-1]] if held.size else [start, stop - 1])
        return windows, np.array(ages)

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
        for first, last in self.ages:
            starts = np.arange(0, self.frames[-1] + 1, last - first + 1)
            starts = np.unique(np.searchsorted(self.frames, starts))
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

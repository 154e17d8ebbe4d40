"""Moments of the data of a band: each pair once, whatever the blocks, and nothing below the diagonal."""

from __future__ import annotations

import numpy as np
import pytest
from pair_cases import case

from homodyne_lib.likelihood.bands import make_band


@pytest.mark.parametrize("rows", [None, np.arange(1, 129, 3)], ids=["all", "every third row"])
@pytest.mark.parametrize(("pixels", "height"), [(64000, 32), (700, 7)])
def test_y_moments_count_each_pair_once(rows, pixels, height, monkeypatch):
    monkeypatch.setattr("homodyne_lib.likelihood.bands._BLOCK_PIXELS", pixels)
    monkeypatch.setattr("homodyne_lib.likelihood.bands._BLOCK_ROWS", height)
    *_, c2 = case("static", 130, 3)
    band = make_band(c2 if rows is None else c2[:, rows], rows)
    i, j = np.triu_indices(130, 1)
    held = np.isin(i, band.rows)
    y = c2[:, i[held], j[held]]
    y = y - y.mean()
    wanted = np.stack([np.full(3, held.sum()), y.sum(axis=1), (y**2).sum(axis=1)], axis=1)
    np.testing.assert_allclose(band.y_moments, wanted, atol=1e-9)


def test_data_below_the_diagonal_are_not_seen():
    *_, c2 = case("laminar", 75, 4)
    spoiled = c2.copy()
    below = np.tril_indices(75)
    spoiled[:, below[0], below[1]] = 1e6
    np.testing.assert_array_equal(make_band(c2).y_moments, make_band(spoiled).y_moments)


@pytest.mark.parametrize("rows", [[], [3, 2], [74], [0, 0]])
def test_a_band_without_pairs_is_refused(rows):
    with pytest.raises(ValueError, match="must rise"):
        make_band(np.ones((1, len(rows), 75)), rows)

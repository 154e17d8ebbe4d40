"""Compression: each pair once, whatever the blocks, nothing below the diagonal, and the same from a file."""

from __future__ import annotations

from dataclasses import fields

import h5py
import numpy as np
import pytest
from white_noise import record_of, white_noise_data

from homodyne_lib.likelihood import compression
from homodyne_lib.likelihood.compression import Compressed, compress

N = 130
SOME = np.arange(1, 129, 3)


def record(rows=None, change=lambda c2: c2, **options):
    c2, phi = white_noise_data("static", n=N, phi=(0.0, 30.0, 60.0))
    return record_of(change(c2), phi, rows=rows, **options)


def assert_equal(found, expected):
    for field in fields(Compressed):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name), err_msg=field.name)


@pytest.mark.parametrize("rows", [None, SOME], ids=["all", "every third row"])
def test_moments_count_each_pair_once(rows):
    data, (c2, _) = compress(record(rows)), white_noise_data("static", n=N, phi=(0.0, 30.0, 60.0))
    i, j = np.triu_indices(N, 1)
    held = np.isin(i, np.arange(N) if rows is None else rows)
    y = c2[:, i[held], j[held]] - data.centre
    assert np.abs(y.mean()) < 0.05  # the contrast is 0.3
    wanted = np.stack([np.full(3, held.sum()), y.sum(axis=1), (y**2).sum(axis=1)], axis=1)
    np.testing.assert_allclose(data.y_moments, wanted, rtol=1e-10, atol=1e-9)
    # A polynomial through nodes gives a constant exactly.
    assert data.weight.sum() == pytest.approx(held.sum(), rel=1e-12)
    np.testing.assert_allclose(data.y.sum(axis=(1, 2)), wanted[:, 1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("block", [1, 3 * N * 7])
def test_blocks_change_nothing(block, monkeypatch, tmp_path):
    """Nor does a data set on disk in the place of an array."""
    expected = compress(record())
    monkeypatch.setattr(compression, "_BLOCK", block)
    assert_equal(compress(record()), expected)
    with h5py.File(tmp_path / "c2.h5", "w") as file:
        on_disk = record_of(record().c2, record().phi)
        object.__setattr__(on_disk, "c2", file.create_dataset("c2", data=on_disk.c2, chunks=(1, 1, N)))
        assert_equal(compress(on_disk), expected)


def test_fewer_nodes_of_compressed_data_are_those_of_the_record():
    """Of smooth data; noise is shared out in another way."""
    data = compress(
        record(
            change=lambda c2: (
                1 + 0.3 * np.exp(-0.02 * np.abs(np.subtract.outer(*2 * [np.arange(N)])))[None] * np.ones((3, 1, 1))
            )
        )
    )
    _, weight, y = data.shared_out(24)
    assert weight.sum() == pytest.approx(data.weight.sum(), rel=1e-12)
    np.testing.assert_allclose(y.sum(axis=(1, 2)), data.y.sum(axis=(1, 2)), rtol=1e-9)
    grid, *same = data.shared_out(data.fineness)
    np.testing.assert_array_equal(same[0], data.weight)
    np.testing.assert_array_equal(same[1], data.y)
    assert same[0].shape == (grid.ages.size, grid.lags.size)


def test_data_below_the_diagonal_are_not_seen():
    def spoil(c2):
        below = np.tril_indices(N)
        c2[:, below[0], below[1]] = 1e6
        return c2

    assert_equal(compress(record(change=spoil)), compress(record()))


@pytest.mark.parametrize(("gap", "sigma"), [(2e6, 0.01), (None, 0.01)])
def test_what_was_written_is_read(tmp_path, gap, sigma):
    data = compress(record(gap=gap, sigma=sigma))
    for path in (tmp_path / "a.npz", tmp_path / "b.npz"):
        data.write(path)
    assert_equal(Compressed.read(tmp_path / "a.npz"), data)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("rows", [[N - 1], []])
def test_rows_without_pairs_are_refused(rows):
    with pytest.raises(ValueError, match="hold no pair of distinct frames; use more frames"):
        compress(record(np.array(rows, dtype=int)))

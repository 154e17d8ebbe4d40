"""Diagonal correction: golden values, a slow loop, and the same result of NumPy and JAX for every method."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import trim_mean

import homodyne_lib.prepare.diagonal as module
from homodyne_lib.prepare.diagonal import apply_diagonal_correction, apply_diagonal_correction_batch

GOLDEN_RTOL = 1e-10
GOLDEN = {
    "basic": ("basic", {}),
    "stat_default": ("statistical", {}),
    "stat_mean_w1": ("statistical", {"estimator": "mean", "window_size": 1}),
    "stat_median_w5": ("statistical", {"window_size": 5}),
    "stat_trim_w3_f20": ("statistical", {"estimator": "trimmed_mean"}),
    "stat_trim_w4_f10": (
        "statistical",
        {"estimator": "trimmed_mean", "window_size": 4, "trim_fraction": 0.1},
    ),
    "interp_linear": ("interpolation", {}),
}
ALL = pytest.mark.parametrize(("method", "config"), GOLDEN.values(), ids=GOLDEN)
BACKENDS = pytest.mark.parametrize("backend", ["numpy", "jax"])


def matrix(n, seed=0):
    """A matrix without symmetry, with a bright diagonal."""
    return np.random.default_rng(seed).normal(1.1, 0.05, (n, n)) + 3.0 * np.eye(n)


def off_diagonal(c2):
    """All entries but the diagonal."""
    return np.asarray(c2)[..., ~np.eye(np.shape(c2)[-1], dtype=bool)]


def slow_diagonal(c2, method, window_size=3, estimator="median", trim_fraction=0.2):
    """The new diagonal, entry by entry."""
    n = len(c2)

    def entries(i, reach):
        """Entries of column and row i within reach: above, below, left, right of the diagonal."""
        near = [k for k in range(max(0, i - reach), min(n, i + reach + 1)) if k != i]
        return [c2[k, i] for k in near], [c2[i, k] for k in near]

    new = []
    for i in range(n):
        if method == "basic":
            steps = [k for k in (i - 1, i) if 0 <= k < n - 1]
            new.append(sum((c2[k, k + 1] + c2[k + 1, k]) / 2 for k in steps) / len(steps))
            continue
        if method == "interpolation":
            values = entries(i, 1)[0] if i else [c2[0, 1]]
            reduce = np.mean
        else:
            column, row = entries(i, window_size)
            values = column + row
            reduce = {
                "median": np.median,
                "mean": np.mean,
                "trimmed_mean": lambda v: trim_mean(v, trim_fraction),
            }[estimator]
        finite = [v for v in values if np.isfinite(v)]
        new.append(reduce(finite) if finite else np.nan)
    return np.array(new)


@pytest.mark.parametrize("key", GOLDEN)
@pytest.mark.parametrize(("number", "backend"), [*((k, "numpy") for k in range(5)), (4, "jax")])
def test_golden(golden, number, key, backend):
    c2 = golden[f"c{number:02d}_diag_in"]
    method, config = GOLDEN[key]
    actual = apply_diagonal_correction(c2, method, backend, **config)
    expected = golden[f"c{number:02d}_diag_out_{key}"]  # assert_allclose also wants NaN in the same places
    assert_allclose(np.diag(actual), expected, rtol=GOLDEN_RTOL)
    assert_array_equal(off_diagonal(actual), off_diagonal(c2))


@ALL
@pytest.mark.parametrize(
    ("n", "backend"), [(2, "numpy"), (3, "numpy"), (4, "numpy"), (9, "numpy"), (2, "jax"), (9, "jax")]
)
def test_slow_loop(n, backend, method, config):
    c2 = matrix(n)
    if n == 9:
        c2[3, 4], c2[6, 5] = np.nan, np.inf
    actual = apply_diagonal_correction(c2, method, backend, **config)
    finite = np.isfinite(slow_diagonal(c2, method, **config))
    assert_array_equal(np.isfinite(np.diag(actual)), finite)
    assert finite.all() != (n == 9 and method == "basic")  # only the basic method spreads what is not finite
    assert_allclose(np.diag(actual)[finite], slow_diagonal(c2, method, **config)[finite], rtol=1e-14)


@ALL
@BACKENDS
def test_a_stack_is_its_matrices(backend, method, config):
    stack = np.stack([matrix(12, seed) for seed in range(3)])
    stack[1, 4, 5] = np.nan
    actual = apply_diagonal_correction_batch(stack, method, backend, **config)
    one_by_one = [apply_diagonal_correction(c2, method, backend, **config) for c2 in stack]
    assert_allclose(actual, np.stack(one_by_one), rtol=1e-15)


@ALL
def test_input_is_kept_and_type_follows(method, config):
    c2 = matrix(8)
    before = c2.copy()
    actual = apply_diagonal_correction(c2, method, **config)
    assert isinstance(actual, np.ndarray)
    assert not np.shares_memory(actual, c2)
    assert_array_equal(c2, before)
    assert isinstance(apply_diagonal_correction(jnp.asarray(c2), method, **config), jax.Array)
    assert isinstance(apply_diagonal_correction(jnp.asarray(c2), method, "numpy", **config), np.ndarray)
    assert isinstance(apply_diagonal_correction(c2, method, "jax", **config), jax.Array)
    single = apply_diagonal_correction(c2.astype(np.float32), method, **config)
    assert single.dtype == np.float32
    # Computed in double precision: half a unit of the last of 24 bits is lost on the way in and the way out.
    assert_allclose(single, actual, rtol=2.0**-23)
    counts = np.arange(16).reshape(4, 4)
    assert_array_equal(
        apply_diagonal_correction(counts, method, **config),
        apply_diagonal_correction(counts.astype(float), method, **config),
    )


@ALL
def test_under_jit(method, config):
    c2 = matrix(8)
    compiled = jax.jit(lambda m: apply_diagonal_correction(m, method, **config))(jnp.asarray(c2))
    assert_allclose(compiled, apply_diagonal_correction(c2, method, **config), rtol=1e-14)


def test_a_line_is_interpolated_exactly():
    """Entries that are linear along the column are met by the linear method, away from the ends."""
    rows, columns = np.indices((9, 9))
    c2 = 1.0 + 0.1 * rows + 0.03 * columns
    actual = apply_diagonal_correction(c2 + np.eye(9), "interpolation")
    assert_allclose(np.diag(actual)[1:-1], np.diag(c2)[1:-1], rtol=1e-14)


def test_median_ignores_an_outlier():
    c2 = np.full((9, 9), 1.2)
    c2[4, 5] = 100.0
    assert_array_equal(np.diag(apply_diagonal_correction(c2, "statistical")), np.full(9, 1.2))
    assert apply_diagonal_correction(c2, "statistical", estimator="mean")[4, 4] > 5.0


def test_a_frame_without_finite_neighbours_is_nan():
    c2 = matrix(6)
    c2[2, :] = c2[:, 2] = np.nan
    for method in ("statistical", "interpolation"):
        diagonal = np.diag(apply_diagonal_correction(c2, method))
        assert_array_equal(np.isnan(diagonal), np.arange(6) == 2)


@pytest.mark.parametrize(
    ("arguments", "config", "text"),
    [
        (("cubic",), {}, "'cubic' does not exist; choose one of basic, statistical, interpolation"),
        (("basic", "torch"), {}, "backend 'torch' does not exist"),
        (("basic",), {"window_size": 3}, "basic has no option window_size; its options are none"),
        (("statistical",), {"window": 3}, "no option window; its options are window_size, estimator"),
        (("interpolation",), {"interpolation_method": "cubic"}, "'cubic' does not exist; choose linear"),
        (("statistical",), {"window_size": 0}, "whole number of frames from 1; found 0"),
        (("statistical",), {"window_size": 2.5}, "whole number of frames from 1; found 2.5"),
        (("statistical",), {"estimator": "mode"}, "estimator 'mode' does not exist"),
        (("statistical",), {"trim_fraction": 0.5}, r"in \[0, 0.5\); found 0.5"),
    ],
)
def test_bad_options(arguments, config, text):
    for apply, c2 in (
        (apply_diagonal_correction, matrix(4)),
        (apply_diagonal_correction_batch, matrix(4)[None]),
    ):
        with pytest.raises(ValueError, match=text):
            apply(c2, *arguments, **config)


@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (3,), (2, 3, 3)])
def test_bad_shapes(shape):
    with pytest.raises(ValueError, match=r"shape \(n, n\) with n ≥ 2; found \("):
        apply_diagonal_correction(np.ones(shape))


@pytest.mark.parametrize("shape", [(3, 3), (2, 1, 1), (2, 3, 4)])
def test_bad_stacks(shape):
    with pytest.raises(ValueError, match=r"shape \(n_phi, n, n\) with n ≥ 2; found \("):
        apply_diagonal_correction_batch(np.ones(shape))


def test_jax_asked_for_where_it_is_missing(monkeypatch):
    monkeypatch.setattr(module, "HAS_JAX", False)
    with pytest.raises(ValueError, match="JAX is not installed"):
        apply_diagonal_correction(matrix(4), backend="jax")

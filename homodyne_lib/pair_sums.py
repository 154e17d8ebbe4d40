"""One pass over a band of c2: the sums that a fit, or a sampler, needs of millions of pixels.

Within a pair the model is u = g1² = exp(-(d_j - d_i)) sinc(A_j - A_i)^2p with two vectors on the time axis, the decay d and
the phase A of each angle (:func:`homodyne_lib.kernels.time_axis`). A pixel therefore needs one exponential and no sine:
the sine of a difference comes from sines and cosines on the axis. Derivatives reach the parameters through the axis alone,
so a pass returns either

* the moments Σu, Σu², Σuy of each angle with their gradient (sums over rows and columns), or
* the Gram matrix of all derivative columns, u, 1 and y of each angle (small matrix products).

Contrast and offset are linear in u and 1: whatever the per-angle mode, they follow from these sums by small algebra.
The lines are checked against the kernels, values and derivatives, in ``tests/test_pair_sums.py``.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from homodyne_lib import kernels
from homodyne_lib.bands import Band, Experiment
from homodyne_lib.physics_utils import SMOOTH_ABS_EPS

__all__ = ["gram", "moments"]

# Below this phase the quotients lose digits and their series is used; at 0.1 both are good to 1e-13.
_SERIES_BELOW = 0.1
# Exponent of a pair that does not count: exp(-1e4) is zero.
_NEVER = 1e4


def _sinc_and_slopes(x, sin_x, cos_x):
    """Sinc x, h = sinc'(x)/x, and h'(x)/x, without loss of digits near zero."""
    x2 = x * x
    near = x2 < _SERIES_BELOW**2
    inverse = 1.0 / jnp.where(near, 1.0, x2)
    sinc = jnp.where(near, 1 - x2 / 6 * (1 - x2 / 20 * (1 - x2 / 42 * (1 - x2 / 72))), sin_x * x * inverse)
    slope = jnp.where(near, -1 / 3 * (1 - x2 / 10 * (1 - x2 / 28 * (1 - x2 / 54))), (cos_x - sinc) * inverse)
    second = jnp.where(near, 1 / 15 * (1 - x2 / 14 * (1 - x2 / 36)), -(sinc + 3 * slope) * inverse)
    return sinc, slope, second


class _Axis(NamedTuple):
    """The kernels' vectors on the time axis: (G,), (n_phi, G), and what smoothing adds to the squared phase (n_phi,)."""

    decay: jax.Array
    phase: jax.Array
    smoothing: jax.Array


def _axis(params, experiment: Experiment, convention: str) -> _Axis:
    decay, phase = kernels.time_axis(params, *experiment, convention)
    if params.shape[0] <= kernels.N_DIFFUSION:
        return _Axis(decay, phase, jnp.zeros_like(experiment.phi))
    factor = kernels.shear_phase_factor(params[6], experiment.phi, experiment.sinc_prefactor, convention)
    return _Axis(decay, phase, SMOOTH_ABS_EPS * factor**2)


def _power(params, convention: str) -> int:
    return kernels.get_shear_convention(convention).power if params.shape[0] > kernels.N_DIFFUSION else 0


def _model_tile(left, right, smoothing, power, more_decay):
    """U = g1², ∂u/∂x and (∂u/∂x)/x on a tile, x the phase difference; leading dimension the angles (1 when static).

    ``left`` and ``right`` hold decay, phase, sine and cosine of the rows and columns, shape (4, n_phi, size). Where
    ``more_decay`` is large, all three vanish.
    """
    (d_i, a_i, s_i, c_i), (d_j, a_j, s_j, c_j) = left[..., :, None], right[..., None, :]
    u = jnp.exp(jnp.minimum(d_i - d_j, 0.0) - more_decay)
    if power == 0:
        return u[:1], None, None
    x = a_j - a_i
    sinc, slope, second = _sinc_and_slopes(x, s_j * c_i - c_j * s_i, c_j * c_i + s_j * s_i)
    # The smooth absolute value adds `smoothing` (< 1e-5) to x²; first order in it is exact to 1e-11.
    half = 0.5 * smoothing[:, None, None]
    sinc, slope = sinc + half * slope, slope + half * second
    u_over_sinc = u * sinc ** (2 * power - 1)
    q_over_x = (2 * power) * u_over_sinc * slope
    return u_over_sinc * sinc, q_over_x * x, q_over_x


def _cut(vectors, start, size):
    return jax.lax.dynamic_slice_in_dim(vectors, start, size, axis=-1)


def _sweep(axis: _Axis, band: Band, power: int, reduce):
    """Visit every tile: ``reduce(tile, u, ∂u/∂x, (∂u/∂x)/x, y, outside)`` returns what is summed, and what is kept.

    Arrays have the shape (n_phi, rows, columns) of a tile. Pairs that do not count have a positive ``outside``, and zero in
    all but y.
    """
    n_phi, height, width = band.tile_shape
    columns = jnp.stack(jnp.broadcast_arrays(axis.decay, axis.phase, jnp.sin(axis.phase), jnp.cos(axis.phase)))
    rows, frames, centre = columns[..., band.rows], band.rows.astype(columns.dtype), band.centre[:, None, None]
    # Cut here, the vectors of a tile are small arrays of their own inside the loop, and its arithmetic vectorises.
    cut = jax.vmap(_cut, in_axes=(None, 0, None))
    tiles = band.tiles, cut(rows, band.tiles[:, 0], height), cut(columns, band.tiles[:, 1], width)

    def one_tile(tile, left, right):
        r, c, first_row, first_col = tile
        row, col = r + jnp.arange(height), c + jnp.arange(width)
        # 1 where a pair does not count: not above the diagonal, or summed by a neighbouring tile.
        below = jnp.clip(_cut(frames, r, height)[:, None] - col.astype(frames.dtype)[None, :] + 1.0, 0.0, 1.0)
        twice = (row < first_row).astype(frames.dtype)[:, None] + (col < first_col).astype(frames.dtype)[None, :]
        outside = below + twice
        u, q, q_over_x = _model_tile(left, right, axis.smoothing, power, _NEVER * outside)
        y = jax.lax.dynamic_slice(band.c2, (0 * r, r, c), (n_phi, height, width)).astype(frames.dtype) - centre
        # Without the barrier every sum would compute the model anew.
        u, q, q_over_x, y = jax.lax.optimization_barrier((u, q, q_over_x, y))
        return reduce(tile, u, q, q_over_x, y, outside)

    first = jax.tree.map(lambda v: v[0], tiles)
    start = jax.tree.map(lambda v: jnp.zeros(v.shape, v.dtype), jax.eval_shape(one_tile, *first)[0])

    def step(total, tile):
        summed, kept = one_tile(*tile)
        return jax.tree.map(jnp.add, total, summed), kept

    return jax.lax.scan(step, start, tiles)


@partial(jax.jit, static_argnames="convention")
def gram(params, experiment: Experiment, band: Band, convention: str = "spec"):
    """Gram matrix, for each angle, of the columns ∂u/∂params, u, 1, y over the pairs of a band.

    Parameters
    ----------
    params : array, shape (p,), p = 3 or 7
        In the units of the parameter table.
    experiment : Experiment
    band : Band
    convention : {"spec", "published"}

    Returns
    -------
    array, shape (n_phi, p + 3, p + 3)
    """
    axis, power = _axis(params, experiment, convention), _power(params, convention)
    slopes = jax.jacfwd(_axis)(params, experiment, convention)
    n_d, n_phi = kernels.N_DIFFUSION, experiment.phi.shape[0]
    d_decay = slopes.decay.T[:n_d]
    d_phase = jnp.moveaxis(slopes.phase, -1, 0)[n_d:]
    d_smoothing = slopes.smoothing.T[n_d:, :, None, None]

    def reduce(tile, u, q, q_over_x, y, outside):
        def difference(tangents):
            right = _cut(tangents, tile[1], u.shape[2])[..., None, :]
            return right - _cut(tangents[..., band.rows], tile[0], u.shape[1])[..., :, None]

        columns = [-u[None] * difference(d_decay)[:, None]]
        if power:
            columns.append(q * difference(d_phase) + 0.5 * d_smoothing * q_over_x)
        counts = (outside == 0).astype(u.dtype)
        columns += [u[None], jnp.broadcast_to(counts, u.shape)[None]]
        columns = [jnp.broadcast_to(c, (c.shape[0], *y.shape)) for c in columns]
        columns = jnp.moveaxis(jnp.concatenate([*columns, (y * counts)[None]]), 0, 1).reshape(
            n_phi, params.shape[0] + 3, -1
        )
        return columns @ jnp.swapaxes(columns, 1, 2), ()

    return _sweep(axis, band, power, reduce)[0]


def _moments_and_slopes(axis: _Axis, band: Band, power: int):
    """Σu, Σu², Σuy of each angle, and their derivatives with respect to decay, phase and smoothing."""

    def reduce(tile, u, q, q_over_x, y, outside):
        sides = [u, u * u, u * y, *([q, 2 * u * q, q * y] if power else [])]
        # Side by side, the matrices give sums over rows and over columns by one product each.
        wide = jax.lax.optimization_barrier(jnp.concatenate([jnp.broadcast_to(v, y.shape) for v in sides], axis=2))
        n_phi, height, width = y.shape
        by_row = wide.reshape(n_phi, height, len(sides), width) @ jnp.ones(width)
        by_col = (jnp.ones(height) @ wide).reshape(n_phi, len(sides), width)
        to_smoothing = [jnp.sum(0.5 * q_over_x * v, axis=(1, 2)) for v in (1.0, 2 * u, y)] if power else []
        kept = jnp.swapaxes(by_row, 1, 2), by_col
        return (by_row[:, :, :3].sum(axis=1), jnp.stack(to_smoothing, axis=1) if power else ()), kept

    (moments, to_smoothing), (by_row, by_col) = _sweep(axis, band, power, reduce)
    later = _by_frame(by_col, band.tiles[:, 3], axis.decay.shape[0])
    earlier = _by_frame(by_row, band.tiles[:, 2], band.rows.shape[0])
    frames = later.at[:, :, band.rows].add(-earlier)
    return moments, (-frames[:, :3] * jnp.array([1.0, 2.0, 1.0])[:, None], frames[:, 3:], to_smoothing)


def _by_frame(sums, first, length):
    """Add what the tiles (n_tiles, n_phi, m, size) found to their rows or columns: (n_phi, m, length)."""
    size = sums.shape[-1]
    starts = np.minimum(np.arange(0, length, size), length - size)
    # A product with the indicator of each strip costs less than a scatter of every tile.
    strip = (first[None, :] == jnp.arange(0, length, size)[:, None]).astype(sums.dtype)
    strips = jnp.einsum("st,tkmb->kmsb", strip, sums)
    return jnp.zeros((*strips.shape[:2], length)).at[:, :, starts[:, None] + np.arange(size)].add(strips)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _moments(axis: _Axis, band: Band, power: int):
    return _moments_and_slopes(axis, band, power)[0]


def _moments_forward(axis, band, power):
    moments, slopes = _moments_and_slopes(axis, band, power)
    return moments, (slopes, axis, band)


def _moments_backward(power, saved, weight):
    (to_decay, to_phase, to_smoothing), axis, band = saved
    phase = jnp.einsum("km,kmg->kg", weight, to_phase) if power else jnp.zeros_like(axis.phase)
    smoothing = jnp.sum(weight * to_smoothing, axis=1) if power else jnp.zeros_like(axis.smoothing)
    gradient = _Axis(jnp.einsum("km,kmg->g", weight, to_decay), phase, smoothing)
    return gradient, jax.tree.map(_no_gradient, band)


def _no_gradient(value):
    is_float = jnp.issubdtype(value.dtype, jnp.floating)
    return jnp.zeros_like(value) if is_float else np.zeros(value.shape, dtype=jax.dtypes.float0)


_moments.defvjp(_moments_forward, _moments_backward)


def moments(params, experiment: Experiment, band: Band, convention: str = "spec"):
    """Σu, Σu², Σuy of each angle over the pairs of a band, differentiable in the parameters.

    The reverse derivative costs no second pass: the sums over rows and columns that it needs are taken on the way.

    Parameters
    ----------
    params : array, shape (p,), p = 3 or 7
    experiment : Experiment
    band : Band
    convention : {"spec", "published"}

    Returns
    -------
    array, shape (n_phi, 3)
    """
    return _moments(_axis(params, experiment, convention), band, _power(params, convention))

"""One pass over a band of c2: the sums that a fit, or a sampler, needs of millions of pixels.

Within a pair the model is u = g1² = exp(-(d_j - d_i)) sinc(A_j - A_i)^2p with two vectors on the time axis, the decay d and
the phase A of each angle (:func:`homodyne_lib.kernels.time_axis`). A pixel therefore needs no exponential and no sine of its
own: the sine of a difference comes from sines and cosines on the axis, and the exponential is a product of two bounded
factors. Derivatives reach the parameters through the axis alone, so a pass returns either

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
from homodyne_lib.physics_utils import SMOOTH_ABS_EPS

__all__ = ["Band", "Experiment", "gram", "make_band", "moments"]

_TILE_PIXELS = 32768
# Below this phase the quotients lose digits and their series is used; at 0.1 both are good to 1e-13.
_SERIES_BELOW = 0.1


class Experiment(NamedTuple):
    """What a fit holds fixed besides the data.

    Attributes
    ----------
    time : array, shape (n_t,)
        Floored time axis [s].
    phi : array, shape (n_phi,)
        [deg]
    wq_dt, sinc_prefactor : float
        ½ q² dt [s/Å²] and q L dt / 2π [s]; the latter is 0 where there is no gap.
    """

    time: jax.Array
    phi: jax.Array
    wq_dt: float
    sinc_prefactor: float


class Band(NamedTuple):
    """Rows of the strict upper triangle, cut into tiles.

    Attributes
    ----------
    c2 : array, shape (n_phi, n_rows, n_t)
    centre : array, shape (n_phi,)
        Subtracted from c2 before anything is summed, which keeps the digits of small residuals.
    rows : integer array, shape (n_rows,)
        Frame of each row, rising.
    tiles : integer array, shape (n_tiles, 4)
        First row and column read, first row and column that count.
    y_moments : array, shape (n_phi, 3)
        n, Σy, Σy² over the pairs that count, y = c2 - centre.
    """

    c2: jax.Array
    centre: jax.Array
    rows: jax.Array
    tiles: jax.Array
    y_moments: jax.Array

    @property
    def tile_shape(self) -> tuple[int, int, int]:
        """Angles, rows and columns of a tile: as many pixels as stay in the processor's cache."""
        n_phi, n_rows, n_t = self.c2.shape
        side = next(s for s in (128, 64, 32, 16) if n_phi * s * s <= _TILE_PIXELS or s == 16)
        return n_phi, min(side, n_rows), min(side, n_t)


def make_band(c2, rows=None) -> Band:
    """Prepare rows of c2 for summation.

    Parameters
    ----------
    c2 : array_like, shape (n_phi, n_rows, n_t)
        Rows of the correlation matrices; entries on and below the diagonal are not used.
    rows : array_like of int, shape (n_rows,), optional
        Frame of each row, rising; all frames without it.

    Returns
    -------
    Band

    Raises
    ------
    ValueError
        If shapes disagree or the band holds no pair of distinct frames.
    """
    c2 = np.asarray(c2)
    n_phi, n_rows, n_t = c2.shape
    rows = np.arange(n_t) if rows is None else np.asarray(rows)
    if rows.shape != (n_rows,) or np.any(np.diff(rows) <= 0) or rows.size == 0 or rows[0] >= n_t - 1:
        raise ValueError(
            f"a band of {n_rows} rows of {n_t} frames got rows {rows.tolist()[:5]}...; they must rise from < n-1."
        )
    _, height, width = Band(c2, None, None, None, None).tile_shape
    tiles = [
        (min(r, n_rows - height), min(c, n_t - width), r, c)
        for r in range(0, n_rows, height)
        for c in range(0, n_t, width)
        if c + width > rows[r] + 1
    ]
    y_moments, centre = np.empty((n_phi, 3)), np.empty(n_phi)
    above = np.arange(n_t) > rows[:, None]
    for k in range(n_phi):
        y = c2[k][above].astype(float)
        centre[k] = y.mean()
        y -= centre[k]
        y_moments[k] = y.size, y.sum(), y @ y
    return Band(*(jnp.asarray(v) for v in (c2, centre, rows, np.array(tiles, dtype=np.int32), y_moments)))


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


def _model_tile(left, right, smoothing, power):
    """U = g1², ∂u/∂x and (∂u/∂x)/x on a tile, x the phase difference; leading dimension the angles (1 when static).

    ``left`` and ``right`` hold decay, phase, sine and cosine of the rows and columns, shape (4, n_phi, size).
    """
    (d_i, a_i, s_i, c_i), (d_j, a_j, s_j, c_j) = left[..., :, None], right[..., None, :]
    u = jnp.exp(jnp.minimum(d_i - d_j, 0.0))
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
    """Visit every tile: ``reduce(tile, u, ∂u/∂x, (∂u/∂x)/x, y, counts)`` returns what is summed over tiles, and what is kept.

    Arrays have the shape (n_phi, rows, columns) of a tile and are zero where a pair does not count.
    """
    n_phi, height, width = band.tile_shape
    row_number, col_number = jnp.arange(height)[:, None], jnp.arange(width)[None, :]
    columns = jnp.stack(jnp.broadcast_arrays(axis.decay, axis.phase, jnp.sin(axis.phase), jnp.cos(axis.phase)))
    rows = columns[..., band.rows]
    centre = band.centre[:, None, None]

    def one_tile(tile):
        r, c, first_row, first_col = tile
        left, right = jax.lax.optimization_barrier((_cut(rows, r, height), _cut(columns, c, width)))
        model = _model_tile(left, right, axis.smoothing, power)
        y = jax.lax.dynamic_slice(band.c2, (0 * r, r, c), (n_phi, height, width)).astype(centre.dtype) - centre
        frames, later = _cut(band.rows, r, height)[:, None], c + col_number
        counts = (later > frames) & (r + row_number >= first_row) & (later >= first_col)
        values = tuple(None if v is None else jnp.where(counts, v, 0.0) for v in (*model, y))
        # Without the barrier every sum would compute the model anew.
        return reduce(tile, *jax.lax.optimization_barrier(values), counts)

    start = jax.tree.map(lambda v: jnp.zeros(v.shape, v.dtype), jax.eval_shape(one_tile, band.tiles[0])[0])

    def step(total, tile):
        summed, kept = one_tile(tile)
        return jax.tree.map(jnp.add, total, summed), kept

    return jax.lax.scan(step, start, band.tiles)


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

    def reduce(tile, u, q, q_over_x, y, counts):
        def difference(tangents):
            right = _cut(tangents, tile[1], u.shape[2])[..., None, :]
            return right - _cut(tangents[..., band.rows], tile[0], u.shape[1])[..., :, None]

        columns = [-u[None] * difference(d_decay)[:, None]]
        if power:
            columns.append(q * difference(d_phase) + 0.5 * d_smoothing * q_over_x)
        columns += [u[None], jnp.broadcast_to(counts.astype(u.dtype), u.shape)[None]]
        columns = [jnp.broadcast_to(c, (c.shape[0], *y.shape)) for c in columns]
        columns = jnp.moveaxis(jnp.concatenate([*columns, y[None]]), 0, 1).reshape(n_phi, params.shape[0] + 3, -1)
        return columns @ jnp.swapaxes(columns, 1, 2), ()

    return _sweep(axis, band, power, reduce)[0]


def _moments_and_slopes(axis: _Axis, band: Band, power: int):
    """Σu, Σu², Σuy of each angle, and their derivatives with respect to decay and phase on the axis."""

    def reduce(tile, u, q, q_over_x, y, counts):
        sides = [u, u * u, u * y, *([q, 2 * u * q, q * y] if power else [])]
        # Side by side, the matrices give sums over rows and over columns by one product each.
        wide = jax.lax.optimization_barrier(jnp.concatenate([jnp.broadcast_to(v, y.shape) for v in sides], axis=2))
        n_phi, height, width = y.shape
        by_row = wide.reshape(n_phi, height, len(sides), width) @ jnp.ones(width)
        by_col = (jnp.ones(height) @ wide).reshape(n_phi, len(sides), width)
        return by_row[:, :, :3].sum(axis=1), (jnp.swapaxes(by_row, 1, 2), by_col)

    moments, (by_row, by_col) = _sweep(axis, band, power, reduce)
    later = _by_frame(by_col, band.tiles[:, 3], axis.decay.shape[0])
    earlier = _by_frame(by_row, band.tiles[:, 2], band.rows.shape[0])
    frames = later.at[:, :, band.rows].add(-earlier)
    return moments, (-frames[:, :3] * jnp.array([1.0, 2.0, 1.0])[:, None], frames[:, 3:])


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
    (to_decay, to_phase), axis, band = saved
    phase = jnp.einsum("km,kmg->kg", weight, to_phase) if power else jnp.zeros_like(axis.phase)
    gradient = _Axis(jnp.einsum("km,kmg->g", weight, to_decay), phase, jnp.zeros_like(axis.smoothing))
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

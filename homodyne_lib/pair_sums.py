"""One pass over a band of c2: the sums that a fit, or a sampler, needs of millions of pixels.

Within a pair the model is u = g1² = exp(-(d_j - d_i)) sinc(x)^2p, x = A_j - A_i, with two vectors on the time axis, the
decay d and the phase A of each angle (:func:`homodyne_lib.kernels.time_axis`). A pixel therefore needs one exponential and
no sine: the sine of a difference comes from sines and cosines on the axis. Derivatives reach the parameters through the
axis alone, so that the Gram matrix of all derivative columns, Σ ∂u/∂θ_a ∂u/∂θ_b, follows from sums over the rows and
columns of a few matrices of pixels, and no derivative column is ever formed.

Contrast and offset are linear in u and 1: whatever the per-angle mode, they follow from these sums by small algebra.
NumPy alone computes: it needs no compilation, and on a processor it is as fast as compiled loops. The lines are checked
against the kernels, values and derivatives, in ``tests/test_pair_sums.py``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from homodyne_lib import kernels
from homodyne_lib.bands import Band, Experiment
from homodyne_lib.physics_utils import SMOOTH_ABS_EPS

__all__ = ["gram", "projections"]

# Below this phase the quotients lose digits and their series is used; at 0.05 both are good to 1e-13.
_SERIES_BELOW = 0.05
# Exponent of a pair that does not count: exp(-1e4) is zero.
_NEVER = -1e4
# Matrices of pixels that are alive at a time: four outer products, three of scratch, and the data.
_N_BUFFERS = 8


def gram(params, experiment: Experiment, band: Band, convention: str = "spec") -> np.ndarray:
    """Gram matrix, for each angle, of the columns ∂u/∂params, u, 1, y over the pairs of a band.

    Parameters
    ----------
    params : array_like, shape (p,), p = 3 or 7
        In the units of the parameter table.
    experiment : Experiment
    band : Band
    convention : {"spec", "published"}

    Returns
    -------
    ndarray, shape (n_phi, p + 3, p + 3)
    """
    return _pass(params, experiment, band, convention, among_slopes=True)


def projections(params, experiment: Experiment, band: Band, convention: str = "spec") -> np.ndarray:
    """Last three columns of :func:`gram`, at little more than half its cost.

    They hold Σu, Σu², Σuy of each angle, and Σu ∂u/∂θ, Σ∂u/∂θ, Σy ∂u/∂θ, which are half the derivative of Σu² and the
    derivatives of Σu and Σuy: value and gradient of whatever is a function of the three.

    Parameters
    ----------
    params : array_like, shape (p,), p = 3 or 7
    experiment : Experiment
    band : Band
    convention : {"spec", "published"}

    Returns
    -------
    ndarray, shape (n_phi, p + 3, 3)
    """
    return _pass(params, experiment, band, convention, among_slopes=False)[:, :, -3:]


def _pass(params, experiment, band, convention, among_slopes) -> np.ndarray:
    params = np.asarray(params, dtype=float)
    axis = _Axis.of(params, experiment, convention)
    p, n_phi = params.size, experiment.phi.size
    result = np.zeros((n_phi, p + 3, p + 3))
    blocks = list(band.blocks())
    sizes = [_size(block) for block in blocks]
    buffers = np.empty((_N_BUFFERS, max(sizes)))
    for block, size in zip(blocks, sizes, strict=True):
        scratch = buffers[:, :size].reshape(_N_BUFFERS, *_shape(block))
        y = np.subtract(band.c2[block.angles, block.rows, block.columns], band.centre, out=scratch[-1], dtype=float)
        pixels = axis.pixels(block, band.frames[block.rows], scratch)
        result[block.angles] += _products(pixels, y, scratch[5], axis.tangents(block, band.frames), p, among_slopes)
    if axis.power:
        # φ0 only scales the phase; what was summed for it is ∂u/∂ln x.
        result[:, kernels.N_DIFFUSION + 3] *= axis.log_factor[:, None]
        result[:, :, kernels.N_DIFFUSION + 3] *= axis.log_factor[:, None]
    result[:, p + 1, p + 1], result[:, p + 1, p + 2], result[:, p + 2, p + 2] = band.y_moments.T
    upper = np.triu_indices(p + 3, 1)
    result[:, upper[1], upper[0]] = result[:, upper[0], upper[1]]
    return result


def _shape(block) -> tuple[int, int, int]:
    return tuple(cut.stop - cut.start for cut in (block.angles, block.rows, block.columns))


def _size(block) -> int:
    return int(np.prod(_shape(block)))


class _Axis(NamedTuple):
    """What the kernels know on the time axis, ready for the outer products of a block.

    ``later`` (4 or 1, n_phi, 2, n_t) times ``earlier`` (4 or 1, n_phi, n_t, 2) gives d_i - d_j, x, sin x and cos x of all
    pairs. When static the angle does not matter, and n_phi is 1.
    """

    earlier: np.ndarray
    later: np.ndarray
    phase: np.ndarray
    half_smoothing: np.ndarray
    slopes: tuple[np.ndarray, np.ndarray | None]
    log_factor: np.ndarray | None
    power: int

    @classmethod
    def of(cls, params, experiment: Experiment, convention: str) -> _Axis:
        decay, phase = kernels.time_axis(params, *experiment, convention)
        d_decay, d_phase, log_factor = kernels.time_axis_slopes(params, *experiment, convention)
        one = np.ones_like(phase)
        if d_phase is None:
            decay, one = decay[None], one[:1]
            earlier, later = np.stack([decay, -one], axis=-1)[None], np.stack([one, decay], axis=-2)[None]
            return cls(earlier, later, phase, np.zeros(1), (-d_decay, None), None, 0)
        decay, sine, cosine = np.broadcast_to(decay, phase.shape), np.sin(phase), np.cos(phase)
        earlier = [(decay, -one), (one, -phase), (cosine, -sine), (sine, cosine)]
        later = [(one, decay), (phase, one), (sine, cosine), (sine, cosine)]
        factor = kernels.shear_phase_factor(params[6], experiment.phi, experiment.sinc_prefactor, convention)
        power = kernels.get_shear_convention(convention).power
        return cls(
            np.stack([np.stack(pair, axis=-1) for pair in earlier]),
            np.stack([np.stack(pair, axis=-2) for pair in later]),
            phase,
            0.5 * SMOOTH_ABS_EPS * factor**2,
            (-d_decay, 2 * power * d_phase),
            2 * power * log_factor,
            power,
        )

    def pixels(self, block, frames, scratch):
        """U = g1², (∂u/∂x)/2p and x ∂u/∂x /2p of a block; zero where a pair does not count, None when static."""
        angles = block.angles if self.power else slice(0, 1)
        shape = len(self.earlier[0, angles])
        parts = scratch[:4, :shape] if self.power else scratch[:1, :1]
        np.matmul(self.earlier[:, angles][:, :, frames], self.later[:, angles, :, block.columns], out=parts)
        if block.counts is not None:
            # Both signs of the difference occur here; below the diagonal it is replaced.
            np.copyto(parts[0], _NEVER, where=~block.counts)
        u = np.exp(parts[0], out=parts[0])
        if not self.power:
            return u, None, None
        phase = self.phase[angles]
        near = block.counts is not None or np.any(
            np.abs(phase[:, block.columns.start] - phase[:, frames[-1]]) < _SERIES_BELOW
        )
        half_smoothing = self.half_smoothing[angles, None, None]
        return _with_shear(u, *parts[1:], half_smoothing, self.power, near, *scratch[4:7])

    def tangents(self, block, frames):
        """Derivatives of decay and phase, for the earlier and the later frames; about those of the block's first frame."""
        frames = frames[block.rows]
        about = []
        for slopes in self.slopes:
            if slopes is not None:
                slopes = slopes[:, None] if slopes.ndim == 2 else slopes[:, block.angles]
                slopes = np.swapaxes(slopes, 0, 1)
                slopes = slopes - slopes[..., frames[:1]]
                about.append((slopes[..., frames], slopes[..., block.columns]))
        return about


def _with_shear(u, x, sinc, cosine, half_smoothing, power, near, x2, inverse, spare):
    """Multiply a decay by sinc^2p, in place; ``sinc`` comes as the sine.

    With h = sinc'(x)/x and k = h'(x)/x: the smooth absolute value adds 2·half_smoothing (< 1e-5) to x², which adds
    half_smoothing·h to the sinc and half_smoothing·k to h; first order in it is exact to 1e-11.
    """
    np.multiply(x, x, out=x2)
    if near:
        small = np.flatnonzero(x2 < _SERIES_BELOW**2)
        small_x2 = x2.ravel()[small]
        np.put(x2, small, 1.0)
    np.divide(1.0, x2, out=inverse)
    sinc *= x
    sinc *= inverse
    h = cosine
    h -= sinc
    h *= inverse
    minus_k = np.multiply(h, 3.0, out=spare)
    minus_k += sinc
    minus_k *= inverse
    if near:
        for values, series in zip((sinc, h, minus_k), _series(small_x2), strict=True):
            np.put(values, small, series)
        np.put(x2, small, small_x2)
    minus_k *= half_smoothing
    sinc += np.multiply(h, half_smoothing, out=inverse)
    h -= minus_k
    if power == 2:
        u *= np.multiply(sinc, sinc, out=inverse)
    u *= sinc
    h *= u
    u *= sinc
    x2 += 2.0 * half_smoothing
    x *= h
    x2 *= h
    return u, x, x2


def _series(x2):
    """Sinc, h and -k near zero."""
    sinc = 1 - x2 / 6 * (1 - x2 / 20 * (1 - x2 / 42))
    h = -1 / 3 * (1 - x2 / 10 * (1 - x2 / 28 * (1 - x2 / 54)))
    return sinc, h, -1 / 15 * (1 - x2 / 14 * (1 - x2 / 36))


class _Weights(NamedTuple):
    """A matrix of pixels for each angle, with its sums over the columns and over the rows."""

    pixels: np.ndarray
    by_row: np.ndarray
    by_column: np.ndarray

    @classmethod
    def of(cls, pixels) -> _Weights:
        return cls(pixels, pixels @ np.ones(pixels.shape[2]), np.ones(pixels.shape[1]) @ pixels)

    def total(self):
        """Σ w: (n_phi,)."""
        return self.by_row.sum(axis=1)

    def linear(self, a):
        """Σ w (a_j - a_i): (n_phi, m)."""
        return (a[1] @ self.by_column[..., None] - a[0] @ self.by_row[..., None])[..., 0]

    def quadratic(self, a, b):
        """Σ w (a_j - a_i)(b_j - b_i): (n_phi, m, m)."""
        mixed = a[0] @ self.pixels @ b[1].mT
        mixed = mixed + (mixed.mT if a is b else a[1] @ (b[0] @ self.pixels).mT)
        return (a[1] * self.by_column[:, None]) @ b[1].mT + (a[0] * self.by_row[:, None]) @ b[0].mT - mixed


def _products(pixels, y, spare, tangents, p, among_slopes):
    """Upper triangle of the Gram matrix of a block; all of it, or the columns of u, 1 and y."""
    (u, q, xq), d = pixels, tangents[0]
    decay, flow, phi0 = slice(0, kernels.N_DIFFUSION), slice(kernels.N_DIFFUSION, p - 1), p - 1
    result = np.zeros((len(y), p + 3, p + 3))

    def weights(left, right):
        return _Weights.of(np.multiply(left, right, out=spare[: max(len(left), len(right))]))

    one = np.ones((1, 1, 1))
    for column, other in ((p, u), (p + 1, one), (p + 2, y)):
        by_u = weights(u, other)
        result[:, decay, column], result[:, p, column] = by_u.linear(d), by_u.total()
        if among_slopes and column == p:
            result[:, decay, decay] = by_u.quadratic(d, d)
    if q is None:
        return result
    a = tangents[1]
    for column, other in ((p, u), (p + 1, one), (p + 2, y)):
        by_q = weights(q, other)
        result[:, flow, column] = by_q.linear(a)
        if among_slopes and column == p:
            result[:, decay, flow] = by_q.quadratic(d, a)
        result[:, phi0, column] = weights(xq, other).total()
    if among_slopes:
        result[:, flow, flow] = weights(q, q).quadratic(a, a)
        result[:, decay, phi0] = weights(u, xq).linear(d)
        result[:, flow, phi0] = weights(q, xq).linear(a)
        result[:, phi0, phi0] = weights(xq, xq).total()
    return result

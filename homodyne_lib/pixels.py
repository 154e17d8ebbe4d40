"""The model at every pixel of a block, from vectors on the time axis: one exponential a pixel, and no sine."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from homodyne_lib import kernels
from homodyne_lib.bands import Experiment
from homodyne_lib.physics_utils import SMOOTH_ABS_EPS

__all__ = ["PixelAxis"]

# Below the first phase the quotients lose digits, and their series is used: at 0.02 both are good to 1e-12. A block that
# stays below the second is summed by series altogether; up to there seven terms reach the last digit.
_SERIES_BELOW = 0.02
_ALL_SERIES_BELOW = 0.5
# Taylor coefficients in x² of sinc(x), of h = sinc'(x)/x, and of -h'(x)/x.
_SINC = [(-1) ** k / math.factorial(2 * k + 1) for k in range(9)]
_H = [2 * (k + 1) * _SINC[k + 1] for k in range(8)]
_MINUS_K = [-2 * (k + 1) * _H[k + 1] for k in range(7)]
# Smallest exponent, and that of a pair that does not count; u is zero there. Where exp underflows it takes five times as
# long.
_NEVER = -700.0
_VANISHED = np.exp(_NEVER)


class PixelAxis(NamedTuple):
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
    def of(cls, params, experiment: Experiment, convention: str) -> PixelAxis:
        """Compute the axis at parameters [units of the parameter table], a vector of 3 or 7."""
        decay, phase = kernels.time_axis(params, *experiment, convention)
        d_decay, d_phase, log_factor = kernels.time_axis_slopes(params, *experiment, convention)
        one = np.ones_like(phase)
        if d_phase is None:
            decay, one = decay[None], one[:1]
            earlier, later = np.stack([decay, -one], axis=-1)[None], np.stack([one, decay], axis=-2)[None]
            return cls(earlier, later, phase, np.zeros(1), (-d_decay, None), None, 0)
        decay, sine, cosine = np.broadcast_to(decay, phase.shape), np.sin(phase), np.cos(phase)
        earlier = np.array([[decay, -one], [one, -phase], [cosine, -sine], [sine, cosine]])
        later = np.array([[one, decay], [phase, one], [sine, cosine], [sine, cosine]])
        factor = kernels.shear_phase_factor(params[6], experiment.phi, experiment.sinc_prefactor, convention)
        power = kernels.get_shear_convention(convention).power
        return cls(
            np.ascontiguousarray(np.moveaxis(earlier, 1, -1)),
            np.ascontiguousarray(np.moveaxis(later, 1, -2)),
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
        np.maximum(parts[0], _NEVER, out=parts[0])
        u = np.exp(parts[0], out=parts[0])
        u -= _VANISHED
        if not self.power:
            return u, None, None
        # The phase never turns back, so that its differences are bounded by those of the corners.
        phase = self.phase[angles]
        largest = np.max(np.abs(phase[:, block.columns.stop - 1] - phase[:, frames[0]]))
        smallest = np.min(np.abs(phase[:, block.columns.start] - phase[:, frames[-1]]))
        if block.counts is not None:
            smallest = 0.0
        half_smoothing = self.half_smoothing[angles, None, None]
        sinc, h, minus_k = _sinc_and_slopes(*parts[1:], smallest, largest, *scratch[4:7])
        return _with_shear(u, parts[1], sinc, h, minus_k, half_smoothing, self.power, *scratch[4:6])

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


def _sinc_and_slopes(x, sine, cosine, smallest, largest, x2, inverse, spare):
    """Sinc(x), h = sinc'(x)/x and -h'(x)/x in the places of ``sine``, ``cosine`` and ``spare``; x² in that of ``x2``."""
    np.multiply(x, x, out=x2)
    if largest < _ALL_SERIES_BELOW:
        # As many terms as the largest phase asks for.
        n_terms = 2 + int(np.searchsorted([0.001, 0.01, 0.05, 0.15, 0.3], largest))
        return [
            _series(x2, coefficients[:n_terms], out)
            for coefficients, out in ((_SINC, sine), (_H, cosine), (_MINUS_K, spare))
        ]
    near = smallest < _SERIES_BELOW
    if near:
        small = np.flatnonzero(x2 < _SERIES_BELOW**2)
        small_x2 = x2.ravel()[small]
        np.put(x2, small, 1.0)
    np.divide(1.0, x2, out=inverse)
    sinc, h = sine, cosine
    sinc *= x
    sinc *= inverse
    h -= sinc
    h *= inverse
    minus_k = np.multiply(h, 3.0, out=spare)
    minus_k += sinc
    minus_k *= inverse
    if near:
        np.put(x2, small, small_x2)
        for values, coefficients in ((sinc, _SINC), (h, _H), (minus_k, _MINUS_K)):
            np.put(values, small, _series(small_x2, coefficients[:4], np.empty_like(small_x2)))
    return sinc, h, minus_k


def _series(x2, coefficients, out):
    """Σ coefficients[k] x2^k."""
    out.fill(coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        out *= x2
        out += coefficient
    return out


def _with_shear(u, x, sinc, h, minus_k, half_smoothing, power, x2, spare):
    """Multiply a decay by sinc^2p, in place; returns u, (∂u/∂x)/2p and x ∂u/∂x /2p.

    The smooth absolute value adds 2·half_smoothing (< 1e-5) to x², and so half_smoothing·h to the sinc and
    -half_smoothing·minus_k to h; first order in it is exact to 1e-11.
    """
    minus_k *= half_smoothing
    sinc += np.multiply(h, half_smoothing, out=spare)
    h -= minus_k
    if power == 2:
        u *= np.multiply(sinc, sinc, out=spare)
    u *= sinc
    h *= u
    u *= sinc
    x2 += 2.0 * half_smoothing
    x *= h
    x2 *= h
    return u, x, x2

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

import math
from typing import NamedTuple

import numpy as np

from homodyne_lib import kernels
from homodyne_lib.bands import Band, Experiment
from homodyne_lib.pixels import PixelAxis

__all__ = ["gram", "projections", "scaling_sums"]

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


def scaling_sums(products):
    """Σu², Σu, Σuy of each angle, (..., n_phi, 3), out of :func:`projections`; NumPy or JAX."""
    return products[..., -3, :]


def _pass(params, experiment, band, convention, among_slopes) -> np.ndarray:
    params = np.asarray(params, dtype=float)
    axis = PixelAxis.of(params, experiment, convention)
    p, n_phi = params.size, experiment.phi.size
    result = np.zeros((n_phi, p + 3, p + 3))
    buffers = np.empty((_N_BUFFERS, max(math.prod(block.shape) for block in band.blocks())))
    for block in band.blocks():
        scratch = buffers[:, : math.prod(block.shape)].reshape(_N_BUFFERS, *block.shape)
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


class _Weights(NamedTuple):
    """A matrix of pixels for each angle, with its sums over the columns and over the rows."""

    pixels: np.ndarray
    by_row: np.ndarray
    by_column: np.ndarray

    @classmethod
    def of(cls, pixels) -> _Weights:
        n_phi, height, width = pixels.shape
        # One product with a tall matrix is faster than one for each angle.
        by_row = (pixels.reshape(-1, width) @ np.ones(width)).reshape(n_phi, height)
        return cls(pixels, by_row, np.ones(height) @ pixels)

    def total(self):
        """Σ w: (n_phi,)."""
        return self.by_row.sum(axis=1)

    def linear(self, a):
        """Σ w (a_j - a_i): (n_phi, m)."""
        return (a[1] @ self.by_column[..., None] - a[0] @ self.by_row[..., None])[..., 0]

    def quadratic(self, a, b):
        """Σ w (a_j - a_i)(b_j - b_i): (n_phi, m, m)."""
        mixed = a[0] @ (self.pixels @ b[1].mT)
        mixed = mixed + (mixed if a is b else b[0] @ (self.pixels @ a[1].mT)).mT
        return (a[1] * self.by_column[:, None]) @ b[1].mT + (a[0] * self.by_row[:, None]) @ b[0].mT - mixed


def _products(pixels, y, spare, tangents, p, among_slopes):
    """Upper triangle of the Gram matrix of a block; all of it, or the columns of u, 1 and y."""
    (u, q, xq), d = pixels, tangents[0]
    decay, flow, phi0 = slice(0, kernels.N_DIFFUSION), slice(kernels.N_DIFFUSION, p - 1), p - 1
    result = np.zeros((len(y), p + 3, p + 3))

    def weights(left, right):
        if right is None:
            return _Weights.of(left)
        return _Weights.of(np.multiply(left, right, out=spare[: max(len(left), len(right))]))

    def total(left, right):
        return np.einsum("kij->k", left) if right is None else np.einsum("kij,kij->k", left, right)

    for column, other in ((p, u), (p + 1, None), (p + 2, y)):
        by_u = weights(u, other)
        result[:, decay, column], result[:, p, column] = by_u.linear(d), by_u.total()
        if among_slopes and column == p:
            result[:, decay, decay] = by_u.quadratic(d, d)
    if q is None:
        return result
    a = tangents[1]
    for column, other in ((p, u), (p + 1, None), (p + 2, y)):
        by_q = weights(q, other)
        result[:, flow, column], result[:, phi0, column] = by_q.linear(a), total(xq, other)
        if among_slopes and column == p:
            result[:, decay, flow] = by_q.quadratic(d, a)
    if among_slopes:
        result[:, flow, flow] = weights(q, q).quadratic(a, a)
        result[:, decay, phi0] = weights(u, xq).linear(d)
        result[:, flow, phi0] = weights(q, xq).linear(a)
        result[:, phi0, phi0] = total(xq, xq)
    return result

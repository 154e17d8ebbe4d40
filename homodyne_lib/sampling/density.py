"""The log density of a posterior in unconstrained coordinates, as pytrees of JAX.

What depends on the data, bounds or settings is an argument of compiled programs and no constant of theirs, so that records of
one size share them. Equations (P1) to (P3) are those of docs/posterior.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve

from homodyne_lib.likelihood.nodes import Nodes
from homodyne_lib.likelihood.normal_equations import scaling_equations
from homodyne_lib.likelihood.span import Span
from homodyne_lib.model.backend import pytree, register_pytrees
from homodyne_lib.model.scaling import PerAngleScaling
from homodyne_lib.sampling.coordinates import Coordinates
from homodyne_lib.sampling.scaling_groups import ScalingGroups

__all__ = ["Density", "ShardDensity", "conditional_draws", "marginal"]


def marginal(matrix, right, rest):
    """Log density with the scaling integrated out (P2), from its quadratic form; up to a constant."""
    if right.ndim == 1:
        return _marginal(matrix, right, rest)
    # One group of bins after the other: batches of triangular solves may hold all threads of XLA (``over_draws``).
    return jnp.sum(jax.lax.map(lambda group: _marginal(*group, 0.0), (matrix, right))) - 0.5 * rest


@jax.custom_jvp
def _marginal(matrix, right, rest):
    if not right.size:
        return -0.5 * rest
    factor = jnp.linalg.cholesky(matrix)
    return -0.5 * (rest - right @ cho_solve((factor, True), right)) - jnp.sum(jnp.log(jnp.diag(factor)))


@_marginal.defjvp
def _slope_of_marginal(quadratic, tangents):
    # In closed form, as a program takes seconds longer to compile where JAX differentiates the factors.
    matrix, right, rest = quadratic
    d_matrix, d_right, d_rest = tangents
    if not right.size:
        return _marginal(*quadratic), -0.5 * d_rest
    factor = jnp.linalg.cholesky(matrix)
    both = cho_solve((factor, True), jnp.column_stack([right, jnp.eye(right.size)]))
    mean, inverse = both[:, 0], both[:, 1:]
    value = -0.5 * (rest - right @ mean) - jnp.sum(jnp.log(jnp.diag(factor)))
    return value, -0.5 * (d_rest + jnp.sum((jnp.outer(mean, mean) + inverse) * d_matrix)) + mean @ d_right


def conditional_draws(matrix, right, normal, groups: ScalingGroups | None = None) -> np.ndarray:
    """Draws of the scaling from quadratic forms.

    Parameters
    ----------
    matrix : ndarray, shape (n, m, m), or (n, n_groups, m, m) where there are groups
    right : ndarray, shape (n, m), or (n, n_groups, m)
    normal : ndarray, shape (n, n_scaling)
        Standard normal numbers.
    groups : ScalingGroups or None

    Returns
    -------
    ndarray, shape (n, n_scaling)
    """
    root = np.linalg.cholesky(matrix)
    normal = normal if groups is None else groups.gathered(normal)
    # The mean M⁻¹ r, and a deviation of covariance M⁻¹.
    whitened = np.linalg.solve(root, right[..., None]) + normal[..., None]
    draws = np.linalg.solve(root.mT, whitened)[..., 0]
    return draws if groups is None else groups.in_order(draws)


@pytree
@dataclass(frozen=True, eq=False)
class ShardDensity:
    """Log density of a shard alone, as a quadratic form of the scaling coefficients at each x.

    Attributes
    ----------
    nodes : Nodes or Span
        What gives the sums over pairs, or inner products in their place.
    coordinates : Coordinates
    scaling : PerAngleScaling
    weight : ndarray, shape (n_phi,)
        1/σ² of each angle.
    pairs : ndarray, shape (n_phi,)
        Pairs of frames at each angle.
    y_moments : ndarray, shape (n_phi, 3)
        Σ1, Σy, Σy² over the pairs of each angle, y = c2 - data_mean, or inner products in their place.
    data_mean : float
    n_shards : int
        K; the prior enters to the power 1/K.
    origin, prior_mean, prior_precision : ndarray, shape (n_scaling,)
        Fitted scaling coefficients, and the normal prior of the coefficients, of this shard's share of it.
    centred_origin : ndarray, shape (n_scaling,)
        The fitted coefficients for data of which the mean was taken.
    groups : ScalingGroups or None
        None where all coefficients belong together.
    """

    nodes: Nodes | Span
    coordinates: Coordinates
    scaling: PerAngleScaling
    weight: np.ndarray
    pairs: np.ndarray
    y_moments: np.ndarray
    data_mean: float
    n_shards: int
    origin: np.ndarray
    centred_origin: np.ndarray
    prior_mean: np.ndarray
    prior_precision: np.ndarray
    groups: ScalingGroups | None

    def quadratic(self, x, sums=None):
        """-2 log density of the shard, at coordinates x, as a function of the scaling coefficients c (P1).

        It is rest - 2 rightᵀc + cᵀ matrix c, up to a constant, where c is the difference from the fit. For all data, each of
        the three is the sum over the shards.

        Parameters
        ----------
        x : array, shape (n_free + 1,)
        sums : array, shape (n_phi, 3), optional
            Σu², Σu, Σuy of each angle at x; those of the nodes without it.

        Returns
        -------
        matrix : array, shape (n_scaling, n_scaling), or (n_groups, m, m) where there are groups
        right : array, shape (n_scaling,), or (n_groups, m)
        rest : array, shape ()
        """
        if sums is None:
            sums = self.nodes.sums(self.coordinates.params(x))
        n, y1, yy = self.y_moments.T
        weight = self.weight * jnp.exp(-2.0 * x[-1])
        rest = 2.0 * (jnp.sum(self.pairs) * x[-1] - self.coordinates.log_prior(x) / self.n_shards)
        if self.scaling.fixed is not None:
            contrast, offset = self.scaling.fixed[0], self.scaling.fixed[1] - self.data_mean
            uu, u1, uy = sums.T
            square = yy + contrast**2 * uu + offset**2 * n + 2 * (contrast * offset * u1 - contrast * uy - offset * y1)
            return jnp.zeros((0, 0)), jnp.zeros(0), rest + jnp.sum(weight * square)
        if self.groups is not None:
            return self._quadratic_of_groups(sums, weight, rest)
        # Sums take offsets from the mean of the data, so that they lose no digits.
        origin = self.centred_origin
        matrix, right = scaling_equations(sums, self.y_moments, weight, self.scaling)
        rest += jnp.sum(weight * yy) - 2.0 * right @ origin + origin @ matrix @ origin
        prior = self.prior_mean - self.origin
        rest += self.prior_precision @ prior**2
        right = right - matrix @ origin + self.prior_precision * prior
        return matrix + jnp.diag(self.prior_precision), right, rest

    def _quadratic_of_groups(self, sums, weight, rest):
        """:meth:`quadratic` where coefficients fall apart into groups."""
        origin, prior = self.groups.gathered(self.centred_origin), self.prior_mean - self.origin
        matrix, right = self.groups.equations(sums, self.y_moments, weight)
        pulled = jnp.einsum("gab,gb->ga", matrix, origin)
        rest += jnp.sum(weight * self.y_moments[:, 2]) - 2.0 * jnp.sum(right * origin) + jnp.sum(origin * pulled)
        rest += self.prior_precision @ prior**2
        right = right - pulled + self.groups.gathered(self.prior_precision * prior)
        # A coefficient that fills a group up has the precision one, which adds nothing.
        precision = self.groups.gathered(self.prior_precision, spare=1.0)
        return matrix + precision[..., None] * jnp.eye(precision.shape[-1]), right, rest


@pytree
@dataclass(frozen=True, eq=False)
class Density:
    """Log density of a shard and its anchor.

    Attributes
    ----------
    shard : ShardDensity
    centre : ndarray, shape (d,)
        Where the posterior of all data is expected.
    anchor : ndarray, shape (d, d)
        Precision of the Gaussian factor about ``centre``.
    factor : ndarray, shape (n_free + 1, n_free + 1)
        factor @ factorᵀ approximates the covariance of the coordinates, scaling integrated out.
    whitening : ndarray, shape (n_free + 1, n_free + 1)
        Inverse of ``factor``.
    """

    shard: ShardDensity
    centre: np.ndarray
    anchor: np.ndarray
    factor: np.ndarray
    whitening: np.ndarray

    def place(self, z):
        """Coordinates x of a whitened point z, both of shape (n_free + 1,); NumPy or JAX."""
        return self.centre[: len(self.factor)] + self.factor @ z

    def quadratic(self, x, sums=None):
        """The quadratic form of the shard, with the anchor."""
        matrix, right, rest = self.shard.quadratic(x, sums)
        inner = len(self.factor)
        step, centre = x - self.centre[:inner], self.centre[inner:] - self.shard.origin
        precision, cross = self.anchor[inner:, inner:], self.anchor[inner:, :inner] @ step
        rest += step @ self.anchor[:inner, :inner] @ step + centre @ precision @ centre - 2.0 * cross @ centre
        if (groups := self.shard.groups) is not None:
            # Scalings of different groups are independent at the fit, whose curvature the anchor is.
            return matrix + groups.blocks_of(precision), right + groups.gathered(precision @ centre - cross), rest
        return matrix + precision, right + precision @ centre - cross, rest

    def log_density(self, x, sums=None):
        """Log density at coordinates x, scaling integrated out, up to a constant; ``sums`` as of the shard."""
        return marginal(*self.quadratic(x, sums))

    def potential(self, z):
        """Minus the log density at a whitened point z."""
        return -self.log_density(self.place(z))

    def slope(self, x, scaling):
        """Slope of the log density at a whole draw (P3).

        Parameters
        ----------
        x : array, shape (n_free + 1,)
        scaling : array, shape (n_scaling,)
            Differences of the coefficients from the fit.

        Returns
        -------
        array, shape (d,)
        """

        def joint(x, scaling):
            matrix, right, rest = self.quadratic(x)
            if self.shard.groups is None:
                return -0.5 * (rest + scaling @ matrix @ scaling - 2.0 * right @ scaling)
            scaling = self.shard.groups.gathered(scaling)
            return -0.5 * (rest + jnp.einsum("ga,gab,gb->", scaling, matrix, scaling) - 2.0 * jnp.sum(right * scaling))

        return jnp.concatenate(jax.grad(joint, (0, 1))(x, scaling))


# Also in a process that receives a density and makes none.
register_pytrees()

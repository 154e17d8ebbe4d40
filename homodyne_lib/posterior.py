"""The posterior density of a shard in unconstrained coordinates.

Coordinates and prior are those of :class:`~homodyne_lib.coordinates.Coordinates`; the prior enters to the power 1/K in each
of K shards. Contrast and offset are linear in the model and normal in the prior, so they are integrated out exactly, and
drawn from their conditional normal law afterwards.

A shard alone would wander √K times as far as the full posterior is wide, into regions where it is skewed, and consensus
would multiply what the skewness shifts by K. So each shard carries, as a known Gaussian factor, what the other K - 1 are
expected to say: its *anchor*, K - 1 times the Gauss-Newton information of the shard itself at the fit, which all shards
share. :mod:`homodyne_lib.consensus` takes the anchors out again (Vehtari et al. 2020, one parallel pass of expectation
propagation). A single shard has none.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve, solve_triangular

from homodyne_lib.coordinates import Coordinates
from homodyne_lib.normal_equations import scaling_equations
from homodyne_lib.pair_sums import scaling_sums
from homodyne_lib.parameter_scales import prior_normal
from homodyne_lib.problem import Problem

__all__ = ["COMPILER", "ShardPosterior", "conditional_draw", "exact", "marginal", "one_by_one"]

COMPILER = {"xla_backend_optimization_level": 1}
"""Passes over the data are NumPy's. What XLA compiles is small, and compiling it better takes longer than it saves."""

# Curvature that a prior is granted where it bends upwards, far from its middle: one that is three units wide.
_LEAST_CURVATURE = 0.1
# A direction that has this share of its precision from the prior is not determined by the data.
_MOST_OF_PRIOR = 0.5
# The Newton step from the fit towards the prior is not trusted beyond this many standard deviations.
_LONGEST_STEP = 1.0


@jax.custom_jvp
def _sums(params, products):
    """Σu², Σu, Σuy of each angle, differentiable once, from the products of one pass over the data at ``params``."""
    return scaling_sums(products)


@_sums.defjvp
def _with_slopes(primals, tangents):
    params, products = primals
    slopes = products[:, : params.size] * jnp.array([2.0, 1.0, 1.0])
    return _sums(params, products), jnp.einsum("kpm,p->km", slopes, tangents[0])


def exact(products):
    """Σu², Σu, Σuy as a function of the parameters, from the products of a pass at them."""
    return lambda params: _sums(params, products)


def marginal(matrix, right, rest):
    """Log density with the scaling integrated out, from its quadratic form; up to a constant."""
    if not right.size:
        return -0.5 * rest
    factor = jnp.linalg.cholesky(matrix)
    return -0.5 * (rest - right @ cho_solve((factor, True), right)) - jnp.sum(jnp.log(jnp.diag(factor)))


def conditional_draw(matrix, right, normal):
    """Draw of the scaling, from its quadratic form and as many standard normal numbers."""
    if not right.size:
        return right
    factor = jnp.linalg.cholesky(matrix)
    return cho_solve((factor, True), right) + solve_triangular(factor.T, normal, lower=False)


def one_by_one(function):
    """Compile a function of single draws, for arrays of them.

    In a batch made by ``vmap``, triangular solves hand parts of their work to the threads of XLA and wait; two of them at a
    time hold two threads, and on two cores wait for ever (jaxlib 0.10).
    """
    compiled = jax.jit(function)

    def each(*arrays):
        results = [jax.tree.map(np.asarray, compiled(*row)) for row in zip(*arrays, strict=True)]
        return jax.tree.map(lambda *parts: np.stack(parts), *results)

    return each


class ShardPosterior:
    """Posterior of one shard out of ``n_shards``, times the anchor that stands for the others.

    Parameters
    ----------
    problem : Problem
        Data and model of the shard.
    values : array_like, shape (p + n_scaling,)
        Fitted physical parameters [units of the parameter table] and scaling coefficients, of all data.
    n_shards : int
        K; the prior enters to the power 1/K.
    bounds : mapping of str to (float, float), optional
        Narrower bounds [units of the parameter table].
    fixed : mapping of str to float, optional
        Parameters held at a value.
    noise_scale : float, optional
        Root of χ² over the number of pairs at the fit; the shard's own without it.

    Attributes
    ----------
    names : list of str
        Free parameters, ``noise_scale``, scaling coefficients: what a draw holds.
    centre : ndarray, shape (d,)
        Where the posterior of all data is expected.
    anchor : ndarray, shape (d, d)
        Precision of the Gaussian factor about ``centre``; zero for a single shard.
    determined : bool
        Whether every direction owes most of its precision to the data.
    factor : ndarray, shape (n_free + 1, n_free + 1)
        factor @ factorᵀ approximates the covariance of the coordinates, scaling integrated out.
    """

    def __init__(self, problem: Problem, values, n_shards: int = 1, bounds=None, fixed=None, noise_scale=None):
        self.problem, self.n_shards = problem, n_shards
        self.coordinates = Coordinates(problem.names, problem.experiment.time, bounds, fixed)
        scaling = problem.scaling
        self.names = [*self.coordinates.free, "noise_scale", *scaling.names]
        # Scaling coefficients: constant terms share the prior of contrast and offset, harmonics vary about zero.
        mean, sd = prior_normal(["contrast", "offset"])
        self._scaling_mean = np.outer(mean, scaling.constant).ravel()
        self._scaling_precision = np.repeat(sd**-2.0, scaling.basis.shape[1]) / n_shards
        values = np.asarray(values, dtype=float)
        self._origin = values[len(problem.names) :]
        self.centre, precision, prior = self._laplace(values, noise_scale)
        self.anchor = (n_shards - 1) * precision
        whitening = np.linalg.inv(np.linalg.cholesky(precision))
        self.determined = bool(np.linalg.eigvalsh(whitening @ prior @ whitening.T).max() < _MOST_OF_PRIOR)
        n = len(self.coordinates.free) + 1
        value, vector = np.linalg.eigh(np.linalg.inv(_scaled(n_shards * precision))[:n, :n])
        self.factor = vector * np.sqrt(value) / np.sqrt(n_shards * np.diag(precision)[:n])[:, None]

    def _laplace(self, values, noise_scale):
        """Centre of the full posterior, precision of the shard's own, and the prior's part of it, at the fit."""
        coordinates, p, n = self.coordinates, len(self.problem.names), len(self.coordinates.free) + 1
        at_start = jax.jit(self._at_start, compiler_options=COMPILER)
        x = coordinates.from_params(values[:p])
        precision, prior, gradient, noise2 = self._information(x, at_start, noise_scale)
        # What a coordinate that owes most of its precision to the prior has in the fit is chance, if not a bound.
        variance = np.diag(np.linalg.inv(_scaled(precision))) / np.diag(precision)
        blind = (variance * np.diag(prior) > _MOST_OF_PRIOR)[: n - 1]
        if blind.any():
            x = coordinates.from_params(values[:p], blind)
            precision, prior, gradient, noise2 = self._information(x, at_start, noise_scale)
        x[-1] = 0.5 * np.log(noise2)
        start, pull = np.append(x, values[p:]), np.zeros(len(self.names))
        pull[: n - 1] = gradient[: n - 1]
        pull[n:] = self.n_shards * self._scaling_precision * (self._scaling_mean - values[p:])
        size = np.sqrt(self.n_shards * np.diag(precision))
        step = np.linalg.solve(_scaled(precision), pull / size)
        length = np.sqrt(step @ _scaled(precision) @ step)
        return start + step / size * min(1.0, _LONGEST_STEP / max(length, _LONGEST_STEP)), precision, prior

    def _information(self, x, at_start, noise_scale):
        """Precision of the shard's own at x, the prior's part of it, gradient of the log prior, variance of the noise."""
        problem, n = self.problem, len(self.coordinates.free) + 1
        slopes, gradient, curvature = (np.asarray(part) for part in at_start(x))
        equations = problem.normal_equations(np.asarray(self.coordinates.params(x)))
        noise2 = equations.chi2 / problem.n_points if noise_scale is None else noise_scale**2
        if not (np.isfinite(noise2) and noise2 > 0 and np.isfinite(equations.hessian).all()):
            raise ValueError(
                "the model gives no finite numbers at the fit; refit, or check nlsq.bounds and nlsq.fixed."
            )
        p, d = len(problem.names), len(self.names)
        chain = np.zeros((len(equations.hessian), d))
        chain[:p, : n - 1], chain[p:, n:] = slopes[:, : n - 1], np.eye(d - n)
        precision = chain.T @ equations.hessian @ chain / noise2
        precision[n - 1, n - 1] = 2 * problem.n_points
        value, vector = np.linalg.eigh(-curvature)
        prior = np.zeros((d, d))
        prior[:n, :n] = (vector * np.maximum(value, _LEAST_CURVATURE)) @ vector.T / self.n_shards
        prior[n:, n:] = np.diag(self._scaling_precision)
        return precision + prior, prior, gradient, noise2

    def _at_start(self, x):
        coordinates = self.coordinates
        slopes = jax.jacfwd(coordinates.params)(x)
        return slopes, jax.grad(coordinates.log_prior)(x), jax.hessian(coordinates.log_prior)(x)

    def products(self, x) -> np.ndarray:
        """One pass over the data at each of many coordinates, in NumPy.

        Parameters
        ----------
        x : array, shape (n, n_free + 1)

        Returns
        -------
        ndarray, shape (n, n_phi, p + 3, 3)
            :func:`~homodyne_lib.pair_sums.projections`.
        """
        params = np.asarray(jax.jit(self.coordinates.params, compiler_options=COMPILER)(x))
        return np.array([self.problem.projections(row) for row in params])

    def place(self, z):
        """Coordinates x of a whitened point z, both of shape (n_free + 1,); NumPy or JAX."""
        return self.centre[: len(self.factor)] + self.factor @ z

    def quadratic(self, x, sums_of):
        """-2 log density of the shard alone, at coordinates x, as a function of the scaling coefficients c.

        It is rest - 2 rightᵀc + cᵀ matrix c, up to a constant, where c counts from the fit. The three add over shards.

        Parameters
        ----------
        x : array, shape (n_free + 1,)
        sums_of : callable
            Σu², Σu, Σuy of each angle, (n_phi, 3), at physical parameters: :func:`exact`, or
            :meth:`~homodyne_lib.node_sums.NodeSums.sums`.

        Returns
        -------
        matrix : array, shape (n_scaling, n_scaling)
        right : array, shape (n_scaling,)
        rest : array, shape ()
        """
        problem, scaling = self.problem, self.problem.scaling
        sums = sums_of(self.coordinates.params(x))
        n, y1, yy = problem.band.y_moments.T
        weight = problem.weight * jnp.exp(-2.0 * x[-1])
        rest = 2.0 * (problem.n_points * x[-1] - self.coordinates.log_prior(x) / self.n_shards)
        if scaling.fixed is not None:
            contrast, offset = scaling.fixed[0], scaling.fixed[1] - problem.band.centre
            uu, u1, uy = sums.T
            square = yy + contrast**2 * uu + offset**2 * n + 2 * (contrast * offset * u1 - contrast * uy - offset * y1)
            return jnp.zeros((0, 0)), jnp.zeros(0), rest + jnp.sum(weight * square)
        # The sums of a band count offsets from the mean of its data, where they lose no digits.
        origin = self._origin - np.outer([0.0, problem.band.centre], scaling.constant).ravel()
        matrix, right = scaling_equations(sums, problem.band.y_moments, weight, scaling)
        rest += jnp.sum(weight * yy) - 2.0 * right @ origin + origin @ matrix @ origin
        prior = self._scaling_mean - self._origin
        rest += self._scaling_precision @ prior**2
        right = right - matrix @ origin + self._scaling_precision * prior
        return matrix + np.diag(self._scaling_precision), right, rest

    def _anchored(self, x, sums_of):
        """:meth:`quadratic` with the anchor."""
        matrix, right, rest = self.quadratic(x, sums_of)
        inner = len(self.coordinates.free) + 1
        beside, anchor = x - self.centre[:inner], self.centre[inner:] - self._origin
        held, across = self.anchor[inner:, inner:], self.anchor[inner:, :inner] @ beside
        rest += beside @ self.anchor[:inner, :inner] @ beside + anchor @ held @ anchor - 2.0 * across @ anchor
        return matrix + held, right + held @ anchor - across, rest

    def log_density(self, x, sums_of):
        """Log density of shard and anchor at coordinates x, scaling integrated out, up to a constant."""
        return marginal(*self._anchored(x, sums_of))

    def draw(self, x, normal, products):
        """Complete the coordinates x to a draw of everything, and give the slope of the log density there.

        Parameters
        ----------
        x : array, shape (n_free + 1,)
        normal : array, shape (n_scaling,)
            Standard normal numbers.
        products : array, shape (n_phi, p + 3, 3)
            :meth:`products` at x.

        Returns
        -------
        draw, slope : array, shape (d,)
        """

        def joint(x):
            matrix, right, rest = self._anchored(x, exact(products))
            scaling = jax.lax.stop_gradient(conditional_draw(matrix, right, normal))
            value = -0.5 * (rest + scaling @ matrix @ scaling - 2.0 * right @ scaling)
            return value, (scaling, right - matrix @ scaling)

        slope, (scaling, scaling_slope) = jax.grad(joint, has_aux=True)(x)
        return jnp.concatenate([x, scaling + self._origin]), jnp.concatenate([slope, scaling_slope])


def _scaled(matrix):
    """The matrix scaled to a diagonal of ones."""
    size = np.sqrt(np.diag(matrix))
    return matrix / np.outer(size, size)

"""The posterior density of a shard in unconstrained coordinates.

Coordinates and prior are those of :class:`~homodyne_lib.coordinates.Coordinates`; the prior enters to the power 1/K in each
of K shards. Contrast and offset are linear in the model and normal in the prior, so they are integrated out exactly, and
drawn from their conditional normal law afterwards.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve, solve_triangular

from homodyne_lib.coordinates import Coordinates
from homodyne_lib.normal_equations import scaling_equations
from homodyne_lib.parameter_scales import prior_normal
from homodyne_lib.problem import Problem

__all__ = ["ShardPosterior"]


def _differentiable_sums(problem: Problem):
    """Σu², Σu, Σuy of each angle as a function that JAX differentiates once: one pass over the data gives both.

    The pass runs in NumPy, which needs no compilation and is faster there than the loops that XLA makes for a processor.
    """
    p = len(problem.names)
    shape = jax.ShapeDtypeStruct((problem.weight.size, p + 3, 3), jnp.float64)

    def one_pass(params):
        return jax.pure_callback(problem.projections, shape, params, vmap_method="sequential")

    @jax.custom_jvp
    def sums(params):
        return one_pass(params)[:, p]

    @sums.defjvp
    def _with_slopes(primals, tangents):
        products = one_pass(primals[0])
        slopes = products[:, :p] * jnp.array([2.0, 1.0, 1.0])
        return products[:, p], jnp.einsum("kpm,p->km", slopes, tangents[0])

    return sums


class ShardPosterior:
    """Posterior of one shard out of ``n_shards``.

    Parameters
    ----------
    problem : Problem
        Data and model of the shard.
    n_shards : int
        K; the prior enters to the power 1/K.
    bounds : mapping of str to (float, float), optional
        Narrower bounds [units of the parameter table].
    fixed : mapping of str to float, optional
        Parameters held at a value.
    """

    def __init__(self, problem: Problem, n_shards: int = 1, bounds=None, fixed=None):
        self.problem, self.n_shards = problem, n_shards
        self.coordinates = Coordinates(problem.names, problem.experiment.time, bounds, fixed)
        scaling = problem.scaling
        self.names = [*self.coordinates.free, "noise_scale", *scaling.names]
        # Scaling coefficients: constant terms share the prior of contrast and offset, harmonics vary about zero.
        mean, sd = prior_normal(["contrast", "offset"])
        # Offsets count from the mean of the data, where the sums lose no digits.
        self._shift = np.outer([0.0, problem.band.centre], scaling.constant).ravel()
        self._scaling_mean = np.outer(mean, scaling.constant).ravel() - self._shift
        self._scaling_precision = np.repeat(sd**-2.0, scaling.basis.shape[1]) / n_shards
        self._sums = _differentiable_sums(problem)

    def _conditional(self, x):
        """Normal law of the scaling coefficients given x: Cholesky factor of the precision, mean, and -2 log of its peak."""
        problem, scaling = self.problem, self.problem.scaling
        sums = self._sums(self.coordinates.params(x))
        n, y1, yy = problem.band.y_moments.T
        weight = problem.weight * jnp.exp(-2.0 * x[-1])
        if scaling.fixed is not None:
            contrast, offset = scaling.fixed[0], scaling.fixed[1] - problem.band.centre
            uu, u1, uy = sums.T
            square = yy + contrast**2 * uu + offset**2 * n + 2 * (contrast * offset * u1 - contrast * uy - offset * y1)
            return jnp.zeros((0, 0)), jnp.zeros(0), jnp.sum(weight * square)
        matrix, right = scaling_equations(sums, problem.band.y_moments, weight, scaling)
        right = right + self._scaling_precision * self._scaling_mean
        square = jnp.sum(weight * yy) + np.sum(self._scaling_precision * self._scaling_mean**2)
        factor = jnp.linalg.cholesky(matrix + jnp.diag(self._scaling_precision))
        mean = cho_solve((factor, True), right)
        return factor, mean + self._shift, square - right @ mean

    def log_density(self, x):
        """Log posterior of the shard at x, scaling integrated out, up to a constant."""
        factor, _, square = self._conditional(x)
        log_likelihood = -self.problem.n_points * x[-1] - 0.5 * square - jnp.sum(jnp.log(jnp.diag(factor)))
        return log_likelihood + self.coordinates.log_prior(x) / self.n_shards

    def draw_scaling(self, x, normal):
        """One draw of the scaling coefficients given x; ``normal`` are standard normal numbers, shape (2m,)."""
        factor, mean, _ = self._conditional(x)
        return mean + solve_triangular(factor.T, normal, lower=False) if mean.shape[0] else mean

    def laplace(self, params):
        """Where sampling starts: coordinates at fitted parameters, and a factor of the approximate covariance there.

        Parameters
        ----------
        params : array_like, shape (p,)
            Fitted physical parameters [units of the parameter table].

        Returns
        -------
        x : ndarray, shape (n_free + 1,)
        factor : ndarray, shape (n_free + 1, n_free + 1)
            factor @ factorᵀ approximates the posterior covariance of the shard.
        """
        coordinates = self.coordinates
        x = coordinates.from_params(params)
        values = np.asarray(coordinates.params(x))
        equations = self.problem.normal_equations(values)
        noise2 = equations.chi2 / self.problem.n_points
        x[-1] = 0.5 * np.log(noise2)
        slopes = np.asarray(jax.jacfwd(coordinates.params)(jnp.asarray(x)))[coordinates.free_index, :-1]
        hessian = equations.projected(coordinates.free_index)
        precision = -np.asarray(jax.hessian(coordinates.log_prior)(jnp.asarray(x)))
        precision /= self.n_shards
        precision[:-1, :-1] += slopes.T @ hessian @ slopes / noise2
        precision[-1, -1] += 2 * self.problem.n_points
        eigenvalue, vector = np.linalg.eigh(0.5 * (precision + precision.T))
        # The prior may curve upwards away from its middle; what it alone holds is then taken as one unit wide.
        return x, vector / np.sqrt(np.where(eigenvalue > 0, eigenvalue, 1.0))

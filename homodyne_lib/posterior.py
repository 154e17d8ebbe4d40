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

from homodyne_lib.coordinates import Coordinates, reference_time
from homodyne_lib.pair_sums import moments
from homodyne_lib.parameter_scales import prior_normal
from homodyne_lib.problem import Problem

__all__ = ["ShardPosterior"]


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
        self.coordinates = Coordinates(problem.names, reference_time(problem.experiment.time), bounds, fixed)
        scaling = problem.scaling
        self.names = [*self.coordinates.free, "noise_scale", *scaling.names]
        self._basis = jnp.asarray(scaling.basis)
        # Scaling coefficients: constant terms share the prior of contrast and offset, harmonics vary about zero.
        centre, sd = prior_normal(["contrast", "offset"])
        ones = scaling.basis.shape[1] and np.linalg.lstsq(scaling.basis, np.ones(len(scaling.basis)), rcond=None)[0]
        self._scaling_mean = jnp.asarray(np.outer(centre, ones).ravel() if scaling.n_parameters else np.zeros(0))
        self._scaling_precision = jnp.asarray(np.repeat(sd**-2.0, scaling.basis.shape[1]) / n_shards)

    def _conditional(self, x):
        """Normal law of the scaling coefficients given x: Cholesky factor of the precision, mean, and Σw(y-fixed)²."""
        problem, basis = self.problem, self._basis
        sums = moments(self.coordinates.params(x), problem.experiment, problem.band, problem.convention)
        n, y1, yy = problem.band.y_moments.T
        u1, uu, uy = sums.T
        weight = jnp.asarray(problem.weight) * jnp.exp(-2.0 * x[-1])
        if problem.scaling.fixed is not None:
            contrast, offset = (jnp.asarray(v) for v in problem.scaling.fixed)
            offset = offset - problem.band.centre
            square = yy + contrast**2 * uu + offset**2 * n + 2 * (contrast * offset * u1 - contrast * uy - offset * y1)
            return jnp.zeros((0, 0)), jnp.zeros(0), jnp.sum(weight * square)

        def inner(w):
            return basis.T @ (w[:, None] * basis)

        centre = problem.band.centre
        cross = inner(weight * u1)
        precision = jnp.block([[inner(weight * uu), cross], [cross.T, inner(weight * n)]])
        precision = precision + jnp.diag(self._scaling_precision)
        # Offsets are kept about the centres of the data, where the sums lose no digits: y = C u + (O - centre).
        shift = self._centre_coefficients()
        prior_mean = self._scaling_mean - shift
        right = jnp.concatenate([basis.T @ (weight * uy), basis.T @ (weight * y1)])
        left_over = centre - basis @ shift[basis.shape[1] :]
        right = right + jnp.concatenate([basis.T @ (weight * left_over * u1), basis.T @ (weight * left_over * n)])
        right = right + self._scaling_precision * prior_mean
        square = jnp.sum(weight * (yy + 2 * left_over * y1 + left_over**2 * n))
        square = square + jnp.sum(self._scaling_precision * prior_mean**2)
        factor = jnp.linalg.cholesky(precision)
        mean = cho_solve((factor, True), right)
        return factor, mean + shift, square - right @ mean

    def _centre_coefficients(self):
        """Coefficients whose offsets come nearest to the centres of the data."""
        m = self._basis.shape[1]
        nearest = jnp.linalg.lstsq(self._basis, self.problem.band.centre)[0]
        return jnp.concatenate([jnp.zeros(m), nearest])

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
        p, keep = len(self.problem.names), coordinates.free_index
        slopes = np.asarray(jax.jacfwd(coordinates.params)(jnp.asarray(x)))[keep, :-1]
        to_scaling, inner = equations.hessian[keep][:, p:], equations.hessian[p:, p:]
        hessian = equations.hessian[np.ix_(keep, keep)]
        if p < equations.hessian.shape[0]:
            hessian = hessian - to_scaling @ np.linalg.pinv(inner, rcond=1e-13, hermitian=True) @ to_scaling.T
        precision = -np.asarray(jax.hessian(coordinates.log_prior)(jnp.asarray(x)))
        precision /= self.n_shards
        precision[:-1, :-1] += slopes.T @ hessian @ slopes / noise2
        precision[-1, -1] += 2 * self.problem.n_points
        eigenvalue, vector = np.linalg.eigh(0.5 * (precision + precision.T))
        # The prior may curve upwards away from its middle; what it alone holds is then taken as one unit wide.
        return x, vector / np.sqrt(np.where(eigenvalue > 0, eigenvalue, 1.0))

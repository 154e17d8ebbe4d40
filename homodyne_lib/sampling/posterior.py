"""The posterior of a shard: its density on nodes, centred and whitened at the fit.

Coordinates and prior are those of ``sampling.coordinates.Coordinates``; the prior enters to the power 1/K in each
of K shards. Contrast and offset are linear in the model and normal in the prior, so they are integrated out exactly, and
drawn from their conditional normal law afterwards.

The posterior of a shard alone would be √K times as wide as that of all data. It would reach regions where it is skewed, and
consensus would multiply the shift by K. So each shard is sampled together with its *anchor*, a known Gaussian factor in
place of the other K - 1 shards: K - 1 times the Gauss-Newton information of the shard itself at the fit.
``sampling.consensus`` removes the anchors again (one parallel pass of expectation propagation; Vehtari et al. 2020). A
single shard has no anchor.

The density is that of few nodes (``likelihood.nodes``), the coarsest that are close to the finest where the posterior is
expected. How close nodes are to all pairs of frames, the certificate of the fit says. Equations (P1) to (P7) are those of
docs/posterior.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace

import numpy as np

from homodyne_lib.likelihood.nodes import Nodes
from homodyne_lib.likelihood.problem import Problem
from homodyne_lib.likelihood.span import Span, make_span
from homodyne_lib.model.backend import require_float64
from homodyne_lib.model.matrices import map_eigenvalues, unit_diagonal
from homodyne_lib.model.scales import prior_normal
from homodyne_lib.sampling.compilation import over_draws
from homodyne_lib.sampling.coordinates import Coordinates, derivatives, params_of_draws
from homodyne_lib.sampling.density import Density, ShardDensity
from homodyne_lib.sampling.posterior_mode import climb
from homodyne_lib.sampling.scaling_groups import ScalingGroups

__all__ = ["ShardPosterior"]

# Least precision of the prior along a direction: that of a width of three units. The curvature of a log prior may be positive
# far from its middle.
_LEAST_CURVATURE = 0.1
# A direction that owes more than this share of its precision to the prior is not determined by the data.
_MOST_OF_PRIOR = 0.5
# Largest rise of χ² [residual variances] from the fit to its coordinates. Beyond it the mode is searched for.
_STRAY = 100.0
# The Newton step from the fit towards the prior is not trusted beyond this many standard deviations.
_LONGEST_STEP = 1.0
# Nodes are refined until their log density and that of the finest nodes differ by a constant to within _CLOSE. They are
# compared at _N_TRIALS draws of a law, except where the density is lower than its highest by more than _FAR.
_N_TRIALS, _FAR, _CLOSE = 16, 20.0, 0.05
_FINENESS = (6, 8, 10, 12, 14, 16, 20, 24, 32)
# Snapshots of the metric are draws of a law that is _REACH times as wide.
_SNAPSHOTS, _REACH = (32, 64, 128), 1.5
_WEIGHED = (64, 24)  # draws, in the end; fewer where each takes a pass over all pairs

_Law = Callable[[int, float, int], np.ndarray]
"""Draws: their number, how many times as wide as the law they are, and a seed."""

_log_densities = over_draws(lambda density, x, sums: density.log_density(x, sums))


class ShardPosterior:
    """Posterior of one shard out of ``n_shards``, times the anchor that replaces the others.

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
        Of the numbers of a draw: free parameters, ``noise_scale``, scaling coefficients.
    coordinates : Coordinates
    density : Density
        On nodes that are close to the finest.
    centre : ndarray, shape (d,)
        Where the posterior of all data is expected.
    anchor : ndarray, shape (d, d)
        Precision of the Gaussian factor about ``centre``; zero for a single shard.
    determined : bool
        Whether every direction owes most of its precision to the data.
    """

    def __init__(self, problem: Problem, values, n_shards: int = 1, bounds=None, fixed=None, noise_scale=None):
        require_float64()
        self.problem, self.n_shards = problem, n_shards
        self._finest = problem.metric or problem.nodes_of(problem.data.fineness)
        values = np.asarray(values, dtype=float)
        about = values[: len(problem.names)]
        self.coordinates = Coordinates(problem.names, problem.experiment.time, bounds, fixed, about)
        scaling = problem.scaling
        self.names = [*self.coordinates.free, "noise_scale", *scaling.names]
        # Scaling coefficients: constant terms share the prior of contrast and offset, harmonics vary about zero.
        mean, sd = prior_normal(["contrast", "offset"])
        origin = values[len(problem.names) :]
        self._shard = ShardDensity(
            nodes=problem.nodes,
            coordinates=self.coordinates,
            scaling=scaling,
            weight=problem.weight,
            pairs=problem.data.y_moments[:, 0],
            y_moments=problem.y_moments,
            data_mean=problem.data.centre,
            n_shards=n_shards,
            origin=origin,
            centred_origin=origin - np.outer([0.0, problem.data.centre], scaling.constant).ravel(),
            prior_mean=np.outer(mean, scaling.constant).ravel(),
            prior_precision=np.repeat(sd**-2.0, scaling.basis.shape[1]) / n_shards,
            groups=ScalingGroups.of(scaling),
        )
        self.centre, precision, prior = self._laplace(values, noise_scale)
        self.anchor = (n_shards - 1) * precision
        whitening = np.linalg.inv(np.linalg.cholesky(precision))
        self.determined = bool(np.linalg.eigvalsh(whitening @ prior @ whitening.T).max() < _MOST_OF_PRIOR)
        n = len(self.coordinates.free) + 1
        size, scaled = unit_diagonal(n_shards * precision)
        value, vector = np.linalg.eigh(np.linalg.inv(scaled)[:n, :n])
        factor, whitening = vector * np.sqrt(value) / size[:n, None], vector.T / np.sqrt(value)[:, None] * size[:n]
        density = Density(self._shard, self.centre, self.anchor, factor, whitening)

        def expected(number, reach, seed):
            z = reach * np.random.default_rng(seed).standard_normal((number, n))
            return np.array([density.place(row) for row in z])

        self.density = self._close(density, expected)

    def _laplace(self, values, noise_scale):
        """Centre of the posterior of all data, precision of the shard's own, and the prior's part of it: (P4)."""
        coordinates, params, n = self.coordinates, values[: len(self.problem.names)], len(self.coordinates.free) + 1

        def at(x):
            *information, noise2 = self._information(x, noise_scale)
            x[-1] = 0.5 * np.log(noise2)
            return x, *information

        x, precision, prior, gradient = at(coordinates.from_params(params))
        variance = np.diag(np.linalg.inv(unit_diagonal(precision)[1])) / np.diag(precision)
        # The fitted value of a coordinate that the data do not determine is chance, or lies on a bound.
        undetermined = (variance * np.diag(prior) > _MOST_OF_PRIOR)[: n - 1]
        if undetermined.any():
            x, precision, prior, gradient = at(coordinates.from_params(params, undetermined))
        # Shards of one record need a common centre, which one shard alone cannot find.
        if self.n_shards == 1 and self._strays(params, x):
            slower = np.where(coordinates.flow_rate, 0.1 * x, x)
            x, precision, prior, gradient = at(climb(self._of_least_squares(), [x, slower]))
        scaling, pull = values[len(params) :], np.zeros(len(self.names))
        pull[: n - 1] = gradient[: n - 1]
        pull[n:] = self.n_shards * self._shard.prior_precision * (self._shard.prior_mean - scaling)
        size, scaled = np.sqrt(self.n_shards * np.diag(precision)), unit_diagonal(precision)[1]
        step = np.linalg.solve(scaled, pull / size)
        length = np.sqrt(step @ scaled @ step)
        step = step / size * min(1.0, _LONGEST_STEP / max(length, _LONGEST_STEP))
        return np.append(x, scaling) + step, precision, prior

    def _of_least_squares(self) -> ShardDensity:
        """The density on nodes in whose neighbourhood that of another metric has its mode."""
        data = self.problem.data
        return replace(self._shard, nodes=self.problem.nodes, weight=data.sigma**-2.0, y_moments=data.y_moments)

    def _strays(self, params, x) -> bool:
        """Whether χ² is far higher at the coordinates of a fit than at the fit, as when its shear rate changes sign."""
        rise = self.problem.cost(params_of_draws(self.coordinates, x[None])[0]) - self.problem.cost(params)
        return rise > _STRAY * np.exp(2.0 * x[-1])

    def _information(self, x, noise_scale):
        """Precision of the shard's own at x, the prior's part of it, gradient of the log prior, variance of the noise."""
        problem, n = self.problem, len(self.coordinates.free) + 1
        slopes, gradient, curvature = (np.asarray(part) for part in derivatives(self.coordinates, x))
        equations = problem.normal_equations(params_of_draws(self.coordinates, x[None])[0])
        noise2 = equations.chi2 / problem.n_points if noise_scale is None else noise_scale**2
        if not (np.isfinite(noise2) and noise2 > 0 and np.isfinite(equations.hessian).all()):
            raise ValueError(
                "the model gives no finite numbers at the fit; fit again, or check bounds and fixed values."
            )
        p, d = len(problem.names), len(self.names)
        chain = np.zeros((len(equations.hessian), d))
        chain[:p, : n - 1], chain[p:, n:] = slopes[:, : n - 1], np.eye(d - n)
        precision = chain.T @ equations.hessian @ chain / noise2
        precision[n - 1, n - 1] = 2 * problem.n_points
        prior = np.zeros((d, d))
        prior[:n, :n] = map_eigenvalues(-curvature, lambda value: np.maximum(value, _LEAST_CURVATURE)) / self.n_shards
        prior[n:, n:] = np.diag(self._shard.prior_precision)
        return precision + prior, prior, gradient, noise2

    def moved_to(self, x) -> ShardPosterior:
        """The same posterior on nodes that are close to the finest where its draws are, and not where they were expected.

        Parameters
        ----------
        x : array_like, shape (n_chains, n_draws, d)

        Returns
        -------
        ShardPosterior
        """
        x = np.reshape(x, (-1, np.shape(x)[-1]))[:, : len(self.density.factor)]
        mean = x.mean(axis=0)

        def found(number, reach, seed):
            return mean + reach * (np.random.default_rng(seed).choice(x, number) - mean)

        moved = copy(self)
        moved.density = self._close(self.density, found)
        return moved

    def _close(self, density: Density, law: _Law) -> Density:
        """The density on the coarsest nodes that are close to the finest at draws of a law."""
        x = law(_N_TRIALS, 1.0, 0)
        params = params_of_draws(self.coordinates, x)
        wanted = _log_densities(density, x, self._finest.sums_of_many(params))
        near = ~(wanted < wanted.max() - _FAR)
        for nodes in self._ladder(law):
            actual = _log_densities(density, x, nodes.sums_of_many(params))
            if np.ptp((actual - wanted)[near]) < _CLOSE:
                return replace(density, shard=replace(self._shard, nodes=nodes))
        # Snapshots do not give the density of every point; how much that matters the weights of draws show.
        return replace(density, shard=replace(self._shard, nodes=nodes if self.problem.metric else self._finest))

    def _ladder(self, law: _Law) -> Iterator[Nodes | Span]:
        """Nodes from coarse to fine, or snapshots of the metric from few to many."""
        if self.problem.metric is None:
            yield from (self.problem.nodes_of(fineness) for fineness in _FINENESS)
            return
        for number in _SNAPSHOTS:
            yield make_span(self.problem, params_of_draws(self.coordinates, law(number, _REACH, 1)))

    def node_share(self, x) -> float:
        """How many draws count where each is weighed by the density of the finest nodes over that of the nodes in use.

        Parameters
        ----------
        x : array_like, shape (n_chains, n_draws, d)
            Draws, of which some are weighed.

        Returns
        -------
        float
            Effective number over number: 1 where the densities are the same.
        """
        x = np.reshape(x, (-1, np.shape(x)[-1]))[:, : len(self.density.factor)]
        x = x[:: max(1, len(x) // _WEIGHED[self.problem.metric is not None])]
        params = params_of_draws(self.coordinates, x)
        finest, actual = (
            _log_densities(self.density, x, nodes.sums_of_many(params))
            for nodes in (self._finest, self.density.shard.nodes)
        )
        weights = np.exp(finest - actual - np.max(finest - actual))
        return float(weights.sum() ** 2 / (len(weights) * np.sum(weights**2)))

"""Jumps of a chain to anywhere, for what the data leave open.

Where a flow may be absent, its exponent, share and direction are free while its rate is small, and bound while it is not:
a funnel, into whose corners steps along the gradient seldom find, and seldom out. Two kinds of independent proposals
(Tierney 1994) cross it: whole points from a t law that has the moments of the chain's own past, and the shape of the flow
from the prior. Each is accepted with the odds that leave the density as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from homodyne_lib.posterior import COMPILER, ShardPosterior

__all__ = ["Jumps", "Law"]

# Proposals of a series; each costs as much as half a gradient.
_SERIES = 10
# Heavier tails than the density has, at little cost in the middle.
_DEGREES_OF_FREEDOM = 7


class Law(NamedTuple):
    """Where a t law proposes: mean, shape (n,), and Cholesky factor of the covariance, shape (n, n)."""

    mean: np.ndarray
    factor: np.ndarray

    @classmethod
    def of(cls, draws) -> Law:
        """The law with the moments of draws, shape (n_draws, n), and of as many as n of the standard normal one."""
        n_draws, n = draws.shape
        total = n_draws + n
        mean = draws.sum(axis=0) / total
        return cls(mean, np.linalg.cholesky((draws.T @ draws + n * np.eye(n)) / total - np.outer(mean, mean)))


class Jumps:
    """Series of jumps, compiled once for all chains.

    Parameters
    ----------
    posterior : ShardPosterior
    potential : callable
        -log density at whitened coordinates z, up to a constant.
    """

    def __init__(self, posterior: ShardPosterior, potential):
        self._coordinates = posterior.coordinates
        self._series = jax.jit(_series_of(posterior, potential), compiler_options=COMPILER)

    def __call__(self, state, law: Law, rng):
        """Take a state of NUTS through a series of proposals."""
        tail = np.sqrt(rng.chisquare(_DEGREES_OF_FREEDOM, _SERIES) / _DEGREES_OF_FREEDOM)
        t = rng.standard_normal((_SERIES, law.mean.size)) / tail[:, None]
        prior = self._coordinates.prior_draws(_SERIES, rng)
        chances = rng.random((2, _SERIES))
        z, energy, slope = self._series(state.z, state.potential_energy, *law, t, prior, *chances)
        return state._replace(z=z, potential_energy=energy, z_grad=slope)


def _series_of(posterior, potential):
    coordinates, inverse = posterior.coordinates, np.linalg.inv(posterior.factor)

    def t_density(t):
        return -0.5 * (_DEGREES_OF_FREEDOM + t.size) * jnp.log1p(t @ t / _DEGREES_OF_FREEDOM)

    def series(z, energy, mean, factor, t, prior, kinds, chances):
        def propose(state, proposal):
            z, energy = state
            t, prior, kind, chance = proposal
            x = posterior.place(z)
            y = jnp.where(coordinates.flow_shape, prior, x)
            drawn = coordinates.log_prior(x) - coordinates.log_prior(y)
            drawn_t = t_density(solve_triangular(factor, z - mean, lower=True)) - t_density(t)
            from_prior = kind < 0.5
            new = jnp.where(from_prior, z + inverse @ (y - x), mean + factor @ t)
            there = potential(new)
            accepted = jnp.log(chance) < energy - there + jnp.where(from_prior, drawn, drawn_t)
            return (jnp.where(accepted, new, z), jnp.where(accepted, there, energy)), None

        (z, _), _ = jax.lax.scan(propose, (z, energy), (t, prior, kinds, chances))
        return z, *jax.value_and_grad(potential)(z)

    return series

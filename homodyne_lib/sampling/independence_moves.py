"""Jumps of a chain between distant points, for directions that the data do not determine.

Where a flow may be absent, its exponent, share and direction are free while its rate is small, and determined while it is
large. The density then has the shape of a funnel, in whose corners steps along the gradient get stuck. Two kinds of
independent proposals (Tierney 1994) cross the funnel: whole points from a t law with the moments of the chain's own past, and
the shape of the flow from the prior. The Metropolis-Hastings rule accepts each, so that the density stays exact.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from homodyne_lib.sampling.coordinates import Coordinates
from homodyne_lib.sampling.density import Density

__all__ = ["Law", "Proposed", "jump", "proposed"]

# Number of proposals in a series; each costs as much as half a gradient.
_SERIES = 10
# The tails are heavier than those of the density, so that no region is missed.
_DEGREES_OF_FREEDOM = 7


class Law(NamedTuple):
    """Mean, shape (n,), and Cholesky factor of the covariance, shape (n, n), of the t law that proposes."""

    mean: np.ndarray
    factor: np.ndarray

    @classmethod
    def of(cls, draws) -> Law:
        """The law with the moments of draws, shape (n_draws, n), and of n more with mean 0 and covariance 1."""
        n_draws, n = draws.shape
        total = n_draws + n
        mean = draws.sum(axis=0) / total
        return cls(mean, np.linalg.cholesky((draws.T @ draws + n * np.eye(n)) / total - np.outer(mean, mean)))


class Proposed(NamedTuple):
    """Random numbers of series of proposals; the leading axes are draws and the proposals of a series.

    Attributes
    ----------
    t : ndarray, shape (..., n)
        Of the t law with mean 0 and scale 1.
    prior : ndarray, shape (..., n)
        Coordinates drawn from the prior.
    kind, chance : ndarray, shape (...)
        Uniform numbers, by which kind and acceptance are decided.
    """

    t: np.ndarray
    prior: np.ndarray
    kind: np.ndarray
    chance: np.ndarray


def proposed(coordinates: Coordinates, shape: tuple[int, ...], rng: np.random.Generator) -> Proposed:
    """Random numbers for an array of series of that shape."""
    n, shape = len(coordinates.free) + 1, (*shape, _SERIES)
    tail = np.sqrt(rng.chisquare(_DEGREES_OF_FREEDOM, shape) / _DEGREES_OF_FREEDOM)
    t = rng.standard_normal((*shape, n)) / tail[..., None]
    prior = coordinates.prior_draws(tail.size, rng).reshape(t.shape)
    return Proposed(t, prior, *rng.random((2, *shape)))


def _t_density(t):
    return -0.5 * (_DEGREES_OF_FREEDOM + t.size) * jnp.log1p(t @ t / _DEGREES_OF_FREEDOM)


def jump(density: Density, potential, state, law: Law, series: Proposed):
    """Take a state of NUTS through a series of proposals; traced by JAX.

    Parameters
    ----------
    density : Density
    potential : callable
        Minus the log density at whitened coordinates z, up to a constant.
    state : numpyro.infer.hmc.HMCState
    law : Law
    series : Proposed
        For one draw.

    Returns
    -------
    numpyro.infer.hmc.HMCState
    """
    coordinates = density.shard.coordinates

    def propose(at, proposal):
        z, energy = at
        t, prior, kind, chance = proposal
        x = density.place(z)
        y = jnp.where(coordinates.flow_shape, prior, x)
        odds = coordinates.log_prior(x) - coordinates.log_prior(y)
        odds_t = _t_density(solve_triangular(law.factor, z - law.mean, lower=True)) - _t_density(t)
        from_prior = kind < 0.5
        new = jnp.where(from_prior, z + density.whitening @ (y - x), law.mean + law.factor @ t)
        new_energy = potential(new)
        accepted = jnp.log(chance) < energy - new_energy + jnp.where(from_prior, odds, odds_t)
        return (jnp.where(accepted, new, z), jnp.where(accepted, new_energy, energy)), None

    (z, _), _ = jax.lax.scan(propose, (state.z, state.potential_energy), series)
    energy, slope = jax.value_and_grad(potential)(z)
    # A jump changes the position and not the momentum.
    total = state.energy - state.potential_energy + energy
    return state._replace(z=z, potential_energy=energy, energy=total, z_grad=slope)

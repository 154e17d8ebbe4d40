"""Unconstrained coordinates in which a posterior is nearly normal.

Amplitude, exponent and offset of a rate are strongly entangled: D0 is D extrapolated to 1 s, wherever the record lies, and
an offset matters only beside the amplitude. What the data see is a rate R typical of the record, its exponent, and the
share of the power law in R.

* Diffusion: R is D at the geometric mean of the times, and its coordinate is log R, mapped onto its bounds by a logistic
  curve. The exponent is sampled times the share: their product, the slope of log R, is what the data see where D hardly
  changes.
* Shear: R is the mean of the shear rate, the strain of the record over its duration, because a flow may hardly be seen, and
  then all that the data bound is the strain. As the sinc is even, R is the size of a signed rate that crosses zero freely.

Exponents and φ0 have logistic curves too. The share is sampled by its logarithm, which is 0 without offset. One more
coordinate, log s, multiplies the noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jax.nn import log_sigmoid, sigmoid
from scipy.special import logit, ndtr, ndtri

from homodyne_lib.parameter_scales import prior_normal, search_bounds, to_search_scale
from homodyne_lib.physics_utils import power_law

__all__ = ["Coordinates"]

_RATES = (("D0", "alpha", "D_offset"), ("gamma_dot_t0", "beta", "gamma_dot_t_offset"))
_SHEAR_RATE = _RATES[1][0]
# A value keeps this distance from its bounds, as a share of the width, as the logistic curve ends at infinity, and its rate
# has at most this share of offset or power law; the second of each where the value means little.
_INSIDE = (1e-4, 0.02)
_SHARE = (100.0, 3.0)
# Rates [1/s] that records can show are larger by far.
_LEAST_RATE = 1e-30
# Width of the prior of the log share.
_SHARE_SD = 0.5


class Coordinates:
    """Map between physical parameters and x = (one coordinate for each free parameter, log s).

    Parameters
    ----------
    names : sequence of str
        All physical parameters, in order.
    time : array_like, shape (n_t,)
        Floored time axis [s].
    bounds : mapping of str to (float, float), optional
        Narrower bounds [units of the parameter table].
    fixed : mapping of str to float, optional
        Parameters held at a value.

    Attributes
    ----------
    free : list of str
        Parameters that are not held, in order.
    flow_shape : ndarray of bool, shape (n_free + 1,)
        Coordinates that mean nothing where the shear rate is zero.

    Raises
    ------
    ValueError
        If a bound is reversed or outside the table's.
    """

    def __init__(
        self,
        names: Sequence[str],
        time,
        bounds: Mapping | None = None,
        fixed: Mapping | None = None,
    ):
        self.names, self.fixed, self.time = list(names), dict(fixed or {}), np.asarray(time, dtype=float)
        self.free = [name for name in self.names if name not in self.fixed]
        self.free_index = [self.names.index(name) for name in self.free]
        self.lower, self.upper = search_bounds(self.free, bounds)
        self._prior = prior_normal(self.free)
        self._rates = [rate for rate in _RATES if rate[0] in self.names]
        # An offset is told by the share of the power law, unless the amplitude is held and the offset stands alone.
        self._by_share = [off for amp, _, off in self._rates if amp in self.free and off in self.free]
        self._folded = self.free.index(_SHEAR_RATE) if _SHEAR_RATE in self.free else None
        self._shear_range = (
            np.exp([self.lower[self._folded], self.upper[self._folded]]) if _SHEAR_RATE in self.free else None
        )
        flow = (*_RATES[1][1:], "phi0") if _SHEAR_RATE in self.free else ()
        self.flow_shape = np.array([*(name in flow for name in self.free), False])
        self._logistic = np.array([name not in (*self._by_share, _SHEAR_RATE) for name in self.free], dtype=bool)
        # (exponent, share) of the diffusion among the coordinates, where both are free. A flow may not be seen at all, and
        # its exponent and share are then as independent as the prior has them.
        self._slopes = [
            (self.free.index(exponent), self.free.index(offset))
            for _, exponent, offset in self._rates[:1]
            if offset in self._by_share and exponent in self.free
        ]

    def _growth(self, amplitude: str, exponent):
        """The typical rate R of a power law of amplitude 1, from exponents of shape (...)."""
        if amplitude == _SHEAR_RATE:
            return power_law(self.time, 1.0, exponent[..., None]).mean(axis=-1)
        return power_law(np.exp(np.log(self.time).mean()), 1.0, exponent)

    def _unscaled(self, x):
        """Coordinates of the free parameters, each exponent freed of the share of its power law."""
        u = jnp.asarray(x)[..., : len(self.free)]
        for exponent, share in self._slopes:
            u = u.at[..., exponent].multiply(jnp.exp(-u[..., share]))
        return u

    def _values(self, x):
        """Coordinates by name, logistic ones on the search scale of their interval."""
        u = self._unscaled(x)
        inside = self.lower + (self.upper - self.lower) * sigmoid(u)
        values = {name: (inside if self._logistic[k] else u)[..., k] for k, name in enumerate(self.free)}
        if self._folded is not None:
            low, high = self._shear_range
            values[_SHEAR_RATE] = 0.5 * jnp.log(low**2 + (high**2 - low**2) * jnp.tanh(u[..., self._folded]) ** 2)
        return values

    def params(self, x):
        """All physical parameters [units of the parameter table]; shape (..., p) from (..., n_free + 1)."""
        values, result = self._values(x), {}
        for amplitude, exponent, offset in self._rates:
            power = values[exponent] if exponent in values else jnp.asarray(self.fixed[exponent])
            growth = self._growth(amplitude, power)
            if offset in self._by_share:
                rate, share = jnp.exp(values[amplitude]), jnp.exp(values[offset])
                result |= {amplitude: share * rate / growth, offset: (1.0 - share) * rate}
            elif amplitude in values:
                result[amplitude] = jnp.exp(values[amplitude]) / growth
        everything = self.fixed | values | result
        return jnp.stack([jnp.broadcast_to(everything[name], x.shape[:-1]) for name in self.names], axis=-1)

    def from_params(self, params, cautious=False) -> np.ndarray:
        """Coordinates of physical parameters with s = 1.

        Parameters
        ----------
        params : array_like, shape (p,)
            In the units of the parameter table.
        cautious : array_like of bool, shape (n_free,), or bool
            Where the value means little: it is pulled 2 % of its interval inside of the bounds, and a share to within a
            factor of three of a rate without offset.

        Returns
        -------
        ndarray, shape (n_free + 1,)
        """
        cautious = np.broadcast_to(cautious, len(self.free)).astype(int)
        given = dict(zip(self.names, np.asarray(params, dtype=float), strict=True))
        target = {name: to_search_scale([name], np.array([value]))[0] for name, value in given.items()}
        shares = {}
        for amplitude, exponent, offset in self._rates:
            rate = growing = given[amplitude] * self._growth(amplitude, np.asarray(given[exponent]))
            if offset in self._by_share:
                limit, rate = _SHARE[cautious[self.free.index(offset)]], growing + given[offset]
                # A mean shear rate has no sign; a diffusion coefficient is positive.
                rate = max(abs(rate), _LEAST_RATE) if amplitude == _SHEAR_RATE else max(rate, growing / limit)
                shares[offset] = np.log(np.clip(growing / rate, 1 / limit, limit))
            target[amplitude] = np.log(rate)
        inside = (np.array([target[name] for name in self.free]) - self.lower) / (self.upper - self.lower)
        margin = np.array(_INSIDE)[cautious]
        inside = np.clip(inside, margin, 1 - margin)
        u = logit(inside)
        x = np.array([shares[n] if n in self._by_share else u[k] for k, n in enumerate(self.free)])
        if self._folded is not None:
            low, high = self._shear_range
            rate = np.exp((self.lower + inside * (self.upper - self.lower))[self._folded])
            x[self._folded] = np.arctanh(np.sqrt((rate**2 - low**2) / (high**2 - low**2)))
        for exponent, share in self._slopes:
            x[exponent] *= np.exp(x[share])
        return np.append(x, 0.0)

    def log_prior(self, x):
        """Log prior density of the coordinates, up to a constant.

        The parameter table gives: log R of the diffusion, exponents and φ0 normal about the middle of their interval with a
        quarter of its width; the signed shear rate R uniform up to the upper bound, as it may be zero, and an upper limit
        must not hang on how many decades lie below. Chosen besides: the log share normal about 0 with sd 0.5, which keeps
        chains moving where an offset is not seen and narrows D0 and D_offset there; log s standard normal.

        Parameters
        ----------
        x : array, shape (n_free + 1,)
        """
        u, values, (mean, sd) = self._unscaled(x), self._values(x), self._prior
        inside = jnp.stack([values[name] for name in self.free])
        normal = jnp.where(self._logistic, ((inside - mean) / sd) ** 2, (u / _SHARE_SD) ** 2)
        uniform = np.array([name == _SHEAR_RATE for name in self.free])
        normal = jnp.where(uniform, 4.0 * jnp.log(jnp.cosh(u)), normal)
        bend = jnp.where(self._logistic, log_sigmoid(u) + log_sigmoid(-u), 0.0)
        volume = sum(-u[share] for _, share in self._slopes)
        return jnp.sum(bend) + volume - 0.5 * (jnp.sum(normal) + x[-1] ** 2)

    def prior_draws(self, n_draws: int, seed: int | np.random.Generator = 0) -> np.ndarray:
        """Coordinates drawn from :meth:`log_prior`, shape (n_draws, n_free + 1)."""
        rng, n_free = np.random.default_rng(seed), len(self.free)
        mean, sd = self._prior
        # Normal between the bounds, by the inverse of its distribution function.
        low, high = (ndtr((bound - mean) / sd) for bound in (self.lower, self.upper))
        inside = mean + sd * ndtri(low + (high - low) * rng.random((n_draws, n_free)))
        x = rng.standard_normal((n_draws, n_free + 1))
        u = logit((inside - self.lower) / (self.upper - self.lower))
        x[:, :n_free] = np.where(self._logistic, u, _SHARE_SD * x[:, :n_free])
        if self._folded is not None:
            x[:, self._folded] = np.arctanh(rng.uniform(-1.0, 1.0, n_draws))
        for exponent, share in self._slopes:
            x[:, exponent] *= np.exp(x[:, share])
        return x

    def natural_draws(self, x, scaling_names: Sequence[str]) -> dict[str, np.ndarray]:
        """Draws by name in the units of the parameter table.

        Parameters
        ----------
        x : array_like, shape (n_chains, n_draws, n_free + 1 + n_scaling)
        scaling_names : sequence of str, length n_scaling

        Returns
        -------
        dict of str to ndarray, shape (n_chains, n_draws)
            Free physical parameters, ``noise_scale``, scaling coefficients.
        """
        n_free = len(self.free)
        params = np.asarray(self.params(jnp.asarray(x[..., : n_free + 1])))
        free = {name: params[..., k] for name, k in zip(self.free, self.free_index, strict=True)}
        rest = np.moveaxis(np.asarray(x)[..., n_free + 1 :], -1, 0)
        return free | {"noise_scale": np.exp(np.asarray(x)[..., n_free])} | dict(zip(scaling_names, rest, strict=True))

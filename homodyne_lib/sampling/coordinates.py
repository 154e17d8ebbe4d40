"""Unconstrained coordinates in which a posterior is nearly normal: (P8) to (P11) of docs/posterior.md.

Amplitude, exponent and offset of a rate are strongly correlated: D0 is D extrapolated to 1 s, wherever the record lies, and
an offset matters only relative to the amplitude. The data determine a rate R typical of the record, its exponent, and the
share of the power law in R. There are four kinds of coordinates:

* ``logistic``: log R of the diffusion, where R is D at the geometric mean of the times, and exponents. A logistic curve maps
  them onto their bounds. The exponent of the diffusion is sampled times the share: the data determine this product, the slope
  of log R, where D hardly changes.
* ``shear``: the mean of the shear rate, which is the strain of the record over its duration. A flow may hardly be seen, and
  the data then limit only the strain. As the sinc is even, R is the size of a signed rate that passes through zero.
* ``share``: the logarithm of the share of the power law in R, which is 0 without offset.
* ``circle``: φ0, whose prior is uniform. Its coordinate is the one in which a uniform number is a standard normal one.
  Where φ0 may have any direction, its interval is a half circle about the fit, so that draws come near the ends only if
  they fill it.

One more coordinate, log s, multiplies the noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_sigmoid, sigmoid
from jax.scipy.special import ndtr as normal_cdf
from jax.tree_util import register_pytree_node_class
from scipy.special import logit, ndtr, ndtri

from homodyne_lib.model.backend import array_namespace
from homodyne_lib.model.curves import CURVES
from homodyne_lib.model.parameters import PARAMETERS
from homodyne_lib.model.rates import power_law
from homodyne_lib.model.scales import nearest_image, prior_normal, search_bounds, to_search_scale, without_ends
from homodyne_lib.sampling.compilation import RUN_SELDOM, over_draws

__all__ = ["Coordinates", "derivatives", "params_of_draws"]

_RATES = tuple(names for _, names in CURVES.values())
_SHEAR_RATE = _RATES[1][0]
# A start keeps the first distance from its bounds, as a share of the width, because there the logistic curve is infinite;
# its share is at most the second number, and at least the inverse. Each second entry is for values that the data do not
# determine.
_MARGINS = (1e-4, 0.02)
_LARGEST_SHARES = (100.0, 3.0)
_LEAST_RATE = 1e-30  # [1/s], far below any rate that a record can show
_SHARE_SD = 0.5  # of the prior of the log share


@register_pytree_node_class
class Coordinates:
    """Map between physical parameters and x = (one coordinate for each free parameter, log s).

    A pytree of JAX: compiled programs depend on names, and take bounds, times and values that are held as arguments.

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
    about : array_like, shape (p,), optional
        Physical parameters of the fit [units of the parameter table], about which an interval of a whole period is centred.
        All shards need the same.

    Attributes
    ----------
    free : list of str
        Parameters that are not held, in order.
    flow_shape : ndarray of bool, shape (n_free + 1,)
        Coordinates that have no effect where the shear rate is zero.
    flow_rate : ndarray of bool, shape (n_free + 1,)
        The coordinate of the shear rate.

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
        about=None,
    ):
        self.fixed, self.time = dict(fixed or {}), np.asarray(time, dtype=float)
        self._name(names)
        self.lower, self.upper = search_bounds(self.free, bounds)
        if about is not None:
            endless = without_ends(self.free, self.lower, self.upper)
            turn = np.where(endless, np.asarray(about)[self.free_index] - 0.5 * (self.lower + self.upper), 0.0)
            self.lower, self.upper = self.lower + turn, self.upper + turn

    def _name(self, names) -> None:
        """Set what follows from the names of parameters, and of those that are held."""
        self.names = list(names)
        self.free = [name for name in self.names if name not in self.fixed]
        self.free_index = [self.names.index(name) for name in self.free]
        self._prior = prior_normal(self.free)
        self._rates = [rate for rate in _RATES if rate[0] in self.names]
        # The offset is sampled as a share only where the amplitude is free too.
        self._shares = [off for amp, _, off in self._rates if amp in self.free and off in self.free]
        self._kind = np.array([self._kind_of(name) for name in self.free])
        has_flow = _SHEAR_RATE in self.free
        self._shear = self.free.index(_SHEAR_RATE) if has_flow else None
        self.flow_shape = np.array([*(has_flow and name in (*_RATES[1][1:], "phi0") for name in self.free), False])
        self.flow_rate = np.array([*(name == _SHEAR_RATE for name in self.free), False])
        # Places of the exponent and share of the diffusion, where both are free. The exponent of a shear rate is not sampled
        # times its share: where no flow is seen, the two are as independent as in the prior.
        self._exponent_and_share = [
            (self.free.index(exponent), self.free.index(offset))
            for _, exponent, offset in self._rates[:1]
            if offset in self._shares and exponent in self.free
        ]

    def tree_flatten(self):
        """Numbers, and names, for JAX."""
        return (self.fixed, self.time, self.lower, self.upper), tuple(self.names)

    @classmethod
    def tree_unflatten(cls, names, numbers) -> Coordinates:
        """Join names and numbers, or what JAX has in their place."""
        new = object.__new__(cls)
        new.fixed, new.time, new.lower, new.upper = numbers
        new._name(names)
        return new

    def _shear_range(self):
        """Least and largest shear rate [1/s]."""
        xp = array_namespace(self.lower)
        return xp.exp(self.lower[self._shear]), xp.exp(self.upper[self._shear])

    def _kind_of(self, name: str) -> str:
        if name in self._shares or name == _SHEAR_RATE:
            return "share" if name in self._shares else "shear"
        return "circle" if np.isfinite(PARAMETERS[name].period) else "logistic"

    def _growth(self, amplitude: str, exponent):
        """The typical rate R of a power law of amplitude 1, from exponents of shape (...)."""
        if amplitude == _SHEAR_RATE:
            return power_law(self.time, 1.0, exponent[..., None]).mean(axis=-1)
        xp = array_namespace(self.time)
        return power_law(xp.exp(xp.log(self.time).mean()), 1.0, exponent)

    def _unscaled(self, x):
        """Coordinates of the free parameters, with the exponent of the diffusion divided by the share (P9)."""
        u = jnp.asarray(x)[..., : len(self.free)]
        for exponent, share in self._exponent_and_share:
            u = u.at[..., exponent].multiply(jnp.exp(-u[..., share]))
        return u

    def _values(self, x):
        """Coordinates by name; those with an interval as values on the search scale (P8)."""
        u = self._unscaled(x)
        inside = self.lower + (self.upper - self.lower) * jnp.where(self._kind == "circle", normal_cdf(u), sigmoid(u))
        values = {
            name: (u if self._kind[k] in ("share", "shear") else inside)[..., k] for k, name in enumerate(self.free)
        }
        if self._shear is not None:
            low, high = self._shear_range()
            values[_SHEAR_RATE] = 0.5 * jnp.log(low**2 + (high**2 - low**2) * jnp.tanh(u[..., self._shear]) ** 2)
        return values

    def params(self, x):
        """All physical parameters [units of the parameter table] (P10); shape (..., p) from (..., n_free + 1)."""
        values, result = self._values(x), {}
        for amplitude, exponent, offset in self._rates:
            power = values[exponent] if exponent in values else jnp.asarray(self.fixed[exponent])
            growth = self._growth(amplitude, power)
            if offset in self._shares:
                rate, share = jnp.exp(values[amplitude]), jnp.exp(values[offset])
                result |= {amplitude: share * rate / growth, offset: (1.0 - share) * rate}
            elif amplitude in values:
                result[amplitude] = jnp.exp(values[amplitude]) / growth
        everything = self.fixed | values | result
        return jnp.stack([jnp.broadcast_to(everything[name], x.shape[:-1]) for name in self.names], axis=-1)

    def from_params(self, params, cautious=False) -> np.ndarray:
        """Coordinates of physical parameters for s = 1.

        Parameters
        ----------
        params : array_like, shape (p,)
            In the units of the parameter table.
        cautious : array_like of bool, shape (n_free,), or bool
            Which values the data do not determine: moved to 2 % of their interval from the bounds, a share to 1/3 to 3.

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
            if offset in self._shares:
                limit, rate = _LARGEST_SHARES[cautious[self.free.index(offset)]], growing + given[offset]
                # A mean shear rate has no sign; a diffusion coefficient is positive.
                rate = max(abs(rate), _LEAST_RATE) if amplitude == _SHEAR_RATE else max(rate, growing / limit)
                shares[offset] = np.log(np.clip(growing / rate, 1 / limit, limit))
            target[amplitude] = np.log(rate)
        values = np.array([target[name] for name in self.free])
        values = nearest_image(self.free, values, 0.5 * (self.lower + self.upper))
        inside = (values - self.lower) / (self.upper - self.lower)
        margin = np.array(_MARGINS)[cautious]
        inside = np.clip(inside, margin, 1 - margin)
        u = np.where(self._kind == "circle", ndtri(inside), logit(inside))
        x = np.array([shares[n] if n in self._shares else u[k] for k, n in enumerate(self.free)])
        if self._shear is not None:
            low, high = self._shear_range()
            rate = np.exp((self.lower + inside * (self.upper - self.lower))[self._shear])
            x[self._shear] = np.arctanh(np.sqrt((rate**2 - low**2) / (high**2 - low**2)))
        for exponent, share in self._exponent_and_share:
            x[exponent] *= np.exp(x[share])
        return np.append(x, 0.0)

    def log_prior(self, x):
        """Log prior density of the coordinates, up to a constant (P11).

        From the parameter table follow: log R of the diffusion and exponents, normal about the middle of their interval
        with a quarter of its width; φ0, uniform; the signed shear rate R, uniform up to the upper bound. It may be zero,
        and an upper limit must not depend on the number of decades below it. Chosen besides: the log share, normal about 0
        with sd 0.5, which lets chains move where an offset is not seen, and narrows D0 and D_offset there; log s, standard
        normal.

        Parameters
        ----------
        x : array, shape (n_free + 1,)
        """
        u, values, (mean, sd) = self._unscaled(x), self._values(x), self._prior
        inside, logistic = jnp.stack([values[name] for name in self.free]), self._kind == "logistic"
        square = jnp.where(logistic, ((inside - mean) / sd) ** 2, (u / _SHARE_SD) ** 2)
        square = jnp.where(
            self._kind == "shear", 4.0 * jnp.log(jnp.cosh(u)), jnp.where(self._kind == "circle", u**2, square)
        )
        log_slope = jnp.where(logistic, log_sigmoid(u) + log_sigmoid(-u), 0.0)
        log_volume = sum(-u[share] for _, share in self._exponent_and_share)
        return jnp.sum(log_slope) + log_volume - 0.5 * (jnp.sum(square) + x[-1] ** 2)

    def prior_draws(self, n_draws: int, seed: int | np.random.Generator = 0) -> np.ndarray:
        """Coordinates drawn from :meth:`log_prior`, shape (n_draws, n_free + 1)."""
        rng, n_free = np.random.default_rng(seed), len(self.free)
        mean, sd = self._prior
        # Normal between the bounds, by the inverse of its distribution function.
        low, high = (ndtr((bound - mean) / sd) for bound in (self.lower, self.upper))
        inside = mean + sd * ndtri(low + (high - low) * rng.random((n_draws, n_free)))
        x = rng.standard_normal((n_draws, n_free + 1))
        u = logit((inside - self.lower) / (self.upper - self.lower))
        sds = np.where(self._kind == "circle", 1.0, _SHARE_SD)
        x[:, :n_free] = np.where(self._kind == "logistic", u, sds * x[:, :n_free])
        if self._shear is not None:
            x[:, self._shear] = np.arctanh(rng.uniform(-1.0, 1.0, n_draws))
        for exponent, share in self._exponent_and_share:
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
        params = params_of_draws(self, np.reshape(x, (-1, np.shape(x)[-1]))[:, : n_free + 1])
        params = params.reshape(*np.shape(x)[:-1], -1)
        free = {name: params[..., k] for name, k in zip(self.free, self.free_index, strict=True)}
        rest = np.moveaxis(np.asarray(x)[..., n_free + 1 :], -1, 0)
        return free | {"noise_scale": np.exp(np.asarray(x)[..., n_free])} | dict(zip(scaling_names, rest, strict=True))


params_of_draws = over_draws(lambda coordinates, x: coordinates.params(x))
"""Physical parameters at many coordinates, shape (n, p) from (n, n_free + 1); compiled."""

derivatives = jax.jit(
    lambda coordinates, x: (
        jax.jacfwd(coordinates.params)(x),
        jax.grad(coordinates.log_prior)(x),
        jax.hessian(coordinates.log_prior)(x),
    ),
    compiler_options=RUN_SELDOM,
)
"""Derivatives at x of the parameters, (p, n_free + 1), and first and second ones of the log prior; compiled."""

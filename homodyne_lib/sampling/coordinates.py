"""Unconstrained coordinates in which a posterior is nearly normal: (P8) to (P11) of docs/posterior.md.

Amplitude, exponent and offset of a rate are strongly correlated: D0 is D extrapolated to 1 s, wherever the record lies, and
an offset matters only relative to the amplitude. The data determine a rate R typical of the record, its exponent, and the
share of the power law in R. There are four kinds of coordinates:

* ``logistic``: log R of the diffusion, where R is D at the geometric mean of the times, and exponents. A logistic curve maps
  them onto their bounds. The exponent of the diffusion is sampled times the share: the data determine this product, the slope
  of log R, where D hardly changes. The interval of R is that of D0, wider where the fit is near its ends.
* ``shear``: the mean of the shear rate, which is the strain of the record over its duration. A flow may hardly be seen, and
  the data then limit only the strain. As the sinc is even, R is the size of a signed rate that passes through zero.
* ``share``: the logarithm of the share of the power law in R, which is 0 without offset.
* ``circle``: φ0, whose prior is uniform. Its coordinate is the one in which a uniform number is a standard normal one.
  Where φ0 may have any direction, its interval is a half circle about the fit, so that draws come near the ends only if
  they fill it.

Where the user bounds the amplitude or the offset of a rate, these are limits of the two numbers and of nothing else. Both are
then sampled as they are, each ``logistic`` on its own bounds. One more coordinate, log s, multiplies the noise.
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
# A start keeps the first distance from its bounds, as a share of the width, because there the logistic curve is infinite; its
# share is at most the second number, and at least the inverse. Second entries are for values that are not determined.
_MARGINS = (1e-4, 0.02)
_LARGEST_SHARES = (100.0, 3.0)
_LEAST_SHEAR = 1e-30  # of the largest rate, far below any that a record can show: the prior begins at zero
_BESIDE = 0.125  # of the interval of log R, the least distance of the fit from its ends
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
        Fit [units of the parameter table], about which intervals of whole periods are centred; the same for all shards.

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
        self, names: Sequence[str], time, bounds: Mapping | None = None, fixed: Mapping | None = None, about=None
    ):
        self.fixed, self.time = dict(fixed or {}), np.asarray(time, dtype=float)
        self._name(names, [amp for amp, _, off in _RATES if {amp, off} & {*(bounds or {})} - {*self.fixed}])
        self.lower, self.upper = search_bounds(self.free, bounds)
        if about is None:
            return
        fit = np.asarray(about, dtype=float)
        endless = without_ends(self.free, self.lower, self.upper)
        turn = np.where(endless, fit[self.free_index] - 0.5 * (self.lower + self.upper), 0.0)
        self.lower, self.upper = self.lower + turn, self.upper + turn
        targets = self._targets(fit, np.zeros(len(self.free), dtype=int))[0]
        if (k := self._diffusion) is not None:
            middle = targets[self.free[k]]
            beside = _BESIDE * (self.upper[k] - self.lower[k])
            self.lower[k], self.upper[k] = min(self.lower[k], middle - beside), max(self.upper[k], middle + beside)
        if (k := self._shear) is not None and self._kind[k] == "shear":
            # The mean rate may be above the bound of its value at 1 s.
            self.upper[k] = max(self.upper[k], targets[self.free[k]] + np.log(2.0))

    def _name(self, names, bounded) -> None:
        """Set what follows from the names of parameters, of those that are held, and of rates whose parts are bounded."""
        self.names, self._bounded = list(names), tuple(bounded)
        self.free = [name for name in self.names if name not in self.fixed]
        self.free_index = [self.names.index(name) for name in self.free]
        self._prior = prior_normal(self.free)
        self._rates = [rate for rate in _RATES if rate[0] in self.names and rate[0] not in self._bounded]
        # The offset is sampled as a share only where the amplitude is free too.
        self._shares = [off for amp, _, off in self._rates if amp in self.free and off in self.free]
        self._kind = np.array([self._kind_of(name) for name in self.free])
        # Of log R of the diffusion, and of the mean shear rate, where there are such coordinates.
        places = {amp: self.free.index(amp) for amp, _, _ in self._rates if amp in self.free}
        self._diffusion, self._shear = (places.get(amp) for amp, _, _ in _RATES)
        has_flow = self._shear is not None
        self.flow_shape = np.array([*(has_flow and name in (*_RATES[1][1:], "phi0") for name in self.free), False])
        self.flow_rate = np.array([*(has_flow and name == _SHEAR_RATE for name in self.free), False])
        # Places of the exponent and share of the diffusion, where both are free. The exponent of a shear rate is not sampled
        # times its share: where no flow is seen, the two are as independent as in the prior.
        _, *shape = _RATES[0]
        both = shape[1] in self._shares and shape[0] in self.free
        self._exponent_and_share = [tuple(map(self.free.index, shape))] if both else []

    def tree_flatten(self):
        """Numbers, and names, for JAX."""
        return (self.fixed, self.time, self.lower, self.upper), (tuple(self.names), self._bounded)

    @classmethod
    def tree_unflatten(cls, names, numbers) -> Coordinates:
        """Join names and numbers, or what JAX has in their place."""
        new = object.__new__(cls)
        new.fixed, new.time, new.lower, new.upper = numbers
        new._name(*names)
        return new

    def _kind_of(self, name: str) -> str:
        if name in self._shares or (name == _SHEAR_RATE and name not in self._bounded):
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
        if (k := self._shear) is not None:
            values[_SHEAR_RATE] = self.upper[k] + 0.5 * jnp.log(jnp.tanh(u[..., k]) ** 2 + _LEAST_SHEAR**2)
        return values

    def params(self, x):
        """All physical parameters [units of the parameter table] (P10); shape (..., p) from (..., n_free + 1)."""
        values = self._values(x)
        result = {amplitude: jnp.exp(values[amplitude]) for amplitude in self._bounded if amplitude in values}
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
        target, shares = self._targets(np.asarray(params, dtype=float), cautious)
        values = np.array([target[name] for name in self.free])
        values = nearest_image(self.free, values, 0.5 * (self.lower + self.upper))
        inside = (values - self.lower) / (self.upper - self.lower)
        margin = np.array(_MARGINS)[cautious]
        inside = np.clip(inside, margin, 1 - margin)
        u = np.where(self._kind == "circle", ndtri(inside), logit(inside))
        x = np.array([shares[n] if n in self._shares else u[k] for k, n in enumerate(self.free)])
        if (k := self._shear) is not None:
            x[k] = np.arctanh(np.exp((inside[k] - 1.0) * (self.upper[k] - self.lower[k])))
        for exponent, share in self._exponent_and_share:
            x[exponent] *= np.exp(x[share])
        return np.append(x, 0.0)

    def _targets(self, params, cautious):
        """What coordinates with an interval stand for, on the search scale, and log shares, by name."""
        given = dict(zip(self.names, params, strict=True))
        target = {name: to_search_scale([name], np.array([value]))[0] for name, value in given.items()}
        shares = {}
        for amplitude, exponent, offset in self._rates:
            rate = growing = given[amplitude] * self._growth(amplitude, np.asarray(given[exponent]))
            if offset in self._shares:
                limit, rate = _LARGEST_SHARES[cautious[self.free.index(offset)]], growing + given[offset]
                # A mean shear rate has no sign; a diffusion coefficient is positive.
                rate = max(abs(rate), _LEAST_SHEAR) if amplitude == _SHEAR_RATE else max(rate, growing / limit)
                shares[offset] = np.log(np.clip(growing / rate, 1 / limit, limit))
            target[amplitude] = np.log(rate)
        return target, shares

    def log_prior(self, x):
        """Log prior density of the coordinates, up to a constant (P11).

        A shear rate is uniform from zero, as an upper limit must not depend on the number of decades below it. The log share
        lets chains move where an offset is not seen, and narrows D0 and D_offset there.

        Parameters
        ----------
        x : array, shape (n_free + 1,)
        """
        u, values, (mean, sd) = self._unscaled(x), self._values(x), self._prior
        inside, logistic = jnp.stack([values[name] for name in self.free]), self._kind == "logistic"
        square = jnp.where(logistic, ((inside - mean) / sd) ** 2, (u / _SHARE_SD) ** 2)
        square = jnp.where(self._kind == "circle", u**2, square)
        square = jnp.where(self._kind == "shear", 4.0 * jnp.log(jnp.cosh(u)), square)
        log_slope = jnp.where(logistic, log_sigmoid(u) + log_sigmoid(-u), 0.0)
        log_volume = sum(-u[share] for _, share in self._exponent_and_share)
        return jnp.sum(log_slope) + log_volume - 0.5 * (jnp.sum(square) + x[-1] ** 2)

    def prior_draws(self, n_draws: int = 4000, seed: int | np.random.Generator = 0) -> np.ndarray:
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

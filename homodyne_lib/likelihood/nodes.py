"""Nodes: few pairs of frames that stand for all pairs of a record.

In age t1 and lag t2 - t1 the model is smooth, on scales that grow with both. A polynomial through the nearest nodes of a
graded grid therefore gives it everywhere between them. Whatever is linear in values of the model at pairs, such as Σu, Σu² or
Σuy with u = g1², becomes a sum over the nodes, with weights that are worked out from the data once. Thousands of nodes then
stand for millions of pairs, and nobody needs to read the data again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from homodyne_lib.likelihood.bands import Band, Experiment
from homodyne_lib.model import kernels
from homodyne_lib.model.backend import array_namespace, jitted, load_jax, pytree
from homodyne_lib.model.layouts import PairLayout
from homodyne_lib.model.rates import floor_time

__all__ = ["FINENESS", "Nodes", "make_nodes"]

FINENESS = 24
"""Lag over distance of nodes with which a fit starts; for ages it is half of that."""

# Nodes through which each polynomial goes.
_ORDER = 6
# Nodes of one call. Every set of nodes, fine or coarse, is computed by the same program.
_CHUNK = 512
_STEP = 1e-30  # of the derivatives by complex steps
# More optimisation takes longer than it saves.
_COMPILER = {"xla_backend_optimization_level": 1}


@pytree
@dataclass(frozen=True, eq=False)
class Nodes:
    """Nodes, and what the data have to do with them; a pytree of JAX.

    Numbers of nodes and of times are padded, so that records of like size share compiled programs.

    Attributes
    ----------
    layout : PairLayout
        Frames of the N nodes, and angles of shape (n_phi, 1), or (1, 1) without flow, where the angle does not matter. Some
        frames may be missing, or lie beyond the record, where the model goes on.
    weight : ndarray, shape (N,)
        Pairs that a node stands for; pairs with a missing frame count nowhere.
    y : ndarray, shape (n_phi, N)
        The same of the data, c2 less the centre.
    wq_dt, sinc_prefactor : float
        ½ q² dt [s/Å²] and q L dt / 2π [s]; the latter is 0 where there is no gap.
    convention : str
        Shear convention.
    """

    layout: PairLayout
    weight: np.ndarray
    y: np.ndarray
    wq_dt: float
    sinc_prefactor: float
    convention: str = field(metadata={"static": True})

    def u(self, params):
        """g1² at the nodes, (n_phi, N), or (1, N) without flow, at physical parameters [units of the parameter table]."""
        return kernels.g1_total(params, self.layout, self.wq_dt, self.sinc_prefactor, self.convention) ** 2

    def sums(self, params):
        """Σu², Σu, Σuy of each angle, (n_phi, 3), at physical parameters [units of the parameter table]; NumPy or JAX."""
        u, xp = self.u(params), array_namespace(params)
        sums = xp.sum(u * u * self.weight, axis=1), xp.sum(u * self.weight, axis=1), xp.sum(u * self.y, axis=1)
        return xp.stack(xp.broadcast_arrays(*sums), axis=1)

    def gram(self, params) -> np.ndarray:
        """Gram matrix of the columns ∂u/∂params, u, 1 with these and y over the pairs, (n_phi, p + 2, p + 3).

        JAX gives u of a node and its derivatives by the few fields that the parameters act through. How the fields depend on
        the parameters follows from complex steps on the time axis, which take no time and no compilation.
        """
        params = np.asarray(params, dtype=float)
        fields = kernels.pair_fields(params, self.layout)
        slopes = _field_slopes(params, self.layout)
        result = np.zeros((len(self.y), params.size + 2, params.size + 3))
        for cut in (slice(first, first + _CHUNK) for first in range(0, self.weight.size, _CHUNK)):
            u, partials = self._with_partials(fields, cut)
            columns = np.ones((len(u), params.size + 2, u.shape[1]))
            columns[:, -2] = u
            for k, (first, *others) in enumerate(slopes):
                np.multiply(partials[first[0]], first[1][cut], out=columns[:, k])
                for number, part in others:
                    columns[:, k] += partials[number] * part[cut]
            result[..., :-1] += (columns * self.weight[cut]) @ columns.mT
            result[..., -1] += (columns @ self.y[:, cut, None])[..., 0]
        return result

    def _with_partials(self, fields, cut):
        """Values of u at some nodes, and the derivatives by each field."""
        n = self.weight[cut].size
        padded = [np.resize(field[cut], _CHUNK) if np.ndim(field) else field for field in fields]
        u, partials = _partials(padded, self.layout.phi, self.wq_dt, self.sinc_prefactor, self.convention)
        return np.asarray(u)[:, :n], np.asarray(partials)[..., :n]

    def sums_of_many(self, params) -> np.ndarray:
        """:meth:`sums` at many parameter vectors, (n, n_phi, 3); in NumPy, as a compilation takes longer than a hundred."""
        return np.array([self.sums(row) for row in np.asarray(params, dtype=float)])

    def coarser(self, fineness: int) -> Nodes:
        """Fewer nodes that stand for these, without the data.

        Parameters
        ----------
        fineness : int
            As in :func:`make_nodes`; nodes are never more than these.

        Returns
        -------
        Nodes
        """
        used = (self.weight != 0) | np.any(self.y != 0, axis=0)
        age, lag = self.layout.idx1[used], (self.layout.idx2 - self.layout.idx1)[used]
        n_t = int(max(age.max(), lag.max())) + 1
        grid = _Grid.of(n_t, fineness)
        at_age, at_lag = grid.at_age[age], grid.at_lag[lag]
        weight = at_age.T @ (self.weight[used, None] * at_lag)
        y = np.array([at_age.T @ (part[used, None] * at_lag) for part in self.y])
        smaller = grid.nodes(weight, y, self)
        return smaller if smaller.weight.size < self.weight.size else self


def _field_slopes(params, layout) -> list[list[tuple[int, np.ndarray]]]:
    """For each parameter, the fields on which it acts, by number, with their derivatives at every node."""
    steps = params[:, None] + _STEP * 1j * np.eye(params.size)
    derivatives = [np.imag(field) / _STEP for field in kernels.pair_fields(steps[..., None], layout)]
    derivatives = [np.broadcast_to(part, (params.size, layout.idx1.size)) for part in derivatives]
    slopes = [[(number, part[k]) for number, part in enumerate(derivatives)] for k in range(params.size)]
    return [[pair for pair in pairs if np.any(pair[1])] or pairs[:1] for pairs in slopes]


@partial(jitted, static_argnums=4, compiler_options=_COMPILER)
def _partials(fields, phi, wq_dt, sinc_prefactor, convention):
    jax = load_jax()
    jnp = jax.numpy

    def u_of(*fields):
        return kernels.g1_of_fields(fields, phi, wq_dt, sinc_prefactor, convention) ** 2

    u, push = jax.linearize(u_of, *fields)
    zero = [jnp.zeros_like(field) for field in fields]
    one = [jnp.ones_like(field) for field in fields]
    return jnp.atleast_2d(u), jnp.stack(
        [jnp.atleast_2d(push(*zero[:k], one[k], *zero[k + 1 :])) for k in range(len(fields))]
    )


def make_nodes(band: Band, experiment: Experiment, convention: str, fineness: int = FINENESS) -> Nodes:
    """Choose nodes, and share the pairs of a band out to them.

    Parameters
    ----------
    band : Band
    experiment : Experiment
    convention : {"spec", "published"}
    fineness : int
        Lag over distance of nodes; for ages it is half of that. From the number of frames on each pair is a node.

    Returns
    -------
    Nodes
    """
    n_phi, n_t, frames = experiment.phi.size, experiment.time.size, experiment.frames
    grid = _Grid.of(n_t, fineness)
    weight, y = np.zeros(grid.shape), np.zeros((n_phi, *grid.shape))
    for row, column in enumerate(band.rows):
        at = grid.at_age[frames[column]]
        near, later = np.flatnonzero(at), grid.at_lag[frames[column + 1 :] - frames[column]]
        shares = np.subtract(band.c2[:, row, column + 1 :], band.centre, dtype=float) @ later
        weight[near] += np.outer(at[near], later.sum(axis=0))
        y[:, near] += at[near][:, None] * shares[:, None]
    layout = PairLayout(experiment.time, np.zeros(0, int), np.zeros(0, int), experiment.model_phi[:, None])
    like = Nodes(layout, weight, y, experiment.wq_dt, experiment.sinc_prefactor, convention)
    return grid.nodes(weight, y, like)


@dataclass(frozen=True, eq=False)
class _Grid:
    """Ages and lags of nodes, and the weight of each node at every age and lag, (n_t, n_ages) and (n_t, n_lags)."""

    ages: np.ndarray
    lags: np.ndarray
    at_age: np.ndarray
    at_lag: np.ndarray

    @classmethod
    def of(cls, n_t: int, fineness: int) -> _Grid:
        ages, lags = _graded(n_t, fineness // 2), _graded(n_t, fineness)
        return cls(ages, lags, _interpolation(ages, n_t), _interpolation(lags, n_t))

    @property
    def shape(self) -> tuple[int, int]:
        return self.ages.size, self.lags.size

    def nodes(self, weight, y, like: Nodes) -> Nodes:
        """Nodes where there is weight, with all else like another's."""
        age, lag = np.nonzero((weight != 0) | np.any(y != 0, axis=0))
        spare = _padded(age.size) - age.size
        earlier, later = self.ages[age], self.ages[age] + self.lags[lag]
        earlier, later = (np.pad(frames, (0, spare)) for frames in (earlier, later))
        layout = like.layout
        dt = layout.time[-1] / (layout.time.size - 1)
        time = floor_time(dt * np.arange(_padded(later.max() + 1)), dt)
        return replace(
            like,
            layout=layout._replace(time=time, idx1=earlier, idx2=later),
            weight=np.pad(weight[age, lag], (0, spare)),
            y=np.pad(y[:, age, lag], ((0, 0), (0, spare))),
        )


def _padded(n: int) -> int:
    """The next of a few sizes, at most an eighth above n."""
    step = 1 << max(0, int(n).bit_length() - 4)
    return -(-int(n) // step) * step


def _graded(n: int, fineness: int) -> np.ndarray:
    """0 to n - 1 in steps that are one at first, and grow in proportion."""
    nodes = [0]
    while nodes[-1] < n - 1:
        nodes.append(min(n - 1, nodes[-1] + max(1, nodes[-1] // fineness)))
    return np.array(nodes)


def _interpolation(nodes, n: int) -> np.ndarray:
    """Weight of each node in the Lagrange polynomial for each of 0, ..., n - 1; shape (n, n_nodes)."""
    order = min(_ORDER, nodes.size)
    at, result = np.arange(n), np.zeros((n, nodes.size))
    first = np.clip(np.searchsorted(nodes, at, side="right") - order // 2, 0, nodes.size - order)
    for here in range(order):
        others = [nodes[first + k] for k in range(order) if k != here]
        result[at, first + here] = np.prod([(at - x) / (nodes[first + here] - x) for x in others], axis=0)
    return result

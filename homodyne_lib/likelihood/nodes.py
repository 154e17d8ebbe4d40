"""Nodes: few pairs of frames that stand for all pairs of a record.

Compressed data (:mod:`~homodyne_lib.likelihood.compression`) have them on a grid of ages and lags. With the model at the
nodes they give the sums that a fit or a sampler needs: thousands of nodes stand for millions of pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from homodyne_lib.likelihood.compression import Compressed
from homodyne_lib.likelihood.experiment import Experiment
from homodyne_lib.model import kernels
from homodyne_lib.model.backend import array_namespace, jitted, load_jax, pytree
from homodyne_lib.model.layouts import PairLayout
from homodyne_lib.model.rates import floor_time

__all__ = ["FINENESS", "Nodes", "make_nodes"]

FINENESS = 24
"""Lag over distance of nodes with which a fit starts; for ages it is half of that."""

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
        Frames of the N nodes, and angles of the models that differ, shape (n_models, 1): without flow the angle does not
        matter, and one q has one model. Some frames may be missing, or lie beyond the record, where the model goes on.
    weight : ndarray, shape (N,)
        Pairs that a node stands for; pairs with a missing frame count nowhere.
    y : ndarray, shape (n_bins, N)
        The same of the data, c2 less the centre.
    wq_dt, sinc_prefactor : float or ndarray, shape (n_models, 1)
        ½ q² dt [s/Å²] and q L dt / 2π [s]; the latter is 0 where there is no gap.
    model_of : ndarray of int, shape (n_bins,), or None
        Number of the model of each bin; None where models broadcast with the bins.
    convention : str
        Shear convention.
    """

    layout: PairLayout
    weight: np.ndarray
    y: np.ndarray
    wq_dt: float | np.ndarray
    sinc_prefactor: float | np.ndarray
    model_of: np.ndarray | None
    convention: str = field(metadata={"static": True})

    @property
    def in_words(self) -> str:
        """How many there are."""
        return f"{self.weight.size} nodes for each angle"

    def u(self, params):
        """g1² at the nodes for each bin, (n_bins, N), or (1, N) for one model of all, at physical parameters.

        Parameters are in the units of the parameter table.
        """
        u = self.model_u(params)
        return u if self.model_of is None else u[self.model_of]

    def model_u(self, params):
        """:meth:`u` of each model, (n_models, N)."""
        return kernels.g1_total(params, self.layout, self.wq_dt, self.sinc_prefactor, self.convention) ** 2

    def sums(self, params):
        """Σu², Σu, Σuy of each bin, (n_bins, 3), at physical parameters [units of the parameter table]; NumPy or JAX."""
        u, xp = self.u(params), array_namespace(params)
        sums = xp.sum(u * u * self.weight, axis=1), xp.sum(u * self.weight, axis=1), xp.sum(u * self.y, axis=1)
        return xp.stack(xp.broadcast_arrays(*sums), axis=1)

    def gram(self, params) -> np.ndarray:
        """Gram matrix of the columns ∂u/∂params, u, 1 with these and y over the pairs, (n_bins, p + 2, p + 3).

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
            of_models = (columns * self.weight[cut]) @ columns.mT
            if self.model_of is not None:
                of_models, columns = of_models[self.model_of], columns[self.model_of]
            result[..., :-1] += of_models
            result[..., -1] += (columns @ self.y[:, cut, None])[..., 0]
        return result

    def _with_partials(self, fields, cut):
        """Values of u at some nodes, and the derivatives by each field."""
        n = self.weight[cut].size
        padded = [np.resize(field[cut], _CHUNK) if np.ndim(field) else field for field in fields]
        about = self.layout.phi, self.wq_dt, self.sinc_prefactor, self.convention, self.layout.q_ratio
        u, partials = _partials(padded, *about)
        return np.asarray(u)[:, :n], np.asarray(partials)[..., :n]

    def sums_of_many(self, params) -> np.ndarray:
        """:meth:`sums` at many parameter vectors, (n, n_phi, 3); in NumPy, as a compilation takes longer than a hundred."""
        return np.array([self.sums(row) for row in np.asarray(params, dtype=float)])


def _field_slopes(params, layout) -> list[list[tuple[int, np.ndarray]]]:
    """For each parameter, the fields on which it acts, by number, with their derivatives at every node."""
    steps = params[:, None] + _STEP * 1j * np.eye(params.size)
    derivatives = [np.imag(field) / _STEP for field in kernels.pair_fields(steps[..., None], layout)]
    derivatives = [np.broadcast_to(part, (params.size, layout.idx1.size)) for part in derivatives]
    slopes = [[(number, part[k]) for number, part in enumerate(derivatives)] for k in range(params.size)]
    return [[pair for pair in pairs if np.any(pair[1])] or pairs[:1] for pairs in slopes]


@partial(jitted, static_argnums=4, compiler_options=_COMPILER)
def _partials(fields, phi, wq_dt, sinc_prefactor, convention, q_ratio):
    jax = load_jax()
    jnp = jax.numpy

    def u_of(*fields):
        return kernels.g1_of_fields(fields, phi, wq_dt, sinc_prefactor, convention, q_ratio) ** 2

    u, push = jax.linearize(u_of, *fields)
    zero = [jnp.zeros_like(field) for field in fields]
    one = [jnp.ones_like(field) for field in fields]
    return jnp.atleast_2d(u), jnp.stack(
        [jnp.atleast_2d(push(*zero[:k], one[k], *zero[k + 1 :])) for k in range(len(fields))]
    )


def make_nodes(data: Compressed, experiment: Experiment, convention: str, fineness: int = FINENESS) -> Nodes:
    """Choose nodes, and share the nodes of compressed data out to them.

    Parameters
    ----------
    data : Compressed
    experiment : Experiment
    convention : {"spec", "published"}
    fineness : int
        Lag over distance of nodes, not above that of the data; for ages it is half of that.

    Returns
    -------
    Nodes
    """
    grid, weight, y = data.shared_out(fineness)
    age, lag = np.nonzero((weight != 0) | np.any(y != 0, axis=0))
    spare = _padded(age.size) - age.size
    earlier, later = (np.pad(frames, (0, spare)) for frames in (grid.ages[age], grid.ages[age] + grid.lags[lag]))
    time = floor_time(data.dt * np.arange(_padded(later.max() + 1)), data.dt)
    return Nodes(
        layout=experiment.model_layout(time, earlier, later),
        weight=np.pad(weight[age, lag], (0, spare)),
        y=np.pad(y[:, age, lag], ((0, 0), (0, spare))),
        **experiment.model_factors._asdict(),
        model_of=experiment.model_of,
        convention=convention,
    )


def _padded(n: int) -> int:
    """The next of a few sizes, at most an eighth above n."""
    step = 1 << max(0, int(n).bit_length() - 4)
    return -(-int(n) // step) * step

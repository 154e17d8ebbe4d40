"""The metric of speckle noise where a posterior lies: inner products from the model at few nodes.

A frozen metric is a quadratic form of u = g1². Over the region of a posterior, u is close to a combination of its values at
few parameter vectors (snapshots). Inner products of the snapshots are computed once, from all pairs of frames. After that the
model at some hundred nodes gives the combination, and so the inner products, wherever the posterior is (M5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import qr

from homodyne_lib.likelihood.nodes import Nodes
from homodyne_lib.likelihood.problem import Problem
from homodyne_lib.likelihood.speckle_metric import Whitened
from homodyne_lib.model.backend import array_namespace, pytree

__all__ = ["Span", "make_span"]

_FINENESS = 8  # of the nodes from which some are chosen
_NODES = 256  # that are chosen; several for each snapshot, so that rounding is not amplified
_STEP = 16  # number of snapshots, of which programs are compiled for multiples
# Size of what a snapshot adds to others, relative to the first, from which it is one. Its inverse square amplifies rounding:
# the root of the precision of doubles, 1e-8, is too small.
_INDEPENDENT = 3e-7
_BLOCK = 8  # snapshots whose products are transposed at a time


@pytree
@dataclass(frozen=True, eq=False)
class Span:
    """Inner products of combinations of snapshots; a pytree of JAX, in the place of nodes.

    Attributes
    ----------
    nodes : Nodes
        Where the model is computed.
    whitening : ndarray, shape (n_bins, r, N)
        Gives, from the model at the nodes, coordinates in which the inner product is the sum over them.
    ones, data : ndarray, shape (n_bins, N)
        Weights of the nodes in the inner products with 1 and with the data less the centre.
    basis : ndarray, shape (n_models, r, N), or None
        Where several bins share a model: r coordinates of the model, which then stand in the place of N nodes above.
    """

    nodes: Nodes
    whitening: np.ndarray
    ones: np.ndarray
    data: np.ndarray
    basis: np.ndarray | None = None

    @property
    def in_words(self) -> str:
        """How many there are."""
        return f"{self.whitening.shape[1]} snapshots of the metric, {self.nodes.in_words}"

    def sums(self, params):
        """Inner products of u with u, 1 and y at each angle, (n_phi, 3); NumPy or JAX."""
        xp = array_namespace(params)
        if self.basis is None:
            u = xp.broadcast_to(self.nodes.u(params), self.ones.shape)
        else:
            u = xp.einsum("mrn,mn->mr", self.basis, self.nodes.model_u(params))[self.nodes.model_of]
        whitened = xp.einsum("krn,kn->kr", self.whitening, u)
        products = xp.sum(whitened**2, axis=1), xp.sum(u * self.ones, axis=1), xp.sum(u * self.data, axis=1)
        return xp.stack(products, axis=1)

    def sums_of_many(self, params) -> np.ndarray:
        """:meth:`sums` at many parameter vectors, (n, n_phi, 3)."""
        return np.array([self.sums(row) for row in np.asarray(params, dtype=float)])


def make_span(problem: Problem, params) -> Span:
    """Compute the inner products of snapshots.

    Parameters
    ----------
    problem : Problem
        In a metric.
    params : array_like, shape (n, p)
        Physical parameters of the snapshots [units of the parameter table]; those that others can be combined to are left
        out.

    Returns
    -------
    Span
    """
    nodes, params = problem.nodes_of(_FINENESS), np.asarray(params, dtype=float)
    u = np.array([nodes.model_u(row) for row in params])
    _, size, order = qr(u.reshape(len(u), -1).T, mode="economic", pivoting=True)
    size = np.abs(np.diag(size))
    chosen = order[: np.count_nonzero(size > _INDEPENDENT * size[0])]
    u = u[chosen]
    places = qr(u.reshape(-1, u.shape[-1]), mode="r", pivoting=True)[1][:_NODES]
    nodes = replace(
        nodes,
        layout=nodes.layout._replace(idx1=nodes.layout.idx1[places], idx2=nodes.layout.idx2[places]),
        weight=nodes.weight[places],
        y=nodes.y[:, places],
    )
    # Snapshots are nearly alike. Sums and differences of them, orthonormal at the nodes, keep the digits.
    bases = [np.linalg.svd(of_angle[:, places], full_matrices=False) for of_angle in u.swapaxes(0, 1)]
    parts = problem.metric.snapshots(params[chosen], _gram)
    shared, spare = nodes.model_of is not None, -len(chosen) % _STEP
    model_of = nodes.model_of if shared else np.arange(len(parts)) % len(bases)
    whitening, ones, data = (
        np.stack(each)
        for each in zip(
            *(_at_nodes(*part, *bases[k], shared) for k, part in zip(model_of, parts, strict=True)), strict=True
        )
    )
    basis = np.array([_independent(*each)[1] for each in bases]) if shared else None
    return Span(nodes, np.pad(whitening, ((0, 0), (0, spare), (0, 0))), ones, data, basis)


def _independent(left, size, right) -> tuple[np.ndarray, np.ndarray]:
    """Mix of snapshots for each coordinate, (n, r), and coordinates of the model at the nodes, (r, N).

    From a singular value decomposition; a coordinate that rounding makes is zero.
    """
    kept = size > _INDEPENDENT * size[0]
    return np.where(kept, left / np.where(kept, size, 1.0), 0.0), np.where(kept[:, None], right, 0.0)


def _at_nodes(gram, ones, data, left, size, right, shared: bool) -> tuple[np.ndarray, ...]:
    """What inner products of snapshots become for the model at the nodes, or for its coordinates where bins share them."""
    if shared:
        mix, _ = _independent(left, size, right)
        value, vector = np.linalg.eigh(mix.T @ gram @ mix)
        return np.sqrt(np.maximum(value, 0.0))[:, None] * vector.T, ones @ mix, data @ mix
    kept = size > _INDEPENDENT * size[0]
    mix, right = left[:, kept] / size[kept], right[kept]
    value, vector = np.linalg.eigh(mix.T @ gram @ mix)
    root = np.sqrt(np.maximum(value, 0.0))[:, None] * vector.T
    whitening = np.zeros((size.size, right.shape[1]))
    whitening[: len(root)] = root @ right
    return whitening, ones @ mix @ right, data @ mix @ right


def _gram(metric, whitened: Whitened) -> np.ndarray:
    """Gram matrix of snapshots, (r, r)."""
    blocks = [slice(first, first + _BLOCK) for first in range(0, len(whitened.product), _BLOCK)]
    gram = np.hstack([metric.inner(whitened, Whitened(whitened.product[b], whitened.diagonal[b])) for b in blocks])
    return 0.5 * (gram + gram.T)

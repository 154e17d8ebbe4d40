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
from homodyne_lib.model.layouts import PairLayout

__all__ = ["Span", "make_span"]

_FINENESS = 8  # of the nodes from which some are chosen
_NODES = 256  # that are chosen; several for each snapshot, so that rounding is not amplified
_STEP = 16  # number of snapshots, of which programs are compiled for multiples
_INDEPENDENT = 1e-9  # size of what a snapshot adds to others, relative to the first, from which it is one
_BLOCK = 8  # snapshots whose products are transposed at a time


@pytree
@dataclass(frozen=True, eq=False)
class Span:
    """Inner products of combinations of snapshots; a pytree of JAX, in the place of nodes.

    Attributes
    ----------
    nodes : Nodes
        Where the model is computed.
    combination : ndarray, shape (n_phi, r, N), or (1, r, N) without flow
        Gives the coefficients of the r snapshots from the model at the nodes.
    root : ndarray, shape (n_phi, r, r)
        rootᵀ root is the Gram matrix of the snapshots in the metric.
    ones, data : ndarray, shape (n_phi, r)
        Inner products of the snapshots with 1 and with the data less the centre.
    """

    nodes: Nodes
    combination: np.ndarray
    root: np.ndarray
    ones: np.ndarray
    data: np.ndarray

    @property
    def in_words(self) -> str:
        """How many there are."""
        return f"{self.ones.shape[1]} snapshots of the metric, {self.nodes.in_words}"

    def sums(self, params):
        """Inner products of u with u, 1 and y at each angle, (n_phi, 3); NumPy or JAX."""
        xp = array_namespace(params)
        coefficients = xp.einsum("krn,kn->kr", self.combination, self.nodes.u(params))
        coefficients = xp.broadcast_to(coefficients, self.ones.shape)
        whitened = xp.einsum("ksr,kr->ks", self.root, coefficients)
        products = [xp.sum(whitened**2, axis=1)]
        products += [xp.sum(coefficients * known, axis=1) for known in (self.ones, self.data)]
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
    u = np.array([nodes.u(row) for row in params])
    _, size, order = qr(u.reshape(len(u), -1).T, mode="economic", pivoting=True)
    size = np.abs(np.diag(size))
    chosen = order[: np.count_nonzero(size > _INDEPENDENT * size[0])]
    u = u[chosen]
    places = qr(u.reshape(-1, u.shape[-1]), mode="r", pivoting=True)[1][:_NODES]
    nodes = replace(
        nodes,
        layout=PairLayout(nodes.layout.time, nodes.layout.idx1[places], nodes.layout.idx2[places], nodes.layout.phi),
        weight=nodes.weight[places],
        y=nodes.y[:, places],
    )
    combination = np.stack([np.linalg.pinv(of_angle[:, places].T) for of_angle in u.swapaxes(0, 1)])
    parts = problem.metric.snapshots(params[chosen], _gram)
    root, ones, data = (np.stack(part) for part in zip(*parts, strict=True))
    spare = -len(chosen) % _STEP
    return Span(
        nodes,
        np.pad(combination, ((0, 0), (0, spare), (0, 0))),
        np.pad(root, ((0, 0), (0, spare), (0, spare))),
        *(np.pad(known, ((0, 0), (0, spare))) for known in (ones, data)),
    )


def _gram(metric, whitened: Whitened) -> np.ndarray:
    """Root of the Gram matrix of matrices, (r, r)."""
    blocks = [slice(first, first + _BLOCK) for first in range(0, len(whitened.product), _BLOCK)]
    gram = np.hstack([metric.inner(whitened, Whitened(whitened.product[b], whitened.diagonal[b])) for b in blocks])
    value, vector = np.linalg.eigh(0.5 * (gram + gram.T))
    return np.sqrt(np.maximum(value, 0.0))[:, None] * vector.T

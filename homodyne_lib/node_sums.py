"""Sums over all pairs of a band from the model at few of them.

Σu, Σu² and Σuy are linear in the values of u, or u², at the pairs of frames. In age t1 and lag t2 - t1 the model is smooth,
on scales that grow with both, so that a polynomial through the nearest nodes of a graded grid gives it everywhere between
them, and the sums become sums over the nodes with weights that are worked out from the data once. A thousand nodes then
stand for millions of pairs. :mod:`homodyne_lib.cmc` explores with these sums and answers to the exact ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from homodyne_lib import kernels
from homodyne_lib.backend import array_namespace
from homodyne_lib.bands import Band, Experiment
from homodyne_lib.layouts import PairLayout, numpy_mesh

__all__ = ["NodeSums", "make_nodes"]

# Nodes through which each polynomial goes.
_ORDER = 6


class NodeSums(NamedTuple):
    """Nodes, and what the data have to do with them.

    Attributes
    ----------
    layout : PairLayout
        Frames of the N nodes. The later may lie beyond the record, where the model goes on.
    weight : ndarray, shape (N,)
        Pairs that a node stands for.
    y : ndarray, shape (n_phi, N)
        The same of the data, c2 less the centre of the band.
    experiment : Experiment
    convention : str
        Shear convention.
    """

    layout: PairLayout
    weight: np.ndarray
    y: np.ndarray
    experiment: Experiment
    convention: str

    def sums(self, params):
        """Σu², Σu, Σuy of each angle, (n_phi, 3), at physical parameters [units of the parameter table]; NumPy or JAX."""
        xp = array_namespace(params)
        u = kernels.g1_total(params, self.layout, *self.experiment[2:], self.convention) ** 2
        sums = xp.sum(u * u * self.weight, axis=1), xp.sum(u * self.weight, axis=1), xp.sum(u * self.y, axis=1)
        return xp.stack(xp.broadcast_arrays(*sums), axis=1)


def make_nodes(band: Band, experiment: Experiment, convention: str, fineness: int) -> NodeSums:
    """Choose nodes, and share the pairs of a band out to them.

    Parameters
    ----------
    band : Band
    experiment : Experiment
    convention : {"spec", "published"}
    fineness : int
        Lag over distance of nodes; for ages it is half of that. From half the number of frames on each pair is a node.

    Returns
    -------
    NodeSums
    """
    n_phi, _, n_t = band.c2.shape
    ages, lags = _graded(n_t, fineness // 2), _graded(n_t, fineness)
    at_age, at_lag = _interpolation(ages, n_t), _interpolation(lags, n_t)
    weight, y = np.zeros((ages.size, lags.size)), np.zeros((n_phi, ages.size, lags.size))
    for row, frame in enumerate(band.frames):
        near, later = np.flatnonzero(at_age[frame]), at_lag[1 : n_t - frame]
        here = np.subtract(band.c2[:, row, frame + 1 :], band.centre, dtype=float) @ later
        weight[near] += np.outer(at_age[frame, near], later.sum(axis=0))
        y[:, near] += at_age[frame, near][:, None] * here[:, None]
    age, lag = np.nonzero((weight != 0) | np.any(y != 0, axis=0))
    earlier, later = ages[age], ages[age] + lags[lag]
    # Without flow all angles have one model.
    phi = experiment.phi if experiment.sinc_prefactor else experiment.phi[:1]
    mesh = numpy_mesh(later.max() + 1, phi, experiment.time[1])
    layout = mesh._replace(idx1=earlier, idx2=later, phi=phi[:, None])
    return NodeSums(layout, weight[age, lag], y[:, age, lag], experiment, convention)


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

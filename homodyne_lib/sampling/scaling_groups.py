"""Groups of bins whose contrasts and offsets have nothing to do with each other, so that each is integrated out alone."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from homodyne_lib.model.backend import array_namespace, pytree
from homodyne_lib.model.scaling import PerAngleScaling

__all__ = ["ScalingGroups"]


@pytree
@dataclass(frozen=True, eq=False)
class ScalingGroups:
    """Groups of bins whose scaling coefficients have no bin in common, so that their quadratic forms fall apart.

    All have one shape: a smaller group is filled up with bins that do not count and coefficients that act on nothing.

    Attributes
    ----------
    basis : ndarray, shape (n_groups, n_most, m)
        Basis functions at the bins of each group.
    bins : ndarray of int, shape (n_groups, n_most)
    counted : ndarray, shape (n_groups, n_most)
        One for a bin of the group, else zero.
    places : ndarray of int, shape (n_groups, 2 m)
        Coefficients of contrast, then of offset, of each group; the number of all where there is none.
    order : ndarray of int, shape (n_scaling,)
        Place of each coefficient among those of all groups.
    """

    basis: np.ndarray
    bins: np.ndarray
    counted: np.ndarray
    places: np.ndarray
    order: np.ndarray

    @classmethod
    def of(cls, scaling: PerAngleScaling) -> ScalingGroups | None:
        """Groups of a scaling; None where there is one, or no coefficient."""
        if not scaling.blocks:
            return None
        of_bins = [np.flatnonzero(np.any(scaling.basis[:, block] != 0, axis=1)) for block in scaling.blocks]
        n_groups, n, m = len(of_bins), max(map(len, of_bins)), max(map(len, scaling.blocks))
        n_functions = scaling.basis.shape[1]
        basis, bins = np.zeros((n_groups, n, m)), np.zeros((n_groups, n), dtype=int)
        counted, places = np.zeros((n_groups, n)), np.full((n_groups, 2 * m), 2 * n_functions)
        for k, (own, block) in enumerate(zip(of_bins, scaling.blocks, strict=True)):
            basis[k, : len(own), : len(block)] = scaling.basis[np.ix_(own, block)]
            bins[k, : len(own)], counted[k, : len(own)] = own, 1.0
            places[k, : len(block)] = block
            places[k, m : m + len(block)] = np.array(block) + n_functions
        return cls(basis, bins, counted, places, np.argsort(places.ravel(), kind="stable")[: 2 * n_functions])

    def gathered(self, values, spare=0.0):
        """Numbers of all coefficients, (..., n_scaling), by group, (..., n_groups, 2 m); ``spare`` where there is none."""
        xp = array_namespace(values)
        values = xp.concatenate([values, xp.full((*values.shape[:-1], 1), spare)], axis=-1)
        return values[..., self.places]

    def in_order(self, values):
        """Inverse of :meth:`gathered`."""
        return values.reshape(*values.shape[:-2], -1)[..., self.order]

    def blocks_of(self, matrix):
        """Blocks of a matrix that falls apart, (n_scaling, n_scaling), as (n_groups, 2 m, 2 m)."""
        padded = jnp.pad(matrix, (0, 1))
        return padded[self.places[:, :, None], self.places[:, None, :]]

    def equations(self, sums, y_moments, weight):
        """:func:`~homodyne_lib.likelihood.normal_equations.scaling_equations` of each group."""
        weight = weight[self.bins] * self.counted
        (uu, u1, uy), (n, y1, _) = (jnp.moveaxis(part[self.bins], -1, 0) for part in (sums, y_moments))

        def squares(values):
            return jnp.einsum("gpm,gp,gpn->gmn", self.basis, weight * values, self.basis)

        def projected(values):
            return jnp.einsum("gpm,gp->gm", self.basis, weight * values)

        cross = squares(u1)
        matrix = jnp.block([[squares(uu), cross], [cross.mT, squares(n)]])
        return matrix, jnp.concatenate([projected(uy), projected(y1)], axis=1)

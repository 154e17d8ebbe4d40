"""How contrast and offset vary over the angles: modes, free numbers, how they expand (spec section 7)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import block_diag

from homodyne_lib.model.backend import pytree

__all__ = ["PER_ANGLE_MODES", "PerAngleScaling", "per_angle_scaling"]

PER_ANGLE_MODES = ("auto", "constant", "constant_per_angle", "individual", "fourier")
"""Names that :func:`per_angle_scaling` takes."""

_MIN_AVERAGED_ANGLES = 3  # ``auto`` averages from here on


@pytree
@dataclass(frozen=True, eq=False)
class PerAngleScaling:
    """Contrast and offset of every angle as linear functions of few numbers: basis @ c and basis @ o; a pytree of JAX.

    Attributes
    ----------
    mode : str
        One of :data:`PER_ANGLE_MODES`.
    basis : ndarray, shape (n_phi, m)
        Each basis function at each angle; m = 0 where nothing is free.
    suffixes : tuple of str, length m
        What follows ``contrast`` and ``offset`` in the names of the coefficients.
    fixed : ndarray, shape (2, n_phi), or None
        Contrast and offset where nothing is free.
    blocks : tuple of tuple of int
        Numbers of the basis functions of each group of bins, which have none in common; empty for a single group.
    """

    mode: str = field(metadata={"static": True})
    basis: np.ndarray
    suffixes: tuple[str, ...] = field(metadata={"static": True})
    fixed: np.ndarray | None = None
    blocks: tuple[tuple[int, ...], ...] = field(default=(), metadata={"static": True})

    @property
    def n_parameters(self) -> int:
        """Length of the coefficient vector [c, o]: 2 m."""
        return 2 * len(self.suffixes)

    @property
    def names(self) -> list[str]:
        """Names of the coefficients [c, o]."""
        return [f"{quantity}{suffix}" for quantity in ("contrast", "offset") for suffix in self.suffixes]

    @property
    def constant(self) -> np.ndarray:
        """Coefficients, shape (m,), of a quantity that is 1 at every angle."""
        return np.linalg.lstsq(self.basis, np.ones(len(self.basis)), rcond=None)[0] if self.suffixes else np.zeros(0)

    def expand(self, coefficients):
        """Contrast and offset of each angle.

        Parameters
        ----------
        coefficients : array, shape (..., n_parameters)
            NumPy or JAX, traced or not; leading axes are draws.

        Returns
        -------
        contrast, offset : array, shape (..., n_phi)

        Raises
        ------
        ValueError
            For a wrong number of coefficients.
        """
        n_phi, m = self.basis.shape
        shape = np.shape(coefficients)
        if shape[-1:] != (2 * m,):
            raise ValueError(
                f"{self.mode} at {n_phi} angles takes {2 * m} coefficients; found an array of shape {shape}."
            )
        contrast, offset = coefficients[..., :m] @ self.basis.T, coefficients[..., m:] @ self.basis.T
        if self.fixed is not None:
            contrast, offset = contrast + self.fixed[0], offset + self.fixed[1]
        return contrast, offset

    def expand_covariance(self, covariance) -> np.ndarray:
        """Covariance of the contrasts and offsets of all angles.

        Parameters
        ----------
        covariance : array_like, shape (n_parameters, n_parameters)
            Of the coefficients.

        Returns
        -------
        ndarray, shape (2 n_phi, 2 n_phi)
            Of [contrast, offset]; zero where they are fixed.
        """
        jacobian = np.kron(np.eye(2), self.basis)
        return jacobian @ np.asarray(covariance) @ jacobian.T


def _fourier(phi, order) -> PerAngleScaling:
    needed, distinct = 1 + 2 * order, np.unique(np.round(phi, 9) % 360.0).size
    if order < 1 or distinct < needed:
        raise ValueError(
            f"per-angle mode fourier with fourier_order {order} needs an order from 1 and {needed} distinct "
            f"angles; found {distinct}. Lower fourier_order, or choose individual or auto."
        )
    harmonics = np.deg2rad(phi)[:, None] * np.arange(1, order + 1)
    waves = np.stack([np.cos(harmonics), np.sin(harmonics)], axis=2).reshape(phi.size, 2 * order)
    suffixes = ("_c0", *(f"_{wave}{k}" for k in range(1, order + 1) for wave in ("cos", "sin")))
    return PerAngleScaling("fourier", np.column_stack([np.ones(phi.size), waves]), suffixes)


def _fixed(mode, n_phi, contrast, offset) -> PerAngleScaling:
    if np.shape(contrast) != (n_phi,) or np.shape(offset) != (n_phi,):
        raise ValueError(
            f"per-angle mode {mode} needs quantile_contrast and quantile_offset of shape ({n_phi},); found "
            f"{np.shape(contrast)} and {np.shape(offset)}. Estimate them with estimate_scaling_from_matrices."
        )
    fixed = np.array([contrast, offset], dtype=float)
    if mode == "constant":
        fixed[:] = fixed.mean(axis=1, keepdims=True)
    return PerAngleScaling(mode, np.empty((n_phi, 0)), (), fixed)


def _joined(parts: list[PerAngleScaling]) -> PerAngleScaling:
    """Scaling of several groups of bins from that of each."""
    sizes = [len(part.suffixes) for part in parts]
    blocks = tuple(tuple(range(sum(sizes[:k]), sum(sizes[: k + 1]))) for k in range(len(sizes)))
    if parts[0].fixed is not None:
        fixed = np.concatenate([part.fixed for part in parts], axis=1)
        return PerAngleScaling(parts[0].mode, np.empty((fixed.shape[1], 0)), (), fixed)
    # One number for each angle is numbered through; others are named after their group.
    each = all(np.array_equal(part.basis, np.eye(len(part.basis))) for part in parts)
    suffixes = (
        tuple(f"_{k}" for k in range(sum(sizes)))
        if each
        else tuple(f"{suffix}_group{number}" for number, part in enumerate(parts) for suffix in part.suffixes)
    )
    return PerAngleScaling(parts[0].mode, block_diag(*(part.basis for part in parts)), suffixes, None, blocks)


def per_angle_scaling(
    mode: str, phi, quantile_contrast=None, quantile_offset=None, fourier_order: int = 2, groups=None
) -> PerAngleScaling:
    """Choose the numbers that describe contrast and offset over the angles (spec section 7).

    ==================  ==================================================================  ============
    mode                contrast and offset                                                 free numbers
    ==================  ==================================================================  ============
    auto                one contrast and one offset; below three angles as ``individual``   2
    constant            fixed at the mean of the quantile estimates                         0
    constant_per_angle  fixed at the quantile estimate of each angle                        0
    individual          one contrast and one offset for each angle                          2 n_phi
    fourier             Fourier series in phi: 1, cos φ, sin φ, ..., cos Kφ, sin Kφ         2 (2K + 1)
    ==================  ==================================================================  ============

    Parameters
    ----------
    mode : str
    phi : array_like, shape (n_phi,)
        [deg]
    quantile_contrast, quantile_offset : array_like, shape (n_phi,)
        Estimates; the two fixed modes need them.
    fourier_order : int
        K.
    groups : sequence of ndarray of int, optional
        Numbers of the angles of each group, in order (:class:`~homodyne_lib.model.bins.Bins`); a mode acts within each. One
        without it.

    Returns
    -------
    PerAngleScaling

    Raises
    ------
    ValueError
        For an unknown mode, estimates that are missing, or fewer than 2K + 1 distinct angles for ``fourier``.
    """
    phi = np.atleast_1d(np.asarray(phi, dtype=float))
    if mode not in PER_ANGLE_MODES:
        raise ValueError(f"per-angle mode {mode!r} does not exist; choose one of {', '.join(PER_ANGLE_MODES)}.")
    if groups is not None and len(groups) > 1:
        given = (quantile_contrast, quantile_offset)
        parts = [
            per_angle_scaling(mode, phi[g], *(None if v is None else np.asarray(v)[g] for v in given), fourier_order)
            for g in groups
        ]
        return _joined(parts)
    if mode in ("constant", "constant_per_angle"):
        return _fixed(mode, phi.size, quantile_contrast, quantile_offset)
    if mode == "fourier":
        return _fourier(phi, fourier_order)
    if mode == "auto" and phi.size >= _MIN_AVERAGED_ANGLES:
        return PerAngleScaling(mode, np.ones((phi.size, 1)), ("",))
    return PerAngleScaling(mode, np.eye(phi.size), tuple(f"_{k}" for k in range(phi.size)))

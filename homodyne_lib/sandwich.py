"""Draws of a posterior, spread as far as calibrated errors say: the open-faced sandwich (Shaby 2014).

The likelihood that is sampled takes entries of c2 as independent, and its posterior is too narrow. Draws are moved about
their mean by one linear map Ω, so that their covariance S becomes T, the inverse of Godambe's information and the curvature
of the prior together: Ω = S^½ (S^-½ T S^-½)^½ S^-½, which is 1 where T = S. It acts in unconstrained coordinates, so that no
draw leaves its bounds, and only spreads them.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from homodyne_lib.coordinates import Coordinates

__all__ = ["adjust_draws"]

# A direction in which the data gave less than this share of the posterior's precision is the prior's, and keeps its width.
_DATA_SHARE = 0.5
# Errors grow by factors of 2 to 50; a direction that would by more is one of which information and draws say nothing.
_MOST = 100.0


def adjust_draws(x, coordinates: Coordinates, information, assumed) -> np.ndarray:
    """Spread draws about their mean.

    Parameters
    ----------
    x : array_like, shape (n_chains, n_draws, n_free + 1 + n_scaling)
        Draws in unconstrained coordinates; the noise scale, after the free parameters, is left alone.
    coordinates : Coordinates
    information : array_like, shape (p + n_scaling, p + n_scaling)
        Godambe's information of all physical parameters and scaling coefficients.
    assumed : array_like, shape (p + n_scaling, p + n_scaling)
        Information that the sampled likelihood has: H over the variance of an entry.

    Returns
    -------
    ndarray
        Of the same shape.
    """
    x = np.asarray(x, dtype=float)
    n_free, n_scaling = len(coordinates.free), x.shape[-1] - len(coordinates.free) - 1
    keep = np.delete(np.arange(x.shape[-1]), n_free)
    mean = x.mean(axis=(0, 1))
    centred = (x - mean)[..., keep]
    sd = centred.std(axis=(0, 1))
    covariance = np.cov((centred / sd).reshape(-1, keep.size), rowvar=False)

    start = jnp.asarray(mean[: n_free + 1])
    slopes = np.zeros((len(coordinates.names) + n_scaling, keep.size))
    slopes[: len(coordinates.names), :n_free] = np.asarray(jax.jacfwd(coordinates.params)(start))[:, :-1]
    slopes[len(coordinates.names) :, n_free:] = np.eye(n_scaling)
    slopes = slopes * sd
    prior = np.zeros((keep.size, keep.size))
    prior[:n_free, :n_free] = -np.asarray(jax.hessian(coordinates.log_prior)(start))[:-1, :-1]
    # A prior may curve upwards away from its middle; it then holds nothing there.
    value, vector = np.linalg.eigh(prior * np.outer(sd, sd))
    prior = (vector * np.maximum(value, 0.0)) @ vector.T

    root = _root(covariance)
    precision = root @ (slopes.T @ np.asarray(information) @ slopes + prior) @ root
    # Where the draws have the covariance 1, the data gave this share of their precision along each direction.
    share, direction = np.linalg.eigh(root @ slopes.T @ np.asarray(assumed) @ slopes @ root)
    told = direction[:, share >= _DATA_SHARE]
    value, vector = np.linalg.eigh(told.T @ precision @ told)
    value = np.maximum(value, _MOST**-2.0)
    # Nothing is drawn together: a bent likelihood may have made the draws wider than its curvature says.
    wider = value < 1.0
    outward = told @ vector[:, wider]
    spread = np.eye(keep.size) + (outward * (1.0 / np.sqrt(value[wider]) - 1.0)) @ outward.T
    change = root @ spread @ np.linalg.inv(root)
    result = x.copy()
    result[..., keep] = mean[keep] + (centred / sd) @ change.T * sd
    return result


def _root(matrix):
    """Symmetric square root."""
    value, vector = np.linalg.eigh(0.5 * (matrix + matrix.T))
    return (vector * np.sqrt(np.maximum(value, 0.0))) @ vector.T

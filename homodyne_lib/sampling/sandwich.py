"""Draws of a posterior, spread to the calibrated errors: the open-faced sandwich (Shaby 2014).

The likelihood that is sampled takes entries of c2 as independent, and its posterior is too narrow. One linear map Ω about the
mean of the draws gives them the calibrated covariance: (P6) and (P7) in docs/posterior.md. It acts on unconstrained
coordinates, so that no draw leaves its bounds, and it makes no direction narrower.
"""

from __future__ import annotations

import numpy as np

from homodyne_lib.model.matrices import map_eigenvalues
from homodyne_lib.sampling.coordinates import Coordinates, derivatives

__all__ = ["adjust_draws"]

# Directions that owe at least this share of their precision to the data say how much too small independent errors can be.
_DATA_SHARE = 0.5
# Calibrated errors are 2 to 50 times the independent ones. A larger factor means that the information is numerically zero.
_MOST = 100.0


def adjust_draws(x, coordinates: Coordinates, information, assumed) -> np.ndarray:
    """Spread draws about their mean.

    Parameters
    ----------
    x : array_like, shape (n_chains, n_draws, n_free + 1 + n_scaling)
        Draws in unconstrained coordinates; the noise scale, after the free parameters, is not changed.
    coordinates : Coordinates
    information : array_like, shape (p + n_scaling, p + n_scaling)
        Godambe's information of all physical parameters and scaling coefficients.
    assumed : array_like, shape (p + n_scaling, p + n_scaling)
        Information of the sampled likelihood: H over the variance of an entry.

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
    covariance = np.atleast_2d(np.cov((centred / sd).reshape(-1, keep.size), rowvar=False))

    of_params, _, _ = (np.asarray(part) for part in derivatives(coordinates, mean[: n_free + 1]))
    slopes = np.zeros((len(coordinates.names) + n_scaling, keep.size))
    slopes[: len(coordinates.names), :n_free] = of_params[:, :-1]
    slopes[len(coordinates.names) :, n_free:] = np.eye(n_scaling)
    slopes = slopes * sd
    prior = np.zeros((keep.size, keep.size))
    # Not its curvature at the mean of the draws: nothing becomes wider than the prior as a whole.
    drawn = coordinates.prior_draws()[:, :n_free] / sd[:n_free]
    prior[:n_free, :n_free] = np.linalg.inv(np.cov(drawn, rowvar=False).reshape(n_free, n_free))

    root = map_eigenvalues(0.5 * (covariance + covariance.T), lambda value: np.sqrt(np.maximum(value, 0.0)))
    of_noise, of_entries = (root @ slopes.T @ np.asarray(part) @ slopes @ root for part in (information, assumed))
    # In coordinates where the draws have the covariance 1, an eigenvalue is the share of the precision that is the data's.
    share, direction = np.linalg.eigh(of_entries)
    of_data = direction[:, share >= _DATA_SHARE] / np.sqrt(share[share >= _DATA_SHARE])
    least = np.linalg.eigvalsh(of_data.T @ of_noise @ of_data).min(initial=1.0)
    value, vector = np.linalg.eigh(of_noise + root @ prior @ root)
    value = np.maximum(value, max(least, _MOST**-2.0))
    # A value above 1 would narrow the draws: where the likelihood is not normal they may be wider than its curvature.
    wider = value < 1.0
    outward = vector[:, wider]
    spread = np.eye(keep.size) + (outward * (1.0 / np.sqrt(value[wider]) - 1.0)) @ outward.T
    omega = root @ spread @ np.linalg.inv(root)
    result = x.copy()
    result[..., keep] = mean[keep] + (centred / sd) @ omega.T * sd
    return result

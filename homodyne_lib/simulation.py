"""Two-time correlations with known truth, simulated speckle by speckle.

The intensity of a pixel is the mean over `modes` independent complex Gaussian fields whose covariance in time is g1. The
detector counts photons with Poisson noise, and c2 is computed from the counts as at a beamline. The noise therefore has the
correlations of real data: entries of c2 that share a frame, or the lifetime of a speckle, fluctuate together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from homodyne_lib.model import kernels
from homodyne_lib.model.bins import Bins
from homodyne_lib.model.geometry import PhysicsFactors
from homodyne_lib.model.layouts import numpy_mesh

__all__ = ["field_factor", "simulate_speckle_c2"]

_CHUNK = 2000  # pixels at a time; 2000 × 400 frames of complex field are 13 MB


def field_factor(g1) -> np.ndarray:
    """Symmetric square root A of a field covariance: A A = g1, small negative eigenvalues set to zero.

    Parameters
    ----------
    g1 : array_like, shape (n_t, n_t)
        Symmetric.

    Returns
    -------
    ndarray, shape (n_t, n_t)

    Raises
    ------
    ValueError
        If g1 has a clearly negative eigenvalue and is therefore no covariance.
    """
    eigenvalue, vector = np.linalg.eigh(np.asarray(g1))
    if eigenvalue[0] < -1e-6 * eigenvalue[-1]:
        raise ValueError(f"g1 has eigenvalue {eigenvalue[0]:.3g}; a field with this covariance does not exist.")
    # Signs of eigenvectors differ between machines. This root does not depend on them: a seed gives the same movie on each.
    return (vector * np.sqrt(np.maximum(eigenvalue, 0.0))) @ vector.T


def _intensities(factor, pixels, modes, rng) -> np.ndarray:
    n_t = factor.shape[0]
    total = np.zeros((pixels, n_t))
    for _ in range(2 * modes):  # real and imaginary part of each mode
        part = rng.standard_normal((pixels, n_t)) @ factor.T
        total += part * part
    return total / (2 * modes)


def simulate_speckle_c2(
    params,
    phi,
    *,
    q,
    dt: float,
    n_frames: int,
    pixels: int,
    modes: int,
    counts: float | None,
    seed: int,
    stator_rotor_gap: float | None = None,
    shear_convention: str = "spec",
    has_power: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> np.ndarray:
    """Simulate c2 = <I(t1) I(t2)> / (<I(t1)> <I(t2)>) over the pixels of a bin, for each bin.

    Of many pixels the expectation is 1 + g1²/modes off the diagonal; on it shot noise adds 1/counts. Of P pixels that do not
    change it is smaller by the factor (P - 1)/(P + 1/modes), as the mean intensity is theirs.

    Parameters
    ----------
    params : array_like, shape (p,)
        Physical parameters, in the order of a :class:`~homodyne_lib.model.model.Model` [units of the parameter table].
    phi : array_like, shape (n_bins,)
        [deg]; each bin has speckles of its own.
    q : float or array_like, shape (n_bins,)
        [1/Å]
    dt : float
        [s]
    n_frames, pixels, modes : int
        Frames, pixels a bin, independent fields a pixel (contrast 1/modes).
    counts : float or None
        Mean photons a pixel and frame; None for noiseless intensities.
    seed : int
    stator_rotor_gap : float, optional
        L [Å]; seven parameters need it.
    shear_convention : {"spec", "published"}
    has_power : bool
        Whether a power of q is the last of the parameters.
    progress : callable
        Called with a sentence about each bin.

    Returns
    -------
    ndarray, shape (n_bins, n_frames, n_frames)
        Symmetric, diagonal as measured (with shot noise).

    Raises
    ------
    ValueError
        If a count is not positive, or the gap is missing.
    """
    params, phi = np.asarray(params, dtype=float), np.atleast_1d(np.asarray(phi, dtype=float))
    for name, value in (("n_frames", n_frames), ("pixels", pixels), ("modes", modes)):
        if int(value) != value or value < 1:
            raise ValueError(f"{name} = {value} must be a whole number of at least 1.")
    if counts is not None and not counts > 0:
        raise ValueError(f"counts = {counts} per pixel and frame must be positive, or None for no shot noise.")
    if params.size >= kernels.N_FLOW and stator_rotor_gap is None:
        raise ValueError("seven parameters describe a flow; give stator_rotor_gap [Å], the width of its gap.")
    bins = Bins.of(phi, q)
    c2 = np.empty((phi.size, n_frames, n_frames))
    for k, sequence in enumerate(np.random.SeedSequence(seed).spawn(phi.size)):
        progress(f"bin {k + 1} of {phi.size}: {bins.named(k)}, {pixels} pixels × {n_frames} frames")
        factors = PhysicsFactors.from_config(
            bins.q[k], 1.0 if stator_rotor_gap is None else stator_rotor_gap, dt, validate=False
        ).to_tuple()
        layout = numpy_mesh(n_frames, phi[k], dt)._replace(q_ratio=bins.q[k] / bins.reference_q if has_power else None)
        g1 = np.broadcast_to(kernels.g1_total(params, layout, *factors, shear_convention), (1, n_frames, n_frames))[0]
        c2[k] = _one_bin(field_factor(g1), pixels, modes, counts, np.random.default_rng(sequence))
    return c2


def _one_bin(factor, pixels, modes, counts, rng) -> np.ndarray:
    n_t = factor.shape[0]
    product, total = np.zeros((n_t, n_t)), np.zeros(n_t)
    for first in range(0, pixels, _CHUNK):
        intensity = _intensities(factor, min(_CHUNK, pixels - first), modes, rng)
        if counts is not None:
            intensity = rng.poisson(counts * intensity).astype(float)
        product += intensity.T @ intensity
        total += intensity.sum(axis=0)
    if np.any(total == 0):
        raise ValueError(
            f"a frame of {pixels} pixels at {counts} counts a pixel recorded nothing; raise counts or pixels."
        )
    return pixels * product / np.outer(total, total)

"""Data of known parameters with independent noise, for tests of the fit and the sampler."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from homodyne_lib.io.correlations import RowBand
from homodyne_lib.likelihood.compression import compress
from homodyne_lib.likelihood.problem import make_problem
from homodyne_lib.likelihood.strips import model_matrices
from homodyne_lib.model.model import Model
from homodyne_lib.model.scaling import per_angle_scaling
from homodyne_lib.spec.jax_backend import compute_g2_scaled
from homodyne_lib.uncertainty.intensities import Intensities
from homodyne_lib.uncertainty.speckle_moments import pixel_noise

TRUTH = {"static": [30000.0, -0.5, 3000.0], "laminar_flow": [5000.0, -0.5, 500.0, 1e-3, -0.3, 1e-4, 3.0]}
SIGMA = 0.01


def white_noise_data(
    mode, n=60, phi=(-40.0, 0.0, 30.0, 60.0, 90.0), seed=0, convention="spec", params=None, contrast_step=0.01
):
    """g2 with contrasts of its own at each angle, plus white noise above the diagonal."""
    phi, t = np.array(phi), 0.1 * np.arange(n)
    params = np.array(TRUTH[mode] if params is None else params)
    contrast, offset = 0.3 + contrast_step * np.arange(phi.size), 1.0 + 0.2 * contrast_step * np.arange(phi.size)
    g2 = np.asarray(compute_g2_scaled(params, t, t, phi, 0.0054, 2e6, contrast, offset, 0.1, convention))
    noise = np.triu(np.random.default_rng(seed).standard_normal(g2.shape), 1)
    return g2 + SIGMA * (noise + np.swapaxes(noise, 1, 2)), phi


def record_of(c2, phi, *, sigma=SIGMA, gap=2e6, rows=None, frames=None):
    """The part of a record that a fit needs; ``frames`` are the numbers of those in ``c2``."""
    rows = np.arange(c2.shape[2]) if rows is None else rows
    frames = np.arange(1, c2.shape[2] + 1) if frames is None else frames
    return RowBand(rows, c2[:, rows], phi, 0.0054, 0.1, frames, gap, np.full(phi.size, sigma))


def problem_of(mode, per_angle="individual", convention="spec", rows=None, frames=None, **data):
    c2, phi = white_noise_data(mode, convention=convention, **data)
    if frames is not None:
        c2 = c2[:, frames - 1][:, :, frames - 1]
    scaling = per_angle_scaling(per_angle, phi, np.full(phi.size, 0.32), np.full(phi.size, 1.004), fourier_order=1)
    return make_problem(record_of(c2, phi, rows=rows, frames=frames), scaling, Model(mode, convention)), c2


def on_every_pair(problem):
    """The same problem with a node at every pair of frames."""
    n = problem.experiment.time.size
    return replace(problem, data=compress(problem.record, n)).on_nodes_of(n)


def dense_residuals(problem, c2, values):
    """(data - model)/σ above the diagonal, from the public model function."""
    p = len(problem.names)
    contrast, offset = problem.scaling.expand(values[p:])
    t = 0.1 * jnp.arange(c2.shape[2])
    phi = np.asarray(problem.experiment.phi)
    g2 = compute_g2_scaled(values[:p], t, t, phi, 0.0054, 2e6, contrast, offset, 0.1, problem.model.convention)
    i, j = np.triu_indices(c2.shape[2], 1)
    return ((c2 - g2)[:, i, j] / SIGMA).ravel()


def noise_of_a_pixel(params, experiment, angle, convention, contrast, offset=1.0):
    """Moments of the noise of a pixel at parameters."""
    g1, slopes = model_matrices(params, experiment, angle, convention)
    slopes[:-2] *= contrast
    return pixel_noise(Intensities.of(g1, contrast, offset), slopes)

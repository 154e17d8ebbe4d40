"""A small record of two q at two angles in several files, with white noise, from the slow reference."""

from __future__ import annotations

import numpy as np
import reference

from homodyne_lib.io.correlations import Correlations

DT, GAP, N = 0.1, 2e6, 40
PHI = np.array([0.0, 60.0])
RINGS = np.array([0.0054, 0.0076])
TRUTH = {"static": [5000.0, -0.5, 500.0], "laminar_flow": [5000.0, -0.5, 500.0, 1e-3, -0.3, 1e-4, 3.0]}


def record(mode, repeats=2, power=2.0, seed=0):
    """Two q at two angles, in each of several files, with white noise."""
    q = np.tile(np.repeat(RINGS, PHI.size), repeats)
    phi, repeat = np.tile(PHI, q.size // PHI.size), np.repeat(np.arange(repeats), q.size // repeats)
    c2 = 1.0 + 0.3 * np.stack([u_of(mode, TRUTH[mode], *bin_, power) for bin_ in zip(q, phi, strict=True)])
    noise = np.triu(np.random.default_rng(seed).standard_normal(c2.shape), 1)
    c2 = c2 + 0.01 * (noise + noise.swapaxes(1, 2))
    diagonal = np.diagonal(c2, axis1=1, axis2=2).copy()
    about = {"dt": DT, "frames": np.arange(1, N + 1), "stator_rotor_gap": GAP, "source": "a", "source_sha256": "b"}
    return Correlations(c2=c2, raw_diagonal=diagonal, phi=phi, q=q, repeat=repeat, sigma=np.full(q.size, 0.01), **about)


def u_of(mode, params, q, phi, power=2.0):
    """g1² of a bin, from the slow reference; another power of q counts from the geometric mean."""
    time, scale = np.maximum(DT * np.arange(N), DT / 2), np.sqrt(RINGS.prod())
    params = np.array(params, dtype=float)
    # D at this q that gives the decay of that power.
    params[[0, 2]] *= (q / scale) ** (power - 2.0)
    if mode == "static":
        return reference.g1_diffusion(params, time, q, DT) ** 2
    return reference.g1_total(params, time, [phi], q, GAP, DT, "spec")[0] ** 2

"""Parameters and small records on which sums over pairs are compared."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from homodyne_lib.likelihood.experiment import Experiment
from homodyne_lib.model.bins import Bins
from homodyne_lib.model.geometry import PhysicsFactors
from homodyne_lib.model.layouts import numpy_mesh

PARAMS = {
    "static": [1.2e4, -1.2, 400.0],
    "laminar": [1.2e4, -1.2, 400.0, 2e-3, -0.4, 1e-4, -5.8],
    "slow flow": [5e3, -0.5, 500.0, 1e-5, 0.6, 0.0, 12.0],  # phases below 0.1, where series replace quotients
    "floored": [3e3, 0.4, -4e3, 1e-3, -0.3, -4e-4, 3.0],  # D(t) and the shear rate touch their floors
}


def case(mode, n, n_phi):
    phi = np.linspace(-75, 90, n_phi)
    factors = PhysicsFactors.from_config(0.0054, 2e6, 0.1).to_tuple()
    layout = numpy_mesh(n, phi, 0.1)
    experiment = Experiment.of(np.asarray(layout.time), np.arange(n), Bins.of(phi, 0.0054), 0.1, 2e6)
    c2 = 1 + 0.1 * np.random.default_rng(0).standard_normal((n_phi, n, n))
    return jnp.array(PARAMS[mode]), layout, factors, experiment, c2

"""A batch of replicas of one regime: what was true, fitted, and said to be the error, with and without calibration.

python replicas.py MODE FIELDS COUNTS FRAMES PIXELS FIRST N OUTPUT
"""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from homodyne_lib.fitting.nlsq import fit_nlsq
from homodyne_lib.io.correlations import RowBand
from homodyne_lib.io.files import write_json
from homodyne_lib.likelihood.problem import make_problem
from homodyne_lib.model.backend import load_jax
from homodyne_lib.model.rates import calculate_diffusion_coefficient
from homodyne_lib.model.scaling import per_angle_scaling
from homodyne_lib.prepare.entry_noise import estimate_sigma
from homodyne_lib.simulation import simulate_speckle_c2
from homodyne_lib.uncertainty.calibration import calibrate

PHI = np.array([-40.0, 0.0, 30.0, 60.0])
GEOMETRY = {"q": 0.0054, "dt": 0.1, "stator_rotor_gap": 2e6}
TRUTH = {
    "static": {"D0": 30000.0, "alpha": -0.5, "D_offset": 3000.0},
    "laminar_flow": {
        "D0": 5000.0, "alpha": -0.5, "D_offset": 500.0,
        "gamma_dot_t0": 1e-3, "beta": -0.3, "gamma_dot_t_offset": 1e-4, "phi0": 3.0,
    },
}  # fmt: skip
CURVE_NAMES = ("D", "shear rate")
CURVE_TIMES = (0.1, 0.3, 0.9)  # of the record


def replica(mode, fields, counts, frames, pixels, seed) -> dict:
    """Simulate, fit, calibrate; (truth, value, calibrated error, independent error) by quantity."""
    truth = TRUTH[mode]
    c2 = simulate_speckle_c2(
        list(truth.values()), PHI, n_frames=frames, pixels=pixels, modes=fields, counts=counts, seed=seed, **GEOMETRY
    )
    numbers = np.arange(frames)
    record = RowBand(numbers, c2, PHI, GEOMETRY["q"], GEOMETRY["dt"], numbers + 1, 2e6, estimate_sigma(c2))
    problem = make_problem(record, per_angle_scaling("individual", PHI), mode)
    # The search finds the same minimum; from the truth, a replica takes a tenth of the time.
    fit = fit_nlsq(problem, start=truth, n_starts=0)
    held = [name for name, bound in fit.at_bound.items() if bound]
    result = calibrate(problem, fit.values, np.diagonal(c2, axis1=1, axis2=2), held=held)
    told = {
        name: (true, fit.values[k], result.errors[k], fit.errors[k]) for k, (name, true) in enumerate(truth.items())
    }
    times = np.array(CURVE_TIMES) * frames * GEOMETRY["dt"]
    for first, curve in zip(range(0, len(truth) - 1, 3), CURVE_NAMES, strict=False):
        rate = slice(first, first + 3)
        slopes = load_jax().jacfwd(lambda p: calculate_diffusion_coefficient(times, *p))(fit.values[rate]).T
        values, true = (
            calculate_diffusion_coefficient(times, *numbers)
            for numbers in (fit.values[rate], list(truth.values())[rate])
        )
        errors = [
            np.sqrt(np.einsum("at,ab,bt->t", slopes, covariance[rate, rate], slopes))
            for covariance in (result.covariance, fit.covariance)
        ]
        for k, share in enumerate(CURVE_TIMES):
            told[f"{curve} at {share:g}"] = (true[k], values[k], *(e[k] or np.nan for e in errors))
    return {"quantities": told, "pixels": result.pixels, "noise": result.noise, "at_bound": held}


def main(mode, fields, counts, frames, pixels, first, n, output) -> None:
    """Write a batch."""
    regime = (mode, int(fields), None if counts == "none" else float(counts), int(frames), int(pixels))
    # Regimes have replicas of their own: an unlucky draw is not seen in all of them.
    base = zlib.crc32(repr(regime).encode())
    content = [replica(*regime, seed=[base, number]) for number in range(int(first), int(first) + int(n))]
    write_json(output, {"replicas": content})


if __name__ == "__main__":
    main(*sys.argv[1:])

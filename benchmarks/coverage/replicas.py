"""A batch of replicas of one regime: what was true, fitted, and said to be the error, by least squares and in the metric.

python replicas.py MODE FIELDS COUNTS FRAMES PIXELS FIRST N OUTPUT
"""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from homodyne_lib.fitting.nlsq import fit_nlsq
from homodyne_lib.fitting.speckle_fit import fit_speckle
from homodyne_lib.io.correlations import RowBand
from homodyne_lib.io.files import write_json
from homodyne_lib.likelihood.problem import make_problem
from homodyne_lib.model.curves import CURVES, rate_slopes
from homodyne_lib.model.model import Model
from homodyne_lib.model.scaling import per_angle_scaling
from homodyne_lib.prepare.entry_noise import estimate_sigma
from homodyne_lib.simulation import simulate_speckle_c2
from homodyne_lib.uncertainty.calibration import calibrate
from homodyne_lib.uncertainty.two_fits import compare_fits

PHI = np.array([-40.0, 0.0, 30.0, 60.0])
GEOMETRY = {"q": 0.0054, "dt": 0.1, "stator_rotor_gap": 2e6}
TRUTH = {
    "static": {"D0": 30000.0, "alpha": -0.5, "D_offset": 3000.0},
    "laminar_flow": {
        "D0": 5000.0, "alpha": -0.5, "D_offset": 500.0,
        "gamma_dot_t0": 1e-3, "beta": -0.3, "gamma_dot_t_offset": 1e-4, "phi0": 3.0,
    },
}  # fmt: skip
CURVE_TIMES = (0.1, 0.3, 0.9)  # of the record


def replica(mode, fields, counts, frames, pixels, seed) -> dict:
    """Simulate, fit in both ways, calibrate.

    By quantity: truth; value, calibrated error and independent error by least squares; value, error, and that of Gaussian
    intensities in the metric of the noise.
    """
    truth = TRUTH[mode]
    c2 = simulate_speckle_c2(
        list(truth.values()), PHI, n_frames=frames, pixels=pixels, modes=fields, counts=counts, seed=seed, **GEOMETRY
    )
    numbers = np.arange(frames)
    record = RowBand(numbers, c2, PHI, GEOMETRY["q"], GEOMETRY["dt"], numbers + 1, 2e6, estimate_sigma(c2))
    problem = make_problem(record, per_angle_scaling("individual", PHI), Model(mode))
    # The search finds the same minimum; from the truth, a replica takes a tenth of the time.
    fit = fit_nlsq(problem, start=truth, n_starts=0)
    noise = calibrate(problem, fit.values, np.diagonal(c2, axis1=1, axis2=2), held=bounded(fit))
    squares = quantities(truth, fit.values, frames, noise.covariance, fit.covariance)
    if not noise.kind.has_metric:
        numbers = {name: [*parts, *parts[1:]] for name, parts in squares.items()}
        return _report(numbers, noise, fit, None)
    found = fit_speckle(problem, fit.values, [fit.values[: len(truth)]], 1.0 / noise.effective_counts)
    calibration, agreement = compare_fits(problem, found, noise, held=bounded(found.fit))
    weighted = quantities(truth, found.fit.values, frames, calibration.covariance, found.fit.covariance)
    numbers = {name: [*parts, *weighted[name][1:]] for name, parts in squares.items()}
    return _report(numbers, noise, fit, agreement.p_value)


def _report(numbers, noise, fit, chance) -> dict:
    about = {"pixels": noise.pixels, "noise": noise.kind.name, "at_bound": bounded(fit), "p_value": chance}
    return {"quantities": numbers} | about


def bounded(fit) -> list[str]:
    """Parameters on a bound."""
    return [name for name, bound in fit.at_bound.items() if bound]


def quantities(truth, values, frames, *covariances) -> dict[str, list[float]]:
    """Truth, value and errors of each parameter, and of each rate at three times of the record."""
    fitted = dict(zip(truth, values, strict=False))
    numbers = {name: (truth[name], fitted[name], np.eye(len(truth))[k]) for k, name in enumerate(truth)}
    times = np.array(CURVE_TIMES) * frames * GEOMETRY["dt"]
    for curve, (_, names) in CURVES.items():
        if not truth.keys() >= {*names}:
            continue
        true = rate_slopes(truth, times, GEOMETRY["dt"], curve)[0]
        rates, slopes = rate_slopes(fitted, times, GEOMETRY["dt"], curve)
        for share, *pair, slope in zip(CURVE_TIMES, true, rates, slopes, strict=True):
            numbers[f"{curve} at {share:g}"] = (*pair, slope)
    p = slice(len(truth))
    return {
        name: [true, value, *(np.sqrt(along @ c[p, p] @ along) or np.nan for c in covariances)]
        for name, (true, value, along) in numbers.items()
    }


def main(mode, fields, counts, frames, pixels, first, n, output) -> None:
    """Write a batch."""
    regime = (mode, int(fields), None if counts == "none" else float(counts), int(frames), int(pixels))
    # Regimes have replicas of their own: an unlucky draw is not seen in all of them.
    base = zlib.crc32(repr(regime).encode())
    content = [replica(*regime, seed=[base, number]) for number in range(int(first), int(first) + int(n))]
    write_json(output, {"replicas": content})


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Angles of an isotropic measurement, each fitted on its own: do they scatter as their errors say?

python angles.py OUTPUT

The colloid of the demo rests, so that its angles should agree. What a record shorter than the decay determines is neither D
nor the contrast but how far c2 falls, C (1 - exp(-D q² τ)), here over τ = half of the record. Errors are those at the common
fit of all angles, as they belong to the hypothesis that is tested; those in the metric of the noise, of each angle's own fit.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from homodyne_lib.fitting.nlsq import fit_nlsq
from homodyne_lib.fitting.speckle_fit import fit_speckle
from homodyne_lib.io.files import write_text
from homodyne_lib.io.reader import read_two_time
from homodyne_lib.likelihood.problem import make_problem
from homodyne_lib.model.model import Model
from homodyne_lib.model.scaling import per_angle_scaling
from homodyne_lib.prepare.diagonal import apply_diagonal_correction_batch
from homodyne_lib.prepare.entry_noise import estimate_sigma
from homodyne_lib.uncertainty.calibration import calibrate
from homodyne_lib.uncertainty.two_fits import compare_fits

CONFIG = Path(__file__).resolve().parents[2] / "config"
COLLOID = pd.read_csv(CONFIG / "datasets.tsv", sep="\t", index_col="dataset").loc["colloid"]
WAVEVECTORS = (0.0042, 0.0052, 0.0061, 0.0070, 0.0081, 0.0101, 0.0112, 0.0126)
HELD = {"alpha": 0.0, "D_offset": 0.0}


def fitted(record, angles):
    """Some of the angles, their problem, and their fit with D alone and contrast and offset of each."""
    of_angles = ("c2", "phi", "q", "repeat", "sigma", "raw_diagonal", "pixels")
    part = replace(record, **{name: getattr(record, name)[angles] for name in of_angles})
    problem = make_problem(part, per_angle_scaling("individual", part.phi), Model("static"))
    return part, problem, fit_nlsq(problem, fixed=HELD, n_starts=16).values


def fall(values, decays):
    """How far c2 falls, and its slopes along (D, α, D_offset, C, O)."""
    left = np.exp(-values[0] * decays)
    return values[3] * (1 - left), np.array([values[3] * left * decays, 0.0, 0.0, 1 - left, 0.0])


def scatter(q):
    """Number of angles, χ² per degree of freedom (calibrated, independent, metric), scatter of both fits, pixels, M."""
    record = read_two_time(
        CONFIG / COLLOID["file"],
        format=COLLOID["format"],
        wavevector_q=q,
        q_tolerance=0.01,
        phi_ranges=(),
        dt=COLLOID["dt"],
        start_frame=1,
        end_frame=-1,
    )
    corrected = apply_diagonal_correction_batch(record.c2, method="basic", backend="numpy", frames=record.frames)
    record = replace(record, c2=corrected, sigma=estimate_sigma(record.c2, record.frames))
    n, decays = len(record.phi), record.bins.reference_q**2 * record.dt * (record.c2.shape[1] - 1) / 2
    *_, common = fitted(record, slice(None))
    falls, errors, pixels = [], [], []
    for k in range(n):
        angle, problem, values = fitted(record, slice(k, k + 1))
        expected = np.array([*common[:3], common[3 + k], common[3 + n + k]])
        noise = calibrate(problem, expected, angle.raw_diagonal, held=list(HELD))
        found = fit_speckle(problem, expected, [values[:3]], 1.0 / noise.effective_counts, fixed=HELD)
        weighted, _ = compare_fits(problem, found, noise, held=list(HELD), fixed=list(HELD))
        by_squares, in_metric = (fall(those, decays)[0] for those in (values, found.fit.values))
        falls.append([by_squares, by_squares, in_metric])
        slopes = fall(expected, decays)[1]
        errors.append(
            [np.sqrt(slopes @ c @ slopes) for c in (noise.covariance, noise.independent, weighted.covariance)]
        )
        pixels.append(noise.pixels[0])
    falls, weight = np.array(falls), np.array(errors) ** -2.0
    mean = np.sum(weight * falls, axis=0) / weight.sum(axis=0)
    chi2 = np.sum(weight * (falls - mean) ** 2, axis=0) / (n - 1)
    return n, chi2, falls.std(axis=0, ddof=1)[[0, 2]], record.pixels, pixels


def main(output) -> None:
    """Write the table."""
    lines = [
        "| q [1/Å] | angles | χ²/dof, calibrated | χ²/dof, independent | χ²/dof, metric "
        "| scatter, least squares | scatter, metric | pixels of a bin | M found |",
        "|---" * 9 + "|",
    ]
    for q in WAVEVECTORS:
        n, (calibrated, independent, metric), (by_squares, in_metric), own, found = scatter(q)
        lines.append(
            f"| {q:.4f} | {n} | {calibrated:.2f} | {independent:.1f} | {metric:.2f} | {by_squares:.4f} | {in_metric:.4f} "
            f"| {min(own):.0f} – {max(own):.0f} | {min(found):.0f} – {max(found):.0f} |"
        )
    write_text(output, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

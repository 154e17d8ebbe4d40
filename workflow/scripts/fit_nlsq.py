"""Fit the model to one record by least squares, and in the metric of the noise that its residuals show."""

import script_support

from job_log import RESULT

from homodyne_lib.io.canonical_file import open_correlations, read_correlations
from homodyne_lib.likelihood.compression import Compressed
from homodyne_lib.model.model import fixed_power
from homodyne_lib.results.scalings import QuantileScaling
from homodyne_lib.steps.apart import with_parts
from homodyne_lib.steps.calibrated import calibrated
from homodyne_lib.steps.fitted import fitted


def fit(paths, output, *, calibration, threads, progress, **settings):
    """Write nlsq.json, and calibration.json where errors are calibrated.

    ``calibration`` holds settings of :func:`homodyne_lib.steps.calibrated.calibrated`, or is None; ``settings`` are those of
    :func:`homodyne_lib.steps.fitted.fitted`.
    """
    data, quantiles = Compressed.read(paths.nodes), QuantileScaling.read(paths.scaling)
    with open_correlations(paths.c2) as record:
        result = fitted(record, data, quantiles, progress=progress, **settings)
    shared = {name: settings[name] for name in ("fourier_order", "fixed", "bounds", "max_evaluations")}
    shared |= {"threads": threads, "progress": progress}
    search = {"starts": settings["starts"], "seed": settings["seed"]}
    if calibration is not None or len(data.bins.groups) > 1:
        record = read_correlations(paths.c2)
        if calibration is not None:
            result = calibrated(result, record, data, quantiles, **calibration, **shared)
            result.calibration.write(output.calibration)
        result = with_parts(result, record, data, quantiles, **search, **shared)
    result.write(output.nlsq)
    progress(RESULT + in_short(result))


def in_short(result):
    """What a line of the terminal has room for."""
    told = f"χ²/dof = {result.by_squares.reduced_chi2:.3g} by least squares"
    if result.agreement is not None:
        gain = f"errors {result.agreement.gain_in_words} in the metric of the noise"
        told += f", {'the two fits disagree' if result.agreement.rejected else gain}"
    if result.parts is not None and result.parts.made:
        told += f"; parts alone {'contradict' if result.parts.rejected else 'agree with'} the common fit"
    return told


script_support.run(
    globals().get("snakemake"),
    lambda job, log: fit(
        job.input,
        job.output,
        calibration={"estimator": job.params.estimator} if job.params.uncertainty == "speckle" else None,
        threads=job.threads,
        progress=log,
        analysis_mode=job.params.row["analysis_mode"],
        shear_convention=job.params.shear_convention,
        q_exponent=fixed_power(job.params.q_exponent),
        seed=job.params.seed,
        **job.params.scaling,
        **job.params.settings,
    ),
)

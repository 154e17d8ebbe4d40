"""Give the fit of one record the errors that its residuals call for."""

import script_support
from scaling_support import configured_scaling

from homodyne_lib.calibration import calibrate
from homodyne_lib.data import read_correlations
from homodyne_lib.files import read_json, write_json
from homodyne_lib.fit_results import calibration_record
from homodyne_lib.problem import make_problem


def calibrated(path_to_c2, path_to_scaling, path_to_nlsq, path_to_output, *, scaling, fixed, progress):
    """Write calibration.json."""
    record, quantiles, fit = read_correlations(path_to_c2), read_json(path_to_scaling), read_json(path_to_nlsq)
    per_angle = configured_scaling(scaling, record.phi, quantiles)
    problem = make_problem(record, per_angle, fit["analysis_mode"], fit["shear_convention"])
    values = [entry["value"] for entry in fit["parameters"].values()] + list(fit["coefficients"].values())
    bound = [name for name, entry in fit["parameters"].items() if entry["at_bound"]]
    content = calibration_record(
        calibrate(problem, values, record.raw_diagonal, held=[*fixed, *bound]), fit["covariance"]["names"]
    )
    progress(content["note"])
    progress(content["sentence"])
    write_json(path_to_output, content)


script_support.run(
    globals().get("snakemake"),
    lambda job, log: calibrated(
        job.input.c2,
        job.input.scaling,
        job.input.nlsq,
        job.output[0],
        scaling=job.params.scaling,
        fixed=job.params.fixed,
        progress=log,
    ),
)

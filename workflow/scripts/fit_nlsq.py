"""Fit the model to one record; where it has a flow, also fit it without and compare."""

import script_support
from scaling_support import configured_scaling

from homodyne_lib.data import read_correlations
from homodyne_lib.files import read_json, write_json
from homodyne_lib.fit_results import flow_test, nlsq_record
from homodyne_lib.nlsq import fit_nlsq
from homodyne_lib.physics import is_static
from homodyne_lib.problem import make_problem


def fit(
    path_to_c2, path_to_scaling, path_to_output, *, analysis_mode, settings, scaling, shear_convention, seed, progress
):
    """Write nlsq.json."""
    record, quantiles = read_correlations(path_to_c2), read_json(path_to_scaling)
    per_angle = configured_scaling(scaling, record.phi, quantiles)

    def fitted(mode, options):
        problem = make_problem(record, per_angle, mode, shear_convention)
        options = dict(options, n_starts=options["starts"], start=options["start"] or None)
        del options["starts"]
        return problem, fit_nlsq(problem, seed=seed, **options)

    problem, result = fitted(analysis_mode, settings)
    progress(f"χ²/dof = {result.reduced_chi2:.4g} from {result.n_points} points; {result.message}")
    content = nlsq_record(result, problem, analysis_mode, record.sigma)
    if scaling["per_angle_mode"].startswith("constant"):
        # Only these modes lean on the quantile estimates.
        content["warnings"] = [*quantiles["warnings"], *content["warnings"]]
    if not is_static(analysis_mode):
        without = {key: {} for key in ("start", "fixed", "bounds")}
        # Without start values it needs a search, also where the configuration leaves that out.
        _, static = fitted("static", settings | without | {"starts": max(settings["starts"], 1)})
        content["flow_test"] = flow_test(static, result, record.c2.shape[1])
        progress(content["flow_test"]["sentence"])
    for warning in content["warnings"]:
        progress(f"Warning: {warning}")
    write_json(path_to_output, content)


script_support.run(
    globals().get("snakemake"),
    lambda job, log: fit(
        job.input.c2,
        job.input.scaling,
        job.output[0],
        analysis_mode=job.params.row["analysis_mode"],
        settings=job.params.settings,
        scaling=job.params.scaling,
        shear_convention=job.params.shear_convention,
        seed=job.params.seed,
        progress=log,
    ),
)

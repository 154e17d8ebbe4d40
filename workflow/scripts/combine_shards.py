"""Combine the shards' draws, judge each shard's chains, and put posterior and fit side by side."""

import script_support

from homodyne_lib.cmc import combine_shards
from homodyne_lib.coordinates import Coordinates
from homodyne_lib.draws import read_shard, write_posterior
from homodyne_lib.files import read_json, replacing, write_json
from homodyne_lib.results import chain_diagnostics, parameter_rows
from homodyne_lib.sandwich import adjust_draws


def combine(paths_to_shards, path_to_nlsq, path_to_calibration, posterior, summary, parameters, *, nlsq, progress):
    """Write posterior.nc, cmc.json and parameters.csv; without a calibration errors are those of independent noise."""
    fit = read_json(path_to_nlsq)
    scaling_names = list(fit["coefficients"])
    shards = [read_shard(path)[0] for path in paths_to_shards]
    coordinates = Coordinates(list(fit["parameters"]), shards[0].time, nlsq["bounds"], nlsq["fixed"])
    reports = []
    for number, shard in enumerate(shards):
        report = chain_diagnostics(coordinates.natural_draws(shard.x, scaling_names), shard.stats)
        reports.append({"shard": number, **report})
        for reason in report["reasons"]:
            progress(f"Warning: shard {number}: {reason}.")
    x = combine_shards([shard.x for shard in shards])
    independent = coordinates.natural_draws(x, scaling_names)
    calibration = read_json(path_to_calibration) if path_to_calibration else {"noise": "independent"}
    if calibration["noise"] == "speckle":
        x = adjust_draws(x, coordinates, calibration["information"], calibration["assumed"])
    draws = coordinates.natural_draws(x, scaling_names)
    worst = {
        "r_hat": {name: max(r["r_hat"][name] for r in reports) for name in draws},
        "ess_bulk": {name: min(r["ess_bulk"][name] for r in reports) for name in draws},
    }
    good = sum(report["converged"] for report in reports)
    content = {
        "method": "nuts",
        "status": "converged" if good == len(reports) else "not converged",
        "n_shards": len(shards),
        "n_converged": good,
        "n_chains": shards[0].x.shape[0],
        "n_draws": shards[0].x.shape[1],
        "warnings": [f"Shard {r['shard']}: {reason}." for r in reports for reason in r["reasons"]],
        "shards": reports,
    }
    progress(f"{good} of {len(reports)} shards converged; largest R̂ {max(worst['r_hat'].values()):.4f}")
    write_posterior(posterior, draws, shards, independent)
    with replacing(parameters) as temporary:
        parameter_rows(fit, draws, worst, independent).to_csv(temporary, index=False)
    write_json(summary, content)


script_support.run(
    globals().get("snakemake"),
    lambda job, log: combine(
        list(job.input.shards),
        job.input.nlsq,
        job.input.get("calibration"),
        job.output.posterior,
        job.output.summary,
        job.output.parameters,
        nlsq=job.params.nlsq,
        progress=log,
    ),
)

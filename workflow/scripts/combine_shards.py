"""Make the posterior of all data from its shards, and put posterior and fit side by side."""

import numpy as np
import script_support
from shard_support import seed_of, usable_shards

from homodyne_lib.consensus import cholesky_factor, combine_shards
from homodyne_lib.coordinates import Coordinates
from homodyne_lib.draws import write_posterior
from homodyne_lib.files import read_json, replacing, write_json
from homodyne_lib.importance import MAX_PARETO_K, reweighted
from homodyne_lib.parameter_scales import prior_normal
from homodyne_lib.results import parameter_rows
from homodyne_lib.sandwich import adjust_draws
from homodyne_lib.shard_files import read_terms

PRIOR_DRAWS = 4000
OWN_DRAWS = 400


def combined(used, paths_to_terms, scaling, seed):
    """Draws of all data, what each shard says of its own, and how well that goes together; one shard is all data."""
    shards = [draws for draws, _ in used.values()]
    if not paths_to_terms:
        return shards[0].x, [shards[0].x], {"agreement": None, "pareto_k": None}
    consensus = combine_shards(shards)
    proposals, terms = read_terms([paths_to_terms[number] for number in used])
    x, pareto_k = reweighted(proposals, terms, np.array(list(scaling.values())), shards[0].x.shape[:2], seed)
    normal = np.random.default_rng(seed).standard_normal((1, OWN_DRAWS, len(consensus.mean)))
    beside = normal @ cholesky_factor(consensus.own_covariance).T
    own = [mean + beside for mean in consensus.own_means]
    return x, own, {"agreement": consensus.agreement, "pareto_k": pareto_k}


def prior_sd(coordinates, scaling):
    """Standard deviation of the prior of everything that is drawn."""
    draws = coordinates.natural_draws(coordinates.prior_draws(PRIOR_DRAWS), [])
    of_scaling = dict(zip(("contrast", "offset"), prior_normal(["contrast", "offset"])[1], strict=True))
    return {name: sample.std() for name, sample in draws.items()} | {
        name: of_scaling[name.split("_")[0]] for name in scaling
    }


def spread(x, coordinates, path_to_calibration):
    """Draws with the calibrated covariance, where there is one."""
    calibration = read_json(path_to_calibration) if path_to_calibration else {"noise": "independent"}
    if calibration["noise"] != "speckle":
        return x
    return adjust_draws(x, coordinates, calibration["information"], calibration["assumed"])


def record(reports, failed, shards, combination):
    """The content of cmc.json."""
    pareto_k, n_shards = combination["pareto_k"], len(reports) + len(failed)
    warnings = [f"Shard {entry['shard']} is left out: {entry['reason']}" for entry in failed]
    warnings += [f"Shard {report['shard']}: {reason}." for report in reports for reason in report["reasons"]]
    exact = pareto_k is None or pareto_k < MAX_PARETO_K
    if not exact:
        warnings.append(
            f"The shards agree on a law that is far from the posterior of all data (Pareto k is {pareto_k:.2f}; below "
            f"{MAX_PARETO_K} is wanted); use fewer shards (cmc.shards)."
        )
    good = sum(report["converged"] for report in reports)
    return {
        "method": "nuts",
        "status": "converged" if good == n_shards and exact else "not converged",
        "n_shards": n_shards,
        "n_converged": good,
        "n_chains": shards[0].x.shape[0],
        "n_draws": shards[0].x.shape[1],
        **combination,
        "warnings": warnings,
        "failed": failed,
        "shards": reports,
    }


def combine(
    paths_to_shards,
    paths_to_terms,
    path_to_nlsq,
    path_to_calibration,
    posterior,
    summary,
    parameters,
    *,
    seed,
    cmc,
    nlsq,
    progress,
):
    """Write posterior.nc, cmc.json and parameters.csv; without a calibration errors are those of independent noise."""
    fit = read_json(path_to_nlsq)
    scaling = fit["coefficients"]
    used, failed = usable_shards(paths_to_shards, cmc["min_good_shards"])
    shards, reports = (list(part) for part in zip(*used.values(), strict=True))
    coordinates = Coordinates(list(fit["parameters"]), shards[0].time, nlsq["bounds"], nlsq["fixed"])
    x, own, combination = combined(used, paths_to_terms, scaling, seed)
    for report, sample in zip(reports, own, strict=True):
        by_name = coordinates.natural_draws(sample, list(scaling))
        report["mean"] = {name: float(values.mean()) for name, values in by_name.items()}
        report["sd"] = {name: float(values.std()) for name, values in by_name.items()}
    content = record(reports, failed, shards, combination)
    for text in content["warnings"]:
        progress(f"Warning: {text}")
    independent = coordinates.natural_draws(x, list(scaling))
    draws = coordinates.natural_draws(spread(x, coordinates, path_to_calibration), list(scaling))
    worst = {
        "r_hat": {name: max(r["r_hat"][name] for r in reports) for name in draws},
        "ess_bulk": {name: min(r["ess_bulk"][name] for r in reports) for name in draws},
    }
    largest = max(worst["r_hat"].values())
    progress(f"{content['n_converged']} of {content['n_shards']} shards converged; largest R̂ {largest:.4f}")
    write_posterior(posterior, draws, shards, independent)
    with replacing(parameters) as temporary:
        rows = parameter_rows(fit, draws, worst, prior_sd(coordinates, scaling), independent)
        rows.to_csv(temporary, index=False)
    write_json(summary, content)


script_support.run(
    globals().get("snakemake"),
    lambda job, log: combine(
        list(job.input.shards),
        list(job.input.get("terms", [])),
        job.input.nlsq,
        job.input.get("calibration"),
        job.output.posterior,
        job.output.summary,
        job.output.parameters,
        seed=seed_of(job.wildcards.dataset, "resampling", job.params.seed),
        cmc=job.params.settings,
        nlsq=job.params.nlsq,
        progress=log,
    ),
)

"""What the jobs of shards share: the posterior of a shard as configured, and the shards that can be used."""

import hashlib

from scaling_support import configured_scaling

from homodyne_lib.data import read_rows
from homodyne_lib.files import read_json
from homodyne_lib.posterior import ShardPosterior
from homodyne_lib.problem import make_problem
from homodyne_lib.shard_files import read_shard


def seed_of(*about):
    """A seed of its own for every such thing, the same in every run."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, about)).encode()).digest()[:4], "little")


def shard_posterior(path_to_c2, path_to_scaling, path_to_nlsq, shard, n_shards, scaling, nlsq) -> ShardPosterior:
    """Posterior of shard ``shard`` of ``n_shards``: its rows of c2, anchored at the fit of all."""
    fit = read_json(path_to_nlsq)
    band = read_rows(path_to_c2, slice(shard, -1, n_shards))
    per_angle = configured_scaling(scaling, band.phi, read_json(path_to_scaling))
    problem = make_problem(band, per_angle, fit["analysis_mode"], fit["shear_convention"])
    values = [*(entry["value"] for entry in fit["parameters"].values()), *fit["coefficients"].values()]
    noise_scale = (fit["chi2"] / fit["n_points"]) ** 0.5
    return ShardPosterior(problem, values, n_shards, nlsq["bounds"], nlsq["fixed"], noise_scale)


def posterior_of(job) -> ShardPosterior:
    """Posterior of the shard that a job is for."""
    return shard_posterior(
        job.input.c2,
        job.input.scaling,
        job.input.nlsq,
        int(job.wildcards.shard),
        int(job.wildcards.n_shards),
        job.params.scaling,
        job.params.nlsq,
    )


def usable_shards(paths, least):
    """Draws and reports by number of the shards whose chains can be used, and why the others cannot.

    Raises
    ------
    ValueError
        If their share is below ``least``.
    """
    used, failed = {}, []
    for number, path in enumerate(paths):
        try:
            draws, report = read_shard(path)
        except ValueError as error:
            failed.append({"shard": number, "reason": str(error)})
            continue
        if report["usable"]:
            used[number] = draws, {"shard": number, **report}
        else:
            failed.append({"shard": number, "reason": "; ".join(report["reasons"]) + "."})
    if len(used) < max(1, least * len(paths)):
        told = " ".join(f"Shard {entry['shard']}: {entry['reason']}" for entry in failed)
        raise ValueError(
            f"only {len(used)} of {len(paths)} shards can be used, and cmc.min_good_shards asks for a share of {least:g}. "
            f"{told}"
        )
    return used, failed

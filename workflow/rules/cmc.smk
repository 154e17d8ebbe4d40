"""Consensus Monte Carlo: one job; or one for each shard and for its weights, then their combination.

REQUIRED INPUTS: results/{dataset}/nodes.npz, or c2.h5 where there are shards; scaling.json and nlsq.json beside it.
OUTPUTS: results/{dataset}/posterior.nc, cmc.json, parameters.csv.
"""


rule sample_posterior:
    """Sample the posterior of all data with NUTS, started and scaled by the fit, and put it beside the fit."""
    input:
        data="results/{dataset}/nodes.npz",
        c2="results/{dataset}/c2.h5" if IN_METRIC else [],
        scaling="results/{dataset}/scaling.json",
        nlsq="results/{dataset}/nlsq.json",
        calibration=CALIBRATION,
    output:
        posterior="results/{dataset}/posterior.nc",
        summary="results/{dataset}/cmc.json",
        parameters="results/{dataset}/parameters.csv",
    log:
        "results/{dataset}/logs/sample_posterior.log",
    benchmark:
        "results/{dataset}/benchmarks/sample_posterior.tsv"
    wildcard_constraints:
        dataset=one_of(WHOLE),
    conda:
        "../../envs/homodyne.yaml"
    threads: processes
    resources:
        mem_mb=(
            metric_memory_mb(1500, copies=6, matrices=200, processes=True)
            if IN_METRIC
            else memory_mb(1500)
        ),
        runtime=minutes(60, per_million=2),
    params:
        settings=config["cmc"],
        scaling=config["scaling"],
        nlsq={key: config["nlsq"][key] for key in ("bounds", "fixed")},
        seed=config["seed"],
        sources=sources_of("sample_posterior.py"),
        environment=ENVIRONMENT,
    script:
        "../scripts/sample_posterior.py"


rule sample_shard:
    """Sample the posterior of one strided row band with NUTS, started and scaled by the fit of all data."""
    input:
        c2="results/{dataset}/c2.h5",
        scaling="results/{dataset}/scaling.json",
        nlsq="results/{dataset}/nlsq.json",
    output:
        "results/{dataset}/shards/{shard}-of-{n_shards}.npz",
    log:
        "results/{dataset}/logs/sample_shard.{shard}-of-{n_shards}.log",
    benchmark:
        "results/{dataset}/benchmarks/sample_shard.{shard}-of-{n_shards}.tsv"
    conda:
        "../../envs/homodyne.yaml"
    threads: processes
    resources:
        mem_mb=memory_mb(1500, copies=1.5),
        runtime=minutes(60, per_million=2),
    params:
        settings=config["cmc"],
        scaling=config["scaling"],
        nlsq={key: config["nlsq"][key] for key in ("bounds", "fixed")},
        seed=config["seed"],
        sources=sources_of("sample_shard.py"),
        environment=ENVIRONMENT,
    script:
        "../scripts/sample_shard.py"


rule weigh_shard:
    """What a shard adds to the log density of all data at the draws that all shards propose."""
    input:
        shards=shard_files,
        c2="results/{dataset}/c2.h5",
        scaling="results/{dataset}/scaling.json",
        nlsq="results/{dataset}/nlsq.json",
    output:
        "results/{dataset}/shards/terms-{shard}-of-{n_shards}.npz",
    log:
        "results/{dataset}/logs/weigh_shard.{shard}-of-{n_shards}.log",
    benchmark:
        "results/{dataset}/benchmarks/weigh_shard.{shard}-of-{n_shards}.tsv"
    conda:
        "../../envs/homodyne.yaml"
    threads: 1
    resources:
        mem_mb=memory_mb(1500, copies=1.5),
        runtime=minutes(20, per_million=2),
    params:
        settings=config["cmc"],
        scaling=config["scaling"],
        nlsq={key: config["nlsq"][key] for key in ("bounds", "fixed")},
        seed=config["seed"],
        sources=sources_of("weigh_shard.py"),
        environment=ENVIRONMENT,
    script:
        "../scripts/weigh_shard.py"


rule combine_shards:
    """Turn what the shards agree on into draws of the posterior of all data, and put them beside the fit."""
    input:
        shards=shard_files,
        terms=term_files,
        nlsq="results/{dataset}/nlsq.json",
        calibration=CALIBRATION,
    output:
        posterior="results/{dataset}/posterior.nc",
        summary="results/{dataset}/cmc.json",
        parameters="results/{dataset}/parameters.csv",
    log:
        "results/{dataset}/logs/combine_shards.log",
    benchmark:
        "results/{dataset}/benchmarks/combine_shards.tsv"
    wildcard_constraints:
        dataset=one_of(DIVIDED),
    conda:
        "../../envs/homodyne.yaml"
    threads: 1
    resources:
        mem_mb=memory_mb(950),
        runtime=minutes(10),
    params:
        settings=config["cmc"],
        nlsq={key: config["nlsq"][key] for key in ("bounds", "fixed")},
        seed=config["seed"],
        sources=sources_of("combine_shards.py"),
        environment=ENVIRONMENT,
    script:
        "../scripts/combine_shards.py"

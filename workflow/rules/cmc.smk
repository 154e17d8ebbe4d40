"""Consensus Monte Carlo: a job a shard, then their combination.

REQUIRED INPUTS: results/{dataset}/c2.h5, scaling.json and nlsq.json beside it.
OUTPUTS: results/{dataset}/posterior.nc, cmc.json, parameters.csv.
"""


rule sample_shard:
    """Sample the posterior of one strided row band with NUTS, started and scaled by the fit."""
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
    threads: 1
    resources:
        mem_mb=memory_mb(1500, copies=1.5),
        runtime=minutes(60, per_million=30),
    params:
        settings=config["cmc"],
        scaling=config["scaling"],
        nlsq={key: config["nlsq"][key] for key in ("bounds", "fixed")},
        seed=config["seed"],
        library=LIBRARY,
    script:
        "../scripts/sample_shard.py"


rule combine_shards:
    """Combine the shards' draws in unconstrained space and put them beside the fit."""
    input:
        shards=shard_files,
        nlsq="results/{dataset}/nlsq.json",
        calibration=branch(
            config["uncertainty"] == "speckle",
            then="results/{dataset}/calibration.json",
            otherwise=[],
        ),
    output:
        posterior="results/{dataset}/posterior.nc",
        summary="results/{dataset}/cmc.json",
        parameters="results/{dataset}/parameters.csv",
    log:
        "results/{dataset}/logs/combine_shards.log",
    benchmark:
        "results/{dataset}/benchmarks/combine_shards.tsv"
    conda:
        "../../envs/homodyne.yaml"
    threads: 1
    resources:
        mem_mb=memory_mb(950),
        runtime=minutes(10),
    params:
        nlsq={key: config["nlsq"][key] for key in ("bounds", "fixed")},
        library=LIBRARY,
    script:
        "../scripts/combine_shards.py"

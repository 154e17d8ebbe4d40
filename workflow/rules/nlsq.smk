"""Nonlinear least squares.

REQUIRED INPUTS: results/{dataset}/c2.h5, results/{dataset}/scaling.json.
OUTPUTS: results/{dataset}/nlsq.json.
"""


rule fit_nlsq:
    """Fit the model above the diagonal; contrast and offset are projected out."""
    input:
        c2="results/{dataset}/c2.h5",
        scaling="results/{dataset}/scaling.json",
    output:
        "results/{dataset}/nlsq.json",
    log:
        "results/{dataset}/logs/fit_nlsq.log",
    benchmark:
        "results/{dataset}/benchmarks/fit_nlsq.tsv"
    conda:
        "../../envs/homodyne.yaml"
    threads: 1
    resources:
        mem_mb=memory_mb(950, copies=1.3),
        runtime=minutes(20, per_million=2),
    params:
        row=row_of,
        settings=config["nlsq"],
        scaling=config["scaling"],
        shear_convention=config["shear_convention"],
        seed=config["seed"],
        library=LIBRARY,
    script:
        "../scripts/fit_nlsq.py"

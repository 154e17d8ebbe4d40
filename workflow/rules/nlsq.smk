"""Nonlinear least squares.

REQUIRED INPUTS: results/{dataset}/c2.h5, results/{dataset}/scaling.json.
OUTPUTS: results/{dataset}/nodes.npz, results/{dataset}/nlsq.json; results/{dataset}/calibration.json where uncertainty is speckle.
"""


rule compress:
    """Share all pairs of frames out to the nodes that stand for them, in one pass."""
    input:
        "results/{dataset}/c2.h5",
    output:
        "results/{dataset}/nodes.npz",
    log:
        "results/{dataset}/logs/compress.log",
    benchmark:
        "results/{dataset}/benchmarks/compress.tsv"
    conda:
        "../../envs/homodyne.yaml"
    threads: 1
    resources:
        mem_mb=memory_mb(650),
        runtime=minutes(5),
    params:
        sources=sources_of("compress.py"),
        environment=ENVIRONMENT,
    script:
        "../scripts/compress.py"


rule fit_nlsq:
    """Fit the model above the diagonal; contrast and offset are projected out."""
    input:
        c2="results/{dataset}/c2.h5",
        nodes="results/{dataset}/nodes.npz",
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
        mem_mb=memory_mb(950, copies=0.1),
        runtime=minutes(20, per_million=2),
    params:
        row=row_part("analysis_mode"),
        settings=config["nlsq"],
        scaling=config["scaling"],
        shear_convention=config["shear_convention"],
        seed=config["seed"],
        sources=sources_of("fit_nlsq.py"),
        environment=ENVIRONMENT,
    script:
        "../scripts/fit_nlsq.py"


rule calibrate:
    """Read from the residuals how the noise is correlated, and give the fit the errors that follow."""
    input:
        c2="results/{dataset}/c2.h5",
        nodes="results/{dataset}/nodes.npz",
        scaling="results/{dataset}/scaling.json",
        nlsq="results/{dataset}/nlsq.json",
    output:
        "results/{dataset}/calibration.json",
    log:
        "results/{dataset}/logs/calibrate.log",
    benchmark:
        "results/{dataset}/benchmarks/calibrate.tsv"
    conda:
        "../../envs/homodyne.yaml"
    threads: 1
    resources:
        mem_mb=memory_mb(1200, copies=3),
        runtime=minutes(10, per_million=1),
    params:
        scaling=config["scaling"],
        fixed=config["nlsq"]["fixed"],
        sources=sources_of("calibrate.py"),
        environment=ENVIRONMENT,
    script:
        "../scripts/calibrate.py"

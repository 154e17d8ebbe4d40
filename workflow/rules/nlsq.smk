"""The fit: least squares, the errors that the residuals call for, and the fit in the metric of their noise.

REQUIRED INPUTS: results/{dataset}/c2.h5, results/{dataset}/scaling.json.
OUTPUTS: results/{dataset}/nodes.npz, nlsq.json; calibration.json where uncertainty is speckle.
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
    """Fit the model above the diagonal, read from the residuals how the noise is correlated, and fit in its metric."""
    input:
        c2="results/{dataset}/c2.h5",
        nodes="results/{dataset}/nodes.npz",
        scaling="results/{dataset}/scaling.json",
    output:
        **FIT_FILES,
    log:
        "results/{dataset}/logs/fit_nlsq.log",
    benchmark:
        "results/{dataset}/benchmarks/fit_nlsq.tsv"
    conda:
        "../../envs/homodyne.yaml"
    threads: angles_side_by_side
    resources:
        mem_mb=metric_memory_mb(1200, copies=6, matrices=60),
        runtime=minutes(30, per_million=3),
    params:
        row=row_part("analysis_mode"),
        settings=config["nlsq"],
        scaling=config["scaling"],
        shear_convention=config["shear_convention"],
        q_exponent=config["q_exponent"],
        uncertainty=config["uncertainty"],
        estimator=config["estimator"],
        seed=config["seed"],
        sources=sources_of("fit_nlsq.py"),
        environment=ENVIRONMENT,
    script:
        "../scripts/fit_nlsq.py"

"""From the detector's file to the canonical one.

REQUIRED INPUTS: the file of the dataset's row, or a simulation's description, known by its stamp.
OUTPUTS: results/{dataset}/c2.h5, results/{dataset}/scaling.json.
STEPS: simulate (where asked for), ingest, correct the diagonal, estimate the scaling. A row with a fault is refused.
"""


localrules:
    refuse,


rule refuse:
    """Take the place of ingest where a row cannot be analysed, and fail with the reason.

    Its output is another: results stay those of their jobs, for the day when the row can be analysed again.
    """
    output:
        "results/{dataset}/refused",
    log:
        "results/{dataset}/logs/ingest.log",
    wildcard_constraints:
        dataset=one_of(FAULTS),
    retries: 0
    conda:
        "../../envs/homodyne.yaml"
    threads: 1
    params:
        fault=lambda w: FAULTS[w.dataset],
    script:
        "../scripts/refuse.py"


rule simulate:
    """Simulate speckle movies with known truth and write their c2 in the APS layout."""
    output:
        "results/{dataset}/simulated{repeat}.h5",
    log:
        "results/{dataset}/logs/simulate{repeat}.log",
    benchmark:
        "results/{dataset}/benchmarks/simulate{repeat}.tsv"
    wildcard_constraints:
        dataset=one_of(SIMULATED),
        repeat=r"|-[1-9]\d*",
    conda:
        "../../envs/homodyne.yaml"
    threads: 1
    resources:
        mem_mb=movie_memory_mb(1000, copies=8),
        runtime=minutes(10),
    params:
        row=row_part(
            "path",
            "repeats",
            "file",
            "analysis_mode",
            "wavevector_q",
            "stator_rotor_gap",
            "dt",
        ),
        number=number_of_repeat,
        stamp=stamp_of_file,
        shear_convention=config["shear_convention"],
        sources=sources_of("simulate.py"),
        environment=ENVIRONMENT,
    script:
        "../scripts/simulate.py"


rule ingest:
    """Read the bins and frames of a row, complete the matrices, check them, estimate the noise."""
    input:
        data=simulated_files,
    output:
        temp("results/{dataset}/ingested.h5"),
    log:
        "results/{dataset}/logs/ingest.log",
    benchmark:
        "results/{dataset}/benchmarks/ingest.tsv"
    wildcard_constraints:
        dataset=one_of(SOUND),
    conda:
        "../../envs/homodyne.yaml"
    threads: 1
    resources:
        mem_mb=memory_mb(650, copies=2.6),
        runtime=minutes(5),
    params:
        row=row_part(
            "path",
            "repeats",
            "format",
            "wavevector_q",
            "q_tolerance",
            "stator_rotor_gap",
            "dt",
            "start_frame",
            "end_frame",
            "bad_frames",
            "phi_ranges",
        ),
        notes=lambda wildcards: unusual(row_of(wildcards)),
        stamp=stamp_of_file,
        sources=sources_of("ingest.py"),
        environment=ENVIRONMENT,
    script:
        "../scripts/ingest.py"


rule correct_diagonal:
    """Replace the diagonal, where a frame meets itself and shot noise adds up; the raw one is kept beside it."""
    input:
        ingested,
    output:
        "results/{dataset}/c2.h5",
    log:
        "results/{dataset}/logs/correct_diagonal.log",
    benchmark:
        "results/{dataset}/benchmarks/correct_diagonal.tsv"
    conda:
        "../../envs/homodyne.yaml"
    threads: 1
    resources:
        mem_mb=memory_mb(650, copies=3),
        runtime=minutes(5),
    params:
        method=config["diagonal_correction"]["method"],
        sources=sources_of("correct_diagonal.py"),
        environment=ENVIRONMENT,
    script:
        "../scripts/correct_diagonal.py"


rule estimate_scaling:
    """Estimate contrast and offset of each angle from quantiles."""
    input:
        "results/{dataset}/c2.h5",
    output:
        "results/{dataset}/scaling.json",
    log:
        "results/{dataset}/logs/estimate_scaling.log",
    benchmark:
        "results/{dataset}/benchmarks/estimate_scaling.tsv"
    conda:
        "../../envs/homodyne.yaml"
    threads: 1
    resources:
        mem_mb=memory_mb(650, copies=2),
        runtime=minutes(5),
    params:
        sources=sources_of("estimate_scaling.py"),
        environment=ENVIRONMENT,
    script:
        "../scripts/estimate_scaling.py"

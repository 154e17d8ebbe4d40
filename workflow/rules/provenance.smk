"""Where the results of a dataset come from, when all of them are there.

REQUIRED INPUTS: the file of the dataset's row and its results.
OUTPUTS: results/{dataset}/provenance.json, the only one with times and hosts in it; docs/provenance.md describes it.
"""


rule record_provenance:
    """Write down inputs, settings, code, packages and machine, and what each stage took."""
    input:
        results=[
            *collect(
                "results/{{dataset}}/{file}",
                file=[
                    *(
                        "c2.h5",
                        "scaling.json",
                        "nodes.npz",
                        "nlsq.json",
                        "posterior.nc",
                    ),
                    *("cmc.json", "parameters.csv", "parameters.tex"),
                    *("report.html", "report.pdf"),
                ],
            ),
            *collect(CALIBRATION, allow_missing=True),
        ],
    output:
        "results/{dataset}/provenance.json",
    log:
        "results/{dataset}/logs/record_provenance.log",
    benchmark:
        "results/{dataset}/benchmarks/record_provenance.tsv"
    conda:
        "../../envs/homodyne.yaml"
    threads: 1
    resources:
        mem_mb=memory_mb(650),
        runtime=minutes(5),
    params:
        row=row_of,
        columns=lambda w: COLUMNS[w.dataset],
        config=config,
        simulated=lambda w: w.dataset in SIMULATED,
        stages=stages_of,
        sources=sources_of("record_provenance.py"),
        environment=ENVIRONMENT,
    script:
        "../scripts/record_provenance.py"

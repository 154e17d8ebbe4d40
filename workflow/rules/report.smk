"""Reports: a page for each dataset, and one for all.

REQUIRED INPUTS: the results of a dataset.
OUTPUTS: results/{dataset}/report.html, results/{dataset}/figures/, results/summary.html, results/summary.csv.
"""


localrules:
    summarise,


rule write_report:
    """Run the notebook on the results with papermill and turn it into one self-contained page."""
    input:
        c2="results/{dataset}/c2.h5",
        scaling="results/{dataset}/scaling.json",
        nlsq="results/{dataset}/nlsq.json",
        posterior="results/{dataset}/posterior.nc",
        cmc="results/{dataset}/cmc.json",
        parameters="results/{dataset}/parameters.csv",
        truth=lambda w: (
            f"results/{w.dataset}/simulated.h5" if w.dataset in SIMULATED else []
        ),
        notebook=HOUSE / "workflow/notebooks/report.ipynb",
        template=HOUSE / "workflow/report/page.html",
        style=HOUSE / "workflow/report/page.css",
    output:
        page=report(
            "results/{dataset}/report.html",
            caption="../report/report.rst",
            category="Reports",
            labels={"dataset": "{dataset}"},
        ),
        figures=directory("results/{dataset}/figures"),
    log:
        "results/{dataset}/logs/write_report.log",
    benchmark:
        "results/{dataset}/benchmarks/write_report.tsv"
    conda:
        "../../envs/homodyne.yaml"
    threads: 1
    resources:
        mem_mb=memory_mb,
        runtime=30,
    params:
        row=row_of,
        config=config,
        library=LIBRARY,
    script:
        "../scripts/write_report.py"


rule summarise:
    """Put the key numbers of all datasets into one table."""
    input:
        c2=collect("results/{dataset}/c2.h5", dataset=DATASETS),
        scaling=collect("results/{dataset}/scaling.json", dataset=DATASETS),
        nlsq=collect("results/{dataset}/nlsq.json", dataset=DATASETS),
        posterior=collect("results/{dataset}/posterior.nc", dataset=DATASETS),
        cmc=collect("results/{dataset}/cmc.json", dataset=DATASETS),
        parameters=collect("results/{dataset}/parameters.csv", dataset=DATASETS),
        pages=collect("results/{dataset}/report.html", dataset=DATASETS),
        template=HOUSE / "workflow/report/page.html",
        style=HOUSE / "workflow/report/page.css",
    output:
        page=report(
            "results/summary.html", caption="../report/summary.rst", category="Summary"
        ),
        table="results/summary.csv",
    log:
        "results/logs/summarise.log",
    benchmark:
        "results/benchmarks/summarise.tsv"
    conda:
        "../../envs/homodyne.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        datasets=DATASETS,
        library=LIBRARY,
    script:
        "../scripts/summarise.py"

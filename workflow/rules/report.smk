"""Reports: pages, figures and tables for each dataset, and one page for all.

REQUIRED INPUTS: the results of a dataset.
OUTPUTS: results/{dataset}/report.html, report.pdf, parameters.tex, figures/, curves/; results/summary.html, summary.csv.
"""


localrules:
    summarise,


rule write_report:
    """Run the notebook on the results with papermill; make a self-contained page, a PDF, and files for a paper."""
    input:
        c2="results/{dataset}/c2.h5",
        scaling="results/{dataset}/scaling.json",
        nlsq="results/{dataset}/nlsq.json",
        posterior="results/{dataset}/posterior.nc",
        cmc="results/{dataset}/cmc.json",
        parameters="results/{dataset}/parameters.csv",
        calibration=CALIBRATION,
        truth=simulated_files,
        notebook=HOUSE / "workflow/notebooks/report.ipynb",
        templates=collect(
            HOUSE / "workflow/report/page.{part}", part=["html", "css", "typ", "lua"]
        ),
    output:
        page=report(
            "results/{dataset}/report.html",
            caption="../report/report.rst",
            category="Reports",
            labels={"dataset": "{dataset}", "format": "HTML"},
        ),
        pdf=report(
            "results/{dataset}/report.pdf",
            caption="../report/report.rst",
            category="Reports",
            labels={"dataset": "{dataset}", "format": "PDF"},
        ),
        table=report(
            "results/{dataset}/parameters.tex",
            caption="../report/parameters.rst",
            category="Tables and curves",
            subcategory="{dataset}",
            labels={"dataset": "{dataset}", "content": "parameters for LaTeX"},
        ),
        figures=report(
            directory("results/{dataset}/figures"),
            patterns=["{figure}.png"],
            caption="../report/files.rst",
            category="Figures",
            subcategory="{dataset}",
            labels={"dataset": "{dataset}", "figure": "{figure}"},
        ),
        curves=report(
            directory("results/{dataset}/curves"),
            patterns=["{curve}.csv"],
            caption="../report/files.rst",
            category="Tables and curves",
            subcategory="{dataset}",
            labels={"dataset": "{dataset}", "content": "{curve}"},
        ),
    log:
        "results/{dataset}/logs/write_report.log",
    benchmark:
        "results/{dataset}/benchmarks/write_report.tsv"
    conda:
        "../../envs/homodyne.yaml"
    threads: 1
    resources:
        mem_mb=memory_mb(1500, copies=6),
        runtime=minutes(10),
    params:
        row=row_of,
        # Columns that only the summary reads change no report of a dataset.
        config={
            **config,
            "report": {"matrix_pixels": config["report"]["matrix_pixels"]},
        },
        sources=sources_of("write_report.py"),
        environment=ENVIRONMENT,
    script:
        "../scripts/write_report.py"


rule summarise:
    """Put the key numbers of all datasets into one table, and draw them against the columns of the user."""
    input:
        c2=collect("results/{dataset}/c2.h5", dataset=SOUND),
        scaling=collect("results/{dataset}/scaling.json", dataset=SOUND),
        nlsq=collect("results/{dataset}/nlsq.json", dataset=SOUND),
        posterior=collect("results/{dataset}/posterior.nc", dataset=SOUND),
        cmc=collect("results/{dataset}/cmc.json", dataset=SOUND),
        parameters=collect("results/{dataset}/parameters.csv", dataset=SOUND),
        page=collect("results/{dataset}/report.html", dataset=SOUND),
        calibration=collect(CALIBRATION, dataset=SOUND),
        # No summary of all datasets without those whose rows have a fault: it is written when the run has failed.
        refused=collect("results/{dataset}/refused", dataset=FAULTS),
        templates=collect(
            HOUSE / "workflow/report/{part}",
            part=["page.html", "page.css", "page.lua", "table.js"],
        ),
    output:
        page=report(
            "results/summary.html", caption="../report/summary.rst", category="Summary"
        ),
        table=report(
            "results/summary.csv", caption="../report/summary.rst", category="Summary"
        ),
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
        datasets=SOUND,
        columns=COLUMNS,
        sources=sources_of("summarise.py"),
        environment=ENVIRONMENT,
    script:
        "../scripts/summarise.py"

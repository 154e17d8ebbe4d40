"""From two-time XPCS data to a report: the contents page. Stages in the order data travel; see README.md."""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.20")

if Path("config/config.yaml").exists():

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/ingest.smk"
include: "workflow/rules/nlsq.smk"
include: "workflow/rules/cmc.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/provenance.smk"


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        "results/summary.html",
        "results/summary.csv",
        collect(
            "results/{dataset}/report.{format}",
            dataset=DATASETS,
            format=["html", "pdf"],
        ),
        collect("results/{dataset}/provenance.json", dataset=DATASETS),


onerror:
    print("", *failures(), sep="\n", file=sys.stderr)
    summarise_what_is_there()

"""From two-time XPCS data to a report: the contents page. Stages in the order data travel; see README.md."""

from snakemake.utils import min_version

min_version("9.20")


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
            dataset=SOUND,
            format=["html", "pdf"],
        ),
        collect("results/{dataset}/provenance.json", dataset=SOUND),
        # Never there: the run ends in an error where a row has a fault.
        collect("results/{dataset}/ingested.h5", dataset=FAULTS),


onsuccess:
    if TERMINAL is not None:
        TERMINAL.end()


onerror:
    if TERMINAL is None:
        print("", *failures(), sep="\n", file=sys.stderr)
    summarise_what_is_there()
    if TERMINAL is not None:
        TERMINAL.end([*failures()])

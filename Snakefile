"""The workflow, where Snakemake looks for it in a clone; its contents page is workflow/Snakefile."""


include: "workflow/Snakefile"


# Of what it includes, Snakemake forgets the default target.
workflow.default_target = "all"

"""End the dataset of a row that cannot be analysed, with the sentence that the plan has for it."""

import script_support

script_support.run(globals().get("snakemake"), lambda job, log: script_support.refuse(job.params.fault))

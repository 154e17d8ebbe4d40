"""Make the posterior of all data from its shards, and put posterior and fit side by side."""

import script_support

from pathlib import Path

from job_log import RESULT
from shard_support import outcomes

from homodyne_lib.results.calibrations import Calibration
from homodyne_lib.results.fits import Fit
from homodyne_lib.sampling.shard_files import read_terms
from homodyne_lib.steps.combined import combined
from homodyne_lib.steps.sampled import seed_of


def combine(paths_to_shards, paths_to_terms, path_to_nlsq, path_to_calibration, folder, *, seed, cmc, nlsq, progress):
    """Write posterior.nc, cmc.json and parameters.csv; without a calibration errors are those of independent noise."""
    posterior = combined(
        outcomes(paths_to_shards),
        (lambda used: read_terms([paths_to_terms[number] for number in used])) if paths_to_terms else None,
        Fit.read(path_to_nlsq),
        Calibration.read(path_to_calibration) if path_to_calibration else None,
        seed=seed,
        min_good_shards=cmc["min_good_shards"],
        progress=progress,
        **nlsq,
    )
    posterior.write(folder)
    report = posterior.report
    share = f"{report.n_converged} of {report.n_shards} shards " if report.n_shards > 1 else ""
    progress(f"{RESULT}{share}{'converged' if share or report.n_converged else 'not converged'}")


script_support.run(
    globals().get("snakemake"),
    lambda job, log: combine(
        list(job.input.shards),
        list(job.input.get("terms", [])),
        job.input.nlsq,
        job.input.get("calibration"),
        Path(job.output.posterior).parent,
        seed=seed_of(job.wildcards.dataset, "resampling", job.params.seed),
        cmc=job.params.settings,
        nlsq=job.params.nlsq,
        progress=log,
    ),
)

"""Tables, their checks, and the answers to "which file?"; no rules."""

import os
import sys
import time
from pathlib import Path

from snakemake.utils import update_config

# .../workflow/rules -> the repository, also when another workflow uses this one as a module.
HOUSE = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[1]
sys.path[:0] = [str(HOUSE), str(HOUSE / "workflow" / "scripts")]

from homodyne_lib.fitting.limits import check_search
from homodyne_lib.io.files import check_writable
from homodyne_lib.model.frames import MOST_FRAMES, merge_size
from homodyne_lib.model.parameters import PARAMETERS, is_static
from homodyne_lib.sampling.shards import chain_processes, shard_count
from job_log import ERROR, lines_of
from report_text.wording import one_line
from plan import fault_of, search_of, surveyed
from schemas import checked
from sources import environment, sources_of
from row_files import paths_of
from tables import read_datasets, read_extra_columns, unusual
from terminal import take_over
from user_yaml import read_settings

BEGAN = time.time()
"""When this run began, by which its logs are told from older ones."""


def say(sentence):
    """A line on the terminal, of the run itself and not of its jobs, which read this file again."""
    if workflow.is_main_process:
        print(one_line(sentence), file=sys.stderr, flush=True)


def or_stop(function, *args):
    """Call, and end the run with the sentence where something is wrong."""
    try:
        return function(*args)
    except ValueError as error:
        # Snakemake would show an exception with the place in this file, which is not where the mistake is.
        say(str(error))
        sys.exit(1)


def read_config():
    """Settings of the project and, over them, of the command line, all read as data.

    Snakemake's own reader stops at an empty file, keeps the last of two equal keys and can run code.
    """
    overlays, project = workflow.overwrite_configfiles, Path("config/config.yaml")
    if project.is_symlink() or project.exists():
        update_config(config, or_stop(read_settings, project))
        workflow.configfiles.append(str(project))
    for path in overlays:
        or_stop(read_settings, path)
    update_config(config, workflow.config_settings.overwrite_config)


# Snakemake keeps notes even of a dry run, and would end with a traceback.
if workflow.is_main_process:
    for folder in (".snakemake", "results"):
        or_stop(check_writable, folder)
# A workflow that uses this one as a module may hand over a configuration of its own.
if not workflow.modifier.skip_configfile:
    read_config()
or_stop(checked, config, "config", "configuration")
# What is wrong for every model.
or_stop(lambda: check_search(PARAMETERS, **search_of(config)))
TABLE = or_stop(read_datasets, config["datasets"], config["report"]["columns"])
COLUMNS = or_stop(read_extra_columns, config["datasets"], config["report"]["columns"])
FILES = surveyed(
    {name: row for name, row in TABLE.items() if "fault" not in row},
    trust_faults=not workflow.is_main_process,
)
CALIBRATION = (
    "results/{dataset}/calibration.json" if config["uncertainty"] == "speckle" else []
)
FIT_FILES = {"nlsq": "results/{dataset}/nlsq.json"} | (
    {"calibration": CALIBRATION} if CALIBRATION else {}
)
IN_METRIC = bool(CALIBRATION) and config["estimator"] == "speckle"
"""Whether fits weigh pairs of frames by the noise; for independent noise all weigh the same."""
FAULTS = {
    name: fault
    for name, row in TABLE.items()
    if (fault := row.get("fault") or fault_of(row, FILES[name], config, IN_METRIC))
}
"""Rows that cannot be analysed, and why: they end alone, before any of their jobs."""
DATASETS = list(TABLE)
SOUND = [name for name in DATASETS if name not in FAULTS]
SIMULATED = [name for name in SOUND if TABLE[name]["format"] == "speckle-sim"]
ENVIRONMENT = environment()


# Of a workflow that uses this one as a module, the terminal is its own.
TERMINAL = None
OWN = {HOUSE / "Snakefile", HOUSE / "workflow" / "Snakefile"}
if workflow.is_main_process and Path(workflow.main_snakefile) in OWN:
    TERMINAL = take_over(
        workflow.logger_manager.settings,
        SOUND,
        workflow.resource_settings.cores if workflow.local_exec else None,
    )


if TERMINAL is None:
    for name, fault in FAULTS.items():
        say(f"{name}: {fault}")
elif FAULTS:
    say(f"Rows with a fault, told in the end: {', '.join(FAULTS)}")
for name in SOUND:
    for note in [*unusual(TABLE[name]), *FILES[name]["notes"]]:
        say(f"{name}: {note}")


def one_of(names):
    """Constraint of a wildcard to these names; no value is one of none."""
    return "|".join(names) or "(?!)"


wildcard_constraints:
    dataset=one_of(DATASETS),
    shard=r"\d+",
    n_shards=r"\d+",


def row_of(wildcards):
    return TABLE[wildcards.dataset]


def row_part(*columns):
    """Those columns of the row with which a job works; a change of the others is none of its business."""
    return lambda wildcards: {
        name: value for name, value in row_of(wildcards).items() if name in columns
    }


def ingested(wildcards):
    """What ingest leaves of a row; of one with a fault, what is never made."""
    file = "refused" if wildcards.dataset in FAULTS else "ingested.h5"
    return f"results/{wildcards.dataset}/{file}"


def stamp_of_file(wildcards):
    """What differs when another file takes the place of a row's. The file itself is no input: Snakemake would read braces
    in its name as wildcards, and stop at a time stamp in the future."""
    return FILES[wildcards.dataset]["stamp"]


def suffixes_of(dataset):
    """What stands behind the name of each repeat's simulated file; nothing for the first."""
    return [
        f"-{number + 1}" if number else ""
        for number, _ in enumerate(paths_of(TABLE[dataset]))
    ]


def simulated_suffixes(dataset):
    """Those of the files that the workflow simulates; none where the row names its own."""
    return suffixes_of(dataset) if dataset in SIMULATED else []


def simulated_files(wildcards):
    """The simulated file of each repeat, where the row describes them."""
    return [
        f"results/{wildcards.dataset}/simulated{suffix}.h5"
        for suffix in simulated_suffixes(wildcards.dataset)
    ]


def number_of_repeat(wildcards):
    """Which description of a row a simulation follows, from 0."""
    suffixes = suffixes_of(wildcards.dataset)
    return suffixes.index(wildcards.repeat) if wildcards.repeat in suffixes else 0


def shape_of(dataset):
    """(n_phi, n_frames) of a dataset; None where its row cannot be analysed."""
    return None if dataset in FAULTS else FILES[dataset]["shape"]


def n_shards(dataset):
    shape = shape_of(dataset)
    return shard_count(*shape, config["cmc"]["shards"]) if shape else 1


DIVIDED = [name for name in DATASETS if n_shards(name) > 1]
WHOLE = [name for name in DATASETS if name not in DIVIDED]


def shard_files(wildcards):
    k = n_shards(wildcards.dataset)
    return [f"results/{wildcards.dataset}/shards/{s}-of-{k}.npz" for s in range(k)]


def angles_side_by_side(wildcards):
    """Angles of a fit that are worth a thread each; Snakemake gives no job more cores than there are."""
    n_phi, n_frames = shape_of(wildcards.dataset) or (1, 1)
    # Products of matrices of 500 frames take a minute; short records leave the cores to other datasets.
    return n_phi if CALIBRATION and n_frames >= 500 else 1


def processes(wildcards):
    """Chains of a shard that are worth a process each; Snakemake gives no job more cores than there are."""
    shape = shape_of(wildcards.dataset)
    if shape is None:
        return 1
    return chain_processes(
        *shape,
        flow=not is_static(TABLE[wildcards.dataset]["analysis_mode"]),
        n_chains=config["cmc"]["chains"],
    )


def term_files(wildcards):
    k = n_shards(wildcards.dataset)
    return [
        f"results/{wildcards.dataset}/shards/terms-{s}-of-{k}.npz" for s in range(k)
    ]


def stages_of(wildcards):
    """Jobs of a dataset up to its report, by the names of their benchmarks."""
    k = n_shards(wildcards.dataset)
    sampling = ["sample_posterior"]
    if k > 1:
        each = [f"{s}-of-{k}" for s in range(k)]
        jobs = [
            f"{job}.{shard}"
            for job in ("sample_shard", "weigh_shard")
            for shard in each
        ]
        sampling = [*jobs, "combine_shards"]
    return [
        *(f"simulate{suffix}" for suffix in simulated_suffixes(wildcards.dataset)),
        *("ingest", "correct_diagonal", "estimate_scaling", "compress"),
        "fit_nlsq",
        *sampling,
        "write_report",
    ]


# What a job asks of SLURM, from measurements in docs/cluster.md. Every attempt asks for as much again, so that a guess
# too small ends in a longer wait and not in a failure.


def size_of(wildcards):
    """(MB of c2 in double precision, million pairs of frames) that a job works on: its dataset's, or its shard's."""
    n_phi, n_frames = shape_of(wildcards.dataset) or (0, 0)
    k = int(wildcards.get("n_shards", 1))
    return (
        n_phi * n_frames**2 * 8e-6 / k,
        n_phi * n_frames * (n_frames - 1) / 2e6 / k,
    )


def memory_mb(libraries, copies=0):
    """Room [MB] for the libraries of a rule with the two Snakemakes that SLURM starts, and for copies of c2, in each process."""
    return lambda wildcards, attempt, threads: int(
        attempt * threads * (libraries + copies * size_of(wildcards)[0])
    )


def movie_memory_mb(libraries, copies):
    """Room [MB] for libraries and copies of c2 of all frames that are simulated."""

    def megabytes(wildcards, attempt):
        n_bins, n_frames = FILES[wildcards.dataset].get("simulated", (0, 0))
        return int(attempt * (libraries + copies * n_bins * n_frames**2 * 8e-6))

    return megabytes


def metric_memory_mb(libraries, copies, matrices, processes=False):
    """Room [MB] for libraries, once or in each process, copies of c2, and matrices of one angle in each thread."""

    def megabytes(wildcards, attempt, threads):
        n_phi, n_frames = shape_of(wildcards.dataset) or (0, 0)
        of_record = 8e-6 * n_frames**2 if CALIBRATION else 0.0
        # Longer records can be analysed with merged frames only.
        size = merge_size(n_frames) if n_frames > 2 * MOST_FRAMES else 1
        matrix = of_record / size**2
        room = copies * n_phi * of_record + matrices * threads * matrix
        return int(attempt * (libraries * (threads if processes else 1) + room))

    return megabytes


def minutes(start, per_million=0):
    """Time limit [min] to start and write, and for each million pairs of frames."""
    return lambda wildcards, attempt: int(
        attempt * (start + per_million * size_of(wildcards)[1])
    )


def unended():
    """Jobs that this run has to do and that did not end well, whether they failed, were stopped or never began."""
    return list(workflow.dag.needrun_jobs())


def failures():
    """What went wrong, one line per dataset: faults of rows, and errors in which logs of this run end."""
    for name, fault in FAULTS.items():
        yield f"{name}: {one_line(fault)}"
    logs = {
        Path(path): job.wildcards_dict.get("dataset", "all datasets")
        for job in unended()
        for path in job.log
    }
    for path, name in sorted(logs.items()):
        if name in FAULTS or not path.is_file() or path.stat().st_mtime < BEGAN:
            continue
        for line in lines_of(path, "")[-1:]:
            if line.startswith(ERROR):
                yield f"{name}: {line.removeprefix(ERROR)}"


def summarise_what_is_there():
    """After a failure: the summary of the finished datasets, and the sentences of those that failed.

    Of a summary that cannot be written there is a sentence. A run that was to make none knows nothing of other datasets.
    """
    from homodyne_lib.io.files import refusal
    from summarise import FILES, summarise

    jobs = unended()
    if not any("results/summary.html" in job.output for job in jobs):
        return
    # A dataset may have failed in more than one job; each sentence counts.
    told = [line.split(": ", 1) for line in failures()]
    waiting = {job.wildcards_dict.get("dataset") for job in jobs}
    states = {
        name: " ".join(text for failed, text in told if failed == name)
        or "This dataset is not finished." * (name in waiting)
        for name in DATASETS
    }
    paths = {
        name: {key: f"results/{name}/{file}" for key, file in FILES.items()}
        for name in DATASETS
    }
    if CALIBRATION:
        for name, files in paths.items():
            files["calibration"] = CALIBRATION.format(dataset=name)
    try:
        summarise(
            paths,
            "results/summary.html",
            "results/summary.csv",
            columns=COLUMNS,
            failures={name: text for name, text in states.items() if text},
        )
        # Older than what it is made of, so that it is made again, and no target that is up to date.
        before = (HOUSE / "workflow/report/page.html").stat().st_mtime - 1
        for path in ("results/summary.html", "results/summary.csv"):
            os.utime(path, (before, before))
    except (OSError, ValueError) as error:
        reason = refusal(error, "results")
        sentence = f"results cannot be written: {reason}" if reason else str(error)
        print(f"summary: {sentence}", file=sys.stderr)

"""Tables, their checks, and the answers to "which file?"; no rules."""

import sys
from functools import cache

from snakemake.exceptions import WorkflowError

# .../workflow/rules -> the repository, also when another workflow uses this one as a module.
HOUSE = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[1]
sys.path[:0] = [str(HOUSE), str(HOUSE / "workflow" / "scripts")]

from homodyne_lib.parameter_scales import search_bounds
from homodyne_lib.physics import is_static, parameter_names
from homodyne_lib.selection import parse_phi_ranges
from homodyne_lib.shards import chain_processes, shard_count
from homodyne_lib.two_time import two_time_shape
from sources import environment, sources_of, stamp
from tables import checked, read_datasets, read_extra_columns, read_simulation


def or_stop(function, *args):
    """Call, and end the run with the sentence where something is wrong."""
    try:
        return function(*args)
    except ValueError as error:
        raise WorkflowError(str(error)) from None


or_stop(checked, config, "config", "configuration")
or_stop(search_bounds, parameter_names("laminar_flow"), config["nlsq"]["bounds"])
TABLE = or_stop(read_datasets, config["datasets"], config["report"]["columns"])
COLUMNS = or_stop(read_extra_columns, config["datasets"], config["report"]["columns"])
DATASETS = list(TABLE)
SIMULATED = [name for name, row in TABLE.items() if row["format"] == "speckle-sim"]
CALIBRATION = (
    "results/{dataset}/calibration.json" if config["uncertainty"] == "speckle" else []
)
ENVIRONMENT = environment()


wildcard_constraints:
    dataset="|".join(DATASETS),
    shard=r"\d+",
    n_shards=r"\d+",


def row_of(wildcards):
    return TABLE[wildcards.dataset]


def row_part(*columns):
    """Those columns of the row with which a job works; a change of the others is none of its business."""
    return lambda wildcards: {
        name: value for name, value in row_of(wildcards).items() if name in columns
    }


def table_file(wildcards):
    """The file of a row; absent from the inputs when missing, so that its rule can say so and others go on."""
    path = row_of(wildcards)["path"]
    return local(path) if Path(path).is_file() else []


def stamp_of_file(wildcards):
    return stamp(row_of(wildcards)["path"])


def data_file(wildcards):
    """The measured or simulated file."""
    if wildcards.dataset in SIMULATED:
        return f"results/{wildcards.dataset}/simulated.h5"
    return table_file(wildcards)


@cache
def shape_of(dataset):
    """(n_phi, n_frames) of a dataset, from the file's headers or the simulation's description; None if they are bad."""
    row = TABLE[dataset]
    try:
        if row["format"] == "speckle-sim":
            plan = read_simulation(row["path"], parameter_names(row["analysis_mode"]))
            return len(plan["phi"]), plan["n_frames"]
        return two_time_shape(
            row["path"],
            format=row["format"],
            wavevector_q=row["wavevector_q"],
            q_tolerance=row["q_tolerance"],
            phi_ranges=parse_phi_ranges(row["phi_ranges"]),
            start_frame=row["start_frame"],
            end_frame=row["end_frame"],
        )
    except ValueError:
        # Simulate, or ingest, says what is wrong and ends this dataset; the others go on.
        return None


def n_shards(wildcards):
    shape = shape_of(wildcards.dataset)
    return shard_count(*shape, config["cmc"]["shards"]) if shape else 1


def shard_files(wildcards):
    k = n_shards(wildcards)
    return [f"results/{wildcards.dataset}/shards/{s}-of-{k}.npz" for s in range(k)]


def processes(wildcards):
    """Chains of a shard that are worth a process each; Snakemake gives no job more cores than there are."""
    return chain_processes(
        *(shape_of(wildcards.dataset) or (0, 0)),
        int(wildcards.n_shards),
        flow=not is_static(TABLE[wildcards.dataset]["analysis_mode"]),
        n_chains=config["cmc"]["chains"],
    )


def term_files(wildcards):
    """Weights of a single shard are all equal; several have terms of their own."""
    k = n_shards(wildcards)
    return [
        f"results/{wildcards.dataset}/shards/terms-{s}-of-{k}.npz"
        for s in range(k if k > 1 else 0)
    ]


def stages_of(wildcards):
    """Jobs of a dataset up to its report, by the names of their benchmarks."""
    k = n_shards(wildcards)
    return [
        *(["simulate"] if wildcards.dataset in SIMULATED else []),
        *("ingest", "correct_diagonal", "estimate_scaling", "fit_nlsq"),
        *(["calibrate"] if CALIBRATION else []),
        *(f"sample_shard.{s}-of-{k}" for s in range(k)),
        *(f"weigh_shard.{s}-of-{k}" for s in range(k if k > 1 else 0)),
        *("combine_shards", "write_report"),
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


def minutes(start, per_million=0):
    """Time limit [min] to start and write, and for each million pairs of frames."""
    return lambda wildcards, attempt: int(
        attempt * (start + per_million * size_of(wildcards)[1])
    )


def failures():
    """What went wrong, one line a dataset, from the logs that end in an error."""
    for path in (
        path
        for name in DATASETS
        for path in sorted(Path(f"results/{name}/logs").glob("*.log"))
    ):
        for line in path.read_text(encoding="utf-8").splitlines()[-1:]:
            if line.startswith("Error: "):
                yield f"{path.parts[1]}: {line.removeprefix('Error: ')}"


def summarise_what_is_there():
    """After a failure: the summary of the finished datasets, and the sentences of those that failed."""
    from summarise import FILES, summarise

    # A dataset may have failed in more than one job; each sentence counts.
    told = [line.split(": ", 1) for line in failures()]
    states = {
        name: " ".join(text for failed, text in told if failed == name)
        for name in DATASETS
    }
    paths = {
        name: {key: f"results/{name}/{file}" for key, file in FILES.items()}
        for name in DATASETS
    }
    if CALIBRATION:
        for name, files in paths.items():
            files["calibration"] = CALIBRATION.format(dataset=name)
    for name, files in paths.items():
        if not states[name] and not all(
            Path(path).is_file() for path in files.values()
        ):
            states[name] = "This dataset is not finished."
    summarise(
        paths,
        "results/summary.html",
        "results/summary.csv",
        columns=COLUMNS,
        failures={name: text for name, text in states.items() if text},
    )

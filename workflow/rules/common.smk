"""Tables, their checks, and the answers to "which file?"; no rules."""

import hashlib
import sys

from snakemake.exceptions import WorkflowError

# .../workflow/rules -> the repository, also when another workflow uses this one as a module.
HOUSE = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[1]
sys.path[:0] = [str(HOUSE), str(HOUSE / "workflow" / "scripts")]

from homodyne_lib.parameter_scales import search_bounds
from homodyne_lib.physics import parameter_names
from homodyne_lib.selection import parse_phi_ranges
from homodyne_lib.shards import shard_count
from homodyne_lib.two_time import two_time_shape
from tables import checked, read_datasets, read_simulation


def or_stop(function, *args):
    """Call, and end the run with the sentence where something is wrong."""
    try:
        return function(*args)
    except ValueError as error:
        raise WorkflowError(str(error)) from None


def library_hash():
    """SHA-256 of the library's sources: a param of every rule, so that editing it runs the rules anew."""
    digest = hashlib.sha256()
    for source in sorted((HOUSE / "homodyne_lib").glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


or_stop(checked, config, "config", "configuration")
or_stop(search_bounds, parameter_names("laminar_flow"), config["nlsq"]["bounds"])
TABLE = or_stop(read_datasets, config["datasets"])
DATASETS = list(TABLE)
SIMULATED = [name for name, row in TABLE.items() if row["format"] == "speckle-sim"]
LIBRARY = library_hash()


wildcard_constraints:
    dataset="|".join(DATASETS),
    shard=r"\d+",
    n_shards=r"\d+",


def row_of(wildcards):
    return TABLE[wildcards.dataset]


def table_file(wildcards):
    """The file of a row; absent from the inputs when missing, so that its rule can say so and others go on."""
    path = row_of(wildcards)["path"]
    return local(path) if Path(path).is_file() else []


def data_file(wildcards):
    """The measured or simulated file."""
    if wildcards.dataset in SIMULATED:
        return f"results/{wildcards.dataset}/simulated.h5"
    return table_file(wildcards)


def shape_of(wildcards):
    """(n_phi, n_frames) of a dataset, from the file's headers or the simulation's description; None if they are bad."""
    row = row_of(wildcards)
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
    shape = shape_of(wildcards)
    return shard_count(*shape, config["cmc"]["shards"]) if shape else 1


def shard_files(wildcards):
    k = n_shards(wildcards)
    return [f"results/{wildcards.dataset}/shards/{s}-of-{k}.npz" for s in range(k)]


def memory_mb(wildcards):
    """Room for two copies of c2 in double precision, and for the libraries and what they compile."""
    n_phi, n_frames = shape_of(wildcards) or (0, 0)
    return int(1400 + 2 * n_phi * n_frames**2 * 8 / 1e6)


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

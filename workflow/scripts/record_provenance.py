"""Write down what the results of a dataset were made of and with, and what each stage took."""

import script_support

import csv
from pathlib import Path

from job_log import RESULT
from row_files import files_of, paths_of
from versions import code, host, packages

from homodyne_lib.io.canonical_file import read_header
from homodyne_lib.io.files import write_json
from homodyne_lib.io.hdf5 import open_hdf5
from homodyne_lib.io.input_files import file_sha256

MEASURES = {"wall [s]": "s", "cpu [s]": "cpu_time", "memory [MiB]": "max_rss"}
"""What is told of a stage, and the column of Snakemake's benchmark that has it."""


def inputs(row, path_to_c2):
    """Name and SHA-256 of a row's files: as they were when they were read, where they hold correlations."""
    names = [Path(file).name for file in files_of(row)]
    if path_to_c2 is None:
        digests = map(file_sha256, paths_of(row))
    else:
        with open_hdf5(path_to_c2) as file:
            digests = read_header(file)["source_sha256"].split(", ")
    return [{"file": name, "sha256": digest} for name, digest in zip(names, digests, strict=True)]


def measured(path):
    """Wall and CPU time and memory of a job; None for what Snakemake did not measure."""
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            *_, row = csv.DictReader(stream, delimiter="\t")
    except FileNotFoundError:
        row = {}
    values = {name: row.get(column, "NA") for name, column in MEASURES.items()}
    return {name: None if text in ("NA", "-") else float(text) for name, text in values.items()}


def summed(stages):
    """Times added up, and the largest memory, over the stages that were measured."""
    columns = {name: [stage[name] for stage in stages.values() if stage[name] is not None] for name in MEASURES}
    return {name: max(v, default=None) if "MiB" in name else round(sum(v), 2) for name, v in columns.items()}


def record(dataset, paths_to_results, simulated, path_to_output, *, row, columns, config, stages, progress):
    """Write provenance.json; benchmarks stand beside it, named by their stages."""
    folder = Path(path_to_output).parent
    times = {stage: measured(folder / "benchmarks" / f"{stage}.tsv") for stage in stages}
    total = summed(times)
    progress(f"{RESULT}{total['wall [s]']:.0f} s, {total['cpu [s]']:.0f} s of CPU time, in {len(stages)} jobs")
    content = {
        "dataset": dataset,
        "inputs": inputs(row, None if simulated else folder / "c2.h5"),
        "row": {name: value for name, value in row.items() if name not in ("path", "repeats")},
        "columns": columns,
        "config": config,
        "code": code(),
        "packages": packages(),
        "host": host(),
        "stages": times,
        "total": total,
        "results": {path.relative_to(folder).as_posix(): file_sha256(path) for path in map(Path, paths_to_results)},
    }
    write_json(path_to_output, content)


script_support.run(
    globals().get("snakemake"),
    lambda job, log: record(
        job.wildcards.dataset,
        list(job.input.results),
        job.params.simulated,
        job.output[0],
        row=job.params.row,
        columns=job.params.columns,
        config=job.params.config,
        stages=job.params.stages,
        progress=log,
    ),
)

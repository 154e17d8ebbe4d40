"""Pack a finished dataset with all that reproduces it into one file of a project folder: results/DATASET.tar.gz.

    python workflow/archive.py --directory my-project shear_1

Results that are not those of the inputs, settings, code and environment as they are now are refused with a sentence.
Equal content gives equal bytes: fixed order, times and owners.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import yaml
from run import SNAKEMAKE, Refused, refuse_a_second_run

sys.path.insert(0, str(Path(__file__).resolve().parent / "scripts"))

from script_support import HOUSE

from crate import METADATA, metadata
from row_files import pieces
from schemas import checked
from sources import digest, parts
from tables import read_datasets
from user_yaml import read_settings
from versions import RECORD, code, in_words

from homodyne_lib.io.files import read_json, replacing
from homodyne_lib.io.input_files import file_sha256

SOURCES, PROJECT, RESULTS = "homodyne-workflow", "project", "results"
TIME = 315532800
"""Of every file in an archive, 1980-01-01 [s]: unpacking programs take the epoch itself for a mistake."""

REPRODUCE = """\
#!/bin/sh
# Makes the results of {dataset} again from its inputs and compares them with those of this archive.
# Needs Python 3.11 or newer, make, and a package index for the pinned packages; CORES=... limits the processors.
set -eu
cd "$(dirname "$0")"
make -C {SOURCES} run DIR=../{PROJECT} ARGS=results/{dataset}/provenance.json
others=''
for file in {files}; do
    cmp -s "{RESULTS}/$file" "{PROJECT}/results/{dataset}/$file" || others="$others $file"
done
if [ -n "$others" ]; then
    echo "Not those of the archive, bit for bit:$others" >&2
    exit 1
fi
echo "The results in $PWD/{PROJECT}/results/{dataset} are those of the archive, bit for bit."
"""

README = """\
# {dataset}

An analysis of two-time X-ray photon correlations with all that it takes to make it again:

    sh reproduce.sh

This puts the pinned packages into `{SOURCES}/.venv`, makes the results from the input and compares them with those here. On
processors of the same kind they are the same bit for bit; on others the last digits may differ, and the files are named.

| | |
|---|---|
| `{RESULTS}/` | the results as they were archived: `report.html`, and `provenance.json` for what they were made with |
| `{PROJECT}/config/` | the input, its row of the table, and every setting |
| `{SOURCES}/` | the code that ran, with the environment in `envs/` |
| `ro-crate-metadata.json` | the same for machines: RO-Crate 1.2, profile of a workflow's run |

The results were made with: {made}. The code here is: {here}.{uncommitted}
"""

UNCOMMITTED = """

Uncommitted changes are in the files here as they were packed, and in no commit. Every file that a stage runs is the one
that made the results."""


def planned(dataset: str, config: dict[str, Any]) -> list[str]:
    """Rules that Snakemake would run for a dataset's results, with the settings that they were made with."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder, "config.json")
        settings.write_text(json.dumps(config), encoding="utf-8")
        command = [*SNAKEMAKE, "--dry-run", "--cores", "1", "--configfile", str(settings), "--"]
        target = f"results/{dataset}/provenance.json"
        plan = subprocess.run([*command, target], capture_output=True, encoding="utf-8", check=False)
    said = plan.stdout + plan.stderr
    if plan.returncode != 0:
        raise Refused(f"Snakemake cannot plan {target}; it says:\n{said}")
    return sorted({rule for rule, _ in re.findall(r"^(\w+) +(\d+)$", said, re.MULTILINE)} - {"total"})


def finished(folder: Path, dataset: str) -> dict[str, Any]:
    """The provenance of a dataset whose results are complete, current and untouched."""
    there = sorted(path.parent.name for path in Path("results").glob("*/provenance.json"))
    known = f"finished in {folder} are: {', '.join(there)}." if there else f"nothing is finished in {folder}."
    again = f"make run DIR={folder}"
    if not dataset:
        raise Refused(f"no dataset is named; say make archive DATASET=..., where {known}")
    if dataset not in there:
        overlay = Path("config/config.yaml")
        settings = checked(read_settings(overlay) if overlay.is_file() else {}, "config", str(overlay))
        table = read_datasets(settings["datasets"], settings["report"]["columns"])
        if dataset not in table:
            raise Refused(f"{settings['datasets']} has no dataset {dataset!r}; it has {', '.join(table)}.")
        raise Refused(f"the results of {dataset} are not complete; finish them with {again}. Now {known}")
    record = read_json(Path("results", dataset, "provenance.json"))
    if stale := planned(dataset, record["config"]):
        raise Refused(
            f"the results of {dataset} are not those of its input, settings, code and environment as they are now: "
            f"{', '.join(stale)} would run. Say {again} first."
        )
    for name, known_digest in record["results"].items():
        if file_sha256(Path("results", dataset, name)) != known_digest:
            raise Refused(
                f"results/{dataset}/{name} was changed after it was made; delete it and make it again with {again}."
            )
    return record


def project_files(record: dict[str, Any]) -> Iterator[tuple[str, str | Path]]:
    """The project in the archive: one row, its input, every setting."""
    config, inputs = record["config"], record["inputs"]
    cell = record["row"]["file"]
    files = [Path(config["datasets"]).parent / name for name in (pieces(cell) if len(inputs) > 1 else [cell])]
    for measured, known in zip(files, inputs, strict=True):
        if file_sha256(measured) != known["sha256"]:
            raise Refused(f"{measured} is not the file that the results were made of; its SHA-256 is another.")
    names = [file.name for file in files]
    if len({*names}) < len(names):
        raise Refused(f"the repeats {cell} have a name in common, and an archive has one folder for them; rename one.")
    row = record["row"] | {"file": ",".join(f"data/{name}" for name in names)} | record["columns"]
    table = f"config/{Path(config['datasets']).name}"
    # Columns that this row leaves empty would be missed in a table of this row alone.
    report = config["report"] | {"columns": [name for name in config["report"]["columns"] if name in record["columns"]]}
    settings = config | {"datasets": table, "report": report}
    yield "config/config.yaml", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    yield table, "".join("\t".join(map(str, cells)) + "\n" for cells in (row.keys(), row.values()))
    yield from ((f"config/data/{file.name}", file) for file in files)


def result_files(record: dict[str, Any]) -> Iterator[tuple[str, Path]]:
    """(name, file) of what the last run made of a dataset; files of earlier settings may stand beside it."""
    folder = Path("results", record["dataset"])
    of_stages = [(f"logs/{stage}.log", f"benchmarks/{stage}.tsv") for stage in record["stages"]]
    names = {*record["results"], "provenance.json", "figures", "curves", *chain.from_iterable(of_stages)}
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_symlink():
            raise Refused(f"{path} is a link to {path.readlink()}; results are files, so delete it and make it again.")
        known = names.intersection(part.as_posix() for part in (name, *name.parents))
        if known and path.is_file() and not any(part.startswith(".") for part in name.parts):
            yield name.as_posix(), path


def content(record: dict[str, Any]) -> Iterator[tuple[str, str | Path]]:
    """(name in the archive, text or file) of all that is packed."""
    dataset, made, files = record["dataset"], record["code"], parts()
    here = code()
    words = {"dataset": dataset, "SOURCES": SOURCES, "PROJECT": PROJECT, "RESULTS": RESULTS}
    uncommitted = UNCOMMITTED if here["changed"] or made["changed"] else ""
    yield "README.md", README.format(**words, made=in_words(made), here=in_words(here), uncommitted=uncommitted)
    yield "reproduce.sh", REPRODUCE.format(**words, files=" ".join(record["results"]))
    for name, source in project_files(record):
        yield f"{PROJECT}/{name}", source
    for name, path in result_files(record):
        yield f"{RESULTS}/{name}", path
    for path in files:
        yield f"{SOURCES}/{path.relative_to(HOUSE).as_posix()}", path
    # What the report says of the code, so that it says the same when it is written again.
    yield f"{SOURCES}/{RECORD}", json.dumps(made | {"digest": digest(files)}) + "\n"


def pack(archive: Path, record: dict[str, Any]) -> None:
    """Write the archive, complete or not at all."""
    with (
        replacing(archive) as temporary,
        open(temporary, "wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        files = dict(content(record))
        about = metadata(
            record, sorted(files), workflow=f"{SOURCES}/workflow/Snakefile", project=PROJECT, results=RESULTS
        )
        for name, source in sorted((files | {METADATA: about}).items()):
            entry = tarfile.TarInfo(f"{record['dataset']}/{name}")
            entry.mtime, entry.mode = TIME, 0o644
            if isinstance(source, Path) and source.is_symlink() and source.is_relative_to(HOUSE):
                entry.type, entry.linkname = tarfile.SYMTYPE, str(source.readlink())
                tar.addfile(entry)
                continue
            executable = name.endswith(".sh") if isinstance(source, str) else os.access(source, os.X_OK)
            entry.mode = 0o755 if executable else 0o644
            with io.BytesIO(source.encode()) if isinstance(source, str) else open(source, "rb") as data:
                entry.size = data.seek(0, os.SEEK_END)
                data.seek(0)
                tar.addfile(entry, data)


def main(arguments: list[str]) -> None:
    """Check, pack, and say where the archive is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-d", "--directory", default=".", help="project folder")
    parser.add_argument("dataset", nargs="?", default="", help="its name in the table")
    options = parser.parse_args(arguments)
    folder = Path(options.directory).resolve()
    if not folder.is_dir():
        sys.exit(f"archive: {folder} is not a folder; a project is a folder with a table in config/.")
    os.chdir(folder)
    archive = Path("results", f"{options.dataset}.tar.gz")
    try:
        refuse_a_second_run(folder)
        record = finished(folder, options.dataset)
        pack(archive, record)
    except (Refused, ValueError) as sentence:
        sys.exit(f"archive: {sentence}")
    print(f"{archive.resolve()} ({archive.stat().st_size / 1e6:.1f} MB), code: {in_words(code())}")


if __name__ == "__main__":
    main(sys.argv[1:])

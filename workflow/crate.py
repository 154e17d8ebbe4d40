"""What an archive says of itself to machines: RO-Crate 1.2 with the profile of a workflow's run."""

from __future__ import annotations

from script_support import HOUSE

import json
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

import yaml
from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

__all__ = ["METADATA", "metadata"]

METADATA = "ro-crate-metadata.json"
_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
_COMPLETE = {"@id": "http://schema.org/CompletedActionStatus"}
"""Only complete results are packed."""
_KINDS = {
    ".csv": "text/csv",
    ".h5": "application/x-hdf5",
    ".html": "text/html",
    ".json": "application/json",
    ".nc": "application/x-netcdf",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".yaml": "application/yaml",
}


def metadata(record: dict[str, Any], names: Iterable[str], *, workflow: str, project: str, results: str) -> str:
    """The file ``ro-crate-metadata.json`` of an archive; equal content gives equal text.

    Parameters
    ----------
    record : dict
        The provenance of the dataset.
    names : iterable of str
        Of the files in the archive.
    workflow, project, results : str
        The main Snakefile there, and the folders of inputs and of results.
    """
    # The same facts as where people read how to cite.
    cited = yaml.safe_load((HOUSE / "CITATION.cff").read_text(encoding="utf-8"))
    crate = ROCrate(version="1.2")
    crate.name = f"{record['dataset']}: analysis of two-time X-ray photon correlations"
    crate.description = (
        f"Input, settings, code and results of the dataset {record['dataset']}, made with: {cited['title']}."
    )
    crate.license = "The results belong to who measured the data; the code has the licence in its folder."
    crate.datePublished = str(cited["date-released"])
    main = crate.add_workflow(
        dest_path=workflow, main=True, lang="snakemake", lang_version=record["packages"]["snakemake"]
    )
    main["name"], main["version"] = cited["title"], cited["version"]
    main["license"] = cited["license"]
    profiles = [
        ContextEntity(crate, address, {"@type": "CreativeWork", "name": name, "version": address.rpartition("/")[2]})
        for address, name in _PROFILES.items()
    ]
    crate.root_dataset["conformsTo"] = [crate.add(profile) for profile in profiles]
    inputs, outputs = [], []
    for name in names:
        path = PurePosixPath(name)
        folder = path.parts[0]
        if folder not in (project, results):
            continue
        about = {"name": path.name}
        if path.suffix in _KINDS:
            about["encodingFormat"] = _KINDS[path.suffix]
        inside = path.relative_to(folder).as_posix()
        if folder == results and inside in record["results"]:
            about["sha256"] = record["results"][inside]
        (inputs if folder == project else outputs).append(crate.add_file(dest_path=name, properties=about))
    about = {"@type": "CreateAction", "name": f"Analysis of {record['dataset']}", "actionStatus": _COMPLETE}
    run = crate.add(ContextEntity(crate, "#analysis", about))
    run["instrument"], run["object"], run["result"] = main, inputs, outputs
    crate.root_dataset["mentions"] = run
    return json.dumps(crate.metadata.generate(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"

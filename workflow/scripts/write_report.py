"""Write a dataset's report: papermill runs the notebook, nbconvert makes Markdown of it, pandoc and typst the pages."""

import script_support

import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

import papermill
import yaml
from ipykernel.kernelspec import KERNEL_NAME, write_kernel_spec
from nbconvert import MarkdownExporter
from page import render, render_pdf
from row_files import files_of
from versions import code, in_words

from homodyne_lib.io.files import refusal, replacing, write_text

_QUIET = "import logging; logging.getLogger('tornado.general').setLevel(logging.CRITICAL)"
PACKAGES = "jax numpyro numpy scipy h5py arviz-stats matplotlib papermill typst snakemake".split()


def provenance(dataset, row, config):
    """What the report says of its own making; folders of this machine are left out."""
    names = ",".join(Path(file).name for file in files_of(row))
    row = {name: value for name, value in row.items() if name not in ("path", "repeats")} | {"file": names}
    config = {**config, "datasets": Path(config["datasets"]).name}

    def text(data):
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)

    return {
        "commit": in_words(code()),
        "command": f"make run DIR=my-project ARGS=results/{dataset}/report.html",
        "row": text(row),
        "config": text(config),
        "versions": {name: version(name) for name in PACKAGES},
    }


def run_notebook(path_to_notebook, folder, parameters):
    """Run the notebook in a folder; its kernel is this interpreter, imports our modules and reads no settings of the user.

    Raises
    ------
    ValueError
        If a cell fails; one sentence names the cell and the exception.
    """
    jupyter = folder / "jupyter"
    # Folders of kernels that JUPYTER_PATH names come before those of the environment, the user and the machine.
    places = ("JUPYTER_PATH", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR")
    os.environ |= dict.fromkeys(places, str(jupyter)) | {
        "PYTHONPATH": os.pathsep.join(map(str, (script_support.HOUSE, script_support.SCRIPTS))),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }
    write_kernel_spec(jupyter / "kernels" / KERNEL_NAME)
    try:
        # It formats paths with the parameters; a brace in the name of a folder is none of theirs.
        notebook, output = (
            str(path).replace("{", "{{").replace("}", "}}") for path in (path_to_notebook, folder / "report.ipynb")
        )
        return papermill.execute_notebook(
            notebook,
            output,
            parameters=parameters,
            kernel_name=KERNEL_NAME,
            progress_bar=False,
            cwd=folder,
            # It warns of plain text on the loopback interface at its start, and of being interrupted at its end, where its
            # loop, too, may still print what it was doing.
            extra_arguments=["--IPKernelApp.log_level=CRITICAL", f"--IPKernelApp.exec_lines={_QUIET}"],
        )
    except papermill.PapermillExecutionError as error:
        if reason := refusal(error, folder.parent):
            raise ValueError(f"the report cannot be written: {reason}") from None
        cells = papermill.iorw.load_notebook_node(str(folder / "report.ipynb")).cells
        failed = next(c for c in cells if any(o["output_type"] == "error" for o in c.get("outputs", [])))
        raise ValueError(
            f"the report's notebook stopped in its cell {failed['id']!r} with {error.ename}: {error.evalue}"
        ) from None
    except RuntimeError as error:  # nbclient's words for a kernel that is gone
        raise ValueError(f"the report's notebook lost its kernel ({error}); give the rule more memory.") from None


def _resolved(path):
    """A path that holds in another folder; of a list each."""
    return [_resolved(one) for one in path] if isinstance(path, list) else path and str(Path(path).resolve())


def write_report(path_to_notebook, paths, outputs, *, dataset, row, config):
    """Write the pages and the table for LaTeX, and the folders of figures and curves.

    ``outputs`` holds the paths ``page``, ``pdf``, ``table``, ``figures`` and ``curves``.
    """
    outputs = {name: Path(path) for name, path in outputs.items()}
    with tempfile.TemporaryDirectory(dir=outputs["page"].parent, prefix=".report.") as folder:
        folder = Path(folder).resolve()
        parameters = {
            "paths": {name: _resolved(path) for name, path in paths.items()},
            "dataset": dataset,
            "folder": str(folder),
            "config": config,
            "provenance": provenance(dataset, row, config),
        }
        notebook = run_notebook(path_to_notebook, folder, parameters)
        for cell in notebook.cells:
            # What libraries print is no part of the page.
            cell["outputs"] = [output for output in cell.get("outputs", []) if output["output_type"] == "display_data"]
        markdown, _ = MarkdownExporter(exclude_input=True).from_notebook_node(notebook)
        title = f"{dataset}: two-time correlations"
        page, pdf = render(markdown, title, folder, contents=True), render_pdf(markdown, title, folder)
        for name in ("figures", "curves"):
            shutil.rmtree(outputs[name], ignore_errors=True)
            os.replace(folder / name, outputs[name])
        table = (folder / "parameters.tex").read_text(encoding="utf-8")
    write_text(outputs["table"], table)
    with replacing(outputs["pdf"]) as temporary:
        Path(temporary).write_bytes(pdf)
    write_text(outputs["page"], page)


script_support.run(
    globals().get("snakemake"),
    lambda job, log: write_report(
        job.input.notebook,
        {name: job.input[name] for name in ("c2", "scaling", "nlsq", "posterior", "cmc", "parameters")}
        | {"calibration": job.input.calibration or None, "truth": list(job.input.truth)},
        {name: job.output[name] for name in ("page", "pdf", "table", "figures", "curves")},
        dataset=job.wildcards.dataset,
        row=job.params.row,
        config=job.params.config,
    ),
)

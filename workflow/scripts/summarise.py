"""Put the key numbers of all datasets side by side: a table for programs and a page for people."""

import numpy as np
import pandas as pd
import script_support
from page import render

from homodyne_lib.files import replacing, write_text
from homodyne_lib.report import RATE_UNITS, flow_found, read_results, warnings_of
from homodyne_lib.report_parts import markdown_table
from homodyne_lib.wording import escape, quantity


def key_numbers(results):
    """One row of summary.csv."""
    header = results.header
    middle = results.times[-1] / 2
    row = {
        "dataset": results.dataset,
        "analysis_mode": results.nlsq["analysis_mode"],
        "q [1/Å]": header["q"],
        "angles": len(header["phi"]),
        "frames": len(header["frames"]),
        "dt [s]": header["dt"],
        "reduced_chi2": results.nlsq["reduced_chi2"],
        "converged": bool(results.nlsq["converged"] and results.cmc["n_converged"] == results.cmc["n_shards"]),
        "flow_detected": flow_found(results),
        "mid_record [s]": middle,
    }
    for curve, unit in RATE_UNITS.items():
        draws = results.rates(curve, [middle])["draws"][:, 0] if curve in results.curves else np.full(2, np.nan)
        row |= {f"{curve} [{unit}]": draws.mean(), f"{curve}_error [{unit}]": draws.std(ddof=1)}
    return row | {"warnings": len(warnings_of(results))}


def _cell(row, curve):
    """A rate at mid-record, if the model has it and the data show it."""
    unit = RATE_UNITS[curve]
    if curve == "gamma_dot" and row["flow_detected"] is not True:
        return "–" if row["flow_detected"] is None else "not detected"
    return quantity(row[f"{curve} [{unit}]"], row[f"{curve}_error [{unit}]"])


def page(rows):
    """The table as a page, rows linked to the reports beside it."""
    words = {True: "yes", False: "**no**"}
    flow = {True: "yes", False: "no", None: "–"}
    columns = [
        *("dataset", "mode", "$q$ [1/Å]", "angles × frames", "χ²/dof", "converged", "flow"),
        *("$D$ at mid-record [Å²/s]", r"$\dot\gamma$ at mid-record [1/s]", "warnings"),
    ]
    cells = [
        [
            f"[{escape(row['dataset'])}]({row['dataset']}/report.html)",
            row["analysis_mode"].replace("_", " "),
            f"{row['q [1/Å]']:.5g}",
            f"{row['angles']} × {row['frames']}",
            f"{row['reduced_chi2']:.3f}",
            words[row["converged"]],
            flow[row["flow_detected"]],
            _cell(row, "D"),
            _cell(row, "gamma_dot"),
            str(row["warnings"]),
        ]
        for row in rows
    ]
    note = (
        "Rates are posterior means ± standard deviations at the middle of each record. A name leads to the report, "
        "which says how far its error bars can be trusted."
    )
    return f"# Summary\n\n{len(rows)} datasets. {note}\n\n{markdown_table(columns, cells)}"


def summarise(datasets, paths, path_to_page, path_to_table):
    """Write summary.csv and summary.html."""
    rows = [key_numbers(read_results(dataset, files)) for dataset, files in zip(datasets, paths, strict=True)]
    with replacing(path_to_table) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    write_text(path_to_page, render(page(rows), "Summary of two-time correlations"))


FILES = ("c2", "scaling", "nlsq", "posterior", "cmc", "parameters")

script_support.run(
    globals().get("snakemake"),
    lambda job, log: summarise(
        job.params.datasets,
        [
            dict(zip(FILES, files, strict=True)) | {"truth": None}
            for files in zip(*(job.input[name] for name in FILES), strict=True)
        ],
        job.output.page,
        job.output.table,
    ),
)

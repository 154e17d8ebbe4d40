"""Put the key numbers of all datasets side by side: a table for programs and a page for people."""

import script_support

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from page import render
from report_text.dataset import Dataset
from report_text.sentences import RATE_SYMBOLS, flow_found, sound, warnings_of
from report_text.tables import figure_block, markdown_table
from report_text.wording import escape, quantity
from scipy.stats import circmean
from tables import SAMPLE, SUMMARY, value_columns

from homodyne_lib.figures import result_figures
from homodyne_lib.figures.comparison import shrink, with_gaps
from homodyne_lib.fitting.identifiability import known_together, parts_of_rate
from homodyne_lib.io.files import replacing, write_text
from homodyne_lib.io.hdf5 import open_hdf5
from homodyne_lib.model.frames import frame_offsets
from homodyne_lib.model.kernels import convention_in_words
from homodyne_lib.model.parameters import PARAMETERS, PHYSICAL, RATE_UNITS
from homodyne_lib.model.plurals import plural
from homodyne_lib.model.scales import nearest_image
from homodyne_lib.results.draws import mean_and_sd
from homodyne_lib.uncertainty.two_fits import REJECTED

FILES = {
    "c2": "c2.h5",
    "scaling": "scaling.json",
    "nlsq": "nlsq.json",
    "posterior": "posterior.nc",
    "cmc": "cmc.json",
    "parameters": "parameters.csv",
    "page": "report.html",
}
"""What a finished dataset has."""
_THUMBNAIL = 60  # pixels of c2
_TEMPERATURE = next(column for column, field in SAMPLE.items() if field == "temperature")
_Q = "q [1/Å]"
_FLOW = {"gamma_dot", "gamma_dot_t0", "beta", "gamma_dot_t_offset", "phi0"}


def key_numbers(results):
    """One row of summary.csv."""
    header = results.header
    middle, rings, agreement = results.times[-1] / 2, results.bins.rings, results.fit.agreement
    row = {
        "dataset": results.dataset,
        "status": "finished",
        "analysis_mode": results.fit.analysis_mode,
        _Q: float(rings[0]) if rings.size == 1 else ", ".join(f"{q:.4g}" for q in rings),
        "angles": results.bins.sizes_in_words,
        "frames": len(header["frames"]),
        "dt [s]": header["dt"],
        **{column: getattr(header["sample"], field) for column, field in SAMPLE.items()},
        "reduced_chi2": results.fit.by_squares.reduced_chi2,
        "converged": bool(results.fit.converged and results.report.converged),
        "misfit": results.fit.misfit.detected,
        "estimator": results.fit.estimator,
        "fits_agree_p": agreement.p_value if agreement and agreement.degrees_of_freedom else None,
        "sound": sound(results),
        "flow_detected": flow_found(results),
        "shear_convention": None if flow_found(results) is None else convention_in_words(results.fit.shear_convention),
        "mid_record [s]": middle,
    }
    for curve in RATE_UNITS:
        draws = results.rates(curve, [middle])["draws"][:, 0] if curve in results.curves else np.full(2, np.nan)
        row |= zip(value_columns(curve), mean_and_sd(draws), strict=True)
    row["warnings"] = len(warnings_of(results))
    for name in PHYSICAL:
        known = name in results.fit.parameters
        row |= zip(
            value_columns(name), results.table.loc[name, ["value", "error"]] if known else [np.nan] * 2, strict=True
        )
    return row


def thumbnail(results, path_to_c2, folder):
    """Markdown of a small picture of the data and the rates, which is left in ``folder``."""
    with open_hdf5(path_to_c2) as file:
        c2 = with_gaps(np.asarray(file["c2"][0], dtype=float), frame_offsets(results.header["frames"]))
    curves = [results.rates(curve, results.rate_times)["draws"] for curve in results.curves]
    drawn = result_figures.thumbnail(shrink(c2, -(-len(c2) // _THUMBNAIL)), results.rate_times, curves)
    words = "Data at the first angle, and the diffusion coefficient over time"
    words += " and the shear rate over time" if len(curves) > 1 else ""
    words += "; the report has them with numbers."
    # A dataset may be called like the figure of a trend.
    name = f"thumbnail-{results.dataset}"
    return figure_block(drawn, folder, name, "", words, vectors=False, lazy=True).strip()


def _rate_cell(row, curve):
    """A rate at mid-record, if the model has it and the data show it."""
    if curve == "gamma_dot" and row["flow_detected"] is not True:
        return "–" if row["flow_detected"] is None else "not detected"
    value, error = value_columns(curve)
    return quantity(row[value], row[error])


def _q_cell(q):
    """One q; of several the lowest, the highest and how many."""
    if not isinstance(q, str):
        return f"{q:.5g}"
    values = q.split(", ")
    return f"{values[0]} – {values[-1]} ({len(values)})"


def _doubt(row):
    """What speaks against the model of a row."""
    apart = row["fits_agree_p"] is not None and row["fits_agree_p"] < REJECTED
    return " **misfit**" * row["misfit"] + " **fits disagree**" * apart


def name_cell(row, picture):
    """A name that leads to the report, marked where that says not to quote it."""
    marked = "" if row["sound"] else " [do not quote]{.doubt}"
    return f"[{escape(row['dataset'])}]({row['dataset']}/report.html){marked} {picture}"


def overview(rows, pictures):
    """The finished datasets as a table, rows linked to the reports beside it."""
    words = {True: "yes", False: "**no**"}
    flow = {True: "yes", False: "no", None: "–"}
    columns = [
        *("dataset", "mode", "$q$ [1/Å]", "angles × frames", "χ²/dof", "converged", "flow"),
        *("$D$ at mid-record [Å²/s]", r"$\dot\gamma$ at mid-record [1/s]", "warnings"),
    ]
    cells = [
        [
            name_cell(row, pictures[row["dataset"]]),
            row["analysis_mode"].replace("_", " "),
            _q_cell(row[_Q]),
            f"{row['angles']} × {row['frames']}",
            f"{row['reduced_chi2']:.3f}" + _doubt(row),
            words[row["converged"]],
            flow[row["flow_detected"]],
            _rate_cell(row, "D"),
            _rate_cell(row, "gamma_dot"),
            str(row["warnings"]),
        ]
        for row in rows
    ]
    note = (
        "Rates are posterior means ± standard deviations at the middle of each record. A name leads to the report, "
        "which says how far its error bars can be trusted. At a misfit the model does not describe the data. Below it: c2 at "
        "the first angle, then D(t) and the shear rate with 95 % bands, from zero to the value shown, over the logarithm of "
        "time. A click on the head of a column sorts by it."
    )
    note += "".join(
        f" Shear rates: {words}." for words in dict.fromkeys(row["shear_convention"] for row in rows) if words
    )
    return f"{note}\n\n{markdown_table(columns, cells)}"


def about_their_mean(name, values):
    """Values of a periodic parameter, shape (n,), where they are nearest to their circular mean; NaN stays."""
    values, period = np.asarray(values, dtype=float), PARAMETERS[name].period
    if not np.isfinite(period):
        return values
    mean = circmean(values, low=-0.5 * period, high=0.5 * period, nan_policy="omit")
    return nearest_image([name], values[:, None], mean)[:, 0]


def only_together(results):
    """Parameters of which the posterior knows only combinations."""
    names = results.free
    draws = np.array([results.draws[name] for name in names])
    if len(names) < 2:
        return set()
    means = draws.mean(axis=1)
    flat, correlated = known_together(means, names, np.cov(draws))
    alike = {part for k in flat for part in parts_of_rate(names[k])[:2]}
    return alike.union(*correlated)


def trend(rows, column, values, folder, stem, together):
    """A figure of all parameters and rates against a column of the user; ``together`` has what is not known alone."""
    chosen = [row for row in rows if column in values.get(row["dataset"], {})]
    heading, quantities = f"## Against {escape(column)}\n\n", {}
    for name in [*RATE_UNITS, *PHYSICAL]:
        # A flow that the data do not show has no values, and neither has what is known only together with something else.
        shown = [(name not in _FLOW or row["flow_detected"]) and name not in together[row["dataset"]] for row in chosen]
        pairs = [[row[h] if s else np.nan for row, s in zip(chosen, shown, strict=True)] for h in value_columns(name)]
        if np.isfinite(pairs[0]).sum() > 1:
            if name in PARAMETERS:
                pairs[0] = about_their_mean(name, pairs[0])
            symbol = f"{RATE_SYMBOLS[name]} at mid-record" if name in RATE_UNITS else f"${PARAMETERS[name].symbol}$"
            quantities[symbol + value_columns(name)[0].removeprefix(name)] = pairs
    if not quantities:
        return f"{heading}Fewer than two finished datasets have a number in this column."
    x = [values[row["dataset"]][column] for row in chosen]
    drawn = result_figures.trends(column, x, quantities, [row["sound"] for row in chosen])
    caption = (
        f"Posterior means ± standard deviations of {len(chosen)} datasets against {escape(column)}; open symbols are "
        "datasets whose report says not to quote them. Parameters of which a dataset knows only combinations are left out."
    )
    number = plural(len(quantities), "quantity", "quantities")
    words = f"Points with error bars: {number} of {len(chosen)} datasets against {column}."
    return heading + figure_block(drawn, folder, stem, caption, words, vectors=False)


def summarise(paths, path_to_page, path_to_table, *, columns, failures):
    """Write summary.csv and summary.html.

    Parameters
    ----------
    paths : dict
        Dataset -> its files, by the names of ``FILES``, and ``calibration`` where there is one.
    columns : dict
        Dataset -> numbers in the columns of the user, by header.
    failures : dict
        Dataset -> why it has no results; no file of it is read.
    """
    failed = [{"dataset": name, "status": text} for name, text in failures.items()]
    with tempfile.TemporaryDirectory(dir=Path(path_to_page).parent, prefix=".summary.") as folder:
        rows, pictures, together = [], {}, {}
        for name, files in paths.items():
            if name not in failures:
                results = Dataset.read(name, {"calibration": None, "truth": None} | files)
                rows.append(key_numbers(results))
                pictures[name] = thumbnail(results, files["c2"], folder)
                together[name] = only_together(results)
        total = f"{plural(len(rows), 'dataset')}."
        if failed:
            verb = "is" if 1 in (len(rows), len(paths)) else "are"
            total = f"{len(rows)} of {plural(len(paths), 'dataset')} {verb} finished."
        parts = ["# Summary", total]
        if failed:
            told = [f"- **{escape(row['dataset'])}**: {escape(row['status'])}" for row in failed]
            parts += ["## Without results", "\n".join(told), "## Finished"]
        parts += [overview(rows, pictures)] if rows else []
        headers = list(dict.fromkeys(header for values in columns.values() for header in values))
        parts += [trend(rows, header, columns, folder, f"trend-{k}", together) for k, header in enumerate(headers)]
        for column, stem in ((_TEMPERATURE, "trend-temperature"), (_Q, "trend-q")):
            # Rows of several q have a text there.
            stated = {row["dataset"]: {column: row[column]} for row in rows if isinstance(row[column], float)}
            if len({value[column] for value in stated.values()}) > 1:
                parts.append(trend(rows, column, stated, folder, stem, together))
        page = render("\n\n".join(parts), "Summary of two-time correlations", folder, sortable=True)
    lines = [row | columns.get(row["dataset"], {}) for row in [*rows, *failed]]
    table = pd.DataFrame(lines, columns=[*SUMMARY, *headers])
    with replacing(path_to_table) as temporary:
        # Counts stay whole where a failed dataset has none.
        table.convert_dtypes().to_csv(temporary, index=False)
    write_text(path_to_page, page)


script_support.run(
    globals().get("snakemake"),
    lambda job, log: summarise(
        {
            name: dict(zip(keys, files, strict=True))
            for keys in [[*FILES, *(["calibration"] if job.input.calibration else [])]]
            for name, *files in zip(job.params.datasets, *(job.input[key] for key in keys), strict=True)
        },
        job.output.page,
        job.output.table,
        columns=job.params.columns,
        failures={},
    ),
)

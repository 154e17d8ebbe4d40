"""What a paper takes from a report besides its figures: the table for LaTeX, and curves with units in their headers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from homodyne_lib.figures.comparison import AngularDecay, Comparison
from homodyne_lib.model.curves import band
from homodyne_lib.model.kernels import convention_in_words
from homodyne_lib.model.parameters import PARAMETERS, RATE_UNITS
from report_text.dataset import Dataset
from report_text.wording import interval, latex, plain_number, quantity

__all__ = ["curve_tables", "parameters_tex", "write_curves"]

_UNIT_SIGNS = {"Å": r"\AA", "²": "$^2$"}


def parameters_tex(results: Dataset) -> str:
    """Write the table of physical parameters for LaTeX with booktabs: fit beside posterior, rounded by their errors."""
    lines = []
    for name, entry in results.fit.parameters.items():
        row, parameter = results.table.loc[name], PARAMETERS[name]
        unit = parameter.unit
        for sign, command in _UNIT_SIGNS.items():
            unit = unit.replace(sign, command)
        mean, spread = row["posterior_mean"], row["posterior_sd"]
        error = results.fit.error(name)
        if error is None:
            fitted = latex(plain_number(entry.value, 2)) + " (error undefined)"
        else:
            fitted = latex(quantity(entry.value, error))
        cells = [f"${parameter.symbol}$", unit, fitted]
        if name in results.free:
            cells += [latex(quantity(mean, spread)), latex(interval(row["lower"], row["upper"], mean, spread))]
        else:
            cells += ["held", ""]
        lines.append(" & ".join(cells) + r" \\")
    if not results.fit.is_static:
        convention = convention_in_words(results.fit.shear_convention)
        lines += [r"\midrule", rf"\multicolumn{{5}}{{l}}{{Shear rates: {convention}.}} \\"]
    return "\n".join(
        [
            r"% Needs \usepackage{booktabs}.",
            r"\begin{tabular}{llrrr}",
            r"\toprule",
            r"Parameter & Unit & Fit & Posterior & 95\,\% interval \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _long(axes: dict[str, np.ndarray], values: dict[str, np.ndarray]) -> pd.DataFrame:
    """One row for each combination of the axes, in their order; combinations without a value are left out."""
    grid = np.meshgrid(*axes.values(), indexing="ij")
    columns = {name: part.ravel() for name, part in zip(axes, grid, strict=True)}
    return pd.DataFrame(columns | {name: np.ravel(part) for name, part in values.items()}).dropna()


def _rates(results: Dataset) -> pd.DataFrame:
    table = {"t [s]": results.rate_times}
    for curve in results.curves:
        rates, unit = results.rates(curve, results.rate_times), RATE_UNITS[curve]
        table[f"{curve} fit [{unit}]"] = rates["fit"]
        table[f"{curve} posterior mean [{unit}]"] = rates["draws"].mean(axis=0)
        for percent in (68, 95):
            for side, edge in zip(("lower", "upper"), band(rates["draws"], percent / 100), strict=True):
                table[f"{curve} {side} {percent} % [{unit}]"] = edge
        if rates["truth"] is not None:
            table[f"{curve} truth [{unit}]"] = rates["truth"]
    return pd.DataFrame(table)


def curve_tables(
    results: Dataset, comparison: Comparison, bands: np.ndarray, angular: AngularDecay | None
) -> dict[str, pd.DataFrame]:
    """Tabulate the curves of the figures.

    Parameters
    ----------
    results : Dataset
    comparison : Comparison
    bands : ndarray, shape (2, n_phi, n_ages, n_bins)
        Of the decays.
    angular : AngularDecay or None
        None where there is one angle only.

    Returns
    -------
    dict of str to pandas.DataFrame
        By the name of the figure; units stand in the headers.
    """
    first, last = comparison.ages.T
    scaling, errors = results.fit.scaling, results.fit.scaling_errors
    decays = _long(
        {"phi [deg]": comparison.phi, "first t1 [s]": first, "lag [s]": comparison.lag},
        {"(c2 - O)/C": comparison.data_decay, "error": comparison.decay_error, "model": comparison.model_decay}
        | dict(zip(("model lower 95 %", "model upper 95 %"), bands, strict=True)),
    )
    decays.insert(2, "last t1 [s]", decays["first t1 [s]"].map(dict(zip(first, last, strict=True))))
    tables = {
        "rates": _rates(results),
        "decays": decays,
        "residuals_lag": _long(
            {"phi [deg]": comparison.phi, "lag [s]": comparison.lag}, {"mean residual [sigma]": comparison.lag_profile}
        ),
        "residuals_age": _long(
            {"phi [deg]": comparison.phi, "t1 [s]": comparison.age}, {"mean residual [sigma]": comparison.age_profile}
        ),
        "scaling": pd.DataFrame(
            {
                "phi [deg]": scaling.phi,
                "contrast": scaling.contrast,
                "contrast_error": errors["contrast"],
                "offset": scaling.offset,
                "offset_error": errors["offset"],
                "sigma": results.fit.sigma,
            }
        ),
    }
    if angular is not None:
        tables["angles"] = _long(
            {"lag [s]": angular.lags, "phi [deg]": angular.phi}, {"(c2 - O)/C": angular.data, "error": angular.error}
        )
        tables["angles_model"] = _long(
            {"lag [s]": angular.lags, "phi [deg]": angular.model_phi}, {"(c2 - O)/C": angular.model}
        )
    return tables


def write_curves(tables: dict[str, pd.DataFrame], folder: str | Path) -> None:
    """Write each table as ``folder/name.csv``, to six digits."""
    Path(folder).mkdir()
    for name, table in tables.items():
        table.to_csv(Path(folder) / f"{name}.csv", index=False, float_format="%.6g", encoding="utf-8")

"""What a paper takes from a report besides its figures: the table for LaTeX, and curves with units in their headers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from homodyne_lib.figures.comparison import AngularDecay, Comparison
from homodyne_lib.model.bins import Bins
from homodyne_lib.model.curves import band
from homodyne_lib.model.kernels import convention_in_words
from homodyne_lib.model.parameters import PARAMETERS, RATE_UNITS
from report_text.dataset import Dataset
from report_text.wording import as_given, interval, latex, plain_number, quantity

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
        if name not in results.free:
            fitted = latex(as_given(entry.value))
        elif error is None:
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
    results: Dataset, comparison: Comparison, bands: np.ndarray, angular: Sequence[AngularDecay]
) -> dict[str, pd.DataFrame]:
    """Tabulate the curves of the figures.

    Parameters
    ----------
    results : Dataset
    comparison : Comparison
    bands : ndarray, shape (2, n, n_ages, n_bins)
        Of the decays of n bins.
    angular : sequence of AngularDecay
        Of the groups that stand for all; none where there is one angle only.

    Returns
    -------
    dict of str to pandas.DataFrame
        By the name of the figure; units stand in the headers.
    """
    first, last = comparison.ages.T
    scaling, errors, bins = results.fit.scaling, results.fit.scaling_errors, comparison.bins
    decays = _of_bins(
        bins,
        {"bin": np.arange(len(bins)), "first t1 [s]": first, "lag [s]": comparison.lag},
        {"(c2 - O)/C": comparison.data_decay, "error": comparison.decay_error, "model": comparison.model_decay}
        | dict(zip(("model lower 95 %", "model upper 95 %"), bands, strict=True)),
    )
    decays.insert(
        decays.columns.get_loc("first t1 [s]") + 1,
        "last t1 [s]",
        decays["first t1 [s]"].map(dict(zip(first, last, strict=True))),
    )
    tables = {
        "rates": _rates(results),
        "decays": decays,
        "residuals_lag": _of_bins(
            bins,
            {"bin": np.arange(len(bins)), "lag [s]": comparison.lag},
            {"mean residual [sigma]": comparison.lag_profile},
        ),
        "residuals_age": _of_bins(
            bins,
            {"bin": np.arange(len(bins)), "t1 [s]": comparison.age},
            {"mean residual [sigma]": comparison.age_profile},
        ),
        "scaling": pd.DataFrame(
            _named(scaling.bins)
            | {
                "contrast": scaling.contrast,
                "contrast_error": errors["contrast"],
                "offset": scaling.offset,
                "offset_error": errors["offset"],
                "sigma": results.fit.sigma,
            }
        ),
    }
    if angular:
        tables["angles"] = _of_decays(angular, bins, _measured)
        tables["angles_model"] = _of_decays(angular, bins, _modelled)
    return tables


def _named(bins: Bins) -> dict[str, np.ndarray]:
    """Columns that name bins: the angle; the file and q where there are several."""
    return _of_groups(bins, bins) | {"phi [deg]": bins.phi}


def _of_groups(bins: Bins, chosen: Bins) -> dict[str, np.ndarray]:
    """Columns that name the groups of chosen bins: the file and q, where all bins have several."""
    file = {"file": chosen.repeat + 1} if bins.n_repeats > 1 else {}
    q = {"q [1/Å]": chosen.q} if bins.rings.size > 1 else {}
    return file | q


def _of_bins(bins: Bins, axes: dict[str, np.ndarray], values: dict[str, np.ndarray]) -> pd.DataFrame:
    """:func:`_long` whose first axis is the number of a bin, with the columns that name it in place of that."""
    table = _long(axes, values)
    numbers = table.pop("bin")
    for place, (name, column) in enumerate(_named(bins).items()):
        table.insert(place, name, column[numbers])
    return table


def _of_decays(angular: Sequence[AngularDecay], bins: Bins, table_of: Callable) -> pd.DataFrame:
    """Tables of groups below each other, with the file and q of each where there are several."""
    tables = []
    for decay in angular:
        table = table_of(decay)
        for place, (name, column) in enumerate(_of_groups(bins, decay.bins).items()):
            table.insert(place, name, column[0])
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _measured(decay: AngularDecay) -> pd.DataFrame:
    axes = {"lag [s]": decay.lags, "phi [deg]": decay.bins.phi}
    return _long(axes, {"(c2 - O)/C": decay.data, "error": decay.error})


def _modelled(decay: AngularDecay) -> pd.DataFrame:
    return _long({"lag [s]": decay.lags, "phi [deg]": decay.model_phi}, {"(c2 - O)/C": decay.model})


def write_curves(tables: dict[str, pd.DataFrame], folder: str | Path) -> None:
    """Write each table as ``folder/name.csv``, to six digits."""
    Path(folder).mkdir()
    for name, table in tables.items():
        table.to_csv(Path(folder) / f"{name}.csv", index=False, float_format="%.6g", encoding="utf-8")

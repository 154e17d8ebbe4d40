"""Tables of the report with a row a bin, as Markdown."""

from __future__ import annotations

import numpy as np

from homodyne_lib.model.bins import Bins
from homodyne_lib.model.kernels import BROWNIAN
from homodyne_lib.model.parameters import RATE_UNITS
from homodyne_lib.results.draws import mean_and_sd
from report_text.dataset import Dataset
from report_text.sentences import RATE_SYMBOLS
from report_text.tables import markdown_table
from report_text.wording import plain_number, quantity

__all__ = ["noise_table", "parts_table", "scaling_table"]


def parts_table(results: Dataset) -> str:
    """Tabulate the rates of each q and of each file alone, and of all together; for results with parts."""
    parts, rows = results.fit.parts, []
    curves = results.curves
    for part in parts.fits:
        name = f"$q$ = {part.q:.4g} 1/Å" if part.q is not None else f"file {part.repeat + 1}"
        rates = [quantity(part.rates[curve], part.errors[curve]) for curve in curves]
        rates = [text if curve in part.known else f"({text})" for curve, text in zip(curves, rates, strict=True)]
        rows.append([name, *rates, f"{part.reduced_chi2:.3f}"])
    draws = [results.rates(curve, [parts.time])["draws"][:, 0] for curve in curves]
    together = [quantity(*mean_and_sd(sample)) for sample in draws]
    # Errors of parts are always calibrated.
    otherwise = ", errors of independent entries" if results.calibration is None else ""
    # The decay of each q alone is taken to go with q².
    of_rate = results.fit.q_exponent != BROWNIAN and results.bins.rings.size > 1
    at = f" at $q_0$ = {results.bins.reference_q:.4g} 1/Å" if of_rate else ""
    rows.append([f"**all together**{at}{otherwise}", *together, f"{results.fit.by_squares.reduced_chi2:.3f}"])
    names = [f"{RATE_SYMBOLS[curve]} at {parts.time:.3g} s [{RATE_UNITS[curve]}]" for curve in curves]
    return markdown_table(["fitted", *names, "χ²/dof"], rows)


def scaling_table(results: Dataset) -> str:
    """Tabulate contrast, offset and noise of each bin, fitted and estimated."""
    fit, quantiles, errors = results.fit.scaling, results.scaling, results.fit.scaling_errors
    names, rows = _bin_cells(fit.bins), []
    for k, bin_cells in enumerate(names[1]):
        cells = [*bin_cells]
        for name in ("contrast", "offset"):
            cells += [quantity(getattr(fit, name)[k], errors[name][k]), plain_number(getattr(quantiles, name)[k], 3)]
        rows.append([*cells, plain_number(results.fit.sigma[k], 3)])
    head = [*names[0], "contrast $C$", "from quantiles", "offset $O$", "from quantiles", r"noise $\sigma$"]
    return markdown_table(head, rows)


def _bin_cells(bins: Bins) -> tuple[list[str], list[list[str]]]:
    """Heads of the columns that name a bin, and its cells: the angle; the file and q where there are several."""
    columns = {
        "file": [str(number + 1) for number in bins.repeat] if bins.n_repeats > 1 else None,
        "$q$ [1/Å]": [f"{q:.4g}" for q in bins.q] if bins.rings.size > 1 else None,
        r"$\varphi$ [°]": [f"{phi:.4g}".replace("-", "−") for phi in bins.phi],
    }
    held = {name: cells for name, cells in columns.items() if cells is not None}
    return list(held), [list(cells) for cells in zip(*held.values(), strict=True)]


def noise_table(results: Dataset) -> str:
    """Tabulate what the residuals tell of the noise of each bin; for results with a calibration."""
    found = results.calibration
    unknown = [None] * found.pixels.size
    columns = [
        found.pixels,
        unknown if found.counts is None else found.counts,
        found.effective_counts if found.kind.correlated else unknown,
    ]
    counts = "photons a pixel and frame"
    names, cells = _bin_cells(results.bins)
    head = [*names, "independent pixels $M$", f"{counts}, diagonal", f"{counts}, residuals"]
    rows = [
        [*cell, *("–" if n is None else "∞" if np.isinf(n) else plain_number(n, 2) for n in numbers)]
        for cell, *numbers in zip(cells, *columns, strict=True)
    ]
    if found.bin_pixels is not None:
        place = len(names) + 1
        head.insert(place, "pixels of the bin")
        for row, number in zip(rows, found.bin_pixels, strict=True):
            row.insert(place, str(number))
    return markdown_table(head, rows)

"""Coverage of all regimes: a table, a page with a line a regime, calibration curves, and errors against photons.

python summary.py FOLDER_OF_REPLICAS FOLDER_OF_RESULTS
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm

HOUSE = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(HOUSE), str(HOUSE / "workflow" / "scripts")]

from figure_files import save  # noqa: E402

from homodyne_lib.figures.style import CYCLE, WIDTH, label_log_axis, new_figure, styled  # noqa: E402
from homodyne_lib.io.files import read_json, replacing, write_text  # noqa: E402

# A quantity whose calibrated error is larger than this part of it is not identified: the law of its estimate is skewed, and
# no interval of value ± error can have the right coverage on both sides.
IDENTIFIED = 1.0 / 5.0
LEVELS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6827, 0.8, 0.9, 0.95, 0.99])


def regimes(folder):
    """Names and replicas of the regimes there."""
    for path in sorted(Path(folder).iterdir()):
        replicas = [replica for file in sorted(path.glob("*.json")) for replica in read_json(file)["replicas"]]
        mode, fields, counts, frames = path.name.rsplit("-", 3)
        yield {"mode": mode, "contrast": 1.0 / int(fields), "counts": counts, "frames": int(frames)}, replicas


def rows_of(regime, replicas):
    """One row a quantity: shares of intervals that contain the truth, and how far values are from it."""
    for name in replicas[0]["quantities"]:
        told = np.array([replica["quantities"][name] for replica in replicas], dtype=float)
        told = told[np.isfinite(told).all(axis=1)]
        if not len(told):
            continue
        true, squares, calibrated, independent, speckle, error, limit = told.T
        far = [np.sqrt(np.mean((value - true) ** 2)) for value in (squares, speckle)]
        row = regime | {
            "quantity": name,
            "replicas": len(told),
            "identified": bool(np.median(error / np.abs(true)) < IDENTIFIED),
            "by least squares": bool(np.median(calibrated / np.abs(true)) < IDENTIFIED),
            "error ratio": np.median(calibrated / independent),
            "RMS of least squares": far[0] / np.abs(true[0]),
            "RMS in the metric": far[1] / np.abs(true[0]),
            "Gaussian limit": np.median(limit / np.abs(true)),
            "gain": far[0] / far[1],
            "farthest": np.max(np.abs(speckle - true) / error),
        }
        kinds = {
            "speckle": (speckle, error),
            "calibrated": (squares, calibrated),
            "independent": (squares, independent),
        }
        for label, (value, width) in kinds.items():
            pull = np.abs(value - true) / width
            row |= {f"{label} {level:g}": np.mean(pull < norm.ppf(0.5 + 0.5 * level)) for level in LEVELS}
        yield row


def span(values) -> str:
    """The lowest and the highest."""
    return f"{values.min():.2f} – {values.max():.2f}" if len(values) else "–"


def page(table: pd.DataFrame) -> str:
    """One line a regime: the range of its identified quantities, and the gain over least squares in the rates."""
    head = (
        "contrast", "counts", "frames", "replicas", "quantities", "95 % intervals", "68 % intervals", "RMS error ÷, rates",
        "least squares: quantities", "95 %", "68 %", "95 %, independent noise",
    )  # fmt: skip
    lines = ["| | " + " | ".join(head) + " |", "|---" * (1 + len(head)) + "|"]
    for (mode, contrast, counts, frames), part in table.groupby(["mode", "contrast", "counts", "frames"], sort=False):
        own, other = part[part["identified"]], part[part["by least squares"]]
        gains = part.loc[part["quantity"].str.contains(" at "), "gain"]
        cells = [
            mode.removesuffix("_flow"), f"{contrast:.2g}", counts.replace("none", "∞"), frames, part["replicas"].max(),
            len(own), span(own["speckle 0.95"]), span(own["speckle 0.6827"]),
            f"{np.exp(np.mean(np.log(gains))):.1f} ({span(gains)})",
            len(other), span(other["calibrated 0.95"]), span(other["calibrated 0.6827"]), span(other["independent 0.95"]),
        ]  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


@styled
def draw(table: pd.DataFrame):
    """Nominal against actual coverage, a line a regime, for three kinds of error."""
    figure = new_figure(WIDTH, 2.9)
    axes = figure.subplots(1, table["mode"].nunique(), sharey=True, squeeze=False)[0]
    kinds = {
        "independent": ("by least squares", CYCLE["fit"], "independent noise"),
        "calibrated": ("by least squares", CYCLE["truth"], "least squares"),
        "speckle": ("identified", CYCLE["posterior"], "speckle metric"),
    }
    for ax, (mode, group) in zip(axes, table.groupby("mode", sort=False), strict=True):
        for label, (known, colour, words) in kinds.items():
            part = group[group[known]]
            curves = part.groupby(["contrast", "counts", "frames"])[[f"{label} {level:g}" for level in LEVELS]].mean()
            for k, curve in enumerate(curves.to_numpy()):
                ax.plot(LEVELS, curve, color=colour, alpha=0.6, lw=0.9, label=None if k else words)
        ax.plot([0, 1], [0, 1], color=CYCLE["guide"], ls="--", lw=0.8, label="as it should be")
        ax.set(title=mode.replace("_", " "), xlabel="nominal coverage", xlim=(0, 1), ylim=(0, 1))
    axes[0].set_ylabel("share of intervals with the truth in them")
    axes[-1].legend(loc="upper left")
    return figure


_SHOWN = {"static": ("D at 0.3",), "laminar_flow": ("D at 0.3", "gamma_dot at 0.3")}
_SYMBOLS = {"D at 0.3": "$D$", "gamma_dot at 0.3": r"$\dot\gamma$"}
_ERRORS = {
    "RMS of least squares": ("least squares", CYCLE["fit"], "o-"),
    "RMS in the metric": ("metric of the noise", CYCLE["posterior"], "o-"),
    "Gaussian limit": ("Gaussian limit", CYCLE["guide"], "--"),
}
_COUNTS = ["0.1", "1", "10", "none"]


@styled
def draw_errors(table: pd.DataFrame):
    """Error of a rate at 0.3 of the record against photons, by both fits, at the highest contrast and the longest record."""
    highest = (table["contrast"] == table["contrast"].max()) & (table["frames"] == table["frames"].max())
    panels = [(mode, name) for mode in table["mode"].unique() for name in _SHOWN[mode]]
    figure = new_figure(WIDTH, 2.6)
    for ax, (mode, name) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        part = table[highest & (table["mode"] == mode) & (table["quantity"] == name)].set_index("counts")
        counts = [value for value in _COUNTS if value in part.index]
        for column, (words, colour, style) in _ERRORS.items():
            ax.plot(range(len(counts)), 100.0 * part.loc[counts, column], style, color=colour, ms=4, label=words)
        ax.set(yscale="log", title=f"{mode.replace('_', ' ')}: {_SYMBOLS[name]}", xlabel="photons a pixel and frame")
        ax.set_xticks(range(len(counts)), [value.replace("none", "∞") for value in counts])
        label_log_axis(ax.yaxis)
    figure.axes[0].set_ylabel("error [%]")
    figure.axes[-1].legend()
    return figure


def main(replicas, results) -> None:
    """Write coverage.csv, coverage.md, coverage.png and errors.png."""
    table = pd.DataFrame([row for regime, group in regimes(replicas) for row in rows_of(regime, group)])
    order = {counts: k for k, counts in enumerate(_COUNTS)}
    table = table.sort_values(
        ["mode", "contrast", "counts", "frames"],
        key=lambda column: column.map(order) if column.name == "counts" else column,
        kind="stable",
        ascending=[False, False, True, True],
    )
    results = Path(results)
    with replacing(results / "coverage.csv") as temporary:
        table.to_csv(temporary, index=False)
    save(draw(table), results / "coverage")
    save(draw_errors(table), results / "errors")
    write_text(results / "coverage.md", page(table))


if __name__ == "__main__":
    main(*sys.argv[1:])

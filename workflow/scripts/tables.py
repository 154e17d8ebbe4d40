"""What a user fills in, checked: configuration, table of datasets, description of a simulation.

A mistake in the values of one row is that row's ``fault``, which ends its dataset alone; any other is a ValueError.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from row_files import paths_from
from schemas import Validator, checked, is_number, schema, sentences_of
from user_yaml import read_yaml, short

from homodyne_lib.io.bin_selection import parse_phi_ranges
from homodyne_lib.io.frame_selection import parse_bad_frames
from homodyne_lib.io.sample import SAMPLE_NUMBERS
from homodyne_lib.io.wavevectors import numbers_of, parse_wavevectors
from homodyne_lib.model.model import Model
from homodyne_lib.model.parameters import PHYSICAL, RATE_UNITS, check_bounds, unit_of, unit_to_check


def _typed(text: str, kind: str | list[str] | None) -> Any:
    """A cell as the type its column asks for; left as text where it does not fit, for the schema to refuse."""
    first = kind[0] if isinstance(kind, list) else kind
    try:
        return {"number": float, "integer": int}.get(first, str)(text)
    except ValueError:
        return text


def _cells(path: str) -> list[tuple[int, list[str]]]:
    """(number, cells) of each line that is neither blank nor a comment."""
    try:
        # Spreadsheets put a byte-order mark first and quote cells that hold a comma.
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, delimiter="\t")
            lines = [(reader.line_num, cells) for cells in reader]
    except OSError as error:
        raise ValueError(f"{path}: the table cannot be read ({error.strerror}); check its rights.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a table of tab-separated UTF-8 text ({error}); save it as one.") from None
    last = 0
    for number, cells in lines:
        if any("\n" in cell or "\r" in cell for cell in cells):
            raise ValueError(
                f"{path}: in line {last + 1} a cell begins with a quotation mark that is not closed in this line; close it, "
                "or leave it out."
            )
        last = number
    stripped = [(number, [cell.strip() for cell in cells]) for number, cells in lines]
    return [(number, cells) for number, cells in stripped if any(cells) and not cells[0].startswith("#")]


def _lines(path: str, columns: dict[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """(where, filled cells by column) of each line below the header that is neither blank nor a comment."""
    lines = _cells(path)
    _, header = lines.pop(0) if lines else (0, [])
    for name in filter(None, header):
        if header.count(name) > 1:
            raise ValueError(f"{path}: the column {short(name)!r} stands there twice. Columns are separated by tabs.")
        if name not in columns:
            raise ValueError(
                f"{path}: the column {short(name)!r} is not known; known are {', '.join(columns)}. A column of your own "
                "with numbers is declared in config.yaml, as report.columns: [its header]. Columns are separated by tabs."
            )
    for number, cells in lines:
        where = f"{path}, line {number}"
        # A cell beyond the header has no column either.
        named = [*header, *[""] * (len(cells) - len(header))]
        if lost := [cell for name, cell in zip(named, cells, strict=False) if cell and not name]:
            raise ValueError(f"{where}: {short(lost[0])!r} stands in a column without a name; count the tabs.")
        yield where, {name: cell for name, cell in zip(named, cells, strict=False) if cell}


_QUANTITIES = {"wavevector_q": "q", "stator_rotor_gap": "L", "dt": "dt"}
"""Geometry in a row."""


def _geometry(row: dict[str, Any]) -> Iterator[tuple[bool, str]]:
    """(whether it cannot be meant, sentence) of each value of a row outside its usual range; only a flow uses the gap."""
    flow = row["analysis_mode"] == "laminar_flow"
    for name, quantity in _QUANTITIES.items():
        if name not in row or (quantity == "L" and not flow):
            continue
        values = numbers_of(parse_wavevectors(row[name])) if quantity == "q" else [row[name]]
        yield from filter(None, (unit_to_check(quantity, value, name) for value in values))


def unusual(row: dict[str, Any]) -> list[str]:
    """Sentences on the geometry of a row without fault that is outside the usual ranges."""
    return [sentence for _, sentence in _geometry(row)]


def _check_row(row: dict[str, Any], where: str, numbers: dict[str, Any]) -> None:
    """Complete a row; what is wrong with its values is raised in one sentence, and ends this dataset alone."""
    checked(row, "datasets", where)
    for name, value in numbers.items():
        if not is_number(None, value):
            raise ValueError(f"{where}: {short(name)} is {short(repr(value))}; it must be a finite number.")
    if row["analysis_mode"] == "laminar_flow" and "stator_rotor_gap" not in row:
        raise ValueError(f"{where}: laminar_flow needs stator_rotor_gap [Å]; the cell is empty.")
    try:
        wavevectors = parse_wavevectors(row["wavevector_q"])
        parse_phi_ranges(row["phi_ranges"])
        parse_bad_frames(row["bad_frames"])
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if row["format"] == "speckle-sim" and not all(isinstance(one, float) for one in wavevectors):
        raise ValueError(f"{where}: a simulation has no q to choose from; list numbers in wavevector_q, not a range.")
    if impossible := [sentence for far, sentence in _geometry(row) if far]:
        raise ValueError(f"{where}: {' Also: '.join(impossible)}")


_FOLDERS = ("benchmarks", "logs")
"""What results/ holds beside the datasets."""
# Snakemake takes values of wildcards that end so for a rule that feeds itself.
_PERIODIC = re.compile(r"(.+)\1{19,99}$")


def check_name(name: str, where: str, others: Iterable[str]) -> None:
    """Refuse what cannot be the name of a dataset and of its folder."""
    kind = {"properties": {"dataset": schema("datasets")["properties"]["dataset"]}, "required": ["dataset"]}
    for error in Validator(kind).iter_errors({"dataset": name} if name else {}):
        raise ValueError(f"{where}: {next(sentences_of(error))}")
    if name in others:
        raise ValueError(f"{where}: dataset {name} stands in the table twice.")
    if twin := [other for other in others if other.lower() == name.lower()]:
        raise ValueError(
            f"{where}: the datasets {twin[0]} and {name} differ in case only, and some disks have one folder for both; "
            "rename one."
        )
    if name.lower() in _FOLDERS:
        raise ValueError(f"{where}: results/{name} is the workflow's own folder; give the dataset another name.")
    if _PERIODIC.search(name):
        raise ValueError(
            f"{where}: dataset is {name!r}; Snakemake allows no name that repeats itself 20 times; shorten it."
        )


def read_datasets(path: str, extra: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """The table of datasets: rows by name, each with the ``path`` of its file, and with ``repeats``, those of further ones.

    The columns ``extra`` are left out.

    A row with wrong values has ``fault``, a sentence that names its line; its other entries are not to be used.

    Raises
    ------
    ValueError
        If the table cannot be read, is empty, has an unknown column, or a row has no name of its own.
    """
    if not Path(path).is_file():
        raise ValueError(
            f"the table of datasets {path!r} is not a file in {Path.cwd()}; write it (columns: config/README.md), or "
            "name another with --config datasets=PATH."
        )
    columns, extra = schema("datasets")["properties"], list(extra)
    rows: dict[str, dict[str, Any]] = {}
    for where, cells in _lines(path, columns | {name: {} for name in extra}):
        name = cells.get("dataset", "")
        check_name(name, where, rows)
        row = {key: _typed(text, columns[key].get("type")) for key, text in cells.items() if key in columns}
        try:
            _check_row(row, where, {key: _typed(cells[key], "number") for key in extra if key in cells})
        except ValueError as error:
            row["fault"] = str(error)
        rows[name] = row | paths_from(path, cells.get("file", ""))
    if not rows:
        raise ValueError(f"{path} holds no dataset; add a row.")
    return rows


def value_columns(name: str) -> tuple[str, str]:
    """Columns of summary.csv for a parameter or a rate and for its error, with their unit."""
    unit = RATE_UNITS.get(name) or unit_of(name)
    return tuple(f"{header} [{unit}]" if unit else header for header in (name, f"{name}_error"))


SAMPLE = {"sample": "name"} | {f"{name} [{unit}]": field for field, (name, unit) in SAMPLE_NUMBERS.items()}
"""Columns of summary.csv with what the file states of the sample, and the field of each."""

SUMMARY = (
    *(
        "dataset",
        "status",
        "analysis_mode",
        "q [1/Å]",
        "angles",
        "frames",
        "dt [s]",
        *SAMPLE,
        "reduced_chi2",
        "converged",
        "misfit",
    ),
    *("estimator", "fits_agree_p", "sound", "flow_detected", "shear_convention", "mid_record [s]"),
    *(header for name in RATE_UNITS for header in value_columns(name)),
    "warnings",
    *(header for name in PHYSICAL for header in value_columns(name)),
)
"""Columns of summary.csv before those of the user."""


def read_extra_columns(path: str, names: list[str]) -> dict[str, dict[str, float]]:
    """Numbers in columns that the configuration declares: by dataset and column, without empty cells.

    They describe a measurement (temperature, stress, ...) and change no result, so they stand apart from its row.

    Raises
    ------
    ValueError
        If a column has no place or a name of ours.
    """
    columns = schema("datasets")["properties"]
    if taken := [name for name in names if name in columns]:
        raise ValueError(
            f"report.columns names {', '.join(taken)}, which the table of datasets has anyway; leave it out."
        )
    if taken := [name for name in names if name in SUMMARY]:
        raise ValueError(
            f"report.columns names {taken[0]!r}, which the summary has of its own; give the column another header."
        )
    found, seen = {}, set()
    for _, cells in _lines(path, columns | {name: {} for name in names}):
        values = {name: _typed(cells[name], "number") for name in names if name in cells}
        # What is no number is the fault of its row.
        found[cells["dataset"]] = {name: value for name, value in values.items() if is_number(None, value)}
        seen |= values.keys()
    if missing := [name for name in names if name not in seen]:
        raise ValueError(f"{path}: report.columns names {missing[0]!r}, but no row has a number there; add the column.")
    return found


def read_simulation(path: str, analysis_mode: str) -> dict[str, Any]:
    """The description of a simulation, whose parameters must be those of a mode.

    Raises
    ------
    ValueError
        If the file cannot be read, breaks the schema, describes another model, or has a value outside the parameter table.
    """
    plan = read_yaml(path)
    checked(plan, "simulation", path)
    try:
        Model.of_truth(plan["parameters"], analysis_mode)
        check_bounds(plan["parameters"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return plan

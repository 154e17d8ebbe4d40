"""What a user fills in, checked: configuration, table of datasets, description of a simulation.

Schemas in workflow/schemas are closed and the only home of defaults; what they find wrong is told in sentences.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

SCHEMAS = Path(__file__).resolve().parents[1] / "schemas"

_TYPES = {
    "object": "a group of keys",
    "array": "a list",
    "string": "text",
    "number": "a finite number",
    "integer": "a whole number",
}
_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "exclusiveMaximum": "below {}",
    "minItems": "a list, at least {} long",
    "maxItems": "a list, at most {} long",
    "pattern": "of the form {}",
    "const": "{}",
}


def _is_integer(_, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_, value: Any) -> bool:
    return _is_integer(_, value) or (isinstance(value, float) and math.isfinite(value))


# JSON Schema takes 400.0 for an integer and NaN for a number; no count and no measurement is one.
_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": _is_number}
    ),
)


@cache
def schema(name: str) -> dict[str, Any]:
    """A schema by name: config, datasets or simulation."""
    return yaml.safe_load((SCHEMAS / f"{name}.schema.yaml").read_text(encoding="utf-8"))


def _allowed(error: jsonschema.ValidationError) -> str:
    """What a value must be, in words."""
    if error.validator == "type":
        return _TYPES[error.validator_value]
    if error.validator == "enum":
        return "one of " + ", ".join(map(str, error.validator_value))
    if error.validator == "oneOf":
        return " or ".join(map(_allowed, error.context))
    return _LIMITS[error.validator].format(error.validator_value)


def _sentences(error: jsonschema.ValidationError) -> Iterator[str]:
    """What a schema found wrong, in words: key, value, what is allowed, and what the key means."""
    path = [str(step) for step in error.absolute_path]

    def key(name: Any) -> str:
        return ".".join([*path, str(name)])

    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        for name in error.instance.keys() - known.keys():
            yield f"{key(name)} is not known; known are {', '.join(known)}."
    elif error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                yield f"{key(name)} is missing. {error.schema['properties'][name]['description']}"
    elif "propertyNames" in error.absolute_schema_path:
        yield f"{key(error.instance)} is not known; known are {', '.join(error.validator_value)}."
    else:
        name, meaning = ".".join(path) or "the content", error.schema.get("description", "")
        yield f"{name} is {error.instance!r}; it must be {_allowed(error)}. {meaning}"


def _complete(data: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The keys of a schema in its order, those of groups too: what the data say, or the defaults."""
    values = {
        name: data[name] if name in data else deepcopy(kind["default"])
        for name, kind in schema["properties"].items()
        if name in data or "default" in kind
    }
    groups = {name: kind for name, kind in schema["properties"].items() if "properties" in kind and name in values}
    return values | {name: _complete(values[name], kind) for name, kind in groups.items()}


def checked(data: Any, name: str, what: str) -> dict[str, Any]:
    """Check against a schema, fill in its defaults, and take its order: that in which a user wrote changes no result.

    Raises
    ------
    ValueError
        One sentence for each violation, after ``what``.
    """
    found = {sentence.strip() for error in _Validator(schema(name)).iter_errors(data) for sentence in _sentences(error)}
    if found:
        raise ValueError(f"{what}: " + " Also: ".join(sorted(found)))
    complete = _complete(data, schema(name))
    data.clear()
    data.update(complete)
    return data


def _typed(text: str, kind: str | None) -> Any:
    """A cell as the type its column asks for; left as text where it does not fit, for the schema to refuse."""
    try:
        return {"number": float, "integer": int}.get(kind, str)(text)
    except ValueError:
        return text


def _lines(path: str, columns: dict[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """(where, filled cells by column) of each line below the header that is neither blank nor a comment."""
    try:
        # Spreadsheets put a byte-order mark first and quote cells that hold a comma.
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, delimiter="\t")
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a table of tab-separated UTF-8 text ({error}); save it as one.") from None
    lines = [(number, cells) for number, cells in lines if any(cells) and not cells[0].startswith("#")]
    _, header = lines.pop(0) if lines else (0, [])
    for name in filter(None, header):
        if name not in columns or header.count(name) > 1:
            fault = "stands there twice" if name in columns else f"is not known; known are {', '.join(columns)}"
            raise ValueError(f"{path}: the column {name!r} {fault}. Columns are separated by tabs.")
    for number, cells in lines:
        where = f"{path}, line {number}"
        # A cell beyond the header has no column either.
        named = [*header, *[""] * (len(cells) - len(header))]
        if lost := [cell for name, cell in zip(named, cells, strict=False) if cell and not name]:
            raise ValueError(f"{where}: {lost[0]!r} stands in a column without a name; count the tabs.")
        yield where, {name: cell for name, cell in zip(named, cells, strict=False) if cell}


def read_datasets(path: str, extra: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """The table of datasets: checked rows by name, each with the ``path`` of its file; without the columns ``extra``.

    Raises
    ------
    ValueError
        If the table is missing or empty, or a row is wrong; the sentence names the line.
    """
    from homodyne_lib.selection import parse_phi_ranges

    if not Path(path).is_file():
        raise ValueError(
            f"the table of datasets {path!r} is not a file in {Path.cwd()}; write it (columns: config/README.md), or "
            "name another with --config datasets=PATH."
        )
    columns = schema("datasets")["properties"]
    rows: dict[str, dict[str, Any]] = {}
    for where, cells in _lines(path, columns | {name: {} for name in extra}):
        row = {name: _typed(text, columns[name].get("type")) for name, text in cells.items() if name in columns}
        checked(row, "datasets", where)
        if row["dataset"] in rows:
            raise ValueError(f"{where}: dataset {row['dataset']} stands in the table twice.")
        if row["analysis_mode"] == "laminar_flow" and "stator_rotor_gap" not in row:
            raise ValueError(f"{where}: laminar_flow needs stator_rotor_gap [Å]; the cell is empty.")
        try:
            parse_phi_ranges(row["phi_ranges"])
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        rows[row["dataset"]] = row | {"path": str(Path(path).parent / row["file"])}
    if not rows:
        raise ValueError(f"{path} holds no dataset; add a row.")
    return rows


def read_extra_columns(path: str, names: list[str]) -> dict[str, dict[str, float]]:
    """Numbers in columns that the configuration declares: by dataset and column, without empty cells.

    They describe a measurement (temperature, stress, ...) and change no result, so they stand apart from its row.

    Raises
    ------
    ValueError
        If a column has no place or a name of ours, or a cell is no finite number.
    """
    columns = schema("datasets")["properties"]
    if taken := [name for name in names if name in columns]:
        raise ValueError(
            f"report.columns names {', '.join(taken)}, which the table of datasets has anyway; leave it out."
        )
    found, seen = {}, set()
    for where, cells in _lines(path, columns | {name: {} for name in names}):
        values = {name: _typed(cells[name], "number") for name in names if name in cells}
        for name, value in values.items():
            if not _is_number(None, value):
                raise ValueError(f"{where}: {name} is {value!r}; it must be a finite number.")
        found[cells["dataset"]] = values
        seen |= values.keys()
    if missing := [name for name in names if name not in seen]:
        raise ValueError(f"{path}: report.columns names {missing[0]!r}, but no row has a number there; add the column.")
    return found


def read_simulation(path: str, names: list[str]) -> dict[str, Any]:
    """The description of a simulation, whose parameters must be ``names``.

    Raises
    ------
    ValueError
        If the file cannot be read, breaks the schema, or describes another model.
    """
    try:
        plan = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: this file cannot be read ({error.strerror}); check its path and rights.") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: this is not YAML ({' '.join(str(error).split())}).") from None
    checked(plan, "simulation", path)
    if sorted(plan["parameters"]) != sorted(names):
        raise ValueError(f"{path}: its parameters are {', '.join(plan['parameters'])}; needed are {', '.join(names)}.")
    return plan

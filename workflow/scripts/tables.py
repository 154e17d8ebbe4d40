"""What a user fills in, checked: configuration, table of datasets, description of a simulation.

Schemas in workflow/schemas are closed and the only home of defaults; what they find wrong is told in sentences.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import yaml
from snakemake.utils import validate

SCHEMAS = Path(__file__).resolve().parents[1] / "schemas"


def schema(name: str) -> dict[str, Any]:
    """A schema by name: config, datasets or simulation."""
    return yaml.safe_load((SCHEMAS / f"{name}.schema.yaml").read_text(encoding="utf-8"))


def sentence(error: jsonschema.ValidationError) -> str:
    """What a schema found wrong, in words: key, value, and what is allowed."""
    key = ".".join(str(step) for step in error.absolute_path) or "the top level"
    meaning = error.schema.get("description", "")
    if error.validator == "additionalProperties" and isinstance(error.validator_value, bool):
        known = error.schema["properties"]
        unknown = sorted(set(error.instance) - set(known))
        return f"{key} has the unknown key {', '.join(unknown)}; known are {', '.join(known)}."
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"{key} lacks {', '.join(missing)}."
    if error.validator == "enum" and "propertyNames" in error.absolute_schema_path:
        return f"{key} names {error.instance!r}; known are {', '.join(error.validator_value)}."
    if error.validator == "enum":
        return f"{key} is {error.instance!r}; allowed are {', '.join(map(str, error.validator_value))}. {meaning}"
    if error.validator in ("oneOf", "pattern"):
        return f"{key} is {error.instance!r}, which is not allowed. {meaning}"
    bounds = {
        "minimum": "at least {}",
        "exclusiveMinimum": "above {}",
        "exclusiveMaximum": "below {}",
        "type": "of type {}",
        "minItems": "of at least {} entries",
        "maxItems": "of at most {} entries",
    }
    wanted = bounds[error.validator].format(error.validator_value)
    return f"{key} is {error.instance!r}; it must be {wanted}. {meaning}"


def checked(data: dict, name: str, what: str) -> dict:
    """Check against a schema and fill in its defaults.

    Raises
    ------
    ValueError
        One sentence for each violation, after ``what``.
    """
    validator = jsonschema.Draft202012Validator(schema(name))
    errors = sorted(validator.iter_errors(data), key=lambda error: list(map(str, error.absolute_path)))
    if errors:
        raise ValueError(f"{what}: " + " Also: ".join(sentence(error).strip() for error in errors))
    validate(data, str(SCHEMAS / f"{name}.schema.yaml"))
    return data


def _typed(text: str, kind: str | None) -> Any:
    """A cell as the type its column asks for; left as text where it does not fit, for the schema to refuse."""
    try:
        return {"number": float, "integer": int}.get(kind, str)(text)
    except ValueError:
        return text


def read_datasets(path: str) -> dict[str, dict[str, Any]]:
    """The table of datasets: checked rows by name, each with the ``path`` of its file.

    Raises
    ------
    ValueError
        If the table is missing or empty, or a row is wrong; the sentence names the line.
    """
    if not Path(path).is_file():
        raise ValueError(
            f"the table of datasets {path!r} is not a file in {Path.cwd()}; write it (columns: config/README.md), or "
            "name another with --config datasets=PATH."
        )
    columns = schema("datasets")["properties"]
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, skip_blank_lines=False)
    rows: dict[str, dict[str, Any]] = {}
    for number, cells in enumerate(table.to_dict("records"), start=2):
        where = f"{path}, line {number}"
        filled = {name.strip(): text.strip() for name, text in cells.items() if str(text).strip()}
        if not filled or next(iter(filled.values())).startswith("#"):
            continue
        row = {name: _typed(text, columns.get(name, {}).get("type")) for name, text in filled.items()}
        checked(row, "datasets", where)
        if row["dataset"] in rows:
            raise ValueError(f"{where}: dataset {row['dataset']} stands in the table twice.")
        if row["analysis_mode"] == "laminar_flow" and "stator_rotor_gap" not in row:
            raise ValueError(f"{where}: laminar_flow needs stator_rotor_gap [Å]; the cell is empty.")
        rows[row["dataset"]] = row | {"path": str(Path(path).parent / row["file"])}
    if not rows:
        raise ValueError(f"{path} holds no dataset; add a row.")
    return rows


def read_simulation(path: str, names: list[str]) -> dict[str, Any]:
    """The description of a simulation, whose parameters must be ``names``.

    Raises
    ------
    ValueError
        If the file cannot be read, breaks the schema, or describes another model.
    """
    try:
        plan = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: the description of a simulation cannot be read ({error}).") from None
    checked(plan, "simulation", path)
    if sorted(plan["parameters"]) != sorted(names):
        raise ValueError(f"{path}: its parameters are {', '.join(plan['parameters'])}; needed are {', '.join(names)}.")
    return plan

"""Checks against the schemas in workflow/schemas, which are closed and the only home of defaults, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from user_yaml import short

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
    "maximum": "at most {}",
    "maxLength": "at most {} characters long",
    "pattern": "of the form {}",
    "const": "{}",
}


def _is_integer(_, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(_, value: Any) -> bool:
    """Whether a value is a finite number, for a type checker, which is its first argument."""
    return _is_integer(_, value) or (isinstance(value, float) and math.isfinite(value))


# JSON Schema takes 400.0 for an integer and NaN for a number; no count and no measurement is one.
Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": is_number}
    ),
)


@cache
def schema(name: str) -> dict[str, Any]:
    """A schema by name: config, datasets or simulation."""
    return yaml.safe_load((SCHEMAS / f"{name}.schema.yaml").read_text(encoding="utf-8"))


def _allowed(error: jsonschema.ValidationError) -> str:
    """What a value must be, in words."""
    if error.validator == "type":
        kinds = error.validator_value
        return " or ".join(_TYPES[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))
    if error.validator == "enum":
        return "one of " + ", ".join(map(str, error.validator_value))
    if error.validator == "oneOf":
        return " or ".join(map(_allowed, error.context))
    return _LIMITS[error.validator].format(error.validator_value)


def sentences_of(error: jsonschema.ValidationError) -> Iterator[str]:
    """What a schema found wrong, in words: key, value, what is allowed, and what the key means."""
    path = [str(step) for step in error.absolute_path]

    def key(name: Any) -> str:
        return ".".join([*path, str(name)])

    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        for name in error.instance.keys() - known.keys():
            yield f"{short(key(name))} is not known; known are {', '.join(known)}."
    elif error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                yield f"{key(name)} is missing. {error.schema['properties'][name]['description']}"
    elif "propertyNames" in error.absolute_schema_path:
        yield f"{short(key(error.instance))} is not known; known are {', '.join(error.validator_value)}."
    else:
        name, meaning = ".".join(path) or "the content", error.schema.get("description", "")
        shown = short(repr(error.instance)) if isinstance(error.instance, str) else short(error.instance)
        yield f"{name} is {shown}; it must be {_allowed(error)}. {meaning}"


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
    found = {
        sentence.strip() for error in Validator(schema(name)).iter_errors(data) for sentence in sentences_of(error)
    }
    if found:
        raise ValueError(f"{what}: " + " Also: ".join(sorted(found)))
    complete = _complete(data, schema(name))
    data.clear()
    data.update(complete)
    return data

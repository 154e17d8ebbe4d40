"""Write the tables of config/README.md from the schemas, the only home of defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "config" / "README.md"

_LIMITS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "exclusiveMaximum": "< {}"}
_KINDS = {"integer": "whole number", "object": "parameters by name", "string": "text", "array": "list"}


def _value(part: dict[str, Any]) -> str:
    """What a key takes: the choices, or the kind and its limits."""
    if "enum" in part:
        return ", ".join(f"`{choice}`" for choice in part["enum"])
    if "oneOf" in part:
        return " or ".join(map(_value, part["oneOf"]))
    if "const" in part:
        return f"`{part['const']}`"
    kind = _KINDS["object"] if "$ref" in part else _KINDS.get(part["type"], part["type"])
    limits = [words.format(part[name]) for name, words in _LIMITS.items() if name in part]
    return " ".join([kind, " and ".join(limits)]).strip()


def _default(name: str, part: dict[str, Any], schema: dict[str, Any]) -> str:
    if name in schema.get("required", ()):
        return "required"
    if part.get("default") in ("", {}, None):
        return "–"
    return f"`{part['default']}`"


def _rows(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, part in schema["properties"].items():
        if "properties" in part:
            yield from _rows(part, f"{prefix}{name}.")
        else:
            cells = (f"`{prefix}{name}`", _value(part), _default(name, part, schema), part["description"])
            yield f"| {' | '.join(cells)} |\n"


def render(page: str) -> str:
    """The page with each table between ``<!-- schema: NAME -->`` and ``<!-- end -->`` made anew."""

    def table(match: re.Match) -> str:
        schema = yaml.safe_load((ROOT / f"workflow/schemas/{match[1]}.schema.yaml").read_text(encoding="utf-8"))
        head = "| name | takes | default | |\n|---|---|---|---|\n"
        return f"<!-- schema: {match[1]} -->\n{head}{''.join(_rows(schema))}<!-- end -->"

    return re.sub(r"<!-- schema: (\w+) -->.*?<!-- end -->", table, page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

"""Write the tables of config/README.md and config/config.yaml from the schemas, the only home of defaults."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGE, SETTINGS = ROOT / "config" / "README.md", ROOT / "config" / "config.yaml"

_HEAD = """\
# Every setting with its default, made from workflow/schemas/config.schema.yaml. Change what differs. The rest may stay or go:
# what is not here has its default.
"""

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
    kinds = ["object"] if "$ref" in part else [part["type"]] if isinstance(part["type"], str) else part["type"]
    kind = " or ".join(_KINDS.get(kind, kind) for kind in kinds)
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


def _settings(schema: dict[str, Any], indent: str = "") -> Iterator[str]:
    for name, part in schema["properties"].items():
        yield from (
            "",
            *textwrap.wrap(part["description"], 118, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "),
        )
        if "properties" in part:
            yield f"{indent}{name}:"
            yield from _settings(part, f"{indent}  ")
        else:
            # PyYAML ends a number or a word alone with a line of dots.
            default = yaml.safe_dump(part["default"], default_flow_style=True).splitlines()[0]
            yield f"{indent}{name}: {default}"


def settings() -> str:
    """The configuration with all defaults, each under what it means."""
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))
    return _HEAD + "\n".join(_settings(schema)) + "\n"


if __name__ == "__main__":
    SETTINGS.write_text(settings(), encoding="utf-8")
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

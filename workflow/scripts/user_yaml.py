"""YAML that a user writes, read as data: no code, no key twice, no number that YAML takes for another one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 1_000_000
MAX_VALUES = 100_000
"""Values in a file, those that links (`*name`) repeat counted each time."""

_TAG = "tag:yaml.org,2002:"
_KINDS = {_TAG + kind for kind in ("str", "int", "float", "bool", "null", "seq", "map", "merge")}
# YAML 1.1 also reads 010 as 8, 1:30 as 90, 0x1F as 31 and 1_000 as 1000; who writes them seldom means that.
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,299})")
_FLOAT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def short(value: Any, limit: int = 80) -> str:
    """A value as Python writes it, or a text as it is, cut to a readable length."""
    if isinstance(value, int) and abs(value) >= 10**limit:
        return f"a number of more than {limit} digits"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else f"{text[: limit // 2]} … {text[-limit // 4 :]}"


def _check_scalar(node: yaml.ScalarNode, line: int) -> None:
    kind = node.tag.removeprefix(_TAG)
    pattern = {"int": _INTEGER, "float": _FLOAT}.get(kind)
    if pattern is not None and not pattern.fullmatch(node.value):
        raise ValueError(
            f"line {line}: YAML does not read {short(node.value)} as the plain number it looks like; write a decimal "
            "number, without leading zeros, colons or underscores, or text in quotes."
        )
    if kind == "timestamp":
        raise ValueError(f"line {line}: YAML reads {short(node.value)} as a date; put it in quotes.")


def _check(node: yaml.Node, sizes: dict[int, int | None]) -> int:
    """Number of values in a node, links followed; what is no plain data is refused."""
    line = node.start_mark.line + 1
    if id(node) in sizes:
        if sizes[id(node)] is None:
            raise ValueError(f"line {line}: this value contains itself; write it out.")
        return sizes[id(node)]
    sizes[id(node)] = None
    if isinstance(node, yaml.ScalarNode):
        _check_scalar(node, line)
    if node.tag not in _KINDS:
        tag = short(node.tag.replace(_TAG, "!!"))
        raise ValueError(f"line {line}: the tag {tag} is not allowed, as this file is data; write the value itself.")
    children, seen = node.value if isinstance(node, yaml.SequenceNode) else [], {}
    if isinstance(node, yaml.MappingNode):
        for key, _ in node.value:
            name, place = str(key.value), key.start_mark.line + 1
            if name in seen and key.tag != _TAG + "merge":
                where = f"line {place}" if place == seen[name] else f"lines {seen[name]} and {place}"
                raise ValueError(
                    f"the key {short(name)} stands twice, in {where}; make them one, as YAML would drop the first."
                )
            seen[name] = place
        children = [part for pair in node.value for part in pair]
    size = 1 + sum(_check(child, sizes) for child in children)
    if size > MAX_VALUES:
        raise ValueError(f"line {line}: more than {MAX_VALUES} values; links to values (`*name`) repeat them.")
    sizes[id(node)] = size
    return size


def _parse(text: str) -> Any:
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node, {})
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or error
        where = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{where}this is not YAML ({short(' '.join(str(problem).split()), 200)}).") from None
    except RecursionError:
        raise ValueError("groups and lists stand in each other too deeply.") from None


def read_yaml(path: str | Path) -> Any:
    """Content of a file; None where it is empty or has comments only.

    Raises
    ------
    ValueError
        If the file cannot be read, is not UTF-8 or not YAML, has a key twice (the sentence names both lines), a tag, or
        a number that YAML takes for another one.
    """
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise ValueError(f"{path}: this is not a file; write settings into a text file of that name.")
        with open(path, "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path}: this file cannot be read ({error.strerror}); check its path and rights.") from None
    if len(content) > MAX_BYTES:
        raise ValueError(f"{path}: this file has more than {MAX_BYTES} bytes; is it the one meant?")
    try:
        return _parse(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ValueError(f"{path}: this is not YAML, which is UTF-8 text; save it as UTF-8.") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def read_settings(path: str | Path) -> dict[str, Any]:
    """A file of settings, such as config.yaml; one without content has none.

    Raises
    ------
    ValueError
        As :func:`read_yaml`; also where the content is no group of keys, or asks for YTE, which would run code.
    """
    settings = read_yaml(path)
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise ValueError(f"{path}: the content is {short(settings)}; it must be a group of keys, such as `seed: 1`.")
    if "__use_yte__" in settings:
        raise ValueError(f"{path}: __use_yte__ would run code from this file, which is data; take it out.")
    return settings

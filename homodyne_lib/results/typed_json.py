"""Dataclasses in JSON files: a field is a key of the same name, and what is not finite is null."""

from __future__ import annotations

import os
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from homodyne_lib.io.files import read_json, write_json

__all__ = ["IN_MEMORY", "OPTIONAL_KEY", "UNBOUNDED", "JsonFile", "plain", "typed"]

_Kind = TypeVar("_Kind")


UNBOUNDED = {"null": np.inf}
"""Metadata of a field whose null means infinity and not an unknown number."""
OPTIONAL_KEY = {"optional": True}
"""Of a field that is None where its key is absent."""
IN_MEMORY = {"in_file": False}
"""Of a field that no file holds."""


def _stored(kind: type) -> list[Any]:
    return [f for f in fields(kind) if f.metadata.get("in_file", True)]


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def plain(value: Any) -> Any:
    """Mappings and lists of what dataclasses hold, in the order of their fields.

    Parameters
    ----------
    value : dataclass, mapping, list or what JSON has itself

    Returns
    -------
    dict, list or value
    """
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((f, getattr(value, f.name)) for f in _stored(type(value)))
        return {f.name: plain(v) for f, v in pairs if not (v is None and f.metadata.get("optional"))}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def typed(kind: Any, data: Any, null: float = np.nan) -> Any:
    """Make of the content of a JSON file an object of a type.

    Parameters
    ----------
    kind : type
        A dataclass, or the type of one of its fields.
    data : object
        What JSON holds in its place.
    null : float
        What null stands for among numbers.

    Returns
    -------
    kind

    Raises
    ------
    ValueError
        If a key is missing.
    """
    if isinstance(kind, type) and is_dataclass(kind):
        wanted = [f for f in _stored(kind) if f.name in data or f.default is MISSING]
        missing = [f.name for f in wanted if f.name not in data]
        if missing:
            raise ValueError(f"the file of a {kind.__name__} lacks {', '.join(missing)}; make it again.")
        return kind(**{f.name: typed(_hints(kind)[f.name], data[f.name], f.metadata.get("null", null)) for f in wanted})
    origin, parts = get_origin(kind), get_args(kind)
    if origin is types.UnionType:  # some type, or None
        return None if data is None else typed(parts[0], data, null)
    if origin is dict:
        return {key: typed(parts[1], item, null) for key, item in data.items()}
    if origin is list:
        return [typed(parts[0], item, null) for item in data]
    if kind is np.ndarray:
        return np.array(_numbers(data, null))
    return null if data is None else data


def _numbers(data: Any, null: float) -> Any:
    """Numbers, and lists of them, without null."""
    if isinstance(data, list):
        return [_numbers(item, null) for item in data]
    return null if data is None else data


@dataclass(frozen=True, eq=False, repr=False)
class JsonFile:
    """An object that a JSON file holds."""

    @classmethod
    def read(cls: type[_Kind], path: str | os.PathLike[str]) -> _Kind:
        """Read the file of :meth:`write`.

        Parameters
        ----------
        path : path-like

        Raises
        ------
        ValueError
            If the file cannot be read, or a key is missing.
        """
        try:
            data = read_json(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is no JSON"
            raise ValueError(f"{os.fspath(path)} cannot be read as a {cls.__name__}: {reason}.") from None
        if not isinstance(data, dict):
            raise ValueError(f"{os.fspath(path)} holds no {cls.__name__} but a {type(data).__name__}; make it again.")
        content: _Kind = typed(cls, data)
        return content

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a JSON file, complete or not at all; NumPy values as numbers, what is not finite as null.

        Parameters
        ----------
        path : path-like
        """
        write_json(path, plain(self))

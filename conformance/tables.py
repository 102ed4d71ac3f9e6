"""Strict reading of TOML tables into dataclasses: unknown, missing and mistyped keys are errors that name the place."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


class PlanError(Exception):
    """The plan or the target file is wrong; the text names file, table, key and what is expected."""


def read_table(kind: type[T], table: Any, where: str) -> T:
    """An instance of the dataclass `kind` made of a TOML table.

    Fields without default are required; nested dataclasses and tuples of them are read too. Raises PlanError.
    """
    if not isinstance(table, Mapping):
        raise PlanError(f"{where}: expected a table, found {table!r}")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in fields:
            raise PlanError(f"{where}: unknown key {key!r}{nearest(key, fields)}")
        values[key] = _convert(hints[key], value, f"{where}, key {key!r}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise PlanError(f"{where}: missing key {name!r}")
    return kind(**values)


def read_file(path: Path) -> bytes:
    """The bytes of a file of the plan. Raises PlanError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise PlanError(f"{path}: cannot be read: {error.strerror}") from error


def nearest(word: str, known: Any) -> str:
    """A hint to append to "unknown …": the nearest known word, else all known words."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else f" (known: {', '.join(sorted(known))})"


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if hint is Any:
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise PlanError(f"{where}: expected a list, found {value!r}")
        return tuple(_convert(get_args(hint)[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise PlanError(f"{where}: expected a table, found {value!r}")
        return {key: _convert(get_args(hint)[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else read_table(hint, value, where)  # type: ignore[arg-type]
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise PlanError(f"{where}: expected {hint.__name__}, found {value!r}")
    return value

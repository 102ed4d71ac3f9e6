"""The settings file: reading it with all its problems at once, and writing the sample that lists every option.

A problem names the file, the line, the key, the value found and what is expected; an unknown key comes with the
nearest known one.
"""

from __future__ import annotations

import difflib
import json
import re
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from liasse.settings import Settings, sections

_SECRET = frozenset({("storage", "database")})
_WIDTH = 118


class SettingsError(Exception):
    """A settings file that cannot be used. `problems` holds one line of text for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def load_settings(path: Path | None) -> Settings:
    """Read a TOML file; without one, everything is at its default and paths are relative to the working directory.

    Raises SettingsError with every problem found. Nothing is created or opened besides the file.
    """
    if path is None:
        return Settings()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise SettingsError([f"{path}: not UTF-8 at byte {error.start}"]) from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{path}: not TOML: {error}"]) from None
    for name in sections():
        if name:
            data.setdefault(name, {})
    try:
        return Settings.model_validate(data, context={"base": path.resolve().parent})
    except ValidationError as error:
        found = sorted(
            (_problem(text, data, detail) for detail in error.errors(include_url=False)), key=lambda pair: pair[0]
        )
        raise SettingsError(
            [f"{path}:{line}: {reason}" if line else f"{path}: {reason}" for line, reason in found]
        ) from None


def _problem(text: str, data: dict[str, Any], detail: ErrorDetails) -> tuple[int, str]:
    """The line (0 when there is none) and the sentence of one finding."""
    keys = tuple(part for part in detail["loc"][:2] if isinstance(part, str))
    reason = _reason(keys, data, detail)
    return _line_of(text, keys) or 0, f"{'.'.join(keys)}: {reason}" if keys else reason


def _reason(keys: tuple[str, ...], data: dict[str, Any], detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return f"unknown key{_nearest(keys)}"
    message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    if detail["type"] in {"model_type", "model_attributes_type"}:
        message = f"expected a table: [{keys[0]}]"
    found: Any = data
    for part in detail["loc"]:
        inside = found.get(part) if isinstance(found, dict) else found
        found = found[part] if isinstance(found, list) and isinstance(part, int) else inside
    return message if keys in _SECRET or isinstance(found, dict) else f"found {found!r}, {message}"


def _nearest(keys: tuple[str, ...]) -> str:
    """The known key that the writer may have meant, with its table if that is another one."""
    known = {(name, key) for name, table in sections().items() for key in table.model_fields}
    here, wanted = ("", keys[0]) if len(keys) == 1 else (keys[0], keys[1])
    names = difflib.get_close_matches(wanted, sorted(key for name, key in known if name == here), 1, 0.6)
    if names:
        return f"; the nearest known key is {names[0]}"
    elsewhere = [f"{name}.{key}" if name else key for name, key in sorted(known) if key == wanted]
    return f"; did you mean {elsewhere[0]}?" if elsewhere else ""


def _line_of(text: str, keys: tuple[str, ...]) -> int | None:
    """The line, from 1, where a key is set; the line of its table where the key itself cannot be found."""
    table, fallback = "", None
    wanted = ".".join(keys)
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line)
        if header:
            table = header[1].replace('"', "")
            if keys and table == keys[0]:
                fallback = number
                if len(keys) == 1:
                    return number
            continue
        assigned = re.match(r'\s*([\w."-]+)\s*=', line)
        if assigned and ".".join(filter(None, (table, assigned[1].replace('"', "")))) == wanted:
            return number
    return fallback


def sample() -> str:
    """The text of config.sample.toml: every option, commented, at its default, with its description."""
    lines = [
        "# Every option of Liasse, commented at its default. Copy what you change.",
        "# Sizes are bytes, durations are seconds, paths are relative to the folder of this file.",
        "",
    ]
    for name, table in sections().items():
        if name:
            lines += [f"# {' '.join((table.__doc__ or '').split())}", f"[{name}]", ""]
        lines += _options(table)
    return "\n".join(lines).rstrip() + "\n"


def _options(table: type[BaseModel]) -> Iterator[str]:
    for key, field in table.model_fields.items():
        if field.default_factory is not None:
            continue
        yield from textwrap.wrap(field.description or "", _WIDTH, initial_indent="# ", subsequent_indent="# ")
        yield f"#{key} = {_toml(field.default)}"
        yield ""


def _toml(value: object) -> str:
    if value is None:
        return '""'
    if isinstance(value, tuple):
        return json.dumps(list(value))
    if isinstance(value, float):
        return f"{value:g}" if value < 1e6 else str(int(value))
    return json.dumps(value if isinstance(value, int | dict) else str(value))

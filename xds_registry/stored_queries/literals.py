"""The literal syntax of stored query parameters: quoted strings, numbers and parenthesised lists.

Source: IHE ITI TF-2 3.18.4.1.2.3.5; tolerances seen in practice: double quotes, unquoted values, parentheses around a
single value, white space around everything.
"""

from __future__ import annotations

MAX_CHARACTERS = 65_536
MAX_VALUES = 1_000


class LiteralError(Exception):
    """The text is not a parameter value. `reason` says what is wrong and where."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def read_values(text: str) -> tuple[str, ...]:
    """The values of one rim:Value, quotes resolved. Linear in the length of `text`."""
    if len(text) > MAX_CHARACTERS:
        raise LiteralError(f"a value has {len(text)} characters, at most {MAX_CHARACTERS} are allowed")
    body = text.strip()
    if not body:
        raise LiteralError("the value is empty")
    if not body.startswith("("):
        value, end = _item(body, 0, stop="")
        if body[end:].strip():
            raise LiteralError(f"unexpected text after the value, at character {end + 1}")
        return (value,)
    if not body.endswith(")"):
        raise LiteralError("the list has no closing parenthesis")
    return _items(body)


def _items(body: str) -> tuple[str, ...]:
    values: list[str] = []
    position, last = 1, len(body) - 1
    while True:
        position = _skip(body, position)
        value, position = _item(body, position, stop=",)")
        values.append(value)
        if len(values) > MAX_VALUES:
            raise LiteralError(f"the list has more than {MAX_VALUES} values")
        position = _skip(body, position)
        if position == last:
            return tuple(values)
        if body[position] != ",":
            raise LiteralError(f"expected a comma or the closing parenthesis at character {position + 1}")
        position += 1


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _item(text: str, position: int, stop: str) -> tuple[str, int]:
    """One string or bare word from `position`: (value, position after it)."""
    quote = text[position] if position < len(text) else ""
    if quote not in ("'", '"'):
        return _bare(text, position, stop)
    parts: list[str] = []
    start = position + 1
    while True:
        end = text.find(quote, start)
        if end < 0:
            raise LiteralError(f"the quote at character {position + 1} is not closed")
        parts.append(text[start:end])
        if text[end + 1 : end + 2] != quote:
            return "".join(parts), end + 1
        parts.append(quote)
        start = end + 2


def _bare(text: str, position: int, stop: str) -> tuple[str, int]:
    end = position
    while end < len(text) and text[end] not in stop and text[end] not in "'\"(":
        end += 1
    word = text[position:end].strip()
    if not word:
        raise LiteralError(f"expected a value at character {position + 1}")
    if not stop and end < len(text):
        raise LiteralError(f"unexpected {text[end]} at character {end + 1}")
    return word, end

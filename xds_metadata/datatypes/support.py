"""What all data types share: the error, the tolerances, and how a value is shown in an error message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Protocol

MAX_LENGTH = 256
"""Longest metadata value, in characters (ebRIM LongName). Longer ones are refused before any grammar is tried."""

REPEATED = 1024
"""How many verdicts are kept on values that many messages repeat: people, institutions, authorities, a patient."""

_SHOWN = 80


class DatatypeError(Exception):
    """A text that is not of the wanted type. `reason` is one sentence with what was found and what is expected."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class DatatypeTolerances:
    """Deviations from the IHE formats that a profile accepts. All off: strict IHE.

    `cx_extra_components`: CX.5 (type of identifier) and CX.7 (date) may be filled.
    `xcn_type_components`: XCN.10 (name type) and XCN.13 (identifier type) may be filled.
    `xon_type_component`: XON.7 (identifier type) may be filled.
    `coded_triplet`: a Coded String may be written code^label^system.
    `hyphenated_birth_date`: PID-7 may be written YYYY-MM-DD.
    `upper_case_uuid`: hexadecimal digits of UUIDs may be upper case.
    """

    cx_extra_components: bool = False
    xcn_type_components: bool = False
    xon_type_component: bool = False
    coded_triplet: bool = False
    hyphenated_birth_date: bool = False
    upper_case_uuid: bool = False


STRICT = DatatypeTolerances()
DMP = DatatypeTolerances(
    cx_extra_components=True,
    xcn_type_components=True,
    xon_type_component=True,
    coded_triplet=True,
    hyphenated_birth_date=True,
)


class Check(Protocol):
    """None when the text is right, else the sentence that says what is wrong."""

    def __call__(self, text: str, tolerances: DatatypeTolerances = STRICT) -> str | None: ...


def shown(text: str) -> str:
    """`text` quoted for an error message: cut at 80 characters, control and direction characters escaped."""
    if len(text) <= _SHOWN:
        return repr(text)
    return f"{text[:_SHOWN]!r}… ({len(text)} characters)"


def within_length(text: str, kind: str) -> str:
    """`text`, if it is neither empty nor longer than 256 characters."""
    if not text:
        raise DatatypeError(f"expected {kind}, found an empty value")
    if len(text) > MAX_LENGTH:
        raise DatatypeError(f"expected {kind} of at most {MAX_LENGTH} characters, found {len(text)}: {shown(text)}")
    return text


def without_outer_space(text: str, kind: str) -> str:
    """`text`, if it neither begins nor ends with white space; else the message shows where it is."""
    if text != text.strip():
        places = [
            place
            for place, bare in (("before", text.lstrip()), ("after", text.rstrip()))
            if bare != text and (bare or place == "before")
        ]
        raise DatatypeError(
            f"expected {kind} without white space at its ends, found white space {' and '.join(places)} it: {shown(text)}"
        )
    return text


def without_controls(text: str, kind: str) -> str:
    """`text`, if it has no control characters (line breaks and tabs are such)."""
    for character in text:
        if character < " " or "\x7f" <= character <= "\x9f":
            raise DatatypeError(f"expected {kind} without line breaks, tabs or control characters, found {shown(text)}")
    return text


def ascii_identifier(text: str, kind: str) -> str:
    """`text`, if it is an identifier of printable ASCII characters, not empty, without white space at its ends."""
    if not text:
        raise DatatypeError(f"expected {kind}, found an empty value")
    without_outer_space(text, kind)
    if "&amp;" in text:
        raise DatatypeError(f"expected {kind}, found a literal '&amp;' (escaped twice by the sender): {shown(text)}")
    if not text.isascii() or not text.isprintable():
        raise DatatypeError(f"expected {kind} of printable ASCII characters, found {shown(text)}")
    return text


def _remembering(check: Check, most: int) -> Check:
    """`check` with its latest verdicts on values that are not too long to be right."""
    strict, dmp = (lru_cache(most)(partial(check, tolerances=tolerances)) for tolerances in (STRICT, DMP))

    def remembered(text: str, tolerances: DatatypeTolerances = STRICT) -> str | None:
        if len(text) <= MAX_LENGTH:
            if tolerances is STRICT:
                return strict(text)
            if tolerances is DMP:
                return dmp(text)
        return check(text, tolerances)

    return remembered


def checker(read: Callable[[str, DatatypeTolerances], object], *, remember: int = 0) -> Check:
    """The `check_` function that belongs to a `read_` function.

    `remember`: how many of the latest verdicts are kept, for values that come again and again (people, institutions).
    """

    def check(text: str, tolerances: DatatypeTolerances = STRICT) -> str | None:
        try:
            read(text, tolerances)
        except DatatypeError as error:
            return error.reason
        return None

    if remember:
        check = _remembering(check, remember)
    check.__name__ = read.__name__.replace("read_", "check_")
    check.__doc__ = f"None if `text` is accepted by `{read.__name__}`, else what is wrong."
    return check

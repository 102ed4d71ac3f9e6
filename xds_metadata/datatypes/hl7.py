"""HL7 v2 text encoding inside metadata values: components, sub-components, the five escapes, assigning authorities.

Source: HL7 v2.5 chapter 2 (separators and escapes), IHE ITI TF-3 4.2.3.1.7 (only these escapes).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from xds_metadata.datatypes.simple import read_oid
from xds_metadata.datatypes.support import DatatypeError, shown

_ESCAPES = {"\\F\\": "|", "\\S\\": "^", "\\R\\": "~", "\\T\\": "&", "\\E\\": "\\"}
_ESCAPED = {plain: escape for escape, plain in _ESCAPES.items()}
_BACKSLASHED = re.compile(r"\\[^\\]?\\?")
_SPECIAL = re.compile(r"[|^~&\\]")


def unescape(text: str, kind: str) -> str:
    """The characters that `text` stands for. Any backslash that is not one of the five escapes is an error."""
    if "\\" not in text:
        return text

    def plain(match: re.Match[str]) -> str:
        escape = match[0]
        if escape not in _ESCAPES:
            raise DatatypeError(
                f"expected {kind} with no other escape than \\F\\ \\S\\ \\R\\ \\T\\ \\E\\, found {shown(text)}"
            )
        return _ESCAPES[escape]

    return _BACKSLASHED.sub(plain, text)


def escape(text: str) -> str:
    """`text` with the five separators written as escapes."""
    return _SPECIAL.sub(lambda match: _ESCAPED[match[0]], text)


def components(text: str, kind: str, allowed: Sequence[int]) -> dict[int, str]:
    """The non-empty components of `text` by their number (from 1), still escaped.

    Raises DatatypeError when one stands at a place that is not in `allowed`.
    """
    filled = {number: part for number, part in enumerate(text.split("^"), start=1) if part}
    for number, part in filled.items():
        if number not in allowed:
            places = ", ".join(str(place) for place in allowed)
            raise DatatypeError(f"expected {kind} with components {places} only, found component {number} = {shown(part)}")
    return filled


def joined(parts: dict[int, str]) -> str:
    """The components with their separators; trailing ones are left out."""
    last = max((number for number, part in parts.items() if part), default=0)
    return "^".join(parts.get(number, "") for number in range(1, last + 1))


@dataclass(frozen=True, slots=True)
class Authority:
    """An assigning authority: HD with the OID `oid`, or only a local `namespace`."""

    oid: str | None = None
    namespace: str | None = None


def read_authority(text: str, kind: str, *, namespace_allowed: bool = False) -> Authority:
    """`&OID&ISO` or, where allowed, `namespace` or `namespace&OID&ISO`."""
    if "&amp;" in text:
        raise DatatypeError(
            f"expected {kind} written &OID&ISO, found a literal '&amp;' (escaped twice by the sender): {shown(text)}"
        )
    parts = text.split("&")
    if namespace_allowed and len(parts) == 1:
        return Authority(namespace=_namespace(text, kind))
    if len(parts) != 3:
        raise DatatypeError(f"expected {kind} written &OID&ISO, found {shown(text)}")
    namespace, oid, kind_of_id = parts
    if namespace and not namespace_allowed:
        raise DatatypeError(f"expected {kind} written &OID&ISO with nothing before the first &, found {shown(text)}")
    if kind_of_id != "ISO":
        raise DatatypeError(f"expected {kind} written &OID&ISO, found the type {shown(kind_of_id)} in {shown(text)}")
    try:
        read_oid(oid)
    except DatatypeError as error:
        raise DatatypeError(f"{kind}: {error.reason}") from None
    return Authority(oid=oid, namespace=_namespace(namespace, kind) if namespace else None)


def _namespace(text: str, kind: str) -> str:
    plain = unescape(text, kind)
    if plain != plain.strip() or not plain.isprintable():
        raise DatatypeError(f"expected {kind} without white space at its ends, found {shown(text)}")
    return plain


def write_authority(authority: Authority | None) -> str:
    """The HD text; empty for None."""
    if authority is None:
        return ""
    namespace = escape(authority.namespace or "")
    return f"{namespace}&{authority.oid}&ISO" if authority.oid else namespace

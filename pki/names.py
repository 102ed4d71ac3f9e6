"""Distinguished names as text (RFC 4514, RFC 2253 and what common software prints) and as certificates hold them."""

from __future__ import annotations

import re
from typing import Final

from cryptography import x509

Rdn = frozenset[tuple[str, str]]
"""One relative name: pairs of dotted OID and value. Most have one pair; cards have three."""

_KEYWORDS: Final = {
    "C": "2.5.4.6",
    "CN": "2.5.4.3",
    "DC": "0.9.2342.19200300.100.1.25",
    "DNQ": "2.5.4.46",
    "DNQUALIFIER": "2.5.4.46",
    "E": "1.2.840.113549.1.9.1",
    "EMAIL": "1.2.840.113549.1.9.1",
    "EMAILADDRESS": "1.2.840.113549.1.9.1",
    "G": "2.5.4.42",
    "GENERATIONQUALIFIER": "2.5.4.44",
    "GIVENNAME": "2.5.4.42",
    "GN": "2.5.4.42",
    "INITIALS": "2.5.4.43",
    "L": "2.5.4.7",
    "O": "2.5.4.10",
    "ORGANIZATIONIDENTIFIER": "2.5.4.97",
    "OU": "2.5.4.11",
    "S": "2.5.4.8",
    "SERIALNUMBER": "2.5.4.5",
    "SN": "2.5.4.4",
    "ST": "2.5.4.8",
    "STREET": "2.5.4.9",
    "SURNAME": "2.5.4.4",
    "T": "2.5.4.12",
    "TITLE": "2.5.4.12",
    "UID": "0.9.2342.19200300.100.1.1",
}
_DOTTED: Final = re.compile(r"(?:OID\.)?([0-2](?:\.[0-9]{1,20}){1,20})", re.IGNORECASE)
_SPACES: Final = re.compile(r"\s+")
_MAX_LENGTH: Final = 2000
_STRING_TAGS: Final = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}


def rdns_of(name: x509.Name) -> tuple[Rdn, ...]:
    """The relative names of `name`, in the order of the certificate."""
    return tuple(frozenset((pair.oid.dotted_string, _plain(pair.value)) for pair in rdn) for rdn in name.rdns)


def read_name(text: str) -> tuple[Rdn, ...] | None:
    """The relative names of `text`, in the order written; None when it is not a name.

    Accepts short names in any case, dotted OIDs with or without `OID.`, values escaped by backslash, in quotes, or as `#`
    and the hexadecimal DER of a string; blanks around separators. Source: RFC 4514 section 3, RFC 2253 section 4.
    """
    if not text.strip() or len(text) > _MAX_LENGTH:
        return None
    try:
        return tuple(frozenset(_read_pair(pair) for pair in _split(rdn, "+")) for rdn in _split(text, ",;"))
    except ValueError:
        return None


def _plain(value: str | bytes) -> str:
    """A value without meaningless blanks; bytes as hexadecimal, which no text equals."""
    return f"#{value.hex()}" if isinstance(value, bytes) else _SPACES.sub(" ", value.strip())


def _split(text: str, separators: str) -> list[str]:
    """`text` cut at separators that stand outside quotes and are not escaped; escapes stay in the pieces."""
    pieces, start, at, quoted = [], 0, 0, False
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == '"':
            quoted = not quoted
        elif text[at] in separators and not quoted:
            pieces.append(text[start:at])
            start = at + 1
        at += 1
    if quoted:
        raise ValueError("a quote is not closed")
    return [*pieces, text[start:]]


def _read_pair(text: str) -> tuple[str, str]:
    keyword, equals, value = text.partition("=")
    if not equals:
        raise ValueError("a name's part has no equals sign")
    return _oid(keyword.strip()), _read_value(_stripped(value))


def _oid(keyword: str) -> str:
    dotted = _DOTTED.fullmatch(keyword)
    if dotted:
        return dotted[1]
    if keyword.upper() not in _KEYWORDS:
        raise ValueError("unknown keyword")
    return _KEYWORDS[keyword.upper()]


def _stripped(value: str) -> str:
    """Without blanks around it; an escaped blank at the end stays."""
    value = value.lstrip()
    bare = value.rstrip()
    return bare + " " if bare.endswith("\\") and not bare.endswith("\\\\") else bare


def _read_value(value: str) -> str:
    if value.startswith("#"):
        return _plain(_read_der(bytes.fromhex(value[1:])))
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return _plain(_unescaped(value))


def _read_der(data: bytes) -> str:
    if len(data) < 2 or data[0] not in _STRING_TAGS or data[1] > 127 or data[1] != len(data) - 2:
        raise ValueError("not the DER of a short string")
    return data[2:].decode(_STRING_TAGS[data[0]])


def _unescaped(value: str) -> str:
    out, at = bytearray(), 0
    while at < len(value):
        if value[at] != "\\":
            out += value[at].encode()
            at += 1
        elif re.fullmatch("[0-9A-Fa-f]{2}", value[at + 1 : at + 3]):
            out += bytes.fromhex(value[at + 1 : at + 3])
            at += 3
        elif at + 1 < len(value):
            out += value[at + 1].encode()
            at += 2
        else:
            raise ValueError("a backslash ends the value")
    return out.decode()

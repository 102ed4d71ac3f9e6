"""Data types without inner structure: OID, UUID, SHA-1, language, MIME type, URI, integer, document unique id.

All grammars work on ASCII characters only, test the length first and run in linear time.
Source: IHE ITI TF-3 4.2.3.1.7 (table 4.2.3.1.7-2), RFC 5646, RFC 2045, RFC 4122.
"""

from __future__ import annotations

import re

from xds_metadata.datatypes.support import (
    REPEATED,
    STRICT,
    DatatypeError,
    DatatypeTolerances,
    ascii_identifier,
    checker,
    shown,
    within_length,
    without_controls,
    without_outer_space,
)

MAX_OID = 64
MAX_INTEGER = 2**63 - 1

_OID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+")
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SHA1 = re.compile(r"[0-9A-Fa-f]{40}")
_LANGUAGE = re.compile(
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(?:-[a-wy-z0-9](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?"
    r"|x(?:-[a-z0-9]{1,8})+|i(?:-[a-z0-9]{3,8})+|sgn-be-(?:fr|nl)|en-gb-oed|zh-min-nan|art-lojban",
    re.IGNORECASE | re.ASCII,
)
_MIME = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}"
    r'(?: ?; ?[A-Za-z0-9!#$&^_.+-]{1,127}=(?:[A-Za-z0-9!#$%&\'*+.^_`|~-]+|"[\x20\x21\x23-\x5b\x5d-\x7e]*"))*'
)
_INTEGER = re.compile(r"0|[1-9][0-9]{0,18}")


def read_oid(text: str, _tolerances: DatatypeTolerances = STRICT) -> str:
    """The OID: at most 64 characters, arcs of digits without leading zeros, first arc 0 to 2, at least one dot."""
    without_outer_space(within_length(text, "an OID"), "an OID")
    if len(text) > MAX_OID:
        raise DatatypeError(f"expected an OID of at most {MAX_OID} characters, found {len(text)}: {shown(text)}")
    if not _OID.fullmatch(text):
        raise DatatypeError(f"expected an OID (digits and dots, no leading zeros, such as 1.2.250.1), found {shown(text)}")
    return text


def read_oid_urn(text: str, _tolerances: DatatypeTolerances = STRICT) -> str:
    """The OID of `urn:oid:…` (homeCommunityId)."""
    if not text.startswith("urn:oid:"):
        raise DatatypeError(f"expected urn:oid: and an OID, found {shown(text)}")
    return read_oid(text.removeprefix("urn:oid:"))


def write_oid_urn(oid: str) -> str:
    """`urn:oid:` and the OID."""
    return f"urn:oid:{oid}"


def read_uuid(text: str, tolerances: DatatypeTolerances = STRICT) -> str:
    """The UUID as `urn:uuid:` and lower-case 8-4-4-4-12 digits. Upper case is folded where tolerated, else refused."""
    without_outer_space(within_length(text, "a UUID"), "a UUID")
    if len(text) == 45 and _UUID.fullmatch(text):
        return text
    folded = text.lower()
    if len(text) == 45 and _UUID.fullmatch(folded) and text.startswith("urn:uuid:"):
        if tolerances.upper_case_uuid:
            return folded
        raise DatatypeError(f"expected a UUID in lower case, found {shown(text)}")
    raise DatatypeError(f"expected urn:uuid: and 8-4-4-4-12 lower-case hexadecimal digits, found {shown(text)}")


def read_sha1(text: str, _tolerances: DatatypeTolerances = STRICT) -> str:
    """The SHA-1 digest in lower-case hexadecimal; upper case is accepted and folded."""
    if len(text) == 40 and _SHA1.fullmatch(text):
        return text.lower()
    without_outer_space(within_length(text, "a SHA-1 hash"), "a SHA-1 hash")
    raise DatatypeError(f"expected a SHA-1 hash of 40 hexadecimal digits, found {len(text)} characters: {shown(text)}")


def read_language(text: str, _tolerances: DatatypeTolerances = STRICT) -> str:
    """A well-formed RFC 5646 language tag, as written. The subtag registry is not consulted."""
    without_outer_space(within_length(text, "a language tag"), "a language tag")
    if not _LANGUAGE.fullmatch(text):
        raise DatatypeError(f"expected a language tag of RFC 5646 such as fr-FR, found {shown(text)}")
    return text


def read_mime_type(text: str, _tolerances: DatatypeTolerances = STRICT) -> str:
    """A media type type/subtype, parameters allowed, as written. The affinity domain's list judges it further."""
    without_outer_space(within_length(text, "a MIME type"), "a MIME type")
    if not _MIME.fullmatch(text):
        raise DatatypeError(f"expected a MIME type such as text/xml, found {shown(text)}")
    return text


def read_uri(text: str, _tolerances: DatatypeTolerances = STRICT) -> str:
    """The URI slot: opaque, at most 256 characters, no control characters, no white space at its ends."""
    return without_controls(without_outer_space(within_length(text, "a URI"), "a URI"), "a URI")


def read_integer(text: str, _tolerances: DatatypeTolerances = STRICT) -> int:
    """A non-negative integer below 2**63, without sign, blanks or leading zeros."""
    if len(text) <= 19 and _INTEGER.fullmatch(text) and int(text) <= MAX_INTEGER:
        return int(text)
    raise DatatypeError(
        f"expected a non-negative integer (digits only, no sign, no leading zeros, below 2^63), found {shown(text)}"
    )


def write_integer(value: int) -> str:
    """The decimal digits of `value`."""
    return str(value)


def read_unique_id(text: str, _tolerances: DatatypeTolerances = STRICT) -> str:
    """A document's uniqueId, opaque: OID, root^extension, urn:uuid:… or another URI, at most 256 printable ASCII characters.

    `urn:oid:` and `urn:hl7ii:` forms are refused: the plain forms name the same document.
    """
    kind = "a document uniqueId"
    ascii_identifier(within_length(text, kind), kind)
    if text.startswith(("urn:oid:", "urn:hl7ii:")):
        raise DatatypeError(f"expected {kind} without the prefix urn:oid: or urn:hl7ii:, found {shown(text)}")
    return text


check_oid = checker(read_oid, remember=REPEATED)
check_oid_urn = checker(read_oid_urn)
check_uuid = checker(read_uuid)
check_sha1 = checker(read_sha1)
check_language = checker(read_language, remember=REPEATED)
check_mime_type = checker(read_mime_type, remember=REPEATED)
check_uri = checker(read_uri)
check_integer = checker(read_integer)
check_unique_id = checker(read_unique_id)

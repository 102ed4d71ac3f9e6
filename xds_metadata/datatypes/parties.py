"""People, organisations and how to reach them: XCN, XON, XTN, intended recipients, coded roles and specialties.

Source: IHE ITI TF-3 4.2.3.1.7 (XCN, XON, XTN, Coded String), 4.2.3.3.7 (intendedRecipient).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from xds_metadata.datatypes.hl7 import Authority, components, escape, joined, read_authority, unescape
from xds_metadata.datatypes.simple import check_oid, read_oid
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

_TYPE_CODE = re.compile(r"[A-Za-z0-9_-]{1,20}")
_EQUIPMENT = frozenset({"PH", "FX", "MD", "CP", "SAT", "BP", "TDD", "TTY"})
_USES = frozenset({"PRN", "ORN", "WPN", "VHN", "ASN", "EMR", "NET", "BPN", "PRS"})


@dataclass(frozen=True, slots=True)
class Xcn:
    """A person or device. At least one of `id` and `family` is present. `authority` is an OID."""

    id: str | None = None
    family: str | None = None
    given: str | None = None
    other_given: str | None = None
    suffix: str | None = None
    prefix: str | None = None
    authority: str | None = None
    name_type: str | None = None
    id_type: str | None = None


def read_xcn(text: str, tolerances: DatatypeTolerances = STRICT) -> Xcn:
    """`id^family^given^other^suffix^prefix^^^&OID&ISO`, with XCN.10 and XCN.13 where tolerated."""
    kind = "a person (XCN) id^family^given^other^suffix^prefix^^^&OID&ISO"
    _single_line(text, kind)
    allowed = (1, 2, 3, 4, 5, 6, 9, 10, 13) if tolerances.xcn_type_components else (1, 2, 3, 4, 5, 6, 9)
    parts = components(text, kind, allowed)
    if not parts.keys() & {1, 2}:
        raise DatatypeError(f"expected {kind}, found neither identifier nor family name in {shown(text)}")
    return Xcn(
        id=_identifier(parts.get(1), kind),
        family=_text(parts.get(2), kind),
        given=_text(parts.get(3), kind),
        other_given=_text(parts.get(4), kind),
        suffix=_text(parts.get(5), kind),
        prefix=_text(parts.get(6), kind),
        authority=_authority(parts.get(9), f"XCN.9 of {shown(text)}"),
        name_type=_type_code(parts.get(10), "XCN.10", text),
        id_type=_type_code(parts.get(13), "XCN.13", text),
    )


def write_xcn(value: Xcn) -> str:
    """The XCN text of `value`, trailing separators left out."""
    parts = (value.id, value.family, value.given, value.other_given, value.suffix, value.prefix)
    numbered = {number: escape(part or "") for number, part in enumerate(parts, start=1)}
    authority = f"&{value.authority}&ISO" if value.authority else ""
    return joined(numbered | {9: authority, 10: value.name_type or "", 13: value.id_type or ""})


@dataclass(frozen=True, slots=True)
class Xon:
    """An organisation. `authority` is an OID; it is absent when `id` is itself an OID."""

    name: str
    id: str | None = None
    authority: str | None = None
    id_type: str | None = None


def read_xon(text: str, tolerances: DatatypeTolerances = STRICT) -> Xon:
    """`name^^^^^&OID&ISO^^^^id`, with XON.7 where tolerated."""
    kind = "an organisation (XON) name^^^^^&OID&ISO^^^^id"
    _single_line(text, kind)
    parts = components(text, kind, (1, 6, 7, 10) if tolerances.xon_type_component else (1, 6, 10))
    name = _text(parts.get(1), kind)
    if not name or not name.strip():
        raise DatatypeError(f"expected {kind}, found no name in {shown(text)}")
    value = Xon(
        name,
        _identifier(parts.get(10), kind),
        _authority(parts.get(6), f"XON.6 of {shown(text)}"),
        _type_code(parts.get(7), "XON.7", text),
    )
    if value.id is not None:
        global_id = check_oid(value.id, STRICT) is None
        if global_id and value.authority:
            raise DatatypeError(f"expected {kind} with no authority (XON.6) when the id is an OID, found {shown(text)}")
        if not global_id and not value.authority:
            raise DatatypeError(f"expected {kind} with an authority (XON.6) when the id is not an OID, found {shown(text)}")
    return value


def write_xon(value: Xon) -> str:
    """The XON text of `value`."""
    authority = f"&{value.authority}&ISO" if value.authority else ""
    return joined({1: escape(value.name), 6: authority, 7: value.id_type or "", 10: escape(value.id or "")})


@dataclass(frozen=True, slots=True)
class Xtn:
    """An email address, or a telephone in parts (`country`, `area`, `number`, `extension`) or `unformatted`."""

    email: str | None = None
    use: str | None = None
    equipment: str | None = None
    country: str | None = None
    area: str | None = None
    number: str | None = None
    extension: str | None = None
    unformatted: str | None = None


def read_xtn(text: str, _tolerances: DatatypeTolerances = STRICT) -> Xtn:
    """`^NET^Internet^address`, or `^use^PH^^country^area^number^extension` (XTN.12 instead of the parts is accepted)."""
    kind = "an address (XTN) ^NET^Internet^email or ^use^PH^^country^area^number^extension"
    _single_line(text, kind)
    parts = components(text, kind, (2, 3, 4, 5, 6, 7, 8, 12))
    use, equipment = parts.get(2), parts.get(3)
    if use is not None and use not in _USES:
        raise DatatypeError(f"expected {kind} with a use (XTN.2) of {', '.join(sorted(_USES))}, found {shown(use)}")
    if equipment in ("Internet", "X.400"):
        return _email(parts, kind, text)
    if equipment not in _EQUIPMENT:
        found = shown(equipment or "")
        raise DatatypeError(f"expected {kind} with XTN.3 Internet or {', '.join(sorted(_EQUIPMENT))}, found {found}")
    if 4 in parts or not parts.keys() & {7, 12}:
        raise DatatypeError(f"expected {kind} with a number (XTN.7) and no email, found {shown(text)}")
    plain = [_text(parts.get(number), kind) for number in (5, 6, 7, 8, 12)]
    return Xtn(None, use, equipment, *plain)


def _email(parts: dict[int, str], kind: str, text: str) -> Xtn:
    if parts.keys() & {5, 6, 7, 8, 12} or 4 not in parts:
        raise DatatypeError(f"expected {kind} with the email in component 4 alone, found {shown(text)}")
    address = without_outer_space(unescape(parts[4], kind), "an email address")
    return Xtn(email=address, use=parts.get(2), equipment=parts[3])


def write_xtn(value: Xtn) -> str:
    """The XTN text of `value`."""
    plain = {4: value.email, 5: value.country, 6: value.area, 7: value.number, 8: value.extension, 12: value.unformatted}
    return joined(
        {2: value.use or "", 3: value.equipment or ""} | {place: escape(part or "") for place, part in plain.items()}
    )


@dataclass(frozen=True, slots=True)
class Recipient:
    """An intended recipient: organisation, person and address, at least one of them."""

    organisation: Xon | None = None
    person: Xcn | None = None
    address: Xtn | None = None


def read_recipient(text: str, tolerances: DatatypeTolerances = STRICT) -> Recipient:
    """`XON|XCN|XTN`; parts may be empty, not all of them."""
    kind = "an intended recipient XON|XCN|XTN"
    parts = within_length(text, kind).split("|")
    if len(parts) > 3 or not any(parts):
        raise DatatypeError(f"expected {kind} with at least one of the three parts, found {shown(text)}")
    organisation, person, address = [*parts, "", ""][:3]
    return Recipient(
        read_xon(organisation, tolerances) if organisation else None,
        read_xcn(person, tolerances) if person else None,
        read_xtn(address, tolerances) if address else None,
    )


def write_recipient(value: Recipient) -> str:
    """The text of `value`; trailing separators are left out."""
    organisation = write_xon(value.organisation) if value.organisation else ""
    person = write_xcn(value.person) if value.person else ""
    address = write_xtn(value.address) if value.address else ""
    return f"{organisation}|{person}|{address}".rstrip("|")


@dataclass(frozen=True, slots=True)
class CodedString:
    """A role or specialty: free text (`scheme` None) or a code of the system `scheme` (OID)."""

    code: str
    scheme: str | None = None
    label: str | None = None


def read_coded_string(text: str, tolerances: DatatypeTolerances = STRICT) -> CodedString:
    """Free text without ^, or `code^^^&OID&ISO`, or `code^label^OID` where tolerated."""
    kind = "a text, or a coded string code^^^&OID&ISO"
    _single_line(text, kind)
    if "^" not in text:
        if not text.strip():
            raise DatatypeError(f"expected {kind}, found only white space: {shown(text)}")
        return CodedString(text)
    allowed = (1, 2, 3, 4) if tolerances.coded_triplet else (1, 4)
    parts = components(text, kind, allowed)
    code = _identifier(parts.get(1), kind)
    if code is None:
        raise DatatypeError(f"expected {kind}, found no code before the first ^ in {shown(text)}")
    if 4 in parts and not parts.keys() & {2, 3}:
        return CodedString(code, _authority(parts[4], f"the code system of {shown(text)}"))
    if 3 in parts and 4 not in parts:
        return CodedString(code, read_oid(parts[3]), _text(parts.get(2), kind))
    raise DatatypeError(f"expected {kind}, found no code system, or two, in {shown(text)}")


def write_coded_string(value: CodedString) -> str:
    """The text of `value`: the triplet form when it has a label, since the other has no room for it."""
    if value.scheme is None:
        return value.code
    if value.label is not None:
        return joined({1: escape(value.code), 2: escape(value.label), 3: value.scheme})
    return joined({1: escape(value.code), 4: f"&{value.scheme}&ISO"})


def _single_line(text: str, kind: str) -> str:
    return without_controls(within_length(text, kind), kind)


def _text(part: str | None, kind: str) -> str | None:
    return None if part is None else unescape(part, kind)


def _identifier(part: str | None, kind: str) -> str | None:
    if part is None:
        return None
    return ascii_identifier(unescape(part, kind), "an identifier")


def _authority(part: str | None, kind: str) -> str | None:
    if part is None:
        return None
    authority: Authority = read_authority(part, kind)
    return authority.oid


def _type_code(part: str | None, place: str, text: str) -> str | None:
    if part is not None and not _TYPE_CODE.fullmatch(part):
        raise DatatypeError(f"expected a type code in {place}, found {shown(part)} in {shown(text)}")
    return part


check_xcn = checker(read_xcn, remember=REPEATED)
check_xon = checker(read_xon, remember=REPEATED)
check_xtn = checker(read_xtn)
check_recipient = checker(read_recipient)
check_coded_string = checker(read_coded_string, remember=REPEATED)

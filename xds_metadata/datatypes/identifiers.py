"""Identifiers with an assigning authority: CX of patients, CXi of references, and the key under which a patient is kept.

Source: IHE ITI TF-3 4.2.3.1.7 (CX, CXi); CP-ITI-1292 (CXi.6).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from xds_metadata.datatypes.hl7 import Authority, components, escape, joined, read_authority, unescape, write_authority
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
)

_TYPE_CODE = re.compile(r"[A-Za-z0-9_-]{1,20}")
_DATE = re.compile(r"[0-9]{4,14}")


@dataclass(frozen=True, slots=True)
class PatientKey:
    """Under which a patient is kept: the identifier and the OID of its authority (CX.1, CX.4.2), compared exactly."""

    id: str
    authority: str


@dataclass(frozen=True, slots=True)
class Cx:
    """A patient identifier. `type_code` (CX.5) and `date` (CX.7) exist only where a profile tolerates them."""

    id: str
    authority: str
    type_code: str | None = None
    date: str | None = None

    @property
    def key(self) -> PatientKey:
        """The patient that this identifier names."""
        return PatientKey(self.id, self.authority)


def read_cx(text: str, tolerances: DatatypeTolerances = STRICT) -> Cx:
    """`id^^^&OID&ISO`, with CX.5 and CX.7 where tolerated."""
    kind = "a patient identifier id^^^&OID&ISO"
    within_length(text, kind)
    allowed = (1, 4, 5, 7) if tolerances.cx_extra_components else (1, 4)
    if text != text.strip() or "&amp;" in text:
        ascii_identifier(text, kind)
    parts = components(text, kind, allowed)
    if 4 not in parts:
        raise DatatypeError(f"expected {kind}, found no assigning authority in {shown(text)}")
    return Cx(
        id=_plain_id(parts.get(1, ""), kind, text),
        authority=_oid_of(read_authority(parts[4], f"the assigning authority of {shown(text)}")),
        type_code=_matching(_TYPE_CODE, parts.get(5), "CX.5, a type of identifier such as NH", text),
        date=_matching(_DATE, parts.get(7), "CX.7, a date", text),
    )


def write_cx(value: Cx) -> str:
    """The CX text of `value`."""
    return joined({1: escape(value.id), 4: f"&{value.authority}&ISO", 5: value.type_code or "", 7: value.date or ""})


def patient_key(text: str, tolerances: DatatypeTolerances | None = None) -> PatientKey:
    """The key of a patient identifier; CX.5 and CX.7 are accepted and do not count unless `tolerances` says otherwise."""
    return read_cx(text, tolerances or _KEY_TOLERANCES).key


_KEY_TOLERANCES = DatatypeTolerances(cx_extra_components=True)


@dataclass(frozen=True, slots=True)
class Cxi:
    """A reference to something elsewhere: `type` is a URN of IHE or a local value; `home` is CXi.6."""

    id: str
    type: str
    authority: Authority | None = None
    home: Authority | None = None


def read_cxi(text: str, _tolerances: DatatypeTolerances = STRICT) -> Cxi:
    """`id^^^&OID&ISO^type`, `id^^^namespace^type`, `id^^^^type`, each with an optional sixth component."""
    kind = "a reference id^^^&OID&ISO^type"
    within_length(text, kind)
    parts = components(text, kind, (1, 4, 5, 6))
    if 5 not in parts:
        raise DatatypeError(f"expected {kind}, found no type (CXi.5) in {shown(text)}")
    return Cxi(
        id=_plain_id(parts.get(1, ""), kind, text),
        type=ascii_identifier(unescape(parts[5], kind), f"the type (CXi.5) of {shown(text)}"),
        authority=read_authority(parts[4], f"CXi.4 of {shown(text)}", namespace_allowed=True) if 4 in parts else None,
        home=read_authority(parts[6], f"CXi.6 of {shown(text)}", namespace_allowed=True) if 6 in parts else None,
    )


def write_cxi(value: Cxi) -> str:
    """The CXi text of `value`."""
    parts = {1: escape(value.id), 4: write_authority(value.authority), 5: escape(value.type), 6: write_authority(value.home)}
    return joined(parts)


def _plain_id(part: str, kind: str, text: str) -> str:
    if not part:
        raise DatatypeError(f"expected {kind}, found no identifier before the first ^ in {shown(text)}")
    if "&" in part:
        raise DatatypeError(f"expected {kind}, found an & inside the identifier {shown(part)}")
    return ascii_identifier(without_controls(unescape(part, kind), kind), "an identifier")


def _oid_of(authority: Authority) -> str:
    return authority.oid or ""


def _matching(pattern: re.Pattern[str], part: str | None, kind: str, text: str) -> str | None:
    if part is not None and not pattern.fullmatch(part):
        raise DatatypeError(f"expected {kind}, found {shown(part)} in {shown(text)}")
    return part


check_cx = checker(read_cx, remember=REPEATED)
check_cxi = checker(read_cxi)

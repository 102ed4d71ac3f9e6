"""From an event to its DICOM audit message: one line of XML, the same bytes however often it is made.

Source: DICOM PS3.15 A.5.1 (schema), A.5.3 (events); IHE ITI TF-2 3.20 and the Security Audit Considerations of the
transactions; 3.40.4.1.2 (how a person is named).
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from atna.codes import (
    ALERT_DETAIL,
    APPLICATION_ROLE,
    DESTINATION_ROLE,
    EVENTS,
    OBJECTS,
    OMITTED_DETAIL,
    SECURITY_ALERT,
    SOURCE_ROLE,
    Code,
)
from atna.events import AuditEvent, AuditObject, AuditUser

_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>'
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_APPLICATION_SERVER: Final = "4"
_UNKNOWN: Final = "unknown"
_LONGEST: Final = 1024
_PLAIN = re.compile("[ !#-%'-;=?-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPED = re.compile('[&<>"\t\n\r]')
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


@dataclass(frozen=True, slots=True)
class Origin:
    """Who reports: AuditSourceID, AuditEnterpriseSiteID (may be empty), the machine's name for the header of syslog."""

    source_id: str
    site_id: str = ""
    host: str = "localhost"


def time_text(at: int) -> str:
    """Microseconds since 1970 as ISO 8601 in UTC: the form of EventDateTime, and of TIMESTAMP in RFC 5424."""
    return (_EPOCH + timedelta(microseconds=at)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def write_message(event: AuditEvent, origin: Origin) -> bytes:
    """The AuditMessage in UTF-8, without byte order mark and without line ends. Never raises for what an event holds."""
    line = EVENTS[event.name]
    pieces = [_DECLARATION, "<AuditMessage>"]
    pieces += _identification(event)
    pieces += _participants(event, origin)
    if event.user is not None:
        pieces += _person(event.user)
    site = _attributes(("AuditEnterpriseSiteID", origin.site_id)) if origin.site_id else ""
    source = _attributes(("AuditSourceID", origin.source_id))
    kind = _attributes(("csd-code", _APPLICATION_SERVER))
    pieces.append(f"<AuditSourceIdentification{site}{source}><AuditSourceTypeCode{kind}/></AuditSourceIdentification>")
    for patient in event.patients:
        pieces += _object(AuditObject("patient", patient))
    if line.event is SECURITY_ALERT:
        pieces += _object(AuditObject("node", event.peer or _UNKNOWN, ((ALERT_DETAIL, event.description),)))
    for one in event.objects:
        pieces += _object(one)
    pieces.append("</AuditMessage>")
    return "".join(pieces).encode()


def without_query(event: AuditEvent) -> AuditEvent:
    """The event with the size and SHA-256 of its query in the place of the query."""
    objects = []
    for one in event.objects:
        if one.query:
            told = f"{len(one.query)} bytes, SHA-256 {sha256(one.query).hexdigest()}"
            one = replace(one, query=b"", details=(*one.details, (OMITTED_DETAIL, told)))
        objects.append(one)
    return replace(event, objects=tuple(objects))


def halves(event: AuditEvent) -> tuple[AuditEvent, ...]:
    """The event as two, with half of the patients and objects each and ids of their own; as it is when it cannot be cut."""
    things = (*(AuditObject("patient", patient) for patient in event.patients), *event.objects)
    if len(things) < 2:
        return (event,)
    middle = len(things) // 2
    return tuple(
        replace(event, id=f"{event.id}.{number}", patients=(), objects=part)
        for number, part in enumerate((things[:middle], things[middle:]), 1)
    )


def _identification(event: AuditEvent) -> Iterator[str]:
    line = EVENTS[event.name]
    yield "<EventIdentification"
    yield _attributes(
        ("EventActionCode", line.action),
        ("EventDateTime", time_text(event.at)),
        ("EventOutcomeIndicator", str(int(event.outcome))),
    )
    yield ">"
    yield _code("EventID", line.event)
    yield _code("EventTypeCode", line.type)
    if event.description:
        yield f"<EventOutcomeDescription>{_text(event.description)}</EventOutcomeDescription>"
    if event.user is not None and event.user.purpose[0]:
        yield _code("PurposeOfUse", _told(event.user.purpose))
    yield "</EventIdentification>"


def _participants(event: AuditEvent, origin: Origin) -> Iterator[str]:
    """The systems, source first. The one that asked is the requestor."""
    line = EVENTS[event.name]
    process = str(event.process)
    if line.we_are == "alone":
        yield from _system(origin.source_id, process, False, APPLICATION_ROLE, origin.host)
        return
    service = (event.endpoint or _UNKNOWN, _host(event.endpoint))
    other = (event.caller or event.peer or _UNKNOWN, event.peer)
    if line.we_ask:
        ours, theirs = (origin.source_id, origin.host), service
    else:
        ours, theirs = (service[0], service[1] or origin.host), other
    for ours_now, role in ((line.we_are == "source", SOURCE_ROLE), (line.we_are == "destination", DESTINATION_ROLE)):
        user_id, host = ours if ours_now else theirs
        yield from _system(user_id, process if ours_now else "", ours_now == line.we_ask, role, host)


def _system(user_id: str, process: str, asks: bool, role: Code, host: str) -> Iterator[str]:
    yield "<ActiveParticipant"
    yield _attributes(("UserID", user_id))
    if process:
        yield _attributes(("AlternativeUserID", process))
    yield _attributes(("UserIsRequestor", "true" if asks else "false"))
    if host:
        yield _attributes(("NetworkAccessPointID", host), ("NetworkAccessPointTypeCode", "2" if _is_address(host) else "1"))
    yield f">{_code('RoleIDCode', role)}</ActiveParticipant>"


def _person(user: AuditUser) -> Iterator[str]:
    yield "<ActiveParticipant"
    yield _attributes(("UserID", user.id), ("UserName", user.name), ("UserIsRequestor", "true"))
    yield ">"
    yield from (_code("RoleIDCode", _told(role)) for role in user.roles)
    yield "</ActiveParticipant>"


def _object(one: AuditObject) -> Iterator[str]:
    line = OBJECTS[one.kind]
    yield "<ParticipantObjectIdentification"
    yield _attributes(
        ("ParticipantObjectID", one.id),
        ("ParticipantObjectTypeCode", line.type),
        ("ParticipantObjectTypeCodeRole", line.role),
    )
    yield f">{_code('ParticipantObjectIDTypeCode', line.id_type)}"
    if one.query:
        yield f"<ParticipantObjectQuery>{base64.b64encode(one.query).decode()}</ParticipantObjectQuery>"
    yield from _details(one.details)
    yield "</ParticipantObjectIdentification>"


def _details(details: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The schema wants base64 in `value`, also of plain text."""
    for kind, text in details:
        value = base64.b64encode(text.encode("utf-8", "replace")).decode()
        yield f"<ParticipantObjectDetail{_attributes(('type', kind), ('value', value))}/>"


def _told(coded: tuple[str, str]) -> Code:
    """A code that the caller told, whose meaning nobody said."""
    code, system = coded
    return Code(code, system or _UNKNOWN, code)


@lru_cache(maxsize=256)
def _code(element: str, code: Code) -> str:
    named = _attributes(("csd-code", code.code), ("codeSystemName", code.system), ("originalText", code.text))
    return f"<{element}{named}/>"


def _attributes(*pairs: tuple[str, str]) -> str:
    return "".join([f' {name}="{_text(value)}"' for name, value in pairs])


def _text(value: str) -> str:
    """Escaped for element and attribute; what XML cannot hold becomes U+FFFD. Overlong text ends with its SHA-256."""
    if len(value) > _LONGEST:
        value = f"{value[:_LONGEST]}… SHA-256 {sha256(value.encode('utf-8', 'replace')).hexdigest()}"
    if _PLAIN.fullmatch(value):
        return value
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], _NOT_XML.sub("\ufffd", value))


@lru_cache(maxsize=256)
def _host(uri: str) -> str:
    try:
        return urlsplit(uri).hostname or ""
    except ValueError:
        return ""


@lru_cache(maxsize=256)
def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

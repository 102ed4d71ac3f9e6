"""Judges one audit message: header, XML, schema, and what IHE wants of the event. What is wrong is a finding.

Source: IHE ITI TF-2 3.20 and the Security Audit Considerations of each transaction; DICOM PS3.15 A.5.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lxml import etree

from conformance.findings import Finding, Level, listed, shown
from conformance.simulators.audit_lines import (
    ACTIVITIES,
    DESTINATION_ROLE,
    ENCODING_DETAIL,
    LINES,
    PATIENT_NUMBER,
    REPORT_NUMBER,
    REPOSITORY_DETAIL,
    SOURCE_ROLE,
    SUBMISSION_SET,
    Line,
)
from conformance.simulators.syslog import read_syslog
from schemas.paths import AUDIT, schema_files
from xmlsafe import parse
from xmlsafe.errors import XmlError
from xmlsafe.namespaces import QUERY, RIM
from xmlsafe.schema import Schema

SCHEMA: Final = Schema(schema_files(AUDIT))
_URI = re.compile(r"[a-z][a-z0-9+.-]*:[^\s]+", re.IGNORECASE)
_USER_NAME = re.compile(r"[^<>]*<[^<>@]+@[^<>]+>")
_PATIENT_SLOTS: Final = frozenset(
    {
        "$XDSDocumentEntryPatientId",
        "$XDSSubmissionSetPatientId",
        "$XDSFolderPatientId",
        "$patientId",
    }
)


@dataclass(frozen=True, slots=True)
class Participant:
    """An ActiveParticipant."""

    user_id: str
    user_name: str
    process: str
    requestor: bool
    roles: tuple[str, ...]
    host: str
    host_type: str


@dataclass(frozen=True, slots=True)
class Thing:
    """A ParticipantObjectIdentification; `details` are decoded where they are base64. `query` is decoded."""

    id: str
    type: str
    role: str
    id_type: tuple[str, str]
    details: tuple[tuple[str, str], ...]
    query: bytes
    named: bool


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit message says. `type` is the code of the first EventTypeCode."""

    event: str
    type: str
    action: str
    outcome: str
    time: str
    purposes: tuple[str, ...]
    participants: tuple[Participant, ...]
    objects: tuple[Thing, ...]
    source: str

    def participant(self, role: str) -> Participant | None:
        """The one participant of a role."""
        found = [one for one in self.participants if role in one.roles]
        return found[0] if len(found) == 1 else None

    def people(self) -> tuple[Participant, ...]:
        """The participants that are neither source nor destination."""
        return tuple(one for one in self.participants if not {SOURCE_ROLE, DESTINATION_ROLE} & set(one.roles))

    def patients(self) -> tuple[str, ...]:
        """The ids of patient objects."""
        return tuple(one.id for one in self.objects if (one.type, one.role) == ("1", "1"))


@dataclass(frozen=True, slots=True)
class Judged:
    """An audit message and what is wrong with it. `audit` is None when it is no AuditMessage; `id` is PROCID."""

    id: str
    audit: Audit | None
    findings: tuple[Finding, ...]


def judge(message: bytes) -> Judged:
    """Judge one syslog message. Never raises for what was sent."""
    syslog = read_syslog(message)
    findings = list(syslog.findings)
    try:
        root = parse(syslog.text)
    except XmlError as error:
        findings.append(_schema("well-formed XML in UTF-8", str(error)))
        return Judged(syslog.process, None, tuple(findings))
    faults = SCHEMA.findings(root)
    findings += [_schema(fault.expected, f"{fault.path}: {fault.reason}") for fault in faults]
    findings += _judge_encoding(root)
    if root.tag != "AuditMessage" or root.find("EventIdentification") is None:
        return Judged(syslog.process, None, tuple(findings))
    audit = read_audit(root)
    findings += judge_event(audit)
    return Judged(syslog.process, audit, tuple(findings))


def read_audit(root: etree._Element) -> Audit:
    """The message as values; what is absent is empty."""
    event = root.find("EventIdentification")
    assert event is not None
    source = root.find("AuditSourceIdentification")
    return Audit(
        event=_coded(event.find("EventID"))[0],
        type=_coded(event.find("EventTypeCode"))[0],
        action=event.get("EventActionCode", ""),
        outcome=event.get("EventOutcomeIndicator", ""),
        time=event.get("EventDateTime", ""),
        purposes=tuple(_coded(one)[0] for one in event.findall("PurposeOfUse")),
        participants=tuple(_participant(one) for one in root.findall("ActiveParticipant")),
        objects=tuple(_thing(one) for one in root.findall("ParticipantObjectIdentification")),
        source="" if source is None else source.get("AuditSourceID", ""),
    )


def _judge_encoding(root: etree._Element) -> Iterator[Finding]:
    """libxml2 overlooks characters that base64 does not have."""
    values = [one.get("value", "") for one in root.iter("ParticipantObjectDetail")]
    for value in [*values, *(one.text or "" for one in root.iter("ParticipantObjectQuery"))]:
        if _base64(value) is None:
            yield _schema("base64", shown(value, 60))


def judge_event(audit: Audit) -> Iterator[Finding]:
    """The rules of the event's own kind."""
    if audit.type in ACTIVITIES:
        event, name = ACTIVITIES[audit.type]
        if (audit.event, audit.action) != (event, "E"):
            yield _line(f"EventID {event} with action E for {name}", f"{audit.event} with {audit.action or 'none'}")
        return
    line = LINES.get(audit.type)
    if line is None:
        yield _line(f"EventTypeCode one of {listed([*LINES, *ACTIVITIES])}", shown(audit.type))
        return
    if (audit.event, audit.action) not in line.sides:
        sides = " or ".join(f"EventID {event} with action {action}" for event, action in line.sides)
        yield _line(f"{sides} for {audit.type}", f"{audit.event} with {audit.action or 'none'}")
    yield from _judge_participants(audit, line)
    yield from _judge_objects(audit, line)


def _judge_participants(audit: Audit, line: Line) -> Iterator[Finding]:
    source, destination = audit.participant(SOURCE_ROLE), audit.participant(DESTINATION_ROLE)
    if source is None or destination is None:
        roles = listed([role for one in audit.participants for role in one.roles])
        yield _participants(f"one participant of role {SOURCE_ROLE} and one of {DESTINATION_ROLE}", f"roles {roles}")
        return
    service, client = (source, destination) if line.service == SOURCE_ROLE else (destination, source)
    name = "source" if service is source else "destination"
    if line.uri and not _URI.fullmatch(service.user_id):
        inverted = " (it is that of the other end: the ends are inverted)" if _URI.fullmatch(client.user_id) else ""
        yield _participants(f"the URI of the service as UserID of the {name}", shown(service.user_id) + inverted)
    if service.requestor:
        yield _participants(f"UserIsRequestor false at the {name}, which was called", "true")
    if service is source and not client.requestor:
        yield _participants("UserIsRequestor true at the destination, which called", "false")
    if not (source.process or destination.process):
        yield _participants("the process id as AlternativeUserID of the end that writes the message", "none")
    for one in (source, destination):
        if not one.host or one.host_type not in ("1", "2"):
            found = f"{shown(one.host)} of type {shown(one.host_type)}"
            yield _participants("NetworkAccessPointID with type 1 (name) or 2 (address)", found)
    for person in audit.people():
        if not person.requestor:
            yield _participants("UserIsRequestor true at a person", "false")
        if person.user_name and not _USER_NAME.fullmatch(person.user_name):
            yield _participants("UserName alias<user@issuer>", shown(person.user_name), Level.SHOULD)


def _judge_objects(audit: Audit, line: Line) -> Iterator[Finding]:
    kinds = {
        "patient": [one for one in audit.objects if (one.type, one.role) == ("1", "1")],
        "set": [one for one in audit.objects if (one.type, one.role) == ("2", "20")],
        "query": [one for one in audit.objects if (one.type, one.role) == ("2", "24")],
        "document": [one for one in audit.objects if (one.type, one.role) == ("2", "3")],
    }
    for kind in line.objects:
        if not kinds[kind]:
            level = Level.MUST if audit.outcome == "0" else Level.SHOULD
            yield _objects(f"a {kind} object", "none", level)
    for kind, id_type in (("patient", PATIENT_NUMBER), ("set", SUBMISSION_SET)):
        for one in kinds[kind]:
            if one.id_type != id_type:
                yield _objects(f"the id of a {kind} object of type {' of '.join(id_type)}", shown(" of ".join(one.id_type)))
    for one in kinds["query"]:
        yield from _judge_query(audit, one)
    if audit.type in ("ITI-39", "ITI-43"):
        yield from _judge_documents(kinds["document"])


def _judge_query(audit: Audit, query: Thing) -> Iterator[Finding]:
    """The query as it was sent tells which patient must be named."""
    if query.id_type[0] != audit.type:
        yield _objects(f"the id of the query of type {audit.type}", shown(query.id_type[0]))
    if query.named:
        yield _objects("no ParticipantObjectName beside a query", "a name")
    if not any(name == ENCODING_DETAIL for name, _ in query.details):
        yield _objects(f"the detail {ENCODING_DETAIL}", "none", Level.MUST if audit.type == "ITI-51" else Level.SHOULD)
    if audit.type not in ("ITI-18", "ITI-38", "ITI-51"):
        return
    try:
        root = parse(query.query)
    except XmlError as error:
        yield _query("the whole AdhocQueryRequest as it was sent", str(error))
        return
    asked = root.find(f"{{{RIM}}}AdhocQuery")
    if root.tag != f"{{{QUERY}}}AdhocQueryRequest" or asked is None:
        yield _query("the whole AdhocQueryRequest as it was sent", shown(root.tag))
        return
    if asked.get("id", "") != query.id:
        yield _query(f"the id of the query, {asked.get('id', '')}", shown(query.id))
    named = {_patient_key(patient) for patient in audit.patients()}
    for patient in _patients_of(asked):
        if _patient_key(patient) not in named:
            yield _objects("the patient that the query names as an object", listed(audit.patients()))


def _judge_documents(documents: Sequence[Thing]) -> Iterator[Finding]:
    for one in documents:
        if one.id_type != REPORT_NUMBER:
            yield _objects(f"the id of a document of type {' of '.join(REPORT_NUMBER)}", shown(" of ".join(one.id_type)))
        if not any(name == REPOSITORY_DETAIL for name, _ in one.details):
            yield _objects(f"the detail {REPOSITORY_DETAIL} of a document", listed([name for name, _ in one.details]))


def _patients_of(query: etree._Element) -> Iterator[str]:
    """The patients that a query names, without the quotes of the query language."""
    for slot in query.iter(f"{{{RIM}}}Slot"):
        if slot.get("name") in _PATIENT_SLOTS:
            for value in slot.iter(f"{{{RIM}}}Value"):
                for quoted in re.findall(r"'((?:[^']|'')*)'", value.text or ""):
                    yield quoted.replace("''", "'")


def _patient_key(cx: str) -> tuple[str, str]:
    """What two texts of one patient identifier have in common: the id, and the OID of its authority."""
    parts = cx.split("^")
    authority = (parts[3] if len(parts) > 3 else "").split("&")
    return parts[0], authority[1] if len(authority) > 1 else ""


def _participant(element: etree._Element) -> Participant:
    return Participant(
        user_id=element.get("UserID", ""),
        user_name=element.get("UserName", ""),
        process=element.get("AlternativeUserID", ""),
        requestor=element.get("UserIsRequestor", "") in ("true", "1"),
        roles=tuple(_coded(one)[0] for one in element.findall("RoleIDCode")),
        host=element.get("NetworkAccessPointID", ""),
        host_type=element.get("NetworkAccessPointTypeCode", ""),
    )


def _thing(element: etree._Element) -> Thing:
    return Thing(
        id=element.get("ParticipantObjectID", ""),
        type=element.get("ParticipantObjectTypeCode", ""),
        role=element.get("ParticipantObjectTypeCodeRole", ""),
        id_type=_coded(element.find("ParticipantObjectIDTypeCode")),
        details=tuple(
            (one.get("type", ""), _decoded(one.get("value", "")).decode("utf-8", "replace"))
            for one in element.findall("ParticipantObjectDetail")
        ),
        query=_decoded(element.findtext("ParticipantObjectQuery") or ""),
        named=element.find("ParticipantObjectName") is not None,
    )


def _coded(element: etree._Element | None) -> tuple[str, str]:
    return ("", "") if element is None else (element.get("csd-code", ""), element.get("codeSystemName", ""))


def _decoded(text: str) -> bytes:
    decoded = _base64(text)
    return text.encode() if decoded is None else decoded


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _schema(expected: str, found: str) -> Finding:
    return Finding("atna.schema", "DICOM PS3.15 A.5.1", expected, found)


def _line(expected: str, found: str) -> Finding:
    return Finding("atna.event_line", "ITI TF-2, Security Audit Considerations", expected, found)


def _participants(expected: str, found: str, level: Level = Level.MUST) -> Finding:
    return Finding("atna.participants", "ITI TF-2, Security Audit Considerations", expected, found, level)


def _objects(expected: str, found: str, level: Level = Level.MUST) -> Finding:
    return Finding("atna.objects", "ITI TF-2, Security Audit Considerations", expected, found, level)


def _query(expected: str, found: str) -> Finding:
    return Finding("atna.query_bytes", "ITI TF-2 3.18.5.1", expected, found)

"""An audit event as a value, and its compact form: what a hot path may spend microseconds on.

The compact form is one line of ASCII JSON, then the bytes of a query if there is one.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from atna.codes import ENCODING_DETAIL, EVENTS, HOME_OF_QUERY_DETAIL, MESSAGE_ID_DETAIL, REPOSITORY_DETAIL

_FORMAT: Final = 1
_ENCODE: Final = json.JSONEncoder(separators=(",", ":")).encode


class Outcome(IntEnum):
    """EventOutcomeIndicator. MINOR: done, with warnings; SERIOUS: refused; MAJOR: the service was not available."""

    SUCCESS = 0
    MINOR = 4
    SERIOUS = 8
    MAJOR = 12


class UnknownFormat(Exception):
    """A stored event that this release cannot read: another release wrote it."""


@dataclass(frozen=True, slots=True)
class AuditUser:
    """A person behind the exchange. `name` as XUA asks, `alias<user@issuer>`; `roles` are (code, system) pairs.

    `purpose`: the purpose of use as (code, system), both empty where none was told.
    """

    id: str
    name: str
    roles: tuple[tuple[str, str], ...] = ()
    purpose: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class AuditObject:
    """What an event is about besides patients. `kind` is a row of `codes.OBJECTS`; `details` are (type, text) pairs.

    `query` is the request as it was received. At most one object of an event has one.
    """

    kind: str
    id: str
    details: tuple[tuple[str, str], ...] = ()
    query: bytes = b""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One event. `name` is a row of `codes.EVENTS`; `at` microseconds since 1970 UTC.

    `endpoint`: the URI of the service that was called, ours or that which we called. `caller`: the user id of the system at
    the other end, its wsa:ReplyTo, certificate name or address; `peer` its network address. `patients` are CX texts.
    `description` says why the outcome is not a success, without a word about a patient. `id` is unique and stays the same
    however often the message is sent; `process` is the process id that did the work.
    """

    name: str
    at: int
    outcome: Outcome = Outcome.SUCCESS
    endpoint: str = ""
    caller: str = ""
    peer: str = ""
    user: AuditUser | None = None
    patients: tuple[str, ...] = ()
    objects: tuple[AuditObject, ...] = ()
    description: str = ""
    id: str = field(default_factory=lambda: os.urandom(12).hex())
    process: int = field(default_factory=os.getpid)


def query_object(query_id: str, request: bytes, home: str = "") -> AuditObject:
    """The stored query of ITI-18: `request` is the whole AdhocQueryRequest as it was received."""
    homes = ((HOME_OF_QUERY_DETAIL, home),) if home else ()
    return AuditObject("query", query_id, ((ENCODING_DETAIL, "UTF-8"), *homes), request)


def document_object(unique_id: str, repository: str) -> AuditObject:
    """A document that was asked for, or given, by ITI-43."""
    return AuditObject("document", unique_id, ((REPOSITORY_DETAIL, repository),))


def submission_set_object(unique_id: str) -> AuditObject:
    """The submission set of ITI-41 and ITI-42."""
    return AuditObject("submission set", unique_id)


def fed_patient(cx: str, control_id: str) -> AuditObject:
    """A patient of ITI-8, with the control id (MSH-10) of the message."""
    return AuditObject("patient", cx, ((MESSAGE_ID_DETAIL, control_id),))


def write_event(event: AuditEvent) -> bytes:
    """The compact form."""
    user, query, objects = event.user, b"", []
    for one in event.objects:
        objects.append((one.kind, one.id, one.details))
        query = query or one.query
    value = (
        _FORMAT,
        event.id,
        event.process,
        event.name,
        event.at,
        int(event.outcome),
        event.endpoint,
        event.caller,
        event.peer,
        (user.id, user.name, user.roles, user.purpose) if user is not None else None,
        event.patients,
        objects,
        event.description,
    )
    return b"%b\n%b" % (_ENCODE(value).encode(), query)


def read_event(data: bytes) -> AuditEvent:
    """The event of a compact form. Raises UnknownFormat."""
    line, _, query = data.partition(b"\n")
    try:
        value: list[Any] = json.loads(line)
        if value[0] != _FORMAT:
            raise UnknownFormat(f"an event of format {value[0]!r}, this release knows {_FORMAT}")
        if value[3] not in EVENTS:
            raise UnknownFormat(f"an event named {value[3]!r}")
        _, id_, process, name, at, outcome, endpoint, caller, peer, user, patients, objects, description = value
        read = []
        for kind, object_id, details in objects:
            read.append(AuditObject(kind, object_id, _pairs(details), query if kind == "query" else b""))
        person = AuditUser(user[0], user[1], _pairs(user[2]), (user[3][0], user[3][1])) if user is not None else None
    except (ValueError, LookupError, TypeError) as error:
        raise UnknownFormat(f"an event that cannot be read ({type(error).__name__})") from None
    return AuditEvent(
        name=name,
        at=at,
        outcome=Outcome(outcome),
        endpoint=endpoint,
        caller=caller,
        peer=peer,
        user=person,
        patients=tuple(patients),
        objects=tuple(read),
        description=description,
        id=id_,
        process=process,
    )


def _pairs(values: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((first, second) for first, second in values)

"""From what actors record to audit events: which event an access is, who took part, what it was about.

One event for each transaction; ITI-43 has one for all that was given and one for all that was not. A caller that could not
be authenticated is a security alert. Source: IHE ITI TF-2 3.20.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import structlog
from sqlalchemy import Connection

from access_control.context import RequestContext
from access_control.subject import Subject
from atna.events import (
    AuditEvent,
    AuditObject,
    AuditUser,
    Outcome,
    document_object,
    query_object,
    submission_set_object,
)
from atna.outbox import enqueue
from database.errors import DatabaseError
from database.handle import Database
from journal.rows import JournalRow
from liasse.settings import Settings
from xds_metadata.datatypes import Cx, write_cx
from xds_metadata.errors import Finding, XdsFailure
from xds_metadata.patients import key_of_text
from xds_metadata.registration import Registration
from xds_registry.stored_queries import QUERIES
from xds_repository.ports import Holders, RegistryNotAvailable, RegistryPort

log = structlog.get_logger()

ENDPOINTS: Final[Mapping[str, str]] = {
    "ITI-18": "/registry",
    "ITI-42": "/registry",
    "ITI-57": "/registry",
    "ITI-41": "/repository",
    "ITI-43": "/repository",
    "TD0.3": "/habilitations",
    "TD1.6": "/habilitations",
}
"""The transactions that have events, with the path of their service."""

_UNAUTHENTICATED: Final = ("assertion-", "tls-certificate-")
_UNAVAILABLE: Final = frozenset({"storage", "space", "database", "database-busy", "database-full", "journal-seal-late"})
_QUERY_IDS: Final = {query.name: query.id for query in QUERIES.values()}
_QUERY_ID = re.compile(rb"<(?:[\w.-]+:)?AdhocQuery\s[^>]*?\bid\s*=\s*[\"']([^\"'<&]{1,256})[\"']")


def service_base(settings: Settings, secured: bool) -> str:
    """The URL that service paths are appended to in UserIDs: as clients know it, or as this server listens."""
    server = settings.server
    if server.public_url:
        return server.public_url.rstrip("/")
    host = socket.gethostname() if server.unix_socket or server.host in ("0.0.0.0", "::") else server.host  # noqa: S104
    place = f"[{host}]" if ":" in host else host
    port = "" if server.unix_socket else f":{server.port}"
    return f"{'https' if secured else 'http'}://{place}{port}"


@dataclass(frozen=True)
class Trail:
    """The AuditTrail of a composed server. `base`: see `service_base`; `repository` is the repositoryUniqueId."""

    base: str
    repository: str

    def __call__(self, ctx: RequestContext, rows: Sequence[JournalRow]) -> Callable[[Connection], None]:
        """The statements that queue the events of `rows`, all of one message."""
        return enqueue(self.events(ctx, rows))

    def events(self, ctx: RequestContext, rows: Sequence[JournalRow]) -> list[AuditEvent]:
        """One event for each outcome among the rows; none for what is no transaction."""
        if ctx.transaction not in ENDPOINTS or not rows:
            return []
        if rows[0].decision.rule.startswith(_UNAUTHENTICATED):
            return [self._alert(ctx, rows[0])]
        if len(rows) == 1:
            return [self._event(ctx, _outcome(rows[0]), rows)]
        grouped: dict[Outcome, list[JournalRow]] = {}
        for row in rows:
            grouped.setdefault(_outcome(row), []).append(row)
        return [self._event(ctx, outcome, some) for outcome, some in grouped.items()]

    def registration(self, ctx: RequestContext, request: Registration, url: str, outcome: Outcome, why: str) -> AuditEvent:
        """ITI-42 as the repository that sent it to the registry at `url`."""
        owner = request.submission.submission_sets[0]
        return AuditEvent(
            name="ITI-42 repository",
            at=ctx.at,
            outcome=outcome,
            endpoint=url,
            user=_user(ctx.subject),
            patients=(owner.patient_id,) if owner.patient_id else (),
            objects=(submission_set_object(owner.unique_id or ""),),
            description=why,
        )

    def refused_peer(self, at: int, peer: str, reason: str) -> AuditEvent:
        """A TLS connection that was refused. `reason` is a rule, without anything the peer chose."""
        return AuditEvent(
            "node authentication", at, Outcome.SERIOUS, endpoint=self.base, peer=peer, description=f"tls-{reason}"
        )

    def _alert(self, ctx: RequestContext, row: JournalRow) -> AuditEvent:
        return AuditEvent(
            name="node authentication",
            at=ctx.at,
            outcome=Outcome.SERIOUS,
            endpoint=self.base + ENDPOINTS[ctx.transaction],
            peer=ctx.peer,
            description=row.decision.rule,
        )

    def _event(self, ctx: RequestContext, outcome: Outcome, rows: Sequence[JournalRow]) -> AuditEvent:
        caller = ctx.subject.id if ctx.subject.proof_level == "certificate" else ""
        return AuditEvent(
            name=ctx.transaction,
            at=ctx.at,
            outcome=outcome,
            endpoint=self.base + ENDPOINTS[ctx.transaction],
            caller=caller,
            peer=ctx.peer,
            user=_user(ctx.subject),
            patients=tuple(dict.fromkeys([_cx(row.patient) for row in rows if row.patient])),
            objects=self._objects(ctx.transaction, rows),
            description="" if outcome is Outcome.SUCCESS else _why(rows),
        )

    def _objects(self, transaction: str, rows: Sequence[JournalRow]) -> tuple[AuditObject, ...]:
        if transaction == "ITI-18":
            return _query(rows[0])
        found: dict[tuple[str, str], AuditObject] = {}
        for row in rows:
            following = (*row.objects[1:], ("", ""))
            for (kind, identifier), (next_kind, next_identifier) in zip(row.objects, following, strict=True):
                if kind == "document" and transaction == "ITI-43":
                    repository = next_identifier if next_kind == "repository" else self.repository
                    found[identifier, repository] = document_object(identifier, repository)
                elif kind == "submission-set":
                    found[identifier, ""] = submission_set_object(identifier)
        return tuple(found.values())


def audit_trail(settings: Settings) -> Trail | None:
    """What the server's Recorder is given; None where no collector is set."""
    if not settings.audit.collector:
        return None
    return Trail(service_base(settings, settings.tls.certificate is not None), settings.repository.unique_id)


@dataclass(frozen=True)
class AuditedRegistry:
    """A registry elsewhere: what it answers is audited as ITI-42, in a write of its own."""

    port: RegistryPort
    url: str
    trail: Trail
    database: Database

    @property
    def in_process(self) -> bool:
        """As the port says."""
        return self.port.in_process

    def register(self, ctx: RequestContext, request: Registration) -> tuple[Finding, ...]:
        """As `RegistryPort.register`."""
        try:
            warnings = self.port.register(ctx, request)
        except XdsFailure as failure:
            self._audit(ctx, request, Outcome.SERIOUS, ",".join(dict.fromkeys(f.code for f in failure.findings)))
            raise
        except RegistryNotAvailable as failure:
            self._audit(ctx, request, Outcome.MAJOR, "no answer" if failure.sent else "not reached")
            raise
        self._audit(ctx, request, Outcome.MINOR if warnings else Outcome.SUCCESS, "warnings" if warnings else "")
        return warnings

    def holders(self, ctx: RequestContext, unique_ids: Sequence[str]) -> Holders:
        """As `RegistryPort.holders`."""
        return self.port.holders(ctx, unique_ids)

    def _audit(self, ctx: RequestContext, request: Registration, outcome: Outcome, why: str) -> None:
        """The registration has happened: that its event cannot be stored does not undo it."""
        event = self.trail.registration(ctx, request, self.url, outcome, why)
        try:
            self.database.write(enqueue([event]))
        except DatabaseError as error:
            log.warning("an audit event was not stored", transaction="ITI-42", code=error.code)


def _outcome(row: JournalRow) -> Outcome:
    if row.outcome == "Success":
        return Outcome.SUCCESS
    if row.outcome in ("Warning", "PartialSuccess"):
        return Outcome.MINOR
    return Outcome.MAJOR if _UNAVAILABLE.intersection(row.decision.rule.split(",")) else Outcome.SERIOUS


def _why(rows: Sequence[JournalRow]) -> str:
    return ",".join(dict.fromkeys("not given" if row.decision.allowed else row.decision.rule for row in rows))


def _query(row: JournalRow) -> tuple[AuditObject, ...]:
    """The query that was asked, whether or not it could be understood."""
    request = row.evidence() if row.evidence is not None else b""
    query_id = _QUERY_IDS.get(row.objects[0][1], "") if row.objects else ""
    if not query_id and (found := _QUERY_ID.search(request)) is not None:
        query_id = found[1].decode("utf-8", "replace")
    return (query_object(query_id, request),) if query_id or request else ()


@lru_cache(maxsize=4096)
def _cx(patient: str) -> str:
    """The CX of a key text."""
    key = key_of_text(patient)
    return write_cx(Cx(key.id, key.authority))


@lru_cache(maxsize=1024)
def _user(subject: Subject) -> AuditUser | None:
    """The person, where one is proved; a system's certificate is no person."""
    if subject.proof_level in ("none", "certificate"):
        return None
    code, _, system = subject.purpose.partition("^")
    alias, identifier, issuer = (re.sub("[<>]", " ", text) for text in (subject.name, subject.id, subject.issuer))
    roles = tuple((role.code, role.system) for role in subject.roles)
    return AuditUser(subject.id, f"{alias}<{identifier}@{issuer}>", roles, (code, system))

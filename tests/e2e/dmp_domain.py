"""A server of the dmp profile and policy over mutual TLS, the records it knows, and callers with signed assertions.

Everything goes over the wire, but the records: they are opened beside the server, in its database, as an operator does.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from access_control.subject import Coded, Subject
from database.engine import open_database
from database.handle import Database
from database.tables import now_micros
from dmp import records
from dmp.ins import TEST
from dmp.record import By, Oppositions, Party, Record, authorisation_length
from dmp.settings import DmpSettings
from ebrim.rs import write_submit_objects_request
from journal.tables import journal_row
from liasse.caller import security_header
from pki.testca import Card
from tests import samples
from tests.e2e import wire
from tests.e2e.server import merged
from tests.e2e.tls_domain import TlsDomain, ask, tls_domain
from tests.update_side import status_update, update_of
from xds_metadata.datatypes import PatientKey
from xds_metadata.model import Author, Code, DocumentEntry, Submission
from xds_registry import iti57
from xua.cards import Told, vihf_of

HOSPITAL = "10B0127189"
PROFESSIONS, SPECIALITIES = "1.2.250.1.71.1.2.7", "1.2.250.1.71.4.2.5"
VISIBILITY = "1.2.250.1.213.1.1.4.13"
NORMAL = Code("N", "2.16.840.1.113883.5.25", "normal")
MASKED = Code("MASQUE_PS", VISIBILITY, "masked")
HIDDEN = Code("INVISIBLE_PATIENT", VISIBILITY, "hidden from the patient")
SECRET = Code("INVISIBLE_REPRESENTANTS_LEGAUX", VISIBILITY, "hidden from representatives")
REPORT = Code("34133-9", "2.16.840.1.113883.6.1", "summary")
"""A type that every profession of care reads."""
ARCHIVED, DELETED = (f"urn:asip:ci-sis:2010:StatusType:{word}" for word in ("Archived", "Deleted"))
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"


def patient(number: int) -> PatientKey:
    """An INS of the test authority that fits its check digits."""
    body = f"2070585756{number:03d}"
    return PatientKey(f"{body}{97 - int(body) % 97:02d}", TEST)


def cx(key: PatientKey) -> str:
    """As PID-3 and patientId write it."""
    return f"{key.id}^^^&{key.authority}&ISO^NH"


@dataclass(frozen=True)
class Speaker:
    """Who calls: a card or a structure's kit, and what it says about itself and the record (`told.patient`)."""

    card: Card
    told: Told = field(default_factory=Told)

    def about(self, key: PatientKey) -> Speaker:
        """The same before another record."""
        return replace(self, told=replace(self.told, patient=cx(key)))

    def in_emergency(self, reason: str = "unconscious", access: str = "bris_de_glace") -> Speaker:
        """The same in an emergency mode."""
        return replace(self, told=replace(self.told, access=access, reason=reason))

    def header(self) -> bytes:
        """A wsse:Security with a fresh assertion."""
        return security_header(vihf_of(self.card, self.told, now_micros()))

    @property
    def party(self) -> Party:
        """As a record knows him."""
        person = self.card.kind == "person"
        return Party(self.card.identifier, "person" if person else "structure")

    @property
    def author(self) -> Author:
        """As author of a document."""
        number = self.card.identifier if self.card.kind == "person" else self.told.user
        return samples.author(f"{number}^Test^Anne^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS")


@dataclass
class DmpDomain:
    """The server, its database beside it, and the callers by name."""

    tls: TlsDomain
    database: Database
    settings: DmpSettings
    _cards: dict[str, Card] = field(default_factory=dict)
    _connections: dict[str, ssl.SSLSocket] = field(default_factory=dict)

    def professional(
        self, name: str, *, profession: str = "10", speciality: str = "SM26", roles: Sequence[Coded] = (), **card: Any
    ) -> Speaker:
        """A professional with a card of his own; `roles` in place of those of the card."""
        if name not in self._cards:
            number = f"8997{len(self._cards):08d}"
            self._cards[name] = self.tls.pki.issue_card(name, number, profession=profession, speciality=speciality, **card)
        return Speaker(self._cards[name], Told(roles=tuple(roles)))

    def structure(self, name: str = "hospital", identifier: str = HOSPITAL, *, user: str = "899700999999") -> Speaker:
        """A structure that says who works at it (indirect mode)."""
        if name not in self._cards:
            self._cards[name] = self.tls.pki.issue_structure(name, identifier)
        roles = (Coded("10", PROFESSIONS), Coded("SM26", SPECIALITIES))
        return Speaker(self._cards[name], Told(user=user, name="Test Anne", roles=roles))

    def send(self, speaker: Speaker, message: wire.Message) -> wire.Seen:
        """Send a message with a fresh assertion, over the connection that the speaker's certificate made."""
        signed = message.replaced(b"</s:Header>", speaker.header() + b"</s:Header>", 1)
        name = speaker.card.identifier
        for _ in range(2):
            try:
                seen = ask(self._connection(speaker), signed)
            except (OSError, HTTPException):
                self._connections.pop(name).close()
                continue
            if (seen.answer.http.header("Connection") or "").lower() == "close":
                self._connections.pop(name).close()
            return seen
        raise AssertionError("no answer twice")

    def _connection(self, speaker: Speaker) -> ssl.SSLSocket:
        name = speaker.card.identifier
        if name not in self._connections:
            context = self.tls.context(speaker.card.authentication)
            self._connections[name] = context.wrap_socket(self.tls.tcp(), server_hostname="localhost")
        return self._connections[name]

    def act(self, statements: Callable[[Connection], Any]) -> None:
        """Change a record as an operator does."""
        self.database.write(statements)

    def open(self, key: PatientKey, **record: Any) -> PatientKey:
        """Open a record."""
        by = self.by()
        self.act(lambda connection: records.create(connection, Record(key, consent_at=by.at, **record), by))
        return key

    def by(self) -> By:
        """An operator, now."""
        return By(Subject("os-user:test", proof_level="local"), now_micros())

    def authorise(self, key: PatientKey, *speakers: Speaker) -> None:
        """The patient authorises."""
        length = authorisation_length(self.settings)
        for party in (each.party for each in speakers):
            self.act(partial(records.authorise, patient=key, party=party, by=self.by(), length=length))

    def attend(self, key: PatientKey, speaker: Speaker) -> None:
        """The patient chooses an attending doctor."""
        length = authorisation_length(self.settings)
        self.act(lambda c: records.attend(c, key, speaker.party, self.by(), length))

    def block(self, key: PatientKey, speaker: Speaker) -> None:
        """The patient blocks a professional."""
        self.act(lambda c: records.block(c, key, speaker.party, self.by()))

    def oppose(self, key: PatientKey, **oppositions: bool) -> None:
        """What the patient decides about emergencies."""
        self.act(lambda c: records.oppose(c, key, Oppositions(**oppositions), self.by()))

    def close(self, key: PatientKey) -> None:
        """The record is closed."""
        self.act(lambda c: records.close(c, key, "request", self.by()))

    def provide(self, speaker: Speaker, value: Submission, *documents: bytes) -> wire.Seen:
        """ITI-41; a PDF for each entry unless given."""
        documents = documents or tuple(content(each) for each in value.entries)
        return self.send(speaker, wire.Deposit(value, documents).message())

    def deposit(self, speaker: Speaker, key: PatientKey, *entries: DocumentEntry) -> Submission:
        """ITI-41 that must succeed, about `key`."""
        value = samples.submission(*entries)
        seen = self.provide(speaker.about(key), value)
        assert seen.verdict == "Success", (seen.verdict, seen.text)
        return value

    def ask(
        self, speaker: Speaker, name: str, *parameters: tuple[str, str | Sequence[str]], leaves: bool = True
    ) -> wire.Seen:
        """ITI-18."""
        return self.send(speaker, wire.query(name, *parameters, leaves=leaves))

    def ask_documents(self, speaker: Speaker, key: PatientKey, *statuses: str) -> wire.Seen:
        """FindDocuments of a record, of approved entries unless other statuses are given."""
        wanted = "(" + ",".join(f"'{each}'" for each in statuses or (APPROVED,)) + ")"
        return self.ask(
            speaker.about(key),
            "FindDocuments",
            ("$XDSDocumentEntryPatientId", f"'{cx(key)}'"),
            ("$XDSDocumentEntryStatus", wanted),
        )

    def find(self, speaker: Speaker, key: PatientKey, *statuses: str) -> set[str]:
        """The uniqueIds that FindDocuments gives."""
        seen = self.ask_documents(speaker, key, *statuses)
        assert seen.verdict == "Success", (seen.verdict, seen.text)
        return {each.value("uniqueId") or "" for each in seen.answer.of_kind("document")}

    def get(self, speaker: Speaker, *unique_ids: str) -> wire.Seen:
        """ITI-43."""
        return self.send(speaker, wire.retrieve(self.repository, *unique_ids))

    def update(self, speaker: Speaker, value: Submission) -> wire.Seen:
        """ITI-57."""
        body = write_submit_objects_request(samples.objects(value))
        return self.send(speaker, wire.simple(wire.REGISTRY, wire.envelope(iti57.ACTION, body)))

    def codes(self, speaker: Speaker, entry: DocumentEntry, *codes: Code, version: int = 1) -> wire.Seen:
        """TD3.3a, b: give a document that was stored under its own entryUUID these confidentiality codes."""
        data = content(entry)
        changed = replace(
            entry,
            entry_uuid=samples.new_uuid(),
            logical_id=entry.entry_uuid,
            confidentiality_codes=codes,
            hash=wire.sha1(data),
            size=str(len(data)),
            repository_unique_id=samples.REPOSITORY,
        )
        return self.update(speaker, update_of(changed, previous=version))

    def status(self, speaker: Speaker, key: PatientKey, entry_uuid: str, before: str, after: str) -> wire.Seen:
        """TD3.3c, d: another status for a document."""
        return self.update(speaker, status_update(entry_uuid, before, after, patient_id=cx(key)))

    @property
    def repository(self) -> str:
        """repositoryUniqueId."""
        return samples.REPOSITORY

    def journal(self) -> list[tuple[str, str, str, str, str]]:
        """Rows of the journal in their order: action, caller, mode, rule, outcome."""
        r = journal_row.c
        with self.database.read() as connection:
            asked = select(r.action, r.subject, r.mode, r.rule, r.outcome).order_by(r.at, r.id)
            return [tuple(row) for row in connection.execute(asked)]

    def disconnect(self) -> None:
        """End the connections of all speakers."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()


def entry(key: PatientKey, *authors: Speaker, **changes: Any) -> DocumentEntry:
    """An entry about `key` by `authors` (somebody else unless given), under an entryUUID of its own."""
    values: dict[str, Any] = {
        "entry_uuid": samples.new_uuid(),
        "patient_id": cx(key),
        "type_code": REPORT,
        "confidentiality_codes": (NORMAL,),
    }
    if authors:
        values["authors"] = tuple(each.author for each in authors)
    return wire.entry(**(values | changes))


def content(entry: DocumentEntry) -> bytes:
    """The document of an entry unless a test gives another."""
    return wire.PDF + (entry.unique_id or "").encode()


@contextlib.contextmanager
def dmp_domain(
    folder: Path,
    options: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    program: Sequence[str] = (),
) -> Iterator[DmpDomain]:
    """A running server. `options` are the policy's, `settings` further ones; `program`: an installed one runs it."""
    chosen = merged(
        {
            "profile": "dmp",
            "access": {"policy": "dmp", **({"options": dict(options)} if options else {})},
            "affinity_domain": {"codes": "any"},
            "repository": {"unique_id": samples.REPOSITORY},
        },
        settings or {},
    )
    with tls_domain(folder, "built-in", chosen, assertions=["vihf"], program=program) as tls:
        database = open_database(str(tls.server.data / "liasse.sqlite"))
        domain = DmpDomain(tls, database, DmpSettings(**dict(options or {})))
        try:
            yield domain
        finally:
            domain.disconnect()
            database.close()

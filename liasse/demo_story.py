"""The story of the demonstration: one patient decides, several professionals ask the same, each gets what is his to see.

A patient opens a record; her attending doctor and a hospital file documents; everybody asks for all of them. She has one
masked and a professional blocked, a doctor whom she does not know opens the record in an emergency, she is told by e-mail,
and reads who did what. Every message goes over the wire; what the patient decides is written beside the server, as an
operator does it for her. Each scene is checked: the demonstration fails where somebody sees more or less than he should.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from access_control.policy import load_policy
from conformance.simulators.mail_receiver import Mail, MailReceiver
from database.engine import open_database
from database.errors import DatabaseError
from database.handle import Database
from database.tables import now_micros
from dmp import records
from dmp.journal_view import History, Line
from dmp.policy import DmpPolicy
from dmp.record import By, Contact, Holder, Party, Record, RecordRefused, authorisation_length
from dmp.record_rows import find_record
from dmp.records import Act
from liasse.caller import Caller, CallerError, Shown
from liasse.client import DocumentClient, Endpoints, ExchangeFailed
from liasse.demo_callers import Callers
from liasse.demo_documents import (
    CONSULTATION,
    DEMO_PATIENT,
    EYES,
    OF_HOSPITAL,
    SURGERY,
    health_summary,
    pdf_report,
)
from liasse.demo_documents import Report as Kind
from liasse.demo_steps import DemoFailed, Report, Step, timed
from liasse.journal_reading import Wanted, read_history
from liasse.reading_as import PATIENT, subject_as
from liasse.record_desk import carry_out, dmp_settings
from liasse.settings import Settings
from liasse.submission import UNDIFFERENTIATED, Given, new_oid, prepare, submission_of, update_of
from liasse.withdraw import operator
from pki.testca import Card
from xds_metadata.codes import load_codes
from xds_metadata.datatypes import patient_key
from xds_metadata.model import Author, Code, DocumentEntry
from xds_metadata.profile import PROFILES
from xds_repository.messages import DocumentRequest
from xua.cards import Told
from xua.kinds.vihf_table import BREAK_GLASS

SOURCE: Final = "1.2.250.1.999.7"
ADDRESS: Final = "patient@home.example"
TOLD: Final = "Emergency access to the shared health record"
"""The subject of the e-mail about the emergency."""

MOTIVE: Final = "unconscious, no relative can be reached"
_MASK: Final = Code("MASQUE_PS", "1.2.250.1.213.1.1.4.13", "Masqué aux professionnels de santé")
_MAIL_WITHIN: Final = 20.0
_SHOWN: Final = 12
_FAULT: Final = re.compile(r"\(Sender, (\w+)\)")
_SUMMARY, _CONSULTATION, _EYES, _SURGERY = "medical summary", "consultation report", "eye report", "surgery note"
_REPORTS: Final[Mapping[str, Kind]] = {_CONSULTATION: CONSULTATION, _EYES: EYES, _SURGERY: SURGERY}
_ALL: Final = frozenset({_SUMMARY, *_REPORTS})
_REFUSED: Final = None
"""What a caller gets who may not ask."""

Sees = Mapping[str, "frozenset[str] | None"]
_AT_FIRST: Final[Sees] = {
    "attending doctor": _ALL,
    "cardiologist": _ALL,
    "nurse": _ALL - {_SURGERY},
    "optician": frozenset({_EYES}),
    "hospital": _REFUSED,
    "emergency doctor": _REFUSED,
}
_MASKED: Final[Sees] = {
    name: seen if seen is None or name == "attending doctor" else seen - {_CONSULTATION} for name, seen in _AT_FIRST.items()
}
_BLOCKED: Final[Sees] = {**_MASKED, "cardiologist": _REFUSED}
SCENES: Final = ("at first", "the consultation report is masked", "the cardiologist is blocked")
"""When everybody asks."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document of the demonstration's patient."""

    name: str
    unique_id: str
    data: bytes

    def write(self, folder: Path) -> Path:
        """Write it into `folder`; returns the file. Raises OSError."""
        path = folder / f"{self.name.replace(' ', '-')}.xml"
        path.write_bytes(self.data)
        return path


@dataclass
class Story:
    """What came out: by scene and caller what he found (None: he was refused), the e-mails, the patient's history."""

    answers: dict[str, dict[str, frozenset[str] | None]] = field(default_factory=dict)
    mails: list[Mail] = field(default_factory=list)
    history: tuple[History, list[Line]] | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """Where it is played: the server's settings and addresses, who calls, whose mail arrives, and who is told."""

    directory: Path
    settings: Settings
    endpoints: Endpoints
    callers: Callers
    mail: MailReceiver
    report: Report

    def client(self, card: Card, told: Told | None = None) -> DocumentClient:
        """A client that connects with a card and signs with it. Raises CallerError."""
        caller = Caller(card, told or self.callers.told(card), self.callers.authorities, Shown.of(card))
        return DocumentClient(self.endpoints, tls=caller.tls(), sign=caller.sign(now_micros))

    def cards(self) -> dict[str, Card]:
        """Who asks, by the name in the tables."""
        made = self.callers
        people = (made.doctor, made.cardiologist, made.nurse, made.optician, made.hospital, made.emergency)
        return dict(zip(_AT_FIRST, people, strict=True))


def documents() -> tuple[Document, ...]:
    """New documents of the demonstration's patient: the medical summary first."""
    now = datetime.now(UTC).replace(microsecond=0)
    summary = new_oid()
    made = [Document(_SUMMARY, summary, health_summary(summary, new_oid(), now))]
    for name, kind in _REPORTS.items():
        unique_id = new_oid()
        made.append(Document(name, unique_id, pdf_report(unique_id, new_oid(), now, kind, OF_HOSPITAL)))
    return tuple(made)


def tell(stage: Stage) -> Story:
    """Play it from the beginning to the end. Raises DemoFailed."""
    try:
        with open_database(stage.settings.storage.database_place, pool_size=1) as database:
            return _Teller(stage, database).tell()
    except (ExchangeFailed, CallerError, DatabaseError, RecordRefused) as error:
        raise DemoFailed(str(error)) from error


class _Teller:
    """The scenes, in their order."""

    def __init__(self, stage: Stage, database: Database) -> None:
        self._stage, self._database = stage, database
        self._key = patient_key(DEMO_PATIENT)
        self._documents = documents()
        self._story = Story()
        self._again = False

    def tell(self) -> Story:
        self._open_record()
        self._provide()
        self._ask(SCENES[0], _AT_FIRST)
        self._retrieve()
        self._mask()
        self._ask(SCENES[1], _MASKED)
        self._block()
        self._ask(SCENES[2], _BLOCKED)
        self._break_glass()
        self._read_mail()
        self._read_journal()
        return self._story

    def _step(self, what: str, run: Callable[[], str], transaction: str = "", caller: str = "") -> None:
        with timed() as milliseconds:
            result = run()
        self._stage.report(Step(what, transaction, result, milliseconds(), caller))

    # what the patient decides

    def _by(self, reason: str) -> By:
        return By(operator(), now_micros(), reason, "the patient")

    def _act(self, act: Act, run: Callable[[Connection, By], bool], reason: str, party: Party | None = None) -> None:
        by = self._by(reason)
        age = dmp_settings(self._stage.settings).adult_age
        carry_out(self._database, act, self._key, by, lambda connection: run(connection, by), party, age)

    def _open_record(self) -> None:
        people = self._stage.cards()
        chosen = ("attending doctor", "cardiologist", "nurse", "optician")

        def let_in() -> str:
            for name in chosen:
                self._let_in(name, _party(people[name]))
            return ", ".join(chosen)

        with self._database.read() as connection:
            self._again = find_record(connection, self._key) is not None
        if not self._again:
            self._step("open the patient's record", self._create, caller="patient")
        self._step("choose who may read it", let_in, caller="patient")

    def _create(self) -> str:
        def make(connection: Connection, by: By) -> bool:
            holder = Holder(family="TESTPATIENT", given="DEMO", birth_date="19550615", sex="F")
            records.create(connection, Record(self._key, consent_at=by.at, holder=holder), by)
            contact = Contact("EMAIL", ADDRESS, language="en")
            return records.set_contacts(connection, self._key, [contact], replace(by, at=by.at + 1))

        self._act(Act.CREATE, make, "the patient consents")
        return "open, with her consent"

    def _let_in(self, name: str, party: Party) -> None:
        """Whom an earlier demonstration left blocked is let in again."""
        length = authorisation_length(dmp_settings(self._stage.settings))
        if self._again and name == "cardiologist":
            unblocked = partial(records.unblock, patient=self._key, party=party, consent=True)
            self._act(Act.UNBLOCK, lambda connection, by: unblocked(connection, by=by), "the story begins anew", party)
        attending = name == "attending doctor"
        store, act = (records.attend, Act.ATTEND) if attending else (records.authorise, Act.AUTHORISE)
        self._act(act, lambda connection, by: store(connection, self._key, party, by, length), f"her {name}", party)

    def _block(self) -> None:
        party = _party(self._stage.callers.cardiologist)

        def blocked() -> str:
            block = partial(records.block, patient=self._key, party=party)
            self._act(Act.BLOCK, lambda connection, by: block(connection, by=by), "the patient wishes it", party)
            return "reads nothing any more, in emergencies either"

        self._step("block the cardiologist", blocked, caller="patient")

    # what goes over the wire

    def _provide(self) -> None:
        stage = self._stage
        with stage.client(stage.callers.doctor) as doctor, stage.client(stage.callers.hospital) as hospital:
            for document in self._documents:
                own = document.name == _SUMMARY
                run = partial(self._send, doctor if own else hospital, document)
                caller = "attending doctor" if own else "hospital"
                self._step(f"provide the {document.name}", run, "ITI-41", caller)

    def _send(self, client: DocumentClient, document: Document) -> str:
        path = document.write(self._stage.directory)
        prepared = prepare(path, Given(), load_codes("dmp"), PROFILES[self._stage.settings.profile])
        now = datetime.now(UTC)
        submission = submission_of([prepared], source_id=SOURCE, content=UNDIFFERENTIATED, now=now)
        client.submit(submission, [prepared.deposit])
        return f"{len(document.data)} bytes, accepted"

    def _find(self, card: Card, told: Told | None = None) -> dict[str, DocumentEntry]:
        """What he finds among the documents of this story, by name. Raises ExchangeFailed."""
        names = {each.unique_id: each.name for each in self._documents}
        with self._stage.client(card, told) as client:
            found = client.find(DEMO_PATIENT)
        return {names[entry.unique_id]: entry for entry in found if entry.unique_id in names}

    def _ask(self, scene: str, expected: Sees) -> None:
        """The same query by each."""
        answers = self._story.answers.setdefault(scene, {})
        for caller, card in self._stage.cards().items():
            with timed() as milliseconds:
                try:
                    found: frozenset[str] | None = frozenset(self._find(card))
                    result = listed(found)
                except ExchangeFailed as error:
                    code = _FAULT.search(str(error))
                    found, result = _REFUSED, f"refused: {code[1] if code else error}"
            if found != expected[caller]:
                raise DemoFailed(f"{scene}: the {caller} should get {listed(expected[caller])}, but got {result}")
            answers[caller] = found
            step = Step("ask for the patient's documents", "ITI-18", result, milliseconds(), caller, found is _REFUSED)
            self._stage.report(step)

    def _retrieve(self) -> None:
        card = self._stage.callers.cardiologist
        entries = self._find(card)
        with self._stage.client(card) as client:
            for document in self._documents:
                run = partial(_same_bytes, client, document, entries[document.name])
                self._step(f"retrieve the {document.name}", run, "ITI-43", "cardiologist")

    def _mask(self) -> None:
        """By the attending doctor, as the patient asks him to."""
        card = self._stage.callers.doctor

        def masked() -> str:
            entry = self._find(card)[_CONSULTATION]
            version = replace(entry, confidentiality_codes=(*entry.confidentiality_codes, _MASK), availability_status=None)
            author = Author(person=f"{card.identifier}^TESTMEDECIN^Demo^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS")
            update = update_of([version], source_id=SOURCE, at=now_micros(), author=author, title="Masquage")
            with self._stage.client(card) as client:
                client.update(update)
            return "hidden from professionals but author and attending doctor"

        self._step("mask the consultation report", masked, "ITI-57", "attending doctor")

    def _break_glass(self) -> None:
        def opened() -> str:
            found = frozenset(self._find(self._stage.callers.emergency, Told(access=BREAK_GLASS, reason=MOTIVE)))
            if found != _ALL - {_CONSULTATION}:
                raise DemoFailed(f"in an emergency the doctor got {listed(found)}")
            return listed(found)

        self._step(f"break the glass: {MOTIVE}", opened, "ITI-18", "emergency doctor")

    # what the patient learns

    def _read_mail(self) -> None:
        """The e-mail about the emergency, brought by the server's background process."""
        mail = self._stage.mail

        def arrived() -> str:
            if self._again:
                return "an emergency of the same caller is told once within an hour"
            while not any(each.message["Subject"] == TOLD for each in mail.received):
                if not mail.wait_for(len(mail.received) + 1, _MAIL_WITHIN):
                    raise DemoFailed(f"no e-mail tells of the emergency within {_MAIL_WITHIN:.0f} s")
            return TOLD

        self._step("read her e-mail", arrived, "SMTP", "patient")
        self._story.mails = list(mail.received)

    def _read_journal(self) -> None:
        def read() -> str:
            access = self._stage.settings.access
            policy = load_policy(access.policy, access.options)(self._database)
            if not isinstance(policy, DmpPolicy):
                raise DemoFailed(f"the access policy is {access.policy}, the story is one of the policy dmp")
            subject, by = subject_as(PATIENT, self._key, self._database), self._by("the patient reads her history")
            wanted = Wanted(language="en", limit=_SHOWN)
            self._story.history = read_history(self._database, policy, subject, self._key, wanted, by)
            return f"{self._story.history[0].counts['all']} acts, the last {len(self._story.history[1])} are shown"

        self._step("read who did what", read, caller="patient")


def _party(card: Card) -> Party:
    return Party(card.identifier, "person" if card.kind == "person" else "structure")


def listed(names: frozenset[str] | None) -> str:
    """What somebody got, in words."""
    if names is None:
        return "refused"
    return ", ".join(each for each in (_SUMMARY, *_REPORTS) if each in names) or "nothing"


def _same_bytes(client: DocumentClient, document: Document, entry: DocumentEntry) -> str:
    back = io.BytesIO()
    client.retrieve(DocumentRequest(entry.repository_unique_id or "", entry.unique_id or ""), back, entry)
    if back.getvalue() != document.data:
        raise DemoFailed(f"the {document.name} came back changed: {len(back.getvalue())} bytes, not {len(document.data)}")
    return f"{len(document.data)} bytes, identical"

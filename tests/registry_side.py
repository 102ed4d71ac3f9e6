"""A whole registry on one database, driven at the bodies of its transactions: ITI-42 in, ITI-18 out, without HTTP."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from lxml import etree

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.policy import Action, Target
from access_control.scope import EVERYTHING, Scope
from database import Database
from ebrim import model as rim
from ebrim.read import read_object_list, read_registry_errors, read_status
from ebrim.rs import write_adhoc_query_request
from schemas.paths import MESSAGES, schema_files
from soap.transaction import Call, Incoming, Transaction
from tests import samples
from xds_metadata.codes import CodeSets, load_codes
from xds_metadata.datatypes import PatientKey
from xds_metadata.model import APPROVED, DEPRECATED, Submission
from xds_metadata.profile import IHE, Profile
from xds_registry import iti18, iti42
from xds_registry.actor import Registry, RegistrySettings
from xds_registry.select import Selector
from xds_registry.stored_queries import QUERIES
from xmlsafe import parse
from xmlsafe.namespaces import RIM
from xmlsafe.schema import Schema

START = 1_764_000_000_000_000
"""The first reading of the test clock: November 2025, in microseconds."""
ALLOWED = Decision(allowed=True, rule="test")
STATUSES = {"Approved": APPROVED, "Deprecated": DEPRECATED}
IDS = {query.name: query.id for query in QUERIES.values()}
_messages = itertools.count(1)


@cache
def schema() -> Schema:
    """The schema of all bodies, compiled once."""
    return Schema(schema_files(MESSAGES))


@dataclass
class FakeClock:
    """Microseconds that advance by a second with each reading."""

    now: int = START
    step: int = 1_000_000

    def __call__(self) -> int:
        self.now += self.step
        return self.now


@dataclass
class TestPolicy:
    """Permits or refuses as told, and shows what it is told to."""

    __test__ = False
    shown: Scope = EVERYTHING
    decision: Decision = ALLOWED
    asked: list[tuple[Action, Target]] = field(default_factory=list)
    following: frozenset[str] = frozenset()

    def may(self, ctx: RequestContext, action: Action, target: Target) -> Decision:
        self.asked.append((action, target))
        return self.decision

    def scope(self, ctx: RequestContext, action: Action, patients: Sequence[PatientKey]) -> Scope:
        return self.shown


@dataclass(frozen=True)
class Answer:
    """An ebRS answer: the last word of its status, its errors, and its objects in order."""

    status: str
    errors: tuple[rim.RegistryError, ...]
    objects: rim.RegistryObjectList
    ids: tuple[str, ...] = ()
    element: etree._Element | None = None

    @property
    def codes(self) -> list[str]:
        """The error codes, sorted."""
        return sorted(e.code for e in self.errors)

    @property
    def text(self) -> str:
        """All codeContexts."""
        return "\n".join(e.context for e in self.errors)

    def found(self, kind: str) -> list[str]:
        """The ids of the returned objects of one kind: ExtrinsicObject, RegistryPackage, Association."""
        groups: dict[str, tuple[rim.RegistryObject, ...]] = {
            "ExtrinsicObject": self.objects.extrinsic_objects,
            "RegistryPackage": self.objects.packages,
            "Association": self.objects.associations,
        }
        return [item.id for item in groups[kind]]


class Side:
    """The registry of one test, with its clock and policy at hand."""

    def __init__(
        self,
        database: Database,
        settings: RegistrySettings | None = None,
        profile: Profile = IHE,
        codes: CodeSets | None = None,
    ) -> None:
        self.database = database
        self.clock = FakeClock()
        self.policy = TestPolicy()
        self.registry = Registry(
            database=database,
            policy=self.policy,
            profile=profile,
            codes=codes or load_codes("any"),
            schema=schema(),
            settings=settings or RegistrySettings(),
            clock=self.clock,
            selector=Selector(database),
        )
        self.iti42 = iti42.transaction(self.registry)
        self.iti18 = iti18.transaction(self.registry)

    def with_settings(self, **changes: object) -> Side:
        """The same store under other settings, with the same clock and policy."""
        other = Side(self.database, dataclasses.replace(self.registry.settings, **changes))  # type: ignore[arg-type]
        other.clock.now = self.clock.now
        return other

    def send(self, transaction: Transaction, body: etree._Element, message_id: str | None = None) -> etree._Element:
        """What the server does with a body: decode, handle, or refuse."""
        message_id = message_id or f"urn:uuid:message-{next(_messages)}"
        incoming = Incoming(path=transaction.endpoint, mtom=False, peer="192.0.2.1")
        call = Call(transaction, incoming, message_id, transaction.request_actions[0], None, body)
        try:
            call.request = transaction.decode(call)
            answer = transaction.handle(call)
        except Exception as error:
            refused = transaction.refuse(call, error)
            if refused is None:
                raise
            answer = refused
        return parse(b"".join(answer.pieces))

    def submit(self, value: Submission | rim.RegistryObjectList, message_id: str | None = None) -> Answer:
        """ITI-42."""
        answer = self.send(self.iti42, samples.body(value), message_id)
        assert schema().is_valid(answer)
        return Answer(read_status(answer), read_registry_errors(answer), rim.RegistryObjectList(), element=answer)

    def accept(self, value: Submission | rim.RegistryObjectList) -> None:
        """ITI-42 that must succeed."""
        answer = self.submit(value)
        assert answer.status == "Success", answer.text

    def query(
        self,
        name: str,
        parameters: Iterable[tuple[str, str | Sequence[str]]],
        *,
        leaves: bool = True,
        home: str | None = None,
    ) -> Answer:
        """ITI-18 by query name or id; a parameter is one rim:Value or several, already in query syntax."""
        return self.query_as("LeafClass" if leaves else "ObjectRef", name, parameters, home=home)

    def query_as(
        self, return_type: str, name: str, parameters: Iterable[tuple[str, str | Sequence[str]]], *, home: str | None = None
    ) -> Answer:
        """As `query`, with any return type."""
        slots = tuple(rim.Slot(key, (value,) if isinstance(value, str) else tuple(value)) for key, value in parameters)
        request = rim.AdhocQuery(IDS.get(name, name), return_type, home, slots)
        answer = self.send(self.iti18, parse(write_adhoc_query_request(request)))
        assert schema().is_valid(answer)
        held = next(answer.iter(f"{{{RIM}}}RegistryObjectList"))
        found = read_object_list(held)
        return Answer(
            read_status(answer), read_registry_errors(answer), found, tuple(item.get("id", "") for item in held), answer
        )

    def find(self, name: str, parameters: Iterable[tuple[str, str | Sequence[str]]], *, leaves: bool = True) -> Answer:
        """ITI-18 that must succeed."""
        answer = self.query(name, parameters, leaves=leaves)
        assert answer.status == "Success", answer.text
        return answer

    def documents(self, unique_id: str) -> tuple[rim.ExtrinsicObject, ...]:
        """The entries of a uniqueId, by GetDocuments."""
        return self.find("GetDocuments", [("$XDSDocumentEntryUniqueId", quoted(unique_id))]).objects.extrinsic_objects

    def document(self, unique_id: str) -> rim.ExtrinsicObject:
        """The only entry of a uniqueId."""
        (only,) = self.documents(unique_id)
        return only

    def folder(self, unique_id: str) -> rim.RegistryPackage:
        """The only folder of a uniqueId."""
        (only,) = self.find("GetFolders", [("$XDSFolderUniqueId", quoted(unique_id))]).objects.packages
        return only

    def submission_set(self, unique_id: str) -> rim.RegistryPackage:
        """The submission set of a uniqueId."""
        without_entries = ("$XDSDocumentEntryFormatCode", "('none^^none')")
        answer = self.find("GetSubmissionSetAndContents", [("$XDSSubmissionSetUniqueId", f"'{unique_id}'"), without_entries])
        return next(p for p in answer.objects.packages if unique_id in {e.value for e in p.external_identifiers})

    def associations(self, *ids: str) -> tuple[rim.Association, ...]:
        """What touches the objects, by GetAssociations."""
        return self.find("GetAssociations", [("$uuid", quoted(*ids))]).objects.associations


def quoted(*values: str) -> str:
    """A list literal."""
    return "(" + ",".join("'" + value.replace("'", "''") + "'" for value in values) + ")"


def find_documents(
    patient: str = samples.PATIENT, *more: tuple[str, str], status: str = "Approved"
) -> list[tuple[str, str]]:
    """The parameters of FindDocuments."""
    return [
        ("$XDSDocumentEntryPatientId", f"'{patient}'"),
        ("$XDSDocumentEntryStatus", quoted(STATUSES[status])),
        *more,
    ]

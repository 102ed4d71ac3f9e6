"""Every statement of the read path, as it is sent to the driver, with its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPICursor

from access_control.scope import EVERYTHING, AllOf, AnyOf, CodesWithin, FieldIn, HasActor, HasCode, HasStatus, Not, Scope
from benchmarks import bulk
from database import Database
from ebrim.model import AdhocQuery, Slot
from tests.registry_side import IDS, quoted
from xds_metadata import associations as types
from xds_metadata.model import APPROVED, ON_DEMAND, STABLE
from xds_metadata.patients import patient_column
from xds_registry.iti18 import bind_query
from xds_registry.select import HOLDERS, Selector
from xds_repository.documents import ONE_DOCUMENT

E, F, S = "$XDSDocumentEntry", "$XDSFolder", "$XDSSubmissionSet"
NARROW = Scope(
    AllOf(
        (
            FieldIn("type_code", ("11488-4^^1.3.6.1.4.1.21367.79",)),
            AnyOf((HasCode("confidentiality_code", ("N^^1.3.6.1.4.1.21367.79",)), FieldIn("repository", ("1.2.3",)))),
            Not(HasCode("event_code", ("secret^^1.2.3",))),
        )
    )
)
PERSONAL = Scope(
    AllOf(
        (
            HasStatus(("Approved", "Deprecated", "Archived")),
            AnyOf(
                (
                    AllOf(
                        (CodesWithin(("N^^1.3.6.1.4.1.21367.79",)), FieldIn("type_code", ("11488-4^^1.3.6.1.4.1.21367.79",)))
                    ),
                    HasActor("person", ("801^1.2.3",)),
                    HasActor("institution", ("802^1.2.3",)),
                )
            ),
        )
    ),
    patients=(patient_column(bulk.patient_cx(3)),),
)
SCOPES = {"everything": EVERYTHING, "narrow": NARROW, "personal": PERSONAL}
Parameters = list[tuple[str, str]]
LARGE = 500
"""Rows of a PostgreSQL table or partition: one of a few pages is rightly read whole."""


def _code(value: str) -> str:
    return quoted(f"{value}^^1.3.6.1.4.1.21367.79")


_PATIENT = [(f"{E}PatientId", f"'{bulk.patient_cx(3)}'"), (f"{E}Status", quoted(APPROVED))]
_ENTRY = f"urn:uuid:{bulk.entry_uuid(151)}"
_OTHERS = quoted(*(f"urn:uuid:{bulk.entry_uuid(n)}" for n in range(150, 170)))
_CONTENTS = [
    (f"{E}FormatCode", _code("urn:ihe:test:2023")),
    (f"{E}ConfidentialityCode", _code("N")),
    (f"{E}Type", quoted(STABLE, ON_DEMAND)),
]
QUERIES: dict[str, tuple[str, Parameters]] = {
    "find": ("FindDocuments", _PATIENT),
    "find-by-all": (
        "FindDocuments",
        [
            *_PATIENT,
            (f"{E}ClassCode", _code("11488-4")),
            (f"{E}TypeCode", _code("11488-4")),
            (f"{E}EventCodeList", _code("event")),
            (f"{E}AuthorPerson", quoted("%^Martin^%")),
            (f"{E}CreationTimeFrom", "2023"),
            (f"{E}ServiceStartTimeTo", "2024"),
            *_CONTENTS,
        ],
    ),
    "find-reference": (
        "FindDocumentsByReferenceId",
        [*_PATIENT, (f"{E}ReferenceIdList", quoted(f"ORDER1^^^&{bulk.document_id(150)}&ISO^urn:ihe:iti:xds:2013:order"))],
    ),
    "find-sets": (
        "FindSubmissionSets",
        [
            (f"{S}PatientId", f"'{bulk.patient_cx(3)}'"),
            (f"{S}Status", quoted(APPROVED)),
            (f"{S}AuthorPerson", "'%Martin%'"),
            (f"{S}SubmissionTimeFrom", "2023"),
        ],
    ),
    "find-folders": (
        "FindFolders",
        [(f"{F}PatientId", f"'{bulk.patient_cx(3)}'"), (f"{F}Status", quoted(APPROVED)), (f"{F}CodeList", _code("folder"))],
    ),
    "get-all": (
        "GetAll",
        [
            ("$patientId", f"'{bulk.patient_cx(3)}'"),
            *((f"{kind}Status", quoted(APPROVED)) for kind in (E, S, F)),
            *_CONTENTS,
        ],
    ),
    "get-documents": ("GetDocuments", [(f"{E}EntryUUID", quoted(_ENTRY))]),
    "get-documents-many": ("GetDocuments", [(f"{E}EntryUUID", _OTHERS)]),
    "get-documents-unique": ("GetDocuments", [(f"{E}UniqueId", quoted(bulk.document_id(151), bulk.document_id(152)))]),
    "get-folders": ("GetFolders", [(f"{F}EntryUUID", quoted(f"urn:uuid:{bulk.folder_uuid(75)}"))]),
    "get-folders-unique": ("GetFolders", [(f"{F}UniqueId", quoted(f"{bulk.ROOT}.5.75"))]),
    "associations": ("GetAssociations", [("$uuid", quoted(_ENTRY))]),
    "associations-many": ("GetAssociations", [("$uuid", _OTHERS)]),
    "documents-and": ("GetDocumentsAndAssociations", [(f"{E}EntryUUID", quoted(_ENTRY))]),
    "documents-and-unique": ("GetDocumentsAndAssociations", [(f"{E}UniqueId", quoted(bulk.document_id(151)))]),
    "sets-of": ("GetSubmissionSets", [("$uuid", quoted(_ENTRY))]),
    "set-contents": (
        "GetSubmissionSetAndContents",
        [(f"{S}EntryUUID", f"'urn:uuid:{bulk.set_uuid(75)}'"), *_CONTENTS],
    ),
    "set-contents-unique": ("GetSubmissionSetAndContents", [(f"{S}UniqueId", f"'{bulk.ROOT}.4.75'")]),
    "folder-contents": ("GetFolderAndContents", [(f"{F}EntryUUID", f"'urn:uuid:{bulk.folder_uuid(75)}'"), *_CONTENTS]),
    "folder-contents-unique": ("GetFolderAndContents", [(f"{F}UniqueId", f"'{bulk.ROOT}.5.75'")]),
    "folders-for": ("GetFoldersForDocument", [(f"{E}EntryUUID", f"'{_ENTRY}'")]),
    "folders-for-unique": ("GetFoldersForDocument", [(f"{E}UniqueId", f"'{bulk.document_id(151)}'")]),
    "related": (
        "GetRelatedDocuments",
        [(f"{E}EntryUUID", f"'{_ENTRY}'"), ("$AssociationTypes", quoted(types.APND, types.RPLC))],
    ),
    "related-unique": (
        "GetRelatedDocuments",
        [(f"{E}UniqueId", f"'{bulk.document_id(151)}'"), ("$AssociationTypes", quoted(types.APND))],
    ),
}
assert {name for name, _ in QUERIES.values()} == set(IDS)


class Spy:
    """A cursor that notes what it executes."""

    def __init__(self, cursor: DBAPICursor) -> None:
        self._cursor = cursor
        self.seen: list[tuple[str, Any]] = []

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        self.seen.append((sql, parameters))
        return self._cursor.execute(sql, parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


def of_query(database: Database, name: str, scope: Scope) -> tuple[list[tuple[str, Any]], int]:
    """The statements of one query, in both forms of answer, and how many objects it found."""
    query, parameters = QUERIES[name]
    slots = tuple(Slot(key, (value,)) for key, value in parameters)
    bound = bind_query(AdhocQuery(IDS[query], "LeafClass", None, slots))
    selector = Selector(database)
    with database.read_raw() as cursor:
        spy: Any = Spy(cursor)
        if bound.plan.anchor is not None:
            selector.locate(spy, bound.plan.anchor)
        found = selector.run(spy, bound.plan.selection, scope, 1000)
        selector.leaves.fetch(spy, found)
    return spy.seen, len(found)


def of_retrieval(database: Database) -> list[tuple[str, Any]]:
    """The statements of ITI-43."""
    with database.read_raw() as cursor:
        spy: Any = Spy(cursor)
        for statement in (ONE_DOCUMENT, HOLDERS):
            database.prepare(statement).execute(spy, {"unique_id": bulk.document_id(151)})
    return list(spy.seen)


@contextmanager
def recorded() -> Iterator[list[tuple[str, Any]]]:
    """The SELECTs that SQLAlchemy executes meanwhile, by whatever engine."""
    seen: list[tuple[str, Any]] = []

    def note(_c: object, _cursor: object, sql: str, parameters: Any, _context: object, many: bool) -> None:
        if sql.lstrip().startswith(("SELECT", "UPDATE")):
            seen.append((sql, parameters[0] if many else parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def tables_of_plan(database: Database, sql: str, parameters: Mapping[str, Any] | Sequence[Any]) -> tuple[set[str], str]:
    """The tables (on PostgreSQL: large ones) that the engine would read from end to end, and its plan for people."""
    with database.read_raw() as cursor:
        if database.kind == "sqlite":
            cursor.execute("EXPLAIN QUERY PLAN " + sql, parameters)
            lines = [str(row[3]) for row in cursor.fetchall()]
            scans = {line.split()[1] for line in lines if line.startswith("SCAN ")}
            return scans, "\n".join(lines)
        sql = sql.replace(" FOR UPDATE OF entry", "").replace(" FOR UPDATE", "")  # a reading connection may not lock
        cursor.execute("EXPLAIN (FORMAT JSON, COSTS OFF) " + sql, parameters)
        ((plan,),) = cursor.fetchall()[0]
        nodes = list(_nodes(plan["Plan"]))
        scans = {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"}
        cursor.execute("SELECT relname FROM pg_class WHERE reltuples >= %s", [LARGE])
        scans &= {row[0] for row in cursor.fetchall()}
        return scans, "\n".join(f"{n['Node Type']} {n.get('Relation Name', '')} {n.get('Index Name', '')}" for n in nodes)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)

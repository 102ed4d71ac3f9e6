"""A query under the policy `dmp` is one select of objects, and as many statements for a small record as for a large one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, event

from access_control.context import RequestContext
from access_control.policy import Action
from access_control.subject import Subject
from database import Database
from dmp import records
from dmp.policy import configure
from dmp.record import By, Party, Record
from ebrim.model import AdhocQuery, Slot
from ebrim.rs import write_adhoc_query_request
from soap.transaction import Call, Incoming
from tests import samples
from tests.explain.statements import Spy
from tests.registry_side import IDS, START, Side, find_documents
from tests.unit.dmp.world import N, subject
from xds_metadata.datatypes import PatientKey
from xds_metadata.model import Code
from xds_registry import iti18
from xds_registry.iti18 import bind_query
from xds_registry.select import Selector
from xmlsafe import parse

SIZES = (1, 50, 300)
INS = "1.2.250.1.213.1.4.10"
DAY = 86_400_000_000


def _patient(number: int) -> PatientKey:
    body = f"2790351215{number:03d}"
    return PatientKey(f"{body}{97 - int(body) % 97:02d}", INS)


def _cx(key: PatientKey) -> str:
    return f"{key.id}^^^&{key.authority}&ISO"


@contextmanager
def _statements(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """All that is executed meanwhile, by the hot path and by SQLAlchemy."""
    seen: list[str] = []
    plain = type(database).read_raw

    @contextmanager
    def read_raw(self: Database) -> Iterator[Any]:
        with plain(self) as cursor:
            spy: Any = Spy(cursor)
            try:
                yield spy
            finally:
                seen.extend(sql for sql, _ in spy.seen)

    def note(_c: object, _cursor: object, sql: str, _parameters: object, _context: object, _many: bool) -> None:
        seen.append(sql)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(type(database), "read_raw", read_raw)
            yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def _filled(side: Side, database: Database) -> None:
    code, _, scheme = N.partition("^^")
    for number, size in enumerate(SIZES):
        key = _patient(number)
        by = By(Subject("operator"), START)
        doctor = Party(subject().id)

        def opened(connection: Any, key: PatientKey = key, by: By = by, doctor: Party = doctor) -> None:
            records.create(connection, Record(key, consent_at=by.at), by)
            records.authorise(connection, key, doctor, replace(by, at=by.at + 1), 365 * DAY)

        database.write(opened)
        for start in range(0, size, 50):
            entries = [
                samples.entry(
                    entry_uuid=samples.new_uuid(),
                    patient_id=_cx(key),
                    type_code=Code("34133-9", "2.16.840.1.113883.6.1", "summary"),
                    confidentiality_codes=(Code(code, scheme, code),),
                )
                for _ in range(min(50, size - start))
            ]
            owner = samples.submission_set(patient_id=_cx(key))
            side.accept(samples.submission(*entries, owner=owner))


def _query(side: Side, key: PatientKey) -> bytes:
    slots = tuple(Slot(name, (value,)) for name, value in find_documents(_cx(key)))
    body = parse(write_adhoc_query_request(AdhocQuery(IDS["FindDocuments"], "LeafClass", None, slots)))
    transaction = iti18.transaction(side.registry)
    incoming = Incoming(path=transaction.endpoint, mtom=False, peer="")
    call = Call(transaction, incoming, samples.new_uuid(), transaction.request_actions[0], None, body)
    call.caller = subject(patient=_cx(key))
    call.request = transaction.decode(call)
    return b"".join(transaction.handle(call).pieces)


def test_one_select_of_objects_and_a_constant_number_of_statements(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = Side(database)
    _filled(side, database)
    side.registry = replace(side.registry, policy=configure({})(database))
    counted = {}
    for number, size in enumerate(SIZES):
        with _statements(database, monkeypatch) as seen:
            answer = _query(side, _patient(number))
        assert answer.count(b"<ExtrinsicObject ") == size
        objects = [sql for sql in seen if "FROM entry " in sql.replace("\n", " ") and "leaf" not in sql.partition("FROM")[0]]
        assert len(objects) == 1, objects
        assert "document_mask" in objects[0], "what may be seen is decided in the statement"
        counted[size] = len(seen)
    assert len(set(counted.values())) == 1, counted
    assert counted[1] < 6, "the record, the objects and their leaves; on PostgreSQL the journal row too"


def test_sqlite_reads_what_the_rules_ask_from_one_index(database: Database) -> None:
    if database.kind != "sqlite":
        pytest.skip("PostgreSQL visits the rows")
    side = Side(database)
    _filled(side, database)
    scope = configure({})(database).scope(_context(_patient(1)), Action.FIND, [_patient(1)])
    query = AdhocQuery(
        IDS["FindDocuments"], "LeafClass", None, tuple(Slot(n, (v,)) for n, v in find_documents(_cx(_patient(1))))
    )
    with database.read_raw() as cursor:
        spy: Any = Spy(cursor)
        Selector(database).run(spy, bind_query(query).plan.selection, scope, 100)
        [(sql, parameters)] = spy.seen
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
        plan = [str(row[-1]) for row in cursor.fetchall()]
    assert plan[0] == "SEARCH entry USING COVERING INDEX ix_entry_read (patient=?)"


def _context(key: PatientKey) -> RequestContext:
    return RequestContext(transaction="ITI-18", message_id="", at=START + 1, subject=subject(patient=_cx(key)))


def test_the_count_sees_what_is_executed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with _statements(database, monkeypatch) as seen:
        with database.read_raw() as cursor:
            cursor.execute("SELECT 1")
        with database.read() as connection:
            connection.exec_driver_sql("SELECT 2")
    assert "SELECT 1" in seen
    assert "SELECT 2" in seen

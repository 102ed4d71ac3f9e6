"""Class G of the attack catalogue, as far as queries go: a caller who is known asks for more than a server should give."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from liasse.reception import BodyLimits
from tests import samples
from tests.e2e import wire
from tests.e2e.server import RunningServer, running
from tests.e2e.wire import listed
from tests.http_side import HttpSide, headers_of, http_side, read_all, request, status
from xds_metadata.model import Submission
from xds_registry.iti18 import REFERENCES_PER_OBJECT
from xds_registry.stored_queries import QUERIES
from xds_registry.stored_queries.literals import MAX_VALUES
from xds_registry.stored_queries.parameters import MAX_GROUPS

E, S, F = "$XDSDocumentEntry", "$XDSSubmissionSet", "$XDSFolder"
APPROVED = (listed(["urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"]),)
MOST = 3
TOO_MANY = "Failure XDSTooManyResults"
CODE = "'C^^1.2.3'"
Parameters = Sequence[tuple[str, str | Sequence[str]]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("load"), {"limits": {"query_results": MOST}}) as started:
        yield started


def deposited(server: RunningServer, patient: str, count: int) -> Submission:
    """So many documents in one folder and one submission."""
    entries = [wire.entry(entry_uuid=samples.new_uuid(), patient_id=patient) for _ in range(count)]
    folder = samples.folder(entry_uuid=samples.new_uuid(), patient_id=patient)
    links = [samples.member(folder.entry_uuid, entry.entry_uuid) for entry in entries]
    owner = samples.submission_set(entry_uuid=samples.new_uuid(), patient_id=patient)
    made = samples.submission(*entries, folders=[folder], links=links, owner=owner)
    seen = wire.send(server, wire.Deposit(made, tuple(wire.PDF for _ in entries)).message())
    assert seen.verdict == "Success", seen.text
    return made


def of_everything(patient: str, made: Submission) -> dict[str, Parameters]:
    """Queries whose answer holds at least every document."""
    me, [owner], [folder] = f"'{patient}'", made.submission_sets, made.folders
    documents = listed(entry.entry_uuid for entry in made.entries)
    return {
        "GetAll": [("$patientId", me), *((f"{kind}Status", APPROVED) for kind in (E, S, F))],
        "FindDocuments": [(f"{E}PatientId", me), (f"{E}Status", APPROVED)],
        "GetDocuments": [(f"{E}EntryUUID", documents)],
        "GetAssociations": [("$uuid", documents)],
        "GetSubmissionSetAndContents": [(f"{S}EntryUUID", f"'{owner.entry_uuid}'")],
        "GetFolderAndContents": [(f"{F}EntryUUID", f"'{folder.entry_uuid}'")],
    }


def test_g1_more_objects_than_an_answer_holds(server: RunningServer) -> None:
    """Refused as objects, given as references; a narrower query is answered."""
    patient = samples.patient("g1")
    made = deposited(server, patient, MOST + 1)
    for name, parameters in of_everything(patient, made).items():
        refused = wire.send(server, wire.query(name, *parameters))
        assert (name, refused.verdict) == (name, TOO_MANY)
        assert f"more than {MOST} objects" in refused.text
        assert "ObjectRef" in refused.text
        assert not refused.answer.objects
        references = wire.send(server, wire.query(name, *parameters, leaves=False))
        assert (name, references.verdict) == (name, "Success")
        assert len(references.answer.of_kind("reference")) > MOST
    some = listed(entry.entry_uuid for entry in made.entries[:MOST])
    assert len(wire.send(server, wire.query("GetDocuments", (f"{E}EntryUUID", some))).answer.objects) == MOST


def test_g1_more_references_than_an_answer_holds(server: RunningServer) -> None:
    patient, most = samples.patient("g1-references"), MOST * REFERENCES_PER_OBJECT
    for count in (most // 2, most - most // 2):
        deposited(server, patient, count)
    find = [(f"{E}PatientId", f"'{patient}'"), (f"{E}Status", APPROVED)]
    given = wire.send(server, wire.query("FindDocuments", *find, leaves=False))
    assert len(given.answer.of_kind("reference")) == most
    deposited(server, patient, 1)
    refused = wire.send(server, wire.query("FindDocuments", *find, leaves=False))
    assert (refused.verdict, refused.answer.objects) == (TOO_MANY, ())
    assert f"more than {most} objects" in refused.text


def codes(count: int) -> list[str]:
    """So many different codes, a rim:Value each: the schema does not take long ones."""
    return [f"('C{number}^^1.2.3')" for number in range(count)]


MANY_LISTS = ("ClassCode", "TypeCode", "PracticeSettingCode", "HealthcareFacilityTypeCode", "FormatCode")
MANY_GROUPS = ("EventCodeList", "ConfidentialityCode")


@pytest.mark.parametrize("name", [*MANY_LISTS, *MANY_GROUPS])
def test_g2_thousands_of_codes(server: RunningServer, name: str) -> None:
    """In many values of a slot, in one value, and in many slots: refused with the parameter and what is allowed."""
    fixed: Parameters = [(f"{E}PatientId", f"'{samples.patient('g2')}'"), (f"{E}Status", APPROVED)]

    def find(*slots: str | Sequence[str]) -> wire.Seen:
        return wire.send(server, wire.query("FindDocuments", *fixed, *((E + name, slot) for slot in slots)))

    for values in (codes(MAX_VALUES + 1), codes(5 * MAX_VALUES), codes(1) * 5 * MAX_VALUES):
        seen = find(values)
        assert seen.verdict == "Failure XDSRegistryError", seen.verdict
        assert E + name in seen.text
        assert f"more than {MAX_VALUES} values" in seen.text
    assert find(codes(MAX_VALUES)).verdict == "Success"
    assert find("(" + ",".join(["'C^^1.2.3'"] * 5 * MAX_VALUES) + ")").verdict == "Failure XDSRegistryError"
    seen = find(*[CODE] * (MAX_GROUPS + 1))
    if name in MANY_GROUPS:
        assert (seen.verdict, f"at most {MAX_GROUPS}" in seen.text) == ("Failure XDSRegistryError", True)
        assert find(*[CODE] * MAX_GROUPS).verdict == "Success"
    else:
        assert seen.verdict == "Failure XDSStoredQueryParamNumber"


def test_g2_as_much_as_is_allowed_is_answered(server: RunningServer) -> None:
    """Every list of codes full, times on both sides, every status; and ids by the thousand."""
    patient = samples.patient("g2-full")
    made = deposited(server, patient, 1)
    full = codes(MAX_VALUES)
    lists: list[tuple[str, str | Sequence[str]]] = [(f"{E}{name}", full) for name in MANY_LISTS]
    lists += [(f"{E}{name}", codes(MAX_VALUES // MAX_GROUPS)) for name in MANY_GROUPS for _ in range(MAX_GROUPS)]
    times = [(f"{E}{kind}Time{end}", year) for kind in ("Creation", "ServiceStart") for end, year in TIMES]
    seen = wire.send(
        server, wire.query("FindDocuments", (f"{E}PatientId", f"'{patient}'"), (f"{E}Status", APPROVED), *lists, *times)
    )
    assert (seen.verdict, seen.answer.objects) == ("Success", ())
    strangers = [samples.new_uuid() for _ in range(MAX_VALUES - 1)]
    wanted = [listed([each]) for each in (*strangers, made.entries[0].entry_uuid)]
    found = wire.send(server, wire.query("GetDocuments", (f"{E}EntryUUID", wanted))).answer.objects
    assert [each.id for each in found] == [made.entries[0].entry_uuid]
    refused = wire.send(server, wire.query("GetDocuments", (f"{E}EntryUUID", [*wanted, listed([samples.new_uuid()])])))
    assert refused.verdict == "Failure XDSRegistryError"


TIMES = (("From", "2000"), ("To", "2099"))


def test_g2_every_list_has_its_limit() -> None:
    assert {row.most <= MAX_VALUES for query in QUERIES.values() for row in query.parameters} == {True}


def test_g3_thousands_of_documents_at_once(server: RunningServer) -> None:
    """Ten thousand times the same document, or others: refused before any is read; a thousand are given."""
    made = deposited(server, samples.patient("g3"), 1)
    unique_id = made.entries[0].unique_id or ""
    for wanted in ([unique_id] * 10_000, [samples.oid() for _ in range(1001)]):
        refused = wire.send(server, wire.retrieve(samples.REPOSITORY, *wanted))
        assert (refused.verdict, refused.answer.documents) == (TOO_MANY, ())
        assert f"{len(wanted)} documents are asked for, at most 1000" in refused.text
    repository = _repository(server, unique_id)
    given = wire.send(server, wire.retrieve(repository, *[unique_id] * 1000))
    assert given.verdict == "Success"
    assert [each.data for each in given.answer.documents] == [wire.PDF] * 1000


def _repository(server: RunningServer, unique_id: str) -> str:
    [found] = wire.send(server, wire.query("GetDocuments", (f"{E}UniqueId", listed([unique_id])))).answer.objects
    return found.value("repositoryUniqueId") or ""


CLIENT, OTHERS = "127.0.0.1", "127.0.0.2"
SHARE = BodyLimits(in_flight=8, in_flight_per_client=5, threads_per_client=2)


def _connect(side: HttpSide, source: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", side.port), 20, (source, 0))


def _answer(side: HttpSide, source: str, body: bytes) -> bytes:
    with _connect(side, source) as connection:
        connection.sendall(request(body))
        return read_all(connection)


@contextmanager
def _held(gate: threading.Event, connections: Sequence[socket.socket]) -> Iterator[None]:
    """Slow messages over connections; in the end they are let go."""
    try:
        for connection in connections:
            connection.sendall(request(b"<slow/>"))
        yield
    finally:
        gate.set()
        for connection in connections:
            connection.close()


def _slowed(side: HttpSide) -> threading.Event:
    """Slow messages are answered once the event is set."""
    gate, finish = threading.Event(), side.soap.finish

    def slowly(exchange: Any, parts: Any) -> Any:
        if b"slow" in exchange.root:
            gate.wait(20)
        return finish(exchange, parts)

    side.soap.finish = slowly  # type: ignore[method-assign]
    return gate


def test_g4_slow_queries_of_one_client_leave_room_for_others(tmp_path: Path) -> None:
    """He gets his share of threads and of places, and is told to come again beyond; another client is served meanwhile."""
    with http_side(tmp_path, body=SHARE) as side:
        gate = _slowed(side)
        held = [_connect(side, CLIENT) for _ in range(SHARE.in_flight_per_client)]
        with _held(gate, held):
            assert wire.eventually(lambda: side.service.busy == SHARE.in_flight_per_client)
            beyond = [_answer(side, CLIENT, b"<slow/>") for _ in range(20)]
            assert {(status(each), headers_of(each)["retry-after"]) for each in beyond} == {(503, "2")}
            for _ in range(20):
                assert status(_answer(side, OTHERS, b"<quick/>")) == 200
            assert side.soap.roots.count(b"<slow/>") == SHARE.threads_per_client, "the rest waits"
            gate.set()
            assert [status(read_all(connection)) for connection in held] == [200] * SHARE.in_flight_per_client
        assert status(_answer(side, CLIENT, b"<slow/>")) == 200
        assert wire.eventually(lambda: side.service.busy == 0)


def test_callers_whom_a_front_does_not_tell_apart_are_not_one_client(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    with http_side(tmp_path / "staged", body=SHARE, listener=listener) as side:
        gate = _slowed(side)
        held = [socket.socket(socket.AF_UNIX) for _ in range(SHARE.in_flight)]
        for connection in held:
            connection.connect(path)
        with _held(gate, held):
            assert wire.eventually(lambda: side.service.busy == SHARE.in_flight > SHARE.in_flight_per_client)
            gate.set()
            assert [status(read_all(connection)) for connection in held] == [200] * SHARE.in_flight

"""ITI-57 over the wire, in both profiles: what a client sends and gets back, and the published messages of the DMP."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from ebrim.rs import write_submit_objects_request
from journal.tables import journal_row
from liasse.app import create_app
from liasse.client import DocumentClient, Endpoints, ExchangeFailed, Filters
from liasse.reception import BodyLimits
from liasse.settings_file import load_settings
from liasse.storage import init_storage
from liasse.submission import UNDIFFERENTIATED, Given, prepare, submission_of
from liasse.wiring import Actors, open_actors
from liasse.wiring import prepare as ready_for
from soap.http import HttpLimits
from soap.http import Server as HttpServer
from soap.transport import Server
from tests import samples as s
from tests.e2e import wire
from tests.e2e.server import write_config
from tests.http_side import Folder
from tests.shared_data import shared
from tests.update_side import Stored, status_update, update_of, version_of
from xds_metadata.codes import load_codes
from xds_metadata.model import APPROVED, ARCHIVED, DELETED, DEPRECATED, DocumentEntry, Submission
from xds_metadata.patients import patient_column
from xds_metadata.profile import DMP
from xds_registry import iti57

ACTIONS = {
    "ihe": "urn:ihe:iti:2010:UpdateDocumentSetResponse",
    "dmp": "urn:ihe:iti:2010:UpdateDocumentSet-Response",
}
PROFILES = ("ihe", "dmp")
_PATIENT = re.compile(rb'identificationScheme="urn:uuid:6b5aea1a-[^"]*" value="([^"^]+)[^"]*(1\.2\.250\.[0-9.]+)')


@dataclass(frozen=True)
class Served:
    """An instance on loopback."""

    port: int
    actors: Actors
    profile: str

    def send(self, message: wire.Message) -> wire.Seen:
        with wire.connect_to(self.port) as connection:
            connection.sendall(message.as_bytes())
            return wire.receive(connection)

    def client(self) -> DocumentClient:
        base = f"http://127.0.0.1:{self.port}"
        return DocumentClient(Endpoints(f"{base}/registry", f"{base}/repository"))

    def journal(self, action: str) -> list[tuple[str, str, str]]:
        """(patient, decision, outcome) of the rows of an action."""
        row = journal_row.c
        with self.actors.database.read() as connection:
            asked = select(row.patient, row.decision, row.outcome).where(row.action == action).order_by(row.at, row.id)
            return [(each[0], each[1], each[2]) for each in connection.execute(asked)]


@contextmanager
def serve(directory: Path, profile: str, codes: str = "any") -> Iterator[Served]:
    """Every transaction of an instance with the policy `open`, on a port of its own."""
    settings = {
        "profile": profile,
        "access": {"policy": "open"},
        "affinity_domain": {"codes": codes},
    }
    loaded = load_settings(write_config(directory, settings))
    init_storage(loaded)
    ready = ready_for(loaded)
    actors, started = open_actors(ready), threading.Event()
    paths = ready.profile.paths(each.endpoint for each in actors.transactions())
    soap = Server(actors.transactions(), paths, tolerances=ready.profile.wire)
    (directory / "staged").mkdir()
    with contextlib.closing(actors), ThreadPoolExecutor(2) as pool, socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        app = create_app(soap, Folder(directory / "staged"), lambda *_: None, BodyLimits(), pool, paths=paths)
        server = HttpServer(app, HttpLimits(), drain_timeout=1, on_started=started.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert started.wait(20)
            yield Served(listener.getsockname()[1], actors, profile)
        finally:
            server.should_exit = True
            thread.join(20)
    assert not thread.is_alive()


@pytest.fixture(params=PROFILES)
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    with serve(tmp_path / "served", request.param) as running:
        yield running


def update(value: Submission) -> wire.Message:
    """ITI-57."""
    body = write_submit_objects_request(s.objects(value))
    return wire.simple(wire.REGISTRY, wire.envelope(iti57.ACTION, body))


def registered(served: Served) -> Stored:
    """An entry that the server holds."""
    entry = s.entry(entry_uuid=s.new_uuid())
    assert served.send(wire.register(s.submission(entry))).verdict == "Success"
    return Stored(entry, entry.entry_uuid, entry.entry_uuid)


def versions(served: Served, stored: Stored) -> list[tuple[str, str, str]]:
    """(version, last word of the status, title) of each version."""
    with served.client() as client:
        found = client.entries([stored.unique_id])
    return sorted((e.version or "", (e.availability_status or "").rpartition(":")[2], e.title or "") for e in found)


def test_a_new_version_and_the_action_of_its_answer(served: Served) -> None:
    stored = registered(served)
    seen = served.send(update(update_of(version_of(stored, title="Second"))))
    assert seen.verdict == "Success"
    assert seen.answer.actions == (ACTIONS[served.profile],)
    assert versions(served, stored) == [("1", "Deprecated", "A report"), ("2", "Approved", "Second")]
    assert served.journal("update") == [(patient_column(s.PATIENT), "allowed", "Success")]


def test_a_status_there_and_back(served: Served) -> None:
    stored = registered(served)
    with served.client() as client:
        assert client.update(status_update(stored.id)) == ()
        assert client.find(s.PATIENT) == ()
        assert client.update(status_update(stored.id, DEPRECATED, APPROVED)) == ()
        assert [entry.entry_uuid for entry in client.find(s.PATIENT)] == [stored.id]


def test_a_refusal_names_code_and_place(served: Served) -> None:
    stored = registered(served)
    entry = version_of(stored)
    with served.client() as client, pytest.raises(ExchangeFailed) as raised:
        client.update(update_of(entry, previous=5))
    assert [(e.code, e.location) for e in raised.value.errors] == [("XDSMetadataVersionError", entry.entry_uuid)]
    assert served.journal("update") == [(patient_column(s.PATIENT), "refused", "Failure")]


def test_the_same_message_twice(served: Served) -> None:
    stored = registered(served)
    message = update(update_of(version_of(stored)))
    assert [served.send(message).verdict for _ in range(2)] == ["Success", "Success"]
    assert [number for number, _, _ in versions(served, stored)] == ["1", "2"]


def test_f05_an_update_under_the_action_of_a_registration_adds_nothing(served: Served) -> None:
    stored = registered(served)
    body = write_submit_objects_request(s.objects(update_of(version_of(stored))))
    seen = served.send(wire.simple(wire.REGISTRY, wire.envelope(wire.REGISTER, body)))
    assert seen.verdict == "Failure XDSRegistryMetadataError"
    assert len(versions(served, stored)) == 1


def test_a_message_that_does_not_fit_its_schema_is_a_failure(served: Served) -> None:
    stored = registered(served)
    message = update(status_update(stored.id)).replaced(b"targetObject=", b"target=")
    assert served.send(message).verdict == "Failure XDSRegistryMetadataError"


def test_parent_ids_left_out_are_filled_in_for_the_dmp_alone(served: Served) -> None:
    stored = registered(served)
    message = update(status_update(stored.id))
    body = re.sub(rb' (classifiedObject|registryObject)="[^"]*"', b"", message.body)
    verdict = served.send(replace(message, body=body)).verdict
    assert verdict == ("Success" if served.profile == "dmp" else "Failure XDSRegistryMetadataError")


def test_archive_and_delete_are_for_the_dmp_alone(served: Served) -> None:
    stored = registered(served)
    verdicts = [
        served.send(update(status_update(stored.id, before, after))).verdict
        for before, after in ((APPROVED, ARCHIVED), (ARCHIVED, APPROVED), (APPROVED, DELETED), (DELETED, APPROVED))
    ]
    refused = "Failure XDSMetadataUpdateError"
    assert verdicts == (["Success", "Success", "Success", refused] if served.profile == "dmp" else [refused] * 4)


def published(name: str) -> bytes:
    return shared("corpus", "dmp-messages", name).read_bytes()


def named_entry() -> DocumentEntry:
    """A real document's entry, with the id and the patient that the published messages name."""
    message = published("TD3.3d_Archiver_un_document_request.xml")
    target, patient = re.search(rb'targetObject="([^"]+)"', message), _PATIENT.search(message)
    assert target is not None
    assert patient is not None
    number, authority = (part.decode() for part in patient.groups())
    path = sorted(shared("corpus", "cda").glob("*.xml"))[0]
    entry = prepare(path, Given(), load_codes("dmp"), DMP).entry
    return replace(
        entry,
        entry_uuid=target.group(1).decode(),
        patient_id=f"{number}^^^&{authority}&ISO^NH",
        hash=s.sha1("a document"),
        size="10",
        repository_unique_id=s.REPOSITORY,
    )


def deposit_of(entry: DocumentEntry) -> Submission:
    """Its registration, with a set whose codes the affinity domain knows."""
    path = sorted(shared("corpus", "cda").glob("*.xml"))[0]
    prepared = replace(prepare(path, Given(), load_codes("dmp"), DMP), entry=entry)
    return submission_of([prepared], source_id=s.SOURCE, content=UNDIFFERENTIATED, now=datetime.now(UTC))


@pytest.mark.corpus
def test_the_published_messages_archive_and_delete(tmp_path: Path) -> None:
    with serve(tmp_path / "served", "dmp", codes="dmp") as served, served.client() as client:
        entry = named_entry()
        patient = entry.patient_id or ""
        assert served.send(wire.register(deposit_of(entry))).verdict == "Success"
        for name, status in (("TD3.3d_Archiver", ARCHIVED), ("TD3.3c_Supprimer", DELETED)):
            message = wire.simple(wire.REGISTRY, published(f"{name}_un_document_request.xml"))
            seen = served.send(message)
            assert (seen.verdict, seen.answer.actions) == ("Success", (ACTIONS["dmp"],)), seen.text
            assert [e.entry_uuid for e in client.find(patient, Filters(statuses=(status,)))] == [entry.entry_uuid]
            assert client.find(patient) == ()
        with served.actors.database.read() as connection:
            rows = connection.execute(select(journal_row.c.objects).where(journal_row.c.action == "update")).scalars().all()
        assert [["document", entry.unique_id] in json.loads(row) for row in rows] == [True, True]


@pytest.mark.corpus
def test_the_published_messages_need_what_they_name(tmp_path: Path) -> None:
    with serve(tmp_path / "served", "dmp", codes="dmp") as served:
        message = wire.simple(wire.REGISTRY, published("TD3.3d_Archiver_un_document_request.xml"))
        assert served.send(message).verdict == "Failure UnresolvedReferenceException"


@pytest.mark.corpus
def test_the_published_messages_do_not_fit_plain_ihe(tmp_path: Path) -> None:
    with serve(tmp_path / "served", "ihe") as served:
        message = wire.simple(wire.REGISTRY, published("TD3.3d_Archiver_un_document_request.xml"))
        assert served.send(message).verdict == "Failure XDSRegistryMetadataError"

"""Documents whose registration had no answer, decided by asking a running registry; the other database is the test's."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, select

from database import Database, LeaseLost
from database.lease import Lease
from liasse import jobs
from liasse.background import Job
from liasse.jobs import instance_jobs
from liasse.settings import RepositorySettings, Settings
from liasse.status import Status
from soap.connections import ClientError, NotConnected
from tests import samples
from tests.e2e import wire
from tests.e2e.server import RunningServer
from xds_metadata.model import Submission
from xds_repository.documents import STORED, StoredDocument, forget_pending, put_documents, set_state
from xds_repository.file_store import FileStore
from xds_repository.registry_client import RemoteRegistry, resolve_pending
from xds_repository.tables import repository_document

SECOND = 1_000_000
NOW = 10**15


@pytest.fixture
def registry(server: RunningServer) -> Iterator[RemoteRegistry]:
    remote = RemoteRegistry(server.registry_url)
    yield remote
    remote.close()


def registered(server: RunningServer, repository: str = samples.REPOSITORY) -> Submission:
    """A submission that the registry has, of one document in a repository."""
    value = samples.submission(samples.entry(repository_unique_id=repository))
    assert wire.send(server, wire.register(value)).verdict == "Success"
    return value


def pend(database: Database, unique_id: str, sha1: str, age: int) -> None:
    """A document that has been pending for `age` seconds."""
    row = StoredDocument(unique_id, "0" * 64, sha1, 1, "text/xml", "pending")
    database.write(put_documents([row], NOW - age * SECOND))


def resolve(database: Database, registry: RemoteRegistry) -> int:
    return resolve_pending(database, registry, samples.REPOSITORY, lambda: NOW)


def states(database: Database) -> dict[str, str]:
    r = repository_document.c
    with database.read() as connection:
        return {row[0]: row[1] for row in connection.execute(select(r.unique_id, r.state))}


def test_what_the_registry_has_is_served(database: Database, registry: RemoteRegistry, server: RunningServer) -> None:
    (entry,) = registered(server).entries
    assert entry.unique_id is not None
    assert entry.hash is not None
    pend(database, entry.unique_id, entry.hash, 20)
    assert resolve(database, registry) == 1
    assert states(database) == {entry.unique_id: "stored"}
    assert resolve(database, registry) == 0


def test_a_young_one_may_be_under_way(database: Database, registry: RemoteRegistry, server: RunningServer) -> None:
    (entry,) = registered(server).entries
    pend(database, entry.unique_id or "", entry.hash or "", 5)
    assert resolve(database, registry) == 0


def test_what_the_registry_does_not_have_is_kept_for_an_hour(database: Database, registry: RemoteRegistry) -> None:
    for number, age in enumerate((20, 3_500, 3_700, 10_000)):
        pend(database, f"1.2.{number}", "a" * 40, age)
    assert resolve(database, registry) == 2
    assert set(states(database)) == {"1.2.0", "1.2.1"}


def test_an_entry_of_another_repository_or_of_other_bytes_confirms_nothing(
    database: Database, registry: RemoteRegistry, server: RunningServer
) -> None:
    (elsewhere,) = registered(server, "1.2.250.1.999.44").entries
    (other_bytes,) = registered(server).entries
    pend(database, elsewhere.unique_id or "", elsewhere.hash or "", 20)
    pend(database, other_bytes.unique_id or "", "b" * 40, 20)
    assert resolve(database, registry) == 0
    assert set(states(database).values()) == {"pending"}


def test_many_are_asked_about_in_turn(database: Database, registry: RemoteRegistry, server: RunningServer) -> None:
    """Those that stay undecided do not keep others from their turn."""
    for number in range(45):
        pend(database, f"1.2.{number}", "a" * 40, 100)
    (entry,) = registered(server).entries
    pend(database, entry.unique_id or "", entry.hash or "", 20)
    assert resolve(database, registry) == 1
    assert states(database)[entry.unique_id or ""] == "stored"


def test_a_holder_that_lost_its_lease_decides_nothing(
    database: Database, registry: RemoteRegistry, server: RunningServer
) -> None:
    (entry,) = registered(server).entries
    pend(database, entry.unique_id or "", entry.hash or "", 20)

    def guard(_connection: Connection) -> None:
        raise LeaseLost("it went to another process")

    with pytest.raises(LeaseLost):
        resolve_pending(database, registry, samples.REPOSITORY, lambda: NOW, guard)
    assert set(states(database).values()) == {"pending"}


def test_a_document_that_is_sent_again_is_young_again(database: Database, registry: RemoteRegistry) -> None:
    pend(database, "1.2.3", "a" * 40, 10_000)
    pend(database, "1.2.3", "a" * 40, 0)
    assert resolve(database, registry) == 0
    database.write(lambda connection: forget_pending(connection, ["1.2.3"], NOW - SECOND))
    assert states(database) == {"1.2.3": "pending"}
    database.write(lambda connection: set_state(connection, ["1.2.3"], STORED, NOW))
    database.write(lambda connection: forget_pending(connection, ["1.2.3"]))
    assert states(database) == {"1.2.3": "stored"}


def test_a_registry_that_cannot_be_asked_decides_nothing(database: Database, server: RunningServer) -> None:
    pend(database, "1.2.3", "a" * 40, 10_000)
    for url in ("http://127.0.0.1:9/registry", server.repository_url):
        remote = RemoteRegistry(url)
        with pytest.raises(ClientError):
            resolve(database, remote)
        remote.close()
    assert states(database) == {"1.2.3": "pending"}


def settings_with(registry: str) -> Settings:
    return Settings(repository=RepositorySettings(unique_id=samples.REPOSITORY, registry=registry))


def pending_job(registry: str, database: Database, store: FileStore, lease: Lease) -> Job:
    (job,) = (
        job for job in instance_jobs(settings_with(registry))(database, store, lease, Status(1)) if "pending" in job.name
    )
    return job


def test_the_job_of_a_repository_with_a_remote_registry(
    database: Database, server: RunningServer, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    store, lease = FileStore(tmp_path_factory.mktemp("store")), Lease(database, "test")
    assert lease.acquire()
    assert not [job for job in instance_jobs(settings_with(""))(database, store, lease, Status(1)) if "pending" in job.name]
    (entry,) = registered(server).entries
    pend(database, entry.unique_id or "", entry.hash or "", 20)
    job = pending_job(server.registry_url, database, store, lease)
    with caplog.at_level(logging.INFO):
        job.run()
    assert "1 pending documents were decided" in caplog.text
    assert states(database) == {entry.unique_id: "stored"}
    pend(database, "1.2.3", "a" * 40, 20)
    down = pending_job("http://127.0.0.1:9/registry", database, store, lease)
    with caplog.at_level(logging.WARNING):
        down.run()
    assert NotConnected.__name__ in caplog.text
    assert states(database)["1.2.3"] == "pending"
    assert job.every == jobs.RESOLVE_EVERY

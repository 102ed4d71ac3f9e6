"""A repository in one process and its registry in another, over SOAP: what happens when the registry's answer is lost."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests import samples
from tests.e2e import wire
from tests.e2e.conftest import ServerFactory
from tests.e2e.failing import check_stores, comes_true, frozen, pids, send_in_time
from tests.e2e.faulty_proxy import Passing, faulty_proxy
from tests.e2e.server import RunningServer
from tests.e2e.wire import Deposit

REPOSITORY_ID = "1.2.250.1.999.31"


@dataclass
class Line:
    """The line between repository and registry; while `cut` is set answers get lost, whatever they are."""

    cut: threading.Event = field(default_factory=threading.Event)
    lost: int = 0

    def alter(self, answer: Passing) -> Passing:
        """Lose the answer: the connection ends without it."""
        if self.cut.is_set():
            self.lost += 1
            raise ConnectionAbortedError("the test loses this answer")
        return answer


@dataclass
class Pair:
    """Both servers and the line between them."""

    registry: RunningServer
    repository: RunningServer
    line: Line

    def states(self) -> dict[str, str]:
        """The repository's documents with their states."""
        with contextlib.closing(wire.open_database(self.repository)) as database:
            return dict(database.execute("SELECT unique_id, state FROM repository_document"))

    def retrieve(self, deposit: Deposit) -> tuple[bytes | None, ...]:
        """The bytes that the repository gives."""
        answer = wire.send(self.repository, wire.retrieve(REPOSITORY_ID, *deposit.unique_ids)).answer
        return tuple(document.data for document in answer.documents)

    def found(self, deposit: Deposit) -> int:
        """How many of the deposit's entries the registry has."""
        query = wire.query("GetDocuments", ("$XDSDocumentEntryUniqueId", wire.listed(deposit.unique_ids)))
        return len(wire.send(self.registry, query).answer.of_kind("document"))

    def check(self) -> None:
        """Both stores are clean."""
        check_stores(self.registry, self.repository)


def quiet_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy's lost answers are wanted: nothing about them on standard error."""
    monkeypatch.setattr("socketserver.BaseServer.handle_error", lambda *_arguments: None)


@pytest.fixture
def pair(make_server: ServerFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    quiet_errors(monkeypatch)
    registry = make_server(name="registry")
    line = Line()
    with faulty_proxy(registry.base_url, line.alter) as address:
        settings = {"repository": {"unique_id": REPOSITORY_ID, "registry": f"{address}/registry"}}
        yield Pair(registry, make_server(settings, name="repository"), line)


def test_deposit_find_retrieve(pair: Pair) -> None:
    deposit = wire.deposit(wire.PDF, b"%PDF-1.4 second")
    assert wire.send(pair.repository, deposit.message()).verdict == "Success"
    assert pair.found(deposit) == 2
    assert pair.retrieve(deposit) == deposit.documents
    assert set(pair.states().values()) == {"stored"}
    refused = wire.send(pair.repository, wire.find_documents(samples.PATIENT))
    assert refused.verdict == "fault Sender/DestinationUnreachable"
    pair.check()


def test_what_the_registry_refuses_leaves_nothing(pair: Pair) -> None:
    first = wire.deposit()
    assert wire.send(pair.repository, first.message()).verdict == "Success"
    again = wire.deposit(b"%PDF-1.4 other bytes", unique_id=first.unique_ids[0])
    seen = wire.send(pair.repository, again.message())
    assert "XDSNonIdenticalHash" in seen.verdict
    replacing = wire.deposit()
    link = samples.link(
        "urn:ihe:iti:2007:AssociationType:RPLC", replacing.submission.entries[0].entry_uuid, samples.new_uuid()
    )
    refused = Deposit(samples.submission(*replacing.submission.entries, links=[link]), replacing.documents)
    seen = wire.send(pair.repository, refused.message())
    assert seen.verdict == "Failure UnresolvedReferenceException"
    assert pair.states() == {first.unique_ids[0]: "stored"}
    assert pair.retrieve(first) == first.documents
    pair.check()


def test_a_lost_answer_leaves_the_document_pending_until_the_registry_confirms_it(pair: Pair) -> None:
    deposit = wire.deposit()
    pair.line.cut.set()
    seen = wire.send(pair.repository, deposit.message())
    assert seen.verdict == "Failure XDSRegistryNotAvailable"
    assert pair.line.lost == 1
    assert pair.found(deposit) == 1
    assert pair.states() == {deposit.unique_ids[0]: "pending"}
    assert pair.retrieve(deposit) == ()
    pair.line.cut.clear()
    assert comes_true(lambda: pair.states() == {deposit.unique_ids[0]: "stored"})
    assert pair.retrieve(deposit) == deposit.documents
    with contextlib.closing(wire.open_database(pair.repository)) as database:
        assert journaled(database) == [("liasse", "registration-confirmed", "Success")]
    pair.check()


def journaled(database: sqlite3.Connection) -> list[tuple[str, str, str]]:
    query = "SELECT subject, rule, outcome FROM journal_row WHERE action = 'provide' AND outcome = 'Success'"
    return list(database.execute(query))


def test_the_sender_may_repeat_after_a_lost_answer(pair: Pair) -> None:
    deposit = wire.deposit()
    message = deposit.message()
    pair.line.cut.set()
    assert wire.send(pair.repository, message).verdict == "Failure XDSRegistryNotAvailable"
    pair.line.cut.clear()
    assert wire.send(pair.repository, message).verdict == "Success"
    assert pair.found(deposit) == 1
    assert pair.retrieve(deposit) == deposit.documents
    pair.check()


def test_a_registry_that_hangs_is_given_up_in_time_and_confirmed_later(pair: Pair) -> None:
    deposit = wire.deposit()
    with frozen(pids(pair.registry)):
        seen = send_in_time(pair.repository, deposit.message())
    assert seen.verdict == "Failure XDSRegistryNotAvailable"
    assert pair.retrieve(deposit) == ()
    assert comes_true(lambda: pair.states() == {deposit.unique_ids[0]: "stored"})
    assert pair.found(deposit) == 1
    assert pair.retrieve(deposit) == deposit.documents
    pair.check()

"""A registry behind HTTP: what a repository does with its answers, its faults and its silence, and how silence is resolved.

The peer is a real registry on a database of its own, behind a socket; a test decides what becomes of its answers.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from access_control.context import RequestContext
from database import Database
from database.migrate import init_database
from soap.connections import BadAnswer, ClientError, Timeouts
from soap.transaction import Incoming
from soap.transport import Server
from tests import samples
from tests.e2e import wire
from tests.e2e.wire import PDF
from tests.registry_side import Side
from tests.repository_side import RepositorySide, repository_side
from tests.unit.soap.peer import Peer, Request, peer, response
from xds_metadata import associations as types
from xds_repository.ports import Holders
from xds_repository.registry_client import RemoteRegistry, resolve_pending

SECOND = 1_000_000
HOUR = 3600 * SECOND
Fate = Callable[[bytes], bytes | None]
"""What becomes of an answer on its way back."""


@dataclass
class Remote:
    """The remote registry, its HTTP peer, the repository that asks it, and what becomes of answers."""

    registry: Side
    peer: Peer
    port: RemoteRegistry
    side: RepositorySide
    fate: list[Fate]

    def resolve(self, later: int) -> int:
        """`resolve_pending`, `later` microseconds from now."""
        return resolve_pending(
            self.side.database, self.port, samples.REPOSITORY, lambda: self.side.registry.clock.now + later
        )

    def state(self, sent: wire.Deposit) -> str | None:
        """The state of the only document."""
        row = self.side.rows(*sent.unique_ids).get(sent.unique_ids[0])
        return row.state if row else None


def answered(answer: bytes) -> bytes:
    return answer


def lost(_answer: bytes) -> None:
    return None


def told(body: str, status: int = 200) -> Fate:
    """Another answer in place of the registry's."""
    return lambda _answer: response(body.encode(), status)


@pytest.fixture
def remote(database: Database, tmp_path: Path) -> Iterator[Remote]:
    with contextlib.ExitStack() as stack:
        registry = Side(stack.enter_context(contextlib.closing(init_database(tmp_path / "remote.sqlite"))))
        server = Server((registry.iti42, registry.iti18))
        fate: list[Fate] = [answered]

        def respond(request: Request, _connection: socket.socket) -> bytes | None:
            incoming = Incoming(path="/registry", mtom=False, peer="192.0.2.2")
            reply = server.finish(server.open(request.body, incoming), {})
            return fate[0](response(b"".join(reply.pieces), reply.status))

        running = stack.enter_context(peer(respond))
        port = RemoteRegistry(running.url, Timeouts(connect=5, silence=10, total=20))
        stack.callback(port.close)
        side = stack.enter_context(repository_side(database, tmp_path, port=port))
        yield Remote(registry, running, port, side, fate)


def test_a_document_is_registered_there_and_stored_here(remote: Remote) -> None:
    sent = remote.side.accept(wire.deposit(PDF))
    entry = remote.registry.document(sent.unique_ids[0])
    slots = {slot.name: slot.values for slot in entry.slots}
    assert (slots["hash"], slots["size"]) == ((wire.sha1(PDF),), (str(len(PDF)),))
    assert slots["repositoryUniqueId"] == (samples.REPOSITORY,)
    assert remote.state(sent) == "stored"
    assert remote.side.retrieve(*sent.unique_ids).documents[0].data == PDF
    assert [row[:2] for row in remote.side.journal()] == [("provide", "Success"), ("retrieve", "Success")]
    assert remote.side.registry.documents(sent.unique_ids[0]) == ()


def test_what_the_registry_refuses_is_told_in_its_own_words(remote: Remote) -> None:
    entry = wire.entry()
    links = [samples.link(types.RPLC, entry.entry_uuid, samples.new_uuid())]
    sent = wire.Deposit(samples.submission(entry, links=links), (PDF,))
    answer = remote.side.provide(sent)
    assert (answer.status, answer.codes) == ("Failure", ["UnresolvedReferenceException"])
    assert remote.state(sent) is None


def test_a_registry_that_knows_the_submission_set_is_believed(remote: Remote) -> None:
    first = remote.side.accept(wire.deposit(PDF))
    again = wire.Deposit(samples.submission(wire.entry(), owner=first.submission.submission_sets[0]), (PDF,))
    answer = remote.side.provide(again)
    assert answer.codes == ["XDSDuplicateUniqueIdInRegistry"]
    assert (remote.state(first), remote.state(again)) == ("stored", None)


RS = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
STATUS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:"
SEVERITY = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:"


def ebrs(status: str, inside: str = "") -> str:
    return wire.envelope(
        f"{wire.REGISTER}Response",
        f'<r:RegistryResponse xmlns:r="{RS}" status="{STATUS}{status}">{inside}</r:RegistryResponse>',
    ).decode()


def soap_fault(code: str) -> str:
    return wire.envelope(
        "http://www.w3.org/2005/08/addressing/soap/fault",
        f"<s:Fault><s:Code><s:Value>s:{code}</s:Value></s:Code><s:Reason>"
        "<s:Text xml:lang='en'>why</s:Text></s:Reason></s:Fault>",
    ).decode()


def test_a_warning_of_the_registry_is_passed_on(remote: Remote) -> None:
    warning = f'<r:RegistryError errorCode="XDSExtraMetadataNotSaved" codeContext="not kept" severity="{SEVERITY}Warning"/>'
    errors = f'<r:RegistryErrorList highestSeverity="{SEVERITY}Warning">{warning}</r:RegistryErrorList>'
    remote.fate[0] = told(ebrs("Success", errors))
    answer = remote.side.provide(wire.deposit())
    assert (answer.status, answer.outcome, answer.codes) == ("Success", "warning", ["XDSExtraMetadataNotSaved"])


def test_a_failure_without_an_error_is_a_failure(remote: Remote) -> None:
    remote.fate[0] = told(ebrs("Failure"))
    sent = wire.deposit()
    assert remote.side.provide(sent).codes == ["XDSRepositoryError"]
    assert remote.state(sent) is None


@pytest.mark.parametrize("code", ["Sender", "MustUnderstand", "VersionMismatch"])
def test_a_fault_that_refuses_is_a_failure(remote: Remote, code: str) -> None:
    remote.fate[0] = told(soap_fault(code), 400)
    sent = wire.deposit()
    answer = remote.side.provide(sent)
    assert answer.codes == ["XDSRepositoryError"]
    assert "why" in answer.text
    assert remote.state(sent) is None


@pytest.mark.parametrize(
    "fate",
    [lost, told(soap_fault("Receiver"), 500), told("<no-envelope/>"), told("gone", 502)],
    ids=["no answer", "fault of the receiver", "no envelope", "no SOAP"],
)
def test_an_answer_that_tells_nothing_leaves_the_document_pending(remote: Remote, fate: Fate) -> None:
    """It was registered; the repository cannot know. The document is not given until the registry confirms it."""
    remote.fate[0] = fate
    sent = wire.deposit(PDF)
    answer = remote.side.provide(sent)
    assert (answer.status, answer.codes) == ("Failure", ["XDSRegistryNotAvailable"])
    assert remote.state(sent) == "pending"
    assert remote.side.retrieve(*sent.unique_ids).codes == ["XDSDocumentUniqueIdError"]
    remote.fate[0] = answered
    assert remote.resolve(5 * SECOND) == 0
    assert remote.resolve(60 * SECOND) == 1
    assert remote.state(sent) == "stored"
    assert remote.side.retrieve(*sent.unique_ids).documents[0].data == PDF
    assert ("provide", "Success") in [row[:2] for row in remote.side.journal()]


def test_a_message_sent_again_after_silence_is_answered(remote: Remote) -> None:
    sent = wire.deposit(PDF)
    body = wire.provide_body(sent.submission, (sent.submission.entries[0].entry_uuid, wire.include("cid:a@wire")))
    remote.fate[0] = lost
    first = remote.side.send(remote.side.iti41, body, {"a@wire": remote.side.staged(PDF, "a@wire")})
    assert first.codes == ["XDSRegistryNotAvailable"]
    remote.fate[0] = answered
    again = remote.side.send(remote.side.iti41, body, {"a@wire": remote.side.staged(PDF, "a@wire")})
    assert again.status == "Success", again.text
    assert remote.state(sent) == "stored"
    assert len(remote.registry.documents(sent.unique_ids[0])) == 1


def test_a_registry_that_is_not_there_leaves_nothing(database: Database, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/registry"
    port = RemoteRegistry(url)
    with repository_side(database, tmp_path, port=port) as side:
        sent = wire.deposit()
        answer = side.provide(sent)
        assert (answer.status, answer.codes) == ("Failure", ["XDSRegistryNotAvailable"])
        assert "cannot be reached" in answer.text
        assert side.rows(*sent.unique_ids) == {}
        with pytest.raises(ClientError):
            port.registered(["1.2"], samples.REPOSITORY)


def pending(remote: Remote, *documents: bytes, **changes: object) -> wire.Deposit:
    """A deposit that never reached the registry, as far as anyone knows."""
    sent = wire.deposit(*documents, **changes)
    remote.fate[0] = told(soap_fault("Receiver"), 500)
    registered = remote.registry.registry.database
    assert remote.side.provide(sent).codes == ["XDSRegistryNotAvailable"]
    registered.write(
        lambda c: [c.exec_driver_sql(f"DELETE FROM {t}") for t in ("entry_author", "entry_code", "entry")] and None
    )
    remote.fate[0] = answered
    return sent


def test_what_the_registry_does_not_know_is_forgotten_after_an_hour(remote: Remote) -> None:
    sent = pending(remote, PDF)
    assert remote.resolve(60 * SECOND) == 0
    assert remote.state(sent) == "pending"
    assert remote.resolve(HOUR + 60 * SECOND) == 1
    assert remote.state(sent) is None


def test_many_are_asked_about_in_batches(remote: Remote) -> None:
    """Long identifiers: one message to the registry holds many, one Value each."""
    remote.fate[0] = lost
    sent = [wire.deposit(b"%d" % n, unique_id=f"1.2.250.1.999.77^it's-{n}-{'x' * 80}") for n in range(23)]
    for each in sent:
        assert remote.side.provide(each).codes == ["XDSRegistryNotAvailable"]
    remote.fate[0] = answered
    asked = len(remote.peer.requests)
    assert remote.resolve(60 * SECOND) == 23
    assert len(remote.peer.requests) == asked + 2
    assert {remote.state(each) for each in sent} == {"stored"}


def test_an_entry_of_another_hash_or_repository_confirms_nothing(remote: Remote) -> None:
    sent = pending(remote, PDF)
    other = samples.entry(
        unique_id=sent.unique_ids[0], hash=wire.sha1(PDF), size=str(len(PDF)), repository_unique_id="1.2.3"
    )
    remote.registry.accept(samples.submission(other))
    assert remote.resolve(60 * SECOND) == 0
    assert remote.port.registered(sent.unique_ids, samples.REPOSITORY) == {}
    assert remote.port.registered(sent.unique_ids, "1.2.3") == {sent.unique_ids[0]: wire.sha1(PDF)}


def test_a_registry_that_fails_decides_nothing(remote: Remote) -> None:
    sent = pending(remote, PDF)
    remote.fate[0] = told(ebrs("Failure"))
    with pytest.raises(BadAnswer):
        remote.resolve(2 * HOUR)
    assert remote.state(sent) == "pending"


def test_a_guard_that_objects_stops_the_settlement(remote: Remote) -> None:
    """The background process checks its lease in the same transaction."""
    remote.fate[0] = lost
    sent = wire.deposit(PDF)
    remote.side.provide(sent)
    remote.fate[0] = answered

    def guard(_connection: object) -> None:
        raise PermissionError

    with pytest.raises(PermissionError):
        resolve_pending(
            remote.side.database,
            remote.port,
            samples.REPOSITORY,
            lambda: remote.side.registry.clock.now + 60 * SECOND,
            guard,
        )
    assert remote.state(sent) == "pending"


def test_nothing_pending_asks_nobody(remote: Remote) -> None:
    assert remote.resolve(HOUR) == 0
    assert remote.peer.requests == []


def test_patients_are_not_known_here(remote: Remote) -> None:
    assert remote.port.holders(RequestContext("ITI-43", "urn:uuid:1", 0), ["1.2"]) == Holders({})
    assert remote.port.in_process is False

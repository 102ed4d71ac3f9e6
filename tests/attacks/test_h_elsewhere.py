"""Class H of the attack catalogue, ways around: other patients and domains, other paths that bytes take, other workers."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from sqlalchemy import Connection
from typer.testing import CliRunner

from conformance.simulators.mail_receiver import MailReceiver
from dmp import records
from dmp.ins import TEST
from dmp.record import Contact, Oppositions
from ebrim import model as rim
from ebrim.rs import write_adhoc_query_request
from liasse.cli import app
from tests import samples
from tests.attacks.masked_record import UNKNOWN_DOCUMENT, UNRESOLVED, E, Hidden, data, hidden_record, ids, oid, told
from tests.e2e import wire
from tests.e2e.dmp_domain import APPROVED, ARCHIVED, MASKED, NORMAL, Speaker, cx
from tests.e2e.server import RunningServer
from tests.e2e.test_habilitations import ALL, LIST
from tests.e2e.tls_domain import ask
from tests.e2e.wire import listed
from xds_metadata.datatypes import PatientKey
from xds_metadata.model import DocumentEntry
from xds_repository.messages import DocumentRequest, write_retrieve_request

DENIED = "fault Sender/DMPAccessDeniedByRightsService"
MISSING, BLOCKED, OPPOSED, GONE = (
    f"fault Sender/DMP{name}" for name in ("AuthorizationMissing", "PatientBlocked", "EmergencyOpposed", "NotFound")
)
TITLE, ADDRESS = "Sentinel of psychiatry", "holder@patient.example"
WORKERS = 2


@dataclass(frozen=True)
class World:
    """Two records that the reader may read, and a mail server."""

    here: Hidden
    there: Hidden
    mail: MailReceiver


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with MailReceiver() as mail:
        notifications = {"host": mail.host, "port": mail.port, "tls": "none", "sender": "record@host.example", "every": 0.2}
        settings = {
            "notifications": notifications,
            "server": {"workers": WORKERS},
            "affinity_domain": {"home_community_id": "urn:oid:1.2.250.1.999.9"},
        }
        with hidden_record(tmp_path_factory.mktemp("elsewhere"), 611, settings) as here:
            yield World(here, here.elsewhere(612), mail)


def search(world: World, *values: str, about: PatientKey | None = None) -> wire.Seen:
    """FindDocuments of the patient that these values name; the assertion names `about`, or the first record."""
    status = (E + "Status", listed([APPROVED]))
    return world.here.domain.ask(
        world.here.reader.about(about or world.here.key), "FindDocuments", (E + "PatientId", values), status
    )


def test_h24_the_message_names_another_patient_than_the_assertion(world: World) -> None:
    here, there = world.here, world.there
    mine, other = here.entry(), there.entry()
    here.deposited(mine)
    there.deposited(other)
    for name, parameters in there.everything():
        assert here.ask(name, *parameters).verdict == DENIED, name
    assert told(here.get(other.unique_id)) == told(here.get(oid()))
    assert here.get(mine.unique_id, other.unique_id).verdict == f"PartialSuccess{UNKNOWN_DOCUMENT.removeprefix('Failure')}"
    about_here, author = here.reader.about(here.key), here.author.about(here.key)
    filed = here.entry(patient_id=cx(there.key))
    owned = samples.submission_set(patient_id=cx(here.key), entry_uuid=samples.new_uuid(), unique_id=oid())
    for value in (there.submission(there.entry()), samples.submission(filed), samples.submission(filed, owner=owned)):
        assert here.domain.provide(author, value).verdict in (DENIED, "Failure XDSPatientIdDoesNotMatch")
    assert here.domain.codes(author, other, NORMAL, MASKED).verdict in (DENIED, UNRESOLVED)
    assert here.domain.status(author, there.key, other.entry_uuid, APPROVED, ARCHIVED).verdict in (DENIED, UNRESOLVED)
    assert here.domain.find(here.reader, there.key) == {other.unique_id}, "nothing was filed or changed there"
    assert here.domain.codes(about_here, replace(other, patient_id=cx(here.key)), NORMAL).verdict == UNRESOLVED


def test_h24_other_ways_to_write_a_patient(world: World) -> None:
    """Number and authority are the patient; with anything else beside them, or anything in them, it is not he."""
    here, there = world.here, world.there
    document = here.entry()
    here.deposited(document)
    number, authority = here.key.id, here.key.authority
    expected = told(search(world, f"'{cx(here.key)}'"))
    for same in (f"{number}^^^&{authority}&ISO", f"{number}^^^&{authority}&ISO^PI"):
        assert told(search(world, f"'{same}'")) == expected, same
    for other in (
        f"{number}^^^&1.2.250.1.213.1.4.8&ISO^NH",
        f"{number}^^^&{authority}.1&ISO^NH",
        f"0{number}^^^&{authority}&ISO^NH",
        f"%^^^&{authority}&ISO^NH",
    ):
        assert search(world, f"'{other}'").verdict == DENIED, other
    for malformed in (
        f"{number}^^^NAME&{authority}&ISO^NH",
        f"{number}^^^&{authority}&ISO^NH^&1.2.3&ISO",
        f"{number} ^^^&{authority}&ISO^NH",
        f" {number}^^^&{authority}&ISO^NH",
        f"{number}^^^& {authority}&ISO^NH",
        f"{number}&{there.key.id}^^^&{authority}&ISO^NH",
        f"{number}^{there.key.id}^^&{authority}&ISO^NH",
        f"{cx(here.key)}~{cx(there.key)}",
        number,
        "",
    ):
        assert search(world, f"'{malformed}'").verdict == "Failure XDSRegistryError", malformed
    mine, theirs = f"'{cx(here.key)}'", f"'{cx(there.key)}'"
    two = "Failure XDSStoredQueryParamNumber"
    assert [search(world, *each).verdict for each in ((mine, theirs), (theirs, mine), (f"({mine},{theirs})",))] == [two] * 3
    status = (E + "Status", listed([APPROVED]))
    twice = ((E + "PatientId", mine), (E + "PatientId", theirs), status)
    assert here.ask("FindDocuments", *twice).verdict == here.ask("FindDocuments", *twice[::-1]).verdict == two


def test_h24_an_assertion_that_names_no_patient_or_a_strange_one(world: World) -> None:
    document = world.here.entry()
    world.here.deposited(document)
    domain, me = world.here.domain, f"'{cx(world.here.key)}'"
    wanted = ((E + "PatientId", me), (E + "Status", listed([APPROVED])))
    for named in ("", cx(PatientKey(world.here.key.id, "1.2.250.1.213.1.4.8")), f"^^^&{TEST}&ISO^NH"):
        speaker = replace(world.here.reader, told=replace(world.here.reader.told, patient=named))
        for seen in (
            domain.ask(speaker, "FindDocuments", *wanted),
            domain.get(speaker, document.unique_id or ""),
            domain.provide(speaker, world.here.submission(world.here.entry())),
        ):
            assert seen.verdict.startswith("fault Sender/DMP"), (named, seen.verdict)
        look = domain.ask(speaker, "GetDocuments", (E + "UniqueId", listed([document.unique_id or ""])))
        assert not ids(look.answer)


def test_h25_another_repository_or_community(world: World) -> None:
    """Another repository is none of ours; another community is not asked, and opens nothing of this one."""
    here = world.here
    document, masked = here.entry(), here.masked()
    here.deposited(document, masked)

    def fetch(repository: str, unique_id: str | None, home: str | None = None) -> wire.Seen:
        body = write_retrieve_request([DocumentRequest(repository, unique_id or "", home)])
        message = wire.simple(wire.REPOSITORY, wire.envelope(wire.RETRIEVE, body))
        return here.domain.send(here.reader.about(here.key), message)

    for repository in ("1.2.250.1.999.3", samples.REPOSITORY + ".1", samples.REPOSITORY + " "):
        seen = [fetch(repository, name) for name in (document.unique_id, masked.unique_id, oid())]
        assert seen[0].verdict.startswith("Failure ")
        assert told(seen[0]) == told(seen[1]) == told(seen[2])
        assert not seen[0].answer.documents
    for home in ("urn:oid:1.2.250.1.999.9", "urn:oid:1.2.250.1.999.10"):
        assert told(fetch(samples.REPOSITORY, masked.unique_id, home)) == told(fetch(samples.REPOSITORY, oid(), home))
        slots = (rim.Slot(E + "UniqueId", (listed([masked.unique_id or ""]),)),)
        request = rim.AdhocQuery(wire.IDS["GetDocuments"], "LeafClass", home, slots)
        message = wire.simple(wire.REGISTRY, wire.envelope(wire.QUERY, write_adhoc_query_request(request)))
        looked = here.domain.send(here.reader.about(here.key), message)
        assert (looked.verdict, ids(looked.answer)) == ("Success", set())


def test_h26_the_other_paths_of_bytes(world: World) -> None:
    """Title, hash and content of a masked document leave by no path that there is."""
    here, domain = world.there.elsewhere(613), world.here.domain
    holder = Contact("EMAIL", ADDRESS, language="en", documents=True)
    domain.act(lambda c: records.set_contacts(c, here.key, [holder], domain.by()))
    masked, plain = here.masked(title=TITLE), here.entry(title="Plain report")
    here.deposited(masked, plain)
    here.get(masked.unique_id, plain.unique_id)
    paths: dict[str, str] = {}
    for name, parameters in (*here.about_entry(plain), *here.everything()):
        for leaves in (True, False):
            answer = here.ask(name, *parameters, leaves=leaves).answer
            paths[f"{name} {leaves} {parameters[0][0]}"] = answer.http.body.decode()
    body = wire.simple("/habilitations", wire.envelope(LIST, ALL))
    paths["TD1.6"] = domain.send(here.reader.about(here.key), body).answer.http.body.decode()
    card = here.reader.card
    config = [
        "--config",
        str(domain.tls.server.config),
        "--patient",
        cx(here.key),
        "--as",
        str(card.authentication.certificate.parent),
    ]
    for form in ("json", "csv", "table"):
        done = CliRunner().invoke(app, ["journal", "show", *config, "--format", form])
        assert done.exit_code == 0, done.output
        paths[f"history {form}"] = done.output
    explained = CliRunner().invoke(app, ["access", "explain", *config, "--document", masked.unique_id or ""])
    assert explained.exit_code == 1
    paths["explanation"] = explained.output
    paths["metrics"] = _fetched(f"{domain.tls.server.admin_url}/metrics")
    paths["readiness"] = _fetched(f"{domain.tls.server.admin_url}/health/ready")
    for path in ("/", "/health", "/registry?wsdl", "/repository", f"/repository/{masked.unique_id}", "/registry?patient=1"):
        paths[path] = _fetched(f"https://localhost:{domain.tls.port}{path}", domain.tls.context(card.authentication))
    assert wire.eventually(lambda: len(world.mail.to(ADDRESS)) >= 2), "an added document, and a first access"
    for number, mail in enumerate(world.mail.to(ADDRESS)):
        paths[f"mail {number}"] = mail.message.as_string() + mail.text
    paths["log"] = domain.tls.server.log_text()
    hidden = (TITLE, "psychiatry", wire.sha1(data(masked)), masked.entry_uuid.removeprefix("urn:uuid:"))
    assert {(path, word) for path, text in paths.items() for word in hidden if word in text} == set()
    assert "Plain report" in paths["history json"]
    assert any("Plain report" in text for path, text in paths.items() if path.startswith("FindDocuments"))


def _fetched(url: str, tls: ssl.SSLContext | None = None) -> str:
    try:
        with urlopen(url, context=tls) as answer:
            return str(answer.read().decode())
    except HTTPError as error:
        with error:
            return error.read().decode()


@contextmanager
def one_to_each_worker(world: World, who: Speaker) -> Iterator[list[ssl.SSLSocket]]:
    """A connection of a caller to every worker process, told apart by who holds its other end."""
    tls = world.here.domain.tls
    with ExitStack() as stack:
        held: dict[int, ssl.SSLSocket] = {}
        for _ in range(100 * WORKERS):
            connection = stack.enter_context(tls.connect(tls.context(who.card.authentication)))
            held.setdefault(worker_of(tls.server, connection.getsockname()[1]), connection)
            if len(held) == WORKERS:
                break
        assert len(held) == WORKERS
        yield list(held.values())


def worker_of(server: RunningServer, port: int) -> int:
    """The process that holds the server's end of a connection from a port of this machine."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    local, remote = f":{server.port:04X}", f":{port:04X}"
    [inode] = [line[9] for line in lines if line[1].endswith(local) and line[2].endswith(remote)]
    for pid in wire.children(server.process.pid):
        with suppress(OSError):
            if f"socket:[{inode}]" in {os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()}:
                return pid
    raise AssertionError(f"nobody holds the connection from port {port}")


def test_h27_a_right_that_was_taken_away_is_gone_at_every_worker(world: World) -> None:
    """At the next request of a connection that is open to each: served before, refused after."""
    here, domain = world.there.elsewhere(614), world.here.domain
    document, masked = here.entry(), here.masked()
    here.deposited(document, masked)
    second, third = domain.professional("second"), domain.professional("third")
    domain.authorise(here.key, second, third)
    domain.attend(here.key, second)
    key, by, attending, urgent = here.key, domain.by, here.attending, third.in_emergency()
    acts: tuple[tuple[str, Speaker, DocumentEntry, Callable[[Connection], object], str], ...] = (
        ("role", second, masked, lambda c: records.leave(c, key, second.party, by()), UNKNOWN_DOCUMENT),
        ("authorisation", attending, masked, lambda c: records.unauthorise(c, key, attending.party, by()), MISSING),
        ("block", here.author, masked, lambda c: records.block(c, key, here.author.party, by()), BLOCKED),
        ("emergency", urgent, document, lambda c: records.oppose(c, key, Oppositions(break_glass=True), by()), OPPOSED),
        ("record", third, document, lambda c: records.close(c, key, "request", by()), GONE),
    )

    def verdict(connection: ssl.SSLSocket, who: Speaker, wanted: DocumentEntry) -> str:
        message = wire.retrieve(domain.repository, wanted.unique_id or "")
        return ask(connection, message.replaced(b"</s:Header>", who.about(key).header() + b"</s:Header>", 1)).verdict

    for name, who, wanted, act, expected in acts:
        with one_to_each_worker(world, who) as connections:
            assert [verdict(each, who, wanted) for each in connections] == ["Success"] * WORKERS, name
            domain.act(act)
            assert [verdict(each, who, wanted) for each in connections] == [expected] * WORKERS, name

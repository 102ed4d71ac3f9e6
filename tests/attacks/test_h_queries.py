"""Class H of the attack catalogue, reading: what a caller may not see is answered byte for byte as what does not exist.

Not visible are masked documents, those of a type that his profession does not read, and those of another patient.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from database import sqlite
from database.sqlite_driver import connect as plain
from liasse.settings_file import load_settings
from liasse.wiring import open_actors, prepare, soap_server, wall_clock
from soap.transaction import Incoming
from tests import samples
from tests.attacks.masked_record import UNKNOWN_DOCUMENT, E, F, Hidden, S, Told, data, hidden_record, ids, oid, told, unknown
from tests.e2e import wire
from tests.e2e.dmp_domain import APPROVED, ARCHIVED, REPORT, Speaker
from tests.e2e.wire import listed
from xds_metadata import associations as types
from xds_metadata.model import Code, DocumentEntry, Folder, Submission

FOR_DOCTORS = Code("34875-5", REPORT.scheme, "for doctors only")
WHY = ("masked", "of a type for others", "of another patient")
FORMS = pytest.mark.parametrize("leaves", [True, False], ids=["LeafClass", "ObjectRef"])
SECOND = 1_000_000
Parameters = tuple[tuple[str, str], ...]
View = Mapping[tuple[str, Parameters, bool], tuple[Told, set[str]]]


@dataclass(frozen=True)
class Kept:
    """A document, and the record from which it must not be seen."""

    world: Hidden
    document: DocumentEntry
    seen_in: Hidden


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hidden]:
    with hidden_record(tmp_path_factory.mktemp("queries"), 531, {"server": {"workers": 2}}) as found:
        yield found


@pytest.fixture(scope="module")
def kept(world: Hidden) -> Mapping[str, Kept]:
    """One document for each reason, with an addendum, in a folder, in a submission of its own."""
    nurse = world.domain.professional("nurse", profession="60", speciality="")
    world.domain.authorise(world.key, nurse)
    other = world.elsewhere(532)
    found = {
        WHY[0]: Kept(world, world.masked(), replace(world, reader=world.attending)),
        WHY[1]: Kept(replace(world, reader=nurse), world.entry(type_code=FOR_DOCTORS), world),
        WHY[2]: Kept(world, other.entry(), other),
    }
    for each in found.values():
        home, document = each.seen_in, each.document
        addendum = replace(document, entry_uuid=samples.new_uuid(), unique_id=oid())
        folder = home.folder()
        home.deposited(document, folders=[folder], links=[samples.member(folder.entry_uuid, document.entry_uuid)])
        home.deposited(addendum, links=[samples.link(types.APND, addendum.entry_uuid, document.entry_uuid)])
    return found


def both(document: DocumentEntry) -> set[str]:
    return {document.entry_uuid, document.unique_id or ""}


@FORMS
@pytest.mark.parametrize("why", WHY)
def test_h1_h2_h6_every_look_up_by_an_id_that_is_known(kept: Mapping[str, Kept], why: str, leaves: bool) -> None:
    found = kept[why]
    asked = zip(found.world.about_entry(found.document), found.world.about_entry(unknown(found.document)), strict=True)
    for (name, known), (_, strange) in asked:
        answer = found.world.ask(name, *known, leaves=leaves)
        assert answer.verdict == "Success"
        assert told(answer) == told(found.world.ask(name, *strange, leaves=leaves)), (name, known[0][0])
        assert not ids(answer.answer)
        assert ids(found.seen_in.ask(name, *known, leaves=leaves).answer), "who may see it gets an answer"


@FORMS
def test_h2_in_the_name_of_another_patient(world: Hidden, leaves: bool) -> None:
    """The assertion names a record that he may read; the id, the parameter of a patient or both lead elsewhere."""
    other = world.elsewhere(533 + leaves)
    document = other.masked()
    other.deposited(document)
    for name, parameters in (*other.about_entry(document), *world.about_entry(document)):
        answer = world.ask(name, *parameters, leaves=leaves)
        assert (answer.verdict, ids(answer.answer)) == ("Success", set())
    for name, parameters in other.everything():
        assert world.ask(name, *parameters, leaves=leaves).verdict == "fault Sender/DMPAccessDeniedByRightsService"


@dataclass(frozen=True)
class Shown:
    """What a reader sees of a record: a document in a folder, filed by one submission."""

    world: Hidden
    document: DocumentEntry
    folder: Folder
    submission: Submission

    def view(self, reader: Speaker | None = None) -> View:
        """The answers to all queries that start from anything of it, in both forms."""
        asked = [*self.world.everything(), *self.world.about_entry(self.document)]
        owner = self.submission.submission_sets[0]
        for item, kind, name in ((owner, S, "SubmissionSet"), (self.folder, F, "Folder")):
            for key, value in (("EntryUUID", item.entry_uuid), ("UniqueId", item.unique_id or "")):
                asked.append((f"Get{name}AndContents", ((kind + key, f"'{value}'"),)))
        asked += [("GetFolders", ((F + "EntryUUID", listed([self.folder.entry_uuid])),))]
        asked += [("GetAssociations", (("$uuid", listed([owner.entry_uuid, self.folder.entry_uuid])),))]
        found: dict[tuple[str, Parameters, bool], tuple[Told, set[str]]] = {}
        for leaves in (True, False):
            for name, parameters in asked:
                seen = self.world.ask(name, *parameters, leaves=leaves, by=reader)
                assert seen.verdict == "Success", (name, seen.text)
                found[name, parameters, leaves] = told(seen), ids(seen.answer)
        return found


def shown(world: Hidden) -> Shown:
    document, folder = world.entry(), world.folder()
    made = world.deposited(document, folders=[folder], links=[samples.member(folder.entry_uuid, document.entry_uuid)])
    return Shown(world, document, folder, made)


def unchanged(record: Shown, before: View, *hidden: str) -> None:
    """Nothing was added for the reader; each of these ids is told to the attending doctor by some query."""
    after = record.view()
    for asked, answer in before.items():
        assert after[asked] == answer, asked
    everything = set().union(*(found for _, found in record.view(record.world.attending).values()))
    assert everything.issuperset(hidden)


def test_h3_what_a_visible_document_is_related_to(world: Hidden) -> None:
    record = shown(world.elsewhere(541))
    before = record.view()
    target = record.document.entry_uuid
    hidden: set[str] = set()
    for kind in (types.APND, types.XFRM, types.SIGNS):
        document = record.world.masked()
        link = replace(samples.link(kind, document.entry_uuid, target), entry_uuid=samples.new_uuid())
        record.world.deposited(document, links=[link])
        hidden |= {*both(document), link.entry_uuid}
    unchanged(record, before, *hidden)


@FORMS
def test_h3_a_replacement_that_he_may_not_see(world: Hidden, leaves: bool) -> None:
    """By its type: the mask of a replacement reaches the document that it replaces. Its status is told, and no more."""
    nurse = world.domain.professional("nurse", profession="60", speciality="")
    here = replace(world.elsewhere(543 + leaves), reader=nurse)
    world.domain.authorise(here.key, nurse)
    old = here.entry()
    new = here.entry(type_code=FOR_DOCTORS)
    link = replace(samples.link(types.RPLC, new.entry_uuid, old.entry_uuid), entry_uuid=samples.new_uuid())
    here.deposited(old)
    made = here.deposited(new, links=[link])
    hidden = {*both(new), link.entry_uuid, made.submission_sets[0].entry_uuid, made.submission_sets[0].unique_id}
    told_to_doctor: set[str] = set()
    for name, parameters in (*here.about_entry(old), *here.everything()):
        assert not hidden & ids(here.ask(name, *parameters, leaves=leaves).answer), name
        told_to_doctor |= ids(here.ask(name, *parameters, leaves=leaves, by=here.attending).answer)
    assert {new.entry_uuid, link.entry_uuid, made.submission_sets[0].entry_uuid} <= told_to_doctor


def test_h4_a_folder_in_which_something_hidden_is_filed(world: Hidden) -> None:
    """As if it had never been filed, lastUpdateTime of the folder included."""
    record = shown(world.elsewhere(551))
    before = record.view()
    start = wall_clock() // SECOND
    assert wire.eventually(lambda: wall_clock() // SECOND > start)
    document, addendum = record.world.masked(), record.world.masked()
    record.world.deposited(document, links=[samples.member(record.folder.entry_uuid, document.entry_uuid)])
    moved = [samples.member(record.folder.entry_uuid, addendum.entry_uuid)]
    record.world.deposited(addendum)
    record.world.deposited(record.world.masked(), links=moved)
    unchanged(record, before, *both(document), *both(addendum))


def test_h4_a_set_of_which_something_is_hidden_is_as_the_set_without_it(world: Hidden) -> None:
    """Its title, the number of its contents and its associations tell nothing; nor does its folder."""
    here, there = shown(world.elsewhere(552)), world.elsewhere(553)
    document, folder, other = there.entry(), there.folder(), there.masked()
    members = [samples.member(folder.entry_uuid, each.entry_uuid) for each in (document, other)]
    made = there.deposited(document, other, folders=[folder], links=members)
    mixed = Shown(there, document, folder, made)
    plain, found = here.view(), mixed.view()
    for (asked, answer), (like, expected) in zip(found.items(), plain.items(), strict=True):
        assert same_but_for_names(here, mixed, answer[0]) == same_but_for_names(here, mixed, expected[0]), (asked, like)
    assert not set().union(*(names for _, names in found.values())) & both(other)
    assert both(other) <= set().union(*(names for _, names in mixed.view(world.attending).values()))


def same_but_for_names(one: Shown, other: Shown, answer: Told) -> tuple[Any, ...]:
    """An answer without the patient, the time of filing, and the order that UUIDs give."""
    body = answer[3]
    for record in (one, other):
        body = body.replace(record.world.key.id.encode(), b"INS")
    body = re.sub(rb"(lastUpdateTime\"[^/]*<[^>]*Value>)\d{14}", rb"\1*", body)
    return answer[:3], sorted(re.findall(rb"<[^>]*>[^<]*", body))


@FORMS
def test_h4_a_set_of_which_everything_is_hidden_does_not_exist(world: Hidden, leaves: bool) -> None:
    owner = world.deposited(world.masked(), world.masked()).submission_sets[0]
    by_uuid, by_oid = f"'{owner.entry_uuid}'", f"'{owner.unique_id}'"
    for name, known, strange in (
        ("EntryUUID", by_uuid, f"'{samples.new_uuid()}'"),
        ("UniqueId", by_oid, f"'{oid()}'"),
    ):
        seen = world.ask("GetSubmissionSetAndContents", (S + name, known), leaves=leaves)
        assert told(seen) == told(world.ask("GetSubmissionSetAndContents", (S + name, strange), leaves=leaves))
    for name, parameter in (
        ("GetAssociations", "$uuid"),
        ("GetDocuments", E + "EntryUUID"),
        ("GetFolders", F + "EntryUUID"),
    ):
        seen = world.ask(name, (parameter, f"({by_uuid})"), leaves=leaves)
        assert told(seen) == told(world.ask(name, (parameter, f"('{samples.new_uuid()}')"), leaves=leaves))


def test_h5_what_starts_from_the_patient(world: Hidden) -> None:
    """Sets of masked documents only, and sets that change one, by their author and their time as well."""
    record = shown(world.elsewhere(561))
    before = record.view()
    document, folder = record.world.masked(), record.folder
    made = record.world.deposited(document, record.world.masked())
    author = world.author.about(record.world.key)
    for change in ((APPROVED, ARCHIVED), (ARCHIVED, APPROVED)):
        assert world.domain.status(author, record.world.key, document.entry_uuid, *change).verdict == "Success"
    hidden = record.world.masked()
    record.world.deposited(hidden, links=[samples.member(folder.entry_uuid, hidden.entry_uuid)])
    unchanged(record, before, *both(document), *both(hidden), made.submission_sets[0].entry_uuid)


def test_h7_h8_retrieval_by_an_answer_that_was_kept(world: Hidden) -> None:
    """Masked after he had learned its id: alone and beside one that he may read, in either order, and twice."""
    open_one, document = world.entry(), world.entry()
    world.deposited(open_one, document)
    assert [each.data for each in world.get(document.unique_id).answer.documents] == [data(document)]
    world.mask(document)
    never = oid()
    assert told(world.get(document.unique_id)) == told(world.get(never))
    assert world.get(document.unique_id).verdict == UNKNOWN_DOCUMENT
    for order in ((0, 1), (1, 0), (1, 0, 1), (1, 1)):
        of_masked, of_unknown = (
            world.get(*((open_one.unique_id, name)[place] for place in order)) for name in (document.unique_id, never)
        )
        assert told(of_masked) == told(of_unknown)
        assert of_masked.verdict.endswith("XDSDocumentUniqueIdError")
        assert {each.data for each in of_masked.answer.documents} == ({data(open_one)} if 0 in order else set())


@pytest.mark.parametrize("why", WHY)
def test_h7_h8_retrieval_of_each_kind(kept: Mapping[str, Kept], why: str) -> None:
    found, name = kept[why], kept[why].document.unique_id
    visible = found.world.entry()
    found.world.deposited(visible)
    assert told(found.world.get(name)) == told(found.world.get(oid()))
    assert told(found.world.get(visible.unique_id, name)) == told(found.world.get(visible.unique_id, oid()))
    assert found.world.get(visible.unique_id, name).verdict == "PartialSuccess XDSDocumentUniqueIdError"
    assert [each.data for each in found.seen_in.get(name).answer.documents] == [data(found.document)]


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hidden]:
    """Two objects are the most that an answer may hold, forty the most references."""
    with hidden_record(tmp_path_factory.mktemp("narrow"), 571, {"limits": {"query_results": 2}}) as found:
        yield found


def test_h11_limits_count_what_is_seen(narrow: Hidden) -> None:
    documents = [narrow.entry(), narrow.entry()]
    narrow.deposited(*documents)
    parameters = next(narrow.everything())[1]
    before = [narrow.ask("FindDocuments", *parameters, leaves=leaves) for leaves in (True, False)]
    narrow.deposited(*(narrow.masked() for _ in range(41)))
    after = [narrow.ask("FindDocuments", *parameters, leaves=leaves) for leaves in (True, False)]
    assert [told(each) for each in after] == [told(each) for each in before]
    assert [each.verdict for each in after] == ["Success", "Success"]
    for leaves in (True, False):
        asked = narrow.ask("FindDocuments", *parameters, leaves=leaves, by=narrow.attending)
        assert asked.verdict == "Failure XDSTooManyResults", "who sees them is told that they are many"
    narrow.deposited(narrow.entry())
    refused = narrow.ask("FindDocuments", *parameters)
    assert (refused.verdict, "43" in refused.text, "44" in refused.text) == ("Failure XDSTooManyResults", False, False)


@pytest.mark.parametrize("why", WHY)
def test_h12_the_database_does_the_same_work_for_hidden_and_unknown(
    kept: Mapping[str, Kept], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statements of whole messages, from the assertion to the journal, in a process of the server's database."""
    found = kept[why]
    document, strange = found.document, unknown(found.document)
    with Traced(found.world, monkeypatch) as traced:
        pairs = list(zip(found.world.about_entry(document), found.world.about_entry(strange), strict=True))
        for _ in range(2):  # the first access is told to the patient; the second learns that it was
            traced.work(wire.query("GetDocuments", (E + "UniqueId", listed([oid()]))))
        for leaves in (True, False):
            for (name, known), (_, other) in pairs:
                ask = [wire.query(name, *each, leaves=leaves) for each in (known, other)]
                assert traced.work(ask[0]) == traced.work(ask[1]), name
        repository = found.world.domain.repository
        done = [traced.work(wire.retrieve(repository, each.unique_id or "")) for each in (document, strange)]
        assert done[0] == done[1]
        assert any("document_mask" in each for each in done[0]), "the scope is part of it"


class Traced:
    """A second process of a server's database, which notes each statement that SQLite runs, without its values."""

    def __init__(self, world: Hidden, monkeypatch: pytest.MonkeyPatch) -> None:
        self._world = world
        self._seen: list[str] = []

        def connect(path: Path, **how: Any) -> Any:
            connection = plain(path, **how)
            connection.set_trace_callback(self._seen.append)
            return connection

        monkeypatch.setattr(sqlite, "connect", connect)
        ready = prepare(load_settings(world.domain.tls.server.config))
        self._actors = open_actors(ready, wall_clock)
        assert self._actors.trust.refresh()
        self._server = soap_server(self._actors, ready)

    def __enter__(self) -> Traced:
        return self

    def __exit__(self, *exc: object) -> None:
        self._actors.close()

    def work(self, message: wire.Message) -> list[str]:
        """The statements of one message that is answered."""
        reader = self._world.reader.about(self._world.key)
        signed = message.replaced(b"</s:Header>", reader.header() + b"</s:Header>", 1)
        certificate = x509.load_pem_x509_certificate(reader.card.authentication.certificate.read_bytes())
        incoming = Incoming(message.path, mtom=False, peer="192.0.2.1", certificate=certificate.public_bytes(Encoding.DER))
        self._seen.clear()
        exchange = self._server.open(signed.body, incoming)
        reply = exchange.reply or self._server.finish(exchange, {})
        assert reply.status == 200, b"".join(reply.pieces)
        done = [re.sub(r"x?'(?:[^']|'')*'|\b\d+\b", "?", each) for each in self._seen]
        assert done
        return done


def test_h13_no_answer_is_kept_or_shared(world: Hidden) -> None:
    """No header by which an answer could be kept; conditions are not looked at; each caller gets his own, at once."""
    document = world.entry()
    world.deposited(document)
    name = document.unique_id or ""
    look = partial(wire.query, "GetDocuments", (E + "UniqueId", listed([name])))
    fetch = partial(wire.retrieve, world.domain.repository, name)
    conditions = (
        'If-None-Match: "*", *',
        "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT",
        "Cache-Control: only-if-cached, max-stale",
        'If-Match: "x"',
        "Range: bytes=0-0",
    )

    def send(message: Callable[[], wire.Message], who: Speaker) -> wire.Seen:
        return world.domain.send(who.about(world.key), replace(message(), headers=conditions))

    for message in (look, fetch):
        for who in (world.reader, world.attending, world.author):
            seen = send(message, who)
            assert (seen.status, seen.verdict) == (200, "Success")
            headers = {name.lower(): value for name, value in seen.answer.http.headers}
            assert headers["cache-control"] == "no-store"
            assert not {"etag", "last-modified", "expires", "age", "vary"} & headers.keys()
            assert name in ids(seen.answer)
    world.mask(document)
    unseen = [told(send(message, world.reader)) for message in (look, fetch)]
    for message, expected in zip((look, fetch), unseen, strict=True):
        for _ in range(2):
            assert name in ids(send(message, world.attending).answer)
            assert told(send(message, world.reader)) == expected
    assert not ids(send(look, world.reader).answer)
    assert send(fetch, world.reader).verdict == UNKNOWN_DOCUMENT

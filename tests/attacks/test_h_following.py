"""Attacks that try to take a mask off: by registering again, replacing, amending, changing, withdrawing, or being faster.

The mask is the document's, not the entry's: the stricter of all that is said about a document wins.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ebrim.rs import write_submit_objects_request
from tests import samples
from tests.attacks.masked_record import UNKNOWN_DOCUMENT, E, Hidden, data, hidden_record, ids, oid, told
from tests.e2e import wire
from tests.e2e.dmp_domain import APPROVED, ARCHIVED, DELETED, MASKED, NORMAL, entry
from tests.e2e.wire import listed
from xds_metadata import associations as types
from xds_metadata.model import DocumentEntry

REFUSED = "fault Sender/DMPAccessDeniedByRightsService"
PROOF = os.environ.get("LIASSE_PROOF") == "1"
READERS, MASKS = 16, 200 if PROOF else 12


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hidden]:
    with hidden_record(tmp_path_factory.mktemp("following"), 521, {"server": {"workers": 2}}) as found:
        yield found


def hidden(world: Hidden, *documents: DocumentEntry) -> None:
    """None of these exists for the reader, by whichever way; they do for who may see them."""
    never = world.get(oid())
    found = world.domain.find(world.reader, world.key, APPROVED, ARCHIVED, _DEPRECATED)
    for document in documents:
        assert document.unique_id not in found
        assert told(world.get(document.unique_id)) == told(never)
        assert not ids(world.ask("GetDocuments", (E + "UniqueId", listed([document.unique_id or ""]))).answer)
        assert world.get(document.unique_id, by=world.attending).verdict == "Success"


def shown(world: Hidden, *documents: DocumentEntry) -> None:
    for document in documents:
        assert [each.data for each in world.get(document.unique_id).answer.documents] == [data(document)]


_DEPRECATED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"


def test_h14_the_same_document_registered_again_without_the_mask(world: Hidden) -> None:
    first = world.masked()
    world.deposited(first)
    for author in (world.author, world.reader):
        twin = entry(world.key, author, unique_id=first.unique_id)
        world.deposited(twin, by=world.source)
        if author is world.author:
            hidden(world, first, twin)
    assert [each.data for each in world.get(first.unique_id).answer.documents] == [data(first)], "his own deposit is his"


def test_h14_the_twin_of_another_patient_opens_nothing(world: Hidden) -> None:
    first, other = world.masked(), world.elsewhere(522)
    world.deposited(first)
    other.deposited(entry(other.key, other.author, unique_id=first.unique_id), by=other.source)
    hidden(world, first)
    assert [each.data for each in other.get(first.unique_id).answer.documents] == [data(first)], "that record has it"


def test_h14_a_registration_without_the_bytes(world: Hidden) -> None:
    """ITI-42 would file a document that the caller need not have: in a shared record it files nothing."""
    first = world.masked()
    world.deposited(first)
    claimed = entry(
        world.key,
        world.reader,
        unique_id=first.unique_id,
        hash=wire.sha1(data(first)),
        size=str(len(data(first))),
        repository_unique_id=samples.REPOSITORY,
    )
    message = wire.simple(
        wire.REGISTRY, wire.envelope(wire.REGISTER, write_submit_objects_request(samples.objects(world.submission(claimed))))
    )
    assert world.domain.send(world.reader.about(world.key), message).verdict == REFUSED
    hidden(world, first)


@pytest.mark.parametrize("kind", [types.RPLC, types.XFRM_RPLC])
def test_h15_a_replacement(world: Hidden, kind: str) -> None:
    first = world.entry()
    world.deposited(first)
    stolen = entry(world.key, world.reader, unique_id=oid())
    value = world.submission(stolen, links=[samples.link(kind, stolen.entry_uuid, first.entry_uuid)])
    assert world.domain.provide(world.reader.about(world.key), value).verdict == REFUSED, "by who is not its author"
    current, second = world.mask(first), world.entry()
    world.deposited(second, links=[samples.link(kind, second.entry_uuid, current)])
    hidden(world, first, second)
    third = world.entry()
    world.deposited(third, links=[samples.link(types.RPLC, third.entry_uuid, second.entry_uuid)])
    hidden(world, first, second, third)


@pytest.mark.parametrize("kind", [types.APND, types.XFRM])
def test_h15_an_addendum_and_a_transformation(world: Hidden, kind: str) -> None:
    first = world.masked()
    world.deposited(first)
    second = world.entry()
    world.deposited(second, links=[samples.link(kind, second.entry_uuid, first.entry_uuid)])
    together, beside = world.masked(), world.entry()
    world.deposited(together, beside, links=[samples.link(kind, beside.entry_uuid, together.entry_uuid)])
    hidden(world, first, second, together, beside)


@pytest.mark.parametrize("kind", [types.APND, types.XFRM])
def test_h16_what_was_filed_before_the_mask_follows_it(world: Hidden, kind: str) -> None:
    first, second, third = world.entry(), world.entry(), world.entry()
    world.deposited(first)
    world.deposited(second, links=[samples.link(kind, second.entry_uuid, first.entry_uuid)])
    world.deposited(third, links=[samples.link(types.XFRM, third.entry_uuid, second.entry_uuid)])
    shown(world, first, second, third)
    world.mask(first)
    hidden(world, first, second, third)
    world.mask(second, NORMAL, MASKED)
    world.mask(first, NORMAL, version=2)
    shown(world, first)
    hidden(world, second, third)
    world.mask(second, NORMAL, version=2)
    shown(world, first, second, third)


def test_h16_a_masked_addendum_does_not_mask_the_document(world: Hidden) -> None:
    first, second = world.entry(), world.entry()
    world.deposited(first)
    world.deposited(second, links=[samples.link(types.APND, second.entry_uuid, first.entry_uuid)])
    world.mask(second)
    hidden(world, second)
    shown(world, first)


def test_h16_replaced_versions_have_the_mask_of_what_replaced_them(world: Hidden) -> None:
    first, addendum, second = world.entry(), world.entry(), world.entry()
    world.deposited(first)
    world.deposited(addendum, links=[samples.link(types.APND, addendum.entry_uuid, first.entry_uuid)])
    world.deposited(second, links=[samples.link(types.RPLC, second.entry_uuid, first.entry_uuid)])
    shown(world, first, addendum, second)
    world.mask(second)
    hidden(world, first, addendum, second)
    world.mask(second, NORMAL, version=2)
    shown(world, first, addendum, second)


def test_h16_a_mask_put_on_a_replaced_version_hides_its_replacement_until_that_is_opened(world: Hidden) -> None:
    first, second = world.entry(), world.entry()
    world.deposited(first)
    world.deposited(second, links=[samples.link(types.RPLC, second.entry_uuid, first.entry_uuid)])
    world.mask(first)
    hidden(world, first, second)


def test_h16_statuses_folders_and_updates(world: Hidden) -> None:
    first, folder = world.masked(), world.folder(codes=(samples.code("open"),))
    world.deposited(first)
    author = world.author.about(world.key)
    assert world.domain.status(author, world.key, first.entry_uuid, APPROVED, ARCHIVED).verdict == "Success"
    hidden(world, first)
    assert world.domain.status(author, world.key, first.entry_uuid, ARCHIVED, APPROVED).verdict == "Success"
    own = world.entry()
    world.deposited(own, folders=[folder], links=[samples.member(folder.entry_uuid, first.entry_uuid)])
    hidden(world, first)
    contents = world.ask("GetFolderAndContents", ("$XDSFolderEntryUUID", f"'{folder.entry_uuid}'"))
    assert first.unique_id not in ids(contents.answer)
    retyped = replace(first, type_code=samples.code("another"))
    assert world.domain.codes(author, retyped, NORMAL, MASKED).verdict == REFUSED, "nothing else may change"
    assert world.domain.codes(world.reader.about(world.key), first, NORMAL).verdict.startswith("Failure Unresolved")
    hidden(world, first)
    assert world.domain.status(author, world.key, first.entry_uuid, APPROVED, DELETED).verdict == "Success"
    found = world.domain.find(world.reader, world.key, APPROVED, ARCHIVED, _DEPRECATED, DELETED)
    assert first.unique_id not in found
    assert world.get(first.unique_id).verdict == UNKNOWN_DOCUMENT


def test_h16_the_operators_repair_and_withdrawal_keep_it(world: Hidden) -> None:
    first, second = world.entry(), world.entry()
    world.deposited(first)
    world.deposited(second, links=[samples.link(types.APND, second.entry_uuid, first.entry_uuid)])
    world.mask(first)
    hidden(world, first, second)
    for command in (["reindex", "--restart"], ["fsck"]):
        _operator(world, *command)
        hidden(world, first, second)
    newer = world.masked()
    current = world.mask(first, NORMAL, version=2)
    world.deposited(newer, links=[samples.link(types.RPLC, newer.entry_uuid, current)])
    hidden(world, first, second, newer)
    _operator(world, "withdraw", newer.unique_id or "", "--reason", "filed by mistake")
    shown(world, first, second)
    _operator(world, "withdraw", newer.unique_id or "", "--reason", "it was right", "--undo")
    hidden(world, first, second, newer)


def _operator(world: Hidden, *command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "liasse", *command, "--config", str(world.domain.tls.server.config)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.proof
def test_h17_no_read_that_starts_after_the_mask_returns_the_document(world: Hidden) -> None:
    """Readers never stop while documents are masked one after the other; what counts is when a read began."""
    documents = [world.entry() for _ in range(MASKS)]
    for start in range(0, MASKS, 40):
        world.deposited(*documents[start : start + 40])
    masked_at: dict[str, float] = {}
    reads: list[tuple[str, float, bool]] = []
    over = threading.Event()
    readers = [world.domain.professional(f"racer-{number}") for number in range(READERS)]
    world.domain.authorise(world.key, *readers)

    def read(number: int) -> None:
        speaker = readers[number].about(world.key)
        turn = number
        while not over.is_set():
            document = documents[turn % MASKS]
            began = time.monotonic()
            if turn % 2:
                given = bool(world.domain.get(speaker, document.unique_id or "").answer.documents)
            else:
                given = (document.unique_id or "") in world.domain.find(speaker, world.key)
            reads.append((document.unique_id or "", began, given))
            turn += 1

    threads = [threading.Thread(target=read, args=(number,)) for number in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        for document in documents:
            world.mask(document)
            masked_at[document.unique_id or ""] = time.monotonic()
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert any(given for _, _, given in reads), "some were read while they were open"
    late = [name for name, began, given in reads if given and began > masked_at[name]]
    assert late == []
    assert sum(began > masked_at[name] for name, began, _ in reads) > MASKS
    hidden(world, *documents)

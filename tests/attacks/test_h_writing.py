"""Class H of the attack catalogue, writing: what refusals of a submission or an update tell about objects that are hidden.

A reference to a hidden object is a reference to nothing. That an id is taken cannot be hidden: it is refused as for an
object that the caller sees, and tells nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import pytest

from tests import samples
from tests.attacks.masked_record import LINKS, UNRESOLVED, Hidden, data, hidden_record, told, unknown
from tests.e2e import wire
from tests.e2e.dmp_domain import APPROVED, ARCHIVED, DELETED, MASKED, NORMAL, cx
from tests.update_side import status_link, update_of
from xds_metadata import associations as types
from xds_metadata.model import Association, Code, DocumentEntry, Folder, Submission, SubmissionSet

TITLE = "Sentinel title"


@dataclass(frozen=True)
class Taken:
    """What somebody filed: a document in a folder, and the submission set."""

    document: DocumentEntry
    folder: Folder
    owner: SubmissionSet


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hidden]:
    with hidden_record(tmp_path_factory.mktemp("writing"), 581) as found:
        yield found


@pytest.fixture(scope="module")
def taken(world: Hidden) -> dict[str, Taken]:
    other = world.elsewhere(582)
    return {
        "masked": filed(world, world.masked(title=TITLE)),
        "of another patient": filed(other, other.entry(title=TITLE)),
        "visible": filed(world, world.entry(title=TITLE)),
    }


def filed(home: Hidden, document: DocumentEntry) -> Taken:
    folder = home.folder(title=TITLE)
    member = samples.member(folder.entry_uuid, document.entry_uuid)
    made = home.deposited(document, folders=[folder], links=[member])
    return Taken(document, folder, made.submission_sets[0])


def linked(kind: str, source: str, target: str) -> Association:
    """An association whose own id tells nothing either."""
    return replace(samples.link(kind, source, target), entry_uuid=samples.new_uuid())


def submitted(world: Hidden, value: Submission) -> wire.Seen:
    return world.domain.provide(world.reader.about(world.key), value)


def related(world: Hidden, document: DocumentEntry, kind: str) -> wire.Seen:
    own = world.entry(authors=(world.reader.author,))
    return submitted(world, world.submission(own, links=[linked(kind, own.entry_uuid, document.entry_uuid)]))


def in_new_folder(world: Hidden, document: DocumentEntry) -> wire.Seen:
    folder = world.folder()
    return submitted(
        world, world.submission(folders=[folder], links=[linked(types.HAS_MEMBER, folder.entry_uuid, document.entry_uuid)])
    )


def in_own_set(world: Hidden, document: DocumentEntry) -> wire.Seen:
    """Referenced by the submission set, which then would hold it."""
    made = world.submission(world.entry(authors=(world.reader.author,)))
    member = replace(
        linked(types.HAS_MEMBER, made.submission_sets[0].entry_uuid, document.entry_uuid),
        submission_set_status=types.REFERENCE,
    )
    return submitted(world, replace(made, associations=(*made.associations, member)))


def codes(world: Hidden, document: DocumentEntry, *values: Code, version: int = 1) -> wire.Seen:
    """TD3.3a, as if the document were of the reader's patient."""
    here = replace(document, patient_id=cx(world.key))
    return world.domain.codes(world.reader.about(world.key), here, *values, version=version)


def status(world: Hidden, document: DocumentEntry, before: str, after: str) -> wire.Seen:
    """TD3.3c, d."""
    owner = samples.submission_set(patient_id=cx(world.key))
    link = replace(status_link(owner, document.entry_uuid, before, after), entry_uuid=samples.new_uuid())
    return world.domain.update(world.reader.about(world.key), update_of(links=(link,), owner=owner))


WAYS: dict[str, Callable[[Hidden, DocumentEntry], wire.Seen]] = {
    **{kind.rpartition(":")[2]: partial(related, kind=kind) for kind in LINKS},
    "in a folder": in_new_folder,
    "in a set": in_own_set,
    "mask": lambda world, document: codes(world, document, NORMAL, MASKED),
    "unmask": lambda world, document: codes(world, document, NORMAL),
    "wrong version": lambda world, document: codes(world, document, NORMAL, MASKED, version=7),
    "archive": partial(status, before=APPROVED, after=ARCHIVED),
    "delete": partial(status, before=APPROVED, after=DELETED),
    "wrong status": partial(status, before=ARCHIVED, after=APPROVED),
}


@pytest.mark.parametrize("whose", ["masked", "of another patient"])
@pytest.mark.parametrize("way", WAYS)
def test_h9_a_reference_to_what_is_hidden(world: Hidden, taken: dict[str, Taken], way: str, whose: str) -> None:
    document = taken[whose].document
    seen = WAYS[way](world, document)
    assert seen.verdict == UNRESOLVED, seen.text
    assert told(seen) == told(WAYS[way](world, unknown(document)))
    assert TITLE not in seen.answer.http.body.decode()
    visible = filed(world, world.entry()).document
    assert WAYS[way](world, visible).verdict != UNRESOLVED, "the way leads to what he sees"


@pytest.mark.parametrize("kind", ["folder", "set"])
def test_h9_what_another_patient_has_beside_documents(world: Hidden, taken: dict[str, Taken], kind: str) -> None:
    """A folder to file in, a set to add to."""
    target = taken["of another patient"].folder if kind == "folder" else taken["of another patient"].owner

    def file_in(uuid: str) -> wire.Seen:
        own = world.entry(authors=(world.reader.author,))
        return submitted(world, world.submission(own, links=[linked(types.HAS_MEMBER, uuid, own.entry_uuid)]))

    assert told(file_in(target.entry_uuid)) == told(file_in(samples.new_uuid()))


def collisions(world: Hidden, of: Taken) -> Iterator[tuple[str, Submission, bytes]]:
    """(code, submission, document): each takes one id of what is filed."""
    author = (world.reader.author,)
    same = world.entry(authors=author, unique_id=of.document.unique_id)
    yield "XDSNonIdenticalHash", world.submission(same), data(same)[::-1]
    yield "XDSNonIdenticalHash,XDSNonIdenticalSize", world.submission(replace(same, entry_uuid=samples.new_uuid())), b"%PDF-"
    for used in (of.document, of.folder, of.owner):
        own = world.entry(authors=author, entry_uuid=used.entry_uuid)
        yield "XDSRegistryMetadataError", world.submission(own), data(own)
    for unique_id in (of.owner.unique_id, of.document.unique_id, of.folder.unique_id):
        own = world.entry(authors=author)
        made = world.submission(own)
        owner = replace(made.submission_sets[0], unique_id=unique_id)
        yield "XDSDuplicateUniqueIdInRegistry", replace(made, submission_sets=(owner,)), data(own)
        folder = world.folder(unique_id=unique_id)
        yield "XDSDuplicateUniqueIdInRegistry", world.submission(own, folders=[folder]), data(own)


@pytest.mark.parametrize("whose", ["masked", "of another patient"])
def test_h10_an_id_that_is_taken(world: Hidden, taken: dict[str, Taken], whose: str) -> None:
    """The ordinary code and text, as for an object that he sees: no patient, title, hash or id but the one he sent."""
    home = taken[whose]
    secrets = (TITLE, home.document.patient_id or "", world.author.card.identifier, wire.sha1(data(home.document)))
    for (code, value, document), (_, ordinary, other) in zip(
        collisions(world, home), collisions(world, taken["visible"]), strict=True
    ):
        reader = world.reader.about(world.key)
        seen = world.domain.provide(reader, value, document)
        assert seen.verdict == f"Failure {code}", seen.text
        body = seen.answer.http.body.decode()
        assert not [secret for secret in secrets if secret in body]
        assert world.domain.journal()[-1][:2] == ("provide", world.reader.card.identifier)
        assert world.domain.journal()[-1][3:] == (RULES[code], "Failure")
        assert told(seen) == told(world.domain.provide(reader, ordinary, other))


RULES = {
    "XDSNonIdenticalHash": "document-identical",
    "XDSNonIdenticalHash,XDSNonIdenticalSize": "document-identical",
    "XDSRegistryMetadataError": "uuid-unused",
    "XDSDuplicateUniqueIdInRegistry": "unique-id-unused",
}

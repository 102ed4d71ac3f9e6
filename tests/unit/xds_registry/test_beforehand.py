"""A large submission is judged by what is stored before its leaves and rows are built, and again by the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from access_control.context import RequestContext
from access_control.policy import Action
from access_control.scope import Scope
from ebrim.model import RegistryObject
from ebrim.write import Leaf, write_leaf
from tests import samples as s
from tests.registry_side import Side, TestPolicy
from xds_metadata.datatypes import PatientKey
from xds_metadata.model import Submission
from xds_registry import rows

MANY, FEW = 20, 2


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the objects whose leaves were built."""
    found: list[str] = []

    def noting(item: RegistryObject, *, spliced_slot: bool = False) -> Leaf:
        found.append(item.id)
        return write_leaf(item, spliced_slot)

    monkeypatch.setattr(rows, "write_leaf", noting)
    return found


def _folders(number: int = MANY) -> Submission:
    return s.submission(folders=[s.folder() for _ in range(number)])


def _unresolved(number: int) -> Submission:
    return s.submission(s.entry(), references=[s.new_uuid() for _ in range(number)])


def test_unresolved_references_are_refused_before_anything_is_built(side: Side, built: list[str]) -> None:
    value = _unresolved(MANY)
    answer = side.submit(value)
    assert answer.codes == ["UnresolvedReferenceException"] * MANY
    assert built == []
    named = [link for link in value.associations if link.submission_set_status == "Reference"]
    assert all(f"'{link.entry_uuid}'" in answer.text and f"'{link.target}'" in answer.text for link in named)


def test_ids_that_are_registered_are_refused_before_anything_is_built(side: Side, built: list[str]) -> None:
    entry = s.entry(entry_uuid=s.new_uuid())
    first = s.submission(entry, folders=[s.folder() for _ in range(MANY)])
    side.accept(first)
    built.clear()
    answer = side.submit(s.submission(s.entry(entry_uuid=entry.entry_uuid), folders=first.folders))
    assert answer.codes == ["XDSDuplicateUniqueIdInRegistry"] * MANY + ["XDSRegistryMetadataError"]
    assert built == []


def test_many_codes_are_as_good_as_many_objects(side: Side, built: list[str]) -> None:
    codes = tuple(s.code(f"E{n}") for n in range(100))
    first = s.submission(s.entry(event_codes=codes))
    side.accept(first)
    built.clear()
    again = s.submission(s.entry(event_codes=codes, unique_id=first.entries[0].unique_id, hash=s.sha1("x")))
    assert "XDSNonIdenticalHash" in side.submit(again).codes
    assert built == []


def test_few_and_many_are_refused_in_the_same_words(side: Side, built: list[str]) -> None:
    value = _unresolved(FEW)
    few = side.submit(value)
    assert built != []  # small enough to be judged once only
    extra = s.submission(*value.entries, folders=[s.folder() for _ in range(MANY)], owner=value.submission_sets[0])
    links = {link.entry_uuid: link for link in (*value.associations, *extra.associations)}
    kept = {(link.source, link.target): link for link in links.values()}
    many = side.submit(Submission(value.submission_sets, value.entries, extra.folders, tuple(kept.values())))
    assert sorted(e.context.partition(": ")[2] for e in many.errors) == sorted(
        e.context.partition(": ")[2] for e in few.errors
    )


def test_a_large_submission_that_stands_is_registered_and_its_retry_answered(side: Side) -> None:
    value = _folders()
    made = s.objects(value)
    side.accept(made)
    assert side.submit(made).status == "Success"
    assert side.submit(s.objects(value)).status == "Failure"  # other parts: not the same submission


def test_symbolic_ids_that_look_like_another_uuid_are_told_apart(side: Side) -> None:
    uuid = s.new_uuid()
    folders = [s.folder(entry_uuid=uuid.removeprefix("urn:uuid:")), *(s.folder() for _ in range(MANY))]
    side.accept(s.submission(s.entry(entry_uuid=uuid), folders=folders))


@dataclass
class _Rival(TestPolicy):
    """Lets another sender register first, once the submission was judged beforehand."""

    other: Side | None = None
    value: Submission | None = None
    calls: int = 0

    def scope(self, ctx: RequestContext, action: Action, patients: Sequence[PatientKey]) -> Scope:
        self.calls += 1
        if self.calls == 2 and self.other is not None and self.value is not None:
            self.other.accept(self.value)
        return self.shown


def test_what_was_stored_meanwhile_is_found_by_the_transaction(side: Side) -> None:
    value = _folders()
    rival = s.submission(folders=value.folders[:1])
    policy = _Rival(other=side, value=rival)
    slow = Side(side.database)
    slow.policy = policy
    object.__setattr__(slow.registry, "policy", policy)
    answer = slow.submit(value)
    assert policy.calls >= 2
    assert answer.codes == ["XDSDuplicateUniqueIdInRegistry"]
    assert side.submit(value).codes == ["XDSDuplicateUniqueIdInRegistry"]

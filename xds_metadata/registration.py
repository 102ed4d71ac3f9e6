"""What a repository hands to a registry, in-process or over ITI-42: the one thing both actors know.

Source: IHE ITI TF-2 3.42.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ebrim.model import (
    Association,
    Classification,
    ExtrinsicObject,
    LocalizedString,
    RegistryObject,
    RegistryObjectList,
    Slot,
)
from xds_metadata.model import Submission

Effect = Callable[[Any], None]
"""Statements of another owner (journal row, document state) run in the registry's own transaction, on its connection."""

_REPOSITORY_SLOTS = frozenset({"hash", "size", "repositoryUniqueId"})


@dataclass(frozen=True, slots=True)
class Registration:
    """One submission, complete and checked against the metadata rules.

    `digest` recognises a retry; `sender` says whose. `effects` are run with the registration or not at all;
    `replay_effects` in their place when it turns out to be a retry, which is answered as the first time was.
    """

    objects: RegistryObjectList
    submission: Submission
    digest: str
    sender: str
    effects: tuple[Effect, ...] = field(default=())
    replay_effects: tuple[Effect, ...] = field(default=())


def objects_of(submission: Submission) -> tuple[tuple[str, str], ...]:
    """The (kind, uniqueId) pairs by which records name a submission: its set, then its documents."""
    sets = (("submission-set", one.unique_id or "") for one in submission.submission_sets)
    return (*sets, *(("document", entry.unique_id or "") for entry in submission.entries))


_ABSENT, _PART, _SLOT, _TEXT = "\x01", "\x02", "\x03", "\x04"
"""What begins a piece of the form that is hashed; like the zero byte between pieces, no character of an XML document."""


def _absent(*values: str | None) -> Iterator[str]:
    return (_ABSENT if value is None else value for value in values)


def _add_slots(pieces: list[str], slots: Iterable[Slot], without: frozenset[str] = frozenset()) -> None:
    for slot in slots:
        if slot.name not in without:
            pieces += (_SLOT, slot.name, *slot.values)


def _add_texts(pieces: list[str], name: str, texts: Iterable[LocalizedString]) -> None:
    for text in texts:
        pieces += (_TEXT, name, text.lang, text.value)


def _add_classification(pieces: list[str], item: Classification) -> None:
    pieces += (_PART, "Classification", item.id)
    pieces += _absent(item.scheme, item.node, item.classified_object, item.node_representation)
    _add_slots(pieces, item.slots)
    _add_texts(pieces, "Name", item.name)
    _add_texts(pieces, "Description", item.description)


def _add_object(pieces: list[str], item: RegistryObject) -> None:
    pieces += (_PART, type(item).__name__, item.id)
    pieces += _absent(item.lid, item.home, item.status, item.version)
    without: frozenset[str] = frozenset()
    if isinstance(item, ExtrinsicObject):
        pieces += (item.mime_type, str(item.is_opaque), item.object_type or _ABSENT)
        without = _REPOSITORY_SLOTS
    elif isinstance(item, Association):
        pieces += (item.association_type, item.source, item.target)
    _add_slots(pieces, item.slots, without)
    _add_texts(pieces, "Name", item.name)
    _add_texts(pieces, "Description", item.description)
    for part in item.classifications:
        _add_classification(pieces, part)
    for identifier in item.external_identifiers:
        pieces += (_PART, "ExternalIdentifier", identifier.id, identifier.scheme, identifier.value)
        pieces += _absent(identifier.registry_object)
        _add_texts(pieces, "Name", identifier.name)


def submission_digest(objects: RegistryObjectList, documents: Iterable[tuple[str, str]] = ()) -> str:
    """SHA-256, lower-case hex, of what a sender means: the objects without the slots that a repository fills in, and the
    documents as (id, SHA-256), in any order.

    It is taken over the values that were read, in their order, so that prefixes, white space and attribute order do not
    count.
    """
    pieces: list[str] = []
    for item in (*objects.extrinsic_objects, *objects.packages, *objects.associations):
        _add_object(pieces, item)
    for part in objects.classifications:
        _add_classification(pieces, part)
    for document_id, sha256 in sorted(documents):
        pieces += (_PART, "Document", document_id, sha256)
    return hashlib.sha256("\0".join(pieces).encode()).hexdigest()

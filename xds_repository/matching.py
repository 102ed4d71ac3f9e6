"""Documents and entries of one ITI-41 message, matched both ways; hash and size compared; repository slots filled in.

Source: IHE ITI TF-2 3.41.4.1.3; TF-3 4.2.3.2.10 (hash), .18 (repositoryUniqueId), .22 (size).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ebrim import model as rim
from xds_metadata.errors import METADATA_ERROR, Finding
from xds_metadata.from_ebrim import shown
from xds_metadata.model import DocumentEntry, Submission
from xds_repository.messages import ProvidedDocument

_FILLED = ("hash", "size", "repositoryUniqueId")


class Received(Protocol):
    """Received bytes: hashes in lower-case hex, size in bytes."""

    @property
    def sha1(self) -> str:
        """SHA-1."""
        ...

    @property
    def sha256(self) -> str:
        """SHA-256."""
        ...

    @property
    def size(self) -> int:
        """Bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Matched:
    """An entry with the document that belongs to it."""

    entry: DocumentEntry
    document: ProvidedDocument


def match(
    submission: Submission, documents: Sequence[ProvidedDocument], caseless: bool
) -> tuple[tuple[Matched, ...], tuple[Finding, ...]]:
    """Entries with their documents, and what does not match. `caseless`: ids are compared without regard to case."""
    findings = list(_check_documents(documents))

    def key(value: str) -> str:
        return value.lower() if caseless else value

    by_id = {key(document.id): document for document in documents}
    matched: list[Matched] = []
    for entry in submission.entries:
        document = by_id.pop(key(entry.entry_uuid), None)
        if document is None:
            text = f"{shown(entry.entry_uuid)}: the message holds no Document of that id"
            findings.append(Finding("XDSMissingDocument", text, rule="document-present"))
        else:
            matched.append(Matched(entry, document))
    for document in by_id.values():
        text = f"{shown(document.id)}: no DocumentEntry has the id of this Document"
        findings.append(Finding("XDSMissingDocumentMetadata", text, rule="document-described"))
    return tuple(matched), tuple(findings)


def _check_documents(documents: Sequence[ProvidedDocument]) -> Iterator[Finding]:
    for document_id, count in Counter(document.id for document in documents).items():
        if count > 1:
            yield Finding(METADATA_ERROR, f"{count} Documents have the id {shown(document_id)}", rule="document-once")
    for content_id, count in Counter(d.content_id for d in documents if d.content_id is not None).items():
        if count > 1:
            yield Finding(METADATA_ERROR, f"{count} Documents include the part {shown(content_id)}", rule="part-once")


def check_parts(matched: Sequence[Matched], parts: Mapping[str, object]) -> Iterator[Finding]:
    """Every included part was received, and every received part is included."""
    wanted = {m.document.content_id for m in matched if m.document.content_id is not None}
    for m in matched:
        if m.document.content_id is not None and m.document.content_id not in parts:
            text = f"{shown(m.entry.entry_uuid)}: the part {shown(m.document.content_id)} is not in the message"
            yield Finding("XDSMissingDocument", text, rule="part-present")
    for content_id in parts:
        if content_id not in wanted:
            yield Finding(
                "XDSMissingDocumentMetadata", f"{shown(content_id)}: no Document includes this part", rule="part-described"
            )


def check_received(entry: DocumentEntry, received: Received) -> Iterator[Finding]:
    """Submitted hash and size, where there are any, are those of the received bytes."""
    label = f"DocumentEntry {shown(entry.entry_uuid)}"
    if entry.hash is not None and entry.hash.lower() != received.sha1:
        yield Finding(
            METADATA_ERROR, f"{label}: hash is {shown(entry.hash)}, the document's is '{received.sha1}'", rule="hash"
        )
    if entry.size is not None and int(entry.size) != received.size:
        yield Finding(
            METADATA_ERROR, f"{label}: size is {shown(entry.size)}, the document has {received.size} bytes", rule="size"
        )


def fill_in(
    objects: rim.RegistryObjectList, submission: Submission, received: Mapping[str, Received], repository: str
) -> tuple[rim.RegistryObjectList, Submission]:
    """Both views with hash, size and repositoryUniqueId set; `received` by entry id. Everything else stays as it was."""
    values = {
        entry_id: {"hash": r.sha1, "size": str(r.size), "repositoryUniqueId": repository} for entry_id, r in received.items()
    }
    amended = tuple(
        replace(
            item,
            slots=(
                *(slot for slot in item.slots if slot.name not in _FILLED),
                *(rim.Slot(name, (values[item.id][name],)) for name in _FILLED),
            ),
        )
        for item in objects.extrinsic_objects
    )
    entries = tuple(
        replace(
            entry,
            hash=values[entry.entry_uuid]["hash"],
            size=values[entry.entry_uuid]["size"],
            repository_unique_id=repository,
        )
        for entry in submission.entries
    )
    return replace(objects, extrinsic_objects=amended), replace(submission, entries=entries)

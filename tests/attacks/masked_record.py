"""A record with masked documents, a professional who wants to see them, and answers made comparable byte by byte.

Ids are of one width here, so that two answers about different objects have the same size unless one of them tells more.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from conformance.answer import Answer
from tests import samples
from tests.e2e import wire
from tests.e2e.dmp_domain import MASKED, NORMAL, DmpDomain, Speaker, content, cx, dmp_domain, entry, patient
from tests.e2e.wire import listed
from tests.update_side import update_of
from xds_metadata import associations as types
from xds_metadata.datatypes import PatientKey
from xds_metadata.model import Association, Code, DocumentEntry, Folder, Submission

E, S, F = "$XDSDocumentEntry", "$XDSSubmissionSet", "$XDSFolder"
LINKS = (types.RPLC, types.APND, types.XFRM, types.XFRM_RPLC, types.SIGNS)
UNKNOWN_DOCUMENT = "Failure XDSDocumentUniqueIdError"
UNRESOLVED = "Failure UnresolvedReferenceException"
_numbers = itertools.count(10_001)
_RUN = samples.oid().rpartition(".")[0]
_SAME = (
    (re.compile(rb"urn:uuid:[0-9a-f-]{36}"), b"urn:uuid:*"),
    (re.compile(re.escape(_RUN).encode() + rb"\.7\d{5}\b"), b"oid:*"),
    (re.compile(rb"\b[0-9a-f]{40}\b"), b"sha1:*"),
)
_TOKEN = re.compile(r"\.[0-9a-f]{16,32}@liasse")
Told = tuple[int, tuple[tuple[str, str], ...], int, bytes]


def oid() -> str:
    """A fresh uniqueId of a fixed width."""
    return f"{_RUN}.7{next(_numbers)}"


def told(seen: wire.Seen) -> Told:
    """All that an answer tells: status, header, size, and the body without what differs from answer to answer."""
    http = seen.answer.http
    boundary = re.search(r'boundary="?([^";]+)', http.header("Content-Type") or "")
    mark = boundary[1] if boundary else "\0"
    headers = tuple(sorted((name.lower(), _TOKEN.sub("*", value.replace(mark, "*"))) for name, value in http.headers))
    body = re.sub(_TOKEN.pattern.encode(), b"*", http.body.replace(mark.encode(), b"*"))
    for pattern, same in _SAME:
        body = pattern.sub(same, body)
    return http.status, tuple(each for each in headers if each[0] != "date"), len(http.body), body


def new_version(document: DocumentEntry, *codes: Code) -> DocumentEntry:
    """The next version of a stored document, with other confidentiality codes."""
    return replace(
        document,
        entry_uuid=samples.new_uuid(),
        logical_id=document.entry_uuid,
        confidentiality_codes=codes,
        hash=wire.sha1(content(document)),
        size=str(len(content(document))),
        repository_unique_id=samples.REPOSITORY,
    )


@dataclass(frozen=True)
class Hidden:
    """The record: `author` wrote what is masked, `attending` sees it, `reader` is authorised and must not."""

    domain: DmpDomain
    key: PatientKey
    author: Speaker
    attending: Speaker
    reader: Speaker
    source: Speaker

    def entry(self, *codes: Code, **changes: Any) -> DocumentEntry:
        """A document of the author."""
        values: dict[str, Any] = {"unique_id": oid(), "confidentiality_codes": codes or (NORMAL,)}
        return entry(self.key, self.author, **(values | changes))

    def masked(self, **changes: Any) -> DocumentEntry:
        """A masked document of the author."""
        return self.entry(NORMAL, MASKED, **changes)

    def deposited(
        self,
        *entries: DocumentEntry,
        links: Sequence[Association] = (),
        folders: Sequence[Folder] = (),
        by: Speaker | None = None,
    ) -> Submission:
        """A submission that must succeed, by default of the author."""
        made = self.submission(*entries, links=links, folders=folders)
        seen = self.domain.provide((by or self.author).about(self.key), made)
        assert seen.verdict == "Success", (seen.verdict, seen.text)
        return made

    def submission(
        self, *entries: DocumentEntry, links: Sequence[Association] = (), folders: Sequence[Folder] = ()
    ) -> Submission:
        """A submission about the record, its set under ids of one width."""
        owner = samples.submission_set(
            entry_uuid=samples.new_uuid(), unique_id=oid(), patient_id=cx(self.key), authors=(self.author.author,)
        )
        return samples.submission(*entries, owner=owner, links=links, folders=folders)

    def folder(self, **changes: Any) -> Folder:
        """A folder of the record."""
        values: dict[str, Any] = {"entry_uuid": samples.new_uuid(), "unique_id": oid(), "patient_id": cx(self.key)}
        return samples.folder(**(values | changes))

    def ask(self, name: str, *parameters: tuple[str, str], by: Speaker | None = None, leaves: bool = True) -> wire.Seen:
        """ITI-18 of the reader, unless another asks."""
        return self.domain.ask((by or self.reader).about(self.key), name, *parameters, leaves=leaves)

    def get(self, *unique_ids: str | None, by: Speaker | None = None) -> wire.Seen:
        """ITI-43 of the reader, unless another asks."""
        return self.domain.get((by or self.reader).about(self.key), *(each or "" for each in unique_ids))

    def mask(self, document: DocumentEntry, *codes: Code, by: Speaker | None = None, version: int = 1) -> str:
        """TD3.3a: masked, or given other codes, by the attending doctor at the patient's wish. The new entryUUID."""
        changed = new_version(document, *(codes or (NORMAL, MASKED)))
        seen = self.domain.update((by or self.attending).about(self.key), update_of(changed, previous=version))
        assert seen.verdict == "Success", (seen.verdict, seen.text)
        return changed.entry_uuid

    def about_entry(self, document: DocumentEntry) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
        """Every query that starts from a document, by both of its ids where they may be used."""
        by_uuid, by_oid = (E + "EntryUUID", document.entry_uuid), (E + "UniqueId", document.unique_id or "")
        every = ("$AssociationTypes", listed(LINKS))
        for name, value in (by_uuid, by_oid):
            yield "GetDocuments", ((name, listed([value])),)
            yield "GetDocumentsAndAssociations", ((name, listed([value])),)
            yield "GetFoldersForDocument", ((name, f"'{value}'"),)
            yield "GetRelatedDocuments", ((name, f"'{value}'"), every)
        yield "GetAssociations", (("$uuid", listed([document.entry_uuid])),)
        yield "GetSubmissionSets", (("$uuid", listed([document.entry_uuid])),)

    def everything(self) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
        """Every query that starts from the patient."""
        me, approved = f"'{cx(self.key)}'", listed(["urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"])
        yield "FindDocuments", ((E + "PatientId", me), (E + "Status", approved))
        yield "FindSubmissionSets", ((S + "PatientId", me), (S + "Status", approved))
        yield (
            "FindSubmissionSets",
            (
                (S + "PatientId", me),
                (S + "Status", approved),
                (S + "AuthorPerson", "('%Test%')"),
                (S + "SubmissionTimeFrom", "2024"),
            ),
        )
        yield "FindFolders", ((F + "PatientId", me), (F + "Status", approved))
        statuses = tuple((kind + "Status", approved) for kind in (E, S, F))
        yield "GetAll", (("$patientId", me), *statuses)

    def elsewhere(self, number: int) -> Hidden:
        """The same people before a record of its own."""
        key = self.domain.open(patient(number))
        self.domain.authorise(key, self.author, self.attending, self.reader)
        self.domain.attend(key, self.attending)
        return replace(self, key=key)


def unknown(like: DocumentEntry) -> DocumentEntry:
    """A document that nobody registered, as like another as ids can be."""
    return replace(like, entry_uuid=samples.new_uuid(), unique_id=oid())


def ids(answer: Answer) -> set[str]:
    """Every UUID and uniqueId that an answer names, but for the id of the message and what it answers."""
    text = answer.http.body.decode("utf-8", "replace")
    text = re.sub(r"<[^>]*(MessageID|RelatesTo)[^>]*>[^<]*", "", text)
    return {*re.findall(r"urn:uuid:[0-9a-f-]{36}", text), *re.findall(re.escape(_RUN) + r"\.7\d{5}\b", text)}


def data(document: DocumentEntry) -> bytes:
    """The document of an entry."""
    return content(document)


@contextmanager
def hidden_record(folder: Path, number: int, settings: dict[str, Any] | None = None, **options: Any) -> Iterator[Hidden]:
    """A server with such a record."""
    with dmp_domain(folder, options or None, settings) as domain:
        key = domain.open(patient(number))
        author, attending, reader = (domain.professional(name) for name in ("author", "attending", "reader"))
        domain.authorise(key, author, attending, reader)
        domain.attend(key, attending)
        yield Hidden(domain, key, author, attending, reader, domain.structure())

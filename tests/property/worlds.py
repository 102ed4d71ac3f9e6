"""Two records on one server that differ by a hidden document alone, and what a caller without right to it is answered.

Whatever is done is done in both, with ids of the same width; what differs from world to world is named by the order in which
it was met, so that an answer that confuses two objects differs, too.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from dmp.ins import TEST
from ebrim.rs import write_submit_objects_request
from tests import samples
from tests.attacks.masked_record import Hidden, new_version
from tests.e2e import wire
from tests.e2e.dmp_domain import REPORT, Speaker, content, cx, entry
from tests.update_side import status_update, update_of
from xds_metadata.datatypes import PatientKey
from xds_metadata.model import Association, Code, DocumentEntry, Folder, Submission
from xds_registry import iti57

ROOT = f"{samples.oid().rpartition('.')[0]}.8"
_numbers = itertools.count(100_000_001)
_patients = itertools.count(1)
_NAMED = re.compile(
    rb"urn:uuid:[0-9a-f-]{36}|\b[0-9a-f]{40}\b|\b(?:document|link|set|folder|id)-[0-9]+\b|" + ROOT.encode() + rb"\.[0-9]{9}"
)
_TIME = re.compile(rb"\b20[0-9]{12}\b|\b20[0-9-]{8}T[0-9:.]+Z")
_TOKEN = re.compile(rb"\.[0-9a-f]{16,32}@liasse")
_UNSTEADY = {"date", "content-type", "content-length"}
Told = tuple[int, tuple[tuple[str, str], ...], str, bytes]


def unique_id() -> str:
    """A fresh uniqueId of a fixed width."""
    return f"{ROOT}.{next(_numbers)}"


def new_patient() -> PatientKey:
    """An INS of the test authority that nobody has yet."""
    body = f"27903{next(_patients):08d}"
    return PatientKey(f"{body}{97 - int(body) % 97:02d}", TEST)


@dataclass
class World:
    """One of the two. `documents` are those that both have, `hidden` the one that exists in one of them only."""

    record: Hidden
    hidden: DocumentEntry
    folder: Folder
    documents: list[DocumentEntry] = field(default_factory=list)
    last: wire.Message | None = None
    _names: dict[bytes, bytes] = field(default_factory=dict)

    def target(self, number: int) -> DocumentEntry:
        """A document by number; 0 is the hidden one."""
        return self.hidden if number == 0 else self.documents[(number - 1) % len(self.documents)]

    def send(self, reader: Speaker, message: wire.Message) -> Told:
        """The answer to a message of the reader, made comparable."""
        self.last = message
        return self.told(self.record.domain.send(reader.about(self.record.key), message))

    def told(self, seen: wire.Seen) -> Told:
        """All that an answer tells: status, header, verdict, and the body under steady names."""
        http = seen.answer.http
        headers = tuple(sorted((k.lower(), v) for k, v in http.headers if k.lower() not in _UNSTEADY))
        boundary = re.search(r'boundary="?([^";]+)', http.header("Content-Type") or "")
        body = http.body.replace((boundary[1] if boundary else "\0").encode(), b"boundary")
        body = _TOKEN.sub(b".token", _TIME.sub(b"time", body.replace(self.record.key.id.encode(), b"patient")))
        return http.status, headers, seen.verdict, _NAMED.sub(self._name, body)

    def _name(self, found: re.Match[bytes]) -> bytes:
        return self._names.setdefault(found[0], b"name-%d" % len(self._names))

    def knows(self, *ids: str | None) -> None:
        """Name ids before they are met, so that what stands for the same in both worlds has one name."""
        for each in ids:
            self._names.setdefault((each or "").encode(), b"name-%d" % len(self._names))

    # the messages of the reader

    def deposit(self, reader: Speaker, link: str | None, target: int, *, filed: bool) -> tuple[Told, str]:
        """ITI-41 of one document of the reader's, related to another or filed in the folder."""
        made = entry(self.record.key, reader, unique_id=unique_id(), type_code=REPORT)
        links: list[Association] = []
        if link is not None:
            links.append(samples.link(link, made.entry_uuid, self.target(target).entry_uuid))
        if filed:
            links.append(samples.member(self.folder.entry_uuid, self.target(target).entry_uuid))
        value = self.submission(reader, made, links=links)
        told = self.send(reader, wire.Deposit(value, (content(made),)).message())
        if told[2] == "Success":
            self.documents.append(made)
        return told, told[2]

    def submission(
        self,
        author: Speaker,
        *entries: DocumentEntry,
        links: Sequence[Association] = (),
        folders: Sequence[Folder] = (),
    ) -> Submission:
        """A submission about the record."""
        owner = samples.submission_set(
            entry_uuid=samples.new_uuid(), unique_id=unique_id(), patient_id=cx(self.record.key), authors=(author.author,)
        )
        return samples.submission(*entries, owner=owner, links=links, folders=folders)

    def update(self, reader: Speaker, target: int, version: int, *codes: Code) -> Told:
        """ITI-57: a new version of a document."""
        changed = new_version(self.target(target), *codes)
        owner = samples.submission_set(entry_uuid=samples.new_uuid(), unique_id=unique_id(), patient_id=cx(self.record.key))
        return self.send(reader, _update(update_of(changed, previous=version, owner=owner)))

    def status(self, reader: Speaker, target: int, before: str, after: str) -> Told:
        """ITI-57: another status."""
        value = status_update(
            self.target(target).entry_uuid, before, after, patient_id=cx(self.record.key), unique_id=unique_id()
        )
        return self.send(reader, _update(value))

    def again(self, reader: Speaker) -> Told | None:
        """The last message once more."""
        return None if self.last is None else self.send(reader, self.last)


def _update(value: Submission) -> wire.Message:
    return wire.simple(wire.REGISTRY, wire.envelope(iti57.ACTION, write_submit_objects_request(samples.objects(value))))

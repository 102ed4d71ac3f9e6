"""A registry in memory, written from the rules of registration and of stored queries: slow, short, and independent of ours.

Objects are plain records in lists; every query walks all of them. Ids are those that the real registry gave, learnt by name.
Source: IHE ITI TF-2 3.18, 3.42; TF-3 4.2.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

HAS_MEMBER, RPLC, XFRM, APND, XFRM_RPLC, SIGNS = "HasMember", "RPLC", "XFRM", "APND", "XFRM_RPLC", "signs"


@dataclass(eq=False)
class Entry:
    """A document entry. `times`: creation, start, stop as sent; `codes` by attribute."""

    name: str
    unique_id: str
    hash: str
    patient: str
    times: tuple[str, str | None, str | None]
    codes: dict[str, tuple[str, ...]]
    authors: tuple[str, ...]
    references: tuple[str, ...]
    status: str = "Approved"


@dataclass(eq=False)
class Folder:
    """A folder."""

    name: str
    unique_id: str
    patient: str
    codes: tuple[str, ...]
    status: str = "Approved"


@dataclass(eq=False)
class Set:
    """A submission set."""

    name: str
    unique_id: str
    patient: str
    source: str
    time: str
    content: str
    authors: tuple[str, ...]
    status: str = "Approved"


@dataclass(eq=False)
class Link:
    """An association between two objects, which may be associations."""

    type: str
    source: object
    target: object


@dataclass
class Request:
    """A submission: new objects, and links among new and old ones."""

    owner: Set
    entries: list[Entry] = field(default_factory=list)
    folders: list[Folder] = field(default_factory=list)
    relations: list[tuple[str, Entry, Entry]] = field(default_factory=list)
    filings: list[tuple[Folder, Entry]] = field(default_factory=list)
    references: list[Entry] = field(default_factory=list)


class Model:
    """All that was registered."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.folders: list[Folder] = []
        self.sets: list[Set] = []
        self.links: list[Link] = []

    def submit(self, request: Request) -> set[str]:
        """The error codes; with none, the submission is stored."""
        errors = set(self._errors(request))
        if not errors:
            self._store(request)
        return errors

    def _errors(self, request: Request) -> Iterable[str]:
        stored: list[Set | Folder | Entry] = [*self.sets, *self.folders, *self.entries]
        used = {o.unique_id for o in stored}
        own: list[Set | Folder] = [request.owner, *request.folders]
        if any(o.unique_id in used for o in own):
            yield "XDSDuplicateUniqueIdInRegistry"
        for new in request.entries:
            if any(old.unique_id == new.unique_id and old.hash != new.hash for old in self.entries):
                yield "XDSNonIdenticalHash"
        filed: list[Folder | Entry] = [*request.entries, *request.folders]
        if any(o.patient != request.owner.patient for o in filed):
            yield "XDSPatientIdDoesNotMatch"
        transformed = [new for type_, new, _ in request.relations if type_ == XFRM]
        transformed += [link.source for link in self.links if link.type == XFRM and isinstance(link.source, Entry)]
        if any(type_ == APND and old in transformed for type_, _, old in request.relations):
            yield "XDSRegistryMetadataError"
        replaced: list[Entry] = []
        for type_, new, old in request.relations:
            if old.status != "Approved":
                yield "XDSRegistryDeprecatedDocumentError"
            if old.patient != new.patient:
                yield "XDSPatientIdDoesNotMatch"
            if type_ in (RPLC, XFRM_RPLC):
                if old in replaced:
                    yield "XDSRegistryDeprecatedDocumentError"
                replaced.append(old)
                if any(f.patient != old.patient for f in self._folders_with(old)):
                    yield "XDSPatientIdDoesNotMatch"
        for folder, entry in request.filings:
            if "Deprecated" in (folder.status, entry.status):
                yield "XDSRegistryDeprecatedDocumentError"
            if folder.patient != entry.patient:
                yield "XDSPatientIdDoesNotMatch"

    def _folders_with(self, entry: Entry) -> list[Folder]:
        return [
            link.source
            for link in self.links
            if isinstance(link.source, Folder) and link.target is entry and link.source.status == "Approved"
        ]

    def _store(self, request: Request) -> None:
        before = list(self.links)
        joined = [
            (folder, new)
            for type_, new, old in request.relations
            if type_ in (RPLC, XFRM_RPLC)
            for folder in self._folders_with(old)
        ]
        self.sets.append(request.owner)
        self.entries += request.entries
        self.folders += request.folders
        for member in (*request.entries, *request.folders, *request.references):
            self.links.append(Link(HAS_MEMBER, request.owner, member))
        for folder, entry in dict.fromkeys((*request.filings, *joined)):
            filed = Link(HAS_MEMBER, folder, entry)
            self.links += [filed, Link(HAS_MEMBER, request.owner, filed)]
        for type_, new, old in request.relations:
            self.links.append(Link(type_, new, old))
            if type_ in (RPLC, XFRM_RPLC):
                self._deprecate(old, before)

    def _deprecate(self, entry: Entry, links: list[Link]) -> None:
        fallen = [entry]
        for one in fallen:  # grows while it is walked
            one.status = "Deprecated"
            below = [k.source for k in links if k.target is one and k.type in (XFRM, APND)]
            fallen += [child for child in below if isinstance(child, Entry) and child not in fallen]

    def find_documents(self, patient: str, statuses: set[str], keep: Callable[[Entry], bool]) -> list[object]:
        return [e for e in self.entries if e.patient == patient and e.status in statuses and keep(e)]

    def find_sets(self, patient: str, statuses: set[str], keep: Callable[[Set], bool]) -> list[object]:
        return [o for o in self.sets if o.patient == patient and o.status in statuses and keep(o)]

    def find_folders(self, patient: str, statuses: set[str], keep: Callable[[Folder], bool]) -> list[object]:
        return [o for o in self.folders if o.patient == patient and o.status in statuses and keep(o)]

    def get_all(self, patient: str, statuses: set[str], keep: Callable[[Entry], bool]) -> list[object]:
        found = self.find_documents(patient, statuses, keep)
        found += self.find_sets(patient, statuses, lambda _: True)
        found += self.find_folders(patient, statuses, lambda _: True)
        return found + self.touching(found)

    def touching(self, objects: Iterable[object]) -> list[object]:
        """Associations with one of the objects at either end."""
        wanted = list(objects)
        return [link for link in self.links if link.source in wanted or link.target in wanted]

    def documents_and_associations(self, entries: list[Entry]) -> list[object]:
        return [*entries, *self.touching(entries)]

    def submission_sets(self, objects: list[object]) -> list[object]:
        links = [
            link
            for link in self.links
            if link.type == HAS_MEMBER and isinstance(link.source, Set) and link.target in objects
        ]
        return [*dict.fromkeys(link.source for link in links), *links]

    def set_and_contents(self, owner: Set, keep: Callable[[Entry], bool]) -> list[object]:
        members = [link for link in self.links if link.source is owner]
        targets = [link.target for link in members]
        inside: list[object] = [owner]
        inside += [t for t in targets if isinstance(t, Entry) and keep(t)]
        inside += [t for t in targets if isinstance(t, Folder)]
        filed: list[object] = [t for t in targets if isinstance(t, Link) and t.source in inside and t.target in inside]
        shown = [*inside, *filed]
        return [*shown, *(link for link in members if link.target in shown)]

    def folder_and_contents(self, folder: Folder, keep: Callable[[Entry], bool]) -> list[object]:
        members = [
            link for link in self.links if link.source is folder and isinstance(link.target, Entry) and keep(link.target)
        ]
        return [folder, *dict.fromkeys(link.target for link in members), *members]

    def folders_for(self, entries: list[Entry]) -> list[object]:
        return [
            folder for folder in self.folders if any(link.source is folder and link.target in entries for link in self.links)
        ]

    def related(self, entries: list[Entry], types: set[str]) -> list[object]:
        links = [
            link
            for link in self.links
            if link.type in types
            and isinstance(link.source, Entry)
            and isinstance(link.target, Entry)
            and (link.source in entries or link.target in entries)
        ]
        ends = [end for link in links for end in (link.source, link.target)]
        return [*dict.fromkeys(ends), *links]


def padded(time: str) -> str:
    """The first second of a time of any precision."""
    return time + "00000101000000"[len(time) :]


def within(time: str | None, start: str | None, stop: str | None) -> bool:
    """start <= time < stop; an absent time is in every range."""
    if time is None:
        return True
    at = padded(time)
    return (start is None or at >= padded(start)) and (stop is None or at < padded(stop))


def like(person: str, pattern: str) -> bool:
    """SQL's LIKE, by way of the shell's wildcards."""
    table = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    return fnmatchcase(person, "".join(table.get(c, c) for c in pattern))

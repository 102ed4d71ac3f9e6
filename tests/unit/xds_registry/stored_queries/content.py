"""What the query tests find.

Patient 1 has three submissions: `first` holds the entries `plain` and `dated` and the folder `folder` with `plain` in it;
`second` replaces `plain` by `new` and adds a folder `other`; `third` adds `addendum` to `new` and refers to the entry
`foreign` of patient 2, which stands in a submission of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests import samples as s
from tests.registry_side import Side
from xds_metadata import associations as types
from xds_metadata.model import DocumentEntry, Folder, SubmissionSet

ORDER = f"ORD1^^^&{s.AUTHORITY}&ISO^urn:ihe:iti:xds:2013:order"
ACCESSION = f"ACC1^^^&{s.AUTHORITY}&ISO^urn:ihe:iti:xds:2013:accession"
AUTHOR_ONE = "801^Martin^Anne^^^^^^&1.2.250.1.999.6&ISO"
AUTHOR_TWO = "802^Du_pont^100%^^^^^^&1.2.250.1.999.6&ISO"


@dataclass(frozen=True)
class Content:
    """The registry, its entries, folders and sets, and the entryUUIDs by the name of each."""

    side: Side
    entries: dict[str, DocumentEntry]
    folders: dict[str, Folder]
    sets: dict[str, SubmissionSet]
    ids: dict[str, str]

    def named(self, ids: tuple[str, ...] | list[str]) -> list[str]:
        """The names of ids, sorted; an association is `link`."""
        names = {value: name for name, value in self.ids.items()}
        return sorted(names.get(value, "link") for value in ids)

    def unique_id(self, name: str) -> str:
        """The uniqueId of an object."""
        item = self.entries.get(name) or self.folders.get(name) or self.sets[name]
        return item.unique_id or ""


def fill(side: Side) -> Content:
    """Register the content."""
    entries = {
        "plain": s.entry(title="plain"),
        "dated": s.entry(
            creation_time="20230101",
            service_start_time="20230101",
            service_stop_time="202301021200",
            class_code=s.code("class2"),
            type_code=s.code("type2"),
            format_code=s.code("format2"),
            practice_setting_code=s.code("practice2"),
            healthcare_facility_type_code=s.code("facility2"),
            event_codes=(s.code("E1"), s.code("E2")),
            confidentiality_codes=(s.code("R"), s.code("V")),
            authors=(s.author(AUTHOR_ONE), s.author(AUTHOR_TWO)),
            reference_ids=(ORDER, ACCESSION),
        ),
        "new": s.entry(title="new", event_codes=(s.code("E2"),)),
        "addendum": s.entry(title="addendum", reference_ids=(ORDER,)),
        "foreign": s.entry(patient_id=s.patient(2)),
    }
    folders = {"folder": s.folder(), "other": s.folder(codes=(s.code("A"), s.code("B")))}
    sets = {
        "first": s.submission_set(submission_time="20230102"),
        "second": s.submission_set(source_id="1.2.250.1.999.3", content_type_code=s.code("content2")),
        "third": s.submission_set(authors=(s.author(AUTHOR_TWO),)),
        "abroad": s.submission_set(patient_id=s.patient(2)),
    }
    ids: dict[str, str] = {}

    def note() -> None:
        for name, entry in entries.items():
            found = side.documents(entry.unique_id or "")
            if found:
                ids[name] = found[0].id

    side.accept(s.submission(entries["foreign"], owner=sets["abroad"]))
    filed = s.member(folders["folder"].entry_uuid, entries["plain"].entry_uuid)
    side.accept(
        s.submission(entries["plain"], entries["dated"], folders=[folders["folder"]], links=[filed], owner=sets["first"])
    )
    note()
    replaced = s.link(types.RPLC, entries["new"].entry_uuid, ids["plain"])
    side.accept(s.submission(entries["new"], folders=[folders["other"]], links=[replaced], owner=sets["second"]))
    note()
    added = s.link(types.APND, entries["addendum"].entry_uuid, ids["new"])
    side.accept(s.submission(entries["addendum"], links=[added], owner=sets["third"], references=[ids["foreign"]]))
    note()
    ids.update({name: side.folder(f.unique_id or "").id for name, f in folders.items()})
    ids.update({name: side.submission_set(owner.unique_id or "").id for name, owner in sets.items()})
    return Content(side, entries, folders, sets, ids)

"""ebRIM objects to metadata: driven by the attribute table, every structural problem collected as a finding.

What an attribute's value must look like is not judged here (`rules`), only that it stands where it must and once.
Source: IHE ITI TF-3 4.2.1 (object model), 4.2.3.1 (encodings).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ebrim import model as rim
from xds_metadata import attributes as table
from xds_metadata.attributes import AUTHOR_SLOTS, IDENTIFIER_PREFIX, Attribute, ObjectTable, Place
from xds_metadata.datatypes import check_uuid
from xds_metadata.errors import METADATA_ERROR, Finding
from xds_metadata.model import Association, Author, Code, DocumentEntry, Folder, Submission, SubmissionSet
from xds_metadata.profile import Profile

_SHOWN = 100
_PACKAGE_NODES = (table.SUBMISSION_SET_NODE, table.FOLDER_NODE)


def shown(value: str) -> str:
    """A value as error texts quote it: in quotes, shortened, with control characters visible."""
    short = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
    if short.isprintable():
        return f"'{short}'"
    return "'" + "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in short) + "'"


def finding(rule: str, label: str, problem: str) -> Finding:
    """A metadata error on one object; `label` names it."""
    return Finding(METADATA_ERROR, f"{label}: {problem}", rule=rule)


class _Reader:
    """Reads one object by its table; findings gather in `report`."""

    def __init__(self, rows: ObjectTable, profile: Profile, report: Callable[[Finding], None]) -> None:
        self.rows = rows
        self.profile = profile
        self.report = report
        self.slots = rows.by_slot
        self.schemes = rows.by_scheme
        self.identifiers = rows.by_identifier

    def read(self, item: rim.RegistryObject, extra_markers: Sequence[rim.Classification] = ()) -> dict[str, Any]:
        """The fields of the domain object as keyword arguments."""
        label = f"{self.rows.kind} {shown(item.id)}"
        fields: dict[str, Any] = {}
        self._xml(item, fields)
        if item.slots:
            self._slots(item, label, fields)
        if item.name or item.description:
            self._texts(item, fields)
        if item.classifications or extra_markers:
            self._classifications((*item.classifications, *extra_markers), item, label, fields)
        if item.external_identifiers:
            self._external_identifiers(item, label, fields)
        return fields

    def _xml(self, item: rim.RegistryObject, fields: dict[str, Any]) -> None:
        fields["entry_uuid"] = item.id
        known = self.rows.by_field
        for field, value in (
            ("logical_id", item.lid),
            ("home_community_id", item.home),
            ("availability_status", item.status),
            ("version", item.version),
        ):
            if value is not None and field in known:
                fields[field] = value
        if isinstance(item, rim.ExtrinsicObject):
            fields["mime_type"] = item.mime_type
            fields["object_type"] = item.object_type or ""
        if isinstance(item, rim.Association):
            fields["type"], fields["source"], fields["target"] = item.association_type, item.source, item.target

    def _slots(self, item: rim.RegistryObject, label: str, fields: dict[str, Any]) -> None:
        seen: set[str] = set()
        extra: list[tuple[str, tuple[str, ...]]] = []
        for slot in item.slots:
            if slot.name in seen:
                self.report(finding("slot-once", label, f"Slot {shown(slot.name)} occurs twice, once is allowed"))
                continue
            seen.add(slot.name)
            row = self.slots.get(slot.name)
            if row is None:
                self._extra_slot(slot, label)
                extra.append((slot.name, slot.values))
                continue
            values = slot.values
            if not values or "" in values:
                self.report(finding("slot-value", label, f"{row.name} is sent without a value; leave the Slot out instead"))
                continue
            if row.many:
                fields[row.field] = values
            else:
                if len(values) > 1:
                    self.report(finding("slot-single", label, f"{row.name} has {len(values)} values, one is allowed"))
                fields[row.field] = values[0]
        if extra:
            fields["extra"] = tuple(extra)

    def _extra_slot(self, slot: rim.Slot, label: str) -> None:
        if self.profile.foreign_slots:
            return
        if not slot.name.startswith("urn:") or slot.name.startswith("urn:ihe:"):
            self.report(
                finding("slot-name", label, f"Slot {shown(slot.name)} is unknown; extra names must be URNs outside urn:ihe:")
            )

    def _texts(self, item: rim.RegistryObject, fields: dict[str, Any]) -> None:
        if item.name and self.rows.name is not None:
            fields[self.rows.name.field] = item.name[0].value
        if item.description and self.rows.description is not None:
            fields[self.rows.description.field] = item.description[0].value

    def _classifications(
        self, items: Iterable[rim.Classification], item: rim.RegistryObject, label: str, fields: dict[str, Any]
    ) -> None:
        gathered: dict[str, list[Any]] = {}
        for part in items:
            if part.classified_object not in (None, "", item.id):
                self.report(
                    finding(
                        "classified-object",
                        label,
                        f"Classification {shown(part.id)} has classifiedObject {shown(part.classified_object or '')}, "
                        f"expected the object that holds it, {shown(item.id)}",
                    )
                )
            if part.node is not None:
                self._marker(part, label, fields)
                continue
            row = self.schemes.get(part.scheme or "")
            if row is None:
                self.report(
                    finding(
                        "scheme", label, f"classificationScheme {shown(part.scheme or '')} is not one of {self.rows.kind}"
                    )
                )
                continue
            value = self._author(part, label) if row.place is Place.AUTHOR else self._code(part, row, label)
            if value is not None:
                gathered.setdefault(row.field, []).append(value)
        for field, values in gathered.items():
            row = self.rows.by_field[field]
            if row.many:
                fields[field] = tuple(values)
            else:
                if len(values) > 1:
                    self.report(finding("code-single", label, f"{row.name} has {len(values)} codes, one is allowed"))
                fields[field] = values[0]

    def _marker(self, part: rim.Classification, label: str, fields: dict[str, Any]) -> None:
        kind = table.LIMITED_METADATA_NODES.get(part.node or "")
        if kind == self.rows.kind:
            fields["limited_metadata"] = True
        elif self.rows.kind not in IDENTIFIER_PREFIX or self.rows is table.DOCUMENT_ENTRY or part.node not in _PACKAGE_NODES:
            self.report(
                finding("node", label, f"classificationNode {shown(part.node or '')} is not one of {self.rows.kind}")
            )

    def _code(self, part: rim.Classification, row: Attribute, label: str) -> Code | None:
        code = part.node_representation
        if not code:
            self.report(
                finding("code-value", label, f"{row.name} {shown(part.id)} has no nodeRepresentation, expected the code")
            )
            return None
        schemes = [slot for slot in part.slots if slot.name == "codingScheme"]
        if len(schemes) != 1 or len(schemes[0].values) != 1 or not schemes[0].values[0]:
            self.report(
                finding("coding-scheme", label, f"{row.name} {shown(code)} needs one Slot codingScheme with one Value")
            )
            return None
        display = part.name[0].value if part.name else ""
        if not display and not self.profile.code_without_display:
            self.report(
                finding("code-display", label, f"{row.name} {shown(code)} has no display name (Name/LocalizedString)")
            )
        return Code(code, schemes[0].values[0], display)

    def _author(self, part: rim.Classification, label: str) -> Author | None:
        if part.node_representation is None and not self.profile.author_without_node_representation:
            self.report(finding("author-node", label, 'author Classification lacks nodeRepresentation=""'))
        fields: dict[str, Any] = {}
        for slot in part.slots:
            field = AUTHOR_SLOTS.get(slot.name)
            if field is None:
                self.report(finding("author-slot", label, f"author has the unknown Slot {shown(slot.name)}"))
            elif field in fields:
                self.report(finding("slot-once", label, f"author has the Slot {slot.name} twice, once is allowed"))
            elif not slot.values or any(not value for value in slot.values):
                self.report(finding("slot-value", label, f"{slot.name} is sent without a value; leave the Slot out instead"))
            elif field == "person":
                if len(slot.values) > 1:
                    self.report(
                        finding("author-one-person", label, "authorPerson has several values; one author, one person")
                    )
                fields[field] = slot.values[0]
            else:
                fields[field] = slot.values
        return Author(**fields)

    def _external_identifiers(self, item: rim.RegistryObject, label: str, fields: dict[str, Any]) -> None:
        prefix = IDENTIFIER_PREFIX.get(self.rows.kind, "")
        for part in item.external_identifiers:
            row = self.identifiers.get(part.scheme)
            if row is None:
                self.report(finding("identification-scheme", label, f"identificationScheme {shown(part.scheme)} is unknown"))
                continue
            if part.registry_object not in (None, "", item.id):
                self.report(
                    finding(
                        "registry-object",
                        label,
                        f"{row.name} has registryObject {shown(part.registry_object or '')}, expected {shown(item.id)}",
                    )
                )
            if row.field in fields:
                self.report(finding("identifier-once", label, f"{row.name} occurs twice, once is allowed"))
                continue
            expected = f"{prefix}.{row.name}"
            if (part.name[0].value if part.name else "") != expected:
                self.report(
                    finding(
                        "identifier-name",
                        label,
                        f"{row.name} is named {shown(part.name[0].value if part.name else '')}, expected '{expected}'",
                    )
                )
            fields[row.field] = part.value


def _check_part_ids(objects: rim.RegistryObjectList, profile: Profile) -> Iterator[Finding]:
    """A Classification or ExternalIdentifier has a UUID of its own, or a symbolic id that names no object.

    Symbolic ids of parts refer to nothing and may repeat: the registry replaces them.
    """
    items: tuple[rim.RegistryObject, ...] = (*objects.extrinsic_objects, *objects.packages, *objects.associations)
    owners = {item.id for item in items}
    ids = Counter(part.id for item in items for part in item.classifications)
    ids.update(part.id for item in items for part in item.external_identifiers)
    ids.update(part.id for part in objects.classifications)
    for part_id, count in ids.items():
        label = f"Classification or ExternalIdentifier {shown(part_id)}"
        if part_id in owners:
            yield finding("part-id", label, "its id is that of an object of the message, expected one of its own")
        elif part_id.startswith("urn:uuid:"):
            problem = check_uuid(part_id, profile.datatypes)
            if problem is not None:
                yield finding("part-id", label, f"id: {problem}")
            elif count > 1:
                yield finding("part-id", label, f"the id is given to {count} of them, expected one each")


def _markers(objects: rim.RegistryObjectList) -> dict[str, list[rim.Classification]]:
    beside: dict[str, list[rim.Classification]] = {}
    for part in objects.classifications:
        beside.setdefault(part.classified_object or "", []).append(part)
    return beside


class _Enough(Exception):
    """So many findings that the rest is not looked at."""


def from_ebrim(
    objects: rim.RegistryObjectList, profile: Profile, most: int | None = None
) -> tuple[Submission, tuple[Finding, ...]]:
    """The submission in `objects` and what is structurally wrong with it.

    Of a package without a marker, or with two, only the id is in the result; it is reported. After `most` findings (None: no
    limit) nothing more is read: the submission is then empty.
    """
    findings: list[Finding] = []

    def report(found: Finding) -> None:
        findings.append(found)
        if most is not None and len(findings) >= most:
            raise _Enough

    try:
        return _read(objects, profile, report), tuple(findings)
    except _Enough:
        return Submission(()), tuple(findings)


def _read(objects: rim.RegistryObjectList, profile: Profile, report: Callable[[Finding], None]) -> Submission:
    beside = _markers(objects)
    entry_reader = _Reader(table.DOCUMENT_ENTRY, profile, report)
    set_reader = _Reader(table.SUBMISSION_SET, profile, report)
    folder_reader = _Reader(table.FOLDER, profile, report)
    association_reader = _Reader(table.ASSOCIATION, profile, report)
    entries = tuple(DocumentEntry(**entry_reader.read(item, beside.get(item.id, ()))) for item in objects.extrinsic_objects)
    sets: list[SubmissionSet] = []
    folders: list[Folder] = []
    unmarked: list[str] = []
    for package in objects.packages:
        loose = beside.get(package.id, [])
        nodes = {part.node for part in (*package.classifications, *loose)}
        is_set, is_folder = table.SUBMISSION_SET_NODE in nodes, table.FOLDER_NODE in nodes
        if is_set and not is_folder:
            sets.append(SubmissionSet(**set_reader.read(package, loose)))
        elif is_folder and not is_set:
            folders.append(Folder(**folder_reader.read(package, loose)))
        else:
            unmarked.append(package.id)
            what = "both a submission set and a folder" if is_set else "neither a submission set nor a folder"
            report(finding("package-marker", f"RegistryPackage {shown(package.id)}", f"its classificationNode marks {what}"))
    associations = tuple(
        Association(**association_reader.read(item, beside.get(item.id, ()))) for item in objects.associations
    )
    known = {item.id for item in (*objects.extrinsic_objects, *objects.packages, *objects.associations)}
    for target, parts in beside.items():
        if target not in known:
            report(
                finding(
                    "classified-object",
                    f"Classification {shown(parts[0].id)}",
                    f"classifiedObject {shown(target)} is unknown",
                )
            )
    for name in dict.fromkeys(objects.others):
        report(
            finding("object-kind", "submission", f"a rim:{name} at its place is no object of a submission and is not kept")
        )
    for found in _check_part_ids(objects, profile):
        report(found)
    return Submission(tuple(sets), entries, tuple(folders), associations, tuple(unmarked))

"""From files to a submission: metadata from the header of CDA documents, from what the caller says for all others.

Nothing is sent here. Whether the metadata are enough is judged by the server; what a file that is no CDA document needs is
asked for here, all at once. Source: IHE ITI TF-3 4.2 (metadata), TF-2 3.41.
"""

from __future__ import annotations

import codecs
import hashlib
import mimetypes
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cda.errors import CdaError
from cda.metadata import document_entry
from liasse.client import Deposit
from xds_metadata.codes import WIRE_NAMES, CodeSets
from xds_metadata.datatypes import check_cx
from xds_metadata.french_tables import class_of_type
from xds_metadata.model import Association, Author, Code, DocumentEntry, Submission, SubmissionSet
from xds_metadata.patients import patient_column
from xds_metadata.profile import Profile

HAS_MEMBER: Final = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
REPLACES: Final = "urn:ihe:iti:2007:AssociationType:RPLC"
UNDIFFERENTIATED: Final = Code("97", "1.2.250.1.213.2.2", "Type d'activité indifférencié")
"""The contentTypeCode that is sent when none is chosen, where the domain has it."""

_LARGEST_CDA: Final = 64_000_000
_HEAD: Final = 4096
_CODED: Final = {
    "class_code": "--class",
    "type_code": "--type",
    "format_code": "--format",
    "healthcare_facility_type_code": "--facility",
    "practice_setting_code": "--practice",
}


class FileRefused(Exception):
    """A file that cannot be submitted as it is. The text has one line for each reason."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the caller says about the documents; it goes before what their headers say.

    `patient` is a CX, `created` a DTM, `author` an XCN; `confidentiality` is added to the header's.
    """

    patient: str | None = None
    class_code: Code | None = None
    type_code: Code | None = None
    format_code: Code | None = None
    healthcare_facility_type_code: Code | None = None
    practice_setting_code: Code | None = None
    confidentiality: tuple[Code, ...] = ()
    title: str | None = None
    language: str | None = None
    mime_type: str | None = None
    created: str | None = None
    author: str | None = None

    def codes(self) -> dict[str, Code]:
        """The coded attributes that are given, by field."""
        return {field: code for field in _CODED if (code := getattr(self, field)) is not None}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file with its entry. `replaces` is the uniqueId of the document that its header says it replaces."""

    path: Path
    entry: DocumentEntry
    deposit: Deposit
    warnings: tuple[str, ...] = ()
    replaces: str | None = None


def new_oid() -> str:
    """A new OID from a random UUID."""
    return f"2.25.{uuid.uuid4().int}"


def read_code(text: str, attribute: str, codes: CodeSets) -> Code:
    """A code as people write it: `CODE^^SCHEME`, or `CODE` alone where the domain lists it under one scheme.

    Raises ValueError with a sentence.
    """
    code, _, scheme = text.partition("^^")
    schemes = [scheme] if scheme else [home for listed, home in codes.codes(attribute) if listed == code]
    if not code or len(schemes) != 1:
        found = f"the schemes {', '.join(schemes)} have it" if schemes else f"the codes {codes.name} do not list it"
        raise ValueError(f"{WIRE_NAMES[attribute]} {text!r}: expected CODE^^SCHEME ({found})")
    return Code(code, schemes[0], codes.display(attribute, code, schemes[0]) or code)


def prepare(path: Path, given: Given, codes: CodeSets, profile: Profile, entry_uuid: str = "Document01") -> Prepared:
    """The entry and the bytes of one file. Raises FileRefused; nothing is sent."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            data = head + file.read(_LARGEST_CDA) if _is_xml(head) else b""
    except OSError as error:
        raise FileRefused(f"cannot be read: {error.strerror}") from error
    if given.patient is not None and (wrong := check_cx(given.patient, profile.datatypes)) is not None:
        raise FileRefused(f"the patient: {wrong}")
    no_cda = "it is no XML"
    if 0 < len(data) <= _LARGEST_CDA:
        try:
            return _prepare_cda(path, data, given, codes, profile, entry_uuid)
        except CdaError as error:
            no_cda = str(error)
    return _prepare_other(path, given, no_cda, entry_uuid)


def _is_xml(head: bytes) -> bool:
    return head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"<" or head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _prepare_cda(path: Path, data: bytes, given: Given, codes: CodeSets, profile: Profile, entry_uuid: str) -> Prepared:
    derived = document_entry(
        data,
        codes,
        patient=given.patient,
        entry_uuid=entry_uuid,
        confidentiality=given.confidentiality,
        tolerances=profile.datatypes,
    )
    changes: dict[str, Any] = dict(given.codes())
    for field, value in (
        ("title", given.title),
        ("language_code", given.language),
        ("mime_type", given.mime_type),
        ("creation_time", given.created),
    ):
        if value is not None:
            changes[field] = value
    if given.author is not None:
        changes["authors"] = (Author(given.author),)
    entry = replace(derived.entry, **changes)
    warnings = tuple(line for line in derived.warnings if line.partition(":")[0] not in _names(changes))
    return Prepared(path, entry, Deposit.of_bytes(entry, data), warnings, derived.replaces)


def _names(changes: Mapping[str, object]) -> set[str]:
    """The wire names of attributes that the caller gave: the header's faults in them do not matter."""
    others = {"title": "title", "language_code": "languageCode", "creation_time": "creationTime", "authors": "author"}
    return {WIRE_NAMES.get(field) or others.get(field, "") for field in changes}


def _prepare_other(path: Path, given: Given, no_cda: str, entry_uuid: str) -> Prepared:
    coded: dict[str, Any] = dict(given.codes())
    if "class_code" not in coded and given.type_code is not None:
        derived = class_of_type(given.type_code.code, given.type_code.scheme)
        if derived is not None:
            coded["class_code"] = derived
    mime_type = given.mime_type or mimetypes.guess_type(path.name)[0]
    missing = [option for field, option in _CODED.items() if field not in coded]
    missing += [
        option
        for option, value in (
            ("--patient", given.patient),
            ("--confidentiality", given.confidentiality),
            ("--language", given.language),
            ("--mime", mime_type),
        )
        if not value
    ]
    if missing:
        raise FileRefused(
            f"not a CDA document ({no_cda}), so nothing can be read from it: give {', '.join(missing)} as well"
        )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.sha1(usedforsecurity=False)).hexdigest()
    status = path.stat()
    entry = DocumentEntry(
        entry_uuid=entry_uuid,
        unique_id=new_oid(),
        patient_id=given.patient,
        source_patient_id=given.patient,
        mime_type=mime_type,
        authors=(Author(given.author),) if given.author else (),
        confidentiality_codes=given.confidentiality,
        creation_time=given.created or datetime.fromtimestamp(status.st_mtime, UTC).strftime("%Y%m%d%H%M%S"),
        hash=digest,
        language_code=given.language,
        size=str(status.st_size),
        title=given.title or path.stem,
    )
    entry = replace(entry, **coded)
    warnings = () if given.created else ("creationTime: the time at which the file was changed is taken",)
    return Prepared(path, entry, Deposit.of_file(entry, path), warnings)


def content_type(text: str | None, codes: CodeSets) -> Code:
    """The contentTypeCode of a submission set: as given, or the undifferentiated one. Raises ValueError."""
    if text is not None:
        return read_code(text, "content_type_code", codes)
    if not codes.allows("content_type_code", UNDIFFERENTIATED.code, UNDIFFERENTIATED.scheme):
        listed = codes.codes("content_type_code")
        if len(listed) != 1:
            some = ", ".join(code for code, _ in listed[:6])
            raise ValueError(f"contentTypeCode: give --content-type, the codes {codes.name} list {some}…")
        return read_code("^^".join(listed[0]), "content_type_code", codes)
    return UNDIFFERENTIATED


def submission_of(
    prepared: Sequence[Prepared],
    *,
    source_id: str,
    content: Code,
    now: datetime,
    replaced: Mapping[str, str] | None = None,
) -> Submission:
    """One submission set with these documents, whose entries have different ids.

    `replaced` gives, by uniqueId, the entryUUID of documents in the registry which are to be replaced; `now` is aware.
    Raises FileRefused when the documents are of different patients.
    """
    patients = {patient_column(each.entry.patient_id) for each in prepared}
    if len(patients) != 1:
        raise FileRefused(f"the documents are of {len(patients)} patients, one submission has one")
    first = prepared[0].entry
    submission_set = SubmissionSet(
        entry_uuid="SubmissionSet01",
        unique_id=new_oid(),
        patient_id=first.patient_id,
        source_id=source_id,
        submission_time=now.astimezone(UTC).strftime("%Y%m%d%H%M%S"),
        content_type_code=content,
        authors=first.authors[:1],
        title=first.title if len(prepared) == 1 else f"{len(prepared)} documents",
    )
    members = [
        Association(
            f"Member{number:02}", HAS_MEMBER, "SubmissionSet01", each.entry.entry_uuid, submission_set_status="Original"
        )
        for number, each in enumerate(prepared, 1)
    ]
    links = [
        Association(f"Replacement{number:02}", REPLACES, each.entry.entry_uuid, old)
        for number, each in enumerate(prepared, 1)
        if (old := (replaced or {}).get(each.replaces or "")) is not None
    ]
    return Submission((submission_set,), tuple(each.entry for each in prepared), (), (*members, *links))


def update_of(versions: Sequence[DocumentEntry], *, source_id: str, at: int, author: Author, title: str) -> Submission:
    """A metadata update (ITI-57) that makes these the new versions of stored entries of one patient.

    Each is as the registry returned it but for what changes, with its logical id and the version that it follows. `at`:
    microseconds since 1970 UTC. Source: IHE ITI TF-2 3.57.4.1.3.
    """
    owner = SubmissionSet(
        entry_uuid="SubmissionSet01",
        unique_id=new_oid(),
        patient_id=versions[0].patient_id,
        source_id=source_id,
        submission_time=datetime.fromtimestamp(at / 1_000_000, UTC).strftime("%Y%m%d%H%M%S"),
        content_type_code=UNDIFFERENTIATED,
        authors=(author,),
        title=title,
    )
    entries, members = [], []
    for number, entry in enumerate(versions, 1):
        name = f"urn:uuid:{uuid.uuid4()}"
        members.append(
            Association(
                entry_uuid=f"Member{number:02}",
                type=HAS_MEMBER,
                source=owner.entry_uuid,
                target=name,
                submission_set_status="Original",
                previous_version=entry.version,
            )
        )
        entries.append(replace(entry, entry_uuid=name, version=None))
    return Submission((owner,), tuple(entries), (), tuple(members))

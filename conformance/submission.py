"""SubmitObjectsRequest bodies of ITI-41 and ITI-42 made from a step of the plan.

Source: ITI TF-3 4.2.1 (content of a submission), 4.2.3 (attributes and their encoding), ITI TF-2 3.41.4.1.2, 3.42.4.1.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lxml import etree

from conformance import vocabulary as v
from conformance.ebrim import ObjectWriter, localized, slot
from conformance.plan import DocumentSpec, FolderSpec, Step
from conformance.scope import Scope

ALL_BYTES: Final = bytes(range(256)) + b"\r\n--\r\n\r\n"


@dataclass(frozen=True, slots=True)
class SentDocument:
    """A document of a submission: `id` is the id of its entry as sent."""

    id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Submission:
    """The body of ITI-42 and the documents that ITI-41 sends with it."""

    request: etree._Element
    documents: tuple[SentDocument, ...]


def build_submission(step: Step, scope: Scope, now: str) -> Submission:
    """The request of a step; `now` is the submission time (UTC, 14 digits). Defines the variables of its objects.

    Raises Undefined when it needs a variable that an earlier step did not capture.
    """
    writer = ObjectWriter()
    _define(step, scope)
    sent = tuple(_document(writer, spec, scope, provided=step.send == "ITI-41") for spec in step.documents)
    for folder in step.folders:
        _folder(writer, folder, scope)
    set_id = _submission_set(writer, step, scope, now)
    _associations(writer, step, scope, set_id)
    request = etree.Element(f"{{{v.LCM}}}SubmitObjectsRequest", nsmap={"lcm": v.LCM, "rim": v.RIM})
    request.append(writer.list)
    extra = tuple(SentDocument(item.id, scope.text(item.content).encode()) for item in step.extra)
    kept = tuple(document for document, spec in zip(sent, step.documents, strict=True) if not spec.no_bytes)
    return Submission(request, kept + extra)


def _define(step: Step, scope: Scope) -> None:
    specs: list[DocumentSpec | FolderSpec] = [*step.documents, *step.folders]
    for spec in specs:
        object_id = scope.ids.uuid(spec.key) if spec.id == "uuid" else scope.text(spec.id) or spec.key
        scope.define(f"{spec.key}.id", object_id)
        scope.define(f"{spec.key}.uniqueId", scope.text(spec.unique_id) or scope.ids.oid(spec.key))
        scope.define(f"{spec.key}.patient", scope.text(spec.patient))
    name = f"{step.name}.set"
    scope.define(f"{name}.id", scope.ids.uuid(name) if step.set.id == "uuid" else scope.text(step.set.id) or "submission")
    scope.define(f"{name}.uniqueId", scope.text(step.set.unique_id) or scope.ids.oid(name))
    scope.define(f"{name}.patient", scope.text(step.set.patient))


def _content(spec: DocumentSpec, scope: Scope) -> bytes:
    if spec.length:
        return (ALL_BYTES * (spec.length // len(ALL_BYTES) + 1))[: spec.length]
    text = spec.content or f"<document><id>{scope.text(f'${spec.key}.uniqueId')}</id><text>é œ ß</text></document>\r\n"
    return scope.text(text).encode()


def _document(writer: ObjectWriter, spec: DocumentSpec, scope: Scope, *, provided: bool) -> SentDocument:
    data = _content(spec, scope)
    digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    scope.contents[spec.key] = data
    scope.define(f"{spec.key}.hash", digest)
    scope.define(f"{spec.key}.size", str(len(data)))
    domain = scope.target.domain
    entry = writer.extrinsic(scope.text(f"${spec.key}.id"), domain.mime_type)
    slots: dict[str, tuple[str, ...]] = {
        "creationTime": (spec.creation_time,),
        "languageCode": (domain.language,),
        "sourcePatientId": (f"src-{spec.key}^^^&{domain.source_id}&ISO",),
        "hash": (scope.text(spec.hash) or digest,),
        "size": (str(len(data)),),
    }
    if not provided:
        slots["repositoryUniqueId"] = (domain.repository_unique_id,)
    if spec.reference_ids:
        slots[v.REFERENCE_IDS] = tuple(scope.text(value) for value in spec.reference_ids)
    kept = _unless(spec.omit)
    for name, values in slots.items():
        if kept(name):
            slot(entry, name, values)
    localized(entry, "Name", f"Conformance document {spec.key}")
    for person in spec.authors if kept("author") else ():
        writer.author(entry, v.ENTRY_AUTHOR, scope.text(person))
    for name, scheme in v.ENTRY_CODES.items():
        if name != "eventCodeList" and kept(name):
            number = spec.type_code if name == "typeCode" else 1
            writer.code(entry, scheme, scope.target.codes[name][number - 1])
    if kept("patientId"):
        writer.identifier(entry, v.ENTRY_PATIENT_ID, "XDSDocumentEntry.patientId", scope.text(f"${spec.key}.patient"))
    if kept("uniqueId"):
        writer.identifier(entry, v.ENTRY_UNIQUE_ID, "XDSDocumentEntry.uniqueId", scope.text(f"${spec.key}.uniqueId"))
    return SentDocument(scope.text(f"${spec.key}.id"), data)


def _unless(omitted: tuple[str, ...]) -> Callable[[str], bool]:
    return lambda name: name not in omitted


def _folder(writer: ObjectWriter, spec: FolderSpec, scope: Scope) -> None:
    package = writer.package(scope.text(f"${spec.key}.id"))
    kept = _unless(spec.omit)
    if spec.last_update_time:
        slot(package, "lastUpdateTime", [spec.last_update_time])
    if kept("title"):
        localized(package, "Name", f"Conformance folder {spec.key}")
    writer.marker(package, v.FOLDER_NODE)
    if kept("codeList"):
        writer.code(package, v.FOLDER_CODE_LIST, scope.target.codes["codeList"][0])
    if kept("patientId"):
        writer.identifier(package, v.FOLDER_PATIENT_ID, "XDSFolder.patientId", scope.text(f"${spec.key}.patient"))
    if kept("uniqueId"):
        writer.identifier(package, v.FOLDER_UNIQUE_ID, "XDSFolder.uniqueId", scope.text(f"${spec.key}.uniqueId"))


def _submission_set(writer: ObjectWriter, step: Step, scope: Scope, now: str) -> str:
    name = f"${{{step.name}.set."
    package = writer.package(scope.text(name + "id}"))
    kept = _unless(step.set.omit)
    if kept("submissionTime"):
        slot(package, "submissionTime", [now])
    localized(package, "Name", f"Conformance submission {step.name}")
    writer.marker(package, v.SET_NODE)
    if kept("author"):
        writer.author(package, v.SET_AUTHOR, "^Tester^Conformance")
    if kept("contentTypeCode"):
        writer.code(package, v.CONTENT_TYPE_CODE, scope.target.codes["contentTypeCode"][0])
    identifiers = {
        "patientId": (v.SET_PATIENT_ID, scope.text(name + "patient}")),
        "sourceId": (v.SET_SOURCE_ID, scope.target.domain.source_id),
        "uniqueId": (v.SET_UNIQUE_ID, scope.text(name + "uniqueId}")),
    }
    for attribute, (scheme, value) in identifiers.items():
        if kept(attribute):
            writer.identifier(package, scheme, f"XDSSubmissionSet.{attribute}", value)
    return scope.text(name + "id}")


def _associations(writer: ObjectWriter, step: Step, scope: Scope, set_id: str) -> None:
    keys = [document.key for document in step.documents] + [folder.key for folder in step.folders]
    own = {key: scope.text(f"${key}.id") for key in keys}

    def end(value: str) -> str:
        return own.get(value) or scope.text(value)

    for document in step.documents:
        writer.association(v.HAS_MEMBER, set_id, own[document.key], "Original")
    for folder in step.folders:
        writer.association(v.HAS_MEMBER, set_id, own[folder.key])
    for relation in step.relations:
        writer.association(v.ASSOCIATIONS[relation.type], end(relation.source), end(relation.target))
    for folder_key, document_key in step.members:
        membership = writer.association(v.HAS_MEMBER, end(folder_key), end(document_key))
        writer.association(v.HAS_MEMBER, set_id, membership)

"""The document-sharing metadata of a CDA document, from its header.

What the header does not say stays empty and is named in a warning; whether the result is enough is judged by the metadata
rules, not here. Source: logical models of the Agence du Numérique en Santé (CI-SIS, DMP); IHE PCC TF-2 4.1.1 (XDS mapping).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cda.errors import CdaError
from cda.header import CdaHeader, CodedValue, InstanceId, read_header
from cda.notes import Notes
from cda.people import PatientIds, author, person, source_patient_info, split_identifier
from xds_metadata.codes import WIRE_NAMES, CodeSets
from xds_metadata.datatypes import (
    DMP,
    Authority,
    Cxi,
    DatatypeError,
    DatatypeTolerances,
    check_cxi,
    check_language,
    check_unique_id,
    dtm_from_ts,
    is_later,
    write_cxi,
)
from xds_metadata.french_tables import class_of_type, format_of_body, format_of_other_models, format_of_template
from xds_metadata.model import Author, Code, DocumentEntry

_MAX_TITLE: Final = 127
_HOURS: Final = 10
_IMAGING_CLASS: Final = "31"
_IMAGING_TEMPLATES: Final = frozenset({"1.2.840.10008.9.1", "1.2.840.10008.9.20", "1.2.840.10008.9.21"})
_ORDER: Final = "urn:ihe:iti:xds:2013:order"
_ACCESSION: Final = "urn:ihe:iti:xds:2013:accession"
_ENCOUNTER: Final = "urn:ihe:iti:xds:2015:encounterId"


@dataclass(frozen=True, slots=True)
class DerivedMetadata:
    """The entry of a document; `warnings` are sentences; `replaces` the uniqueId of the document that this one replaces."""

    entry: DocumentEntry
    header: CdaHeader
    warnings: tuple[str, ...] = ()
    replaces: str | None = None


def document_entry(
    data: bytes,
    codes: CodeSets,
    *,
    patient: str | None = None,
    entry_uuid: str = "Document01",
    confidentiality: Sequence[Code] = (),
    tolerances: DatatypeTolerances = DMP,
) -> DerivedMetadata:
    """The DocumentEntry of the CDA document `data`, with hash and size of these bytes.

    `patient` (CX) overrides the header's patient. `confidentiality` are codes added to that of the header (masking is never
    in the document). `tolerances` say whether the receiver takes the DMP's extra components; without them plain IHE is
    written. Raises CdaError for bytes that are not a CDA document, and where no patient can be named.
    """
    header = read_header(data)
    notes = Notes(tolerances)
    ids = PatientIds(header.patient, codes, notes)
    coding = _Coding(header, codes, notes)
    type_code = coding.listed("type_code", "code", coding.code(header.code, "type_code"))
    class_code = coding.class_code(type_code)
    start, stop = _service_times(header, notes)
    entry = DocumentEntry(
        entry_uuid=entry_uuid,
        unique_id=_unique_id(header.id),
        patient_id=ids.patient_id(patient),
        mime_type="application/xslt+xml" if header.self_presentable else "text/xml",
        authors=_authors(header, notes),
        class_code=class_code,
        confidentiality_codes=coding.confidentiality(confidentiality),
        creation_time=_time("creationTime", "effectiveTime", header.effective_time, notes),
        event_codes=coding.event_codes(class_code),
        format_code=coding.format_code(),
        hash=hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        healthcare_facility_type_code=coding.facility(),
        language_code=_language(header, notes),
        legal_authenticator=_legal_authenticator(header, notes),
        practice_setting_code=coding.practice_setting(),
        reference_ids=_reference_ids(header, notes),
        service_start_time=start,
        service_stop_time=stop,
        size=str(len(data)),
        source_patient_id=ids.source_patient_id(),
        source_patient_info=source_patient_info(header.patient, ids, notes) if header.patient else (),
        title=_title(header, notes),
        type_code=type_code,
    )
    return DerivedMetadata(entry, header, tuple(notes.sentences), _replaced(header))


@dataclass(frozen=True, slots=True)
class _Coding:
    """The coded attributes of one header in one affinity domain."""

    header: CdaHeader
    codes: CodeSets
    notes: Notes

    def code(self, value: CodedValue | None, attribute: str) -> Code | None:
        """The code with a display name: its own, else the domain's, else the code itself."""
        if value is None:
            return None
        return Code(
            value.code, value.system, value.display or self.codes.display(attribute, value.code, value.system) or value.code
        )

    def listed(self, attribute: str, place: str, code: Code | None) -> Code | None:
        """`code`, with a warning where it is absent or outside the affinity domain."""
        if code is None:
            self.notes.warn(WIRE_NAMES[attribute], f"the header has no {place}")
        elif not self.codes.allows(attribute, code.code, code.scheme):
            self.notes.sentences.append(self.codes.explain(attribute, code.code, code.scheme))
        return code

    def class_code(self, type_code: Code | None) -> Code | None:
        if type_code is None:
            return None
        found = class_of_type(type_code.code, type_code.scheme)
        if found is None:
            self.notes.warn("classCode", f"no class is known for the type {type_code.code!r} of {type_code.scheme!r}")
            return None
        return self.listed("class_code", "code", found)

    def format_code(self) -> Code:
        """The code of the model, else of the body's media type, else the one of other models."""
        if self.header.body_media_type is not None:
            found = format_of_body(self.header.body_media_type)
        else:
            models = (format_of_template(root) for root in reversed(self.header.template_ids))
            found = next((model for model in models if model is not None), None)
        other = format_of_other_models()
        if found is not None and not self.codes.allows("format_code", found.code, found.scheme):
            self.notes.sentences.append(
                f"{self.codes.explain('format_code', found.code, found.scheme)}; {other.code} is taken"
            )
            found = None
        return found or other

    def confidentiality(self, added: Iterable[Code]) -> tuple[Code, ...]:
        attribute = "confidentiality_code"
        first = self.listed(attribute, "confidentialityCode", self.code(self.header.confidentiality, attribute))
        return _distinct([*([first] if first else []), *added])

    def event_codes(self, class_code: Code | None) -> tuple[Code, ...]:
        """The codes of the documented acts, and for imaging their translations; those outside the domain are left out."""
        values = [event.code for event in self.header.service_events if event.code is not None]
        if (class_code and class_code.code == _IMAGING_CLASS) or _IMAGING_TEMPLATES.intersection(self.header.template_ids):
            values = [part for value in values for part in (value, *value.translations)]
        found = _distinct([code for value in values if (code := self.code(value, "event_code")) is not None])
        allowed = tuple(code for code in found if self.codes.allows("event_code", code.code, code.scheme))
        for code in found:
            if code not in allowed:
                self.notes.sentences.append(f"{self.codes.explain('event_code', code.code, code.scheme)}; left out")
        return allowed

    def facility(self) -> Code | None:
        place = "componentOf/encompassingEncounter/location/healthCareFacility/code"
        attribute = "healthcare_facility_type_code"
        return self.listed(attribute, place, self.code(self.header.facility, attribute))

    def practice_setting(self) -> Code | None:
        place = "documentationOf/serviceEvent/performer/assignedEntity/representedOrganization/standardIndustryClassCode"
        events = self.header.service_events
        value = events[0].practice_setting if events else None
        return self.listed("practice_setting_code", place, self.code(value, "practice_setting_code"))


def _distinct(codes: Sequence[Code]) -> tuple[Code, ...]:
    by_pair: dict[str, Code] = {}
    for code in codes:
        by_pair.setdefault(code.pair, code)
    return tuple(by_pair.values())


def _unique_id(identifier: InstanceId) -> str:
    text = _joined(identifier)
    if (wrong := check_unique_id(text)) is not None:
        raise CdaError(f"ClinicalDocument/id: {wrong}")
    return text


def _joined(identifier: InstanceId) -> str:
    return f"{identifier.root}^{identifier.extension}" if identifier.extension else identifier.root


def _replaced(header: CdaHeader) -> str | None:
    return next((_joined(related.id) for related in header.related if related.type == "RPLC"), None)


def _time(attribute: str, place: str, text: str | None, notes: Notes) -> str | None:
    if text is None:
        notes.warn(attribute, f"the header has no {place}")
        return None
    try:
        dtm = dtm_from_ts(text)
    except DatatypeError as error:
        notes.warn(attribute, f"left out; {place}: {error.reason}")
        return None
    if len(dtm) >= _HOURS and "+" not in text and "-" not in text:
        notes.warn(attribute, f"{place} has no time zone, UTC is assumed")
    return dtm


def _service_times(header: CdaHeader, notes: Notes) -> tuple[str | None, str | None]:
    event = header.service_events[0] if header.service_events else None
    start = _time(
        "serviceStartTime", "documentationOf/serviceEvent/effectiveTime/low", event.start if event else None, notes
    )
    stop = (
        _time("serviceStopTime", "documentationOf/serviceEvent/effectiveTime/high", event.stop, notes)
        if event and event.stop
        else None
    )
    if start and stop and is_later(start, stop):
        notes.warn("serviceStopTime", f"left out; the act ends ({stop}) before it begins ({start})")
        return start, None
    return start, stop


def _title(header: CdaHeader, notes: Notes) -> str | None:
    title = header.title
    if title is None:
        notes.warn("title", "the header has no title")
    elif len(title) > _MAX_TITLE:
        notes.warn("title", f"cut from {len(title)} to {_MAX_TITLE} characters")
        return title[:_MAX_TITLE].rstrip()
    return title


def _language(header: CdaHeader, notes: Notes) -> str | None:
    if header.language is None:
        notes.warn("languageCode", "the header has no languageCode")
        return None
    return notes.right("languageCode", header.language, check_language)


def _authors(header: CdaHeader, notes: Notes) -> tuple[Author, ...]:
    authors = tuple(found for party in header.authors if (found := author(party, notes)) is not None)
    if not authors:
        notes.warn("author", "the header has no author with a name or an identifier")
    return authors


def _legal_authenticator(header: CdaHeader, notes: Notes) -> str | None:
    party = header.legal_authenticator
    found = person("legalAuthenticator", party, notes) if party else None
    if found is None:
        notes.warn("legalAuthenticator", "the header has no legalAuthenticator with a name or an identifier")
    return found


def _reference_ids(header: CdaHeader, notes: Notes) -> tuple[str, ...]:
    typed = [
        *((part, _ORDER) for part in header.orders),
        *((part, _ACCESSION) for part in header.accession_numbers),
        *((part, _ENCOUNTER) for part in (header.encounter_id,) if part),
    ]
    texts = (notes.right("referenceIdList", _reference(part, kind), check_cxi) for part, kind in typed)
    return tuple(dict.fromkeys(text for text in texts if text is not None))


def _reference(identifier: InstanceId, kind: str) -> str:
    extension, authority = split_identifier(identifier)
    return write_cxi(Cxi(extension or "", kind, Authority(oid=authority) if authority else None))

"""What a message says it is about before anything has judged it: for the record of a refusal, never for a decision.

Anybody can send such a message: only so many identifiers of a usual length are taken, and nothing is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, cast

from lxml import etree

from xds_metadata.attributes import DOCUMENT_ENTRY, SUBMISSION_SET, ObjectTable
from xds_metadata.patients import patient_column
from xmlsafe.namespaces import RIM

MOST_NAMED: Final = 8
"""Documents that are named."""

LONGEST_IDENTIFIER: Final = 256

_MOST_PACKAGES: Final = 32
_RIM: Final = f"{{{RIM}}}"
_count_entries: Final = etree.XPath("count(.//rim:ExtrinsicObject)", namespaces={"rim": RIM})

Objects = tuple[tuple[str, str], ...]
"""(kind, identifier) pairs."""


def claimed_patient(cx: str | None) -> str:
    """The key text of a CX; empty where it cannot be read or is of no usual length."""
    return patient_column(cx) if cx is not None and len(cx) <= LONGEST_IDENTIFIER else ""


def claimed_documents(unique_ids: Iterable[str], total: int) -> Objects:
    """The first documents, then how many there are if not all are named."""
    named = tuple(("document", one) for one in islice(unique_ids, MOST_NAMED) if 0 < len(one) <= LONGEST_IDENTIFIER)
    return named if len(named) == total else (*named, ("documents", str(total)))


def claimed_submission(body: etree._Element) -> tuple[str, Objects]:
    """Patient (key text) and objects of the submission set and its documents, anywhere in `body`."""
    patient, objects = "", cast(Objects, ())
    for package in islice(body.iter(f"{_RIM}RegistryPackage"), _MOST_PACKAGES):
        told = dict(_identifiers(package))
        cx, unique_id = (told.get(_scheme(SUBMISSION_SET, field)) for field in ("patient_id", "unique_id"))
        if cx is not None or unique_id is not None:
            patient = claimed_patient(cx)
            objects = (("submission-set", unique_id),) if unique_id and len(unique_id) <= LONGEST_IDENTIFIER else ()
            break
    scheme, entries = _scheme(DOCUMENT_ENTRY, "unique_id"), body.iter(f"{_RIM}ExtrinsicObject")
    unique_ids = (dict(_identifiers(entry)).get(scheme, "") for entry in entries)
    return patient, (*objects, *claimed_documents(unique_ids, int(cast(float, _count_entries(body)))))


def _identifiers(item: etree._Element) -> Iterator[tuple[str, str]]:
    for child in item.iterchildren(f"{_RIM}ExternalIdentifier"):
        yield child.get("identificationScheme", ""), child.get("value", "")


def _scheme(table: ObjectTable, field: str) -> str:
    return table.by_field[field].key

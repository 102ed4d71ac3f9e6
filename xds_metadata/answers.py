"""Findings and failures to the errors of an ebRS answer; schema findings to metadata findings.

Source: IHE ITI TF-3 4.2.4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lxml import etree

from ebrim.model import RegistryError
from soap.transaction import Outcome
from xds_metadata.errors import MOST_SOUGHT, Finding, XdsFailure
from xds_metadata.from_ebrim import finding
from xds_metadata.rules.structure import MAX_DOCUMENTS, MAX_OBJECTS
from xmlsafe.namespaces import RIM, XDS
from xmlsafe.schema import Schema

REGISTRY, REPOSITORY = "Registry", "Repository"
MOST_ANSWERED = 100
"""Findings that one answer lists."""
_DOCUMENT = f"{{{XDS}}}Document"


def registry_errors(findings: Iterable[Finding], actor: str, most: int | None = MOST_ANSWERED) -> tuple[RegistryError, ...]:
    """The findings as RegistryError values, worded by `actor`, errors first.

    Of more than `most` findings (None: no limit) the others are only counted, in one last RegistryError.
    """
    ordered = sorted(findings, key=lambda f: f.severity)
    rest = ordered[most:] if most is not None and len(ordered) > most + 1 else []
    rows = [_error(f, actor) for f in ordered[: len(ordered) - len(rest)]]
    if rest:
        number = f"{len(rest)} further findings"
        if len(ordered) >= MOST_SOUGHT:
            number = f"at least {number}"
        rows.append(replace(_error(rest[0], actor), context=f"{number} are not listed", location=""))
    return tuple(rows)


def _error(f: Finding, actor: str) -> RegistryError:
    return RegistryError(f.for_actor(actor), f.context, f.location, f.severity)


def outcome_of(findings: Iterable[Finding], *, partial: bool = False) -> Outcome:
    """What an answer with these findings says; `partial`: data goes out beside the errors."""
    severities = {f.severity for f in findings}
    if "Error" in severities:
        return "partial" if partial else "failure"
    return "warning" if severities else "success"


def check_count(body: etree._Element) -> None:
    """Raise XdsFailure when a submission holds more than is ever accepted, before anything looks at each part of it."""
    documents = sum(1 for _ in body.iterchildren(_DOCUMENT))
    if documents > MAX_DOCUMENTS:
        raise XdsFailure(finding("submission-size", "message", f"{documents} Documents, {MAX_DOCUMENTS} are allowed"))
    for listed in body.iter(f"{{{RIM}}}RegistryObjectList"):
        loose = len(listed.findall(f"{{{RIM}}}Classification"))
        objects = len(listed) - loose
        if max(objects, loose) > MAX_OBJECTS:
            text = f"{objects} objects and {loose} classifications beside them, {MAX_OBJECTS} of each are allowed"
            raise XdsFailure(finding("submission-size", "submission", text))


def check_schema(schema: Schema, body: etree._Element, code: str) -> None:
    """Raise XdsFailure with what makes `body` invalid, under `code` ("MetadataError" or "Error"); nothing when valid."""
    if schema.is_valid(body):
        return
    found = schema.findings(body)
    raise XdsFailure(
        [Finding(code, f"schema: {f}", rule="schema") for f in found]
        or [Finding(code, "the message does not fit its schema", rule="schema")]
    )

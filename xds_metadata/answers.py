"""Findings and failures to the errors of an ebRS answer; schema findings to metadata findings.

Source: IHE ITI TF-3 4.2.4.
"""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

from ebrim.model import RegistryError
from soap.transaction import Outcome
from xds_metadata.errors import Finding, XdsFailure
from xds_metadata.from_ebrim import finding
from xds_metadata.rules.structure import MAX_OBJECTS
from xmlsafe.namespaces import RIM
from xmlsafe.schema import Schema

REGISTRY, REPOSITORY = "Registry", "Repository"


def registry_errors(findings: Iterable[Finding], actor: str) -> tuple[RegistryError, ...]:
    """The findings as RegistryError values, worded by `actor`, errors first."""
    rows = [RegistryError(f.for_actor(actor), f.context, f.location, f.severity) for f in findings]
    return tuple(sorted(rows, key=lambda row: row.severity))


def outcome_of(findings: Iterable[Finding], *, partial: bool = False) -> Outcome:
    """What an answer with these findings says; `partial`: data goes out beside the errors."""
    severities = {f.severity for f in findings}
    if "Error" in severities:
        return "partial" if partial else "failure"
    return "warning" if severities else "success"


def check_count(body: etree._Element) -> None:
    """Raise XdsFailure when a submission lists more objects than are ever accepted, before anything looks at each."""
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

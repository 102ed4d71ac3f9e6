"""What a submission does to the stored entries that it is related to, and what these pass on to it.

Source: IHE ITI TF-3 4.2.2.2 (relationships).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal

from sqlalchemy import Connection

from access_control.policy import Change, EntryFacts
from xds_metadata import associations as types
from xds_metadata.attributes import DOCUMENT_ENTRY
from xds_metadata.codes import CodeSets
from xds_metadata.model import Code, Submission
from xds_metadata.registration import Registration
from xds_metadata.to_ebrim import code_classification
from xds_registry.entry_facts import load_entry_facts
from xds_registry.references import Facts
from xds_registry.vocabulary import Kind, bare

_KINDS: Final[Mapping[str, Literal["replace", "append", "transform"]]] = {
    types.RPLC: "replace",
    types.XFRM_RPLC: "replace",
    types.APND: "append",
    types.XFRM: "transform",
}

_CONFIDENTIALITY = next(row for row in DOCUMENT_ENTRY.rows if row.field == "confidentiality_codes")

Restrictions = Mapping[str, frozenset[str]]
"""By entryUUID or symbolic id, confidentiality codes (`code^^scheme`) that an entry has to carry."""


class Restricted(Exception):
    """Entries of a submission have to carry more codes than they do: those of what they replace, amend or transform."""

    def __init__(self, codes: Restrictions) -> None:
        super().__init__("entries have to carry the restrictions of what they are related to")
        self.codes = codes


def related_entries(connection: Connection, submission: Submission, facts: Facts) -> dict[str, EntryFacts]:
    """By id, the facts of the stored entries that the submission replaces, amends or transforms."""
    targets = {bare(link.target) for link in submission.associations if link.type in _KINDS}
    stored = [facts.objects[target] for target in targets if target in facts.objects]
    return load_entry_facts(connection, [(item.patient, item.id) for item in stored if item.kind is Kind.ENTRY])


def changes(submission: Submission, related: Mapping[str, EntryFacts]) -> tuple[Change, ...]:
    """What happens to them."""
    return tuple(
        Change(_KINDS[link.type], related[bare(link.target)])
        for link in submission.associations
        if link.type in _KINDS and bare(link.target) in related
    )


def missing_codes(submission: Submission, related: Mapping[str, EntryFacts], following: frozenset[str]) -> Restrictions:
    """The codes among `following` that entries of the submission lack and what they are related to carries."""
    own = {bare(entry.entry_uuid): {code.pair for code in entry.confidentiality_codes} for entry in submission.entries}
    found: dict[str, frozenset[str]] = {}
    for link in submission.associations:
        source, target = bare(link.source), related.get(bare(link.target))
        if link.type in _KINDS and target is not None and source in own:
            lacking = following.intersection(target.confidentiality) - own[source]
            if lacking:
                found[link.source] = found.get(link.source, frozenset()) | lacking
    return found


def with_codes(request: Registration, codes: Restrictions, domain: CodeSets) -> Registration:
    """The registration with these codes on its entries, as if they had been submitted."""
    submission, objects = request.submission, request.objects
    entries = []
    for entry in submission.entries:
        added = tuple(_code(pair, domain) for pair in sorted(codes.get(entry.entry_uuid, ())))
        entries.append(replace(entry, confidentiality_codes=(*entry.confidentiality_codes, *added)))
    documents = []
    for item in objects.extrinsic_objects:
        parts = tuple(
            code_classification(_CONFIDENTIALITY, _code(pair, domain), item.id, lambda: "in-force")
            for pair in sorted(codes.get(item.id, ()))
        )
        documents.append(replace(item, classifications=(*item.classifications, *parts)))
    return replace(
        request,
        submission=replace(submission, entries=tuple(entries)),
        objects=replace(objects, extrinsic_objects=tuple(documents)),
    )


def _code(pair: str, domain: CodeSets) -> Code:
    code, _, scheme = pair.partition("^^")
    return Code(code, scheme, domain.display("confidentiality_code", code, scheme) or code)

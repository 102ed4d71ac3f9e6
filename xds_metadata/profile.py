"""What a dialect of document sharing tolerates and demands: plain IHE, and the French DMP. Data, no code paths.

Source: IHE ITI TF-3; for `dmp` the published DMP example messages and the CI-SIS sharing volume.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from soap.transaction import WireTolerances
from xds_metadata.datatypes import DMP as DMP_DATATYPES
from xds_metadata.datatypes import STRICT, DatatypeTolerances
from xds_metadata.model import APPROVED, ARCHIVED, DELETED, DEPRECATED

UPDATE_RESPONSE = "urn:ihe:iti:2010:UpdateDocumentSetResponse"
STATUS_CHANGES = frozenset({(APPROVED, DEPRECATED), (DEPRECATED, APPROVED)})


@dataclass(frozen=True, slots=True)
class Profile:
    """Named switches; each one is off unless a profile turns it on.

    `author_without_node_representation`: an author Classification may lack the empty attribute.
    `code_without_display`: a code may lack its display name.
    `document_id_caseless`: xds:Document/@id is matched to the entry's id without regard to letter case.
    `foreign_slots`: Slot names that are no URN are accepted and kept.
    `signs_submission_set`: a `signs` association may point at the submission set of its message and carry
    SubmissionSetStatus.
    `unlisted_type_code`: a typeCode outside the affinity domain's list is accepted when its scheme is in the list.
    `prefixes`: paths under which every endpoint is served too.
    `unlisted_signature_codes`: an entry of the electronic signature's format may carry codes outside the lists.
    `status_changes`: what a metadata update (ITI-57) may make of an entry's availabilityStatus, as (from, to).
    `update_response`: the wsa:Action of the answer to a metadata update.
    `missing_parent_ids`: in a metadata update a Classification may lack classifiedObject and an ExternalIdentifier
    registryObject: the object that holds it is meant.
    """

    name: str
    wire: WireTolerances = field(default_factory=WireTolerances)
    datatypes: DatatypeTolerances = STRICT
    author_without_node_representation: bool = False
    code_without_display: bool = False
    document_id_caseless: bool = False
    foreign_slots: bool = False
    signs_submission_set: bool = False
    unlisted_type_code: bool = False
    unlisted_signature_codes: bool = False
    prefixes: tuple[str, ...] = ()
    status_changes: frozenset[tuple[str, str]] = STATUS_CHANGES
    update_response: str = UPDATE_RESPONSE
    missing_parent_ids: bool = False

    def is_final(self, status: str) -> bool:
        """Whether nothing is made any more of an entry that came to this status."""
        return all(before != status for before, _ in self.status_changes)

    def paths(self, endpoints: Iterable[str]) -> dict[str, str]:
        """By request path, the endpoint that is served there."""
        return {prefix + endpoint: endpoint for endpoint in endpoints for prefix in ("", *self.prefixes)}


IHE = Profile("ihe", wire=WireTolerances(unprefixed_must_understand=True, empty_to=True))
DMP = Profile(
    "dmp",
    wire=WireTolerances(unprefixed_must_understand=True, empty_to=True, soap11_in_mtom_root=True),
    datatypes=DMP_DATATYPES,
    author_without_node_representation=True,
    document_id_caseless=True,
    signs_submission_set=True,
    unlisted_type_code=True,
    unlisted_signature_codes=True,
    prefixes=("/si-dmp-server/v2/services",),
    status_changes=STATUS_CHANGES | {(APPROVED, ARCHIVED), (ARCHIVED, APPROVED), (APPROVED, DELETED), (ARCHIVED, DELETED)},
    update_response="urn:ihe:iti:2010:UpdateDocumentSet-Response",
    missing_parent_ids=True,
)
PROFILES = {profile.name: profile for profile in (IHE, DMP)}

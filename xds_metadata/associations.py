"""Association types and what each may link.

Source: IHE ITI TF-3 4.2.2.
"""

from __future__ import annotations

HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
RPLC = "urn:ihe:iti:2007:AssociationType:RPLC"
XFRM = "urn:ihe:iti:2007:AssociationType:XFRM"
APND = "urn:ihe:iti:2007:AssociationType:APND"
XFRM_RPLC = "urn:ihe:iti:2007:AssociationType:XFRM_RPLC"
SIGNS = "urn:ihe:iti:2007:AssociationType:signs"
IS_SNAPSHOT_OF = "urn:ihe:iti:2010:AssociationType:IsSnapshotOf"
UPDATE_AVAILABILITY_STATUS = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"
SUBMIT_ASSOCIATION = "urn:ihe:iti:2010:AssociationType:SubmitAssociation"

RELATIONSHIPS = frozenset({RPLC, XFRM, APND, XFRM_RPLC, SIGNS, IS_SNAPSHOT_OF})
"""Links between documents."""
REPLACING = frozenset({RPLC, XFRM_RPLC})
"""Relationships that deprecate their target."""
DOCUMENTED = frozenset({RPLC, XFRM, APND, XFRM_RPLC})
"""Relationships that may carry a documentation code."""
IN_SUBMISSION_TARGET = frozenset({XFRM, APND, SIGNS})
"""Relationships whose target may be an entry of the same submission."""
KNOWN = RELATIONSHIPS | {HAS_MEMBER}
"""The types that a registration (ITI-42) may carry."""
METADATA_UPDATE = frozenset({UPDATE_AVAILABILITY_STATUS, SUBMIT_ASSOCIATION})
"""The types of a metadata update (ITI-57)."""

ORIGINAL = "Original"
REFERENCE = "Reference"

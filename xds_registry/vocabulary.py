"""The small integers that stand in the registry's tables for kinds, statuses and association types.

Source: IHE ITI TF-3 4.2.2 (associations), 4.2.5 (vocabulary); DMP status URNs of the CI-SIS.
"""

from __future__ import annotations

from enum import IntEnum

from xds_metadata import associations as types
from xds_metadata.model import APPROVED, ARCHIVED, DELETED, DEPRECATED


class Kind(IntEnum):
    """What an entryUUID names."""

    ENTRY = 1
    SUBMISSION_SET = 2
    FOLDER = 3
    ASSOCIATION = 4


class Status(IntEnum):
    """availabilityStatus of an object."""

    APPROVED = 1
    DEPRECATED = 2
    ARCHIVED = 3
    DELETED = 4


class Membership(IntEnum):
    """SubmissionSetStatus of a HasMember association from a submission set to an entry."""

    NONE = 0
    ORIGINAL = 1
    REFERENCE = 2


class CodeKind(IntEnum):
    """Which repeated code of an entry."""

    EVENT = 1
    CONFIDENTIALITY = 2


class ActorKind(IntEnum):
    """Which kind of author of an entry."""

    PERSON = 1
    INSTITUTION = 2


STATUS_URN: dict[int, str] = {
    Status.APPROVED: APPROVED,
    Status.DEPRECATED: DEPRECATED,
    Status.ARCHIVED: ARCHIVED,
    Status.DELETED: DELETED,
}
STATUS_OF_URN: dict[str, Status] = {urn: Status(number) for number, urn in STATUS_URN.items()}

ASSOCIATION_TYPE: dict[str, int] = {
    types.HAS_MEMBER: 1,
    types.RPLC: 2,
    types.XFRM: 3,
    types.APND: 4,
    types.XFRM_RPLC: 5,
    types.SIGNS: 6,
    types.IS_SNAPSHOT_OF: 7,
    types.UPDATE_AVAILABILITY_STATUS: 8,
}
"""A number once given is never given again: it is stored."""

UUID_PREFIX = "urn:uuid:"
PATIENT_SEPARATOR = "^"
LEAF_FORMAT = 1


def bare(uuid: str) -> str:
    """An entryUUID as it stands in a column: without `urn:uuid:`."""
    return uuid.removeprefix(UUID_PREFIX)

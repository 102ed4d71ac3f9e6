"""The access policy port. Policies are found by entry point, so that a third party can add one without touching the core."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import entry_points
from typing import Literal, Protocol

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.scope import Scope
from database.handle import Database
from xds_metadata.datatypes import PatientKey

ENTRY_POINT_GROUP = "liasse.access_policies"


class Action(Enum):
    """What a caller wants to do.

    SUBMIT: file new objects. CHANGE: do something to stored entries, replacement included; asked inside the transaction that
    would do it. FIND: search the objects of a patient. GET: look up objects whose identifiers the caller knows. RETRIEVE:
    read documents.
    """

    SUBMIT = "submit"
    CHANGE = "change"
    FIND = "find"
    GET = "get"
    RETRIEVE = "retrieve"


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """What of a document entry a decision may depend on.

    Codes are `code^^scheme`. `persons` and `institutions` are its authors as `identifier^authority` (XCN.1 and XCN.9.2,
    XON.10 and XON.6.2). `status` is Approved, Deprecated, Archived or Deleted.
    """

    unique_id: str
    patient: PatientKey
    type_code: str
    confidentiality: tuple[str, ...]
    persons: tuple[str, ...] = ()
    institutions: tuple[str, ...] = ()
    status: str = "Approved"


@dataclass(frozen=True, slots=True)
class Change:
    """What is to happen to a stored entry.

    `added`, `removed`: confidentiality codes, of kind "metadata"; `other`: whether anything else of the metadata changes.
    `status`: the new one, of kind "status".
    """

    kind: Literal["replace", "append", "transform", "metadata", "status"]
    entry: EntryFacts
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    status: str = ""
    other: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """What an action concerns: patients, objects (uniqueIds), entries to be filed, changes of stored ones.

    `patients` are those that the message names; for GET those who own what it names, which may be none. `references`: the
    answer holds references only.
    """

    patients: tuple[PatientKey, ...] = ()
    objects: tuple[str, ...] = ()
    entries: tuple[EntryFacts, ...] = ()
    changes: tuple[Change, ...] = ()
    references: bool = False


class AccessPolicy(Protocol):
    """Decides and narrows. Neither method reads XML; both may read their own records."""

    @property
    def following(self) -> frozenset[str]:
        """Confidentiality codes (`code^^scheme`) that a document passes on to what replaces, amends or transforms it."""
        ...

    def may(self, ctx: RequestContext, action: Action, target: Target) -> Decision:
        """Whether the subject may do this at all."""
        ...

    def scope(self, ctx: RequestContext, action: Action, patients: Sequence[PatientKey]) -> Scope:
        """What the subject may see of these patients' objects, to do this with it."""
        ...


OpenedPolicy = Callable[[Database], AccessPolicy]
"""Makes the policy of one process over its open database."""

PolicyMaker = Callable[[Mapping[str, object]], OpenedPolicy]
"""What an entry point names: takes the options of the configuration, raises ValueError where they are wrong."""


class UnknownPolicy(Exception):
    """No policy of that name is installed, or it does not take its options."""


def load_policy(name: str, options: Mapping[str, object]) -> OpenedPolicy:
    """The policy registered under `name` in the entry point group `liasse.access_policies`, with its options.

    Raises UnknownPolicy.
    """
    found = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in found:
        raise UnknownPolicy(f"access policy {name!r} is not installed; installed: {', '.join(sorted(found)) or 'none'}")
    maker: PolicyMaker = found[name].load()
    try:
        return maker(options)
    except ValueError as error:
        raise UnknownPolicy(f"access.options: {error}") from error

"""The access policy port. Policies are found by entry point, so that a third party can add one without touching the core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import entry_points
from typing import Protocol

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.scope import Scope
from xds_metadata.datatypes import PatientKey

ENTRY_POINT_GROUP = "liasse.access_policies"


class Action(Enum):
    """What a caller wants to do."""

    SUBMIT = "submit"
    QUERY = "query"
    RETRIEVE = "retrieve"


@dataclass(frozen=True, slots=True)
class Target:
    """What the action concerns: the patients named by the message, and the objects (uniqueIds or entryUUIDs)."""

    patients: tuple[PatientKey, ...] = ()
    objects: tuple[str, ...] = ()


class AccessPolicy(Protocol):
    """Decides and narrows. Neither method reads XML; both may read their own records."""

    def may(self, ctx: RequestContext, action: Action, target: Target) -> Decision:
        """Whether the subject may do this at all."""
        ...

    def scope(self, ctx: RequestContext, patients: Sequence[PatientKey]) -> Scope:
        """What the subject may see of these patients' objects."""
        ...


class UnknownPolicy(Exception):
    """No policy of that name is installed."""


def load_policy(name: str) -> AccessPolicy:
    """The policy registered under `name` in the entry point group `liasse.access_policies`, made without arguments."""
    found = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in found:
        raise UnknownPolicy(f"access policy {name!r} is not installed; installed: {', '.join(sorted(found)) or 'none'}")
    policy: AccessPolicy = found[name].load()()
    return policy

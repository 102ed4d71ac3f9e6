"""The policy `open`: every action is permitted, nothing is hidden. For laboratories and plain IHE domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.policy import Action, OpenedPolicy, Target
from access_control.scope import EVERYTHING, Scope
from xds_metadata.datatypes import PatientKey

_ALLOWED = Decision(allowed=True, rule="open")


class OpenPolicy:
    """Permits everything."""

    following: frozenset[str] = frozenset()

    def may(self, ctx: RequestContext, action: Action, target: Target) -> Decision:  # noqa: ARG002
        """Yes."""
        return _ALLOWED

    def scope(self, ctx: RequestContext, action: Action, patients: Sequence[PatientKey]) -> Scope:  # noqa: ARG002
        """Everything."""
        return EVERYTHING


def configure(options: Mapping[str, object]) -> OpenedPolicy:
    """The entry point. It takes no options: raises ValueError for any."""
    if options:
        raise ValueError(f"{sorted(options)[0]!r} is not an option, the policy open takes none")
    return lambda _database: OpenPolicy()

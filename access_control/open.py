"""The policy `open`: every action is permitted, nothing is hidden. For laboratories and plain IHE domains."""

from __future__ import annotations

from collections.abc import Sequence

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.policy import Action, Target
from access_control.scope import EVERYTHING, Scope
from xds_metadata.datatypes import PatientKey

_ALLOWED = Decision(allowed=True, rule="open")


class OpenPolicy:
    """Permits everything."""

    def may(self, ctx: RequestContext, action: Action, target: Target) -> Decision:  # noqa: ARG002
        """Yes."""
        return _ALLOWED

    def scope(self, ctx: RequestContext, patients: Sequence[PatientKey]) -> Scope:  # noqa: ARG002
        """Everything."""
        return EVERYTHING

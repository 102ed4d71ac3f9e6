"""An access policy of a third party: sensitive documents are for their authors alone.

A document that carries one of the `sensitive` confidentiality codes is seen by callers who are authors of it, and by nobody
else. Access in emergency is not foreseen: who asks for it is refused. Everything else is open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.policy import AccessPolicy, Action, OpenedPolicy, Target
from access_control.scope import AnyOf, HasActor, HasCode, Not, Scope
from database.handle import Database
from xds_metadata.datatypes import PatientKey


@dataclass(frozen=True)
class SensitivityPolicy:
    """`sensitive` are codes (`code^^scheme`); `authority` is the one that gave callers and authors their identifiers."""

    sensitive: tuple[str, ...]
    authority: str

    @property
    def following(self) -> frozenset[str]:
        """What replaces or amends a sensitive document is sensitive."""
        return frozenset(self.sensitive)

    def may(self, ctx: RequestContext, action: Action, target: Target) -> Decision:
        """Everything, but nothing in emergency."""
        if ctx.subject.mode not in ("", "normal"):
            return Decision(allowed=False, rule="sensitivity-emergency")
        return Decision(allowed=True, rule="sensitivity-open")

    def scope(self, ctx: RequestContext, action: Action, patients: Sequence[PatientKey]) -> Scope:
        """What is not sensitive, and what the caller wrote."""
        mine = HasActor("person", (f"{ctx.subject.id}^{self.authority}",))
        return Scope(AnyOf((Not(HasCode("confidentiality_code", self.sensitive)), mine)))


def configure(options: Mapping[str, object]) -> OpenedPolicy:
    """The entry point. Options: `sensitive`, a list of codes; `authority`, an OID. Raises ValueError."""
    unknown = sorted(set(options) - {"sensitive", "authority"})
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not an option, the policy sensitivity takes sensitive and authority")
    sensitive, authority = options.get("sensitive"), options.get("authority", "1.2.250.1.71.4.2.1")
    if not isinstance(sensitive, list) or not sensitive or not all(isinstance(code, str) for code in sensitive):
        raise ValueError("sensitive: expected a list of codes, each code^^scheme")
    policy = SensitivityPolicy(tuple(sensitive), str(authority))

    def opened(_database: Database) -> AccessPolicy:
        return policy

    return opened

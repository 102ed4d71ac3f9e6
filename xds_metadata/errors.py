"""Findings: problems of a message as values, collected and answered at once.

Source: IHE ITI TF-3 4.2.4 (error codes and severities).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

METADATA_ERROR = "MetadataError"
DUPLICATE_IN_MESSAGE = "DuplicateUniqueIdInMessage"
MOST_SOUGHT = 500
"""Findings after which a message is not judged further: nobody repairs more at once, and each costs time."""

_PER_ACTOR = frozenset({METADATA_ERROR, DUPLICATE_IN_MESSAGE, "Error", "Busy", "OutOfResources"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem.

    `code` is an IHE error code in its own spelling, or one of the codes that each actor words in its own way
    (`MetadataError`, `DuplicateUniqueIdInMessage`, `Error`, `Busy`, `OutOfResources`), completed by `for_actor`.
    `context` is a sentence naming object, attribute, rule, value and expectation; `rule` a stable id for logs and tests.
    """

    code: str
    context: str
    location: str = ""
    rule: str = ""
    severity: str = "Error"

    def for_actor(self, actor: str) -> str:
        """The wire code when `actor` ("Registry" or "Repository") reports this finding."""
        return f"XDS{actor}{self.code}" if self.code in _PER_ACTOR else self.code


class XdsFailure(Exception):
    """A message that is answered with an ebRS Failure carrying `findings` (at least one of severity Error)."""

    def __init__(self, findings: Sequence[Finding] | Finding) -> None:
        self.findings: tuple[Finding, ...] = (findings,) if isinstance(findings, Finding) else tuple(findings)
        super().__init__(", ".join(f.rule or f.code for f in self.findings))


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those of `findings` that make a message fail."""
    return tuple(f for f in findings if f.severity == "Error")

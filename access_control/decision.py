"""The answer of a policy, with the rule that gave it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decision:
    """`rule` is the id of the deciding rule, for the journal. `code` is the fault subcode that a refusal is sent with."""

    allowed: bool
    rule: str
    code: str = ""

"""The register of named checks that a plan can list, and what they work on.

A check is a small function `(answer, arguments, facts) -> findings`; no finding means that it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from conformance.answer import Answer
from conformance.findings import Finding, Level
from xmlsafe.schema import Schema


@dataclass(frozen=True, slots=True)
class Facts:
    """What a check knows beside the answer: transaction, MessageID sent (empty: none), the bytes sent by document key.

    `schema` validates message bodies; None leaves schema validity unchecked.
    """

    transaction: str
    message_id: str
    expects_fault: bool
    contents: Mapping[str, bytes]
    schema: Schema | None = None


class Findings:
    """Collects the findings of one check under its name and clause."""

    def __init__(self, check: str, clause: str) -> None:
        self._check = check
        self._clause = clause
        self.found: list[Finding] = []

    def add(self, expected: str, found: str, level: Level = Level.MUST, clause: str = "") -> None:
        """One more deviation."""
        self.found.append(Finding(self._check, clause or self._clause, expected, found, level))


CheckFunction = Callable[[Answer, Mapping[str, Any], Facts, Findings], None]


@dataclass(frozen=True, slots=True)
class Check:
    """A named check: its own clause, the types of its arguments and which are required."""

    name: str
    clause: str
    arguments: Mapping[str, type]
    required: frozenset[str]
    function: CheckFunction

    def run(self, answer: Answer, arguments: Mapping[str, Any], facts: Facts, clause: str = "") -> list[Finding]:
        """The deviations, an empty list when the check holds."""
        findings = Findings(self.name, clause or self.clause)
        self.function(answer, arguments, facts, findings)
        return findings.found


CHECKS: Final[dict[str, Check]] = {}


def check(
    name: str, clause: str, required: Mapping[str, type] | None = None, optional: Mapping[str, type] | None = None
) -> Callable[[CheckFunction], CheckFunction]:
    """Register a check that plans may name."""
    needed, others = dict(required or {}), dict(optional or {})

    def register(function: CheckFunction) -> CheckFunction:
        CHECKS[name] = Check(name, clause, {**needed, **others}, frozenset(needed), function)
        return function

    return register


def compare_sets(findings: Findings, what: str, expected: Iterable[str], found: Iterable[str]) -> None:
    """One finding that names what is missing and what is too much."""
    wanted, got = sorted(expected), sorted(found)
    if wanted == got:
        return
    missing = [value for value in wanted if value not in got]
    surplus = [value for value in got if value not in wanted]
    parts = [f"{len(got)} found"]
    if missing:
        parts.append("missing: " + ", ".join(missing))
    if surplus:
        parts.append("too much: " + ", ".join(surplus))
    if not missing and not surplus:
        parts.append("some occur twice: " + ", ".join(sorted({value for value in got if got.count(value) > 1})))
    findings.add(f"{what}: {', '.join(wanted) or 'none'}", "; ".join(parts))

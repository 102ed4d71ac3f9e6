"""Running cases: each builds what it needs, sends its steps, and judges every answer by all checks.

No case reads another's result, so that any of them can be run alone, in any order, and again on the same server.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from conformance.answer import Answer, read_answer
from conformance.checks import CHECKS, Facts, run_standard
from conformance.exchange import HttpResponse, Request
from conformance.findings import Finding, Level
from conformance.ids import Ids
from conformance.messages import build_request
from conformance.plan import Case, Step
from conformance.scope import Scope, Undefined
from conformance.sender import NotSent, feed_patient, send
from conformance.target import Target
from xmlsafe.schema import Schema


class Verdict(StrEnum):
    """The result of a case."""

    PASS = "pass"  # noqa: S105
    WARNING = "warning"
    FAIL = "fail"
    NOT_APPLICABLE = "not applicable"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class StepResult:
    """One exchange judged: the names of the checks that were evaluated, and what they found."""

    name: str
    transaction: str
    checks: tuple[str, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A case judged; `reason` says why it did not run or does not apply. `seconds` is wall time."""

    case: Case
    verdict: Verdict
    steps: tuple[StepResult, ...]
    reason: str
    seconds: float

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, in the order of the steps."""
        return tuple(finding for step in self.steps for finding in step.findings)


@dataclass(frozen=True, slots=True)
class Run:
    """How a run is made: the target, the seed of all identifiers, where exchanges are kept (None: nowhere), the schemas."""

    target: Target
    seed: str
    keep: Path | None = None
    schema: Schema | None = None


def run_cases(run: Run, cases: Iterable[Case], report: Callable[[CaseResult], None] | None = None) -> list[CaseResult]:
    """Run cases one after the other; `report` is called after each. Raises PlanError for an unusable target only."""
    results = []
    for case in cases:
        results.append(run_case(run, case))
        if report:
            report(results[-1])
    return results


def run_case(run: Run, case: Case) -> CaseResult:
    """Run one case."""
    started = time.monotonic()
    unmet = [reason for reason in map(run.target.unmet, case.needs) if reason]
    if unmet:
        return CaseResult(case, Verdict.NOT_APPLICABLE, (), "; ".join(unmet), 0.0)
    attempt = _Attempt(run, case)
    reason = ""
    try:
        attempt.make_patients_known()
        for number, step in enumerate(case.step, start=1):
            attempt.take(number, step)
    except (NotSent, Undefined) as error:
        reason = str(error)
    steps = tuple(attempt.results)
    return CaseResult(case, _verdict(steps, reason), steps, reason, time.monotonic() - started)


def _verdict(steps: tuple[StepResult, ...], reason: str) -> Verdict:
    levels = {finding.level for step in steps for finding in step.findings}
    if Level.MUST in levels:
        return Verdict.FAIL
    if reason:
        return Verdict.NOT_RUN
    return Verdict.WARNING if levels else Verdict.PASS


class _Attempt:
    """One case while it runs."""

    def __init__(self, run: Run, case: Case) -> None:
        self.run = run
        self.case = case
        self.scope = Scope(Ids(run.seed, case.id, run.target.domain), run.target)
        self.results: list[StepResult] = []
        self._sent: dict[str, Request] = {}

    def make_patients_known(self) -> None:
        if not self.run.target.connection.feed:
            return
        for name in self.case.patients:
            control_id = self.scope.ids.uuid(f"feed {name}")[-20:]
            feed_patient(self.run.target, self.scope.ids.patient(name), control_id, now())

    def take(self, number: int, step: Step) -> None:
        """Send a step, judge the answer, capture variables."""
        if step.pause_ms:
            time.sleep(step.pause_ms / 1000)
        request = self._sent[step.of] if step.send == "again" else build_request(step, self.scope, now())
        self._sent[step.name] = request
        self._keep(number, step, "request", request)
        response = send(request, self.run.target)
        self._keep(number, step, "response", response)
        answer = read_answer(response)
        names, findings = self._judge(step, request, answer)
        self.results.append(StepResult(step.name, request.transaction, tuple(names), tuple(findings)))
        lost = self._capture(step, answer)
        if lost:
            names.append("capture")
            self.results[-1] = StepResult(step.name, request.transaction, tuple(names), (*findings, *lost))

    def _judge(self, step: Step, request: Request, answer: Answer) -> tuple[list[str], list[Finding]]:
        message_id = "" if "MessageID" in step.addressing.omit else request.message_id
        facts = Facts(request.transaction, message_id, step.expects_fault, self.scope.contents, self.run.schema)
        names, findings = run_standard(answer, facts)
        for expectation in step.expect:
            check = CHECKS[expectation.check]
            found = check.run(answer, self.scope.resolve(expectation.arguments), facts, expectation.clause)
            if expectation.level is Level.SHOULD:
                found = [dataclasses.replace(finding, level=Level.SHOULD) for finding in found]
            names.append(check.name)
            findings += found
        return names, findings

    def _capture(self, step: Step, answer: Answer) -> list[Finding]:
        lost = []
        for name, source in step.capture.items():
            unique_id, _, attribute = self.scope.text(source).partition("#")
            found = answer.by_unique_id(unique_id)
            value = found[0].value(attribute or "id") if found else ""
            if value:
                self.scope.define(name, value)
            else:
                expected = f"{attribute or 'id'} of the object with uniqueId {unique_id}, which later steps need"
                lost.append(Finding("capture", "ITI TF-2 3.18.4.1.3", expected, "none in the answer"))
        return lost

    def _keep(self, number: int, step: Step, side: str, message: Request | HttpResponse) -> None:
        if self.run.keep is None:
            return
        folder = self.run.keep / self.case.id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:02d}-{step.name}.{side}.http").write_bytes(message.as_text())


def now() -> str:
    """The time as metadata has it: UTC, 14 digits."""
    return datetime.now(UTC).strftime("%Y%m%d%H%M%S")

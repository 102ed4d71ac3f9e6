"""Reports of a run: a table for the terminal, JUnit XML for build servers, JSON for programs.

The JUnit file is legal XML whatever bytes the target answered.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lxml import etree
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from conformance.engine import CaseResult, Run, Verdict
from conformance.findings import Finding, Level

_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STYLES: Final = {
    Verdict.PASS: "green",
    Verdict.WARNING: "yellow",
    Verdict.FAIL: "bold red",
    Verdict.NOT_APPLICABLE: "dim",
    Verdict.NOT_RUN: "bold magenta",
}


def exit_code(results: Sequence[CaseResult], *, strict: bool = False) -> int:
    """0 when all that apply passed, 1 when one failed or did not run (`strict`: or has a warning), 2 when nothing ran."""
    verdicts = {result.verdict for result in results}
    if not verdicts - {Verdict.NOT_APPLICABLE}:
        return 2
    bad = {Verdict.FAIL, Verdict.NOT_RUN} | ({Verdict.WARNING} if strict else set())
    return 1 if verdicts & bad else 0


def print_line(console: Console, result: CaseResult) -> None:
    """One line for a case that has just ended."""
    style = _STYLES[result.verdict]
    checks = sum(len(step.checks) for step in result.steps)
    console.print(f"[{style}]{result.verdict:>14}[/]  {result.case.id:<32} {checks:>4} checks  {result.seconds:6.2f} s")


def print_report(console: Console, run: Run, results: Sequence[CaseResult]) -> None:
    """What failed and why, then the totals."""
    for result in results:
        if result.verdict in (Verdict.PASS, Verdict.NOT_APPLICABLE):
            continue
        console.print()
        console.print(f"[{_STYLES[result.verdict]}]{result.case.id}[/]  {escape(result.case.title)}", soft_wrap=True)
        console.print(f"    {escape(result.case.purpose)}", soft_wrap=True)
        for step in result.steps:
            for finding in step.findings:
                _print_finding(console, step.name, step.transaction, finding)
        if result.reason:
            console.print(f"    [magenta]stopped[/]: {escape(result.reason)}", soft_wrap=True)
    console.print()
    console.print(_totals(run, results))


def _print_finding(console: Console, step: str, transaction: str, finding: Finding) -> None:
    style = "red" if finding.level is Level.MUST else "yellow"
    console.print(f"    [{style}]{finding.level}[/] {escape(finding.check)} (step {escape(step)}, {transaction})")
    console.print(f"        expected  {escape(finding.expected)}", soft_wrap=True)
    console.print(f"        found     {escape(finding.found)}", soft_wrap=True)
    console.print(f"        clause    {escape(finding.clause)}", soft_wrap=True)


def _totals(run: Run, results: Sequence[CaseResult]) -> Table:
    table = Table(title=f"{escape(run.target.product.name)} {escape(run.target.product.version)}, seed {run.seed}")
    table.add_column("transaction")
    for verdict in Verdict:
        table.add_column(verdict.value, justify="right", style=_STYLES[verdict])
    for transaction in sorted({result.case.transaction for result in results}):
        counts = Counter(result.verdict for result in results if result.case.transaction == transaction)
        table.add_row(transaction, *(str(counts[verdict]) for verdict in Verdict))
    totals = Counter(result.verdict for result in results)
    table.add_section()
    table.add_row("all", *(str(totals[verdict]) for verdict in Verdict))
    return table


def write_junit(path: Path, run: Run, results: Sequence[CaseResult]) -> None:
    """One test suite for each transaction. A case that did not run is an error, one that does not apply is skipped."""
    root = etree.Element("testsuites", name="conformance")
    for transaction in sorted({result.case.transaction for result in results}):
        chosen = [result for result in results if result.case.transaction == transaction]
        counts = Counter(result.verdict for result in chosen)
        suite = etree.SubElement(
            root,
            "testsuite",
            name=transaction,
            tests=str(len(chosen)),
            failures=str(counts[Verdict.FAIL]),
            errors=str(counts[Verdict.NOT_RUN]),
            skipped=str(counts[Verdict.NOT_APPLICABLE]),
            time=f"{sum(result.seconds for result in chosen):.3f}",
        )
        properties = etree.SubElement(suite, "properties")
        for name, value in {"target": run.target.product.name, "seed": run.seed}.items():
            etree.SubElement(properties, "property", name=name, value=_legal(value))
        for result in chosen:
            _junit_case(suite, result)
    path.write_bytes(etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True))


def _junit_case(suite: etree._Element, result: CaseResult) -> None:
    case = result.case
    element = etree.SubElement(
        suite, "testcase", classname=f"conformance.{case.transaction}", name=case.id, time=f"{result.seconds:.3f}"
    )
    text = _legal("\n".join([*(str(finding) for finding in result.findings), result.reason]).strip())
    if result.verdict is Verdict.FAIL:
        etree.SubElement(element, "failure", message=_legal(case.title)).text = text
    elif result.verdict is Verdict.NOT_RUN:
        etree.SubElement(element, "error", message=_legal(result.reason)).text = text
    elif result.verdict is Verdict.NOT_APPLICABLE:
        etree.SubElement(element, "skipped", message=_legal(result.reason))
    elif result.verdict is Verdict.WARNING:
        etree.SubElement(element, "system-out").text = text


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)


def as_json(run: Run, results: Sequence[CaseResult]) -> dict[str, Any]:
    """The run as JSON-ready data, format 1."""
    product = run.target.product
    return {
        "format": 1,
        "target": {"name": product.name, "version": product.version},
        "seed": run.seed,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "totals": {verdict.value: sum(result.verdict is verdict for result in results) for verdict in Verdict},
        "cases": [_json_case(result) for result in results],
    }


def _json_case(result: CaseResult) -> dict[str, Any]:
    case = result.case
    return {
        "id": case.id,
        "rev": case.rev,
        "title": case.title,
        "transaction": case.transaction,
        "clauses": list(case.clauses),
        "verdict": result.verdict.value,
        "reason": result.reason,
        "seconds": round(result.seconds, 3),
        "steps": [
            {
                "name": step.name,
                "transaction": step.transaction,
                "checks": list(step.checks),
                "findings": [
                    {
                        "check": finding.check,
                        "level": finding.level.value,
                        "clause": finding.clause,
                        "expected": finding.expected,
                        "found": finding.found,
                    }
                    for finding in step.findings
                ],
            }
            for step in result.steps
        ],
    }


def write_json(path: Path, run: Run, results: Sequence[CaseResult]) -> None:
    """The run as a JSON file."""
    path.write_text(json.dumps(as_json(run, results), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

"""The conformance tester against the real server: everything passes; behind a proxy with a built-in fault, that is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.engine import CaseResult, Run, Verdict, run_cases
from conformance.findings import Finding
from conformance.plan import Case, load_plan, select
from conformance.target import Target, load_target
from liasse.settings import DEFAULT_REPOSITORY_ID
from schemas.paths import MESSAGES, schema_files
from tests.e2e.faulty_proxy import FAULTS, Alter, Passing, faulty_proxy
from tests.e2e.server import ROOT, RunningServer, merged, running
from tests.unit.conformance.canned import target_text
from xmlsafe.schema import Schema

LAB = {
    "repository": {"unique_id": DEFAULT_REPOSITORY_ID},
    "affinity_domain": {"codes": "connectathon", "assigning_authorities": ["1.3.6.1.4.1.21367.13.20.1000"]},
}
PLAN = load_plan()
TOUCHED = ["42-identifiers", "42-replace-deprecated", "43-two-documents", "43-partial-success"]
"""Cases that between them meet every fault of the proxy."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("lab"), LAB) as server:
        yield server


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema(schema_files(MESSAGES))


def target_at(folder: Path, base: str, **edits: str) -> Target:
    path = folder / "target.toml"
    path.write_text(target_text(base, **edits), encoding="utf-8")
    return load_target(path)


def not_passed(results: list[CaseResult]) -> dict[str, list[str]]:
    """What is wrong, by case: findings and the reason it stopped."""
    return {
        result.case.id: [*(str(finding) for finding in result.findings), result.reason]
        for result in results
        if result.verdict not in (Verdict.PASS, Verdict.NOT_APPLICABLE)
    }


def test_every_case_passes_and_passes_again_on_the_same_server(lab: RunningServer, tmp_path: Path, schema: Schema) -> None:
    target = target_at(tmp_path, lab.base_url)
    for seed in ("first", "second"):
        results = run_cases(Run(target, seed, None, schema), PLAN)
        assert not_passed(results) == {}
        assert sum(result.verdict is Verdict.PASS for result in results) >= 55


@pytest.mark.skipif(not (ROOT / "liasse" / "cli.py").exists(), reason="the feed listens in the server program only")
def test_every_case_passes_where_the_feed_makes_patients_known(tmp_path: Path, schema: Schema) -> None:
    known = merged(LAB, {"affinity_domain": {"patients": "known"}})
    with running(tmp_path / "server", known) as server:
        target = target_at(tmp_path, server.base_url, patients='"known"', feed=f'"127.0.0.1:{server.feed_port}"')
        results = run_cases(Run(target, "fed", None, schema), PLAN)
    assert not_passed(results) == {}
    assert {result.case.id for result in results if result.verdict is Verdict.PASS} >= {"42-unknown-patient"}


def found_through(lab: RunningServer, folder: Path, alter: Alter, cases: tuple[Case, ...], seed: str) -> list[Finding]:
    with faulty_proxy(lab.base_url, alter) as proxy:
        results = run_cases(Run(target_at(folder, proxy), seed), cases)
    assert [result.reason for result in results if result.reason] == []
    return [finding for result in results for finding in result.findings]


def test_a_proxy_without_fault_changes_nothing(lab: RunningServer, tmp_path: Path) -> None:
    def unchanged(answer: Passing) -> Passing:
        return answer

    assert found_through(lab, tmp_path, unchanged, select(PLAN, TOUCHED), "unchanged") == []


@pytest.mark.parametrize("name", FAULTS)
def test_each_built_in_fault_is_found(lab: RunningServer, tmp_path: Path, name: str) -> None:
    fault = FAULTS[name]
    findings = found_through(lab, tmp_path, fault.alter, select(PLAN, TOUCHED), name)
    assert fault.check in {finding.check for finding in findings}

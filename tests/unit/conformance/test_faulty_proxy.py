"""The proxy with built-in faults, before a peer that answers rightly: each fault is found by the check it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.engine import Run, Verdict, run_case
from conformance.plan import load_case
from tests.e2e.faulty_proxy import FAULTS, Passing, faulty_proxy
from tests.unit.conformance import canned
from tests.unit.conformance.canned import FAILURE, Received, Reply, peer, target_at

STEPS = """
id = "x-case"
title = "t"
transaction = "ITI-41"
purpose = "p"
clauses = ["c"]
[[step]]
name = "provide"
send = "ITI-41"
documents = [{ key = "d1", unique_id = "1.2.9", content = "abc" }]
expect = [{ check = "status", is = "Success" }]
[[step]]
name = "replace"
send = "ITI-42"
documents = [{ key = "d2" }]
expect = [
  { check = "status", is = "Failure" },
  { check = "error", codes = ["XDSRegistryDeprecatedDocumentError"] },
]
[[step]]
name = "find"
send = "ITI-18"
query = "GetDocuments"
parameters = { XDSDocumentEntryUniqueId = ["1.2.9"] }
expect = [{ check = "objects", kind = "document", count = 1 }]
[[step]]
name = "retrieve"
send = "ITI-43"
retrieve = [{ unique_id = "1.2.9" }]
expect = [{ check = "document", unique_id = "1.2.9", same_as = "d1" }]
"""


def right(request: Received) -> Reply:
    if "Provide" in request.action:
        return canned.mtom(request, canned.registry_response())
    if "Register" in request.action:
        errors = canned.error_list("XDSRegistryDeprecatedDocumentError")
        return canned.simple(request, canned.registry_response(FAILURE, errors))
    if "Query" in request.action:
        return canned.simple(request, canned.query_response(canned.document_entry("1.2.9")))
    include = '<xop:Include href="cid:d1%40peer"/>'
    return canned.mtom(request, canned.retrieve_response("1.2.9", include), {"d1@peer": b"abc"})


def found(folder: Path, fault: str | None) -> tuple[Verdict, set[str]]:
    path = folder / "x-case.toml"
    path.write_text(STEPS, encoding="utf-8")

    def unchanged(answer: Passing) -> Passing:
        return answer

    alter = FAULTS[fault].alter if fault else unchanged
    with peer(right) as base, faulty_proxy(base, alter) as proxy:
        result = run_case(Run(target_at(folder, proxy), "seed"), load_case(path))
    return result.verdict, {finding.check for finding in result.findings}


def test_without_fault_nothing_is_found(tmp_path: Path) -> None:
    assert found(tmp_path, None) == (Verdict.PASS, set())


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_by_its_check_and_by_no_other(tmp_path: Path, fault: str) -> None:
    assert found(tmp_path, fault) == (Verdict.FAIL, {FAULTS[fault].check})

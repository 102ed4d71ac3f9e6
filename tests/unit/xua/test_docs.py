"""The page is made from the tables, and the tables hold every row of the published list."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from tests.attacks.assertion_cases import cases
from tests.completeness.named_tests import missing
from tests.shared_data import shared
from xua import algorithms, shape
from xua.docs import PAGE, main, page
from xua.kinds.vihf_table import ATTRIBUTES, ELEMENTS
from xua.refusal import REASONS

ROOT = Path(__file__).resolve().parents[3]
UNIT = "tests/unit/xua"
ELSEWHERE = {
    "binding": f"{UNIT}/test_vihf.py::test_a_structure_connects_with_its_own_certificate",
    "certificate": f"{UNIT}/test_verifier.py::test_a_certificate_with_an_extension_twice",
    "certificate-not-a-certificate": f"{UNIT}/test_explain.py::test_a_certificate_that_cannot_be_read",
    "certificate-path-length": f"{UNIT}/test_shape.py::test_the_reasons_of_the_certificate_checks_are_ours",
    "certificate-revocation-unknown": f"{UNIT}/test_verifier.py::test_a_cached_assertion_is_judged_again",
    "certificate-signature-hash": f"{UNIT}/test_shape.py::test_the_reasons_of_the_certificate_checks_are_ours",
    "defect": f"{UNIT}/test_verifier.py::test_what_fails_in_an_unforeseen_way_is_a_refusal",
    "replayed": f"{UNIT}/test_replay.py::test_another_client_may_not",
    "used": f"{UNIT}/test_replay.py::test_one_use",
    "unknown-kind": f"{UNIT}/test_verifier.py::test_kinds_that_are_not_accepted",
    "authn-context": f"{UNIT}/test_xua.py::test_a_lab_accepts_one_role_purpose_and_context",
    "subject-confirmation": f"{UNIT}/test_xua.py::test_methods_of_confirmation",
    "name-id": f"{UNIT}/test_xua.py::test_a_name_that_is_none",
    "assertion-id": f"{UNIT}/test_field_reports.py::test_f99_the_identifier_in_lower_case",
    "signed-element": f"{UNIT}/test_shape.py::test_a_signature_over_something_else",
}
NO_ATTRIBUTE = {"Acces_Regulation_Medicale"}
"""Of Pro Santé Connect, not of the assertion."""


def test_the_page_is_in_step() -> None:
    assert main(["--check", str(ROOT / PAGE)]) == 0, "run `python -m xua.docs`"


def test_every_reason_is_tried() -> None:
    tried = {reason for case in cases() for reason in case.expected.split(" or ")}
    assert set(REASONS) - tried == set(ELSEWHERE) - tried
    assert missing(tuple(ELSEWHERE.values())) == []


def test_reasons_of_elements_are_reasons() -> None:
    assert {reason for element in ELEMENTS for reason in element.reasons} <= set(REASONS)


def test_what_can_be_said_is_on_the_page() -> None:
    text = page()
    for word in (*REASONS, *algorithms.SIGNATURES, *algorithms.LEGACY_DIGESTS, str(shape.MOST_BYTES)):
        assert word in text
    for row in ATTRIBUTES:
        assert all(f"`{name}`" in text for name in row.names)


@pytest.mark.corpus
def test_every_row_of_the_published_list_is_in_the_tables() -> None:
    text = shared("data", "vihf_attributes.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO("".join(line for line in text.splitlines(keepends=True) if line[0] != "#"))))
    names = {name for row in ATTRIBUTES for name in row.names} | {element.place.rpartition("/")[2] for element in ELEMENTS}
    places = {element.place for element in ELEMENTS}
    unknown = []
    for row in rows:
        name = re.sub(r" \(ROR\)| \[.*\]| \(also .*\)", "", row["element"])
        if name not in names | places | NO_ATTRIBUTE and not any(place.endswith(name) for place in places):
            unknown.append(name)
    assert unknown == []
    assert len(rows) == 36

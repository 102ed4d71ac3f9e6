"""Each named check holds for the right answer and finds the wrong one."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.answer import read_answer
from conformance.checks import CHECKS, Facts
from conformance.exchange import HttpResponse
from conformance.findings import Level
from tests.unit.conformance import canned
from tests.unit.conformance.canned import FAILURE, Received, Reply

REQUEST = Received("/", {}, b"<Action>urn:x</Action><MessageID>urn:m</MessageID>")
OWNER = "urn:uuid:0a000000-0000-4000-8000-000000000001"
ENTRY = canned.simple(REQUEST, canned.query_response(canned.document_entry("1.2.9")))
LINK = (
    '<rim:Association id="urn:uuid:0a000000-0000-4000-8000-000000000007" '
    'associationType="urn:ihe:iti:2007:AssociationType:RPLC" sourceObject="urn:uuid:s" targetObject="urn:uuid:t"/>'
)
LINKED = canned.simple(REQUEST, canned.query_response(LINK))
REFERENCE = canned.simple(REQUEST, canned.query_response(f'<rim:ObjectRef id="{OWNER}"/>'))
REFUSED = canned.simple(
    REQUEST, canned.registry_response(FAILURE, canned.error_list("XDSRegistryMetadataError", context="Hash of 1.2.9"))
)
FAULT = Reply(canned.envelope(canned.fault("Sender", "ActionNotSupported"), "x", "urn:m").encode(), status=500)
BARE_FAULT = Reply(canned.envelope(canned.fault("Receiver", reason=""), "x", "urn:m").encode(), status=500)
INCLUDE = '<xop:Include href="cid:d1%40peer"/>'
DOCUMENT = canned.mtom(REQUEST, canned.retrieve_response("1.2.9", INCLUDE), {"d1@peer": b"abc"})


def run(check: str, reply: Reply, arguments: dict[str, Any]) -> list[str]:
    response = HttpResponse(reply.status, "", (("Content-Type", reply.content_type or ""),), reply.body)
    facts = Facts("ITI-18", "urn:m", False, {"d1": b"abc", "d2": b"abcd"})
    return [str(finding) for finding in CHECKS[check].run(read_answer(response), arguments, facts)]


CASES: list[tuple[str, Reply, dict[str, Any], dict[str, Any]]] = [
    ("status", ENTRY, {"is": "Success"}, {"is": "PartialSuccess"}),
    ("error", REFUSED, {"codes": ["XDSRegistryMetadataError", "x"], "count": 1}, {"codes": ["XDSUnknownPatientId"]}),
    ("error", REFUSED, {"codes": ["XDSRegistryMetadataError"]}, {"codes": ["XDSRegistryMetadataError"], "count": 2}),
    ("error", REFUSED, {"codes": ["XDSRegistryMetadataError"]}, {"codes": ["XDSRegistryMetadataError"], "location": "1.2"}),
    ("mentions", REFUSED, {"words": ["hash", "1.2.9"]}, {"words": ["hash", "size"]}),
    ("fault", FAULT, {"code": "Sender", "subcode": "ActionNotSupported"}, {"code": "Receiver"}),
    ("fault", FAULT, {"code": "Sender"}, {"code": "Sender", "subcode": "MessageAddressingHeaderRequired"}),
    ("objects", ENTRY, {"kind": "document", "count": 1}, {"kind": "document", "count": 0}),
    ("objects", ENTRY, {"kind": "folder", "count": 0}, {"kind": "folder", "count": 1}),
    ("objects", ENTRY, {"kind": "document", "unique_ids": ["1.2.9"]}, {"kind": "document", "unique_ids": ["1.2.9", "1.3"]}),
    ("objects", ENTRY, {"kind": "document", "ids": [OWNER]}, {"kind": "document", "ids": []}),
    ("objects", REFERENCE, {"kind": "reference", "ids": [OWNER]}, {"kind": "document", "ids": [OWNER]}),
    (
        "attribute",
        ENTRY,
        {"of": "1.2.9", "name": "size", "is": "3", "matches": r"\d", "after": "2", "differs": "4"},
        {"of": "1.2.9", "name": "size", "is": "4"},
    ),
    ("attribute", ENTRY, {"of": OWNER, "name": "lid", "same_as": "id"}, {"of": OWNER, "name": "version", "same_as": "id"}),
    (
        "attribute",
        ENTRY,
        {"of": OWNER, "name": "typeCode", "values": ["x^^1.2.3"]},
        {"of": OWNER, "name": "typeCode", "values": []},
    ),
    ("attribute", ENTRY, {"of": OWNER, "name": "size", "matches": "3"}, {"of": OWNER, "name": "size", "matches": "4"}),
    ("attribute", ENTRY, {"of": OWNER, "name": "size", "differs": "4"}, {"of": OWNER, "name": "size", "differs": "3"}),
    ("attribute", ENTRY, {"of": OWNER, "name": "size", "after": "3"}, {"of": OWNER, "name": "size", "after": "4"}),
    ("attribute", ENTRY, {"of": OWNER, "name": "size", "is": "3"}, {"of": "1.2.10", "name": "size", "is": "3"}),
    ("association", LINKED, {"type": "RPLC", "source": "urn:uuid:s"}, {"type": "RPLC", "source": "urn:uuid:t"}),
    ("association", LINKED, {"type": "APND", "count": 0}, {"type": "RPLC", "set_status": "Original"}),
    ("document", DOCUMENT, {"unique_id": "1.2.9", "same_as": "d1"}, {"unique_id": "1.2.9", "same_as": "d2"}),
    ("document", DOCUMENT, {"unique_id": "1.2.9", "same_as": "d1"}, {"unique_id": "1.2.10", "same_as": "d1"}),
    ("documents", DOCUMENT, {"count": 1}, {"count": 2}),
    ("parts", DOCUMENT, {"count": 2}, {"count": 1}),
    ("parts", ENTRY, {"count": 0}, {"count": 1}),
]


@pytest.mark.parametrize(("check", "reply", "right", "wrong"), CASES)
def test_a_check_holds_and_finds(check: str, reply: Reply, right: dict[str, Any], wrong: dict[str, Any]) -> None:
    assert run(check, reply, right) == []
    assert len(run(check, reply, wrong)) == 1


def test_every_named_check_is_tried_above() -> None:
    assert {case[0] for case in CASES} == set(CHECKS)


def test_a_fault_where_none_is_expected_is_quoted_with_its_reason() -> None:
    assert "refused" in run("status", FAULT, {"is": "Success"})[0]


def test_a_fault_without_reason_is_found() -> None:
    assert any("Reason" in text for text in run("fault", BARE_FAULT, {"code": "Receiver"}))


def test_a_location_is_a_warning() -> None:
    response = HttpResponse(200, "", (("Content-Type", canned.SOAP),), REFUSED.body)
    facts = Facts("ITI-43", "urn:m", False, {})
    found = CHECKS["error"].run(read_answer(response), {"codes": ["XDSRegistryMetadataError"], "location": "x"}, facts)
    assert [finding.level for finding in found] == [Level.SHOULD]


def test_a_case_may_cite_a_narrower_clause() -> None:
    response = HttpResponse(200, "", (("Content-Type", canned.SOAP),), REFUSED.body)
    found = CHECKS["status"].run(read_answer(response), {"is": "Success"}, Facts("ITI-42", "urn:m", False, {}), "clause 7")
    assert [finding.clause for finding in found] == ["clause 7"]

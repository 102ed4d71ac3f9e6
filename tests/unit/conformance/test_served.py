"""What the tester says of peers that answer rightly, wrongly, or not at all."""

from __future__ import annotations

import base64
import random

import pytest

from conformance.engine import CaseResult, Verdict
from conformance.findings import Level
from tests.unit.conformance import canned
from tests.unit.conformance.canned import APPROVED, ERROR, FAILURE, SUCCESS, WARNING, Received, Reply
from tests.unit.conformance.conftest import Judge

QUERY = """
[[step]]
name = "find"
send = "ITI-18"
query = "GetDocuments"
parameters = { XDSDocumentEntryUniqueId = ["1.2.9"] }
expect = [{ check = "status", is = "Success" }]
"""
REGISTER = """
[[step]]
name = "register"
send = "ITI-42"
documents = [{ key = "d1" }]
expect = [{ check = "status", is = "Success" }]
"""
PROVIDE = """
[[step]]
name = "provide"
send = "ITI-41"
documents = [{ key = "d1", unique_id = "1.2.9", content = "abc" }]
expect = [{ check = "status", is = "Success" }]
"""
RETRIEVE = (
    PROVIDE
    + """
[[step]]
name = "retrieve"
send = "ITI-43"
retrieve = [{ unique_id = "1.2.9" }]
expect = [{ check = "status", is = "Success" }, { check = "document", unique_id = "1.2.9", same_as = "d1" }]
"""
)
INCLUDE = '<xop:Include href="cid:d1%40peer"/>'


def findings(result: CaseResult) -> dict[str, str]:
    """What was found, by the name of the check."""
    return {finding.check: finding.found for finding in result.findings}


def levels(result: CaseResult) -> dict[str, Level]:
    return {finding.check: finding.level for finding in result.findings}


def provided(request: Received) -> Reply | None:
    """A right answer to the ITI-41 of RETRIEVE."""
    return canned.mtom(request, canned.registry_response()) if b"ProvideAndRegister" in request.body else None


def test_right_answers_have_no_finding(judge: Judge) -> None:
    def answer(request: Received) -> Reply:
        return provided(request) or canned.mtom(request, canned.retrieve_response("1.2.9", INCLUDE), {"d1@peer": b"abc"})

    assert judge(RETRIEVE, answer).verdict is Verdict.PASS
    entries = canned.document_entry("1.2.9") + canned.submission_set("1.2.8")
    assert judge(QUERY, lambda request: canned.simple(request, canned.query_response(entries))).verdict is Verdict.PASS


def test_a_second_child_of_the_body_is_reported_and_the_status_still_read(judge: Judge) -> None:
    reason = '<s:Reason><s:Text xml:lang="en">done</s:Text></s:Reason>'
    result = judge(REGISTER, lambda request: canned.simple(request, canned.registry_response() + reason))
    assert set(findings(result)) == {"soap.one-child"}
    assert "Reason" in findings(result)["soap.one-child"]


def test_a_second_child_before_the_answer_does_not_hide_it(judge: Judge) -> None:
    result = judge(REGISTER, lambda request: canned.simple(request, "<other/>" + canned.registry_response()))
    assert set(findings(result)) == {"soap.one-child"}


def test_a_package_without_boundary_is_reported_and_not_guessed(judge: Judge) -> None:
    def answer(request: Received) -> Reply:
        reply = canned.mtom(request, canned.registry_response())
        reply.content_type = 'multipart/related; type="application/xop+xml"'
        return reply

    result = judge(PROVIDE, answer)
    assert "no boundary" in findings(result)["mime.package"]
    assert result.verdict is Verdict.FAIL
    assert "status" in findings(result)


@pytest.mark.parametrize("as_package", [True, False])
def test_a_fault_is_read_in_a_package_and_outside(judge: Judge, as_package: bool) -> None:
    def answer(request: Received) -> Reply:
        text = canned.envelope(canned.fault(reason="the boundary is wrong"), "urn:fault", request.message_id)
        reply = canned.packaged(text, {}) if as_package else Reply(text.encode())
        reply.status = 500
        return reply

    found = findings(judge(PROVIDE, answer))
    assert set(found) == {"soap.root", "status"}
    assert "the boundary is wrong" in found["soap.root"]


def test_simple_soap_for_a_retrieve_is_reported_and_the_document_compared(judge: Judge) -> None:
    def answer(request: Received, data: bytes = b"abc") -> Reply:
        content = base64.encodebytes(data).decode()
        return provided(request) or canned.simple(request, canned.retrieve_response("1.2.9", content))

    assert set(findings(judge(RETRIEVE, answer))) == {"http.media-type"}
    wrong = judge(RETRIEVE, lambda request: answer(request, b"abd"))
    assert set(findings(wrong)) == {"http.media-type", "document"}
    assert "first difference at byte 2" in findings(wrong)["document"]


def test_a_failure_with_nothing_but_warnings_is_a_finding(judge: Judge) -> None:
    errors = canned.error_list("XDSUnknownPatientId", WARNING, WARNING)
    reply = canned.query_response(status=FAILURE, errors=errors)
    result = judge(QUERY.replace('"Success"', '"Failure"'), lambda request: canned.simple(request, reply))
    assert set(findings(result)) == {"ebrs.error-list"}


def test_a_success_with_an_error_is_a_finding(judge: Judge) -> None:
    reply = canned.query_response(errors=canned.error_list("XDSRegistryError"))
    assert set(findings(judge(QUERY, lambda request: canned.simple(request, reply)))) == {"ebrs.error-list"}


def test_an_on_demand_entry_needs_neither_hash_nor_size_nor_creation_time(judge: Judge) -> None:
    reply = canned.query_response(canned.document_entry("1.2.9", on_demand=True))
    assert judge(QUERY, lambda request: canned.simple(request, reply)).verdict is Verdict.PASS


@pytest.mark.parametrize("name", ["hash", "size", "creationTime", "languageCode"])
def test_a_stable_entry_without_a_required_slot_is_a_finding(judge: Judge, name: str) -> None:
    entry = canned.document_entry("1.2.9").replace(f'name="{name}"', 'name="urn:x:other"')
    result = judge(QUERY, lambda request: canned.simple(request, canned.query_response(entry)))
    assert set(findings(result)) == {"rim.objects"}


def test_the_answer_to_a_provide_has_one_part_and_no_more_are_asked_for(judge: Judge) -> None:
    assert judge(PROVIDE, lambda request: canned.mtom(request, canned.registry_response())).verdict is Verdict.PASS
    extra = judge(PROVIDE, lambda request: canned.mtom(request, canned.registry_response(), {"x@peer": b"?"}))
    assert set(findings(extra)) == {"mime.orphan"}


@pytest.mark.parametrize(
    "spoilt", ['lid="urn:uuid:0a000000-0000-4000-8000-000000000002" ', '<rim:VersionInfo versionName="1"/>']
)
def test_a_submission_set_without_lid_or_version_is_a_warning(judge: Judge, spoilt: str) -> None:
    text = canned.submission_set("1.2.9")
    assert spoilt in text
    reply = canned.query_response(text.replace(spoilt, ""))
    result = judge(QUERY, lambda request: canned.simple(request, reply))
    assert levels(result) == {"rim.objects": Level.SHOULD}
    assert result.verdict is Verdict.WARNING


def test_an_entry_without_lid_fails(judge: Judge) -> None:
    text = canned.document_entry("1.2.9").replace('lid="urn:uuid:0a000000-0000-4000-8000-000000000001" ', "")
    result = judge(QUERY, lambda request: canned.simple(request, canned.query_response(text)))
    assert levels(result) == {"rim.objects": Level.MUST}


@pytest.mark.parametrize(
    ("severity", "highest"),
    [
        ("oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error", ERROR),
        (ERROR, "urn:oasis:names:tc:ebxmlregrep:ErrorSeverityType:Error"),
        (ERROR, WARNING),
    ],
)
def test_wrong_severity_uris_are_reported(judge: Judge, severity: str, highest: str) -> None:
    reply = canned.query_response(status=FAILURE, errors=canned.error_list("XDSRegistryError", severity, highest))
    result = judge(QUERY.replace('"Success"', '"Failure"'), lambda request: canned.simple(request, reply))
    assert "ebrs.severity" in findings(result)


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ("RegistryStoredQueryResponse", "RegistryStoredQuery", "wsa.action"),
        (SUCCESS, SUCCESS.replace("Success", "success"), "ebrs.status"),
        ("http://www.w3.org/2003/05/soap-envelope", "http://schemas.xmlsoap.org/soap/envelope/", "soap.version"),
        ("<a:RelatesTo>", "<a:RelatesTo>x", "wsa.relates-to"),
        ("RegistryObjectList", "RegistryObjects", "xsd"),
        ("urn:uuid:0a000000-0000-4000-8000-000000000001", "URN:UUID:0A", "rim.objects"),
        (APPROVED, APPROVED.replace("StatusType", "ResponseStatusType"), "rim.objects"),
    ],
)
def test_one_spoilt_thing_is_found_by_its_check(judge: Judge, old: str, new: str, check: str) -> None:
    def answer(request: Received) -> Reply:
        reply = canned.simple(request, canned.query_response(canned.document_entry("1.2.9")))
        assert old.encode() in reply.body
        return Reply(reply.body.replace(old.encode(), new.encode()))

    result = judge(QUERY, answer)
    assert check in findings(result)
    assert result.verdict is Verdict.FAIL


def test_an_answer_related_to_nothing_is_found(judge: Judge) -> None:
    def answer(request: Received) -> Reply:
        reply = canned.simple(request, canned.query_response())
        lost = f"<a:RelatesTo>{request.message_id}</a:RelatesTo>".encode()
        return Reply(reply.body.replace(lost, b""))

    assert findings(judge(QUERY, answer)) == {"wsa.relates-to": "none"}


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"content_type": "text/xml; charset=UTF-8"}, "http.media-type"),
        ({"content_type": None}, "http.media-type"),
        ({"status": 500}, "http.status"),
        ({"headers": {"Content-Encoding": "gzip"}}, "http.coding"),
    ],
)
def test_a_wrong_http_frame_is_found(judge: Judge, change: dict[str, object], check: str) -> None:
    def answer(request: Received) -> Reply:
        reply = canned.simple(request, canned.query_response())
        for name, value in change.items():
            setattr(reply, name, value)
        return reply

    assert check in findings(judge(QUERY, answer))


def test_an_include_that_names_no_part_is_found(judge: Judge) -> None:
    def answer(request: Received) -> Reply:
        body = canned.retrieve_response("1.2.9", INCLUDE)
        return provided(request) or canned.mtom(request, body, {"other@peer": b"abc"})

    found = findings(judge(RETRIEVE, answer))
    assert {"mime.cid", "mime.orphan", "document"} <= set(found)


def test_a_cut_package_is_found(judge: Judge) -> None:
    def answer(request: Received) -> Reply:
        reply = canned.mtom(request, canned.registry_response())
        return Reply(reply.body[: -len(b"\r\n--B1--\r\n")], reply.content_type)

    assert "closing boundary" in findings(judge(PROVIDE, answer))["mime.framing"]


def inert_empty(request: Received) -> Reply:
    return Reply(b"")


def inert_page(request: Received) -> Reply:
    return Reply(b"<!DOCTYPE html><html><body>Welcome</body></html>", "text/html")


def inert_echo(request: Received) -> Reply:
    return Reply(request.body, request.headers.get("Content-Type"))


def inert_noise(request: Received) -> Reply:
    return Reply(random.Random(7).randbytes(5000), "multipart/related; boundary=x")


def inert_success(request: Received) -> Reply:
    return canned.simple(request, canned.registry_response())


def inert_failure(request: Received) -> Reply:
    return canned.mtom(request, canned.registry_response(FAILURE, canned.error_list("XDSRegistryError")))


@pytest.mark.parametrize("answer", [inert_empty, inert_page, inert_echo, inert_noise, inert_success, inert_failure])
def test_an_inert_peer_fails_and_crashes_nothing(judge: Judge, answer: canned.Answerer) -> None:
    result = judge(QUERY + RETRIEVE, answer)
    assert result.verdict is Verdict.FAIL
    assert len(result.steps) == 3


def test_no_answer_is_not_run_with_the_reason(judge: Judge) -> None:
    def answer(request: Received) -> Reply:
        raise ConnectionAbortedError

    result = judge(QUERY, answer)
    assert result.verdict is Verdict.NOT_RUN
    assert "/registry" in result.reason


def test_mutants_of_a_right_answer_crash_nothing(judge: Judge) -> None:
    random_source = random.Random(11)

    def answer(request: Received) -> Reply:
        done = provided(request)
        if done:
            return done
        reply = canned.mtom(request, canned.retrieve_response("1.2.9", INCLUDE), {"d1@peer": b"abc"})
        data = bytearray(reply.body)
        for _ in range(random_source.randint(1, 8)):
            position = random_source.randrange(len(data))
            if random_source.random() < 0.5:
                data[position] = random_source.randrange(256)
            else:
                del data[position : position + random_source.randint(1, 40)]
        return Reply(bytes(data), reply.content_type)

    for _ in range(60):
        assert judge(RETRIEVE, answer).verdict in (Verdict.PASS, Verdict.WARNING, Verdict.FAIL)


def test_a_finding_says_what_was_expected_by_which_clause_and_what_came(judge: Judge) -> None:
    reply = canned.query_response(status=FAILURE, errors=canned.error_list("XDSRegistryBusy", context="try later"))
    result = judge(QUERY, lambda request: canned.simple(request, reply))
    (finding,) = result.findings
    text = str(finding)
    assert SUCCESS in text
    assert "ITI TF-3 4.2.4.1" in text
    assert "XDSRegistryBusy" in text
    assert "try later" in text

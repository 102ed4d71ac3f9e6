"""The fault envelope: order of elements, codes, escaping, versions."""

from __future__ import annotations

import pytest
from lxml import etree

from soap.faults import Fault, FaultCode, QName, quote, sender, write_fault
from soap.transaction import Reply
from tests.unit.soap.samples import NAMES, envelope, exchange, incoming, s12, seen_fault
from xmlsafe.namespaces import SOAP11, SOAP12, WSA, WSSE


def written(fault: Fault, relates_to: str | None = None) -> Reply:
    return Reply(fault.status, mtom=False, pieces=(write_fault(fault, relates_to),))


def test_elements_stand_in_the_order_of_the_schema() -> None:
    seen = seen_fault(written(sender("why", QName(WSA, "InvalidAddressingHeader"), detail="<wsa:To/>"), "urn:x"))
    assert seen.order == ("Code", "Reason", "Detail")
    assert [etree.QName(e).localname for e in seen.root] == ["Header", "Body"]
    code = seen.root.find("s:Body/s:Fault/s:Code", NAMES)
    assert code is not None
    assert [etree.QName(e).localname for e in code] == ["Value", "Subcode"]


def test_nested_subcodes_are_qualified_each() -> None:
    names = (QName(WSSE, "InvalidSecurity"), QName("urn:test:dmp", "Expired"), QName(WSA, "InvalidCardinality"))
    seen = seen_fault(written(Fault(FaultCode.SENDER, "why", *names)))
    assert seen.subcodes == tuple(str(name) for name in names)


@pytest.mark.parametrize("code", list(FaultCode))
def test_every_code_is_a_name_of_the_envelope_namespace(code: FaultCode) -> None:
    assert seen_fault(written(Fault(code, "why"))).code == s12(code.value)


def test_text_is_escaped_and_made_legal() -> None:
    seen = seen_fault(written(sender("a<b & \x00\ud800 é \U0001f600"), "<&>"))
    assert seen.reason == "a<b & \ufffd\ufffd é \U0001f600"
    assert seen.relates_to == "<&>"


def test_a_fault_that_relates_to_nothing_has_no_relates_to() -> None:
    assert seen_fault(written(sender("why"))).relates_to is None


@pytest.mark.parametrize(
    ("fault", "action"),
    [
        (sender("why", QName(WSA, "ActionNotSupported")), f"{WSA}/fault"),
        (sender("why", QName(WSSE, "InvalidSecurity")), f"{WSA}/soap/fault"),
        (sender("why"), f"{WSA}/soap/fault"),
    ],
)
def test_the_action_says_whose_fault_it_is(fault: Fault, action: str) -> None:
    assert seen_fault(written(fault)).action == action


@pytest.mark.parametrize(
    ("fault", "label"),
    [
        (sender("why"), "Sender"),
        (sender("why", QName(WSSE, "InvalidSecurity")), "wsse:InvalidSecurity"),
        (sender("why", QName(WSA, "InvalidAddressingHeader"), QName(WSA, "InvalidCardinality")), "wsa:InvalidCardinality"),
        (sender("why", QName("urn:test:dmp", "Expired")), "sub:Expired"),
    ],
)
def test_the_label_is_short(fault: Fault, label: str) -> None:
    assert fault.label == label


def test_a_long_quotation_is_cut() -> None:
    assert quote("x" * 120) == f'"{"x" * 120}"'
    assert quote("x" * 121) == f'"{"x" * 120}…"'


def test_a_clark_name_is_read_and_written() -> None:
    assert (QName.from_clark("{urn:x}a"), QName.from_clark("a")) == (QName("urn:x", "a"), QName("", "a"))
    assert str(QName("urn:x", "a")) == "{urn:x}a"


def test_a_soap11_message_gets_ten_identical_soap11_version_mismatches() -> None:
    """F7."""
    answers = [exchange(envelope(soap=SOAP11), incoming()) for _ in range(10)]
    assert all(answer == answers[0] for answer in answers)
    reply = answers[0]
    assert (reply.status, reply.mtom, reply.media_type, reply.fault) == (500, False, "text/xml", "VersionMismatch")
    root = etree.fromstring(b"".join(reply.pieces))
    assert root.tag == f"{{{SOAP11}}}Envelope"
    fault = root.find("s11:Body/s11:Fault", NAMES)
    assert fault is not None
    assert [child.tag for child in fault] == ["faultcode", "faultstring"]
    assert fault[0].text == "soap:VersionMismatch"
    assert fault[0].nsmap["soap"] == SOAP11
    assert SOAP12 in (fault[1].text or "")
    assert supported(root, "s11:Header/s:Upgrade/s:SupportedEnvelope") == s12("Envelope")


def supported(root: etree._Element, path: str) -> str:
    block = root.find(path, NAMES)
    assert block is not None
    prefix, local = (block.get("qname") or "").split(":")
    return f"{{{block.nsmap[prefix]}}}{local}"


@pytest.mark.parametrize("data", [envelope(soap="urn:test:soap13"), b"<Envelope/>", b"<html/>"])
def test_any_other_root_gets_a_soap12_version_mismatch(data: bytes) -> None:
    reply = exchange(data)
    seen = seen_fault(reply)
    assert (reply.status, reply.media_type) == (500, "application/soap+xml")
    assert (seen.code, seen.subcodes) == (s12("VersionMismatch"), ())
    assert supported(seen.root, "s:Header/s:Upgrade/s:SupportedEnvelope") == s12("Envelope")


def test_a_soap11_package_without_the_tolerance_is_answered_unpackaged() -> None:
    reply = exchange(envelope(soap=SOAP11), incoming("/repository", mtom=True))
    assert (reply.mtom, reply.media_type, reply.fault) == (False, "text/xml", "VersionMismatch")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        pytest.param(b"", "malformed", id="empty"),
        pytest.param(b"hello", "malformed", id="text"),
        pytest.param(envelope()[:-5], "malformed", id="truncated"),
        pytest.param(b"<!DOCTYPE a>" + envelope(), "doctype", id="doctype"),
        pytest.param(envelope().decode().encode("utf-16"), "encoding", id="utf-16"),
    ],
)
def test_what_is_no_xml_is_a_sender_fault(data: bytes, word: str) -> None:
    reply = exchange(data)
    seen = seen_fault(reply)
    assert (reply.status, seen.code, seen.subcodes) == (500, s12("Sender"), ())
    assert word in seen.reason
    assert seen.relates_to is None


def test_another_charset_of_the_transport_is_a_sender_fault() -> None:
    assert "encoding" in seen_fault(exchange(envelope(), incoming(charset="iso-8859-1"))).reason
    assert exchange(envelope(), incoming(charset="UTF8")).status == 200


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(envelope(body=""), id="empty-body"),
        pytest.param(envelope(body=" "), id="blank-body"),
        pytest.param(envelope().replace(b"</s:Body>", b"<s:Reason/></s:Body>"), id="two-children"),
        pytest.param(envelope().replace(b"</s:Body>", b"text</s:Body>"), id="text-after"),
        pytest.param(envelope().replace(b"<s:Body>", b"<s:Body>text"), id="text-before"),
        pytest.param(f'<s:Envelope xmlns:s="{SOAP12}"/>'.encode(), id="empty-envelope"),
        pytest.param(envelope().replace(b"</s:Envelope>", b"<s:Body><b/></s:Body></s:Envelope>"), id="two-bodies"),
        pytest.param(envelope().replace(b"</s:Envelope>", b"<b/></s:Envelope>"), id="element-after-body"),
        pytest.param(envelope().replace(b"<s:Body>", b"<s:Header/><s:Body>"), id="two-headers"),
    ],
)
def test_a_misshapen_envelope_is_a_sender_fault(data: bytes) -> None:
    seen = seen_fault(exchange(data))
    assert (seen.code, seen.subcodes) == (s12("Sender"), ())


def test_the_namespace_decides_and_not_the_prefix() -> None:
    plain = (
        f'<Envelope xmlns="{SOAP12}"><Header><Action xmlns="{WSA}">urn:ihe:iti:2007:RegistryStoredQuery</Action>'
        f'<MessageID xmlns="{WSA}">urn:x</MessageID></Header><Body>'
        '<AdhocQueryRequest xmlns="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"/></Body></Envelope>'
    )
    assert exchange(plain.encode()).status == 200

"""WS-Addressing, mustUnderstand and roles: each rule broken once."""

from __future__ import annotations

import pytest

from soap.transaction import WireTolerances
from tests.unit.soap.samples import (
    ANONYMOUS_REPLY,
    MESSAGE_ID,
    NAMES,
    PROVIDE_ACTION,
    PROVIDE_BODY,
    QUERY_ACTION,
    Behaviour,
    envelope,
    exchange,
    incoming,
    s12,
    seen_fault,
    server,
    tree,
    wsa,
)
from xmlsafe.namespaces import SOAP11, SOAP12, WSA, WSSE, XOP

ACTION = f'<a:Action s:mustUnderstand="true">{QUERY_ACTION}</a:Action>'
IDENTIFIER = f"<a:MessageID>{MESSAGE_ID}</a:MessageID>"


def reply_to(address: str, local: str = "ReplyTo") -> str:
    return f"<a:{local}><a:Address>{address}</a:Address></a:{local}>"


def test_the_answer_carries_action_its_own_message_id_to_and_relates_to() -> None:
    reply = exchange(envelope())
    header = tree(reply).find("s:Header", NAMES)
    assert header is not None
    assert reply.status == 200
    assert [child.tag for child in header] == [wsa("Action"), wsa("MessageID"), wsa("To"), wsa("RelatesTo")]
    action, own, to, relates = header
    assert action.text == f"{QUERY_ACTION}Response" == reply.action
    assert action.items() == [(f"{{{SOAP12}}}mustUnderstand", "true")]
    assert own.text is not None
    assert own.text.startswith("urn:uuid:")
    assert own.text != MESSAGE_ID
    assert to.text == f"{WSA}/anonymous"
    assert relates.text == MESSAGE_ID


@pytest.mark.parametrize(
    "message_id",
    [
        "uuid:3b1f6c1e-52a7-4d1c-9a53-0c6f2f1e77aa",
        "3b1f6c1e-52a7-4d1c-9a53-0c6f2f1e77aa",
        "urn:uuid:3B1F6C1E-52A7-4D1C-9A53-0C6F2F1E77AA",
        " a&amp;b &lt;c&gt; é\u00a0",
    ],
)
def test_relates_to_is_the_message_id_as_received(message_id: str) -> None:
    """F9: forms other than a URN are accepted and kept."""
    relates_to = tree(exchange(envelope(message_id=message_id))).findtext("s:Header/a:RelatesTo", None, NAMES)
    assert relates_to == message_id.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")


@pytest.mark.parametrize(
    ("header", "local"), [(IDENTIFIER, "Action"), (ACTION, "MessageID"), ("", "Action")], ids=["action", "id", "both"]
)
def test_a_missing_header_is_named(header: str, local: str) -> None:
    reply = exchange(envelope(header))
    fault = seen_fault(reply)
    assert reply.status == 500
    assert (fault.code, fault.subcodes) == (s12("Sender"), (wsa("MessageAddressingHeaderRequired"),))
    assert local in fault.reason
    assert fault.root.findtext("s:Body/s:Fault/s:Detail/a:ProblemHeaderQName", None, NAMES) == f"wsa:{local}"
    assert fault.action == f"{WSA}/fault"
    assert fault.relates_to == (MESSAGE_ID if header == IDENTIFIER else None)
    assert reply.fault == "wsa:MessageAddressingHeaderRequired"


def test_no_header_at_all_is_a_missing_action() -> None:
    data = envelope().replace(envelope()[envelope().index(b"<s:Header>") : envelope().index(b"<s:Body>")], b"")
    assert b"Header" not in data
    assert seen_fault(exchange(data)).subcodes == (wsa("MessageAddressingHeaderRequired"),)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(ACTION + ACTION + IDENTIFIER, id="Action"),
        pytest.param(ACTION + IDENTIFIER + IDENTIFIER, id="MessageID"),
        pytest.param(ACTION + IDENTIFIER + "<a:To>urn:x</a:To><a:To>urn:x</a:To>", id="To"),
        pytest.param(ACTION + IDENTIFIER + ANONYMOUS_REPLY + ANONYMOUS_REPLY, id="ReplyTo"),
        pytest.param(ACTION + IDENTIFIER + reply_to("urn:x", "From") * 2, id="From"),
        pytest.param(ACTION + IDENTIFIER + reply_to(f"{WSA}/none", "FaultTo") * 2, id="FaultTo"),
    ],
)
def test_a_doubled_header_is_a_fault(header: str, request: pytest.FixtureRequest) -> None:
    fault = seen_fault(exchange(envelope(header)))
    assert (fault.code, fault.subcodes) == (s12("Sender"), (wsa("InvalidAddressingHeader"), wsa("InvalidCardinality")))
    assert request.node.callspec.id in fault.reason
    assert "2 times" in fault.reason


@pytest.mark.parametrize(
    ("header", "found"),
    [
        pytest.param(f"<a:Action> {QUERY_ACTION}</a:Action>{IDENTIFIER}", "white space", id="before"),
        pytest.param(f"<a:Action>{QUERY_ACTION}\n</a:Action>{IDENTIFIER}", "white space", id="after"),
        pytest.param(f"<a:Action>urn:ihe:iti: 2007</a:Action>{IDENTIFIER}", "white space", id="inside"),
        pytest.param(f"<a:Action/>{IDENTIFIER}", "empty", id="empty"),
        pytest.param(f"<a:Action><b/></a:Action>{IDENTIFIER}", "element", id="element"),
        pytest.param(f"{ACTION}<a:MessageID> </a:MessageID>", "empty", id="blank-id"),
        pytest.param(f"{ACTION}<a:MessageID>u<b/>v</a:MessageID>", "element", id="element-in-id"),
        pytest.param(f"{ACTION}{IDENTIFIER}<a:To/>", "empty", id="empty-to"),
        pytest.param(f"{ACTION}{IDENTIFIER}<a:To><b/></a:To>", "element", id="element-in-to"),
    ],
)
def test_a_header_of_wrong_form_is_a_fault(header: str, found: str) -> None:
    fault = seen_fault(exchange(envelope(header)))
    assert (fault.code, fault.subcodes) == (s12("Sender"), (wsa("InvalidAddressingHeader"),))
    assert found in fault.reason


def test_a_comment_does_not_cut_the_action() -> None:
    parted = QUERY_ACTION.replace("2007", "2<!-- x -->007")
    assert exchange(envelope(f"<a:Action>{parted}</a:Action>{IDENTIFIER}")).status == 200


def test_headers_need_no_must_understand_and_no_reply_to() -> None:
    assert exchange(envelope(f"<a:Action>{QUERY_ACTION}</a:Action>{IDENTIFIER}")).status == 200


@pytest.mark.parametrize("local", ["ReplyTo", "FaultTo"])
@pytest.mark.parametrize("address", ["http://127.0.0.1:9/reply", "", "mailto:a@example.org", f"{WSA}/Anonymous"])
def test_only_the_anonymous_address_is_answered(local: str, address: str) -> None:
    behaviour = Behaviour()
    reply = exchange(envelope(ACTION + IDENTIFIER + reply_to(address, local)), on=server(behaviour))
    fault = seen_fault(reply)
    assert (fault.code, fault.subcodes) == (s12("Sender"), (wsa("DestinationUnreachable"),))
    assert local in fault.reason
    assert fault.relates_to == MESSAGE_ID
    assert behaviour.decoded == []


@pytest.mark.parametrize(
    "content", ["", "<a:Address>urn:a</a:Address><a:Address>urn:b</a:Address>", "<a:Address><b/></a:Address>"]
)
def test_reply_to_needs_one_address(content: str) -> None:
    fault = seen_fault(exchange(envelope(ACTION + IDENTIFIER + f"<a:ReplyTo>{content}</a:ReplyTo>")))
    assert fault.subcodes == (wsa("InvalidAddressingHeader"), wsa("MissingAddressInEPR"))


def test_reply_to_none_is_processed_in_silence() -> None:
    behaviour = Behaviour()
    reply = exchange(envelope(ACTION + IDENTIFIER + reply_to(f"{WSA}/none")), on=server(behaviour))
    assert (reply.status, reply.pieces, reply.attachments, reply.mtom) == (202, (), (), False)
    assert behaviour.handled == ["ITI-18"]


@pytest.mark.parametrize(
    ("addresses", "status"),
    [
        (reply_to(f"{WSA}/none"), 202),
        (reply_to(f"{WSA}/none", "FaultTo"), 202),
        (reply_to(f"{WSA}/none") + reply_to(f"{WSA}/anonymous", "FaultTo"), 500),
    ],
    ids=["reply", "fault", "fault-wanted"],
)
def test_a_fault_goes_where_faults_are_wanted(addresses: str, status: int) -> None:
    reply = exchange(envelope(ACTION.replace("Registry", "No") + IDENTIFIER + addresses))
    assert reply.status == status
    assert reply.fault == "wsa:ActionNotSupported"
    assert bool(reply.pieces) is (status == 500)


@pytest.mark.parametrize("value", ["1", "true", " true "])
def test_an_unknown_header_that_must_be_understood_is_named(value: str) -> None:
    block = f'<t:Stamp xmlns:t="urn:test:t" s:mustUnderstand="{value}"/>'
    reply = exchange(envelope(more=block + block.replace("Stamp", "Other")))
    fault = seen_fault(reply)
    assert (fault.code, fault.subcodes) == (s12("MustUnderstand"), ())
    assert fault.action == f"{WSA}/soap/fault"
    assert fault.relates_to == MESSAGE_ID
    blocks = fault.root.findall("s:Header/s:NotUnderstood", NAMES)
    names = [(b.nsmap[(b.get("qname") or "").split(":")[0]], (b.get("qname") or "").split(":")[1]) for b in blocks]
    assert names == [("urn:test:t", "Stamp"), ("urn:test:t", "Other")]
    assert "{urn:test:t}Stamp" in fault.reason


def test_an_unknown_header_without_namespace_is_named_too() -> None:
    fault = seen_fault(exchange(envelope(more='<Stamp s:mustUnderstand="1"/>')))
    block = fault.root.find("s:Header/s:NotUnderstood", NAMES)
    assert block is not None
    assert block.get("qname") == "Stamp"


@pytest.mark.parametrize(
    "block",
    [
        '<t:Stamp xmlns:t="urn:test:t"/>',
        '<t:Stamp xmlns:t="urn:test:t" s:mustUnderstand="false"/>',
        '<t:Stamp xmlns:t="urn:test:t" s:mustUnderstand="0"/>',
        '<t:Stamp xmlns:t="urn:test:t" s:mustUnderstand="1" s:role="urn:test:elsewhere"/>',
        f'<t:Stamp xmlns:t="urn:test:t" s:mustUnderstand="1" s:role="{SOAP12}/role/none"/>',
        f'<a:To s:role="urn:test:elsewhere">urn:x</a:To><a:To s:role="{SOAP12}/role/next">urn:y</a:To>',
        '<a:RelatesTo s:mustUnderstand="1">urn:x</a:RelatesTo><a:RelatesTo>urn:y</a:RelatesTo>',
    ],
)
def test_other_headers_are_let_through(block: str) -> None:
    assert exchange(envelope(more=block)).status == 200


@pytest.mark.parametrize("role", ["", f"{SOAP12}/role/next", f"{SOAP12}/role/ultimateReceiver"])
def test_the_roles_of_an_ultimate_receiver_are_ours(role: str) -> None:
    block = f'<t:Stamp xmlns:t="urn:test:t" s:mustUnderstand="1" s:role="{role}"/>'
    assert seen_fault(exchange(envelope(more=block))).code == s12("MustUnderstand")


def test_an_unknown_header_of_the_addressing_namespace_is_not_understood() -> None:
    assert seen_fault(exchange(envelope(more='<a:Novelty s:mustUnderstand="1"/>'))).code == s12("MustUnderstand")


def test_the_older_addressing_namespace_is_not_understood() -> None:
    data = envelope().replace(WSA.encode(), b"http://schemas.xmlsoap.org/ws/2004/08/addressing")
    assert seen_fault(exchange(data)).code == s12("MustUnderstand")


def test_a_must_understand_that_is_no_boolean_is_a_fault() -> None:
    fault = seen_fault(exchange(envelope(more='<t:Stamp xmlns:t="urn:test:t" s:mustUnderstand="yes"/>')))
    assert (fault.code, fault.subcodes) == (s12("Sender"), ())
    assert '"yes"' in fault.reason


def test_security_is_understood_and_handed_over() -> None:
    behaviour = Behaviour()
    block = f'<w:Security xmlns:w="{WSSE}" s:mustUnderstand="1"><w:Token/></w:Security>'
    assert exchange(envelope(more=block), on=server(behaviour)).status == 200
    security = behaviour.decoded[0].security
    assert security is not None
    assert (security.tag, len(security)) == (f"{{{WSSE}}}Security", 1)


def test_security_for_another_role_is_not_handed_over() -> None:
    behaviour = Behaviour()
    block = f'<w:Security xmlns:w="{WSSE}" s:role="urn:test:elsewhere"/>'
    assert exchange(envelope(more=block), on=server(behaviour)).status == 200
    assert behaviour.decoded[0].security is None


def test_two_security_headers_are_refused() -> None:
    block = f'<w:Security xmlns:w="{WSSE}"/>'
    fault = seen_fault(exchange(envelope(more=block + block)))
    assert (fault.code, fault.subcodes) == (s12("Sender"), (f"{{{WSSE}}}InvalidSecurity",))


def test_an_include_in_the_header_is_refused() -> None:
    block = f'<w:Security xmlns:w="{WSSE}"><i:Include xmlns:i="{XOP}" href="cid:a"/></w:Security>'
    assert "xop:Include" in seen_fault(exchange(envelope(more=block))).reason


# Tolerances: each is a fault without its switch and accepted with it, and nothing else changes.

UNPREFIXED = ACTION.replace("s:mustUnderstand", "mustUnderstand") + IDENTIFIER


def test_an_unprefixed_must_understand_is_refused() -> None:
    fault = seen_fault(exchange(envelope(UNPREFIXED)))
    assert (fault.code, fault.subcodes) == (s12("Sender"), ())
    assert "no namespace" in fault.reason


def test_an_unprefixed_must_understand_is_tolerated_by_its_switch() -> None:
    tolerant = server(tolerances=WireTolerances(unprefixed_must_understand=True))
    assert exchange(envelope(UNPREFIXED), on=tolerant).status == 200
    unknown = '<t:Stamp xmlns:t="urn:test:t" mustUnderstand="true"/>'
    assert seen_fault(exchange(envelope(UNPREFIXED + unknown), on=tolerant)).code == s12("MustUnderstand")
    assert seen_fault(exchange(envelope(UNPREFIXED + "<a:To/>"), on=tolerant)).subcodes == (wsa("InvalidAddressingHeader"),)


def test_an_empty_to_is_tolerated_by_its_switch() -> None:
    tolerant = server(tolerances=WireTolerances(empty_to=True))
    assert exchange(envelope(more="<a:To/>"), on=tolerant).status == 200
    assert exchange(envelope(more="<a:To> </a:To>"), on=tolerant).status == 200
    assert seen_fault(exchange(envelope(UNPREFIXED), on=tolerant)).code == s12("Sender")


SOAP11_PACKAGE = envelope(action=PROVIDE_ACTION, body=PROVIDE_BODY, soap=SOAP11)


def test_a_soap11_envelope_in_a_package_is_tolerated_by_its_switch() -> None:
    behaviour = Behaviour()
    tolerant = server(behaviour, WireTolerances(soap11_in_mtom_root=True))
    reply = exchange(SOAP11_PACKAGE, incoming("/repository", mtom=True), tolerant)
    assert (reply.status, reply.mtom, reply.media_type) == (200, True, "application/soap+xml")
    assert tree(reply).tag == s12("Envelope")
    assert behaviour.handled == ["ITI-41"]


def test_a_soap11_envelope_outside_a_package_is_refused_with_the_switch_too() -> None:
    tolerant = server(tolerances=WireTolerances(soap11_in_mtom_root=True))
    reply = exchange(SOAP11_PACKAGE, incoming("/repository"), tolerant)
    assert (reply.status, reply.fault) == (500, "VersionMismatch")


def test_must_understand_of_soap11_is_obeyed_in_a_tolerated_envelope() -> None:
    tolerant = server(tolerances=WireTolerances(soap11_in_mtom_root=True))
    for attribute, status in (
        ('s:mustUnderstand="1"', 500),
        ('s:mustUnderstand="1" s:actor="urn:test:elsewhere"', 200),
        ('s:mustUnderstand="1" s:actor="http://schemas.xmlsoap.org/soap/actor/next"', 500),
    ):
        block = f'<t:Stamp xmlns:t="urn:test:t" {attribute}/>'
        data = envelope(action=PROVIDE_ACTION, body=PROVIDE_BODY, soap=SOAP11, more=block)
        reply = exchange(data, incoming("/repository", mtom=True), tolerant)
        assert (reply.status, reply.fault) == (status, "MustUnderstand" if status == 500 else None)

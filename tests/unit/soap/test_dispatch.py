"""Dispatch on action, endpoint and body root; the formats of answers; descriptors that contradict each other."""

from __future__ import annotations

import threading

import pytest

from soap.application import DescriptorError
from soap.transaction import Body, Call, Incoming
from soap.transport import Server
from tests.unit.soap.samples import (
    ANSWER,
    ENDPOINTS,
    MESSAGE_ID,
    NAMES,
    PROVIDE_ACTION,
    PROVIDE_BODY,
    QUERY_ACTION,
    QUERY_BODY,
    REGISTER_ACTION,
    REGISTER_BODY,
    RETRIEVE_ACTION,
    RETRIEVE_BODY,
    UPDATE_ACTION,
    Behaviour,
    envelope,
    exchange,
    incoming,
    s12,
    seen_fault,
    server,
    transactions,
    tree,
    wsa,
)


@pytest.mark.parametrize(
    ("action", "body", "path", "number"),
    [
        (QUERY_ACTION, QUERY_BODY, "/registry", "ITI-18"),
        (QUERY_ACTION, QUERY_BODY, "/si-dmp-server/v2/services/registry", "ITI-18"),
        (REGISTER_ACTION, REGISTER_BODY, "/registry", "ITI-42"),
        (UPDATE_ACTION, REGISTER_BODY, "/registry", "ITI-57"),
        (PROVIDE_ACTION, PROVIDE_BODY, "/repository", "ITI-41"),
        (RETRIEVE_ACTION, RETRIEVE_BODY, "/repository", "ITI-43"),
    ],
)
def test_the_action_decides_where_the_body_is_shared(action: str, body: str, path: str, number: str) -> None:
    """F5: a body that could be another transaction's goes where the action says."""
    behaviour = Behaviour()
    reply = exchange(envelope(action=action, body=body), incoming(path), server(behaviour))
    assert (reply.status, reply.action) == (200, f"{action}Response")
    assert behaviour.handled == [number]


@pytest.mark.parametrize(
    ("action", "path"),
    [
        ("urn:ihe:iti:2007:Unknown", "/registry"),
        (PROVIDE_ACTION, "/registry"),
        (QUERY_ACTION, "/repository"),
        (QUERY_ACTION.lower(), "/registry"),
        (f"{QUERY_ACTION}Response", "/registry"),
    ],
)
def test_an_action_the_endpoint_does_not_have_is_not_supported(action: str, path: str) -> None:
    behaviour = Behaviour()
    reply = exchange(envelope(action=action), incoming(path), server(behaviour))
    seen = seen_fault(reply)
    assert (seen.code, seen.subcodes) == (s12("Sender"), (wsa("ActionNotSupported"),))
    assert seen.order == ("Code", "Reason", "Detail")
    assert seen.root.findtext("s:Body/s:Fault/s:Detail/a:ProblemAction/a:Action", None, NAMES) == action
    assert action in seen.reason
    assert path in seen.reason
    assert seen.relates_to == MESSAGE_ID
    assert behaviour.decoded == []


def test_a_path_without_endpoint_is_unreachable() -> None:
    assert seen_fault(exchange(envelope(), incoming("/elsewhere"))).subcodes == (wsa("DestinationUnreachable"),)


@pytest.mark.parametrize(
    ("action", "body", "expected", "found"),
    [
        (REGISTER_ACTION, QUERY_BODY, "SubmitObjectsRequest", "AdhocQueryRequest"),
        (QUERY_ACTION, REGISTER_BODY, "AdhocQueryRequest", "SubmitObjectsRequest"),
        (QUERY_ACTION, "<AdhocQueryRequest/>", "{urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0}", '"AdhocQueryRequest"'),
    ],
)
def test_a_body_of_another_transaction_is_refused_and_not_executed(
    action: str, body: str, expected: str, found: str
) -> None:
    behaviour = Behaviour()
    seen = seen_fault(exchange(envelope(action=action, body=body), on=server(behaviour)))
    assert (seen.code, seen.subcodes) == (s12("Sender"), ())
    assert action in seen.reason
    assert expected in seen.reason
    assert found in seen.reason
    assert behaviour.decoded == []


def test_further_request_actions_are_accepted_too() -> None:
    behaviour = Behaviour()
    older = behaviour.transaction(
        "ITI-18", "/q", QUERY_ACTION, transactions(behaviour)[0].body_root, actions=("urn:a", "urn:b")
    )
    on = Server([older])
    for action in older.request_actions:
        assert exchange(envelope(action=action), incoming("/q"), on).action == f"{QUERY_ACTION}Response"
    assert exchange(envelope(action=QUERY_ACTION), incoming("/q"), on).fault == "wsa:ActionNotSupported"


def test_hints_of_http_decide_nothing() -> None:
    """F1, F11: a SOAPAction or action parameter that is empty or another one's changes nothing."""
    for hint in ("", "ProvideAndRegisterDocumentSet", PROVIDE_ACTION):
        to = Incoming(path="/registry", mtom=False, peer="192.0.2.1", action_hint=hint)
        reply = exchange(envelope(), to)
        assert (reply.status, tree(reply).tag) == (200, s12("Envelope"))


@pytest.mark.parametrize(
    ("action", "body", "asked", "answered"),
    [
        (PROVIDE_ACTION, PROVIDE_BODY, True, True),
        (PROVIDE_ACTION, PROVIDE_BODY, False, False),
        (RETRIEVE_ACTION, RETRIEVE_BODY, True, True),
        (RETRIEVE_ACTION, RETRIEVE_BODY, False, True),
    ],
)
def test_mtom_transactions_answer_packaged_or_in_kind(action: str, body: str, asked: bool, answered: bool) -> None:
    reply = exchange(envelope(action=action, body=body), incoming("/repository", mtom=asked))
    assert (reply.status, reply.mtom) == (200, answered)


def test_a_simple_transaction_answers_simple_soap_whatever_the_request_was() -> None:
    assert exchange(envelope(), incoming(mtom=True)).mtom is False


@pytest.mark.parametrize(
    ("action", "body", "path", "asked", "answered"),
    [
        (PROVIDE_ACTION, QUERY_BODY, "/repository", True, True),
        (PROVIDE_ACTION, QUERY_BODY, "/repository", False, False),
        (RETRIEVE_ACTION, QUERY_BODY, "/repository", True, True),
        (RETRIEVE_ACTION, QUERY_BODY, "/repository", False, False),
        (QUERY_ACTION, REGISTER_BODY, "/registry", True, False),
        ("urn:x", QUERY_BODY, "/repository", True, True),
        ("urn:x", QUERY_BODY, "/repository", False, False),
    ],
)
def test_a_fault_comes_in_the_format_of_its_request(action: str, body: str, path: str, asked: bool, answered: bool) -> None:
    """F17: a peer that sent a package can read one; one that did not may not."""
    reply = exchange(envelope(action=action, body=body), incoming(path, mtom=asked))
    assert (reply.status, reply.mtom) == (500, answered)
    assert seen_fault(reply).code == s12("Sender")


def test_body_pieces_are_handed_out_as_they_are() -> None:
    pieces = tuple(bytes(f"<b n='{n}'/>", "ascii") for n in range(3))
    reply = exchange(envelope(), on=server(Behaviour(handle=lambda call: Body(pieces))))
    assert all(given is own for given, own in zip(reply.pieces[1:-1], pieces, strict=True))


def test_the_call_tells_the_transaction_what_it_needs() -> None:
    seen: list[Call] = []

    def handle(call: Call) -> Body:
        seen.append(call)
        return ANSWER

    on = server(Behaviour(decode=lambda call: ("decoded", call.body.tag), handle=handle))
    to = incoming("/si-dmp-server/v2/services/registry")
    opened = on.open(envelope(), to)
    assert opened.reply is None
    assert seen == []
    parts: dict[str, object] = {}
    reply = on.finish(opened, parts)  # type: ignore[arg-type]
    (call,) = seen
    assert call.request == ("decoded", call.body.tag)
    assert call.parts is parts
    assert (call.incoming, call.message_id, call.action) == (to, MESSAGE_ID, QUERY_ACTION)
    assert call.transaction.number == "ITI-18"
    assert on.finish(opened, {}) is reply
    assert opened.call is None, "the parsed message is dropped before the answer is streamed"


def test_concurrent_calls_do_not_mix() -> None:
    barrier = threading.Barrier(8)

    def handle(call: Call) -> Body:
        return Body((f"<b>{call.request}</b>".encode(),))

    on = server(Behaviour(decode=lambda call: call.message_id, handle=handle))
    wrong: list[str] = []

    def run(worker: int) -> None:
        barrier.wait()
        for n in range(100):
            name = f"urn:test:{worker}:{n}"
            root = tree(exchange(envelope(message_id=name), on=on))
            if (root.findtext("s:Header/a:RelatesTo", None, NAMES), root.findtext("s:Body/b", None, NAMES)) != (name, name):
                wrong.append(name)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_descriptors_that_contradict_each_other_are_refused() -> None:
    both = transactions(Behaviour())
    with pytest.raises(DescriptorError, match="ITI-18 is described twice"):
        Server([both[0], both[0]], ENDPOINTS)
    with pytest.raises(DescriptorError, match="no path leads to its endpoint 'repository'"):
        Server(both, {"/registry": "registry"})
    clash = Behaviour().transaction("ITI-99", "registry", QUERY_ACTION, "{urn:x}b")
    with pytest.raises(DescriptorError, match="ITI-99: the action"):
        Server([*both, clash], ENDPOINTS)

"""The body as evidence: its own bytes, readable alone."""

from __future__ import annotations

from typing import Any, cast

import pytest

from soap.received import body_as_received
from soap.transaction import Call, Incoming
from xmlsafe import parse
from xmlsafe.namespaces import SOAP12

INCOMING = Incoming("/registry", mtom=False, peer="192.0.2.1")


def call(message: bytes) -> Call:
    body = parse(message).find(f"{{{SOAP12}}}Body")
    assert body is not None
    return Call(cast(Any, None), INCOMING, "urn:uuid:1", "a", None, body[0], message=message)


def envelope(body: str, declared: str = "", header: str = "") -> bytes:
    return f'<s:Envelope xmlns:s="{SOAP12}"{declared}>{header}<s:Body>\n{body} </s:Body></s:Envelope>'.encode()


@pytest.mark.parametrize(
    "body",
    [
        "<q:Ask xmlns:q='urn:q'   a = '&gt;é&#233;' >\n<q:b/></q:Ask >",
        '<Ask xmlns="urn:q"><b>&#x27;</b></Ask>',
        '<q:Ask xmlns:q="urn:q" a="a>b" xmlns:r="urn:r" r:x="1"></q:Ask>',
    ],
)
def test_a_body_that_stands_alone_keeps_every_byte(body: str) -> None:
    assert body_as_received(call(envelope(body, ' xmlns:unused="urn:unused"'))) == body.encode()


def test_inherited_namespaces_are_declared_and_the_rest_is_as_sent() -> None:
    declared = ' xmlns:q="urn:q" xmlns:r="urn:r?a=1&amp;b" xmlns="urn:default" xmlns:unused="urn:unused"'
    found = body_as_received(call(envelope("<q:Ask  r:x='1'></q:Ask>", declared)))
    assert found.endswith(b"  r:x='1'></q:Ask>")
    alone = parse(found)
    assert (alone.tag, alone.get("{urn:r?a=1&b}x")) == ("{urn:q}Ask", "1")
    assert set(alone.nsmap) == {"q", "r", None}


@pytest.mark.parametrize(
    "message",
    [
        envelope("<q:Ask xmlns:q='urn:q'>é</q:Ask>", header="<!-- <q:Ask> -->"),
        envelope("<q:Ask xmlns:q='urn:q'>é</q:Ask>", header="<s:Header><q:Ask xmlns:q='urn:q'/></s:Header>"),
        envelope("<q:Ask xmlns:q='urn:q'><![CDATA[é]]></q:Ask>"),
    ],
)
def test_where_the_place_is_not_certain_the_element_is_written_anew(message: bytes) -> None:
    alone = parse(body_as_received(call(message)))
    assert (alone.tag, alone.text) == ("{urn:q}Ask", "é")


def test_without_the_message_the_element_is_written() -> None:
    one = call(envelope("<q:Ask xmlns:q='urn:q'>é</q:Ask>"))
    one.message = b""
    assert parse(body_as_received(one)).text == "é"

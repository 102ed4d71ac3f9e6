"""One valid request, one server of four transactions around it, and readers of what comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from soap.transaction import Body, Call, Incoming, Reply, Transaction, WireTolerances
from soap.transport import Server
from xmlsafe.namespaces import LCM, QUERY, SOAP11, SOAP12, WSA, XDS

NAMES = {"s": SOAP12, "a": WSA, "s11": SOAP11}
QUERY_ACTION = "urn:ihe:iti:2007:RegistryStoredQuery"
REGISTER_ACTION = "urn:ihe:iti:2007:RegisterDocumentSet-b"
UPDATE_ACTION = "urn:ihe:iti:2010:UpdateDocumentSet"
PROVIDE_ACTION = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
RETRIEVE_ACTION = "urn:ihe:iti:2007:RetrieveDocumentSet"
MESSAGE_ID = "urn:uuid:5c5a0a52-4a0f-4a35-8d2c-8f1f4d3b1a01"
QUERY_BODY = f'<q:AdhocQueryRequest xmlns:q="{QUERY}"/>'
REGISTER_BODY = f'<l:SubmitObjectsRequest xmlns:l="{LCM}"/>'
PROVIDE_BODY = f'<x:ProvideAndRegisterDocumentSetRequest xmlns:x="{XDS}"/>'
RETRIEVE_BODY = f'<x:RetrieveDocumentSetRequest xmlns:x="{XDS}"/>'
ANONYMOUS_REPLY = "<a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>"


def envelope(
    header: str | None = None,
    body: str = QUERY_BODY,
    *,
    action: str = QUERY_ACTION,
    message_id: str = MESSAGE_ID,
    more: str = "",
    soap: str = SOAP12,
) -> bytes:
    """A request. `header` replaces the whole content of the Header, `more` is added to the regular one."""
    if header is None:
        required = f'<a:Action s:mustUnderstand="1">{action}</a:Action><a:MessageID>{message_id}</a:MessageID>'
        header = required + ANONYMOUS_REPLY + more
    return (
        f'<s:Envelope xmlns:s="{soap}" xmlns:a="{WSA}"><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>'
    ).encode()


def incoming(path: str = "/registry", *, mtom: bool = False, charset: str | None = None) -> Incoming:
    return Incoming(path=path, mtom=mtom, peer="192.0.2.1", charset=charset)


ANSWER = Body((b'<r:RegistryResponse xmlns:r="urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"', b"/>"))


@dataclass
class Behaviour:
    """What the transactions do, replaceable by a test, and the calls they saw."""

    decode: Callable[[Call], Any] = lambda call: call.body.tag
    handle: Callable[[Call], Body] = lambda call: ANSWER
    refuse: Callable[[Call, Exception], Body | None] = lambda call, error: None
    decoded: list[Call] = field(default_factory=list)
    handled: list[str] = field(default_factory=list)

    def transaction(self, number: str, endpoint: str, action: str, root: str, **more: Any) -> Transaction:
        return Transaction(
            number=number,
            title=f"Title of {number}",
            endpoint=endpoint,
            request_actions=more.pop("actions", (action,)),
            response_action=f"{action}Response",
            body_root=root,
            decode=self._decode,
            handle=self._handle,
            refuse=lambda call, error: self.refuse(call, error),
            **more,
        )

    def _decode(self, call: Call) -> Any:
        self.decoded.append(call)
        return self.decode(call)

    def _handle(self, call: Call) -> Body:
        self.handled.append(call.transaction.number)
        return self.handle(call)


def transactions(behaviour: Behaviour) -> list[Transaction]:
    """Two transactions on the registry share body and differ in action; the repository has the two MTOM ones."""
    make = behaviour.transaction
    return [
        make("ITI-18", "registry", QUERY_ACTION, f"{{{QUERY}}}AdhocQueryRequest"),
        make("ITI-42", "registry", REGISTER_ACTION, f"{{{LCM}}}SubmitObjectsRequest"),
        make("ITI-57", "registry", UPDATE_ACTION, f"{{{LCM}}}SubmitObjectsRequest"),
        make(
            "ITI-41",
            "repository",
            PROVIDE_ACTION,
            f"{{{XDS}}}ProvideAndRegisterDocumentSetRequest",
            mtom=True,
            mtom_in_kind=True,
        ),
        make("ITI-43", "repository", RETRIEVE_ACTION, f"{{{XDS}}}RetrieveDocumentSetRequest", mtom=True),
    ]


ENDPOINTS = {"/registry": "registry", "/repository": "repository", "/si-dmp-server/v2/services/registry": "registry"}


def server(
    behaviour: Behaviour | None = None,
    tolerances: WireTolerances | None = None,
    endpoints: Mapping[str, str] | None = ENDPOINTS,
) -> Server:
    return Server(transactions(behaviour or Behaviour()), endpoints, tolerances)


def exchange(data: bytes, to: Incoming | None = None, on: Server | None = None) -> Reply:
    """Both phases, without further parts."""
    on = on or server()
    return on.finish(on.open(data, to or incoming()), {})


def tree(reply: Reply) -> etree._Element:
    return etree.fromstring(b"".join(reply.pieces))


@dataclass(frozen=True)
class SeenFault:
    """A fault as a foreign reader sees it; subcodes as Clark names, outermost first."""

    code: str
    subcodes: tuple[str, ...]
    reason: str
    order: tuple[str, ...]
    action: str | None
    relates_to: str | None
    root: etree._Element


def seen_fault(reply: Reply) -> SeenFault:
    root = tree(reply)
    fault = root.find("s:Body/s:Fault", NAMES)
    assert fault is not None
    code = fault.find("s:Code", NAMES)
    assert code is not None
    subcodes = []
    inner = code.find("s:Subcode", NAMES)
    while inner is not None:
        value = inner.find("s:Value", NAMES)
        assert value is not None
        subcodes.append(clark(value))
        inner = inner.find("s:Subcode", NAMES)
    value, text = code.find("s:Value", NAMES), fault.find("s:Reason/s:Text", NAMES)
    assert value is not None
    assert text is not None
    assert text.text
    assert text.get("{http://www.w3.org/XML/1998/namespace}lang") == "en"
    return SeenFault(
        code=clark(value),
        subcodes=tuple(subcodes),
        reason=text.text,
        order=tuple(etree.QName(child).localname for child in fault),
        action=root.findtext("s:Header/a:Action", None, NAMES),
        relates_to=root.findtext("s:Header/a:RelatesTo", None, NAMES),
        root=root,
    )


def clark(element: etree._Element) -> str:
    """The QName that is the text of an element."""
    assert element.text is not None
    prefix, _, local = element.text.rpartition(":")
    return f"{{{element.nsmap[prefix or None]}}}{local}"


def s12(local: str) -> str:
    return f"{{{SOAP12}}}{local}"


def wsa(local: str) -> str:
    return f"{{{WSA}}}{local}"

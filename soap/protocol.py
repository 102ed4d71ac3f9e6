"""The SOAP 1.2 protocol of the server: spyne's, with every step of input and output replaced.

Nothing here calls the inherited input: that fails on xop:Include, accepts a document type, and logs whole messages. Dispatch
is on wsa:Action, checked against the root of the body, because four transactions share one body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from soap._spyne import Soap12
from soap.addressing import Addressing, find_message_id, read_addressing
from soap.envelope import Frame, read_envelope
from soap.faults import Fault, QName, action_not_supported, internal_error, quote, sender, write_fault
from soap.transaction import Authenticate, Body, Call, Incoming, Reply, Transaction, WireTolerances
from xmlsafe import MESSAGE, XmlError, parse
from xmlsafe.namespaces import SOAP11, SOAP12, WSA

TNS: Final = "urn:liasse:soap"


@dataclass(slots=True)
class OpenExchange:
    """A message between its phases: what is known of it so far. `context` is spyne's, until the answer is written."""

    incoming: Incoming
    reply: Reply | None = None
    message_id: str | None = None
    addressing: Addressing | None = None
    transaction: Transaction | None = None
    call: Call | None = None
    context: Any = None


@dataclass(frozen=True, slots=True)
class Route:
    """Where an action of an endpoint leads, and the frame of its answers."""

    transaction: Transaction
    frame: Frame
    method: str


class Soap12Protocol(Soap12):  # type: ignore[misc]
    """spyne protocol over the routes of one server. The exchange travels as the `udc` of spyne's context.

    `endpoints` maps request paths to endpoint names; `routes` maps (endpoint name, action) to what serves it;
    `authenticate` is asked who calls, once the message was dispatched and before its body is decoded.
    """

    def __init__(
        self,
        endpoints: Mapping[str, str],
        routes: Mapping[tuple[str, str], Route],
        tolerances: WireTolerances,
        authenticate: Authenticate | None = None,
    ) -> None:
        super().__init__()
        self._authenticate = authenticate
        self._endpoints = endpoints
        self._routes = routes
        self._tolerances = tolerances
        self._in_package = (SOAP12, SOAP11) if tolerances.soap11_in_mtom_root else (SOAP12,)

    def get_context(self, parent: Any, transport: Any) -> None:
        """No context of the protocol's own: spyne's refers back to its parent and would wait for the collector."""

    def create_in_document(self, ctx: Any, charset: str | None = None) -> None:
        """Parse the message."""
        incoming = ctx.udc.incoming
        try:
            ctx.in_document = parse(b"".join(ctx.in_string), MESSAGE, charset or incoming.charset)
        except XmlError as error:
            raise sender(f"The message is not acceptable XML ({error.reason}): {error.detail}") from None

    def decompose_incoming_envelope(self, ctx: Any, message: str = Soap12.REQUEST) -> None:  # noqa: ARG002
        """Envelope and header; the action becomes spyne's method request string."""
        exchange: OpenExchange = ctx.udc
        envelope = read_envelope(ctx.in_document, self._in_package if exchange.incoming.mtom else (SOAP12,))
        exchange.message_id = find_message_id(envelope.header)
        exchange.addressing = read_addressing(envelope.header, envelope.soap, self._tolerances)
        ctx.in_header_doc, ctx.in_body_doc = envelope.header, envelope.body
        ctx.method_request_string = exchange.addressing.action

    def generate_method_contexts(self, ctx: Any) -> list[Any]:
        """The context itself: one message calls one method, so there is nothing to copy it for."""
        (ctx.descriptor,) = self.get_call_handles(ctx)
        return [ctx]

    def get_call_handles(self, ctx: Any) -> Any:
        """The one service method of the action at this endpoint, if the body is the one it takes."""
        exchange: OpenExchange = ctx.udc
        addressing, path = exchange.addressing, exchange.incoming.path
        assert addressing is not None
        endpoint = self._endpoints.get(path)
        if endpoint is None:
            raise sender(f"There is no endpoint at {quote(path)}", QName(WSA, "DestinationUnreachable"))
        route = self._routes.get((endpoint, addressing.action))
        if route is None:
            raise action_not_supported(addressing.action, path)
        transaction = exchange.transaction = route.transaction
        if ctx.in_body_doc.tag != transaction.body_root:
            raise sender(
                f"The action {quote(addressing.action)} ({transaction.number}) takes the body "
                f"{quote(transaction.body_root)}, found {quote(ctx.in_body_doc.tag)}"
            )
        exchange.call = Call(
            transaction=transaction,
            incoming=exchange.incoming,
            message_id=addressing.message_id,
            action=addressing.action,
            reply_to=addressing.reply_to,
            body=ctx.in_body_doc,
            security=addressing.security,
            message=ctx.in_string[0],
        )
        return self.app.interface.service_method_map[route.method]

    def deserialize(self, ctx: Any, message: str) -> None:  # noqa: ARG002
        """Learn who calls, then let the transaction decode the body. What either raises becomes spyne's `in_error`."""
        call = ctx.udc.call
        try:
            if self._authenticate is not None:
                call.caller = self._authenticate(call)
            call.request = call.transaction.decode(call)
        except Exception as error:
            ctx.in_error = error
        else:
            ctx.in_object = call

    def serialize(self, ctx: Any, message: str) -> None:  # noqa: ARG002
        """Nothing to build: the body is serialised already, a fault is written as text."""
        if ctx.out_error is None:
            ctx.out_document = ctx.out_object[0]
        else:
            ctx.out_document = ctx.out_error if isinstance(ctx.out_error, Fault) else internal_error()

    def create_out_string(self, ctx: Any, charset: str | None = None) -> None:  # noqa: ARG002
        """The envelope in pieces; those of the body are the transaction's own objects."""
        exchange: OpenExchange = ctx.udc
        answer: Body | Fault = ctx.out_document
        if isinstance(answer, Fault):
            ctx.out_string = (write_fault(answer, exchange.message_id),)
            return
        assert exchange.transaction is not None
        frame = self._routes[exchange.transaction.endpoint, exchange.transaction.request_actions[0]].frame
        ctx.out_string = frame.around(answer.pieces, exchange.message_id)

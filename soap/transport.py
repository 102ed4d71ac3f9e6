"""The server side of the SOAP layer: a spyne transport fed with complete root parts instead of HTTP requests.

The format of an answer: an MTOM transaction answers as an MTOM package, unless it answers in kind and was asked in simple
SOAP; a fault comes in the format of its request, because a peer that sent a package can read one and a peer that did not
may not; a VersionMismatch for SOAP 1.1 is never packaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from soap._spyne import MethodContext, ServerBase
from soap.application import answer_error, build_application, report_defect
from soap.faults import Fault, write_fault
from soap.protocol import OpenExchange
from soap.transaction import (
    Authenticate,
    Body,
    Exchange,
    Incoming,
    OnFault,
    Outcome,
    Part,
    Reply,
    Transaction,
    WireTolerances,
)


class _Context(MethodContext):  # type: ignore[misc]
    """spyne's context of one call: without the parts that refer back to it, and without events, which nobody listens to."""

    TransportContext = None
    __setattr__ = object.__setattr__

    def fire_event(self, event: str, *args: Any, **kwargs: Any) -> None:
        """No handler is ever registered in this application."""


class Server(ServerBase):  # type: ignore[misc]
    """The SoapServer of a set of transactions. Safe for concurrent calls.

    `endpoints` maps request paths to endpoint names, so that one endpoint can have several paths; without it every endpoint
    is found at the path that is its name. `authenticate` says who calls; without it nobody is asked.
    `on_fault` is told of every fault that a dispatched call is answered with, before it is sent.
    """

    transport = "urn:liasse:soap:transport"

    def __init__(
        self,
        transactions: Iterable[Transaction],
        endpoints: Mapping[str, str] | None = None,
        tolerances: WireTolerances | None = None,
        authenticate: Authenticate | None = None,
        on_fault: OnFault | None = None,
    ) -> None:
        transactions = tuple(transactions)
        self._on_fault = on_fault
        paths = dict(endpoints) if endpoints is not None else {t.endpoint: t.endpoint for t in transactions}
        super().__init__(build_application(transactions, paths, tolerances or WireTolerances(), authenticate))

    def open(self, root: bytes, incoming: Incoming) -> OpenExchange:
        """First phase: parse, addressing, dispatch, decode. `reply` of the result is set where it ends here."""
        exchange = OpenExchange(incoming)
        try:
            context = _Context(self, MethodContext.SERVER)
            context.event = None
            context.udc = exchange
            context.in_string = (root,)
            (context,) = self.generate_contexts(context)
            self.get_in_object(context)
            if context.in_error is None:
                exchange.context = context
            else:
                assert exchange.call is not None
                self._answer(context, answer_error(exchange.call, context.in_error))
        except Fault as fault:
            exchange.reply = _fault_reply(exchange, fault)
        except Exception as error:
            exchange.reply = _defect_reply(exchange, error)
        if exchange.reply is not None:
            exchange.call = None
        return exchange

    def finish(self, exchange: Exchange, parts: Mapping[str, Part]) -> Reply:
        """Second phase: handle and write the answer. An exchange that was answered keeps its answer."""
        if exchange.reply is not None:
            return exchange.reply
        assert isinstance(exchange, OpenExchange)
        assert exchange.call is not None
        try:
            exchange.call.parts = parts
            context = exchange.context
            self.get_out_object(context)
            self._write(context)
        except Exception as error:
            exchange.reply = _defect_reply(exchange, error)
        exchange.context = exchange.call = None
        assert exchange.reply is not None
        return exchange.reply

    def _answer(self, context: Any, answer: Body | Fault) -> None:
        if isinstance(answer, Fault):
            context.out_error = answer
        else:
            context.out_object = [answer]
        self._write(context)

    def _note(self, exchange: OpenExchange, fault: Fault) -> None:
        if self._on_fault is None or exchange.call is None:
            return
        try:
            self._on_fault(exchange.call, fault)
        except Exception as error:
            report_defect(error, _number(exchange), exchange.message_id)

    def _write(self, context: Any) -> None:
        """Serialise; what was parsed is dropped before the answer is sent.

        The context is not closed: spyne then fires an event and may run a whole garbage collection.
        """
        exchange: OpenExchange = context.udc
        self.get_out_string(context)
        answer = context.out_document
        if isinstance(answer, Fault):
            self._note(exchange, answer)
            exchange.reply = _fault_reply(exchange, answer, tuple(context.out_string))
        else:
            exchange.reply = _reply(exchange, answer, tuple(context.out_string))
        context.in_document = context.in_header_doc = context.in_body_doc = context.in_object = context.udc = None


def _reply(exchange: OpenExchange, body: Body, pieces: tuple[bytes, ...]) -> Reply:
    transaction = exchange.transaction
    assert transaction is not None
    if exchange.addressing is not None and exchange.addressing.wants_no_answer:
        return _accepted(exchange, transaction.response_action, None, body.outcome)
    mtom = transaction.mtom and (exchange.incoming.mtom or not transaction.mtom_in_kind)
    return Reply(
        status=200,
        mtom=mtom,
        pieces=pieces,
        attachments=body.attachments,
        action=transaction.response_action,
        outcome=body.outcome,
        transaction=transaction.number,
    )


def _fault_reply(exchange: OpenExchange, fault: Fault, pieces: tuple[bytes, ...] | None = None) -> Reply:
    if exchange.addressing is not None and exchange.addressing.wants_no_fault:
        return _accepted(exchange, None, fault.label, "fault")
    mtom = exchange.incoming.mtom and not fault.soap11 and (exchange.transaction is None or exchange.transaction.mtom)
    return Reply(
        status=fault.status,
        mtom=mtom,
        pieces=pieces or (write_fault(fault, exchange.message_id),),
        fault=fault.label,
        media_type="text/xml" if fault.soap11 else "application/soap+xml",
        outcome="fault",
        transaction=_number(exchange),
    )


def _defect_reply(exchange: OpenExchange, error: Exception) -> Reply:
    return _fault_reply(exchange, report_defect(error, _number(exchange), exchange.message_id))


def _accepted(exchange: OpenExchange, action: str | None, fault: str | None, outcome: Outcome) -> Reply:
    return Reply(202, mtom=False, pieces=(), action=action, fault=fault, outcome=outcome, transaction=_number(exchange))


def _number(exchange: OpenExchange) -> str | None:
    return exchange.transaction.number if exchange.transaction is not None else None

"""A reply tells counters and logs how the exchange ended, and which transaction it was."""

from __future__ import annotations

import pytest

from soap.faults import Fault, FaultCode
from soap.transaction import Body, Call, Outcome
from tests.unit.soap.samples import PROVIDE_ACTION, PROVIDE_BODY, Behaviour, envelope, exchange, incoming, server

OUTCOMES: tuple[Outcome, ...] = ("success", "partial", "warning", "failure")


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_the_outcome_of_the_body_is_that_of_the_reply(outcome: Outcome) -> None:
    reply = exchange(envelope(), on=server(Behaviour(handle=lambda call: Body((b"<b/>",), outcome=outcome))))
    assert (reply.outcome, reply.transaction, reply.fault) == (outcome, "ITI-18", None)


def test_a_body_is_a_success_unless_it_says_otherwise() -> None:
    assert exchange(envelope()).outcome == "success"


def test_a_refusal_of_the_first_phase_keeps_its_outcome() -> None:
    def decode(call: Call) -> object:
        raise LookupError

    behaviour = Behaviour(decode=decode, refuse=lambda call, error: Body((b"<b/>",), outcome="failure"))
    opened = server(behaviour).open(envelope(action=PROVIDE_ACTION, body=PROVIDE_BODY), incoming("/repository", mtom=True))
    assert opened.reply is not None
    assert (opened.reply.outcome, opened.reply.transaction) == ("failure", "ITI-41")


def test_a_fault_of_a_transaction_names_it() -> None:
    def handle(call: Call) -> Body:
        raise Fault(FaultCode.SENDER, "no")

    reply = exchange(envelope(), on=server(Behaviour(handle=handle)))
    assert (reply.outcome, reply.transaction) == ("fault", "ITI-18")


def test_an_internal_error_is_a_fault_of_its_transaction() -> None:
    def handle(call: Call) -> Body:
        raise ZeroDivisionError

    reply = exchange(envelope(), on=server(Behaviour(handle=handle)))
    assert (reply.status, reply.outcome, reply.transaction) == (500, "fault", "ITI-18")


def test_a_message_that_reaches_no_transaction_is_a_fault_of_none() -> None:
    reply = exchange(b"<not-an-envelope/>")
    assert (reply.outcome, reply.transaction) == ("fault", None)

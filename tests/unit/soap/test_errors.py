"""What a transaction raises becomes an answer of its own kind, a fault, or an internal error that tells nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

from soap.faults import Fault, FaultCode, QName, sender
from soap.transaction import Body, Call, Incoming
from tests.unit.soap.samples import (
    MESSAGE_ID,
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
)

SENTINEL = "MARTINEAU-SENTINEL"
FAILURE = Body((b"<failure/>",))


def raising(error: BaseException) -> Callable[[Call], Body]:
    def step(call: Call) -> Body:
        raise error

    return step


class Refusal(Exception):
    """An error the transaction knows."""


def refuse(call: Call, error: Exception) -> Body | None:
    return FAILURE if isinstance(error, Refusal) else None


@pytest.mark.parametrize("phase", ["decode", "handle"])
def test_a_known_error_is_answered_in_the_transactions_own_kind(phase: str) -> None:
    behaviour = Behaviour(**{phase: raising(Refusal())}, refuse=refuse)  # type: ignore[arg-type]
    on = server(behaviour)
    opened = on.open(envelope(), incoming())
    assert (opened.reply is not None) is (phase == "decode")
    reply = on.finish(opened, {})
    assert (reply.status, reply.action, reply.fault) == (200, f"{QUERY_ACTION}Response", None)
    assert reply.pieces[1] is FAILURE.pieces[0]
    assert behaviour.handled == ([] if phase == "decode" else ["ITI-18"])


@pytest.mark.parametrize("phase", ["decode", "handle"])
def test_a_fault_is_sent_as_it_is_and_not_offered_to_refuse(phase: str) -> None:
    fault = Fault(FaultCode.SENDER, "No right", QName("urn:test:dmp", "Denied"), status=500)
    behaviour = Behaviour(**{phase: raising(fault)}, refuse=lambda call, error: FAILURE)  # type: ignore[arg-type]
    reply = exchange(envelope(), on=server(behaviour))
    seen = seen_fault(reply)
    assert (reply.status, seen.code, seen.subcodes) == (500, s12("Sender"), ("{urn:test:dmp}Denied",))
    assert (seen.reason, seen.relates_to, reply.fault) == ("No right", MESSAGE_ID, "sub:Denied")


def test_refuse_may_answer_with_a_fault() -> None:
    def to_fault(call: Call, error: Exception) -> Body | None:
        raise sender("too late")

    reply = exchange(envelope(), on=server(Behaviour(handle=raising(Refusal()), refuse=to_fault)))
    assert seen_fault(reply).reason == "too late"


@pytest.mark.parametrize("phase", ["decode", "handle", "refuse"])
@pytest.mark.parametrize("error", [ValueError(SENTINEL), RecursionError(SENTINEL), MemoryError(SENTINEL)])
def test_a_defect_leaks_nothing_and_logs_one_line(phase: str, error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    behaviour = Behaviour(refuse=refuse)
    if phase == "refuse":
        behaviour.handle = raising(Refusal())

        def broken(call: Call, raised: Exception) -> Body | None:
            raise error

        behaviour.refuse = broken
    else:
        setattr(behaviour, phase, raising(error))
    reply = exchange(envelope(), on=server(behaviour))
    seen = seen_fault(reply)
    assert (reply.status, seen.code, seen.subcodes, seen.reason) == (500, s12("Receiver"), (), "Internal error")
    assert seen.relates_to == MESSAGE_ID
    assert SENTINEL not in b"".join(reply.pieces).decode()
    (record,) = caplog.records
    assert (record.name, record.levelname, record.exc_info) == ("liasse.soap", "ERROR", None)
    extra = vars(record)
    assert (extra["message_id"], extra["code"], extra["transaction"]) == (MESSAGE_ID, type(error).__name__, "ITI-18")
    assert "test_errors.py:" in extra["rule"]
    assert SENTINEL not in str(extra)


@pytest.mark.parametrize("path", ["/registry", None])
def test_open_never_raises(path: str | None) -> None:
    """What the HTTP side should never hand over is a defect like any other."""
    to = Incoming(path=path, mtom=False, peer="192.0.2.1")  # type: ignore[arg-type]
    reply = server().open(envelope() if path is None else None, to).reply  # type: ignore[arg-type]
    assert reply is not None
    assert (reply.status, reply.fault) == (500, "Receiver")


def test_an_answer_that_is_none_is_a_defect() -> None:
    reply = exchange(envelope(), on=server(Behaviour(handle=lambda call: None)))  # type: ignore[arg-type, return-value]
    assert seen_fault(reply).reason == "Internal error"


def test_a_defect_in_the_format_of_its_request() -> None:
    on = server(Behaviour(handle=raising(ValueError())))
    data = envelope(action=PROVIDE_ACTION, body=PROVIDE_BODY)
    assert [exchange(data, incoming("/repository", mtom=mtom), on).mtom for mtom in (True, False)] == [True, False]


def test_a_hostile_message_id_cannot_forge_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    forged = "urn:x\n2026 ERROR forged\x85 " + "y" * 5000
    exchange(envelope(message_id=forged), on=server(Behaviour(handle=raising(ValueError()))))
    (record,) = caplog.records
    assert record.getMessage() == "internal error"
    assert len(vars(record)["message_id"]) <= 100
    assert "application.py" in vars(record)["rule"]


@pytest.fixture
def loud_spyne() -> Iterator[None]:
    """Every logger of spyne wide open, as if our own silencing were not there."""
    loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict) if name.startswith("spyne")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.mark.usefixtures("loud_spyne")
def test_no_text_of_a_message_reaches_a_log_at_debug_level(caplog: pytest.LogCaptureFixture) -> None:
    """Every way a message can end."""
    caplog.set_level(logging.DEBUG)
    named = f'<q:AdhocQueryRequest xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0">{SENTINEL}</q:AdhocQueryRequest>'
    good = envelope(body=named)
    on = server(Behaviour(handle=lambda call: Body((f"<b>{call.body.text}</b>".encode(),)), refuse=refuse))
    messages = [
        good,
        good[:-1],
        good + b"<",
        b"<!DOCTYPE a>" + good,
        good.replace(b"2003/05", b"2099/05"),
        envelope(action=SENTINEL, body=named),
        envelope(body=f"<{SENTINEL}/>"),
        envelope(body=named, more=f'<t:{SENTINEL} xmlns:t="urn:t" s:mustUnderstand="1"/>'),
        envelope(body=named, more=f"<a:FaultTo><a:Address>{SENTINEL}</a:Address></a:FaultTo>"),
    ]
    for data in messages:
        exchange(data, on=on)
    for step in (raising(ValueError(SENTINEL)), raising(sender(SENTINEL)), raising(Refusal(SENTINEL))):
        exchange(good, on=server(Behaviour(decode=step, refuse=refuse)))
        exchange(good, on=server(Behaviour(handle=step, refuse=refuse)))
    assert SENTINEL.encode() in b"".join(exchange(good, on=on).pieces)
    assert "internal error" in caplog.text
    assert SENTINEL not in caplog.text

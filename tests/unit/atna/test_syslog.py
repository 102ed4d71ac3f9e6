"""Both transports against the receiver: what is confirmed has arrived, what did not arrive is not confirmed."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import replace

import pytest

from atna.events import AuditEvent
from atna.syslog import CollectorError, TlsCollector, frame, syslog_message
from atna.tls import TlsSender
from conformance.simulators.audit_receiver import AuditReceiver, Behaviour
from tests.audit_side import ORIGIN, Certificates, query_event, retrieve_event, udp_collector

EVENTS = [query_event(number) for number in range(20)]


def messages(events: list[AuditEvent]) -> list[bytes]:
    return [syslog_message(event, ORIGIN) for event in events]


def test_a_frame_counts_bytes() -> None:
    assert frame("é".encode()) == b"2 \xc3\xa9"


def test_a_batch_arrives_in_order_with_a_client_certificate(certificates: Certificates) -> None:
    with certificates.receiver() as receiver:
        certificates.collector(receiver).send(EVENTS)
        assert [one.message for one in receiver.received] == messages(EVENTS)
        assert [one.findings for one in receiver.received] == [()] * len(EVENTS)
        assert receiver.failures == []


def test_a_collector_that_only_ends_tcp_confirms_too(certificates: Certificates) -> None:
    with certificates.receiver(Behaviour(close_notify=False)) as receiver:
        certificates.collector(receiver).send(EVENTS)
        assert [one.message for one in receiver.received] == messages(EVENTS)


def test_a_connection_that_is_reset_confirms_nothing(certificates: Certificates) -> None:
    with certificates.receiver(Behaviour(read=1000, reset_after=3000)) as receiver:
        with pytest.raises(CollectorError):
            certificates.collector(receiver).send(EVENTS)
        assert len(receiver.received) < len(EVENTS)


def test_a_closed_door_confirms_nothing(certificates: Certificates) -> None:
    with certificates.receiver(Behaviour(refuse=True)) as receiver, pytest.raises(CollectorError):
        certificates.collector(receiver).send(EVENTS)


def test_nobody_there(certificates: Certificates) -> None:
    with certificates.receiver() as receiver:
        collector = certificates.collector(receiver)
    with pytest.raises(CollectorError, match="refused"):
        collector.send(EVENTS)


def test_a_collector_that_never_reads_ends_the_patience(certificates: Certificates) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        collector = TlsCollector("127.0.0.1", port, ORIGIN, certificates.ca, *certificates.client, patience=0.3)
        with pytest.raises(CollectorError, match=r"within 0\.3 s"):
            collector.send(EVENTS)


@pytest.mark.parametrize(("server", "reason"), [("expired", "expired"), ("elsewhere", "mismatch|not valid for")])
def test_a_certificate_that_is_not_right_gets_nothing(certificates: Certificates, server: str, reason: str) -> None:
    receiver = AuditReceiver(0, context=certificates.context(getattr(certificates, server)))
    with receiver:
        with pytest.raises(CollectorError, match=f"(?i)certificate is not accepted.*({reason})"):
            certificates.collector(receiver).send(EVENTS)
        assert receiver.received == []


def test_without_a_client_certificate_nothing_is_confirmed(certificates: Certificates) -> None:
    """TLS 1.3 lets a client write before the server has judged its certificate: sending is no proof of anything."""
    with certificates.receiver() as receiver:
        collector = replace(certificates.collector(receiver), certificate=None, key=None)
        with pytest.raises(CollectorError):
            collector.send(EVENTS)
        assert receiver.received == []


@pytest.mark.parametrize("pause", [0.0, 0.05])
def test_an_alert_that_is_there_when_we_close_is_no_confirmation(certificates: Certificates, pause: float) -> None:
    """`SSLSocket.unwrap` takes it for one now and then."""
    with certificates.receiver() as receiver:
        for _ in range(10):
            context = ssl.create_default_context(cafile=certificates.ca)
            with socket.create_connection(("127.0.0.1", receiver.tcp or 0)) as raw:
                connection = TlsSender(raw, context, "127.0.0.1", time.monotonic() + 10)
                time.sleep(pause)
                with pytest.raises(OSError):
                    connection.close_confirmed()
    assert len(receiver.failures) == 10


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_tls(certificates: Certificates, version: ssl.TLSVersion) -> None:
    with certificates.receiver() as receiver:
        assert receiver.context is not None
        receiver.context.minimum_version = receiver.context.maximum_version = version
        certificates.collector(receiver).send(EVENTS)
        assert len(receiver.received) == len(EVENTS)


def test_missing_files_are_named_as_the_reason(certificates: Certificates) -> None:
    with certificates.receiver() as receiver:
        collector = replace(certificates.collector(receiver), ca=certificates.ca.with_name("none.pem"))
        with pytest.raises(CollectorError, match="ca cannot be used"):
            collector.send(EVENTS)


def test_datagrams(certificates: Certificates) -> None:
    with AuditReceiver(udp=0) as receiver:
        udp_collector(receiver).send(EVENTS)
        assert receiver.wait_for(len(EVENTS), 10)
        assert [one.message for one in receiver.received] == messages(EVENTS)


def test_a_datagram_is_never_cut(certificates: Certificates) -> None:
    large = query_event(objects=(replace(query_event().objects[0], query=b" " * 70_000 + query_event().objects[0].query),))
    many = retrieve_event(documents=300)
    with AuditReceiver(udp=0) as receiver:
        udp_collector(receiver).send([large, many])
        assert receiver.wait_for(3, 10)
        first, *others = [one.audit for one in receiver.received]
        assert first is not None
        (query,) = [one for one in first.objects if one.role == "24"]
        assert query.query == b""
        assert dict(query.details)["QueryOmitted"].startswith("70")
        documents = [thing.id for audit in others if audit for thing in audit.objects if thing.role == "3"]
        assert documents == [thing.id for thing in many.objects]
        assert len(others) > 1


def test_what_no_datagram_can_hold_is_said() -> None:
    with AuditReceiver(udp=0) as receiver, pytest.raises(CollectorError, match="use tls"):
        udp_collector(receiver, largest=500).send([query_event()])

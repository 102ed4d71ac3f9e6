"""What goes over the network: one HTTP POST for each step, one MLLP message for each patient to make known.

Source: ITI TF-2 Appendix V.3; ITI TF-2 3.8.4.1 (ADT^A04) and HL7 v2 MLLP release 1.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

from conformance.exchange import HttpResponse, Request
from conformance.tables import PlanError
from conformance.target import Target, Tls

_MAX_ANSWER: Final = 512_000_000


class NotSent(Exception):
    """The exchange did not take place, or its answer did not arrive whole; the text says where it stopped."""


def send(request: Request, target: Target) -> HttpResponse:
    """Post a request and read the whole answer. Raises NotSent and PlanError (an unusable URL)."""
    url = urlsplit(request.url)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise PlanError(f"{request.url!r} is no http or https URL")
    timeout = target.connection.timeout
    if url.scheme == "https":
        context = _tls(target.connection.tls)
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            url.hostname, url.port, timeout=timeout, context=context
        )
    else:
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=timeout)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        connection.request("POST", path, body=request.body, headers=dict(request.headers))
        response = connection.getresponse()
        body = response.read(_MAX_ANSWER + 1)
        if len(body) > _MAX_ANSWER:
            raise NotSent(f"{request.url}: the answer is longer than {_MAX_ANSWER} bytes")
        return HttpResponse(response.status, response.reason, tuple(response.getheaders()), body)
    except (OSError, http.client.HTTPException) as error:
        raise NotSent(f"{request.url}: {type(error).__name__}: {error}") from error
    finally:
        connection.close()


def _tls(files: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=files.ca or None)
        if files.certificate:
            context.load_cert_chain(files.certificate, files.key or None)
    except OSError as error:
        raise PlanError(f"[connection.tls]: {error}") from error
    return context


def feed_patient(target: Target, patient: str, control_id: str, now: str) -> None:
    """Make a patient known by ADT^A04 over MLLP; waits for the acknowledgement. Raises NotSent and PlanError."""
    host, separator, port = target.connection.feed.rpartition(":")
    if not separator or not port.isdigit():
        raise PlanError(f"[connection] feed: expected host:port, found {target.connection.feed!r}")
    segments = (
        rf"MSH|^~\&|CONFORMANCE|TESTER|FEED|REGISTRY|{now}||ADT^A04^ADT_A01|{control_id}|P|2.3.1",
        f"EVN|A04|{now}",
        f"PID|||{patient}||Tester^Conformance||19800101|U",
        "PV1||O",
    )
    frame = b"\x0b" + "".join(segment + "\r" for segment in segments).encode() + b"\x1c\r"
    try:
        with socket.create_connection((host, int(port)), timeout=target.connection.timeout) as connection:
            connection.sendall(frame)
            answer = _read_frame(connection)
    except OSError as error:
        raise NotSent(f"feed {target.connection.feed}: {type(error).__name__}: {error}") from error
    fields = next((line.split("|") for line in answer.split("\r") if line.startswith("MSA|")), ["MSA", "none"])
    if fields[1] not in ("AA", "CA"):
        raise NotSent(f"feed {target.connection.feed}: ADT^A04 was not accepted, acknowledgement code {fields[1]!r}")


def _read_frame(connection: socket.socket) -> str:
    received = b""
    while b"\x1c" not in received:
        chunk = connection.recv(65536)
        if not chunk or len(received) > 1_000_000:
            break
        received += chunk
    return received.partition(b"\x1c")[0].lstrip(b"\x0b").decode("utf-8", "replace")

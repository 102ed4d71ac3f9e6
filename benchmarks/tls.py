"""ITI-18 over kept connections of mutual TLS beside the same over plain HTTP, in turns, and what a handshake costs."""

from __future__ import annotations

import shutil
import socket
import ssl
from pathlib import Path

from benchmarks.load import HEADER, measure
from benchmarks.process import cpu_seconds
from benchmarks.report import Budget, Report
from benchmarks.server import Running, serving
from benchmarks.transactions import finding, prepare, send_all
from pki.testca import TestPki

_SHARE, _MORE = 1.5, 0.45
"""A call with TLS, a cached assertion, journal and audit may cost the larger of so many times, or so many ms more."""


def run(report: Report, directory: Path, *, workers: int = 2, rounds: int = 5, requests: int = 600) -> None:
    """The part `tls`. The certificate of the client is judged for each message, with revocation lists."""
    pki = TestPki.create(directory / "pki", keys="rsa")
    server, client = pki.issue("server", "server", hosts=["localhost", "127.0.0.1"]), pki.issue("client", "client")
    context = ssl.create_default_context(cafile=pki.authorities)
    context.load_cert_chain(client.certificate, client.key)
    with serving(directory / "plain", workers=workers) as one:
        prepare(one)
    shutil.copytree(directory / "plain", directory / "tls")
    crl = ", ".join(f'"{each}"' for each in pki.crls)
    more = (
        f'[tls]\ncertificate = "{server.certificate}"\nkey = "{server.key}"\nclient_ca = ["{pki.authorities}"]\n'
        f"crl = [{crl}]\nhandshakes_per_address = 10000.0\n"
    )
    work = finding()
    found: dict[str, list[float]] = {"plain": [], "tls": []}
    with (
        serving(directory / "plain", workers=workers) as plain,
        serving(directory / "tls", workers=workers, more=more, tls=context) as secured,
    ):
        send_all(plain, work, 300)
        measure(secured.address, secured.pid, work, 8, 300, context)
        report.say(HEADER)
        for _ in range(rounds):
            for name, target, how in (("plain", plain, None), ("tls", secured, context)):
                figures = measure(target.address, target.pid, work, 1, requests, how)
                report.say(f"{figures.line()}  {name}")
                found[name].append(figures.cpu)
        handshakes = [_handshake(secured, context, version) for version in ("TLSv1_2", "TLSv1_3")]
    least, with_tls = min(found["plain"]), min(found["tls"])
    limit = max(_SHARE * least, least + _MORE)
    note = f"plain {least:.3f}, {with_tls / least:.2f} times; TLS alone"
    report.add(Budget("ITI-18 of 50 entries over kept mutual TLS", with_tls, limit, "ms CPU", note=note))
    for name, cost in zip(("1.2", "1.3"), handshakes, strict=True):
        report.say(f"a full handshake of mutual TLS {name}, RSA 2048 on both sides: {cost:.2f} ms of CPU of the server")


def _handshake(server: Running, context: ssl.SSLContext, version: str, count: int = 300) -> float:
    """Milliseconds of CPU of the server for one."""
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    began = cpu_seconds(server.pid)
    for _ in range(count):
        with (
            socket.create_connection(server.address, 20) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            while connection.recv(4096):
                pass
    return (cpu_seconds(server.pid) - began) / count * 1000

"""ITI-18 over kept mutual TLS, without and with a signed assertion and audit, beside the same over plain HTTP.

In turns; and what a handshake costs.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import time
from pathlib import Path

from benchmarks.load import HEADER, measure
from benchmarks.process import cpu_seconds
from benchmarks.report import Budget, Report
from benchmarks.server import Running, serving
from benchmarks.transactions import finding, prepare
from benchmarks.yardsticks import REFERENCE_PARSE, bare_parse
from liasse.caller import client_context, security_header
from pki.testca import TestPki
from xua.cards import Told, vihf_of

_PATIENT = "279035121518989^^^&1.2.250.1.213.1.4.10&ISO"
_SHARE, _MORE = 1.5, 0.45
"""A call with TLS, a cached assertion, journal and audit may cost the larger of so many times, or so many ms more.

The milliseconds are those of the machine on which a bare parse costs 12 µs, as for the other budgets in time.
"""


def run(report: Report, directory: Path, *, workers: int = 2, rounds: int = 5, requests: int = 600) -> None:
    """The part `tls`. The certificate of the client is judged for each message, with revocation lists."""
    pki = TestPki.create(directory / "pki", keys="rsa")
    server, doctor = (
        pki.issue("server", "server", hosts=["localhost", "127.0.0.1"]),
        pki.issue_card("doctor", "899700000001"),
    )
    context = client_context(pki.authorities, doctor)
    assertion = vihf_of(doctor, Told(patient=f"{_PATIENT}^NH"), time.time_ns() // 1000)
    proof = security_header(assertion).decode()
    with serving(directory / "plain", workers=workers) as one:
        prepare(one, _PATIENT)
    for name in ("tls", "all"):
        shutil.copytree(directory / "plain", directory / name)
    crl = ", ".join(f'"{each}"' for each in pki.crls)
    tls = (
        f'[tls]\ncertificate = "{server.certificate}"\nkey = "{server.key}"\nclient_ca = ["{pki.authorities}"]\n'
        f"crl = [{crl}]\nhandshakes_per_address = 10000.0\n"
    )
    found: dict[str, list[float]] = {"plain": [], "tls": [], "all": []}
    with contextlib.ExitStack() as stack:
        collector = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        collector.bind(("127.0.0.1", 0))  # datagrams that nobody reads are dropped
        more = (
            f'{tls}[assertions]\nrequired = true\nkinds = ["vihf"]\nanchors = ["{pki.authorities}"]\n'
            f'[audit]\ncollector = "udp://127.0.0.1:{collector.getsockname()[1]}"\n'
        )
        plain = stack.enter_context(serving(directory / "plain", workers=workers))
        secured = stack.enter_context(serving(directory / "tls", workers=workers, more=tls, tls=context))
        proved = stack.enter_context(serving(directory / "all", workers=workers, more=more, tls=context))
        targets = (
            ("plain", plain, None, finding(_PATIENT)),
            ("tls", secured, context, finding(_PATIENT)),
            ("all", proved, context, finding(_PATIENT, proof)),
        )
        for _, target, how, work in targets:
            measure(target.address, target.pid, work, 8, 300, how)
        report.say(HEADER)
        for _ in range(rounds):
            for name, target, how, work in targets:
                figures = measure(target.address, target.pid, work, 1, requests, how)
                report.say(f"{figures.line()}  {name}")
                found[name].append(figures.cpu)
        handshakes = [_handshake(secured, context, version) for version in ("TLSv1_2", "TLSv1_3")]
    least = min(found["plain"])
    slower = bare_parse() / REFERENCE_PARSE
    limit = max(_SHARE * least, least + _MORE * slower)
    for name, what in (("tls", "mutual TLS"), ("all", "mutual TLS, with a cached assertion and audit")):
        cost = min(found[name])
        note = f"plain {least:.3f}, {cost / least:.2f} times, {(cost - least) / slower:.2f} ms * more"
        report.add(Budget(f"ITI-18 of 50 entries over kept {what}", cost, limit, "ms CPU", note=note))
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

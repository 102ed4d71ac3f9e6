"""ITI-18 under the policy `dmp` beside the policy `open`, on the same store: records of 1, 50 and 5 000 documents.

Both servers ask for mutual TLS and a signed assertion, which is kept after its first use; the only difference is the policy.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.load import HEADER, Work, measure, send
from benchmarks.messages import Message, find_documents, new_unique_id, provide, slot
from benchmarks.report import Budget, Report
from benchmarks.server import Running, liasse, serving
from benchmarks.transactions import ENTRIES, succeeded
from liasse.caller import client_context, security_header
from pki.testca import Card, TestPki
from xua.cards import Told, vihf_of

LIMIT = 1.25
SIZES = (1, 50, 5000)
_DOCTOR = "899700000001"
_OLD, _NEW = b"<r:Value>20250102101500</r:Value>", b"<r:Value>20260102101500</r:Value>"
_SINCE = slot("$XDSDocumentEntryCreationTimeFrom", "2026")


@dataclass(frozen=True, slots=True)
class _Record:
    """A patient with `size` documents, of which the query finds `found`: those created since 2026."""

    ins: str
    size: int

    @property
    def found(self) -> int:
        return min(self.size, ENTRIES)

    @property
    def cx(self) -> str:
        return f"{self.ins}^^^&1.2.250.1.213.1.4.10&ISO"

    def fill(self, server: Running) -> None:
        """Provide the documents; those beyond the fifty are of an earlier year."""
        send(server.address, Work("provide", lambda: provide(self.cx, new_unique_id(), b"x"), succeeded), self.found)
        if self.size > self.found:
            measure(server.address, server.pid, Work("provide", self._older, succeeded), 4, self.size - self.found)

    def _older(self) -> Message:
        message = provide(self.cx, new_unique_id(), b"x")
        return replace(message, body=message.body.replace(_NEW, _OLD, 1))

    def finding(self, header: str) -> Work:
        """FindDocuments of those since 2026."""
        return Work(f"ITI-18, {self.size} documents", lambda: _since(find_documents(self.cx, header)), self._holds())

    def _holds(self) -> Callable[[memoryview], bool]:
        return lambda body: bytes(body).count(b"<ExtrinsicObject ") == self.found


def _since(message: Message) -> Message:
    return replace(message, body=message.body.replace(b"</r:AdhocQuery>", _SINCE.encode() + b"</r:AdhocQuery>", 1))


def _ins(number: int) -> str:
    body = f"2790351215{number:03d}"
    return f"{body}{97 - int(body) % 97:02d}"


def run(report: Report, directory: Path, *, workers: int = 2, rounds: int = 5, requests: int = 400) -> None:
    """The part `policy`: of the rounds the least disturbed counts."""
    pki = TestPki.create(directory / "policy-pki", keys="rsa")
    server = pki.issue("server", "server", hosts=["localhost", "127.0.0.1"])
    doctor = pki.issue_card("doctor", _DOCTOR)
    context = client_context(pki.authorities, doctor)
    records = [_Record(_ins(number), size) for number, size in enumerate(SIZES)]
    with serving(directory / "open", workers=workers) as plain:
        for record in records:
            record.fill(plain)
    _open_records(directory / "open", records)
    shutil.copytree(directory / "open", directory / "dmp")
    crl = ", ".join(f'"{each}"' for each in pki.crls)
    proved = (
        f'[tls]\ncertificate = "{server.certificate}"\nkey = "{server.key}"\nclient_ca = ["{pki.authorities}"]\n'
        f"crl = [{crl}]\nhandshakes_per_address = 10000.0\n"
        f'[assertions]\nrequired = true\nkinds = ["vihf"]\nanchors = ["{pki.authorities}"]\n'
    )
    found: dict[tuple[str, int], list[float]] = {}
    with contextlib.ExitStack() as stack:
        servers = {
            name: stack.enter_context(
                serving(directory / name, workers=workers, more=f'{proved}[access]\npolicy = "{name}"\n', tls=context)
            )
            for name in ("open", "dmp")
        }
        works = {record.size: record.finding(_proof(doctor, record)) for record in records}
        for each in servers.values():
            for work in works.values():
                measure(each.address, each.pid, work, 8, 200, context)
        report.say(HEADER)
        for _ in range(rounds):
            for record in records:
                for name, each in servers.items():
                    figures = measure(each.address, each.pid, works[record.size], 1, requests, context)
                    report.say(f"{figures.line()}  {name}")
                    found.setdefault((name, record.size), []).append(figures.cpu)
    for record in records:
        cost, least = (min(found[name, record.size]) for name in ("dmp", "open"))
        name = f"ITI-18, policy dmp, {record.found} of {record.size} documents"
        report.add(Budget(name, cost / least, LIMIT, "× open", note=f"{cost:.3f} against {least:.3f} ms CPU"))


def _proof(doctor: Card, record: _Record) -> str:
    return security_header(vihf_of(doctor, Told(patient=f"{record.cx}^NH"), time.time_ns() // 1000)).decode()


def _open_records(directory: Path, records: list[_Record]) -> None:
    """Each patient has a record and authorised the doctor."""
    for record in records:
        for words in (("create", record.cx, "--consent"), ("authorise", record.cx, _DOCTOR)):
            command = liasse("record", *words, "--because", "benchmark", "--config", str(directory / "config.toml"))
            subprocess.run(command, check=True, capture_output=True)

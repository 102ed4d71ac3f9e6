"""ITI-18, ITI-41 and ITI-43 against the running server, each beside its yardstick, in turns."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.load import HEADER, Figures, Work, measure, send
from benchmarks.messages import SUCCESS, Message, cda, find_documents, new_unique_id, provide, retrieve
from benchmarks.process import high_water_mb, memory_mb, reset_high_water
from benchmarks.report import Budget, Report
from benchmarks.server import REPOSITORY, Running, serving
from benchmarks.yardsticks import REFERENCE_PARSE, bare_parse, yardstick_server

ENTRIES = 50
SMALL, BIG = 20_480, 50 << 20
FIND_LIMIT = 62.0
"""ITI-18 in bare parses: 0.74 ms where one costs 12 µs."""


def succeeded(body: memoryview) -> bool:
    """Whether the answer's status is Success."""
    return SUCCESS in bytes(body[:4096])


def _holds_entries(body: memoryview) -> bool:
    return bytes(body).count(b"<ExtrinsicObject ") == ENTRIES


def _holds(document: bytes) -> Callable[[memoryview], bool]:
    wanted = hash(document)

    def right(body: memoryview) -> bool:
        at = bytes(body[:8192]).find(document[:64])
        return at > 0 and hash(bytes(body[at : at + len(document)])) == wanted

    return right


def providing(patient: str, document: Callable[[], bytes] = cda) -> Work:
    """ITI-41 of new documents for one patient."""
    return Work("ITI-41 20 kB", lambda: provide(patient, new_unique_id(), document()), succeeded)


def finding(patient: str = "FIFTY", header: str = "") -> Work:
    """ITI-18 of the fifty entries that `prepare` makes. `header`: wsse:Security, if any."""
    return Work("ITI-18 50 entries", lambda: find_documents(patient, header), _holds_entries)


def retrieving(unique_id: str, document: bytes, name: str) -> Work:
    """ITI-43 of a document that `prepare` provided."""
    return Work(name, lambda: retrieve(REPOSITORY, unique_id), _holds(document))


def deposit(server: Running, patient: str, document: bytes, mime_type: str = "text/xml") -> str:
    """Provide one document; its uniqueId."""
    unique_id = new_unique_id()
    send(server.address, Work("deposit", lambda: provide(patient, unique_id, document, mime_type), succeeded))
    return unique_id


def prepare(server: Running, patient: str = "FIFTY") -> tuple[Work, Work, Work]:
    """Fifty documents of one patient; the works ITI-18, ITI-41, ITI-43 of 20 kB."""
    send(server.address, providing(patient), ENTRIES - 1)
    document = cda()
    unique_id = deposit(server, patient, document)
    return finding(patient), providing("LOAD"), retrieving(unique_id, document, "ITI-43 20 kB")


def _yardstick(name: str, path: str, document: bytes) -> Work:
    return Work(name, lambda: Message(path, "text/plain", b"x" * 1000), lambda body: len(body) == len(document))


def run(report: Report, directory: Path, *, workers: int = 2, rounds: int = 3, requests: int = 600) -> None:
    """Measure everything but the largest documents; of the rounds the least disturbed counts."""
    document = cda()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(directory / "transactions", workers=workers))
        yard = stack.enter_context(yardstick_server(directory / "yardstick", {"small": document}, workers))
        works = prepare(server)
        read = _yardstick("yardstick of ITI-43", "/read/small", document)
        for work in works:
            send_all(server, work, 300)
        send_all(yard, read, 300)
        bare: list[float] = []
        found: dict[tuple[str, int], list[Figures]] = {}
        report.say(HEADER)
        for _ in range(rounds):
            for connections in (1, 16):
                bare.append(bare_parse(3))
                for target, work in ((server, works[0]), (server, works[2]), (yard, read), (server, works[1])):
                    figures = measure(target.address, target.pid, work, connections, requests)
                    report.say(figures.line())
                    found.setdefault((work.name, connections), []).append(figures)
        memory = {pid: memory_mb(pid) for pid in server.children()}
    _judge(report, found, min(bare))
    report.say(f"a bare parse with four finds: {min(bare) * 1e6:.1f} µs")
    for pid, used in memory.items():
        report.say(f"process {pid}: {used['pss']:.0f} MB proportional, {used['rss']:.0f} MB resident")


def send_all(target: Running, work: Work, count: int) -> None:
    """Warm up over several connections, so that every worker takes part."""
    measure(target.address, target.pid, work, 8, count)


def _least(figures: Sequence[Figures], field: str) -> float:
    """Other programs only ever add."""
    return float(min(getattr(each, field) for each in figures))


def _judge(report: Report, found: dict[tuple[str, int], list[Figures]], bare: float) -> None:
    for connections in (1, 16):
        cpu = {name: _least(each, "cpu") for (name, number), each in found.items() if number == connections}
        at = f", {connections} connection{'s' if connections > 1 else ''}"
        ratio = cpu["ITI-18 50 entries"] / 1000 / bare
        note = f"{cpu['ITI-18 50 entries']:.2f} ms"
        report.add(Budget(f"ITI-18 of 50 entries{at}", ratio, FIND_LIMIT, "× parse", note=note))
        ratio = cpu["ITI-43 20 kB"] / cpu["yardstick of ITI-43"]
        note = f"{cpu['ITI-43 20 kB']:.2f} ms against {cpu['yardstick of ITI-43']:.2f}"
        report.add(Budget(f"ITI-43 of 20 kB{at}", ratio, 2, "× yardstick", note=note))
        scaled = cpu["ITI-41 20 kB"] * REFERENCE_PARSE / bare
        report.add(Budget(f"ITI-41 of 20 kB{at}", scaled, 4, "ms CPU *", note=f"{cpu['ITI-41 20 kB']:.2f} measured"))


def run_big(report: Report, directory: Path, *, requests: int = 12) -> None:
    """A document of 50 MB: throughput against a plain copy, and what is resident meanwhile. One worker."""
    document = os.urandom(1 << 20) * (BIG >> 20)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(directory / "big", workers=1))
        yard = stack.enter_context(yardstick_server(directory / "yardstick-big", {"big": document}, 1))
        warm = prepare(server)
        for work in warm:
            send_all(server, work, 100)
        for pid in server.children():
            reset_high_water(pid)
        before = {pid: memory_mb(pid)["rss"] for pid in server.children()}
        unique_id = deposit(server, "BIG", document, "application/octet-stream")
        upload = max(high_water_mb(pid) - before[pid] for pid in server.children())
        for pid in server.children():
            reset_high_water(pid)
        big = retrieving(unique_id, document, "ITI-43 50 MB")
        copy = _yardstick("plain copy 50 MB", "/copy/big", document)
        report.say(HEADER)
        times: dict[str, list[float]] = {}
        for _ in range(3):
            for target, work in ((server, big), (yard, copy)):
                figures = measure(target.address, target.pid, work, 1, requests)
                report.say(figures.line())
                times.setdefault(work.name, []).append(figures.p50)
        download = max(high_water_mb(pid) - before[pid] for pid in server.children())
        measure(server.address, server.pid, big, 16, 32)
        many = max(high_water_mb(pid) - before[pid] for pid in server.children())
    share = min(times["plain copy 50 MB"]) / min(times["ITI-43 50 MB"]) * 100
    report.add(Budget("ITI-43 of 50 MB: throughput of a plain copy", share, 60, "%", at_least=True))
    report.add(Budget("ITI-41 of 50 MB: growth of resident memory", upload, 16, "MB"))
    report.add(Budget("ITI-43 of 50 MB: growth of resident memory", download, 16, "MB", note=f"16 at once: {many:.0f} MB"))

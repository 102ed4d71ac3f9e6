"""Messages of at most 256 kB that are made to cost much: what refusing them costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.load import HEADER, Connection, Work, measure
from benchmarks.messages import Message, envelope, find_documents, new_unique_id, submit_objects
from benchmarks.report import Budget, Report
from benchmarks.server import serving
from benchmarks.yardsticks import REFERENCE_PARSE, bare_parse

LIMIT = 262_144
_FIND = "urn:ihe:iti:2007:RegistryStoredQuery"
_REGISTER = "urn:ihe:iti:2007:RegisterDocumentSet-b"
_SOAP = "application/soap+xml; charset=UTF-8"


def _filled(before: str, unit: str | Callable[[int], str], after: str) -> bytes:
    """As many units between `before` and `after` as fit into the limit."""
    room, number = LIMIT - len(before) - len(after) - 700, 0
    units: list[str] = []
    while True:
        piece = unit if isinstance(unit, str) else unit(number)
        room -= len(piece)
        if room < 0:
            return (before + "".join(units) + after).encode()
        units.append(piece)
        number += 1


def _query(inside: str | Callable[[int], str]) -> bytes:
    start = find_documents("HOSTILE").body.decode()
    head, tail = start.split("</r:AdhocQuery>")
    if not inside:
        return start.encode()
    return _filled(head, inside, "</r:AdhocQuery>" + tail)


def _registration(inside: str | Callable[[int], str]) -> bytes:
    body = submit_objects("HOSTILE", new_unique_id(), b"", "text/xml")
    head, tail = envelope(_REGISTER, body).decode().split("</r:RegistryObjectList>")
    return _filled(head, inside, "</r:RegistryObjectList>" + tail)


def messages() -> Iterator[tuple[str, bytes]]:
    """Name and body of each."""
    soap = "http://www.w3.org/2003/05/soap-envelope"
    top, end = f'<e:Envelope xmlns:e="{soap}"><e:Body>', "</e:Body></e:Envelope>"
    half = (LIMIT - 400) // 7
    yield "nested elements", (top + "<a>" * half + "</a>" * half + end).encode()
    yield "never closed elements", (top + "<a>" * ((LIMIT - 200) // 3)).encode()
    yield "attributes", _filled(top + "<a ", lambda n: f'a{n}="" ', "/>" + end)
    yield "namespaces", _filled(top, lambda n: f'<a xmlns="u:{n}"/>', end)
    yield "prefixes", _filled(top + "<a ", lambda n: f'xmlns:p{n}="u:{n}" ', "/>" + end)
    yield "empty elements", _filled(top, "<a/>", end)
    yield "names", _filled(top, lambda n: f"<n{n}/>", end)
    yield "character references", _filled(top, "&#65;", end)
    yield "comments", _filled(top, "<!---->", end)
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    yield "entities", f'<!DOCTYPE e [<!ENTITY l0 "lol">{entities}]>{top}&l9;{end}'.encode()
    yield "blanks before a document type", b" " * (LIMIT - 2000) + b"<!DOCTYPE a>"
    yield (
        "headers",
        _filled(top.replace("<e:Body>", "<e:Header>"), '<h e:mustUnderstand="1"/>', "</e:Header><e:Body/>" + end[9:]),
    )
    yield "slots without name", _query("<r:Slot/>")
    yield (
        "slots of unknown parameters",
        _query(lambda n: f'<r:Slot name="$x{n}"><r:ValueList><r:Value>1</r:Value></r:ValueList></r:Slot>'),
    )
    yield (
        "repeated parameters",
        _query(
            "<r:Slot name=\"$XDSDocumentEntryClassCode\"><r:ValueList><r:Value>('a^^b')</r:Value></r:ValueList></r:Slot>"
        ),
    )
    quotes = "'" * (LIMIT - 4000)
    yield "quotes in a parameter", _query("").replace(b"'HOSTILE", b"'" + quotes.encode() + b"HOSTILE")
    many = ",".join(f"'c{n}^^s'" for n in range(14_000))
    yield (
        "codes in a parameter",
        _query(f'<r:Slot name="$XDSDocumentEntryClassCode"><r:ValueList><r:Value>({many})</r:Value></r:ValueList></r:Slot>'),
    )
    yield "objects without attributes", _registration("<r:ExtrinsicObject/>")
    yield "objects with wrong ids", _registration(lambda n: f'<r:ExtrinsicObject id="{n}" objectType="x"/>')
    yield (
        "associations",
        _registration(lambda n: f'<r:Association id="l{n}" associationType="x" sourceObject="s1" targetObject="d1"/>'),
    )
    yield (
        "classifications",
        _registration(lambda n: f'<r:Classification id="c{n}" classifiedObject="d1" classificationNode="x"/>'),
    )
    yield "folders", _registration(lambda n: f'<r:RegistryPackage id="f{n}"/>')
    yield "no XML", b"\xff" * LIMIT


def run(report: Report, directory: Path, *, requests: int = 40) -> None:
    """Send each some times to one worker; the dearest is judged. Any answer is right: what they are is tested elsewhere."""
    with serving(directory / "hostile", workers=1) as server:
        report.say(HEADER)
        worst, name = 0.0, ""
        bare = bare_parse()
        for each, body in messages():
            work = Work(each, lambda body=body: Message("/registry", _SOAP, body), lambda _: True)  # type: ignore[misc]
            work = _with_status(server.address, work)
            measure(server.address, server.pid, work, 1, 5)
            figures = measure(server.address, server.pid, work, 1, requests)
            report.say(f"{figures.line()}  HTTP {work.status}, {len(body)} bytes")
            if figures.cpu > worst:
                worst, name = figures.cpu, each
    scaled = worst * REFERENCE_PARSE / bare
    report.add(Budget("a hostile message of 256 kB", scaled, 20, "ms CPU *", note=f"{worst:.1f} measured; dearest: {name}"))


def _with_status(address: tuple[str, int], work: Work) -> Work:
    """The work with the status that the server gives it."""
    connection = Connection(address)
    status, body = connection.ask(work.make())
    body.release()
    connection.close()
    return Work(work.name, work.make, work.right, status)

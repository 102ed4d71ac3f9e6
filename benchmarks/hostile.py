"""Messages of at most 256 kB that are made to cost much: what refusing them costs.

`messages` are refused for their form, `submissions` and `retrievals` are valid by their schema and refused by the rules, or
by what is stored.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.load import HEADER, Connection, Work, measure
from benchmarks.messages import Message, envelope, find_documents, new_unique_id, slot, submit_objects
from benchmarks.report import Budget, Report
from benchmarks.server import REPOSITORY, serving
from benchmarks.yardsticks import REFERENCE_PARSE, bare_parse

LIMIT = 262_144
_FIND = "urn:ihe:iti:2007:RegistryStoredQuery"
_REGISTER = "urn:ihe:iti:2007:RegisterDocumentSet-b"
_PROVIDE = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
_HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
_REPLACES = "urn:ihe:iti:2007:AssociationType:RPLC"
_AUTHOR = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
_XDS = "urn:ihe:iti:xds-b:2007"
_INCLUDE = '<o:Include xmlns:o="http://www.w3.org/2004/08/xop/include" href="cid:x"/>'
_MOST_LINKS = 990
"""More objects are refused at once."""
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


def _registration(
    inside: str | Callable[[int], str], before: str = "</r:RegistryObjectList>", around: tuple[str, str] = ("", "")
) -> bytes:
    """A submission that is valid but for what is inserted before the first `before`."""
    body = submit_objects("HOSTILE", new_unique_id(), b"", "text/xml")
    body = body.replace("</r:Slot>", f"</r:Slot>{slot('repositoryUniqueId', REPOSITORY)}", 1)
    head, tail = envelope(_REGISTER, body).decode().split(before, 1)
    return _filled(head + around[0], inside, around[1] + before + tail)


def _provision(inside: Callable[[int], str]) -> bytes:
    body = submit_objects("HOSTILE", new_unique_id(), b"", "text/xml")
    opening = f'<x:ProvideAndRegisterDocumentSetRequest xmlns:x="{_XDS}">{body}'
    head, tail = envelope(_PROVIDE, f"{opening}\0</x:ProvideAndRegisterDocumentSetRequest>").decode().split("\0")
    return _filled(head, inside, tail)


def _retrieval(repository: str, count: int) -> bytes:
    asked = "".join(
        f"<x:DocumentRequest><x:RepositoryUniqueId>{repository}</x:RepositoryUniqueId>"
        f"<x:DocumentUniqueId>1.2.{n}</x:DocumentUniqueId></x:DocumentRequest>"
        for n in range(count)
    )
    body = f'<x:RetrieveDocumentSetRequest xmlns:x="{_XDS}">{asked}</x:RetrieveDocumentSetRequest>'
    return envelope("urn:ihe:iti:2007:RetrieveDocumentSet", body)


def _link(number: int, source: str, target: str, kind: str = _HAS_MEMBER, status: str = "", own: str = "") -> str:
    inside = slot("SubmissionSetStatus", status) if status else ""
    if number >= _MOST_LINKS:
        return " " * 500
    ends = f'sourceObject="{source}" targetObject="{target}"'
    return f'<r:Association id="{own or f"x{number}"}" associationType="{kind}" {ends}>{inside}</r:Association>'


def _uuid() -> str:
    return f"urn:uuid:{uuid.uuid4()}"


def submissions() -> Iterator[tuple[str, str, bytes]]:
    """Name, path and body of each."""
    at = "/registry"
    entry_part, entry_identifier = '<r:Classification id="d1.', '<r:ExternalIdentifier id="d1.'
    author = '<r:Classification id="a" classifiedObject="d1" nodeRepresentation="" classificationScheme="' + _AUTHOR + '">'
    values = '<r:Slot name="authorTelecommunication"><r:ValueList>', "</r:ValueList></r:Slot></r:Classification>"
    one = _uuid()
    yield "references to nothing", at, _registration(lambda n: _link(n, "s1", _uuid(), status="Reference"))
    yield "ids of nobody", at, _registration(lambda n: _link(n, "s1", _uuid(), status="Reference", own=_uuid()))
    yield "replacements of nothing", at, _registration(lambda n: _link(n, "d1", _uuid(), _REPLACES))
    yield "one replaced many times", at, _registration(lambda n: _link(n, "d1", one, _REPLACES))
    yield (
        "members of no folder",
        at,
        _registration(lambda n: _link(2 * n, _uuid(), "d1") + _link(2 * n, "s1", f"x{2 * n}", own=f"y{n}")),
    )
    yield "links to themselves", at, _registration(lambda n: _link(n, "d1", "d1"))
    yield "telecoms of an author", at, _registration("<r:Value>x</r:Value>", entry_part, (author + values[0], values[1]))
    yield "slots without values", at, _registration(lambda n: f'<r:Slot name="a{n}"><r:ValueList/></r:Slot>', "<r:Slot")
    yield "slots of unknown names", at, _registration(lambda n: slot(f"a{n}", "v"), "<r:Slot")
    yield (
        "parts with wrong ids",
        at,
        _registration(
            lambda n: f'<r:Classification id="urn:uuid:{n}" classifiedObject="q" classificationNode="x"/>', entry_part
        ),
    )
    yield (
        "unknown identifiers",
        at,
        _registration(
            lambda n: f'<r:ExternalIdentifier id="e{n}" registryObject="d1" identificationScheme="x" value="v"/>',
            entry_identifier,
        ),
    )
    yield "texts of a title", at, _registration('<r:LocalizedString value="v"/>', '<r:LocalizedString xml:lang="en-GB"')
    yield "documents of nothing", "/repository", _provision(lambda n: f'<x:Document id="x{n}"/>')
    yield "inclusions of nothing", "/repository", _provision(lambda n: f'<x:Document id="x{n}">{_INCLUDE}</x:Document>')


def retrievals() -> Iterator[tuple[str, str, bytes]]:
    """Name, path and body of each."""
    yield "unknown documents", "/repository", _retrieval(REPOSITORY, 1000)
    yield "documents of others", "/repository", _retrieval("1.2", 1000)
    yield "too many documents", "/repository", _retrieval("1.2", 1900)


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
    every = [(name, "/registry", body) for name, body in messages()]
    with serving(directory / "hostile", workers=1) as server:
        report.say(HEADER)
        worst, name = 0.0, ""
        bare = bare_parse()
        for each, path, body in (*every, *submissions(), *retrievals()):
            message = Message(path, _SOAP, body)
            work = Work(each, lambda message=message: message, lambda _: True)  # type: ignore[misc]
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

"""Hostile input over the wire, against the real server: each is refused with one clear answer, and nothing is kept.

Rows are those of the attack catalogue (A XML parser, D MTOM package, E metadata and queries). The tables are in the modules
`hostile_*`; what is not one message with one refusal has a test of its own here.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping

import pytest

from conformance.ebrim import RegistryObject
from liasse.settings import DEFAULT_REPOSITORY_ID
from tests import samples
from tests.e2e import wire
from tests.e2e.conftest import ServerFactory
from tests.e2e.hostile_metadata import metadata_attacks
from tests.e2e.hostile_mime import mime_attacks
from tests.e2e.hostile_xml import Attack, xml_attacks
from tests.e2e.server import RunningServer
from tests.e2e.wire import PDF, REPOSITORY, Message, package, part, root_part

XML_ROWS = tuple(f"A{number}" for number in range(1, 21))
MIME_ROWS = tuple(f"D{number}" for number in (1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 13))
METADATA_ROWS = tuple(f"E{number}" for number in (1, 2, 3, 4, 5, 7, 8, 11, 12))
Attacks = Mapping[str, Attack]


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    """Whatever follows a reference of a message would call here."""
    with socket.create_server(("127.0.0.1", 0)) as waiting:
        waiting.setblocking(False)
        yield waiting


@pytest.fixture(scope="module")
def attacks(listener: socket.socket) -> Attacks:
    host, port = listener.getsockname()
    return {**xml_attacks(f"{host}:{port}"), **mime_attacks(), **metadata_attacks()}


@pytest.fixture(scope="module", autouse=True)
def processor_time(strict_server: RunningServer, attacks: Attacks) -> Iterator[None]:
    """Print what all of it cost the server; the figure is judged by the benchmarks, on a quiet machine."""
    before = wire.cpu_seconds(strict_server)
    yield
    used = wire.cpu_seconds(strict_server) - before
    print(f"\nhostile messages: {len(attacks)} in the tables, {used:.2f} s of processor time in all")


@pytest.mark.parametrize("row", XML_ROWS + MIME_ROWS + METADATA_ROWS)
def test_an_attack_is_refused_and_leaves_nothing(strict_server: RunningServer, attacks: Attacks, row: str) -> None:
    chosen = {name: attack for name, attack in attacks.items() if name.split(" ")[0] == row}
    assert chosen
    before = wire.stored(strict_server)
    for name, attack in chosen.items():
        refusals = journaled(strict_server)
        seen = wire.send(strict_server, attack.message)
        assert (name, seen.verdict) == (name, attack.verdict), seen.text
        assert attack.word in seen.text, (name, seen.text)
        for trace in ("Traceback", ".py", "site-packages", "/etc/", "lxml", "sqlite"):
            assert trace not in seen.text or trace in attack.message.body.decode("utf-8", "replace"), (name, seen.text)
        if seen.verdict.startswith("Failure"):
            assert journaled(strict_server) == refusals + 1, name
    assert wire.stored(strict_server) == before
    assert wire.eventually(lambda: not wire.staged(strict_server))


def journaled(server: RunningServer) -> int:
    """Rows of the journal."""
    database = wire.open_database(server)
    try:
        return int(database.execute("SELECT count(*) FROM journal_row").fetchone()[0])
    finally:
        database.close()


def test_nothing_that_a_message_names_was_fetched(
    strict_server: RunningServer, attacks: Attacks, listener: socket.socket
) -> None:
    host, port = listener.getsockname()
    for name, attack in attacks.items():
        if name.startswith(("A2 ", "A3 ")):
            wire.send(strict_server, attack.message)
    sent = wire.deposit()
    wire.send(strict_server, package(REPOSITORY, root_part(sent.root([f"http://{host}:{port}/x"])), *sent.parts()))
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize(
    ("row", "data"),
    [
        ("A12", b'<a xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd" parse="text"/></a>'),
        ("A18", b'<?xml-stylesheet href="http://127.0.0.1:9/evil.xsl" type="text/xsl"?><ClinicalDocument/>'),
        (
            "A20",
            b'<x:stylesheet version="1.0" xmlns:x="http://www.w3.org/1999/XSL/Transform"><x:template match="/">'
            b"<x:copy-of select=\"document('file:///etc/passwd')\"/></x:template></x:stylesheet>",
        ),
    ],
)
def test_what_a_document_asks_for_is_inert(strict_server: RunningServer, row: str, data: bytes) -> None:
    mime_type = "application/xslt+xml" if row == "A20" else "text/xml"
    assert stored_and_back(strict_server, data, mime_type=mime_type) == data


def test_a_processing_instruction_in_a_message_is_ignored(strict_server: RunningServer) -> None:
    """A18: it is neither followed nor a reason to refuse."""
    message = wire.register(samples.submission(samples.entry()))
    named = b'<?xml-stylesheet href="http://127.0.0.1:9/evil.xsl"?>' + message.body
    assert wire.send(strict_server, Message(message.path, message.content_type, named)).verdict == "Success"


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\n\r"])
def test_a_delimiter_after_a_bare_line_end_is_data(strict_server: RunningServer, end: bytes) -> None:
    """D5: only CR LF ends the line before a delimiter."""
    inside = end + f"--{wire.BOUNDARY}".encode() + end + b"Content-ID: <smuggled@wire>" + end * 2 + b"smuggled"
    data = PDF + inside + end + f"--{wire.BOUNDARY}--".encode() + end + b"tail"
    assert stored_and_back(strict_server, data) == data


def test_a_boundary_that_is_the_beginning_of_another_is_not_it(strict_server: RunningServer) -> None:
    """D6."""
    data = PDF + f"\r\n--{wire.BOUNDARY}x\r\nContent-ID: <a@b>\r\n\r\nno part\r\n--{wire.BOUNDARY}-\r\n".encode()
    assert stored_and_back(strict_server, data) == data


def stored_and_back(server: RunningServer, data: bytes, **changes: object) -> bytes | None:
    """Provide a document, retrieve it."""
    sent = wire.deposit(data, **changes)
    provided = wire.send(server, sent.message())
    assert provided.verdict == "Success", provided.text
    back = wire.send(server, wire.retrieve(DEFAULT_REPOSITORY_ID, *sent.unique_ids))
    assert back.verdict == "Success", back.text
    (document,) = back.answer.documents
    return document.data


def test_a_truncated_upload_leaves_nothing(strict_server: RunningServer) -> None:
    """D12, F4: cut at sixty places, with the length announced and the connection closed there."""
    message = wire.deposit(PDF + bytes(3000)).message().as_bytes()
    before = wire.stored(strict_server)
    offsets = [*range(0, len(message), len(message) // 60), len(message) - 1, len(message) - 3]
    for at in offsets:
        assert wire.send_raw(strict_server, message[:at], end=True) is None, at
    assert wire.eventually(lambda: not wire.staged(strict_server))
    assert wire.stored(strict_server) == before
    assert wire.eventually(lambda: '"truncated POST /repository"' in strict_server.log_text())
    assert wire.send_raw(strict_server, message) is not None


@pytest.mark.parametrize("at", [0.3, 0.9])
def test_a_large_upload_cut_in_its_document_leaves_nothing(strict_server: RunningServer, at: float) -> None:
    """D12: after the root part was accepted and parts are on the disk."""
    message = wire.deposit(PDF + bytes(3_000_000)).message().as_bytes()
    before = wire.stored(strict_server)
    with wire.connect(strict_server) as connection:
        connection.sendall(message[: int(len(message) * at)])
        assert wire.eventually(lambda: bool(wire.staged(strict_server)))
    assert wire.eventually(lambda: not wire.staged(strict_server))
    assert wire.stored(strict_server) == before


def test_bytes_before_the_root_part_are_capped(make_server: ServerFactory) -> None:
    """A body that is not judged yet fills no disk: beyond the cap it ends with 413, and what was written is gone."""
    cap = 2_000_000
    server = make_server({"server": {"workers": 1}, "limits": {"staged_per_peer": cap, "staged_total": cap}})
    before = wire.stored(server)
    sent = wire.deposit(PDF + bytes(1_500_000))
    late = package(REPOSITORY, *sent.parts(), root_part(sent.root()))
    assert wire.send(server, late).verdict == "Success"
    sizes: list[int] = []
    with wire.connect(server) as first:
        first.sendall(late.as_bytes()[:1_400_000])
        assert wire.eventually(lambda: staged_bytes(server) > 1_000_000)
        for _ in range(5):
            refused = wire.send(server, package(REPOSITORY, *wire.deposit(PDF + bytes(1_500_000)).parts(), end=b""))
            assert refused.verdict == "HTTP 413"
            assert "root part" in refused.text
            sizes.append(staged_bytes(server))
    assert max(sizes) <= cap
    assert wire.eventually(lambda: not wire.staged(server))
    after = wire.stored(server)
    assert (after.blobs, after.rows["entry"]) == (before.blobs + 1, before.rows["entry"] + 1)


def staged_bytes(server: RunningServer) -> int:
    """Bytes of the files written aside; one that goes away meanwhile counts as none."""
    total = 0
    for name in wire.staged(server):
        try:
            total += (server.data / "staging" / name).stat().st_size
        except FileNotFoundError:
            continue
    return total


def test_a_refused_root_part_ends_the_upload(strict_server: RunningServer) -> None:
    """What follows a root part that is refused is neither awaited nor written aside."""
    sent = wire.deposit(PDF + bytes(30_000_000), creation_time="20991231")
    data = sent.message().as_bytes()
    head = data.index(b"%PDF-")
    with wire.connect(strict_server) as connection:
        connection.sendall(data[: head + 1000])
        seen = wire.receive(connection)
    assert seen.verdict == "Failure XDSRepositoryMetadataError"
    assert wire.staged(strict_server) == []


LITERALS = (
    "('x'') OR 1=1--')",
    "x'; DROP TABLE entry; --",
    "''''",
    '" OR ""="',
    "\\'; \\",
    "%_%",
    "\u2019 OR \u2018\u02bc1",
)


@pytest.mark.parametrize("text", LITERALS)
def test_text_that_looks_like_a_statement_is_text(strict_server: RunningServer, text: str) -> None:
    """E1: stored and returned as sent; as a parameter it matches itself and nothing else."""
    patient = samples.patient(f"E1{LITERALS.index(text)}")
    first = samples.entry(patient_id=patient, title=text, event_codes=(samples.code(text.replace("^", "")),))
    other = samples.entry(patient_id=patient, event_codes=(samples.code("other"),))
    assert wire.send(strict_server, wire.register(samples.submission(first, other))).verdict == "Success"
    wanted = ("$XDSDocumentEntryEventCodeList", wire.listed([f"{text}^^1.2.250.1.999.5"]))
    (found,) = found_documents(strict_server, patient, wanted)
    assert found.value("title") == text
    assert wire.send(
        strict_server, wire.query("GetDocuments", ("$XDSDocumentEntryUniqueId", wire.listed([text])))
    ).verdict in (
        "Success",
        "Failure XDSRegistryError",
    )
    assert len(found_documents(strict_server, patient)) == 2


def test_wildcards_belong_to_the_author_pattern_only(strict_server: RunningServer) -> None:
    """E1, F64."""
    patient = samples.patient("E1W")
    authors = tuple(samples.author(f"80{n}^{name}^Anne") for n, name in enumerate(("Durand", "Demol", "Dupont")))
    entry = samples.entry(patient_id=patient, authors=authors)
    assert wire.send(strict_server, wire.register(samples.submission(entry))).verdict == "Success"

    def matches(pattern: str) -> int:
        return len(found_documents(strict_server, patient, ("$XDSDocumentEntryAuthorPerson", wire.listed([pattern]))))

    assert matches("%^Dem_l^%") == 1
    assert matches("%^Dem_^%") == 0
    assert len(found_documents(strict_server, patient, ("$XDSDocumentEntryTypeCode", "('t%^^1.2.250.1.999.5')"))) == 0
    assert len(found_documents(strict_server, "%" + patient[1:])) == 0


def test_a_repeated_slot_narrows_and_a_list_widens(strict_server: RunningServer) -> None:
    """E3."""
    patient = samples.patient("E3")
    for codes in (("a",), ("b",), ("a", "b")):
        entry = samples.entry(patient_id=patient, event_codes=tuple(samples.code(c) for c in codes))
        assert wire.send(strict_server, wire.register(samples.submission(entry))).verdict == "Success"
    name, a, b = "$XDSDocumentEntryEventCodeList", "a^^1.2.250.1.999.5", "b^^1.2.250.1.999.5"
    assert len(found_documents(strict_server, patient, (name, wire.listed([a, b])))) == 3
    assert len(found_documents(strict_server, patient, (name, [wire.listed([a]), wire.listed([b])]))) == 3
    assert len(found_documents(strict_server, patient, (name, wire.listed([a])), (name, wire.listed([b])))) == 1


def found_documents(server: RunningServer, patient: str, *more: tuple[str, str | list[str]]) -> tuple[RegistryObject, ...]:
    """The entries that FindDocuments gives."""
    seen = wire.send(server, wire.find_documents(patient, *more))
    assert seen.verdict == "Success", seen.text
    return seen.answer.of_kind("document")


@pytest.mark.parametrize("unique_id", ["../../../../tmp/liasse", "1.2.3^../../x", "%2e%2e%2fx", "urn:uuid:../x"])
def test_an_identifier_is_never_a_path(strict_server: RunningServer, unique_id: str) -> None:
    """E4: a document's uniqueId is opaque or refused; no file is named after it."""
    sent = wire.deposit(PDF + unique_id.encode(), unique_id=unique_id)
    seen = wire.send(strict_server, sent.message())
    assert seen.verdict in ("Success", "Failure XDSRepositoryMetadataError")
    asked = wire.send(strict_server, wire.retrieve(DEFAULT_REPOSITORY_ID, unique_id))
    assert asked.verdict == ("Success" if seen.verdict == "Success" else "Failure XDSDocumentUniqueIdError")
    names = [path.name for path in strict_server.data.rglob("*")]
    assert not [name for name in names if "liasse" in name and not name.startswith("liasse.sqlite")]


INJECTED = "line\nlevel=error \x1b[31mred ${jndi:ldap://x} <85>1 \u202egnp.exe"


def test_a_log_line_holds_nothing_of_a_message(strict_server: RunningServer) -> None:
    """E5: line ends, escape sequences and directions never reach the log, wherever they come from."""
    seen = len(strict_server.log_text())
    # A literal line end and control go through character references or are refused by XML itself.
    title = INJECTED.replace("\x1b", "")
    entry = samples.entry(patient_id=samples.patient("E5"), title=title, comments=title)
    assert wire.send(strict_server, wire.register(samples.submission(entry))).verdict == "Success"
    headers = (f"User-Agent: {INJECTED.splitlines()[-1]}", "X-Forwarded-For: 1.2.3.4\x1b[2J")
    message = wire.find_documents(samples.patient("E5"))
    wire.send_raw(strict_server, Message(message.path, message.content_type, message.body, headers).as_bytes())
    wire.send(
        strict_server, wire.simple("/registry", wire.envelope(INJECTED.replace("\x1b", "&#10;").replace("<", ""), "<a/>"))
    )
    wire.send(strict_server, wire.simple("/registry", wire.envelope("urn:x", "<a/>", message="id&#10;level=error")))
    text = strict_server.log_text()[seen:]
    assert "POST /registry" in text
    assert text.isascii()
    for line in text.splitlines():
        record = json.loads(line)
        assert record["level"] in ("debug", "info"), line
    for piece in ("jndi", "gnp.exe", "\x1b", "level=error", "<85>"):
        assert piece not in text


MARKUP = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "javascript:alert(1)", "<svg/onload=alert(1)>")


@pytest.mark.parametrize("text", MARKUP)
def test_markup_in_values_stays_a_value(strict_server: RunningServer, text: str) -> None:
    """E6: in answers it is text of XML; in refusals it is text of XML or of text/plain."""
    patient = samples.patient(f"E6{MARKUP.index(text)}")
    entry = samples.entry(patient_id=patient, title=text, comments=text, type_code=samples.code("type", display=text))
    assert wire.send(strict_server, wire.register(samples.submission(entry))).verdict == "Success"
    (found,) = found_documents(strict_server, patient)
    assert found.value("title") == text
    refused = wire.send(strict_server, wire.register(samples.submission(samples.entry(language_code=text))))
    assert refused.verdict == "Failure XDSRegistryMetadataError"
    assert text in refused.text
    assert refused.answer.media_type.name == "application/soap+xml"
    page = wire.send_raw(strict_server, f"GET /{text} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert page is not None
    assert page.answer.http.header("Content-Type") == "text/plain; charset=utf-8"
    assert text not in page.text


@pytest.mark.parametrize("title", ["\u202egnp.exe", "P\u0430ul", "e\u0301t\u00e9", "a\u200bb", "\u0661\u0662\u0663"])
def test_unicode_of_free_text_is_returned_as_sent(strict_server: RunningServer, title: str) -> None:
    """E7: shown text is stored untouched; identity is ASCII (see the table)."""
    patient = samples.patient(f"E7{ord(title[0])}")
    assert wire.send(
        strict_server, wire.register(samples.submission(samples.entry(patient_id=patient, title=title)))
    ).verdict == ("Success")
    (found,) = found_documents(strict_server, patient)
    assert found.value("title") == title


BAD_REQUESTS: Mapping[str, tuple[Callable[[], bytes], str]] = {
    "F25 envelope as XOP": (
        lambda: wire.simple(
            "/registry", wire.find_documents("x").body, 'application/xop+xml; type="application/soap+xml"'
        ).as_bytes(),
        "HTTP 415",
    ),
    "no media type": (
        lambda: wire.find_documents("x").as_bytes().replace(b"Content-Type: application/soap+xml; charset=UTF-8\r\n", b""),
        "HTTP 415",
    ),
    "JSON": (lambda: wire.simple("/registry", b"{}", "application/json").as_bytes(), "HTTP 415"),
    "media type that is none": (lambda: wire.simple("/registry", b"x", ";;;").as_bytes(), "HTTP 400"),
    "another address": (lambda: wire.simple("/elsewhere", b"x").as_bytes(), "HTTP 404"),
    "PUT": (lambda: wire.simple("/registry", b"x").as_bytes().replace(b"POST", b"PUT", 1), "HTTP 405"),
    "empty body": (lambda: wire.simple("/registry", b"").as_bytes(), "fault Sender"),
    "announced too large": (lambda: wire.simple("/registry", b"").as_bytes(length=2_000_000_000), "HTTP 413"),
    "part that is too large an envelope": (
        lambda: package(REPOSITORY, part("root@wire", bytes(17_000_000), wire.ROOT_TYPE)).as_bytes(),
        "HTTP 413",
    ),
    "envelope too large": (lambda: wire.simple("/registry", bytes(17_000_000)).as_bytes(), "HTTP 413"),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_request_that_is_no_message_has_its_own_status(strict_server: RunningServer, name: str) -> None:
    build, verdict = BAD_REQUESTS[name]
    before = wire.stored(strict_server)
    seen = wire.send_raw(strict_server, build())
    assert seen is not None
    assert seen.verdict == verdict, seen.text
    assert wire.stored(strict_server) == before

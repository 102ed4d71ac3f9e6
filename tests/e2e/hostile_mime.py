"""Attacks on the MTOM package, as messages: name to what is sent, what must come back, and a word of its text."""

from __future__ import annotations

from collections.abc import Mapping

from tests.e2e import wire
from tests.e2e.hostile_xml import SENDER, Attack
from tests.e2e.wire import BOUNDARY, PDF, REPOSITORY, ROOT_TYPE, Deposit, Message, package, part, root_part

_BINARY = "Content-Transfer-Encoding: binary"
METADATA = "Failure XDSRepositoryMetadataError"
_TAIL = f"--{BOUNDARY}--\r\n".encode()


def _typed(content_type: str, sent: Deposit | None = None) -> Message:
    message = (sent or wire.deposit()).message()
    return Message(message.path, content_type, message.body)


def _referring(href: str) -> Message:
    sent = wire.deposit()
    return package(REPOSITORY, root_part(sent.root([href])), *sent.parts())


def _parts_under(*content_ids: str, href: str = "cid:d1@a") -> Message:
    sent = wire.deposit()
    parts = (part(content_id, PDF, "application/pdf", _BINARY) for content_id in content_ids)
    return package(REPOSITORY, root_part(sent.root([href])), *parts)


def _document(head: str, data: bytes = PDF) -> Message:
    """A package whose document part has a header block of our own."""
    sent = wire.deposit()
    own = f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + data + b"\r\n"
    return package(REPOSITORY, root_part(sent.root()), own)


def _holding(content: str) -> Message:
    """A package whose xds:Document holds `content`."""
    sent = wire.deposit()
    body = wire.provide_body(sent.submission, (sent.submission.entries[0].entry_uuid, content))
    return package(REPOSITORY, root_part(wire.envelope(wire.PROVIDE, body)), *sent.parts())


def _claiming(**changes: object) -> Message:
    return wire.deposit(**changes).message()


def _content(mime_type: str, data: bytes) -> Message:
    return wire.deposit(data, mime_type=mime_type).message()


def _twice_the_same_part() -> Message:
    sent = wire.deposit(PDF, PDF)
    return package(REPOSITORY, root_part(sent.root(["cid:document1@wire"] * 2)), *sent.parts())


def _one_extra() -> Message:
    sent = wire.deposit()
    return package(REPOSITORY, root_part(sent.root()), *sent.parts(), part("extra@wire", PDF, "application/pdf", _BINARY))


def _extra_element() -> Message:
    sent = wire.deposit()
    own = sent.submission.entries[0].entry_uuid
    body = wire.provide_body(
        sent.submission, (own, wire.include("cid:document1@wire")), ("nobody", wire.include("cid:extra@wire"))
    )
    root = root_part(wire.envelope(wire.PROVIDE, body))
    return package(REPOSITORY, root, *sent.parts(), part("extra@wire", PDF, "application/pdf", _BINARY))


def _no_element() -> Message:
    sent = wire.deposit()
    return package(REPOSITORY, root_part(wire.envelope(wire.PROVIDE, wire.provide_body(sent.submission))))


def _many_parts(count: int) -> Message:
    sent = wire.deposit()
    return package(REPOSITORY, root_part(sent.root()), *(part(f"d{n}@a", b"x") for n in range(count)))


def _nested() -> Message:
    inner = f"--{'n' * 10}\r\n\r\nx\r\n--{'n' * 10}--\r\n".encode()
    return _document(f"Content-Type: multipart/mixed; boundary={'n' * 10}\r\nContent-ID: <document1@wire>", inner)


def _second_envelope_as_part() -> Message:
    sent = wire.deposit()
    return package(REPOSITORY, root_part(sent.root()), root_part(sent.root(), "root2@wire"), *sent.parts())


def _start(value: str) -> str:
    return f'multipart/related; type="application/xop+xml"; boundary="{BOUNDARY}"; start="{value}"'


def _in_slot() -> Message:
    message = wire.deposit().message()
    return message.replaced("<Value>fr-FR</Value>", f"<Value>{wire.include('cid:document1@wire')}</Value>")


def _in_header() -> Message:
    message = wire.deposit().message()
    header = f'<h:Assertion xmlns:h="urn:h">{wire.include("cid:document1@wire")}</h:Assertion>'
    return message.replaced("</s:Header>", f"{header}</s:Header>")


def mime_attacks() -> Mapping[str, Attack]:
    """The rows of class D that are one message."""
    sent = wire.deposit()
    message = sent.message()
    return {
        "D1 part absent": Attack(
            _referring("cid:absent@wire"), "Failure XDSMissingDocument,XDSMissingDocumentMetadata", "absent"
        ),
        "D1 part that nothing includes": Attack(_one_extra(), "Failure XDSMissingDocumentMetadata", "extra@wire"),
        "D1 document without entry": Attack(_extra_element(), "Failure XDSMissingDocumentMetadata", "nobody"),
        "D1 entry without document": Attack(_no_element(), "Failure XDSMissingDocument", "document"),
        "D1 part included twice": Attack(_twice_the_same_part(), METADATA, "document1@wire"),
        "D2 Content-ID twice": Attack(_parts_under("d1@a", "d1@a"), "HTTP 400", "Content-ID"),
        "D2 Content-ID twice, by case": Attack(_parts_under("d1@a", "D1@a"), "HTTP 400", "Content-ID"),
        "D2 Content-ID twice, percent-encoded": Attack(_parts_under("d1@a", "d1%40a"), "HTTP 400", "Content-ID"),
        "D2 Content-ID of the root": Attack(_parts_under("d1@a", "root@wire"), "HTTP 400", "Content-ID"),
        "D3 cid that is a path": Attack(
            _referring("cid:../../etc/passwd"), "Failure XDSMissingDocument,XDSMissingDocumentMetadata", "../../etc/passwd"
        ),
        "D3 part named as a path and absent": Attack(
            _parts_under("../../../tmp/x", href="cid:../../../tmp/y"),
            "Failure XDSMissingDocument,XDSMissingDocumentMetadata",
            "tmp",
        ),
        "D3 file": Attack(_referring("file:///etc/passwd"), METADATA, "fetched"),
        "D3 http": Attack(_referring("http://127.0.0.1:9/x"), METADATA, "fetched"),
        "D4 start names nothing": Attack(_typed(_start("<absent@wire>")), "HTTP 400", "start"),
        "D4 start names a document": Attack(_typed(_start("<document1@wire>")), "HTTP 415", "root part"),
        "D4 type is not XOP": Attack(
            _typed(f'multipart/related; type="application/pdf"; boundary="{BOUNDARY}"'), "HTTP 415", "type"
        ),
        "D4 multipart of another kind": Attack(
            _typed(f'multipart/form-data; boundary="{BOUNDARY}"'), "HTTP 415", "form-data"
        ),
        "D4 root is not XOP": Attack(
            package(REPOSITORY, part("root@wire", sent.root(), "application/pdf"), *sent.parts()), "HTTP 415", "root part"
        ),
        "D4 two roots": Attack(_second_envelope_as_part(), "Failure XDSMissingDocumentMetadata", "root2@wire"),
        "D4 a package on the registry": Attack(
            package(wire.REGISTRY, root_part(sent.root()), *sent.parts()), "fault Sender/ActionNotSupported", "/registry"
        ),
        "D6 boundary of 71": Attack(
            _typed(f'multipart/related; type="application/xop+xml"; boundary="{"b" * 71}"'), "HTTP 400", "boundary"
        ),
        "D6 boundary of 20000": Attack(
            _typed(f'multipart/related; type="application/xop+xml"; boundary="{"b" * 20_000}"'), "HTTP 400", "boundary"
        ),
        "D6 boundary empty": Attack(
            _typed('multipart/related; type="application/xop+xml"; boundary=""'), "HTTP 400", "boundary"
        ),
        "D6 boundary absent": Attack(_typed('multipart/related; type="application/xop+xml"'), "HTTP 400", "boundary"),
        "D6 boundary of another message": Attack(
            _typed('multipart/related; type="application/xop+xml"; boundary="(.*)+$"'), "HTTP 400", "preamble"
        ),
        "D6 final delimiter missing": Attack(
            package(REPOSITORY, root_part(sent.root()), *sent.parts(), end=b""), "HTTP 400", "final boundary"
        ),
        "D6 preamble": Attack(
            Message(REPOSITORY, wire.PACKAGE_TYPE, b"x" * 9000 + b"\r\n" + message.body), "HTTP 400", "preamble"
        ),
        "D6 preamble of 3 MB": Attack(
            Message(REPOSITORY, wire.PACKAGE_TYPE, b"x" * 3_000_000 + b"\r\n" + message.body), "HTTP 400", "preamble"
        ),
        "D6 epilogue": Attack(Message(REPOSITORY, wire.PACKAGE_TYPE, message.body + b"x" * 9000), "HTTP 400", "epilogue"),
        "D7 part flood": Attack(_many_parts(60), "HTTP 400", "50 parts"),
        "D7 part flood of 20000": Attack(_many_parts(20_000), "HTTP 400", "50 parts"),
        "D7 nested multipart": Attack(_nested(), "HTTP 400", "multipart inside"),
        "D8 line end in Content-ID": Attack(
            _document("Content-Type: application/pdf\r\nContent-ID: <document1\r\nX-Evil: 1@wire>"), "HTTP 400", "Content-ID"
        ),
        "D8 encoded line end in Content-ID": Attack(
            _document("Content-Type: application/pdf\r\nContent-ID: <document1%0D%0AX-Evil@wire>"), "HTTP 400", "Content-ID"
        ),
        "D8 header of 9000": Attack(
            _document(f"Content-ID: <document1@wire>\r\nX-Long: {'x' * 9000}"), "HTTP 400", "8192 bytes"
        ),
        "D8 20000 headers": Attack(
            _document("Content-ID: <document1@wire>\r\n" + "\r\n".join(["X-Y: z"] * 20_000)), "HTTP 400", "8192 bytes"
        ),
        "D8 Content-Type twice": Attack(
            _document("Content-Type: application/pdf\r\nContent-Type: text/html\r\nContent-ID: <document1@wire>"),
            "HTTP 400",
            "twice",
        ),
        "D8 HTTP Content-Type twice": Attack(
            Message(REPOSITORY, wire.PACKAGE_TYPE, message.body, ("Content-Type: text/html",)), "HTTP 400", "twice"
        ),
        "D8 continuation": Attack(
            _typed(f'multipart/related; type="application/xop+xml"; boundary*0=wire; boundary*1={BOUNDARY}'),
            "HTTP 400",
            "RFC 2231",
        ),
        "D8 not ASCII": Attack(
            _document("Content-Type: application/pdf\r\nContent-ID: <docum\u00e9nt@wire>"), "HTTP 400", "ASCII"
        ),
        "D9 quoted-printable": Attack(
            _document("Content-Transfer-Encoding: quoted-printable\r\nContent-ID: <document1@wire>"),
            "HTTP 400",
            "quoted-printable",
        ),
        "D9 unknown encoding": Attack(
            _document("Content-Transfer-Encoding: x-gzip\r\nContent-ID: <document1@wire>"), "HTTP 400", "x-gzip"
        ),
        "D9 no base64 under base64": Attack(
            _document("Content-Transfer-Encoding: base64\r\nContent-ID: <document1@wire>", b"%PDF-1.4"), "HTTP 400", "base64"
        ),
        "D9 base64 under binary": Attack(
            _document("Content-Transfer-Encoding: binary\r\nContent-ID: <document1@wire>", b"JVBERi0xLjQK"),
            "Failure InvalidDocumentContent",
            "application/pdf",
        ),
        "D10 hash": Attack(_claiming(hash="0" * 40), METADATA, "hash"),
        "D10 size": Attack(_claiming(size="37"), METADATA, "size"),
        "D10 hash and size": Attack(_claiming(hash="f" * 40, size=str(2**63)), METADATA, "size"),
        "D11 HTML as PDF": Attack(
            _content("application/pdf", b"<html><script>1</script></html>"),
            "Failure InvalidDocumentContent",
            "application/pdf",
        ),
        "D11 program as text": Attack(_content("text/plain", b"MZ\x90\x00"), "Failure InvalidDocumentContent", "text/plain"),
        "D11 archive as JPEG": Attack(
            _content("image/jpeg", b"PK\x03\x04" + bytes(64)), "Failure InvalidDocumentContent", "jpeg"
        ),
        "D11 PDF behind an archive": Attack(
            _content("application/pdf", b"PK\x03\x04" + PDF), "Failure InvalidDocumentContent", "application/pdf"
        ),
        "D11 CDA that is no XML": Attack(_content("text/xml", PDF), "Failure InvalidDocumentContent", "XML"),
        "D11 XML with an entity": Attack(
            _content("text/xml", b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'),
            "Failure InvalidDocumentContent",
            "doctype",
        ),
        "D11 nothing": Attack(_content("application/pdf", b""), "Failure InvalidDocumentContent", "empty"),
        "D13 in a slot": Attack(_in_slot(), METADATA, "Value"),
        "D13 with text beside": Attack(_holding(f"JVBERi0{wire.include('cid:document1@wire')}"), METADATA, "text only"),
        "D13 twice": Attack(_holding(wire.include("cid:document1@wire") * 2), METADATA, "text only"),
        "D13 inside another element": Attack(
            _holding(f'<y xmlns="urn:y">{wire.include("cid:document1@wire")}</y>'), METADATA, "Document"
        ),
        "D13 as attribute": Attack(
            message.replaced("<x:Document ", '<x:Document href="cid:document1@wire" ', 1), METADATA, "href"
        ),
        "D13 with children": Attack(
            _holding(wire.include("cid:document1@wire").replace("/>", "><z/></xop:Include>")), METADATA, "Include"
        ),
        "D13 in an unknown header that must be understood": Attack(
            _in_header_understood(), "fault MustUnderstand", "Assertion"
        ),
    }


def _in_header_understood() -> Message:
    return _in_header().replaced("<h:Assertion ", '<h:Assertion s:mustUnderstand="true" ')


__all__ = ["METADATA", "ROOT_TYPE", "SENDER", "mime_attacks"]

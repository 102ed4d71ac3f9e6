"""WS-Addressing 1.0 and the other header blocks of a request.

The server never calls out: only the anonymous address is answered, on the connection of the request. A request whose ReplyTo
is the none address is processed and its answer is dropped (HTTP 202). wsa:To is not compared with our own address, which
balancers rewrite; wsa:Action alone decides, never a header of HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lxml import etree

from soap.faults import ANONYMOUS, Fault, QName, invalid_header, missing_header, not_understood, quote, sender
from soap.transaction import WireTolerances
from xmlsafe.namespaces import SOAP11, SOAP12, WSA, WSSE, XOP

NONE: Final = f"{WSA}/none"
SECURITY: Final = f"{{{WSSE}}}Security"

_WSA: Final = f"{{{WSA}}}"
_MESSAGE_ID: Final = _WSA + "MessageID"
_ONCE: Final = ("Action", "MessageID", "To", "From", "ReplyTo", "FaultTo")
_UNDERSTOOD: Final = frozenset(_WSA + local for local in (*_ONCE, "RelatesTo")) | {SECURITY}
_FOR_US: Final = {
    SOAP12: ("role", frozenset({"", f"{SOAP12}/role/ultimateReceiver", f"{SOAP12}/role/next"})),
    SOAP11: ("actor", frozenset({"", "http://schemas.xmlsoap.org/soap/actor/next"})),
}
_TRUTH: Final = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Addressing:
    """What the header says: the action, the MessageID as written, the addresses for answers and faults, security.

    `reply_to` and `fault_to` are None where the header is absent.
    """

    action: str
    message_id: str
    reply_to: str | None
    fault_to: str | None
    security: etree._Element | None

    @property
    def wants_no_answer(self) -> bool:
        """Whether the sender asked that no answer be sent back."""
        return self.reply_to == NONE

    @property
    def wants_no_fault(self) -> bool:
        """Whether the sender asked that no fault be sent back. Faults go where answers go, unless FaultTo says otherwise."""
        return (self.fault_to or self.reply_to) == NONE


def find_message_id(header: etree._Element | None) -> str | None:
    """The MessageID an answer can relate to, whatever else is wrong with the header; None unless there is exactly one."""
    found = header.findall(_MESSAGE_ID) if header is not None else []
    if len(found) != 1 or len(found[0]):
        return None
    text = found[0].text or ""
    return text if text.strip() else None


def read_addressing(header: etree._Element | None, soap: str, tolerances: WireTolerances) -> Addressing:
    """Judge the header blocks meant for us. Raises Fault. `soap` is the namespace of the envelope.

    Source: SOAP 1.2 part 1, sections 2.4, 5.2; WS-Addressing 1.0 SOAP Binding, sections 3 and 6; ITI TF-2 appendix V.3.
    """
    blocks = _blocks_for_us(header, soap, tolerances) if header is not None else {}
    for local in _ONCE:
        if len(blocks.get(_WSA + local, ())) > 1:
            raise invalid_header(
                local, f"found {len(blocks[_WSA + local])} times, at most once is allowed", "InvalidCardinality"
            )
    security = blocks.get(SECURITY, [])
    if len(security) > 1:
        raise sender(
            f"The header wsse:Security was found {len(security)} times, at most once is allowed",
            QName(WSSE, "InvalidSecurity"),
        )
    action = _required(blocks, "Action")
    if len(action.split()) != 1 or action != action.strip():
        raise invalid_header("Action", f"white space is not allowed, found {quote(action)}")
    message_id = _required(blocks, "MessageID")
    if _WSA + "To" in blocks and not _text(blocks, "To").strip() and not tolerances.empty_to:
        raise invalid_header("To", "it is empty, an address or no header is expected")
    return Addressing(
        action=action,
        message_id=message_id,
        reply_to=_reply_address(blocks, "ReplyTo"),
        fault_to=_reply_address(blocks, "FaultTo"),
        security=security[0] if security else None,
    )


def _blocks_for_us(header: etree._Element, soap: str, tolerances: WireTolerances) -> dict[str, list[etree._Element]]:
    """The understood blocks by tag. Raises the MustUnderstand fault for the others that ask for it."""
    role_name, ours = _FOR_US[soap]
    role_key, must_key = f"{{{soap}}}{role_name}", f"{{{soap}}}mustUnderstand"
    blocks: dict[str, list[etree._Element]] = {}
    unknown = []
    for block in header:
        if (block.get(role_key) or "").strip() not in ours:
            continue
        must = _must_understand(block, must_key, tolerances)
        if block.tag in _UNDERSTOOD:
            blocks.setdefault(block.tag, []).append(block)
        elif must:
            unknown.append(QName.from_clark(block.tag))
    if unknown:
        raise not_understood(tuple(unknown))
    if next(header.iter(f"{{{XOP}}}Include"), None) is not None:
        raise sender("An xop:Include inside the SOAP Header is not supported, its content is expected inline")
    return blocks


def _must_understand(block: etree._Element, key: str, tolerances: WireTolerances) -> bool:
    value = block.get(key)
    bare = block.get("mustUnderstand")
    if bare is not None:
        if not tolerances.unprefixed_must_understand:
            raise sender(
                f"The attribute mustUnderstand of the header {quote(block.tag)} has no namespace, "
                "that of the envelope is expected"
            )
        value = bare if value is None else value
    if value is None:
        return False
    truth = _TRUTH.get(value.strip())
    if truth is None:
        raise sender(
            f"The attribute mustUnderstand of the header {quote(block.tag)} is {quote(value)}, "
            "true, 1, false or 0 is expected"
        )
    return truth


def _required(blocks: dict[str, list[etree._Element]], local: str) -> str:
    if _WSA + local not in blocks:
        raise missing_header(local)
    text = _text(blocks, local)
    if not text.strip():
        raise invalid_header(local, "it is empty")
    return text


def _text(blocks: dict[str, list[etree._Element]], local: str) -> str:
    block = blocks[_WSA + local][0]
    if len(block):
        raise invalid_header(local, f"it holds the element {quote(block[0].tag)}, text is expected")
    return block.text or ""


def _reply_address(blocks: dict[str, list[etree._Element]], local: str) -> str | None:
    if _WSA + local not in blocks:
        return None
    found = blocks[_WSA + local][0].findall(_WSA + "Address")
    if len(found) != 1 or len(found[0]):
        raise invalid_header(local, f"one wsa:Address holding text is expected, found {len(found)}", "MissingAddressInEPR")
    address = (found[0].text or "").strip()
    if address not in (ANONYMOUS, NONE):
        raise _unreachable(local, address)
    return address


def _unreachable(local: str, address: str) -> Fault:
    return sender(
        f"The header wsa:{local} asks for an answer to {quote(address)}; answers are sent on the connection of the request, "
        f"expected is {quote(ANONYMOUS)}",
        QName(WSA, "DestinationUnreachable"),
        detail=f"<wsa:ProblemHeaderQName>wsa:{local}</wsa:ProblemHeaderQName>",
    )

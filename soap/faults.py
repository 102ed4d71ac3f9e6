"""SOAP 1.2 faults: the value that is raised, and its envelope.

A fault says that the message could not be taken as a message; a readable message with wrong content gets an ebRS answer of
its transaction instead. Every fault travels with HTTP status 500 unless it says otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from xmlsafe.namespaces import SOAP11, SOAP12, WSA, WSSE

ANONYMOUS: Final = f"{WSA}/anonymous"
WSA_FAULT_ACTION: Final = f"{WSA}/fault"
SOAP_FAULT_ACTION: Final = f"{WSA}/soap/fault"
LONGEST_QUOTE: Final = 120

_PREFIXES: Final = {SOAP12: "soap", WSA: "wsa", WSSE: "wsse"}
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class FaultCode(Enum):
    """The codes of SOAP 1.2 part 1, section 5.4.6, that this layer sends or may receive."""

    SENDER = "Sender"
    RECEIVER = "Receiver"
    VERSION_MISMATCH = "VersionMismatch"
    MUST_UNDERSTAND = "MustUnderstand"
    DATA_ENCODING_UNKNOWN = "DataEncodingUnknown"


@dataclass(frozen=True, slots=True)
class QName:
    """A qualified name. Its text is Clark notation."""

    namespace: str
    local: str

    @classmethod
    def from_clark(cls, tag: str) -> QName:
        """The name lxml calls `tag`: "{namespace}local", or "local" without namespace."""
        namespace, _, local = tag.rpartition("}")
        return cls(namespace[1:], local)

    def __str__(self) -> str:
        return f"{{{self.namespace}}}{self.local}"


class Fault(Exception):
    """A SOAP fault to be sent.

    `subcode` is outermost first; `reason` is in `language` and may quote the request; `detail` is serialised XML in which
    the prefixes soap and wsa are declared; `not_understood` names the header blocks of a MustUnderstand fault; `soap11`
    asks for an envelope of SOAP 1.1, which only a VersionMismatch needs. `status` is the HTTP status. `rule` says which of
    our rules refused; it is for the journal and never sent.

    Source: SOAP 1.2 part 1, section 5.4.
    """

    def __init__(
        self,
        code: FaultCode,
        reason: str,
        *subcode: QName,
        detail: str | None = None,
        status: int = 500,
        not_understood: tuple[QName, ...] = (),
        soap11: bool = False,
        rule: str = "",
        language: str = "en",
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.subcode = subcode
        self.detail = detail
        self.status = status
        self.not_understood = not_understood
        self.soap11 = soap11
        self.rule = rule
        self.language = language

    @property
    def label(self) -> str:
        """A short name for logs and metrics: "Sender", "wsa:ActionNotSupported". It quotes nothing of the request."""
        if not self.subcode:
            return self.code.value
        name = self.subcode[-1]
        return f"{_PREFIXES.get(name.namespace, 'sub')}:{name.local}"


def quote(value: str) -> str:
    """A value found in a request, in quotes and cut to a length fit for a message."""
    return f'"{value}"' if len(value) <= LONGEST_QUOTE else f'"{value[:LONGEST_QUOTE]}…"'


def sender(reason: str, *subcode: QName, detail: str | None = None) -> Fault:
    """The message is at fault; sending it again unchanged is pointless."""
    return Fault(FaultCode.SENDER, reason, *subcode, detail=detail)


def internal_error() -> Fault:
    """What a caller learns of a defect of ours: nothing."""
    return Fault(FaultCode.RECEIVER, "Internal error")


def missing_header(local: str) -> Fault:
    """A required WS-Addressing header is absent."""
    return sender(
        f"The header wsa:{local} is required, none was found",
        QName(WSA, "MessageAddressingHeaderRequired"),
        detail=_problem_header(local),
    )


def invalid_header(local: str, problem: str, *subcode: str) -> Fault:
    """A WS-Addressing header is not acceptable; `subcode` are local names below InvalidAddressingHeader."""
    return sender(
        f"The header wsa:{local} is not acceptable: {problem}",
        QName(WSA, "InvalidAddressingHeader"),
        *(QName(WSA, local_name) for local_name in subcode),
        detail=_problem_header(local),
    )


def action_not_supported(action: str, path: str) -> Fault:
    """No transaction of this endpoint has the action."""
    return sender(
        f"The action {quote(action)} is not supported at {quote(path)}",
        QName(WSA, "ActionNotSupported"),
        detail=f"<wsa:ProblemAction><wsa:Action>{_text(action)}</wsa:Action></wsa:ProblemAction>",
    )


def not_understood(names: tuple[QName, ...]) -> Fault:
    """Header blocks that must be understood are not."""
    listed = ", ".join(quote(str(name)) for name in names)
    return Fault(FaultCode.MUST_UNDERSTAND, f"Header blocks that must be understood are not: {listed}", not_understood=names)


def version_mismatch(root: str) -> Fault:
    """The root element `root` (Clark notation) is no SOAP 1.2 envelope. A SOAP 1.1 envelope is answered in SOAP 1.1.

    Source: SOAP 1.2 part 1, section 5.4.7 and appendix A.
    """
    return Fault(
        FaultCode.VERSION_MISMATCH,
        f"A SOAP 1.2 envelope {quote(f'{{{SOAP12}}}Envelope')} is expected, {quote(root)} was found",
        soap11=root == f"{{{SOAP11}}}Envelope",
    )


def write_fault(fault: Fault, relates_to: str | None) -> bytes:
    """The whole envelope of a fault, UTF-8. `relates_to` is the MessageID of the request where one was read."""
    if fault.soap11:
        return _write_soap11(fault)
    header = "".join((*_header(fault, relates_to), *(_not_understood_block(name) for name in fault.not_understood)))
    if fault.code is FaultCode.VERSION_MISMATCH:
        header += f"<soap:Upgrade>{_SUPPORTED.format(element='soap:SupportedEnvelope')}</soap:Upgrade>"
    detail = f"<soap:Detail>{fault.detail}</soap:Detail>" if fault.detail else ""
    return (
        f'<soap:Envelope xmlns:soap="{SOAP12}" xmlns:wsa="{WSA}"><soap:Header>{header}</soap:Header><soap:Body><soap:Fault>'
        f"<soap:Code><soap:Value>soap:{fault.code.value}</soap:Value>{_subcodes(fault.subcode)}</soap:Code>"
        f'<soap:Reason><soap:Text xml:lang="{fault.language}">{_text(fault.reason)}</soap:Text></soap:Reason>{detail}'
        "</soap:Fault></soap:Body></soap:Envelope>"
    ).encode()


_SUPPORTED: Final = f'<{{element}} qname="s12:Envelope" xmlns:s12="{SOAP12}"/>'


def _header(fault: Fault, relates_to: str | None) -> tuple[str, ...]:
    ours = any(name.namespace == WSA for name in fault.subcode)
    return (
        f'<wsa:Action soap:mustUnderstand="true">{WSA_FAULT_ACTION if ours else SOAP_FAULT_ACTION}</wsa:Action>',
        f"<wsa:To>{ANONYMOUS}</wsa:To>",
        f"<wsa:RelatesTo>{_text(relates_to)}</wsa:RelatesTo>" if relates_to is not None else "",
    )


def _write_soap11(fault: Fault) -> bytes:
    return (
        f'<soap:Envelope xmlns:soap="{SOAP11}"><soap:Header><s12:Upgrade xmlns:s12="{SOAP12}">'
        f"{_SUPPORTED.format(element='s12:SupportedEnvelope')}</s12:Upgrade></soap:Header><soap:Body><soap:Fault>"
        f"<faultcode>soap:{fault.code.value}</faultcode><faultstring>{_text(fault.reason)}</faultstring>"
        "</soap:Fault></soap:Body></soap:Envelope>"
    ).encode()


def _subcodes(names: tuple[QName, ...]) -> str:
    written = ""
    for name in reversed(names):
        prefix = _PREFIXES.get(name.namespace, "sub")
        declaration = "" if prefix in ("soap", "wsa") else f" xmlns:{prefix}={_attribute(name.namespace)}"
        written = f"<soap:Subcode><soap:Value{declaration}>{prefix}:{name.local}</soap:Value>{written}</soap:Subcode>"
    return written


def _not_understood_block(name: QName) -> str:
    if not name.namespace:
        return f'<soap:NotUnderstood qname="{name.local}"/>'
    return f'<soap:NotUnderstood xmlns:head={_attribute(name.namespace)} qname="head:{name.local}"/>'


def _problem_header(local: str) -> str:
    return f"<wsa:ProblemHeaderQName>wsa:{local}</wsa:ProblemHeaderQName>"


def _text(value: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", value))


def _attribute(value: str) -> str:
    return quoteattr(_NOT_XML.sub("\ufffd", value))

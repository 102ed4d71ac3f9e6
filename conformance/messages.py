"""HTTP requests made from steps of the plan: body, SOAP envelope with WS-Addressing, MTOM framing.

Source: ITI TF-2 Appendix V.3 (SOAP 1.2, WS-Addressing, MTOM), 3.18.4.1.2, 3.41.4.1.2, 3.42.4.1.2, 3.43.4.1.2.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final

from lxml import etree

from conformance import mime
from conformance import vocabulary as v
from conformance.exchange import Request
from conformance.plan import Addressing, Framing, Step
from conformance.scope import Scope
from conformance.submission import SentDocument, build_submission

_BOUNDARY: Final = "conformance-5f2c9e61b7d04a38"


def build_request(step: Step, scope: Scope, now: str) -> Request:
    """The request of a step. Defines variables of what it submits. Raises Undefined and PlanError."""
    scope.define(f"{step.name}.sent", now)
    message_id = scope.ids.uuid(f"message {step.name}")
    documents: tuple[SentDocument, ...] = ()
    if step.send in ("ITI-41", "ITI-42"):
        submission = build_submission(step, scope, now)
        body, documents = submission.request, submission.documents if step.send == "ITI-41" else ()
    else:
        body = _query(step, scope) if step.send == "ITI-18" else _retrieve(step, scope)
    url = scope.target.url(step.send)
    parts: list[mime.OutgoingPart] = []
    if step.send == "ITI-41":
        body = _provide(body, documents, step.framing, parts)
    envelope = _envelope(body, step.send, step.addressing, message_id, url)
    if step.send in v.MTOM and not step.framing.simple:
        content_type, data = _package(envelope, parts, step.framing)
    else:
        content_type, data = f"{mime.SOAP_TYPE}; charset=UTF-8", envelope
    return Request(step.send, url, (("Content-Type", content_type),), data, message_id)


def _envelope(body: etree._Element, transaction: str, edits: Addressing, message_id: str, url: str) -> bytes:
    soap = v.SOAP11 if edits.soap == "1.1" else v.SOAP12
    envelope = etree.Element(f"{{{soap}}}Envelope", nsmap={"soap": soap, "wsa": v.WSA})
    header = etree.SubElement(envelope, f"{{{soap}}}Header")
    understood = {f"{{{soap}}}mustUnderstand": "1" if edits.soap == "1.1" else "true"}
    if "Action" not in edits.omit:
        action = etree.SubElement(header, f"{{{v.WSA}}}Action", understood)
        action.text = edits.action or v.ACTIONS[transaction]
    if "MessageID" not in edits.omit:
        etree.SubElement(header, f"{{{v.WSA}}}MessageID").text = message_id
    if "ReplyTo" not in edits.omit:
        reply = etree.SubElement(header, f"{{{v.WSA}}}ReplyTo")
        etree.SubElement(reply, f"{{{v.WSA}}}Address").text = v.ANONYMOUS
    if "To" not in edits.omit:
        etree.SubElement(header, f"{{{v.WSA}}}To").text = url
    if edits.must_understand:
        etree.SubElement(header, "{urn:conformance:unknown}Demand", understood, nsmap={"t": "urn:conformance:unknown"})
    etree.SubElement(envelope, f"{{{soap}}}Body").append(body)
    return etree.tostring(envelope, encoding="UTF-8", xml_declaration=True)


def _provide(
    submission: etree._Element, documents: Sequence[SentDocument], framing: Framing, parts: list[mime.OutgoingPart]
) -> etree._Element:
    request = etree.Element(f"{{{v.XDS}}}ProvideAndRegisterDocumentSetRequest", nsmap={"xds": v.XDS})
    request.append(submission)
    for number, document in enumerate(documents, start=1):
        element = etree.SubElement(request, f"{{{v.XDS}}}Document", id=document.id)
        if framing.simple or framing.inline:
            element.text = base64.b64encode(document.data).decode("ascii")
            continue
        content_id = framing.content_id.replace("{n}", str(number))
        href = mime.cid(content_id, percent_encoded=framing.percent_encoded)
        etree.SubElement(element, f"{{{v.XOP}}}Include", href=href, nsmap={"xop": v.XOP})
        parts.append(mime.OutgoingPart(content_id, "application/octet-stream", document.data))
    return request


def _package(envelope: bytes, parts: Sequence[mime.OutgoingPart], framing: Framing) -> tuple[str, bytes]:
    root_type = f'{mime.XOP_TYPE}; charset=UTF-8; type="{mime.SOAP_TYPE}"'
    return mime.write_package(
        mime.OutgoingPart("root@conformance.test", root_type, envelope),
        parts,
        framing.boundary or _BOUNDARY,
        quoted=framing.quoted,
        start=framing.start,
        root_last=framing.root_last,
        preamble=framing.preamble,
        epilogue=framing.epilogue,
        transfer_encoding=framing.transfer_encoding,
    )


def _query(step: Step, scope: Scope) -> etree._Element:
    request = etree.Element(f"{{{v.QUERY}}}AdhocQueryRequest", nsmap={"query": v.QUERY, "rim": v.RIM})
    etree.SubElement(request, f"{{{v.QUERY}}}ResponseOption", returnType=step.return_type, returnComposedObjects="true")
    query_id = v.QUERIES.get(step.query) or scope.text(step.query)
    query = etree.SubElement(request, f"{{{v.RIM}}}AdhocQuery", id=query_id)
    for name, value in step.parameters.items():
        for values in _slots(scope.resolve(value)):
            slot = etree.SubElement(query, f"{{{v.RIM}}}Slot", name=f"${name}")
            holder = etree.SubElement(slot, f"{{{v.RIM}}}ValueList")
            for text in values:
                etree.SubElement(holder, f"{{{v.RIM}}}Value").text = text
    return request


def _slots(value: Any) -> list[list[str]]:
    """The slots of a parameter, each a list of rim:Value texts.

    A string is one quoted value, a number is bare, a list of strings is one list per rim:Value (256 characters at most), a
    list of lists repeats the slot (AND). Source: ITI TF-2 3.18.4.1.2.3.5.
    """
    if isinstance(value, str):
        return [[_quoted(value)]]
    if not isinstance(value, list):
        return [[str(value)]]
    if value and all(isinstance(item, list) for item in value):
        return [_lists(item) for item in value]
    return [_lists(value)]


def _lists(values: list[str]) -> list[str]:
    texts: list[str] = []
    for value in values:
        quoted = _quoted(value)
        if texts and len(texts[-1]) + len(quoted) + 1 <= 250:
            texts[-1] = f"{texts[-1][:-1]},{quoted})"
        else:
            texts.append(f"({quoted})")
    return texts


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _retrieve(step: Step, scope: Scope) -> etree._Element:
    request = etree.Element(f"{{{v.XDS}}}RetrieveDocumentSetRequest", nsmap={"xds": v.XDS})
    for line in step.retrieve:
        item = etree.SubElement(request, f"{{{v.XDS}}}DocumentRequest")
        etree.SubElement(item, f"{{{v.XDS}}}RepositoryUniqueId").text = scope.text(line.repository)
        etree.SubElement(item, f"{{{v.XDS}}}DocumentUniqueId").text = scope.text(line.unique_id)
    return request

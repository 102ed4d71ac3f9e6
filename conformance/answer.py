"""Reading an answer, whatever it is: what could be read is kept, what is wrong with its form becomes findings.

Reading never raises: a tester that stops at the first oddity hides the rest from the person who has to mend them.
Source: SOAP 1.2 part 1; WS-Addressing 1.0; ITI TF-2 Appendix V.3; ITI TF-3 4.2.4.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from conformance import ebrim, mime
from conformance import vocabulary as v
from conformance.exchange import HttpResponse
from conformance.findings import Finding, Level, shown
from xmlsafe.errors import XmlError
from xmlsafe.parse import Limits, parse

_ANSWER: Final = Limits(max_bytes=512_000_000, depth=128, elements=5_000_000, namespaces=1000, huge=True)
MIME_CLAUSE: Final = "ITI TF-2 Appendix V.3.6; RFC 2387; XOP"
SOAP_CLAUSE: Final = "SOAP 1.2 part 1, 5; ITI TF-2 Appendix V.3"


@dataclass(frozen=True, slots=True)
class Fault:
    """A SOAP fault: `code` and `subcodes` as `{namespace}local`, `reason` its text."""

    code: str
    subcodes: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class RegistryError:
    """One error of a RegistryErrorList, its attributes verbatim (empty when absent)."""

    code: str
    context: str
    severity: str
    location: str


@dataclass(frozen=True, slots=True)
class RetrievedDocument:
    """A DocumentResponse; `data` is None when its content could not be read, `included` when it came as a part."""

    repository: str
    unique_id: str
    mime_type: str
    data: bytes | None
    included: bool


@dataclass(frozen=True, slots=True)
class Result:
    """The ebRS part: status URI verbatim, the errors, highestSeverity, and whether an empty error list was sent."""

    status: str
    errors: tuple[RegistryError, ...]
    highest_severity: str
    empty_list: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything read from one answer. Absent things are None or empty."""

    http: HttpResponse
    media_type: mime.MediaType
    package: mime.Package | None = None
    soap: str = ""
    actions: tuple[str, ...] = ()
    relates_to: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    fault: Fault | None = None
    result: Result | None = None
    objects: tuple[ebrim.RegistryObject, ...] = ()
    documents: tuple[RetrievedDocument, ...] = ()
    body: etree._Element | None = None
    problems: tuple[Finding, ...] = ()

    def of_kind(self, kind: str) -> tuple[ebrim.RegistryObject, ...]:
        """The objects of one kind (document, folder, set, association, reference)."""
        return tuple(item for item in self.objects if item.kind == kind)

    def by_unique_id(self, unique_id: str) -> tuple[ebrim.RegistryObject, ...]:
        """The objects that carry a uniqueId."""
        return tuple(item for item in self.objects if item.value("uniqueId") == unique_id)


@dataclass(slots=True)
class _Reading:
    problems: list[Finding] = field(default_factory=list)
    included: set[str] = field(default_factory=set)

    def wrong(self, check: str, clause: str, expected: str, found: str, level: Level = Level.MUST) -> None:
        self.problems.append(Finding(check, clause, expected, found, level))


def read_answer(response: HttpResponse) -> Answer:
    """Read an answer; never raises."""
    reading = _Reading()
    media_type = mime.read_media_type(response.header("Content-Type") or "")
    package = _package(response, media_type, reading)
    envelope = _envelope(response, media_type, package, reading)
    if envelope is None:
        return Answer(response, media_type, package, problems=tuple(reading.problems))
    soap = str(etree.QName(envelope).namespace)
    header, body = envelope.find(f"{{{soap}}}Header"), envelope.find(f"{{{soap}}}Body")
    if body is None:
        reading.wrong("soap.body", SOAP_CLAUSE, "one Body in the envelope", "none")
    children = [] if body is None else [child for child in body if isinstance(child.tag, str)]
    main = _main_child(children, reading)
    fault, result = _fault(main, soap), _result(main)
    documents = _documents(main, package, reading)
    _unused_parts(package, reading)
    return Answer(
        http=response,
        media_type=media_type,
        package=package,
        soap={v.SOAP12: "1.2", v.SOAP11: "1.1"}.get(soap, soap),
        actions=_header(header, "Action"),
        relates_to=_header(header, "RelatesTo"),
        children=tuple(str(child.tag) for child in children),
        fault=fault,
        result=result,
        objects=_objects(main),
        documents=documents,
        body=main,
        problems=tuple(reading.problems),
    )


def _package(response: HttpResponse, media_type: mime.MediaType, reading: _Reading) -> mime.Package | None:
    encoding = response.header("Content-Encoding")
    if encoding and encoding.lower() != "identity":
        expected = "no Content-Encoding, because the request did not ask for one"
        reading.wrong("http.coding", "RFC 9110 12.5.3", expected, shown(encoding))
    if media_type.rest:
        reading.wrong("http.media-type", "RFC 9110 8.3.1", "parameters of the form name=value", shown(media_type.rest))
    if not media_type.name.startswith("multipart/"):
        return None
    try:
        package = mime.read_package(media_type, response.body)
    except mime.Unreadable as error:
        reading.wrong("mime.package", MIME_CLAUSE, "a package whose root part can be told apart", str(error))
        return None
    for problem in package.problems:
        reading.wrong("mime.framing", MIME_CLAUSE, "a well-framed package", problem)
    return package


def _envelope(
    response: HttpResponse, media_type: mime.MediaType, package: mime.Package | None, reading: _Reading
) -> etree._Element | None:
    if package is None and media_type.name.startswith("multipart/"):
        return None
    data = response.body if package is None else package.root.data
    declared = media_type if package is None else package.root.media_type
    if not data.strip():
        reading.wrong("soap.envelope", SOAP_CLAUSE, "a SOAP envelope", f"an empty body with HTTP status {response.status}")
        return None
    try:
        root = parse(data, _ANSWER, declared.parameters.get("charset"))
    except XmlError as error:
        reading.wrong("soap.envelope", SOAP_CLAUSE, "a SOAP envelope", f"{error.detail}; it begins {shown(data[:80])}")
        return None
    if etree.QName(root).localname != "Envelope":
        reading.wrong("soap.envelope", SOAP_CLAUSE, "a SOAP envelope", f"the root element {root.tag}")
        return None
    return root


def _main_child(children: Sequence[etree._Element], reading: _Reading) -> etree._Element | None:
    if len(children) == 1:
        return children[0]
    names = ", ".join(str(child.tag) for child in children) or "none"
    reading.wrong("soap.one-child", SOAP_CLAUSE, "exactly one element in the SOAP Body", names)
    known = {*v.ROOTS.values(), f"{{{v.SOAP12}}}Fault", f"{{{v.SOAP11}}}Fault"}
    return next((child for child in children if child.tag in known), next(iter(children), None))


def _header(header: etree._Element | None, name: str) -> tuple[str, ...]:
    if header is None:
        return ()
    return tuple(element.text or "" for element in header.iterfind(f"{{{v.WSA}}}{name}"))


def _text(element: etree._Element | None) -> str:
    return "" if element is None else "".join(str(text) for text in element.itertext()).strip()


def _qualified(element: etree._Element | None) -> str:
    if element is None:
        return ""
    prefix, separator, local = (element.text or "").strip().rpartition(":")
    namespace = element.nsmap.get(prefix if separator else None)
    return f"{{{namespace}}}{local}" if namespace else local


def _fault(main: etree._Element | None, soap: str) -> Fault | None:
    if main is None or etree.QName(main).localname != "Fault":
        return None
    if soap == v.SOAP11:
        return Fault(_qualified(main.find("faultcode")), (), _text(main.find("faultstring")))
    code = main.find(f"{{{soap}}}Code")
    subcodes: list[str] = []
    inner = None if code is None else code.find(f"{{{soap}}}Subcode")
    while inner is not None:
        subcodes.append(_qualified(inner.find(f"{{{soap}}}Value")))
        inner = inner.find(f"{{{soap}}}Subcode")
    value = "" if code is None else _qualified(code.find(f"{{{soap}}}Value"))
    return Fault(value, tuple(subcodes), _text(main.find(f"{{{soap}}}Reason")))


def _result(main: etree._Element | None) -> Result | None:
    if main is None:
        return None
    holder = main.find(f"{{{v.RS}}}RegistryResponse") if main.tag == v.ROOTS["ITI-43"] else main
    if holder is None or holder.tag not in (v.ROOTS["ITI-42"], v.ROOTS["ITI-18"]):
        return None
    error_list = holder.find(f"{{{v.RS}}}RegistryErrorList")
    elements = [] if error_list is None else error_list.findall(f"{{{v.RS}}}RegistryError")
    errors = tuple(
        RegistryError(
            str(element.get("errorCode") or ""),
            str(element.get("codeContext") or ""),
            str(element.get("severity") or v.ERROR),
            str(element.get("location") or ""),
        )
        for element in elements
    )
    highest = "" if error_list is None else str(error_list.get("highestSeverity") or "")
    return Result(str(holder.get("status") or ""), errors, highest, error_list is not None and not errors)


def _objects(main: etree._Element | None) -> tuple[ebrim.RegistryObject, ...]:
    holder = None if main is None else main.find(ebrim.rim("RegistryObjectList"))
    return () if holder is None else ebrim.read_objects(holder)


def _documents(
    main: etree._Element | None, package: mime.Package | None, reading: _Reading
) -> tuple[RetrievedDocument, ...]:
    if main is None:
        return ()
    found = []
    for element in main.iterfind(f"{{{v.XDS}}}DocumentResponse"):
        unique_id = _text(element.find(f"{{{v.XDS}}}DocumentUniqueId"))
        content = element.find(f"{{{v.XDS}}}Document")
        data, included = _content(content, unique_id, package, reading)
        repository = _text(element.find(f"{{{v.XDS}}}RepositoryUniqueId"))
        found.append(RetrievedDocument(repository, unique_id, _text(element.find(f"{{{v.XDS}}}mimeType")), data, included))
    return tuple(found)


def _content(
    element: etree._Element | None, unique_id: str, package: mime.Package | None, reading: _Reading
) -> tuple[bytes | None, bool]:
    what = f"document {unique_id}"
    if element is None:
        reading.wrong("retrieve.document", "ITI TF-2 3.43.4.2.2", f"an element Document for {what}", "none")
        return None, False
    include = element.find(f"{{{v.XOP}}}Include")
    if include is not None:
        href = str(include.get("href") or "")
        part = None if package is None else package.part(href)
        if part is None:
            reading.wrong("mime.cid", MIME_CLAUSE, f"a part for {href!r} ({what})", "none of that Content-ID")
            return None, True
        reading.included.add(part.content_id)
        return part.data, True
    try:
        return base64.b64decode("".join(_text(element).split()), validate=True), False
    except (binascii.Error, ValueError) as error:
        reading.wrong("retrieve.document", "ITI TF-2 3.43.4.2.2", f"base64 or xop:Include for {what}", str(error))
        return None, False


def _unused_parts(package: mime.Package | None, reading: _Reading) -> None:
    for part in package.others if package else ():
        if part.content_id not in reading.included:
            found = f"the part {part.content_id!r} of {len(part.data)} bytes, which nothing includes"
            reading.wrong("mime.orphan", MIME_CLAUSE, "only parts that the message includes", found)

"""XML Schema validation: a verdict from libxml2 on the hot path, a report in words from xmlschema when it fails.

libxml2 logs every error with a path, at a price that grows with the square of the siblings: 250 kB of faulty elements cost
half a second. Elements with many nodes are therefore validated while they are parsed once more, piece by piece, and the
first faulty piece ends it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, Literal, NamedTuple, cast
from xml.sax.saxutils import quoteattr

import xmlschema
from lxml import etree

from xmlsafe.namespaces import RIM, XDS, XOP, XSD
from xmlsafe.schema_report import Locator, SchemaFinding, from_libxml2, from_xmlschema, last_named, node_at

_logger = logging.getLogger(__name__)

_INCLUDE: Final = f"{{{XOP}}}Include"
_DOCUMENTS: Final = {
    f"{{{XDS}}}ProvideAndRegisterDocumentSetRequest": f"{{{XDS}}}Document",
    f"{{{XDS}}}RetrieveDocumentSetResponse": f"{{{XDS}}}DocumentResponse/{{{XDS}}}Document",
}
_OBJECTS: Final = f"{{{RIM}}}RegistryObjectList"

_LARGE: Final = 2000
"""Elements and attributes beyond which an element is validated piece by piece."""
_FEW: Final = 30
"""Elements of a message (which have at most 64 attributes each) so few that nothing has to be counted."""
_DETAILED: Final = 400
"""Elements and attributes that one report gives to xmlschema (about 10 ms)."""
_PIECE: Final = 512
_OBJECTS_REPORTED: Final = 200


class SchemaError(ValueError):
    """Schema files that cannot be used; the text names the file or the fault in it."""


class _Compiled(threading.local):
    """What belongs to one thread: a compiled schema keeps the log of its last validation, an expression its context."""

    def __init__(self, driver: bytes) -> None:
        try:
            self.schema = etree.XMLSchema(etree.fromstring(driver))
        except (etree.XMLSchemaParseError, etree.XMLSyntaxError) as error:
            raise SchemaError(f"the schema files do not compile: {error}") from None
        self._nodes = etree.XPath("count(descendant-or-self::*) + count(descendant-or-self::*/@*)")

    def size(self, element: etree._Element) -> int:
        """Elements and attributes of `element`."""
        return int(cast("float", self._nodes(element)))


class _Fault(NamedTuple):
    """An entry of libxml2's log and the element it concerns, or the nearest one that is known."""

    node: etree._Element
    entry: etree._LogEntry


class Schema:
    """A set of XSD files as one validator. Safe to share between threads.

    `files` are trusted paths. Compiling takes about 2 ms a thread; the first report takes some 200 ms more unless `prepare`
    was called. Instances never decide which schema is used: xsi:schemaLocation is not followed.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._driver = _driver(files)
        self._compiled = _Compiled(self._driver)
        self._detailed: xmlschema.XMLSchema10 | None = None
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Build the reporting validator now, for instance before worker processes are forked."""
        with self._lock:
            self._report_schema()

    def is_valid(self, element: etree._Element) -> bool:
        """Whether the document with `element` as its root is valid. An xop:Include as the content of a Document is."""
        compiled = self._compiled
        with _included_content_aside(element):
            few = sum(1 for _ in islice(element.iter(), _FEW + 1)) <= _FEW
            if few or compiled.size(element) <= _LARGE:
                return compiled.schema.validate(element)
            return not any(len(parser.feed_error_log) for parser in _feed(_bytes(element), compiled, events=()))

    def findings(self, element: etree._Element, limit: int = 20) -> tuple[SchemaFinding, ...]:
        """At most `limit` things that make `element` invalid; empty when it is valid.

        The registry objects of a large message are looked at from the first faulty one on, at most 200 of them.
        """
        with _included_content_aside(element):
            faults = self._faults(element, limit)
            if not faults:
                return ()
            where = Locator(element)
            found = self._detailed_findings(element, faults, where, limit)
            for fault in faults:
                finding = from_libxml2(fault.entry, fault.node, where)
                if not any(finding.repeats(known) for known in found):
                    found.append(finding)
            return tuple(found[:limit])

    def _faults(self, element: etree._Element, limit: int) -> list[_Fault]:
        """What libxml2 has to say, at most `limit` entries."""
        compiled = self._compiled
        if compiled.size(element) <= _LARGE:
            return self._tree_faults(element, compiled, limit)
        begun, piece = self._first_faulty_piece(element, compiled)
        faults: list[_Fault] = []
        around = next((one for node in begun if (one := _object_around(node, element)) is not None), None)
        if around is not None:
            for one in islice(_from(around), _OBJECTS_REPORTED):
                small = compiled.size(one) <= _LARGE
                faults += self._tree_faults(one, compiled, limit) if small else self._first_faulty_piece(one, compiled)[1]
                if len(faults) >= limit:
                    break
        return (faults or piece)[:limit]

    def _tree_faults(self, element: etree._Element, compiled: _Compiled, limit: int) -> list[_Fault]:
        if compiled.schema.validate(element):
            return []
        log = cast("Iterable[etree._LogEntry]", compiled.schema.error_log)
        return [_Fault(node_at(element, entry.path or ""), entry) for entry in islice(log, limit)]

    def _first_faulty_piece(self, element: etree._Element, compiled: _Compiled) -> tuple[list[etree._Element], list[_Fault]]:
        """The elements that the first faulty piece begins or goes on with, and its faults; both empty if all are sound."""
        begun = 0
        for parser in _feed(_bytes(element), compiled, events=("start",)):
            log = parser.feed_error_log
            before, begun = begun, begun + sum(1 for _ in parser.read_events())
            if len(log):
                nodes = list(islice(element.iter(etree.Element), begun))
                faults = [_Fault(last_named(nodes, entry), entry) for entry in cast("Iterable[etree._LogEntry]", log)]
                return nodes[max(before - 1, 0) :], faults
        return [], []

    def _detailed_findings(
        self, element: etree._Element, faults: Sequence[_Fault], where: Locator, limit: int
    ) -> list[SchemaFinding]:
        found: list[SchemaFinding] = []
        with self._lock:
            schema = self._report_schema()
            for part in self._parts(element, faults):
                try:
                    errors = schema.iter_errors(part, use_location_hints=False)
                    found += [from_xmlschema(error, part, where) for error in islice(errors, limit)]
                except Exception:
                    # xmlschema raises on some contents, such as an xsi:type of another namespace: libxml2's words remain.
                    _logger.info("xmlschema gave no report")
        return found

    def _parts(self, element: etree._Element, faults: Sequence[_Fault]) -> Iterator[etree._Element]:
        """What the slow validator is to look at: all of a small element, else the registry objects that hold a fault."""
        compiled = self._compiled
        budget = _DETAILED
        if compiled.size(element) <= budget:
            yield element
            return
        around = (_object_around(fault.node, element) for fault in faults)
        for part in dict.fromkeys(one for one in around if one is not None):
            size = compiled.size(part)
            if size <= budget:
                budget -= size
                yield part

    def _report_schema(self) -> xmlschema.XMLSchema10:
        if self._detailed is None:
            self._detailed = xmlschema.XMLSchema10(self._driver.decode(), allow="local", use_location_hints=False)
        return self._detailed


def _bytes(element: etree._Element) -> bytes:
    return etree.tostring(element, with_tail=False)


def _feed(data: bytes, compiled: _Compiled, events: Sequence[Literal["start"]]) -> Iterator[etree.XMLPullParser]:
    """The parser that validates `data`, after each piece that it has taken."""
    parser = etree.XMLPullParser(events=events, schema=compiled.schema, huge_tree=True, collect_ids=False)
    for start in range(0, len(data), _PIECE):
        parser.feed(data[start : start + _PIECE])
        yield parser


def _driver(files: Sequence[Path]) -> bytes:
    """A schema without namespace that imports each of `files`, or includes those that have none either."""
    imports = []
    for path in files:
        try:
            root = etree.parse(str(path), etree.XMLParser(resolve_entities=False)).getroot()
        except (OSError, etree.XMLSyntaxError) as error:
            raise SchemaError(f"{path} is not a readable schema file: {error}") from None
        namespace, location = root.get("targetNamespace"), path.resolve().as_uri()
        kind = "xs:include" if namespace is None else f"xs:import namespace={quoteattr(namespace)}"
        imports.append(f"<{kind} schemaLocation={quoteattr(location)}/>")
    return f'<xs:schema xmlns:xs="{XSD}">{"".join(imports)}</xs:schema>'.encode()


@contextmanager
def _included_content_aside(element: etree._Element) -> Iterator[None]:
    """Documents without their xop:Include for as long as the block runs: schemas know base64 text only."""
    path = _DOCUMENTS.get(element.tag)
    aside = []
    if path is not None:
        for document in element.iterfind(path):
            include = _sole_include(document)
            if include is not None:
                document.remove(include)
                aside.append((document, include))
    try:
        yield
    finally:
        for document, include in aside:
            document.append(include)


def _sole_include(document: etree._Element) -> etree._Element | None:
    """The xop:Include that is the whole content of `document`, if that is so."""
    if len(document) != 1 or document[0].tag != _INCLUDE:
        return None
    text = (document.text or "") + (document[0].tail or "")
    return None if text.strip() else document[0]


def _object_around(node: etree._Element, root: etree._Element) -> etree._Element | None:
    """The registry object, directly in a list, that `node` is or lies in."""
    while node is not root:
        parent = node.getparent()
        if parent is None:
            return None
        if parent.tag == _OBJECTS:
            return node
        node = parent
    return None


def _from(node: etree._Element) -> Iterator[etree._Element]:
    """`node` and the elements that follow it under the same parent."""
    yield node
    yield from node.itersiblings(etree.Element)

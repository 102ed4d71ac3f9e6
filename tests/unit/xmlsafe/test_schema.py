"""Verdicts and reports on faulty messages; each test breaks one thing of a valid sample."""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lxml import etree

from schemas.paths import ENVELOPE, MESSAGES, schema_files
from tests.unit.schemas.mutants import mutants
from tests.unit.schemas.samples import samples
from xmlsafe import parse
from xmlsafe.namespaces import LCM, RIM, SOAP12, XDS, XOP, customary_name
from xmlsafe.schema import Schema, SchemaError
from xmlsafe.schema_report import SchemaFinding

LIST = f"{{{RIM}}}RegistryObjectList"
ENTRY = "/lcm:SubmitObjectsRequest/rim:RegistryObjectList/rim:ExtrinsicObject"


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema(schema_files(MESSAGES))


def submission() -> etree._Element:
    return copy.deepcopy(samples("shared")["submit"])


def entry_of(message: etree._Element) -> etree._Element:
    found = message.find(f".//{{{RIM}}}ExtrinsicObject")
    assert found is not None
    return found


def many_references(count: int, attributes: str = 'id="a"') -> etree._Element:
    references = f"<r:ObjectRef {attributes}/>" * count
    return parse(f'<l:SubmitObjectsRequest xmlns:l="{LCM}" xmlns:r="{RIM}"><r:RegistryObjectList>{references}'.encode()
                 + b"</r:RegistryObjectList></l:SubmitObjectsRequest>")  # fmt: skip


def without_id(entry: etree._Element) -> None:
    del entry.attrib["id"]


def with_unknown_attribute(entry: etree._Element) -> None:
    entry.set("invented", "1")


def with_long_attribute(entry: etree._Element) -> None:
    entry.set("mimeType", "x" * 257)


def with_bad_boolean(entry: etree._Element) -> None:
    entry.set("isOpaque", "maybe")


def with_bad_reference(entry: etree._Element) -> None:
    entry.set("status", "http://[")


def with_text(entry: etree._Element) -> None:
    entry.text = "text"


def with_unknown_child(entry: etree._Element) -> None:
    etree.SubElement(entry, f"{{{RIM}}}Invented")


def with_child_out_of_order(entry: etree._Element) -> None:
    entry.append(entry[0])


FAULTS: list[tuple[Callable[[etree._Element], None], str, str]] = [
    (without_id, "attribute id is missing", "this attribute is required"),
    (
        with_unknown_attribute,
        "attribute invented is not allowed",
        "one of id, home, lid, status, objectType, mimeType, isOpaque",
    ),
    (with_long_attribute, "attribute mimeType has 257 characters", "at most 256 characters"),
    (with_bad_boolean, 'attribute isOpaque is "maybe"', "a value of type xs:boolean"),
    (with_bad_reference, "attribute status", "a value"),
    (with_text, "text stands between the elements of rim:ExtrinsicObject", "elements only"),
    (with_unknown_child, "rim:Invented is not allowed", ""),
    (with_child_out_of_order, "rim:Slot is not allowed", ""),
]


@pytest.mark.parametrize(("fault", "reason", "expected"), FAULTS, ids=lambda value: getattr(value, "__name__", None))
def test_a_fault_is_located_and_worded(
    schema: Schema, fault: Callable[[etree._Element], None], reason: str, expected: str
) -> None:
    message = submission()
    fault(entry_of(message))
    assert not schema.is_valid(message)
    (finding,) = schema.findings(message)
    assert finding.path.startswith(ENTRY)
    assert finding.reason.startswith(reason)
    assert expected in finding.expected
    assert finding.line > 0


@pytest.mark.parametrize(("fault", "reason", "expected"), FAULTS, ids=lambda value: getattr(value, "__name__", None))
def test_a_fault_in_a_large_message_too(
    schema: Schema, fault: Callable[[etree._Element], None], reason: str, expected: str
) -> None:
    message = submission()
    objects = message.find(LIST)
    assert objects is not None
    for _ in range(40):
        objects.append(copy.deepcopy(entry_of(message)))
    assert schema.is_valid(message)
    fault(objects[-7])
    assert not schema.is_valid(message)
    found = schema.findings(message)
    assert {finding.path.removesuffix("/rim:Invented") for finding in found} == {f"{ENTRY}[35]"}
    assert found[0].reason.startswith(reason)


def test_all_faults_are_reported_at_once(schema: Schema) -> None:
    message = submission()
    for fault, _, _ in FAULTS[:6]:
        fault(entry_of(message))
    reasons = [finding.reason for finding in schema.findings(message)]
    assert len(reasons) == 6
    assert len(schema.findings(message, limit=2)) == 2


def test_positions_count_siblings_of_one_name(schema: Schema) -> None:
    message = submission()
    objects = message.find(LIST)
    assert objects is not None
    second = copy.deepcopy(entry_of(message))
    objects.append(second)
    value = second.find(f".//{{{RIM}}}Value")
    assert value is not None
    value.text = "y" * 300
    (finding,) = schema.findings(message)
    assert finding.path == f"{ENTRY}[2]/rim:Slot/rim:ValueList/rim:Value[1]"
    assert finding.reason == "the text of rim:Value has 300 characters"


def test_a_value_is_quoted_in_part() -> None:
    schema = Schema(schema_files(MESSAGES))
    message = submission()
    entry_of(message).set("isOpaque", "n" * 100)
    (finding,) = schema.findings(message)
    assert finding.reason == f'attribute isOpaque is "{"n" * 40}…" (100 characters)'


def test_incomplete_and_misplaced_content(schema: Schema) -> None:
    incomplete = parse(f'<r:Slot xmlns:r="{RIM}" name="n"/>'.encode())
    assert [str(f) for f in schema.findings(incomplete)] == ["/rim:Slot: rim:Slot ends too early, expected: rim:ValueList"]
    undeclared = parse(b'<o:x xmlns:o="urn:other"/>')
    assert [f.reason for f in schema.findings(undeclared)] == ["x is not declared"]


def test_an_enumeration_lists_its_values(schema: Schema) -> None:
    message = samples("shared")["query"]
    message[0].set("returnType", "Leaf")
    (finding,) = schema.findings(message)
    assert finding.reason == 'attribute returnType is "Leaf"'
    assert finding.expected == "one of LeafClass, ObjectRef, LeafClassWithRepositoryItem, RegistryObject"


def test_included_documents(schema: Schema) -> None:
    for name in ("provide", "retrieve_response"):
        message = samples("shared")[name]
        document = next(message.iter(f"{{{XDS}}}Document"))
        document.text = "\n"
        include = etree.SubElement(document, f"{{{XOP}}}Include", href="cid:1")
        before = etree.tostring(message)
        assert schema.is_valid(message)
        assert schema.findings(message) == ()
        assert etree.tostring(message) == before
        assert document[0] is include
        document.text = "QUJD"
        assert not schema.is_valid(message)
        document.text, include.tail = None, "QUJD"
        assert not schema.is_valid(message)
        include.tail = None
        etree.SubElement(document, f"{{{XOP}}}Include", href="cid:2")
        assert not schema.is_valid(message)
        assert schema.findings(message)


def test_an_include_elsewhere_is_a_fault(schema: Schema) -> None:
    message = submission()
    etree.SubElement(entry_of(message), f"{{{XOP}}}Include", href="cid:1")
    assert not schema.is_valid(message)


def test_prefixes_declared_outside_the_body(schema: Schema) -> None:
    """An xsi:type may use a prefix of the envelope, and the body is validated alone."""
    envelope = parse(
        f'<e:Envelope xmlns:e="{SOAP12}" xmlns:r="{RIM}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><e:Body>'
        '<r:RegistryObjectList><r:Identifiable i:type="r:ExtrinsicObjectType" id="a" mimeType="text/xml"/>'
        "</r:RegistryObjectList></e:Body></e:Envelope>".encode()
    )
    assert schema.is_valid(envelope[0][0])
    envelope[0][0][0].set("{http://www.w3.org/2001/XMLSchema-instance}type", "r:ObjectRefType")
    assert not schema.is_valid(envelope[0][0])


@pytest.mark.parametrize("attributes", ["", 'id="http://["', 'id="a" x="1"', 'id="a" createReplica="x"'])
def test_thousands_of_faults_end_at_the_first(schema: Schema, attributes: str) -> None:
    message = many_references(5000, attributes)
    assert not schema.is_valid(message)
    found = schema.findings(message)
    assert len(found) == 20
    assert found[0].path.startswith("/lcm:SubmitObjectsRequest/rim:RegistryObjectList/rim:ObjectRef[")


def test_a_late_fault_of_many_elements_is_located(schema: Schema) -> None:
    message = many_references(5000)
    assert schema.is_valid(message)
    assert schema.findings(message) == ()
    del message[0][4321].attrib["id"]
    (finding,) = schema.findings(message)
    assert finding.path == "/lcm:SubmitObjectsRequest/rim:RegistryObjectList/rim:ObjectRef[4322]"


def test_a_fault_outside_any_object_of_a_large_message(schema: Schema) -> None:
    message = many_references(2000)
    etree.SubElement(message, f"{{{RIM}}}RegistryObjectList")
    (finding,) = schema.findings(message)
    assert finding.path == "/lcm:SubmitObjectsRequest/rim:RegistryObjectList[2]"
    assert finding.reason == "rim:RegistryObjectList is not allowed at this place"


def test_both_ways_of_judging_agree(schema: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message is judged whole or piece by piece, by its size alone."""
    messages = list(mutants(list(samples("shared").values()), 300, seed=1))
    whole = [schema.is_valid(message) for message in messages]
    monkeypatch.setattr("xmlsafe.schema._LARGE", 0)
    assert [schema.is_valid(message) for message in messages] == whole
    assert len(set(whole)) == 2


def test_every_invalid_message_has_a_finding(schema: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in (2000, 50):
        monkeypatch.setattr("xmlsafe.schema._LARGE", limit)
        monkeypatch.setattr("xmlsafe.schema._DETAILED", limit // 5)
        for message in mutants(list(samples("others").values()), 200, seed=2):
            findings = schema.findings(message)
            assert bool(findings) != schema.is_valid(message)
            assert all(f.path.startswith("/") and f.reason and f.expected for f in findings)


def test_threads_share_a_schema(schema: Schema) -> None:
    messages = list(mutants(list(samples("shared").values()), 200, seed=3))
    alone = [(schema.is_valid(message), schema.findings(message)) for message in messages]
    copies = [parse(etree.tostring(message)) for message in messages]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda message: (schema.is_valid(message), schema.findings(message)), copies))
    assert together == alone


def test_the_envelope() -> None:
    schema = Schema(schema_files(ENVELOPE))
    fault = (
        "<e:Fault><e:Code><e:Value>{code}</e:Value><e:Subcode><e:Value>e:Any</e:Value></e:Subcode></e:Code><e:Reason>"
        '<e:Text xml:lang="en">t</e:Text></e:Reason><e:Detail><x/></e:Detail></e:Fault>'
    )

    def envelope(body: str, header: str = "<e:Header><x e:mustUnderstand='1' e:role='urn:r'/></e:Header>") -> etree._Element:
        return parse(f'<e:Envelope xmlns:e="{SOAP12}">{header}{body}</e:Envelope>'.encode())

    assert schema.findings(envelope(f"<e:Body>{fault.format(code='e:Sender')}</e:Body>")) == ()
    assert schema.is_valid(envelope("<e:Body/>", header=""))
    assert not schema.is_valid(envelope(f"<e:Body>{fault.format(code='e:Client')}</e:Body>"))
    assert not schema.is_valid(envelope(""))
    assert not schema.is_valid(envelope("<e:Body/><e:Body/>"))
    assert not schema.is_valid(envelope("<e:Body/>", header="<e:Header><x e:mustUnderstand='perhaps'/></e:Header>"))


def test_unusable_files(tmp_path: Path) -> None:
    for content in (
        "<not-xml",
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:element type="none"/></xs:schema>',
    ):
        path = tmp_path / "a.xsd"
        path.write_text(content)
        with pytest.raises(SchemaError):
            Schema([path])
    with pytest.raises(SchemaError, match=r"missing\.xsd"):
        Schema([tmp_path / "missing.xsd"])


def test_files_of_an_operator(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"rim\.xsd"):
        schema_files(MESSAGES, tmp_path)
    for name in ("rim.xsd", "rs.xsd", "lcm.xsd", "query.xsd", "rmd.xsd", "XDS.b_DocumentRepository.xsd"):
        (tmp_path / name).touch()
    assert [path.parent for path in schema_files(MESSAGES, tmp_path)] == [tmp_path] * 6
    assert schema_files(ENVELOPE, tmp_path) == schema_files(ENVELOPE)


def test_names_in_texts() -> None:
    assert customary_name(f"{{{RIM}}}Slot") == "rim:Slot"
    assert customary_name("{urn:other}x") == "x"
    assert customary_name("x") == "x"
    assert str(SchemaFinding("/a", "b", "c", 1)) == "/a: b, expected: c"


def test_an_element_inside_a_value_is_named(schema: Schema) -> None:
    message = submission()
    value = next(message.iter(f"{{{RIM}}}Value"))
    etree.SubElement(value, "{urn:other}x")
    assert [f"{f.path.rpartition('/')[2]} {f.reason}, {f.expected}" for f in schema.findings(message)] == [
        "rim:Value[1] rim:Value holds elements, text only"
    ]

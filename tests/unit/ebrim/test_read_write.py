"""What is written is read back unchanged, and the written bytes are those of ebRIM 3.0, checked against literals."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ebrim import model as rim
from ebrim import read, rs, write
from tests.registry_side import schema
from tests.unit.ebrim import strategies as some
from xmlsafe import parse
from xmlsafe.namespaces import LCM, QUERY, RIM, RS

_READERS = {
    rim.ExtrinsicObject: read.read_extrinsic_object,
    rim.RegistryPackage: read.read_package,
    rim.Association: read.read_association,
}


def _inside(data: bytes) -> bytes:
    return f'<RegistryObjectList xmlns="{RIM}">'.encode() + data + b"</RegistryObjectList>"


@given(some.registry_objects)
def test_read_is_the_inverse_of_write(item: rim.RegistryObject) -> None:
    (element,) = parse(_inside(write.write_object(item)))
    assert _READERS[type(item)](element) == item


@given(some.object_lists)
def test_an_object_list_is_read_back_whole(objects: rim.RegistryObjectList) -> None:
    assert read.read_submit_objects_request(parse(rs.write_submit_objects_request(objects))) == objects


@given(some.registry_objects, some.names, st.booleans())
def test_leaf_with_its_prefix_is_the_whole_element(item: rim.RegistryObject, status: str, spliced: bool) -> None:
    leaf = write.write_leaf(item, spliced_slot=spliced)
    (element,) = parse(_inside(write.leaf_prefix(type(item), status) + leaf.data))
    assert element.get("status") == status
    bare = _READERS[type(item)](element)
    assert (bare.id, bare.slots, bare.classifications) == (item.id, item.slots, item.classifications)


@given(some.packages)
def test_a_slot_spliced_into_a_leaf_comes_first(item: rim.RegistryPackage) -> None:
    leaf = write.write_leaf(item, spliced_slot=True)
    slot = rim.Slot("lastUpdateTime", ("20240229101500",))
    data = leaf.data[: leaf.splice] + write.write_slot(slot).encode() + leaf.data[leaf.splice :]
    (element,) = parse(_inside(write.leaf_prefix(rim.RegistryPackage, "urn:x") + data))
    assert read.read_package(element).slots == (slot, *item.slots)


@given(some.names, some.names, st.lists(some.slots, max_size=4).map(tuple), st.sampled_from(["LeafClass", "ObjectRef"]))
def test_a_query_is_read_back(query_id: str, home: str, slots: tuple[rim.Slot, ...], return_type: str) -> None:
    query = rim.AdhocQuery(query_id, return_type, home, slots)
    assert read.read_adhoc_query_request(parse(rs.write_adhoc_query_request(query))) == query


@given(st.lists(st.builds(rim.RegistryError, some.names, some.texts, some.texts, st.sampled_from(["Error", "Warning"]))))
def test_errors_are_read_back_and_give_the_status(errors: list[rim.RegistryError]) -> None:
    answer = parse(rs.write_registry_response(errors))
    assert schema().is_valid(answer)
    assert list(read.read_registry_errors(answer)) == errors
    failed = any(e.severity == "Error" for e in errors)
    assert read.read_status(answer) == ("Failure" if failed else "Success")
    assert read.read_status(parse(rs.write_registry_response(errors, partial=True))) == (
        "PartialSuccess" if failed else "Success"
    )


def test_an_empty_attribute_reads_as_absent() -> None:
    (element,) = parse(_inside(b'<ExtrinsicObject id="a" lid="" home="" status="" objectType=""/>'))
    item = read.read_extrinsic_object(element)
    assert (item.lid, item.home, item.status, item.object_type) == (None, None, None, None)


def test_foreign_elements_and_comments_between_children_are_passed_over() -> None:
    text = (
        b'<ExtrinsicObject id="a" mimeType="text/plain"><Slot name="s"><ValueList/></Slot><Slot name="empty"/>'
        b'<VersionInfo versionName="3"/></ExtrinsicObject><ObjectRef id="urn:uuid:x"/>'
    )
    objects = read.read_object_list(parse(_inside(text)))
    assert objects.extrinsic_objects[0].slots == (rim.Slot("s", ()), rim.Slot("empty", ()))
    assert objects.extrinsic_objects[0].version == "3"
    assert objects.object_refs == ("urn:uuid:x",)


def test_elements_that_are_not_read_are_named() -> None:
    text = b'<Organization id="o"/><RegistryPackage id="p"><RegistryObjectList><Association id="a"/></RegistryObjectList>'
    objects = read.read_object_list(parse(_inside(text + b"</RegistryPackage><!-- a comment --><ExternalIdentifier/>")))
    assert objects.others == ("Organization", "RegistryObjectList", "ExternalIdentifier")
    assert (len(objects.packages), objects.associations) == (1, ())


def test_a_request_without_objects_reads_as_none() -> None:
    assert read.read_submit_objects_request(parse(f'<SubmitObjectsRequest xmlns="{LCM}"/>'.encode())) == (
        rim.RegistryObjectList()
    )


def test_a_query_without_return_type_is_not_object_ref() -> None:
    text = f'<AdhocQueryRequest xmlns="{QUERY}"><ResponseOption/><r:AdhocQuery xmlns:r="{RIM}" id="q"/></AdhocQueryRequest>'
    assert read.read_adhoc_query_request(parse(text.encode())).return_type == "RegistryObject"


def test_white_space_and_markup_of_values_survive_on_the_wire() -> None:
    assert write.write_slot(rim.Slot('a"b', ("<&>\r\n",))) == (
        '<Slot name="a&quot;b"><ValueList><Value>&lt;&amp;&gt;&#13;\n</Value></ValueList></Slot>'
    )
    assert write.attribute('\t\r\n"') == "&#9;&#13;&#10;&quot;"


def test_literal_document_entry() -> None:
    item = rim.ExtrinsicObject(
        id="urn:uuid:1b1d6f7e-0d6f-4c7a-9f0a-0c7f0a8a0001",
        lid="urn:uuid:1b1d6f7e-0d6f-4c7a-9f0a-0c7f0a8a0001",
        object_type="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1",
        status="urn:oasis:names:tc:ebxml-regrep:StatusType:Approved",
        mime_type="text/xml",
        slots=(rim.Slot("size", ("7",)),),
        name=(rim.LocalizedString("T", "fr-FR"),),
        version="1",
        classifications=(
            rim.Classification(
                "c", "o", "s", node_representation="N", slots=(rim.Slot("codingScheme", ("1.2",)),),
                name=(rim.LocalizedString("n"),),
            ),
        ),
        external_identifiers=(rim.ExternalIdentifier("e", "o", "s", "1.2.3", (rim.LocalizedString("i"),)),),
    )  # fmt: skip
    assert write.write_object(item) == (
        b'<ExtrinsicObject status="urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"'
        b' id="urn:uuid:1b1d6f7e-0d6f-4c7a-9f0a-0c7f0a8a0001" lid="urn:uuid:1b1d6f7e-0d6f-4c7a-9f0a-0c7f0a8a0001"'
        b' mimeType="text/xml" objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1">'
        b'<Slot name="size"><ValueList><Value>7</Value></ValueList></Slot>'
        b'<Name><LocalizedString xml:lang="fr-FR" value="T"/></Name><VersionInfo versionName="1"/>'
        b'<Classification id="c" objectType="urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Classification"'
        b' classificationScheme="s" classifiedObject="o" nodeRepresentation="N">'
        b'<Slot name="codingScheme"><ValueList><Value>1.2</Value></ValueList></Slot>'
        b'<Name><LocalizedString xml:lang="en-US" value="n"/></Name></Classification>'
        b'<ExternalIdentifier id="e"'
        b' objectType="urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:ExternalIdentifier"'
        b' identificationScheme="s" registryObject="o" value="1.2.3">'
        b'<Name><LocalizedString xml:lang="en-US" value="i"/></Name></ExternalIdentifier></ExtrinsicObject>'
    )


def test_literal_package_and_association_and_reference() -> None:
    package = rim.RegistryPackage(id="p", home="urn:oid:1.2")
    assert write.write_object(package) == (
        b'<RegistryPackage id="p" home="urn:oid:1.2"'
        b' objectType="urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:RegistryPackage"></RegistryPackage>'
    )
    link = rim.Association(id="a", association_type="urn:t", source="s", target="t")
    assert write.write_object(link) == (
        b'<Association id="a" objectType="urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Association"'
        b' associationType="urn:t" sourceObject="s" targetObject="t"></Association>'
    )
    assert write.write_object_ref("urn:uuid:1") == b'<ObjectRef id="urn:uuid:1"/>'
    assert write.write_object_ref("urn:uuid:1", "urn:oid:1.2") == b'<ObjectRef id="urn:uuid:1" home="urn:oid:1.2"/>'


def test_literal_answers() -> None:
    assert (
        rs.write_registry_response()
        == (
            f'<rs:RegistryResponse xmlns:rs="{RS}" status="urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success">'
            "</rs:RegistryResponse>"
        ).encode()
    )
    error = rim.RegistryError("XDSRegistryError", 'a "b"', "here")
    assert (
        rs.write_query_failure([error])
        == (
            f'<query:AdhocQueryResponse xmlns:query="{QUERY}"'
            ' status="urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure">'
            f'<rs:RegistryErrorList xmlns:rs="{RS}" '
            'highestSeverity="urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error">'
            '<rs:RegistryError errorCode="XDSRegistryError" codeContext="a &quot;b&quot;"'
            ' severity="urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error" location="here"/></rs:RegistryErrorList>'
            f'<rim:RegistryObjectList xmlns:rim="{RIM}"/></query:AdhocQueryResponse>'
        ).encode()
    )
    assert (
        b"".join(rs.write_query_answer([b"<ObjectRef id='x'/>"]))
        == (
            f'<query:AdhocQueryResponse xmlns:query="{QUERY}"'
            ' status="urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success">'
            f"<RegistryObjectList xmlns=\"{RIM}\"><ObjectRef id='x'/></RegistryObjectList></query:AdhocQueryResponse>"
        ).encode()
    )


def test_partial_success_has_the_prefix_of_ihe() -> None:
    answer = rs.write_registry_response([rim.RegistryError("X", "y")], partial=True)
    assert b'status="urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"' in answer

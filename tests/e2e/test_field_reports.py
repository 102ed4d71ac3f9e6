"""Faults that people met with products of this trade, tried on the running server: one test a report, named after it.

Reports that are tried elsewhere are listed in `tests/completeness`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

import pytest

from conformance.ebrim import RegistryObject
from database import Database
from liasse.settings import DEFAULT_REPOSITORY_ID
from tests import samples
from tests.e2e import wire
from tests.e2e.server import RunningServer
from tests.e2e.wire import BOUNDARY, PDF, REGISTRY, REPOSITORY, ROOT_TYPE, Deposit, Message, Seen, package, part, root_part
from tests.registry_side import Side
from xds_metadata import associations as types
from xds_metadata.codes import load_codes
from xds_metadata.model import Author, Code, DocumentEntry, Submission

METADATA = "Failure XDSRegistryMetadataError"
PROVIDED_METADATA = "Failure XDSRepositoryMetadataError"
APPROVED, DEPRECATED = (f"urn:oasis:names:tc:ebxml-regrep:StatusType:{each}" for each in ("Approved", "Deprecated"))


def check(server: RunningServer, message: Message, verdict: str = "Success") -> Seen:
    seen = wire.send(server, message)
    assert seen.verdict == verdict, seen.text
    return seen


def refused(server: RunningServer, message: Message, verdict: str, *words: str) -> None:
    """Refused with every word in the text, nothing stored."""
    before = wire.stored(server)
    seen = check(server, message, verdict)
    assert [word for word in words if word not in seen.text] == [], seen.text
    assert wire.stored(server) == before


def register(*entries: DocumentEntry) -> Message:
    return wire.register(samples.submission(*entries))


def document(server: RunningServer, unique_id: str) -> RegistryObject:
    """The only entry of a uniqueId."""
    (found,) = documents(server, unique_id)
    return found


def documents(server: RunningServer, *unique_ids: str) -> tuple[RegistryObject, ...]:
    return check(server, wire.query("GetDocuments", ("$XDSDocumentEntryUniqueId", wire.listed(unique_ids)))).answer.of_kind(
        "document"
    )


def bytes_of(server: RunningServer, sent: Deposit) -> list[bytes | None]:
    return [each.data for each in check(server, wire.retrieve(DEFAULT_REPOSITORY_ID, *sent.unique_ids)).answer.documents]


def kept(server: RunningServer, entry: DocumentEntry, attribute: str) -> tuple[str, ...]:
    """What an accepted entry's attribute is when it is found."""
    check(server, register(entry))
    return tuple(document(server, entry.unique_id or "").attributes.get(attribute, ()))


# A: transport and SOAP header


def test_f01_an_empty_soapaction_header_changes_nothing(strict_server: RunningServer) -> None:
    sent = wire.deposit()
    check(strict_server, sent.message())
    plain = wire.retrieve(DEFAULT_REPOSITORY_ID, *sent.unique_ids)
    seen = check(strict_server, Message(plain.path, plain.content_type, plain.body, ('SOAPAction: ""',)))
    assert (seen.answer.soap, seen.answer.documents[0].data) == ("1.2", PDF)


@pytest.mark.parametrize("headers", [(), ("Accept-Encoding: gzip;q=0, identity",), ("Accept-Encoding: gzip, br",)])
def test_f03_nothing_is_compressed(strict_server: RunningServer, headers: Sequence[str]) -> None:
    plain = wire.find_documents(samples.patient("F03"))
    seen = check(strict_server, Message(plain.path, plain.content_type, plain.body, tuple(headers)))
    assert seen.answer.http.header("Content-Encoding") is None


def test_f05_an_update_under_the_action_of_a_registration(strict_server: RunningServer) -> None:
    first = samples.entry()
    check(strict_server, register(first))
    known = document(strict_server, first.unique_id or "")
    update = samples.submission(samples.entry(logical_id=known.id, unique_id=first.unique_id))
    (link,) = [a for a in update.associations if a.type == types.HAS_MEMBER]
    changed = Submission(
        update.submission_sets,
        update.entries,
        (),
        (samples.link(link.type, link.source, link.target, submission_set_status="Original", previous_version="1"),),
    )
    refused(strict_server, wire.register(changed), METADATA, "PreviousVersion")
    assert document(strict_server, first.unique_id or "").value("version") == "1"


def interim(server: RunningServer, message: Message) -> Seen:
    """Send the header, wait for 100 Continue and nothing more, then send the body."""
    data = message.as_bytes()
    head = data.index(b"\r\n\r\n") + 4
    with wire.connect(server) as connection:
        connection.sendall(data[:head])
        expected = b"HTTP/1.1 100 Continue\r\n\r\n"
        received = b""
        while len(received) < len(expected):
            received += connection.recv(1)
        assert received == expected
        connection.sendall(data[head:])
        return wire.receive(connection)


def test_f06_f08_an_expecting_client_gets_one_bare_interim_line(strict_server: RunningServer) -> None:
    plain = wire.deposit(PDF + bytes(2_000_000)).message()
    seen = interim(strict_server, Message(plain.path, plain.content_type, plain.body, ("Expect: 100-continue",)))
    assert seen.verdict == "Success"


def test_f08_an_expecting_client_may_get_its_refusal_at_once(strict_server: RunningServer) -> None:
    with wire.connect(strict_server) as connection:
        connection.sendall(Message(REGISTRY, "application/json", b"", ("Expect: 100-continue",)).as_bytes(length=90))
        assert wire.receive(connection).verdict == "HTTP 415"


def test_f07_soap_1_1_is_answered_the_same_way_each_time(strict_server: RunningServer) -> None:
    old = f'<s:Envelope xmlns:s="{wire.SOAP11}"><s:Body><x/></s:Body></s:Envelope>'.encode()
    answers = [wire.send(strict_server, wire.simple(REGISTRY, old, "text/xml; charset=utf-8")) for _ in range(10)]
    assert {seen.verdict for seen in answers} == {"fault VersionMismatch"}
    assert {(seen.status, seen.answer.soap, seen.answer.media_type.name) for seen in answers} == {(500, "1.1", "text/xml")}
    assert len({re.sub(rb"urn:uuid:[0-9a-f-]{36}", b"", seen.answer.http.body) for seen in answers}) == 1


@pytest.mark.parametrize(
    "message",
    [
        "uuid:3b1f6c1e-52a7-4d1c-9a53-0c6f2f1e77aa",
        "3b1f6c1e-52a7-4d1c-9a53-0c6f2f1e77aa",
        "urn:uuid:3B1F6C1E-52A7-4D1C-9A53-0C6F2F1E77AA",
        "http://h.example/messages/1?a=b&amp;c",
    ],
)
def test_f09_any_message_id_is_related_to_as_received(strict_server: RunningServer, message: str) -> None:
    body = wire.find_documents(samples.patient("F09")).body
    own = re.sub(rb"(<a:MessageID>).*(</a:MessageID>)", rb"\g<1>" + message.encode() + rb"\g<2>", body)
    seen = check(strict_server, wire.simple(REGISTRY, own))
    assert seen.answer.relates_to == (message.replace("&amp;", "&"),)


@pytest.mark.parametrize(
    "content_type",
    [
        'application/soap+xml;charset=UTF8;action="urn:ihe:iti:2007:RegistryStoredQuery"',
        'Application/SOAP+XML; ACTION="urn:ihe:iti:2007:RegistryStoredQuery" ; Charset="utf-8"',
        "application/soap+xml;;charset=utf-8;",
        "application/soap+xml",
    ],
)
def test_f10_the_media_type_is_parsed_and_not_compared(strict_server: RunningServer, content_type: str) -> None:
    check(strict_server, wire.simple(REGISTRY, wire.find_documents(samples.patient("F10")).body, content_type))


def test_f11_a_mixed_header_is_only_a_hint(strict_server: RunningServer) -> None:
    sent = wire.deposit()
    content_type = (
        f'Multipart/Related; boundary={BOUNDARY}; TYPE="application/xop+xml"; start="<root@wire>"; start-info="text/xml"'
    )
    headers = ('SOAPAction: "ProvideAndRegisterDocumentSet"', "Expect: 100-continue")
    seen = interim(strict_server, Message(REPOSITORY, content_type, sent.message().body, headers))
    assert seen.verdict == "Success"


# B: MTOM and XOP


@pytest.mark.parametrize(
    ("href", "content_id"),
    [
        ("cid:7-1@urn:ihe:iti:xds-b:2007", "7-1@urn%3Aihe%3Aiti%3Axds-b%3A2007"),
        ("cid:7-1@urn%3Aihe%3Aiti%3Axds-b%3A2007", "7-1@urn:ihe:iti:xds-b:2007"),
        ("cid:7-1@urn%3Aihe%3Aiti%3Axds-b%3A2007", "7-1@urn%3Aihe%3Aiti%3Axds-b%3A2007"),
        ("cid:compte%20rendu%20%C3%A9.xml", "compte%20rendu%20%C3%A9.xml"),
    ],
)
def test_f14_f15_content_ids_are_compared_decoded(strict_server: RunningServer, href: str, content_id: str) -> None:
    sent = wire.deposit()
    check(strict_server, package(REPOSITORY, root_part(sent.root([href])), part(content_id, PDF)))
    assert bytes_of(strict_server, sent) == [PDF]


def test_f14_parts_that_become_equal_are_refused(strict_server: RunningServer) -> None:
    sent = wire.deposit()
    parts = (part("7-1@urn:x", PDF), part("7-1@urn%3Ax", PDF))
    refused(strict_server, package(REPOSITORY, root_part(sent.root(["cid:7-1@urn:x"])), *parts), "HTTP 400", "Content-ID")


def test_f15_a_bare_accent_is_refused_and_not_matched_by_place(strict_server: RunningServer) -> None:
    sent = wire.deposit()
    message = package(
        REPOSITORY, root_part(sent.root(["cid:compte%20rendu%20%C3%A9.xml"])), part("compte rendu \u00e9.xml", PDF)
    )
    refused(strict_server, message, "HTTP 400", "ASCII")


def test_f16_a_boundary_with_a_colon_and_a_stray_semicolon(strict_server: RunningServer) -> None:
    sent = wire.deposit()
    boundary = "uuid:4d77-00aa"
    root = part("root@wire", sent.root(), f'{ROOT_TYPE}; action="{wire.PROVIDE}";')
    body = package(REPOSITORY, root, *sent.parts()).body.replace(BOUNDARY.encode(), boundary.encode())
    check(strict_server, Message(REPOSITORY, wire.PACKAGE_TYPE.replace(BOUNDARY, boundary), body))


def test_f17_a_fault_for_a_package_can_be_read(strict_server: RunningServer) -> None:
    root = root_part(wire.envelope("urn:no:such:action", "<x/>"))
    seen = check(strict_server, package(REPOSITORY, root), "fault Sender/ActionNotSupported")
    assert "urn:no:such:action" in seen.text


@pytest.mark.parametrize(
    ("start", "root_id", "document_id"),
    [
        ("root@a", "<root@a>", "<d1@a>"),
        ("root@a", "root@a", "d1@a"),
        ("<root@a>", "root@a", "<d1@a>"),
        ("<root@a>", "<root@a>", "d1@a"),
    ],
)
def test_f18_f28_brackets_may_be_missing(strict_server: RunningServer, start: str, root_id: str, document_id: str) -> None:
    sent = wire.deposit()
    root = root_part(sent.root(["cid:d1@a"])).replace(b"<root@wire>", root_id.encode())
    own = part("d1@a", PDF).replace(b"<d1@a>", document_id.encode())
    content_type = wire.PACKAGE_TYPE.replace("<root@wire>", start)
    check(strict_server, package(REPOSITORY, root, own, content_type=content_type))


def test_f19_another_boundary_is_not_searched_for(strict_server: RunningServer) -> None:
    body = wire.deposit().message().body
    refused(
        strict_server,
        Message(REPOSITORY, wire.PACKAGE_TYPE.replace(BOUNDARY, "uuid:aaa"), body[:4000]),
        "HTTP 400",
        "no part",
    )


def test_f20_base64_inside_a_package(strict_server: RunningServer) -> None:
    sent = wire.deposit(PDF * 9, hash=wire.sha1(PDF * 9), size=str(9 * len(PDF)))
    text = base64.encodebytes(PDF * 9).decode()
    body = wire.provide_body(sent.submission, (sent.submission.entries[0].entry_uuid, text))
    check(strict_server, package(REPOSITORY, root_part(wire.envelope(wire.PROVIDE, body))))
    assert bytes_of(strict_server, sent) == [PDF * 9]


def test_f22_the_last_line_end_belongs_to_the_delimiter(strict_server: RunningServer) -> None:
    sent = wire.deposit(b"abc\r\n", mime_type="text/plain", size="5", hash=wire.sha1(b"abc\r\n"))
    message = sent.message()
    assert b"\r\n\r\nabc\r\n\r\n--" in message.body
    check(strict_server, message)
    assert bytes_of(strict_server, sent) == [b"abc\r\n"]


def test_f23_documents_of_every_size_keep_their_bytes(strict_server: RunningServer) -> None:
    sizes = [kilobytes * 1024 for kilobytes in (49, 51, 99, 101, 1023, 1025)]
    sent = wire.deposit(*(PDF + bytes([n]) * (size - len(PDF)) for n, size in enumerate(sizes)))
    check(strict_server, sent.message())
    assert bytes_of(strict_server, sent) == list(sent.documents)
    assert [int(document(strict_server, unique_id).value("size")) for unique_id in sent.unique_ids] == sizes


def test_f24_a_part_without_transfer_encoding_is_binary(strict_server: RunningServer) -> None:
    data = PDF + bytes(range(256))
    sent = wire.deposit(data)
    check(strict_server, package(REPOSITORY, root_part(sent.root()), part("document1@wire", data)))
    seen = check(strict_server, wire.retrieve(DEFAULT_REPOSITORY_ID, *sent.unique_ids))
    assert seen.answer.documents[0].data == data
    assert seen.answer.package is not None
    assert {each.transfer_encoding for each in (seen.answer.package.root, *seen.answer.package.others)} == {"binary"}


@pytest.mark.parametrize("attribute", ["title", "uri"])
def test_f26_a_value_is_never_a_header(strict_server: RunningServer, attribute: str) -> None:
    sent = wire.deposit(**{attribute: "a.xmlLINEX-Evil: 1"})
    seen = wire.send(strict_server, sent.message().replaced("LINE", "&#13;&#10;"))
    assert seen.verdict in ("Success", PROVIDED_METADATA)
    if seen.verdict == "Success":
        back = check(strict_server, wire.retrieve(DEFAULT_REPOSITORY_ID, *sent.unique_ids))
        assert b"X-Evil" not in back.answer.http.body
        assert back.answer.documents[0].data == PDF


# C: character set and XML form


@pytest.mark.parametrize(
    "data", [b'<?xml version="1.0" encoding="text"?><a/>', b'<?xml version="1.0"?>\n<?xml version="1.0"?><a/>']
)
def test_f29_a_damaged_prolog_is_not_repaired(strict_server: RunningServer, data: bytes) -> None:
    sent = wire.deposit(data, mime_type="text/xml")
    refused(strict_server, sent.message(), "Failure InvalidDocumentContent", "XML")


@pytest.mark.parametrize("accent", ["\u00e9", "e\u0301"])
def test_f30_an_error_shows_the_accent_as_it_was_sent(strict_server: RunningServer, accent: str) -> None:
    refused(strict_server, register(samples.entry(language_code=f"fran{accent}ais")), METADATA, f"fran{accent}ais")


@pytest.mark.parametrize("stored", ["\u00e9", "e\u0301"])
@pytest.mark.parametrize("asked", ["\u00e9", "e\u0301"])
def test_f30_codes_are_compared_in_one_form(strict_server: RunningServer, stored: str, asked: str) -> None:
    patient = samples.patient(f"F30{len(stored)}{len(asked)}")
    check(strict_server, register(samples.entry(patient_id=patient, type_code=samples.code(f"caf{stored}"))))
    found = check(
        strict_server, wire.find_documents(patient, ("$XDSDocumentEntryTypeCode", f"('caf{asked}^^1.2.250.1.999.5')"))
    )
    assert len(found.answer.objects) == 1


def test_f31_f32_f33_the_form_of_xml_does_not_matter(strict_server: RunningServer) -> None:
    forms = (
        b"<a>" + b"<b>text</b>" * 30_000 + b"</a>",
        b"<ClinicalDocument/>",
        b"<!-- words --><ClinicalDocument/>",
        b'<c:ClinicalDocument xmlns:c="urn:hl7-org:v3"/>',
    )
    for data in forms:
        sent = wire.deposit(data, mime_type="text/xml")
        check(strict_server, sent.message())
        assert bytes_of(strict_server, sent) == [data]
    late = wire.deposit(b' <?xml version="1.0"?><a/>', mime_type="text/xml")
    refused(strict_server, late.message(), "Failure InvalidDocumentContent", "malformed")


def test_f34_an_ampersand_escaped_twice_is_told(strict_server: RunningServer) -> None:
    patient = f"P1^^^&amp;{samples.AUTHORITY}&amp;ISO"
    refused(strict_server, register(samples.entry(patient_id=patient)), METADATA, "patientId", "&amp;")


def test_f35_text_keeps_its_bytes_and_gets_no_charset(strict_server: RunningServer) -> None:
    for data in ("\u00e9t\u00e9 \u00e0 No\u00ebl".encode(), "\u00e9t\u00e9".encode("latin-1")):
        sent = wire.deposit(data, mime_type="text/plain")
        check(strict_server, sent.message())
        seen = check(strict_server, wire.retrieve(DEFAULT_REPOSITORY_ID, *sent.unique_ids))
        assert seen.answer.documents[0].data == data
        assert seen.answer.package is not None
        assert [(p.media_type.name, dict(p.media_type.parameters)) for p in seen.answer.package.others] == [
            ("text/plain", {})
        ]


def test_f36_one_query_in_three_spellings(strict_server: RunningServer) -> None:
    patient = samples.patient("F36")
    check(strict_server, register(samples.entry(patient_id=patient)))
    plain = wire.find_documents(patient)
    quoted = f"'{patient}'".replace("&", "&amp;")
    answers = [
        check(strict_server, plain.replaced(quoted, quoted.replace("'", spelling))).answer.objects
        for spelling in ("'", "&apos;", "&#39;")
    ]
    assert answers[0] == answers[1] == answers[2] != ()


# D: metadata values


@pytest.mark.parametrize("size", ["48112900331", "-1", "1e3", "0126", str(2**63), "\u0661"])
def test_f37_a_size_that_is_none(strict_server: RunningServer, size: str) -> None:
    refused(strict_server, wire.deposit(size=size).message(), PROVIDED_METADATA, "size", size)


def test_f38_empty_is_not_present(strict_server: RunningServer) -> None:
    entry = samples.entry(authors=(Author(person="801^A^B", institutions=("EMPTIED",)),))
    message = register(entry)
    refused(strict_server, message.replaced("<Value>EMPTIED</Value>", "<Value/>"), METADATA, "authorInstitution")
    refused(strict_server, message.replaced("<Value>801^A^B</Value>", ""), METADATA, "authorPerson")


@pytest.mark.parametrize("oid", ["1.2.250.4.5.0001", "1.2.51.2020.03.05"])
def test_f39_leading_zeros_of_oids(strict_server: RunningServer, oid: str) -> None:
    refused(strict_server, register(samples.entry(repository_unique_id=oid)), METADATA, "repositoryUniqueId", oid)
    owner = samples.submission_set(unique_id=oid)
    refused(strict_server, wire.register(samples.submission(samples.entry(), owner=owner)), METADATA, "uniqueId", oid)
    assert kept(strict_server, samples.entry(unique_id=oid), "uniqueId") == (oid,)


@pytest.mark.parametrize(
    "reference",
    [
        "7f3a10c2^^^&1.2.3&ISO^urn:ihe:iti:2007:AssociationType:RPLC",
        "E77^^^&1.2.3&ISO^urn:ihe:iti:xds:2015:encounterId^&1.2.9&ISO",
    ],
)
def test_f40_f46_references_are_returned_whole(strict_server: RunningServer, reference: str) -> None:
    assert kept(strict_server, samples.entry(reference_ids=(reference,)), "referenceIdList") == (reference,)


@pytest.mark.parametrize("repository", ["  1.2.3.4", "1.2.3.4 ", "1.2.3.4\t"])
def test_f42_blanks_around_the_repository(strict_server: RunningServer, repository: str) -> None:
    shown = repository.replace("\t", "\\x09")
    refused(
        strict_server, register(samples.entry(repository_unique_id=repository)), METADATA, "repositoryUniqueId", f"'{shown}'"
    )


@pytest.mark.parametrize("time", ["2024", "202402", "20240229", "2024022910", "202402291015", "20240229101500"])
def test_f43_times_of_every_precision_are_kept(strict_server: RunningServer, time: str) -> None:
    assert kept(strict_server, samples.entry(creation_time=time), "creationTime") == (time,)


def test_f44_a_sha_256_is_no_hash(strict_server: RunningServer) -> None:
    refused(strict_server, register(samples.entry(hash="a" * 64)), METADATA, "SHA-1", "40")


@pytest.mark.parametrize(
    "unique_id", ["urn:uuid:5c1f0000-0000-4000-8000-0000000000f4", "https://h.example/doc/1", "1.2.3^ABC-2024"]
)
def test_f45_document_ids_need_not_be_oids(strict_server: RunningServer, unique_id: str) -> None:
    sent = wire.deposit(PDF, unique_id=unique_id)
    check(strict_server, sent.message())
    assert document(strict_server, unique_id).value("uniqueId") == unique_id
    assert documents(strict_server, unique_id.upper() if unique_id.upper() != unique_id else unique_id.lower()) == ()
    assert bytes_of(strict_server, sent) == [PDF]


@pytest.mark.parametrize("unique_id", [" 1.2.3.4", "1.2.3.4 ", "1.2.3.4\t", "1.2.3\n.4"])
def test_f47_white_space_in_an_identifier_is_shown(strict_server: RunningServer, unique_id: str) -> None:
    shown = unique_id.replace("\t", "\\x09").replace("\n", "\\x0a")
    entry = samples.entry(unique_id="BLANK")
    sent = unique_id.replace("\t", "&#9;").replace("\n", "&#10;")
    refused(strict_server, register(entry).replaced('value="BLANK"', f'value="{sent}"'), METADATA, "uniqueId", f"'{shown}'")


def test_f48_a_time_with_a_zone_is_refused(strict_server: RunningServer) -> None:
    refused(strict_server, register(samples.entry(creation_time="20260311110436-0400")), METADATA, "creationTime", "zone")


def test_f49_a_broken_line_is_named_as_what_it_is(strict_server: RunningServer) -> None:
    author = Author(institutions=("CH DEMO^^^^^&\n     1.2.3&ISO^^^^42",))
    refused(strict_server, register(samples.entry(authors=(author,))), METADATA, "authorInstitution", "\\x0a")


def test_f50_a_birth_date_with_hyphens(strict_server: RunningServer) -> None:
    info = "PID-7|1948-02-29"
    seen = wire.send(strict_server, register(samples.entry(source_patient_info=(info,))))
    assert seen.verdict == METADATA
    assert "PID-7" in seen.text


def test_f51_long_document_ids(strict_server: RunningServer) -> None:
    root = "1.2.250.1.999.1^"
    for fits in (root + "x" * 90, root + "x" * 230):
        assert kept(strict_server, samples.entry(unique_id=fits), "uniqueId") == (fits,)
    refused(strict_server, register(samples.entry(unique_id=root + "x" * 241)), METADATA, "257 characters", "256")


# E: ebRIM structure


def test_f52_one_id_for_two_classifications(strict_server: RunningServer) -> None:
    own = samples.new_uuid()
    message = register(samples.entry())
    ids = re.findall(rb'<Classification id="([^"]+)"', message.body)[:2]
    for each in ids:
        message = message.replaced(b'<Classification id="' + each + b'"', f'<Classification id="{own}"')
    refused(strict_server, message, METADATA, own)


def test_f53_a_submission_set_without_patient(strict_server: RunningServer) -> None:
    owner = samples.submission_set(patient_id=None)
    refused(
        strict_server,
        wire.register(samples.submission(samples.entry(), owner=owner)),
        METADATA,
        "SubmissionSet",
        "patientId",
    )


def test_f54_an_empty_home_is_none(strict_server: RunningServer) -> None:
    entry = samples.entry()
    message = (
        register(entry)
        .replaced("<ExtrinsicObject ", '<ExtrinsicObject home="" ')
        .replaced("<RegistryPackage ", '<RegistryPackage home="" ')
    )
    check(strict_server, message.replaced("<Classification ", '<Classification home="" lid="urn:x" '))
    assert document(strict_server, entry.unique_id or "").attributes.get("home", ()) in ((), ("",))
    found = check(strict_server, wire.query("GetDocuments", ("$XDSDocumentEntryUniqueId", f"('{entry.unique_id}')")))
    assert b'home=""' not in found.answer.http.body


def test_f55_children_in_the_wrong_order(strict_server: RunningServer) -> None:
    slot = '<Slot name="urn:x:late"><ValueList><Value>1</Value></ValueList></Slot>'
    message = register(samples.entry()).replaced("</ExtrinsicObject>", f"{slot}</ExtrinsicObject>")
    refused(strict_server, message, METADATA, "rim:Slot", "child 17 of rim:ExtrinsicObject")


LIMITED_ENTRY = "urn:uuid:ab9b591b-83ab-4d03-8f5d-f93b1fb92e85"


def test_f56_limited_metadata_is_recognised_by_its_node(strict_server: RunningServer) -> None:
    node = f'<Classification id="limited" classifiedObject="OWNER" classificationNode="{LIMITED_ENTRY}"/>'
    scheme = node.replace("classificationNode", "classificationScheme").replace("/>", ' nodeRepresentation=""/>')
    for classification, word in ((node, "imited"), (scheme, "classificationScheme")):
        message = register(samples.entry(entry_uuid="document01"))
        anchor = re.search(rb"<ExternalIdentifier[^>]*registryObject=\"document01\"", message.body)
        assert anchor is not None
        own = classification.replace("OWNER", "document01").encode()
        refused(strict_server, message.replaced(anchor.group(), own + anchor.group(), 1), METADATA, word)


def test_f57_an_association_to_nothing(strict_server: RunningServer) -> None:
    entry, target = samples.entry(), samples.new_uuid()
    value = samples.submission(entry, links=[samples.link(types.RPLC, entry.entry_uuid, target)])
    refused(strict_server, wire.register(value), "Failure UnresolvedReferenceException", target)


def test_f58_a_classification_in_the_wrong_object(strict_server: RunningServer) -> None:
    message = register(samples.entry(entry_uuid="document01"))
    found = re.search(rb'classifiedObject="(set-[0-9]+)"', message.body)
    assert found is not None
    wrong = message.replaced(found.group(), b'classifiedObject="document01"', 1)
    refused(strict_server, wrong, METADATA, "document01", found.group(1).decode())


def test_f59_ids_of_classifications_from_message_to_message(strict_server: RunningServer) -> None:
    def message(own: str) -> Message:
        made = register(samples.entry())
        found = re.search(rb'<Classification id="([^"]+)"', made.body)
        assert found is not None
        return made.replaced(found.group(), f'<Classification id="{own}"')

    for _ in range(2):
        check(strict_server, message("cl01"))
    own = samples.new_uuid()
    check(strict_server, message(own))
    refused(strict_server, message(own), METADATA, own)


# F: queries


def test_f60_white_space_around_a_list(strict_server: RunningServer) -> None:
    entry = samples.entry()
    check(strict_server, register(entry))
    seen = check(
        strict_server,
        wire.query("GetDocuments", ("$XDSDocumentEntryUniqueId", f"\n('1.2.3^A1null','{entry.unique_id}')\n")),
    )
    assert [each.value("uniqueId") for each in seen.answer.objects] == [entry.unique_id]


def test_f61_a_unique_id_in_the_place_of_an_entry_uuid(strict_server: RunningServer) -> None:
    check(strict_server, register(samples.entry(unique_id="1.2.3^F61")))
    seen = check(strict_server, wire.query("GetDocuments", ("$XDSDocumentEntryEntryUUID", "('1.2.3^F61')")))
    assert seen.answer.objects == ()


def test_f62_related_documents_without_types(strict_server: RunningServer) -> None:
    refused(
        strict_server,
        wire.query("GetRelatedDocuments", ("$XDSDocumentEntryUniqueId", "'1.2.3'")),
        "Failure XDSStoredQueryMissingParam",
        "$AssociationTypes",
    )


def test_f63_semicolons_between_patients(strict_server: RunningServer) -> None:
    status = ("$XDSDocumentEntryStatus", wire.listed([APPROVED]))
    value = "('1^^^&1.2.3&ISO';'2^^^&1.2.3&ISO')"
    refused(
        strict_server,
        wire.query("FindDocuments", ("$XDSDocumentEntryPatientId", value), status),
        "Failure XDSRegistryError",
        "$XDSDocumentEntryPatientId",
    )


def test_f66_patient_and_status_are_enough(strict_server: RunningServer) -> None:
    patient = samples.patient("F66")
    check(strict_server, register(samples.entry(patient_id=patient)))
    assert len(check(strict_server, wire.find_documents(patient)).answer.objects) == 1


def test_f68_nothing_found_is_a_success(strict_server: RunningServer) -> None:
    seen = check(strict_server, wire.find_documents(samples.patient("F68")))
    assert seen.answer.objects == ()
    assert seen.answer.body is not None
    assert [child.tag.rpartition("}")[2] for child in seen.answer.body] == ["RegistryObjectList"]


def test_f69_a_home_community_in_a_query(strict_server: RunningServer) -> None:
    entry = samples.entry()
    check(strict_server, register(entry))
    plain = wire.query("GetDocuments", ("$XDSDocumentEntryUniqueId", f"('{entry.unique_id}')"))
    as_attribute = plain.replaced("<AdhocQuery ", '<AdhocQuery home="urn:oid:1.2.9" ')
    as_slot = wire.query(
        "GetDocuments", ("$XDSDocumentEntryUniqueId", f"('{entry.unique_id}')"), ("$homeCommunityId", "'urn:oid:1.2.9'")
    )
    for message in (plain, as_attribute, as_slot):
        assert len(check(strict_server, message).answer.objects) == 1


def test_f70_f80_both_statuses_and_a_second_replacement(strict_server: RunningServer) -> None:
    patient = samples.patient("F70")
    first, second, third = (samples.entry(patient_id=patient) for _ in range(3))
    check(strict_server, register(first))
    old = document(strict_server, first.unique_id or "").id

    def replacing(entry: DocumentEntry) -> Message:
        return wire.register(samples.submission(entry, links=[samples.link(types.RPLC, entry.entry_uuid, old)]))

    check(strict_server, replacing(second))
    refused(strict_server, replacing(third), "Failure XDSRegistryDeprecatedDocumentError")
    status = ("$XDSDocumentEntryStatus", wire.listed([APPROVED, DEPRECATED]))
    seen = check(strict_server, wire.query("FindDocuments", ("$XDSDocumentEntryPatientId", f"'{patient}'"), status))
    assert {each.value("uniqueId"): each.value("availabilityStatus") for each in seen.answer.objects} == {
        first.unique_id: DEPRECATED,
        second.unique_id: APPROVED,
    }


def test_f71_errors_of_parameters_have_their_codes(strict_server: RunningServer) -> None:
    patient = ("$XDSDocumentEntryPatientId", f"'{samples.PATIENT}'")
    refused(
        strict_server, wire.query("FindDocuments", patient), "Failure XDSStoredQueryMissingParam", "$XDSDocumentEntryStatus"
    )
    folders = ("$XDSFolderEntryUUID", wire.listed([samples.new_uuid(), samples.new_uuid()]))
    refused(
        strict_server,
        wire.query("GetFolderAndContents", folders),
        "Failure XDSStoredQueryParamNumber",
        "$XDSFolderEntryUUID",
    )


def test_f73_a_reference_search_under_the_wrong_id(strict_server: RunningServer) -> None:
    message = wire.query(
        "FindDocuments",
        ("$XDSDocumentEntryStatus", wire.listed([APPROVED])),
        ("$XDSDocumentEntryReferenceIdList", "('E77^^^&1.2.3&ISO^urn:x')"),
    ).replaced("<query:AdhocQueryRequest ", '<query:AdhocQueryRequest maxResults="-1" startIndex="0" ')
    refused(strict_server, message, "Failure XDSStoredQueryMissingParam", "$XDSDocumentEntryPatientId")


# G: life cycle


def test_f76_an_answer_holds_lid_and_version(strict_server: RunningServer) -> None:
    entry = samples.entry()
    check(strict_server, register(entry))
    found = document(strict_server, entry.unique_id or "")
    assert (found.value("lid"), found.value("version")) == (found.id, "1")


def test_f77_a_deprecated_entry_keeps_its_identifier(strict_server: RunningServer) -> None:
    first, second = samples.entry(), samples.entry()
    check(strict_server, register(first))
    link = samples.link(types.RPLC, second.entry_uuid, document(strict_server, first.unique_id or "").id)
    check(strict_server, wire.register(samples.submission(second, links=[link])))
    again = samples.entry(unique_id=first.unique_id, hash="b" * 40)
    refused(strict_server, register(again), "Failure XDSNonIdenticalHash")


# H: documents, hash and retrieval


def test_f81_the_answer_to_a_provide_has_one_part(strict_server: RunningServer) -> None:
    seen = check(strict_server, wire.deposit().message())
    assert seen.answer.media_type.name == "multipart/related"
    assert seen.answer.package is not None
    assert seen.answer.package.others == ()
    assert seen.answer.problems == ()


def test_f82_the_repository_id_is_compared_exactly(strict_server: RunningServer) -> None:
    sent = wire.deposit()
    check(strict_server, sent.message())
    prefixed = wire.retrieve(f"urn:oid:{DEFAULT_REPOSITORY_ID}", *sent.unique_ids)
    check(strict_server, prefixed, "Failure XDSUnknownRepositoryId")
    home = wire.retrieve(DEFAULT_REPOSITORY_ID, *sent.unique_ids).replaced(
        "<xds:RepositoryUniqueId>", "<xds:HomeCommunityId>urn:oid:1.2.9</xds:HomeCommunityId><xds:RepositoryUniqueId>"
    )
    assert check(strict_server, home).answer.documents[0].data == PDF


def test_f83_an_unknown_document(strict_server: RunningServer) -> None:
    sent = wire.deposit()
    check(strict_server, sent.message())
    seen = check(
        strict_server,
        wire.retrieve(DEFAULT_REPOSITORY_ID, *sent.unique_ids, "1.2.3.83"),
        "PartialSuccess XDSDocumentUniqueIdError",
    )
    assert len(seen.answer.documents) == 1
    check(strict_server, wire.retrieve(DEFAULT_REPOSITORY_ID, "1.2.3.83"), "Failure XDSDocumentUniqueIdError")


def test_f84_hash_and_size_are_the_repository_s_to_compute(strict_server: RunningServer) -> None:
    sent = wire.deposit()
    assert (sent.submission.entries[0].hash, sent.submission.entries[0].size) == (None, None)
    check(strict_server, sent.message())
    found = document(strict_server, sent.unique_ids[0])
    assert (found.value("hash"), found.value("size")) == (wire.sha1(PDF), str(len(PDF)))
    assert found.value("objectType") == "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"


# I: answers and errors


def test_f85_an_unknown_code_is_named_with_its_attribute(database: Database) -> None:
    """A domain with code lists, in this process."""
    side = Side(database, codes=load_codes("connectathon"))
    wrong = Code("no-such-code", "1.2.250.1.999.5", "x")
    answer = side.submit(samples.submission(samples.entry(entry_uuid="document01", type_code=wrong, format_code=wrong)))
    assert answer.status == "Failure"
    for attribute in ("typeCode", "formatCode"):
        assert [e for e in answer.errors if all(w in e.context for w in ("document01", attribute, wrong.code, wrong.scheme))]


def test_f87_a_missing_attribute_has_a_metadata_code(strict_server: RunningServer) -> None:
    owner = samples.submission_set(entry_uuid="set01", content_type_code=None)
    value = samples.submission(samples.entry(), owner=owner)
    refused(strict_server, wire.register(value), METADATA, "SubmissionSet 'set01'", "contentTypeCode")
    refused(strict_server, wire.retrieve("1.2.3", "1.2.3.4"), "Failure XDSUnknownRepositoryId", "repositoryUniqueId")


def test_f88_submission_sets_have_lid_and_version(strict_server: RunningServer) -> None:
    patient = samples.patient("F88")
    check(strict_server, register(samples.entry(patient_id=patient)))
    seen = check(
        strict_server,
        wire.query(
            "FindSubmissionSets",
            ("$XDSSubmissionSetPatientId", f"'{patient}'"),
            ("$XDSSubmissionSetStatus", wire.listed([APPROVED])),
        ),
    )
    (found,) = seen.answer.of_kind("set")
    assert (found.value("lid"), found.value("version")) == (found.id, "1")


def test_f89_uris_of_severity_are_exact(strict_server: RunningServer) -> None:
    seen = check(strict_server, wire.query("FindDocuments"), "Failure XDSStoredQueryMissingParam")
    assert seen.answer.result is not None
    severity = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"
    assert {error.severity for error in seen.answer.result.errors} == {severity}
    assert seen.answer.result.highest_severity == severity
    assert seen.answer.result.status == "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"


def test_f86_no_answer_of_these_tests_held_a_trace(strict_server: RunningServer) -> None:
    """Locations are empty or identifiers; texts hold neither files nor lines of a program."""
    for message in (
        register(samples.entry(creation_time="x")),
        register(samples.entry()).replaced("ExtrinsicObject ", "ExtrinsicObjekt "),
        wire.query("GetDocuments", ("$XDSDocumentEntryUniqueId", "(")),
        wire.retrieve("1.2", "1.2.3"),
        wire.deposit(hash="0" * 40).message(),
    ):
        seen = wire.send(strict_server, message)
        body = seen.answer.http.body
        for trace in (b"Traceback", b".py", b"lxml", b", line ", b"site-packages"):
            assert trace not in body, body

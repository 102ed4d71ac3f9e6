"""Data types of metadata: what is accepted, what is refused and with which sentence."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from tests.shared_data import shared
from xds_metadata.datatypes import (
    DMP,
    STRICT,
    Authority,
    Check,
    CodedString,
    Cx,
    Cxi,
    DatatypeError,
    DatatypeTolerances,
    PatientKey,
    Recipient,
    Xcn,
    Xon,
    Xtn,
    check_coded_string,
    check_cx,
    check_cxi,
    check_dtm,
    check_integer,
    check_language,
    check_mime_type,
    check_not_future,
    check_oid,
    check_oid_urn,
    check_patient_field,
    check_patient_fields,
    check_recipient,
    check_sha1,
    check_unique_id,
    check_uri,
    check_uuid,
    check_xcn,
    check_xon,
    check_xtn,
    dtm_from_ts,
    instant,
    is_later,
    patient_key,
    read_coded_string,
    read_cx,
    read_cxi,
    read_integer,
    read_oid_urn,
    read_patient_field,
    read_recipient,
    read_sha1,
    read_uuid,
    read_xcn,
    read_xon,
    read_xtn,
    shown,
    write_cxi,
    write_oid_urn,
)

ACCEPTED: list[tuple[Check, tuple[str, ...]]] = [
    (check_dtm, ("2024", "202402", "20240229", "2024022910", "202402291015", "20240229101559", "0001")),
    (check_oid, ("1.2", "0.0", "2.16.840.1.113883.6.1", "1.999888777.1.21", "1." + "1" * 62)),
    (check_oid_urn, ("urn:oid:1.2.3",)),
    (check_uuid, ("urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1",)),
    (check_sha1, ("da39a3ee5e6b4b0d3255bfef95601890afd80709", "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709")),
    (
        check_language,
        ("fr", "fr-FR", "art", "zh-Hant-TW", "de-CH-1996", "sl-rozaj-biske", "x-lab", "en-a-bbb-x-a", "i-klingon"),
    ),
    (check_mime_type, ("text/xml", "application/xslt+xml", "text/xml; charset=utf-8", 'text/plain;charset="utf-8"')),
    (check_uri, ("cr.xml", "http://h.example/doc?a=1", "1|http://h.example")),
    (check_integer, ("0", "126", "48112900331", "9223372036854775807")),
    (
        check_unique_id,
        ("1.2.51.2020.03.05", "urn:uuid:5c1f0000-0000-4000-8000-000000000001", "https://h.example/doc/1", "1.2.3^ABC-2024"),
    ),
    (check_unique_id, ("1.2.250.1.999.1^" + "7" * 90, "x" * 256)),
    (check_cx, ("WIRE01^^^&1.2.250.1.213.1.4.10&ISO", "P 1^^^&1.2.3&ISO", "a\\T\\b^^^&1.2.3&ISO", "1^^^&1.2.3&ISO^^")),
    (
        check_cxi,
        (
            "ACC-4711^^^&1.2.250.1.999.5&ISO^urn:ihe:iti:xds:2013:accession",
            "7f3a10c2^^^&1.2.3&ISO^urn:ihe:iti:2007:AssociationType:RPLC",
            "1.2.3^^^^urn:ihe:iti:xds:2013:uniqueId",
            "77^^^LAB^order",
            "77^^^LAB&1.2.3&ISO^order",
            "E77^^^&1.2.3&ISO^urn:ihe:iti:xds:2015:encounterId^&1.2.9&ISO",
        ),
    ),
    (check_xcn, ("801234567890^DUPONT^Anne^^^^^^&1.2.250.1.71.4.2.1&ISO", "^DUPONT", "1.2.3.4", "1^D^A^B^JR^DR")),
    (
        check_xon,
        (
            "CHU",
            "Étang \\T\\ fils^^^^^&1.2.250.1.71.4.2.2&ISO^^^^1750000001",
            "CHU^^^^^^^^^1.2.3.4",
            "Dupont & Cie",
            "CHU^^^^^&1.2.3&ISO",
        ),
    ),
    (
        check_xtn,
        ("^NET^Internet^anne.dupont@example.org", "^^Internet^a@b", "^PRN^PH^^33^1^23456789^12", "^^CP^^^^0612345678"),
    ),
    (check_xtn, ("^PRN^PH^^^^^^^^^0123",)),
    (check_recipient, ("CHU", "|^DUPONT", "||^^Internet^a@b", "CHU|^DUPONT|^^Internet^a@b", "CHU||^^Internet^a@b")),
    (check_coded_string, ("Médecin", "SM26^^^&1.2.250.1.71.4.2.5&ISO", "soins & accueil")),
    (
        check_patient_field,
        ("PID-3|IPP42^^^&1.2.3&ISO~7^^^&1.2.4&ISO", "PID-5|D'ESSAI^Zoé", "PID-7|19500101", "PID-8|F", "PID-11|^^Paris"),
    ),
]

REFUSED: list[tuple[Check, str, str]] = [
    (check_dtm, "", "empty|DTM"),
    (check_dtm, "0000", "year"),
    (check_dtm, "20241301", "month 13"),
    (check_dtm, "20230229", "day 29"),
    (check_dtm, "2024022924", "time of day"),
    (check_dtm, "202402291060", "time of day"),
    (check_dtm, "20240229101060", "time of day"),
    (check_dtm, "20240", "digits only"),
    (check_dtm, "20260311110436-0400", "no zone"),
    (check_dtm, "20260311110436-04000", "no zone"),
    (check_dtm, "20260311110436.123", "no fraction"),
    (check_dtm, "２０２４", "digits"),
    (check_dtm, " 2024", "white space before"),
    (check_dtm, "2024-02-29", "digits only"),
    (check_oid, "1.2.250.4.5.0001", "leading zeros"),
    (check_oid, "1.2.51.2020.03.05", "leading zeros"),
    (check_oid, "  1.2.3.4", "white space before it: '  1.2.3.4'"),
    (check_oid, "1", "OID"),
    (check_oid, "3.1.2", "OID"),
    (check_oid, "1..2", "OID"),
    (check_oid, "1.2.", "OID"),
    (check_oid, "1.٣", "OID"),
    (check_oid, "1." + "1" * 63, "64 characters"),
    (check_oid_urn, "1.2.3", "urn:oid:"),
    (check_oid_urn, "urn:oid:1.02", "leading zeros"),
    (check_uuid, "urn:uuid:7EDCA82F-054D-47F2-A032-9B2A5B5186C1", "lower case"),
    (check_uuid, "7edca82f-054d-47f2-a032-9b2a5b5186c1", "urn:uuid:"),
    (check_uuid, "urn:uuid:7edca82f054d47f2a0329b2a5b5186c1", "8-4-4-4-12"),
    (check_sha1, "a" * 64, "SHA-1 hash of 40 hexadecimal digits, found 64"),
    (check_sha1, "2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "40 hexadecimal"),
    (check_language, "fr_FR", "RFC 5646"),
    (check_language, "français", "RFC 5646"),
    (check_mime_type, "xml", "MIME"),
    (check_mime_type, "text/xml ", "after it"),
    (check_uri, "x" * 257, "256 characters"),
    (check_uri, "a\nb", "line breaks"),
    (check_integer, "-1", "non-negative"),
    (check_integer, "1e3", "non-negative"),
    (check_integer, "0126", "leading zeros"),
    (check_integer, " 1", "non-negative"),
    (check_integer, "1.0", "non-negative"),
    (check_integer, "9223372036854775808", "2\\^63"),
    (check_integer, "٣", "non-negative"),
    (check_unique_id, " 1.2.3.4", "white space before it: ' 1.2.3.4'"),
    (check_unique_id, "1.2.3.4 ", "white space after it: '1.2.3.4 '"),
    (check_unique_id, "1.2.3.4\t", "after it: '1.2.3.4\\\\t'"),
    (check_unique_id, "x" * 257, "at most 256 characters, found 257"),
    (check_unique_id, "urn:oid:1.2.3", "without the prefix"),
    (check_unique_id, "1.2.３", "ASCII"),
    (check_unique_id, "", "empty"),
    (check_cx, "", "empty"),
    (check_cx, "P1", "no assigning authority"),
    (check_cx, "^^^&1.2.3&ISO", "no identifier"),
    (check_cx, "P1^^^&amp;1.2.3&amp;ISO", "literal '&amp;'"),
    (check_cx, "P1^^^LAB&1.2.3&ISO", "nothing before"),
    (check_cx, "P1^^^&1.2.3&UUID", "type 'UUID'"),
    (check_cx, "P1^^^&1.2.03&ISO", "leading zeros"),
    (check_cx, "P1^^^LAB", "&OID&ISO"),
    (check_cx, "P1^^^&1.2.3&ISO^NH", "component 5 = 'NH'"),
    (check_cx, "P1 ^^^&1.2.3&ISO", "white space after"),
    (check_cx, "P1^^^&1.2.3&ISO ", "white space after"),
    (check_cx, "P1^^^& 1.2.3&ISO", "white space before"),
    (check_cx, "٣^^^&1.2.3&ISO", "ASCII"),
    (check_cx, "P&1^^^&1.2.3&ISO", "&"),
    (check_cx, "P\\1^^^&1.2.3&ISO", "escape"),
    (check_cx, "P\u200b1^^^&1.2.3&ISO", "ASCII"),
    (check_cx, "P" * 257, "256"),
    (check_cxi, "77^^^&1.2.3&ISO", "CXi.5"),
    (check_cxi, "77^x^^&1.2.3&ISO^order", "component 2"),
    (check_cxi, "^^^&1.2.3&ISO^order", "no identifier"),
    (check_cxi, "77^^^ LAB^order", "white space"),
    (check_cxi, "77^^^&1.2&^order", "&OID&ISO"),
    (check_xcn, "", "empty"),
    (check_xcn, "^^Anne", "neither identifier nor family name"),
    (check_xcn, "1^D^A^^^^^^&1.2.3&ISO^D", "component 10"),
    (check_xcn, "1 ^D", "white space"),
    (check_xcn, "1^D^^^^^^^&amp;1.2.3&amp;ISO", "literal '&amp;'"),
    (check_xcn, "1^D^^^^^^^&1.2.3", "&OID&ISO"),
    (check_xcn, "1^D\u0000", "control"),
    (check_xcn, "^D\\H\\", "escape"),
    (check_xon, "^^^^^&1.2.3&ISO^^^^1", "no name"),
    (check_xon, "CHU^^^^^^^^^42", "authority"),
    (check_xon, "CHU^^^^^&1.2.3&ISO^^^^1.2.3.4", "no authority"),
    (check_xon, "CHU^^^^^&1.2.3&ISO^IDNST^^^1", "component 7"),
    (check_xon, "CHU^^^^^&\n   1.2.3&ISO^^^^42", "line breaks.*\\\\n   1.2.3"),
    (check_xtn, "a@b", "component 1"),
    (check_xtn, "^NET^Internet", "component 4"),
    (check_xtn, "^NET^Internet^a@b^33", "component 4"),
    (check_xtn, "^XXX^Internet^a@b", "XTN.2"),
    (check_xtn, "^PRN^Pigeon^^^^1", "XTN.3"),
    (check_xtn, "^PRN^PH^^33", "XTN.7"),
    (check_xtn, "^PRN^PH^a@b^^^1", "no email"),
    (check_recipient, "||", "at least one"),
    (check_recipient, "CHU|||", "at least one"),
    (check_recipient, "|^^Anne", "family name"),
    (check_coded_string, " ", "white space"),
    (check_coded_string, "", "empty"),
    (check_coded_string, "SM26^Label^1.2.3", "component"),
    (check_coded_string, "SM26^", "no code system"),
    (check_coded_string, "^^^&1.2.3&ISO", "no code"),
    (check_patient_field, "PID-5", "PID-n"),
    (check_patient_field, "PID-0|x", "PID-n"),
    (check_patient_field, "PID-40|x", "1 to 39"),
    (check_patient_field, "PID-19|x", "PID-19"),
    (check_patient_field, "PID-5|", "without a value"),
    (check_patient_field, "PID-5|A|B", "second \\|"),
    (check_patient_field, "PID-5|A\\X0D\\B", "no other escape"),
    (check_patient_field, "PID-7|1948-02-29", "PID-7 .*without hyphens"),
    (check_patient_field, "PID-7|19481332", "PID-7"),
    (check_patient_field, "PID-8|X", "PID-8"),
]


@pytest.mark.parametrize(("check", "text"), [(check, text) for check, texts in ACCEPTED for text in texts])
def test_accepted(check: Check, text: str) -> None:
    assert check(text) is None


@pytest.mark.parametrize(("check", "text", "sentence"), REFUSED)
def test_refused(check: Check, text: str, sentence: str) -> None:
    wrong = check(text)
    assert wrong is not None
    assert re.search(sentence, wrong), wrong
    assert wrong.isprintable()


def test_every_check_knows_an_accepted_and_a_refused_text() -> None:
    assert {id(check) for check, _ in ACCEPTED} == {id(check) for check, _, _ in REFUSED}


@pytest.mark.parametrize(
    ("check", "text", "tolerances"),
    [
        (check_cx, "207058575627097^^^&1.2.250.1.213.1.4.10&ISO^NH^^20100907", DatatypeTolerances(cx_extra_components=True)),
        (check_xcn, "8^MAX^L^^^^^^&1.2.3&ISO^D^^^IDNPS", DatatypeTolerances(xcn_type_components=True)),
        (check_xon, "CHU^^^^^&1.2.3&ISO^IDNST^^^1", DatatypeTolerances(xon_type_component=True)),
        (check_coded_string, "G15_10/SM26^Médecin^1.2.250.1.213.1.1.4.5", DatatypeTolerances(coded_triplet=True)),
        (check_patient_field, "PID-7|1948-02-29", DatatypeTolerances(hyphenated_birth_date=True)),
        (check_uuid, "urn:uuid:7EDCA82F-054D-47F2-A032-9B2A5B5186C1", DatatypeTolerances(upper_case_uuid=True)),
    ],
)
def test_each_tolerance_opens_one_deviation(check: Check, text: str, tolerances: DatatypeTolerances) -> None:
    assert check(text, STRICT) is not None
    assert check(text, tolerances) is None


def test_tolerances_do_not_open_other_deviations() -> None:
    assert check_cx("P1^x^^&1.2.3&ISO", DMP) is not None
    assert check_cx("P1^^^&1.2.3&ISO^N H", DMP) is not None
    assert check_cx("P1^^^&1.2.3&ISO^NH^^yesterday", DMP) is not None
    assert check_xcn("8^MAX^L^^^^^^&1.2.3&ISO^D\\^^^IDNPS", DMP) is not None
    assert check_coded_string("SM26^Label^1.2.3^&1.2.3&ISO", DMP) is not None
    assert check_patient_field("PID-7|1948-13-29", DMP) is not None


def test_values_hold_plain_text() -> None:
    assert read_cx("P1^^^&1.2.3&ISO^NH^^2010", DMP) == Cx("P1", "1.2.3", "NH", "2010")
    assert read_cxi("E77^^^&1.2.3&ISO^e^&1.2.9&ISO") == Cxi("E77", "e", Authority("1.2.3"), Authority("1.2.9"))
    assert read_xcn("1^D\\S\\^A^^^^^^&1.2.3&ISO^D^^^EI", DMP) == Xcn(
        "1", "D^", "A", authority="1.2.3", name_type="D", id_type="EI"
    )
    assert read_xon("A \\T\\ B^^^^^&1.2.3&ISO^^^^1") == Xon("A & B", "1", "1.2.3")
    assert read_xtn("^NET^Internet^a@b") == Xtn(email="a@b", use="NET", equipment="Internet")
    assert read_xtn("^^PH^^33^1^2^3") == Xtn(None, None, "PH", "33", "1", "2", "3")
    assert read_recipient("|^D") == Recipient(person=Xcn(family="D"))
    assert read_coded_string("a^b^1.2", DMP) == CodedString("a", "1.2", "b")
    assert read_patient_field("PID-3|a~b").repetitions == ("a", "b")
    assert read_integer("48112900331") == 48112900331
    assert read_sha1("DA39A3EE5E6B4B0D3255BFEF95601890AFD80709") == "da39a3ee5e6b4b0d3255bfef95601890afd80709"
    assert read_uuid("urn:uuid:7EDCA82F-054D-47F2-A032-9B2A5B5186C1", DatatypeTolerances(upper_case_uuid=True)).islower()
    assert write_oid_urn(read_oid_urn("urn:oid:1.2.3")) == "urn:oid:1.2.3"


def test_encounter_reference_keeps_all_components() -> None:
    text = "E77^^^&1.2.3&ISO^urn:ihe:iti:xds:2015:encounterId^&1.2.9&ISO"
    assert write_cxi(read_cxi(text)) == text


def test_patient_key_is_identifier_and_authority_only() -> None:
    assert patient_key("P1^^^&1.2.3&ISO^NH^^20100907") == PatientKey("P1", "1.2.3") == patient_key("P1^^^&1.2.3&ISO")
    assert patient_key("P1^^^&1.2.3&ISO") != patient_key("p1^^^&1.2.3&ISO")
    assert patient_key("P1^^^&1.2.3&ISO") != patient_key("P1^^^&1.2.30&ISO")
    with pytest.raises(DatatypeError, match="component 5"):
        patient_key("P1^^^&1.2.3&ISO^NH", STRICT)


def test_at_most_one_birth_date_and_one_sex() -> None:
    assert check_patient_fields(["PID-5|A", "PID-5|B", "PID-7|1950", "PID-8|F"]) == ()
    wrong = check_patient_fields(["PID-7|1950", "PID-7|1951", "PID-8|F", "PID-8|M", "PID-2|x"])
    assert [sentence.partition(",")[0] for sentence in wrong] == [
        "expected no PID-2 in patient fields",
        "expected at most one PID-7",
        "expected at most one PID-8",
    ]


@pytest.mark.parametrize(
    ("one", "other", "later"),
    [
        ("202503010900", "20250301", False),
        ("20250301", "202503010900", False),
        ("20250302", "20250301", True),
        ("2026", "20251231235959", True),
        ("2025", "20251231235959", False),
    ],
)
def test_times_are_compared_at_the_precision_of_the_shorter(one: str, other: str, later: bool) -> None:
    assert is_later(one, other) is later


@pytest.mark.parametrize(
    ("dtm", "first"),
    [("2024", "20240101000000"), ("202402", "20240201000000"), ("20240229", "20240229000000"), ("20240229101559",) * 2],
)
def test_instant(dtm: str, first: str) -> None:
    assert instant(dtm) == first


def test_times_in_the_future_are_named() -> None:
    now = datetime(2026, 3, 11, 12, tzinfo=UTC)
    assert check_not_future("2026", now) is None
    assert check_not_future("20260312", now) is None
    assert "not in the future" in (check_not_future("20260313", now) or "")
    assert "2099" in (check_not_future("2099", now) or "")


@pytest.mark.parametrize(
    ("ts", "dtm"),
    [
        ("20260311110436-0400", "20260311150436"),
        ("20260311110436+0100", "20260311100436"),
        ("20260311110436.123+0100", "20260311100436"),
        ("20260101003000+0100", "20251231233000"),
        ("202603111104+0530", "202603110534"),
        ("2026031111+0530", "202603110530"),
        ("2026031111+0100", "2026031110"),
        ("20260311+0100", "20260311"),
        ("20260311110436", "20260311110436"),
        ("2026", "2026"),
    ],
)
def test_hl7_times_become_utc(ts: str, dtm: str) -> None:
    assert dtm_from_ts(ts) == dtm


@pytest.mark.parametrize(
    "ts", ["20260311110436-04000", "20260311110436+1500", "2026031111Z", "00010101000000+0100", "", "9" * 40]
)
def test_wrong_hl7_times_are_refused(ts: str) -> None:
    with pytest.raises(DatatypeError, match="expected"):
        dtm_from_ts(ts)


def test_long_values_are_cut_in_messages() -> None:
    assert len(shown("x" * 100_000)) < 130
    assert "(100000 characters)" in shown("x" * 100_000)


HOSTILE = [
    "1." * 500_000 + "!",
    "^" * 1_000_000,
    "&" * 1_000_000,
    "\\" * 1_000_001,
    "a-" * 500_000,
    " " * 1_000_000,
    "9" * 1_000_000,
]


@pytest.mark.parametrize("check", [check for check, _ in ACCEPTED])
def test_a_megabyte_is_refused_by_its_length_with_a_short_message(check: Check) -> None:
    for text in HOSTILE:
        wrong = check(text)
        assert wrong is not None
        assert len(wrong) < 1000


_SLOT_CHECKS: dict[str, Check] = {
    "creationTime": check_dtm,
    "submissionTime": check_dtm,
    "serviceStartTime": check_dtm,
    "serviceStopTime": check_dtm,
    "hash": check_sha1,
    "size": check_integer,
    "languageCode": check_language,
    "repositoryUniqueId": check_oid,
    "URI": check_uri,
    "legalAuthenticator": check_xcn,
    "authorPerson": check_xcn,
    "authorInstitution": check_xon,
    "authorRole": check_coded_string,
    "authorSpecialty": check_coded_string,
    "authorTelecommunication": check_xtn,
    "sourcePatientId": check_cx,
    "sourcePatientInfo": check_patient_field,
    "intendedRecipient": check_recipient,
    "urn:ihe:iti:xds:2013:referenceIdList": check_cxi,
}
_SLOT = re.compile(r'<(?:\w+:)?Slot\b[^>]*?name="([^"]+)"[^>]*>(.*?)</(?:\w+:)?Slot>', re.DOTALL)
_VALUE = re.compile(r"<(?:\w+:)?Value>([^<]*)</")


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("folder", "pattern", "tolerances"), [("wire", "*/*/request.http", STRICT), ("dmp-messages", "TD[23]*", DMP)]
)
def test_values_of_foreign_clients_are_accepted(folder: str, pattern: str, tolerances: DatatypeTolerances) -> None:
    seen = set()
    for path in shared("corpus", folder).glob(pattern):
        for slot in _SLOT.finditer(path.read_bytes().decode("utf-8", "replace")):
            for value in _VALUE.findall(slot[2]) if slot[1] in _SLOT_CHECKS else ():
                text = value.replace("&amp;", "&")
                assert _SLOT_CHECKS[slot[1]](text, tolerances) is None, (path.name, slot[1])
                seen.add(slot[1])
    assert len(seen) >= 10

"""Codes of an affinity domain: the built-in ones, and those of a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.shared_data import shared
from xds_metadata.codes import BUILT_IN, WIRE_NAMES, CodesError, Row, code_sets, load_codes
from xds_metadata.french_tables import class_of_type, format_of_body, format_of_other_models, format_of_template
from xds_metadata.model import Code

LOINC = "2.16.840.1.113883.6.1"

DMP_ALLOWS = [
    ("class_code", "10", "1.2.250.1.213.1.1.4.1"),
    ("class_code", "urn:oid:1.3.6.1.4.1.19376.1.2.1.1.1", "URN"),
    ("type_code", "11502-2", LOINC),
    ("type_code", "SYNTH", "1.2.250.1.213.1.1.4.12"),
    ("format_code", "urn:ihe:iti:xds-sd:pdf:2008", "1.3.6.1.4.1.19376.1.2.3"),
    ("confidentiality_code", "N", "2.16.840.1.113883.5.25"),
    ("confidentiality_code", "MASQUE_PS", "1.2.250.1.213.1.1.4.13"),
    ("healthcare_facility_type_code", "SA01", "1.2.250.1.71.4.2.4"),
    ("practice_setting_code", "ETABLISSEMENT", "1.2.250.1.213.1.1.4.9"),
    ("content_type_code", "04", "1.2.250.1.213.2.2"),
    ("content_type_code", "54", "1.2.250.1.213.2.2"),
    ("event_code", "ANYTHING", "1.2.250.1.213.2.5"),
    ("event_code", "MR", "1.2.840.10008.2.16.4"),
    ("event_code", "MR", "1.2.250.1.213.1.1.5.618"),
    ("event_code", "EXP_PATIENT", "1.2.250.1.213.1.1.4.6"),
    ("mime_type", "text/xml", ""),
    ("folder_code", "anything", "1.2.3"),
    ("association_documentation", "anything", "1.2.3"),
]
DMP_REFUSES = [
    ("class_code", "10", "1.2.3"),
    ("class_code", "", "1.2.250.1.213.1.1.4.1"),
    ("type_code", "27899-4", LOINC),
    ("confidentiality_code", "L", "2.16.840.1.113883.5.25"),
    ("event_code", "X", "1.2.3.4"),
    ("event_code", "", "1.2.250.1.213.2.5"),
    ("mime_type", "application/pdf", ""),
    ("mime_type", "text/xml; charset=utf-8", ""),
]


@pytest.mark.parametrize(("attribute", "code", "scheme"), DMP_ALLOWS)
def test_dmp_allows(attribute: str, code: str, scheme: str) -> None:
    assert load_codes("dmp").allows(attribute, code, scheme)
    assert load_codes("dmp").allows(attribute, code, f"urn:oid:{scheme}")


@pytest.mark.parametrize(("attribute", "code", "scheme"), DMP_REFUSES)
def test_dmp_refuses(attribute: str, code: str, scheme: str) -> None:
    codes = load_codes("dmp")
    assert not codes.allows(attribute, code, scheme)
    sentence = codes.explain(attribute, code, scheme)
    assert sentence.startswith(f"{WIRE_NAMES[attribute]}: expected ")
    assert repr(code) in sentence


def test_sizes_of_the_dmp_value_sets() -> None:
    codes = load_codes("dmp")
    sizes = {attribute: len(codes.codes(attribute)) for attribute in WIRE_NAMES if codes.restricts(attribute)}
    assert sizes == {
        "class_code": 12,
        "type_code": 108,
        "format_code": 62,
        "healthcare_facility_type_code": 68,
        "practice_setting_code": 11,
        "content_type_code": 101,
        "confidentiality_code": 6,
        "event_code": 10,
        "mime_type": 3,
    }


def test_sentences_point_to_the_right_scheme_or_codes() -> None:
    codes = load_codes("dmp")
    assert "that code belongs to the scheme 1.2.250.1.213.1.1.4.1)" in codes.explain("class_code", "10", "1.2.3")
    assert "the scheme has 10, 11, 31, 42, 43, 44 and 5 more" in codes.explain(
        "class_code", "99", "urn:oid:1.2.250.1.213.1.1.4.1"
    )
    assert "its schemes are " in codes.explain("type_code", "x", "1.2.3")
    assert "(text/xml, application/xslt+xml, application/dicom), found 'text/html'" in codes.explain(
        "mime_type", "text/html"
    )
    assert "none is listed" in code_sets("empty", []).explain("class_code", "x", "1.2")


def test_codes_are_compared_in_composed_form() -> None:
    codes = code_sets("lab", [Row("type_code", "caf\u00e9", "1.2", "Café")])
    assert codes.allows("type_code", "cafe\u0301", "1.2")
    assert codes.display("type_code", "cafe\u0301", "urn:oid:1.2") == "Café"
    assert codes.display("type_code", "the", "1.2") is None


def test_connectathon_domain_lists_authorities_and_folder_codes() -> None:
    codes = load_codes("toolkit")
    assert codes is load_codes("connectathon")
    assert codes.authorities[0] == "1.3.6.1.4.1.21367.13.20.1000"
    assert all(codes.restricts(attribute) for attribute in WIRE_NAMES)
    assert codes.allows("folder_code", "Referrals", "1.3.6.1.4.1.21367.2017.3")


def test_any_allows_everything() -> None:
    codes = load_codes("any")
    assert codes.authorities == ()
    assert all(codes.allows(attribute, "x", "y") for attribute in WIRE_NAMES)


@pytest.mark.corpus
def test_connectathon_domain_equals_the_published_list() -> None:
    published, ours = load_codes(shared("data", "toolkit_codes.json")), load_codes("connectathon")
    assert published.authorities == ours.authorities
    for attribute in WIRE_NAMES:
        assert set(published.codes(attribute)) == set(ours.codes(attribute))


@pytest.mark.corpus
def test_codes_of_captured_messages() -> None:
    codes = load_codes(str(shared("corpus", "wire", "codes.json")))
    assert codes.name == "codes.json"
    assert codes.authorities == ("1.2.250.1.213.1.4.10",)
    assert codes.allows("mime_type", "application/pdf")
    assert not codes.allows("mime_type", "text/html")
    assert codes.allows("folder_code", "GR01", "1.2.250.1.213.1.1.4.200")
    assert codes.allows("association_documentation", "anything", "1.2")


def test_unknown_name_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(CodesError, match=f"{', '.join(BUILT_IN)}.*found 'dpm'"):
        load_codes("dpm")


GOOD = {"codeTypes": [{"name": "classCode", "codes": [{"code": "10", "codingScheme": "1.2", "display": None}]}]}


def test_a_small_file_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "codes.json"
    path.write_text(json.dumps(GOOD), encoding="utf-8")
    assert load_codes(path).codes("class_code") == (("10", "1.2"),)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("{", "expected JSON"),
        ("[" * 100_000, "expected JSON"),
        ("[]", "top level: expected an object, found list"),
        ("{}", "codeTypes: expected a list, found NoneType"),
        ('{"codeTypes": []}', "at least one code"),
        ('{"codeTypes": [1]}', r"codeTypes\[0\]: expected an object, found int"),
        ('{"codeTypes": [{"name": "classCod", "codes": []}]}', r"codeTypes\[0\].name: expected one of .*found 'classCod'"),
        ('{"codeTypes": [{"name": "classCode"}]}', r"codeTypes\[0\].codes: expected a list"),
        (
            '{"codeTypes": [{"name": "classCode", "codes": [{"code": 1}]}]}',
            r"codes\[0\].codingScheme: expected a text, found nothing",
        ),
        (
            '{"codeTypes": [{"name": "classCode", "codes": [{"code": 1, "codingScheme": "1"}]}]}',
            r"codes\[0\].code: expected a text, found '1'",
        ),
        (
            json.dumps(GOOD | {"assigningAuthorities": [{"id": "1.2.3"}]}),
            r"assigningAuthorities\[0\].id: expected an assigning authority written &OID&ISO, found '1.2.3'",
        ),
    ],
)
def test_a_malformed_file_is_an_error_that_names_the_place(tmp_path: Path, content: str, place: str) -> None:
    path = tmp_path / "codes.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CodesError, match=place) as raised:
        load_codes(path)
    assert str(path) in str(raised.value)


def test_a_file_that_is_not_text_or_too_large_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "codes.json"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(CodesError, match="UTF-8"):
        load_codes(path)
    with path.open("wb") as file:
        file.truncate(16_000_001)
    with pytest.raises(CodesError, match="at most 16000000 bytes, found 16000001"):
        load_codes(path)


def test_class_of_a_type() -> None:
    assert class_of_type("SYNTH", "urn:oid:1.2.250.1.213.1.1.4.12") == Code("11", "1.2.250.1.213.1.1.4.1", "Synthèse")
    assert class_of_type("27899-4", LOINC) == Code("10", "1.2.250.1.213.1.1.4.1", "Compte rendu")
    assert class_of_type("SYNTH", LOINC) is None


def test_every_dmp_type_has_a_dmp_class() -> None:
    codes = load_codes("dmp")
    for code, scheme in codes.codes("type_code"):
        found = class_of_type(code, scheme)
        assert found is not None, code
        assert codes.allows("class_code", found.code, found.scheme)


def test_format_of_models_and_bodies() -> None:
    vsm = format_of_template("1.2.250.1.213.1.1.1.13")
    assert vsm is not None
    assert (vsm.code, vsm.scheme) == ("urn:asip:ci-sis:vsm:2012", "1.2.250.1.213.1.1.4.2.282")
    assert format_of_template("1.2.3") is None
    pdf = format_of_body("application/PDF")
    assert pdf is not None
    assert pdf.code == "urn:ihe:iti:xds-sd:pdf:2008"
    assert format_of_body("image/png") is None
    assert format_of_other_models().code == "urn:asipSante:modelesHorsProfils:2011"

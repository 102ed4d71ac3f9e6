"""Metadata from CDA headers: each test changes one thing of a complete document."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta, timezone

import pytest

from cda.errors import CdaError
from cda.header import InstanceId, read_header
from cda.metadata import document_entry
from liasse.demo_documents import PATIENT_NUMBER, health_summary, pdf_report
from tests.shared_data import shared
from xds_metadata.codes import CodeSets, Row, code_sets, load_codes
from xds_metadata.datatypes import (
    DMP,
    STRICT,
    DatatypeTolerances,
    check_coded_string,
    check_cx,
    check_cxi,
    check_dtm,
    check_language,
    check_mime_type,
    check_patient_fields,
    check_sha1,
    check_unique_id,
    check_xcn,
    check_xon,
    is_later,
)
from xds_metadata.model import Code, DocumentEntry

DMP_CODES = load_codes("dmp")
TIME = datetime(2025, 3, 1, 10, 15, tzinfo=timezone(timedelta(hours=1)))
SUMMARY = health_summary("1.2.250.1.999.9.1", "1.2.250.1.999.9.2", TIME).decode()
REPORT = pdf_report("1.2.250.1.999.9.3", "1.2.250.1.999.9.4", TIME).decode()
SET_ID = '<setId root="1.2.250.1.999.9.2"/>'
EFFECTIVE = '<effectiveTime value="20250301101500+0100"/>'
INS = f'<id root="1.2.250.1.213.1.4.10" extension="{PATIENT_NUMBER}"/>'
LOCAL = '<id root="1.2.250.1.999.7" extension="IPP-DEMO-1"/>'
LOINC = 'codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC"'
ACT = f'<code code="34117-2" displayName="Historique et clinique" {LOINC}/>'
PROFESSIONAL = '<id root="1.2.250.1.71.4.2.1" extension="899999999999"/>'


def changed(old: str, new: str, document: str = SUMMARY) -> bytes:
    assert old in document
    return document.replace(old, new).encode()


def entry_of(data: bytes | str, codes: CodeSets = DMP_CODES) -> DocumentEntry:
    return document_entry(data.encode() if isinstance(data, str) else data, codes).entry


def warnings_of(data: bytes | str, codes: CodeSets = DMP_CODES) -> str:
    return "\n".join(document_entry(data.encode() if isinstance(data, str) else data, codes).warnings)


def faults(entry: DocumentEntry, tolerances: DatatypeTolerances, codes: CodeSets) -> list[str]:
    """What the data types and the affinity domain have against an entry that should be complete."""
    people = [author.person for author in entry.authors] + [entry.legal_authenticator]
    checks = [
        check_unique_id(entry.unique_id or ""),
        check_cx(entry.patient_id or "", tolerances),
        check_cx(entry.source_patient_id or "", tolerances),
        check_dtm(entry.creation_time or ""),
        check_dtm(entry.service_start_time or ""),
        check_sha1(entry.hash or ""),
        check_language(entry.language_code or ""),
        check_mime_type(entry.mime_type or ""),
        *(check_xcn(person or "", tolerances) for person in people),
        *(check_xon(name, tolerances) for author in entry.authors for name in author.institutions),
        *(check_coded_string(text, tolerances) for author in entry.authors for text in (*author.roles, *author.specialties)),
        *(check_cxi(text) for text in entry.reference_ids),
        *check_patient_fields(entry.source_patient_info, tolerances),
        None if entry.title and len(entry.title) < 128 else "title",
        None if entry.authors else "no author",
    ]
    if entry.service_stop_time is not None:
        checks += [check_dtm(entry.service_stop_time)]
        checks += ["service times"] if is_later(entry.service_start_time or "", entry.service_stop_time) else []
    coded: dict[str, list[Code | None]] = {
        "class_code": [entry.class_code],
        "type_code": [entry.type_code],
        "format_code": [entry.format_code],
        "healthcare_facility_type_code": [entry.healthcare_facility_type_code],
        "practice_setting_code": [entry.practice_setting_code],
        "confidentiality_code": [*entry.confidentiality_codes] or [None],
        "event_code": [*entry.event_codes],
    }
    for attribute, values in coded.items():
        for code in values:
            checks.append(attribute if code is None else None)
            if code is not None and not codes.allows(attribute, code.code, code.scheme):
                checks.append(codes.explain(attribute, code.code, code.scheme))
    checks.append(None if codes.allows("mime_type", entry.mime_type or "") else "mime type")
    return [wrong for wrong in checks if wrong is not None]


@pytest.mark.corpus
@pytest.mark.parametrize("tolerances", [DMP, STRICT])
def test_every_published_example_gives_a_valid_entry(tolerances: DatatypeTolerances) -> None:
    paths = sorted(shared("corpus", "cda").glob("*.xml"))
    for path in paths:
        data = path.read_bytes()
        entry = document_entry(data, DMP_CODES, tolerances=tolerances).entry
        assert faults(entry, tolerances, DMP_CODES) == [], path.name
        assert entry.hash == hashlib.sha1(data).hexdigest()
        assert entry.size == str(len(data))
    assert len(paths) == 51


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "mime", "format_code"),
    [
        ("BIO-CR-BIO_2021.01_Auto-Presentable.xml", "application/xslt+xml", "urn:ihe:lab:xd-lab:2008"),
        ("TLM-CR_2022.01.xml", "text/xml", "urn:ihe:iti:xds-sd:pdf:2008"),
        ("CARD-F-PRC-DCI_2022.01.xml", "text/xml", "urn:asip:ci-sis:dci:2009"),
        ("BIO-TROD_2024.01_Angine.xml", "text/xml", "urn:asipSante:modelesHorsProfils:2011"),
        ("VSM_1.4_2022.01.xml", "text/xml", "urn:asip:ci-sis:vsm:2012"),
    ],
)
def test_published_examples_by_kind(name: str, mime: str, format_code: str) -> None:
    entry = entry_of(shared("corpus", "cda", name).read_bytes())
    assert entry.mime_type == mime
    assert entry.format_code is not None
    assert entry.format_code.code == format_code


@pytest.mark.corpus
def test_imaging_report_keeps_modalities_regions_and_accession_numbers() -> None:
    derived = document_entry(shared("corpus", "cda", "IMG_CR_IMG_2024.01.xml").read_bytes(), DMP_CODES)
    assert {code.scheme for code in derived.entry.event_codes} >= {"2.16.840.1.113883.6.1", "1.2.840.10008.2.16.4"}
    assert sum(text.endswith(":accession") for text in derived.entry.reference_ids) == 2
    assert derived.replaces == "90E1C8EC-F951-4B26-A305-A34848818DD6"


def test_the_complete_document_gives_a_complete_entry() -> None:
    for tolerances in (DMP, STRICT):
        derived = document_entry(SUMMARY.encode(), DMP_CODES, tolerances=tolerances)
        assert derived.warnings == ()
        assert faults(derived.entry, tolerances, DMP_CODES) == []


def test_dmp_components_are_written_only_where_the_receiver_takes_them() -> None:
    french, plain = entry_of(SUMMARY), document_entry(SUMMARY.encode(), DMP_CODES, tolerances=STRICT).entry
    assert french.patient_id == f"{PATIENT_NUMBER}^^^&1.2.250.1.213.1.4.10&ISO^NH"
    assert french.source_patient_id == "IPP-DEMO-1^^^&1.2.250.1.999.7&ISO^PI"
    assert french.legal_authenticator == "899999999999^TESTMEDECIN^DEMO^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"
    assert french.authors[0].institutions == ("CENTRE DE DEMONSTRATION^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^1999999999",)
    assert french.authors[0].specialties == (
        "G15_10/SM26^Médecin - Qualifié en Médecine Générale (SM)^1.2.250.1.213.1.1.4.5",
    )
    assert plain.patient_id == f"{PATIENT_NUMBER}^^^&1.2.250.1.213.1.4.10&ISO"
    assert plain.legal_authenticator == "899999999999^TESTMEDECIN^DEMO^^^^^^&1.2.250.1.71.4.2.1&ISO"
    assert plain.authors[0].specialties == ("G15_10/SM26^^^&1.2.250.1.213.1.1.4.5&ISO",)


def test_unique_id_with_extension() -> None:
    data = changed('<id root="1.2.250.1.999.9.1"/>', '<id root="1.2.250.1.999.9.1" extension="A 1"/>')
    assert entry_of(data).unique_id == "1.2.250.1.999.9.1^A 1"


@pytest.mark.parametrize(
    ("value", "dtm"),
    [("20260311110436-0400", "20260311150436"), ("202603111104+0100", "202603111004"), ("20260311", "20260311")],
)
def test_times_become_utc(value: str, dtm: str) -> None:
    assert entry_of(changed(EFFECTIVE, f'<effectiveTime value="{value}"/>')).creation_time == dtm


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("20260311110436", "has no time zone, UTC is assumed"),
        ("20260311110436-04000", "left out; effectiveTime: expected a time"),
        ("20261311", "left out; effectiveTime: expected a DTM with a month"),
        ("", "the header has no effectiveTime"),
    ],
)
def test_doubtful_times_are_named(value: str, sentence: str) -> None:
    assert f"creationTime: {sentence}" in warnings_of(changed(EFFECTIVE, f'<effectiveTime value="{value}"/>')).replace(
        "effectiveTime has no", "has no"
    )


def test_an_act_that_ends_before_it_begins_has_no_end() -> None:
    old = '<low value="20250301101500+0100"/></effectiveTime>\n<performer'
    data = changed(old, '<low value="20250301"/><high value="20250228"/></effectiveTime>\n<performer')
    assert entry_of(data).service_start_time == "20250301"
    assert entry_of(data).service_stop_time is None
    assert "serviceStopTime: left out" in warnings_of(data)


def test_caller_names_another_patient() -> None:
    derived = document_entry(SUMMARY.encode(), DMP_CODES, patient="P1^^^&1.2.3&ISO")
    assert derived.entry.patient_id == "P1^^^&1.2.3&ISO"
    assert derived.entry.source_patient_id == "IPP-DEMO-1^^^&1.2.250.1.999.7&ISO^PI"
    assert derived.warnings == ("patientId: taken from the caller, it is not the patient that the header names",)


def test_caller_names_the_same_patient() -> None:
    same = f"{PATIENT_NUMBER}^^^&1.2.250.1.213.1.4.10&ISO"
    derived = document_entry(SUMMARY.encode(), DMP_CODES, patient=same)
    assert (derived.entry.patient_id, derived.warnings) == (same, ())


def test_caller_names_no_patient_that_could_be_one() -> None:
    with pytest.raises(CdaError, match=r"patient given by the caller: .*no assigning authority"):
        document_entry(SUMMARY.encode(), DMP_CODES, patient="P1")


def test_without_a_local_number_the_national_one_is_the_source_number() -> None:
    assert entry_of(changed(LOCAL, "")).source_patient_id == f"{PATIENT_NUMBER}^^^&1.2.250.1.213.1.4.10&ISO^NH"


def test_a_wrong_key_of_the_national_number_is_not_judged() -> None:
    wrong = PATIENT_NUMBER[:13] + "00"
    assert entry_of(changed(PATIENT_NUMBER, wrong)).patient_id == f"{wrong}^^^&1.2.250.1.213.1.4.10&ISO^NH"


def test_without_a_national_number_an_authority_of_the_domain_counts() -> None:
    data = changed(INS, "")
    codes = code_sets("lab", [], ["1.2.250.1.999.7"])
    assert entry_of(data, codes).patient_id == "IPP-DEMO-1^^^&1.2.250.1.999.7&ISO^PI"
    with pytest.raises(
        CdaError, match="recordTarget/patientRole/id: expected an identifier of the national health identity"
    ):
        document_entry(data, DMP_CODES)
    assert document_entry(data, DMP_CODES, patient="P1^^^&1.2.3&ISO").entry.patient_id == "P1^^^&1.2.3&ISO"


def test_without_any_usable_patient_number() -> None:
    data = changed(INS + LOCAL, '<id root="90E1C8EC-F951-4B26-A305-A34848818DD6" extension="1"/>')
    derived = document_entry(data, DMP_CODES, patient="P1^^^&1.2.3&ISO")
    assert derived.entry.source_patient_id is None
    assert any(sentence.startswith("sourcePatientId: the header has no") for sentence in derived.warnings)
    without = re.sub(r"<recordTarget>.*</recordTarget>", "", SUMMARY, flags=re.DOTALL).encode()
    assert document_entry(without, DMP_CODES, patient="P1^^^&1.2.3&ISO").entry.source_patient_info == ()


def test_patient_traits() -> None:
    assert entry_of(SUMMARY).source_patient_info == (
        f"PID-3|{PATIENT_NUMBER}^^^&1.2.250.1.213.1.4.10&ISO^NH",
        "PID-3|IPP-DEMO-1^^^&1.2.250.1.999.7&ISO^PI",
        "PID-5|TESTPATIENT^DEMO^^^^^L",
        "PID-5|TESTPATIENT^DEMO^^^^^D",
        "PID-7|19550615",
        "PID-8|F",
        "PID-11|1 Rue de la Démonstration^^VILLE-TEST^^99999^FRANCE^H",
    )


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (' qualifier="BR"', "", "PID-5|TESTPATIENT^DEMO^^^^^D"),
        (
            '<family qualifier="BR">TESTPATIENT</family>',
            '<family qualifier="BR">TEST^&amp;</family>',
            "PID-5|TEST\\S\\\\T\\^DEMO^^^^^L",
        ),
        ('value="19550615"', 'value="195506151200+0100"', "PID-7|19550615"),
        ('code="F" displayName="Féminin"', 'code="UN"', "PID-8|U"),
        ('<addr use="H">', "<addr>", "PID-11|1 Rue de la Démonstration^^VILLE-TEST^^99999^FRANCE"),
    ],
)
def test_patient_traits_one_by_one(old: str, new: str, field: str) -> None:
    assert field in entry_of(changed(old, new)).source_patient_info


def test_patient_traits_that_are_missing_or_wrong() -> None:
    name = re.sub(r"<patient><name>.*?</name>", "<patient><name>TEST PATIENT</name>", SUMMARY, flags=re.DOTALL)
    assert "PID-5|TEST PATIENT^^^^^^U" in entry_of(name).source_patient_info
    nameless = re.sub(r"<patient><name>.*?</name>", "<patient>", SUMMARY, flags=re.DOTALL)
    assert not any(field.startswith("PID-5") for field in entry_of(nameless).source_patient_info)
    assert "sourcePatientInfo: left out; PID-7" in warnings_of(changed('value="19550615"', 'value="1955-06-15"'))
    homeless = re.sub(
        r'<addr use="H">.*?</addr>', '<addr use="H"><censusTract>1</censusTract></addr>', SUMMARY, flags=re.DOTALL
    )
    assert not any(field.startswith("PID-11") for field in entry_of(homeless).source_patient_info)


@pytest.mark.parametrize(
    ("identifier", "xcn"),
    [
        (
            '<id root="1.2.250.1.71.4.2.1" extension="3990000001/42"/>',
            "3990000001/42^TESTMEDECIN^DEMO^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^EI",
        ),
        ('<id root="1.2.250.1.213.1.4.8" extension="255"/>', "255^TESTMEDECIN^DEMO^^^^^^&1.2.250.1.213.1.4.8&ISO^D^^^NH"),
        ('<id root="1.2.3.4"/>', "1.2.3.4^TESTMEDECIN^DEMO^^^^^^^D^^^IDNPS"),
        ('<id root="90E1C8EC-F951-4B26-A305-A34848818DD6" extension="7"/>', "7^TESTMEDECIN^DEMO^^^^^^^D^^^IDNPS"),
        ('<id nullFlavor="UNK"/>', "^TESTMEDECIN^DEMO^^^^^^^D"),
    ],
)
def test_kinds_of_person_identifiers(identifier: str, xcn: str) -> None:
    assert entry_of(changed(PROFESSIONAL, identifier)).authors[0].person == xcn


def test_a_patient_as_author_has_no_institution() -> None:
    assert entry_of(changed(PROFESSIONAL, '<id root="1.2.250.1.213.1.4.8" extension="255"/>')).authors[0].institutions == ()


def test_a_device_as_author() -> None:
    person = "<assignedPerson><name><family>TESTMEDECIN</family><given>DEMO</given></name></assignedPerson>"
    device = (
        "<assignedAuthoringDevice><manufacturerModelName>M1</manufacturerModelName>"
        "<softwareName>LOGICIEL</softwareName></assignedAuthoringDevice>"
    )
    assert (
        entry_of(changed(person, device)).authors[0].person == "899999999999^LOGICIEL^M1^^^^^^&1.2.250.1.71.4.2.1&ISO^U^^^RI"
    )


def test_role_of_an_author() -> None:
    data = changed(
        "<author><time", '<author><functionCode code="PCP" codeSystem="1.2" displayName="Médecin traitant"/><time'
    )
    assert entry_of(data).authors[0].roles == ("Médecin traitant",)
    odd = changed("<author><time", '<author><functionCode code="PCP" codeSystem="1.2" displayName="a^b"/><time')
    assert entry_of(odd).authors[0].roles == ()
    assert "authorRole: left out" in warnings_of(odd)


def test_used_names_go_before_birth_names() -> None:
    old = "<family>TESTMEDECIN</family>"
    data = changed(old, '<family qualifier="BR">AVANT</family><family qualifier="CL">APRES</family>')
    assert entry_of(data).legal_authenticator == "899999999999^APRES^DEMO^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"


def test_a_name_too_long_for_the_value_is_left_out() -> None:
    data = changed("<family>TESTMEDECIN</family>", f"<family>{'X' * 300}</family>")
    assert entry_of(data).authors[0].person == "899999999999^^^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"


def test_an_institution_without_name_is_called_by_its_number() -> None:
    data = changed("<name>CENTRE DE DEMONSTRATION</name>\n<standard", "<standard")
    assert entry_of(data).authors[0].institutions == ("1999999999^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^1999999999",)
    assert "authorInstitution: the organisation has no name" in warnings_of(data)
    bare = data.replace(
        b'<representedOrganization><id root="1.2.250.1.71.4.2.2" extension="1999999999"/>', b"<representedOrganization>"
    )
    assert entry_of(bare).authors[0].institutions == ()


def test_no_author_and_no_authenticator_are_named() -> None:
    without = re.sub(r"<author>.*?</author>|<legalAuthenticator>.*?</legalAuthenticator>", "", SUMMARY, flags=re.DOTALL)
    assert entry_of(without).authors == ()
    assert "author: the header has no author" in warnings_of(without)
    assert "legalAuthenticator: the header has no" in warnings_of(without)
    empty = re.sub(r"<assignedAuthor>.*?</assignedAuthor>", "", SUMMARY, flags=re.DOTALL)
    assert entry_of(empty).authors == ()


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        (r"<title>Volet de synthèse médicale</title>", "title: the header has no title"),
        (r'<languageCode code="fr-FR"/>', "languageCode: the header has no languageCode"),
        (r'<code code="SYNTH"[^>]*/>', "typeCode: the header has no code"),
        (r"<confidentialityCode[^>]*/>", "confidentialityCode: the header has no confidentialityCode"),
        (r"<componentOf>.*</componentOf>", "healthcareFacilityTypeCode: the header has no componentOf"),
        (r"<documentationOf>.*</documentationOf>", "practiceSettingCode: the header has no documentationOf"),
        (r"<documentationOf>.*</documentationOf>", "serviceStartTime: the header has no documentationOf"),
    ],
)
def test_what_is_missing_is_named(pattern: str, sentence: str) -> None:
    assert sentence in warnings_of(re.sub(pattern, "", SUMMARY, flags=re.DOTALL))


def test_wrong_language_is_left_out() -> None:
    data = changed('code="fr-FR"', 'code="fr_FR"')
    assert entry_of(data).language_code is None
    assert "languageCode: left out; expected a language tag" in warnings_of(data)


def test_titles_are_one_line_of_at_most_127_characters() -> None:
    old = "<title>Volet de synthèse médicale</title>"
    assert entry_of(changed(old, "<title> Une <!-- x -->\n\t synthèse </title>")).title == "Une synthèse"
    long = changed(old, f"<title>{'é' * 200}</title>")
    assert entry_of(long).title == "é" * 127
    assert "title: cut from 200 to 127 characters" in warnings_of(long)


def test_a_type_outside_the_domain_is_kept_and_named() -> None:
    data = changed('code="SYNTH"', 'code="OTHER"')
    assert entry_of(data).type_code == Code("OTHER", "1.2.250.1.213.1.1.4.12", "Synthèse")
    assert entry_of(data).class_code is None
    assert "typeCode: expected a code of the affinity domain dmp" in warnings_of(data)
    assert "classCode: no class is known for the type 'OTHER'" in warnings_of(data)


def test_a_code_without_label_takes_that_of_the_domain_or_itself() -> None:
    entry = entry_of(
        changed(' displayName="Synthèse" codeSystem="1.2.250.1.213.1.1.4.12"', ' codeSystem="1.2.250.1.213.1.1.4.12"')
    )
    assert entry.type_code == Code("SYNTH", "1.2.250.1.213.1.1.4.12", "Synthèse")
    unknown = entry_of(changed(' displayName="Synthèse" codeSystem="1.2.250.1.213.1.1.4.12"', ' codeSystem="1.2.3"'))
    assert unknown.type_code == Code("SYNTH", "1.2.3", "SYNTH")


def test_format_by_body_model_or_neither() -> None:
    def code(data: bytes | str) -> str:
        found = entry_of(data).format_code
        return found.code if found else ""

    assert code(REPORT) == "urn:ihe:iti:xds-sd:pdf:2008"
    assert code(changed('mediaType="application/pdf"', 'mediaType="text/rtf"', REPORT)) == "urn:ihe:iti-fr:xds-sd:rtf:2010"
    assert code(changed(' mediaType="application/pdf"', "", REPORT)) == "urn:ihe:iti:xds-sd:text:2008"
    assert (
        code(changed('mediaType="application/pdf"', 'mediaType="image/png"', REPORT))
        == "urn:asipSante:modelesHorsProfils:2011"
    )
    assert code(changed("1.2.250.1.213.1.1.1.13", "1.2.3")) == "urn:asipSante:modelesHorsProfils:2011"


def test_a_format_outside_the_domain_gives_way_to_that_of_other_models() -> None:
    data = changed('root="1.2.250.1.213.1.1.1.13"', 'root="1.2.250.1.213.1.1.1.48"')
    found = entry_of(data).format_code
    assert found is not None
    assert found.code == "urn:asipSante:modelesHorsProfils:2011"
    assert "formatCode: expected" in warnings_of(data)


def test_masking_comes_from_the_caller() -> None:
    masked = Code("MASQUE_PS", "1.2.250.1.213.1.1.4.13", "Masqué aux professionnels de santé")
    entry = document_entry(SUMMARY.encode(), DMP_CODES, confidentiality=[masked, masked]).entry
    assert [code.code for code in entry.confidentiality_codes] == ["N", "MASQUE_PS"]


def test_acts_outside_the_domain_are_left_out_and_named() -> None:
    data = changed(ACT, '<code code="TCG" codeSystem="1.2.250.1.215.200.3.3"/>')
    assert entry_of(data).event_codes == ()
    assert "found 'TCG' of the scheme '1.2.250.1.215.200.3.3'; left out" in warnings_of(data)
    assert [found.code for found in entry_of(data, load_codes("any")).event_codes] == ["TCG"]


def test_translations_of_acts_count_for_imaging_only() -> None:
    modality = ACT.replace("/>", '><translation code="MR" codeSystem="1.2.840.10008.2.16.4"/></code>')
    data = changed(ACT, modality)
    assert [found.code for found in entry_of(data).event_codes] == ["34117-2"]
    imaging = data.decode().replace(
        'code="SYNTH" displayName="Synthèse" codeSystem="1.2.250.1.213.1.1.4.12"',
        'code="18748-4" codeSystem="2.16.840.1.113883.6.1"',
    )
    assert [found.code for found in entry_of(imaging).event_codes] == ["34117-2", "MR"]


def test_references() -> None:
    order = (
        '<inFulfillmentOf><order><id root="1.2.3" extension="O1"/><id nullFlavor="UNK"/>'
        '<accessionNumber xmlns="urn:dicom-org:ps3-20" root="1.2.4" extension="A1"/></order></inFulfillmentOf>'
    )
    document = SUMMARY.replace("<documentationOf>", f"{order}{order}<documentationOf>")
    document = document.replace("<encompassingEncounter>", '<encompassingEncounter><id root="1.2.5"/>')
    assert entry_of(document).reference_ids == (
        "O1^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:order",
        "A1^^^&1.2.4&ISO^urn:ihe:iti:xds:2013:accession",
        "1.2.5^^^^urn:ihe:iti:xds:2015:encounterId",
    )
    assert "referenceIdList: left out" in warnings_of(document.replace('extension="O1"', 'extension="é"'))


@pytest.mark.parametrize(("kind", "replaced"), [("RPLC", "1.2.9^7"), ("APND", None)])
def test_replaced_document(kind: str, replaced: str | None) -> None:
    parent = '<parentDocument><id root="1.2.9" extension="7"/></parentDocument>'
    related = f'<relatedDocument typeCode="{kind}">{parent}</relatedDocument>'
    nothing = '<relatedDocument typeCode="RPLC"><parentDocument><id nullFlavor="UNK"/></parentDocument></relatedDocument>'
    document = SUMMARY.replace("<componentOf>", f"{nothing}{related}<componentOf>")
    assert document_entry(document.encode(), DMP_CODES).replaces == replaced


def test_a_self_presentable_document() -> None:
    document = SUMMARY.partition("?>")[2]
    sheet = f'<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0">{document}</xsl:stylesheet>'
    entry = entry_of(sheet)
    assert (entry.mime_type, entry.title, entry.size) == (
        "application/xslt+xml",
        "Volet de synthèse médicale",
        str(len(sheet.encode())),
    )
    with pytest.raises(CdaError, match="expected one embedded ClinicalDocument, found 0"):
        entry_of('<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0"/>')
    with pytest.raises(CdaError, match="expected one embedded ClinicalDocument, found 2"):
        entry_of(sheet.replace("</xsl:stylesheet>", f"{document}</xsl:stylesheet>"))


def test_prefixes_do_not_matter() -> None:
    prefixed = re.sub(r"<(/?)(?!\?|!)", r"<\1c:", SUMMARY).replace('xmlns="urn:hl7-org:v3"', 'xmlns:c="urn:hl7-org:v3"')
    prefixed = prefixed.replace('xsi:type="', 'xsi:type="c:')
    plain, other = entry_of(SUMMARY), entry_of(prefixed)
    assert other.size != plain.size
    for attribute in (
        "unique_id",
        "authors",
        "title",
        "type_code",
        "source_patient_info",
        "event_codes",
        "legal_authenticator",
    ):
        assert getattr(other, attribute) == getattr(plain, attribute)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "no acceptable XML"),
        (b"<ClinicalDocument", "no acceptable XML.*line 1"),
        (b"%PDF-1.4", "no acceptable XML"),
        (SUMMARY.encode("utf-16"), "no acceptable XML.*encoding"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type declaration"),
        (b"<a/>", "expected ClinicalDocument of urn:hl7-org:v3, found 'a' of ''"),
        (b'<ClinicalDocument xmlns="urn:other"/>', "found 'ClinicalDocument' of 'urn:other'"),
        (b'<ClinicalDocument xmlns="urn:hl7-org:v3"/>', "ClinicalDocument/id: expected an id with a root, found none"),
        (b'<ClinicalDocument xmlns="urn:hl7-org:v3"><id nullFlavor="UNK" root="1.2"/></ClinicalDocument>', "found none"),
        (
            b'<ClinicalDocument xmlns="urn:hl7-org:v3"><id root=" 1.2"/></ClinicalDocument>',
            "ClinicalDocument/id: .*white space",
        ),
        (b'<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="%s"/></ClinicalDocument>' % (b"1" * 300), "at most 256"),
    ],
)
def test_what_is_no_cda_is_refused_with_the_reason(data: bytes, sentence: str) -> None:
    with pytest.raises(CdaError, match=sentence):
        document_entry(data, DMP_CODES, patient="P1^^^&1.2.3&ISO")


def test_errors_tell_the_line() -> None:
    with pytest.raises(CdaError, match=r"^line 2: document element") as raised:
        read_header(b"<?xml version='1.0'?>\n<a/>")
    assert raised.value.line == 2


def test_header_as_values() -> None:
    header = read_header(SUMMARY.encode())
    assert header.id == InstanceId("1.2.250.1.999.9.1")
    assert header.set_id == InstanceId("1.2.250.1.999.9.2")
    assert header.version == "1"
    assert header.structured
    assert not header.self_presentable
    assert "1.2.250.1.213.1.1.1.13" in header.template_ids
    assert not read_header(REPORT.encode()).structured


def test_a_domain_without_national_codes_names_what_it_does_not_list() -> None:
    codes = code_sets("lab", [Row("type_code", "x", "1.2"), Row("format_code", "y", "1.2")])
    text = warnings_of(SUMMARY, codes)
    assert "typeCode: expected a code of the affinity domain lab" in text
    assert "formatCode: expected a code of the affinity domain lab" in text

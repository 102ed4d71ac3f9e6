"""Two documents of our own making about nobody: a structured medical summary (VSM) and a report with an embedded PDF.

Same arguments, same bytes. The person, the professional and the hospital are fictional; the patient number is of the test
authority, with a right key. Source: CI-SIS, VSM and header models; HL7 CDA R2; PDF 1.4 (ISO 32000 subset).
"""

from __future__ import annotations

import base64
import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final

PATIENT_AUTHORITY: Final = "1.2.250.1.213.1.4.10"
_NIR: Final = "2550699999123"
PATIENT_NUMBER: Final = f"{_NIR}{97 - int(_NIR) % 97:02d}"
DEMO_PATIENT: Final = f"{PATIENT_NUMBER}^^^&{PATIENT_AUTHORITY}&ISO"
"""The patient of both documents, as CX."""

PROFESSIONAL_ID: Final = "899999999999"
HOSPITAL_DOCTOR_ID: Final = "899999999997"
HOSPITAL_ID: Final = "1999999999"
"""National ids of the attending doctor, of a doctor of the hospital, and of the hospital."""


@dataclass(frozen=True, slots=True)
class Author:
    """A professional of the demonstration."""

    id: str
    family: str


ATTENDING: Final = Author(PROFESSIONAL_ID, "TESTMEDECIN")
OF_HOSPITAL: Final = Author(HOSPITAL_DOCTOR_ID, "TESTHOPITAL")


@dataclass(frozen=True, slots=True)
class Report:
    """What a report is: its type by LOINC code, and its title."""

    code: str
    display: str
    title: str


CONSULTATION: Final = Report("11488-4", "CR ou fiche de consultation ou de visite", "Compte rendu de consultation")
EYES: Final = Report("78513-9", "CR de consultation en ophtalmologie", "Consultation en ophtalmologie")
SURGERY: Final = Report("34875-5", "Évaluation postopératoire et note de suivi", "Suivi après une opération")

_LOINC: Final = 'codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC"'
_SNOMED: Final = 'codeSystem="2.16.840.1.113883.6.96" codeSystemName="SNOMED CT"'
_CIM10: Final = 'codeSystem="2.16.840.1.113883.6.3" codeSystemName="CIM-10"'
_CISIS: Final = "1.2.250.1.213.1.1.2"
_LOCAL_IDS: Final = "1.2.250.1.999.7"

_Row = tuple[str, ...]


def health_summary(unique_id: str, set_id: str, time: datetime) -> bytes:
    """A structured medical summary (level 3), UTF-8. `unique_id` and `set_id` are OIDs, `time` is aware."""
    make = _Ids(unique_id)
    history = _section(
        make,
        f"{_CISIS}.30",
        "34117-2",
        "Historique et physique",
        "Pathologies, antécédents et allergies",
        inner=_active_problems(make) + _past_problems(make) + _allergies(make),
    )
    risks = _section(
        make,
        f"{_CISIS}.31",
        "57207-3",
        "Facteurs de risque",
        "Facteurs de risque",
        inner=_habits(make) + _occupation(make) + _family(make),
    )
    body = (
        _section(make, f"{_CISIS}.29", "46612-8", "Conclusions de synthèse", "Synthèse", inner=history + risks)
        + _section(
            make,
            f"{_CISIS}.150",
            "30954-2",
            "Résultats",
            "Résultats",
            text=_table(
                ("Examen", "Date", "Valeur"), [("HbA1c", "02/2025", "6,8 %"), ("Créatinine", "02/2025", "68 µmol/L")]
            ),
        )
        + _section(
            make,
            f"{_CISIS}.32",
            "18776-5",
            "Plan de soins",
            "Traitements au long cours et suivi",
            text=_table(("Médicament", "Prise"), [("Metformine 500 mg", "matin et soir"), ("Ramipril 5 mg", "le matin")])
            + "<paragraph>Contrôle biologique tous les six mois.</paragraph>",
        )
    )
    return _document(
        unique_id,
        set_id,
        time,
        templates='<templateId root="1.2.250.1.213.1.1.1.13" extension="201310"/>',
        code='<code code="SYNTH" displayName="Synthèse" codeSystem="1.2.250.1.213.1.1.4.12"/>',
        title="Volet de synthèse médicale",
        act=f'<code code="34117-2" displayName="Historique et clinique" {_LOINC}/>',
        body=f"<structuredBody>{body}</structuredBody>",
    )


def pdf_report(
    unique_id: str, set_id: str, time: datetime, report: Report = CONSULTATION, author: Author = ATTENDING
) -> bytes:
    """A report whose body is a PDF (level 1), UTF-8. `unique_id` and `set_id` are OIDs, `time` is aware."""
    shown = unicodedata.normalize("NFD", report.title).encode("ascii", "ignore").decode("ascii")
    pdf = base64.b64encode(minimal_pdf([shown, "Patient de demonstration", "Examen sans anomalie."]))
    return _document(
        unique_id,
        set_id,
        time,
        templates='<templateId root="1.3.6.1.4.1.19376.1.2.20"/>',
        code=f'<code code="{report.code}" displayName="{report.display}" {_LOINC}/>',
        title=report.title,
        act=f'<code code="11429006" displayName="consultation" {_SNOMED}/>',
        body=f'<nonXMLBody><text mediaType="application/pdf" representation="B64">{pdf.decode("ascii")}</text></nonXMLBody>',
        author=author,
    )


def minimal_pdf(lines: Sequence[str]) -> bytes:
    """A one-page PDF 1.4 of ASCII lines in Helvetica. It is not PDF/A: the font is not embedded."""
    shown = "".join(f"({line.translate(_PDF_ESCAPES)}) Tj T* " for line in lines)
    content = f"BT /F1 14 Tf 20 TL 72 760 Td {shown}ET".encode("ascii")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, item in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, item)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


_PDF_ESCAPES: Final = str.maketrans({"(": "\\(", ")": "\\)", "\\": "\\\\"})


class _Ids:
    """UUIDs that depend on the document and on their order in it."""

    def __init__(self, unique_id: str) -> None:
        self._space = uuid.uuid5(uuid.NAMESPACE_OID, unique_id)
        self._count = 0

    def __call__(self) -> str:
        self._count += 1
        return f'<id root="{str(uuid.uuid5(self._space, str(self._count))).upper()}"/>'


def _templates(*roots: str) -> str:
    return "".join(f'<templateId root="{root}"/>' for root in roots)


def _section(
    make: _Ids,
    template: str,
    code: str,
    label: str,
    title: str,
    *,
    text: str = "",
    entries: str = "",
    inner: str = "",
    more: _Row = (),
) -> str:
    """One section in its component. `more` are the templateIds of its ancestors."""
    return (
        f'<component><section>{_templates(*more, template)}{make()}<code code="{code}" displayName="{label}" {_LOINC}/>'
        f"<title>{title}</title>{f'<text>{text}</text>' if text else ''}{entries}{inner}</section></component>"
    )


def _table(head: _Row, rows: Sequence[_Row]) -> str:
    """A narrative table. A cell that begins with #name gets that name as its ID."""
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr></thead><tbody>{body}</tbody></table>"


def _cell(cell: str) -> str:
    if not cell.startswith("#"):
        return f"<td>{cell}</td>"
    name, _, text = cell[1:].partition(" ")
    return f'<td ID="{name}">{text}</td>'


def _active_problems(make: _Ids) -> str:
    rows = [("#actif-1 Hypertension artérielle", "depuis mai 2015"), ("#actif-2 Diabète de type 2", "depuis septembre 2018")]
    return _section(
        make,
        f"{_CISIS}.132",
        "11450-4",
        "Liste des problèmes actifs",
        "Pathologies en cours",
        text=_table(("Pathologie", "Période"), rows),
        entries=_problem(make, "actif-1", "active", "I10", "Hypertension essentielle (primitive)", "20150512")
        + _problem(make, "actif-2", "active", "E11.9", "Diabète sucré de type 2, sans complication", "20180903"),
        more=("2.16.840.1.113883.10.20.1.11", "1.3.6.1.4.1.19376.1.5.3.1.3.6"),
    )


def _past_problems(make: _Ids) -> str:
    return _section(
        make,
        f"{_CISIS}.134",
        "11348-0",
        "Antécédents médicaux",
        "Antécédents médicaux",
        text=_table(("Pathologie", "Période"), [("#passe-1 Pneumopathie bactérienne", "janvier 2012")]),
        entries=_problem(
            make, "passe-1", "completed", "J15.9", "Pneumopathie bactérienne, sans précision", "20120110", "20120124"
        ),
        more=("1.3.6.1.4.1.19376.1.5.3.1.3.8",),
    )


def _problem(make: _Ids, name: str, status: str, code: str, label: str, low: str, high: str = "") -> str:
    """One problem coded in ICD-10, linked to the narrative cell `name`."""
    end = f'<high value="{high}"/>' if high else ""
    period = f'<effectiveTime><low value="{low}"/>{end}</effectiveTime>'
    concern = _templates(
        "2.16.840.1.113883.10.20.1.27",
        "1.3.6.1.4.1.19376.1.5.3.1.4.5.1",
        "1.3.6.1.4.1.19376.1.5.3.1.4.5.2",
        "1.2.250.1.213.1.1.3.39",
    )
    problem = _templates("2.16.840.1.113883.10.20.1.28", "1.3.6.1.4.1.19376.1.5.3.1.4.5", "1.2.250.1.213.1.1.3.37")
    return (
        f'<entry><act classCode="ACT" moodCode="EVN">{concern}{make()}<code nullFlavor="NA"/>'
        f'<statusCode code="{status}"/>{period}'
        '<entryRelationship typeCode="SUBJ" inversionInd="false">'
        '<observation classCode="OBS" moodCode="EVN" negationInd="false">'
        f'{problem}{make()}<code code="282291009" displayName="interprétation diagnostique" {_SNOMED}/>'
        f'<text><reference value="#{name}"/></text><statusCode code="completed"/>{period}'
        f'<value xsi:type="CD" code="{code}" displayName="{label}" {_CIM10}>'
        f'<originalText><reference value="#{name}"/></originalText></value>'
        "</observation></entryRelationship></act></entry>"
    )


def _allergies(make: _Ids) -> str:
    concern = _templates(
        "2.16.840.1.113883.10.20.1.27",
        "1.3.6.1.4.1.19376.1.5.3.1.4.5.1",
        "1.3.6.1.4.1.19376.1.5.3.1.4.5.3",
        "1.2.250.1.213.1.1.3.40",
    )
    allergy = _templates(
        "2.16.840.1.113883.10.20.1.18",
        "2.16.840.1.113883.10.20.1.28",
        "1.3.6.1.4.1.19376.1.5.3.1.4.5",
        "1.3.6.1.4.1.19376.1.5.3.1.4.6",
        "1.2.250.1.213.1.1.3.41",
    )
    entry = (
        f'<entry><act classCode="ACT" moodCode="EVN">{concern}{make()}<code nullFlavor="NA"/><statusCode code="active"/>'
        '<effectiveTime><low nullFlavor="UNK"/></effectiveTime>'
        '<entryRelationship typeCode="SUBJ" inversionInd="false">'
        '<observation classCode="OBS" moodCode="EVN" negationInd="false">'
        f'{allergy}{make()}<code code="416098002" displayName="allergie médicamenteuse" {_SNOMED}/>'
        '<text><reference value="#allergie-1"/></text><statusCode code="completed"/>'
        '<effectiveTime><low nullFlavor="UNK"/></effectiveTime>'
        '<value xsi:type="CD" code="no-known-allergies" displayName="Aucune allergie connue" '
        'codeSystem="2.16.840.1.113883.5.1150.1"/></observation></entryRelationship></act></entry>'
    )
    return _section(
        make,
        f"{_CISIS}.137",
        "48765-2",
        "Allergies et hypersensibilités",
        "Allergies",
        text='<paragraph><content ID="allergie-1">Aucune allergie connue</content></paragraph>',
        entries=entry,
        more=("2.16.840.1.113883.10.20.1.2", "1.3.6.1.4.1.19376.1.5.3.1.3.13"),
    )


def _habits(make: _Ids) -> str:
    observation = _templates(
        "2.16.840.1.113883.10.20.1.33",
        "1.3.6.1.4.1.19376.1.5.3.1.4.13",
        "1.3.6.1.4.1.19376.1.5.3.1.4.13.4",
        "1.2.250.1.213.1.1.3.52",
    )
    return _section(
        make,
        f"{_CISIS}.141",
        "29762-2",
        "Habitus, Mode de vie",
        "Mode de vie",
        text='<paragraph><content ID="tabac">Dix paquets-années, sevrage en 2010</content></paragraph>',
        entries=(
            f'<entry><observation classCode="OBS" moodCode="EVN">{observation}{make()}'
            f'<code code="74011-8" displayName="Consommation tabagique" {_LOINC}/><text><reference value="#tabac"/></text>'
            '<statusCode code="completed"/><effectiveTime nullFlavor="NA"/>'
            '<value xsi:type="PQ" value="10" unit="{pack}/a"/></observation></entry>'
        ),
        more=("2.16.840.1.113883.10.20.1.15", "1.3.6.1.4.1.19376.1.5.3.1.3.16", "1.3.6.1.4.1.19376.1.5.3.1.3.16.1"),
    )


def _occupation(make: _Ids) -> str:
    return _section(
        make,
        f"{_CISIS}.74",
        "10161-8",
        "Facteurs de risques professionnels",
        "Risques professionnels",
        text="<paragraph>Aucun</paragraph>",
        more=("1.3.6.1.4.1.19376.1.5.3.1.1.5.3.1",),
    )


def _family(make: _Ids) -> str:
    return _section(
        make,
        f"{_CISIS}.139",
        "10157-6",
        "Historique des pathologies familiales",
        "Antécédents familiaux",
        text="<paragraph>Diabète chez la mère</paragraph>",
        more=("2.16.840.1.113883.10.20.1.4", "1.3.6.1.4.1.19376.1.5.3.1.3.14", "1.3.6.1.4.1.19376.1.5.3.1.3.15"),
    )


_PATIENT: Final = f"""<recordTarget><patientRole>
<id root="{PATIENT_AUTHORITY}" extension="{PATIENT_NUMBER}"/><id root="{_LOCAL_IDS}" extension="IPP-DEMO-1"/>
<addr use="H"><houseNumber>1</houseNumber><streetName>Rue de la Démonstration</streetName><postalCode>99999</postalCode>
<city>VILLE-TEST</city><country>FRANCE</country></addr>
<telecom nullFlavor="NASK"/>
<patient><name><family qualifier="BR">TESTPATIENT</family><given>DEMO ESSAI</given><given qualifier="BR">DEMO</given>
<family qualifier="CL">TESTPATIENT</family><given qualifier="CL">DEMO</given></name>
<administrativeGenderCode code="F" displayName="Féminin" codeSystem="2.16.840.1.113883.5.1"/>
<birthTime value="19550615"/>
<birthplace><place><addr><county>99999</county></addr></place></birthplace></patient>
</patientRole></recordTarget>"""

_ORGANIZATION: Final = f"""<representedOrganization><id root="1.2.250.1.71.4.2.2" extension="{HOSPITAL_ID}"/>
<name>CENTRE DE DEMONSTRATION</name>
<standardIndustryClassCode code="ETABLISSEMENT" displayName="Etablissement de santé" codeSystem="1.2.250.1.213.1.1.4.9"/>
</representedOrganization>"""


def _professional(author: Author) -> str:
    return f"""<id root="1.2.250.1.71.4.2.1" extension="{author.id}"/>
<code code="G15_10/SM26" displayName="Médecin - Qualifié en Médecine Générale (SM)" codeSystem="1.2.250.1.213.1.1.4.5"/>
<addr nullFlavor="NAV"/><telecom nullFlavor="NAV"/>
<assignedPerson><name><family>{author.family}</family><given>DEMO</given></name></assignedPerson>
{_ORGANIZATION}"""


def _document(
    unique_id: str,
    set_id: str,
    time: datetime,
    *,
    templates: str,
    code: str,
    title: str,
    act: str,
    body: str,
    author: Author = ATTENDING,
) -> bytes:
    """The header around `body`, with the elements that the French header model wants."""
    when, professional = time.strftime("%Y%m%d%H%M%S%z"), _professional(author)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<realmCode code="FR"/><typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
<templateId root="2.16.840.1.113883.2.8.2.1"/><templateId root="1.2.250.1.213.1.1.1.1"/>{templates}
<id root="{escape(unique_id)}"/>
{code}
<title>{title}</title>
<effectiveTime value="{when}"/>
<confidentialityCode code="N" displayName="Normal" codeSystem="2.16.840.1.113883.5.25"/>
<languageCode code="fr-FR"/><setId root="{escape(set_id)}"/><versionNumber value="1"/>
{_PATIENT}
<author><time value="{when}"/><assignedAuthor>{professional}</assignedAuthor></author>
<custodian><assignedCustodian><representedCustodianOrganization><id root="1.2.250.1.71.4.2.2" extension="{HOSPITAL_ID}"/>
<name>CENTRE DE DEMONSTRATION</name></representedCustodianOrganization></assignedCustodian></custodian>
<legalAuthenticator><time value="{when}"/><signatureCode code="S"/>
<assignedEntity>{professional}</assignedEntity></legalAuthenticator>
<documentationOf><serviceEvent>{act}<effectiveTime><low value="{when}"/></effectiveTime>
<performer typeCode="PRF"><assignedEntity>{professional}</assignedEntity></performer></serviceEvent></documentationOf>
<componentOf><encompassingEncounter><effectiveTime><low value="{when}"/></effectiveTime><location><healthCareFacility>
<code code="SA01" displayName="Etablissement public de santé" codeSystem="1.2.250.1.71.4.2.4"/>
</healthCareFacility></location></encompassingEncounter></componentOf>
<component>{body}</component>
</ClinicalDocument>
""".encode()
